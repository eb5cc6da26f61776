//! Pictures in an archive of NumPy's arrays, `.npz`, with the names that Keras and `MedMNIST` give
//! them.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, anyhow, bail, ensure};
use zip::CompressionMethod;
use zip::read::ZipArchive;
use zip::result::ZipError;

use super::npy::Header;
use super::{Labelled, Pictures, check_size, separate_channels, some_of};
use crate::dataset::{Part, size_text};
use crate::escape::Escape;
use crate::input::{append, reserve};

/// The names of pictures and labels: of the parts in the order of [`Part::ALL`], then of pictures
/// that are not divided.
const NAMES: [&[[&str; 2]]; 4] = [
    &[["x_train", "y_train"], ["train_images", "train_labels"]],
    &[["x_val", "y_val"], ["x_valid", "y_valid"], ["val_images", "val_labels"]],
    &[["x_test", "y_test"], ["test_images", "test_labels"]],
    &[["x", "y"], ["images", "labels"]],
];

/// The place of a part in [`NAMES`]; none stands for pictures that are not divided.
fn place(part: Option<Part>) -> usize {
    let is_it = |other: &Part| Some(*other) == part;
    Part::ALL.iter().position(is_it).unwrap_or(Part::ALL.len())
}

/// An entry's place in the archive, and its name.
type Entry = (usize, String);

/// An archive whose directory has been read.
pub struct Archive<R> {
    zip: ZipArchive<R>,
    file_len: u64,
    /// The pictures and the labels of each part that there is.
    parts: [Option<(Entry, Option<Entry>)>; NAMES.len()],
    /// The other entries.
    others: Vec<Entry>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// If it is none, is damaged, or has two arrays for the same part.
    pub fn open(mut file: R) -> anyhow::Result<Self> {
        let mut first = Vec::new();
        append(&mut file, 6, &mut first)?;
        ensure!(!first.is_empty(), "expected an archive of arrays (.npz), found an empty file");
        ensure!(
            first != b"\x93NUMPY",
            "expected an archive of arrays (.npz), found a single array (.npy); save it by \
             numpy.savez_compressed with the name x, and its labels with the name y"
        );
        ensure!(
            first.starts_with(b"PK"),
            "expected an archive of arrays (.npz), found another kind of file"
        );
        let file_len = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let zip = ZipArchive::new(file).map_err(complaint)?;
        let mut others: Vec<Entry> = zip.file_names().map(str::to_owned).enumerate().collect();
        let mut parts: [Option<(Entry, Option<Entry>)>; NAMES.len()] = Default::default();
        for (part, names) in parts.iter_mut().zip(NAMES) {
            for [images, labels] in names {
                let Some(images) = taken(&mut others, images)? else { continue };
                let labels = taken(&mut others, labels)?;
                if let Some(((_, other), _)) = &*part {
                    return Err(both(other, &images.1));
                }
                *part = Some((images, labels));
            }
        }
        Ok(Self { zip, file_len, parts, others })
    }

    /// The parts whose pictures have labels; none if they are not divided.
    ///
    /// # Errors
    /// If there are pictures in parts and others that are not divided, or none with labels.
    pub fn given(&self) -> anyhow::Result<Vec<Part>> {
        let images = |part: Option<Part>| {
            self.parts[place(part)].as_ref().map(|((_, name), labels)| (name, labels.is_some()))
        };
        let given = Part::ALL.into_iter().filter_map(|part| Some((part, images(Some(part))?)));
        let given: Vec<_> = given.collect();
        let whole = images(None);
        match (&*given, whole) {
            ([(_, (part, _)), ..], Some((whole, _))) => Err(both(part, whole)),
            ([], None) => {
                let others = self.others.iter().map(|(_, name)| array_name(name).escaped());
                let found = if others.len() == 0 { "none".into() } else { some_of(others) };
                bail!(
                    "expected an array x_train, train_images, x or images, found {found}; save the \
                     arrays under such names, the labels as y_train, train_labels, y or labels"
                )
            }
            _ => {
                let with_labels = given.iter().filter(|(part, (_, has_labels))| {
                    // Those of pictures to learn from are asked for when they are read.
                    *has_labels || *part == Part::Train
                });
                Ok(with_labels.map(|(part, _)| *part).collect())
            }
        }
    }

