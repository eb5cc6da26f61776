use tensor::{Element, reduce};

use crate::loss::Loss;

/// The class that a prediction stands for: the index of its largest number, the first of equal
/// ones. `None` if a number is NaN or the largest is infinite: the network has overflowed, and the
/// class is unknown.
pub fn answer<T: Element>(prediction: &[T]) -> Option<usize> {
    reduce::argmax(prediction).filter(|&place| prediction[place].is_finite())
}

/// Whether the prediction's class is the index of the target's largest number.
pub fn is_right<T: Element>(prediction: &[T], target: &[T]) -> bool {
    answer(prediction).is_some_and(|place| reduce::argmax(target) == Some(place))
}

/// Writes the loss of each sample; returns how many predictions are right.
pub(crate) fn score<T: Element>(
    loss: &Loss,
    predictions: &[T],
    targets: &[T],
    losses: &mut [f64],
) -> usize {
    let width = targets.len() / losses.len();
    let pairs = predictions.chunks_exact(width).zip(targets.chunks_exact(width));
    let mut correct = 0;
    for ((prediction, target), value) in pairs.zip(losses) {
        *value = loss.value(prediction, target);
        correct += usize::from(is_right(prediction, target));
    }
    correct
}
