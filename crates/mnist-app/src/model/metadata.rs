//! What a model's file says of it beside its numbers: the `__metadata__`, read and written.

use std::collections::HashMap;

use anyhow::{anyhow, ensure};
use layers::{Loss, Network, save_weights};
use tensor::Element;

use crate::dataset::{Classes, Digests};
use crate::escape::{Escape, quoted};
use crate::experiment::Precision;
use crate::preprocessing::{Form, Normalization};

/// The key of the form of its pictures in a model's metadata.
pub(crate) const FORM: &str = "preprocessing";

/// The key of the numbers that its pictures are normalised by, where their form says `standard`.
pub(crate) const NORMALIZATION: &str = "normalization";

/// The key of the middle of the probabilities that a model gave to its wrong answers on its test
/// images, in its metadata.
pub(crate) const MISTAKES: &str = "mistakes_probability";

/// A model's metadata. A missing key is none; a value that this version does not know is an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) preset: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) precision: Option<Precision>,
    pub(crate) loss: Option<Loss>,
    /// The digest of the weights; where they are written it is computed anew.
    pub(crate) weights_sha256: Option<String>,
    /// The digest of its run's `config.toml`.
    pub(crate) config_sha256: Option<String>,
    pub(crate) digests: Option<Digests>,
    /// Of its pictures.
    pub(crate) form: Form,
    /// How their bytes become numbers.
    pub(crate) normalization: Normalization,
    /// The probability that half of its mistakes on its test images were given less than.
    pub(crate) mistakes_probability: Option<f64>,
    /// Keys that this version does not know, which are not written.
    pub(crate) unknown: Vec<String>,
}

impl Metadata {
    /// # Errors
    /// If a key has a value that this version does not know.
    pub(crate) fn of(metadata: &HashMap<String, String>) -> anyhow::Result<Self> {
        const KNOWN: [&str; 16] = [
            FORM,
            MISTAKES,
            NORMALIZATION,
            "network",
            "preset",
            "seed",
            "precision",
            "loss",
            "weights_sha256",
            "config_sha256",
            "version",
            "classes",
            "data",
            "data_train",
            "data_test",
            "data_validation",
        ];
        let said = |key: &str| metadata.get(key).cloned();
        let precision = |text: &str| match text {
            "f32" => Some(Precision::F32),
            "f64" => Some(Precision::F64),
            _ => None,
        };
        let precision = read(metadata, "precision", "f32 or f64", precision)?;
        let loss = |text: &str| serde_json::from_str(text).ok();
        let loss = read(metadata, "loss", "a loss that this version knows", loss)?;
        let seed = read(metadata, "seed", "a whole number", |text| text.parse().ok())?;
        let is_known = |key: &&String| KNOWN.contains(&key.as_str());
        let mut unknown: Vec<_> = metadata.keys().filter(|key| !is_known(key)).cloned().collect();
        unknown.sort_unstable();
        Ok(Self {
            preset: said("preset"),
            seed,
            precision,
            loss,
            weights_sha256: said("weights_sha256"),
            config_sha256: said("config_sha256"),
            digests: Digests::from_metadata(metadata)?,
            form: read(metadata, FORM, "the form of pictures", |text| {
                serde_json::from_str(text).ok()
            })?
            .unwrap_or_default(),
            normalization: read(metadata, NORMALIZATION, "a mean and a deviation", |text| {
                serde_json::from_str(text).ok()
            })?
            .unwrap_or_default(),
            mistakes_probability: read(metadata, MISTAKES, "a number from 0 to 1", |text| {
                text.parse().ok().filter(|number| (0.0..=1.0).contains(number))
            })?,
            unknown,
        })
    }

