//! What is wrong with an experiment's text, and where, in the terms of the file.

use std::fmt::{self, Display, Write as _};
use std::ops::Range;

use serde::de::{self, Expected, Unexpected};

use crate::escape::escape_line;

/// Why a text is no experiment. Prints as `, line 4: epochs: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl ParseError {
    /// For a text that is not TOML.
    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let message = in_plain_words(text, error);
        // The parser gives no position for a key of too many parts.
        let is_deep = |line: &str| line.matches('.').count() >= DEEPEST;
        let line = match error.span() {
            Some(span) => Some(line_at(text, span.start)),
            None => text.lines().position(is_deep),
        };
        let Some(line) = line else { return Self(format!(": {message}")) };
        let content = text.lines().nth(line).unwrap_or_default();
        Self(format!(", line {}, {}: {message}", line + 1, cut(content, MOST_FOUND)))
    }

    /// For something that begins at this byte.
    pub(super) fn at(text: &str, start: usize, message: &str) -> Self {
        Self(format!(", line {}: {message}", line_at(text, start) + 1))
    }

    pub(super) fn new(text: &str, complaint: &Complaint) -> Self {
        let message = complaint.message(text);
        match &complaint.span {
            Some(span) => Self::at(text, span.start, &message),
            None => Self(format!(": {message}")),
        }
    }
}

impl Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

/// The number of lines that end before this byte.
pub(crate) fn line_at(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

/// An error of deserialization, and the place that it is about.
#[derive(Debug)]
pub(super) struct Complaint {
    /// From the inside out.
    path: Vec<Step>,
    /// The span of the value, or of the key if the key is wrong.
    span: Option<Range<usize>>,
    what: What,
}

/// A step from a table or list to something in it, with the `type` of what it leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// To the value of a key.
    Key { name: String, kind: Option<String> },
    /// To an item, counted from 0.
    Item { place: usize, kind: Option<String> },
}

impl Step {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Key { name, .. } => Some(name),
            Self::Item { .. } => None,
        }
    }
}

#[derive(Debug)]
enum What {
    /// What was expected instead.
    Expected(String),
    /// The names that were expected, and the one that was found.
    Choice(&'static [&'static str], Option<String>),
    /// The key that was found, and those that there are.
    UnknownKey(String, &'static [&'static str]),
    MissingKey(&'static str),
    /// A message that says what was expected and found.
    Said(String),
}

/// The most characters of a value in a message.
const MOST_FOUND: usize = 80;

/// The most characters of a key in a message.
const MOST_KEY: usize = 40;

/// The most characters of a message of serde or the TOML parser.
const MOST_MESSAGE: usize = 300;

/// The deepest nesting that the parser accepts.
const DEEPEST: usize = 80;

/// The most names in a list.
const MOST_NAMES: usize = 32;

/// The similarity of two names, from 0 to 1, from which one may have been meant by the other.
const ALIKE: f64 = 0.8;

impl Complaint {
    fn new(what: What) -> Self {
        Self { path: Vec::new(), span: None, what }
    }

    pub(super) fn expected(what: &str) -> Self {
        Self::new(What::Expected(what.to_owned()))
    }

