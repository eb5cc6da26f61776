//! gzip streams as `gzip` itself reads them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

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
