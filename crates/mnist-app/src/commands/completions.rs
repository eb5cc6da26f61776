use std::time::Instant;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::CommandLine;
use crate::console::Console;

/// Prints a completion script for a shell
///
/// For Bash, `source <(mnist-app completions bash)` in ~/.bashrc does it.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    shell: Shell,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(flags.shell, &mut CommandLine::command(), "mnist-app", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if flags.shell == Shell::Bash {
        // With a hyphen in the program's name, the labels of clap_complete's `case` are not those
        // that its loop sets, and nothing is completed after a command: clap issue 6421.
        script = script.replace("mnist__subcmd__app", "mnist__app");
    }
    Console::default().print(script)
}
