//! MNIST's digits in many forms, and back.

use super::grid::scaled;
use super::{Found, SIZE, split, to_mnist};
use crate::dataset::{DataSource, Part, Samples};
use crate::preprocessing::{Form, Raster};

const PLANE: usize = SIZE * SIZE;

fn grey(height: usize, width: usize, pixels: Vec<u8>) -> Raster {
    Raster { channels: 1, height, width, pixels }
}

fn samples(part: Part) -> Samples {
    DataSource::Mnist.load(part, &Form::default()).unwrap()
}

/// The mean absolute difference of two pictures, of 255.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    let all: u32 = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
    f64::from(all) / a.len() as f64
}

/// A number that looks random, of 0 to 255.
fn noise(at: usize) -> f32 {
    let mixed = (at as u32).wrapping_mul(2_654_435_761);
    ((mixed ^ mixed >> 15).wrapping_mul(2_246_822_519) >> 24) as f32
}

/// The picture at `side` pixels, at a place of a larger ground, as ink of 0 to 255.
fn placed(
    digit: &[u8],
    side: usize,
    [height, width]: [usize; 2],
    [top, left]: [usize; 2],
) -> Vec<f32> {
    let mut canvas = vec![0.0; height * width];
    let digit = scaled(digit, [SIZE, SIZE], [side, side]);
    for (row, y) in digit.values.chunks_exact(side).zip(top..) {
        canvas[y * width + left..][..side].copy_from_slice(row);
    }
    canvas
}

fn bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.map(|x| x.clamp(0.0, 255.0) as u8).collect()
}

/// The mean and the largest difference from MNIST's of the first 50 test digits in a form.
fn differences(form: impl Fn(&[u8]) -> Raster) -> (f64, f64) {
    let samples = samples(Part::Test);
    let of = |index: usize| {
        let original = samples.image(index);
        let (picture, found) = to_mnist(form(original));
        assert!(!matches!(found, Found::Empty | Found::AsItIs), "{index}: {found:?}");
        difference(original, &picture.pixels)
    };
    let all: Vec<f64> = (0..50).map(of).collect();
    (all.iter().sum::<f64>() / 50.0, all.iter().copied().fold(0.0, f64::max))
}

#[test]
fn pictures_of_mnist_stay_as_they_are() {
    for (part, step) in [(Part::Test, 1), (Part::Train, 7)] {
        let samples = samples(part);
        for index in (0..samples.len()).step_by(step) {
            let image = samples.image(index);
            let (picture, found) = to_mnist(grey(SIZE, SIZE, image.to_vec()));
            assert_eq!(found, Found::AsItIs, "{part:?} {index}");
            assert_eq!(picture.pixels, image, "{part:?} {index}");
        }
    }
}

#[test]
fn dark_on_white_and_off_centre_come_back() {
    let inverted = |image: &[u8]| grey(SIZE, SIZE, image.iter().map(|x| 255 - x).collect());
    let (mean, largest) = differences(inverted);
    assert!(mean < 2.0 && largest < 10.0, "{mean}, {largest}");
    let moved = |image: &[u8]| {
        let canvas = placed(image, SIZE, [40, 60], [1, 30]);
        grey(40, 60, bytes(canvas.iter().map(|x| 20.0 + x * 0.6)))
    };
    let (mean, largest) = differences(moved);
    assert!(mean < 2.0 && largest < 10.0, "{mean}, {largest}");
}

#[test]
fn large_pictures_of_uneven_light_and_noise_come_back() {
    let lights: [fn(f32, f32) -> f32; 4] = [
        |_, _| 250.0,
        |y, x| 110.0 + 60.0 * y + 80.0 * x,
        |y, x| 250.0 - 160.0 * (x - 0.3) * (x - 0.3) - 120.0 * (y - 0.4) * (y - 0.4),
        |_, x| 150.0 + ((x - 0.35) * 400.0).clamp(0.0, 60.0),
    ];
    let mut all = Vec::new();
    for light in lights {
        for grain in [0.0, 0.2] {
            let form = |image: &[u8]| {
                let canvas = placed(image, 210, [240, 300], [20, 75]);
                let pixels = canvas.iter().enumerate().map(|(at, ink)| {
                    let light = light((at / 300) as f32 / 240.0, (at % 300) as f32 / 300.0);
                    light * (1.0 - 0.75 * ink / 255.0) + (noise(at) - 127.5) * grain
                });
                grey(240, 300, bytes(pixels))
            };
            let (mean, largest) = differences(form);
            all.push((mean, largest));
        }
    }
    assert!(all.iter().all(|&(mean, largest)| mean < 8.0 && largest < 25.0), "{all:?}");
}

