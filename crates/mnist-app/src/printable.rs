//! What a terminal can be shown of texts from elsewhere: names of files and classes,
//! descriptions, what a model's file says of itself.
//!
//! A terminal obeys control characters, and marks of direction make it show a name as
//! another one. They are printed as JSON escapes them, so that this holds for JSON as well:
//! what reads it gets the name as it is.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::ensure;

/// A name that is shown on one line, whatever is in it.
pub trait Shown {
    /// The name with escapes in place of what would act on a terminal.
    fn shown(&self) -> String;
}

impl Shown for str {
    fn shown(&self) -> String {
        escape(self, acts)
    }
}

impl Shown for Path {
    /// Bytes that are no UTF-8 are escaped as `\xff`.
    fn shown(&self) -> String {
        let mut text = String::new();
        for chunk in self.as_os_str().as_encoded_bytes().utf8_chunks() {
            text.push_str(&chunk.valid().shown());
            for byte in chunk.invalid() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    }
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
    use super::{Shown, acts, printable};

    #[test]
    fn escapes_are_those_of_json() {
        let all: String = ('\0'..=char::MAX).filter(|&c| acts(c)).collect();
        assert_eq!(all.chars().count(), 65 + 3 + 5 + 4 + 2);
        let json = format!("\"{}\"", all.shown());
        assert!(json.is_ascii(), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), all);
    }

    #[test]
    fn all_else_is_as_it_was() {
        let text = "naïve 猫 \\n 👩‍🔬 ⋆ −ln p";
        assert_eq!(text.shown(), text);
        assert_eq!("a\nb\tc".shown(), "a\\nb\\tc");
        assert_eq!(printable("a\nb\tc\u{202e}"), "a\nb\\tc\\u202e");
    }
}
