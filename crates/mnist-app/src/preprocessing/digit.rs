//! A picture of a digit in the form of MNIST's: 28×28, light on black, the ink within 20×20 and
//! its centre of mass in the middle.

mod grid;
mod ink;
mod shapes;

use self::grid::Grid;
use self::ink::Ink;
use self::shapes::Shape;
use super::Raster;

/// Height and width of MNIST's pictures.
pub(super) const SIZE: usize = 28;

/// Height and width of the square that their ink fills.
const INK: usize = 20;

/// What was found in a picture of a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing on the ground.
    Empty,
    /// A picture that is in the form already; not a bit was changed.
    AsItIs,
    /// One shape.
    One,
    /// So many separate shapes of comparable size.
    Several(usize),
}

/// Brings a grey picture of any size to the form of MNIST's; all black if nothing is found.
///
/// The ground is told from the ink by the border, its light is evened out, and specks are left
/// out. Several shapes are scaled together.
pub(super) fn to_mnist(picture: Raster) -> (Raster, Found) {
    if is_in_form(&picture) {
        return (picture, Found::AsItIs);
    }
    let digit = Ink::of(&picture).and_then(|ink| {
        let lines = shapes::lines(&ink);
        let shapes = lines.concat();
        let found = match shapes.len() {
            1 => Found::One,
            several => Found::Several(several),
        };
        Some((centred(&fitted(&shapes::cut(&ink, &shapes)?)), found))
    });
    digit.unwrap_or_else(|| (square(vec![0; SIZE * SIZE]), Found::Empty))
}

/// Each shape of a grey picture in the form of MNIST's, line by line and from left to right; none
/// if there is nothing on the ground. Strokes above one another, as a 5 and its loose bar, are one
/// shape; specks are left out.
pub(super) fn split(picture: Raster) -> Vec<Vec<Raster>> {
    if is_in_form(&picture) {
        return vec![vec![picture]];
    }
    let Some(ink) = Ink::of(&picture) else { return Vec::new() };
    let of_shape = |shape: &Shape| {
        let cut = shapes::cut(&ink, std::slice::from_ref(shape))?;
        Some(centred(&fitted(&cut)))
    };
    let of_line = |line: &Vec<Shape>| line.iter().filter_map(of_shape).collect::<Vec<_>>();
    let lines = shapes::lines(&ink);
    lines.iter().map(of_line).filter(|line| !line.is_empty()).collect()
}

fn square(pixels: Vec<u8>) -> Raster {
    Raster { channels: 1, height: SIZE, width: SIZE, pixels }
}

/// Whether a picture is 28×28 with bright ink on black where MNIST's makers placed it, with some
/// tolerance: nine of ten pixels of the border are next to black, the ink's longer side is about
/// 20, and its centre of mass at most a pixel from the middle.
fn is_in_form(picture: &Raster) -> bool {
    const DARK: u8 = 8;
    const BRIGHT: u8 = 128;
    let pixels = &picture.pixels;
    if picture.shape() != [1, SIZE, SIZE] || pixels.len() != SIZE * SIZE {
        return false;
    }
    let lit = || (0..SIZE * SIZE).filter(|&at| pixels[at] > DARK).map(|at| (at / SIZE, at % SIZE));
    let is_end = |at: usize| at.is_multiple_of(SIZE - 1);
    let on_border = lit().filter(|&(y, x)| is_end(y) || is_end(x)).count();
    if 10 * on_border > 4 * (SIZE - 1) || pixels.iter().all(|&x| x < BRIGHT) {
        return false;
    }
    let extent = |side: fn((usize, usize)) -> usize| {
        let (least, most) = lit().map(side).fold((SIZE, 0), |(a, b), x| (a.min(x), b.max(x)));
        most + 1 - least
    };
    let longer = extent(|(y, _)| y).max(extent(|(_, x)| x));
    let mass: usize = pixels.iter().map(|&x| usize::from(x)).sum();
    let is_central = |side: fn(usize) -> usize| {
        let sum: usize = pixels.iter().zip(0..).map(|(&x, at)| usize::from(x) * side(at)).sum();
        sum.abs_diff(mass * SIZE / 2) <= mass
    };
    longer.abs_diff(INK) <= 2 && is_central(|at| at / SIZE) && is_central(|at| at % SIZE)
}

/// The ink scaled until its longer side is 20 pixels, with its strongest at 1.
fn fitted(cut: &Grid) -> Grid {
    let longer = cut.longer();
    // Halves are rounded up.
    let side = |side: usize| ((2 * side * INK + longer) / (2 * longer)).max(1);
    let mut fitted = cut.scaled(side(cut.height), side(cut.width));
    let strongest = fitted.values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    fitted.values.iter_mut().for_each(|x| *x /= strongest);
    fitted
}

/// The ink on 28×28 pixels of black, moved by whole pixels until its centre of mass is at most
/// half of one from the middle of the pixel in row 14 and column 14, counted from 0, where it is
/// in all of MNIST's; what would be beyond the border is moved back.
fn centred(ink: &Grid) -> Raster {
    let mut sums = [0.0_f64; 3];
    for (at, &x) in ink.values.iter().enumerate() {
        let (row, column, mass) = ((at / ink.width) as f64, (at % ink.width) as f64, f64::from(x));
        sums[0] += mass;
        sums[1] += mass * row;
        sums[2] += mass * column;
    }
    let start = |sum: f64, side: usize| {
        let first = (SIZE / 2) as f64 - sum / sums[0];
        ((first + 0.5).max(0.0) as usize).min(SIZE - side)
    };
    let (top, left) = (start(sums[1], ink.height), start(sums[2], ink.width));
    let mut pixels = vec![0; SIZE * SIZE];
    for (row, y) in ink.values.chunks_exact(ink.width).zip(top..) {
        let to = &mut pixels[y * SIZE + left..][..ink.width];
        to.iter_mut().zip(row).for_each(|(to, x)| *to = (x * 255.0 + 0.5) as u8);
    }
    square(pixels)
}

#[cfg(test)]
mod tests;
