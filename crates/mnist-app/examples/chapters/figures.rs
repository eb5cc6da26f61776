//! The figures, each from the numbers that the text gives.

use std::fs;
use std::path::Path;

use mnist_app::dataset::Samples;
use tensor::{correlate_full, correlate_valid};

use super::sample::{Walk, forward, network};
use super::svg::{BLACK, BLUE, GREEN, GREY, RED, Svg};
use super::text::{EDGE, KERNEL, PLACE, UNIT, edge, followed, part, plane, short};

/// How many training images the histogram is of: as many as `inspect` looks at.
const IMAGES: usize = 256;

/// Draws all figures into a folder.
pub fn draw(walk: &Walk, samples: &Samples, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, svg) in [
        ("convolution", convolution(walk)?),
        ("valid-and-full", valid_and_full(walk)?),
        ("six-maps", six_maps(walk)),
        ("slope", slope(walk)),
        ("seven-layers", seven_layers(walk)),
        ("kernel-gradient", kernel_gradient(walk)),
        ("saturation", saturation(samples)?),
    ] {
        fs::write(folder.join(name).with_extension("svg"), svg.finish())?;
    }
    Ok(())
}

/// The largest size among numbers.
fn most(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |most, x| x.abs().max(most))
}

/// Numbers in the middle of the cells of a grid.
fn numbers(svg: &mut Svg, [x, y]: [f64; 2], cell: f64, columns: usize, words: &[String]) {
    for (at, word) in words.iter().enumerate() {
        let [row, column] = [at / columns, at % columns].map(|place| place as f64 + 0.5);
        svg.words([x + column * cell, y + row * cell + 4.0], "middle", BLACK, word);
    }
}

fn convolution(walk: &Walk) -> anyhow::Result<Svg> {
    let mut svg = Svg::new([760, 300], "A kernel slides over a digit");
    let (map, [y, x]) = edge(walk)?;
    let [digit, kernel, out] = [[16.0, 40.0], [318.0, 104.0], [500.0, 48.0]];
    let (cell, large) = (9.0, 36.0);
    svg.heading([digit[0], 24.0], "28×28 pixels");
    svg.heading([kernel[0], 24.0], "3×3 kernel");
    svg.heading([out[0], 24.0], "26×26 sums");
    svg.grey(digit, cell, 28, &walk.input);
    svg.signed(out, cell, 26, map.as_slice(), most(map.as_slice()));
    svg.signed(kernel, large, 3, &EDGE, 3.0);
    numbers(&mut svg, kernel, large, 3, &EDGE.map(|k| format!("{k}")));
    let [left, top] = [digit[0] + x as f64 * cell, digit[1] + y as f64 * cell];
    let [to_x, to_y] = [out[0] + x as f64 * cell, out[1] + y as f64 * cell];
    let right = kernel[0] + 3.0 * large;
    for (from, to) in [(0.0, 0.0), (3.0, 3.0)] {
        let start = [left + 3.0 * cell, top + from * cell];
        svg.line(&[start, [kernel[0], kernel[1] + to * large]], GREEN, 1.0, "4 3");
        let end = [to_x, to_y + from / 3.0 * cell];
        svg.line(&[[right, kernel[1] + to * large], end], GREEN, 1.0, "4 3");
    }
    svg.frame([left, top, 3.0 * cell, 3.0 * cell], GREEN, 2.5);
    svg.frame([to_x, to_y, cell, cell], GREEN, 2.5);
    let middle = kernel[0] + 1.5 * large;
    let sum = map.as_slice()[y * 26 + x];
    for (line, words) in
        ["nine pixels times", "nine numbers,", &format!("sum {sum:.2}")].into_iter().enumerate()
    {
        svg.words([middle, 236.0 + 17.0 * line as f64], "middle", BLACK, words);
    }
    Ok(svg)
}

