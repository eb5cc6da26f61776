//! How one number comes about: what is multiplied, added, compared.

use serde::Serialize;

/// A number with its name in the formulas.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) value: f64,
}

impl Named {
    pub(crate) fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

/// A part of a plane.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Grid {
    pub(crate) name: String,
    pub(crate) columns: usize,
    /// Row by row.
    pub(crate) values: Vec<f64>,
    /// For each value, whether it is a zero beyond the plane's edges.
    pub(crate) outside: Vec<bool>,
}

/// Two grids that are multiplied number by number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Window {
    /// The plane that the left one is a part of.
    pub(crate) plane: usize,
    pub(crate) left: Grid,
    pub(crate) right: Grid,
}

impl Window {
    /// The products, row by row. Of two `f32` each is exact.
    pub(crate) fn products(&self) -> impl Iterator<Item = f64> {
        self.left.values.iter().zip(&self.right.values).map(|(left, right)| left * right)
    }

    /// The same in the window's form.
    pub(crate) fn grid_of_products(&self) -> Grid {
        let Grid { columns, ref outside, .. } = self.left;
        let (values, outside) = (self.products().collect(), outside.clone());
        Grid { name: "products".into(), columns, values, outside }
    }

    pub(crate) fn sum(&self) -> f64 {
        self.products().sum()
    }
}

/// A product of two named numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Product {
    pub(crate) left: Named,
    pub(crate) right: Named,
}

impl Product {
    pub(crate) fn value(&self) -> f64 {
        self.left.value * self.right.value
    }
}

/// What is added up and not shown one by one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rest {
    /// What they are, in words: `667 other products`.
    pub(crate) name: String,
    pub(crate) sum: f64,
    /// The sum of their absolute values.
    pub(crate) size: f64,
}

impl Rest {
    /// Of so many numbers, if there are any.
    pub(crate) fn of(numbers: &[f64], what: &str) -> Option<Self> {
        (!numbers.is_empty()).then(|| Self {
            name: format!("{} {what}", numbers.len()),
            sum: numbers.iter().sum(),
            size: numbers.iter().map(|x| x.abs()).sum(),
        })
    }
}

/// A part of a sum.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Window(Window),
    Product(Product),
    Rest(Rest),
    Number(Named),
}

impl Part {
    fn value(&self) -> f64 {
        match self {
            Self::Window(window) => window.sum(),
            Self::Product(product) => product.value(),
            Self::Rest(rest) => rest.sum,
            Self::Number(number) => number.value,
        }
    }

    /// The sum of the absolute values of what is in it.
    #[cfg(test)]
    fn size(&self) -> f64 {
        match self {
            Self::Window(window) => window.products().map(f64::abs).sum(),
            Self::Rest(rest) => rest.size,
            Self::Product(_) | Self::Number(_) => self.value().abs(),
        }
    }
}

/// A sum, in the order in which it is shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sum {
    pub(crate) parts: Vec<Part>,
    /// How many numbers are added in all.
    pub(crate) terms: usize,
}

impl Sum {
    /// The parts, added in `f64`.
    pub(crate) fn total(&self) -> f64 {
        self.parts.iter().map(Part::value).sum()
    }

    /// The sum of the absolute values, which rounding errors are relative to.
    #[cfg(test)]
    pub(crate) fn size(&self) -> f64 {
        self.parts.iter().map(Part::size).sum()
    }

    /// A single product.
    pub(crate) fn of_product(left: Named, right: Named) -> Self {
        Self { parts: vec![Part::Product(Product { left, right })], terms: 1 }
    }

    /// The products with the largest absolute values, largest first, and the sum of the others.
    pub(crate) fn of_largest(mut products: Vec<Product>) -> Self {
        const MOST: usize = 8;
        let terms = products.len();
        products.sort_by(|a, b| b.value().abs().total_cmp(&a.value().abs()));
        // One more line says as much as a line about the rest.
        let shown = if terms == MOST + 1 { terms } else { MOST.min(terms) };
        let others: Vec<_> = products.split_off(shown).iter().map(Product::value).collect();
        let rest = Rest::of(&others, "other products").map(Part::Rest);
        Self { parts: products.into_iter().map(Part::Product).chain(rest).collect(), terms }
    }

