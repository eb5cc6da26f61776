//! Sums over many numbers: as exact as their bound says, in the order of their twin, with the
//! same bits on every level.

use tensor::simd::{Level, set_level};
use tensor::{Element, Pooling, normalize, reduce, reference};

/// What is summed: numbers whose rounding errors all go one way, cancel, or are large beside
/// what is left.
fn patterns(len: usize) -> [(&'static str, Vec<f32>); 4] {
    let spread = |at: usize| (at * 7919 % 1013) as f32 / 1013.0 - 0.5;
    [
        ("constant", vec![0.1; len]),
        ("alternating", (0..len).map(|at| if at % 2 == 0 { 0.7 } else { -0.3 }).collect()),
        ("large mean", (0..len).map(|at| 1000.0 + 0.05 * spread(at)).collect()),
        ("spread", (0..len).map(spread).collect()),
    ]
}

/// Numbers of each power of two, as samples of two channels.
const SIZES: [(usize, usize); 6] =
    [(1, 1 << 10), (16, 64), (1 << 9, 25), (4, 1 << 14), (1 << 18, 4), (4, 1 << 20)];

/// Asserts that an error is at most `4 ε √(log₂ n)` of the sum of magnitudes.
#[track_caller]
fn assert_near(found: f32, (exact, magnitudes): (f64, f64), n: usize, what: &str) {
    let bound = 4.0 * f64::from(f32::EPSILON) * (n as f64).log2().sqrt() * magnitudes;
    let error = (f64::from(found) - exact).abs();
    assert!(error <= bound, "{what}, {n} numbers: {found} for {exact}, {} bounds", error / bound);
}

/// Sum and sum of magnitudes.
fn exact(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(sum, all), x| (sum + x, all + x.abs()))
}

/// The numbers of channel `c` of two.
fn channel(x: &[f32], plane: usize, c: usize) -> impl Iterator<Item = f64> {
    x.chunks_exact(plane).skip(c).step_by(2).flatten().map(|&x| f64::from(x))
}

#[test]
fn sums_of_planes_rows_and_parts_keep_their_bound() {
    for (samples, plane) in SIZES {
        let n = samples * plane;
        for (what, x) in patterns(2 * n) {
            let mut sums = [f32::NAN; 2];
            reduce::sum_planes(&x, plane, &mut sums);
            for c in 0..2 {
                assert_near(sums[c], exact(channel(&x, plane, c)), n, what);
            }
            let mut row = [0.0];
            reduce::add_row_sums(&x[..n], n, &mut row);
            let of_row = exact(x[..n].iter().map(|&x| x.into()));
            assert_near(row[0], of_row, n, what);
            let mut part = [f32::NAN];
            reduce::sum_pairwise(&x[..n], [n, 1], 0, &mut part);
            assert_near(part[0], of_row, n, what);
        }
    }
}

#[test]
fn means_of_windows_keep_their_bound() {
    for (height, width) in [(16, 17), (224, 224), (1024, 1024), (1 << 13, 65)] {
        let plane = height * width;
        for (what, x) in patterns(2 * plane) {
            let mut means = [f32::NAN; 2];
            let pooling = Pooling::new([2, height, width], [height, width], [1, 1]);
            pooling.expect("a window").mean(&x, &mut means);
            for (mean, plane) in means.iter().zip(x.chunks_exact(plane)) {
                let (sum, all) = exact(plane.iter().map(|&x| x.into()));
                let n = plane.len();
                assert_near(*mean, (sum / n as f64, all / n as f64), n, what);
            }
        }
    }
    // Windows that are a part of each row.
    let x: Vec<f32> = (0..3 * 40 * 50).map(|at| (at * 7919 % 1013) as f32).collect();
    let pooling = Pooling::new([3, 40, 50], [30, 33], [5, 7]).expect("a window");
    let len = pooling.output_shape().len();
    let (mut found, mut expected) = (vec![f32::NAN; len], vec![f64::NAN; len]);
    pooling.mean(&x, &mut found);
    let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    reference::mean_pool(&pooling, &wide, &mut expected);
    for (found, expected) in found.iter().zip(expected) {
        assert_near(*found, (expected, expected), 30 * 33, "window");
    }
}

#[test]
fn means_and_variances_and_gradients_of_a_normalization_keep_their_bound() {
    for (samples, plane) in SIZES {
        let n = samples * plane;
        for (what, x) in patterns(2 * n) {
            let mut y = vec![f32::NAN; x.len()];
            let [mut mean, mut variance, mut inverse] = [[f32::NAN; 2]; 3];
            let measured = [&mut mean[..], &mut variance, &mut inverse];
            let constants = [&[1.0, 2.0][..], &[0.0, 0.0]];
            normalize::forward(&x, [2, plane], 1e-5, constants, false, measured, &mut y);
            let g: Vec<f32> = (0..x.len()).map(|at| (at * 31 % 97) as f32 / 97.0 - 0.4).collect();
            let [mut products, mut sum] = [[f32::NAN; 2]; 2];
            let constants = [constants[0], constants[1], &mean, &inverse];
            let gradients = [&mut products[..], &mut sum];
            normalize::backward((&x, &g), [2, plane], constants, false, gradients, None);
            for c in 0..2 {
                let share = 1.0 / n as f64;
                let (total, all) = exact(channel(&x, plane, c));
                assert_near(mean[c], (total * share, all * share), n, what);
                let squares: f64 =
                    channel(&x, plane, c).map(|x| (x - total * share).powi(2)).sum::<f64>();
                let expected = squares / (n as f64 - 1.0);
                // Of a constant nothing is left but the rounding of its mean, squared.
                let least = (f64::from(f32::EPSILON) * all * share).powi(2);
                assert_near(variance[c], (expected, expected + least / 1e-7), n, what);
                assert_near(sum[c], exact(channel(&g, plane, c)), n, what);
                let (mean, inverse) = (f64::from(mean[c]), f64::from(inverse[c]));
                let pairs = channel(&x, plane, c).zip(channel(&g, plane, c));
                let terms = pairs.map(|(x, g)| g * (x - mean) * inverse);
                assert_near(products[c], exact(terms), n, what);
            }
        }
    }
}

fn bits<T: Element>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    T::extend_le_bytes(numbers, &mut bytes);
    bytes
}

fn twins<T: Element>(samples: usize, plane: usize) {
    let x: Vec<T> = (0..3 * samples * plane)
        .map(|at| T::from_f64((at * 7919 % 1013) as f64 / 1013.0 - 0.3))
        .collect();
    let mut sums = [T::from_f64(f64::NAN); 3];
    reduce::sum_planes(&x, plane, &mut sums);
    let of_channel = |c| {
        let planes: Vec<_> = x.chunks_exact(plane).skip(c).step_by(3).collect();
        reference::sum(&planes)
    };
    let expected = [of_channel(0), of_channel(1), of_channel(2)];
    assert_eq!(bits(&sums), bits(&expected), "{samples} samples of {plane}");
}

#[test]
fn sums_have_the_order_of_their_twin_on_every_level() {
    for level in Level::available() {
        set_level(level).expect("an available level");
        for plane in (1..70).chain([511, 512, 513, 527, 1023, 1024, 1025, 1056, 2048, 3001]) {
            for samples in [1, 2, 3, 7] {
                twins::<f32>(samples, plane);
                twins::<f64>(samples, plane);
            }
        }
    }
}
