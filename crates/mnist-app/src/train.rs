//! `train`: one run of an experiment, from the data to the files that it leaves behind.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use layers::{
    Epoch, EpochReport, Epochs, Network, Subset, Trainer, Workspace, load_weights, save_weights,
};
use tensor::Element;
use tensor::simd::Level;

use crate::augmentation::Augmenter;
use crate::commands::train::Flags;
use crate::console::{Console, notice};
use crate::dataset::{self, Augmented, Classes, Digests, Misfit, Samples};
use crate::evaluation::{Evaluation, Evaluator, mean};
use crate::experiment::consistency::{self, Cut};
use crate::experiment::{Experiment, Precision, absolute, place};
use crate::files::{METRICS, MODEL, RunFolder, SUMMARY};
use crate::metrics::{EpochMetrics, NotebookErrors, Summary, peak_rss_bytes};
use crate::networks::Which;
use crate::printable::{Shown, require_utf8};
use crate::threads::Asked;
use crate::weights_file::WeightsFile;
use crate::{committee, memory, networks, report, threads};

/// Trains as the flags say; `start` is when the process began.
///
/// # Errors
/// If something that the flags name is not what it should be, or the training fails.
pub fn run(flags: &Flags, start: Instant) -> anyhow::Result<()> {
    let simd = threads::simd_level()?;
    let mut experiment = flags.chosen.experiment(&flags.overrides)?;
    if let Some(folder) = &flags.data {
        experiment.data = Some(absolute(folder));
    }
    // Those of a file were looked at when it was read.
    let named = [("--data", &experiment.data), ("--init", &experiment.initial_weights)];
    for (flag, path) in named {
        path.iter().try_for_each(|path| require_utf8(flag, path))?;
    }
    Asked::of(flags.common.threads)?.share(experiment.shards(), || match experiment.precision {
        Precision::F32 => train::<f32>(flags, experiment, (start, simd)),
        Precision::F64 => train::<f64>(flags, experiment, (start, simd)),
    })
}

fn train<T: Element>(
    flags: &Flags,
    experiment: Experiment,
    (start, simd): (Instant, Level),
) -> anyhow::Result<()> {
    let mut console = Console::default();
    let folder = if experiment.committee.is_some() {
        committee::train::<T>(flags, &experiment, &mut console, (start, simd))?
    } else {
        let mut run = Run::<T>::prepare(flags, experiment, None)?;
        dataset::tell(&run.train, &run.test);
        let outcome = run.train(flags, &mut console, (start, simd))?;
        if !flags.json {
            console.tell(run.conclusion(&outcome.evaluation));
        }
        if let Some(error) = outcome.unwritten {
            return Err(error);
        }
        run.folder
    };
    console.whole().with_context(|| {
        format!("{}: the run is whole, but not what it printed", folder.path().shown())
    })
}

/// What a run came to.
pub(crate) struct Outcome {
    /// After the last epoch.
    pub(crate) metrics: EpochMetrics,
    /// Of the same network.
    pub(crate) evaluation: Evaluation,
    /// From the start of the process to the last change of a weight.
    pub(crate) wall_seconds: f64,
    /// Of the training alone, all epochs together.
    pub(crate) train_seconds: f64,
    /// What became of the lines of metrics that are lost, if some are.
    pub(crate) unwritten: Option<anyhow::Error>,
}

/// A run that is ready to train.
pub(crate) struct Run<T> {
    experiment: Experiment,
    trainer: Trainer<T>,
    /// The network with the moving average of the parameters, if the experiment wants it.
    averaged: Option<Network<T>>,
    augmenter: Option<Augmenter>,
    evaluator: Evaluator<T>,
    train: Samples,
    test: Samples,
    folder: RunFolder,
    /// Whether a step has changed the weights.
    moved: bool,
}

