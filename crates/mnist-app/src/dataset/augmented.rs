//! Samples as training meets them.

use layers::Dataset;
use tensor::Element;

use super::samples::Samples;
use crate::augmentation::Augmenter;

/// Samples as an epoch of training meets them: their images deformed, if there is an augmenter.
#[derive(Clone, Copy, Debug)]
pub struct Augmented<'a> {
    /// The samples.
    pub samples: &'a Samples,
    /// What deforms their images.
    pub augmenter: Option<&'a Augmenter>,
    /// The epoch, counted from 1: the deformations depend on it.
    pub epoch: usize,
}

impl<T: Element> Dataset<T> for Augmented<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn write(&self, index: usize, input: &mut [T], target: &mut [T]) {
        let Self { samples, augmenter, epoch } = self;
        match augmenter {
            Some(augmenter) => {
                augmenter.write(samples.image(index), (*epoch, index), input);
                samples.normalization().apply(input);
            }
            None => samples.write_image(index, input),
        }
        samples.write_target(index, target);
    }
}
