//! Curves in plain characters.

use crate::passes::short;

/// A curve with a value for each step, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    /// What stands at its values; between them it is a line of dots.
    pub(super) mark: char,
    pub(super) values: Vec<f64>,
}

/// The lines of a plot.
const HEIGHT: usize = 11;
/// The columns of the numbers on its left.
const LABEL: usize = 8;
/// Where two curves meet.
const BOTH: char = '*';

/// Whether the height of a plot is logarithmic, as it is where the largest value is many times the
/// smallest.
pub(super) fn is_logarithmic(curves: &[Curve]) -> bool {
    Axis::of(curves).is_some_and(|axis| axis.is_logarithmic)
}

/// A plot of curves with equally many values, at most `width` columns wide; `step` names what the
/// values follow.
pub(super) fn plot(curves: &[Curve], step: &str, width: usize) -> String {
    let count = curves.first().map_or(0, |curve| curve.values.len());
    let Some(axis) = Axis::of(curves) else { return String::from("nothing to plot\n") };
    let room = width.saturating_sub(LABEL + 3).max(10);
    let columns = if count == 1 { 1 } else { room };
    let mut grid = vec![vec![' '; columns]; HEIGHT];
    for curve in curves {
        for (column, character, value) in curve.points(columns) {
            let Some(row) = axis.row(value) else { continue };
            let place = &mut grid[row][column];
            *place = match (*place, character) {
                (' ' | '.', character) => character,
                (before, '.') => before,
                (before, character) if before == character => character,
                _ => BOTH,
            };
        }
    }
    let mut text = String::new();
    for (row, line) in grid.iter().enumerate() {
        let label = match row % (HEIGHT / 2) {
            0 => short(axis.value(row)),
            _ => String::new(),
        };
        let line: String = line.iter().collect();
        text += &format!("{label:>LABEL$} | {}", line.trim_end());
        text = text.trim_end().to_owned() + "\n";
    }
    text += &format!("{:>LABEL$} +{}\n", "", "-".repeat(columns + 1));
    let last = if count == 1 { String::new() } else { count.to_string() };
    let gap = columns.saturating_sub(1 + last.len() + step.len());
    let (before, after) = (gap / 2, gap - gap / 2);
    let [before, after] = [before, after].map(|len| " ".repeat(len.max(1)));
    let line = format!("{:>LABEL$}   1{before}{step}{after}{last}", "");
    text + line.trim_end() + "\n"
}

impl Curve {
    /// A character for each column: its mark where a value is, else a dot on the line between two.
    fn points(&self, columns: usize) -> impl Iterator<Item = (usize, char, f64)> {
        let steps = self.values.len() - 1;
        let column_of = move |step: usize| match steps {
            0 => 0,
            _ => (step * (columns - 1) + steps / 2) / steps,
        };
        let marks = (0..=steps).map(move |step| (column_of(step), self.mark, self.values[step]));
        let dots = (0..steps).flat_map(move |step| {
            let (start, end) = (column_of(step), column_of(step + 1));
            let [from, to] = [self.values[step], self.values[step + 1]];
            (start + 1..end).map(move |column| {
                let share = (column - start) as f64 / (end - start) as f64;
                (column, '.', from + share * (to - from))
            })
        });
        dots.chain(marks)
    }
}

/// Which row a value is in.
struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Axis {
    /// For the finite values of these curves, if there are some.
    fn of(curves: &[Curve]) -> Option<Self> {
        const MANY: f64 = 20.0;
        let values = || curves.iter().flat_map(|curve| &curve.values).copied();
        let finite = || values().filter(|value| value.is_finite());
        let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        Some(Self { low, high, is_logarithmic: low > 0.0 && high / low > MANY })
    }

    fn scaled(&self, value: f64) -> f64 {
        if self.is_logarithmic { value.ln() } else { value }
    }

    /// The row, from the top, of a value that is finite.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a row")]
    fn row(&self, value: f64) -> Option<usize> {
        let [low, high, value] = [self.low, self.high, value].map(|value| self.scaled(value));
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        let last = (HEIGHT - 1) as f64;
        value.is_finite().then(|| (last - share * last).round().clamp(0.0, last) as usize)
    }

    /// The value of a row.
    fn value(&self, row: usize) -> f64 {
        let [low, high] = [self.low, self.high].map(|value| self.scaled(value));
        let value = high - row as f64 / (HEIGHT - 1) as f64 * (high - low);
        if self.is_logarithmic { value.exp() } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::{Curve, is_logarithmic, plot};

    #[test]
    fn a_curve_goes_through_its_values() {
        let curve = Curve { mark: 'o', values: vec![1.0, 0.0, 1.0] };
        let text = plot(&[curve], "epoch", 28);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 13);
        assert_eq!(lines[0], "   1.000 | o               o");
        assert_eq!(lines[5], "   0.500 |     .       .");
        assert_eq!(lines[10], "   0.000 |         o");
        assert_eq!(lines[12], "           1     epoch     3");
    }

    #[test]
    fn plots_have_their_width_however_many_values_there_are() {
        for count in [1, 2, 9, 60, 1000] {
            let values: Vec<_> = (1..=count).map(|step| 1.0 / f64::from(step * step)).collect();
            let other = Curve { mark: '+', values: values.iter().map(|x| x + 0.1).collect() };
            for width in [30, 79] {
                let curve = Curve { mark: 'o', values: values.clone() };
                let text = plot(&[curve, other.clone()], "epoch", width);
                assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
                assert!(text.contains('o') && text.contains('+'), "{text}");
            }
            let curve = Curve { mark: 'o', values: values.clone() };
            assert_eq!(is_logarithmic(&[curve, other]), count > 5, "{count}");
        }
    }

    #[test]
    fn what_is_not_finite_or_all_the_same_is_no_trouble() {
        let values = vec![f64::NAN, 2.0, f64::INFINITY, 2.0];
        let text = plot(&[Curve { mark: 'o', values }], "epoch", 79);
        assert_eq!(text.matches('o').count(), 2 + 1, "{text}");
        assert_eq!(plot(&[], "epoch", 79), "nothing to plot\n");
    }
}
