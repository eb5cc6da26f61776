//! The command line: a file for each command, with its flags and what it does.

mod flags;
mod output_file;

use std::ffi::OsString;
use std::time::Instant;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::console::{Console, set_quiet};
use crate::threads;
use crate::usage::Usage;

pub use flags::{Common, ExperimentFlags, Overrides};

/// Declares the commands: each is a module with the structure `Flags`, whose doc comment is the
/// command's help, and `run`.
macro_rules! commands {
    ($($name:ident in $module:ident),*) => {
        $(pub(crate) mod $module;)*

        /// The command, with its flags.
        #[derive(Clone, Debug, Subcommand)]
        enum Command {
            $($name($module::Flags),)*
        }

        impl Command {
            fn run(&self, start: Instant) -> anyhow::Result<()> {
                match self {
                    $(Self::$name(flags) => $module::run(flags, start),)*
                }
            }
        }
    };
}

commands!(
    Train in train,
    Report in report,
    Evaluate in evaluate,
    Compare in compare,
    Predict in predict,
    Export in export,
    Verify in verify,
    Replay in replay,
    Profile in profile,
    Inspect in inspect,
    Show in show,
    Explain in explain,
    Import in import,
    Presets in presets,
    Completions in completions,
    Manual in manual
);

/// Trains convolutional networks on the digits of MNIST, or on images of your own.
#[derive(Debug, Parser)]
#[command(
    name = "mnist-app",
    version,
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    max_term_width = 98
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Environment:
  ASTERISM_SIMD=portable|avx2|avx512|neon  the vector instructions to use, for comparisons: they
                                           change the speed, not the numbers; portable, which
                                           emulates each multiply-add, takes 20 to 30 times as long
  RAYON_NUM_THREADS=N                      the number of threads where --threads says none
  ASTERISM_PYTHON, RUSTC, CC               the Python and the compilers that `export` runs what it
                                           wrote with; without them no Python, rustc and cc
  NO_COLOR=1                               plain characters instead of coloured blocks
  COLORTERM=truecolor|24bit                the terminal has colours of 24 bits

Exit status:
  0  done
  1  a run failed, is not what it claims, or what was printed was lost
  2  wrong usage
  130, 143  a training ended after Ctrl-C or SIGTERM, and can go on";

/// Runs a command line; `start` is when the process began.
pub(crate) fn run(words: impl IntoIterator<Item = OsString>, start: Instant) -> anyhow::Result<()> {
    let words: Vec<_> = words.into_iter().collect();
    let program = std::iter::once(OsString::from("mnist-app"));
    match CommandLine::try_parse_from(program.chain(words.iter().cloned())) {
        Ok(line) => {
            // A value of another flag never begins with two hyphens.
            if words.iter().any(|word| word == "--quiet") {
                set_quiet();
            }
            // What builds a network or computes panics at a level that this processor lacks.
            threads::simd_level()?;
            line.command.run(start)
        }
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Console::default().print(error.render())
            }
            _ => Err(Usage::new(&error, &command_of(&words), &words).into()),
        },
    }
}

