use tensor::{Element, reduce};

/// The class that a prediction stands for: the first of its largest numbers. None where one is
/// NaN, or the largest infinite: the network has overflowed, and nobody knows which it would be.
pub fn answer<T: Element>(prediction: &[T]) -> Option<usize> {
    reduce::argmax(prediction).filter(|&place| prediction[place].is_finite())
}

/// Whether a prediction stands for the class where the target has its largest number.
pub fn is_right<T: Element>(prediction: &[T], target: &[T]) -> bool {
    answer(prediction).is_some_and(|place| reduce::argmax(target) == Some(place))
}
