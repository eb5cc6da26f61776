//! A picture as a network sees it.

use super::Room;
use crate::picture::terminal::{Colours, Terminal, beside};

/// The input of a network, `(C, H, W)`, one column or more for each pixel where there is room.
pub(crate) fn text(shape: [usize; 3], planes: &[u8], terminal: Terminal) -> String {
    // A character is twice as high as it is wide.
    let each = if terminal.colours == Colours::None { 2 } else { 1 };
    let Room { width, .. } = Room::of(terminal, each * shape[2]);
    beside(&[terminal.sample(shape, planes, width)])
}
