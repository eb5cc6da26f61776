//! Pictures as rows of a table, CSV: a label and pixels, as in digit competitions.
//!
//! `table` reads rows of bounded length, `columns` says what the columns are, as far as a first row
//! tells, and `order` in which order they are; what it leaves open, the first or the last column, is
//! decided here when all rows are read.

mod columns;
mod order;
mod table;

use std::io::BufRead;

use anyhow::{Context, bail, ensure};

use super::{Labelled, Labels, Pictures, is_zeros_and_ones, separate_channels};
use crate::escape::{Escape, quoted};
use crate::input::reserve;
use columns::{Columns, Label};
use table::Table;

/// The most columns.
const MOST_COLUMNS: usize = 1 << 21;

/// Reads a table, gzipped or not. Pictures are square unless they have as many pixels as `size`
/// says, which is height and width.
///
/// # Errors
/// If it is none, or its rows are no pictures; the message names line and column.
pub fn read(file: impl BufRead, size: Option<[usize; 2]>) -> anyhow::Result<Labelled> {
    let mut table = Table::new(file)?;
    let columns = start(&mut table, size)?;
    if columns.has_header() {
        ensure!(table.next()?, "expected rows of pixels below the header, found none");
    }
    let (first, last) = (Candidate::default(), Candidate::default());
    let mut rows = Rows { planes: Vec::new(), first, last, empty: columns.unnamed() };
    loop {
        rows.push(&table, &columns).with_context(|| format!("line {}", table.line()))?;
        if !table.next()? {
            break;
        }
    }
    let Rows { mut planes, first, last, empty } = rows;
    let mut notes = columns.notes(&empty);
    let labels = match columns.label {
        Label::None => None,
        Label::At(_) => Some(first.labels?),
        Label::FirstOrLast => {
            let is_first = first.is_label(&last)?;
            notes.push(format!(
                "the {} column is read as the label, as the {} one is like a pixel",
                if is_first { "first" } else { "last" },
                if is_first { "last" } else { "first" }
            ));
            if is_first {
                Some(first.labels?)
            } else {
                let pixels: usize = columns.shape.iter().product();
                for (picture, byte) in planes.chunks_exact_mut(pixels).zip(first.bytes) {
                    picture.rotate_right(1);
                    picture[0] = byte;
                }
                Some(last.labels?)
            }
        }
    };
    if columns.shape[0] > 1 {
        notes.push("pixels are read as red, green and blue of each in turn".into());
        separate_channels(&mut planes, columns.shape);
    }
    if is_zeros_and_ones(&planes) {
        notes.push("all numbers are 0 or 1 of 255; if 1 is white, save them times 255".into());
    }
    Ok(Labelled { pictures: Pictures { shape: columns.shape, planes }, labels, notes })
}

/// What the first row of a table tells.
pub struct FirstRow {
    columns: Columns,
}

/// Why pixels at one place of two tables may not be the same ones.
pub enum Difference {
    /// A column, counted from 1, has different names.
    Name(usize, [String; 2]),
    /// The numbers in the names of one are not in order, and the other has none.
    Order,
}

impl FirstRow {
    /// Reads it.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(file: impl BufRead, size: Option<[usize; 2]>) -> anyhow::Result<Self> {
        Ok(Self { columns: start(&mut Table::new(file)?, size)? })
    }

    /// The shape of the pictures, `(C, H, W)`.
    pub fn shape(&self) -> [usize; 3] {
        self.columns.shape
    }

    /// Whether there are labels.
    pub fn has_labels(&self) -> bool {
        self.columns.label != Label::None
    }

    /// Whether the pixels of both may not be in the same order.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        let (own, others) = (&self.columns, &other.columns);
        match (own.is_numbered, others.is_numbered) {
            (true, true) => None,
            (false, false) => {
                let pairs = own.pixels().iter().zip(others.pixels());
                let mut named = pairs.filter_map(|(&at, &other)| {
                    Some((at, [own.name_of(at)?, others.name_of(other)?]))
                });
                let (at, names) = named.find(|(_, [own, other])| own != other)?;
                Some(Difference::Name(at + 1, names.map(str::to_owned)))
            }
            _ => (own.is_moved() || others.is_moved()).then_some(Difference::Order),
        }
    }
}

fn start(table: &mut Table<impl BufRead>, size: Option<[usize; 2]>) -> anyhow::Result<Columns> {
    ensure!(table.next()?, "expected a row of a label and pixels, found an empty file");
    let count = table.len();
    ensure!(
        count <= MOST_COLUMNS,
        "expected at most {MOST_COLUMNS} columns in the first row, found {count}"
    );
    Columns::of(&table.cells(), size)
}

/// What the rows have.
struct Rows {
    /// Pixels, row by row. Where the label is the first or the last column, without the first.
    planes: Vec<u8>,
    /// The label, or the first column that may be it.
    first: Candidate,
    /// The last column, if it may be the label.
    last: Candidate,
    /// The columns without a name whose cells are all empty.
    empty: Vec<usize>,
}