impl<T: Element> Run<T> {
    /// Checks all that can be checked before the first step, then makes the folder: that of a
    /// member, counted from 1, in its committee's.
    pub(crate) fn prepare(
        flags: &Flags,
        experiment: Experiment,
        committee: Option<(&RunFolder, usize)>,
    ) -> anyhow::Result<Self> {
        let Start { experiment, networks, train, test } = check::<T>(flags, &experiment)?;
        let network = networks.into_iter().next().context("no network")?;
        let config = memory::trainer_config(&experiment, train.len());
        let taken = memory::of_training::<T>(&network.spec().footprint()?, &config);
        let evaluator = Evaluator::new(&network, test.len(), taken)?;
        let trainer = Trainer::new(network, config);
        let augmenter = experiment
            .augmentation
            .map(|augmentation| Augmenter::new(augmentation, train.size(), experiment.seed));
        let folder = match committee {
            Some((folder, number)) => folder.member(number, &experiment)?,
            None => RunFolder::create(flags.out.as_deref(), &experiment)?,
        };
        Ok(Self {
            experiment,
            trainer,
            averaged: None,
            augmenter,
            evaluator,
            train,
            test,
            folder,
            moved: false,
        })
    }

    /// Trains all epochs, or until the target is reached, and writes what came of it.
    pub(crate) fn train(
        &mut self,
        flags: &Flags,
        console: &mut Console,
        (start, simd): (Instant, Level),
    ) -> anyhow::Result<Outcome> {
        self.announce(flags.json, console);
        let epochs = self.experiment.epochs.get();
        let bar = progress_bar(flags.common.quiet, self.train.len());
        let mut lines = self.folder.lines(METRICS)?;
        let mut last = None;
        let mut seconds = 0.0;
        let Experiment { learning_rate, schedule, shuffle, .. } = &self.experiment;
        let all = Epochs::new(epochs, *learning_rate).schedule(schedule.clone()).shuffle(*shuffle);
        for epoch in all {
            bar.set_message(format!("{}/{epochs}", epoch.number()));
            bar.reset();
            let began = Instant::now();
            let report = self.epoch(&epoch, &bar)?;
            let train_seconds = began.elapsed().as_secs_f64();
            seconds += train_seconds;
            let wall_seconds = start.elapsed().as_secs_f64();
            let evaluation = self.evaluate(&epoch)?;
            let metrics = EpochMetrics {
                epoch: report.epoch,
                train_error: report.loss,
                train_seconds,
                samples_per_second: self.train.len() as f64 / train_seconds,
                test_error: evaluation.error(),
                test_correct: evaluation.correct(&self.test),
                test_total: self.test.len(),
                learning_rate: report.learning_rate,
                weights_sha256: self.network().digest(),
            };
            let line = serde_json::to_string(&metrics)?;
            bar.suspend(|| lines.push(&line))?;
            let shown = if flags.json { line } else { epoch_line(&metrics, epochs) };
            bar.suspend(|| console.tell(shown + "\n"));
            let reached = self.experiment.target_accuracy;
            let reached = reached.is_some_and(|p| metrics.test_accuracy() >= p);
            let train_seconds = seconds;
            let unwritten = None;
            last = Some(Outcome { metrics, evaluation, wall_seconds, train_seconds, unwritten });
            if reached {
                break;
            }
        }
        drop(bar);
        lines.sync();
        let mut outcome = last.context("no epoch")?;
        self.finish(&outcome, lines.cut(), simd)?;
        outcome.unwritten = lines.into_loss();
        Ok(outcome)
    }

    /// The images that it is tested on.
    pub(crate) fn test_samples(&self) -> &Samples {
        &self.test
    }

    /// What is going to happen, and where.
    fn announce(&self, json: bool, console: &mut Console) {
        let folder = self.folder.path().shown();
        if json {
            // Standard output is for the metrics alone.
            notice(format_args!("run: {folder}"));
            return;
        }
        let Experiment { name, description, seed, .. } = &self.experiment;
        let network = self.trainer.network();
        let mut text = format!("{}, seed {seed}: {}\n", name.shown(), description.shown());
        let table = network.table();
        let rows = table.iter().map(|(summary, shape, parameters)| {
            format!("{summary:<36}{:<14}{parameters:>9}", shape.to_string())
        });
        for row in report::shown_layers(rows) {
            text.push_str(&format!("    {row}\n"));
        }
        text.push_str(&format!(
            "{} parameters, {} training images, {} test images\nrun: {folder}\n",
            network.parameters().len(),
            self.train.len(),
            self.test.len(),
        ));
        console.tell(text);
    }

