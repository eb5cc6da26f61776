//! A layer with all its numbers for one sample, and the place in it that is looked at.

use layers::{LayerRun, LayerSpec, Mode, NetworkSpec};
use tensor::{Element, Scratch, Shape};

use super::calculation::{Calculation, Grid, Knob, Named, Part, Product, Rest, Step, Sum, Window};
use super::taps::{Taps, split};

/// A layer after both passes of one sample.
pub(super) struct Scene<'a, T> {
    pub(super) spec: &'a LayerSpec,
    pub(super) run: &'a LayerRun<'a, T>,
    pub(super) input: &'a [T],
    pub(super) input_gradient: &'a [T],
    /// The output that is looked at.
    pub(super) at: usize,
    /// The layer of the network that it is, or that it is inside of.
    pub(super) layer: usize,
    /// Where its parameters begin in that layer's; its inputs can be nudged only if it is that
    /// layer.
    pub(super) inside: Option<usize>,
    /// Of a residual block, the output of the layers inside and what comes back through them.
    pub(super) through: Option<[&'a [T]; 2]>,
}

/// The largest grid that is drawn number by number.
const LARGEST_GRID: [usize; 2] = [7, 7];

/// The most windows of a sum that are drawn.
const MOST_WINDOWS: usize = 2;

impl<T: Element> Scene<'_, T> {
    pub(super) fn input_shape(&self) -> Shape {
        self.run.layer().input_shape()
    }

    pub(super) fn output_shape(&self) -> Shape {
        self.run.layer().output_shape()
    }

    /// An input.
    pub(super) fn x(&self, place: usize) -> Named {
        Named::new(name("X", self.input_shape(), place), self.input[place].to_f64())
    }

    /// An output.
    pub(super) fn y(&self, place: usize) -> Named {
        Named::new(name("Y", self.output_shape(), place), self.run.output[place].to_f64())
    }

    /// The gradient of an output.
    pub(super) fn dy(&self, place: usize) -> Named {
        let gradient = self.run.output_gradient[place].to_f64();
        Named::new(name("∂E/∂Y", self.output_shape(), place), gradient)
    }

    /// The range of an array of parameters.
    pub(super) fn array(&self, name: &str) -> Option<(std::ops::Range<usize>, Shape)> {
        let mut start = 0;
        for array in self.run.layer().parameters() {
            let end = start + array.shape.len();
            if array.name == name {
                return Some((start..end, array.shape));
            }
            start = end;
        }
        None
    }

    pub(super) fn parameters(&self, name: &str) -> &[T] {
        self.array(name).map_or(&[], |(range, _)| &self.run.parameters[range])
    }

    /// The step that computes the output that is looked at.
    pub(super) fn forward(&self, formula: impl Into<String>, calculation: Calculation) -> Step {
        let Named { name, value } = self.y(self.at);
        let (title, formula) = ("forward".into(), formula.into());
        Step { title, name, formula, calculation, value, knob: None, nudge: None }
    }

    /// The step that computes the gradient of an input.
    pub(super) fn input_step(
        &self,
        place: usize,
        formula: impl Into<String>,
        calculation: Calculation,
    ) -> Step {
        let knob = Knob::Input { layer: self.layer, place };
        Step {
            title: "gradient of the input".into(),
            name: name("∂E/∂X", self.input_shape(), place),
            formula: formula.into(),
            calculation,
            value: self.input_gradient[place].to_f64(),
            knob: self.inside.is_none().then_some(knob),
            nudge: None,
        }
    }

    /// The step that computes the gradient of a parameter, `place` being among the layer's.
    pub(super) fn parameter_step(
        &self,
        (title, name): (&str, String),
        place: usize,
        formula: impl Into<String>,
        calculation: Calculation,
    ) -> Step {
        let offset = self.inside.unwrap_or(0);
        Step {
            title: title.into(),
            name,
            formula: formula.into(),
            calculation,
            value: self.run.gradients[place].to_f64(),
            knob: Some(Knob::Parameter { layer: self.layer, place: offset + place }),
            nudge: None,
        }
    }

    /// The derivative of an activation at `place`, by the layer's own backward pass of ones.
    pub(super) fn derivative(&self, place: usize) -> f64 {
        let mut run = LayerRun::new(self.run.layer(), 1, Mode::Inference);
        run.output.copy_from_slice(&self.run.output);
        run.output_gradient.fill(T::ONE);
        let mut derivatives = vec![T::ZERO; self.input.len()];
        run.backward(self.input, Some(&mut derivatives), &mut Scratch::sequential());
        derivatives[place].to_f64()
    }

    /// The output that is looked at, as a function of these numbers.
    pub(super) fn output_of(&self, numbers: Vec<Named>) -> Calculation {
        let value = self.in_f64().map(|[output, _]| output);
        Calculation::Function { numbers, value }
    }

    /// The gradient of the input at the same place, as a function of these numbers.
    pub(super) fn input_gradient_of(&self, numbers: Vec<Named>) -> Calculation {
        let value = self.in_f64().map(|[_, gradient]| gradient);
        Calculation::Function { numbers, value }
    }

    /// The output that is looked at and the gradient of the input at the same place, which the
    /// layer computes in `f64` from the numbers that it has here.
    fn in_f64(&self) -> Option<[f64; 2]> {
        let wide = |numbers: &[T]| -> Vec<f64> { numbers.iter().map(|x| x.to_f64()).collect() };
        let (input, layers) = (self.input_shape().dims().to_vec(), vec![self.spec.clone()]);
        let network = NetworkSpec { input, layers }.build::<f64>().ok()?;
        let layer = network.layers().next()?;
        let mut run = layer.run(layer.layer, 1, Mode::Inference);
        run.parameters.copy_from_slice(&wide(&self.run.parameters));
        run.buffers.copy_from_slice(&wide(&self.run.buffers));
        let (input, mut scratch) = (wide(self.input), Scratch::sequential());
        run.forward(&input, &mut scratch);
        run.output_gradient.copy_from_slice(&wide(&self.run.output_gradient));
        let mut gradient = vec![0.0; input.len()];
        run.backward(&input, Some(&mut gradient), &mut scratch);
        Some([run.output[self.at], *gradient.get(self.at)?])
    }

    /// The input with the largest gradient, of these.
    pub(super) fn steepest(&self, inputs: impl IntoIterator<Item = usize>) -> Option<usize> {
        largest(inputs.into_iter().map(|place| (place, self.input_gradient[place].to_f64().abs())))
    }

    /// The parameter with the largest gradient, of these.
    pub(super) fn steepest_parameter(&self, places: impl IntoIterator<Item = usize>) -> usize {
        let gradient = |place: usize| self.run.gradients[place].to_f64().abs();
        largest(places.into_iter().map(|place| (place, gradient(place)))).unwrap_or(0)
    }
}

