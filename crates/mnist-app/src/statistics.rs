//! What a number of correct answers shows, and what it does not.
//!
//! Both functions take the test images for an independent sample of all possible images. They say
//! nothing about how much a result owes to its seed: for that, train with several seeds.

/// The two-sided 5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The significance level of the test.
pub const SIGNIFICANCE: f64 = 0.05;

/// The 95 % score interval of a proportion, given `correct` of `total`, as fractions `[low, high]`;
/// `[0, 1]` if `total` is 0.
///
/// With `k` of `n` and the normal distribution's `z = 1.96`,
///
/// `(k + z²/2 ± z √(k (n − k) / n + z²/4)) / (n + z²)`
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
/// Journal of the American Statistical Association 22 (1927), 209–212. Unlike
/// `p ± z √(p (1 − p) / n)` it stays between 0 and 1 and keeps its width where nearly all
/// or nearly none are right.
///
/// # Panics
/// If `correct > total`.
#[track_caller]
pub fn wilson_interval(correct: usize, total: usize) -> [f64; 2] {
    assert!(correct <= total, "Wilson's interval: {correct} of {total}");
    if total == 0 {
        return [0.0, 1.0];
    }
    let (k, n) = (correct as f64, total as f64);
    let centre = k + Z * Z / 2.0;
    let half = Z * (k * (n - k) / n + Z * Z / 4.0).sqrt();
    // Exactly 0 and 1 where the formula gives them up to rounding.
    let low = if correct == 0 { 0.0 } else { (centre - half) / (n + Z * Z) };
    let high = if correct == total { 1.0 } else { (centre + half) / (n + Z * Z) };
    [low, high]
}

/// The p-value of McNemar's exact two-sided test: how likely two classifiers that are right
/// equally often would differ so much or more on the same images, of which `only_a` are
/// those that only the first gets right and `only_b` those that only the second does.
///
/// If neither is better, each image on which they differ is a toss of a fair coin, and with
/// `n = only_a + only_b` and `k` the smaller of them
///
/// `p = min(1, 2 Σ_{i ≤ k} C(n, i) / 2ⁿ)`
///
/// Q. McNemar, "Note on the sampling error of the difference between correlated proportions
/// or percentages", Psychometrika 12 (1947), 153–157, with the binomial distribution itself
/// in place of its approximation.
///
/// # Examples
/// Six images on which only one of the two is right: `2 / 2⁶`.
///
/// ```
/// let p = mnist_app::statistics::mcnemar(0, 6);
/// assert!((p - 0.03125).abs() < 1e-15);
/// ```
pub fn mcnemar(only_a: usize, only_b: usize) -> f64 {
    let (n, k) = (only_a + only_b, only_a.min(only_b));
    // The coefficients as multiples of the largest, from that one down: nothing overflows,
    // and all terms are positive, so that nothing cancels. What underflows adds nothing.
    let (mut weight, mut half, mut tail) = (1.0, 0.0, 0.0);
    for i in (0..=n / 2).rev() {
        half += weight;
        if i <= k {
            tail += weight;
        }
        weight *= i as f64 / (n - i + 1) as f64;
        if weight == 0.0 {
            break;
        }
    }
    // The two halves share the middle one of an odd number of coefficients.
    let all = if n % 2 == 0 { 2.0 * half - 1.0 } else { 2.0 * half };
    (2.0 * tail / all).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::{mcnemar, wilson_interval};

    #[track_caller]
    fn assert_close(found: f64, expected: f64, what: &str) {
        let distance = (found - expected).abs();
        assert!(distance <= 1e-11 * expected, "{what}: expected {expected:e}, found {found:e}");
    }

    /// Expected: SciPy 1.17.1, `binomtest(k, n).proportion_ci(0.95, "wilson")`.
    #[test]
    fn the_interval_is_that_of_scipy() {
        for (correct, total, low, high) in [
            (9870, 10_000, 0.984585425782268, 0.9890405598046929),
            (59_999, 60_000, 0.9999055906678199, 0.9999970579180261),
            (0, 100, 0.0, 0.03699349820698568),
            (100, 100, 0.9630065017930143, 1.0),
            (50, 100, 0.4038315303659956, 0.5961684696340044),
            (21, 100, 0.14165654061915306, 0.29979968834089865),
            (81, 263, 0.2552885198782742, 0.36620957698280004),
            (15, 148, 0.06238639953073629, 0.16048724172330803),
            (0, 1, 0.0, 0.7934506856227626),
            (1, 1, 0.20654931437723745, 1.0),
        ] {
            let [found_low, found_high] = wilson_interval(correct, total);
            assert_close(found_low, low, &format!("{correct} of {total}, low"));
            assert_close(found_high, high, &format!("{correct} of {total}, high"));
        }
        assert_eq!(wilson_interval(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn the_interval_holds_the_share_and_no_more_than_there_is() {
        for total in 1..=60 {
            for correct in 0..=total {
                let [low, high] = wilson_interval(correct, total);
                let share = correct as f64 / total as f64;
                assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
                let [mirrored, _] = wilson_interval(total - correct, total);
                assert!((mirrored - (1.0 - high)).abs() < 1e-15, "{correct} of {total}");
            }
        }
    }

    /// Expected: SciPy 1.17.1, `binomtest(min(a, b), a + b, 0.5).pvalue`.
    #[test]
    fn the_test_is_that_of_scipy() {
        for (only_a, only_b, expected) in [
            (0, 1, 1.0),
            (3, 4, 1.0),
            (7, 7, 1.0),
            (0, 5, 0.0625),
            (0, 6, 0.03125),
            (3, 1, 0.625),
            (1, 8, 0.0390625),
            (2, 10, 0.03857421875),
            (10, 25, 0.016673847800120715),
            (59, 121, 4.4344492637551645e-06),
            (1000, 1200, 2.1817026407914194e-05),
            (4800, 5200, 6.593515598672343e-05),
            (499_000, 501_000, 0.0456082998653896),
        ] {
            for (a, b) in [(only_a, only_b), (only_b, only_a)] {
                assert_close(mcnemar(a, b), expected, &format!("{a} against {b}"));
            }
        }
        assert_eq!(mcnemar(0, 0), 1.0);
    }

    #[test]
    fn the_test_holds_for_counts_whose_coefficients_no_number_holds() {
        // 2 / 2¹⁰⁰⁰, the smallest that SciPy gives as well.
        assert!((mcnemar(0, 1000).log2() + 999.0).abs() < 1e-6);
        assert_eq!(mcnemar(20, 60_000), 0.0);
    }
}
