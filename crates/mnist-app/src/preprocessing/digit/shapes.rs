//! The separate shapes of a picture's ink.

use super::grid::Grid;
use super::ink::Ink;

/// A rectangle: the first row and column, and those after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    top: usize,
    left: usize,
    bottom: usize,
    right: usize,
}

impl Bounds {
    /// Those of one pixel.
    fn at(top: usize, left: usize) -> Self {
        Self { top, left, bottom: top + 1, right: left + 1 }
    }

    fn height(&self) -> usize {
        self.bottom - self.top
    }

    fn width(&self) -> usize {
        self.right - self.left
    }

    fn longer(&self) -> usize {
        self.height().max(self.width())
    }

    fn with(&self, other: &Self) -> Self {
        Self {
            top: self.top.min(other.top),
            left: self.left.min(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.max(other.right),
        }
    }

    /// How many columns both have.
    fn common_columns(&self, other: &Self) -> usize {
        self.right.min(other.right).saturating_sub(self.left.max(other.left))
    }

    /// How many columns are between both.
    fn columns_between(&self, other: &Self) -> usize {
        self.left.max(other.left).saturating_sub(self.right.min(other.right))
    }

    /// How many rows are between both.
    fn rows_between(&self, other: &Self) -> usize {
        self.top.max(other.top).saturating_sub(self.bottom.min(other.bottom))
    }
}

/// Strokes that belong to one digit.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    bounds: Bounds,
    /// Positions in the picture.
    pixels: Vec<usize>,
}

impl Shape {
    fn merge(&mut self, other: Self) {
        self.bounds = self.bounds.with(&other.bounds);
        self.pixels.extend(other.pixels);
    }

    /// How far both are apart if they are strokes of one digit, else none: one is above the other,
    /// as the bar of a 5, and nearer than lines of digits are; or one is much lower and close by.
    fn gap_within_digit(&self, other: &Self) -> Option<usize> {
        let (a, b) = (&self.bounds, &other.bounds);
        let (lower, higher) = (a.height().min(b.height()), a.height().max(b.height()));
        let (rows, columns) = (a.rows_between(b), a.columns_between(b));
        // What is as high as the other may be a digit itself.
        let is_near = if 2 * lower > higher { 4 * rows <= lower } else { 3 * rows <= higher };
        let is_above = 5 * a.common_columns(b) > 3 * a.width().min(b.width());
        let is_close = 2 * lower < higher && 8 * columns <= higher;
        ((is_above && is_near) || (is_close && rows == 0)).then_some(rows + columns)
    }
}

/// The most pieces of ink that are looked at, the largest first: no number has as many.
const MOST_PIECES: usize = 1000;

/// The shapes of the ink without specks, line by line and each from left to right.
pub(super) fn lines(ink: &Ink) -> Vec<Vec<Shape>> {
    let mut shapes = shapes(ink);
    shapes.sort_by_key(|shape| (shape.bounds.top, shape.bounds.left));
    let mut lines: Vec<(Bounds, Vec<Shape>)> = Vec::new();
    for shape in shapes {
        let bounds = shape.bounds;
        match lines.last_mut() {
            // Its middle is beside the line, which may rise or fall.
            Some((line, shapes)) if bounds.top + bounds.bottom < 2 * line.bottom => {
                *line = line.with(&bounds);
                shapes.push(shape);
            }
            _ => lines.push((bounds, vec![shape])),
        }
    }
    let from_left = |(_, mut line): (_, Vec<Shape>)| {
        line.sort_by_key(|shape| shape.bounds.left);
        line
    };
    lines.into_iter().map(from_left).collect()
}

