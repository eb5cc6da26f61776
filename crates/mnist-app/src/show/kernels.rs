//! The kernels of each convolution.

use std::fmt::Write as _;

use tensor::Element;

use super::{Room, counted, legend};
use crate::kernels::{Kernels, kernels};
use crate::model::Model;
use crate::picture::Scale;
use crate::picture::terminal::{Drawn, GAP, Terminal, beside};

/// Kernels of a network of a model, as many as there is room for; `of` says which network.
///
/// # Errors
/// If there is too little memory for the network.
pub(crate) fn text<T: Element>(
    (model, network): (&Model, usize),
    of: &str,
    terminal: Terminal,
) -> anyhow::Result<String> {
    let network = model.networks()[network].network_as::<T>()?;
    let all = kernels(&network);
    if all.is_empty() {
        return Ok("kernels: none, as there is no convolution\n\n".into());
    }
    let mut text = terminal.line(&format!("kernels, {of}{}", legend(terminal))) + "\n";
    let lines = (terminal.lines / all.len()).max(10);
    for of_layer in &all {
        text += &one_layer(of_layer, terminal, lines);
    }
    Ok(text)
}

/// The kernels of a convolution: rows of them, if each has one channel; else a row for each, with
/// its channels side by side.
fn one_layer<T: Element>(kernels: &Kernels<'_, T>, terminal: Terminal, lines: usize) -> String {
    /// The columns of a kernel's number, which with this are a square of half a line.
    const COLUMNS: usize = 2;
    const WIDE: usize = 8;
    let Kernels { name, layer: (index, summary), shape: [count, channels, height, width], .. } =
        kernels;
    let scale = Scale::of(kernels.numbers);
    let columns = if *width > WIDE { *width } else { COLUMNS * *width };
    let draw = |place: [usize; 2], caption: Option<String>| {
        let drawn = terminal.signed([*height, *width], kernels.one(place), (scale, columns));
        caption.map_or(drawn.clone(), |caption| drawn.captioned(&caption, columns))
    };
    let label_width = count.to_string().len();
    let side = if *channels > 1 { label_width + GAP } else { 0 };
    let inner = Terminal { columns: terminal.columns.saturating_sub(side).max(1), ..terminal };
    let room = Room::of(inner, columns);
    let high = draw([0, 0], None).lines.len() + 1;
    let rows = ((lines.saturating_sub(2)) / (high + usize::from(*channels == 1))).max(1);
    let (mut rows_text, shown) =
        (String::new(), if *channels == 1 { rows * room.count } else { rows });
    let shown = shown.min(*count);
    if *channels == 1 {
        let places: Vec<_> = (0..shown).collect();
        for row in places.chunks(room.count) {
            let row = row.iter().map(|&kernel| draw([kernel, 0], Some(kernel.to_string())));
            rows_text += &beside(&row.collect::<Vec<_>>());
            rows_text.push('\n');
        }
    } else {
        for kernel in 0..shown {
            let label = Drawn::text(&format!("{kernel:>label_width$}"));
            let row = (0..room.count.min(*channels)).map(|channel| draw([kernel, channel], None));
            rows_text += &beside(&std::iter::once(label).chain(row).collect::<Vec<_>>());
            rows_text.push('\n');
        }
    }
    let mut heading = format!("layer {index}, {summary}, {name}: {scale}; ");
    heading += &part_of(shown, *count, "kernel");
    if *channels > 1 {
        let _ = write!(heading, ", in each {}", part_of(room.count, *channels, "channel"));
    }
    terminal.line(&heading) + &rows_text
}

/// `6 kernels`, or `the first 6 of 32 kernels`.
fn part_of(shown: usize, count: usize, what: &str) -> String {
    match shown < count {
        true => format!("the first {shown} of {}", counted(count, what)),
        false => counted(count, what),
    }
}
