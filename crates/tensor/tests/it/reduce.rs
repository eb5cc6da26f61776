//! Sums in their stated order, bit by bit, and the largest element.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use tensor::{Element, reduce, reference};

/// Lanes of a vector of 512 bits.
fn lanes<T>() -> usize {
    64 / size_of::<T>()
}

/// Adds the upper half of the lanes to the lower one until one is left.
fn by_halves<T: Element>(mut lanes: Vec<T>) -> T {
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(upper).for_each(|(sum, x)| *sum += x);
    }
    lanes[0]
}

fn plain_dot<T: Element>(a: &[T], b: &[T]) -> T {
    let mut sums = vec![T::ZERO; lanes::<T>()];
    for (at, (&a, &b)) in a.iter().zip(b).enumerate() {
        let sum = &mut sums[at % lanes::<T>()];
        *sum = a.mul_add(b, *sum);
    }
    by_halves(sums)
}

/// Two rows of the same length, around the width of each vector.
fn rows<T: Element>() -> impl Strategy<Value = [Vec<T>; 2]> {
    (0..70_usize).prop_flat_map(|len| [numbers(len), numbers(len)])
}

fn numbers<T: Element>(len: usize) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec((-1.0..1.0_f64).prop_map(T::from_f64), len)
}

fn bits<T: Element>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    T::extend_le_bytes(numbers, &mut bytes);
    bytes
}

fn dot<T: Element>([a, b]: &[Vec<T>; 2]) -> Result<(), TestCaseError> {
    prop_assert_eq!(bits(&[reduce::dot(a, b)]), bits(&[plain_dot(a, b)]));
    let exact: f64 = a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
    let bound = (a.len() as f64 + 2.0) * T::EPSILON.to_f64();
    prop_assert!((reduce::dot(a, b).to_f64() - exact).abs() <= bound);
    Ok(())
}

/// Rows of `row` numbers each, added to sums that are not zero.
fn row_sums<T: Element>(x: &[T], row: usize) -> Result<(), TestCaseError> {
    let mut found = vec![T::ONE; x.len() / row];
    reduce::add_row_sums(x, row, &mut found);
    let expected: Vec<_> = x.chunks_exact(row).map(|row| T::ONE + reference::sum(&[row])).collect();
    prop_assert_eq!(bits(&found), bits(&expected));
    Ok(())
}

/// `count` parts, of which columns `at..` are summed into memory full of NaN.
fn tree<T: Element>(parts: &[T], count: usize, at: usize) -> Result<(), TestCaseError> {
    let stride = parts.len() / count;
    let mut found = vec![T::from_f64(f64::NAN); stride - at];
    reduce::sum_pairwise(parts, [count, stride], at, &mut found);
    let column = |i| (0..count).map(|part| parts[part * stride + i]).collect::<Vec<_>>();
    let expected: Vec<_> = (at..stride).map(|i| reference::tree(&column(i))).collect();
    prop_assert_eq!(bits(&found), bits(&expected));
    Ok(())
}

fn shaped() -> impl Strategy<Value = (usize, usize, Vec<f64>)> {
    (1..14_usize, 1..50_usize)
        .prop_flat_map(|(count, row)| (Just(count), 0..row, numbers(count * row)))
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(2), ..Config::with_cases(200) })]

    #[test]
    fn dot_has_its_stated_order_f32(rows in rows::<f32>()) {
        dot(&rows)?;
    }

    #[test]
    fn dot_has_its_stated_order_f64(rows in rows::<f64>()) {
        dot(&rows)?;
    }

    #[test]
    fn row_sums_have_their_stated_order((count, _, x) in shaped()) {
        row_sums(&x, x.len() / count)?;
        let x: Vec<_> = x.iter().map(|&x| x as f32).collect();
        row_sums(&x, x.len() / count)?;
    }

    #[test]
    fn parts_are_summed_in_their_tree((count, at, x) in shaped()) {
        tree(&x, count, at)?;
        let x: Vec<_> = x.iter().map(|&x| x as f32).collect();
        tree(&x, count, at)?;
    }

    #[test]
    fn argmax_is_the_first_largest(x in prop::collection::vec(-3..3_i8, 1..20)) {
        let x: Vec<_> = x.into_iter().map(f32::from).collect();
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let expected = x.iter().position(|&value| value == largest);
        prop_assert_eq!(reduce::argmax(&x), expected);
    }
}

#[test]
fn no_part_sums_to_zero() {
    let mut sum = [f32::NAN; 3];
    reduce::sum_pairwise(&[], [0, 3], 0, &mut sum);
    assert_eq!(sum, [0.0; 3]);
}

#[test]
fn argmax_knows_no_largest_number_beside_nan() {
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    for x in [&[nan, 1.0, nan, 2.0, nan][..], &[nan, -infinity], &[infinity, nan], &[nan], &[]] {
        assert_eq!(reduce::argmax(x), None, "{x:?}");
    }
    assert_eq!(reduce::argmax(&[-infinity, infinity, infinity]), Some(1));
    assert_eq!(reduce::argmax(&[-infinity; 2]), Some(0));
    assert_eq!(reduce::argmax(&[-0.0, 0.0]), Some(0));
}

#[test]
fn trees_by_hand() {
    // 1 is lost beside 2^53, two of them are not.
    let large = 2.0_f64.powi(53);
    assert_eq!(reduce::sum(&[1.0, 1.0, large, -large]), 2.0);
    assert_eq!(reduce::sum(&[large, -large, 1.0, 1.0, 1.0]), 3.0);
    assert_eq!(reduce::sum(&[large, 1.0, -large]), 0.0);
    assert_eq!(reduce::sum::<f32>(&[]), 0.0);
    let numbers: Vec<_> = (0..100).map(|at| 1.0 / f64::from(at + 1)).collect();
    for len in 0..100 {
        assert_eq!(reduce::sum(&numbers[..len]), reference::tree(&numbers[..len]), "{len}");
    }
}

#[test]
fn a_sum_goes_on_from_its_parts() {
    let numbers: Vec<_> = (0..40).map(|at| 1.0 / f64::from(at + 1)).collect();
    for left in 0..40 {
        let mut total = reduce::Total::default();
        numbers[..left].iter().for_each(|&number| total.add(number));
        let (count, parts) = total.parts();
        assert_eq!((count, parts.len()), (left, left.count_ones() as usize));
        let mut resumed = reduce::Total::restore(count, &parts).expect("whole parts");
        numbers[left..].iter().for_each(|&number| resumed.add(number));
        assert_eq!(resumed.value(), reduce::sum(&numbers), "{left}");
        assert!(reduce::Total::restore(count, &[&parts[..], &[0.0]].concat()).is_none());
    }
}

#[test]
fn sum_is_taken_in_double_precision() {
    let tiny = 2.0_f32.powi(-40);
    assert_eq!(reduce::sum(&[1.0, tiny, -1.0]), f64::from(tiny));
}

#[test]
#[should_panic = "add_row_sums: length"]
fn row_sums_of_broken_rows_panic() {
    reduce::add_row_sums(&[1.0_f32; 5], 3, &mut [0.0; 2]);
}
