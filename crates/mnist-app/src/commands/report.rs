//! `report`: the page of a run, made anew, or a page of several runs.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::Args;

use super::{Common, output_file};
use crate::console::Console;
use crate::escape::Escape;
use crate::report::{self, Data, Options, Pages, side_by_side};
use crate::threads::ThreadCount;

/// Makes the report of a run anew, or lays several runs side by side
///
/// A run's `report.html` is one page: curves, mistakes, kernels, feature maps, the numbers in each
/// layer, the experiment and the digests. It is made of the run's folder and its data; of a run that
/// has not ended, from its newest checkpoint. Of a committee, each member gets a page too.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// the folder of a run; with --out, of several for one page
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Write one page of all runs to this file, instead of report.html in the folder of each
    #[arg(long, value_name = "FILE.html", value_parser = output_file::html)]
    out: Option<PathBuf>,
    /// Where the same data are now, if not where the runs say
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let Flags { runs, out, data, common } = flags;
    if let Some(file) = out {
        output_file::require_place("--out", file)?;
    }
    let options = Options { data: Data::At(data.as_deref()), go_on: &|| true };
    let mut console = if common.quiet { Console::silent() } else { Console::default() };
    let pages = |folder: &PathBuf| match Pages::of(folder, &options)? {
        Some(pages) => Ok(pages),
        None => bail!("{}: expected a report, found none", folder.escaped()),
    };
    ThreadCount::of(common.threads)?.divide(usize::MAX, || {
        let Some(file) = out else {
            // All before the first is written, so that an error shows at once.
            let made = runs.iter().map(pages).collect::<anyhow::Result<Vec<_>>>()?;
            for (folder, pages) in runs.iter().zip(made) {
                let file = pages.write(folder)?;
                console.line(format_args!("report: {}", file.escaped()))?;
            }
            return Ok(());
        };
        let page = match runs.as_slice() {
            [folder] => pages(folder)?.own,
            _ => side_by_side(runs)?,
        };
        report::write(file, &page)?;
        console.line(format_args!("report: {}", file.escaped()))
    })
}
