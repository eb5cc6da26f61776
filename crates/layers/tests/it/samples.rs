//! Samples and networks with reproducible numbers.

use layers::random::{Purpose, Stream};
use layers::{InMemory, Inputs, LayerSpec, Network, NetworkSpec};
use tensor::Element;

/// Inputs and targets of `len` samples for `network`: normal ones, and those between 0 and 1.
pub fn arrays<T: Element>(network: &Network<T>, len: usize, seed: u64) -> [Vec<T>; 2] {
    let inputs = normal(len * network.input_shape().len(), seed);
    let mut stream = Stream::new(seed, Purpose::Shuffle, 1);
    let targets = (0..len * network.output_shape().len()).map(|_| stream.uniform());
    [inputs, targets.map(T::from_f64).collect()]
}

/// The samples that these are.
pub fn samples<T: Element>([inputs, targets]: [Vec<T>; 2], len: usize) -> InMemory<'static, T> {
    let outputs = targets.len() / len;
    Inputs::numbers(inputs).with_targets(targets, outputs).expect("a data set")
}

/// [`arrays`] as a data set.
pub fn random<T: Element>(network: &Network<T>, len: usize, seed: u64) -> InMemory<'static, T> {
    samples(arrays(network, len, seed), len)
}

/// Normal numbers from a stream that networks do not draw from.
pub fn normal<T: Element>(len: usize, seed: u64) -> Vec<T> {
    let mut stream = Stream::new(seed, Purpose::Shuffle, 0);
    (0..len).map(|_| T::from_f64(stream.normal())).collect()
}

/// A network with parameters from N(0, 0.5²), biases too.
pub fn network<T: Element>(input: &[usize], layers: &[LayerSpec]) -> Network<T> {
    let spec = NetworkSpec { input: input.to_vec(), layers: layers.to_vec() };
    let mut network = spec.build().unwrap_or_else(|error| panic!("{error}"));
    let parameters = normal::<T>(network.parameters().len(), 99);
    for (parameter, value) in network.parameters_mut().iter_mut().zip(parameters) {
        *parameter = value * T::from_f64(0.5);
    }
    network
}

pub fn nan<T: Element>(len: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); len]
}

/// The numbers' bytes: what must be equal where the same bits are promised.
pub fn bits<T: Element>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    T::extend_le_bytes(numbers, &mut bytes);
    bytes
}