    /// The numbers with the largest absolute values, and the sum of the others.
    pub(crate) fn of_numbers(mut numbers: Vec<Named>) -> Self {
        const MOST: usize = 5;
        let terms = numbers.len();
        numbers.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        let others = numbers.split_off(MOST.min(terms));
        let others: Vec<_> = others.iter().map(|number| number.value).collect();
        let rest = Rest::of(&others, "others").map(Part::Rest);
        Self { parts: numbers.into_iter().map(Part::Number).chain(rest).collect(), terms }
    }

    /// The same with one more number.
    pub(crate) fn plus(mut self, number: Option<Named>) -> Self {
        self.terms += usize::from(number.is_some());
        self.parts.extend(number.map(Part::Number));
        self
    }
}

/// What a number is computed from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Calculation {
    /// It is a sum.
    Sum(Sum),
    /// It is another function of these numbers; `value` is that function in `f64`.
    Function { numbers: Vec<Named>, value: Option<f64> },
    /// It is the largest of a grid's numbers, at `at`.
    Largest { grid: Grid, at: usize },
    /// A gradient goes to the largest of each window: the sum of what these outputs send here.
    Routes { grid: Grid, at: usize, from: Vec<Named> },
}

/// One number and how it comes about.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    /// What it is, in words.
    pub(crate) title: String,
    /// What it is called in the formula, with its place: `Y_2[5,7]`.
    pub(crate) name: String,
    /// The formula for this place.
    pub(crate) formula: String,
    pub(crate) calculation: Calculation,
    /// The number as the library computed it.
    pub(crate) value: f64,
    /// The number whose derivative it is, if it can be nudged.
    #[serde(skip)]
    pub(crate) knob: Option<Knob>,
    /// What nudging that number does to the loss.
    pub(crate) nudge: Option<Nudge>,
}

/// A number that can be changed to see what the loss does.
#[derive(Clone, Debug)]
pub(crate) enum Knob {
    /// A parameter of the layer, by its place among the layer's parameters.
    Parameter { layer: usize, place: usize },
    /// A number in the layer's input.
    Input { layer: usize, place: usize },
    /// An output of the network.
    Output { place: usize },
}

/// The loss with one number a little larger and a little smaller, in `f64`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Nudge {
    /// The number that is nudged.
    pub(crate) name: String,
    /// How far.
    pub(crate) step: f64,
    /// The loss with the number larger, and smaller, by the step.
    pub(crate) above: f64,
    pub(crate) below: f64,
    /// `(above − below) / (2 step)`.
    pub(crate) quotient: f64,
    /// The gradient by the backward pass of the network in `f64`.
    pub(crate) gradient: f64,
}

impl Nudge {
    /// To how many digits quotient and gradient agree; `None` if both are 0 within the rounding of
    /// the losses.
    pub(crate) fn digits(&self) -> Option<u32> {
        // One more is shown.
        const MOST: u32 = 9;
        let size = self.quotient.abs().max(self.gradient.abs());
        let distance = (self.quotient - self.gradient).abs();
        if size <= self.rounding() {
            return None;
        }
        let agrees = |digits: &u32| distance <= size * 10_f64.powi(-digits.cast_signed());
        Some((1..=MOST).take_while(agrees).last().unwrap_or(0))
    }

    /// Whether quotient and gradient are further apart than the rounding of the losses explains.
    pub(crate) fn bends(&self) -> bool {
        (self.quotient - self.gradient).abs() > self.rounding()
    }

    /// What the rounding of the losses makes of the quotient, at most.
    fn rounding(&self) -> f64 {
        4.0 * f64::EPSILON * self.above.abs().max(self.below.abs()) / self.step
    }
}
