use std::ops::{Deref, DerefMut};

use crate::Element;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Owned numbers, the first of which starts a cache line of 64 bytes.
///
/// A `Vec` is only aligned to its element, and reading a vector of 512 bits that crosses a cache
/// line takes two accesses. In a `Buffer`, rows whose length is a multiple of a vector's never
/// cross one.
#[derive(Debug)]
pub struct Buffer<T> {
    /// A cache line longer than needed, for the alignment; it never grows, since that could move
    /// it.
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Element> Buffer<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self::filled(T::ZERO, len)
    }
}

impl<T: Clone> Buffer<T> {
    fn filled(value: T, len: usize) -> Self {
        let memory =
            vec![value; if len == 0 { 0 } else { len.saturating_add(LINE / size_of::<T>()) }];
        // `align_offset` may fail in an interpreter; then any start will do.
        let start = memory.as_ptr().align_offset(LINE).min(memory.len() - len);
        Self { memory, start, len }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.memory[self.start..][..self.len]
    }
}

impl<T> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..][..self.len]
    }
}

impl<T: Clone> From<&[T]> for Buffer<T> {
    fn from(numbers: &[T]) -> Self {
        let Some(first) = numbers.first() else { return Self::default() };
        let mut buffer = Self::filled(first.clone(), numbers.len());
        buffer.clone_from_slice(numbers);
        buffer
    }
}

impl<T: Clone> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self { memory: Vec::new(), start: 0, len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, LINE};

    #[test]
    fn numbers_start_a_line_also_in_a_copy() {
        for len in [0, 1, 15, 16, 17, 1000, 1 << 20] {
            let mut buffer = Buffer::<f32>::zeros(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|&number| number == 0.0));
            buffer.fill(2.0);
            let copy = buffer.clone();
            assert_eq!(*copy, *buffer);
            for numbers in [&buffer, &copy] {
                let at = numbers.as_ptr().addr();
                assert!(len == 0 || at.is_multiple_of(LINE), "{len} numbers at {at}");
            }
        }
    }
}