fn valid_and_full(walk: &Walk) -> anyhow::Result<Svg> {
    let mut svg = Svg::new([760, 392], "Valid and full");
    let (_, place) = edge(walk)?;
    let (cell, small) = (42.0, part(walk, place, [5, 5]));
    let (image, kernel) = (plane([5, 5], &small)?, plane([3, 3], &EDGE)?);
    let (full, valid) = (correlate_full(&image, &kernel)?, correlate_valid(&image, &kernel)?);
    // Two zeros on each side.
    let padded = |at: usize| {
        let [y, x] = [at / 9, at % 9];
        let inside = (2..7).contains(&y) && (2..7).contains(&x);
        if inside { small[(y - 2) * 5 + x - 2] } else { 0.0 }
    };
    let padded: Vec<_> = (0..81).map(padded).collect();
    let (left, right) = ([16.0, 40.0], [440.0, 40.0 + cell]);
    let narrow = 36.0;
    svg.heading([left[0], 24.0], "5×5 pixels, and zeros around them");
    svg.heading([right[0], 24.0], "7×7 sums, 3×3 of them valid");
    let dim: Vec<_> = padded.iter().map(|x| x * 0.45).collect();
    svg.grey(left, narrow, 9, &dim);
    let words: Vec<_> = padded.iter().map(|x| format!("{x:.2}")).collect();
    numbers(&mut svg, left, narrow, 9, &words);
    let inside = |steps: f64, side: f64, at: [f64; 2], cell: f64| {
        [at[0] + steps * cell, at[1] + steps * cell, side * cell, side * cell]
    };
    svg.frame(inside(2.0, 5.0, left, narrow), BLACK, 2.0);
    svg.frame(inside(0.0, 3.0, left, narrow), RED, 3.0);
    svg.frame(inside(2.04, 2.92, left, narrow), GREEN, 3.0);
    let sums = full.as_slice();
    svg.signed(right, cell, 7, sums, 2.0 * most(valid.as_slice()));
    let words: Vec<_> = sums.iter().map(|x| format!("{:.2}", x + 0.0)).collect();
    numbers(&mut svg, right, cell, 7, &words);
    svg.frame(inside(0.0, 1.0, right, cell), RED, 3.0);
    svg.frame(inside(2.0, 3.0, right, cell), BLACK, 2.0);
    svg.frame(inside(2.04, 0.92, right, cell), GREEN, 3.0);
    Ok(svg)
}

fn six_maps(walk: &Walk) -> Svg {
    let mut svg = Svg::new([760, 226], "Six kernels, six maps");
    let (sums, kernels) = (&walk.outputs[0], &walk.parameters(0)[..54]);
    for kernel in 0..6 {
        let left = 12.0 + 124.0 * kernel as f64;
        svg.heading([left, 20.0], &format!("kernel {kernel}"));
        svg.signed([left, 30.0], 18.0, 3, &kernels[kernel * 9..][..9], most(kernels));
        let map = &sums[kernel * 676..][..676];
        svg.signed([left, 98.0], 4.4, 26, map, most(sums));
    }
    svg
}

/// A part of a picture with two axes, the horizontal one labelled at the bottom.
struct Axes {
    /// Left, top, right, bottom, in the picture.
    place: [f64; 4],
    /// The numbers there.
    x: [f64; 2],
    y: [f64; 2],
}

impl Axes {
    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let share = |x: f64, [low, high]: [f64; 2]| (x - low) / (high - low);
        let [left, top, right, bottom] = self.place;
        [left + (right - left) * share(x, self.x), bottom - (bottom - top) * share(y, self.y)]
    }

    fn line(&self, svg: &mut Svg, points: &[[f64; 2]], colour: &str, dashes: &str) {
        let points: Vec<_> = points.iter().map(|&point| self.at(point)).collect();
        svg.line(&points, colour, 2.0, dashes);
    }

    /// The frame, with numbers below.
    fn frame(&self, svg: &mut Svg, ticks: &[f64], title: &str) {
        let [left, top, right, bottom] = self.place;
        svg.line(&[[left, bottom], [right, bottom]], GREY, 1.0, "none");
        for &tick in ticks {
            let [x, _] = self.at([tick, 0.0]);
            svg.line(&[[x, bottom], [x, bottom + 5.0]], GREY, 1.0, "none");
            svg.words([x, bottom + 20.0], "middle", BLACK, &format!("{tick}"));
        }
        svg.words([(left + right) / 2.0, bottom + 40.0], "middle", BLACK, title);
        svg.line(&[[left, top], [left, bottom]], GREY, 1.0, "none");
    }
}

