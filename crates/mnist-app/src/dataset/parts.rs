//! The parts of a data set: those that it has, or shares of it.
//!
//! A share is chosen by a hash of each decoded picture. So pictures that are added move no other
//! one, and equal pictures are never on both sides.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use anyhow::{Context, ensure};
use layers::sha256_of;

use super::samples::{Part, Samples};
use crate::escape::Escape;
use crate::preprocessing::{Form, Raster};

/// The parts of a data set, with the same classes and the same shape of images.
pub struct Parts {
    /// What is learned from.
    pub train: Samples,
    /// What choices during training look at, if there is such a part.
    pub validation: Option<Samples>,
    /// What the result is measured on.
    pub test: Samples,
}

impl Parts {
    /// The same with the same classes in all parts, and notes on those that have no images.
    ///
    /// # Errors
    /// If a sample is of a class that is not for training, or of none in `names`.
    pub(super) fn of_classes(self, names: Option<&[String]>) -> anyhow::Result<Self> {
        let Self { train, validation, test } = self;
        let (mut train, mut validation, mut test) = if let Some(names) = names {
            let validation = validation.map(|part| part.named(names)).transpose()?;
            (train.named(names)?, validation, test.named(names)?)
        } else {
            let of = |part: Samples, classes: &Samples| part.relabelled(&classes.classes);
            let validation = validation.map(|part| of(part, &train)).transpose()?;
            let test = of(test, validation.as_ref().unwrap_or(&train))?;
            // Numbers are as many as the largest of any part says.
            let validation = validation.map(|part| of(part, &test)).transpose()?;
            (of(train, &test)?, validation, test)
        };
        let (learned, tested) = (train.used(), test.used());
        for (part, samples) in
            [(Part::Validation, validation.as_mut()), (Part::Test, Some(&mut test))]
        {
            if let Some(samples) = samples {
                samples.note_classes_without_images(part, |label| learned[label]);
            }
        }
        if train.is_share {
            train.note_classes_without_images(Part::Train, |label| tested[label]);
        }
        Ok(Self { train, validation, test })
    }

    /// Notes which images stand in two classes, or in two of the parts that were given: of shares each
    /// equal image is in one.
    pub(super) fn note_duplicates(&mut self, given: &[Part]) {
        let Self { train, validation, test, .. } = self;
        let known_train = known(train);
        let mut notes: Vec<_> = contradictions(train, &known_train).into_iter().collect();
        if given.contains(&Part::Test) {
            notes.extend(duplicates((train, &known_train), test, ["training", "test"]));
            if let Some(validation) = validation {
                let own = (&*validation, &known(validation));
                notes.extend(duplicates(own, test, ["validation", "test"]));
            }
        }
        if let (Some(validation), true) = (validation, given.contains(&Part::Validation)) {
            let names = ["training", "validation"];
            notes.extend(duplicates((train, &known_train), validation, names));
        }
        test.notes.append(&mut notes);
    }
}

/// The first 64 bits of the SHA-256 of a picture: of a line with its channels, height and width,
/// and its pixels `(H, W, C)`. A picture is the same whether it was stored with an alpha channel
/// that is opaque or not, and as grey or as three equal channels.
pub(super) fn fingerprint(picture: &Raster) -> u64 {
    let [channels, height, width] = picture.shape();
    let pixels = || picture.pixels.chunks_exact(channels);
    let is_opaque = channels % 2 == 0 && pixels().all(|pixel| pixel[channels - 1] == u8::MAX);
    let is_grey =
        channels >= 3 && pixels().all(|pixel| pixel[0] == pixel[1] && pixel[0] == pixel[2]);
    let kept: Vec<_> = (0..channels)
        .filter(|&channel| !(is_grey && matches!(channel, 1 | 2)))
        .filter(|&channel| !(is_opaque && channel == channels - 1))
        .collect();
    let head = format!("{} {height} {width}\n", kept.len());
    let digest = if kept.len() == channels {
        sha256_of(&[head.as_bytes(), &picture.pixels])
    } else {
        let reduced: Vec<_> =
            pixels().flat_map(|pixel| kept.iter().map(|&channel| pixel[channel])).collect();
        sha256_of(&[head.as_bytes(), &reduced])
    };
    digest.bytes().take(16).fold(0, |number, digit| {
        let digit = char::from(digit).to_digit(16).unwrap_or_default();
        number << 4 | u64::from(digit)
    })
}

