//! The vector instruction sets: which one is used, and how a kernel is run on it.
//!
//! A kernel is written once, generic over [`fearless_simd::Simd`], and compiled for each level. The
//! level is chosen when the program runs: the best one of the processor, or the one named by the
//! environment variable `ASTERISM_SIMD` (see [`Level::name`]).
//!
//! Every level gives the same bits: multiply-adds are fused on all of them (the
//! portable level computes the fused result with ordinary arithmetic, slowly), and no
//! sum has an order that depends on the width of a register.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use fearless_simd::{Simd, SimdBase};

/// Declares the levels, slowest first: a name for `ASTERISM_SIMD`, the bytes of the widest vector
/// that kernels use, the architecture that has it, and the function that proves that the processor
/// does.
macro_rules! levels {
    ($($(#[$doc:meta])* $level:ident, $name:literal, $bytes:literal, $architecture:meta, $proof:ident;)*) => {
        /// A vector instruction set that kernels are compiled for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Level {
            /// What every processor of this architecture has; slow, for tests and comparisons.
            Portable,
            $($(#[$doc])* $level,)*
        }

        impl Level {
            const ALL: &[Self] = &[Self::Portable, $(Self::$level),*];

            /// The name as `ASTERISM_SIMD` takes it.
            pub fn name(self) -> &'static str {
                match self {
                    Self::Portable => "portable",
                    $(Self::$level => $name,)*
                }
            }

            /// Bytes of the widest vector that kernels use: two registers side by side if a
            /// register has 128 bits.
            fn bytes(self) -> usize {
                match self {
                    Self::Portable => 32,
                    $(Self::$level => $bytes,)*
                }
            }

            fn is_available(self) -> bool {
                match self {
                    // On 64-bit ARM it would be the same as Neon.
                    Self::Portable => cfg!(not(target_arch = "aarch64")),
                    $(
                        #[cfg($architecture)]
                        Self::$level => fearless_simd::Level::new().$proof().is_some(),
                        #[cfg(not($architecture))]
                        Self::$level => false,
                    )*
                }
            }
        }

        /// Runs `kernel` on `level`, or on the portable one if the processor does not have it.
        #[inline]
        pub(crate) fn dispatch_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
            match level {
                Level::Portable => {}
                $(Level::$level => {
                    #[cfg($architecture)]
                    if let Some(simd) = fearless_simd::Level::new().$proof() {
                        return run_on(simd, kernel);
                    }
                })*
            }
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            match fearless_simd::Level::new().as_sse2() {
                Some(sse2) => run_on(sse2, kernel),
                None => unreachable!("SSE2 is part of the architecture"),
            }
            #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
            fearless_simd::dispatch!(fearless_simd::Level::new(), simd => run_on(simd, kernel))
        }
    };
}

levels! {
    /// x86-64 with AVX2 and fused multiply-add.
    Avx2, "avx2", 32, any(target_arch = "x86", target_arch = "x86_64"), as_avx2;
    /// x86-64 with AVX-512 as in Ice Lake and Zen 4.
    Avx512, "avx512", 64, any(target_arch = "x86", target_arch = "x86_64"), as_avx512;
    /// 64-bit ARM.
    Neon, "neon", 32, target_arch = "aarch64", as_neon;
}

impl Level {
    /// The levels that this processor can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|level| level.is_available())
    }

    /// The fastest level that this processor can run.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// Lanes of the widest vector that kernels use.
    pub(crate) fn lanes<T>(self) -> usize {
        self.bytes() / size_of::<T>()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(name: &str) -> Result<Self, LevelError> {
        let level = Self::available().find(|level| level.name() == name);
        level.ok_or_else(|| LevelError(name.to_owned()))
    }
}

/// A level that does not exist or that this processor does not support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(String);

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Level::available().map(Level::name).collect();
        write!(f, "SIMD level: expected one that this processor has ({})", names.join(", "))?;
        write!(f, ", got {:?}", self.0)
    }
}

impl std::error::Error for LevelError {}

/// The level named by `ASTERISM_SIMD`, or the best one.
///
/// # Errors
/// If the variable names a level that does not exist or that the processor lacks.
pub fn level_from_environment() -> Result<Level, LevelError> {
    match std::env::var_os("ASTERISM_SIMD") {
        Some(name) => name.to_string_lossy().parse(),
        None => Ok(Level::best()),
    }
}

/// The index of the active level, once it is known.
static ACTIVE: AtomicU8 = AtomicU8::new(u8::MAX);

/// The level that operations run on.
///
/// # Panics
/// If `ASTERISM_SIMD` is set to a level that [`level_from_environment`] refuses.
#[inline]
pub fn level() -> Level {
    let active = Level::ALL.get(usize::from(ACTIVE.load(Ordering::Relaxed)));
    active.copied().unwrap_or_else(first_level)
}

#[cold]
fn first_level() -> Level {
    let level = level_from_environment().unwrap_or_else(|error| panic!("{error}"));
    ACTIVE.store(level as u8, Ordering::Relaxed);
    level
}

/// Makes all operations of this process run on `level`; for tests and comparisons.
///
/// # Errors
/// If the processor does not support it.
pub fn set_level(level: Level) -> Result<(), LevelError> {
    if !level.is_available() {
        return Err(LevelError(level.name().to_owned()));
    }
    ACTIVE.store(level as u8, Ordering::Relaxed);
    Ok(())
}

/// A computation that is compiled for each level.
pub(crate) trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`, and so must all that it calls, for the code to be
    /// compiled with the level's instructions.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs `kernel` on the active level.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    dispatch_at(level(), kernel)
}

#[inline(always)]
fn run_on<S: Simd, K: Kernel>(simd: S, kernel: K) -> K::Output {
    simd.vectorize(
        #[inline(always)]
        || kernel.run(simd),
    )
}

/// The number and the width of a level's vector registers, which determine the sizes of tiles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegisterFile {
    /// 32 registers of 512 bits.
    Large,
    /// 16 registers of 256 bits, or 32 of 128.
    Medium,
    /// No fused multiply-add: its emulation needs registers of its own.
    Small,
}

impl RegisterFile {
    #[inline(always)]
    pub(crate) fn of<S: SimdRegisters>(_: S) -> Self {
        if S::LARGE {
            Self::Large
        } else if S::MEDIUM {
            Self::Medium
        } else {
            Self::Small
        }
    }
}

/// [`RegisterFile`] as constants of a level. A branch on a constant leaves nothing of other levels'
/// tiles to compile, which saves a seventh of the crate's build time.
pub(crate) trait SimdRegisters: Simd {
    /// [`RegisterFile::Large`].
    const LARGE: bool = <Self::f32s as SimdBase<Self>>::LEN == 16;
    /// [`RegisterFile::Medium`].
    const MEDIUM: bool = <Self::f32s as SimdBase<Self>>::LEN == 8 || cfg!(target_arch = "aarch64");
}

impl<S: Simd> SimdRegisters for S {}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn a_level_that_is_not_there_is_named_with_those_that_are() {
        let error = "sse9".parse::<Level>().unwrap_err().to_string();
        assert!(error.contains("got \"sse9\"") && error.contains(Level::best().name()), "{error}");
        assert_eq!(Level::best().name().parse(), Ok(Level::best()));
    }
}