/// The shapes of the ink, without specks.
fn shapes(ink: &Ink) -> Vec<Shape> {
    let mut pieces = pieces(&ink.is_ink, ink.strength.width);
    let most = pieces.iter().map(|piece| piece.pixels.len()).max().unwrap_or(0);
    pieces.retain(|piece| 50 * piece.pixels.len() >= most);
    // The largest first: what is small joins a digit, not another small piece.
    pieces.sort_by_key(|piece| (usize::MAX - piece.pixels.len(), piece.bounds.left));
    pieces.truncate(MOST_PIECES);
    let mut shapes: Vec<Shape> = Vec::new();
    for piece in pieces {
        let gaps = shapes.iter().enumerate();
        let gaps = gaps.filter_map(|(at, shape)| Some((piece.gap_within_digit(shape)?, at)));
        match gaps.min() {
            // Not several: a bar between two lines would join their digits.
            Some((_, nearest)) => shapes[nearest].merge(piece),
            None => shapes.push(piece),
        }
    }
    let size = |shape: &Shape| [shape.pixels.len(), shape.bounds.longer()];
    let [ink, longer] = typical(shapes.iter().map(size).collect());
    shapes.retain(|shape| 8 * shape.pixels.len() >= ink && 5 * shape.bounds.longer() >= 2 * longer);
    shapes
}

/// The ink and the longer side of which half of the ink is in shapes with more and half in shapes
/// with less: neither one that is very large nor many specks change them much.
fn typical(mut sizes: Vec<[usize; 2]>) -> [usize; 2] {
    let half = sizes.iter().map(|[ink, _]| ink).sum::<usize>() / 2;
    [0, 1].map(|of| {
        sizes.sort_unstable_by_key(|size| size[of]);
        let mut below = 0;
        let is_middle = |size: &&[usize; 2]| {
            below += size[0];
            below > half
        };
        sizes.iter().find(is_middle).map_or(0, |size| size[of])
    })
}

/// Ink that hangs together, diagonals included.
fn pieces(is_ink: &[bool], width: usize) -> Vec<Shape> {
    let height = is_ink.len() / width;
    let mut is_left = is_ink.to_vec();
    let mut pieces = Vec::new();
    for start in 0..is_ink.len() {
        if !is_left[start] {
            continue;
        }
        is_left[start] = false;
        let mut pixels = vec![start];
        let mut bounds = Bounds::at(start / width, start % width);
        let mut done = 0;
        while let Some(&at) = pixels.get(done) {
            done += 1;
            let (y, x) = (at / width, at % width);
            bounds = bounds.with(&Bounds::at(y, x));
            for y in y.saturating_sub(1)..height.min(y + 2) {
                for x in x.saturating_sub(1)..width.min(x + 2) {
                    let near = y * width + x;
                    if is_left[near] {
                        is_left[near] = false;
                        pixels.push(near);
                    }
                }
            }
        }
        pieces.push(Shape { bounds, pixels });
    }
    pieces
}

/// The ink of these shapes with their soft edges, cut to where it is; none if there is none.
pub(super) fn cut(ink: &Ink, shapes: &[Shape]) -> Option<Grid> {
    let bounds = shapes.iter().map(|shape| shape.bounds).reduce(|a, b| a.with(&b))?;
    // An edge is as wide as a pixel of MNIST at most.
    let reach = bounds.longer().div_ceil(20);
    let (top, left) = (bounds.top.saturating_sub(reach), bounds.left.saturating_sub(reach));
    let height = ink.strength.height.min(bounds.bottom + reach) - top;
    let width = ink.strength.width.min(bounds.right + reach) - left;
    let mut near = Grid::new(height, width, vec![0.0; height * width]);
    for &at in shapes.iter().flat_map(|shape| &shape.pixels) {
        let (y, x) = (at / ink.strength.width, at % ink.strength.width);
        near.values[(y - top) * width + x - left] = 1.0;
    }
    let near = near.extreme(reach, f32::max);
    let mut part = ink.strength.part([top, left], [height, width]);
    // What is left of uneven light is fainter.
    let least = ink.noise.clamp(0.1, 0.5);
    let pixels = part.values.iter_mut().zip(&near.values);
    pixels.for_each(|(x, near)| *x = if *near > 0.0 && *x > least { *x } else { 0.0 });
    let filled = (0..part.values.len()).filter(|&at| part.values[at] > 0.0);
    let tight = filled.map(|at| Bounds::at(at / width, at % width)).reduce(|a, b| a.with(&b))?;
    Some(part.part([tight.top, tight.left], [tight.height(), tight.width()]))
}