    /// What is not used, a line each.
    pub fn left_out(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let unlabelled = [Part::Validation, Part::Test].map(|part| &self.parts[place(Some(part))]);
        for part in unlabelled {
            if let Some(((_, name), None)) = part {
                let name = array_name(name).escaped();
                notes.push(format!("{name} is not used: it has no labels beside it"));
            }
        }
        if !self.others.is_empty() {
            let others = self.others.iter().map(|(_, name)| array_name(name).escaped());
            notes.push(format!("not used: {}", some_of(others)));
        }
        notes
    }

    /// The shape of the pictures of a part, `(C, H, W)`, or of those that are not divided.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn shape(&mut self, part: Option<Part>) -> anyhow::Result<[usize; 3]> {
        let (images, _) = self.part(part)?;
        self.array(&images, &mut Vec::new(), |header, _, _| Ok(Layout::of(header)?.shape))
    }

    /// Reads a part, or pictures that are not divided.
    ///
    /// # Errors
    /// If there is none, it is encrypted or damaged, or one of its arrays is not one of pictures or
    /// of their labels; the message names the array.
    pub fn read(&mut self, part: Option<Part>) -> anyhow::Result<Labelled> {
        let (images, labels) = self.part(part)?;
        let mut notes = Vec::new();
        let pictures = self.array(&images, &mut notes, pictures_of)?;
        let labels = labels.map(|labels| {
            let count = pictures.len();
            self.array(&labels, &mut notes, |header, reader, notes| {
                header.labels(reader, count, notes)
            })
        });
        Ok(Labelled { labels: labels.transpose()?, pictures, notes })
    }

    fn part(&self, part: Option<Part>) -> anyhow::Result<(Entry, Option<Entry>)> {
        let place = place(part);
        self.parts[place].clone().with_context(|| {
            let names = NAMES[place].iter().map(|[images, _]| *images);
            format!("expected an array {}, found none", names.collect::<Vec<_>>().join(" or "))
        })
    }

    /// Reads pictures whatever they show: those for testing if there are some, else all arrays that
    /// may be pictures; each with its name.
    ///
    /// # Errors
    /// If no array may be pictures, or one of them cannot be read.
    pub(crate) fn pictures(
        &mut self,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Vec<(String, Pictures)>> {
        let mut entries: Vec<Entry> =
            self.zip.file_names().map(str::to_owned).enumerate().collect();
        let mut images = Vec::new();
        if let Some((test, _)) = self.parts[place(Some(Part::Test))].clone() {
            entries.retain(|entry| *entry != test);
            images.push(test);
        } else {
            for entry in std::mem::take(&mut entries) {
                let axes = self.array(&entry, notes, |header, _, _| Ok(header.shape.len()));
                let may_be_pictures = axes.is_ok_and(|axes| matches!(axes, 3 | 4));
                if may_be_pictures { &mut images } else { &mut entries }.push(entry);
            }
        }
        let others = entries.iter().map(|(_, name)| array_name(name).escaped());
        let others = if others.len() == 0 { "none".into() } else { some_of(others) };
        ensure!(
            !images.is_empty(),
            "expected an array of pictures, with axes (N, H, W), found {others}"
        );
        if !entries.is_empty() {
            notes.push(format!("not used: {others}"));
        }
        let read = images.iter().map(|entry| {
            let pictures = self.array(entry, notes, pictures_of)?;
            Ok((array_name(&entry.1).escaped(), pictures))
        });
        read.collect()
    }

    /// Reads an array whose size is plausible; it is named in errors and notes.
    fn array<V>(
        &mut self,
        (place, name): &Entry,
        notes: &mut Vec<String>,
        read: impl FnOnce(&Header, &mut dyn Read, &mut Vec<String>) -> anyhow::Result<V>,
    ) -> anyhow::Result<V> {
        let name = array_name(name).escaped();
        let mut told = Vec::new();
        let array = || {
            let len = self.checked_len(*place)?;
            let mut entry = self.zip.by_index(*place).map_err(complaint)?;
            let header = Header::read(&mut entry)?;
            ensure!(
                header.file_len == len,
                "expected an array of {} bytes, as its header says with sizes {:?}, found one of \
                 {len} bytes",
                header.file_len,
                header.shape
            );
            read(&header, &mut entry, &mut told)
        };
        let value = array().with_context(|| name.clone())?;
        notes.extend(told.into_iter().map(|note| format!("{name}: {note}")));
        Ok(value)
    }

    /// The length of an entry, if it can be read and its compressed bytes can tell of so much.
    fn checked_len(&mut self, place: usize) -> anyhow::Result<u64> {
        /// No compressed byte expands to more.
        const MOST_INFLATED: u64 = 1032;
        let entry = self.zip.by_index_raw(place).map_err(complaint)?;
        ensure!(
            !entry.encrypted(),
            "expected an archive without a password, found an encrypted one; unpack it first"
        );
        let most = match entry.compression() {
            CompressionMethod::Stored => entry.compressed_size(),
            CompressionMethod::Deflated => entry.compressed_size().saturating_mul(MOST_INFLATED),
            other => bail!(
                "expected an archive that is stored or deflated, found one by {}; save it by \
                 numpy.savez_compressed",
                method_name(other)
            ),
        };
        ensure!(
            entry.compressed_size() <= self.file_len && entry.size() <= most,
            "expected a size of which {} bytes in a file of {} can tell, found {}: the file is \
             damaged, or made to fill the memory",
            entry.compressed_size(),
            self.file_len,
            entry.size()
        );
        Ok(entry.size())
    }
}

