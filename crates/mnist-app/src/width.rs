//! Texts within the width of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The most characters of a line.
pub(crate) const WIDTH: usize = 79;

/// A text, cut to at most `width` characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The columns that a text takes in a terminal.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// A text, cut to at most `most` columns.
pub(crate) fn cut_columns(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.width().unwrap_or_default();
        taken < most
    };
    let cut: String = text.chars().take_while(fits).collect();
    if most == 0 { cut } else { cut + "…" }
}

/// A line, broken between words where it is longer than [`WIDTH`]; what follows is indented. A
/// word that is longer by itself, such as a path, stays whole.
pub(crate) fn wrap(line: &str) -> String {
    wrap_within(line, WIDTH)
}

/// The same where a line is longer than `width`.
pub(crate) fn wrap_within(line: &str, width: usize) -> String {
    const INDENT: &str = "    ";
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let (mut wrapped, mut taken) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        if taken > INDENT.len() && taken + word.trim_end().chars().count() > width {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            wrapped.push_str(INDENT);
            taken = INDENT.len();
        }
        wrapped.push_str(word);
        taken += word.chars().count();
    }
    wrapped
}

/// A text whose lines are wrapped, each with a line break at its end.
pub(crate) fn wrap_lines(text: &str) -> String {
    text.lines().map(|line| wrap(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, cut, wrap};

    #[test]
    fn long_lines_are_broken_between_words() {
        let line = "word ".repeat(40);
        let wrapped = wrap(&line);
        assert!(wrapped.lines().all(|line| line.chars().count() <= WIDTH), "{wrapped}");
        assert_eq!(wrapped.lines().count(), 3);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&wrapped), words(&line));
        let long = "x".repeat(100);
        assert_eq!(wrap(&format!("run: {long} y")), format!("run:\n    {long}\n    y"));
        assert_eq!(wrap("  short  as it is "), "  short  as it is ");
    }

    #[test]
    fn what_is_cut_ends_with_an_ellipsis() {
        assert_eq!(cut("ééé", 3), "ééé");
        assert_eq!(cut("éééé", 3), "éé…");
    }
}
