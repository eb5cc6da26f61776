//! The numbers of the two chapters, block by block as they stand there.

use std::fmt::Write as _;

use tensor::{
    ShapeError, Tensor, convolve_full, convolve_valid, correlate_full, correlate_valid, rotate180,
};

use super::sample::{Walk, largest};

type Plane = Tensor<f64>;

/// The kernel of chapter 1: what is on the left of a pixel minus what is on its right.
pub const EDGE: [f64; 9] = [1.0, 0.0, -1.0, 1.0, 0.0, -1.0, 1.0, 0.0, -1.0];

/// Which of the notebook's kernels chapter 2 looks at, the place of a number in its output, a
/// hidden unit, and some that it is compared with.
pub const KERNEL: usize = 3;
pub const PLACE: [usize; 2] = [13, 22];
pub const UNIT: usize = 21;
const OTHERS: [usize; 4] = [64, 13, 84, 95];

/// The step of the finite differences.
const STEP: f64 = 1e-4;

/// A plane of numbers of these sizes.
pub fn plane(size: [usize; 2], numbers: &[f64]) -> Result<Plane, ShapeError> {
    Tensor::from_vec(size, numbers.to_vec())
}

/// `rows` by `columns` numbers of the digit, from the one at `top` and `left` on.
pub fn part(walk: &Walk, [top, left]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let row = |y: usize| &walk.input[(top + y) * 28 + left..][..columns];
    (0..rows).flat_map(row).copied().collect()
}

/// Where the kernel of chapter 1 finds its strongest edge.
pub fn edge(walk: &Walk) -> Result<(Plane, [usize; 2]), ShapeError> {
    let map = correlate_valid(&plane([28, 28], &walk.input)?, &plane([3, 3], &EDGE)?)?;
    let at = largest(map.as_slice());
    Ok((map, [at / 26, at % 26]))
}

/// The blocks of chapter 1.
pub fn convolution(walk: &Walk) -> Result<Vec<String>, ShapeError> {
    let (image, kernel) = (plane([28, 28], &walk.input)?, plane([3, 3], &EDGE)?);
    let (map, [y, x]) = edge(walk)?;
    let window = part(walk, [y, x], [3, 3]);
    let products: Vec<_> = window.iter().zip(EDGE).map(|(pixel, k)| pixel * k).collect();
    let mut one = format!(
        "rows {y} to {}, columns {x} to {} of the digit\n\n\
         {:<21}{:<18}{}\n",
        y + 2,
        x + 2,
        "pixels",
        "kernel",
        "products"
    );
    for row in 0..3 {
        let three = |numbers: &[f64]| rows(&numbers[row * 3..][..3], 3, 2);
        let kernel: String = EDGE[row * 3..][..3].iter().map(|k| format!("{k:>4}")).collect();
        let _ = writeln!(
            one,
            "{:<21}{kernel:<18}{}",
            three(&window).trim_end(),
            three(&products).trim_end()
        );
    }
    let _ = write!(one, "\nsum of the nine products: {:.2}\n", map.as_slice()[y * 26 + x]);

    let turned = rotate180(&kernel)?;
    let as_convolution = convolve_valid(&image, &kernel)?;
    let mut two = "the kernel, turned by 180°\n".to_owned();
    for row in turned.as_slice().chunks(3) {
        let row: String = row.iter().map(|k| format!("{k:>4}")).collect();
        let _ = writeln!(two, "{row}");
    }
    let _ = write!(
        two,
        "\ncorrelation there: {:.2}\nconvolution there: {:.2}\n",
        map.as_slice()[y * 26 + x],
        as_convolution.as_slice()[y * 26 + x]
    );

    let small = plane([5, 5], &part(walk, [y, x], [5, 5]))?;
    let [valid, full] = [correlate_valid(&small, &kernel)?, correlate_full(&small, &kernel)?];
    let three = format!(
        "5×5 pixels from there\n{}\nvalid: 3×3 sums\n{}\nfull: 7×7 sums\n{}",
        rows(small.as_slice(), 5, 2),
        rows(valid.as_slice(), 3, 2),
        rows(full.as_slice(), 7, 2)
    );
    let whole = correlate_full(&image, &kernel)?;
    let four = format!(
        "28×28 pixels, 3×3 kernel\nvalid: {} sums\nfull:  {} sums\n",
        size(&map),
        size(&whole)
    );
    Ok(vec![one, two, three, four])
}

/// `26×26`.
fn size(plane: &Plane) -> String {
    let [height, width] = plane.shape().axes().unwrap_or_default();
    format!("{height}×{width}")
}

