//! A checkpoint: all that a run needs to go on to the same bits, in one safetensors file.
//!
//! Its arrays are those of [`save_trainer_and_best`]; its `__metadata__` say what the run was at, of which
//! experiment, on which data, and in which arithmetic, and have a checksum over everything else in
//! the file, so that no change of any bit goes unnoticed.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use layers::{
    ARITHMETIC, Network, Trainer, load_trainer_and_best, save_trainer_and_best, sha256_of,
};
use tensor::Element;

use super::state::{Progress, State};
use crate::console::notice;
use crate::dataset::Digests;
use crate::escape::{Escape, quoted};
use crate::experiment::{Experiment, Keep, Origin};
use crate::run_folder::{METRICS, Mark, Place, RunFolder, checkpoints_of, weights_of};
use crate::weights_file::WeightsFile;

/// What the files are, and the version of their form.
const FORMAT: &str = "asterism checkpoint 1";

const ARITHMETIC_KEY: &str = "arithmetic";
const CHECKSUM: &str = "checksum";
const EXPERIMENT: &str = "experiment";
const FORMAT_KEY: &str = "format";
const MARK: &str = "metrics";
const PROGRESS: &str = "progress";
const VERSION: &str = "version";

/// What stands in place of the checksum while that is computed.
const UNKNOWN: [u8; 64] = [b'0'; 64];

/// What a run must be for a checkpoint to be its own.
pub(super) struct Identity<'a> {
    pub(super) experiment: &'a Experiment,
    /// Where the experiment stands.
    pub(super) origin: &'a Origin,
    pub(super) data: &'a Digests,
}

/// The checkpoint that a run goes on from.
#[derive(Debug)]
pub(super) struct Resumed {
    /// Of the checkpoint.
    pub(super) place: Place,
    /// The end of its lines of metrics.
    pub(super) mark: Mark,
}

