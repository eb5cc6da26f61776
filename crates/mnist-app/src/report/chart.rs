//! Curves in SVG.

use std::fmt::Write as _;

use crate::html;
use crate::passes::{minus, short};

/// A curve: its name, and its points from left to right.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<[f64; 2]>,
}

/// What the numbers of curves are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Errors: sizes, by their logarithms if they are far apart.
    Error,
    /// Sizes.
    Size,
    /// Fractions, shown in percent.
    Fraction,
}

/// Curves in one figure.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// What is counted to the right.
    pub(super) across: &'a str,
    pub(super) curves: &'a [Curve],
    /// What the numbers are.
    pub(super) kind: Kind,
    /// Whether each point has a mark.
    pub(super) marks: bool,
}

/// Of the picture, in its own units.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
/// What is around the curves.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;
/// How many curves have looks of their own.
pub(super) const LOOKS: usize = 8;
/// The most points that are drawn of a curve.
const MOST_POINTS: usize = 400;
/// The most points that have marks.
const MOST_MARKS: usize = 30;

/// An axis: from where to where it goes, and its labels.
struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// Where a number is, from 0 to 1.
    fn place(&self, number: f64) -> f64 {
        let on = |number: f64| if self.is_logarithmic { number.log10() } else { number };
        (on(number) - on(self.low)) / (on(self.high) - on(self.low))
    }

    /// An axis for these numbers.
    fn of(numbers: impl Iterator<Item = f64> + Clone, kind: Kind) -> Self {
        let low = numbers.clone().fold(f64::INFINITY, f64::min);
        let high = numbers.fold(f64::NEG_INFINITY, f64::max);
        if kind == Kind::Error && low > 0.0 && high / low > 30.0 {
            return Self::logarithmic(low, high);
        }
        let low = if kind == Kind::Fraction { low } else { low.min(0.0) };
        let (low, high) = match kind {
            _ if low < high => (low, high),
            // There are no fractions below 0 and above 1.
            Kind::Fraction => ((low - 0.05).max(0.0), (high + 0.05).min(1.0)),
            _ => (0.0, 1.0),
        };
        let step = step((high - low) / 5.0);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let ticks = (0..=100).map(|tick| (first + f64::from(tick)) * step);
        let ticks: Vec<_> = ticks.take_while(|&tick| tick <= (last + 0.5) * step).collect();
        Self { low: first * step, high: last * step, is_logarithmic: false, ticks }
    }

    fn logarithmic(low: f64, high: f64) -> Self {
        let [first, last] = [low.log10().floor(), high.log10().ceil()];
        let apart = ((last - first) / 5.0).ceil().max(1.0);
        let ticks = (0..=100).map(|tick| first + apart * f64::from(tick));
        let ticks = ticks.take_while(|&tick| tick <= last).map(|tick| 10_f64.powf(tick)).collect();
        let (low, high) = (10_f64.powf(first), 10_f64.powf(last));
        Self { low, high, is_logarithmic: true, ticks }
    }

    /// An axis of whole numbers from the first to the last.
    fn counts(low: f64, high: f64) -> Self {
        if low >= high {
            let (low, high, ticks) = (low - 1.0, high + 1.0, vec![low]);
            return Self { low, high, is_logarithmic: false, ticks };
        }
        let step = step((high - low) / 6.0).max(1.0).round();
        let first = (low / step).ceil();
        let ticks = (0..=100).map(|tick| (first + f64::from(tick)) * step);
        let ticks = ticks.take_while(|&tick| tick <= high).collect();
        Self { low, high, is_logarithmic: false, ticks }
    }
}

/// A round number of about this size: 1, 2 or 5 times a power of 10.
fn step(size: f64) -> f64 {
    let power = 10_f64.powf(size.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= size * 0.999);
    factor.unwrap_or(10.0) * power
}

