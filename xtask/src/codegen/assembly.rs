//! Inner loops in the assembly that rustc writes for x86-64.

use std::collections::HashMap;

/// A vector register's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    Ymm,
    Zmm,
}

impl Register {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ymm => "ymm",
            Self::Zmm => "zmm",
        }
    }
}

/// What the lanes of a vector hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    F32,
    F64,
}

impl Lanes {
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// An innermost loop that multiplies and adds packed numbers.
#[derive(Debug)]
pub struct Loop {
    /// The symbol of its function.
    pub function: String,
    /// The register of its first fused multiply-add, and the type of its lanes.
    pub register: Register,
    pub lanes: Lanes,
    pub instructions: usize,
    /// Packed fused multiply-adds with this register and type.
    pub fused: usize,
    /// Vectors read from memory other than the stack.
    pub loads: usize,
    /// How many of these reads are the second half of a vector.
    pub halves: usize,
    /// Instructions that load one number into all lanes.
    pub broadcasts: usize,
    /// Instructions that permute or interleave lanes.
    pub shuffles: usize,
    /// Packed divisions, and square roots.
    pub divisions: usize,
    pub roots: usize,
    /// Vectors written to memory other than the stack.
    pub stores: usize,
    /// Vector instructions that access the stack.
    pub spills: usize,
}

/// All innermost loops with packed fused multiply-adds.
pub fn loops(assembly: &str) -> Vec<Loop> {
    let mut found = Vec::new();
    let mut function = Function::default();
    for line in assembly.lines() {
        match label(line) {
            Some(name) if is_local(name) => {
                function.labels.insert(name, function.body.len());
            }
            Some(name) => {
                function.append_loops(&mut found);
                function = Function { name, ..Function::default() };
            }
            None => function.push(line.trim()),
        }
    }
    function.append_loops(&mut found);
    found
}

/// The label that a line defines.
fn label(line: &str) -> Option<&str> {
    let starts = line.starts_with(|c: char| !c.is_whitespace() && c != '#');
    line.split('#').next()?.trim_end().strip_suffix(':').filter(|_| starts)
}

fn is_local(label: &str) -> bool {
    label.starts_with(".L") || label.starts_with("LBB")
}

/// The parts of a function that were parsed so far.
#[derive(Default)]
struct Function<'a> {
    name: &'a str,
    /// The index of the instruction after each label.
    labels: HashMap<&'a str, usize>,
    body: Vec<&'a str>,
    /// Backward jumps: the indices of the first and the last instruction of the loop.
    loops: Vec<[usize; 2]>,
}

impl<'a> Function<'a> {
    fn push(&mut self, line: &'a str) {
        if line.is_empty() || line.starts_with(['.', '#']) {
            return;
        }
        if line.starts_with('j')
            && let Some(target) = line.split_whitespace().nth(1)
            && let Some(&start) = self.labels.get(target)
        {
            self.loops.push([start, self.body.len()]);
        }
        self.body.push(line);
    }

    fn append_loops(&self, found: &mut Vec<Loop>) {
        for &[start, end] in &self.loops {
            let inside = |other: &&[usize; 2]| other[0] >= start && other[1] <= end;
            if self.loops.iter().filter(inside).count() == 1 {
                found.extend(self.describe(&self.body[start..=end]));
            }
        }
    }

    fn describe(&self, body: &[&str]) -> Option<Loop> {
        let count = |what: &dyn Fn(&str) -> bool| body.iter().filter(|line| what(line)).count();
        let (first, lanes) = body.iter().find_map(|line| Some((line, fused_lanes(line)?)))?;
        let register = match first.rsplit('%').next() {
            Some(name) if name.starts_with("zmm") => Register::Zmm,
            Some(name) if name.starts_with("ymm") => Register::Ymm,
            _ => return None,
        };
        Some(Loop {
            function: self.name.to_owned(),
            register,
            lanes,
            instructions: body.len(),
            fused: count(&|line| {
                fused_lanes(line) == Some(lanes) && line.contains(register.name())
            }),
            loads: count(&|line| reads(line) && !is_broadcast(line) && !is_on_stack(line)),
            halves: count(&|line| line.starts_with("vinsert") && reads(line) && !is_on_stack(line)),
            broadcasts: count(&is_broadcast),
            shuffles: count(&is_shuffle),
            divisions: count(&|line| line.starts_with("vdivp")),
            roots: count(&|line| line.starts_with("vsqrtp")),
            stores: count(&|line| {
                line.starts_with("vmovu") && line.ends_with(')') && !is_on_stack(line)
            }),
            spills: count(&is_on_stack),
        })
    }
}

