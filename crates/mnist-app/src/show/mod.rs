//! What `show` prints, a section a file: each makes the text of about a screen.

pub(crate) mod curves;
pub(crate) mod input;
pub(crate) mod kernels;
pub(crate) mod maps;
pub(crate) mod mistakes;
mod plot;
pub(crate) mod samples;

use crate::picture::terminal::{Colours, GAP, SIGNED_LEGEND, Terminal};

/// Room for pictures: how many columns each has, and how many stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    width: usize,
    count: usize,
}

impl Room {
    /// For pictures of samples with so many pixels in a row, and words below them: at least five of
    /// them side by side, three of what takes more pixels to be known, or is drawn in characters.
    fn for_samples(terminal: Terminal, pixels: usize) -> Self {
        const SMALL: usize = 40;
        /// No need for more columns than this.
        const ENOUGH: usize = 28;
        let is_plain = terminal.colours == Colours::None;
        let count = if is_plain || pixels > SMALL { 3 } else { 5 };
        let most = ((terminal.columns + GAP) / count).saturating_sub(GAP).max(1);
        Self::of(terminal, most.min(pixels.max(ENOUGH)))
    }

    /// For pictures that take so many columns each.
    fn of(terminal: Terminal, width: usize) -> Self {
        let count = ((terminal.columns + GAP) / (width + GAP)).max(1);
        Self { width: width.min(terminal.columns), count }
    }
}

/// What the colours or characters of signed numbers mean.
fn legend(terminal: Terminal) -> &'static str {
    match terminal.colours {
        Colours::None => SIGNED_LEGEND,
        _ => "blue below 0, white at 0, red above",
    }
}

/// `1 kernel`, `2 kernels`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::Room;
    use crate::picture::terminal::{Colours, Terminal};

    #[test]
    fn pictures_are_as_wide_as_several_of_them_can_be() {
        let room = |colours, columns, width| {
            let room = Room::for_samples(Terminal { colours, columns, lines: 40 }, width);
            (room.width, room.count)
        };
        assert_eq!(room(Colours::Full, 79, 28), (14, 5));
        assert_eq!(room(Colours::Full, 159, 28), (28, 5));
        assert_eq!(room(Colours::Full, 199, 8), (28, 6));
        assert_eq!(room(Colours::Full, 79, 224), (25, 3));
        assert_eq!(room(Colours::None, 79, 28), (25, 3));
        assert_eq!(room(Colours::None, 20, 28), (5, 3));
    }
}
