//! The kernels of a network's convolutions.

use layers::Network;
use tensor::Element;

/// The kernels of one convolution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kernels<'a, T> {
    /// The name of their array, `0.weight`; inside of a residual block, `3.1.weight`.
    pub(crate) name: String,
    /// The layer's place in the network, and its summary.
    pub(crate) layer: (usize, String),
    /// `(D, C, KH, KW)`; of a transposed convolution, `(C, D, KH, KW)`.
    pub(crate) shape: [usize; 4],
    /// All of them, row-major.
    pub(crate) numbers: &'a [T],
}

impl<'a, T> Kernels<'a, T> {
    /// The `KH · KW` numbers of the kernel at these places on the first two axes.
    pub(crate) fn one(&self, [first, second]: [usize; 2]) -> &'a [T] {
        let [_, count, height, width] = self.shape;
        let area = height * width;
        &self.numbers[(first * count + second) * area..][..area]
    }
}

/// The kernels of each convolution, first to last, those inside of residual blocks too.
pub(crate) fn kernels<T: Element>(network: &Network<T>) -> Vec<Kernels<'_, T>> {
    let summaries: Vec<_> = network.layers().map(|layer| layer.spec.summary()).collect();
    // Of all parameters, these alone have four axes.
    let of_convolution = |(parameter, range): (layers::Parameter, std::ops::Range<usize>)| {
        let shape = parameter.shape.dims().try_into().ok()?;
        let layer: usize = parameter.name.split('.').next()?.parse().ok()?;
        let layer = (layer, summaries.get(layer)?.clone());
        Some(Kernels { name: parameter.name, layer, shape, numbers: &network.parameters()[range] })
    };
    network.named_parameters().into_iter().filter_map(of_convolution).collect()
}

#[cfg(test)]
mod tests {
    use layers::{Conv2d, Dense, Flatten, Network, Relu};

    use super::kernels;

    #[test]
    fn each_convolution_has_its_kernels() {
        let mut network: Network<f32> = Network::builder([2, 5, 5])
            .add(Conv2d::new(3, 3))
            .add(Relu)
            .add(Conv2d::new(4, 2))
            .add(Flatten)
            .add(Dense::new(2))
            .build()
            .unwrap();
        (0_u16..).zip(network.parameters_mut()).for_each(|(at, number)| *number = f32::from(at));
        let found = kernels(&network);
        let named: Vec<_> = found.iter().map(|k| (&*k.name, k.layer.0, k.shape)).collect();
        assert_eq!(named, [("0.weight", 0, [3, 2, 3, 3]), ("2.weight", 2, [4, 3, 2, 2])]);
        assert_eq!(found[0].one([1, 0])[0], 18.0);
        assert_eq!(found[0].one([2, 1])[8], 53.0);
    }
}
