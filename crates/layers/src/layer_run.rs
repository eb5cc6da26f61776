use tensor::{Buffer, Element, Scratch};

use crate::layer::{Context, Layer, Mode, Pass, start_values};

/// One layer outside a network's passes, with its numbers for `N` samples: to time it, to check it,
/// or to look at everything it computes.
///
/// The scratch memory is lent to each call, so that layers which run one after another share it.
///
/// ```
/// use layers::{LayerRun, LayerSpec, Mode, Relu};
/// use tensor::{Scratch, Shape};
///
/// let layer = LayerSpec::from(Relu).build::<f32>(Shape::from([3]))?;
/// let mut run = LayerRun::new(&*layer, 1, Mode::training());
/// let mut scratch = Scratch::sequential();
/// let (input, mut input_gradient) = ([-1.0, 0.0, 2.0], [0.0; 3]);
/// run.forward(&input, &mut scratch);
/// assert_eq!(*run.output, [0.0, 0.0, 2.0]);
/// run.output_gradient.fill(1.0);
/// run.backward(&input, Some(&mut input_gradient), &mut scratch);
/// assert_eq!(input_gradient, [0.0, 0.0, 1.0]);
/// # Ok::<(), tensor::ShapeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerRun<'a, T> {
    layer: &'a dyn Layer<T>,
    mode: Mode,
    /// The parameters, one array after another: see [`Layer::parameters`].
    pub parameters: Buffer<T>,
    /// The buffers, one array after another: see [`Layer::buffers`].
    pub buffers: Vec<T>,
    /// The output `(N, …)`, written by [`LayerRun::forward`].
    pub output: Buffer<T>,
    /// The gradient of the loss with respect to the output, `(N, …)`, from which
    /// [`LayerRun::backward`] starts.
    pub output_gradient: Buffer<T>,
    /// The gradient of the loss with respect to the parameters, in their order.
    pub gradients: Buffer<T>,
    /// See [`Layer::batch_statistics`].
    pub batch_statistics: Vec<T>,
    memory: Buffer<T>,
}

impl<'a, T: Element> LayerRun<'a, T> {
    /// For `samples` samples, with the buffers of an untrained network and all parameters 0. What a
    /// pass computes is NaN before it.
    pub fn new(layer: &'a dyn Layer<T>, samples: usize, mode: Mode) -> Self {
        let nan = |len| {
            let mut numbers = Buffer::zeros(len);
            numbers.fill(T::from_f64(f64::NAN));
            numbers
        };
        let parameters = layer.parameters().iter().map(|array| array.shape.len()).sum();
        let output = nan(samples * layer.output_shape().len());
        Self {
            layer,
            mode,
            parameters: Buffer::zeros(parameters),
            buffers: layer.buffers().iter().flat_map(start_values).collect(),
            output_gradient: output.clone(),
            output,
            gradients: nan(parameters),
            batch_statistics: nan(layer.batch_statistics()).to_vec(),
            memory: nan(samples * layer.memory()),
        }
    }

    /// The layer.
    pub fn layer(&self) -> &'a dyn Layer<T> {
        self.layer
    }

    /// Computes the output for `input`, `(N, …)`.
    pub fn forward(&mut self, input: &[T], scratch: &mut Scratch<T>) {
        let Self { layer, mode, parameters, buffers, output, batch_statistics, memory, .. } = self;
        let context = Context { scratch, mode: *mode, buffers, batch_statistics, memory };
        layer.forward(parameters, input, output, context);
    }

    /// Computes the gradients from [`LayerRun::output_gradient`], after a forward pass with the
    /// same `input`: of the parameters, and of the input, `(N, …)`, if it is asked for.
    pub fn backward(
        &mut self,
        input: &[T],
        input_gradient: Option<&mut [T]>,
        scratch: &mut Scratch<T>,
    ) {
        let Self { layer, mode, parameters, buffers, batch_statistics, memory, .. } = self;
        let pass = Pass { input, output: &self.output, output_gradient: &self.output_gradient };
        let context = Context { scratch, mode: *mode, buffers, batch_statistics, memory };
        layer.backward(parameters, pass, &mut self.gradients, input_gradient, context);
    }

    /// The same with a step of gradient descent: see [`Layer::backward_and_step`].
    pub fn backward_and_step(
        &mut self,
        input: &[T],
        rate: T,
        input_gradient: Option<&mut [T]>,
        scratch: &mut Scratch<T>,
    ) {
        let Self { layer, mode, parameters, buffers, gradients, batch_statistics, memory, .. } =
            self;
        let pass = Pass { input, output: &self.output, output_gradient: &self.output_gradient };
        let context = Context { scratch, mode: *mode, buffers, batch_statistics, memory };
        layer.backward_and_step(parameters, rate, pass, gradients, input_gradient, context);
    }
}
