//! A data set as four IDX files with the names that MNIST's have.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, ensure};

use super::{Classes, Part, Samples, Source, png_folder};
use crate::idx;
use crate::printable::Shown;

/// Whether there is a file of images of this part.
pub(super) fn present(folder: &Path, part: Part) -> bool {
    find_images(folder, part).is_some()
}

/// Reads the images and labels of one part.
pub(super) fn load(folder: &Path, part: Part) -> anyhow::Result<Samples> {
    let images = find_images(folder, part)
        .ok_or_else(|| missing(folder, &format!("{}-images-idx3-ubyte", prefix(part))))?;
    let labels = find(folder, &format!("{}-labels", prefix(part)), &["idx1-ubyte"])
        .ok_or_else(|| missing(folder, &format!("{}-labels-idx1-ubyte", prefix(part))))?;
    read(Source { images, labels })
}

fn read(source: Source) -> anyhow::Result<Samples> {
    let (images, labels) =
        rayon::join(|| idx::read(&source.images, &[3, 4]), || idx::read(&source.labels, &[1]));
    let (images, labels) = (images?, labels?);
    let path = source.images.shown();
    ensure!(
        !images.bytes.is_empty(),
        "{path}: expected at least one image with at least one pixel, found sizes {:?}",
        images.axes
    );
    let (count, shape) = match *images.axes {
        [count, height, width] => (count, [1, height, width]),
        [count, channels, height, width] => (count, [channels, height, width]),
        _ => unreachable!("read with 3 or 4 axes"),
    };
    ensure!(
        matches!(shape[0], 1 | 3),
        "{path}: expected axes (N, C, H, W) with 1 or 3 channels C, grey or red, green and \
         blue, found sizes {:?}",
        images.axes
    );
    ensure!(
        labels.bytes.len() == count,
        "{}: expected {count} labels, as there are images in {path}, found {}",
        source.labels.shown(),
        labels.bytes.len()
    );
    let largest = labels.bytes.iter().copied().max().unwrap_or_default();
    let classes = Classes::Numbered(usize::from(largest) + 1);
    Ok(Samples { images: images.bytes, labels: labels.bytes, shape, classes, source })
}

fn prefix(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Test => "t10k",
    }
}

fn find_images(folder: &Path, part: Part) -> Option<PathBuf> {
    find(folder, &format!("{}-images", prefix(part)), &["idx3-ubyte", "idx4-ubyte"])
}

/// The file of this name, with `-` or `.` before `idx`, plain or gzipped.
fn find(folder: &Path, stem: &str, kinds: &[&str]) -> Option<PathBuf> {
    let names = kinds.iter().flat_map(|kind| {
        ["-", "."].into_iter().flat_map(move |separator| {
            ["", ".gz"].map(|suffix| folder.join(format!("{stem}{separator}{kind}{suffix}")))
        })
    });
    names.into_iter().find(|path| path.is_file())
}

fn missing(folder: &Path, name: &str) -> anyhow::Error {
    let place = folder.shown();
    if let Some(example) = png_folder::unsplit_class(folder) {
        return anyhow!(
            "{place}: expected the folders train and test, each with a folder of PNG images for \
             each class, found class folders such as {example:?} without them; move most of the \
             images of each to {} and the others to {}",
            folder.join("train").join(&example).shown(),
            folder.join("test").join(&example).shown()
        );
    }
    let found = match std::fs::read_dir(folder).map(Iterator::count) {
        Ok(0) => "an empty folder".into(),
        Ok(1) => "1 entry with another name".into(),
        Ok(count) => format!("{count} entries with other names"),
        Err(error) => error.to_string(),
    };
    anyhow!(
        "{place}: expected the file {name} or {name}.gz, or PNG images as train/CLASS/*.png and \
         test/CLASS/*.png, found {found}"
    )
}
