//! The most confident mistakes.

use super::{Room, counted};
use crate::dataset::Samples;
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::report::percent_of;
use crate::model::Model;
use crate::picture::terminal::{Terminal, beside};

/// The most confident mistakes of a model on test images, as many as there is room for.
pub(crate) fn text(
    evaluation: &Evaluation,
    (model, samples): (&Model, &Samples),
    terminal: Terminal,
) -> String {
    let mistakes = evaluation.mistakes(model.outputs(), samples);
    let of_all = format!("of {}", counted(samples.len(), "test image"));
    let vote = match model.networks().len() {
        1 => String::new(),
        members => format!(", by the vote of {members}"),
    };
    let mut text = String::new();
    if let Some((first, count)) = evaluation.unanswered() {
        text += &terminal.line(&format!(
            "no answer to {count} {of_all}, first to test:{first}: the outputs are not finite"
        ));
    }
    if mistakes.is_empty() {
        return text + &terminal.line(&format!("mistakes: none {of_all}{vote}")) + "\n";
    }
    let [_, width] = samples.size();
    let room = Room::for_samples(terminal, width);
    let classes = samples.classes();
    let name = |label: u8| classes.name(label.into()).escaped();
    let lines = terminal.sample(samples.shape(), samples.image(0), room.width).lines.len();
    let rows = (terminal.lines.saturating_sub(4) / (lines + 4)).max(1);
    let shown = mistakes.len().min(rows * room.count);
    let which = match shown == mistakes.len() {
        true => format!("all {shown}"),
        false => format!("the {shown} most confident of {}", mistakes.len()),
    };
    text += &terminal.line(&format!(
        "mistakes: {which} {of_all}{vote}: what each shows, what it was taken for, and how surely"
    ));
    text.push('\n');
    for row in mistakes[..shown].chunks(room.count) {
        let tile = |mistake: &crate::evaluation::mistakes::Mistake| {
            let image = samples.image(mistake.index);
            let as_what = format!("{} as {}", name(mistake.label), name(mistake.predicted));
            terminal
                .sample(samples.shape(), image, room.width)
                .captioned(&percent_of(mistake.probability), room.width)
                .captioned(&as_what, room.width)
                .captioned(&format!("test:{}", mistake.index), room.width)
                .padded(room.width)
        };
        text += &beside(&row.iter().map(tile).collect::<Vec<_>>());
        text.push('\n');
    }
    text
}
