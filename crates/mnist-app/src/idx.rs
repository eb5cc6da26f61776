//! IDX files, the format of MNIST, plain or gzipped.
//!
//! A header of big-endian 32-bit numbers, namely a magic number `0x0000TTNN` for `NN` axes of
//! elements of type `TT` and the size of each axis; then the elements, last axis fastest. `TT` is
//! 8 for unsigned bytes; other whole numbers are read too, if all of them are from 0 to 255.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use byteorder::{BigEndian, ByteOrder};

use crate::gzip::MaybeGzip;
use crate::input::{Input, append, reserve};

/// The contents of an IDX file, as unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each axis.
    pub axes: Vec<usize>,
    /// As many bytes as the axes' product.
    pub bytes: Vec<u8>,
}

/// Reads the bytes of an IDX file whose number of axes is one of `ranks`, gzipped or not.
///
/// # Errors
/// If they are not an IDX file with one of these numbers of axes, are fewer or more than its header
/// says, or are a damaged gzip stream.
pub fn decode(file: &[u8], ranks: &[usize]) -> anyhow::Result<Idx> {
    Contents::of_bytes(file, ranks)?.read()
}

/// An IDX file whose header has been read.
pub(crate) struct Contents<R> {
    /// The size of each axis.
    pub(crate) axes: Vec<usize>,
    element: Element,
    /// Bytes of all elements.
    len: usize,
    /// Whether the file is known to be large enough for that.
    plausible: bool,
    stream: MaybeGzip<R>,
}

/// The type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    U8,
    I8,
    I16,
    I32,
}

impl Element {
    /// The type of this code in the magic number.
    fn of(code: u8) -> Option<Self> {
        match code {
            0x08 => Some(Self::U8),
            0x09 => Some(Self::I8),
            0x0b => Some(Self::I16),
            0x0c => Some(Self::I32),
            _ => None,
        }
    }

    /// Its bytes.
    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
        }
    }

    fn value(self, bytes: &[u8]) -> i32 {
        match self {
            Self::U8 => bytes[0].into(),
            Self::I8 => bytes[0].cast_signed().into(),
            Self::I16 => BigEndian::read_i16(bytes).into(),
            Self::I32 => BigEndian::read_i32(bytes),
        }
    }
}

impl Contents<BufReader<Input>> {
    pub(crate) fn open(path: &Path, ranks: &[usize]) -> anyhow::Result<Self> {
        Self::of(Input::open(path)?, ranks)
    }

    pub(crate) fn of(input: Input, ranks: &[usize]) -> anyhow::Result<Self> {
        let len = input.len();
        Self::new(BufReader::with_capacity(1 << 16, input), len, ranks)
    }
}

impl<'a> Contents<&'a [u8]> {
    pub(crate) fn of_bytes(file: &'a [u8], ranks: &[usize]) -> anyhow::Result<Self> {
        Self::new(file, Some(file.len() as u64), ranks)
    }
}

impl<R: BufRead> Contents<R> {
    fn new(reader: R, file_len: Option<u64>, ranks: &[usize]) -> anyhow::Result<Self> {
        let mut stream = MaybeGzip::new(reader)?;
        let magic = at_most(&mut stream, 4)?;
        let (rank, element) = match *magic {
            [0, 0, code @ (0x0d | 0x0e), rank] if ranks.contains(&rank.into()) => bail!(
                "expected whole numbers, found floats of {} bits; save them as unsigned bytes \
                 (type 0x08), as they were before they were normalized",
                if code == 0x0d { 32 } else { 64 }
            ),
            [0, 0, code, rank] if ranks.contains(&rank.into()) => {
                (Some(usize::from(rank)), Element::of(code))
            }
            _ => (None, None),
        };
        let header_len = 4 + 4 * rank.or(ranks.first().copied()).unwrap_or_default();
        let found = <[u8; 4]>::try_from(&*magic);
        let element = match (element, found) {
            (None, Ok(magic)) => bail!(
                "expected the magic number {} ({} axes of bytes, or of other whole numbers), found \
                 {:#010x}; is it an IDX file, and under the right name?",
                listed(ranks, |rank| format!("{:#010x}", magic_of(rank))),
                listed(ranks, |rank| rank.to_string()),
                u32::from_be_bytes(magic)
            ),
            (element, _) => element.unwrap_or(Element::U8),
        };
        let sizes = at_most(&mut stream, header_len - 4)?;
        let found = magic.len() + sizes.len();
        ensure!(
            found == header_len,
            "expected an IDX header of {header_len} bytes, found {found} bytes"
        );
        let axes: Vec<usize> = sizes.chunks(4).map(|b| BigEndian::read_u32(b) as usize).collect();
        let product = axes.iter().try_fold(1, |product: usize, &size| product.checked_mul(size));
        let len = product.and_then(|product| product.checked_mul(element.size()));
        let len = len.filter(|&len| len < isize::MAX as usize).with_context(|| {
            format!("expected sizes whose product fits into a file, found {axes:?} in the header")
        })?;
        let contents = Self { axes, element, len, plausible: file_len.is_some(), stream };
        if let Some(file_len) = file_len {
            contents.check_file(file_len, header_len)?;
        }
        Ok(contents)
    }