    pub(super) fn choice(names: &'static [&'static str], found: Option<&str>) -> Self {
        Self::new(What::Choice(names, found.map(str::to_owned)))
    }

    /// The same complaint, about something that this step leads to, at this span.
    pub(super) fn below(mut self, step: Step, span: Range<usize>) -> Self {
        self.path.push(step);
        self.span.get_or_insert(span);
        self
    }

    /// Adds the span of an unknown key; `place` finds the keys of the table.
    pub(super) fn of_table(&mut self, place: impl Fn(&str) -> Option<Range<usize>>) {
        if let (None, What::UnknownKey(key, _)) = (&self.span, &self.what) {
            self.span = place(key);
        }
    }

    /// The message without the line.
    fn message(&self, text: &str) -> String {
        let place = self.place();
        match &self.what {
            What::Expected(expected) => {
                format!("{place}expected {expected}, found {}", self.found(text))
            }
            What::Choice(names, found) => {
                let meant = found.as_deref().and_then(|found| meant(found, names));
                let (names, found) = (list(names), self.found(text));
                format!(
                    "{place}expected one of {names}, found {found}{}",
                    meant.unwrap_or_default()
                )
            }
            What::UnknownKey(key, known) => {
                let meant = meant(key, known).unwrap_or_default();
                let (key, owner, known) = (cut(key, MOST_KEY), self.owner(), list(known));
                format!("{place}{key}: no such key; {owner} takes {known}{meant}")
            }
            What::MissingKey(key) => format!("{place}expected the key {key}, found none"),
            What::Said(said) => format!("{place}{}", cut(said, MOST_MESSAGE)),
        }
    }

    /// `layer 2 ("conv2d"): size: `, or nothing for the whole text.
    fn place(&self) -> String {
        let mut place = String::new();
        let mut steps = self.path.iter().rev().peekable();
        while let Some(step) = steps.next() {
            let _ = match step {
                Step::Key { name, .. } => match (name.as_str(), steps.peek()) {
                    ("layers", Some(Step::Item { place: number, kind })) => {
                        steps.next();
                        let kind =
                            kind.as_ref().map(|kind| format!(" ({:?})", cut(kind, MOST_KEY)));
                        write!(place, "layer {number}{}: ", kind.unwrap_or_default())
                    }
                    ("network", Some(Step::Item { place: number, .. })) => {
                        steps.next();
                        write!(place, "network {}: ", number + 1)
                    }
                    ("network", Some(Step::Key { .. })) => Ok(()),
                    (name, Some(Step::Key { .. })) => write!(place, "{}.", cut(name, MOST_KEY)),
                    (name, _) => write!(place, "{}: ", cut(name, MOST_KEY)),
                },
                Step::Item { place: number, .. } => write!(place, "item {number}: "),
            };
        }
        place
    }

    /// What the keys belong to.
    fn owner(&self) -> String {
        match self.path.first() {
            Some(Step::Key { kind: Some(kind), .. } | Step::Item { kind: Some(kind), .. }) => {
                cut(kind, MOST_KEY)
            }
            // An item of a list goes by the list's name.
            Some(_) => self
                .path
                .iter()
                .find_map(Step::name)
                .map_or_else(String::new, |name| cut(name, MOST_KEY)),
            None => "an experiment".into(),
        }
    }

    /// What the text has there.
    fn found(&self, text: &str) -> String {
        let found = self.span.clone().and_then(|span| text.get(span));
        cut(found.unwrap_or("something else"), MOST_FOUND)
    }
}

/// The first names, and how many more there are.
fn list(names: &[&str]) -> String {
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 if names.is_empty() => "none".into(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `; did you mean "conv2d"?`, if one of the names is similar to what was found.
fn meant(found: &str, names: &[&str]) -> Option<String> {
    if found.len() > MOST_KEY {
        return None;
    }
    // `ReLU`, `Conv2D` and `LeakyReLU` differ from the names only in case and underscores.
    let plain = |name: &str| name.replace(['_', '-', ' '], "").to_lowercase();
    let found = plain(found);
    let alike = names.iter().map(|name| (strsim::jaro(&found, &plain(name)), name));
    let (alike, name) = alike.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (alike > ALIKE).then(|| format!("; did you mean {name:?}?"))
}

/// What is wrong with a text that is not TOML; in other words where the parser's own would not
/// help.
fn in_plain_words(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    if message.contains("recurs") {
        return format!(
            "expected tables and lists at most {DEEPEST} deep in one another, found more"
        );
    }
    let word = error.span().and_then(|span| text.get(span.start..)).unwrap_or_default();
    let word = word.lines().next().unwrap_or_default().trim();
    let is_key = word.contains(['=', '[']);
    if message.contains("boolean") && !is_key && word.starts_with(char::is_alphabetic) {
        let word = cut(word, MOST_KEY);
        return format!("expected a number, true, false or a text in quotes, found {word}");
    }
    cut(message, MOST_MESSAGE)
}

/// The text on one line, escaped, and cut to `most` characters.
fn cut(text: &str, most: usize) -> String {
    let words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
    let mut characters = words.flat_map(str::chars);
    let mut shown = escape_line(&characters.by_ref().take(most).collect::<String>());
    if characters.next().is_some() {
        let _ = write!(shown, "… ({} characters)", text.chars().count());
    }
    shown
}

/// What serde's visitors say they expect, in plain words.
fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" => "a whole number from 0 on",
        "a nonzero usize" => "a whole number from 1 on",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a name in quotes",
        "path string" => "a path in quotes",
        "a sequence" => "a list in brackets",
        other => other,
    }
}

impl std::error::Error for Complaint {}

/// Without its line, for which the text is needed.
impl Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(""))
    }
}

