//! What a terminal can be shown of texts from elsewhere: names of files and classes,
//! descriptions, what a model's file says of itself.
//!
//! A terminal obeys control characters, and marks of direction make it show a name as
//! another one. They are printed as JSON escapes them, so that this holds for JSON as well:
//! what reads it gets the name as it is.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::ensure;

/// A name or another text from elsewhere that is shown on one line, whatever is in it and
/// however long it is.
pub trait Shown {
    /// The text with escapes in place of what would act on a terminal; of a long one the
    /// beginning, and how many characters follow.
    fn shown(&self) -> String;
}

impl Shown for str {
    fn shown(&self) -> String {
        let (start, rest) = beginning(self, MOST);
        one_line(start) + &rest
    }
}

impl Shown for Path {
    /// Bytes that are no UTF-8 are escaped as `\xff`.
    fn shown(&self) -> String {
        let mut text = String::new();
        for chunk in self.as_os_str().as_encoded_bytes().utf8_chunks() {
            text.push_str(&one_line(chunk.valid()));
            for byte in chunk.invalid() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        let (start, rest) = beginning(&text, MOST_OF_PATH);
        start.to_owned() + &rest
    }
}

/// Characters of a text that are shown.
const MOST: usize = 200;

/// Characters of a path that are shown: as many as a path can have that any system takes.
const MOST_OF_PATH: usize = 4096;

/// Characters of a line of a message: room for some paths.
const MOST_OF_LINE: usize = 20_000;

/// The beginning of a text, and how many characters follow if it is long.
fn beginning(text: &str, most: usize) -> (&str, String) {
    let Some((end, _)) = text.char_indices().nth(most) else { return (text, String::new()) };
    let (start, rest) = text.split_at(end);
    (start, format!("… ({} more characters)", rest.chars().count()))
}

/// A text in quotation marks, its beginning if it is long.
pub(crate) fn quoted(text: &str) -> String {
    let (start, rest) = beginning(text, MOST);
    format!("{start:?}{rest}")
}

/// A whole text on one line, with escapes in place of what would act on a terminal.
pub fn one_line(text: &str) -> String {
    escape(text, acts)
}

/// A message with the beginnings of those of its lines that are too long to be read.
pub(crate) fn bounded(text: &str) -> String {
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| {
            let (start, rest) = beginning(line, MOST_OF_LINE);
            start.to_owned() + &rest
        })
        .collect();
    lines.join("\n")
}

/// A text of several lines with escapes in place of all else that would act on a terminal.
pub fn printable(text: &str) -> String {
    escape(text, |c| c != '\n' && acts(c))
}

/// Refuses a path that cannot be written down; `place` is where it is from.
///
/// # Errors
/// If it is not in UTF-8.
pub fn require_utf8(place: &str, path: &Path) -> anyhow::Result<()> {
    ensure!(
        path.to_str().is_some(),
        "{place} {}: expected a path in UTF-8, which can be written down, found other bytes; \
         rename it",
        path.shown()
    );
    Ok(())
}

/// Whether a terminal does something else than to show this character.
fn acts(c: char) -> bool {
    let ends_a_line = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || ends_a_line || turns
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if !is_escaped(c) => escaped.push(c),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Shown, acts, bounded, printable, quoted};

    #[test]
    fn escapes_are_those_of_json() {
        let all: String = ('\0'..=char::MAX).filter(|&c| acts(c)).collect();
        assert_eq!(all.chars().count(), 65 + 3 + 5 + 4 + 2);
        let json = format!("\"{}\"", all.shown());
        assert!(json.is_ascii(), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), all);
    }

    #[test]
    fn of_long_texts_the_beginning_is_shown_and_the_rest_is_counted() {
        let long = |count| "é".repeat(count);
        assert_eq!(long(200).shown(), long(200));
        assert_eq!(long(202).shown(), long(200) + "… (2 more characters)");
        assert_eq!(quoted("a\n"), "\"a\\n\"");
        assert_eq!(quoted(&long(201)), format!("\"{}\"… (1 more characters)", long(200)));
        assert_eq!(Path::new(&long(4096)).shown(), long(4096));
        assert!(Path::new(&long(5000)).shown().ends_with("é… (904 more characters)"));
        let lines = bounded(&format!("a\n{}\nb\n", long(3_000_000)));
        assert!(lines.len() < 50_000 && lines.starts_with("a\né") && lines.ends_with(")\nb\n"));
    }

    #[test]
    fn all_else_is_as_it_was() {
        let text = "naïve 猫 \\n 👩‍🔬 ⋆ −ln p";
        assert_eq!(text.shown(), text);
        assert_eq!("a\nb\tc".shown(), "a\\nb\\tc");
        assert_eq!(printable("a\nb\tc\u{202e}"), "a\nb\\tc\\u202e");
    }
}
