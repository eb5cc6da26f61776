use serde::{Deserialize, Serialize};
use tensor::activation::{self, Activation, DerivedFrom};
use tensor::{Element, Shape, ShapeError};

use crate::layer::{Context, InPlace, Layer, Mode, Pass};
use crate::layer_config::{LayerConfig, Outputs};
use crate::operation::{Function, Operation};
use crate::tagged::not_negative;

/// Declares an activation, whose function is the one of the same name in `tensor`: its type, its
/// name in text, the number that sets it with its default, its largest derivative, and what is
/// known of its outputs.
macro_rules! activation {
    (
        $(#[$attribute:meta])*
        $name:ident $({ $(#[$field_attribute:meta])* $field:ident: $default:literal })?,
        $text:literal,
        up to $largest:literal,
        $outputs:path
    ) => {
        activation!(@type $(#[$attribute])* $name $($(#[$field_attribute])* $field $default)?);

        impl LayerConfig for $name {
            const TYPE: &'static str = $text;

            fn summary(&self) -> String {
                let settings = String::new() $(+ " " + stringify!($field) + &format!(" {}", self.$field))?;
                format!("{}{settings}", stringify!($name))
            }

            fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
                let activation = activation::$name $({ $field: self.$field })?;
                let function = Function::$name $({ $field: self.$field })?;
                Ok(Box::new(ActivationLayer { shape: input, activation, function }))
            }

            fn outputs(&self, inputs: Outputs) -> Option<Outputs> {
                $outputs(inputs)
            }

            fn largest_derivative(&self) -> Option<f64> {
                Some($largest)
            }
        }
    };
    (@type $(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name;
    };
    (
        @type $(#[$attribute:meta])* $name:ident
        $(#[$field_attribute:meta])* $field:ident $default:literal
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            #[serde(deserialize_with = "not_negative")]
            $field: f64,
        }

        impl $name {
            $(#[$field_attribute])*
            ///
            /// # Panics
            /// If the number is negative or not finite.
            #[track_caller]
            pub fn new($field: f64) -> Self {
                let (name, field) = (stringify!($name), stringify!($field));
                let fits = $field >= 0.0 && $field.is_finite();
                assert!(fits, "{name}: expected a finite {field} of at least 0, got {}", $field);
                Self { $field }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $field: $default }
            }
        }
    };
}

activation! {
    /// `y = 1 / (1 + exp −x)`, element by element; any shape.
    Sigmoid, "sigmoid",
    up to 0.25, probabilities
}

activation! {
    /// `y = tanh x`, element by element; any shape.
    Tanh, "tanh",
    up to 1.0, within_unit_interval
}

activation! {
    /// `y = max(x, 0)`, element by element; any shape. Its derivative at 0 is 0.
    Relu, "relu",
    up to 1.0, unchanged_from_0
}

activation! {
    /// `y = x` where `x > 0`, else `slope · x`, element by element; any shape. The slope is 0.01 by
    /// default; the derivative at 0 is the slope.
    LeakyRelu {
        /// A leaky ReLU with this slope for negative inputs.
        slope: 0.01
    }, "leaky_relu",
    up to 1.0, unchanged_from_0
}

activation! {
    /// `y = x Φ(x)` with Φ the distribution of a standard normal variable, element by
    /// element; any shape. The exact function (Hendrycks and Gimpel, 2016), PyTorch's
    /// default, not its approximation by a tanh.
    Gelu, "gelu",
    up to 1.128_9, within_unit_interval
}

activation! {
    /// `y = x / (1 + exp −x)`, element by element; any shape.
    Silu, "silu",
    up to 1.099_8, within_unit_interval
}

activation! {
    /// `y = x` where `x > 0`, else `alpha (exp x − 1)`, element by element; any shape (Clevert et
    /// al., 2016). Alpha is 1 by default.
    Elu {
        /// An ELU that tends to `−alpha` as the input goes to −∞.
        alpha: 1.0
    }, "elu",
    up to 1.0, unchanged_from_0
}

activation! {
    /// `y = ln(1 + exp x)`, element by element; any shape. Exact for every `x`; PyTorch's is `x`
    /// from 20 on, which is too small by 2·10⁻⁹.
    Softplus, "softplus",
    up to 1.0, of_any_size
}

activation! {
    /// `y = x · min(max(x + 3, 0), 6) / 6`, element by element; any shape (Howard et al., 2019).
    /// Its derivative at −3 is 0, at 3 it is 1.
    HardSwish, "hard_swish",
    up to 1.5, within_unit_interval
}

/// A function that makes probabilities of any numbers.
fn probabilities(_: Outputs) -> Option<Outputs> {
    Some(Outputs::Probabilities)
}

/// A function that maps numbers between 0 and 1 to such numbers.
fn within_unit_interval(inputs: Outputs) -> Option<Outputs> {
    Some(match inputs {
        Outputs::Any | Outputs::DroppedProbabilities => Outputs::Any,
        Outputs::UnitInterval | Outputs::Probabilities => Outputs::UnitInterval,
    })
}

/// A function that leaves numbers from 0 on unchanged.
fn unchanged_from_0(inputs: Outputs) -> Option<Outputs> {
    (inputs == Outputs::Any).then_some(Outputs::Any)
}

fn of_any_size(_: Outputs) -> Option<Outputs> {
    Some(Outputs::Any)
}

#[derive(Debug)]
struct ActivationLayer<A> {
    shape: Shape,
    activation: A,
    function: Function,
}

impl<T: Element, A: Activation> Layer<T> for ActivationLayer<A> {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Function(self.function))
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        output.copy_from_slice(input);
        self.activation.apply(output);
    }

    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        if let Some(gradient) = input_gradient {
            gradient.copy_from_slice(pass.output_gradient);
            let known = match A::DERIVED_FROM {
                DerivedFrom::Input => pass.input,
                DerivedFrom::Output => pass.output,
            };
            self.activation.multiply_derivative(gradient, known);
        }
    }

    fn needs_output(&self) -> bool {
        A::DERIVED_FROM == DerivedFrom::Output
    }

    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        (A::DERIVED_FROM == DerivedFrom::Output).then_some(self as _)
    }
}

impl<T: Element, A: Activation> InPlace<T> for ActivationLayer<A> {
    fn forward_in_place(&self, data: &mut [T], _: Mode) {
        self.activation.apply(data);
    }

    fn backward_in_place(&self, output: &[T], gradient: &mut [T], _: Mode) {
        self.activation.multiply_derivative(gradient, output);
    }
}
