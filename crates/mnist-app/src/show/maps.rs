//! What each layer makes of a picture.

use std::fmt::Write as _;

use layers::Mode;
use tensor::Element;

use super::{Room, counted, legend};
use crate::escape::Escape;
use crate::evaluation::report::percent_of;
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
    let planes = |stage: &Stage<'_, T>| -> Option<[usize; 3]> {
        stage.layer.layer.output_shape().dims().try_into().ok()
    };
    // The lines of a screen are shared by the layers.
    let rows = passes.stages().iter().filter(|stage| planes(stage).is_some()).count();
    let lines = (terminal.lines / rows.max(1)).max(9) - 2;
    for stage in passes.stages() {
        let Some([maps, height, width]) = planes(stage) else { continue };
        let plane = height * width;
        let numbers = &stage.run.output[..];
        let scale = Scale::of(numbers);
        // Not the whole room for a few numbers.
        let room = Terminal { lines, ..terminal }.fitting([height, width], room.width);
        let room = Room::of(terminal, room.min(2 * width));
        let shown = room.count.min(maps);
        let draw = |map: usize| {
            terminal.signed([height, width], &numbers[map * plane..][..plane], (scale, room.width))
        };
        let first = match shown < maps {
            true => format!("the first {shown} of {maps} maps"),
            false => counted(maps, "map"),
        };
        let summary = stage.layer.spec.summary();
        let index = stage.layer.index;
        let line = format!("layer {index}, {summary}: {first} of {height}×{width}, {scale}");
        text += &terminal.line(&line);
        text += &beside(&(0..shown).map(draw).collect::<Vec<_>>());
        text.push('\n');
    }
    Ok(text)
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
