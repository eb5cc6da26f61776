use std::time::Instant;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{CommandLine, Common};
use crate::console::Console;

/// Prints what makes a shell complete the program's commands and flags
///
/// For Bash, `source <(mnist-app completions bash)` in ~/.bashrc does it.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    shell: Shell,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(flags.shell, &mut CommandLine::command(), "mnist-app", &mut script);
    Console::default().print(String::from_utf8_lossy(&script))
}
