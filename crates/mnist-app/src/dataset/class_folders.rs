//! A data set as pictures in a folder for each class: `train/CLASS/…`, `validation/CLASS/…` and
//! `test/CLASS/…`, or all of them as `CLASS/…`.
//!
//! Classes are labelled in the order of their names: numeric if all are numbers, else by their
//! bytes. Samples take turns: the first image of each class, then the second of each; so a limit on
//! the number of samples still keeps all classes.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;

use super::classes::{Classes, order};
use super::left_out::{Kind, LeftOut, ending, is_clutter, is_of_pictures, is_read};
use super::loading_bar::loading_bar;
use super::parts::fingerprint;
use super::samples::{MOST_TOLD, Part, Place, Samples, size_text};
use super::source::Wanted;
use crate::escape::Escape;
use crate::input::{Found, reserve};
use crate::preprocessing::{Broken, Form, Preprocessing, Raster, Resizer};

/// The parts that have a folder. One with pictures but no folder in it, beside other folders of
/// pictures, is a class that is called so.
pub(super) fn given(folder: &Path) -> anyhow::Result<Vec<Part>> {
    let mut given = Vec::new();
    for part in Part::ALL {
        if let Some(path) = place(folder, part)?
            && !(is_class(&path) && has_classes(folder)?)
        {
            given.push(part);
        }
    }
    Ok(given)
}

/// Whether there are folders of parts or of classes.
pub(super) fn present(folder: &Path) -> anyhow::Result<bool> {
    Ok(!given(folder)?.is_empty() || has_classes(folder)?)
}

/// Whether there is a class folder directly in `folder` that has another name than the parts.
fn has_classes(folder: &Path) -> anyhow::Result<bool> {
    Ok(entries(folder)?.iter().any(|(entry, path)| part_of(entry).is_none() && is_class(path)))
}

/// Whether pictures but no folders are in a folder.
fn is_class(folder: &Path) -> bool {
    let Ok(entries) = entries(folder) else { return false };
    folder.is_dir()
        && entries.iter().any(is_picture)
        && !entries.iter().any(|(_, path)| path.is_dir())
}

/// Reads the images of one part, or all of data without parts, in parallel on the current thread
/// pool.
pub(super) fn load(folder: &Path, wanted: &Wanted<'_>) -> anyhow::Result<Samples> {
    let Wanted { part, form, fingerprints } = *wanted;
    let folder = match part {
        None => folder.to_owned(),
        // Where there is none, its name is said.
        Some(part) => place(folder, part)?.unwrap_or_else(|| folder.join(part.names()[0])),
    };
    let place = || folder.escaped();
    match Found::at(&folder)? {
        Found::Folder => {}
        found => bail!(
            "{}: expected a folder with a folder of pictures for each class, found {found}",
            place()
        ),
    }
    let Listing { classes, mut files, without_images, mut notes } = Listing::of(&folder, part)?;
    ensure!(
        classes.len() <= Classes::MOST,
        "{}: expected at most {} class folders, found {}",
        place(),
        Classes::MOST,
        classes.len()
    );
    if files.is_empty() {
        let found = if classes.is_empty() { "none" } else { "no picture in any of them" };
        let reasons = without_images.iter().map(|(_, reason)| reason).chain(&notes);
        let reasons: String = reasons.take(MOST_TOLD).map(|reason| format!("; {reason}")).collect();
        bail!("{}: expected a folder of pictures for each class, found {found}{reasons}", place());
    }
    let skips = form.broken.unwrap_or_default() == Broken::Skip;
    let first = first_shape(&files, skips)?;
    let preprocessing = form.preprocessing(first.shape);
    let Decoded { mut images, mut prints, broken } =
        decode_all(&files, (&first, form), &preprocessing, fingerprints)?;
    let shape = preprocessing.shape();
    if let Some((_, error)) = broken.first() {
        ensure!(skips, "{error:#}; {SKIP}");
        notes.extend(skipped(&folder, &broken));
        let mut lost = vec![false; files.len()];
        broken.iter().for_each(|&(index, _)| lost[index] = true);
        keep(&mut images, shape.iter().product(), &lost);
        keep(&mut prints, 1, &lost);
        keep(&mut files, 1, &lost);
    }
    let labels = files.iter().map(|&(_, label)| u8::try_from(label));
    let labels = labels.collect::<Result<_, _>>()?;
    let classes = Classes::Named(classes);
    let samples = Samples::new((images, labels), shape, classes, Place::Folder(folder));
    let files = files.into_iter().map(|(file, _)| file).collect();
    Ok(Samples { without_images, notes, files, fingerprints: prints, ..samples })
}