#[test]
fn very_small_pictures_are_enlarged() {
    for side in [8, 14] {
        let small = |image: &[u8]| {
            let cut: Vec<u8> =
                (0..400).map(|at| image[(at / 20 + 4) * SIZE + at % 20 + 4]).collect();
            grey(side, side, bytes(scaled(&cut, [20, 20], [side, side]).values.into_iter()))
        };
        let (mean, _) = differences(small);
        assert!(mean < 30.0, "{mean}");
    }
}

#[test]
fn an_empty_picture_is_empty() {
    let empty = (grey(SIZE, SIZE, vec![0; PLANE]), Found::Empty);
    for level in [0, 17, 255] {
        for (height, width) in [(28, 28), (1, 1), (0, 0), (8, 8), (1, 500), (200, 300)] {
            assert_eq!(to_mnist(grey(height, width, vec![level; height * width])), empty);
        }
    }
    let paper = (0..200 * 300).map(|at| 120.0 + (at % 300) as f32 / 4.0 + noise(at) / 12.0);
    let paper = grey(200, 300, bytes(paper));
    assert_eq!(to_mnist(paper.clone()), empty);
    assert!(split(paper).is_empty());
    // Fewer bytes than its size says are no picture.
    assert_eq!(to_mnist(grey(9, 9, vec![3; 5])), empty);
}

#[test]
fn digits_side_by_side_are_split_from_left_to_right() {
    let samples = samples(Part::Test);
    for first in (0..24).step_by(3) {
        let three = [0, 1, 2].map(|at| samples.image(first + at));
        let mut canvas = vec![0.0; 120 * 400];
        for (digit, left) in three.iter().zip([10, 130, 260]) {
            let placed = placed(digit, 100, [120, 400], [10, left]);
            canvas.iter_mut().zip(placed).for_each(|(to, x)| *to += x);
        }
        // A speck of dust.
        canvas[5 * 400 + 396] = 255.0;
        let lit =
            canvas.iter().zip(0_usize..).map(|(x, at)| 230.0 - (at % 400) as f32 / 8.0 - x / 2.0);
        let picture = grey(120, 400, bytes(lit));
        assert_eq!(to_mnist(picture.clone()).1, Found::Several(3), "{first}");
        let lines = split(picture);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [3], "{first}");
        for (found, digit) in lines[0].iter().zip(three) {
            let difference = difference(&found.pixels, digit);
            // As of a single one on clean paper: a move by half a pixel makes as much.
            assert!(difference < 17.0, "{first}: {difference}");
        }
    }
}

/// Lines of test digits, 56 pixels in size: dark on light, `pitch` pixels from line to line.
fn page(lines: &[&[usize]], pitch: usize) -> Raster {
    let samples = samples(Part::Test);
    let (height, width) = (pitch * lines.len() + 56, 400);
    let mut canvas = vec![0.0; height * width];
    for (line, top) in lines.iter().zip((20..).step_by(pitch)) {
        for (&index, left) in line.iter().zip((15..).step_by(75)) {
            let placed = placed(samples.image(index), 56, [height, width], [top, left]);
            canvas.iter_mut().zip(placed).for_each(|(to, x)| *to += x);
        }
    }
    grey(height, width, bytes(canvas.iter().map(|x| 235.0 - x * 0.9)))
}

#[test]
fn the_bar_of_a_5_is_of_its_line() {
    // Index 8 is a 5 with a loose bar.
    let pages: [&[&[usize]]; 5] = [
        &[&[0, 1, 2, 3, 4], &[7, 8, 9]],
        &[&[0], &[8]],
        &[&[5, 2, 11, 2, 18], &[8, 8, 2, 18, 9]],
        &[&[0, 1, 2, 3], &[8, 8, 18, 18]],
        &[&[8, 8, 8], &[8, 8, 8], &[8, 8, 8]],
    ];
    for lines in pages {
        for pitch in [56, 70, 100, 150] {
            let found: Vec<usize> = split(page(lines, pitch)).iter().map(Vec::len).collect();
            let wanted: Vec<usize> = lines.iter().map(|line| line.len()).collect();
            assert_eq!(found, wanted, "{lines:?}, {pitch}");
        }
    }
}

#[test]
fn one_long_shape_does_not_make_digits_specks() {
    let mut picture = page(&[&[0, 1, 2, 3], &[4, 7, 9, 1]], 100);
    // The rule of a margin.
    for y in 5..240 {
        picture.pixels[y * 400 + 350..][..6].fill(20);
    }
    let found: usize = split(picture).iter().map(Vec::len).sum();
    assert_eq!(found, 9);
}
