//! A number that is not finite reaches the sums that it is a term of, and no others.

use tensor::simd::level;
use tensor::{Arithmetic, Bias, Correlation, Element, Method, Plan, Scratch, Sweep, reference};

/// Layers by every way that a gradient of kernels is computed, `f64` by sums as written.
fn layers() -> Vec<Correlation> {
    let layer = |input, kernels, size| Correlation::new(input, kernels, size).expect("it fits");
    let all = vec![
        layer([1, 28, 28], 6, [3, 3]),
        layer([2, 9, 26], 5, [2, 3]),
        layer([2, 12, 12], 16, [5, 5]),
        layer([4, 20, 20], 8, [3, 3]),
        layer([32, 13, 13], 32, [3, 3]),
        layer([2, 9, 9], 20, [3, 2]).with_padding([1, 1], [0, 1]).expect("padding"),
        layer([4, 11, 12], 6, [3, 3]).with_stride([2, 1]).expect("stride"),
        layer([4, 11, 12], 6, [3, 3]).with_groups(2).expect("groups"),
        layer([2, 11, 12], 6, [3, 2]).with_dilation([2, 3]).expect("dilation"),
        strided_and_dilated(),
    ];
    let plans: Vec<_> =
        all.iter().map(|layer| plan::<f32>(layer).kernel_gradient.to_string()).collect();
    for plan in [
        "dot products",
        "outer products",
        "outer and dot products",
        "columns of 4",
        "tiles of 4 × 4",
    ] {
        assert!(plans.iter().any(|found| found == plan), "{plan}");
    }
    all
}

fn strided_and_dilated() -> Correlation {
    let sweep = Sweep { padding: [[1, 2], [0, 1]], stride: [2, 1], dilation: [1, 2], groups: 1 };
    Correlation::with_sweep([3, 9, 11], 4, [3, 3], sweep).expect("it fits")
}

fn plan<T: Element>(layer: &Correlation) -> Plan {
    layer.plan::<T>(level(), 1)
}

fn kind<T: Element>(number: T) -> u8 {
    if number.is_finite() {
        0
    } else {
        1 + u8::from(number > T::ZERO) + 2 * u8::from(number < T::ZERO)
    }
}

fn kernels<T: Element>(layer: &Correlation, broken: f64) {
    let [inputs, outputs] = [layer.input_shape().len(), layer.output_shape().len()];
    let wave = |at: usize| T::from_f64(((at * 7919) % 1013) as f64 / 1013.0 + 0.25);
    let (x, g): (Vec<T>, Vec<T>) =
        ((0..2 * inputs).map(wave).collect(), (0..2 * outputs).map(wave).collect());
    let width = layer.input_shape().dims()[2];
    // Corners, edges and the middle; of the input, then of the output's gradient.
    for place in [0, width - 1, width, inputs / 2, inputs - 1, inputs + 3, 2 * inputs - width] {
        for in_gradient in [false, true] {
            let (mut x, mut g) = (x.clone(), g.clone());
            if in_gradient {
                g[place % (2 * outputs)] = T::from_f64(broken);
            } else {
                x[place] = T::from_f64(broken);
            }
            let len = layer.kernels_shape().len();
            let (mut found, mut expected) = (vec![T::ONE; len], vec![T::ONE; len]);
            layer.kernel_gradient(&x, &g, &mut found, &mut Scratch::sequential());
            reference::kernel_gradient(layer, &x, &g, &mut expected);
            let [found, expected] =
                [found, expected].map(|all| all.into_iter().map(kind).collect::<Vec<_>>());
            assert!(found == expected, "{broken} at {place}, {in_gradient}: {layer:?}");
        }
    }
}

#[test]
fn gradients_of_kernels_have_it_where_the_formula_has_it() {
    for layer in layers() {
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            kernels::<f32>(&layer, broken);
            kernels::<f64>(&layer, broken);
        }
    }
}

#[test]
fn outputs_and_gradients_of_inputs_have_it_where_the_formula_has_it() {
    for layer in layers() {
        let direct = |method: Method| method.arithmetic == Arithmetic::Direct;
        let (inputs, outputs) = (layer.input_shape().len(), layer.output_shape().len());
        let k = vec![0.5_f32; layer.kernels_shape().len()];
        for place in [0, inputs / 2, inputs - 1] {
            let mut x = vec![1.0; inputs];
            x[place] = f32::NAN;
            let (mut y, mut expected) = (vec![0.0; outputs], vec![0.0; outputs]);
            layer.forward(&x, &k, Bias::None, &mut y, &mut Scratch::sequential());
            reference::forward(&layer, &x, &k, Bias::None, &mut expected);
            let same = y.iter().zip(&expected).all(|(y, e)| y.is_nan() == e.is_nan());
            // Tiles and columns share it among their four or sixteen outputs.
            let more = y.iter().zip(&expected).all(|(y, e)| y.is_nan() || !e.is_nan());
            let method = plan::<f32>(&layer).forward;
            assert!(if direct(method) { same } else { more }, "{method}, {place}: {layer:?}");
        }
        for place in [0, outputs / 2, outputs - 1] {
            let mut g = vec![1.0; outputs];
            g[place] = f32::NAN;
            let (mut dx, mut expected) = (vec![0.0; inputs], vec![0.0; inputs]);
            layer.input_gradient(&g, &k, &mut dx, &mut Scratch::sequential());
            reference::input_gradient(&layer, &g, &k, &mut expected);
            let same = dx.iter().zip(&expected).all(|(x, e)| x.is_nan() == e.is_nan());
            let more = dx.iter().zip(&expected).all(|(x, e)| x.is_nan() || !e.is_nan());
            let method = plan::<f32>(&layer).input_gradient;
            assert!(if direct(method) { same } else { more }, "{method}, {place}: {layer:?}");
        }
    }
}
