//! Random deformations of training images, so that an epoch never shows the same image
//! twice.
//!
//! The deformation of an image is a function of seed, epoch and the image's index, drawn from a
//! counter-based generator: batches, shards, threads and resuming a run never change it.

use layers::random::philox;
use serde::{Deserialize, Deserializer, Serialize, de};
use tensor::Element;
use tensor::image::{self, Spline};

/// How far training images may be deformed. All draws are uniform; what is 0 or absent
/// does nothing. The parts act on one another in this order: flip, elastic, scale, shear,
/// rotation, shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Along each axis, up to this many pixels either way.
    #[serde(default, deserialize_with = "pixels")]
    pub shift: f64,
    /// Around the centre, up to this many degrees either way.
    #[serde(default, deserialize_with = "half_turn")]
    pub rotation: f64,
    /// By a factor between `1 − scale` and `1 + scale`.
    #[serde(default, deserialize_with = "factor")]
    pub scale: f64,
    /// Upright lines lean up to this many degrees either way.
    #[serde(default, deserialize_with = "lean")]
    pub shear: f64,
    /// Whether images are mirrored left to right, each with a probability of one half. For pictures
    /// that keep their meaning, unlike digits and letters.
    #[serde(default, skip_serializing_if = "is_not")]
    pub flip: bool,
    /// Each part of the image by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
}

/// A smooth random displacement of all pixels: a grid of nodes, each displaced at random,
/// with cubic B-splines between them. It does what smoothed noise does (Simard, Steinkraus
/// and Platt, 2003), at the cost of the nodes instead of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Into how many cells the grid divides each side of the image.
    #[serde(deserialize_with = "cells")]
    pub cells: usize,
    /// Along each axis, a node moves up to this many pixels either way.
    #[serde(deserialize_with = "pixels")]
    pub strength: f64,
}

const MOST_CELLS: usize = 16;

/// A cell needs two nodes to each side of a point in it.
const MOST_NODES: usize = MOST_CELLS + 3;

/// The word of the counter that separates these draws from those of layers, which have a layer's
/// number there.
const AUGMENTATION: u32 = u32::MAX;

/// The first word of the counter for a flip. The other parts count up from 0 there, so that they
/// draw the same with a flip and without.
const FLIP: u32 = u32::MAX;

/// Pixels of a row whose positions are computed before they are sampled.
const TOGETHER: usize = 64;

/// Deforms the images of one size.
#[derive(Clone, Debug)]
pub struct Augmenter {
    augmentation: Augmentation,
    /// Height and width.
    size: [usize; 2],
    seed: u64,
    /// Where each row and each column lies in the elastic grid.
    splines: [Vec<Spline>; 2],
}

/// From a pixel of the deformed image to its place in the original one.
#[derive(Debug)]
struct Map {
    /// `(y, x) ↦ matrix (y, x, 1)`.
    matrix: [[f32; 3]; 2],
    /// The displacements of the nodes, along y and x.
    nodes: [[[f32; 2]; MOST_NODES]; MOST_NODES],
}

/// A deformation that keeps lines straight.
#[derive(Debug)]
struct Affine {
    /// Down and to the right, in pixels.
    shift: [f64; 2],
    /// Clockwise, in radians.
    angle: f64,
    /// Of the size.
    factor: f64,
    /// To the right for each pixel upwards.
    lean: f64,
}

impl Augmenter {
    /// For images of this height and width.
    pub fn new(augmentation: Augmentation, size: [usize; 2], seed: u64) -> Self {
        let cells = augmentation.elastic.map_or(1, |elastic| elastic.cells);
        let splines = size.map(|side| (0..side).map(|at| spline(at, side, cells)).collect());
        Self { augmentation, size, seed, splines }
    }

    /// Writes image number `sample` as epoch `epoch` shows it, as numbers from 0 to 1.
    /// `image` and `output` are `(C, H, W)`; what lies outside `image` is 0.
    ///
    /// # Panics
    /// If the lengths are no multiple of the image's size.
    pub fn write<T: Element>(
        &self,
        image: &[u8],
        (epoch, sample): (usize, usize),
        output: &mut [T],
    ) {
        let [height, width] = self.size;
        let plane = height * width;
        assert!(
            output.len() == image.len() && image.len().is_multiple_of(plane),
            "augmentation: expected images of {height}×{width} pixels"
        );
        let map = self.map(Draws::new(self.seed, epoch, sample));
        for y in 0..height {
            let displacements = self.row_of_nodes(&map, y);
            for start in (0..width).step_by(TOGETHER) {
                let count = TOGETHER.min(width - start);
                let mut grid = [[0.0; TOGETHER]; 2];
                let [ys, xs] = grid.each_mut().map(|axis| &mut axis[..count]);
                self.grid(&map, &displacements, [y, start], [ys, xs]);
                let [ys, xs] = grid.each_ref().map(|axis| &axis[..count]);
                for (image, output) in image.chunks_exact(plane).zip(output.chunks_exact_mut(plane))
                {
                    let output = &mut output[y * width + start..][..count];
                    image::grid_sample(image, self.size, [ys, xs], output);
                }
            }
        }
    }

