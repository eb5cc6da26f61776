//! gzip streams as `gzip` itself reads them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The contents of a gzip stream: its members one after another. Zeros behind a member are
/// read past, as files are filled up with them on tapes and in some archives.
pub(crate) struct Gzip<R> {
    /// None behind the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let len = member.read(buffer)?;
            if len > 0 || buffer.is_empty() {
                return Ok(len);
            }
            self.member = self.member.take().map(GzDecoder::into_inner).map_or(Ok(None), next)?;
        }
        Ok(0)
    }
}

/// The next member, behind zeros, if there is one.
fn next<R: BufRead>(mut reader: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let bytes = reader.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        match &bytes[zeros..] {
            [] if bytes.is_empty() => return Ok(None),
            [] => {}
            [0x1f, ..] => {
                reader.consume(zeros);
                return Ok(Some(GzDecoder::new(reader)));
            }
            others => {
                let found = others[..others.len().min(8)].escape_ascii();
                return Err(io::Error::other(format!(
                    "expected a gzip stream and nothing behind it but zeros, found a whole one \
                     and behind it \"{found}\"; remove what follows"
                )));
            }
        }
        reader.consume(zeros);
    }
}
