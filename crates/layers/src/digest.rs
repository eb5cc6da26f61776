use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The SHA-256 of these bytes as 64 hexadecimal digits, the form of
/// [`Network::digest`](crate::Network::digest).
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
