//! Random numbers that never change from version to version.
//!
//! Every draw comes from ChaCha with 8 rounds, a generator whose stream is specified, with a key
//! made from the experiment's seed, the purpose and the epoch. So the draws for one purpose never
//! change those for another, and an epoch can be drawn again without the epochs before it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
pub use tensor::random::philox;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The initial parameters.
    Initialization = 1,
    /// The order of the samples in an epoch.
    Shuffle = 2,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of this seed, purpose and epoch.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&epoch.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number between 0 and 1, both excluded, with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number from the standard normal distribution, one draw for each.
    pub fn normal(&mut self) -> f64 {
        normal_quantile(self.uniform())
    }

    /// A whole number below `bound`, each equally likely.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "Stream::below: expected a bound of at least 1, got 0");
        let bound = bound as u64;
        // Lemire's method: the high half of a product; the few draws are rejected that would make
        // small numbers more likely.
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let draw = self.0.next_u64();
            if draw.wrapping_mul(bound) >= reject_below {
                let high = (u128::from(draw) * u128::from(bound)) >> 64;
                return usize::try_from(high).unwrap_or_else(|_| unreachable!("below the bound"));
            }
        }
    }

    /// Shuffles `items`; every order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The quantile of the standard normal distribution: a standard normal variable is below it with
/// probability `p`.
///
/// Algorithm AS 241 (M. J. Wichura, Applied Statistics 37, 1988), to about 1e-16.
fn normal_quantile(p: f64) -> f64 {
    const NEAR: [[f64; 8]; 2] = [
        [
            3.387_132_872_796_366_5,
            133.141_667_891_784_38,
            1_971.590_950_306_551_3,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ],
        [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_545,
        ],
    ];
    const MIDDLE: [[f64; 8]; 2] = [
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            7.745_450_142_783_414e-4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
    ];
    const FAR: [[f64; 8]; 2] = [
        [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ],
        [
            1.0,
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            7.868_691_311_456_133e-4,
            1.846_318_317_510_054_8e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ],
    ];
    let ratio = |[above, below]: &[[f64; 8]; 2], x: f64| {
        let horner = |row: &[f64; 8]| row.iter().rev().fold(0.0, |sum, c| sum * x + c);
        horner(above) / horner(below)
    };
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&NEAR, 0.180_625 - q * q);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-libm::log(tail)).sqrt();
    let magnitude = if r <= 5.0 { ratio(&MIDDLE, r - 1.6) } else { ratio(&FAR, r - 5.0) };
    magnitude.copysign(q)
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Stream, normal_quantile};

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (p, x) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813),
            (1e-20, -9.262_340_089_798_408),
        ] {
            let found = normal_quantile(p);
            assert!((found - x).abs() < 1e-14 * (1.0 + x.abs()), "{p}: {found}");
        }
    }

    #[test]
    fn moments_of_the_samplers() {
        let mut stream = Stream::new(7, Purpose::Initialization, 0);
        let n = 100_000;
        let normal: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let moment = |k| normal.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
        let mut counts = [0; 7];
        (0..70_000).for_each(|_| counts[stream.below(7)] += 1);
        assert!(counts.iter().all(|&count| (9_600..10_400).contains(&count)), "{counts:?}");
    }

    /// The streams determine every digest that is promised for a preset.
    #[test]
    fn the_streams_never_change() {
        let mut order: Vec<_> = (0..10).collect();
        Stream::new(1, Purpose::Shuffle, 2).shuffle(&mut order);
        assert_eq!(order, SHUFFLED);
        let first = Stream::new(1, Purpose::Initialization, 0).normal();
        assert_eq!(first.to_bits(), FIRST_NORMAL, "{first}");
        assert_ne!(first, Stream::new(2, Purpose::Initialization, 0).normal());
    }

    const SHUFFLED: [usize; 10] = [1, 5, 3, 2, 0, 6, 8, 9, 7, 4];
    const FIRST_NORMAL: u64 = 13_828_039_314_682_988_992;
}