/// The bytes of a checkpoint.
///
/// # Errors
/// If a number is not finite.
pub(super) fn to_bytes<T: Element>(
    state: &State<T>,
    identity: &Identity<'_>,
    folder: &RunFolder,
    mark: &Mark,
) -> anyhow::Result<Vec<u8>> {
    let own = [
        (ARITHMETIC_KEY, ARITHMETIC.to_string()),
        (CHECKSUM, String::from_utf8_lossy(&UNKNOWN).into_owned()),
        ("config_sha256", folder.config_sha256().to_owned()),
        (EXPERIMENT, identity.experiment.to_toml()?),
        ("experiment_sha256", identity.experiment.digest()?),
        (FORMAT_KEY, FORMAT.to_owned()),
        (MARK, serde_json::to_string(mark)?),
        (PROGRESS, serde_json::to_string(&state.progress)?),
        (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let metadata: Vec<_> = own.into_iter().chain(identity.data.metadata()).collect();
    let mut bytes = save_trainer_and_best(&state.trainer, state.best.as_ref(), &metadata)?;
    seal(&mut bytes)?;
    Ok(bytes)
}

/// Writes the checksum in its place.
///
/// # Errors
/// If there is no place for it.
pub(super) fn seal(bytes: &mut [u8]) -> anyhow::Result<()> {
    let at = place_of_checksum(bytes).context("no checksum")?;
    let checksum = checksum(bytes, at);
    bytes[at..][..UNKNOWN.len()].copy_from_slice(checksum.as_bytes());
    Ok(())
}

/// Goes on from the newest checkpoint in the folder of a run with less than `epochs` epochs done
/// that is whole and the run's own. If newer ones are not, that is told. `None` of a run that has
/// neither checkpoints nor metrics: it begins anew.
///
/// # Errors
/// If there are checkpoints, but none to go on from; the message names the newest, and what is
/// wrong with it. The trainer is then as before.
pub(super) fn resume<T: Element>(
    run: &Path,
    identity: &Identity<'_>,
    epochs: usize,
    state: &mut State<T>,
) -> anyhow::Result<Option<Resumed>> {
    let mut found = checkpoints_of(run)?;
    found.retain(|(place, _)| place.epochs < epochs);
    let mut refused = Vec::new();
    for (place, file) in &found {
        let resumed = (|| {
            let checkpoint = Checkpoint::read(file)?;
            let (progress, mark) = checkpoint.check(*place, run, identity)?;
            state.best = checkpoint.load(&mut state.trainer, &progress, identity.experiment)?;
            state.progress = progress;
            anyhow::Ok(Resumed { place: *place, mark })
        })();
        match resumed {
            Ok(resumed) => {
                for complaint in refused {
                    let older = file.escaped();
                    notice(format_args!("{complaint:#}; the run goes on from {older}, before it"));
                }
                return Ok(Some(resumed));
            }
            Err(complaint) => refused.push(complaint),
        }
    }
    let older = match refused.len() {
        0 | 1 => "",
        _ => "; those before it are not of use either",
    };
    match refused.into_iter().next() {
        Some(complaint) => Err(anyhow!("{complaint:#}{older}")),
        None => {
            let metrics = run.join(METRICS);
            let is_empty = std::fs::metadata(&metrics).is_ok_and(|found| found.len() == 0);
            ensure!(
                is_empty || !metrics.exists(),
                "{}: expected a run with checkpoints, found none to go on from",
                run.escaped()
            );
            Ok(None)
        }
    }
}

/// Checks that the newest checkpoint of a run that is whole, if there is one, is of this
/// arithmetic, this experiment and these data.
///
/// # Errors
/// If it is not; the message names what is another one.
pub(super) fn check_newest(run: &Path, identity: &Identity<'_>) -> anyhow::Result<()> {
    for (_, file) in checkpoints_of(run)? {
        if let Ok(checkpoint) = Checkpoint::read(&file) {
            return checkpoint.check_identity(identity);
        }
    }
    Ok(())
}

/// The file of a checkpoint, whose checksum is right.
pub(super) struct Checkpoint {
    /// Its name in messages.
    file: String,
    pub(super) bytes: Vec<u8>,
    pub(super) metadata: HashMap<String, String>,
}

impl Checkpoint {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let file = path.escaped();
        Self::of(file, weights_of(path)?)
    }

    pub(super) fn of(file: String, weights: WeightsFile) -> anyhow::Result<Self> {
        let metadata = weights.header.metadata();
        let bytes = weights.read().with_context(|| file.clone())?;
        let at = place_of_checksum(&bytes);
        let at = at.with_context(|| format!("{file}: expected a checkpoint, found no checksum"))?;
        let (expected, found) = (&bytes[at..][..UNKNOWN.len()], checksum(&bytes, at));
        ensure!(
            expected == found.as_bytes(),
            "{file}: expected a file of the checksum {}, as it says, found one of {found}: it is \
             damaged",
            String::from_utf8_lossy(expected).escaped()
        );
        Ok(Self { file, bytes, metadata })
    }

    fn said(&self, key: &str) -> anyhow::Result<&str> {
        let said = self.metadata.get(key);
        let file = &self.file;
        said.map(String::as_str)
            .with_context(|| format!("{file}: expected the key {key:?} in __metadata__"))
    }

    /// Whether it is of this run, of this place, and of the metrics that are there.
    fn check(
        &self,
        place: Place,
        run: &Path,
        identity: &Identity<'_>,
    ) -> anyhow::Result<(Progress, Mark)> {
        self.check_identity(identity)?;
        let file = &self.file;
        let (progress, mark) = self.progress()?;
        ensure!(
            progress.place() == place,
            "{file}: expected the checkpoint that its name says, found {}",
            progress.place().file_name()
        );
        mark.bytes_in(&run.join(METRICS)).with_context(|| file.clone())?;
        Ok((progress, mark))
    }

    /// What the run was at, and the end of its lines of metrics.
    pub(super) fn progress(&self) -> anyhow::Result<(Progress, Mark)> {
        let file = &self.file;
        let progress: Progress = serde_json::from_str(self.said(PROGRESS)?)
            .with_context(|| format!("{file}: {PROGRESS}"))?;
        let mark: Mark =
            serde_json::from_str(self.said(MARK)?).with_context(|| format!("{file}: {MARK}"))?;
        Ok((progress, mark))
    }

    /// Takes the trainer to where it was. Returns the network of the best epoch, if that is to be
    /// kept and there is one.
    ///
    /// # Errors
    /// If it is of another trainer, or without that network; the trainer is then as before.
    pub(super) fn load<T: Element>(
        &self,
        trainer: &mut Trainer<T>,
        progress: &Progress,
        experiment: &Experiment,
    ) -> anyhow::Result<Option<Network<T>>> {
        let has_best = experiment.keep == Keep::Best && progress.best.is_some();
        let mut best = has_best.then(|| trainer.network().clone());
        load_trainer_and_best(trainer, best.as_mut(), &self.bytes)
            .with_context(|| self.file.clone())?;
        Ok(best)
    }

    /// Whether it is of this arithmetic, this experiment and these data.
    pub(super) fn check_identity(&self, identity: &Identity<'_>) -> anyhow::Result<()> {
        let file = &self.file;
        let format = self.said(FORMAT_KEY)?;
        ensure!(format == FORMAT, "{file}: expected {FORMAT:?}, found {}", quoted(format));
        let arithmetic = self.said(ARITHMETIC_KEY)?;
        ensure!(
            arithmetic == ARITHMETIC.to_string(),
            "{file}: expected version {ARITHMETIC} of the arithmetic, found {}, of the program's \
             version {}, which comes to other numbers",
            arithmetic.escaped(),
            self.said(VERSION)?.escaped()
        );
        if let Some(difference) = self.experiment()?.difference(identity.experiment)? {
            bail!(
                "{}: {}; {file} is of the experiment as it was: change it back",
                identity.origin.line(&difference.path),
                difference.text
            );
        }
        self.check_data(identity.data)
    }

    /// The experiment that it is of.
    pub(super) fn experiment(&self) -> anyhow::Result<Experiment> {
        let file = &self.file;
        Experiment::parse(self.said(EXPERIMENT)?)
            .map_err(|error| anyhow!("{file}: {EXPERIMENT}{error}"))
    }

    fn check_data(&self, data: &Digests) -> anyhow::Result<()> {
        let file = &self.file;
        let own = Digests::from_metadata(&self.metadata).with_context(|| file.clone())?;
        let own = own.with_context(|| format!("{file}: expected the digests of its data"))?;
        if let Some([images, expected, found]) = own.difference(data) {
            bail!(
                "{file}: expected the {images} that the run began with, {expected}, found {found}; \
                 name their folder with --data DIR"
            );
        }
        Ok(())
    }
}

/// Where the checksum stands in the bytes of a checkpoint.
fn place_of_checksum(bytes: &[u8]) -> Option<usize> {
    // Within texts of JSON the quotation marks have backslashes before them.
    let key = format!("\"{CHECKSUM}\":\"");
    let (prefix, rest) = bytes.split_first_chunk()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*prefix)).ok()?)?;
    let at = header.windows(key.len()).position(|found| found == key.as_bytes())?;
    let at = at + key.len();
    header.get(at..at + UNKNOWN.len())?;
    Some(prefix.len() + at)
}

/// The SHA-256 of all bytes but the checksum at this place.
fn checksum(bytes: &[u8], at: usize) -> String {
    sha256_of(&[&bytes[..at], &UNKNOWN, &bytes[at + UNKNOWN.len()..]])
}
