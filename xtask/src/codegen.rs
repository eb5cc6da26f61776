//! `cargo xtask codegen`: checks that the hot loops consist of packed fused multiply-adds on
//! numbers that stay in registers.
//!
//! The language guarantees nothing of the kind. A new compiler, or a change that looks harmless,
//! may turn a loop into one on single numbers, or let it store its sums to memory in each step,
//! while every result stays the same. So the release build of `tensor` is written as assembly, and
//! each expected inner loop is looked up by its instructions.

mod assembly;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use self::assembly::{Lanes, Loop, Register, loops};
use crate::process::{cargo, release, run as run_command};

/// An inner loop that must exist.
struct Expected {
    /// A part of the name of its function, which identifies the level.
    function: &'static str,
    name: &'static str,
    register: Register,
    lanes: Lanes,
    /// The exact number of packed fused multiply-adds: those of one step of the tile.
    fused: usize,
    /// The least number of vectors loaded; a loop that only measures the peak loads none.
    loads: usize,
    /// The exact number of loads of the second half of a vector.
    halves: usize,
    /// The least and the largest number of broadcasts.
    broadcasts: [usize; 2],
    /// The least number of shuffles of lanes.
    shuffles: usize,
    /// The exact numbers of packed divisions and of square roots.
    divisions: usize,
    roots: usize,
    /// The least number of vectors stored.
    stores: usize,
    /// The most vector instructions on the stack.
    spills: usize,
    /// The most instructions in one step.
    instructions: usize,
}

/// The most instructions in one step of a tile. The largest tile of products needs 45, with
/// counters and bounds checks; the largest of dot products 70 to 81, since half of its addresses
/// are on the stack.
const MOST_INSTRUCTIONS: usize = 85;

const AVX512: &str = "vectorize_avx512";
const AVX2: &str = "vectorize_avx2";

const fn product(
    function: &'static str,
    name: &'static str,
    register: Register,
    [rows, vectors]: [usize; 2],
) -> Expected {
    let (fused, loads, broadcasts) = (rows * vectors, vectors, rows);
    let (lanes, instructions) = (Lanes::F32, MOST_INSTRUCTIONS);
    Expected {
        function,
        name,
        register,
        lanes,
        fused,
        loads,
        halves: 0,
        broadcasts: [broadcasts, 2 * broadcasts],
        shuffles: 0,
        divisions: 0,
        roots: 0,
        stores: 0,
        spills: 2,
        instructions,
    }
}

const fn dots(
    function: &'static str,
    name: &'static str,
    register: Register,
    [rows, columns]: [usize; 2],
    spills: usize,
) -> Expected {
    let (fused, loads) = (rows * columns, rows + columns);
    let broadcasts = [0; 2];
    Expected { fused, loads, broadcasts, spills, ..product(function, name, register, [rows, 1]) }
}

/// The same loop, with `halves` of its vectors loaded in two halves.
const fn in_halves(halves: usize, name: &'static str, whole: Expected) -> Expected {
    Expected { name, loads: whole.loads + halves, halves, ..whole }
}

/// The same loop, unrolled twice.
const fn twice(whole: Expected) -> Expected {
    let Expected { fused, loads, instructions, .. } = whole;
    let instructions = instructions + fused + loads;
    Expected { fused: 2 * fused, loads: 2 * loads, instructions, ..whole }
}

/// The same loop in `f64`.
const fn double(expected: Expected) -> Expected {
    Expected { lanes: Lanes::F64, ..expected }
}

/// Taps by vectors of kernels: like a product whose weights are the numbers of the input.
const fn outer(
    function: &'static str,
    name: &'static str,
    register: Register,
    tile: [usize; 2],
) -> Expected {
    product(function, name, register, tile)
}

/// Kernels by points by vectors, with weights of their own for each point: `f4_1d.rs`.
const fn columns(
    function: &'static str,
    name: &'static str,
    register: Register,
    [kernels, points, vectors]: [usize; 3],
) -> Expected {
    let loads = points * vectors;
    let weights = kernels * points;
    Expected { loads, ..product(function, name, register, [weights, vectors]) }
}