fn slope(walk: &Walk) -> Svg {
    let mut svg = Svg::new([560, 330], "The error, when one weight changes");
    let place = walk.label * 100 + UNIT;
    let (start, gradient) = (walk.parameters(5)[place], walk.of_parameters[5][place]);
    let steps: Vec<_> = (0..=60).map(|step| f64::from(step) * 0.5 - 15.0).collect();
    let curve: Vec<_> =
        steps.iter().map(|&step| [start + step, walk.error_with(5, place, step)]).collect();
    let [low, high] = [curve[0][0], curve[60][0]];
    let axes = Axes { place: [64.0, 44.0, 530.0, 270.0], x: [low, high], y: [1.4, 2.9] };
    svg.heading([64.0, 24.0], "The error, when one weight changes");
    axes.frame(
        &mut svg,
        &[-15.0, -10.0, -5.0, 0.0, 5.0, 10.0],
        &format!("weight W[{},{UNIT}]; at the start it is {}", walk.label, short(start)),
    );
    for tick in [1.5, 2.0, 2.5] {
        let [x, y] = axes.at([low, tick]);
        svg.line(&[[x - 5.0, y], [x, y]], GREY, 1.0, "none");
        svg.words([x - 9.0, y + 4.0], "end", BLACK, &format!("{tick:.1}"));
    }
    axes.line(&mut svg, &curve, BLUE, "none");
    let tangent = [-13.0, 13.0].map(|step| [start + step, walk.error + gradient * step]);
    axes.line(&mut svg, &tangent, RED, "6 4");
    svg.dot(axes.at([start, walk.error]), BLACK);
    let label = axes.at([start + 13.0, walk.error + gradient * 13.0]);
    let words = format!("slope {}", short(gradient));
    svg.words([label[0] - 4.0, label[1] - 10.0], "end", RED, &words);
    svg
}

fn seven_layers(walk: &Walk) -> Svg {
    let mut svg = Svg::new([772, 220], "One number of each layer, and how the error depends on it");
    let (k, digit) = (followed(), walk.label);
    let Walk { outputs, gradients, .. } = walk;
    let places = [k, k, k, UNIT, UNIT, digit, digit];
    let names = ["u", "a", "a", "s", "z", "x", "y"];
    let layers = ["Conv2d", "Sigmoid", "Reshape", "Dense", "Tanh", "Dense", "Sigmoid"];
    let (width, step, top) = (72.0, 96.0, 84.0);
    svg.words([12.0, 24.0], "start", BLUE, "forward: one number of what each layer puts out");
    svg.words([12.0, 208.0], "start", RED, "backward: how much the error changes with it");
    for (layer, name) in layers.into_iter().enumerate() {
        let left = 12.0 + step * layer as f64;
        svg.frame([left, top, width, 52.0], GREY, 1.0);
        let middle = left + width / 2.0;
        svg.words([middle, top + 22.0], "middle", BLACK, &format!("{layer}"));
        svg.words([middle, top + 40.0], "middle", BLACK, name);
        let place = places[layer];
        let value = format!("{} = {}", names[layer], short(outputs[layer][place]));
        svg.words([middle + 9.0, top - 26.0], "middle", BLUE, &value);
        svg.arrow([[left + 8.0, top - 14.0], [left + step - 6.0, top - 14.0]], BLUE);
        let slope = short(gradients[layer][place]);
        svg.words([middle + 9.0, top + 90.0], "middle", RED, &slope);
        svg.arrow([[left + step - 6.0, top + 68.0], [left + 8.0, top + 68.0]], RED);
    }
    let left = 12.0 + step * 7.0;
    svg.frame([left, top, width, 52.0], BLACK, 2.0);
    svg.words([left + width / 2.0, top + 22.0], "middle", BLACK, "error");
    svg.words([left + width / 2.0, top + 40.0], "middle", BLACK, &short(walk.error));
    svg
}

