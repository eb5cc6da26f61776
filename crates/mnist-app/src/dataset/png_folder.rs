//! A data set as PNG images, `train/CLASS/*.png` and `test/CLASS/*.png`.
//!
//! Classes are labelled in the order of their names' bytes. Samples take turns: the first
//! image of each class, then the second of each; so the first samples of a set, where a
//! limit keeps only them, are of all classes.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use png::{ColorType, Decoder, Reader, Transformations};
use rayon::prelude::*;

use super::{Classes, Part, Samples, Source, size_text};

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
    let place = || folder.shown().to_string();
    ensure!(
        folder.is_dir(),
        "{}: expected a folder with a folder of PNG images for each class, found none",
        place()
    );
    let Listing { classes, files } = Listing::of(&folder, part)?;
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
    let shape = shape_of(first).with_context(|| first.shown().to_string())?;
    let images = decode_all(&files, shape)?;
    let labels = files.iter().map(|&(_, label)| label as u8).collect();
    let source = Source { images: folder.clone(), labels: folder };
    Ok(Samples { images, labels, shape, classes: Classes::Named(classes), source })
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
}

impl Listing {
    fn of(folder: &Path, part: Part) -> anyhow::Result<Self> {
        let (mut classes, mut turns) = (Vec::new(), Vec::new());
        for (name, path) in entries(folder)?.into_iter().filter(|(_, path)| path.is_dir()) {
            ensure!(
                !name.contains(char::is_control),
                "{}: expected a name of a class without control characters, found {name:?}",
                folder.shown()
            );
            let images: Vec<_> = entries(&path)?.into_iter().filter(is_png).collect();
            // Without one the class could not be learned; a small test set may have none.
            ensure!(
                part == Part::Test || !images.is_empty(),
                "{}: expected at least one PNG image (*.png), found none",
                path.shown()
            );
            let images = images.into_iter().enumerate();
            turns.extend(images.map(|(turn, (_, path))| (turn, classes.len(), path)));
            classes.push(name);
        }
        turns.sort_by_key(|&(turn, label, _)| (turn, label));
        let files = turns.into_iter().map(|(_, label, path)| (path, label)).collect();
        Ok(Self { classes, files })
    }
}

/// What is in a folder, but for hidden files, in the order of the names' bytes.
fn entries(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let place = || folder.shown().to_string();
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let Ok(name) = entry.file_name().into_string() else {
            bail!("{}: expected a name in UTF-8, found another one", entry.path().shown());
        };
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn is_png((name, path): &(String, PathBuf)) -> bool {
    Path::new(name).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("png"))
        && path.is_file()
}

fn shape_of(file: &Path) -> anyhow::Result<[usize; 3]> {
    let bytes = fs::read(file)?;
    let shape = Image::open(&bytes)?.shape;
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
    let reserved = files.len().checked_mul(image_len).filter(|&len| {
        let room = images.try_reserve_exact(len).is_ok();
        room.then(|| images.resize(len, 0)).is_some()
    });
    ensure!(
        reserved.is_some(),
        "{}: expected images that fit into memory, found {} such of {}",
        files[0].0.shown(),
        files.len(),
        size_text(shape)
    );
    let error = images
        .par_chunks_exact_mut(image_len)
        .zip(files)
        .map_init(Vec::new, |interleaved, (planes, (file, _))| {
            let decoded = fs::read(file)
                .map_err(Into::into)
                .and_then(|bytes| decode(&bytes, shape, &files[0].0, planes, interleaved));
            decoded.with_context(|| file.shown().to_string()).err()
        })
        .find_first(Option::is_some);
    error.flatten().map_or(Ok(images), Err)
}

/// Decodes an image that must have the shape of that in the file `first`.
fn decode(
    bytes: &[u8],
    shape: [usize; 3],
    first: &Path,
    planes: &mut [u8],
    interleaved: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let mut image = Image::open(bytes)?;
    ensure!(
        image.shape == shape,
        "expected an image of {}, as {} is, found one of {}",
        size_text(shape),
        first.shown(),
        size_text(image.shape)
    );
    let pixel = shape[0] + usize::from(image.alpha);
    interleaved.resize(shape[1] * shape[2] * pixel, 0);
    image.reader.next_frame(interleaved).map_err(damaged)?;
    // Also what follows the pixels: a file that is cut short is not used.
    image.reader.finish().map_err(damaged)?;
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
struct Image<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    /// `(C, H, W)`, alpha not counted.
    shape: [usize; 3],
    alpha: bool,
}

impl<'a> Image<'a> {
    fn open(bytes: &'a [u8]) -> anyhow::Result<Self> {
        let mut decoder = Decoder::new(Cursor::new(bytes));
        // Palettes become colours, fewer bits 8, of 16 the upper 8.
        decoder.set_transformations(Transformations::normalize_to_color8());
        let reader = decoder.read_info().map_err(damaged)?;
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

fn damaged(error: png::DecodingError) -> anyhow::Error {
    anyhow!("expected a PNG image, found something else or a damaged one ({error})")
}