fn pictures_of(
    header: &Header,
    reader: &mut dyn Read,
    notes: &mut Vec<String>,
) -> anyhow::Result<Pictures> {
    let layout = Layout::of(header)?;
    let bytes = header.bytes(reader, notes)?;
    Ok(Pictures { shape: layout.shape, planes: layout.planes(bytes)? })
}

/// The name of the array in an entry.
fn array_name(entry: &str) -> &str {
    entry.strip_suffix(".npy").unwrap_or(entry)
}

/// Takes the only entry of an array of this name.
fn taken(entries: &mut Vec<Entry>, name: &str) -> anyhow::Result<Option<Entry>> {
    let is_it = |entry: &Entry| array_name(&entry.1).eq_ignore_ascii_case(name);
    let Some(place) = entries.iter().position(is_it) else { return Ok(None) };
    let entry = entries.remove(place);
    match entries.iter().find(|entry| is_it(entry)) {
        Some(other) => Err(both(&entry.1, &other.1)),
        None => Ok(Some(entry)),
    }
}

fn both(one: &str, other: &str) -> anyhow::Error {
    let [one, other] = [one, other].map(|name| array_name(name).escaped());
    anyhow!("expected one of the arrays {one} and {other}, found both; remove one of them")
}

fn method_name(method: CompressionMethod) -> String {
    match method {
        CompressionMethod::DEFLATE64 => "Deflate64".into(),
        CompressionMethod::BZIP2 => "bzip2".into(),
        CompressionMethod::LZMA => "LZMA".into(),
        CompressionMethod::ZSTD => "Zstandard".into(),
        CompressionMethod::XZ => "XZ".into(),
        CompressionMethod::PPMD => "PPMd".into(),
        other => format!("another method, {other:?}"),
    }
}

/// The error in plain words.
fn complaint(error: ZipError) -> anyhow::Error {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error.into(),
        error => {
            let reason = error.to_string().escaped();
            anyhow!("expected an archive of arrays (.npz), found a damaged one ({reason})")
        }
    }
}

/// Where the pixels of pictures are among the elements of an array.
struct Layout {
    count: usize,
    /// `(C, H, W)`.
    shape: [usize; 3],
    order: Order,
}

/// The order of the elements.
enum Order {
    /// `(N, C, H, W)`.
    Planes,
    /// `(N, H, W, C)`.
    Interleaved,
    /// How far the next picture, channel, row and column are.
    Strides([usize; 4]),
}

impl Layout {
    fn of(header: &Header) -> anyhow::Result<Self> {
        let sizes = &header.shape;
        let is_channels = |size| matches!(size, 1 | 3);
        let expected =
            "expected pictures as axes (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W)";
        // The axes of pictures, channels, rows and columns.
        let axes = match **sizes {
            [_, _, _] => [Some(0), None, Some(1), Some(2)],
            [_, first, _, last] => match (is_channels(first), is_channels(last)) {
                (true, false) => [0, 1, 2, 3].map(Some),
                (false, true) => [0, 3, 1, 2].map(Some),
                (true, true) => bail!(
                    "{expected}, found sizes {sizes:?}, which may be either of the last two; save \
                     grey pictures as (N, H, W)"
                ),
                (false, false) if last == 4 || first == 4 => bail!(
                    "{expected}, found sizes {sizes:?}; leave transparency (the fourth channel) out"
                ),
                (false, false) => bail!("{expected}, found sizes {sizes:?}"),
            },
            _ => bail!("{expected}, found sizes {sizes:?}"),
        };
        ensure!(
            !sizes.contains(&0),
            "expected at least one picture with at least one pixel, found sizes {sizes:?}"
        );
        let [count, shape @ ..] = axes.map(|axis| axis.map_or(1, |axis| sizes[axis]));
        check_size(shape)?;
        let order = match axes[1] {
            _ if header.is_fortran => {
                let stride = |axis: usize| sizes[..axis].iter().product();
                Order::Strides(axes.map(|axis| axis.map_or(0, stride)))
            }
            Some(3) => Order::Interleaved,
            _ => Order::Planes,
        };
        Ok(Self { count, shape, order })
    }

