//! Random numbers without a stream: each is a function of a key and a counter.

/// `Philox4x32` with 7 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
/// as easy as 1, 2, 3", 2011): four random words for each counter. Seven rounds are the
/// fewest that pass the authors' tests (Crush-resistance); the tenfold form that many
/// libraries use adds a margin.
///
/// ```
/// use layers::random::philox;
///
/// let words = philox([0; 4], [0; 2]);
/// assert_eq!(words, [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48]);
/// ```
#[inline]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const ROUNDS: u32 = 7;
    (0..ROUNDS).fold(counter, |counter, round| {
        let key = [
            key[0].wrapping_add(0x9E37_79B9_u32.wrapping_mul(round)),
            key[1].wrapping_add(0xBB67_AE85_u32.wrapping_mul(round)),
        ];
        let first = 0xD251_1F53 * u64::from(counter[0]);
        let second = 0xCD9E_8D57 * u64::from(counter[2]);
        [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// The known answers that the authors publish with their library.
    #[test]
    fn known_answers() {
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x5207_ddc2, 0x4516_5e59, 0x4d8e_e751, 0x8c52_f662]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let words = philox(pi, [0xa409_3822, 0x299f_31d0]);
        assert_eq!(words, [0x4dfc_caba, 0x190a_87f0, 0xc473_62ba, 0xb6b5_242a]);
    }
}
