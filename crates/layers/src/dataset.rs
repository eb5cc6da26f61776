use std::borrow::Cow;
use std::fmt;

use tensor::{Element, image};

/// Samples with their targets, known by their index.
///
/// A [`Trainer`](crate::Trainer) asks for samples when it needs them, on several threads: they may
/// lie in memory, as those of [`Inputs`] do, or be computed.
pub trait Dataset<T>: Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes a sample's input and target, which are as long as the network's inputs and outputs.
    fn write(&self, index: usize, input: &mut [T], target: &mut [T]);
}

/// The inputs of samples in memory, one after another. Together with targets they are a data set:
///
/// ```
/// use layers::Inputs;
///
/// let images = [0_u8; 5 * 28 * 28];
/// let digits = Inputs::<f32>::bytes(&images).with_classes(&[3_u8, 1, 4, 1, 5], 10)?;
/// let error = Inputs::<f32>::bytes(&images).with_classes(&[3, 1, 4, 1, 10], 10).unwrap_err();
/// assert_eq!(error.to_string(), "data set: expected classes from 0 to 9, found 10 for sample 4");
///
/// let sums = Inputs::numbers(&[0.5, 1.5, -2.0, 7.0]).with_targets(&[2.0, 5.0], 1)?;
/// # Ok::<(), layers::DatasetError>(())
/// ```
///
/// The arrays are borrowed or owned: a `&Vec`, a slice or a `Vec` will do.
#[derive(Clone, Debug)]
pub struct Inputs<'a, T: Clone>(Stored<'a, T>);

#[derive(Clone, Debug)]
enum Stored<'a, T: Clone> {
    Numbers(Cow<'a, [T]>),
    Bytes(Cow<'a, [u8]>),
}

#[derive(Clone, Debug)]
enum Targets<'a, T: Clone> {
    Classes { labels: Vec<usize>, classes: usize },
    Numbers(Cow<'a, [T]>),
}

/// Samples in memory, made by [`Inputs::with_classes`] or [`Inputs::with_targets`].
#[derive(Clone, Debug)]
pub struct InMemory<'a, T: Clone> {
    inputs: Stored<'a, T>,
    targets: Targets<'a, T>,
    len: usize,
}

impl<'a, T: Element> Inputs<'a, T> {
    /// Numbers that the network gets as they are.
    pub fn numbers(numbers: impl Into<Cow<'a, [T]>>) -> Self {
        Self(Stored::Numbers(numbers.into()))
    }

    /// Bytes such as pixels, which the network gets divided by 255, as numbers from 0 to 1.
    pub fn bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self(Stored::Bytes(bytes.into()))
    }

    /// A data set of `classes` classes. `labels` holds the class of each sample, counted from 0;
    /// its target is 1 for that class and 0 for the others.
    ///
    /// # Errors
    /// If there are no samples, the inputs cannot be divided evenly among them, or a label is not a
    /// class.
    pub fn with_classes<L: Copy + fmt::Display + TryInto<usize>>(
        self,
        labels: &[L],
        classes: usize,
    ) -> Result<InMemory<'a, T>, DatasetError> {
        let class = |(sample, &label): (usize, &L)| {
            let class = label.try_into().ok().filter(|&class| class < classes);
            let found = || label.to_string();
            class.ok_or_else(|| DatasetError::Label { sample, found: found(), classes })
        };
        let labels = labels.iter().enumerate().map(class).collect::<Result<Vec<_>, _>>()?;
        let len = labels.len();
        self.with(Targets::Classes { labels, classes }, len)
    }

    /// A data set whose samples have a target of `outputs` numbers each.
    ///
    /// # Errors
    /// If there are no samples, or inputs or targets cannot be divided evenly among them.
    pub fn with_targets(
        self,
        targets: impl Into<Cow<'a, [T]>>,
        outputs: usize,
    ) -> Result<InMemory<'a, T>, DatasetError> {
        let targets = targets.into();
        let (found, len) = (targets.len(), targets.len().checked_div(outputs).unwrap_or(0));
        if len * outputs != found {
            return Err(DatasetError::Targets { found, outputs });
        }
        self.with(Targets::Numbers(targets), len)
    }

    fn with(self, targets: Targets<'a, T>, len: usize) -> Result<InMemory<'a, T>, DatasetError> {
        let Self(inputs) = self;
        let found = inputs.len();
        match found.checked_rem(len) {
            None => Err(DatasetError::Empty),
            Some(0) if found > 0 => Ok(InMemory { inputs, targets, len }),
            Some(_) => Err(DatasetError::Inputs { found, samples: len }),
        }
    }
}

