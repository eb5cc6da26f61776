//! Rows of a table in text, each of bounded length.

use std::io::{self, BufRead, Chain, Cursor, Read};

use anyhow::{anyhow, bail, ensure};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use crate::gzip::MaybeGzip;
use crate::input::append;

/// The longest row: a picture of 1024×1024 pixels in colour.
const MOST_OF_ROW: usize = 1 << 24;

/// How much is looked at to see what separates the cells.
const BEGINNING: usize = 1 << 16;

/// A table, and its row that was read last.
pub(super) struct Table<R> {
    reader: Reader<Bounded<R>>,
    row: ByteRecord,
}

/// The beginning of a file, and what follows, as far as a row may reach.
struct Bounded<R> {
    stream: Chain<Cursor<Vec<u8>>, MaybeGzip<R>>,
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let len = buffer.len().min(self.left);
        let read = self.stream.read(&mut buffer[..len])?;
        self.left -= read;
        Ok(read)
    }
}

/// That a row is too long.
#[derive(Debug)]
struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "expected rows of at most {MOST_OF_ROW} bytes, found a longer one; is a closing \
             quotation mark missing?"
        )
    }
}

impl std::error::Error for TooLong {}

impl<R: BufRead> Table<R> {
    pub(super) fn new(file: R) -> anyhow::Result<Self> {
        let mut stream = MaybeGzip::new(file)?;
        let mut first = Vec::new();
        append(&mut stream, BEGINNING, &mut first).map_err(|error| stream.complaint(error))?;
        ensure!(
            !first.starts_with(b"\xff\xfe") && !first.starts_with(b"\xfe\xff"),
            "expected a table in UTF-8, found one in UTF-16; save it as UTF-8"
        );
        ensure!(!first.contains(&0), "expected a table as text (CSV), found a byte of zero");
        let delimiter = delimiter(&first);
        let bounded = Bounded { stream: Cursor::new(first).chain(stream), left: MOST_OF_ROW };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(bounded);
        Ok(Self { reader, row: ByteRecord::new() })
    }

    /// Reads the next row, if there is one; empty lines are none.
    pub(super) fn next(&mut self) -> anyhow::Result<bool> {
        self.reader.get_mut().left = MOST_OF_ROW;
        let line = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.row) {
            Ok(found) => Ok(found),
            Err(error) => {
                let ErrorKind::Io(error) = error.into_kind() else {
                    bail!("line {line}: expected a row of cells, found a damaged one");
                };
                let error = match error.downcast::<TooLong>() {
                    Ok(error) => anyhow!(error),
                    Err(error) => self.reader.get_ref().stream.get_ref().1.complaint(error),
                };
                Err(error.context(format!("line {line}")))
            }
        }
    }

    /// The line of the row, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.row.position().map_or(1, csv::Position::line)
    }

    /// How many cells the row has.
    pub(super) fn len(&self) -> usize {
        self.row.len()
    }

    /// A cell; empty if there is none.
    pub(super) fn cell(&self, at: usize) -> &[u8] {
        self.row.get(at).unwrap_or_default()
    }

    /// The cells as texts.
    pub(super) fn cells(&self) -> Vec<String> {
        self.row.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect()
    }
}

/// What separates the cells of the first line.
fn delimiter(first: &[u8]) -> u8 {
    let mut lines = first.split(|&byte| byte == b'\n');
    let line = lines.find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    // Of equally many the last.
    [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}
