//! Planes of numbers, and how they are brought to another size.

/// Numbers in rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

impl Grid {
    /// One of these numbers, row by row.
    pub(super) fn new(height: usize, width: usize, values: Vec<f32>) -> Self {
        debug_assert_eq!(values.len(), height * width);
        Self { height, width, values }
    }

    /// The longer side.
    pub(super) fn longer(&self) -> usize {
        self.height.max(self.width)
    }

    /// The part from a row and a column on.
    pub(super) fn part(&self, [top, left]: [usize; 2], [height, width]: [usize; 2]) -> Self {
        let rows = self.values.chunks_exact(self.width).skip(top).take(height);
        let values = rows.flat_map(|row| row[left..left + width].iter().copied()).collect();
        Self::new(height, width, values)
    }

    /// The same at another size, as [`scaled`].
    pub(super) fn scaled(&self, height: usize, width: usize) -> Self {
        scaled(&self.values, [self.height, self.width], [height, width])
    }

    /// The smallest (`pick` is `f32::min`) or largest of the numbers around each, in squares that
    /// go `reach` numbers in each direction and end at the border.
    pub(super) fn extreme(&self, reach: usize, pick: fn(f32, f32) -> f32) -> Self {
        self.around(reach, |around| around.iter().copied().fold(around[0], pick))
    }

    /// The mean of the numbers around each, in squares as those of [`Self::extreme`].
    pub(super) fn blurred(&self, reach: usize) -> Self {
        self.around(reach, |around| around.iter().sum::<f32>() / around.len() as f32)
    }

    /// The same with so many numbers more at each end of rows and columns, turned by half a turn
    /// around the last one: a slope goes on.
    pub(super) fn continued(&self, more: usize) -> Self {
        let rows = |grid: &Self| {
            let width = grid.width + 2 * more;
            let mut values = Vec::with_capacity(grid.height * width);
            for row in grid.values.chunks_exact(grid.width) {
                let (first, last) = (row[0], row[row.len() - 1]);
                let inside = |at: usize| row[at.min(row.len() - 1)];
                values.extend((1..=more).rev().map(|at| 2.0 * first - inside(at)));
                values.extend_from_slice(row);
                let back = |at: usize| row[(row.len() - 1).saturating_sub(at)];
                values.extend((1..=more).map(|at| 2.0 * last - back(at)));
            }
            Self::new(grid.height, width, values)
        };
        rows(&rows(self).turned()).turned()
    }

    /// What `of` says of the numbers around each, along rows and then along columns.
    fn around(&self, reach: usize, of: impl Fn(&[f32]) -> f32) -> Self {
        let rows = |grid: &Self| {
            let mut values = Vec::with_capacity(grid.values.len());
            for row in grid.values.chunks_exact(grid.width) {
                let around = |at: usize| at.saturating_sub(reach)..row.len().min(at + reach + 1);
                values.extend((0..row.len()).map(|at| of(&row[around(at)])));
            }
            Self::new(grid.height, grid.width, values)
        };
        rows(&rows(self).turned()).turned()
    }

    /// Rows and columns exchanged.
    fn turned(&self) -> Self {
        let (height, width) = (self.height, self.width);
        let places = (0..width).flat_map(|x| (0..height).map(move |y| y * width + x));
        Self::new(width, height, places.map(|at| self.values[at]).collect())
    }
}

/// Numbers in rows at another size: along an axis that becomes shorter the mean of what falls on
/// a pixel, along one that becomes longer linear interpolation. Both sizes are above 0.
pub(super) fn scaled<T: Copy + Into<f32>>(
    values: &[T],
    [from_height, from_width]: [usize; 2],
    [height, width]: [usize; 2],
) -> Grid {
    let columns = weights(from_width, width);
    let mut narrow = Vec::with_capacity(from_height * width);
    for row in values.chunks_exact(from_width) {
        narrow.extend(columns.iter().map(|(first, weights)| {
            row[*first..].iter().zip(weights).fold(0.0, |sum, (&x, w)| sum + x.into() * w)
        }));
    }
    let mut values = vec![0.0; height * width];
    let rows = weights(from_height, height);
    for ((first, weights), to) in rows.into_iter().zip(values.chunks_exact_mut(width)) {
        for (row, w) in narrow.chunks_exact(width).skip(first).zip(weights) {
            to.iter_mut().zip(row).for_each(|(to, x)| *to += x * w);
        }
    }
    Grid::new(height, width, values)
}

/// For each position of the target the first position of the source and the weights from there
/// on, which sum to 1.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f32 / to as f32;
    let of = |at: usize| {
        if to > from {
            let place = ((at as f32 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f32);
            let first = (place as usize).min(from.saturating_sub(2));
            let share = place - first as f32;
            return (first, vec![1.0 - share, share]);
        }
        let (start, end) = (at as f32 * scale, (at + 1) as f32 * scale);
        let first = (start as usize).min(from - 1);
        let last = (end.ceil() as usize).clamp(first + 1, from);
        let share = |x: usize| (end.min((x + 1) as f32) - start.max(x as f32)).max(0.0);
        let mut shares: Vec<f32> = (first..last).map(share).collect();
        let all: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= all);
        (first, shares)
    };
    (0..to).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::Grid;

    #[test]
    fn scaling_keeps_means_and_is_nothing_at_the_same_size() {
        let grid = Grid::new(6, 4, (0..24_u8).map(f32::from).collect());
        assert_eq!(grid.scaled(6, 4), grid);
        assert_eq!(grid.scaled(3, 2).values, [2.5, 4.5, 10.5, 12.5, 18.5, 20.5]);
        let large = grid.scaled(13, 9);
        assert_eq!((large.values[0], large.values[13 * 9 - 1]), (0.0, 23.0));
        assert_eq!(Grid::new(1, 1, vec![7.0]).scaled(2, 3).values, [7.0; 6]);
    }

    #[test]
    fn a_slope_goes_on() {
        let slope = |[height, width]: [usize; 2], start: f32| {
            let places = (0..height).flat_map(|y| (0..width).map(move |x| (y as f32, x as f32)));
            Grid::new(height, width, places.map(|(y, x)| start + 3.0 * y + 2.0 * x).collect())
        };
        assert_eq!(slope([4, 5], 0.0).continued(2), slope([8, 9], -10.0));
        assert_eq!(Grid::new(1, 1, vec![7.0]).continued(1).values, [7.0; 9]);
    }

    #[test]
    fn extremes_and_means_of_squares() {
        let mut grid = Grid::new(3, 4, vec![0.0; 12]);
        grid.values[5] = 9.0;
        assert_eq!(grid.extreme(1, f32::max).part([0, 0], [3, 3]).values, [9.0; 9]);
        assert_eq!(grid.extreme(1, f32::min).values, [0.0; 12]);
        assert_eq!(grid.blurred(1).values[5], 1.0);
    }
}
