//! Images of each class.

use super::{Room, counted};
use crate::dataset::{Samples, size_text};
use crate::escape::Escape;
use crate::picture::terminal::{Drawn, Terminal, beside};

/// The most images of a class.
const MOST: usize = 5;
/// Of more classes than this the images are small: so many columns wide.
const MANY: usize = 20;
const NARROW: usize = 10;
const WIDE: usize = 14;

/// The first training images of each class, below its name and how many images of it there are for
/// training and for testing.
pub(crate) fn text(source: &str, [train, test]: [&Samples; 2], terminal: Terminal) -> String {
    let classes = train.classes();
    let counts = [train, test].map(Samples::of_each_class);
    let heading = format!(
        "{source}: {} of {}, {} for training and {} for testing",
        counted(train.len() + test.len(), "image"),
        size_text(train.shape()),
        train.len(),
        test.len()
    );
    let mut text = terminal.line(&heading) + "\n";
    let [_, width] = train.size();
    let room = match classes.count() {
        ..=MANY => Room::for_samples(terminal, width),
        _ => Room::of(terminal, width.clamp(NARROW, WIDE)),
    };
    let shown = |label: usize, most: usize| -> Vec<Drawn> {
        let own = |index: &usize| usize::from(train.labels()[*index]) == label;
        let images = (0..train.len()).filter(own).take(most);
        images.map(|index| terminal.sample(train.shape(), train.image(index), room.width)).collect()
    };
    // Of other images as many lines as of this one.
    let lines = shown(usize::from(train.labels()[0]), 1)[0].lines.len().max(1);
    let free = terminal.lines.saturating_sub(4);
    let blocks = classes.count().div_ceil(room.count);
    let shown_blocks = blocks.min((free / (lines + 3)).max(1));
    let each = ((free / shown_blocks).saturating_sub(2) / (lines + 1)).clamp(1, MOST);
    let labels: Vec<_> = (0..classes.count()).collect();
    for block in labels.chunks(room.count).take(shown_blocks) {
        let stack = |&label: &usize| {
            let images = shown(label, each);
            let drawn_width = terminal.fitting(train.size(), room.width);
            let gap = " ".repeat(drawn_width);
            let images: Vec<_> = images.into_iter().map(|image| image.lines).collect();
            let lines = images.join(&gap);
            let [of_train, of_test] = counts.each_ref().map(|counts| counts[label]);
            Drawn { width: drawn_width, lines }
                .captioned(&format!("{of_train} + {of_test}"), room.width)
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