/// The loop of `tile_transforms.rs` that deinterleaves the numbers of a line and transforms the
/// tiles: ten multiply-adds, eight loads, fourteen shuffles, six stores with a bounds check each,
/// and broadcasts of the constants for which no register is left.
const fn tile_rows(function: &'static str, register: Register, broadcasts: [usize; 2]) -> Expected {
    Expected {
        loads: 8,
        broadcasts,
        shuffles: 14,
        stores: 6,
        instructions: 180,
        ..product(function, "tile rows", register, [10, 1])
    }
}

/// A loop over single vectors, or over pairs if a vector is two registers: an operation of
/// `map.rs`, `activation.rs` or `optimize.rs`. Its constants are in registers or broadcast, a few
/// of them twice.
const fn elementwise(
    function: &'static str,
    name: &'static str,
    register: Register,
    [fused, divisions, roots]: [usize; 3],
    loads: usize,
) -> Expected {
    let (stores, broadcasts, instructions) = (1, [0, fused + fused / 2], 220);
    // The constants leave few of sixteen registers.
    let spills = if let Register::Ymm = register { 24 } else { 2 };
    Expected {
        fused,
        loads,
        divisions,
        roots,
        stores,
        broadcasts,
        spills,
        instructions,
        ..product(function, name, register, [1, 1])
    }
}

/// The gradient of four rows of weights for one sample, and the step with it, in one pass:
/// `matrix.rs`. The input gradient, which the first layer does not need, is in a branch.
const RANK_ONE: Expected = Expected {
    loads: 6,
    stores: 4,
    broadcasts: [0; 2],
    ..product(AVX512, "rank-1 update", Register::Zmm, [4, 1])
};

/// The tiles of `microkernel.rs`, `outer_products.rs`, `f4_1d.rs` and `f4_1d_gradient.rs`, in which
/// nearly all time is spent, the transform of some tiles' operands, and the loops over single
/// vectors that dominate a small network's step. The tiles of `f4_2d_gradient.rs` look like
/// products 8x2 and outer products 2x2.
///
/// More spills are allowed where a tile has some and they hide behind its multiply-adds: the five
/// sums of 8x3 that go through memory take less than the 24 cycles of a step.
const EXPECTED: &[Expected] = &[
    product(AVX512, "product 8x2", Register::Zmm, [8, 2]),
    product(AVX512, "product 6x4", Register::Zmm, [6, 4]),
    product(AVX512, "product 4x5", Register::Zmm, [4, 5]),
    in_halves(2, "halves 8x2", product(AVX512, "", Register::Zmm, [8, 2])),
    in_halves(2, "halves 6x2", product(AVX512, "", Register::Zmm, [6, 2])),
    in_halves(3, "halves 4x3", product(AVX512, "", Register::Zmm, [4, 3])),
    dots(AVX512, "dots 4x5", Register::Zmm, [4, 5], 2),
    in_halves(4, "dot halves 4x5", dots(AVX512, "", Register::Zmm, [4, 5], 2)),
    dots(AVX512, "dots 8x3", Register::Zmm, [8, 3], 12),
    twice(dots(AVX512, "dots 6x4, twice", Register::Zmm, [6, 4], 2)),
    twice(dots(AVX512, "dots 4x4, twice", Register::Zmm, [4, 4], 2)),
    product(AVX2, "product 4x3", Register::Ymm, [4, 3]),
    product(AVX2, "product 2x5", Register::Ymm, [2, 5]),
    dots(AVX2, "dots 4x3", Register::Ymm, [4, 3], 4),
    dots(AVX2, "dots 2x5", Register::Ymm, [2, 5], 2),
    outer(AVX512, "outer 9x2", Register::Zmm, [9, 2]),
    outer(AVX512, "outer 12x1", Register::Zmm, [12, 1]),
    outer(AVX512, "outer 15x1", Register::Zmm, [15, 1]),
    // Here a vector is two registers.
    outer(AVX2, "outer 6x1", Register::Ymm, [6, 2]),
    outer(AVX2, "outer 2x2", Register::Ymm, [2, 4]),
    double(product(AVX512, "product 8x2", Register::Zmm, [8, 2])),
    double(product(AVX512, "product 6x4", Register::Zmm, [6, 4])),
    double(product(AVX512, "product 4x5", Register::Zmm, [4, 5])),
    double(dots(AVX512, "dots 4x5", Register::Zmm, [4, 5], 2)),
    double(dots(AVX512, "dots 8x3", Register::Zmm, [8, 3], 12)),
    double(twice(dots(AVX512, "dots 6x4, twice", Register::Zmm, [6, 4], 2))),
    double(twice(dots(AVX512, "dots 4x4, twice", Register::Zmm, [4, 4], 2))),
    double(product(AVX2, "product 4x3", Register::Ymm, [4, 3])),
    double(product(AVX2, "product 2x5", Register::Ymm, [2, 5])),
    double(dots(AVX2, "dots 4x3", Register::Ymm, [4, 3], 4)),
    double(outer(AVX512, "outer 9x2", Register::Zmm, [9, 2])),
    double(outer(AVX512, "outer 12x1", Register::Zmm, [12, 1])),
    double(outer(AVX2, "outer 6x1", Register::Ymm, [6, 2])),
    columns(AVX512, "columns 4x6", Register::Zmm, [4, 6, 1]),
    columns(AVX2, "columns 2x3", Register::Ymm, [2, 3, 2]),
    dots(AVX512, "places 3x9", Register::Zmm, [3, 9], 6),
    dots(AVX512, "places 4x6", Register::Zmm, [4, 6], 2),
    tile_rows(AVX512, Register::Zmm, [0, 4]),
    tile_rows(AVX2, Register::Ymm, [3, 8]),
    RANK_ONE,
    elementwise(AVX512, "exp", Register::Zmm, [11, 0, 0], 1),
    elementwise(AVX512, "sigmoid", Register::Zmm, [13, 1, 0], 1),
    elementwise(AVX512, "tanh", Register::Zmm, [22, 1, 0], 1),
    elementwise(AVX512, "Adam", Register::Zmm, [5, 1, 1], 4),
    elementwise(AVX2, "exp", Register::Ymm, [22, 0, 0], 2),
    elementwise(AVX2, "sigmoid", Register::Ymm, [26, 2, 0], 2),
    elementwise(AVX2, "tanh", Register::Ymm, [46, 2, 0], 2),
    elementwise(AVX2, "Adam", Register::Ymm, [10, 2, 2], 8),
];

