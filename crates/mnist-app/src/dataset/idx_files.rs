//! A data set as four IDX files, named as MNIST's.

use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use super::class_folders;
use super::classes::Classes;
use super::left_out::{Kind, LeftOut, ending, is_of_pictures};
use super::samples::{Part, Place, Samples};
use crate::escape::Escape;
use crate::gzip::same_contents;
use crate::idx::Contents;
use crate::input::{Found, is_there};

/// The ends of names: the number of axes, and the type of the elements.
const IMAGES: [&str; 8] = [
    "idx3-ubyte",
    "idx4-ubyte",
    "idx3-byte",
    "idx4-byte",
    "idx3-short",
    "idx4-short",
    "idx3-int",
    "idx4-int",
];
const LABELS: [&str; 8] = [
    "idx1-ubyte",
    "idx2-ubyte",
    "idx1-byte",
    "idx2-byte",
    "idx1-short",
    "idx2-short",
    "idx1-int",
    "idx2-int",
];

/// The parts of which there is a file of images.
pub(super) fn given(folder: &Path) -> anyhow::Result<Vec<Part>> {
    let mut given = Vec::new();
    for part in Part::ALL {
        for file in spellings(folder, (part, "images"), &IMAGES) {
            // A path that cannot be examined may be one, so that is an error.
            for path in [&file.plain, &file.zipped] {
                if Found::at(path)? != Found::Nothing && !given.contains(&part) {
                    given.push(part);
                }
            }
        }
    }
    Ok(given)
}

/// Reads the images and labels of one part.
pub(super) fn load(folder: &Path, part: Part) -> anyhow::Result<Samples> {
    let images = find(folder, (part, "images"), &IMAGES)?;
    let labels = find(folder, (part, "labels"), &LABELS)?;
    let place = Place::Files { images: images.path(), labels: labels.path() };
    let open =
        |file: &Path, axes: &[usize]| Contents::open(file, axes).with_context(|| file.escaped());
    let opened = (open(&images.path(), &IMAGE_AXES)?, open(&labels.path(), &LABEL_AXES)?);
    let samples = samples(opened.0, opened.1, place)?;
    images.check_twin()?;
    labels.check_twin()?;
    Ok(samples)
}

/// The shapes of the images of all parts, each once, as the headers say.
pub(super) fn shapes(folder: &Path) -> anyhow::Result<Vec<[usize; 3]>> {
    let mut shapes = Vec::new();
    for part in given(folder)? {
        let file = find(folder, (part, "images"), &IMAGES)?.path();
        let contents = Contents::open(&file, &IMAGE_AXES).with_context(|| file.escaped())?;
        let (_, shape) = contents.pictures().with_context(|| file.escaped())?;
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    Ok(shapes)
}

pub(super) const IMAGE_AXES: [usize; 2] = [3, 4];
pub(super) const LABEL_AXES: [usize; 2] = [1, 2];

/// Reads the samples of an image file and a label file whose headers have been read, and checks
/// that they belong together.
pub(super) fn samples<R: BufRead + Send>(
    images: Contents<R>,
    labels: Contents<R>,
    place: Place,
) -> anyhow::Result<Samples> {
    let (count, shape) = images.pictures().with_context(|| place.images())?;
    ensure!(
        labels.axes[0] == count,
        "{}: expected {count} labels, as there are images in {}, found {}",
        place.labels(),
        place.images(),
        labels.axes[0]
    );
    let columns = labels.axes.get(1).copied().unwrap_or(1);
    let (images, labels) = rayon::join(|| images.read(), || labels.first_column());
    let images = images.with_context(|| place.images())?;
    let labels = labels.with_context(|| place.labels())?;
    let largest = labels.bytes.iter().copied().max().unwrap_or_default();
    let classes = Classes::Numbered(usize::from(largest) + 1);
    let note = (columns > 1).then(|| {
        let labels = place.labels();
        format!("{labels}: the labels have {columns} columns, of which the first is taken")
    });
    let samples = Samples::new((images.bytes, labels.bytes), shape, classes, place);
    Ok(Samples { notes: note.into_iter().collect(), ..samples })
}

/// The beginnings of names.
fn prefixes(part: Part) -> &'static [&'static str] {
    match part {
        Part::Train => &["train"],
        Part::Validation => &["validation"],
        Part::Test => &["t10k", "test"],
    }
}