/// The shapes of the pictures of all parts, `(C, H, W)`, each once; transparency is not counted.
pub(super) fn shapes(folder: &Path, form: &Form) -> anyhow::Result<Vec<[usize; 3]>> {
    let given = given(folder)?;
    let skips = form.broken.unwrap_or_default() == Broken::Skip;
    let folders = match given.is_empty() {
        true => vec![(None, folder.to_owned())],
        false => {
            let found = given.iter().map(|&part| Ok((Some(part), place(folder, part)?)));
            let found = found.collect::<anyhow::Result<Vec<_>>>()?.into_iter();
            found.filter_map(|(part, place)| Some((part, place?))).collect()
        }
    };
    let mut shapes = HashSet::new();
    for (part, folder) in folders {
        let files = Listing::of(&folder, part)?.files;
        let found: Vec<_> = files.par_iter().map(|(file, _)| shape_of(file)).collect();
        for shape in found {
            match shape {
                Ok(shape) => shapes.extend([shape]),
                Err(_) if skips => {}
                Err(error) => bail!("{error:#}; {SKIP}"),
            }
        }
    }
    ensure!(!shapes.is_empty(), "{}: expected pictures, found none", folder.escaped());
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_unstable();
    Ok(shapes)
}

/// The shape of the picture in a file.
fn shape_of(file: &Path) -> anyhow::Result<[usize; 3]> {
    let shape = Raster::bytes(file).and_then(|bytes| Raster::shape_of(&bytes));
    shape.with_context(|| file.escaped())
}

/// Which files were left out as they cannot be read, and why.
fn skipped(folder: &Path, broken: &[(usize, anyhow::Error)]) -> Vec<String> {
    let count = broken.len();
    let s = if count == 1 { "" } else { "s" };
    let head = format!("{}: left out {count} file{s} that cannot be read", folder.escaped());
    let each = broken.iter().take(MOST_TOLD).map(|(_, error)| format!("left out {error:#}"));
    [head].into_iter().chain(each).collect()
}

/// Keeps the items, chunks of so many, that are not lost.
fn keep<T>(items: &mut Vec<T>, chunk: usize, lost: &[bool]) {
    let mut at = 0..;
    items.retain(|_| at.next().is_none_or(|at: usize| !lost[at / chunk]));
}

/// What beside the folders of the parts looks like data.
pub(super) fn left_out(folder: &Path) -> anyhow::Result<LeftOut> {
    let mut left_out = LeftOut::default();
    let given = given(folder)?;
    if given.is_empty() {
        return Ok(left_out);
    }
    for (entry, path) in entries(folder)? {
        let is_part = part_of(&entry).is_some_and(|part| given.contains(&part));
        let looks_so = Found::at(&path)? == Found::Folder || is_of_pictures(&ending(&entry));
        if !is_part && looks_so {
            left_out.add(Kind::Beside, &path);
        }
    }
    Ok(left_out)
}

/// The part whose folder may be called so, in capitals or not.
fn part_of(entry: &str) -> Option<Part> {
    let entry = entry.to_lowercase();
    Part::ALL.into_iter().find(|&part| part.names().contains(&&*entry))
}

