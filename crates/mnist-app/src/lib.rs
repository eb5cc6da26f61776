//! Asterism's program: data, presets, training runs, evaluation, command line.
//!
//! A command line becomes a [`cli::Command`]. `train` reads an
//! [`experiment::Experiment`] and a [`dataset`], and leaves a folder behind that is
//! enough to do the same again, to look into what happened, and to go on with the model.

// No number from outside becomes another one on its way.
#![warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

pub mod augmentation;
pub mod cli;
mod committee;
mod compare;
pub mod console;
pub mod dataset;
mod evaluate;
pub mod evaluation;
pub mod experiment;
mod files;
mod gzip;
pub mod idx;
mod input;
mod inspect;
mod memory;
pub mod metrics;
pub mod model;
pub mod networks;
mod own_data;
pub mod presets;
pub mod printable;
mod profile;
mod report;
mod run_end;
mod run_folder;
pub mod statistics;
mod threads;
mod train;
pub mod vote;
mod weights_file;

use std::ffi::OsString;
use std::time::Instant;

use cli::Command;
use console::Console;

/// Does what the words of a command line ask for; `start` is when the process began.
///
/// # Errors
/// With a [`cli::Usage`] if they ask for nothing that there is; with another error if
/// what they ask for fails.
pub fn run(words: impl IntoIterator<Item = OsString>, start: Instant) -> anyhow::Result<()> {
    let mut console = Console::default();
    match cli::parse(words)? {
        Command::Help => console.print(cli::HELP),
        Command::Version => console.line(concat!("mnist-app ", env!("CARGO_PKG_VERSION"))),
        Command::Train(flags) => train::run(&flags, start),
        Command::Evaluate(flags) => evaluate::run(&flags),
        Command::Compare(flags) => compare::run(&flags),
        Command::Profile(flags) => profile::run(&flags),
        Command::Inspect(flags) => inspect::run(&flags),
        Command::Presets(name) => list_presets(name.as_deref(), &mut console),
    }
}

fn list_presets(name: Option<&str>, console: &mut Console) -> anyhow::Result<()> {
    if let Some(name) = name {
        return console.print(presets::text(name).unwrap_or_default());
    }
    for name in presets::names() {
        let experiment = presets::experiment(name)?;
        let parameters = networks::parameters(&experiment)?;
        let description = experiment.description;
        console.line(format_args!("{name:<16}{parameters:>9} parameters  {description}"))?;
    }
    Ok(())
}