impl Chart<'_> {
    /// The figure; empty if there are no points.
    pub(super) fn html(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let points = || points().filter(|point| point.iter().all(|number| number.is_finite()));
        if points().next().is_none() {
            return String::new();
        }
        let xs = || points().map(|point| point[0]);
        let x = Axis::counts(xs().fold(f64::INFINITY, f64::min), xs().fold(0.0, f64::max));
        let y = Axis::of(points().map(|point| point[1]), self.kind);
        let across = |number: f64| LEFT + x.place(number) * (WIDTH - LEFT - RIGHT);
        let up = |number: f64| HEIGHT - BOTTOM - y.place(number) * (HEIGHT - TOP - BOTTOM);
        let label = |number: f64| match (self.kind, number) {
            (Kind::Fraction, _) => {
                percent(number, y.ticks.get(1).map_or(1.0, |tick| tick - y.ticks[0]))
            }
            (_, number) => plain(number),
        };
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            html::text(&self.words())
        );
        for &tick in &y.ticks {
            let (at, right) = (up(tick), WIDTH - RIGHT);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\
                 <text class=\"up\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                at + 4.5,
                label(tick)
            );
        }
        for &tick in &x.ticks {
            let (at, foot) = (across(tick), HEIGHT - BOTTOM);
            let _ = write!(
                svg,
                "<path class=\"tick\" d=\"M{at:.1} {foot}v5\"/>\
                 <text class=\"across\" x=\"{at:.1}\" y=\"{}\">{tick}</text>",
                foot + 19.0
            );
        }
        let _ = write!(
            svg,
            "<text class=\"across name\" x=\"{}\" y=\"{}\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 5.0,
            html::text(self.across)
        );
        for (number, curve) in self.curves.iter().enumerate() {
            let drawn = thinned(&curve.points);
            let at = |point: &[f64; 2]| [across(point[0]), up(point[1])];
            let finite = |point: &&[f64; 2]| point.iter().all(|number| number.is_finite());
            let line: Vec<_> = drawn.iter().filter(finite).map(at).collect();
            let look = number % LOOKS;
            let path: Vec<_> = line.iter().map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
            if path.len() > 1 {
                let _ = write!(svg, "<path class=\"line c{look}\" d=\"M{}\"/>", path.join("L"));
            }
            if (self.marks && line.len() <= MOST_MARKS) || path.len() == 1 {
                line.iter().for_each(|&at| svg.push_str(&mark(look, at)));
            }
        }
        let legend = if self.curves.len() > 1 { self.legend() } else { String::new() };
        let title = html::text(self.title);
        format!(
            "<figure class=\"curves\">\n<figcaption><strong>{title}</strong>{}</figcaption>\n\
             {legend}{svg}</svg>\n</figure>\n",
            if y.is_logarithmic { ", on a logarithmic scale" } else { "" }
        )
    }

    /// What the figure shows, for who does not see it.
    fn words(&self) -> String {
        let number = |number: f64| match self.kind {
            Kind::Fraction => percent(number, 0.001),
            _ => minus(&short(number)),
        };
        let across = self.across;
        let curve = |Curve { name, points }: &Curve| match (points.first(), points.last()) {
            (Some(first), Some(last)) if points.len() > 1 => format!(
                "{name} from {} at {across} {} to {} at {across} {}",
                number(first[1]),
                first[0],
                number(last[1]),
                last[0]
            ),
            (Some(only), _) => {
                format!("{name} {} at {across} {}", number(only[1]), only[0])
            }
            _ => format!("{name} without points"),
        };
        let curves: Vec<_> = self.curves.iter().map(curve).collect();
        format!("{}: {}", self.title, curves.join("; "))
    }

    fn legend(&self) -> String {
        let mut legend = String::from("<ul class=\"legend\">\n");
        for (number, curve) in self.curves.iter().enumerate() {
            let look = number % LOOKS;
            let _ = writeln!(
                legend,
                "<li><svg viewBox=\"0 0 34 12\" width=\"34\" height=\"12\" aria-hidden=\"true\">\
                 <path class=\"line c{look}\" d=\"M1 6H33\"/>{}</svg> {}</li>",
                mark(look, [17.0, 6.0]),
                html::text(&curve.name)
            );
        }
        legend + "</ul>\n"
    }
}

