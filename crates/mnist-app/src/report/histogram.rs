//! How numbers are distributed, as a few bars.

use std::fmt::Write as _;

use tensor::Element;

use crate::html;
use crate::passes::{self, minus};

/// How many bars there are.
const BARS: usize = 40;

/// Numbers by their size, in bars of equal width; what lies beyond the range is in the first or the
/// last bar.
pub(super) struct Histogram {
    range: [f64; 2],
    counts: [usize; BARS],
    /// How many of them are marked: those of an activation whose derivative is close to 0.
    marked: Option<[usize; BARS]>,
    mean: f64,
    std: f64,
    /// How many numbers are not finite, which no bar counts.
    not_finite: usize,
}

/// What it means that the derivative of an activation is close to 0 at an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flat {
    /// Its input is too large: what squashes its inputs learns nothing there.
    Saturated,
    /// The output is 0: a ReLU of a negative input, as of half of all inputs or of empty paper.
    Zero,
    /// The input is on the flat side of a function that is like a ReLU.
    Low,
}

impl Flat {
    fn name(self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::Zero => "zeros",
            Self::Low => "on the flat side",
        }
    }
}

/// A range that nearly all numbers are in: one in a thousand may lie beyond each end.
pub(super) fn range<T: Element>(a: &[T], b: &[T]) -> [f64; 2] {
    const ENOUGH: usize = 100_000;
    let mut some = Vec::new();
    for numbers in [a, b] {
        let step = numbers.len().div_ceil(ENOUGH).max(1);
        let numbers = numbers.iter().step_by(step).map(|number| number.to_f64());
        some.extend(numbers.filter(|number| number.is_finite()));
    }
    if some.is_empty() {
        return [-0.5, 0.5];
    }
    let beyond = some.len() / 1000;
    let last = some.len() - 1 - beyond;
    let low = *some.select_nth_unstable_by(beyond, f64::total_cmp).1;
    let high = *some.select_nth_unstable_by(last, f64::total_cmp).1;
    if low < high { [low, high] } else { [low - 0.5, low + 0.5] }
}