/// Numbers in rows, with so many digits after the point.
fn rows(numbers: &[f64], columns: usize, digits: usize) -> String {
    let row = |row: &[f64]| {
        // −0 + 0 is 0.
        row.iter().map(|x| format!("{:>7.digits$}", x + 0.0)).collect::<String>() + "\n"
    };
    numbers.chunks(columns).map(row).collect()
}

/// Four significant digits.
pub fn short(x: f64) -> String {
    let digits = match x.abs() {
        0.0 => 0,
        1000.0.. => 0,
        100.0.. => 1,
        10.0.. => 2,
        1.0.. => 3,
        0.1.. => 4,
        0.01.. => 5,
        0.001.. => 6,
        _ => return format!("{x:.3e}"),
    };
    format!("{x:.digits$}")
}

/// Where the number that chapter 2 follows stands among those of layer 0 and 1.
pub fn followed() -> usize {
    (KERNEL * 26 + PLACE[0]) * 26 + PLACE[1]
}

/// The blocks of chapter 2.
pub fn gradient(walk: &Walk) -> Result<Vec<String>, ShapeError> {
    let forward = [way_forward(walk), errors(walk), slopes(walk)];
    let back = [back_to_sums(walk), back_through_dense(walk), back_through_tanh(walk)];
    let first = [back_to_maps(walk), back_to_kernel(walk), back_to_pixels(walk)?];
    let all = forward.into_iter().chain(back).chain(first);
    Ok(all.chain([differences(walk), step(walk)]).collect())
}

fn way_forward(walk: &Walk) -> String {
    let Walk { outputs, label, error, .. } = walk;
    let (k, [y, x], digit) = (followed(), PLACE, *label);
    let [sum, a, s, z, last, out] = [
        outputs[0][k],
        outputs[1][k],
        outputs[3][UNIT],
        outputs[4][UNIT],
        outputs[5][digit],
        outputs[6][digit],
    ]
    .map(short);
    let minus = short(-outputs[5][digit]);
    let (map, flat) = (format!("[{KERNEL}][{y},{x}]"), format!("[{k}]"));
    let unit = format!("[{UNIT}]");
    format!(
        "layer        one number of it          how it comes about\n\
         0 Conv2d     u{map} = {sum:<11}nine pixels times kernel {KERNEL}, and a bias\n\
         1 Sigmoid    a{map} = {a:<11}1 / (1 + e^-{sum})\n\
         2 Reshape    a{flat:<10} = {a:<11}the same number, one of 4056 in a row\n\
         3 Dense      s{unit:<10} = {s:<11}4056 numbers times weights, and a bias\n\
         4 Tanh       z{unit:<10} = {z:<11}tanh({s})\n\
         5 Dense      x[{digit}]        = {last:<11}100 numbers times weights, and a bias\n\
         6 Sigmoid    y[{digit}]        = {out:<11}1 / (1 + e^{minus})\n\
         error        E           = {}\n",
        short(*error)
    )
}

fn errors(walk: &Walk) -> String {
    let Walk { outputs, target, gradients, .. } = walk;
    let mut text =
        "digit   should be t   is y        share of the error   (y − t) / 10\n".to_owned();
    for digit in 0..target.len() {
        let (t, y) = (target[digit], outputs[6][digit]);
        let share = -(if t == 1.0 { y } else { 1.0 - y }).ln() / 10.0;
        let _ = writeln!(
            text,
            "{digit:>5}{t:>14}   {:<12}{share:<21.4}{:.6}",
            short(y),
            gradients[5][digit]
        );
    }
    text
}

fn slopes(walk: &Walk) -> String {
    let place = walk.label * 100 + UNIT;
    let mut text = format!(
        "weight W[{},{UNIT}] = {}, error {:.6}\n\n\
         step h    E(W + h)    E(W − h)    (E(W + h) − E(W − h)) / 2h\n",
        walk.label,
        short(walk.parameters(5)[place]),
        walk.error
    );
    for step in [1.0, 0.1, 0.01, 0.001] {
        let [above, below] = [step, -step].map(|step| walk.error_with(5, place, step));
        let slope = (above - below) / (2.0 * step);
        let _ = writeln!(text, "{step:<10}{above:<12.6}{below:<12.6}{slope:.6}");
    }
    text
}