    /// Checks that a file of `file_len` bytes can hold what its header says.
    fn check_file(&self, file_len: u64, header_len: usize) -> anyhow::Result<()> {
        /// No compressed byte expands to more.
        const MOST_INFLATED: u64 = 1032;
        let Self { axes, len, .. } = self;
        match &self.stream {
            MaybeGzip::Plain(_) => self.check_count(file_len.saturating_sub(header_len as u64)),
            MaybeGzip::Zipped(_) => {
                ensure!(
                    *len as u64 <= file_len.saturating_mul(MOST_INFLATED),
                    "expected sizes of which a gzip stream of {file_len} bytes can tell, found \
                     {axes:?} in the header: the file is cut short, or its header wrong"
                );
                Ok(())
            }
        }
    }

    /// Checks that `found` is the number of bytes that the header says; of more than that, one is
    /// enough to know.
    fn check_count(&self, found: u64) -> anyhow::Result<()> {
        let Self { axes, len, .. } = self;
        let found = match found {
            found if found == *len as u64 => return Ok(()),
            found if found < *len as u64 => {
                format!("{found}: the file is cut short, or its header wrong")
            }
            _ => "more: something else follows, or the header is wrong".into(),
        };
        bail!("expected {len} bytes after the header, as its sizes {axes:?} say, found {found}")
    }

    /// How many pictures there are, and their shape, `(C, H, W)`; of an array with 3 or 4 axes.
    pub(crate) fn pictures(&self) -> anyhow::Result<(usize, [usize; 3])> {
        let (count, shape) = match *self.axes {
            [count, height, width] => (count, [1, height, width]),
            [count, channels, height, width] => (count, [channels, height, width]),
            _ => bail!("expected pictures, with 3 or 4 axes, found sizes {:?}", self.axes),
        };
        ensure!(
            !self.axes.contains(&0),
            "expected at least one image with at least one pixel, found sizes {:?}",
            self.axes
        );
        ensure!(
            matches!(shape[0], 1 | 3),
            "expected axes (N, C, H, W) with 1 or 3 channels C, grey or red, green and blue, found \
             sizes {:?}",
            self.axes
        );
        Ok((count, shape))
    }

    /// Reads what follows the header.
    pub(crate) fn read(self) -> anyhow::Result<Idx> {
        self.read_every(1)
    }

    /// Reads the first of the columns, of which there may be one.
    pub(crate) fn first_column(self) -> anyhow::Result<Idx> {
        let (rows, columns) = (self.axes[0], self.axes.get(1).copied().unwrap_or(1));
        ensure!(columns > 0, "expected at least one column, found sizes {:?}", self.axes);
        Ok(Idx { axes: vec![rows], ..self.read_every(columns)? })
    }

    /// Reads the first of each `step` elements.
    fn read_every(mut self, step: usize) -> anyhow::Result<Idx> {
        let (size, mut bytes) = (self.element.size(), Vec::new());
        // The size in a pipe's header is not allocated ahead of the data.
        if self.plausible {
            reserve(&mut bytes, self.len / size / step)?;
        }
        let mut found = 0;
        if self.element == Element::U8 && step == 1 {
            let read = append(&mut self.stream, self.len, &mut bytes);
            found = read.map_err(|error| self.stream.complaint(error))?;
        } else {
            let mut index = 0;
            while found < self.len {
                let buffer = at_most(&mut self.stream, (self.len - found).min(1 << 16))?;
                if buffer.is_empty() {
                    break;
                }
                for element in buffer.chunks_exact(size) {
                    if index % step == 0 {
                        bytes.push(self.byte(element, index)?);
                    }
                    index += 1;
                }
                found += buffer.len();
            }
        }
        if found == self.len {
            // One byte more shows whether there are more, and lets gzip compare its checksum.
            found += at_most(&mut self.stream, 1)?.len();
        }
        self.check_count(found as u64)?;
        Ok(Idx { axes: self.axes, bytes })
    }

    /// An element as a byte.
    fn byte(&self, element: &[u8], mut index: usize) -> anyhow::Result<u8> {
        let value = self.element.value(element);
        u8::try_from(value).map_err(|_| {
            let mut place = self.axes.clone();
            for size in place.iter_mut().rev() {
                (index, *size) = (index / *size, index % *size);
            }
            anyhow!("expected numbers from 0 to 255, found {value} at {place:?}")
        })
    }
}

fn at_most<R: BufRead>(stream: &mut MaybeGzip<R>, len: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    append(stream, len, &mut bytes).map_err(|error| stream.complaint(error))?;
    Ok(bytes)
}

