//! Where images are from: MNIST, which is compiled in, a folder, or a file.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};

use super::parts::{Parts, is_share};
use super::samples::{Part, Samples, size_text};
use super::tables::Tables;
use super::{archive, class_folders, idx_files, mnist};
use crate::arrays::Kind;
use crate::escape::Escape;
use crate::input::Found;
use crate::preprocessing::Form;

/// Where images are from. Prints as its name in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// The digits of MNIST, which are compiled into the program.
    Mnist,
    /// A folder of IDX files, of pictures in folders of their classes, of tables, or of an archive;
    /// or a table or an archive itself.
    At(PathBuf),
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnist => f.write_str(mnist::NAME),
            Self::At(path) => f.write_str(&path.escaped()),
        }
    }
}

/// How images are stored.
enum Store<'a> {
    Mnist,
    Idx(&'a Path),
    ClassFolders(&'a Path),
    Archive(PathBuf),
    Tables(Tables),
}

/// What images are asked for.
pub(super) struct Wanted<'a> {
    /// One of the parts that there are, or all images of data without parts.
    pub(super) part: Option<Part>,
    /// The form that they are brought to.
    pub(super) form: &'a Form,
    /// Whether the part that each falls into must be known.
    pub(super) fingerprints: bool,
}

impl Store<'_> {
    /// The parts that there are; none if the images are not divided.
    fn given(&self, form: &Form) -> anyhow::Result<Vec<Part>> {
        match self {
            Self::Mnist => Ok(vec![Part::Train, Part::Test]),
            Self::Idx(folder) => idx_files::given(folder),
            Self::ClassFolders(folder) => class_folders::given(folder),
            Self::Archive(file) => archive::given(file),
            Self::Tables(tables) => tables.given(form),
        }
    }

    fn read(&self, wanted: &Wanted<'_>) -> anyhow::Result<Samples> {
        let part = wanted.part;
        let mut samples = match self {
            Self::Mnist => mnist::load(part.unwrap_or(Part::Train))?.in_form(wanted),
            Self::Idx(folder) => {
                idx_files::load(folder, part.unwrap_or(Part::Train))?.in_form(wanted)
            }
            Self::ClassFolders(folder) => class_folders::load(folder, wanted),
            Self::Archive(file) => archive::load(file, wanted),
            Self::Tables(tables) => tables.load(wanted),
        }?;
        // Of samples that will be divided, each share has a digest of its own.
        if !wanted.fingerprints {
            samples.set_digest();
        }
        Ok(samples)
    }

    /// The shapes of all images, `(C, H, W)`, each once.
    fn shapes(&self, form: &Form) -> anyhow::Result<Vec<[usize; 3]>> {
        match self {
            Self::Mnist => Ok(vec![mnist::SHAPE]),
            Self::Idx(folder) => idx_files::shapes(folder),
            Self::ClassFolders(folder) => class_folders::shapes(folder, form),
            Self::Archive(file) => archive::shapes(file),
            Self::Tables(tables) => tables.shapes(form),
        }
    }

    /// That there is a part for testing, of whatever kind.
    fn require_test_part(&self) -> anyhow::Result<()> {
        let (place, part) = match self {
            Self::Mnist => return Ok(()),
            Self::Idx(folder) => {
                (*folder, "the file t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz")
            }
            Self::ClassFolders(folder) => match Found::at(&folder.join("test"))? {
                // As a folder it is a class that is called so.
                Found::Nothing | Found::Folder => (*folder, "a folder test beside train"),
                _ => return Ok(()),
            },
            Self::Archive(file) => (&**file, "the arrays x_test and y_test"),
            Self::Tables(tables) => {
                (tables.place(), "a table test.csv with labels beside train.csv")
            }
        };
        bail!(
            "{}: expected images to test on, {part}, or a share of all images, found neither; say test \
             = 0.2 in [data] of the experiment, or take --preset pictures",
            place.escaped()
        );
    }

    /// What belongs to no part, a line each.
    fn left_out(&self, form: &Form) -> anyhow::Result<Vec<String>> {
        let line = match self {
            Self::Mnist => None,
            Self::Idx(folder) => idx_files::left_out(folder)?.line(folder),
            Self::ClassFolders(folder) => class_folders::left_out(folder)?.line(folder),
            Self::Archive(file) => return archive::left_out(file),
            Self::Tables(tables) => return tables.left_out(form),
        };
        Ok(line.into_iter().collect())
    }
}

