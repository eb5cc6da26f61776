//! An array of NumPy, `.npy`: its header, and its elements as bytes of pictures or as labels.

use std::io::{ErrorKind, Read};

use anyhow::{Context, anyhow, bail, ensure};
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use super::{Labels, is_zeros_and_ones};
use crate::escape::Escape;
use crate::input::{append, reserve};

/// What is known of an array before its elements are read.
#[derive(Debug)]
pub(super) struct Header {
    kind: Kind,
    /// Bytes of an element.
    size: usize,
    is_big_endian: bool,
    /// The size of each axis.
    pub(super) shape: Vec<usize>,
    /// Whether the first axis is the fastest one.
    pub(super) is_fortran: bool,
    /// How many elements there are.
    count: usize,
    /// Bytes of header and elements.
    pub(super) file_len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    /// Zero-padded bytes.
    Bytes,
    /// Zero-padded characters of 32 bits.
    Text,
}

/// The most bytes of the text of a header; those of plain arrays have 118. NumPy has this limit too.
const MOST_TEXT: usize = 10_000;

/// The most bytes of an element: a name.
const MOST_WORD: usize = 4096;

impl Header {
    pub(super) fn read(reader: &mut impl Read) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        append(reader, 10, &mut bytes).map_err(complaint)?;
        ensure!(
            bytes.starts_with(b"\x93NUMPY") && bytes.len() == 10,
            "expected an array of NumPy (.npy), found something else or the beginning of one"
        );
        let mut text_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        if bytes[6] > 1 {
            append(reader, 2, &mut bytes).map_err(complaint)?;
            let upper = bytes.get(10..12).context("expected the length of its header")?;
            text_len += usize::from(u16::from_le_bytes([upper[0], upper[1]])) << 16;
        }
        ensure!(
            text_len <= MOST_TEXT,
            "expected a header of at most {MOST_TEXT} bytes, found one of {text_len}"
        );
        let start = bytes.len();
        ensure!(
            append(reader, text_len, &mut bytes).map_err(complaint)? == text_len,
            "expected a header of {text_len} bytes, found its beginning"
        );
        check_text(&bytes[start..])?;
        let header = NpyHeader::from_reader(&*bytes).map_err(|error| {
            // The parser draws the place over several lines.
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default();
            anyhow!("expected a header of NumPy, found another one ({})", line.escaped())
        })?;
        Self::of(&header, bytes.len())
    }

    fn of(header: &NpyHeader, len: usize) -> anyhow::Result<Self> {
        let dtype = header.dtype();
        let found = || dtype.descr().escaped();
        let kind = match &dtype {
            DType::Plain(plain) => match plain.type_char() {
                TypeChar::Bool => Some(Kind::Bool),
                TypeChar::Int => Some(Kind::Int),
                TypeChar::Uint => Some(Kind::Uint),
                TypeChar::Float => Some(Kind::Float),
                TypeChar::ByteStr => Some(Kind::Bytes),
                TypeChar::UnicodeStr => Some(Kind::Text),
                TypeChar::Object => bail!(
                    "expected numbers or texts, found Python objects, which are stored as a \
                     program (pickle); convert the array by astype before it is saved"
                ),
                _ => None,
            },
            _ => None,
        };
        let kind = kind.with_context(|| {
            format!("expected numbers or texts, found elements of type {}", found())
        })?;
        let size = dtype.num_bytes().with_context(|| {
            format!("expected elements of a plausible size, found type {}", found())
        })?;
        ensure!(
            kind != Kind::Float || size <= 8,
            "expected floats of at most 64 bits, found type {}; convert them by astype",
            found()
        );
        ensure!(
            size <= MOST_WORD,
            "expected names of at most {MOST_WORD} bytes, found type {}",
            found()
        );
        let is_big_endian =
            matches!(&dtype, DType::Plain(plain) if plain.endianness() == Endianness::Big);
        let sizes = header.shape().iter().map(|&size| usize::try_from(size).ok());
        let shape: Option<Vec<usize>> = sizes.collect();
        let shape = shape.context("expected sizes that fit into a file, found larger ones")?;
        let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let bytes = count.and_then(|count| count.checked_mul(size)?.checked_add(len));
        let (Some(count), Some(bytes)) = (count, bytes) else {
            bail!("expected sizes whose product fits into a file, found {shape:?} in the header");
        };
        let is_fortran = header.order() == Order::Fortran;
        Ok(Self { kind, size, is_big_endian, shape, is_fortran, count, file_len: bytes as u64 })
    }

    /// The elements, in the order of the file, as bytes.
    pub(super) fn bytes(
        &self,
        reader: &mut dyn Read,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        ensure!(
            !matches!(self.kind, Kind::Bytes | Kind::Text),
            "expected pictures as numbers, found texts"
        );
        reserve(&mut bytes, self.count)?;
        match self.kind {
            Kind::Uint if self.size == 1 => self.each(reader, |_, element| {
                bytes.push(element[0]);
                Ok(())
            })?,
            Kind::Bool => {
                self.each(reader, |_, element| {
                    bytes.push(if element[0] == 0 { 0 } else { u8::MAX });
                    Ok(())
                })?;
                notes.push("truth values are read as 0 and 255".into());
            }
            Kind::Float => {
                // Half precision has 11 bits.
                let tolerance = if self.size == 2 { 2.5e-4 } else { 1e-4 };
                let mut scale = Scale { bytes, tolerance, is_whole: false, may_be_whole: true };
                self.each(reader, |index, element| {
                    let number = self.float(element);
                    ensure!(
                        scale.push(number),
                        "expected floats from 0 to 1 that are whole numbers of 255ths, or whole \
                         numbers from 0 to 255, found {number} at {}; save the pictures as bytes \
                         (uint8), as they were before they were normalized",
                        self.place(index)
                    );
                    Ok(())
                })?;
                notes.push(scale.note().into());
                bytes = scale.bytes;
            }
            _ => {
                self.each(reader, |index, element| {
                    let whole = self.whole(element);
                    let byte = u8::try_from(whole).map_err(|_| {
                        let place = self.place(index);
                        anyhow!("expected numbers from 0 to 255, found {whole} at {place}")
                    })?;
                    bytes.push(byte);
                    Ok(())
                })?;
                let bits = 8 * self.size;
                notes.push(format!("numbers of {bits} bits, all from 0 to 255, are read as bytes"));
            }
        }
        if matches!(self.kind, Kind::Int | Kind::Uint) && is_zeros_and_ones(&bytes) {
            notes.push(
                "all numbers are 0 or 1 of 255; if 1 is white, save them as float or times 255"
                    .into(),
            );
        }
        Ok(bytes)
    }

    /// The elements as a label of each of `pictures` pictures.
    pub(super) fn labels(
        &self,
        reader: &mut dyn Read,
        pictures: usize,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Labels> {
        let columns = match *self.shape {
            [_] => 1,
            [_, columns] if columns > 0 => columns,
            _ => bail!(
                "expected a label of each picture, as axes (N) or (N, 1), found sizes {:?}",
                self.shape
            ),
        };
        let rows = self.shape[0];
        ensure!(
            rows == pictures,
            "expected {pictures} labels, as there are pictures, found {rows}"
        );
        let cell = |index| match self.is_fortran {
            true => (index % rows, index / rows),
            false => (index / columns, index % columns),
        };
        let first_column =
            || format!("the labels have {columns} columns, of which the first is taken");
        if matches!(self.kind, Kind::Bytes | Kind::Text) {
            let mut labels = Labels::default();
            self.each(reader, |index, element| {
                if cell(index).1 == 0 {
                    let word = self.word(element);
                    let pushed = word.and_then(|word| labels.push(&word));
                    pushed.with_context(|| format!("at {}", self.place(index)))?;
                }
                Ok(())
            })?;
            if columns > 1 {
                notes.push(first_column());
            }
            return Ok(labels);
        }
        let mut numbers = vec![0; rows];
        // The column of the only 1 of each row, as long as there is but one and all others are 0.
        let mut hot = (columns > 1).then(|| vec![None; rows]);
        self.each(reader, |index, element| {
            let number = self.label(element);
            let (row, column) = cell(index);
            let is_single = hot.as_mut().is_none_or(|hot: &mut Vec<Option<u64>>| match number {
                Ok(0) => true,
                Ok(1) => hot[row].replace(column as u64).is_none(),
                _ => false,
            });
            if !is_single {
                hot = None;
            }
            if column == 0 {
                numbers[row] = number.with_context(|| format!("at {}", self.place(index)))?;
            }
            Ok(())
        })?;
        let hot: Option<Vec<u64>> = hot.and_then(|hot| hot.into_iter().collect());
        if let Some(numbers) = hot {
            notes.push(format!(
                "the labels have {columns} columns, with a single 1 in each row: its column is \
                 taken"
            ));
            return of_numbers(&numbers);
        }
        if columns > 1 {
            notes.push(first_column());
        }
        of_numbers(&numbers)
    }

    /// Calls `take` with each element and its number, in the order of the file; checks that nothing
    /// follows.
    fn each(
        &self,
        mut reader: &mut dyn Read,
        mut take: impl FnMut(usize, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self { size, count, shape, .. } = self;
        ensure!(*size > 0, "expected elements of at least one byte, found empty ones");
        let mut buffer = Vec::new();
        let mut index = 0;
        while index < *count {
            let len = ((1 << 16) / size).clamp(1, count - index) * size;
            buffer.clear();
            let found = append(&mut reader, len, &mut buffer).map_err(complaint)?;
            ensure!(
                found == len,
                "expected {count} elements, as the sizes {shape:?} say, found {}: the file is cut \
                 short",
                index + found / size
            );
            for element in buffer.chunks_exact(*size) {
                take(index, element)?;
                index += 1;
            }
        }
        // This byte more lets the archive compare its checksum.
        ensure!(
            append(&mut reader, 1, &mut buffer).map_err(complaint)? == 0,
            "expected {count} elements, as the sizes {shape:?} say, found more"
        );
        Ok(())
    }

    /// The bits of an element of at most 8 bytes.
    fn bits(&self, element: &[u8]) -> u64 {
        let add = |bits: u64, &byte: &u8| bits << 8 | u64::from(byte);
        match self.is_big_endian {
            true => element.iter().fold(0, add),
            false => element.iter().rev().fold(0, add),
        }
    }

    fn whole(&self, element: &[u8]) -> i128 {
        let bits = self.bits(element);
        if self.kind != Kind::Int {
            return bits.into();
        }
        let unused = 64 - 8 * self.size;
        ((bits << unused).cast_signed() >> unused).into()
    }

    fn float(&self, element: &[u8]) -> f64 {
        match *element {
            [a, b] if self.is_big_endian => half(u16::from_be_bytes([a, b])),
            [a, b] => half(u16::from_le_bytes([a, b])),
            [a, b, c, d] if self.is_big_endian => f32::from_be_bytes([a, b, c, d]).into(),
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).into(),
            _ => f64::from_bits(self.bits(element)),
        }
    }

    fn label(&self, element: &[u8]) -> anyhow::Result<u64> {
        match self.kind {
            Kind::Bool => Ok(u64::from(element[0] != 0)),
            Kind::Float => {
                let number = self.float(element);
                // Up to here every whole number has a float of its own.
                ensure!(
                    number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number),
                    "expected labels that are whole numbers from 0 on, found {number}"
                );
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                Ok(number as u64)
            }
            _ => {
                let whole = self.whole(element);
                let number = u64::try_from(whole);
                number.map_err(|_| anyhow!("expected labels from 0 on, found {whole}"))
            }
        }
    }

    fn word(&self, element: &[u8]) -> anyhow::Result<String> {
        if self.kind == Kind::Bytes {
            let len = element.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            let word = std::str::from_utf8(&element[..len]);
            return Ok(word.context("expected names in UTF-8, found other bytes")?.to_owned());
        }
        let code = |bytes: &[u8; 4]| match self.is_big_endian {
            true => u32::from_be_bytes(*bytes),
            false => u32::from_le_bytes(*bytes),
        };
        let codes = element.as_chunks().0;
        let len = codes.iter().rposition(|&code| code != [0; 4]).map_or(0, |last| last + 1);
        let word = codes[..len].iter().map(|bytes| char::from_u32(code(bytes)));
        word.collect::<Option<_>>()
            .context("expected names of Unicode characters, found a number that is none")
    }

    /// Where an element is, as NumPy counts.
    fn place(&self, mut index: usize) -> String {
        let mut place = vec![0; self.shape.len()];
        let mut axis = |axis: usize| {
            let size = self.shape[axis].max(1);
            place[axis] = index % size;
            index /= size;
        };
        match self.is_fortran {
            true => (0..self.shape.len()).for_each(&mut axis),
            false => (0..self.shape.len()).rev().for_each(&mut axis),
        }
        format!("{place:?}")
    }
}

