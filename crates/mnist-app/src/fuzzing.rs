//! The readers of all that comes from outside, over bytes, for the fuzz targets in `fuzz/` and for
//! the test that replays what these have found. Public for them alone: a fuzzer that had to write a
//! file for each of its inputs would be ten times as slow, and would not reach readers that are
//! private.
//!
//! Each takes any bytes, and panics only if the program has a fault. Besides, it checks what can be
//! said of any input: that what was read is what it says to be, and that a complaint can be shown
//! on a terminal.

use std::io::Cursor;

use anyhow::ensure;
use layers::NetworkSpec;

use crate::arrays::npz::Archive;
use crate::arrays::{self, Labelled, Pictures};
use crate::dataset::Part;
use crate::experiment::build::{self, Batches};
use crate::experiment::{Experiment, Origin, Precision};
use crate::input::Input;
use crate::model::SavedNetwork;
use crate::preprocessing::{Preprocessing, Raster, Resizer, Style};
use crate::weights_file::WeightsFile;
use crate::{idx, run_folder, train};

/// Reads any bytes.
type Read = fn(&[u8]);

/// The targets by their names, which are those of the folders in `fuzz/corpus`.
pub const TARGETS: [(&str, Read); 8] = [
    ("checkpoint", checkpoint),
    ("csv", csv),
    ("experiment", experiment),
    ("idx", idx),
    ("model", model),
    ("npz", npz),
    ("picture", picture),
    ("records", records),
];

/// The most bytes of the networks of an experiment: larger ones are read, but not built, since
/// what they take is bounded by the memory of the machine.
const MOST_BYTES: u64 = 4 << 20;

/// The most parameters that are drawn.
const MOST_DRAWN: usize = 1 << 14;

/// The most numbers of an image. A folder's are all as large as its first one.
const MOST_NUMBERS: usize = 1 << 20;

/// How many images an experiment trains on.
const SAMPLES: usize = 100;

/// A table of pictures, gzipped or not.
pub fn csv(bytes: &[u8]) {
    for size in [None, Some([2, 3])] {
        if let Some(table) = told(arrays::csv::read(bytes, size)) {
            check_arrays(&table);
        }
    }
}

/// An archive of arrays.
pub fn npz(bytes: &[u8]) {
    let Some(mut archive) = told(Archive::open(Cursor::new(bytes))) else { return };
    told(archive.given());
    for part in Part::ALL.map(Some).into_iter().chain([None]) {
        let shape = told(archive.shape(part));
        if let Some(part) = told(archive.read(part)) {
            assert_eq!(shape, Some(part.pictures.shape));
            check_arrays(&part);
        }
    }
    let arrays = told(archive.pictures(&mut Vec::new()));
    for (_, pictures) in arrays.into_iter().flatten() {
        check_pictures(&pictures);
    }
}

fn check_pictures(pictures: &Pictures) {
    assert!(!pictures.is_empty());
    assert_eq!(pictures.planes.len(), pictures.len() * pictures.shape.iter().product::<usize>());
}

fn check_arrays(Labelled { pictures, labels, .. }: &Labelled) {
    check_pictures(pictures);
    if let Some(labels) = labels {
        assert_eq!(labels.places().len(), pictures.len());
        assert!(labels.places().iter().all(|&place| usize::from(place) < labels.words().len()));
    }
}

/// An IDX file of images or of labels, gzipped or not.
pub fn idx(bytes: &[u8]) {
    for ranks in [&[1, 2][..], &[3, 4]] {
        if let Some(idx) = told(idx::decode(bytes, ranks)) {
            assert!(ranks.contains(&idx.axes.len()), "{:?}", idx.axes);
            assert_eq!(idx.axes.iter().product::<usize>(), idx.bytes.len());
        }
    }
}

/// A picture in any format, brought to a small size, and as one of digits.
pub fn picture(bytes: &[u8]) {
    let read = || {
        let shape = Raster::shape_of(bytes)?;
        ensure!(shape.iter().product::<usize>() <= MOST_NUMBERS, "expected a small picture");
        let raster = Raster::decode(bytes)?;
        let plain = Preprocessing::plain(shape);
        let preprocessing = Preprocessing { size: [8, 9], ..plain };
        let mut planes = vec![0; preprocessing.shape().iter().product()];
        let mut resizer = Resizer::default();
        preprocessing.apply(raster.clone(), &mut planes, &mut resizer)?;
        let digits = Preprocessing { style: Style::Digit, ..preprocessing };
        digits.apply(raster.clone(), &mut planes, &mut resizer)?;
        digits.split(raster, &mut resizer)
    };
    told(read());
}

/// A model with its metadata.
pub fn model(bytes: &[u8]) {
    let read = || SavedNetwork::of(WeightsFile::of(Input::of_bytes(bytes))?, None);
    told(read());
}

/// An experiment, whose networks are built, and drawn, unless they are large.
pub fn experiment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = Experiment::parse(text);
    let Some(experiment) = told(parsed.map_err(Into::into)) else { return };
    let written = experiment.to_toml().expect("what was read can be written");
    assert_eq!(Experiment::parse(&written), Ok(experiment.clone()), "{written}");
    if fits(&experiment) {
        told(match experiment.precision {
            Precision::F32 => built::<f32>(&experiment),
            Precision::F64 => built::<f64>(&experiment),
        });
    }
}

/// A checkpoint, with the right checksum.
pub fn checkpoint(bytes: &[u8]) {
    told(train::checkpoint_of_bytes(bytes, SAMPLES, fits));
}

/// The texts of a run: `metrics.jsonl`, `summary.json`, `failure.json`.
pub fn records(bytes: &[u8]) {
    let (summary, last) = run_folder::end_of_bytes(bytes);
    told(summary);
    told(last);
    if let Ok(text) = std::str::from_utf8(bytes) {
        for read in train::records_of_bytes(text) {
            told(read);
        }
    }
}

/// What was read; a complaint must be a text that can be shown.
fn told<V>(read: anyhow::Result<V>) -> Option<V> {
    let complain = |error| {
        let text = format!("{error:#}");
        assert!(!text.is_empty() && text.len() < 10_000, "{} bytes: {text:?}", text.len());
    };
    read.map_err(complain).ok()
}

/// Whether the networks of an experiment and a training of them take little memory.
fn fits(experiment: &Experiment) -> bool {
    let config = build::trainer_config(experiment, SAMPLES);
    let footprints = experiment.networks.all().iter().map(NetworkSpec::footprint::<f64>);
    // One that does not fit together takes none.
    let bytes = footprints.flatten().map(|footprint| footprint.training(&config, 1));
    bytes.fold(0, u64::saturating_add) <= MOST_BYTES
}

fn built<T: tensor::Element>(experiment: &Experiment) -> anyhow::Result<()> {
    let origin = Origin::preset("experiment");
    let mut networks = build::networks::<T>(experiment, &origin)?;
    build::check(experiment, &origin, &networks, Batches::of(experiment, SAMPLES))?;
    for network in networks.iter_mut().filter(|n| n.parameters().len() <= MOST_DRAWN) {
        network.initialize(experiment.init, experiment.seed);
        assert!(network.parameters().iter().all(|number| number.is_finite()));
    }
    Ok(())
}