/// Builds `tensor`, looks up the expected loops and prints a table.
pub fn run(flags: Vec<OsString>) -> anyhow::Result<ExitCode> {
    crate::no_flags("codegen", &flags)?;
    if !cfg!(target_arch = "x86_64") {
        println!("codegen: not checked; it knows the instructions of x86-64 only");
        return Ok(ExitCode::SUCCESS);
    }
    let loops = loops(&assembly_of_tensor()?);
    let failures = print_table(&loops);
    if failures > 0 {
        bail!("codegen: {failures} of {} loops are not what they must be", EXPECTED.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// The assembly of all codegen units of `tensor`, built as in a release.
fn assembly_of_tensor() -> anyhow::Result<String> {
    // A target folder of its own: with the same flags elsewhere, cargo would build everything
    // twice.
    let target = release("xtask")?.with_file_name("codegen");
    let units = target.join("release").join("deps");
    // Without these files cargo regards the crate as not built, and builds it.
    for path in units_of_tensor(&units)? {
        std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    let mut build = cargo(&["rustc", "--release", "--package", "tensor", "--lib"]);
    build.arg("--target-dir").arg(&target).args(["--", "--emit", "asm"]);
    run_command(&mut build)?;
    let mut text = String::new();
    for path in units_of_tensor(&units)? {
        if path.extension().is_some_and(|extension| extension == "s") {
            let unit = std::fs::read_to_string(&path);
            text += &unit.with_context(|| path.display().to_string())?;
        }
    }
    if text.is_empty() {
        bail!("no assembly in {}", units.display());
    }
    Ok(text)
}

/// The units that a build of `tensor` left in the folder, if there are any.
fn units_of_tensor(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("tensor-") || name.starts_with("libtensor-") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Prints a row for each expected loop; returns how many are missing or differ.
fn print_table(loops: &[Loop]) -> usize {
    println!(
        "{:<10}{:<16}{:<7}{:<10}{:>7}{:>14}{:>8}",
        "level", "loop", "of", "register", "fused", "instructions", "spills"
    );
    let mut failures = 0;
    for expected in EXPECTED {
        let level = expected.function.trim_start_matches("vectorize_");
        let register = expected.register.name();
        let lanes = expected.lanes.name();
        print!("{level:<10}{:<16}{lanes:<7}{register:<10}{:>7}", expected.name, expected.fused);
        let verdict = match expected.best(loops) {
            None => "  MISSING: no such loop is left".to_owned(),
            Some(found) => {
                print!("{:>14}{:>8}", found.instructions, found.spills);
                if expected.accepts(found) { String::new() } else { "  TOO MANY".to_owned() }
            }
        };
        failures += usize::from(!verdict.is_empty());
        println!("{verdict}");
    }
    failures
}

impl Expected {
    /// The closest loop among those with the right number of multiply-adds.
    fn best<'a>(&self, loops: &'a [Loop]) -> Option<&'a Loop> {
        let same = loops.iter().filter(|found| {
            let [fewest, most] = self.broadcasts;
            found.function.contains(self.function)
                && found.register == self.register
                && found.lanes == self.lanes
                && found.fused == self.fused
                && found.loads >= self.loads
                && found.halves == self.halves
                && found.shuffles >= self.shuffles
                && (fewest..=most).contains(&found.broadcasts)
                && [found.divisions, found.roots] == [self.divisions, self.roots]
                && found.stores >= self.stores
        });
        same.min_by_key(|found| (!self.accepts(found), found.instructions))
    }

    fn accepts(&self, found: &Loop) -> bool {
        found.instructions <= self.instructions && found.spills <= self.spills
    }
}

#[cfg(test)]
mod tests {
    use super::assembly::loops;
    use super::{AVX2, Expected, Register, dots, product};

    /// A loop as rustc writes it: 2 rows by 2 vectors, with `more` inserted.
    fn assembly(more: &str) -> String {
        format!(
            "_ZN{AVX2}E:\n.LBB7_3:\n\tvmovups\t(%rsi,%rax,4), %ymm0\n\
             \tvmovups\t32(%rsi,%rax,4), %ymm1\n\tvbroadcastss\t(%rdx), %ymm2\n\
             \tvfmadd231ps\t%ymm0, %ymm2, %ymm4\n\tvfmadd231ps\t%ymm1, %ymm2, %ymm5\n\
             \tvbroadcastss\t4(%rdx), %ymm2\n\tvfmadd231ps\t%ymm0, %ymm2, %ymm6\n\
             \tvfmadd231ps\t%ymm1, %ymm2, %ymm7\n{more}\tincq\t%rax\n\tjne\t.LBB7_3\n"
        )
    }

    fn passes(expected: &Expected, assembly: &str) -> bool {
        let loops = loops(assembly);
        expected.best(&loops).is_some_and(|found| expected.accepts(found))
    }

    #[test]
    fn a_loop_passes_with_its_multiply_adds_only() {
        let expected = product(AVX2, "product 2x2", Register::Ymm, [2, 2]);
        assert!(passes(&expected, &assembly("")));
        let lost = assembly("").replace("231ps\t%ymm1, %ymm2, %ymm7", "231ss\t%xmm1, %xmm2, %xmm7");
        assert!(!passes(&expected, &lost));
        let unfused =
            assembly("").replace("vfmadd231ps\t%ymm1, %ymm2, %ymm7", "vmulps\t%ymm1, %ymm2, %ymm7");
        assert!(!passes(&expected, &unfused));
        assert!(!passes(&expected, &assembly("").replace(AVX2, "vectorize_avx512")));
        let doubles = assembly("").replace("ps\t", "pd\t").replace("broadcastss", "broadcastsd");
        assert!(!passes(&expected, &doubles));
        assert!(passes(&super::double(expected), &doubles));
        let expected = product(AVX2, "product 2x2", Register::Ymm, [2, 2]);
        let idle = assembly("").replace("vmovups\t32(%rsi,%rax,4)", "vmovups\t%ymm3");
        assert!(!passes(&expected, &idle));
        assert!(!passes(&dots(AVX2, "dots 2x2", Register::Ymm, [2, 2], 2), &assembly("")));
    }

    #[test]
    fn a_loop_fails_with_its_sums_on_the_stack_or_with_much_beside_them() {
        let expected = product(AVX2, "product 2x2", Register::Ymm, [2, 2]);
        let spill = "\tvmovaps\t%ymm4, 32(%rsp)\n";
        assert!(passes(&expected, &assembly(&spill.repeat(2))));
        assert!(!passes(&expected, &assembly(&spill.repeat(3))));
        let other = "\tcmpq\t%rax, %rcx\n";
        assert!(passes(&expected, &assembly(&other.repeat(75))));
        assert!(!passes(&expected, &assembly(&other.repeat(76))));
    }
}
