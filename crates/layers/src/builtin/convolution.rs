//! What a convolution and a transposed convolution share: settings, summary, shape of the weights.

use tensor::Correlation;

use crate::layer::{Parameter, Role};

/// Declares a convolution with the shared settings and those of its own.
macro_rules! convolution {
    (
        $(#[$attribute:meta])*
        $name:ident {
            $(#[$padding:meta])* padding,
            { $($(#[$own_attribute:meta])* $own:ident: $kind:ty,)* }
            $(#[$stride:meta])* stride,
            $(#[$dilation:meta])* dilation,
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            kernels: usize,
            size: Size,
            #[serde(default, skip_serializing_if = "Padding::is_valid")]
            padding: Padding,
            $($(#[$own_attribute])* $own: $kind,)*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            stride: Option<Size>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            dilation: Option<Size>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            groups: Option<usize>,
            #[serde(default)]
            bias: Bias,
            /// Overrides what the initialisation would give the bias.
            #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
            initial_bias: Option<f64>,
        }

        impl $name {
            /// `kernels` kernels, each of which computes one output channel, of height and width
            /// `size`: one number if they are square, or both; one bias per channel.
            pub fn new(kernels: usize, size: impl Into<Size>) -> Self {
                Self {
                    kernels,
                    size: size.into(),
                    padding: Padding::default(),
                    $($own: Default::default(),)*
                    stride: None,
                    dilation: None,
                    groups: None,
                    bias: Bias::default(),
                    initial_bias: None,
                }
            }

            $(#[$padding])*
            pub fn padding(self, padding: Padding) -> Self {
                Self { padding, ..self }
            }

            $(#[$stride])*
            pub fn stride(self, stride: impl Into<Size>) -> Self {
                Self { stride: Some(stride.into()), ..self }
            }

            $(#[$dilation])*
            pub fn dilation(self, dilation: impl Into<Size>) -> Self {
                Self { dilation: Some(dilation.into()), ..self }
            }

            /// The same with channels and kernels divided into groups, each kernel seeing the
            /// channels of its own group only; as many groups as channels make a depthwise
            /// convolution.
            pub fn groups(self, groups: usize) -> Self {
                Self { groups: Some(groups), ..self }
            }

            /// The same with this bias.
            pub fn bias(self, bias: Bias) -> Self {
                Self { bias, ..self }
            }

            /// The same with every element of the bias starting at `value`.
            ///
            /// Before a sigmoid, a negative one lets the output start near 0 where the input is
            /// empty. Starting at 0, all outputs are near 0.5, and this common value drowns their
            /// differences.
            pub fn initial_bias(self, value: f64) -> Self {
                Self { initial_bias: Some(value), ..self }
            }

            /// The settings in a few words, with those of the layer's own in `own`.
            fn summary_with(&self, own: &str) -> String {
                let size = |name: &str, size: Option<Size>| {
                    size.map_or(String::new(), |size| format!(", {name} {size}"))
                };
                let [stride, dilation] = [("stride", self.stride), ("dilation", self.dilation)]
                    .map(|(name, setting)| size(name, setting));
                let groups = self.groups.map_or(String::new(), |groups| format!(", {groups} groups"));
                let Self { kernels, size, padding, .. } = self;
                let (name, bias) = (stringify!($name), self.bias.summary());
                format!("{name} {kernels} kernels {size}{stride}{dilation}{own}{padding}{groups}{bias}")
            }

            /// The axes of the input; checks that the layer has kernels, and a bias if
            /// `initial_bias` is set.
            fn channels(&self, input: Shape) -> Result<[usize; 3], ShapeError> {
                if self.kernels == 0 {
                    return Err(ShapeError::new(stringify!($name), "at least one kernel", 0));
                }
                self.bias.check(stringify!($name), self.initial_bias)?;
                image_axes(stringify!($name), input)
            }

            /// The kernels' size, the stride and the dilation.
            fn sizes(&self) -> [[usize; 2]; 3] {
                let one = Size::Square(1);
                [self.size, self.stride.unwrap_or(one), self.dilation.unwrap_or(one)].map(Size::pair)
            }
        }
    };
}

pub(crate) use convolution;

/// `[fan_in, fan_out]` of a correlation: the inputs of each output, the outputs of each input.
pub(crate) fn fans(geometry: &Correlation) -> [usize; 2] {
    let [kernels, channels, height, width] = geometry.kernels_shape().axes().unwrap_or_default();
    [channels, kernels / geometry.groups()].map(|connected| connected * height * width)
}

/// The kernels of a correlation, and its bias if there is one.
pub(crate) fn parameters(
    geometry: &Correlation,
    [fan_in, fan_out]: [usize; 2],
    bias: Option<Parameter>,
) -> Vec<Parameter> {
    let role = Role::Weight { fan_in, fan_out };
    let weight = Parameter::new("weight", geometry.kernels_shape(), role);
    [weight].into_iter().chain(bias).collect()
}