    /// The elements as `(N, C, H, W)`.
    fn planes(&self, mut bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let Self { count, shape: [channels, height, width], .. } = *self;
        match self.order {
            Order::Planes => Ok(bytes),
            Order::Interleaved => {
                separate_channels(&mut bytes, self.shape);
                Ok(bytes)
            }
            Order::Strides([image, channel, row, column]) => {
                let mut planes = Vec::new();
                reserve(&mut planes, bytes.len()).with_context(|| {
                    format!("to bring pictures of {} into order", size_text(self.shape))
                })?;
                for place in (0..count).map(|at| at * image) {
                    for place in (0..channels).map(|at| place + at * channel) {
                        for place in (0..height).map(|at| place + at * row) {
                            planes.extend((0..width).map(|at| bytes[place + at * column]));
                        }
                    }
                }
                Ok(planes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::Archive;
    use crate::dataset::Part;

    /// An array with a header as NumPy writes it.
    fn npy(descr: &str, shape: &str, fortran: &str, data: &[u8]) -> Vec<u8> {
        let text =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let len = u16::try_from(text.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), data].concat()
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, array) in arrays {
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            zip.write_all(array).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn complaint(file: &[u8]) -> String {
        let read = || {
            let mut archive = Archive::open(Cursor::new(file))?;
            archive.given()?;
            archive.read(None)
        };
        format!("{:#}", read().unwrap_err())
    }

    #[test]
    fn orders_and_types_are_brought_to_planes_of_bytes() {
        let cases = [
            (npy("|u1", "(2, 1, 2)", "False", &[1, 2, 3, 4]), vec![1, 2, 3, 4]),
            (npy("|u1", "(2, 1, 2)", "True", &[1, 3, 2, 4]), vec![1, 2, 3, 4]),
            (npy(">i2", "(2, 1, 2)", "False", &[0, 1, 0, 2, 0, 3, 0, 4]), vec![1, 2, 3, 4]),
            (npy("|u1", "(1, 2, 1, 3)", "False", &[1, 2, 3, 4, 5, 6]), vec![1, 4, 2, 5, 3, 6]),
            (npy("|b1", "(2, 1, 2)", "False", &[0, 1, 1, 0]), vec![0, 255, 255, 0]),
            (
                npy("<f4", "(1, 1, 2)", "False", &[0.2_f32, 1.0].map(f32::to_le_bytes).concat()),
                vec![51, 255],
            ),
        ];
        for (array, planes) in cases {
            let mut archive = Archive::open(Cursor::new(npz(&[("x", array)]))).unwrap();
            assert_eq!(archive.read(None).unwrap().pictures.planes, planes);
        }
    }

    #[test]
    fn the_scale_of_numbers_is_told_where_it_is_not_plain() {
        let floats = |numbers: [f32; 2]| {
            npy("<f4", "(1, 1, 2)", "False", &numbers.map(f32::to_le_bytes).concat())
        };
        let dark =
            "x: all numbers are 0 or 1 of 255; if 1 is white, save them as float or times 255";
        for (array, expected) in [
            (npy("|u1", "(1, 1, 2)", "False", &[0, 2]), None),
            (npy("|u1", "(1, 1, 2)", "False", &[0, 1]), Some(dark)),
            (npy("<i2", "(1, 1, 2)", "False", &[0, 0, 1, 0]), Some(dark)),
            (
                floats([0.2, 1.0]),
                Some("x: floats from 0 to 1, all of them 255ths, are multiplied by 255"),
            ),
            (
                floats([0.0, 1.0]),
                Some(
                    "x: floats, all of them 0 or 1, are multiplied by 255; if 1 of 255 is meant, \
                     save them as bytes (uint8)",
                ),
            ),
            (
                floats([0.0, 2.0]),
                Some("x: floats, all of them whole numbers from 0 to 255, are read as bytes"),
            ),
        ] {
            let mut archive = Archive::open(Cursor::new(npz(&[("x", array)]))).unwrap();
            let notes = archive.read(None).unwrap().notes;
            assert_eq!(notes.last().map(String::as_str), expected);
        }
    }

    #[test]
    fn labels_are_the_first_column_or_that_of_the_only_one() {
        let pictures = npy("|u1", "(2, 1, 2)", "False", &[1, 2, 3, 4]);
        let floats = [7.0_f32, 9.0].map(f32::to_le_bytes).concat();
        let text = ["c", "ä"].map(|word| format!("{word}\0\0")).map(|word| {
            word.chars().take(2).flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>()
        });
        for (descr, shape, data, expected) in [
            ("|u1", "(2,)", vec![7, 9], ["7", "9"]),
            ("|u1", "(2, 1)", vec![7, 9], ["7", "9"]),
            ("|u1", "(2, 2)", vec![7, 1, 9, 1], ["7", "9"]),
            ("|u1", "(2, 2)", vec![0, 1, 1, 0], ["1", "0"]),
            (">i4", "(2,)", vec![0, 0, 0, 7, 0, 0, 0, 9], ["7", "9"]),
            ("<f4", "(2,)", floats, ["7", "9"]),
            (
                "|S3",
                "(2,)",
                b"cat\0\0\0".map(|b| if b == 0 { b'd' } else { b }).to_vec(),
                ["cat", "ddd"],
            ),
            ("<U2", "(2,)", text.concat(), ["c", "ä"]),
        ] {
            let labels = npy(descr, shape, "False", &data);
            let file = npz(&[("train_images", pictures.clone()), ("train_labels", labels)]);
            let mut archive = Archive::open(Cursor::new(file)).unwrap();
            let train = archive.read(Some(Part::Train)).unwrap();
            let labels = train.labels.unwrap();
            let words: Vec<_> =
                labels.places().iter().map(|&at| &labels.words()[usize::from(at)]).collect();
            assert_eq!(words, expected);
            assert_eq!(train.notes.is_empty(), shape != "(2, 2)");
        }
    }

    #[test]
    fn what_is_no_array_of_pictures_is_named() {
        let x = |descr, shape, data: &[u8]| npz(&[("x", npy(descr, shape, "False", data))]);
        let cases = [
            (Vec::new(), "empty file"),
            (b"\x93NUMPY\x01\x00".to_vec(), "single array"),
            (b"GIF89a".to_vec(), "another kind of file"),
            (b"PK\x03\x04".to_vec(), "damaged"),
            (npz(&[]), "found none"),
            (npz(&[("z", Vec::new())]), "found z"),
            (npz(&[("x", Vec::new())]), "x: expected an array of NumPy"),
            (x("|u1", "(1, 2)", &[1, 2]), "found sizes [1, 2]"),
            (x("|u1", "(1, 1, 1, 1)", &[1]), "either of the last two"),
            (x("|u1", "(1, 2, 2, 4)", &[0; 16]), "transparency"),
            (x("|u1", "(0, 2, 2)", &[]), "at least one picture"),
            (x("|u1", "(9, 9, 9)", &[1]), "as its header says"),
            (x("|u1", "(4294967296, 4294967296, 9)", &[1]), "product fits"),
            (x("|u1", "(-1, 2, 2)", &[1]), "character '-'"),
            (x("|u1", "((((((1,),),),),),)", &[1]), "nested"),
            (x("|O", "(1, 1, 1)", &[1]), "Python objects"),
            (x("<c8", "(1, 1, 1)", &[0; 8]), "type '<c8'"),
            (x("<U1", "(1, 1, 1)", &[0; 4]), "found texts"),
            (x("<i2", "(1, 1, 2)", &[1, 0, 0, 1]), "found 256 at [0, 0, 1]"),
            (x("|i1", "(1, 1, 1)", &[255]), "found -1"),
            (x("<f4", "(1, 1, 1)", &0.3_f32.to_le_bytes()), "found 0.3"),
            (x("<f4", "(1, 1, 1)", &f32::NAN.to_le_bytes()), "found NaN"),
        ];
        for (file, expected) in cases {
            let found = complaint(&file);
            assert!(found.contains(expected), "expected {expected:?} in {found:?}");
        }
    }
}