fn back_to_sums(walk: &Walk) -> String {
    let digit = walk.label;
    let (y, g) = (walk.outputs[6][digit], walk.gradients[5][digit]);
    let (loss, slope) = (walk.gradients[6][digit], y * (1.0 - y));
    let product = loss * slope;
    let [y, loss, slope] = [y, loss, slope].map(short);
    let mut text = String::new();
    for (what, how, result) in [
        (format!("∂E/∂y[{digit}]"), format!("-1 / (10 · {y})"), loss.clone()),
        ("slope of the sigmoid".into(), format!("{y} · (1 − {y})"), slope.clone()),
        (format!("∂E/∂x[{digit}]"), format!("{loss} · {slope}"), short(product)),
        ("the same from the table".into(), format!("({y} − 1) / 10"), short(g)),
    ] {
        let _ = writeln!(text, "{what:<23} = {how:<25} = {result}");
    }
    text
}

fn back_through_dense(walk: &Walk) -> String {
    let (weights, g) = (walk.parameters(5), &walk.gradients[5]);
    let (digit, z) = (walk.label, walk.outputs[4][UNIT]);
    let mut text = format!(
        "weight W[{digit},{UNIT}]: ∂E/∂W = ∂E/∂x[{digit}] · z[{UNIT}] = {} · {} = {}\n\
         bias of x[{digit}]:   ∂E/∂b = ∂E/∂x[{digit}]         = {}\n\n\
         hidden unit {UNIT}, through each of the ten sums that it is in\n\
         digit   W[digit,{UNIT}]   ∂E/∂x[digit]   product\n",
        short(g[digit]),
        short(z),
        short(walk.of_parameters[5][digit * 100 + UNIT]),
        short(walk.of_parameters[5][1000 + digit])
    );
    let mut sum = 0.0;
    for (digit, g) in g.iter().enumerate() {
        let w = weights[digit * 100 + UNIT];
        sum += w * g;
        // A negative number that rounds to 0 would be −0.
        let product = (w * g * 1e4).round() / 1e4 + 0.0;
        let _ = writeln!(text, "{digit:>5}{w:>14.4}{g:>15.6}{product:>10.4}");
    }
    let _ = writeln!(text, "{:<30}∂E/∂z[{UNIT}] = {sum:.4}", "");
    text
}

fn back_through_tanh(walk: &Walk) -> String {
    let Walk { outputs, gradients, .. } = walk;
    let mut text =
        "unit     sum s    z = tanh s   slope 1 − z²     ∂E/∂z        ∂E/∂s\n".to_owned();
    for unit in [UNIT].into_iter().chain(OTHERS) {
        let z = outputs[4][unit];
        let _ = writeln!(
            text,
            "{unit:>4}{:>10.4}{z:>14.6}{:>15.6}{:>10.4}{:>13.6}",
            outputs[3][unit],
            1.0 - z * z,
            gradients[4][unit],
            gradients[3][unit]
        );
    }
    let beyond = gradients[3].iter().filter(|g| g.abs() < 1e-3).count();
    let _ = writeln!(text, "\n{beyond} of the 100 units have a ∂E/∂s between -0.001 and 0.001");
    text
}

fn back_to_maps(walk: &Walk) -> String {
    let (k, [y, x]) = (followed(), PLACE);
    let (weights, g, a) = (walk.parameters(3), &walk.gradients[3], walk.outputs[1][k]);
    let mut terms: Vec<_> =
        (0..100).map(|unit| (unit, weights[unit * 4056 + k] * g[unit])).collect();
    let sum: f64 = terms.iter().map(|(_, term)| term).sum();
    terms.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
    let mut text = format!("unit   W[unit,{k}]   ∂E/∂s[unit]   product\n");
    for &(unit, term) in &terms[..4] {
        let w = weights[unit * 4056 + k];
        let _ = writeln!(text, "{unit:>4}{w:>13.4}{:>14.6}{term:>10.4}", g[unit]);
    }
    let others: f64 = terms[4..].iter().map(|(_, term)| term).sum();
    let slope = a * (1.0 - a);
    let _ = write!(
        text,
        "{:<31}{others:>10.4}\n\
         ∂E/∂a[{k}] = ∂E/∂a[{KERNEL}][{y},{x}]{sum:>18.4}\n\n\
         slope of the sigmoid = {} · (1 − {}) = {}\n\
         ∂E/∂u[{KERNEL}][{y},{x}]    = {} · {} = {}\n",
        "the other 96 together",
        short(a),
        short(a),
        short(slope),
        short(sum),
        short(slope),
        short(walk.gradients[0][k])
    );
    text
}

