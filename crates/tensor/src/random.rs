//! Counter-based random numbers: each is a function of a key and a counter.

use fearless_simd::Simd;

use crate::Element;
use crate::element::kernels::per_element;
use crate::simd::Kernel;

const ROUNDS: u32 = 7;
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// `Philox4x32` with 7 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
/// 1, 2, 3", 2011): four random words for each counter. Seven rounds are the fewest that pass the
/// authors' tests (Crush-resistance); the form with ten rounds, which many libraries use, adds a
/// safety margin.
///
/// ```
/// use tensor::random::philox;
///
/// let words = philox([0; 4], [0; 2]);
/// assert_eq!(words, [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48]);
/// ```
#[inline]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    (0..ROUNDS).fold(counter, |counter, round| {
        let key = round_key(key, round);
        let first = MULTIPLIERS[0] * u64::from(counter[0]);
        let second = MULTIPLIERS[1] * u64::from(counter[2]);
        [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ]
    })
}

#[inline(always)]
fn round_key(key: [u32; 2], round: u32) -> [u32; 2] {
    [
        key[0].wrapping_add(0x9E37_79B9_u32.wrapping_mul(round)),
        key[1].wrapping_add(0xBB67_AE85_u32.wrapping_mul(round)),
    ]
}

/// Sets number `i` to 0 if word `i mod 4` of [`philox`] for the counter `[i / 4, counter…]` is less
/// than `limit`, and multiplies it by `scale` otherwise: each is 0 with probability `limit / 2³²`.
///
/// # Panics
/// If there are more than 2³⁴ numbers, which is more than the counters have words for.
#[track_caller]
pub fn drop_out<T: Element>(
    numbers: &mut [T],
    counter: [u32; 3],
    key: [u32; 2],
    limit: u32,
    scale: T,
) {
    assert!(numbers.len().div_ceil(4) as u64 <= 1 << 32, "drop_out: {} numbers", numbers.len());
    DropOut { numbers, counter, key, limit, scale }.launch();
}

/// The limit below which the fraction `p` of all 32-bit words lies.
pub fn share_of_words(p: f64) -> u32 {
    (p * (1_u64 << 32) as f64) as u32
}

/// [`drop_out`] and its operands.
pub struct DropOut<'a, T> {
    numbers: &'a mut [T],
    counter: [u32; 3],
    key: [u32; 2],
    limit: u32,
    scale: T,
}

/// How many counters are computed at a time.
const COUNTERS: usize = 16;

/// The number of their words.
const WORDS: usize = 4 * COUNTERS;

per_element!(DropOut);

impl<T: Element> Kernel for DropOut<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { numbers, counter, key, limit, scale } = self;
        // A loop of fixed length has no branches on any level.
        let (blocks, rest) = numbers.as_chunks_mut::<WORDS>();
        let mut first = 0;
        for block in blocks {
            let words = words_from(first, counter, key);
            for i in 0..WORDS {
                block[i] = if words[i] < limit { T::ZERO } else { block[i] * scale };
            }
            first = first.wrapping_add(COUNTERS as u32);
        }
        if !rest.is_empty() {
            for (number, word) in rest.iter_mut().zip(words_from(first, counter, key)) {
                *number = if word < limit { T::ZERO } else { *number * scale };
            }
        }
    }
}

/// The words of [`philox`] for counters with first words from `first` on. There is one counter in
/// each lane, and each word is in the lower half of 64 bits, which its products need.
#[inline(always)]
fn words_from(first: u32, counter: [u32; 3], key: [u32; 2]) -> [u32; WORDS] {
    let mut lanes = [[0; COUNTERS]; 4];
    for lane in 0..COUNTERS {
        lanes[0][lane] = u64::from(first.wrapping_add(lane as u32));
        for word in 0..3 {
            lanes[word + 1][lane] = u64::from(counter[word]);
        }
    }
    for round in 0..ROUNDS {
        let key = round_key(key, round).map(u64::from);
        for lane in 0..COUNTERS {
            let products = [
                MULTIPLIERS[0] * (lanes[0][lane] & 0xFFFF_FFFF),
                MULTIPLIERS[1] * (lanes[2][lane] & 0xFFFF_FFFF),
            ];
            lanes[0][lane] = (products[1] >> 32) ^ lanes[1][lane] ^ key[0];
            lanes[1][lane] = products[1];
            lanes[2][lane] = (products[0] >> 32) ^ lanes[3][lane] ^ key[1];
            lanes[3][lane] = products[0];
        }
    }
    let mut words = [0; WORDS];
    for lane in 0..COUNTERS {
        for word in 0..4 {
            words[4 * lane + word] = lanes[word][lane] as u32;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// The test vectors that the authors publish with their library.
    #[test]
    fn known_answers() {
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x5207_ddc2, 0x4516_5e59, 0x4d8e_e751, 0x8c52_f662]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let words = philox(pi, [0xa409_3822, 0x299f_31d0]);
        assert_eq!(words, [0x4dfc_caba, 0x190a_87f0, 0xc473_62ba, 0xb6b5_242a]);
    }
}
