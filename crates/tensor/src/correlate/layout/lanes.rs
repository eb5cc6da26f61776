//! How many lanes vectors have, and which vectors a row is divided into.

/// Lanes of the widest vector. Lines of numbers are padded to a multiple of it, and followed by as
/// many numbers again, which the last vector may read or write.
pub(crate) const MOST_LANES: usize = 16;

/// Lanes of a vector of 512 bits.
pub(crate) const fn wide<T>() -> usize {
    64 / size_of::<T>()
}

/// Lanes of a vector of 256 bits.
pub(crate) const fn narrow<T>() -> usize {
    32 / size_of::<T>()
}

/// Whether vectors of 512 bits compute no more positions of a row than vectors of 256 bits.
pub(crate) const fn fits_wide<T>(row: usize) -> bool {
    row >= wide::<T>() && row.next_multiple_of(wide::<T>()) == row.next_multiple_of(narrow::<T>())
}
