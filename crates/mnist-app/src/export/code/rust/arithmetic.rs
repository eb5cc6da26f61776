//# multiply_add
/// `a · b + c`, rounded once. Processors have an instruction for it, but `core` does not.
///
/// The product of two `f32` is exact in `f64`. The sum is rounded to `f64`, and its error is known
/// exactly; if there is one, the last bit is made 1 ("rounded to odd"), by which the second
/// rounding, to `f32`, sees on which side of the middle between two numbers the sum lies.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    let back = sum - product;
    let error = (product - (sum - back)) + (c - back);
    // An infinite sum has an error that is NaN.
    let is_inexact = error.abs() > 0.0;
    // One step away from 0, or towards it.
    let step = if (error > 0.0) == (sum > 0.0) { 1 } else { u64::MAX };
    let step = if is_inexact && sum.to_bits() & 1 == 0 { step } else { 0 };
    f64::from_bits(sum.to_bits().wrapping_add(step)) as f32
}

//# add_products multiply_add
/// `sums ← sums + weight · numbers`, each rounded once.
fn add_products(numbers: &[f32], weight: f32, sums: &mut [f32]) {
    for (sum, &number) in sums.iter_mut().zip(numbers) {
        *sum = multiply_add(number, weight, *sum);
    }
}

//# sum_of_lanes
/// The sum of 16 numbers, the upper half added to the lower half until one is left.
fn sum_of_lanes(mut lanes: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

//# sums multiply_add sum_of_lanes
/// Rows of numbers that are summed together.
#[derive(Clone, Copy)]
struct Rows {
    count: usize,
    len: usize,
    /// From the start of one row to the next.
    pitch: usize,
}

/// The sums of `x − mean` and of its squares over the numbers of some rows.
///
/// A row is divided into blocks of 64 times 16 numbers. The blocks are added in pairs, the pairs in
/// pairs and so on, so that rounding errors do not pile up.
fn sums(numbers: &[f32], rows: Rows, mean: f32) -> [f32; 2] {
    let blocks = rows.count * rows.len.div_ceil(1024);
    sums_of_blocks(numbers, rows, [0, blocks], mean).map(sum_of_lanes)
}

fn sums_of_blocks(
    numbers: &[f32],
    rows: Rows,
    [first, count]: [usize; 2],
    mean: f32,
) -> [[f32; 16]; 2] {
    if count > 1 {
        let half = count.next_power_of_two() / 2;
        let mut sums = sums_of_blocks(numbers, rows, [first, half], mean);
        let others = sums_of_blocks(numbers, rows, [first + half, count - half], mean);
        for (sum, other) in sums.iter_mut().flatten().zip(others.iter().flatten()) {
            *sum += other;
        }
        return sums;
    }
    let per_row = rows.len.div_ceil(1024);
    let start = first % per_row * 1024;
    let numbers = &numbers[first / per_row * rows.pitch..][start..rows.len.min(start + 1024)];
    // Groups of 16 are dealt to four sums in turn; what is less than a group goes to the last.
    let (mut sums, mut squares) = ([[0.0; 16]; 4], [[0.0; 16]; 4]);
    for (index, group) in numbers.chunks(16).enumerate() {
        let to = if group.len() == 16 { index % 4 } else { 3 };
        for (lane, &x) in group.iter().enumerate() {
            let centred = x - mean;
            sums[to][lane] += centred;
            squares[to][lane] = multiply_add(centred, centred, squares[to][lane]);
        }
    }
    let mut total = [[0.0; 16]; 2];
    for (total, dealt) in total.iter_mut().zip([sums, squares]) {
        for lane in 0..16 {
            let pairs = (dealt[0][lane] + dealt[1][lane], dealt[2][lane] + dealt[3][lane]);
            total[lane] = pairs.0 + pairs.1;
        }
    }
    total
}

//# square_root
/// The square root, correctly rounded: `core` has none. The root of a whole number, bit by bit,
/// with enough bits for the rounding.
fn square_root(x: f32) -> f32 {
    if !(x > 0.0 && x < f32::INFINITY) {
        return if x < 0.0 { f32::NAN } else { x };
    }
    // x = mantissa · 2^exponent, with an even exponent.
    let mut mantissa = u64::from(x.to_bits() & 0x007f_ffff);
    let mut exponent = (x.to_bits() >> 23) as i32;
    if exponent > 0 {
        mantissa |= 0x0080_0000;
        exponent -= 1;
    }
    exponent -= 149;
    while mantissa < 0x0080_0000 || exponent % 2 != 0 {
        mantissa *= 2;
        exponent -= 1;
    }
    let (mut rest, mut root) = (mantissa << 30, 0_u64);
    let mut bit = 1_u64 << 56;
    while bit > 0 {
        if rest >= root + bit {
            rest -= root + bit;
            root += 2 * bit;
        }
        root /= 2;
        bit /= 4;
    }
    // The last bit says that there is a rest; the conversion rounds.
    let root = (root | u64::from(rest > 0)) as f32;
    let power = exponent / 2 - 15 + 127;
    root * f32::from_bits((power as u32) << 23)
}

//# polynomial multiply_add
/// `c[0] + c[1] x + c[2] x² + …`
fn polynomial(x: f32, c: &[f32]) -> f32 {
    let mut sum = c[c.len() - 1];
    for &c in c[..c.len() - 1].iter().rev() {
        sum = multiply_add(sum, x, c);
    }
    sum
}

//# exponential polynomial
/// 2^k for the whole number in the low bits of `shifted`.
fn power_of_two(shifted: f32) -> f32 {
    f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// `exp x` = 2^k exp r, with `x = k ln 2 + r`.
#[allow(clippy::approx_constant)]
fn exponential(x: f32) -> f32 {
    // 1 / 2!, 1 / 3!, …
    const SERIES: [f32; 6] =
        [0.5, 0.166_666_67, 0.041_666_668, 0.008_333_334, 0.001_388_888_9, 0.000_198_412_7];
    // 1.5 · 2²³: adding it rounds a number to a whole one, which is left in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, so that nothing is lost.
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let k = multiply_add(x, 1.442_695, ROUND) - ROUND;
    let high = multiply_add(k, -LN_2_HIGH, x);
    let r = multiply_add(k, -LN_2_LOW, high);
    let lost = multiply_add(k, -LN_2_LOW, high - r);
    let sum = 1.0 + r;
    let rest = multiply_add(r * r, polynomial(r, &SERIES), (1.0 - sum) + r + lost);
    // 2^k as two factors, since a single exponent does not span the whole range.
    let half = multiply_add(k, 0.5, ROUND);
    let (a, b) = (power_of_two(half), power_of_two((k - (half - ROUND)) + ROUND));
    (sum + rest) * a * b
}
