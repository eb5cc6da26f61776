//! Files of weights: read once, the header first.

use std::path::Path;

use anyhow::{Context, ensure};
use layers::{WeightsHeader, metadata_of};

use crate::input::{Input, append, reserve};

/// A safetensors file whose header has been read.
pub(crate) struct WeightsFile {
    pub(crate) header: WeightsHeader,
    /// What has been read.
    bytes: Vec<u8>,
    input: Input,
}

impl WeightsFile {
    /// # Errors
    /// If there is no such file, or its header is not that of a safetensors file of this length.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        Self::of(Input::open(path)?)
    }

    /// # Errors
    /// As [`WeightsFile::open`].
    pub(crate) fn of(mut input: Input) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        append(&mut input, WeightsHeader::PREFIX, &mut bytes)?;
        let Some(prefix) = bytes.first_chunk() else {
            return Err(metadata_of(&bytes).err().context("no header")?.into());
        };
        // In a file of another kind, a text for example, this is no length.
        ensure!(
            u64::from_le_bytes(*prefix) < 1 << 40,
            "expected a safetensors file, found another kind of file; name a model.safetensors, \
             such as that in a run's folder"
        );
        let length = WeightsHeader::length(*prefix)?;
        let start = WeightsHeader::PREFIX + length;
        check_len(input.len(), start, |found, expected| found >= expected)?;
        append(&mut input, length, &mut bytes)?;
        check_len(Some(bytes.len() as u64), start, |found, expected| found == expected)?;
        let header = WeightsHeader::parse(&bytes[WeightsHeader::PREFIX..])?;
        let len = start.saturating_add(header.body_len());
        check_len(input.len(), len, |found, expected| found == expected)?;
        Ok(Self { header, bytes, input })
    }

    /// All bytes of the file.
    ///
    /// # Errors
    /// If there are fewer or more than its header says, or too many for the memory.
    pub(crate) fn read(mut self) -> anyhow::Result<Vec<u8>> {
        let len = self.bytes.len() + self.header.body_len();
        if self.input.len().is_some() {
            reserve(&mut self.bytes, self.header.body_len())?;
        }
        append(&mut self.input, self.header.body_len(), &mut self.bytes)?;
        let more = append(&mut self.input, 1, &mut Vec::new())?;
        let found = (self.bytes.len() + more) as u64;
        check_len(Some(found), len, |found, expected| found == expected)?;
        Ok(self.bytes)
    }
}

/// Checks the length of a file, if it is known, against what its header says.
fn check_len(
    found: Option<u64>,
    expected: usize,
    fits: impl Fn(u64, u64) -> bool,
) -> anyhow::Result<()> {
    let Some(found) = found else { return Ok(()) };
    ensure!(
        fits(found, expected as u64),
        "expected a safetensors file of {expected} bytes, as its header says, found {found}: it \
         is cut short, or something else follows, or it is something else"
    );
    Ok(())
}
