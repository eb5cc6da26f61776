use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{Common, ExperimentFlags, Overrides};
use crate::console::{Console, notice};
use crate::escape::Escape;
use crate::experiment::{Precision, absolute};
use crate::input::{is_there, require_utf8};
use crate::presets;
use crate::report::{self, Data};
use crate::run_folder::{FAILURE, REPORT, RunFolder, SUMMARY};
use crate::signals::{self, Interrupted};
use crate::threads::{self, ThreadCount};
use crate::train::{Changes, Ended, Every, Options, Resumption, result_of, train};

/// Trains a network
///
/// The run's folder has the whole experiment, the metrics of each epoch, a summary and the
/// model, which `evaluate`, `compare` and `inspect` read.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(mut_arg("preset", |preset| preset.help("A built-in experiment; `mnist-app presets` lists them [default: notebook; with --data: pictures]")))]
pub struct Flags {
    #[command(flatten)]
    pub(super) chosen: ExperimentFlags,
    /// A folder of pictures as CLASS/*, or as train/CLASS/* and test/CLASS/*, or of IDX files named as
    /// MNIST's, .gz or not; or an archive of arrays (.npz), a table (CSV), or a folder of these
    /// [default: the digits of MNIST]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Leave out files that cannot be read, and say which; as broken = "skip" in [data]
    #[arg(long)]
    pub(super) skip_broken: bool,
    /// The run's folder [default: runs/PRESET-SEED-NUMBER]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Go on with the run in this folder, from its last checkpoint, to the same numbers; beside it
    /// only --threads, --epochs, --target-accuracy, --checkpoint-every, --data, --no-report, --json
    /// and --quiet
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "preset", "config", "out", "batch_size", "shard_size", "learning_rate", "seed",
            "train_limit", "test_limit", "precision", "init", "skip_broken",
        ]
    )]
    pub(super) resume: Option<PathBuf>,
    /// Write a checkpoint every N steps, N seconds (Ns) or N minutes (Nm), beside those after
    /// epochs
    #[arg(long, value_name = "N", value_parser = every, allow_negative_numbers = true)]
    pub(super) checkpoint_every: Option<Every>,
    /// Make no report.html at the end
    #[arg(long)]
    pub(super) no_report: bool,
    /// Print the lines of metrics.jsonl and nothing else
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) overrides: Overrides,
}

pub(super) fn run(flags: &Flags, started: Instant) -> anyhow::Result<()> {
    let simd = threads::simd_level()?;
    signals::install()?;
    let (mut experiment, origin, resumed) = match &flags.resume {
        None => {
            let default = match &flags.data {
                Some(_) => presets::OF_OWN_DATA,
                None => presets::DEFAULT,
            };
            let (experiment, origin) = flags.chosen.experiment_or(default, &flags.overrides)?;
            (experiment, origin, None)
        }
        Some(folder) => {
            let Overrides { epochs, target_accuracy, .. } = flags.overrides;
            let changes = Changes { epochs, target_accuracy };
            let resumption = Resumption::open(folder);
            // Of a run that has ended, the folder may be one that cannot be written.
            if let Some(result) = result_of(folder, &changes, flags.json)? {
                Console::default().print(result)?;
                let is_left = !flags.no_report && !is_there(&folder.join(REPORT));
                if !is_left {
                    return Ok(());
                }
                let own = match resumption {
                    Ok(own) => own,
                    Err(error) => {
                        let report = folder.join(REPORT).escaped();
                        notice(format_args!("warning: {report}: cannot be made: {error:#}"));
                        return Ok(());
                    }
                };
                let data = Data::At(flags.data.as_deref());
                let threads = ThreadCount::of(flags.common.threads)?;
                return threads.divide(usize::MAX, || leave_report(&own.folder, data));
            }
            let mut resumption = resumption?;
            signals::set_folder(folder, signals::LOADING);
            resumption.change(&changes)?;
            let Resumption { folder, experiment, origin } = resumption;
            (experiment, origin, Some(folder))
        }
    };
    if let Some(folder) = &flags.data {
        experiment.set_data_path(absolute(folder));
    }
    if flags.skip_broken {
        experiment.skip_broken_files();
    }
    // Paths in a file were checked when it was read.
    let named =
        [("--data", experiment.data_path()), ("--init", experiment.initial_weights.as_deref())];
    for (flag, path) in named {
        path.iter().try_for_each(|path| require_utf8(flag, path))?;
    }
    let options = Options {
        origin,
        data: flags.data.clone(),
        out: flags.out.clone(),
        every: flags.checkpoint_every,
        json: flags.json,
        report: !flags.no_report,
        quiet: flags.common.quiet,
        started,
        simd,
    };
    ThreadCount::of(flags.common.threads)?.share(experiment.shards(), || {
        let Ended { folder, parts, result, deferred: _deferred } = match experiment.precision {
            Precision::F32 => train::<f32>(&experiment, &options, resumed),
            Precision::F64 => train::<f64>(&experiment, &options, resumed),
        }?;
        // There is nothing to report of a run that goes on later, or whose folder is gone.
        let has_end = [SUMMARY, FAILURE].iter().any(|name| is_there(&folder.path().join(name)))
            && folder.check().is_ok();
        let is_interrupted = result.as_ref().is_err_and(anyhow::Error::is::<Interrupted>);
        let data = match parts {
            Some(parts) => Data::Read(Box::new(parts)),
            None => Data::At(flags.data.as_deref()),
        };
        let left = match options.report && has_end && !is_interrupted {
            true => leave_report(&folder, data),
            false => Ok(()),
        };
        result.and(left)
    })
}

/// Where a run stands that has ended and has no report yet.
const BEFORE_REPORT: &str = "before report.html was made, the run itself has ended";

/// Makes the report of a run that has come to its end. If it cannot be made, that is told.
///
/// # Errors
/// If a signal was received.
fn leave_report(folder: &RunFolder, data: Data<'_>) -> anyhow::Result<()> {
    // What must be read again ends at once.
    signals::set_folder(folder.path(), BEFORE_REPORT);
    let options = report::Options { data, go_on: &|| signals::received().is_none() };
    match report::leave(folder, &options) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let (folder, signal) = (folder.path().to_owned(), signals::received().unwrap_or(0));
            let place = BEFORE_REPORT.to_owned();
            Err(Interrupted { signal, folder, place }.into())
        }
        Err(error) => {
            notice(format_args!("warning: {error:#}"));
            Ok(())
        }
    }
}

fn every(text: &str) -> Result<Every, String> {
    Every::parse(text).ok_or_else(|| Every::EXPECTED.into())
}