    /// What the run has come to.
    fn network(&self) -> &Network<T> {
        self.averaged.as_ref().unwrap_or(self.trainer.network())
    }

    /// Takes a step on each batch.
    fn epoch(&mut self, epoch: &Epoch, bar: &ProgressBar) -> anyhow::Result<EpochReport> {
        let Self { trainer, moved, train: samples, augmenter, .. } = self;
        let data = Augmented { samples, augmenter: augmenter.as_ref(), epoch: epoch.number() };
        let report = trainer.epoch_with(&data, epoch, |rate, step| {
            *moved |= rate > 0.0;
            bar.inc(step.losses.len() as u64);
        });
        report.map_err(|error| {
            self.stopped(("in", epoch.number()), ("training", error.sample), error.layer)
        })
    }

    /// The network with the moving average of the parameters, if the experiment wants it. Its
    /// running statistics are measured anew: those that were gathered belong to other parameters.
    fn averaged(&self, epoch: &Epoch) -> Option<Network<T>> {
        self.experiment.average?;
        let Self { trainer, train: samples, augmenter, .. } = self;
        let data = Augmented { samples, augmenter: augmenter.as_ref(), epoch: epoch.number() };
        let order = epoch.order(trainer.config().seed, samples.len());
        let mut network = trainer.averaged_network();
        trainer.measure_buffers(&mut network, &Subset::new(&data, &order));
        Some(network)
    }

    /// Tests the network after an epoch.
    fn evaluate(&mut self, epoch: &Epoch) -> anyhow::Result<Evaluation> {
        self.averaged = self.averaged(epoch);
        let network = self.averaged.as_ref().unwrap_or(self.trainer.network());
        let evaluation = self.evaluator.evaluate(network, &self.experiment.loss, &self.test);
        let Some(sample) = evaluation.losses.iter().position(|loss| !loss.is_finite()) else {
            return Ok(evaluation);
        };
        let mut input = vec![T::ZERO; network.input_shape().len()];
        self.test.write_image(sample, &mut input);
        let mut workspace = Workspace::new(network, 1);
        network.predict(&input, &mut workspace);
        let layer = network.table().into_iter().enumerate().find(|&(index, _)| {
            workspace.layer_output(index).iter().any(|value| !value.is_finite())
        });
        let layer = layer.map(|(index, (summary, ..))| (index, summary));
        Err(self.stopped(("after", epoch.number()), ("test", sample), layer))
    }

    /// Why the run does not go on, and what may help.
    fn stopped(
        &self,
        (when, epoch): (&str, usize),
        (kind, sample): (&str, usize),
        layer: Option<(usize, String)>,
    ) -> anyhow::Error {
        let layer = match layer {
            Some((index, summary)) => {
                format!("the output of layer {index} ({summary}) is the first that is not")
            }
            None => "the outputs of all layers are finite".into(),
        };
        let kept = match epoch {
            1 => String::new(),
            _ => format!("; {} keeps the epochs before", self.folder.path().shown()),
        };
        anyhow!(
            "training stopped {when} epoch {epoch}: expected a finite loss, found none for sample \
             {sample} of the {kind} images; {layer}; {}{kept}",
            self.advice()
        )
    }

    /// What may keep the losses finite, by what has made them what they are.
    fn advice(&self) -> String {
        let Experiment { initial_weights, precision, clip_norm, optimizer, .. } = &self.experiment;
        let weights = self.trainer.network().parameters();
        let is_spoilt = weights.iter().any(|weight| !weight.is_finite());
        if is_spoilt && optimizer.epsilon() == Some(0.0) {
            return "the optimizer divides 0 by 0 where a gradient has always been 0: an epsilon \
                    above 0 may help"
                .into();
        }
        if self.moved {
            let or_clip = if clip_norm.is_none() { " or a clip_norm" } else { "" };
            return format!("a smaller --learning-rate{or_clip} may help");
        }
        if is_spoilt {
            // A learning rate of 0 times what is not finite.
            return "a step has made the weights other than finite, as its gradient was: another \
                    init, smaller inputs or --precision f64 may help"
                .into();
        }
        let (weights, others) = match initial_weights {
            Some(file) => (format!("those of {}", file.shown()), "smaller ones"),
            None => ("as they were drawn".into(), "another init"),
        };
        let or_wider = if *precision == Precision::F32 { " or --precision f64" } else { "" };
        format!("no step has changed the weights, which are {weights}: {others}{or_wider} may help")
    }

