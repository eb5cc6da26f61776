//! Pictures to try a classifier of one's own on: circles, squares, triangles and stars, dark on light, in all sizes
//! and colours, as JPEG and PNG files in a folder for each class.
//!
//! ```sh
//! cargo run --release -p mnist-app --example shapes -- shapes 600 sheet.png
//! ```
//!
//! draws 600 pictures into the folder `shapes`, the same ones each time, and the first of each class
//! side by side into `sheet.png`. Another number gives other pictures.

use std::f32::consts::{PI, TAU};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::{Rgb, RgbImage};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Whether a point is within a shape of radius 1 around the origin.
type IsIn = fn(f32, f32) -> bool;

/// The folder of the pictures, if none is named.
const DEFAULT: &str = "runs/example-shapes";

/// The classes.
const SHAPES: [(&str, IsIn); 4] =
    [("circle", circle), ("square", square), ("star", star), ("triangle", triangle)];

fn circle(x: f32, y: f32) -> bool {
    x.hypot(y) < 1.0
}

fn square(x: f32, y: f32) -> bool {
    x.abs().max(y.abs()) < 0.8
}

fn triangle(x: f32, y: f32) -> bool {
    polygon(3, x, y) < 0.5
}

/// Five triangles around a pentagon.
fn star(x: f32, y: f32) -> bool {
    let angle = (y.atan2(x).rem_euclid(TAU / 5.0) - PI / 5.0).abs();
    let radius = x.hypot(y);
    // The line from a tip, at radius 1 and angle π/5, to a notch, at radius 0.4 and angle 0.
    let (tip, notch) = ([(PI / 5.0).cos(), (PI / 5.0).sin()], [0.4, 0.0]);
    let [along_x, along_y] = [notch[0] - tip[0], notch[1] - tip[1]];
    let [from_x, from_y] = [radius * angle.cos() - tip[0], radius * angle.sin() - tip[1]];
    along_x * from_y - along_y * from_x < 0.0
}

/// The largest distance along the normals of a regular polygon's sides.
fn polygon(sides: u8, x: f32, y: f32) -> f32 {
    let normal = |side: u8| {
        let angle = TAU * f32::from(side) / f32::from(sides);
        x * angle.cos() + y * angle.sin()
    };
    (0..sides).map(normal).fold(f32::MIN, f32::max)
}

/// Draws a shape in a colour on a ground, both a little noisy.
fn draw(is_in: IsIn, random: &mut ChaCha8Rng) -> RgbImage {
    const FINE: u32 = 3;
    let [width, height] = [(); 2].map(|()| random.random_range(40_u16..=160));
    let small = f32::from(width.min(height));
    let radius = small * random.random_range(0.25..0.42);
    let [x, y] = [width, height].map(|side| f32::from(side) * random.random_range(0.42..0.58));
    let angle: f32 = random.random_range(0.0..TAU);
    let (mut ink, mut ground) = ([0.0; 3], [0.0; 3]);
    // Dark on light, and apart from each other.
    while (0..3).map(|at: usize| f32::abs(ink[at] - ground[at])).sum::<f32>() < 150.0 {
        ink = [(); 3].map(|()| random.random_range(0.0..120.0));
        ground = [(); 3].map(|()| random.random_range(140.0..255.0));
    }
    RgbImage::from_fn(width.into(), height.into(), |column, row| {
        let mut inside = 0.0;
        for fine in 0..FINE * FINE {
            let at = |pixel: u32, fine: u32| (pixel as f32) + (fine as f32 + 0.5) / FINE as f32;
            let dx = (at(column, fine % FINE) - x) / radius;
            let dy = (at(row, fine / FINE) - y) / radius;
            let (sin, cos) = angle.sin_cos();
            inside += f32::from(u8::from(is_in(cos * dx - sin * dy, sin * dx + cos * dy)));
        }
        let share = inside / (FINE * FINE) as f32;
        let noise: f32 = random.random_range(-12.0..12.0);
        Rgb([0, 1, 2].map(|at| {
            (share * ink[at] + (1.0 - share) * ground[at] + noise).clamp(0.0, 255.0) as u8
        }))
    })
}

/// The first pictures of each class, a row a class.
fn sheet(folder: &Path) -> anyhow::Result<RgbImage> {
    const SIDE: u32 = 96;
    const COLUMNS: u32 = 8;
    let mut sheet = RgbImage::from_pixel(COLUMNS * SIDE, 4 * SIDE, Rgb([255; 3]));
    for (row, (class, _)) in (0..).zip(SHAPES) {
        let mut files: Vec<PathBuf> = fs::read_dir(folder.join(class))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for (column, file) in (0..COLUMNS).zip(files) {
            let picture = image::open(file)?.thumbnail(SIDE - 6, SIDE - 6).to_rgb8();
            let [x, y] = [column * SIDE + 3, row * SIDE + 3].map(i64::from);
            image::imageops::overlay(&mut sheet, &picture, x, y);
        }
    }
    Ok(sheet)
}

fn main() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let usage = "expected a folder that is not there yet, the number of pictures, and perhaps the \
                 file of a sheet";
    let (folder, count, rest) = match words.as_slice() {
        // Where runs go too: git does not look there.
        [] => {
            fs::create_dir_all(DEFAULT)?;
            (Path::new(DEFAULT), 40, &[][..])
        }
        [folder, count, rest @ ..] => {
            let count = count.parse::<usize>().context(usage)?;
            fs::create_dir(folder).with_context(|| usage)?;
            (Path::new(folder), count, rest)
        }
        _ => anyhow::bail!(usage),
    };
    let mut random = ChaCha8Rng::seed_from_u64(count as u64);
    for number in 0..count {
        let (class, is_in) = SHAPES[number % SHAPES.len()];
        let picture = draw(is_in, &mut random);
        fs::create_dir_all(folder.join(class))?;
        // One in four as PNG.
        let ending = if (number / SHAPES.len()).is_multiple_of(4) { "png" } else { "jpg" };
        picture.save(folder.join(class).join(format!("{number:04}.{ending}")))?;
    }
    if let Some(file) = rest.first() {
        sheet(folder)?.save(file)?;
    }
    Ok(())
}
