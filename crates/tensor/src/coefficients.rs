//! The coefficients of the polynomials that [`crate::math`] evaluates, and their ranges.

/// The coefficients for one element.
pub struct Coefficients {
    /// 1.5 · 2^(mantissa bits): adding it rounds a number to an integer, which is left in the low
    /// bits.
    pub(crate) round: f64,
    pub(crate) mantissa_bits: u32,
    /// ln 2 in two parts; the first ends in enough zeros for `k·ln2_high` to be exact.
    pub(crate) ln2_high: f64,
    pub(crate) ln2_low: f64,
    /// Below the first and above the second, exp is 0 or infinite.
    pub(crate) exp_low: f64,
    pub(crate) exp_high: f64,
    /// Above this, tanh rounds to 1.
    pub(crate) tanh_limit: f64,
    /// How many terms of the series, from x²/2! on, affect the last place.
    pub(crate) terms: usize,
    /// The same for [`LOGARITHM`].
    pub(crate) log_terms: usize,
    /// `(tanh x / x − 1) / x²` for |x| up to [`TANH_NEAR`], as a polynomial in x² interpolated at
    /// Chebyshev nodes, lowest power first.
    pub(crate) tanh_series: &'static [f64],
    /// See [`math::normal`](crate::math::normal).
    pub(crate) normal_tail: &'static [f64],
}

pub(crate) const F32: Coefficients = Coefficients {
    round: 12_582_912.0,
    mantissa_bits: 23,
    ln2_high: 0.693_145_751_953_125,
    ln2_low: 1.428_606_820_309_417_2e-6,
    exp_low: -104.0,
    exp_high: 89.0,
    tanh_limit: 10.0,
    terms: 6,
    log_terms: 8,
    tanh_series: &[
        -0.333_333_316_952_605_5,
        0.133_330_738_135_011_7,
        -0.053_901_753_164_581_23,
        0.021_263_353_447_151_622,
        -0.006_525_572_168_998_148,
    ],
    normal_tail: TAIL_F32,
};

pub(crate) const F64: Coefficients = Coefficients {
    round: 6_755_399_441_055_744.0,
    mantissa_bits: 52,
    ln2_high: 0.693_147_180_369_123_8,
    ln2_low: 1.908_214_929_270_587_7e-10,
    exp_low: -746.0,
    exp_high: 710.0,
    tanh_limit: 20.0,
    terms: 12,
    log_terms: 17,
    tanh_series: &[
        -0.333_333_333_333_333_3,
        0.133_333_333_333_323_9,
        -0.053_968_253_967_059_4,
        0.021_869_488_476_962_56,
        -0.008_863_234_021_529_514,
        0.003_592_105_532_132_769,
        -0.001_455_623_977_419_267_8,
        5.887_537_113_834_804e-4,
        -2.341_055_693_667_279_7e-4,
        8.426_522_203_958_066e-5,
        -2.002_674_008_531_768_5e-5,
    ],
    normal_tail: TAIL_F64,
};

/// Up to here tanh is a series, above it is computed from the exponential: above ½ that loses no
/// accuracy.
pub(crate) const TANH_NEAR: f64 = 0.5625;

/// 2/3, 2/5, … 2/35.
pub(crate) const LOGARITHM: [f64; 17] = {
    let mut all = [2.0 / 3.0; 17];
    let mut n = 1;
    while n < 17 {
        all[n] = 2.0 / (2.0 * n as f64 + 3.0);
        n += 1;
    }
    all
};

/// 1/2!, 1/3!, … 1/13!.
pub(crate) const INVERSE_FACTORIALS: [f64; 12] = {
    let mut all = [0.5; 12];
    let mut n = 1;
    while n < 12 {
        all[n] = all[n - 1] / (n as f64 + 2.0);
        n += 1;
    }
    all
};

/// `P` to 1e-9, lowest power first.
const TAIL_F32: &[f64] = &[
    0.769_193_049_750_063,
    -0.665_382_512_697_461_8,
    0.495_305_621_408_566_4,
    -0.313_532_881_295_696_5,
    0.165_020_213_043_891_22,
    -0.069_120_857_149_371_34,
    0.020_796_308_866_134_37,
    -0.002_985_670_538_031_035_7,
    -0.000_802_239_530_337_196_1,
    0.000_531_738_867_577_209_8,
    -5.173_382_022_309_99e-5,
    -3.867_768_648_573_005e-5,
    9.920_844_802_133_103e-6,
];

/// `P` to 5e-17, lowest power first.
const TAIL_F64: &[f64] = &[
    0.769_193_049_750_063,
    -0.665_382_502_890_057_7,
    0.495_305_615_969_976_8,
    -0.313_533_156_671_213_8,
    0.165_020_366_170_342_82,
    -0.069_118_638_708_814_32,
    0.020_795_066_800_941_616,
    -0.002_993_376_738_223_22,
    -0.000_797_869_409_480_806_3,
    0.000_544_898_830_900_93,
    -5.937_567_328_648_865_5e-5,
    -4.976_177_118_979_218e-5,
    1.668_109_911_586_346_8e-5,
    3.977_912_640_593_242e-6,
    -2.769_337_871_043_854e-6,
    -3.310_698_071_526_862e-7,
    4.340_262_594_829_775e-7,
    3.581_840_051_543_223e-8,
    -6.782_555_313_291_156e-8,
    -5.015_649_939_857_857e-9,
    9.446_827_519_677_366e-9,
    5.037_302_126_379_857e-10,
    -8.166_192_624_428_987e-10,
];
