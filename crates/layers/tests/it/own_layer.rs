//! Layers written outside of the crate: in networks, inside of other layers, in files.

use layers::{
    Context, Dense, Flatten, Layer, LayerConfig, LayerSpec, LayerText, Loss, Network, NetworkSpec,
    NetworkText, Optimizer, Outputs, OwnLayers, Parameter, Pass, Relu, Residual, Role, Trainer,
    TrainerConfig, Workspace, gradient_check, network_of, network_of_with, save_weights,
};
use serde::{Deserialize, Deserializer, Serialize};
use tensor::{Element, Shape, ShapeError};

use crate::samples::{normal, random};

/// `y = factor · weight · x`, a weight for each number.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    factor: f64,
}

impl LayerConfig for Scale {
    const TYPE: &'static str = "scale";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        if input.dims().len() > 1 {
            return Err(ShapeError::new("Scale", "one axis", input));
        }
        Ok(Box::new(ScaleLayer { len: input.len(), factor: self.factor }))
    }
}

/// The same with a factor of −1, without a setting.
#[derive(Debug, Serialize, Deserialize)]
struct Minus;

impl LayerConfig for Minus {
    const TYPE: &'static str = "minus";

    fn summary(&self) -> String {
        "the other sign".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Scale { factor: -1.0 }.build(input)
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        None
    }

    fn largest_derivative(&self) -> Option<f64> {
        Some(1.0)
    }
}

/// A container: the layer inside of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "WrapperText<()>")]
struct Wrapper {
    inside: LayerSpec,
}

#[derive(Deserialize)]
#[serde(bound = "O: OwnLayers")]
struct WrapperText<O> {
    inside: LayerText<O>,
}

impl<O> From<WrapperText<O>> for Wrapper {
    fn from(text: WrapperText<O>) -> Self {
        Self { inside: text.inside.into() }
    }
}

impl LayerConfig for Wrapper {
    const TYPE: &'static str = "wrapper";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        self.inside.build(input)
    }

    fn count(&self) -> usize {
        1 + self.inside.count()
    }

    fn read<'de, O: OwnLayers, D: Deserializer<'de>>(settings: D) -> Result<Self, D::Error> {
        WrapperText::<O>::deserialize(settings).map(Self::from)
    }
}

/// A name that is taken.
#[derive(Debug, Serialize, Deserialize)]
struct MyRelu;

impl LayerConfig for MyRelu {
    const TYPE: &'static str = "relu";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Relu.build(input)
    }
}

#[derive(Debug)]
struct ScaleLayer {
    len: usize,
    factor: f64,
}

impl<T: Element> Layer<T> for ScaleLayer {
    fn input_shape(&self) -> Shape {
        Shape::from(self.len)
    }

    fn output_shape(&self) -> Shape {
        Shape::from(self.len)
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("weight", self.len, Role::Constant(1.0))]
    }

    fn forward(&self, weight: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        for ((y, &x), &weight) in output.iter_mut().zip(input).zip(weight.iter().cycle()) {
            *y = T::from_f64(self.factor) * weight * x;
        }
    }

    fn backward(
        &self,
        weight: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        let factor = T::from_f64(self.factor);
        gradients.fill(T::ZERO);
        for (place, (&x, &g)) in pass.input.iter().zip(pass.output_gradient).enumerate() {
            gradients[place % self.len] += factor * x * g;
        }
        let Some(input_gradient) = input_gradient else { return };
        let weights = weight.iter().cycle();
        for ((to, &g), &weight) in input_gradient.iter_mut().zip(pass.output_gradient).zip(weights)
        {
            *to = factor * weight * g;
        }
    }
}

type Own = (Scale, Minus);

fn spec() -> NetworkSpec {
    let inside = Residual::new().add(LayerSpec::own(Minus)).add(Relu);
    let layers = [
        Flatten.into(),
        LayerSpec::own(Scale { factor: 0.7 }),
        Residual::new().add(inside).add(LayerSpec::own(Scale { factor: 3.0 })).into(),
        Dense::new(2).into(),
        LayerSpec::own(Minus),
    ];
    NetworkSpec { input: vec![2, 3], layers: layers.to_vec() }
}

fn trained<T: Element>() -> Network<T> {
    let mut network = spec().build::<T>().expect("it fits");
    network.initialize(layers::Init::Xavier, 3);
    let samples = random(&network, 8, 5);
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::sgd(), [8, 4]);
    let mut trainer = Trainer::new(network, config);
    let mut error = || {
        let losses = trainer.step(&samples, 0.1).expect("finite").losses;
        losses.iter().sum::<f64>()
    };
    let before = error();
    let after = (0..50).map(|_| error()).last().expect("steps");
    assert!(after < 0.8 * before, "{before} to {after}");
    trainer.into_network()
}

