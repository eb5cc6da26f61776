//! A picture of a digit in the form of MNIST's: 28×28, light on black, the ink within 20×20 and
//! its centre of mass in the middle.

pub(super) mod grid;
pub(super) mod ink;
pub(super) mod shapes;

use self::grid::Grid;
use self::ink::Ink;
use super::Raster;

/// Height and width of MNIST's pictures.
const SIZE: usize = 28;

/// Height and width of the square that their ink fills.
const INK: usize = 20;

/// What was found in a picture.
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

/// A picture in the form of MNIST's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// 28 rows of 28; all 0 if nothing was found.
    pub pixels: Vec<u8>,
    /// What the picture showed.
    pub found: Found,
}

/// Brings a grey picture of any size to the form of MNIST's. Of a picture with several channels
/// the first one is taken.
///
/// The ground is told from the ink by the border, its light is evened out, and specks are left
/// out. Several shapes are scaled together.
pub fn to_mnist(picture: &Raster) -> Digit {
    if is_in_form(picture) {
        return Digit { pixels: picture.pixels.clone(), found: Found::AsItIs };
    }
    let empty = Digit { pixels: vec![0; SIZE * SIZE], found: Found::Empty };
    let Some(ink) = Ink::of(picture) else { return empty };
    let shapes = shapes::shapes(&ink);
    let Some(cut) = shapes::cut(&ink, &shapes) else { return empty };
    let found = match shapes.len() {
        1 => Found::One,
        several => Found::Several(several),
    };
    Digit { pixels: centred(&fitted(&cut)), found }
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
fn centred(ink: &Grid) -> Vec<u8> {
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
    pixels
}

#[cfg(test)]
mod tests;
