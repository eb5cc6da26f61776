use std::time::Instant;

use clap::Args;

use super::flags;
use crate::console::Console;
use crate::experiment::build;
use crate::presets;

/// Lists the built-in experiments, or prints one
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The one to print, a file for `train --config`
    #[arg(value_name = "NAME", value_parser = flags::preset_names())]
    name: Option<String>,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let mut console = Console::default();
    if let Some(name) = &flags.name {
        return console.print(presets::text(name).unwrap_or_default());
    }
    for name in presets::names() {
        let experiment = presets::experiment(name)?;
        let parameters = build::parameters(&experiment)?;
        let description = experiment.description;
        console.line(format_args!("{name:<16}{parameters:>9} parameters  {description}"))?;
    }
    Ok(())
}