    /// The file of a network of which this is known.
    ///
    /// # Errors
    /// If a number is not finite.
    pub(crate) fn file<T: Element>(
        &self,
        network: &Network<T>,
        classes: &Classes,
    ) -> anyhow::Result<Vec<u8>> {
        let Self { preset, seed, loss, config_sha256, digests, form, .. } = self;
        let form = (!form.is_open()).then(|| serde_json::to_string(form)).transpose()?;
        let own = Some(&self.normalization).filter(|own| **own != Normalization::Unit);
        let said = [
            ("preset", preset.clone()),
            ("seed", seed.map(|seed| seed.to_string())),
            ("precision", self.precision.map(|_| T::NAME.to_owned())),
            ("loss", loss.as_ref().map(serde_json::to_string).transpose()?),
            ("weights_sha256", Some(network.digest())),
            ("config_sha256", config_sha256.clone()),
            ("version", Some(env!("CARGO_PKG_VERSION").to_owned())),
            (FORM, form),
            (MISTAKES, self.mistakes_probability.map(|middle| middle.to_string())),
            (NORMALIZATION, own.map(serde_json::to_string).transpose()?),
        ];
        let said = said.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let data = digests.iter().flat_map(Digests::metadata);
        let metadata: Vec<_> = said.chain(data).chain(classes.metadata()).collect();
        Ok(save_weights(network, &metadata)?)
    }

    /// Checks that the weights are those that were written.
    pub(super) fn check_weights<T: Element>(&self, network: &Network<T>) -> anyhow::Result<()> {
        let Some(expected) = &self.weights_sha256 else { return Ok(()) };
        let found = network.digest();
        ensure!(
            *expected == found,
            "expected the weights that \"weights_sha256\" in __metadata__ says, {}, found \
             others, {found}: the file is damaged",
            expected.escaped()
        );
        Ok(())
    }

    /// `f64` if it is not known, since that holds the numbers of either.
    pub(super) fn precision(&self) -> Precision {
        self.precision.unwrap_or(Precision::F64)
    }
}

/// The value of a key, if it is there.
fn read<V>(
    metadata: &HashMap<String, String>,
    key: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<V>,
) -> anyhow::Result<Option<V>> {
    let Some(text) = metadata.get(key) else { return Ok(None) };
    read(text).map(Some).ok_or_else(|| {
        anyhow!("{key:?} in __metadata__: expected {expected}, found {}", quoted(text))
    })
}

#[cfg(test)]
mod tests {
    use layers::Init;

    use super::{Classes, Digests, Form, Metadata, Normalization};
    use crate::experiment::Precision;
    use crate::presets;

    /// A file has room for its numbers, 2 KB, and 100 bytes a tensor.
    #[test]
    fn files_of_presets_are_hardly_larger_than_their_numbers() {
        let digest = "0".repeat(64);
        let digests =
            [("data_train", &digest), ("data_test", &digest), ("data_validation", &digest)]
                .map(|(key, digest)| (key.to_owned(), digest.clone()));
        let whole = layers::sha256(format!("{digest}\n").repeat(3).as_bytes());
        let digests = digests.into_iter().chain([("data".to_owned(), whole)]).collect();
        let digests = Digests::from_metadata(&digests).unwrap();
        for name in presets::names() {
            let mut experiment = presets::experiment(name).unwrap();
            experiment.fill([3, 64, 64], 10);
            for spec in experiment.networks.all() {
                let mut network = spec.build::<f32>().unwrap();
                network.initialize(Init::He, 1);
                let about = Metadata {
                    preset: Some(name.to_owned()),
                    seed: Some(experiment.seed),
                    precision: Some(Precision::F32),
                    loss: Some(experiment.loss.clone()),
                    config_sha256: Some(digest.clone()),
                    digests: digests.clone(),
                    form: Form { size: Some([64, 64]), ..experiment.form() },
                    normalization: Normalization::Standard {
                        mean: vec![0.130_660_5; 3],
                        deviation: vec![0.308_107_8; 3],
                    },
                    mistakes_probability: Some(0.588_123_456_789),
                    ..Metadata::default()
                };
                let file = about.file(&network, &Classes::Numbered(10)).unwrap();
                let buffers = network.named_buffers();
                let numbers = network.parameters().len() + network.buffers().len();
                // A normalisation has two buffers and a counter.
                let tensors = network.named_parameters().len() + buffers.len() + buffers.len() / 2;
                let more = file.len() - 4 * numbers;
                eprintln!("{name}: {numbers} numbers, {tensors} tensors, {more} bytes more");
                assert!(more <= 2048 + 100 * tensors, "{name}: {more}, {tensors} tensors");
            }
        }
    }
}
