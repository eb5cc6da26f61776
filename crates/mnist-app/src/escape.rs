//! Texts that do not come from this program, escaped so that they cannot act on a terminal: names
//! of files and classes, descriptions, the metadata of a model.
//!
//! A terminal obeys control characters, and marks of direction make it display a name as another
//! one. They are escaped as in JSON, so that a reader of JSON output gets the name as it is.

use std::fmt::Write as _;
use std::path::Path;

/// A text that is printed on one line, whatever it contains and however long it is.
pub trait Escape {
    /// The text, with escapes for whatever would act on a terminal. A long one is cut, with the
    /// number of characters that are left out.
    fn escaped(&self) -> String;
}

impl Escape for str {
    fn escaped(&self) -> String {
        let (start, rest) = beginning(self, MOST);
        escape_line(start) + &rest
    }
}

impl Escape for Path {
    /// Bytes that are no UTF-8 are escaped as `\xff`.
    fn escaped(&self) -> String {
        let mut text = String::new();
        for chunk in self.as_os_str().as_encoded_bytes().utf8_chunks() {
            text.push_str(&escape_line(chunk.valid()));
            for byte in chunk.invalid() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        let (start, rest) = beginning(&text, MOST_OF_PATH);
        start.to_owned() + &rest
    }
}

/// The most characters of a text.
const MOST: usize = 200;

/// The most characters of a path: as many as any system allows.
const MOST_OF_PATH: usize = 4096;

/// The most characters of a line of a message: room for some paths.
const MOST_OF_LINE: usize = 20_000;

/// The beginning of a text, and how many characters follow if it is long.
fn beginning(text: &str, most: usize) -> (&str, String) {
    let Some((end, _)) = text.char_indices().nth(most) else { return (text, String::new()) };
    let (start, rest) = text.split_at(end);
    (start, format!("… ({} more characters)", rest.chars().count()))
}

/// A path as a word of a command line.
pub(crate) fn shell_word(path: &Path) -> String {
    let path = path.escaped();
    let is_plain = |c: char| c.is_alphanumeric() || "_-./\\+,=:@%".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// A text in quotation marks, cut if it is long.
pub(crate) fn quoted(text: &str) -> String {
    let (start, rest) = beginning(text, MOST);
    format!("{start:?}{rest}")
}

/// A whole text on one line, with escapes for whatever would act on a terminal.
pub fn escape_line(text: &str) -> String {
    escape(text, acts)
}

/// A message whose lines are cut where they are too long to be read.
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

/// A text of several lines, with escapes for everything else that would act on a terminal.
pub fn escape_lines(text: &str) -> String {
    escape(text, |c| c != '\n' && acts(c))
}

/// Whether a terminal does anything but display this character.
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

    use super::{Escape, acts, bounded, escape_lines, quoted, shell_word};

    #[test]
    fn paths_are_words() {
        for (path, expected) in [("runs/a-1", "runs/a-1"), ("my run's", r"'my run'\''s'")] {
            assert_eq!(shell_word(Path::new(path)), expected);
        }
    }

    #[test]
    fn escapes_are_those_of_json() {
        let all: String = ('\0'..=char::MAX).filter(|&c| acts(c)).collect();
        assert_eq!(all.chars().count(), 65 + 3 + 5 + 4 + 2);
        let json = format!("\"{}\"", all.escaped());
        assert!(json.is_ascii(), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), all);
    }

    #[test]
    fn of_long_texts_the_beginning_is_shown_and_the_rest_is_counted() {
        let long = |count| "é".repeat(count);
        assert_eq!(long(200).escaped(), long(200));
        assert_eq!(long(202).escaped(), long(200) + "… (2 more characters)");
        assert_eq!(quoted("a\n"), "\"a\\n\"");
        assert_eq!(quoted(&long(201)), format!("\"{}\"… (1 more characters)", long(200)));
        assert_eq!(Path::new(&long(4096)).escaped(), long(4096));
        assert!(Path::new(&long(5000)).escaped().ends_with("é… (904 more characters)"));
        let lines = bounded(&format!("a\n{}\nb\n", long(3_000_000)));
        assert!(lines.len() < 50_000 && lines.starts_with("a\né") && lines.ends_with(")\nb\n"));
    }

    #[test]
    fn all_else_is_as_it_was() {
        let text = "naïve 猫 \\n 👩‍🔬 ⋆ −ln p";
        assert_eq!(text.escaped(), text);
        assert_eq!("a\nb\tc".escaped(), "a\\nb\\tc");
        assert_eq!(escape_lines("a\nb\tc\u{202e}"), "a\nb\\tc\\u202e");
    }
}