impl de::Error for Complaint {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(What::Said(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(in_words(&expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::expected(in_words(&expected.to_string()))
    }

    fn unknown_variant(name: &str, names: &'static [&'static str]) -> Self {
        Self::choice(names, Some(name))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey(key.to_owned(), known))
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::MissingKey(key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use toml::de::DeTable;

    use super::{Complaint, MOST_FOUND, ParseError, What};
    use crate::experiment::{Experiment, deserializer};

    /// What is wrong with a text, of which there must be something; and as it is printed.
    #[track_caller]
    fn complaint(text: &str) -> (Complaint, String) {
        let tree = DeTable::parse(text).unwrap();
        let read: Result<Experiment, _> = deserializer::read(&tree);
        let complaint = read.expect_err(text);
        let message = ParseError::new(text, &complaint).to_string();
        (complaint, message)
    }

    /// Walks through all tables that an experiment can hold, as the complaints about wrong keys
    /// and types name them.
    #[derive(Default)]
    struct Walk {
        /// The tables' keys and types.
        seen: Vec<String>,
        /// All keys.
        keys: HashSet<&'static str>,
    }

    impl Walk {
        /// A table, as the text around what it holds.
        fn table(&mut self, depth: usize, around: &dyn Fn(&str) -> String) {
            let text = around("\nforeign = 1");
            let (complaint, message) = complaint(&text);
            let line = text[..text.find("foreign").unwrap()].matches('\n').count() + 1;
            assert!(message.starts_with(&format!(", line {line}: ")), "{text}: {message}");
            assert!(message.contains("foreign: no such key; "), "{text}: {message}");
            let What::UnknownKey(_, known) = complaint.what else { panic!("{text}: {message}") };
            self.keys.extend(known);
            for &key in known {
                self.key(depth, key, &|value| around(&format!("{key} = {value}")));
            }
        }

        /// What a key may be set to: tables, or lists of tables.
        fn key(&mut self, depth: usize, key: &str, set: &dyn Fn(&str) -> String) {
            wrong_values(set);
            let forms: [&dyn Fn(&str) -> String; 2] =
                [&|inside| set(&format!("{{ {inside} }}")), &|inside| {
                    set(&format!("[{{ {inside} }}]"))
                }];
            for around in forms {
                match complaint(&around("foreign = 1")).0.what {
                    What::UnknownKey(..) => {
                        self.seen.push(key.into());
                        self.table(depth, around);
                    }
                    What::MissingKey("type") => self.types(depth, around),
                    What::Expected(_) | What::Choice(..) => {}
                    other => panic!("{key}: {other:?}"),
                }
            }
        }

        fn types(&mut self, depth: usize, around: &dyn Fn(&str) -> String) {
            wrong_values(&|value| around(&format!("type = {value}")));
            let (complaint, message) = complaint(&around("type = \"foreign\""));
            let What::Choice(types, _) = complaint.what else { panic!("{message}") };
            assert!(message.contains("type: expected one of ") && message.contains(types[0]));
            for kind in types {
                self.seen.push((*kind).into());
                // Layers in layers in layers are as layers in layers.
                if depth < 2 {
                    let of_type = |inside: &str| around(&format!("type = \"{kind}\", {inside}"));
                    self.table(depth + 1, &of_type);
                }
            }
        }
    }

    /// What is wrong with wrong values is said in the file's words, with what is there.
    fn wrong_values(set: &dyn Fn(&str) -> String) {
        for value in
            ["\"foreign\"", "3", "-3", "0", "3.5", "nan", "1e999", "true", "[]", "[true]", "{}"]
        {
            let text = set(value);
            let (complaint, message) = complaint(&text);
            for word in [
                "usize",
                "u64",
                "expected f64",
                "struct",
                "enum",
                "variant",
                "sequence",
                "invalid",
                "map",
                "untagged",
                "field",
                "boolean",
                "integer",
                "tuple",
                "string",
                "`",
            ] {
                assert!(!message.contains(word), "{text}: {message}");
            }
            if let What::Expected(_) | What::Choice(..) = complaint.what {
                assert!(message.contains("expected ") && message.contains(", found "), "{message}");
                assert!(message.contains(value) || value == "[true]", "{text}: {message}");
            }
        }
    }

    #[test]
    fn every_table_refuses_foreign_keys_and_says_so_in_its_own_words() {
        let mut walk = Walk::default();
        walk.table(0, &|inside| inside.trim_start().to_owned());
        for name in [
            "augmentation",
            "elastic",
            "network",
            "mean_squared_error",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "huber",
            "softmax_cross_entropy",
            "sgd",
            "adamw",
            "rmsprop",
            "lion",
            "constant",
            "one_cycle",
            "conv2d",
            "conv_transpose2d",
            "avg_pool2d",
            "group_norm",
            "elu",
            "relu",
            "flatten",
            "residual",
        ] {
            assert!(walk.seen.iter().any(|seen| seen == name), "{name} not in {:?}", walk.seen);
        }
        let page = include_str!("../../../../docs/settings.md");
        for name in walk.keys.iter().copied().chain(walk.seen.iter().map(String::as_str)) {
            assert!(page.contains(&format!("`{name}`")), "{name}: not in docs/settings.md");
        }
        // One list of layers stands in a network and in a residual block, both in one network
        // or in several.
        assert!(walk.seen.iter().filter(|&seen| seen == "relu").count() >= 4, "{:?}", walk.seen);
    }

    #[test]
    fn complaints_name_line_layer_and_key() {
        let layers = |layer: &str| {
            format!(
                "[network]\ninput = [4]\nlayers = [\n    {{ type = \"relu\" }},\n    {layer},\n]"
            )
        };
        for (text, expected) in [
            (
                layers("{ type = \"conv2d\", kernals = 6, size = 3 }"),
                ", line 5: layer 1 (\"conv2d\"): kernals: no such key; conv2d takes kernels, size, \
                 padding, stride, dilation, groups, bias, initial_bias; did you mean \"kernels\"?",
            ),
            (
                layers("{ type = \"conv2d\", kernels = 6, size = \"big\" }"),
                ", line 5: layer 1 (\"conv2d\"): size: expected a whole number, or [height, \
                 width], found \"big\"",
            ),
            (
                layers("{ kernels = 6, size = [1, 2, 3], type = \"conv2d\" }"),
                ", line 5: layer 1 (\"conv2d\"): size: expected a whole number, or [height, \
                 width], found [1, 2, 3]",
            ),
            (
                layers("{ type = \"relu\", slope = 0.1 }"),
                ", line 5: layer 1 (\"relu\"): slope: no such key; relu takes none",
            ),
            (
                layers("{ type = \"dense\" }"),
                ", line 5: layer 1 (\"dense\"): expected the key outputs, found none",
            ),
            (
                "epochs = 3\npatience = 0".into(),
                ", line 2: patience: expected a whole number from 1 on, found 0",
            ),
            (
                "epochs = 3\npatience = \"x\"".into(),
                ", line 2: patience: expected a whole number from 1 on, found \"x\"",
            ),
            (
                "keep = \"worst\"".into(),
                ", line 1: keep: expected one of last, best, found \"worst\"",
            ),
            ("keep = true".into(), ", line 1: keep: expected one of last, best, found true"),
            (layers("{ outputs = 3 }"), ", line 5: layer 1: expected the key type, found none"),
            (
                layers(
                    "{ type = \"residual\", layers = [\n{ type = \"gelu\" },\n{ type = \"leaky_relu\", slope = -1 }] }",
                ),
                ", line 7: layer 1 (\"residual\"): layer 1 (\"leaky_relu\"): slope: expected a \
                 finite number of at least 0, found -1",
            ),
            (
                "[[network]]\ninput = [4]\nlayers = []\n[[network]]\ninput = [4, true]".into(),
                ", line 5: network 2: input: item 1: expected a whole number from 0 on, found true",
            ),
            (
                "[network.augmentation]\nelastic.cells = 99".into(),
                ", line 2: augmentation.elastic.cells: expected a number of cells from 1 to 16, \
                 found 99",
            ),
            (
                "optimizer = { type = \"sgd\", nesterov = true }".into(),
                ", line 1: optimizer: nesterov: expected a momentum above 0 beside it, such as \
                 0.9, found none",
            ),
            (
                "loss = { type = \"mean_squared_error\", wieght = 3 }".into(),
                ", line 1: loss: wieght: no such key; mean_squared_error takes none",
            ),
            (
                "seed = 9223372036854775808".into(),
                ", line 1: seed: expected a whole number that 64 bits can hold, found \
                 9223372036854775808",
            ),
        ] {
            assert_eq!(complaint(&text).1, expected);
        }
        let (_, kind) = complaint(&layers("{ type = \"convv\" }"));
        assert!(kind.starts_with(", line 5: layer 1 (\"convv\"): type: expected one of conv2d, "));
        assert!(kind.ends_with(", found \"convv\"; did you mean \"conv2d\"?"), "{kind}");
    }

    #[test]
    fn complaints_are_short_and_visible() {
        let long = "x".repeat(1_000_000);
        for text in [
            format!("name = \"/{long}\""),
            format!("{long} = 3"),
            format!("loss = \"{long}\""),
            format!("loss = {{ type = \"{long}\" }}"),
            format!("classes = [\"{long}\", \"{long}\"]"),
            format!("data = [ {} ]", "1, ".repeat(1_000_000)),
            format!("epochs = \"\u{202e}\\u0007{long}\""),
        ] {
            let (_, message) = complaint(&text);
            assert!(message.chars().count() < 900, "{}", message.chars().count());
            assert!(message.contains("… ("), "{message}");
            assert!(!message.contains(['\u{202e}', '\u{7}', '\n']), "{message}");
        }
        let (_, table) = complaint("epochs = [\n1,\n2\n]");
        assert!(table.ends_with("found [ 1, 2 ]"), "{table}");
        let syntax = Experiment::parse(&format!("epochs = = {long}")).unwrap_err().to_string();
        assert!(syntax.chars().count() < 400, "{syntax}");
        assert!(
            syntax.starts_with(&format!(", line 1, epochs = = {}… (", &long[..MOST_FOUND - 11]))
        );
    }
}
