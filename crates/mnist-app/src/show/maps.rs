//! What each layer makes of a picture.

use std::fmt::Write as _;

use layers::{Mode, Network};
use tensor::Element;

use super::{Room, counted, legend};
use crate::escape::Escape;
use crate::evaluation::report::percent_of;
use crate::kernels::kernels;
use crate::memory;
use crate::model::Model;
use crate::model::chosen::ChosenPicture;
use crate::passes::{Passes, Stage};
use crate::picture::Scale;
use crate::picture::terminal::{Terminal, beside};

/// A picture, what a network of a model answers to it, and the planes that its layers make of it,
/// as many as stand side by side.
///
/// # Errors
/// If there is too little memory.
pub(crate) fn text<T: Element>(
    (model, index): (&Model, usize),
    (picture, of): (&ChosenPicture, &str),
    terminal: Terminal,
) -> anyhow::Result<String> {
    let saved = &model.networks()[index];
    let network = saved.network_as::<T>()?;
    let bytes = network.spec().footprint::<T>()?.inspection(1);
    memory::require("--what maps", bytes, "choose other sections with --what")?;
    let input = picture.input::<T>();
    let mut passes = Passes::new(&network, &input, Mode::Inference);
    passes.forward();

    let classes = model.classes();
    let name = |label: usize| classes.name(label).escaped();
    let outputs: Vec<_> = passes.output().iter().map(|output| output.to_f64()).collect();
    let known = picture.label.map(|label| format!(", which shows {}", name(label.into())));
    let mut text = terminal.line(&format!("feature maps, {of}{}", legend(terminal))) + "\n";
    let heading = format!(
        "{}{}: {}",
        picture.name,
        known.unwrap_or_default(),
        answer(&saved.probabilities(&outputs), name)
    );
    text += &terminal.line(&heading);
    let [_, _, width] = picture.shape;
    let room = Room::for_samples(terminal, width);
    text += &beside(&[terminal.sample(picture.shape, &picture.pixels, room.width)]);
    text.push('\n');
    let all: Vec<_> = passes.stages().iter().filter_map(of_planes).collect();
    let shown = telling(&network, &all, terminal.lines);
    // The lines of a screen are shared by the layers.
    let lines = (terminal.lines / shown.len().max(1)).max(9) - 2;
    for &(stage, [maps, height, width]) in &shown {
        let plane = height * width;
        let numbers = &stage.run.output[..];
        let scale = Scale::of(numbers);
        // Not the whole room for a few numbers.
        let room = Terminal { lines, ..terminal }.fitting([height, width], room.width);
        let room = Room::of(terminal, room.min(2 * width));
        let drawn = room.count.min(maps);
        let draw = |map: usize| {
            terminal.signed([height, width], &numbers[map * plane..][..plane], (scale, room.width))
        };
        let first = match drawn < maps {
            true => format!("the first {drawn} of {maps} maps"),
            false => counted(maps, "map"),
        };
        let summary = stage.layer.spec.summary();
        let index = stage.layer.index;
        let line = format!("layer {index}, {summary}: {first} of {height}×{width}, {scale}");
        text += &terminal.line(&line);
        text += &beside(&(0..drawn).map(draw).collect::<Vec<_>>());
        text.push('\n');
    }
    if shown.len() < all.len() {
        let rest = counted(all.len() - shown.len(), "more layer");
        text +=
            &terminal.line(&format!("and {rest}, between these, for which more lines are needed"));
        text.push('\n');
    }
    Ok(text)
}

/// A layer and the number, height and width of its planes.
type Planes<'a, T> = (&'a Stage<'a, T>, [usize; 3]);

fn of_planes<'a, T: Element>(stage: &'a Stage<'a, T>) -> Option<Planes<'a, T>> {
    Some((stage, stage.layer.layer.output_shape().dims().try_into().ok()?))
}

/// All layers, if a screen has room for them; else those whose planes go into a convolution, and the
/// last one.
fn telling<'a, T: Element>(
    network: &Network<T>,
    all: &[Planes<'a, T>],
    lines: usize,
) -> Vec<Planes<'a, T>> {
    /// Of a row of planes, with what is said of it.
    const FEWEST: usize = 6;
    if all.len() <= lines / FEWEST {
        return all.to_vec();
    }
    let convolutions: Vec<_> = kernels(network).into_iter().map(|of| of.layer.0).collect();
    let last = all.last().map(|(stage, _)| stage.layer.index);
    let is_telling = |index: usize| convolutions.contains(&(index + 1)) || last == Some(index);
    all.iter().copied().filter(|(stage, _)| is_telling(stage.layer.index)).collect()
}

/// The most probable classes.
fn answer(probabilities: &[f64], name: impl Fn(usize) -> String) -> String {
    const MOST: usize = 3;
    if probabilities.iter().any(|probability| !probability.is_finite()) {
        return "no answer, as the outputs are not finite".into();
    }
    let mut order: Vec<_> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let mut text = String::from("answer ");
    for (place, &label) in order.iter().take(MOST).enumerate() {
        let before = if place == 0 { "" } else { ", " };
        let _ = write!(text, "{before}{} ({})", name(label), percent_of(probabilities[label]));
    }
    text
}
