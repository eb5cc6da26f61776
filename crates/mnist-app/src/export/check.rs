//! Whether an export answers as the model does, and if not, from where on the numbers part.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use layers::{Network, NetworkSpec, Reshape, answer};
use tensor::Element;

use super::steps::{steps, trace};
use super::subject::{Ending, Subject};
use super::{Answers, tools};
use crate::dataset::Samples;
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::experiment::Precision;
use crate::run_folder::named;

/// How far an answer may be from the model's, in units of the largest: roundings differ where sums
/// have another order.
const CLOSE: f64 = 1e-5;

/// The same in units of the model's own rounding errors, where that is more: a sum of thousands of large
/// numbers is not known better. Our sums in lanes are up to three times as exact as one after another.
const TIMES_ROUNDING: f64 = 4.0;

/// Two best logits that are closer are of one class or the other, depending on rounding.
const TIE: f64 = 1e-4;

/// How far the numbers of a layer may be apart, in units of the layer's largest, where it is looked
/// for the one from which on they part.
const PARTED: f64 = 1e-4;

/// The program that runs an export, in its folder for files.
pub(crate) struct Runner<'a> {
    pub(crate) program: &'a [OsString],
    pub(crate) workshop: &'a Path,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Agreement {
    /// How many pictures were answered.
    pub(crate) pictures: usize,
    /// The largest difference of an output, in units of the largest output.
    pub(crate) largest_difference: f64,
    /// How many pictures have another class, as their two best logits are too close to tell.
    pub(crate) ties: usize,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pictures, largest_difference, ties } = self;
        write!(f, "{pictures} test images answered as the model answers them, ")?;
        if *largest_difference == 0.0 {
            f.write_str("with the same bits")?;
        } else {
            write!(f, "outputs within {largest_difference:.1e} of the largest")?;
        }
        if *ties > 0 {
            write!(f, ", {ties} of another class whose two best logits are closer than {TIE}")?;
        }
        Ok(())
    }
}

/// What the model answers.
pub(crate) struct Expected {
    /// The answers that are compared, picture after picture.
    answers: Vec<f32>,
    /// The numbers whose largest is the class, `(N, K)`.
    logits: Vec<f64>,
    classes: usize,
}

impl Expected {
    /// What a format with these answers is expected to say of the samples.
    ///
    /// # Errors
    /// If memory is short.
    pub(crate) fn new(subject: &Subject, kind: Answers, samples: &Samples) -> anyhow::Result<Self> {
        let model = &subject.model;
        let evaluation = model.evaluate(samples)?;
        let classes = model.classes().count();
        if let Some(place) = evaluation.outputs.iter().position(|x| !f32::from_f64(*x).is_finite())
        {
            bail!(
                "{}: expected a model whose outputs are finite, found {} for {}",
                named(model.path()),
                evaluation.outputs[place],
                samples.name(place / classes)
            );
        }
        let rows = || evaluation.outputs.chunks_exact(classes);
        let logits = if kind == Answers::LogitsAndProbabilities {
            logits(subject, samples, &evaluation)?
        } else {
            evaluation.outputs.clone()
        };
        let answers = match kind {
            Answers::SameBits => evaluation.outputs.iter().map(|&x| f32::from_f64(x)).collect(),
            Answers::LogitsAndProbabilities => {
                let both = logits.chunks_exact(classes).zip(rows());
                let both = both.flat_map(|(logits, outputs)| {
                    let probabilities = model.probabilities(outputs);
                    logits.iter().copied().chain(probabilities).collect::<Vec<_>>()
                });
                both.map(f32::from_f64).collect()
            }
        };
        Ok(Self { answers, logits, classes })
    }

    /// The answers for each picture.
    pub(crate) fn answers(&self) -> &[f32] {
        &self.answers
    }

    /// How many numbers are answered for a picture.
    fn width(&self) -> usize {
        self.answers.len() / (self.logits.len() / self.classes).max(1)
    }

