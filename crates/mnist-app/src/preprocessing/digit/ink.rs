//! How much ink is on each place of a picture: the ground and its light are taken away.

use super::grid::{Grid, scaled};
use crate::preprocessing::Raster;

/// Larger pictures are reduced to this many pixels on their longer side before anything else.
const LARGEST: usize = 1024;

/// From this many pixels on the longer side the ground may be lit in any smooth way; in smaller
/// pictures it is a plane, since strokes are too wide there to be told from shadows.
const LARGE: usize = 64;

/// Ink that differs less than this from its ground, of 255, is none.
const LEAST_CONTRAST: f32 = 16.0;

/// The ink of a picture.
pub(super) struct Ink {
    /// From 0, the ground, to 1, full ink.
    pub(super) strength: Grid,
    /// Where ink is for certain, by Otsu's threshold.
    pub(super) is_ink: Vec<bool>,
    /// Strengths below this are noise of the ground.
    pub(super) noise: f32,
}

impl Ink {
    /// That of a grey picture; none if there is nothing on the ground.
    pub(super) fn of(picture: &Raster) -> Option<Self> {
        let grey = reduced(picture)?;
        let flat = flattened(&grey);
        // Noise of single pixels would tear strokes: what is ink is decided on means.
        let smooth = match flat.longer() {
            0..LARGE => flat.clone(),
            longer => flat.blurred((longer / 256).max(1)),
        };
        let threshold = otsu(&smooth.values)?;
        let is_ink: Vec<bool> = smooth.values.iter().map(|&x| x > threshold).collect();
        let side = |values: &Grid, wanted: bool| -> Vec<f32> {
            let all = values.values.iter().zip(&is_ink);
            all.filter(|&(_, &ink)| ink == wanted).map(|(&x, _)| x).collect()
        };
        let mut ink = side(&smooth, true);
        let (level, deviation) = ground(&mut side(&smooth, false));
        // Noise alone is cut in halves that are 1.6 deviations apart.
        if ink.is_empty() || mean(&ink) - level < LEAST_CONTRAST.max(3.5 * deviation) {
            return None;
        }
        ink.sort_unstable_by(f32::total_cmp);
        let full = ink[(ink.len() - 1) * 9 / 10];
        let (median, deviation) = ground(&mut side(&flat, false));
        let range = (full - median).max(1.0);
        let mut strength = flat;
        strength.values.iter_mut().for_each(|x| *x = ((*x - median) / range).clamp(0.0, 1.0));
        Some(Self { strength, is_ink, noise: 2.5 * deviation / range })
    }
}

/// The picture reduced to at most [`LARGEST`]; none if it has no pixels.
fn reduced(picture: &Raster) -> Option<Grid> {
    let Raster { height, width, ref pixels, .. } = *picture;
    if height == 0 || width == 0 || pixels.len() != height * width {
        return None;
    }
    let longer = height.max(width);
    let side = |side: usize| match longer {
        0..=LARGEST => side,
        _ => (side * LARGEST / longer).max(1),
    };
    Some(scaled(pixels, [height, width], [side(height), side(width)]))
}

/// The picture above its ground, ink positive, as if it were evenly lit.
fn flattened(grey: &Grid) -> Grid {
    let (mut flat, is_dark) = above_plane(grey);
    if flat.longer() >= LARGE {
        let local = local_ground(&flat);
        flat.values.iter_mut().zip(&local.values).for_each(|(x, ground)| *x -= ground);
    }
    if is_dark {
        // Dark ink takes a share of the light that falls on it: half as much where that is half.
        let above = grey.values.iter().zip(&flat.values);
        let light: Vec<f32> = above.map(|(x, above)| x + above).collect();
        let usual = median(&mut light.clone());
        let pixels = flat.values.iter_mut().zip(light);
        pixels.for_each(|(x, light)| *x *= (usual / light.max(1.0)).clamp(0.25, 4.0));
    }
    flat
}

