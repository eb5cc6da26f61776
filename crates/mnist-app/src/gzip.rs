//! gzip streams as `gzip` itself reads them.

use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, anyhow};
use flate2::bufread::GzDecoder;

use crate::escape::Escape;
use crate::input::{Input, append};

/// The most zeros that are skipped, all together: blocks of tapes are 512 bytes to a few hundred
/// KiB.
const MOST_ZEROS: usize = 1 << 20;

/// The contents of a gzip stream: its members one after another. Zeros after a member are skipped,
/// as files are padded with them on tapes and in some archives.
pub(crate) struct Gzip<R> {
    /// None after the last member.
    member: Option<GzDecoder<R>>,
    /// How many zeros were skipped.
    zeros: usize,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)), zeros: 0 }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let len = member.read(buffer)?;
            if len > 0 || buffer.is_empty() {
                return Ok(len);
            }
            let reader = self.member.take().map(GzDecoder::into_inner);
            self.member = reader.map_or(Ok(None), |reader| next(reader, &mut self.zeros))?;
        }
        Ok(0)
    }
}

/// The next member, if there is one; skips and counts the zeros before it.
fn next<R: BufRead>(mut reader: R, count: &mut usize) -> io::Result<Option<GzDecoder<R>>> {
    let refuse = |found: String| {
        Err(io::Error::other(format!(
            "expected a gzip stream and nothing behind it but at most {MOST_ZEROS} zeros, found a \
             whole one and behind it {found}; remove what follows"
        )))
    };
    loop {
        let bytes = reader.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        *count += zeros;
        if *count > MOST_ZEROS {
            return refuse("more of them".into());
        }
        match &bytes[zeros..] {
            [] if bytes.is_empty() => return Ok(None),
            [] => {}
            [0x1f, ..] => {
                reader.consume(zeros);
                return Ok(Some(GzDecoder::new(reader)));
            }
            others => {
                return refuse(format!("\"{}\"", others[..others.len().min(8)].escape_ascii()));
            }
        }
        reader.consume(zeros);
    }
}

/// A file that may be gzipped, read as if it were not; its content shows it.
pub(crate) enum MaybeGzip<R> {
    Plain(Whole<R>),
    Zipped(Box<Gzip<Whole<R>>>),
}

/// The first bytes, and the others.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: BufRead> MaybeGzip<R> {
    pub(crate) fn new(mut reader: R) -> io::Result<Self> {
        let mut first = Vec::new();
        append(&mut reader, 2, &mut first)?;
        let is_zipped = first == [0x1f, 0x8b];
        let whole = Cursor::new(first).chain(reader);
        Ok(if is_zipped { Self::Zipped(Gzip::new(whole).into()) } else { Self::Plain(whole) })
    }

    /// What an error in reading it means, in plain words.
    pub(crate) fn complaint(&self, error: io::Error) -> anyhow::Error {
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

impl<R: BufRead> Read for MaybeGzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Zipped(reader) => reader.read(buffer),
        }
    }
}

/// Whether two files, gzipped or not, have the same contents.
///
/// # Errors
/// If one of them cannot be read; the message names it.
pub(crate) fn same_contents(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let open = |path: &Path| {
        let input = BufReader::new(Input::open(path).with_context(|| path.escaped())?);
        MaybeGzip::new(input).with_context(|| path.escaped())
    };
    let next = |stream: &mut MaybeGzip<_>, path: &Path| {
        let mut bytes = Vec::new();
        match append(stream, 1 << 16, &mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(stream.complaint(error).context(path.escaped())),
        }
    };
    let (mut first, mut second) = (open(one)?, open(other)?);
    loop {
        let (bytes, others) = (next(&mut first, one)?, next(&mut second, other)?);
        if bytes != others || bytes.is_empty() {
            return Ok(bytes == others);
        }
    }
}
