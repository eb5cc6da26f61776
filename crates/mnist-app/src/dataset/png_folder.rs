//! A data set as PNG images, `train/CLASS/*.png` and `test/CLASS/*.png`.
//!
//! Classes are labelled in the order of their names: as numbers if all are numbers, else in that
//! of their bytes. Samples take turns: the first image of each class, then the second of each; so
//! the first samples of a set, where a limit keeps only them, are of all classes.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use png::{ColorType, Decoder, DecodingError, Reader, Transformations};
use rayon::prelude::*;

use super::classes::order;
use super::left_out::{Kind, LeftOut, ending, is_of_pictures};
use super::{Classes, Part, Samples, Source, size_text};
use crate::input::{Input, is_there, reserve};
use crate::printable::Shown;

/// Numbers in the largest image that is read.
const MOST_NUMBERS: usize = 1 << 26;

/// Whether there are folders for training or for testing.
pub(super) fn present(folder: &Path) -> bool {
    [Part::Train, Part::Test].into_iter().any(|part| folder.join(name(part)).is_dir())
}

/// A folder of PNG images right in `folder`, where none should be.
pub(super) fn unsplit_class(folder: &Path) -> Option<String> {
    let is_class = |(_, path): &(String, PathBuf)| {
        path.is_dir() && entries(path).is_ok_and(|files| files.iter().any(is_png))
    };
    entries(folder).ok()?.into_iter().find(is_class).map(|(name, _)| name)
}

/// Reads the images of one part, side by side on the threads of the current pool.
pub(super) fn load(folder: &Path, part: Part) -> anyhow::Result<Samples> {
    let folder = folder.join(name(part));
    let place = || folder.shown();
    ensure!(
        folder.is_dir(),
        "{}: expected a folder with a folder of PNG images for each class, found none",
        place()
    );
    let Listing { classes, files, notes } = Listing::of(&folder, part)?;
    ensure!(
        classes.len() <= Classes::MOST,
        "{}: expected at most {} class folders, found {}",
        place(),
        Classes::MOST,
        classes.len()
    );
    let (first, _) = files.first().with_context(|| {
        format!("{}: expected a folder of PNG images for each class, found none", place())
    })?;
    let shape = shape_of(first).with_context(|| first.shown())?;
    let images = decode_all(&files, shape)?;
    let labels = files.iter().map(|&(_, label)| u8::try_from(label));
    let labels = labels.collect::<Result<_, _>>()?;
    let source = Source { images: folder.clone(), labels: folder };
    let samples = Samples::new((images, labels), shape, Classes::Named(classes), source);
    Ok(Samples { notes, ..samples })
}

/// What else lies beside the folders for training and for testing and looks like data.
pub(super) fn left_out(folder: &Path) -> anyhow::Result<LeftOut> {
    let mut left_out = LeftOut::default();
    for (entry, path) in entries(folder)? {
        let is_part = [Part::Train, Part::Test].map(name).contains(&&*entry);
        if !is_part && (path.is_dir() || is_of_pictures(&ending(&entry))) {
            left_out.add(Kind::Beside, &path);
        }
    }
    Ok(left_out)
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Test => "test",
    }
}

/// The images of one part.
struct Listing {
    /// The names of the class folders.
    classes: Vec<String>,
    /// All images with their labels, in the order of the samples.
    files: Vec<(PathBuf, usize)>,
    /// What is not used.
    notes: Vec<String>,
}

impl Listing {
    fn of(folder: &Path, part: Part) -> anyhow::Result<Self> {
        let mut left_out = LeftOut::default();
        let (folders, others): (Vec<_>, Vec<_>) =
            entries(folder)?.into_iter().partition(|(_, path)| path.is_dir());
        let classes = sorted(folder, folders)?;
        let (mut turns, mut without_images) = (Vec::new(), Vec::new());
        for (label, (name, path)) in classes.iter().enumerate() {
            let mut own = LeftOut::default();
            let images = images_of(path, &mut own)?;
            let lost = own.line(path);
            // Without one the class could not be learned; a small test set may have none.
            ensure!(
                part == Part::Test || !images.is_empty(),
                "{}: expected at least one PNG image (*.png), found none; {}",
                path.shown(),
                lost.unwrap_or_else(|| "the folder is empty".into())
            );
            if images.is_empty() {
                without_images
                    .extend(lost.map(|lost| format!("class {name:?} has no test images: {lost}")));
            } else {
                left_out.extend(own);
            }
            turns.extend(images.into_iter().enumerate().map(|(turn, path)| (turn, label, path)));
        }
        for (_, path) in others {
            left_out.add(if is_dangling(&path) { Kind::Dangling } else { Kind::Loose }, &path);
        }
        turns.sort_by_key(|&(turn, label, _)| (turn, label));
        let files = turns.into_iter().map(|(_, label, path)| (path, label)).collect();
        let classes = classes.into_iter().map(|(name, _)| name).collect();
        let mut notes = without_images;
        notes.extend(left_out.line(folder));
        Ok(Self { classes, files, notes })
    }
}

/// The class folders in the order of their labels.
fn sorted(
    folder: &Path,
    mut folders: Vec<(String, PathBuf)>,
) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let names: Vec<_> = folders.iter().map(|(name, _)| name.clone()).collect();
    if let Some(name) = names.iter().find(|name| name.contains(char::is_control)) {
        let place = folder.shown();
        bail!("{place}: expected a name of a class without control characters, found {name:?}");
    }
    let order = order(&names);
    folders.sort_by(|(a, _), (b, _)| order(a, b));
    Ok(folders)
}

