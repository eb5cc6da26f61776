//! The bar that shows how many pictures have been read, on a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::console;

/// From so many pictures on there is a bar.
const MANY: usize = 200;

/// A bar on standard error for so many pictures; hidden where there is no terminal, or the command
/// is quiet.
pub(super) fn loading_bar(pictures: usize) -> ProgressBar {
    if pictures < MANY || console::is_quiet() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "reading pictures [{bar:12}] {pos}/{len} {per_sec}, {eta} left";
    let bar = ProgressBar::new(pictures as u64);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
