//! Mutations of files of weights. Nearly all that change the length of the header would end at the
//! first eight bytes, which say it; so these are made right, most of the time.

use libfuzzer_sys::fuzzer_mutate;
use serde::de::IgnoredAny;

/// Mutates the first `size` bytes of `data`; returns how many there are then, at most `most`.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let size = fuzzer_mutate(data, size, most);
    if !seed.is_multiple_of(8)
        && let Some((prefix, rest)) = data[..size].split_first_chunk_mut()
    {
        let mut objects = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        if objects.next().is_some_and(|object| object.is_ok()) {
            *prefix = (objects.byte_offset() as u64).to_le_bytes();
        }
    }
    size
}