    /// What `draws` say about one image.
    fn map(&self, mut draws: Draws) -> Map {
        let Augmentation { shift, rotation, scale, shear, flip, elastic } = self.augmentation;
        let mut matrix = self.inverse(&Affine {
            shift: [shift; 2].map(|shift| draws.within(shift)),
            angle: draws.within(rotation).to_radians(),
            factor: 1.0 + draws.within(scale),
            lean: libm::tan(draws.within(shear).to_radians()),
        });
        if flip && draws.flips() {
            // Column x becomes the column as far from the other edge.
            let [_, [by_y, by_x, start]] = matrix;
            matrix[1] = [-by_y, -by_x, self.size[1] as f32 - 1.0 - start];
        }
        let mut nodes = [[[0.0; 2]; MOST_NODES]; MOST_NODES];
        if let Some(Elastic { cells, strength }) = elastic {
            for row in &mut nodes[..cells + 3] {
                for displacement in row[..cells + 3].as_flattened_mut() {
                    *displacement = f32::from_f64(draws.within(strength));
                }
            }
        }
        Map { matrix, nodes }
    }

    /// The inverse map, since each pixel of the deformed image is looked up in the original.
    fn inverse(&self, affine: &Affine) -> [[f32; 3]; 2] {
        let Affine { shift, angle, factor, lean } = *affine;
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        // Of (y, x) from the centre: the rotation back, then the lean, then the scale.
        let y = [cos / factor, -sin / factor];
        let x = [(sin + lean * cos) / factor, (cos - lean * sin) / factor];
        let centre = self.size.map(|side| (side as f64 - 1.0) / 2.0);
        let moved = [centre[0] + shift[0], centre[1] + shift[1]];
        [(y, centre[0]), (x, centre[1])].map(|(row, centre)| {
            let start = centre - (row[0] * moved[0] + row[1] * moved[1]);
            [row[0], row[1], start].map(f32::from_f64)
        })
    }

    /// The displacements in row `y`, at the nodes' columns.
    fn row_of_nodes(&self, map: &Map, y: usize) -> [[f32; 2]; MOST_NODES] {
        let mut row = [[0.0; 2]; MOST_NODES];
        let Some(elastic) = self.augmentation.elastic else { return row };
        let Spline { first, weights } = self.splines[0][y];
        for (nodes, weight) in map.nodes[first..].iter().zip(weights) {
            for (sum, node) in row[..elastic.cells + 3].iter_mut().zip(nodes) {
                sum[0] += weight * node[0];
                sum[1] += weight * node[1];
            }
        }
        row
    }

    /// Where in the original image the brightness of pixels of row `y` comes from, from column
    /// `first` on.
    fn grid(
        &self,
        map: &Map,
        row: &[[f32; 2]; MOST_NODES],
        [y, first]: [usize; 2],
        grid: [&mut [f32]; 2],
    ) {
        let elastic = self.augmentation.elastic.is_some();
        let splines = if elastic { &self.splines[1][first..][..grid[0].len()] } else { &[] };
        image::affine_grid(&map.matrix, [y, first], (row, splines), grid);
    }
}

/// Pixel `at` of `side` in a grid of `cells` cells: the uniform cubic B-spline.
fn spline(at: usize, side: usize, cells: usize) -> Spline {
    let place = (at as f64 + 0.5) / side as f64 * cells as f64;
    let first = (0..cells).rev().find(|&cell| cell as f64 <= place).unwrap_or(0);
    let t = place - first as f64;
    let weights = [
        (1.0 - t) * (1.0 - t) * (1.0 - t),
        3.0 * t * t * t - 6.0 * t * t + 4.0,
        -3.0 * t * t * t + 3.0 * t * t + 3.0 * t + 1.0,
        t * t * t,
    ];
    Spline { first, weights: weights.map(|weight| f32::from_f64(weight / 6.0)) }
}

/// The lower 32 bits.
fn low(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}