impl Rows {
    fn push(&mut self, table: &Table<impl BufRead>, columns: &Columns) -> anyhow::Result<()> {
        let count = table.len();
        let expected = columns.count();
        ensure!(
            count == expected,
            "expected {expected} cells, as the first row has, found {count}"
        );
        let pixels = columns.shape.iter().product();
        if self.planes.capacity() - self.planes.len() < pixels {
            let more = self.planes.len() / 2;
            reserve(&mut self.planes, more.max(pixels))?;
        }
        let (first, last) = columns.ends();
        self.empty.retain(|&at| table.cell(at).trim_ascii().is_empty());
        for &at in &columns.order {
            let cell = table.cell(at);
            let place = || format!("column {}", columns.name(at));
            let whole_place = || format!("line {}: {}", table.line(), place());
            match columns.label {
                Label::At(label) if label == at => {
                    self.first.push_label(cell).with_context(place)?;
                }
                Label::FirstOrLast if at == first => self.first.push(cell, whole_place),
                Label::FirstOrLast if at == last => {
                    self.last.push(cell, whole_place);
                    self.planes.push(pixel(cell).unwrap_or_default());
                }
                _ => match pixel(cell) {
                    Some(byte) => self.planes.push(byte),
                    None => return Err(no_pixel(cell)).with_context(place),
                },
            }
        }
        if matches!(columns.label, Label::FirstOrLast)
            && self.first.is_no_pixel
            && self.last.is_no_pixel
        {
            bail!(
                "expected one column that is not like a pixel, found that neither the first nor the \
                 last one is; name the columns in a first line, the label \"label\" and others that \
                 are no pixels \"id\""
            );
        }
        Ok(())
    }
}

/// A column that may be the label.
struct Candidate {
    labels: anyhow::Result<Labels>,
    /// As pixels, as long as they are like some.
    bytes: Vec<u8>,
    is_no_pixel: bool,
    /// Whether two of them differ.
    varies: bool,
}

impl Default for Candidate {
    fn default() -> Self {
        let labels = Ok(Labels::default());
        Self { labels, bytes: Vec::new(), is_no_pixel: false, varies: false }
    }
}

impl Candidate {
    fn push(&mut self, cell: &[u8], place: impl Fn() -> String) {
        match pixel(cell) {
            Some(byte) => self.bytes.push(byte),
            None => self.is_no_pixel = true,
        }
        self.varies |= self.bytes.last() != self.bytes.first();
        // Kept until it is known which column the label is.
        if let Err(error) = self.push_label(cell) {
            self.labels = Err(error.context(place()));
        }
    }

    fn push_label(&mut self, cell: &[u8]) -> anyhow::Result<()> {
        let Ok(labels) = &mut self.labels else { return Ok(()) };
        let word = std::str::from_utf8(cell);
        let word = word.context("expected a label in UTF-8, found other bytes")?.trim();
        // Tools that know floats alone write 3 as 3.0.
        let is_whole =
            |digits: &&str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        labels.push(word.strip_suffix(".0").filter(is_whole).unwrap_or(word))
    }

    /// Whether this column, the first, is the label, and not the `last`.
    fn is_label(&self, last: &Self) -> anyhow::Result<bool> {
        match ((self.is_no_pixel, last.is_no_pixel), (self.varies, last.varies)) {
            ((true, _), _) => Ok(true),
            ((_, true), _) => Ok(false),
            // A pixel at the border may be the same in all pictures, but not their label.
            (_, (true, false)) => Ok(true),
            (_, (false, true)) => Ok(false),
            _ => bail!(
                "expected a first or a last column that is not like a pixel, found that both may be \
                 the label; name the columns in a first line, the label \"label\""
            ),
        }
    }
}

/// A whole number from 0 to 255, which may be written with a fraction of 0.
fn pixel(cell: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    if let (1..=3, Some(number)) =
        (cell.len(), cell.iter().try_fold(0, |number, byte| Some(10 * number + digit(byte)?)))
    {
        return u8::try_from(number).ok();
    }
    let number: f64 = std::str::from_utf8(cell).ok()?.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    ((0.0..=255.0).contains(&number) && number.fract() == 0.0).then_some(number as u8)
}

fn no_pixel(cell: &[u8]) -> anyhow::Error {
    let text = String::from_utf8_lossy(cell);
    let number = text.trim().parse::<f64>().ok();
    let remedy = match number {
        Some(number) if number.fract() != 0.0 => {
            "; save the pixels as they were before they were normalized"
        }
        _ if text.trim().is_empty() => "; fill the cell, or leave its row out",
        _ => "",
    };
    let found = number.map_or_else(|| quoted(&text), |_| text.escaped());
    anyhow::anyhow!("expected a pixel, a whole number from 0 to 255, found {found}{remedy}")
}

#[cfg(test)]
mod tests;