/// The paths of a file that may be plain, gzipped, or both.
struct Spelling {
    plain: PathBuf,
    zipped: PathBuf,
}

impl Spelling {
    /// Whether anything has one of the two names.
    fn is_there(&self) -> bool {
        is_there(&self.plain) || is_there(&self.zipped)
    }

    /// The one that is read.
    fn path(&self) -> PathBuf {
        if is_there(&self.plain) { &self.plain } else { &self.zipped }.clone()
    }

    /// Checks that the plain and the gzipped file, if both are there, have the same contents: one
    /// may be older.
    fn check_twin(&self) -> anyhow::Result<()> {
        if !is_there(&self.plain) || !is_there(&self.zipped) {
            return Ok(());
        }
        ensure!(
            same_contents(&self.plain, &self.zipped)?,
            "{}: expected the contents of {} beside it, found others; remove one of them",
            self.zipped.escaped(),
            self.plain.escaped()
        );
        Ok(())
    }
}

/// The files of images or of labels of a part, with `-` or `.` before `idx`, plain or gzipped.
fn spellings(
    folder: &Path,
    (part, what): (Part, &str),
    kinds: &[&str],
) -> impl Iterator<Item = Spelling> {
    let mut files = Vec::new();
    for (prefix, kind) in
        prefixes(part).iter().flat_map(|prefix| kinds.iter().map(move |kind| (prefix, kind)))
    {
        for separator in ["-", "."] {
            let name = format!("{prefix}-{what}{separator}{kind}");
            let zipped = folder.join(format!("{name}.gz"));
            files.push(Spelling { zipped, plain: folder.join(name) });
        }
    }
    files.into_iter()
}

/// The only file of images or of labels of a part.
fn find(folder: &Path, (part, what): (Part, &str), kinds: &[&str]) -> anyhow::Result<Spelling> {
    let mut found = spellings(folder, (part, what), kinds).filter(Spelling::is_there);
    let name = || format!("{}-{what}-{}", prefixes(part)[0], kinds[0]);
    let file = found.next().ok_or_else(|| missing(folder, &name()))?;
    if let Some(other) = found.next() {
        return Err(anyhow!(
            "{}: expected one file of this part, found {} beside it; remove one of them",
            file.path().escaped(),
            other.path().escaped()
        ));
    }
    Ok(file)
}

/// What else in the folder looks like data.
pub(super) fn left_out(folder: &Path) -> anyhow::Result<LeftOut> {
    let mut used = Vec::new();
    for part in Part::ALL {
        used.extend(spellings(folder, (part, "images"), &IMAGES));
        used.extend(spellings(folder, (part, "labels"), &LABELS));
    }
    let is_used =
        |path: &PathBuf| used.iter().any(|file| [&file.plain, &file.zipped].contains(&path));
    let mut left_out = LeftOut::default();
    for (name, path) in class_folders::entries(folder)? {
        let is_data =
            ["ubyte", "idx1", "idx2", "idx3", "idx4"].iter().any(|end| name.contains(end))
                || is_of_pictures(&ending(&name))
                || Found::at(&path)? == Found::Folder;
        if is_data && !is_used(&path) {
            left_out.add(Kind::Beside, &path);
        }
    }
    Ok(left_out)
}

/// That there are neither IDX files nor pictures.
pub(super) fn missing(folder: &Path, name: &str) -> anyhow::Error {
    let found = match fs::read_dir(folder).map(Iterator::count) {
        Ok(0) => "an empty folder".into(),
        Ok(1) => "1 entry with another name".into(),
        Ok(count) => format!("{count} entries with other names"),
        Err(error) => error.to_string(),
    };
    anyhow!(
        "{}: expected the file {name} or {name}.gz, or pictures as CLASS/*, or as train/CLASS/* and \
         test/CLASS/*, found {found}",
        folder.escaped()
    )
}
