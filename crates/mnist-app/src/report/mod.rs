//! The report of a run: one page of HTML, made of what is in the run's folder and of its images.
//!
//! `record` is what the files of a run say, `findings` what its network does with its images, with
//! `activity` for what goes on in each layer; these are numbers. `page` makes a page of them,
//! section by section: `tables`, `activity_section`, `pictures`, with `chart` and `histogram` for
//! figures. `side_by_side` is a page of several runs.

mod activity;
mod activity_section;
mod chart;
mod findings;
mod histogram;
mod page;
mod pictures;
mod record;
mod side_by_side;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tensor::Element;

use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::vote::{Outputs, Vote};
use crate::experiment::Precision;
use crate::files::Partial;
use crate::run_folder::{REPORT, RunFolder, member};

use findings::{Findings, Network};
use record::Record;

pub(crate) use findings::Data;
pub(crate) use side_by_side::side_by_side;

/// What a report needs beside the run's folder.
pub(crate) struct Options<'a> {
    pub(crate) data: Data<'a>,
    /// Asked on the way; what is being made is given up as soon as it says no.
    pub(crate) go_on: &'a (dyn Fn() -> bool + Sync),
}

/// The pages of a run.
pub(crate) struct Pages {
    /// The run's own.
    pub(crate) own: String,
    /// Those of a committee's members, with their folders.
    pub(crate) members: Vec<(PathBuf, String)>,
}

impl Pages {
    /// Makes the page of the run in this folder, and of a committee those of its members; `None` if
    /// that was given up.
    ///
    /// # Errors
    /// If it is not the folder of a run, something in it cannot be read, or its data are not there.
    pub(crate) fn of(folder: &Path, options: &Options<'_>) -> anyhow::Result<Option<Self>> {
        let record = Record::read(folder)?;
        match record.run.experiment.precision {
            Precision::F32 => pages::<f32>(&record, options),
            Precision::F64 => pages::<f64>(&record, options),
        }
    }

    /// Writes each page as `report.html` into the folder of its run; the run's own last. Returns
    /// where that is.
    ///
    /// # Errors
    /// If one cannot be written; the file is then as before.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let own = folder.join(REPORT);
        for (folder, page) in &self.members {
            write(&folder.join(REPORT), page)?;
        }
        write(&own, &self.own)?;
        Ok(own)
    }
}

/// Makes the report of a run that this process holds, in its folder; what is written is whole.
/// Returns whether it was made and not given up.
///
/// # Errors
/// If it cannot be made or written; the message says that it is the report.
pub(crate) fn leave(folder: &RunFolder, options: &Options<'_>) -> anyhow::Result<bool> {
    let path = folder.path();
    let made = (|| {
        let Some(pages) = Pages::of(path, options)? else { return Ok(false) };
        folder.check()?;
        pages.write(path)?;
        anyhow::Ok(true)
    })();
    made.with_context(|| format!("{}: cannot be made", path.join(REPORT).escaped()))
}

/// Writes a page beside its name, and renames it.
///
/// # Errors
/// If it cannot be written; what was there before then still is.
pub(crate) fn write(path: &Path, page: &str) -> anyhow::Result<()> {
    let written = Partial::write(path, page.as_bytes()).and_then(Partial::rename);
    written.with_context(|| format!("{}: cannot be written", path.escaped()))
}

fn pages<T: Element>(record: &Record, options: &Options<'_>) -> anyhow::Result<Option<Pages>> {
    if record.run.experiment.committee.is_some() {
        return committee::<T>(record, options);
    }
    let Some(findings) = of_network::<T>(record, options)? else { return Ok(None) };
    Ok(Some(Pages { own: page::of_network(record, &findings)?, members: Vec::new() }))
}

fn of_network<T: Element>(
    record: &Record,
    options: &Options<'_>,
) -> anyhow::Result<Option<Findings>> {
    let network = Network::<T>::of(record, &options.data)?;
    Findings::of(record, &network, options.go_on)
}

/// The pages of a committee, as far as members have ended.
fn committee<T: Element>(record: &Record, options: &Options<'_>) -> anyhow::Result<Option<Pages>> {
    let run = &record.run;
    let count = run.lines.len();
    ensure!(
        count > 0,
        "{}: expected a committee of which a member has ended, found none; name a member, such as \
         {}",
        run.folder.escaped(),
        run.folder.join(member(1)).escaped()
    );
    let (mut vote, mut records, mut pages) = (Vote::default(), Vec::new(), Vec::new());
    let mut last = None;
    for number in 1..=count {
        let own = Record::read(&run.folder.join(member(number)))?;
        let Some(findings) = of_network::<T>(&own, options)? else { return Ok(None) };
        vote.add(findings.outputs, &findings.evaluation);
        pages.push((own.run.folder.clone(), page::of_network(&own, &findings)?));
        records.push(own);
        last = Some(findings);
    }
    let Findings { test, digests, train, .. } = last.context("no member")?;
    let evaluation: Evaluation = vote.evaluation(&test);
    let voted = (&evaluation, Outputs::Probabilities, &test);
    let own = page::of_committee(record, (&records, (&digests, train)), voted)?;
    Ok(Some(Pages { own, members: pages }))
}