/// The folder of a part.
///
/// # Errors
/// If there are two, or what bears the name cannot be examined.
fn place(folder: &Path, part: Part) -> anyhow::Result<Option<PathBuf>> {
    let mut found = None;
    for (entry, path) in entries(folder)? {
        if part_of(&entry) != Some(part) || Found::at(&path)? != Found::Folder {
            continue;
        }
        if let Some(other) = found.replace(path.clone()) {
            bail!(
                "{}: expected one folder of {} images, found {} beside it; rename one of them",
                path.escaped(),
                part.words(),
                other.escaped()
            );
        }
    }
    Ok(found)
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
    fn of(folder: &Path, part: Option<Part>) -> anyhow::Result<Self> {
        let is_learned = part.is_none_or(|part| part == Part::Train);
        let (mut left_out, mut without_images) = (LeftOut::default(), Vec::new());
        let mut folders = Vec::new();
        for (name, path) in all_entries(folder)? {
            match Found::at(&path)? {
                found if is_clutter(&name) => left_out.add_clutter(&path, found)?,
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
                !is_learned || !images.is_empty(),
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
            found if is_clutter(&name) => left_out.add_clutter(&path, found)?,
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
    entries.retain(|(name, _)| !name.starts_with('.') && !is_clutter(name));
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

/// What to do about files that cannot be read.
const SKIP: &str =
    "to leave out what cannot be read, say broken = \"skip\" in [data], or --skip-broken";

/// The shape of a picture, `(C, H, W)`, and its file.
struct First<'a> {
    shape: [usize; 3],
    file: &'a Path,
}

/// The shape of the first picture; `skips` says whether those that cannot be read do not count.
fn first_shape(files: &[(PathBuf, usize)], skips: bool) -> anyhow::Result<First<'_>> {
    let mut first = None;
    for (file, _) in files {
        match shape_of(file) {
            Ok(shape) => return Ok(First { shape, file }),
            Err(error) if skips => first = first.or(Some(error)),
            Err(error) => bail!("{error:#}; {SKIP}"),
        }
    }
    Err(first.context("no file")?.context("none of the files can be read"))
}

/// The images of one part as they are decoded.
struct Decoded {
    /// `(N, C, H, W)`.
    images: Vec<u8>,
    /// Empty if they were not asked for.
    prints: Vec<u64>,
    /// The indices of those that cannot be read, and why.
    broken: Vec<(usize, anyhow::Error)>,
}

/// Decodes all files.
fn decode_all(
    files: &[(PathBuf, usize)],
    first: (&First<'_>, &Form),
    preprocessing: &Preprocessing,
    fingerprints: bool,
) -> anyhow::Result<Decoded> {
    let shape = preprocessing.shape();
    let image_len: usize = shape.iter().product();
    let mut images = Vec::new();
    let len = files.len().saturating_mul(image_len);
    reserve(&mut images, len).with_context(|| {
        let (count, place) = (files.len(), files[0].0.escaped());
        format!("{place} and the others, {count} such images of {}", size_text(shape))
    })?;
    images.resize(len, 0);
    let bar = loading_bar(files.len());
    let results: Vec<_> = images
        .par_chunks_exact_mut(image_len)
        .zip(files)
        .map_init(Resizer::default, |resizer, (planes, (file, _))| {
            let decoded = Raster::bytes(file).and_then(|bytes| Raster::decode(&bytes));
            let result = decoded.map(|picture| {
                require_shape(&picture, first)?;
                let print = fingerprints.then(|| fingerprint(&picture));
                preprocessing.apply(picture, planes, resizer).map(|_| print)
            });
            bar.inc(1);
            let place = || file.escaped();
            result.map(|used| used.with_context(place)).with_context(place)
        })
        .collect();
    bar.finish_and_clear();
    let mut decoded = Decoded { images, prints: Vec::new(), broken: Vec::new() };
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(print) => decoded.prints.extend(print?),
            Err(error) => {
                decoded.broken.push((index, error));
                decoded.prints.extend(fingerprints.then_some(0));
            }
        }
    }
    Ok(decoded)
}

/// Checks that a picture has the size and the colours of the first, as far as the form leaves them
/// open.
fn require_shape(picture: &Raster, (first, form): (&First<'_>, &Form)) -> anyhow::Result<()> {
    let [channels, height, width] = picture.shape();
    let shape = first.shape;
    let found = [if channels <= 2 { 1 } else { 3 }, height, width];
    let [fixes_size, fixes_colour] = form.fixes();
    let same_size = found[1..] == shape[1..] || fixes_size;
    let same_colour = found[0] == shape[0] || fixes_colour;
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
        first.file.escaped(),
        size_text(found)
    )
}