/// The picture above a plane through its border, with the sign that makes ink positive, and whether
/// ink is darker than its ground: what is farthest from that is ink.
fn above_plane(grey: &Grid) -> (Grid, bool) {
    let (height, width) = (grey.height, grey.width);
    let place = |at: usize| {
        let (y, x) = (at / width, at % width);
        [y as f32 / height as f32 - 0.5, x as f32 / width as f32 - 0.5]
    };
    let is_border = |at: &usize| {
        let (y, x) = (at / width, at % width);
        y.min(height - 1 - y) < height.div_ceil(10) || x.min(width - 1 - x) < width.div_ceil(10)
    };
    let border: Vec<([f32; 2], f32)> =
        (0..height * width).filter(is_border).map(|at| (place(at), grey.values[at])).collect();
    let mut levels: Vec<f32> = border.iter().map(|&(_, value)| value).collect();
    let mut plane = [median(&mut levels), 0.0, 0.0];
    let of = |plane: &[f32; 3], [y, x]: [f32; 2]| plane[0] + plane[1] * y + plane[2] * x;
    // Below 16 pixels there are too few of the ground for a slope.
    let rounds = if height.min(width) < 16 { 0 } else { 8 };
    for _ in 0..rounds {
        let rest = |&(place, value): &([f32; 2], f32)| (value - of(&plane, place)).abs();
        let cut = (3.0 * median(&mut border.iter().map(rest).collect::<Vec<_>>())).max(4.0);
        let Some(next) = fitted(border.iter().filter(|pixel| rest(pixel) <= cut)) else { break };
        plane = next;
    }
    let above = grey.values.iter().enumerate().map(|(at, &x)| x - of(&plane, place(at)));
    let mut values: Vec<f32> = above.collect();
    // Fourth powers: a few strokes are farther from the ground than much uneven light.
    let weight = |sign: f32| -> f32 { values.iter().map(|x| (x * sign).max(0.0).powi(4)).sum() };
    let is_dark = weight(-1.0) > weight(1.0);
    if is_dark {
        values.iter_mut().for_each(|x| *x = -*x);
    }
    (Grid::new(height, width, values), is_dark)
}

/// The plane of least squares, `value = a + b y + c x`, by Cramer's rule.
fn fitted<'a>(pixels: impl Iterator<Item = &'a ([f32; 2], f32)>) -> Option<[f32; 3]> {
    let mut sums = [[0.0_f64; 4]; 3];
    for &([y, x], value) in pixels {
        let row = [1.0, f64::from(y), f64::from(x), f64::from(value)];
        for (sums, factor) in sums.iter_mut().zip(row) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
        }
    }
    let determinant = |columns: [usize; 3]| {
        let [a, b, c] = [0, 1, 2].map(|row: usize| columns.map(|column| sums[row][column]));
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
    };
    let all = determinant([0, 1, 2]);
    let count = sums[0][0];
    // That of pixels all over the border is about count³ / 50.
    (all > 1e-4 * count * count * count).then(|| {
        [[3, 1, 2], [0, 3, 2], [0, 1, 3]].map(|columns| (determinant(columns) / all) as f32)
    })
}

/// What remains where everything narrower than a third of the picture is taken away.
fn local_ground(flat: &Grid) -> Grid {
    const COARSE: usize = 64;
    const REACH: usize = COARSE / 6;
    let side = |side: usize| (side * COARSE / flat.longer()).max(1);
    let coarse = flat.scaled(side(flat.height), side(flat.width));
    let size = [coarse.height, coarse.width];
    // Beyond its border the ground goes on as it comes: a slope that ends would be a peak.
    let wide = coarse.continued(REACH);
    let opened = wide.extreme(REACH, f32::min).extreme(REACH, f32::max);
    let smooth = opened.blurred(REACH / 3).part([REACH; 2], size);
    smooth.scaled(flat.height, flat.width)
}

/// Otsu's threshold: the one that leaves the least variance within both sides; none if all
/// values are the same.
fn otsu(values: &[f32]) -> Option<f32> {
    const BINS: usize = 256;
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most - least < 1.0 {
        return None;
    }
    let scale = BINS as f32 / (most - least);
    let mut counts = [0_u32; BINS];
    values.iter().for_each(|x| counts[(((x - least) * scale) as usize).min(BINS - 1)] += 1);
    let weighted = |(at, &count): (usize, &u32)| at as f64 * f64::from(count);
    let all: f64 = counts.iter().enumerate().map(weighted).sum();
    let (mut below, mut sum) = (0.0, 0.0);
    let (mut best, mut at_best) = (-1.0, 0);
    for (at, count) in counts[..BINS - 1].iter().enumerate() {
        below += f64::from(*count);
        sum += weighted((at, count));
        // Neither side is empty: the first bin holds the least value, the last one the largest.
        let above = values.len() as f64 - below;
        let apart = sum / below - (all - sum) / above;
        let between = below * above * apart * apart;
        if between > best {
            (best, at_best) = (between, at);
        }
    }
    Some(least + (at_best + 1) as f32 / scale)
}

/// The level of the ground, the median of its pixels, and the standard deviation of its noise, by
/// the median distance from the level: the soft edges of strokes are fewer.
fn ground(pixels: &mut [f32]) -> (f32, f32) {
    let level = median(pixels);
    pixels.iter_mut().for_each(|x| *x = (*x - level).abs());
    (level, 1.48 * median(pixels))
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// The middle one; of none 0.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    match values {
        [] => 0.0,
        values => *values.select_nth_unstable_by(middle, f32::total_cmp).1,
    }
}
