//! Where the numbers between layers lie: as few buffers as are in use at the same time.

/// Some numbers at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) len: usize,
}

/// The buffers, and which of them are in use.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    sizes: Vec<usize>,
    in_use: Vec<bool>,
}

impl Buffers {
    /// A buffer that is free, made as large as it has to be: the smallest that is large enough, or
    /// else the largest.
    pub(super) fn take(&mut self, len: usize) -> Place {
        let free = (0..self.sizes.len()).filter(|&buffer| !self.in_use[buffer]);
        let buffer = free.min_by_key(|&buffer| {
            let size = self.sizes[buffer];
            if size >= len { (0, size) } else { (1, usize::MAX - size) }
        });
        let buffer = buffer.unwrap_or_else(|| {
            self.sizes.push(0);
            self.in_use.push(false);
            self.sizes.len() - 1
        });
        self.sizes[buffer] = self.sizes[buffer].max(len);
        self.in_use[buffer] = true;
        Place { buffer, len }
    }

    /// The numbers at this place are no longer needed.
    pub(super) fn give_back(&mut self, place: Place) {
        self.in_use[place.buffer] = false;
    }

    pub(super) fn into_sizes(self) -> Vec<usize> {
        self.sizes
    }
}

/// The name of a buffer: `a`, `b`, …
pub(super) fn name(buffer: usize) -> String {
    match u8::try_from(buffer) {
        Ok(letter @ 0..26) => char::from(b'a' + letter).into(),
        _ => format!("buffer_{buffer}"),
    }
}
