//! IDX files, the format of MNIST, plain or gzipped.
//!
//! A header of big-endian 32-bit numbers, namely a magic number `0x000008NN` for `NN`
//! axes of unsigned bytes and the size of each axis; then the bytes, last axis fastest.

use std::io::{BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use byteorder::{BigEndian, ByteOrder};

use crate::escape::Escape;
use crate::gzip::Gzip;
use crate::input::{Input, append, reserve};

/// The contents of an IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each axis.
    pub axes: Vec<usize>,
    /// As many bytes as the axes' product.
    pub bytes: Vec<u8>,
}

/// Reads an IDX file whose number of axes is one of `ranks`; its content shows whether it is
/// gzipped.
///
/// # Errors
/// If it cannot be read or is not such a file; the message names it.
pub fn read(path: &Path, ranks: &[usize]) -> anyhow::Result<Idx> {
    let contents = || Contents::open(path, ranks)?.read();
    contents().with_context(|| path.escaped())
}

/// The same from the bytes of a file.
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
    /// Their product.
    len: usize,
    /// Whether the file is known to be large enough for that.
    plausible: bool,
    stream: Stream<R>,
}

impl Contents<BufReader<Input>> {
    pub(crate) fn open(path: &Path, ranks: &[usize]) -> anyhow::Result<Self> {
        let input = Input::open(path)?;
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
        let mut stream = Stream::new(reader)?;
        let magic = stream.at_most(4)?;
        let rank = ranks.iter().copied().find(|&rank| magic == magic_of(rank).to_be_bytes());
        let header_len = 4 + 4 * rank.or(ranks.first().copied()).unwrap_or_default();
        if let (Ok(magic), None) = (<[u8; 4]>::try_from(&*magic), rank) {
            bail!(
                "expected the magic number {} (unsigned bytes, {} axes), found {:#010x}; is it an \
                 IDX file, and under the right name?",
                listed(ranks, |rank| format!("{:#010x}", magic_of(rank))),
                listed(ranks, |rank| rank.to_string()),
                u32::from_be_bytes(magic)
            );
        }
        let sizes = stream.at_most(header_len - 4)?;
        let found = magic.len() + sizes.len();
        ensure!(
            found == header_len,
            "expected an IDX header of {header_len} bytes, found {found} bytes"
        );
        let axes: Vec<usize> = sizes.chunks(4).map(|b| BigEndian::read_u32(b) as usize).collect();
        let product = axes.iter().try_fold(1, |product: usize, &size| product.checked_mul(size));
        let len = product.filter(|&len| len < isize::MAX as usize).with_context(|| {
            format!("expected sizes whose product fits into a file, found {axes:?} in the header")
        })?;
        let contents = Self { axes, len, plausible: file_len.is_some(), stream };
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
            Stream::Plain(_) => self.check_count(file_len.saturating_sub(header_len as u64)),
            Stream::Zipped(_) => {
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

    /// Reads what follows the header.
    pub(crate) fn read(mut self) -> anyhow::Result<Idx> {
        let mut bytes = Vec::new();
        // The size in a pipe's header is not allocated ahead of the data.
        if self.plausible {
            reserve(&mut bytes, self.len)?;
        }
        let read = append(&mut self.stream, self.len, &mut bytes);
        let mut found = read.map_err(|error| self.stream.complaint(error))?;
        if found == self.len {
            // One byte more shows whether there are more, and lets gzip compare its checksum.
            found += self.stream.at_most(1)?.len();
        }
        self.check_count(found as u64)?;
        Ok(Idx { axes: self.axes, bytes })
    }
}

/// A file that may be gzipped.
enum Stream<R> {
    Plain(Whole<R>),
    Zipped(Box<Gzip<Whole<R>>>),
}

/// The first bytes, and the others.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: BufRead> Stream<R> {
    fn new(mut reader: R) -> anyhow::Result<Self> {
        let mut first = Vec::new();
        append(&mut reader, 2, &mut first)?;
        let is_zipped = first == [0x1f, 0x8b];
        let whole = Cursor::new(first).chain(reader);
        Ok(if is_zipped { Self::Zipped(Gzip::new(whole).into()) } else { Self::Plain(whole) })
    }

    fn at_most(&mut self, len: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        append(self, len, &mut bytes).map_err(|error| self.complaint(error))?;
        Ok(bytes)
    }

    /// The error in plain words.
    fn complaint(&self, error: std::io::Error) -> anyhow::Error {
        let expected = "expected a gzip stream and nothing behind it, found";
        match (self, error.kind()) {
            (Self::Zipped(_), ErrorKind::UnexpectedEof) => {
                anyhow!("{expected} one that is cut short")
            }
            (Self::Zipped(_), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
                anyhow!("{expected} a damaged one ({error})")
            }
            (_, ErrorKind::OutOfMemory) => anyhow!("too little memory to read it"),
            _ => error.into(),
        }
    }
}

impl<R: BufRead> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Zipped(reader) => reader.read(buffer),
        }
    }
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

    use super::decode;

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
    fn what_does_not_fit_is_named() {
        let cases = [
            (idx(0x803, &[1], b"a"), "expected the magic number 0x00000801"),
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
            either.contains("0x00000803 or 0x00000804 (unsigned bytes, 3 or 4 axes)"),
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
