use crate::{Buffer, Element, threads};

/// Memory that operations work in, owned by the caller and reused.
///
/// It grows when an operation needs more, so from the second call with the same sizes on nothing is
/// allocated. Between operations its contents are meaningless.
///
/// It also says how many threads an operation may use: passes that run side by side each use
/// [`Scratch::sequential`].
#[derive(Clone, Debug)]
pub struct Scratch<T> {
    numbers: Buffer<T>,
    indices: Vec<usize>,
    threads: usize,
    limit: usize,
}

impl<T: Element> Scratch<T> {
    /// Scratch for operations that stay on the calling thread.
    pub fn sequential() -> Self {
        Self { numbers: Buffer::default(), indices: Vec::new(), threads: 1, limit: usize::MAX }
    }

    /// Scratch for operations that may use all threads of the current pool.
    pub fn parallel() -> Self {
        Self { threads: threads::available(), ..Self::sequential() }
    }

    /// How many threads an operation may use.
    pub fn threads(&self) -> usize {
        self.threads.min(self.limit)
    }

    /// Limits operations to at most `threads` of the threads that they may use.
    ///
    /// # Panics
    /// If `threads` is 0.
    #[track_caller]
    pub fn limit_threads(&mut self, threads: usize) {
        assert!(threads > 0, "threads of an operation: expected at least 1");
        self.limit = threads;
    }

    /// How many numbers and indices it has room for.
    pub fn room(&self) -> [usize; 2] {
        [self.numbers.len(), self.indices.len()]
    }

    /// Makes room for this many numbers and indices, if there is less.
    pub fn make_room(&mut self, [numbers, indices]: [usize; 2]) {
        if self.numbers.len() < numbers {
            // The old memory is freed first, so that both are never held at once.
            self.numbers = Buffer::default();
            self.numbers = Buffer::zeros(numbers);
        }
        if self.indices.len() < indices {
            self.indices.resize(indices, 0);
        }
    }

    /// This many numbers and indices, with any contents.
    pub(crate) fn take(&mut self, [numbers, indices]: [usize; 2]) -> (&mut [T], &mut [usize]) {
        self.make_room([numbers, indices]);
        (&mut self.numbers[..numbers], &mut self.indices[..indices])
    }

    /// `len` numbers with any contents.
    pub fn numbers(&mut self, len: usize) -> &mut [T] {
        self.take([len, 0]).0
    }
}

impl<T: Element> Default for Scratch<T> {
    fn default() -> Self {
        Self::sequential()
    }
}
