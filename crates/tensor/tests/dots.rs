//! The product with a transpose: the bits of its twin, on every level and number of threads,
//! whatever rows are multiplied beside a row.
//!
//! One test function: the level is a property of the process.

use proptest::test_runner::{Config, RngSeed, TestRunner};
use tensor::simd::{Level, set_level};
use tensor::{Element, Scratch, matrix, reference};

/// Numbers in (-1, 1), no two alike.
fn numbers<T: Element>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    (0..len).map(|_| next()).collect()
}

fn bits<T: Element>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    T::extend_le_bytes(numbers, &mut bytes);
    bytes
}

/// The product, computed into memory full of NaN.
fn product<T: Element>(a: &[T], b: &[T], bias: Option<&[T]>, shape: [usize; 3]) -> Vec<T> {
    let mut c = vec![T::from_f64(f64::NAN); shape[0] * shape[2]];
    matrix::multiply_transposed(a, b, bias, &mut c, shape, &Scratch::parallel());
    c
}

fn has_the_bits_of_its_twin<T: Element>(shape: [usize; 3]) {
    let [n, i, o] = shape;
    let (a, b, bias) = (numbers::<T>(n * i, 1), numbers::<T>(o * i, 2), numbers::<T>(o, 3));
    let expected = reference::transposed_product(&a, &b, shape);
    let biased: Vec<_> = expected.iter().enumerate().map(|(at, &c)| c + bias[at % o]).collect();
    for level in Level::available() {
        set_level(level).expect("an available level");
        let found = product(&a, &b, None, shape);
        assert!(bits(&found) == bits(&expected), "{shape:?} on {level}");
        let found = product(&a, &b, Some(&bias), shape);
        assert!(bits(&found) == bits(&biased), "{shape:?} with a bias on {level}");
        for (row, expected) in a.chunks_exact(i.max(1)).zip(biased.chunks_exact(o)) {
            let found = product(row, &b, Some(&bias), [1, i, o]);
            assert!(bits(&found) == bits(expected), "a row of {shape:?} alone on {level}");
        }
    }
}

fn on_threads(threads: usize, run: impl FnOnce() + Send) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a pool of threads").install(run);
}

#[test]
fn products_with_a_transpose_have_the_bits_of_their_twin() {
    // Nothing to add up, one number, all widths of tiles, rows of several blocks, and the most
    // rows that meet a block, plus one.
    for shape in [
        [2, 0, 3],
        [1, 1, 1],
        [7, 768, 29],
        [5, 769, 31],
        [6, 1600, 8],
        [37, 800, 14],
        [40, 2311, 5],
        [1, 4056, 10],
    ] {
        has_the_bits_of_its_twin::<f32>(shape);
        has_the_bits_of_its_twin::<f64>(shape);
    }
    let config = Config { cases: 150, rng_seed: RngSeed::Fixed(1), ..Config::default() };
    let sizes = [1..=9usize, 1..=70usize, 1..=21usize];
    TestRunner::new(config)
        .run(&sizes, |shape| {
            has_the_bits_of_its_twin::<f32>(shape);
            has_the_bits_of_its_twin::<f64>(shape);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    // With work enough for several threads.
    for threads in [1, 2, 3] {
        on_threads(threads, || {
            has_the_bits_of_its_twin::<f32>([1, 5000, 103]);
            has_the_bits_of_its_twin::<f32>([7, 1000, 77]);
        });
    }
    // A product of tiny numbers of different signs is −0; zeros behind a row's end make it 0.
    let (tiny, shape) = ([f32::MIN_POSITIVE; 3], [1, 3, 1]);
    let negative = tiny.map(|x| -x);
    let expected = reference::transposed_product(&tiny, &negative, shape);
    assert_eq!(bits(&product(&tiny, &negative, None, shape)), bits(&expected));
}