fn of_numbers(numbers: &[u64]) -> anyhow::Result<Labels> {
    let mut labels = Labels::default();
    numbers.iter().try_for_each(|number| labels.push(&number.to_string()))?;
    Ok(labels)
}

/// What reading from an archive says, in plain words.
fn complaint(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
            anyhow!("expected a whole archive, found a damaged one ({error})")
        }
        ErrorKind::UnexpectedEof => {
            anyhow!("expected a whole archive, found one that is cut short")
        }
        _ => error.into(),
    }
}

/// Checks that a header is of a form that its parser can take: that descends into brackets, and
/// multiplies sizes unchecked.
fn check_text(text: &[u8]) -> anyhow::Result<()> {
    const MOST_NESTED: usize = 4;
    let (mut nested, mut quote, mut digits, mut product) = (0_usize, None, None, 1_u64);
    let too_large =
        "expected sizes whose product fits into a file, found larger ones in the header";
    for &byte in text.iter().chain(b" ") {
        if let Some(end) = quote {
            ensure!(byte != b'\\', "expected a header of NumPy, found one with a backslash");
            quote = (byte != end).then_some(end);
            continue;
        }
        if byte.is_ascii_digit() {
            let number = digits.unwrap_or(0_u64).checked_mul(10);
            let number = number.and_then(|number| number.checked_add(u64::from(byte - b'0')));
            digits = Some(number.context(too_large)?);
        } else if let Some(size) = digits.take() {
            product = product.checked_mul(size.max(1)).context(too_large)?;
        }
        match byte {
            b'\'' | b'"' => quote = Some(byte),
            b'{' | b'(' | b'[' => nested += 1,
            b'}' | b')' | b']' => nested = nested.saturating_sub(1),
            b',' | b':' | b' ' | b'\n' => (),
            _ if byte.is_ascii_digit() || b"TrueFalse".contains(&byte) => (),
            _ => bail!(
                "expected a header of NumPy, found one with the character {:?}",
                char::from(byte)
            ),
        }
        ensure!(nested <= MOST_NESTED, "expected a plain array, found a nested type");
    }
    Ok(())
}

