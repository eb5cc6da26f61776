//! How images are cut into batches and shards.

use std::num::NonZeroUsize;

use crate::experiment::Experiment;

/// The batches and shards that images are cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    samples: usize,
    /// As the experiment asks for them.
    batch_size: usize,
    shard_size: usize,
    run: Run,
}

/// What the images are for, which decides what a message can suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// All batches of an epoch.
    Training,
    /// A single batch of made-up images.
    Profile,
    /// All images in one shard.
    Inspection,
}

impl Batches {
    /// `samples` images in the batches and shards of an experiment.
    pub(crate) fn of(experiment: &Experiment, samples: usize) -> Self {
        let (batch_size, shard_size) = (experiment.batch_size.get(), experiment.shard_size.get());
        Self { samples, batch_size, shard_size, run: Run::Training }
    }

    /// A single batch of an experiment.
    pub(crate) fn single_batch(experiment: &Experiment) -> Self {
        Self { run: Run::Profile, ..Self::of(experiment, experiment.batch_size.get()) }
    }

    /// All images in one shard.
    pub(crate) fn one_shard(samples: usize) -> Self {
        Self { samples, batch_size: samples, shard_size: samples, run: Run::Inspection }
    }

    /// The batch size, at most the number of images and at least 1.
    pub(crate) fn batch_size(self) -> usize {
        self.batch_size.min(self.samples).max(1)
    }

    /// The shard size, at most the batch size and at least 1.
    pub(crate) fn shard_size(self) -> usize {
        self.shard_size.min(self.batch_size()).max(1)
    }

    /// The number of steps of an epoch.
    pub(super) fn steps(self) -> usize {
        self.samples.div_ceil(self.batch_size())
    }

    /// A description of the shards that hold a single image, if there are any.
    pub(super) fn single(self) -> Option<String> {
        let (samples, batch_size, shard_size) =
            (self.samples, self.batch_size(), self.shard_size());
        let last = samples % batch_size;
        if shard_size == 1 {
            Some("a shard size of 1".into())
        } else if batch_size % shard_size == 1 {
            Some(format!("a batch of {batch_size} in shards of {shard_size}, the last of 1 image"))
        } else if last % shard_size == 1 {
            Some(format!(
                "{samples} images in batches of {batch_size} and shards of {shard_size}, the last \
                 of 1 image"
            ))
        } else {
            None
        }
    }

    /// What to change so that no shard holds a single image.
    pub(super) fn remedy(self) -> String {
        let (samples, batch_size, shard_size) =
            (self.samples, self.batch_size(), self.shard_size());
        if self.run == Run::Inspection {
            return "choose --samples 2 or more".into();
        }
        let is_profile = self.run == Run::Profile;
        let fits = |batches: &Self| batches.single().is_none();
        let mut shards =
            (shard_size + 1..=batch_size).map(|shard_size| Self { shard_size, ..self });
        // A profile has as many images as its batch.
        let most = if is_profile { batch_size.saturating_add(shard_size) } else { samples };
        let mut batches = (batch_size.saturating_add(1)..=most).map(|batch_size| Self {
            batch_size,
            samples: if is_profile { batch_size } else { samples },
            ..self
        });
        let fewer = Some(Self { samples: samples.saturating_sub(1), ..self });
        let fewer = fewer.filter(|_| !is_profile);
        let flags = [
            shards.find(fits).map(|batches| format!("--shard-size {}", batches.shard_size)),
            batches.find(fits).map(|batches| format!("--batch-size {}", batches.batch_size)),
            fewer.filter(fits).map(|batches| format!("--train-limit {}", batches.samples)),
        ];
        let flags: Vec<_> = flags.into_iter().flatten().collect();
        match flags.as_slice() {
            [] if samples > 1 || is_profile => {
                "choose a larger --batch-size and a larger --shard-size".into()
            }
            [] => "more images are needed".into(),
            flags => format!("choose {}", flags.join(" or ")),
        }
    }
}

impl Experiment {
    /// The number of shards of a batch, as far as that is known before the images are read.
    pub(crate) fn shards(&self) -> usize {
        let samples = self.train_limit.map_or(usize::MAX, NonZeroUsize::get);
        let batches = Batches::of(self, samples);
        batches.batch_size().div_ceil(batches.shard_size())
    }

    /// The same with sizes and limits reduced to the number of images that there are, so that a
    /// run's `config.toml` says what really ran.
    pub(crate) fn effective(&self, train: usize, test: usize) -> Self {
        let batches = Batches::of(self, train);
        let whole = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        let at_most =
            |limit: Option<NonZeroUsize>, count| limit.map(|limit| limit.min(whole(count)));
        Self {
            batch_size: whole(batches.batch_size()),
            shard_size: whole(batches.shard_size()),
            train_limit: at_most(self.train_limit, train),
            test_limit: at_most(self.test_limit, test),
            ..self.clone()
        }
    }

    /// Takes as many epochs of so many training images as its least number of steps asks for.
    /// Returns what is to be told of it.
    pub(crate) fn lengthen(&mut self, train: usize) -> Option<String> {
        let least = self.min_steps.take()?.get();
        let (images, before) = (train, self.epochs);
        let steps = train.div_ceil(Batches::of(self, train).batch_size()).max(1);
        let epochs = NonZeroUsize::new(least.div_ceil(steps)).filter(|&epochs| epochs > before)?;
        self.epochs = epochs;
        Some(format!(
            "{images} training images are {steps} steps an epoch: {epochs} epochs instead of {before}, \
             for min_steps = {least}; --epochs asks for another number"
        ))
    }
}