/// The operands of a packed fused multiply-add; `None` if the line is something else.
fn fused_lanes(line: &str) -> Option<Lanes> {
    let name = line.split_whitespace().next()?;
    if !(name.starts_with("vfmadd") || name.starts_with("vfnmadd")) {
        return None;
    }
    if name.ends_with("ps") { Some(Lanes::F32) } else { name.ends_with("pd").then_some(Lanes::F64) }
}

fn is_broadcast(line: &str) -> bool {
    line.starts_with("vbroadcastss")
        || line.starts_with("vbroadcastsd")
        || line.starts_with("vmovddup")
        || line.contains("{1to")
}

fn is_shuffle(line: &str) -> bool {
    ["vperm", "vunpck", "vshuf"].iter().any(|name| line.starts_with(name))
}

fn is_on_stack(line: &str) -> bool {
    line.starts_with('v') && line.contains("(%rsp")
}

/// Whether a vector instruction reads memory; the last operand is the destination.
fn reads(line: &str) -> bool {
    line.starts_with('v') && line.contains('(') && !line.ends_with(')')
}

#[cfg(test)]
mod tests {
    use super::{Lanes, Register, loops};

    const PACKED: &str = "\
_ZN6tensor16vectorize_avx51217h0E:
	.cfi_startproc
	pushq	%rbx
.LBB0_1:
	movq	%rdi, %rax
.LBB0_2:                                # in a loop
	vmovups	(%rsi,%rax,4), %zmm0
	vbroadcastss	(%rdx), %zmm1
	vfmadd231ps	%zmm0, %zmm1, %zmm2
	vfmadd231ps	4(%rdx){1to16}, %zmm0, %zmm3
	vmovaps	%zmm3, 64(%rsp)
	incq	%rax
	jne	.LBB0_2
	decq	%rcx
	jne	.LBB0_1
	popq	%rbx
	retq
";

    #[test]
    fn what_an_inner_loop_holds_is_counted() {
        let found = loops(PACKED);
        assert_eq!(found.len(), 1, "the outer loop is none: {found:?}");
        let found = &found[0];
        assert!(found.function.contains("vectorize_avx512"), "{found:?}");
        assert_eq!((found.register, found.lanes), (Register::Zmm, Lanes::F32));
        let counts = [found.fused, found.loads, found.broadcasts, found.spills];
        assert_eq!(found.instructions, 7, "{found:?}");
        assert_eq!(counts, [2, 1, 2, 1], "{found:?}");
    }

    #[test]
    fn a_vector_read_in_halves_is_two_reads() {
        let two = "vmovups\t(%rsi,%rax,4), %ymm0\n\tvinsertf64x4\t$1, (%rdi), %zmm0, %zmm0";
        let found = &loops(&PACKED.replace("vmovups\t(%rsi,%rax,4), %zmm0", two))[0];
        assert_eq!([found.loads, found.halves, found.broadcasts], [2, 1, 2], "{found:?}");
    }

    #[test]
    fn single_numbers_and_separate_multiplications_do_not_count_but_doubles_do() {
        let single = PACKED.replace("231ps", "231ss").replace("zmm", "xmm");
        assert!(loops(&single).is_empty());
        let double = PACKED.replace("231ps", "231pd").replace("broadcastss", "broadcastsd");
        let double = loops(&double);
        assert_eq!((double[0].lanes, double[0].broadcasts), (Lanes::F64, 2), "{double:?}");
        let separate = PACKED.replace("vfmadd231ps", "vmulps");
        assert!(loops(&separate).is_empty());
        let narrow = PACKED.replace("zmm", "xmm");
        assert!(loops(&narrow).is_empty());
    }

    #[test]
    fn labels_belong_to_their_function() {
        let straight = PACKED.replace("jne\t.LBB0_2", "jne\t.LBB0_9");
        let two = format!("{straight}{}", PACKED.replace("vectorize_avx512", "vectorize_avx2"));
        let found: Vec<_> = loops(&two).into_iter().map(|found| found.function).collect();
        assert_eq!(found.len(), 2, "the outer loop of one, the inner of the other: {found:?}");
        assert!(found[0].contains("avx512") && found[1].contains("avx2"), "{found:?}");
    }
}