/// The part that an image of data falls into that have the `given` parts.
fn part_of(fingerprint: u64, form: &Form, given: &[Part]) -> Part {
    // Of 53 bits, so that the number is exact.
    let place = (fingerprint >> 11) as f64 / (1_u64 << 53) as f64;
    let test = form.test.unwrap_or_default();
    let validation = form.validation.unwrap_or_default();
    // A test part that is given later moves nothing between training and validation.
    match place {
        _ if place < test && !given.contains(&Part::Test) => Part::Test,
        _ if place < test => Part::Train,
        _ if place < test + validation && !given.contains(&Part::Validation) => Part::Validation,
        _ => Part::Train,
    }
}

/// Whether a part of data that have the `given` parts is a share of others.
pub(super) fn is_share(part: Part, form: &Form, given: &[Part]) -> bool {
    let share = match part {
        Part::Train => None,
        Part::Validation => form.validation,
        Part::Test => form.test,
    };
    share.is_some() && !given.contains(&part)
}

impl Samples {
    /// The shares of these samples, for training, validation and testing; none is copied.
    ///
    /// # Errors
    /// If there are none for training, or none of a share that is asked for.
    pub(super) fn divided(mut self, form: &Form, given: &[Part]) -> anyhow::Result<[Self; 3]> {
        let prints = mem::take(&mut self.fingerprints);
        let parts: Vec<_> = prints.iter().map(|&print| part_of(print, form, given)).collect();
        let of_parts: [Vec<usize>; 3] = Part::ALL.map(|part| {
            let own = |&index: &usize| parts[index] == part;
            (0..parts.len()).filter(own).collect()
        });
        let counts = of_parts.each_ref().map(Vec::len);
        let are_equal = prints.len() > 1 && prints.windows(2).all(|pair| pair[0] == pair[1]);
        for (part, count) in Part::ALL.into_iter().zip(counts) {
            let all = self.len();
            ensure!(
                count > 0 || part != Part::Train && !is_share(part, form, given),
                "{}: expected at least one {} image by test = {} and validation = {} in [data], \
                 found none{}",
                self.place.images(),
                part.words(),
                form.test.unwrap_or_default(),
                form.validation.unwrap_or_default(),
                match are_equal {
                    true => format!(": all {all} images are equal; add others"),
                    false =>
                        format!(" among {all}; choose larger or smaller shares, or add images"),
                }
            );
        }
        let order = of_parts.concat();
        let pixels = self.pixels();
        let images = Arc::get_mut(&mut self.images).context("images in use")?;
        rearrange(images, pixels, &order);
        let (labels, files) = (mem::take(&mut self.labels), mem::take(&mut self.files));
        let mut notes = mem::take(&mut self.notes);
        let mut start = 0;
        let shares = of_parts.map(|own| {
            let mut share = Self {
                start,
                labels: own.iter().map(|&index| labels[index]).collect(),
                files: own.iter().filter_map(|&index| files.get(index).cloned()).collect(),
                is_share: true,
                ..self.clone()
            };
            share.set_digest();
            start += own.len();
            share
        });
        let [mut train, validation, test] = shares;
        let [for_training, for_validation, for_testing] = counts;
        let mut told = vec![format!("{for_training} to learn from")];
        if is_share(Part::Validation, form, given) {
            told.push(format!("{for_validation} for validation"));
        }
        if is_share(Part::Test, form, given) {
            told.push(format!("{for_testing} for testing"));
        }
        notes.insert(
            0,
            format!(
                "{}: {} images divided by a hash of each: {}",
                self.place.images(),
                order.len(),
                told.join(", ")
            ),
        );
        train.notes = notes;
        Ok([train, validation, test])
    }
}

/// Puts the chunk `order[i]` at the place `i`, for all, with room for one chunk.
fn rearrange(bytes: &mut [u8], chunk: usize, order: &[usize]) {
    let mut is_done = vec![false; order.len()];
    let mut first = vec![0; chunk];
    for begin in 0..order.len() {
        if is_done[begin] {
            continue;
        }
        first.copy_from_slice(&bytes[begin * chunk..][..chunk]);
        let mut at = begin;
        loop {
            is_done[at] = true;
            let from = order[at];
            if from == begin {
                bytes[at * chunk..][..chunk].copy_from_slice(&first);
                break;
            }
            bytes.copy_within(from * chunk..(from + 1) * chunk, at * chunk);
            at = from;
        }
    }
}

/// The first index of each image, by its pixels.
type Known<'a> = HashMap<&'a [u8], usize>;

fn known(samples: &Samples) -> Known<'_> {
    let mut known = HashMap::with_capacity(samples.len());
    for index in 0..samples.len() {
        known.entry(samples.image(index)).or_insert(index);
    }
    known
}