/// The magic number of unsigned bytes with `rank` axes.
fn magic_of(rank: usize) -> u32 {
    0x0800 + u32::try_from(rank).expect("an array has few axes")
}

fn listed(ranks: &[usize], text: impl Fn(usize) -> String) -> String {
    ranks.iter().map(|&rank| text(rank)).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Contents, decode};

    fn idx(magic: u32, sizes: &[u32], contents: &[u8]) -> Vec<u8> {
        let words = std::iter::once(&magic).chain(sizes);
        let mut file: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
        file.extend(contents);
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn complaint(file: &[u8], rank: usize) -> String {
        format!("{:#}", decode(file, &[rank]).unwrap_err())
    }

    #[test]
    fn plain_and_gzipped_files_are_told_apart_by_content() {
        let file = idx(0x803, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let plain = decode(&file, &[3]).unwrap();
        assert_eq!((&*plain.axes, &*plain.bytes), (&[2, 1, 3][..], &[1, 2, 3, 4, 5, 6][..]));
        assert_eq!(decode(&gzip(&file), &[4, 3]).unwrap(), plain);
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let file = idx(0x801, &[5], b"abcde");
        let zipped = gzip(&file);
        (0..file.len()).for_each(|end| assert!(decode(&file[..end], &[1]).is_err(), "{end}"));
        (0..zipped.len()).for_each(|end| assert!(decode(&zipped[..end], &[1]).is_err(), "{end}"));
    }

    #[test]
    fn a_changed_byte_of_a_gzip_stream_is_noticed() {
        let mut zipped = gzip(&idx(0x801, &[5], b"abcde"));
        let checksum = zipped.len() - 8;
        zipped[checksum] ^= 1;
        assert!(complaint(&zipped, 1).contains("damaged"));
    }

    #[test]
    fn whole_numbers_of_every_type_become_bytes() {
        for (code, contents) in
            [(9, &[7, 127][..]), (0xb, &[0, 7, 0, 127]), (0xc, &[0, 0, 0, 7, 0, 0, 0, 127])]
        {
            let file = idx(code << 8 | 1, &[2], contents);
            assert_eq!(decode(&file, &[1]).unwrap().bytes, [7, 127]);
            assert_eq!(decode(&gzip(&file), &[1]).unwrap().bytes, [7, 127]);
        }
        let columns = [0, 0, 0, 7, 0, 9, 9, 9, 0, 0, 0, 8, 0xff, 0, 0, 0];
        let file = idx(0xc02, &[2, 2], &columns);
        let labels = Contents::of_bytes(&file, &[1, 2]).unwrap().first_column().unwrap();
        assert_eq!((&*labels.axes, &*labels.bytes), (&[2][..], &[7, 8][..]));
        let none = idx(0xc02, &[2, 0], &[]);
        assert!(Contents::of_bytes(&none, &[2]).unwrap().first_column().is_err());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let cases = [
            (idx(0x803, &[1], b"a"), "expected the magic number 0x00000801"),
            (idx(0xd01, &[1], b"abcd"), "found floats of 32 bits; save them as unsigned bytes"),
            (idx(0xe01, &[1], b"abcdefgh"), "found floats of 64 bits"),
            (idx(0xa01, &[1], b"a"), "found 0x00000a01"),
            (idx(0x901, &[2], b"\x01\xff"), "found -1 at [1]"),
            (idx(0xb01, &[2], b"\x00\xff\x01\x00"), "found 256 at [1]"),
            (idx(0xc01, &[1], b"\x00\x00\x01\x00\x00"), "found more"),
            (idx(0xc01, &[2], b"\x00\x00\x00\x07\x00"), "expected 8 bytes"),
            (gzip(&idx(0xc01, &[2], b"\x00\x00\x00\x07\x00")), "expected 8 bytes"),
            (
                idx(0x801, &[9], b"abc"),
                "expected 9 bytes after the header, as its sizes [9] say, found 3",
            ),
            (idx(0x801, &[2], b"abc"), "found more"),
            (gzip(&idx(0x801, &[2], b"abc")), "found more"),
            (idx(0x801, &[u32::MAX], b"abc"), "found 3"),
        ];
        for (file, expected) in cases {
            let found = complaint(&file, 1);
            assert!(found.contains(expected), "expected {expected:?} in {found:?}");
        }
        let either = format!("{:#}", decode(&idx(0x801, &[1], b"a"), &[3, 4]).unwrap_err());
        assert!(
            either.contains(
                "0x00000803 or 0x00000804 (3 or 4 axes of bytes, or of other whole numbers)"
            ),
            "{either}"
        );
        let overflow = idx(0x803, &[u32::MAX; 3], b"abc");
        assert!(complaint(&overflow, 3).contains("product fits"));
        let whole = gzip(&idx(0x801, &[1], b"a"));
        for trailing in [&b"short"[..], b"longer than the header of a gzip stream"] {
            let found = complaint(&[&whole, trailing].concat(), 1);
            assert!(found.contains("nothing behind it"), "{found}");
        }
    }
}