/// Random numbers for one image of one epoch.
struct Draws {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Draws {
    /// Draws repeat after 2³² epochs, and for images 2³² apart.
    fn new(seed: u64, epoch: usize, sample: usize) -> Self {
        let key = [low(seed), low(seed >> 32)];
        let counter = [0, low(sample as u64), low(epoch as u64), AUGMENTATION];
        Self { key, counter, words: [0; 4], used: 4 }
    }

    /// Whether the image is mirrored, with a probability of one half.
    fn flips(&self) -> bool {
        let [_, sample, epoch, purpose] = self.counter;
        philox([FLIP, sample, epoch, purpose], self.key)[0] >> 31 == 1
    }

    /// A uniform number from `-most` to `most`.
    fn within(&mut self, most: f64) -> f64 {
        if self.used == self.words.len() {
            self.words = philox(self.counter, self.key);
            self.counter[0] += 1;
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        most * ((f64::from(word) + 0.5) / f64::from(1_u32 << 31) - 1.0)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_not(flag: &bool) -> bool {
    !flag
}

fn pixels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a number of pixels from 0 to 1000", |x| (0.0..=1000.0).contains(&x))
}

fn half_turn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "degrees from 0 to 180", |x| (0.0..=180.0).contains(&x))
}

fn factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a number from 0 to less than 1", |x| (0.0..1.0).contains(&x))
}

fn lean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "degrees from 0 to 60", |x| (0.0..=60.0).contains(&x))
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<f64, D::Error> {
    let found = f64::deserialize(deserializer)?;
    if fits(found) {
        return Ok(found);
    }
    Err(de::Error::custom(format!("expected {expected}, found {found}")))
}

fn cells<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let found = usize::deserialize(deserializer)?;
    if (1..=MOST_CELLS).contains(&found) {
        return Ok(found);
    }
    let expected = format!("expected a number of cells from 1 to {MOST_CELLS}, found {found}");
    Err(de::Error::custom(expected))
}

#[cfg(test)]
mod tests {
    use super::{Affine, Augmentation, Augmenter, Draws, Elastic};

    const SIZE: [usize; 2] = [5, 7];

    fn image() -> Vec<u8> {
        (0..35).map(|at: usize| (at * 37).to_le_bytes()[0]).collect()
    }

    fn deform(augmentation: Augmentation, image: &[u8], sample: usize) -> Vec<f32> {
        let mut output = vec![f32::NAN; image.len()];
        Augmenter::new(augmentation, SIZE, 3).write(image, (1, sample), &mut output);
        output
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let expected: Vec<_> = image().iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        assert_eq!(deform(Augmentation::default(), &image(), 0), expected);
        let grid = Elastic { cells: 3, strength: 0.0 };
        let still = Augmentation { elastic: Some(grid), ..Augmentation::default() };
        assert_eq!(deform(still, &image(), 0), expected);
    }

    #[test]
    fn each_part_by_hand() {
        let augmenter = Augmenter::new(Augmentation::default(), SIZE, 0);
        let none = Affine { shift: [0.0; 2], angle: 0.0, factor: 1.0, lean: 0.0 };
        // The image's centre is (2, 3). What a point of the result is made of:
        let origin = |affine: &Affine, [y, x]: [f32; 2]| {
            augmenter.inverse(affine).map(|[by_y, by_x, start]| by_y * y + by_x * x + start)
        };
        let shift = Affine { shift: [1.0, -2.0], ..none };
        assert_eq!(origin(&shift, [3.0, 1.0]), [2.0, 3.0], "down and to the left");
        let turn = Affine { angle: std::f64::consts::FRAC_PI_2, ..none };
        let [y, x] = origin(&turn, [2.0, 4.0]);
        assert!((y - 1.0).abs() < 1e-6 && (x - 3.0).abs() < 1e-6, "above to the right: {y} {x}");
        let scale = Affine { factor: 2.0, ..none };
        assert_eq!(origin(&scale, [4.0, 1.0]), [3.0, 2.0], "away from the centre");
        let shear = Affine { lean: 0.5, ..none };
        assert_eq!(origin(&shear, [0.0, 4.0]), [0.0, 3.0], "the upper part to the right");
        assert_eq!(origin(&shear, [4.0, 2.0]), [4.0, 3.0], "the lower part to the left");
        let all = Affine { shift: [1.0, 1.0], angle: 0.3, factor: 0.7, lean: 0.2 };
        let [y, x] = origin(&all, [3.0, 4.0]);
        assert!((y - 2.0).abs() < 1e-6 && (x - 3.0).abs() < 1e-6, "the centre: {y} {x}");
    }

