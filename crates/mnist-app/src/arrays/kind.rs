//! What kind of file of arrays something is, by its content.

use std::io::{Read, Seek};
use std::path::Path;

use anyhow::Context;

use crate::escape::Escape;
use crate::gzip::Gzip;
use crate::input::{Input, append};

/// A kind of file that holds many pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An archive of arrays, or a single array, which is refused with its remedy.
    Npz,
    /// An IDX file, gzipped or not.
    Idx,
    /// A table, gzipped or not.
    Csv,
}

/// How many bytes are looked at.
const BEGINNING: usize = 1 << 14;

impl Kind {
    /// The kind of an open file, which is at its beginning again; none if it is something else.
    pub(crate) fn of(input: &mut Input, path: &Path) -> anyhow::Result<Option<Self>> {
        let mut first = Vec::new();
        append(input, BEGINNING, &mut first)?;
        input.rewind()?;
        Ok(Self::of_beginning(&first).or_else(|| Self::of_name(path)))
    }

    /// The kind of a file; none if it is something else.
    ///
    /// # Errors
    /// If it cannot be read; the message names it.
    pub(crate) fn of_file(file: &Path) -> anyhow::Result<Option<Self>> {
        let kind = Input::open(file).and_then(|mut input| Self::of(&mut input, file));
        kind.with_context(|| file.escaped())
    }

    fn of_beginning(first: &[u8]) -> Option<Self> {
        match first {
            [0x1f, 0x8b, ..] => {
                let mut inner = Vec::new();
                // What is damaged is told by whoever reads all of it.
                let _ = Gzip::new(first).take(BEGINNING as u64).read_to_end(&mut inner);
                Self::of_beginning(&inner).filter(|&kind| kind != Self::Npz)
            }
            [b'P', b'K', 3 | 5, 4 | 6, ..] | [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
                Some(Self::Npz)
            }
            [0, 0, 8..=14, 1..=4, ..] => Some(Self::Idx),
            _ => is_table(first).then_some(Self::Csv),
        }
    }

    /// The kind that a name promises.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let ending = Path::new(name).extension()?;
        match ending.to_str()? {
            "npz" | "npy" => Some(Self::Npz),
            "csv" | "tsv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Whether this is the beginning of a text whose first line has several cells.
fn is_table(first: &[u8]) -> bool {
    // Of pictures as text, and of other texts with commas.
    let is_other = matches!(first, [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t' | b'#', ..])
        || matches!(first.trim_ascii_start(), [b'<' | b'{' | b'[', ..]);
    let is_text = |&byte: &u8| byte >= b' ' && byte != 0x7f || b"\t\r\n".contains(&byte);
    let mut lines = first.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    !is_other && first.iter().all(is_text) && line.iter().any(|byte| b",;\t".contains(byte))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Kind;

    #[test]
    fn the_content_shows_the_kind() {
        for (first, kind) in [
            (&b"PK\x03\x04"[..], Some(Kind::Npz)),
            (b"\x93NUMPY\x01\x00", Some(Kind::Npz)),
            (b"\x00\x00\x08\x03\x00\x00", Some(Kind::Idx)),
            (b"label,0,1\n1,2,3\n", Some(Kind::Csv)),
            (b"\n\n5;0;0\n", Some(Kind::Csv)),
            (b"\xef\xbb\xbflabel,p0\n", Some(Kind::Csv)),
            (b"P2 3,4", None),
            (b"{\"a\": 1, \"b\": 2}", None),
            (b"<svg a='1,2'>", None),
            (b"plain words\n1,2\n", None),
            (b"\x89PNG\r\n\x1a\n,", None),
            (b"\x1f\x8b", None),
            (b"", None),
        ] {
            assert_eq!(Kind::of_beginning(first), kind, "{}", first.escape_ascii());
        }
        for (name, kind) in [("a.CSV.gz", Some(Kind::Csv)), ("x.npz", Some(Kind::Npz)), ("b", None)]
        {
            assert_eq!(Kind::of_name(Path::new(name)), kind);
        }
    }
}