/// The images of a class; what else lies there is counted.
fn images_of(folder: &Path, left_out: &mut LeftOut) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for (name, path) in all_entries(folder)? {
        let ending = ending(&name);
        if name.starts_with('.') {
            if is_of_pictures(&ending) {
                left_out.add(Kind::Hidden, &path);
            }
        } else if path.is_dir() {
            left_out.add_below(&path);
        } else if is_dangling(&path) {
            left_out.add(Kind::Dangling, &path);
        } else if ending != "png" {
            left_out.add(Kind::Ending(ending), &path);
        } else if path.is_file() {
            images.push(path);
        } else {
            left_out.add(Kind::NoFile, &path);
        }
    }
    Ok(images)
}

/// Whether this is a link that leads nowhere.
fn is_dangling(path: &Path) -> bool {
    !path.exists() && is_there(path)
}

/// What is in a folder, but for hidden files, in the order of the names' bytes.
pub(super) fn entries(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut entries = all_entries(folder)?;
    entries.retain(|(name, _)| !name.starts_with('.'));
    Ok(entries)
}

fn all_entries(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let place = || folder.shown();
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let Ok(name) = entry.file_name().into_string() else {
            bail!("{}: expected a name in UTF-8, found another one", entry.path().shown());
        };
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn is_png((name, path): &(String, PathBuf)) -> bool {
    ending(name) == "png" && path.is_file()
}

fn shape_of(file: &Path) -> anyhow::Result<[usize; 3]> {
    let shape = Image::open(file)?.shape;
    let numbers = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    ensure!(
        numbers.is_some_and(|numbers| numbers <= MOST_NUMBERS),
        "expected an image of at most {MOST_NUMBERS} numbers, found one of {}",
        size_text(shape)
    );
    Ok(shape)
}

/// The pixels of all files, `(N, C, H, W)`; of several errors that of the first file.
fn decode_all(files: &[(PathBuf, usize)], shape: [usize; 3]) -> anyhow::Result<Vec<u8>> {
    let image_len: usize = shape.iter().product();
    let mut images = Vec::new();
    let len = files.len().saturating_mul(image_len);
    reserve(&mut images, len).with_context(|| {
        let (count, place) = (files.len(), files[0].0.shown());
        format!("{place} and the others, {count} such images of {}", size_text(shape))
    })?;
    images.resize(len, 0);
    let error = images
        .par_chunks_exact_mut(image_len)
        .zip(files)
        .map_init(Vec::new, |interleaved, (planes, (file, _))| {
            let decoded = decode(file, shape, &files[0].0, planes, interleaved);
            decoded.with_context(|| file.shown()).err()
        })
        .find_first(Option::is_some);
    error.flatten().map_or(Ok(images), Err)
}

/// Decodes an image that must have the shape of that in the file `first`.
fn decode(
    file: &Path,
    shape: [usize; 3],
    first: &Path,
    planes: &mut [u8],
    interleaved: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let mut image = Image::open(file)?;
    ensure!(
        image.shape == shape,
        "expected an image of {}, as {} is, found one of {}",
        size_text(shape),
        first.shown(),
        size_text(image.shape)
    );
    let pixel = shape[0] + usize::from(image.alpha);
    interleaved.clear();
    let len = shape[1] * shape[2] * pixel;
    interleaved.try_reserve(len).context("too little memory to decode it")?;
    interleaved.resize(len, 0);
    image.reader.next_frame(interleaved).map_err(complaint)?;
    // Also what follows the pixels: a file that is cut short is not used.
    image.reader.finish().map_err(complaint)?;
    let pixels = || interleaved.chunks_exact(pixel);
    ensure!(
        !image.alpha || pixels().all(|pixel| pixel[shape[0]] == u8::MAX),
        "expected an opaque image, found one with transparent pixels; put it on a background first"
    );
    for (channel, plane) in planes.chunks_exact_mut(shape[1] * shape[2]).enumerate() {
        plane.iter_mut().zip(pixels()).for_each(|(to, pixel)| *to = pixel[channel]);
    }
    Ok(())
}

/// A PNG image whose header has been read.
struct Image {
    reader: Reader<BufReader<File>>,
    /// `(C, H, W)`, alpha not counted.
    shape: [usize; 3],
    alpha: bool,
}

impl Image {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let mut decoder = Decoder::new(BufReader::new(Input::open(file)?.into_file()));
        // Palettes become colours, fewer bits 8, of 16 the upper 8.
        decoder.set_transformations(Transformations::normalize_to_color8());
        let reader = decoder.read_info().map_err(complaint)?;
        let info = reader.info();
        ensure!(!info.is_animated(), "expected a single image, found an animation");
        let (channels, alpha) = match reader.output_color_type().0 {
            ColorType::Grayscale => (1, false),
            ColorType::GrayscaleAlpha => (1, true),
            ColorType::Rgba => (3, true),
            ColorType::Rgb | ColorType::Indexed => (3, false),
        };
        let [height, width] = [info.height, info.width].map(|size| size as usize);
        Ok(Self { shape: [channels, height, width], alpha, reader })
    }
}

fn complaint(error: DecodingError) -> anyhow::Error {
    match error {
        DecodingError::LimitsExceeded => {
            anyhow!("expected a PNG image that takes at most 64 MiB beside its pixels, found more")
        }
        DecodingError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => error.into(),
        error => {
            anyhow!("expected a PNG image, found something else or a damaged one ({error})")
        }
    }
}