fn is_the_same_from_a_file<T: Element>() {
    let network = trained::<T>();
    let file = save_weights(&network, &[]).expect("a file");
    let read = network_of_with::<T, Own>(&file).expect("the types are known");
    assert_eq!(read.spec(), network.spec());
    assert_eq!(read.digest(), network.digest());
    let input = normal(3 * 6, 1);
    let [mut a, mut b] = [&network, &read].map(|network| Workspace::new(network, 3));
    assert_eq!(network.predict(&input, &mut a), read.predict(&input, &mut b));
    assert_eq!(save_weights(&read, &[]).expect("a file"), file);
    let error = network_of::<T>(&file).expect_err("the types are not known").to_string();
    let wanted = "layer 1: expected one that this version knows, got \
                  {\"factor\":0.7,\"type\":\"scale\"}";
    assert!(error.contains(wanted), "{error}");
    assert!(
        error.contains("\"scale\" is not a built-in layer type nor one of the given types"),
        "{error}"
    );
}

#[test]
fn they_are_trained_saved_and_read_in_both_precisions() {
    is_the_same_from_a_file::<f32>();
    is_the_same_from_a_file::<f64>();
}

#[test]
fn their_gradients_are_checked_as_those_of_others() {
    let layer = LayerSpec::own(Scale { factor: 0.7 }).build::<f64>(Shape::from(5)).expect("fits");
    let check = gradient_check(&*layer, &normal(5, 1), &normal(15, 2), &normal(15, 3));
    assert!(check.parameters < 1e-8 && check.input < 1e-8, "{check:?}");
}

#[test]
fn they_say_of_themselves_what_others_say() {
    let (scale, minus) = (LayerSpec::own(Scale { factor: 0.7 }), LayerSpec::own(Minus));
    assert_eq!([scale.type_name(), minus.type_name()], ["scale", "minus"]);
    assert_eq!([scale.summary(), minus.summary()], ["Scale { factor: 0.7 }", "the other sign"]);
    assert_eq!([&scale, &minus].map(LayerSpec::largest_derivative), [None, Some(1.0)]);
    assert_eq!([scale.count(), spec().layers[2].count()], [1, 5]);
    assert_eq!(scale, LayerSpec::own(Scale { factor: 0.7 }));
    assert_ne!(scale, LayerSpec::own(Scale { factor: 0.8 }));
    assert_ne!(scale, minus);
    let outputs =
        |layers: &[LayerSpec]| NetworkSpec { input: vec![3], layers: layers.to_vec() }.outputs();
    let sigmoid = LayerSpec::from(layers::Sigmoid);
    assert_eq!(outputs(&[sigmoid.clone(), scale]), (Outputs::Any, 1));
    assert_eq!(outputs(&[sigmoid, minus]), (Outputs::Probabilities, 0));
}

