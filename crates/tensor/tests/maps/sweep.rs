//! Sweeps over many inputs.

use tensor::simd::Level;

use crate::fixtures::Fixtures;
use crate::float::{Float, error_in_ulps};
use crate::{Map, maps, on_each_level};

/// What the maps promise, in units of the last place.
const BOUND: f64 = 2.0;

/// The largest error that was met, and where.
#[derive(Clone, Copy, Default)]
struct Worst {
    error: f64,
    at: f64,
}

impl Worst {
    fn meet(&mut self, error: f64, at: f64) {
        if error > self.error {
            *self = Self { error, at };
        }
    }

    fn check(self, name: &str) {
        println!("{name}: at most {:.4} ulp, at {:e}", self.error, self.at);
        assert!(self.error <= BOUND, "{name} of {:e}: {} ulp", self.at, self.error);
    }
}

/// Inputs at which an implementation changes its course: ends of ranges, multiples of
/// ln 2 / 2 where the reduction goes over to the next power, ones and halves.
fn turning_points<T: Float>() -> Vec<T> {
    let half_ln2 = std::f64::consts::LN_2 / 2.0;
    let mut points: Vec<_> = [
        // f32: exp overflows, becomes denormal, becomes 0; tanh and sigmoid become 1.
        88.722_839,
        87.336_544,
        103.278_93,
        103.972_08,
        104.0,
        89.0,
        9.010_913,
        10.0,
        16.635_532,
        // f64: the same.
        709.782_712,
        708.396_418,
        745.133_219,
        746.0,
        710.0,
        19.061_547,
        20.0,
        36.736_8,
        // Powers of two, the largest numbers.
        0.125,
        0.25,
        0.5,
        1.0,
        2.0,
        4.0,
        64.0,
        1e10,
        3.4e38,
    ]
    .into_iter()
    .chain((1..8).chain([127, 255, 256, 257]).map(|k| f64::from(k) * half_ln2))
    .flat_map(|x| [T::from_f64(x), T::from_f64(-x)])
    .collect();
    let least_normal = libm::ldexp(1.0, T::LEAST_EXPONENT);
    for x in [0.0, least_normal, T::LARGEST, f64::INFINITY] {
        points.extend([T::from_f64(x), T::from_f64(-x)]);
    }
    points
}

/// Every 1009th `f32` of the whole line, denormals, infinities and NaN included, and the
/// neighbours of each turning point, in order.
fn grid() -> Vec<f32> {
    let mut grid: Vec<_> = (0..=u32::MAX).step_by(1009).map(f32::from_bits).collect();
    for point in turning_points::<f32>() {
        grid.extend((-200..=200).map(|step| f32::at(point.place() + step)));
    }
    grid.extend((0..400).flat_map(|place| [f32::at(place), f32::at(-place)]));
    grid.sort_by(f32::total_cmp);
    grid
}

pub fn errors_over_the_whole_range() {
    let grid = grid();
    for map in maps::<f32>() {
        let mut worst = Worst::default();
        let mut before = f32::NEG_INFINITY;
        for part in grid.chunks(1 << 16) {
            let mut first: Option<Vec<f32>> = None;
            on_each_level(|level| {
                let found = map.of_all(part);
                match &first {
                    None => first = Some(found),
                    Some(first) => assert_same(&found, first, part, map.name, level),
                }
            });
            let found = first.expect("at least one level");
            in_range(&map, part, &found);
            for (&x, &y) in part.iter().zip(&found) {
                assert!(x.is_nan() || y >= before, "{} turns before {x}: {before}, {y}", map.name);
                before = if x.is_nan() { before } else { y };
                let x = f64::from(x);
                worst.meet(error_in_ulps(y, (map.exact)(x), 0.0), x);
            }
        }
        worst.check(&format!("{} f32", map.name));
    }
}

/// In `f64` against values to 40 digits, on every level.
pub fn errors_of_double_precision() {
    let fixtures = Fixtures::read("maps.safetensors");
    for map in maps::<f64>() {
        let case = fixtures.case(map.name);
        let (x, nearest) = (case.numbers::<f64>("x"), case.numbers::<f64>("nearest"));
        let rest = case.numbers::<f64>("rest");
        let mut first: Option<Vec<f64>> = None;
        on_each_level(|level| {
            let found = map.of_all(&x);
            let first = first.get_or_insert_with(|| found.clone());
            assert_same(&found, first, &x, map.name, level);
        });
        let found = first.expect("at least one level");
        in_range(&map, &x, &found);
        let mut worst = Worst::default();
        for (at, &y) in found.iter().enumerate() {
            worst.meet(error_in_ulps(y, nearest[at], rest[at]), x[at]);
        }
        worst.check(&format!("{} f64", map.name));
    }
}

/// Neighbouring inputs, dense stretches of them: the values never turn back.
pub fn monotone<T: Float>(level: Level, length: i64) {
    for map in maps::<T>() {
        for point in turning_points::<T>() {
            let infinity = T::from_f64(f64::INFINITY).place();
            let start = (point.place() - length / 2).max(-infinity);
            let end = (point.place() + length / 2).min(infinity);
            let x: Vec<_> = (start..=end).map(T::at).collect();
            let y = map.of_all(&x);
            in_range(&map, &x, &y);
            for at in 1..y.len() {
                let (before, after) = (y[at - 1], y[at]);
                let turned = (x[at - 1], before, after);
                assert!(after >= before, "{} on {level} turns after {turned:?}", map.name);
            }
            if map.name == "tanh" {
                let mirrored: Vec<_> = x.iter().map(|&x| -x).collect();
                let negated: Vec<_> = y.iter().map(|&y| -y).collect();
                assert_same(&map.of_all(&mirrored), &negated, &mirrored, "tanh", level);
            }
        }
    }
}

pub fn special_values<T: Float>(level: Level) {
    let of = T::from_f64;
    let infinity = f64::INFINITY;
    for map in maps::<T>() {
        let what = format!("{} {} on {level}", map.name, T::NAME);
        for nan in [f64::NAN, -f64::NAN] {
            assert!(map.of(of(nan)).to_f64().is_nan(), "{what} of NaN");
        }
        assert_eq!(map.of(of(-infinity)).to_f64(), map.range[0], "{what} of -∞");
        assert_eq!(map.of(of(infinity)).to_f64(), map.range[1], "{what} of ∞");
        assert_eq!(map.of(of(-T::LARGEST)).to_f64(), map.range[0], "{what} at the low end");
        assert_eq!(map.of(of(T::LARGEST)).to_f64(), map.range[1], "{what} at the high end");
        for zero in [0.0, -0.0] {
            let expected = if map.name == "tanh" { zero } else { (map.exact)(0.0) };
            assert_eq!(map.of(of(zero)).bits(), of(expected).bits(), "{what} of {zero}");
        }
    }
}

#[track_caller]
fn in_range<T: Float>(map: &Map<T>, x: &[T], y: &[T]) {
    for (x, y) in x.iter().zip(y).filter(|(x, _)| !x.to_f64().is_nan()) {
        let inside = (map.range[0]..=map.range[1]).contains(&y.to_f64());
        assert!(inside, "{} of {x:?} is {y:?}", map.name);
    }
}

/// The same bits, NaN for NaN.
#[track_caller]
fn assert_same<T: Float>(found: &[T], expected: &[T], x: &[T], name: &str, level: Level) {
    for ((f, e), x) in found.iter().zip(expected).zip(x) {
        let same = f.bits() == e.bits() || (f.to_f64().is_nan() && e.to_f64().is_nan());
        assert!(same, "{name} of {x:?} on {level}: expected {e:?}, got {f:?}");
    }
}
