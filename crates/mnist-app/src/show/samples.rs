//! Images of each class.

use super::{Room, counted};
use crate::dataset::{Part, Samples, size_text};
use crate::escape::Escape;
use crate::picture::terminal::{Drawn, Terminal, beside};

/// The most images of a class.
const MOST: usize = 5;
/// Of more classes than this the images are small: so many columns wide.
const MANY: usize = 20;
const NARROW: usize = 10;
const WIDE: usize = 14;

/// The first images of each class of the first part, below its name and how many images of it there
/// are in each part.
pub(crate) fn text(source: &str, parts: &[(Part, &Samples)], terminal: Terminal) -> String {
    let first = parts[0].1;
    let classes = first.classes();
    let counts: Vec<_> = parts.iter().map(|(_, samples)| samples.of_each_class()).collect();
    let all = parts.iter().map(|(_, samples)| samples.len()).sum();
    let own: Vec<_> = parts
        .iter()
        .map(|(part, samples)| match part {
            Part::Train => format!("{} for training", samples.len()),
            Part::Validation => format!("{} for validation", samples.len()),
            Part::Test => format!("{} for testing", samples.len()),
        })
        .collect();
    let own = match own.as_slice() {
        [first, second] => format!("{first} and {second}"),
        _ => own.join(", "),
    };
    let heading =
        format!("{source}: {} of {}, {own}", counted(all, "image"), size_text(first.shape()));
    let mut text = terminal.line(&heading) + "\n";
    let [_, width] = first.size();
    let room = match classes.count() {
        ..=MANY => Room::for_samples(terminal, width),
        _ => Room::of(terminal, width.clamp(NARROW, WIDE)),
    };
    let shown = |label: usize, most: usize| -> Vec<Drawn> {
        let own = |index: &usize| usize::from(first.labels()[*index]) == label;
        let images = (0..first.len()).filter(own).take(most);
        images.map(|index| terminal.sample(first.shape(), first.image(index), room.width)).collect()
    };
    // Of other images as many lines as of this one.
    let lines = shown(usize::from(first.labels()[0]), 1)[0].lines.len().max(1);
    let free = terminal.lines.saturating_sub(4);
    let blocks = classes.count().div_ceil(room.count);
    let shown_blocks = blocks.min((free / (lines + 3)).max(1));
    let each = ((free / shown_blocks).saturating_sub(2) / (lines + 1)).clamp(1, MOST);
    let labels: Vec<_> = (0..classes.count()).collect();
    for block in labels.chunks(room.count).take(shown_blocks) {
        let stack = |&label: &usize| {
            let images = shown(label, each);
            let drawn_width = terminal.fitting(first.size(), room.width);
            let gap = " ".repeat(drawn_width);
            let images: Vec<_> = images.into_iter().map(|image| image.lines).collect();
            let lines = images.join(&gap);
            let counts: Vec<_> = counts.iter().map(|counts| counts[label].to_string()).collect();
            Drawn { width: drawn_width, lines }
                .captioned(&counts.join(" + "), room.width)
                .captioned(&classes.name(label).escaped(), room.width)
                .padded(room.width)
        };
        text += &beside(&block.iter().map(stack).collect::<Vec<_>>());
        text.push('\n');
    }
    let left = classes.count().saturating_sub(shown_blocks * room.count);
    if left > 0 {
        text += &terminal.line(&format!("and {left} more, for which more lines are needed"));
        text.push('\n');
    }
    text
}
