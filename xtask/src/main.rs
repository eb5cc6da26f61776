//! Project tasks: `cargo xtask COMMAND [FLAGS]`, one module per command.
//!
//! This crate has few dependencies, and should keep it so: it is built before everything that it
//! starts.

mod bench;
mod ci;
mod codegen;
mod crash;
mod process;
mod speedrun;
mod temporary_folder;
mod train;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use anyhow::bail;

/// A command's name, a summary, and the function that runs it with the flags that follow.
type Command = (&'static str, &'static str, fn(Vec<OsString>) -> anyhow::Result<ExitCode>);

const COMMANDS: &[Command] = &[
    ("train", "build in release and train: the flags of `mnist-app train`", train::run),
    ("bench", "measure, alone or beside PyTorch and others; see --help", bench::run),
    (
        "speedrun",
        "train seeds 1 to 5 of a preset to a target, print a table; see --help",
        speedrun::run,
    ),
    ("codegen", "check that the hot loops are packed fused multiply-adds", codegen::run),
    ("crash", "kill 200 runs at random moments, each must go on to the same digest", crash::run),
    ("ci", "everything that must hold before a change is merged", ci::run),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    let result = match COMMANDS.iter().find(|(known, ..)| *known == name) {
        Some((_, _, run)) => run(arguments.collect()),
        None => usage(&name.to_string_lossy()),
    };
    result.unwrap_or_else(|error| {
        process::notice(format_args!("error: {error:#}"));
        if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

/// A command that was called wrongly, which ends with status 2.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Fails if there are flags.
fn no_flags(command: &str, flags: &[OsString]) -> Result<(), Usage> {
    flags.first().map_or(Ok(()), |flag| {
        Err(Usage(format!("{}: {command} takes no flags", flag.to_string_lossy())))
    })
}

fn usage(found: &str) -> anyhow::Result<ExitCode> {
    let names: Vec<_> = COMMANDS.iter().map(|(name, ..)| *name).collect();
    if !["help", "--help", "-h"].contains(&found) {
        let names = names.join(", ");
        bail!(Usage(format!("xtask: expected a command ({names}), found {found:?}")));
    }
    let mut help = String::from("cargo xtask COMMAND [FLAGS]\n\n");
    for (name, summary, _) in COMMANDS {
        help.push_str(&format!("  {name:<10}{summary}\n"));
    }
    process::print(help)?;
    Ok(ExitCode::SUCCESS)
}