/// Which images have two classes, in a line that warns of it.
fn contradictions(samples: &Samples, known: &Known<'_>) -> Option<String> {
    let label = |index: usize| samples.labels[index];
    let labelled = |index: usize| {
        let class = samples.classes.name(usize::from(label(index)));
        format!("{} ({})", samples.name(index), class.escaped())
    };
    let twins = (0..samples.len()).map(|index| (known[samples.image(index)], index));
    let found: Vec<_> = twins.filter(|&(first, index)| label(first) != label(index)).collect();
    (!found.is_empty()).then(|| {
        format!(
            "warning: {} of {} training images are, pixel by pixel, images of another class too: {}",
            found.len(),
            samples.len(),
            listed(&found, |(first, index)| [labelled(first), labelled(index)])
        )
    })
}

/// Which images of `other` are `known` in `samples` too, pixel by pixel, in a line that warns of it;
/// `names` are the parts' in words.
fn duplicates(
    (samples, known): (&Samples, &Known<'_>),
    other: &Samples,
    [name, of_other]: [&str; 2],
) -> Option<String> {
    let found = (0..other.len()).filter_map(|index| Some((index, *known.get(other.image(index))?)));
    let found: Vec<_> = found.collect();
    (!found.is_empty()).then(|| {
        format!(
            "warning: {} of {} {of_other} images are {name} images too, equal in every pixel: {}",
            found.len(),
            other.len(),
            listed(&found, |(index, twin)| [other.name(index), samples.name(twin)])
        )
    })
}

/// The first pairs of equal images, and how many more there are.
fn listed(pairs: &[(usize, usize)], names: impl Fn((usize, usize)) -> [String; 2]) -> String {
    const MOST: usize = 3;
    let shown = pairs.iter().take(MOST).map(|&pair| names(pair).join(" = "));
    let mut text = shown.collect::<Vec<_>>().join("; ");
    let more = pairs.len().saturating_sub(MOST);
    if more > 0 {
        text += &format!("; and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, part_of, rearrange};
    use crate::dataset::Part;
    use crate::preprocessing::{Form, Raster};

    #[test]
    fn chunks_are_rearranged_as_the_order_says() {
        let bytes: Vec<u8> = (0..21).collect();
        for order in [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 1, 2, 6, 4, 5]] {
            let mut moved = bytes.clone();
            rearrange(&mut moved, 3, &order);
            let expected: Vec<_> =
                order.iter().flat_map(|&from| bytes[from * 3..][..3].to_vec()).collect();
            assert_eq!(moved, expected);
        }
    }

    #[test]
    fn a_picture_is_the_same_however_it_is_stored() {
        let raster = |channels, pixels: &[u8]| Raster {
            channels,
            height: 1,
            width: 2,
            pixels: pixels.to_vec(),
        };
        let grey = fingerprint(&raster(1, &[5, 9]));
        for same in [
            raster(2, &[5, 255, 9, 255]),
            raster(3, &[5, 5, 5, 9, 9, 9]),
            raster(4, &[5, 5, 5, 255, 9, 9, 9, 255]),
        ] {
            assert_eq!(fingerprint(&same), grey);
        }
        for other in [
            raster(1, &[9, 5]),
            raster(2, &[5, 255, 9, 254]),
            raster(3, &[5, 5, 5, 9, 9, 8]),
            Raster { channels: 1, height: 2, width: 1, pixels: vec![5, 9] },
        ] {
            assert_ne!(fingerprint(&other), grey);
        }
        // The first 16 digits of `printf '1 1 2\n\005\011' | sha256sum`.
        assert_eq!(grey, SUM);
    }

    const SUM: u64 = 0xe344_ecad_75b7_0358;

    #[test]
    fn shares_are_intervals_and_a_part_that_is_given_takes_nothing() {
        let form = Form { test: Some(0.2), validation: Some(0.1), ..Form::default() };
        let count = |form: &Form, given: &[Part], part| {
            (0..1000).filter(|at| part_of(at * (u64::MAX / 1000), form, given) == part).count()
        };
        let none = Form::default();
        assert_eq!(count(&none, &[], Part::Train), 1000);
        let [train, validation, test] = Part::ALL.map(|part| count(&form, &[], part));
        assert!(train.abs_diff(700) < 3 && validation.abs_diff(100) < 3 && test.abs_diff(200) < 3);
        let given = [Part::Train, Part::Test];
        let [train, _, test] = Part::ALL.map(|part| count(&form, &given, part));
        assert_eq!((train, test), (1000 - validation, 0));
    }
}
