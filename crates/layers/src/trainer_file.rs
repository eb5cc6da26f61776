//! A trainer as the bytes of a safetensors file: what a checkpoint is made of.

use std::ops::Range;

use tensor::{Element, Shape};

use crate::layer::Parameter;
use crate::network::Network;
use crate::trainer::Trainer;
use crate::update::TrainerState;
use crate::weights::{NamedArray, metadata_of, open, read_numbers, save_arrays};
use crate::weights_header::WeightsError;

/// The key of `__metadata__` under which the number of steps stands.
const STEPS: &str = "steps";

/// The network and the state of a trainer as the bytes of a safetensors file, in the network's
/// precision, with the given `metadata`. Parameters and buffers have the names of
/// [`save_weights`](crate::save_weights); `momentum.`, `squares.` and `average.` stand before those
/// of the parameters that the numbers of [`TrainerState`] belong to.
///
/// # Errors
/// If a number is not finite, if `metadata` has the key `"steps"`, which is that of the number of
/// steps, or if it is larger than [`WeightsHeader`](crate::WeightsHeader) reads.
pub fn save_trainer<T: Element>(
    trainer: &Trainer<T>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, WeightsError> {
    save_trainer_and_best(trainer, None, metadata)
}

/// The same, and the numbers of another network like the trainer's, such as the best one so far,
/// with `best.` before their names.
///
/// # Errors
/// As [`save_trainer`].
///
/// # Panics
/// If that network has other layers.
pub fn save_trainer_and_best<T: Element>(
    trainer: &Trainer<T>,
    best: Option<&Network<T>>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, WeightsError> {
    let steps = trainer.state().steps.to_string();
    let own = [(STEPS, steps)];
    if metadata.iter().any(|(key, _)| *key == STEPS) {
        let complaint = format!("metadata: expected keys other than {STEPS:?}, found that one");
        return Err(WeightsError::new(complaint));
    }
    let metadata = metadata.iter().cloned().chain(own);
    let TrainerState { momentum, squares, average, .. } = trainer.state();
    let network = trainer.network();
    let of_best: [&[T]; 2] = best.map_or([&[], &[]], |best| [best.parameters(), best.buffers()]);
    let kept = [momentum, squares, average].map(|array| !array.is_empty());
    let places = places(network, kept, best.is_some());
    let arrays = places.into_iter().map(|Place { name, shape, of, range }| {
        let [best_parameters, best_buffers] = of_best;
        let numbers: [&[T]; 7] = [
            network.parameters(),
            network.buffers(),
            momentum,
            squares,
            average,
            best_parameters,
            best_buffers,
        ];
        NamedArray { name, shape, numbers: &numbers[of][range] }
    });
    save_arrays(&arrays.collect::<Vec<_>>(), metadata)
}

/// Continues with the network's numbers and the state that [`save_trainer`] made the bytes of.
///
/// # Errors
/// If the bytes are not such a file of a trainer like this one, in the same precision, or a number
/// is not finite; the message lists the arrays at fault. The trainer is then unchanged.
pub fn load_trainer<T: Element>(
    trainer: &mut Trainer<T>,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    load_trainer_and_best(trainer, None, bytes)
}

/// The same for the bytes that [`save_trainer_and_best`] made; `best` becomes the other network, if
/// there is one.
///
/// # Errors
/// As [`load_trainer`]; both are then unchanged.
///
/// # Panics
/// If `best` has other layers than the trainer's network.
pub fn load_trainer_and_best<T: Element>(
    trainer: &mut Trainer<T>,
    best: Option<&mut Network<T>>,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    let (header, body) = open(bytes)?;
    let steps = metadata_of(bytes)?.get(STEPS).and_then(|steps| steps.parse().ok());
    let steps = steps.ok_or_else(|| {
        WeightsError::new(format!("weights: expected the number of {STEPS} in __metadata__"))
    })?;
    let TrainerState { momentum, squares, average, .. } = trainer.state();
    let network = trainer.network();
    let of_best: [&[T]; 2] =
        best.as_ref().map_or([&[], &[]], |best| [best.parameters(), best.buffers()]);
    let kept = [momentum, squares, average].map(|array| !array.is_empty());
    let places = places(network, kept, best.is_some());
    let zeros = |array: &[T]| vec![T::ZERO; array.len()];
    let own: [&[T]; 5] = [network.parameters(), network.buffers(), momentum, squares, average];
    let mut numbers: Vec<_> = own.into_iter().chain(of_best).map(zeros).collect();
    let expected = places.iter().map(|place| (&*place.name, place.shape));
    header.require_exactly::<T>(expected)?;
    for Place { name, of, range, .. } in places {
        read_numbers((&header, body), &name, &mut numbers[of][range])?;
    }
    if let Some(best) = best {
        best.parameters_mut().copy_from_slice(&numbers[5]);
        best.buffers_mut().copy_from_slice(&numbers[6]);
    }
    let [parameters, buffers, momentum, squares, average] =
        [0, 1, 2, 3, 4].map(|of| std::mem::take(&mut numbers[of]));
    trainer.resume((&parameters, &buffers), TrainerState { steps, momentum, squares, average });
    Ok(())
}

/// An array of the file: a range of parameters, buffers, momentum, squares, average, or of the
/// parameters or buffers of the best network, counted from 0.
struct Place {
    name: String,
    shape: Shape,
    of: usize,
    range: Range<usize>,
}

/// All arrays of a trainer that keeps these of momentum, squares and average, and of another
/// network if `has_best`.
fn places<T: Element>(network: &Network<T>, kept: [bool; 3], has_best: bool) -> Vec<Place> {
    let place = |prefix: &str, of: usize, arrays: Vec<(Parameter, Range<usize>)>| {
        let named = |(array, range): (Parameter, Range<usize>)| Place {
            name: format!("{prefix}{}", array.name),
            shape: array.shape,
            of,
            range,
        };
        arrays.into_iter().map(named).collect::<Vec<_>>()
    };
    let mut places = place("", 0, network.named_parameters());
    places.extend(place("", 1, network.named_buffers()));
    let prefixes = ["momentum.", "squares.", "average."];
    for ((prefix, of), kept) in prefixes.into_iter().zip(2..).zip(kept) {
        if kept {
            places.extend(place(prefix, of, network.named_parameters()));
        }
    }
    if has_best {
        places.extend(place("best.", 5, network.named_parameters()));
        places.extend(place("best.", 6, network.named_buffers()));
    }
    places
}