    /// Writes the model and the summary, which says how many lines of metrics there are if they
    /// are not all.
    fn finish(
        &self,
        outcome: &Outcome,
        metrics_lines: Option<usize>,
        simd: Level,
    ) -> anyhow::Result<()> {
        let experiment = &self.experiment;
        let text = |value: serde_json::Result<String>| value.map(|text| text.replace('"', ""));
        let metadata = [
            ("preset", experiment.name.clone()),
            ("seed", experiment.seed.to_string()),
            ("precision", text(serde_json::to_string(&experiment.precision))?),
            ("loss", serde_json::to_string(&experiment.loss)?),
            ("weights_sha256", outcome.metrics.weights_sha256.clone()),
            ("config_sha256", self.folder.config_sha256().to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let of_data = dataset::metadata(&self.train, &self.test);
        let metadata: Vec<_> = metadata.into_iter().chain(of_data).collect();
        let model = save_weights(self.network(), &metadata)?;
        self.folder.write(MODEL, &model)?;
        let losses = &outcome.evaluation.losses;
        let errors = &losses[..report::NOTEBOOK_IMAGES.min(losses.len())];
        let mut summary = summary(experiment, outcome, simd);
        summary.metrics_lines = metrics_lines;
        summary.notebook = experiment.notebook_report.then(|| NotebookErrors {
            test_error_20: errors.to_vec(),
            test_error_20_mean: mean(errors),
        });
        self.folder.write_json(SUMMARY, &summary)
    }

    /// What is to be said at its end.
    fn conclusion(&self, evaluation: &Evaluation) -> String {
        let mut text = String::new();
        if self.experiment.notebook_report {
            text.push_str(&report::notebook_lines(evaluation, &self.test));
        }
        text.push_str(&report::accuracy_lines(evaluation, &self.test, &self.experiment.loss));
        text + &format!("weights: sha256 {}\n", self.network().digest())
    }
}

/// What a training starts from.
pub(crate) struct Start<T> {
    /// As it runs on these images.
    pub(crate) experiment: Experiment,
    /// With the weights that they start with.
    pub(crate) networks: Vec<Network<T>>,
    pub(crate) train: Samples,
    pub(crate) test: Samples,
}

/// The networks of an experiment as they start, and its images for training and testing,
/// which fit: nothing is written before all that can be checked has been.
///
/// # Errors
/// As for [`run`], up to the first step.
pub(crate) fn check<T: Element>(
    flags: &Flags,
    experiment: &Experiment,
) -> anyhow::Result<Start<T>> {
    let config = flags.chosen.config.as_deref();
    let mut networks = networks::build::<T>(experiment, config)?;
    let mut of_weights = None;
    for network in &mut networks {
        of_weights = set_initial_weights(network, experiment)?;
    }
    let data = data_folder(flags.data.as_deref(), experiment, config)?;
    let (train, test) = dataset::load_named(&data, experiment.classes.as_deref())?;
    let mut train = train.first(experiment.train_limit.map(Into::into));
    let mut test = test.first(experiment.test_limit.map(Into::into));
    for (which, network) in Which::each(experiment).zip(&networks) {
        let misfit = |misfit: Misfit| {
            let place = networks::place(experiment, config, which, misfit.layer);
            anyhow!("{place}: {misfit}")
        };
        train = train.fit(network).map_err(misfit)?;
        test = test.fit(network).map_err(misfit)?;
        let config = memory::trainer_config(experiment, train.len());
        let footprint = network.spec().footprint::<T>()?;
        memory::ask_for_training(&footprint, &config, footprint.file())?;
    }
    require_classes(experiment, of_weights.as_ref(), &train)?;
    consistency::check(experiment, config, &networks, Cut::of(experiment, train.len()))?;
    let mut experiment = experiment.effective(train.len(), test.len());
    // Without a folder, it is that of MNIST.
    if experiment.data.is_none() && !Digests::new(&train, &test).are_mnist() {
        let folder = absolute(&data);
        require_utf8("data", &folder)?;
        experiment.data = Some(folder);
    }
    Ok(Start { experiment, networks, train, test })
}

/// The folder of the images that a flag or an experiment names.
///
/// # Errors
/// If there is none; the message names the line of the experiment's file.
pub(crate) fn data_folder(
    flag: Option<&Path>,
    experiment: &Experiment,
    config: Option<&Path>,
) -> anyhow::Result<PathBuf> {
    let folder = dataset::folder(flag, experiment.data.as_deref());
    match (flag, &experiment.data) {
        (None, Some(_)) => {
            folder.with_context(|| place::origin(experiment, config, &["data".into()]))
        }
        _ => folder,
    }
}

/// What is known of a run at its end.
pub(crate) fn summary(experiment: &Experiment, outcome: &Outcome, simd: Level) -> Summary {
    let Outcome { metrics, wall_seconds, .. } = outcome;
    Summary {
        preset: experiment.name.clone(),
        seed: experiment.seed,
        precision: experiment.precision,
        members: None,
        metrics_lines: None,
        test_accuracy: metrics.test_accuracy(),
        test_accuracy_interval: metrics.test_accuracy_interval(),
        last: metrics.clone(),
        wall_seconds: *wall_seconds,
        peak_rss_bytes: peak_rss_bytes(),
        threads: rayon::current_num_threads(),
        simd: simd.name(),
        version: env!("CARGO_PKG_VERSION"),
        notebook: None,
    }
}

/// Whether the outputs of the weights that a training starts with, if they are of named classes,
/// stand for the same classes in it.
///
/// # Errors
/// If they do not.
pub(crate) fn require_classes(
    experiment: &Experiment,
    of_weights: Option<&Classes>,
    samples: &Samples,
) -> anyhow::Result<()> {
    let (Some(expected), Some(file)) = (of_weights, &experiment.initial_weights) else {
        return Ok(());
    };
    let found = samples.classes();
    let differ = (0..expected.count()).any(|label| expected.name(label) != found.name(label));
    ensure!(
        !differ,
        "initial weights {}: expected data of the classes {expected}, in this order, as the file \
         names them, found the classes {found}; {}",
        file.shown(),
        if expected.same_names(found) || found.is_numbered() {
            "name them in the order of the file with classes = [\"…\", …] in the experiment"
        } else {
            "start from the weights of a model of the same classes, or without any"
        }
    );
    Ok(())
}

/// The weights that a training starts with: those of a file, or drawn. The classes of its outputs,
/// if the file names them.
pub(crate) fn set_initial_weights<T: Element>(
    network: &mut Network<T>,
    experiment: &Experiment,
) -> anyhow::Result<Option<Classes>> {
    let Some(file) = &experiment.initial_weights else {
        network.initialize(experiment.init, experiment.seed);
        return Ok(None);
    };
    let name = || format!("initial weights {}", file.shown());
    let members = experiment.committee.map_or(1, Into::into);
    ensure!(
        members == 1 || !file.exists() || file.is_file(),
        "{}: expected a regular file, as each of {members} members reads it, found another one",
        name()
    );
    let weights = WeightsFile::open(file).with_context(name)?;
    // Before so much is read.
    weights.header.check(network).with_context(name)?;
    let outputs = network.output_shape().len();
    let classes = Classes::of_model(&weights.header.metadata(), outputs).with_context(name)?;
    load_weights(network, &weights.read().with_context(name)?).with_context(name)?;
    Ok(Some(classes).filter(|classes| !classes.is_numbered()))
}

/// The notebook's own line, and what else there is to know.
fn epoch_line(metrics: &EpochMetrics, epochs: usize) -> String {
    format!(
        "{:>2}/{epochs}, error={:.4}   {:.3} s, {:.0} samples/s   test: error {:.4}, {} right",
        metrics.epoch,
        metrics.train_error,
        metrics.train_seconds,
        metrics.samples_per_second,
        metrics.test_error,
        report::percent(metrics.test_correct, metrics.test_total),
    )
}

fn progress_bar(quiet: bool, samples: usize) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len}");
    let bar = ProgressBar::new(samples as u64).with_finish(ProgressFinish::AndClear);
    style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("=> ")))
}