impl DataSource {
    /// What the flag `--data` names, or an experiment's key `data`; MNIST if neither does.
    ///
    /// # Errors
    /// If there is neither a folder nor a file of images.
    pub fn of(flag: Option<&Path>, key: Option<&Path>) -> anyhow::Result<Self> {
        let asked = flag.map(|path| ("--data", path)).or(key.map(|path| ("data =", path)));
        let Some((name, path)) = asked else { return Ok(Self::Mnist) };
        let found = match Found::at(path).with_context(|| name.to_owned())? {
            Found::Folder => return Ok(Self::At(path.to_owned())),
            Found::File => match Kind::of_file(path).with_context(|| name.to_owned())? {
                Some(Kind::Npz | Kind::Csv) => return Ok(Self::At(path.to_owned())),
                Some(Kind::Idx) => "a single IDX file; name the folder of all four".to_owned(),
                None => "a file of another kind".to_owned(),
            },
            Found::Nothing => "no such folder or file".to_owned(),
            found => found.to_string(),
        };
        bail!(
            "{name} {}: expected a folder of images, an archive of arrays (.npz) or a table (CSV), \
             found {found}{}",
            path.escaped(),
            if flag.is_none() { "; name them with --data DIR" } else { "" }
        );
    }

    /// Whether a file is one of images with their classes.
    ///
    /// # Errors
    /// If it cannot be read; the message names it.
    pub(crate) fn is_file(file: &Path) -> anyhow::Result<bool> {
        Ok(matches!(Kind::of_file(file)?, Some(Kind::Npz | Kind::Csv)))
    }