/// The mark of a curve's points, another one for each look.
fn mark(look: usize, [x, y]: [f64; 2]) -> String {
    let shape = match look % 4 {
        0 => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        1 => "m-3.5 -3.5h7v7h-7z",
        2 => "m0 -4.8l4.6 8h-9.2z",
        _ => "m0 -5l5 5l-5 5l-5 -5z",
    };
    format!("<path class=\"mark c{look}\" d=\"M{x:.1} {y:.1}{shape}\"/>")
}

/// At most so many points that a line needs, the first and the last among them.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let apart = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let some = points.iter().enumerate().filter(|(place, _)| place % apart == 0 || *place == last);
    some.map(|(_, point)| *point).collect()
}

/// A number on an axis.
fn plain(number: f64) -> String {
    match number.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e5).contains(&size) => {
            let text = minus(&format!("{number:.4}"));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => minus(&format!("{number:.0e}")),
    }
}

/// A fraction in percent, with the digits that tell steps of this size apart.
fn percent(fraction: f64, step: f64) -> String {
    let digits = if step >= 0.01 {
        0
    } else if step >= 0.001 {
        1
    } else {
        2
    };
    format!("{:.digits$} %", 100.0 * fraction)
}

#[cfg(test)]
mod tests {
    use super::{Axis, Chart, Curve, Kind, plain, step, thinned};

    #[test]
    fn labels_are_round_numbers() {
        for (size, expected) in [(0.03, 0.05), (0.2, 0.2), (1.0, 1.0), (700.0, 1000.0)] {
            assert!((step(size) - expected).abs() < 1e-9 * expected, "{size}: {}", step(size));
        }
        let axis = Axis::of([0.1, 0.73].into_iter(), Kind::Error);
        assert_eq!((axis.low, axis.ticks.len()), (0.0, 5));
        assert!(axis.place(0.8) == 1.0 && axis.place(0.0) == 0.0);
        for (fractions, expected) in [
            ([0.0156; 2], [0.0, 0.08]),
            ([1.0; 2], [0.95, 1.0]),
            ([0.18; 2], [0.12, 0.24]),
            ([0.1, 0.97], [0.0, 1.0]),
        ] {
            let Axis { low, high, .. } = Axis::of(fractions.into_iter(), Kind::Fraction);
            let found = [low, high];
            let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(close, "{fractions:?}: {found:?}");
        }
        assert_eq!(Axis::of([0.0; 2].into_iter(), Kind::Size).low, 0.0);
        let axis = Axis::of([0.001, 0.2].into_iter(), Kind::Error);
        assert!(axis.is_logarithmic && axis.ticks.len() == 4);
        let axis = Axis::of([0.0].into_iter(), Kind::Error);
        assert!(axis.low == 0.0 && axis.high == 1.0);
        assert_eq!(Axis::counts(1.0, 15.0).ticks, [5.0, 10.0, 15.0]);
        assert_eq!(Axis::counts(1.0, 2.0).ticks, [1.0, 2.0]);
        assert_eq!([0.0, 0.25, 1e-5, 20.0].map(plain), ["0", "0.25", "1e−5", "20"]);
    }

    #[test]
    fn a_chart_says_what_it_shows_and_draws_what_is_finite() {
        let curve =
            |name: &str, points: &[[f64; 2]]| Curve { name: name.into(), points: points.into() };
        let curves = [
            curve("a < b", &[[1.0, 0.5], [2.0, f64::NAN], [3.0, 0.25]]),
            curve("one", &[[1.0, 0.1]]),
        ];
        let chart = Chart {
            title: "Error",
            across: "epoch",
            curves: &curves,
            kind: Kind::Error,
            marks: true,
        };
        let html = chart.html();
        assert!(
            html.contains("a &lt; b from 0.500 at epoch 1 to 0.250 at epoch 3; one 0.100"),
            "{html}"
        );
        assert!(
            !html.contains("NaN\"") && html.matches("class=\"mark").count() == 2 + 1 + 2,
            "{html}"
        );
        assert_eq!(Chart { curves: &[], ..chart }.html(), "");
    }

    #[test]
    fn long_curves_are_thinned() {
        let points: Vec<_> = (0..5000).map(|x| [f64::from(x), 0.0]).collect();
        let drawn = thinned(&points);
        assert!(drawn.len() <= 401 && drawn[0] == points[0] && drawn.last() == points.last());
    }
}
