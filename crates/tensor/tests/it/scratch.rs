//! What operations say that they will work in is what they take.

use tensor::{Bias, Correlation, Element, Scratch, Sweep};

/// Numbers below `bound` from a small generator.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    /// A layer, some of large strides, and some that minimal filtering computes.
    fn correlation(&mut self) -> Option<Correlation> {
        let groups = [1, 1, 1, 2][self.below(4)];
        let channels = groups * [1, 2, 3, 16, 33][self.below(5)];
        let kernels = groups * [1, 2, 5, 16, 40][self.below(5)];
        let input = [channels, 1 + self.below(20), 1 + self.below(20)];
        let kernel = [[3, 3], [3, 3], [1 + self.below(5), 1 + self.below(5)]][self.below(3)];
        let pad = kernel.map(|side| [self.below(side + 2), self.below(side + 2)]);
        let stride = || [1, 1, 2, 3, 7, 100_000, usize::MAX];
        let stride = [stride()[self.below(7)], stride()[self.below(7)]];
        let dilation = [1, 1, 2, 3];
        let dilation = [dilation[self.below(4)], dilation[self.below(4)]];
        Correlation::with_sweep(
            input,
            kernels,
            kernel,
            Sweep { padding: pad, stride, dilation, groups },
        )
        .ok()
    }
}

/// The room that a forward pass and both gradients take.
fn taken<T: Element>(layer: &Correlation, n: usize, threads: usize) -> [usize; 2] {
    let zeros = |len| vec![T::ZERO; len];
    let mut scratch = Scratch::parallel();
    scratch.limit_threads(threads);
    let mut input = zeros(n * layer.input_shape().len());
    let mut kernels = zeros(layer.kernels_shape().len());
    let mut output = zeros(n * layer.output_shape().len());
    layer.forward(&input, &kernels, Bias::None, &mut output, &mut scratch);
    layer.kernel_gradient(&input, &output, &mut kernels, &mut scratch);
    layer.input_gradient(&output, &kernels, &mut input, &mut scratch);
    scratch.room()
}

fn is_what_is_taken<T: Element>(layer: &Correlation, n: usize, threads: usize) {
    let said = layer.scratch::<T>(n, threads);
    let mut most = [0; 2];
    for count in 1..=n {
        let taken = taken::<T>(layer, count, threads);
        most = [most[0].max(taken[0]), most[1].max(taken[1])];
    }
    assert_eq!(said, most, "{n} samples on {threads} threads: {layer:?}");
}

#[test]
fn a_correlation_takes_what_it_says() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("a pool");
    let mut draws = Draws(5);
    let mut layers = 0;
    while layers < 150 {
        let Some(layer) = draws.correlation() else { continue };
        let (n, threads) = (1 + draws.below(18), 1 + draws.below(3));
        pool.install(|| {
            is_what_is_taken::<f32>(&layer, n, threads);
            is_what_is_taken::<f64>(&layer, n, threads);
        });
        layers += 1;
    }
}

#[test]
fn a_stride_takes_no_more_than_copies_of_the_input() {
    let sweep = |stride: usize| Sweep { stride: [stride; 2], ..Sweep::default() };
    for stride in [8, 27, 100_000, 1 << 31, usize::MAX] {
        let layer = Correlation::with_sweep([3, 28, 28], 4, [3, 3], sweep(stride)).expect("fits");
        let [numbers, indices] = layer.scratch::<f32>(16, 1);
        // Phases of the stride fill up to twice as many rows and columns.
        let most = 4 * 16 * layer.input_shape().len() + 10_000;
        assert!(numbers < most && indices < 10_000, "stride {stride}: {numbers}, {indices}");
    }
    let layer = Correlation::with_sweep([3, 28, 28], 4, [3, 3], sweep(1)).expect("fits");
    assert_eq!(layer.scratch::<f32>(usize::MAX, usize::MAX), [usize::MAX; 2]);
}