fn kernel_gradient(walk: &Walk) -> Svg {
    let mut svg = Svg::new([760, 310], "The gradient of a kernel");
    let gradient = &walk.gradients[0][KERNEL * 676..][..676];
    let own = &walk.of_parameters[0][KERNEL * 9..][..9];
    let (cell, large) = (9.0, 52.0);
    let [digit, map, kernel] = [[16.0, 40.0], [316.0, 49.0], [590.0, 88.0]];
    svg.heading([digit[0], 24.0], "the digit X");
    svg.heading([map[0], 24.0], &format!("∂E/∂u[{KERNEL}]"));
    svg.heading([kernel[0], 24.0], &format!("∂E/∂K[{KERNEL}]"));
    svg.grey(digit, cell, 28, &walk.input);
    svg.signed(map, cell, 26, gradient, most(gradient));
    svg.signed(kernel, large, 3, own, 2.0 * most(own));
    numbers(&mut svg, kernel, large, 3, &own.iter().map(|g| short(*g)).collect::<Vec<_>>());
    svg.heading([282.0, 172.0], "⋆");
    svg.heading([565.0, 172.0], "=");
    let [y, x] = PLACE.map(|place| place as f64);
    svg.frame([map[0] + x * cell, map[1] + y * cell, cell, cell], GREEN, 2.5);
    // The pixels that the 26×26 numbers meet for row 2, column 0.
    svg.frame([digit[0], digit[1] + 2.0 * cell, 26.0 * cell, 26.0 * cell], GREEN, 2.0);
    svg.frame([kernel[0], kernel[1] + 2.0 * large, large, large], GREEN, 2.5);
    svg
}

/// What layer 3 of a preset puts out at the start.
fn sums_of(preset: &str, samples: &Samples) -> anyhow::Result<Vec<f64>> {
    let network = network(preset)?;
    let mut sums = Vec::new();
    let mut input = vec![0.0; network.input_shape().len()];
    for index in 0..IMAGES {
        samples.write_image(index, &mut input);
        sums.extend(&forward(&network, &input)[3]);
    }
    Ok(sums)
}

fn deviation(numbers: &[f64]) -> f64 {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn saturation(samples: &Samples) -> anyhow::Result<Svg> {
    let mut svg = Svg::new([760, 380], "tanh over the sums that it is given");
    let places = [[50.0, 66.0, 500.0, 316.0], [560.0, 66.0, 740.0, 316.0]];
    let panels = [("notebook", 120.0, 5.0, 10.0), ("notebook-tuned", 4.0, 0.05, 0.1)];
    for (place, (preset, end, width, first)) in places.into_iter().zip(panels) {
        let sums = sums_of(preset, samples)?;
        let flat = sums.iter().filter(|sum| sum.abs() > 3.0).count() as f64 / sums.len() as f64;
        let bins = (2.0 * end / width) as usize;
        let mut counts = vec![0; bins];
        for sum in &sums {
            let bin = ((sum + end) / width) as usize;
            counts[bin.min(bins - 1)] += 1;
        }
        let highest = counts.iter().copied().max().unwrap_or(1) as f64;
        let axes = Axes { place, x: [-end, end], y: [-1.15, 1.15] };
        let [left, top, right, bottom] = place;
        // Where the tanh is not flat.
        let [low, high] = [-3.0, 3.0].map(|x| axes.at([x, 0.0])[0]);
        svg.area([low, top, high - low, bottom - top], "#fff3c4");
        for (bin, &count) in counts.iter().enumerate() {
            let [x, _] = axes.at([-end + bin as f64 * width, 0.0]);
            let [next, _] = axes.at([-end + (bin + 1) as f64 * width, 0.0]);
            let height = f64::from(count) / highest * (bottom - top) * 0.75;
            let wide = (next - x - 0.6).max(0.6);
            svg.area([x, bottom - height, wide, height], "#9cc4dd");
        }
        let curve: Vec<_> = (0..=400)
            .map(|at| (f64::from(at) / 200.0 - 1.0) * end)
            .map(|x| [x, x.tanh()])
            .collect();
        axes.line(&mut svg, &curve, RED, "none");
        let tenth = first * 10.0;
        let ticks =
            if end > 100.0 { vec![-tenth, -50.0, 0.0, 50.0, tenth] } else { vec![-3.0, 0.0, 3.0] };
        axes.frame(&mut svg, &ticks, "sum of a unit of layer 3");
        svg.heading([left, 24.0], preset);
        let words = format!("{:.2} wide, {:.2} % beyond ±3", deviation(&sums), 100.0 * flat);
        svg.words([left, 44.0], "start", BLACK, &words);
        svg.words([right, axes.at([0.0, 1.0])[1] - 6.0], "end", RED, "tanh");
        if end > 100.0 {
            for tick in [-1.0, 0.0, 1.0] {
                let [x, y] = axes.at([-end, tick]);
                svg.words([x - 6.0, y + 4.0], "end", RED, &format!("{tick}"));
            }
        }
    }
    Ok(svg)
}