impl<T: Clone> Stored<'_, T> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl<T: Element> Dataset<T> for InMemory<'_, T> {
    fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If the network has another number of inputs or outputs.
    fn write(&self, index: usize, input: &mut [T], target: &mut [T]) {
        let (len, wanted) = (self.inputs.len() / self.len, input.len());
        assert_eq!(len, wanted, "data set: expected {wanted} inputs a sample, as the network has");
        let place = index * len..(index + 1) * len;
        match &self.inputs {
            Stored::Numbers(numbers) => input.copy_from_slice(&numbers[place]),
            Stored::Bytes(bytes) => image::u8_to_unit(&bytes[place], input),
        }
        let wanted = target.len();
        let len = match &self.targets {
            Targets::Classes { classes, .. } => *classes,
            Targets::Numbers(numbers) => numbers.len() / self.len,
        };
        assert_eq!(len, wanted, "data set: expected {wanted} targets, as the network has outputs");
        match &self.targets {
            Targets::Classes { labels, .. } => {
                target.fill(T::ZERO);
                target[labels[index]] = T::ONE;
            }
            Targets::Numbers(numbers) => {
                target.copy_from_slice(&numbers[index * len..(index + 1) * len]);
            }
        }
    }
}

/// Some samples of a data set, in an order of their own: a batch, or a part to train on.
#[derive(Clone, Copy, Debug)]
pub struct Subset<'a, D> {
    data: &'a D,
    indices: &'a [usize],
}

impl<'a, D> Subset<'a, D> {
    /// The samples of `data` with these indices.
    pub fn new(data: &'a D, indices: &'a [usize]) -> Self {
        Self { data, indices }
    }
}

impl<T, D: Dataset<T>> Dataset<T> for Subset<'_, D> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn write(&self, index: usize, input: &mut [T], target: &mut [T]) {
        self.data.write(self.indices[index], input, target);
    }
}

/// Writes the samples from `first` on, as many as fit.
pub(crate) fn gather<T>(
    data: &impl Dataset<T>,
    first: usize,
    (inputs, input_len): (&mut [T], usize),
    (targets, target_len): (&mut [T], usize),
) {
    let rows = inputs.chunks_exact_mut(input_len).zip(targets.chunks_exact_mut(target_len));
    for (place, (input, target)) in rows.enumerate() {
        data.write(first + place, input, target);
    }
}

/// Why arrays are not a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetError {
    /// There are no targets, so no samples.
    Empty,
    /// The inputs cannot be divided evenly among the samples.
    Inputs {
        /// How many numbers there are.
        found: usize,
        /// How many samples there are: as many as targets.
        samples: usize,
    },
    /// The targets cannot be divided evenly among the samples.
    Targets {
        /// How many numbers there are.
        found: usize,
        /// How many targets a sample has.
        outputs: usize,
    },
    /// A label is not a class.
    Label {
        /// The sample's index.
        sample: usize,
        /// Its label.
        found: String,
        /// How many classes there are.
        classes: usize,
    },
}

impl fmt::Display for DatasetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data set: ")?;
        match self {
            Self::Empty => f.write_str("expected at least one sample, found no targets"),
            Self::Inputs { found, samples } => write!(
                f,
                "expected equally many inputs for each of {samples} samples, as there are \
                 {samples} targets, found {found} in all"
            ),
            Self::Targets { found, outputs } => {
                write!(f, "expected {outputs} targets for each sample, found {found} in all")
            }
            Self::Label { sample, found, classes: 0 } => {
                write!(f, "expected at least one class, found 0, and {found} for sample {sample}")
            }
            Self::Label { sample, found, classes } => {
                let last = classes - 1;
                write!(f, "expected classes from 0 to {last}, found {found} for sample {sample}")
            }
        }
    }
}

impl std::error::Error for DatasetError {}
