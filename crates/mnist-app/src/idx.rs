//! IDX files: the format of MNIST, plain or gzipped.
//!
//! A header of big-endian 32-bit numbers, namely a magic number `0x000008NN` for `NN`
//! axes of unsigned bytes and the size of each axis; then the bytes, last axis fastest.

use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use byteorder::{BigEndian, ByteOrder};
use flate2::bufread::MultiGzDecoder;

use crate::printable::Shown;

/// The contents of an IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each axis.
    pub axes: Vec<usize>,
    /// As many bytes as the axes' product.
    pub bytes: Vec<u8>,
}

/// Reads an IDX file whose number of axes is one of `ranks`; whether it is gzipped, its
/// content tells.
///
/// # Errors
/// If it cannot be read or is not such a file; the message names it.
pub fn read(path: &Path, ranks: &[usize]) -> anyhow::Result<Idx> {
    let file = std::fs::read(path).with_context(|| path.shown().to_string())?;
    decode(&file, ranks).with_context(|| path.shown().to_string())
}

/// The same from the bytes of a file.
///
/// # Errors
/// If they are no IDX file with so many axes, hold fewer or more bytes than its header
/// says, or are a damaged gzip stream.
pub fn decode(file: &[u8], ranks: &[usize]) -> anyhow::Result<Idx> {
    if file.starts_with(&[0x1f, 0x8b]) {
        decode_plain(MultiGzDecoder::new(file), ranks)
    } else {
        decode_plain(file, ranks)
    }
}

fn decode_plain(mut reader: impl Read, ranks: &[usize]) -> anyhow::Result<Idx> {
    let magic = read_at_most(&mut reader, 4)?;
    let rank = ranks.iter().copied().find(|&rank| magic == magic_of(rank).to_be_bytes());
    let header_len = 4 + 4 * rank.or(ranks.first().copied()).unwrap_or_default();
    if let (Ok(magic), None) = (<[u8; 4]>::try_from(&*magic), rank) {
        bail!(
            "expected the magic number {} (unsigned bytes, {} axes), found {:#010x}; is it an IDX \
             file, and under the right name?",
            listed(ranks, |rank| format!("{:#010x}", magic_of(rank))),
            listed(ranks, |rank| rank.to_string()),
            u32::from_be_bytes(magic)
        );
    }
    let sizes = read_at_most(&mut reader, header_len - 4)?;
    let found = magic.len() + sizes.len();
    ensure!(
        found == header_len,
        "expected an IDX header of {header_len} bytes, found {found} bytes"
    );
    let axes: Vec<usize> = sizes.chunks(4).map(|b| BigEndian::read_u32(b) as usize).collect();
    let product = axes.iter().try_fold(1, |product: usize, &size| product.checked_mul(size));
    let len = product.filter(|&len| len < usize::MAX).with_context(|| {
        format!("expected sizes whose product fits into a file, found {axes:?} in the header")
    })?;
    // One byte more than the header says shows whether there are more, and lets gzip
    // compare its checksum. What the header claims is never allocated ahead of the data.
    let bytes = read_at_most(&mut reader, len + 1)?;
    let found = match bytes.len() {
        found if found == len => return Ok(Idx { axes, bytes }),
        found if found < len => format!("{found}: the file is cut short, or its header wrong"),
        _ => "more: something else follows, or the header is wrong".into(),
    };
    bail!("expected {len} bytes after the header, as its sizes {axes:?} say, found {found}")
}

/// Unsigned bytes, so many axes.
fn magic_of(rank: usize) -> u32 {
    0x0800 + rank as u32
}

fn listed(ranks: &[usize], text: impl Fn(usize) -> String) -> String {
    ranks.iter().map(|&rank| text(rank)).collect::<Vec<_>>().join(" or ")
}

fn read_at_most(reader: &mut impl Read, len: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match reader.take(len as u64).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            bail!("expected a gzip stream and nothing behind it, found one that is cut short")
        }
        Err(error) => {
            bail!("expected a gzip stream and nothing behind it, found a damaged one ({error})")
        }
    }
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
