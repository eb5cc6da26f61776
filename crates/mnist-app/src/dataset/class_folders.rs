//! A data set as pictures in a folder for each class, `train/CLASS/…` and `test/CLASS/…`.
//!
//! Classes are labelled in the order of their names: numeric if all are numbers, else by their
//! bytes. Samples take turns: the first image of each class, then the second of each; so a limit on
//! the number of samples still keeps all classes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;

use super::classes::{Classes, order};
use super::left_out::{Kind, LeftOut, ending, is_of_pictures, is_read};
use super::samples::{MOST_TOLD, Part, Place, Samples, size_text};
use crate::escape::Escape;
use crate::input::{Found, reserve};
use crate::preprocessing::{Form, Preprocessing, Raster, Resizer};

/// Whether there are folders for training or for testing.
pub(super) fn present(folder: &Path) -> anyhow::Result<bool> {
    let [train, test] = [Part::Train, Part::Test].map(|part| Found::at(&folder.join(name(part))));
    Ok(train? == Found::Folder || test? == Found::Folder)
}

/// A class folder directly in `folder`, where only `train` and `test` should be.
pub(super) fn unsplit_class(folder: &Path) -> Option<String> {
    let is_class = |(_, path): &(String, PathBuf)| {
        path.is_dir() && entries(path).is_ok_and(|files| files.iter().any(is_picture))
    };
    entries(folder).ok()?.into_iter().find(is_class).map(|(name, _)| name)
}

/// Reads the images of one part, in parallel on the current thread pool.
pub(super) fn load(folder: &Path, part: Part, form: &Form) -> anyhow::Result<Samples> {
    let folder = folder.join(name(part));
    let place = || folder.escaped();
    match Found::at(&folder)? {
        Found::Folder => {}
        found => bail!(
            "{}: expected a folder with a folder of pictures for each class, found {found}",
            place()
        ),
    }
    let Listing { classes, files, without_images, notes } = Listing::of(&folder, part)?;
    ensure!(
        classes.len() <= Classes::MOST,
        "{}: expected at most {} class folders, found {}",
        place(),
        Classes::MOST,
        classes.len()
    );
    let Some((first, _)) = files.first() else {
        let found = if classes.is_empty() { "none" } else { "no picture in any of them" };
        let reasons = without_images.iter().map(|(_, reason)| reason).chain(&notes);
        let reasons: String = reasons.take(MOST_TOLD).map(|reason| format!("; {reason}")).collect();
        bail!("{}: expected a folder of pictures for each class, found {found}{reasons}", place());
    };
    let shape = Raster::shape_of(&Raster::bytes(first)?).with_context(|| first.escaped())?;
    let preprocessing = form.preprocessing(shape);
    let images = decode_all(&files, (shape, form), &preprocessing)?;
    let shape = preprocessing.shape();
    let labels = files.iter().map(|&(_, label)| u8::try_from(label));
    let labels = labels.collect::<Result<_, _>>()?;
    let classes = Classes::Named(classes);
    let samples = Samples::new((images, labels), shape, classes, Place::Folder(folder));
    Ok(Samples { without_images, notes, ..samples })
}

/// What beside the folders `train` and `test` looks like data.
pub(super) fn left_out(folder: &Path) -> anyhow::Result<LeftOut> {
    let mut left_out = LeftOut::default();
    for (entry, path) in entries(folder)? {
        let is_part = [Part::Train, Part::Test].map(name).contains(&&*entry);
        let looks_so = Found::at(&path)? == Found::Folder || is_of_pictures(&ending(&entry));
        if !is_part && looks_so {
            left_out.add(Kind::Beside, &path);
        }
    }
    Ok(left_out)
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

/// The images of one part.
struct Listing {
    /// The names of the class folders.
    classes: Vec<String>,
    /// All images with their labels, in the order of the samples.
    files: Vec<(PathBuf, usize)>,
    /// The names that could be classes but have no images, with the reasons.
    without_images: Vec<(String, String)>,
    /// What is not used.
    notes: Vec<String>,
}

impl Listing {
    fn of(folder: &Path, part: Part) -> anyhow::Result<Self> {
        let (mut left_out, mut without_images) = (LeftOut::default(), Vec::new());
        let mut folders = Vec::new();
        for (name, path) in all_entries(folder)? {
            match Found::at(&path)? {
                found if name.starts_with('.') => left_out.add_hidden(&path, found)?,
                Found::Folder => folders.push((name, path)),
                found => {
                    let is_dangling = found == Found::Dangling;
                    left_out.add(if is_dangling { Kind::Dangling } else { Kind::Loose }, &path);
                    without_images.push((name, format!("{}: {found}", path.escaped())));
                }
            }
        }
        let classes = sorted(folder, folders)?;
        let mut turns = Vec::new();
        for (label, (name, path)) in classes.iter().enumerate() {
            let mut own = LeftOut::default();
            let images = images_of(path, &mut own)?;
            let lost = own.line(path);
            // A class without training images cannot be learned; a small test set may lack one.
            ensure!(
                part == Part::Test || !images.is_empty(),
                "{}: expected at least one picture, found none; {}",
                path.escaped(),
                lost.unwrap_or_else(|| "the folder is empty".into())
            );
            if images.is_empty() {
                let reason = lost.unwrap_or_else(|| format!("{}: an empty folder", path.escaped()));
                without_images.push((name.clone(), reason));
            } else {
                left_out.extend(own);
            }
            turns.extend(images.into_iter().enumerate().map(|(turn, path)| (turn, label, path)));
        }
        turns.sort_by_key(|&(turn, label, _)| (turn, label));
        let files = turns.into_iter().map(|(_, label, path)| (path, label)).collect();
        let classes = classes.into_iter().map(|(name, _)| name).collect();
        let notes = left_out.line(folder).into_iter().collect();
        Ok(Self { classes, files, without_images, notes })
    }
}

/// The class folders in the order of their labels.
fn sorted(
    folder: &Path,
    mut folders: Vec<(String, PathBuf)>,
) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let names: Vec<_> = folders.iter().map(|(name, _)| name.clone()).collect();
    if let Some(name) = names.iter().find(|name| name.contains(char::is_control)) {
        let place = folder.escaped();
        bail!("{place}: expected a name of a class without control characters, found {name:?}");
    }
    let order = order(&names);
    folders.sort_by(|(a, _), (b, _)| order(a, b));
    Ok(folders)
}

