use std::fmt::Write as _;

use sha2::Digest;
use tensor::Element;

/// The SHA-256 of these bytes as 64 hexadecimal digits, the form of
/// [`Network::digest`](crate::Network::digest).
pub fn sha256(bytes: &[u8]) -> String {
    sha256_of(&[bytes])
}

/// The same digest of several pieces, one after another.
pub fn sha256_of(pieces: &[&[u8]]) -> String {
    let mut digest = Sha256::default();
    pieces.iter().for_each(|piece| digest.add(piece));
    digest.value()
}

/// The same digest of bytes that come one after another.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Adds the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn value(&self) -> String {
        self.0.clone().finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// The same digest of numbers, little-endian.
pub(crate) fn sha256_of_numbers<T: Element>(numbers: &[T]) -> String {
    const TOGETHER: usize = 4096;
    let (mut digest, mut bytes) = (Sha256::default(), Vec::new());
    for numbers in numbers.chunks(TOGETHER) {
        bytes.clear();
        T::extend_le_bytes(numbers, &mut bytes);
        digest.add(&bytes);
    }
    digest.value()
}