/// Floats that become bytes: 255ths, or, from the first one above 1 on, whole numbers.
struct Scale {
    bytes: Vec<u8>,
    tolerance: f64,
    is_whole: bool,
    /// Whether all until now are 0 or 1.
    may_be_whole: bool,
}

impl Scale {
    /// Whether the number is a byte.
    fn push(&mut self, number: f64) -> bool {
        let is_byte = number.fract() == 0.0 && (0.0..=255.0).contains(&number);
        if !self.is_whole && self.may_be_whole && is_byte && number > 1.0 {
            self.is_whole = true;
            self.bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte > 0));
        }
        let byte = if self.is_whole { number } else { (number * 255.0).round() };
        let is_near = (byte / 255.0 - number).abs() <= self.tolerance;
        let is_good = if self.is_whole { is_byte } else { is_near };
        if !is_good || !(0.0..=255.0).contains(&byte) {
            return false;
        }
        self.may_be_whole &= is_byte;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.bytes.push(byte as u8);
        true
    }

    fn note(&self) -> &'static str {
        match (self.is_whole, self.may_be_whole) {
            (true, _) => "floats, all of them whole numbers from 0 to 255, are read as bytes",
            (_, true) => {
                "floats, all of them 0 or 1, are multiplied by 255; if 1 of 255 is meant, save them \
                 as bytes (uint8)"
            }
            _ => "floats from 0 to 1, all of them 255ths, are multiplied by 255",
        }
    }
}

/// A float of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match bits >> 10 & 0x1f {
        0 => fraction / f64::from(1 << 24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) / 1024.0 * 2_f64.powi(i32::from(exponent) - 15),
    }
}
