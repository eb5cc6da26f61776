use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The SHA-256 of these bytes as 64 hexadecimal digits, the form of
/// [`Network::digest`](crate::Network::digest).
pub fn sha256(bytes: &[u8]) -> String {
    sha256_of(&[bytes])
}

/// The same of several pieces, one behind the other.
pub fn sha256_of(pieces: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    pieces.iter().for_each(|piece| digest.update(piece));
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
