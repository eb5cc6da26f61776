//! The checks on processors that this machine is not, run by QEMU.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::tools::{found, tool};
use crate::process::{cargo, line, root, run};

/// Twins and digests on a 64-bit ARM, where the only level is NEON.
///
/// Without the twins of minimal filtering on planes of all sizes: under QEMU they take 290 seconds,
/// most of it in the plain loops that they are compared with, and all others 60. Digests has
/// layers computed so, by tiles and by columns, with the bits that x86 has.
///
/// Where the usual compiler has no standard library for it, `ASTERISM_ARM_RUSTC` may name one that
/// has.
pub fn neon() -> anyhow::Result<()> {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    const LINKER: &str = "aarch64-linux-gnu-gcc";
    let rustc = ["ASTERISM_ARM_RUSTC", "RUSTC"].into_iter().find_map(env::var_os);
    let rustc = rustc.unwrap_or_else(|| "rustc".into());
    let library = format!("Rust's standard library for {TARGET}");
    if !(found(has_std(&rustc, TARGET)?, &library, &format!("rustup target add {TARGET}"))?
        && tool(LINKER, "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross")?
        && tool("qemu-aarch64", QEMU)?)
    {
        return Ok(());
    }
    let mut test = cargo(&["test", "--target", TARGET, "-p", "tensor", "-p", "layers"]);
    test.args(["--test", "twins", "--test", "digests"]).env("RUSTC", rustc);
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER);
    let runner = "qemu-aarch64 -L /usr/aarch64-linux-gnu";
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    // Only here: what is not arithmetic need not be quick, and takes longer to optimise.
    test.args(["--config", "profile.dev.package.'*'.opt-level=1"]);
    run(test.args(["--", "--skip", "by_tiles", "--skip", "by_columns"]))
}

/// Some twins, by all methods but minimal filtering, on processors without AVX2 and without
/// AVX-512: there, an instruction that no detection guards is illegal. The program is that of
/// the step `test`.
pub fn x86() -> anyhow::Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("skipped: not an x86-64 with Linux");
        return Ok(());
    }
    if !tool("qemu-x86_64", QEMU)? {
        return Ok(());
    }
    // Without what QEMU does not emulate and would warn of, in each thread.
    for processor in ["Nehalem", "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid"] {
        let mut test = cargo(&["test", "--workspace", "--test", "twins", "--"]);
        test.args(["kernels_", "layers_that_want", "matrix_products"]);
        let runner = format!("qemu-x86_64 -cpu {processor}");
        run(test.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner))?;
    }
    Ok(())
}

const QEMU: &str = "apt-get install qemu-user";

/// Whether a compiler can build programs for a target.
fn has_std(rustc: &OsString, target: &str) -> anyhow::Result<bool> {
    let mut rustc = Command::new(rustc);
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(root());
    let output = rustc.output().with_context(|| line(&rustc))?;
    let libraries = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    Ok(output.status.success() && Path::new(&libraries).is_dir())
}
