//! What the exported files compute in place of instructions, against these.

#![allow(dead_code)]
// Every `as` in the exported file is meant.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

use tensor::activation::{self, Activation};

use super::{Random, run};

include!("../rust/arithmetic.rs");
include!("../rust/functions.rs");

/// Operands with few or many bits, and of all sizes, that cancel, lie in the middle between two
/// numbers, or have no bits left.
fn operands(count: usize) -> impl Iterator<Item = [f32; 3]> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..count).map(move |index| {
        let bits = [random.bits(), random.bits(), random.bits()];
        let mut bits =
            bits.map(|bits| bits.to_le_bytes().first_chunk().copied().unwrap_or_default());
        if index % 2 == 0 {
            // Of sizes at which the three meet.
            for (word, span) in bits.iter_mut().zip([16_u8, 16, 48]) {
                word[3] = (word[3] & 0x80) | (56 - span / 4 + word[3] % (span / 2));
            }
        }
        let mut x = bits.map(u32::from_le_bytes);
        match index % 7 {
            0 | 1 => x = x.map(|x| x & 0xffff_f000),
            2 => x[2] &= 0xffff_0000,
            3 => x[0] &= 0xff80_0000,
            4 => x[0] &= 0x80ff_ffff,
            _ => {}
        }
        let [a, b, c] = x.map(f32::from_bits);
        match index % 11 {
            0 => [a, b, -(a * b)],
            1 => [a, b, (a * b) * f32::from_bits(0x4b80_0000)],
            2 => [a, b, (a * b) * f32::from_bits(0x4b00_0001)],
            _ => [a, b, c],
        }
    })
}

/// Numbers that no operation may get wrong.
const SPECIAL: [f32; 15] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::EPSILON,
    1.0 + f32::EPSILON,
];

fn triples() -> impl Iterator<Item = [f32; 3]> {
    let special = SPECIAL
        .iter()
        .flat_map(|&a| SPECIAL.iter().flat_map(move |&b| SPECIAL.iter().map(move |&c| [a, b, c])));
    operands(400_000).chain(special)
}

fn are_same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn a_product_and_a_sum_are_rounded_once() {
    for [a, b, c] in triples() {
        let (found, expected) = (multiply_add(a, b, c), a.mul_add(b, c));
        assert!(are_same(found, expected), "{a:e} {b:e} {c:e}: {found:e}, not {expected:e}");
    }
}

#[test]
fn a_product_and_a_sum_are_rounded_once_in_c() {
    let folder = tempfile::tempdir().unwrap();
    let arithmetic = include_str!("../c/arithmetic.c");
    let multiply_add = arithmetic.split("//# ").nth(1).unwrap();
    let multiply_add = multiply_add.split_once('\n').unwrap().1;
    let text = format!(
        "#include <stdio.h>\n{}{multiply_add}\n{}",
        include_str!("../c/head.c"),
        r#"
int main(void) {
    union { float numbers[4]; uint32_t bits[4]; } at;
    FILE *file = fopen("triples", "rb");
    while (fread(&at, sizeof at, 1, file) == 1) {
        union { float number; uint32_t bits; } found =
            { multiply_add(at.numbers[0], at.numbers[1], at.numbers[2]) };
        if (found.bits != at.bits[3] && (found.number == found.number || at.numbers[3] == at.numbers[3])) {
            return 1;
        }
    }
    return 0;
}
"#
    );
    let triples = triples().flat_map(|[a, b, c]| [a, b, c, a.mul_add(b, c)]);
    let triples: Vec<u8> = triples.flat_map(f32::to_ne_bytes).collect();
    std::fs::write(folder.path().join("triples"), triples).unwrap();
    std::fs::write(folder.path().join("a.c"), text).unwrap();
    // As the standard says; where doubles are slow; and in the compiler's own dialect of C, with the
    // instructions of this processor.
    for flags in [["-std=c99", "-O1"], ["-U__SSE2__", "-O1"], ["-march=native", "-O3"]] {
        let arguments = [&flags[..], &["-o", "a", "a.c"]].concat();
        if run("cc", &arguments, folder.path()).is_some() {
            run("./a", &[], folder.path());
        }
    }
}

#[test]
fn square_roots_are_correctly_rounded() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let all = (0..200_000).map(|_| f32::from_bits((random.bits() >> 33) as u32));
    let near = (0..4000).map(|n| f32::from_bits(0x3f80_0000 + n)).chain((1..2000).map(|n| {
        let root = n as f32;
        f32::from_bits((root * root).to_bits() + n % 3 - 1)
    }));
    let tiny = (0..4000).map(f32::from_bits);
    for x in all.chain(near).chain(tiny).chain(SPECIAL) {
        let (found, expected) = (square_root(x), x.sqrt());
        assert!(are_same(found, expected), "{x:e}: {found:e}, not {expected:e}");
    }
}

#[test]
fn functions_have_the_same_bits() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut numbers: Vec<f32> =
        (0..100_000).map(|_| f32::from_bits(random.bits() as u32)).collect();
    numbers.extend((0..100_000).map(|_| (random.number() * 20.0) as f32));
    numbers.extend((0..20_000).map(|_| (random.number() * 120.0) as f32));
    numbers.extend(SPECIAL);
    let compare = |name: &str, found: &dyn Fn(&mut [f32]), expected: &dyn Fn(&mut [f32])| {
        let (mut y, mut z) = (numbers.clone(), numbers.clone());
        found(&mut y);
        expected(&mut z);
        for ((&x, y), z) in numbers.iter().zip(y).zip(z) {
            assert!(are_same(y, z), "{name} {x:e}: {y:e}, not {z:e}");
        }
    };
    compare("sigmoid", &sigmoid, &|x| activation::Sigmoid.apply(x));
    compare("tanh", &hyperbolic_tangent, &|x| activation::Tanh.apply(x));
    compare("relu", &relu, &|x| activation::Relu.apply(x));
    compare("gelu", &gelu, &|x| activation::Gelu.apply(x));
    compare("silu", &silu, &|x| activation::Silu.apply(x));
    compare("softplus", &softplus, &|x| activation::Softplus.apply(x));
    compare("hard_swish", &hard_swish, &|x| activation::HardSwish.apply(x));
    compare("leaky_relu", &|x| leaky_relu(x, 0.3), &|x| {
        activation::LeakyRelu { slope: 0.3 }.apply(x);
    });
    compare("elu", &|x| elu(x, 0.7), &|x| activation::Elu { alpha: 0.7 }.apply(x));
}
