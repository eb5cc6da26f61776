//! Error messages whose length is bounded.

/// The parts joined by semicolons: at most 20 of them, and the number of the others; long parts are
/// cut.
pub(crate) fn listed(parts: &[String]) -> String {
    const MOST: usize = 20;
    let shown: Vec<_> = parts.iter().take(MOST).map(|part| shortened(part)).collect();
    let rest = parts.len().saturating_sub(MOST);
    let rest = if rest == 0 { String::new() } else { format!("; and {rest} more") };
    shown.join("; ") + &rest
}

/// The text on one line, cut after 300 characters.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    let (text, rest) = match text.char_indices().nth(MOST) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    };
    text.replace('\n', "\\n") + rest
}

#[cfg(test)]
mod tests {
    use super::{listed, shortened};

    #[test]
    fn many_parts_are_counted_and_long_ones_cut() {
        let parts = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&parts(3)), "0; 1; 2");
        assert!(listed(&parts(20)).ends_with("; 19"));
        assert!(listed(&parts(300_000)).ends_with("; 19; and 299980 more"));
        assert_eq!(shortened(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(shortened(&"é".repeat(301)), "é".repeat(300) + "…");
        assert_eq!(shortened("a\nb"), "a\\nb");
    }
}