    /// Compares the answers; the first picture whose answers differ, and how, is the error.
    fn compare(
        &self,
        found: &[f32],
        kind: Answers,
        close: f64,
    ) -> Result<Agreement, (usize, String)> {
        let width = self.width();
        let largest = self.answers.iter().fold(0.0_f64, |most, &x| most.max(f64::from(x).abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let mut agreement = Agreement { pictures: 0, largest_difference: 0.0, ties: 0 };
        let rows = self.answers.chunks_exact(width).zip(found.chunks_exact(width));
        for ((expected, found), logits) in rows.zip(self.logits.chunks_exact(self.classes)) {
            let picture = agreement.pictures;
            for (place, (&expected, &found)) in expected.iter().zip(found).enumerate() {
                let difference = difference(expected, found) / scale;
                let is_wrong = match kind {
                    Answers::SameBits => expected.to_bits() != found.to_bits(),
                    Answers::LogitsAndProbabilities => difference > close,
                } && !(expected.is_nan() && found.is_nan());
                if is_wrong {
                    let what = self.describe(place);
                    return Err((
                        picture,
                        format!("{what}: expected {expected:?}, found {found:?}"),
                    ));
                }
                agreement.largest_difference = agreement.largest_difference.max(difference);
            }
            let (own, others) = (answer(logits), answer(&found[..self.classes]));
            if own != others {
                if !is_tie(logits) {
                    let class = |class: Option<usize>| {
                        class.map_or("none".into(), |class: usize| class.to_string())
                    };
                    let [own, others] = [own, others].map(class);
                    return Err((picture, format!("expected class {own}, found {others}")));
                }
                agreement.ties += 1;
            }
            agreement.pictures += 1;
        }
        Ok(agreement)
    }

    /// Which number of a picture's answers this is.
    fn describe(&self, place: usize) -> String {
        let (class, kind) = (place % self.classes, place / self.classes);
        match (self.width() == self.classes, kind) {
            (true, _) => format!("output {class}"),
            (false, 0) => format!("logit {class}"),
            (false, _) => format!("probability {class}"),
        }
    }
}

/// The distance of two numbers; infinite if only one of them is finite.
fn difference(expected: f32, found: f32) -> f64 {
    if expected.to_bits() == found.to_bits() {
        return 0.0;
    }
    let difference = (f64::from(expected) - f64::from(found)).abs();
    if difference.is_nan() { f64::INFINITY } else { difference }
}

/// Whether the two largest numbers are too close to tell.
fn is_tie(logits: &[f64]) -> bool {
    let Some(best) = answer(logits) else { return false };
    let others = logits.iter().enumerate().filter(|&(place, _)| place != best);
    others.map(|(_, &other)| logits[best] - other).any(|gap| gap < TIE)
}

/// The logits of the samples, `(N, K)`: what comes before a last sigmoid or softmax; of
/// a committee the logarithms of its probabilities.
fn logits(
    subject: &Subject,
    samples: &Samples,
    evaluation: &Evaluation,
) -> anyhow::Result<Vec<f64>> {
    let [only] = subject.members() else {
        return Ok(evaluation.outputs.iter().map(|p| p.ln()).collect());
    };
    match (Ending::of(only).after_logits, only.precision()) {
        (0, _) => Ok(evaluation.outputs.clone()),
        (after, Precision::F32) => outputs_before(&only.network_as::<f32>()?, after, samples),
        (after, Precision::F64) => outputs_before(&only.network_as::<f64>()?, after, samples),
    }
}

/// How far the model's logits in `f32` are from those in `f64`, in units of the largest; 0 of a committee, and
/// of a model that is computed in `f64`.
fn rounding(subject: &Subject, samples: &Samples) -> anyhow::Result<f64> {
    let [only] = subject.members() else { return Ok(0.0) };
    if only.precision() == Precision::F64 {
        return Ok(0.0);
    }
    let after = Ending::of(only).after_logits;
    let narrow = outputs_before(&only.network_as::<f32>()?, after, samples)?;
    let wide = outputs_before(&only.network_as::<f64>()?, after, samples)?;
    let largest = wide.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let differences = narrow.iter().zip(&wide).map(|(narrow, wide)| (narrow - wide).abs());
    let most = differences.fold(0.0, f64::max);
    Ok(if largest > 0.0 { most / largest } else { 0.0 })
}

/// The outputs without the last layers, which have no parameters.
fn outputs_before<T: Element>(
    network: &Network<T>,
    after: usize,
    samples: &Samples,
) -> anyhow::Result<Vec<f64>> {
    let NetworkSpec { input, layers } = network.spec();
    let mut layers = layers[..layers.len() - after].to_vec();
    if layers.is_empty() {
        // The inputs themselves; a network has at least one layer.
        layers.push(Reshape::flat().into());
    }
    let mut shorter = NetworkSpec { input: input.clone(), layers }.build::<T>()?;
    shorter.parameters_mut().copy_from_slice(network.parameters());
    shorter.buffers_mut().copy_from_slice(network.buffers());
    let loss = layers::Loss::mean_squared_error();
    let mut evaluator = crate::evaluation::Evaluator::new(&shorter, samples.len(), 0)?;
    Ok(evaluator.evaluate(&shorter, &loss, samples).outputs)
}

impl Runner<'_> {
    /// Compares the answers of an export to those of the model.
    ///
    /// # Errors
    /// If they differ; the message says from where on. If the program fails, too.
    pub(crate) fn check(
        &self,
        (subject, samples): (&Subject, &Samples),
        expected: &Expected,
        kind: Answers,
    ) -> anyhow::Result<Agreement> {
        let all = 0..samples.len();
        let found = self.run("outputs", all.map(|index| samples.image(index)))?;
        let count = expected.answers.len();
        ensure!(
            found.len() == count,
            "expected {count} numbers of {} pictures, found {}",
            samples.len(),
            found.len()
        );
        let mut compared = expected.compare(&found, kind, CLOSE);
        if compared.is_err() && kind != Answers::SameBits {
            let close = TIMES_ROUNDING * rounding(subject, samples)?;
            if close > CLOSE {
                compared = expected.compare(&found, kind, close);
            }
        }
        let (picture, complaint) = match compared {
            Ok(agreement) => return Ok(agreement),
            Err(first) => first,
        };
        let name = samples.name(picture);
        let place = self.parting(subject, samples, (picture, kind))?;
        bail!("not written, as it answers otherwise than the model: {name}: {complaint}; {place}")
    }

    /// The first layer whose outputs for a picture are others.
    fn parting(
        &self,
        subject: &Subject,
        samples: &Samples,
        (picture, kind): (usize, Answers),
    ) -> anyhow::Result<String> {
        let [only] = subject.members() else {
            return Ok("export each of its members alone to see from where on they part".into());
        };
        let found = self.run("layers", [samples.image(picture)].into_iter())?;
        let spec = only.spec();
        let expected = match only.precision() {
            Precision::F32 => traced(&only.network_as::<f32>()?, samples, picture)?,
            Precision::F64 => traced(&only.network_as::<f64>()?, samples, picture)?,
        };
        let mut rest = &*found;
        for (place, expected) in expected {
            let Some((found, others)) = rest.split_at_checked(expected.len()) else {
                return Ok(format!("of layer {place} it put out nothing"));
            };
            rest = others;
            let largest = expected.iter().fold(0.0_f64, |most, &x| most.max(f64::from(x).abs()));
            let is_parted = |(&expected, &found): (&f32, &f32)| match kind {
                Answers::SameBits => expected.to_bits() != found.to_bits(),
                Answers::LogitsAndProbabilities => difference(expected, found) > PARTED * largest,
            };
            if let Some(at) = expected.iter().zip(found).position(is_parted) {
                let index = place.split('.').next().and_then(|index| index.parse::<usize>().ok());
                let layer = index.and_then(|index| spec.layers.get(index));
                let summary = layer.map(|layer| format!(" ({})", layer.summary()));
                return Ok(format!(
                    "the numbers part in layer {place}{}, whose output {at} is expected to be \
                     {:?}, and is {:?}",
                    summary.unwrap_or_default(),
                    expected[at],
                    found[at]
                ));
            }
        }
        Ok("they agree in every layer, and part in what follows".into())
    }

    /// The numbers that the program writes for these pictures.
    fn run<'p>(
        &self,
        what: &str,
        pictures: impl Iterator<Item = &'p [u8]>,
    ) -> anyhow::Result<Vec<f32>> {
        let [input, output] = ["pictures", "answers"].map(|name| self.workshop.join(name));
        let written = File::create(&input).and_then(|file| {
            let mut file = BufWriter::new(file);
            pictures.into_iter().try_for_each(|picture| file.write_all(picture))?;
            file.flush()
        });
        written.with_context(|| input.escaped())?;
        let [program, first @ ..] = self.program else { bail!("no program") };
        let own = [what.into(), input.into_os_string(), output.clone().into_os_string()];
        let arguments: Vec<_> = first.iter().cloned().chain(own).collect();
        tools::run(program, &arguments, self.workshop)?;
        let bytes = fs::read(&output).with_context(|| {
            format!("{}: expected that it writes answers", Path::new(program).escaped())
        })?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }
}