#[test]
fn they_stand_in_text_as_others_do() {
    let text = serde_json::to_string(&spec()).expect("text");
    let inside = r#"{"type":"residual","layers":[{"type":"residual","layers":[{"type":"minus"},"#;
    assert!(text.contains(inside), "{text}");
    assert!(text.contains(r#"{"type":"scale","factor":3.0}"#), "{text}");
    let read: NetworkText<Own> = serde_json::from_str(&text).expect("the types are known");
    assert_eq!(NetworkSpec::from(read), spec());
    // A name alone, and a type that stands last.
    let text = r#"{"input":[3],"layers":["minus",{"factor":1,"type":"scale"}]}"#;
    let read: NetworkText<(Own, MyRelu)> = serde_json::from_str(text).expect("known");
    let layers = [LayerSpec::own(Minus), LayerSpec::own(Scale { factor: 1.0 })];
    assert_eq!(NetworkSpec::from(read).layers, layers);
}

#[test]
fn a_container_of_another_crate_may_hold_layers_of_other_crates() {
    let residual = Residual::new().add(LayerSpec::own(Minus));
    let layer = LayerSpec::own(Wrapper { inside: residual.into() });
    let text = serde_json::to_string(&layer).expect("text");
    let read: LayerText<(Wrapper, Minus)> = serde_json::from_str(&text).expect("known");
    assert_eq!(LayerSpec::from(read), layer);
    assert_eq!((layer.count(), layer.build::<f32>(Shape::from(3)).is_ok()), (3, true));
    let error = serde_json::from_str::<LayerText<Wrapper>>(&text).expect_err("one unknown");
    assert!(error.to_string().contains("unknown variant `minus`"), "{error}");
}

#[test]
fn what_is_wrong_with_them_is_said() {
    fn complaint<O: OwnLayers + std::fmt::Debug>(layer: &str) -> String {
        let text = format!(r#"{{"input":[3],"layers":[{layer}]}}"#);
        serde_json::from_str::<NetworkText<O>>(&text).expect_err(layer).to_string()
    }
    for (layer, wanted) in [
        (r#"{"type":"swish"}"#, "unknown variant `swish`, expected one of `conv2d`, "),
        (r#"{"type":"swish"}"#, "`residual`, `scale`, `minus`"),
        (r#"{"type":"residual","layers":[{"type":"swish"}]}"#, "unknown variant `swish`"),
        (r#"{"type":"scale"}"#, "missing field `factor`"),
        (r#"{"type":"scale","factor":1,"offset":2}"#, "unknown field `offset`, expected `factor`"),
        (r#"{"offset":2,"type":"scale","factor":1}"#, "unknown field `offset`, expected `factor`"),
        (r#"{"type":"scale","factor":"x"}"#, "invalid type: string \"x\", expected f64"),
        (r#"{"type":"minus","factor":1}"#, "unknown field `factor`"),
    ] {
        let error = complaint::<Own>(layer);
        assert!(error.contains(wanted), "{layer}: {error}");
    }
    let error = complaint::<()>(r#"{"type":"minus"}"#);
    assert!(error.contains("unknown variant `minus`, expected one of `conv2d`"), "{error}");
    for error in [
        complaint::<MyRelu>(r#"{"type":"relu"}"#),
        complaint::<(Scale, Minus, Scale)>(r#"{"type":"scale","factor":1}"#),
    ] {
        assert!(error.contains("expected a unique name, got 2 types"), "{error}");
    }
    let network = NetworkSpec { input: vec![1, 2, 3], layers: spec().layers[1..].to_vec() };
    let error = network.build::<f32>().expect_err("three axes").to_string();
    assert!(error.contains("Scale: expected one axis, got (1, 2, 3)"), "{error}");
}

#[test]
#[should_panic(expected = "\"relu\": expected a type that is not built in")]
fn a_name_that_a_built_in_layer_has_is_refused() {
    let _ = LayerSpec::own(MyRelu);
}

/// A layer that breaks a promise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Broken {
    /// Takes another shape than it was built for.
    Input,
    /// Two arrays of one name.
    Names,
    /// Reads the output backward, which it says it does not.
    Output,
}

#[derive(Debug, Serialize, Deserialize)]
struct Breaks {
    what: Broken,
}

impl LayerConfig for Breaks {
    const TYPE: &'static str = "breaks";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(BreaksLayer { shape: input, what: self.what }))
    }
}

#[derive(Debug)]
struct BreaksLayer {
    shape: Shape,
    what: Broken,
}

impl<T: Element> Layer<T> for BreaksLayer {
    fn input_shape(&self) -> Shape {
        if self.what == Broken::Input { Shape::from(7) } else { self.shape }
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn parameters(&self) -> Vec<Parameter> {
        let array = || Parameter::new("weight", 1, Role::Bias);
        if self.what == Broken::Names { vec![array(), array()] } else { Vec::new() }
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        output.iter_mut().zip(input).for_each(|(y, &x)| *y = x * x);
    }

    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        let Some(gradient) = input_gradient else { return };
        for (at, gradient) in gradient.iter_mut().enumerate() {
            // 2 x, where x is not 0.
            let slope = pass.output[at] / pass.input[at] * T::from_f64(2.0);
            *gradient = slope * pass.output_gradient[at];
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}

#[test]
fn promises_that_are_broken_are_seen() {
    let network = |what| Network::<f32>::builder([3]).add(LayerSpec::own(Breaks { what })).build();
    let error = network(Broken::Input).expect_err("another shape").to_string();
    assert!(error.contains("input_shape: expected (3), got (7)"), "{error}");
    let error = network(Broken::Names).expect_err("one name").to_string();
    assert!(error.contains("expected a unique name for each array, got two"), "{error}");
    let layer = LayerSpec::own(Breaks { what: Broken::Output }).build::<f64>(Shape::from(3));
    let check = gradient_check(&*layer.expect("it fits"), &[], &[1.0, 2.0, 3.0], &[1.0; 3]);
    assert!(check.input.is_nan() && !check.is_within(1.0), "{check:?}");
}

/// A setting whose name is taken.
#[derive(Debug, Serialize, Deserialize)]
struct Typed {
    r#type: usize,
}

impl LayerConfig for Typed {
    const TYPE: &'static str = "typed";

    fn build<T: Element>(&self, _: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        unreachable!("nobody can have one")
    }
}

#[test]
#[should_panic = "\"typed\": expected settings with names, none of them \"type\""]
fn no_setting_is_called_type() {
    LayerSpec::own(Typed { r#type: 3 });
}

#[test]
fn what_nobody_could_read_is_not_written() {
    let mut network = trained::<f32>();
    let error = save_weights(&network, &[("network", "mine".into())]).expect_err("its own key");
    assert!(error.to_string().contains("expected keys other than \"network\""), "{error}");
    network.parameters_mut()[1] = f32::NAN;
    let error = save_weights(&network, &[]).expect_err("a NaN").to_string();
    assert!(error.contains("1.weight: expected finite numbers"), "{error}");
}