/// The images of a class; other files are counted.
fn images_of(folder: &Path, left_out: &mut LeftOut) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for (name, path) in all_entries(folder)? {
        let ending = ending(&name);
        match Found::at(&path)? {
            found if name.starts_with('.') => left_out.add_hidden(&path, found)?,
            Found::Folder => left_out.add_below(&path, &Kind::Deeper)?,
            Found::Dangling => left_out.add(Kind::Dangling, &path),
            _ if !is_read(&ending) => left_out.add(Kind::Ending(ending), &path),
            Found::File => images.push(path),
            _ => left_out.add(Kind::NoFile, &path),
        }
    }
    Ok(images)
}

/// The entries of a folder that are not hidden, in the order of their names' bytes.
pub(super) fn entries(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut entries = all_entries(folder)?;
    entries.retain(|(name, _)| !name.starts_with('.'));
    Ok(entries)
}

fn all_entries(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let place = || folder.escaped();
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let Ok(name) = entry.file_name().into_string() else {
            bail!("{}: expected a name in UTF-8, found another one", entry.path().escaped());
        };
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn is_picture((name, path): &(String, PathBuf)) -> bool {
    is_read(&ending(name)) && path.is_file()
}

/// The pixels of all files, `(N, C, H, W)`; of several errors, the one of the first file. The first
/// has this shape.
fn decode_all(
    files: &[(PathBuf, usize)],
    first: ([usize; 3], &Form),
    preprocessing: &Preprocessing,
) -> anyhow::Result<Vec<u8>> {
    let shape = preprocessing.shape();
    let image_len: usize = shape.iter().product();
    let mut images = Vec::new();
    let len = files.len().saturating_mul(image_len);
    reserve(&mut images, len).with_context(|| {
        let (count, place) = (files.len(), files[0].0.escaped());
        format!("{place} and the others, {count} such images of {}", size_text(shape))
    })?;
    images.resize(len, 0);
    let error = images
        .par_chunks_exact_mut(image_len)
        .zip(files)
        .map_init(Resizer::default, |resizer, (planes, (file, _))| {
            let mut read = || {
                let picture = Raster::decode(&Raster::bytes(file)?)?;
                require_shape(&picture, first, &files[0].0)?;
                preprocessing.apply(picture, planes, resizer)
            };
            read().with_context(|| file.escaped()).err()
        })
        .find_first(Option::is_some);
    error.flatten().map_or(Ok(images), Err)
}

/// Checks that a picture has the size and the colours of that in the file `first`, as far as the
/// form leaves them open.
fn require_shape(
    picture: &Raster,
    (shape, form): ([usize; 3], &Form),
    first: &Path,
) -> anyhow::Result<()> {
    let [channels, height, width] = picture.shape();
    let found = [if channels <= 2 { 1 } else { 3 }, height, width];
    let same_size = found[1..] == shape[1..] || form.size.is_some();
    let same_colour = found[0] == shape[0] || form.colour.is_some();
    let remedy = match (same_size, same_colour) {
        (true, true) => return Ok(()),
        (false, true) => "size = [HEIGHT, WIDTH]",
        (true, false) => "colour = \"grey\" or \"rgb\"",
        (false, false) => "size = [HEIGHT, WIDTH] and colour = \"grey\" or \"rgb\"",
    };
    bail!(
        "expected an image of {}, as {} is, found one of {}; to bring all to one form, say {remedy} \
         in [data] of the experiment",
        size_text(shape),
        first.escaped(),
        size_text(found)
    )
}
