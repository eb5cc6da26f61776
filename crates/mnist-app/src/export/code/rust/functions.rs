//# relu
/// `max(x, 0)`.
fn relu(numbers: &mut [f32]) {
    for x in numbers {
        *x = if *x <= 0.0 { 0.0 } else { *x };
    }
}

//# leaky_relu
/// `x` where it is positive, else `slope · x`.
fn leaky_relu(numbers: &mut [f32], slope: f32) {
    for x in numbers {
        *x = if *x > 0.0 { *x } else { *x * slope };
    }
}

//# hard_swish
/// `x (x + 3) / 6` between −3 and 3, 0 below and `x` above.
fn hard_swish(numbers: &mut [f32]) {
    for x in numbers {
        let between = *x * (*x + 3.0) / 6.0;
        let above = if *x >= 3.0 { *x } else { between };
        *x = if *x <= -3.0 { 0.0 } else { above };
    }
}

//# tanh_of exponential
/// `tanh x`: a series near 0, elsewhere `1 − 2 / (exp 2|x| + 1)`.
fn tanh_of(x: f32) -> f32 {
    const SERIES: [f32; 5] =
        [-0.333_333_3, 0.133_330_73, -0.053_901_754, 0.021_263_354, -0.006_525_572_4];
    let magnitude = if x.abs() > 10.0 { 10.0 } else { x.abs() };
    let far = 1.0 - 2.0 / (exponential(magnitude + magnitude) + 1.0);
    let square = magnitude * magnitude;
    let near = multiply_add(square * magnitude, polynomial(square, &SERIES), magnitude);
    let y = if magnitude < 0.5625 { near } else { far };
    y.copysign(x)
}

//# hyperbolic_tangent tanh_of
/// `tanh x`.
fn hyperbolic_tangent(numbers: &mut [f32]) {
    for x in numbers {
        *x = tanh_of(*x);
    }
}

//# elu tanh_of
/// `x` where it is positive, else `alpha (exp x − 1)`, which is `2t / (1 − t)` with `t = tanh(x/2)`.
fn elu(numbers: &mut [f32], alpha: f32) {
    for x in numbers {
        let t = tanh_of(*x * 0.5);
        let below = (t + t) / (1.0 - t) * alpha;
        *x = if *x > 0.0 { *x } else { below };
    }
}

//# sigmoid_of exponential
/// `1 / (1 + exp −x)`, by `z = exp −|x|`; the rounding errors of sum and quotient are added again.
fn sigmoid_of(x: f32) -> f32 {
    let z = exponential(-x.abs());
    let numerator = if x < 0.0 { z } else { 1.0 };
    let sum = 1.0 + z;
    let quotient = numerator / sum;
    let lost = multiply_add(-quotient, sum, numerator) - quotient * (z - (sum - 1.0));
    let inverse = if x < 0.0 { 1.0 - quotient } else { quotient };
    multiply_add(lost, inverse, quotient)
}

//# sigmoid sigmoid_of
/// `1 / (1 + exp −x)`.
fn sigmoid(numbers: &mut [f32]) {
    for x in numbers {
        *x = sigmoid_of(*x);
    }
}

//# silu sigmoid_of
/// `x / (1 + exp −x)`.
fn silu(numbers: &mut [f32]) {
    for x in numbers {
        *x *= sigmoid_of(*x);
    }
}

//# softplus exponential
/// `ln(1 + exp x) = max(x, 0) + ln(1 + z)` with `z = exp −|x|`. With `s = z / (2 + z)` the logarithm
/// is `2s + ⅔s³ + ⅖s⁵ + …`, and `2s` is `z − sz`.
fn softplus(numbers: &mut [f32]) {
    const SERIES: [f32; 8] = [
        0.666_666_7,
        0.4,
        0.285_714_3,
        0.222_222_22,
        0.181_818_19,
        0.153_846_16,
        0.133_333_34,
        0.117_647_06,
    ];
    for x in numbers {
        let above = if *x > 0.0 { *x } else { 0.0 };
        let z = exponential(-x.abs());
        let s = z / (2.0 + z);
        let square = s * s;
        let inner = multiply_add(-square, polynomial(square, &SERIES), z);
        *x = above + multiply_add(-s, inner, z);
    }
}

//# gelu exponential
/// `x Φ(x)`, with the probability Φ(x) that a standard normal variable is less than `x`. Its tail is
/// `exp(−u²/2) P((u − 5)/(u + 5)) / (u + 5)` for `u = |x|`, with a polynomial `P`.
fn gelu(numbers: &mut [f32]) {
    const SERIES: [f32; 13] = [
        0.769_193_05,
        -0.665_382_5,
        0.495_305_63,
        -0.313_532_9,
        0.165_020_21,
        -0.069_120_854,
        0.020_796_308,
        -0.002_985_670_5,
        -0.000_802_239_5,
        0.000_531_738_86,
        -5.173_382e-5,
        -3.867_769e-5,
        9.920_845e-6,
    ];
    for x in numbers {
        let u = if x.abs() > 40.0 { 40.0 } else { x.abs() };
        let density = exponential(u * u * -0.5);
        let inverse = 1.0 / (u + 5.0);
        let tail = density * polynomial((u - 5.0) * inverse, &SERIES) * inverse;
        *x *= if *x > 0.0 { 1.0 - tail } else { tail };
    }
}

//# softmax exponential
/// `exp x_i / Σ_j exp x_j`, with the largest number subtracted first; NaN if it is not known which
/// is the largest.
fn softmax(numbers: &mut [f32]) {
    let mut largest = numbers[0];
    for &x in numbers.iter() {
        if x > largest || x.is_nan() {
            largest = x;
        }
    }
    let many = numbers.iter().filter(|&&x| x == largest).count();
    if largest.is_nan() || (largest.is_infinite() && many > 1) {
        numbers.fill(f32::NAN);
        return;
    }
    let mut sum = 0.0;
    for x in numbers.iter_mut() {
        *x = exponential(if *x == largest { 0.0 } else { *x - largest });
        sum += *x;
    }
    for x in numbers {
        *x /= sum;
    }
}