impl Histogram {
    /// Of numbers, some of which may be marked, in this range.
    pub(super) fn of<T: Element>(
        (numbers, marks): (&[T], Option<&[bool]>),
        range: [f64; 2],
    ) -> Self {
        let [low, high] = range;
        let (mut counts, mut marked) = ([0; BARS], [0; BARS]);
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0_usize);
        for (index, number) in numbers.iter().enumerate() {
            let number = number.to_f64();
            if !number.is_finite() {
                continue;
            }
            let bar = bar((number - low) / (high - low));
            counts[bar] += 1;
            marked[bar] += usize::from(marks.is_some_and(|marks| marks[index]));
            (sum, squares, count) = (sum + number, squares + number * number, count + 1);
        }
        let mean = sum / count.max(1) as f64;
        let std = (squares / count.max(1) as f64 - mean * mean).max(0.0).sqrt();
        let not_finite = numbers.len() - count;
        Self { range, counts, marked: marks.map(|_| marked), mean, std, not_finite }
    }

    /// The share of the numbers that are marked, if any can be.
    pub(super) fn marked(&self) -> Option<f64> {
        let marked: usize = self.marked.as_ref()?.iter().sum();
        Some(marked as f64 / self.counts.iter().sum::<usize>().max(1) as f64)
    }

    /// The histogram as a figure; `what` says in words what the numbers are, `flat` what those are
    /// that are marked.
    pub(super) fn html(&self, what: &str, flat: Flat) -> String {
        const HEIGHT: f64 = 60.0;
        const BAR: usize = 4;
        // So that few numbers can be seen beside many.
        let most = self.counts.iter().max().map_or(1.0, |&most| (most.max(1) as f64).sqrt());
        let height = |count: usize| HEIGHT * (count as f64).sqrt() / most;
        let bars = |counts: &dyn Fn(usize) -> [f64; 2]| {
            let mut path = String::new();
            for bar in 0..BARS {
                let [below, height] = counts(bar);
                if height > 0.0 {
                    let (x, y) = (bar * BAR, HEIGHT - below);
                    let _ = write!(path, "M{x} {y:.1}v{:.1}h{BAR}v{height:.1}z", -height);
                }
            }
            path
        };
        let marked = |bar: usize| self.marked.map_or(0, |marked| marked[bar]);
        // Of a bar, the share that is marked is at its foot.
        let part = |bar: usize| {
            let whole = height(self.counts[bar]);
            whole * marked(bar) as f64 / self.counts[bar].max(1) as f64
        };
        let foot = bars(&|bar| [0.0, part(bar)]);
        let rest = bars(&|bar| [part(bar), height(self.counts[bar]) - part(bar)]);
        let [low, high] = self.range;
        let zero = -low / (high - low) * (BARS * BAR) as f64;
        let zero = match (0.0..=(BARS * BAR) as f64).contains(&zero) {
            true => format!("<path class=\"zero\" d=\"M{zero:.1} 0v{HEIGHT}\"/>"),
            false => String::new(),
        };
        let marked = self.marked().map(|share| format!("{:.1} % {}", 100.0 * share, flat.name()));
        let colour = if flat == Flat::Saturated { "marked" } else { "marked calm" };
        let broken = match self.not_finite {
            0 => String::new(),
            count => format!(", {count} not finite"),
        };
        let spread = format!("mean {}, std {}{broken}", short(self.mean), short(self.std));
        let alt = format!(
            "{what}: {spread}, from {} to {}{}",
            short(low),
            short(high),
            marked.as_ref().map(|text| format!(", {text}")).unwrap_or_default()
        );
        let marked = marked.map(|text| {
            let is_many = self.marked().is_some_and(|share| share >= 0.5);
            let class = if is_many && flat == Flat::Saturated { "many" } else { "few" };
            format!("<br><span class=\"{class}\">{text}</span>")
        });
        format!(
            "<svg class=\"histogram\" viewBox=\"0 -2 {} 64\" role=\"img\" aria-label=\"{}\">\
             <path class=\"bars\" d=\"{rest}\"/><path class=\"{colour}\" d=\"{foot}\"/>{zero}\
             <path class=\"base\" d=\"M0 {HEIGHT}h{}\"/></svg>\
             <span class=\"ends\"><span>{}</span><span>{}</span></span>\
             <span class=\"spread\">{spread}{}</span>",
            BARS * BAR,
            html::text(&alt),
            BARS * BAR,
            short(low),
            short(high),
            marked.unwrap_or_default()
        )
    }
}

fn short(number: f64) -> String {
    minus(&passes::short(number))
}

/// The bar of a number, given where it is in the range, from 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to BARS - 1")]
fn bar(place: f64) -> usize {
    (place * BARS as f64).floor().clamp(0.0, (BARS - 1) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::{BARS, Histogram, range};

    #[test]
    fn each_number_is_in_one_bar() {
        let numbers = [0.0, 0.5, 1.0, -3.0, 9.0, f64::NAN];
        let marks = [true, false, true, false, false, false];
        let found = Histogram::of((&numbers, Some(&marks)), [0.0, 1.0]);
        assert_eq!(found.counts.iter().sum::<usize>(), 5);
        assert_eq!((found.counts[0], found.counts[BARS / 2], found.counts[BARS - 1]), (2, 1, 2));
        assert_eq!((found.not_finite, found.marked()), (1, Some(0.4)));
        assert_eq!((found.mean, found.std), (1.5, 4.0));
    }

    #[test]
    fn a_range_has_a_width_and_forgets_outliers() {
        assert_eq!(range::<f64>(&[], &[]), [-0.5, 0.5]);
        assert_eq!(range(&[2.0], &[2.0, f64::INFINITY]), [1.5, 2.5]);
        let mut numbers: Vec<f64> = (0..5000).map(f64::from).collect();
        numbers.push(1e9);
        assert_eq!(range(&numbers, &[]), [5.0, 4995.0]);
    }
}