    fn store(&self) -> anyhow::Result<Store<'_>> {
        let Self::At(path) = self else { return Ok(Store::Mnist) };
        if Found::at(path)? == Found::File {
            return Ok(match Kind::of_file(path)? {
                Some(Kind::Csv) => Store::Tables(Tables::of_file(path)),
                _ => Store::Archive(path.clone()),
            });
        }
        if !idx_files::given(path)?.is_empty() {
            return Ok(Store::Idx(path));
        }
        if class_folders::present(path)? {
            return Ok(Store::ClassFolders(path));
        }
        match (archive::in_folder(path)?, Tables::of_folder(path)?) {
            (Some(archive), Some(_)) => bail!(
                "{}: expected an archive of arrays or tables (CSV), found both; name one file",
                archive.escaped()
            ),
            (Some(archive), None) => Ok(Store::Archive(archive)),
            (None, Some(tables)) => Ok(Store::Tables(tables)),
            (None, None) => Err(idx_files::missing(path, "train-images-idx3-ubyte")),
        }
    }

    /// Reads the images and labels of one part: that which the data have, or its share of them. Of
    /// data without parts all are for testing, unless the form says of what share they are.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub fn load(&self, part: Part, form: &Form) -> anyhow::Result<Samples> {
        let store = self.store()?;
        let given = store.given(form)?;
        let is_divided = |part| is_share(part, form, &given);
        let from = if given.is_empty() { None } else { Some(Part::Train) };
        let read = |part, fingerprints| store.read(&Wanted { part, form, fingerprints });
        let mut samples = match part {
            // What is left beside the shares.
            Part::Train if Part::ALL.into_iter().any(is_divided) => {
                let [train, _, _] = read(from, true)?.divided(form, &given)?;
                train
            }
            _ if given.contains(&part) => read(Some(part), false)?,
            _ if is_divided(part) => {
                let [mut train, validation, test] = read(from, true)?.divided(form, &given)?;
                let mut own = if part == Part::Test { test } else { validation };
                own.notes.append(&mut train.notes);
                own
            }
            Part::Validation => {
                return Err(self.without(part));
            }
            Part::Test if !given.is_empty() => read(Some(part), false)?,
            Part::Train | Part::Test => {
                let mut all = read(None, false)?;
                let kind = part.words();
                all.notes.push(format!(
                    "{self}: expected parts such as train and test, found none; all {} images are \
                     taken for {kind} images",
                    all.len()
                ));
                all
            }
        };
        if part == Part::Train {
            samples.notes.extend(store.left_out(form)?);
        }
        Ok(samples)
    }

    fn without(&self, part: Part) -> anyhow::Error {
        let kind = part.words();
        anyhow!(
            "{self}: expected a folder {kind}, or {kind} = 0.1 in [data] of the experiment, a share \
             of its images, found neither"
        )
    }

    /// The form with a size and colours that suit all images, where it leaves them open, and what is
    /// to be told of it.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub(crate) fn chosen_form(&self, form: &Form) -> anyhow::Result<(Form, Option<String>)> {
        if form.fixes() == [true; 2] {
            return Ok((*form, None));
        }
        let shapes = self.store()?.shapes(form)?;
        let chosen = form.chosen(&shapes);
        let first = shapes.first().context("no shapes")?;
        let is_kept =
            shapes.len() == 1 && chosen.preprocessing(*first) == form.preprocessing(*first);
        let told = || {
            let sizes = || shapes.iter().map(|[_, height, width]| [*height, *width]);
            let by_area = |[height, width]: &[usize; 2]| height * width;
            let smallest = sizes().min_by_key(by_area).unwrap_or_default();
            let largest = sizes().max_by_key(by_area).unwrap_or_default();
            let found = match smallest == largest {
                true if chosen.size == form.preprocessing(*first).size.into() => {
                    format!("{}×{}, some grey and some in colour,", smallest[0], smallest[1])
                }
                true => format!("{}×{}", smallest[0], smallest[1]),
                false => format!(
                    "different sizes from {}×{} to {}×{}",
                    smallest[0], smallest[1], largest[0], largest[1]
                ),
            };
            let shape = chosen.preprocessing(*first).shape();
            format!(
                "{self}: images of {found} pixels are brought to {}; for another form, say size = \
                 [HEIGHT, WIDTH] and colour in [data]",
                size_text(shape)
            )
        };
        Ok((chosen, (!is_kept).then(told)))
    }

    /// Reads all parts, side by side on the threads of the current pool. Their classes are the same:
    /// those of `names`, if there are some; else of numbers as many as the largest label says, of
    /// folders those for training.
    ///
    /// # Errors
    /// If a file is missing or not what it should be, the parts differ in shape, there is a class
    /// that is not for training, or a sample is of no class in `names`.
    pub fn load_parts(&self, names: Option<&[String]>, form: &Form) -> anyhow::Result<Parts> {
        let store = self.store()?;
        let given = store.given(form)?;
        if !given.contains(&Part::Test) && !is_share(Part::Test, form, &given) {
            store.require_test_part()?;
        }
        let is_divided = Part::ALL.into_iter().any(|part| is_share(part, form, &given));
        let read = |part, fingerprints| store.read(&Wanted { part, form, fingerprints });
        let given_part = |part| {
            let is_read =
                given.contains(&part) || part == Part::Test && !is_share(part, form, &given);
            is_read.then(|| read(Some(part), false)).transpose()
        };
        let from = if given.is_empty() { None } else { Some(Part::Train) };
        let (train, (validation, test)) = rayon::join(
            || read(from, is_divided),
            || rayon::join(|| given_part(Part::Validation), || given_part(Part::Test)),
        );
        let (mut train, mut validation, mut test) = (train?, validation?, test?);
        if is_divided {
            let [of_train, of_validation, of_test] = train.divided(form, &given)?;
            train = of_train;
            validation = validation.or((!of_validation.is_empty()).then_some(of_validation));
            test = test.or(Some(of_test));
        }
        let test = test.context("no test images")?;
        train.notes.extend(store.left_out(form)?);
        for part in [Some(&test), validation.as_ref()].into_iter().flatten() {
            let (expected, found) = (train.shape, part.shape);
            ensure!(
                expected == found,
                "{}: expected images of {}, as those for training are in {}, found {}; to bring all \
                 to one form, say size = [HEIGHT, WIDTH] and colour = \"grey\" or \"rgb\" in [data] \
                 of the experiment",
                part.place.images(),
                size_text(expected),
                train.place.images(),
                size_text(found)
            );
        }
        let mut parts = Parts { train, validation, test }.of_classes(names)?;
        if !matches!(store, Store::Mnist) {
            parts.note_duplicates(&given);
        }
        Ok(parts)
    }

    /// Reads all parts that the data have, without shares; data without parts as one for training.
    ///
    /// # Errors
    /// As [`load_parts`](Self::load_parts).
    pub fn load_given(&self, form: &Form) -> anyhow::Result<Vec<(Part, Samples)>> {
        let form = Form { test: None, validation: None, ..*form };
        if self.store()?.given(&form)?.is_empty() {
            return Ok(vec![(Part::Train, self.load(Part::Train, &form)?)]);
        }
        let Parts { train, validation, test, .. } = self.load_parts(None, &form)?;
        let validation = validation.map(|samples| (Part::Validation, samples));
        let parts = [(Part::Train, train)].into_iter().chain(validation);
        Ok(parts.chain([(Part::Test, test)]).collect())
    }

    /// The parts for training and for testing of all that [`load_parts`](Self::load_parts) reads.
    ///
    /// # Errors
    /// As there.
    pub fn load_both(
        &self,
        names: Option<&[String]>,
        form: &Form,
    ) -> anyhow::Result<(Samples, Samples)> {
        let Parts { train, test, .. } = self.load_parts(names, form)?;
        Ok((train, test))
    }
}

impl Samples {
    /// Reads the images and labels of one part of the data in a folder, in this form.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub fn load(folder: &Path, part: Part, form: &Form) -> anyhow::Result<Self> {
        DataSource::At(folder.to_owned()).load(part, form)
    }
}

/// Reads the images and labels for training and those for testing, the files side by
/// side on the threads of the current pool. The classes of both are the same: of IDX
/// files as many as the largest label says, of folders those for training.
///
/// # Errors
/// If a file is missing or not what it should be, training and test images differ in
/// shape, or there is a class for testing alone.
pub fn load(folder: &Path) -> anyhow::Result<(Samples, Samples)> {
    DataSource::At(folder.to_owned()).load_both(None, &Form::default())
}
