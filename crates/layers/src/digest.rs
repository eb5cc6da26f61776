use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tensor::Element;

/// The SHA-256 of these bytes as 64 hexadecimal digits, the form of
/// [`Network::digest`](crate::Network::digest).
pub fn sha256(bytes: &[u8]) -> String {
    sha256_of(&[bytes])
}

/// The same digest of several pieces, one after another.
pub fn sha256_of(pieces: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    pieces.iter().for_each(|piece| digest.update(piece));
    hexadecimal(digest)
}

/// The same digest of numbers, little-endian.
pub(crate) fn sha256_of_numbers<T: Element>(numbers: &[T]) -> String {
    const TOGETHER: usize = 4096;
    let (mut digest, mut bytes) = (Sha256::new(), Vec::new());
    for numbers in numbers.chunks(TOGETHER) {
        bytes.clear();
        T::extend_le_bytes(numbers, &mut bytes);
        digest.update(&bytes);
    }
    hexadecimal(digest)
}

fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