/// The first of the places with the largest number.
pub(super) fn largest(numbers: impl Iterator<Item = (usize, f64)>) -> Option<usize> {
    let larger = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    numbers.reduce(larger).map(|(place, _)| place)
}

/// A symbol with its indices: `X_2[5,7]` in planes, `X[3]` in a row of numbers.
pub(super) fn name(symbol: &str, shape: Shape, place: usize) -> String {
    match *shape.dims() {
        [channels, height, width] => {
            let [c, y, x] = split(place, [channels, height, width]);
            format!("{symbol}_{c}[{y},{x}]")
        }
        [rows, columns] => {
            let [row, column] = split(place, [rows, columns]);
            format!("{symbol}[{row},{column}]")
        }
        _ => format!("{symbol}[{place}]"),
    }
}

/// A sum over planes of products, of which `left` and `right` are the factors' names for a plane
/// and their numbers: in windows if they are small, of the planes that add most; else number by
/// number. `part` is what a plane is called, `each` the names of single factors.
pub(super) fn sum_of_planes<T: Element>(
    planes: &[Taps],
    (left, right): (&[T], &[T]),
    names: impl Fn(usize) -> [String; 2],
    part: &str,
    each: impl Fn(usize, usize) -> [String; 2],
) -> Sum {
    let number = |numbers: &[T], place: usize| numbers[place].to_f64();
    let terms = planes.iter().map(|plane| plane.pairs.len()).sum();
    let rows = planes.first().map_or(0, |plane| plane.pairs.len() / plane.columns.max(1));
    let columns = planes.first().map_or(0, |plane| plane.columns);
    if rows > LARGEST_GRID[0] || columns > LARGEST_GRID[1] {
        let pairs = planes.iter().flat_map(|plane| &plane.pairs);
        let products = pairs.filter_map(|&(at, to)| {
            let at = at?;
            let [left_name, right_name] = each(at, to);
            let (left, right) = (number(left, at), number(right, to));
            Some(Product {
                left: Named::new(left_name, left),
                right: Named::new(right_name, right),
            })
        });
        return Sum::of_largest(products.collect());
    }
    let window = |plane: &Taps| {
        let [left_name, right_name] = names(plane.plane);
        let grid = |name, values, outside| Grid { name, columns: plane.columns, values, outside };
        let inside = plane.pairs.iter().map(|&(at, _)| at);
        let values = inside.clone().map(|at| at.map_or(0.0, |at| number(left, at))).collect();
        let outside = inside.map(|at| at.is_none()).collect();
        let factors = plane.pairs.iter().map(|&(_, to)| number(right, to)).collect();
        Window {
            plane: plane.plane,
            left: grid(left_name, values, outside),
            right: grid(right_name, factors, vec![false; plane.pairs.len()]),
        }
    };
    let mut windows: Vec<_> = planes.iter().map(|plane| (plane.plane, window(plane))).collect();
    windows.sort_by(|a, b| b.1.sum().abs().total_cmp(&a.1.sum().abs()));
    let others = windows.split_off(MOST_WINDOWS.min(windows.len()));
    let products: Vec<_> = others.iter().flat_map(|(_, window)| window.products()).collect();
    let rest = Rest::of(&products, "").map(|rest| {
        let plural = if others.len() == 1 { "" } else { "s" };
        Part::Rest(Rest { name: format!("{} other {part}{plural}", others.len()), ..rest })
    });
    let windows = windows.into_iter().map(|(_, window)| Part::Window(window));
    Sum { parts: windows.chain(rest).collect(), terms }
}