fn back_to_kernel(walk: &Walk) -> String {
    let g = &walk.gradients[0][KERNEL * 676..][..676];
    let (ky, kx) = (2, 0);
    let pixel = |place: usize| walk.input[(place / 26 + ky) * 28 + place % 26 + kx];
    let mut terms: Vec<_> =
        (0..676).map(|place| (place, g[place] * pixel(place))).filter(|t| t.1 != 0.0).collect();
    let (count, sum) = (terms.len(), terms.iter().map(|(_, term)| term).sum::<f64>());
    terms.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
    let mut text = format!(
        "row {ky}, column {kx} of kernel {KERNEL}, in {count} sums with a pixel that is not 0\n\
         place     ∂E/∂u     pixel   product\n"
    );
    for &(place, term) in &terms[..4] {
        let at = format!("[{},{}]", place / 26, place % 26);
        let _ = writeln!(text, "{at:<8}{:>7.4}{:>10.4}{term:>10.4}", g[place], pixel(place));
    }
    let (rest, others) = (count - 4, terms[4..].iter().map(|(_, term)| term).sum::<f64>());
    let rest = format!("the other {rest} together");
    let own = &walk.of_parameters[0][KERNEL * 9..][..9];
    let _ = write!(
        text,
        "{rest:<25}{others:>10.4}\n{:<25}{sum:>10.4}\n\n\
         all nine, X ⋆valid ∂E/∂u[{KERNEL}]\n{}\n\
         bias at [{},{}]: {}\n",
        "∂E/∂K",
        rows(own, 3, 4),
        PLACE[0],
        PLACE[1],
        short(walk.gradients[0][followed()])
    );
    text
}

/// The gradient of the pixels as a convolution, which is right, and as a correlation.
pub fn of_pixels(walk: &Walk) -> Result<[Vec<f64>; 2], ShapeError> {
    let mut sums = [vec![0.0; 784], vec![0.0; 784]];
    for kernel in 0..6 {
        let g = plane([26, 26], &walk.gradients[0][kernel * 676..][..676])?;
        let k = plane([3, 3], &walk.parameters(0)[kernel * 9..][..9])?;
        let both = [convolve_full(&g, &k)?, correlate_full(&g, &k)?];
        for (sum, part) in sums.iter_mut().zip(both) {
            sum.iter_mut().zip(part.as_slice()).for_each(|(sum, part)| *sum += part);
        }
    }
    Ok(sums)
}

fn back_to_pixels(walk: &Walk) -> Result<String, ShapeError> {
    let [convolved, correlated] = of_pixels(walk)?;
    let mut text = "pixel      convolution   correlation   measured\n".to_owned();
    let top = largest(&convolved);
    for at in [top, 13 * 28 + 15, 7 * 28 + 12] {
        let measured = slope(|step| walk.error_with_pixel(at, step));
        let place = format!("[{},{}]", at / 28, at % 28);
        let _ = writeln!(
            text,
            "{place:<11}{:>11.6}{:>14.6}{measured:>11.6}",
            convolved[at], correlated[at]
        );
    }
    Ok(text)
}

/// The slope at 0, by a small step to either side.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    (f(STEP) - f(-STEP)) / (2.0 * STEP)
}

fn differences(walk: &Walk) -> String {
    let (k, [y, x], digit) = (followed(), PLACE, walk.label);
    let mut text = "parameter            gradient    measured\n".to_owned();
    for (name, layer, place) in [
        (format!("0.weight[{KERNEL}][2,0]"), 0, KERNEL * 9 + 6),
        (format!("0.bias[{KERNEL}][{y},{x}]"), 0, 54 + k),
        (format!("3.weight[{UNIT},{k}]"), 3, UNIT * 4056 + k),
        (format!("3.bias[{UNIT}]"), 3, 100 * 4056 + UNIT),
        (format!("5.weight[{digit},{UNIT}]"), 5, digit * 100 + UNIT),
        (format!("5.bias[{digit}]"), 5, 1000 + digit),
    ] {
        let measured = slope(|step| walk.error_with(layer, place, step));
        let gradient = walk.of_parameters[layer][place];
        let _ = writeln!(text, "{name:<17}{gradient:>12.8}{measured:>12.8}");
    }
    text
}

fn step(walk: &Walk) -> String {
    let square: f64 = walk.of_parameters.iter().flatten().map(|g| g * g).sum();
    let mut text = format!(
        "the squares of all {} slopes add up to {square:.2}; error before a step: {:.5}\n\n\
         rate η    expected change −η · {square:.2}    error after the step    change\n",
        walk.network.parameters().len(),
        walk.error
    );
    for rate in [0.00001, 0.0001, 0.001, 0.01] {
        let after = walk.error_after(rate);
        let _ = writeln!(
            text,
            "{rate:<10}{:>19.5}{after:>27.5}{:>19.5}",
            -rate * square,
            after - walk.error
        );
    }
    text
}
