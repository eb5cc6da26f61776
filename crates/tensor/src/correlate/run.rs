//! Runs a plan: calls the algorithm of each arithmetic, with the scratch memory that it needs.

use crate::threads;
use crate::{Element, Scratch};

use super::direct::forward::{self, Forward};
use super::direct::input_gradient::{self, InputGradient};
use super::direct::{dot_products, outer_products};
use super::geometry::Geometry;
use super::plan::{Arithmetic, KernelArithmetic, Method};
use super::task::{Bias, Task, Weights};
use super::winograd::f4_1d::{self, F4Columns};
use super::winograd::f4_2d::{self, F4Tiles};
use super::winograd::{f4_1d_gradient, f4_2d_gradient, strips};

/// What is computed from planes and kernels.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Forward,
    InputGradient,
}

impl Direction {
    /// The layer as the method computes it.
    fn layer(self, layer: &Geometry, method: Method) -> Geometry {
        match (self, method.arithmetic) {
            (Self::Forward, _) | (_, Arithmetic::Direct) => *layer,
            (Self::InputGradient, _) => layer.adjoint(),
        }
    }

    /// The numbers and indices of scratch memory for `n` samples.
    pub(super) fn room<T>(
        self,
        layer: &Geometry,
        method: Method,
        n: usize,
        threads: usize,
    ) -> [usize; 2] {
        let layer = &self.layer(layer, method);
        let room = match (method.arithmetic, self) {
            (Arithmetic::Direct, Self::Forward) => forward::room(layer, method.schedule),
            (Arithmetic::Direct, _) => input_gradient::room::<T>(layer, method.schedule),
            (Arithmetic::Tiles, _) => f4_2d::room(layer, n),
            (Arithmetic::Columns, _) => f4_1d::room(layer),
        };
        threads::rooms(threads::parts(layer.multiply_adds(n), threads), room)
    }

    /// Computes `samples` as `method` says.
    pub(super) fn run<T: Element>(
        self,
        layer: &Geometry,
        method: Method,
        samples: usize,
        (input, kernels, bias, output): (&[T], &[T], Bias<'_, T>, &mut [T]),
        scratch: &mut Scratch<T>,
    ) {
        let threads = scratch.threads();
        let (numbers, indices) = scratch.take(self.room::<T>(layer, method, samples, threads));
        // Every part except the last has a multiple of `unit` planes.
        let (unit, run): (_, fn(Task<'_, T>)) = match (method.arithmetic, self) {
            (Arithmetic::Direct, Self::Forward) => (2, |task| Forward::launch(Forward(task))),
            (Arithmetic::Direct, Self::InputGradient) => {
                (1, |task| InputGradient::launch(InputGradient(task)))
            }
            (Arithmetic::Tiles, _) => (8, |task| F4Tiles::launch(F4Tiles(task))),
            (Arithmetic::Columns, _) => {
                (strips::KERNELS, |task| F4Columns::launch(F4Columns(task)))
            }
        };
        let (planes, adjoint) = match self {
            Self::Forward => (layer.kernels, false),
            Self::InputGradient => (layer.channels, true),
        };
        let unit = if layer.groups > 1 { planes } else { unit };
        let layer = self.layer(layer, method);
        let task = Task {
            layer,
            schedule: method.schedule,
            samples,
            planes: 0..planes,
            together: [method.schedule.samples_together(), unit],
            input,
            weights: Weights { numbers: kernels, adjoint },
            bias,
            output,
            numbers,
            indices,
        };
        let parts = threads::parts(layer.multiply_adds(samples), threads);
        threads::run_divided(task, parts, run);
    }
}

/// The gradient of the kernels, from input and output gradient of one sample or more.
pub(super) fn kernel_gradient<T: Element>(
    layer: &Geometry,
    arithmetic: KernelArithmetic,
    operands: [&[T]; 2],
    gradient: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let (n, threads) = (operands[0].len() / layer.input_shape().len(), scratch.threads());
    let of = |kernels| parts(layer, kernels, n, threads);
    match arithmetic {
        KernelArithmetic::Tiles => {
            f4_2d_gradient::sum(layer, operands, gradient, (scratch, of(layer.kernels)));
        }
        KernelArithmetic::Columns => {
            f4_1d_gradient::sum(layer, operands, gradient, (scratch, of(layer.kernels)));
        }
        KernelArithmetic::Direct { outer, dots } => {
            let (first, rest) = gradient.split_at_mut(outer * layer.taps());
            if outer > 0 {
                outer_products::sum(layer, outer, operands, first, (scratch, of(outer)));
            }
            if dots > 0 {
                dot_products::sum(layer, dots, operands, rest, (scratch, of(dots)));
            }
        }
    }
}

/// The numbers and indices of scratch memory that it takes for `n` samples.
pub(super) fn kernel_gradient_room<T>(
    layer: &Geometry,
    arithmetic: KernelArithmetic,
    n: usize,
    threads: usize,
) -> [usize; 2] {
    let of = |kernels| parts(layer, kernels, n, threads);
    match arithmetic {
        KernelArithmetic::Tiles => f4_2d_gradient::room(layer, n, of(layer.kernels)),
        KernelArithmetic::Columns => f4_1d_gradient::room(layer, n, of(layer.kernels)),
        KernelArithmetic::Direct { outer, dots } => {
            let outer = (outer > 0).then(|| outer_products::room::<T>(layer, outer, of(outer)));
            let dots = (dots > 0).then(|| dot_products::room(layer, n, of(dots)));
            outer.into_iter().chain(dots).fold([0; 2], larger)
        }
    }
}

/// How many parts the gradient of this many of the kernels is divided into.
fn parts(layer: &Geometry, kernels: usize, n: usize, threads: usize) -> usize {
    threads::parts(layer.multiply_adds(n) / layer.kernels * kernels, threads)
}

/// The larger of each.
pub(super) fn larger(a: [usize; 2], b: [usize; 2]) -> [usize; 2] {
    [a[0].max(b[0]), a[1].max(b[1])]
}