    #[test]
    fn every_other_image_is_mirrored_and_nothing_else_changes() {
        let mirrored = |image: &[f32]| -> Vec<f32> {
            image.chunks_exact(SIZE[1]).flat_map(|row| row.iter().rev().copied()).collect()
        };
        let (none, image) = (Augmentation::default(), image());
        let plain = deform(none, &image, 0);
        let flips = |sample| {
            let found = deform(Augmentation { flip: true, ..none }, &image, sample);
            assert!(found == plain || found == mirrored(&plain), "{found:?}");
            found != plain
        };
        let count = (0..1000).filter(|&sample| flips(sample)).count();
        assert!((440..560).contains(&count), "{count} of 1000");
        // What else is drawn is the same, so of the images that are not mirrored nothing moves;
        // a mirrored one is what the others' deformation makes of its mirror image.
        let moved = Augmentation { shift: 2.0, rotation: 30.0, scale: 0.2, ..none };
        let reversed: Vec<_> =
            image.chunks_exact(SIZE[1]).flat_map(|row| row.iter().rev().copied()).collect();
        for sample in 0..50 {
            let from = if flips(sample) { &reversed } else { &image };
            let expected = deform(moved, from, sample);
            let found = deform(Augmentation { flip: true, ..moved }, &image, sample);
            let close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(close, "{sample}: {found:?}, {expected:?}");
        }
    }

    #[test]
    fn an_elastic_grid_moved_as_a_whole_moves_the_image_as_a_whole() {
        let elastic = Some(Elastic { cells: 3, strength: 1.0 });
        let augmenter =
            Augmenter::new(Augmentation { elastic, ..Augmentation::default() }, SIZE, 0);
        let mut map = augmenter.map(Draws::new(0, 0, 0));
        map.nodes.as_flattened_mut().fill([1.0, -2.0]);
        for (y, x) in [(0, 0), (2, 3), (4, 6)] {
            let row = augmenter.row_of_nodes(&map, y);
            let [mut from_y, mut from_x] = [0.0; 2].map(|place: f32| [place]);
            augmenter.grid(&map, &row, [y, x], [&mut from_y, &mut from_x]);
            let ([from_y], [from_x]) = (from_y, from_x);
            assert!((from_y - (y as f32 + 1.0)).abs() < 1e-6, "{from_y}");
            assert!((from_x - (x as f32 - 2.0)).abs() < 1e-6, "{from_x}");
        }
    }

    #[test]
    fn draws_depend_on_seed_epoch_and_sample_alone() {
        let all = Augmentation {
            shift: 1.0,
            rotation: 20.0,
            scale: 0.1,
            shear: 10.0,
            flip: true,
            elastic: Some(Elastic { cells: 4, strength: 1.0 }),
        };
        let write = |seed, epoch, sample| {
            let mut output = vec![0.0_f32; 35];
            Augmenter::new(all, SIZE, seed).write(&image(), (epoch, sample), &mut output);
            output
        };
        assert_eq!(write(1, 2, 3), write(1, 2, 3));
        for other in [write(2, 2, 3), write(1, 3, 3), write(1, 2, 4), write(1 << 32, 2, 3)] {
            assert_ne!(write(1, 2, 3), other);
        }
        assert!(write(1, 2, 3).iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn channels_are_deformed_alike() {
        let all = Augmentation { shift: 2.0, rotation: 30.0, ..Augmentation::default() };
        let image = image().repeat(3);
        let output = deform(all, &image, 7);
        assert_eq!(output[..35], output[35..70]);
        assert_eq!(output[..35], output[70..]);
    }

    #[test]
    fn every_draw_lies_within_its_bounds_and_reaches_close_to_them() {
        let mut draws = Draws::new(9, 1, 1);
        let all: Vec<_> = (0..10_000).map(|_| draws.within(2.0)).collect();
        assert!(all.iter().all(|draw| draw.abs() < 2.0));
        let (least, most) = all.iter().fold((0.0_f64, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
        assert!(least < -1.99 && most > 1.99, "{least} {most}");
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!(mean.abs() < 0.04, "{mean}");
    }

    #[test]
    fn wrong_values_are_refused() {
        for (text, wanted) in [
            (r#"{"rotation":181}"#, "expected degrees from 0 to 180, found 181"),
            (r#"{"scale":1}"#, "expected a number from 0 to less than 1, found 1"),
            (r#"{"elastic":{"cells":0,"strength":1}}"#, "from 1 to 16, found 0"),
            (r#"{"shift":-1}"#, "expected a number of pixels from 0 to 1000, found -1"),
            (r#"{"flip":2}"#, "expected a boolean"),
            (r#"{"blur":1}"#, "unknown field `blur`"),
        ] {
            let error = serde_json::from_str::<Augmentation>(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