/// What each layer puts out for a picture.
fn traced<T: Element>(
    network: &Network<T>,
    samples: &Samples,
    picture: usize,
) -> anyhow::Result<Vec<(String, Vec<f32>)>> {
    let mut input = vec![T::ZERO; network.input_shape().len()];
    samples.write_image(picture, &mut input);
    let of_each = trace(&steps(network)?, &input).into_iter();
    let narrow = |numbers: Vec<T>| numbers.into_iter().map(|x| f32::from_f64(x.to_f64())).collect();
    Ok(of_each.map(|(place, numbers)| (place, narrow(numbers))).collect())
}

#[cfg(test)]
mod tests {
    use super::{Answers, Expected};

    /// Two pictures of three classes.
    fn expected() -> Expected {
        let answers = vec![1.0, -2.0, 0.5, 0.25, 0.25, -1.0];
        let logits = answers.iter().map(|&x| f64::from(x)).collect();
        Expected { answers, logits, classes: 3 }
    }

    #[test]
    fn every_bit_counts_or_what_is_close() {
        let exact = expected().answers;
        let agreement = expected().compare(&exact, Answers::SameBits, 1e-5).unwrap();
        assert_eq!((agreement.pictures, agreement.largest_difference), (2, 0.0));
        let mut close = exact.clone();
        close[2] = f32::from_bits(close[2].to_bits() + 1);
        let (picture, complaint) = expected().compare(&close, Answers::SameBits, 1e-5).unwrap_err();
        assert_eq!((picture, &*complaint), (0, "output 2: expected 0.5, found 0.50000006"));
        let agreement = expected().compare(&close, Answers::LogitsAndProbabilities, 1e-5).unwrap();
        assert!((1e-9..1e-7).contains(&agreement.largest_difference), "{agreement:?}");
        // 1e-5 of the largest, 2.
        for (change, fits) in [(1.9e-5, true), (2.1e-5, false)] {
            close[2] = 0.5 + change;
            assert_eq!(
                expected().compare(&close, Answers::LogitsAndProbabilities, 1e-5).is_ok(),
                fits,
                "{change}"
            );
        }
        for other in [f32::NAN, f32::INFINITY] {
            close[2] = other;
            for kind in [Answers::SameBits, Answers::LogitsAndProbabilities] {
                assert!(expected().compare(&close, kind, 1e-5).is_err(), "{other} {kind:?}");
            }
        }
    }

    #[test]
    fn another_class_is_no_answer_except_where_rounding_decides() {
        let mut expected = expected();
        let mut found = expected.answers.clone();
        // The second picture's two best logits are equal.
        found[4] = 0.250_01;
        let agreement = expected.compare(&found, Answers::LogitsAndProbabilities, 1e-5).unwrap();
        assert_eq!((agreement.pictures, agreement.ties), (2, 1));
        assert!(agreement.to_string().contains("1 of another class"), "{agreement}");
        // Farther apart, and all the same within 1e-5 of the largest output.
        expected.answers[1] = -2000.0;
        found[1] = -2000.0;
        (expected.answers[3], expected.logits[3], found[3]) = (0.251, 0.251, 0.2515);
        found[4] = 0.26;
        let (picture, complaint) =
            expected.compare(&found, Answers::LogitsAndProbabilities, 1e-5).unwrap_err();
        assert_eq!((picture, &*complaint), (1, "expected class 0, found 1"));
    }
}