/// The command that the words begin with, or the program, if there is no command.
fn command_of(words: &[OsString]) -> clap::Command {
    let mut program = CommandLine::command();
    program.build();
    let first = words.first().and_then(|word| word.to_str()).unwrap_or_default();
    program.find_subcommand(first).cloned().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Command, CommandLine, command_of};
    use crate::presets;
    use crate::usage::Usage;

    fn parse(line: &str) -> Result<Command, Usage> {
        let words: Vec<_> = line.split_whitespace().map(std::ffi::OsString::from).collect();
        let all = std::iter::once("mnist-app".into()).chain(words.iter().cloned());
        let parsed = CommandLine::try_parse_from(all);
        parsed
            .map(|words| words.command)
            .map_err(|error| Usage::new(&error, &command_of(&words), &words))
    }

    #[test]
    fn the_declarations_are_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn flags_change_what_they_name_and_nothing_else() {
        let line = "train --epochs 2 --batch-size=32 --learning-rate 1e-3 --precision f64 \
                    --seed 7 --train-limit 5 --out runs/x --quiet";
        let Ok(Command::Train(flags)) = parse(line) else { panic!("{line}") };
        let before = presets::experiment("notebook").unwrap();
        let (after, _) = flags.chosen.experiment(&flags.overrides).unwrap();
        assert_eq!((after.epochs.get(), after.batch_size.get(), after.seed), (2, 32, 7));
        assert_eq!((after.learning_rate, after.train_limit.unwrap().get()), (1e-3, 5));
        assert_eq!((after.shard_size, after.networks), (before.shard_size, before.networks));
        assert!(flags.common.quiet && !flags.json && flags.out == Some("runs/x".into()));
    }

    #[test]
    fn what_is_wrong_is_named_in_one_line() {
        for (line, expected) in [
            ("fly", "expected a command, found \"fly\""),
            ("trian", "did you mean train?"),
            ("help trian", "did you mean train?"),
            ("-- train", "mnist-app: expected nothing after --, found \"train\""),
            ("train -- --epochs 1", "expected nothing after --, found \"--epochs\""),
            ("train -epochs 3", "-epochs: no such flag of mnist-app train; did you mean --epochs?"),
            ("train --EPOCHS 3", "did you mean --epochs?"),
            ("train --version", "--version: no such flag of mnist-app train; see"),
            ("train --preset a", "found \"a\"; see"),
            ("train --epochs", "--epochs: expected a value, found nothing"),
            (
                "train --epochs 0",
                "--epochs: expected a whole number from 1 to 9223372036854775807, found \"0\"",
            ),
            ("train --epochs 1.5", "found \"1.5\""),
            ("train --epochs 99999999999999999999", "found \"99999999999999999999\""),
            ("train --epochs 1 --epochs 2", "--epochs: expected at most once"),
            ("train --batch-size -1", "--batch-size: expected a whole number"),
            ("train --seed -1", "--seed: expected a whole number"),
            ("train --learning-rate -0.1", "--learning-rate: expected a finite number"),
            ("train --learning-rate nan", "found \"nan\""),
            ("train --learning-rate inf", "found \"inf\""),
            ("train --learning-rate fast", "found \"fast\""),
            ("train --target-accuracy 97", "a fraction from 0 to 1"),
            ("train --precision f16", "expected one of f32, f64, found \"f16\""),
            ("train --preset nothing", "notebook, notebook-tuned"),
            ("train --preset lenat", "did you mean lenet?"),
            ("train --preset notebook --config x.toml", "found both"),
            ("train --config=", "--config: expected a path, found nothing"),
            ("train --threads 0", "--threads: expected a whole number from 1"),
            ("train --quiet=yes", "--quiet: expected no value, found \"yes\""),
            ("train --speed 9", "--speed: no such flag of mnist-app train"),
            ("train --epoch 9", "did you mean --epochs?"),
            ("train model", "mnist-app train: expected a flag, found \"model\""),
            ("evaluate", "expected MODEL, found nothing; MODEL: a model.safetensors or the folder"),
            ("evaluate a --epochs 2", "--epochs: no such flag of mnist-app evaluate"),
            (
                "compare",
                "mnist-app compare: expected A and B, found nothing; A: the first model, a model.safetensors",
            ),
            ("compare a", "mnist-app compare: expected B, found only A; B: the second model"),
            ("compare a b c", "found \"c\""),
            ("compare a b --test-limit 0", "--test-limit: expected"),
            ("profile lenet", "found \"lenet\""),
            ("profile --repetitions 0", "--repetitions: expected a whole number from 1"),
            ("profile --preset notebook --config x.toml", "found both"),
            ("profile --epochs 3", "--epochs: no such flag"),
            ("inspect", "mnist-app inspect: expected MODEL or --preset or --config, found nothing"),
            ("inspect a b", "\"b\""),
            ("inspect model --preset notebook", "found both"),
            ("inspect --preset notebook --config x.toml", "found both"),
            ("inspect model --seed 1", "--seed"),
            ("inspect --preset notebook --samples 0", "--samples: expected a whole number from 1"),
            ("completions tcsh", "expected one of bash"),
        ] {
            let found = parse(line).unwrap_err().to_string();
            assert!(found.contains(expected), "{line}: expected {expected:?} in {found:?}");
            assert!(!found.contains('\n'), "{line}: {found}");
        }
    }
}
