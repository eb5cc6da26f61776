//! Usage errors, in one line each.

use std::any::TypeId;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::escape::Escape;

/// A usage error: the program ends with exit status 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl Usage {
    /// The error of clap about a command's arguments, in one line; `words` are the whole command
    /// line.
    pub(crate) fn new(error: &clap::Error, of: &Command, words: &[OsString]) -> Self {
        let command = of.get_bin_name().unwrap_or(of.get_name());
        let parts = ErrorParts(error);
        let flag = parts.flag();
        let takes_none = of.get_positionals().next().is_none();
        let complaint = match error.kind() {
            ErrorKind::UnknownArgument if takes_none && words.iter().any(|word| word == "--") => {
                format!("{command}: expected nothing after --, found {flag:?}; leave out the --")
            }
            ErrorKind::InvalidSubcommand => {
                let found = parts.text(ContextKind::InvalidSubcommand);
                let names = of.get_subcommands().map(Command::get_name);
                format!("expected a command, found {found:?}{}", meant(&found, names))
            }
            ErrorKind::UnknownArgument if flag.starts_with('-') => {
                let flag = as_typed(&flag, words);
                let names: Vec<_> = of.get_arguments().filter_map(Arg::get_long).collect();
                let names: Vec<_> = names.iter().map(|name| format!("--{name}")).collect();
                let typed = format!("--{}", flag.trim_start_matches('-'));
                let meant = meant(&typed, names.iter().map(String::as_str));
                format!("{flag}: no such flag of {command}{meant}")
            }
            ErrorKind::InvalidUtf8 => {
                let (place, found) = not_utf8(of, words).unwrap_or_default();
                let place = if place.is_empty() { command } else { &place };
                format!("{place}: expected UTF-8, found \"{found}\"")
            }
            ErrorKind::UnknownArgument => {
                format!("{command}: expected a flag, found {flag:?}")
            }
            ErrorKind::ArgumentConflict => {
                let other = name(&parts.text(ContextKind::PriorArg));
                if other == flag || other.is_empty() {
                    format!("{flag}: expected at most once, found more often")
                } else {
                    format!("{flag}: expected either {other} or {flag}, found both")
                }
            }
            ErrorKind::TooManyValues => {
                format!("{flag}: expected no value, found {:?}", parts.value())
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                let expected = parts.expected();
                let found = parts.value();
                let found = if found.is_empty() { "nothing".into() } else { format!("{found:?}") };
                let meant = meant(&parts.value(), parts.valid_values().iter().map(String::as_str));
                format!("{flag}: expected {expected}, found {found}{meant}")
            }
            ErrorKind::WrongNumberOfValues => format!(
                "{flag}: expected {} of them, found {}",
                parts.text(ContextKind::ExpectedNumValues),
                parts.text(ContextKind::ActualNumValues)
            ),
            ErrorKind::MissingRequiredArgument => {
                let found = if flag == "B" { "only A" } else { "nothing" };
                format!("{command}: expected {flag}, found {found}{}", explained(of, &flag))
            }
            _ => first_line(error),
        };
        match complaint.ends_with('?') {
            true => Self(complaint),
            false => Self(format!("{complaint}; see {command} --help")),
        }
    }
}

/// The parts of an error of clap.
struct ErrorParts<'a>(&'a clap::Error);

impl ErrorParts<'_> {
    fn text(&self, kind: ContextKind) -> String {
        self.0.get(kind).map(ToString::to_string).unwrap_or_default()
    }

    /// The flag or argument that it is about, `--epochs`.
    fn flag(&self) -> String {
        match self.0.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(all)) => {
                all.iter().map(|one| name(one)).collect::<Vec<_>>().join(" and ")
            }
            Some(other) => name(&other.to_string()),
            None => String::new(),
        }
    }

    fn value(&self) -> String {
        self.text(ContextKind::InvalidValue)
    }

    /// What the value should have been: one of a few words, or what the parser of the value says.
    fn expected(&self) -> String {
        let words = self.valid_values();
        if !words.is_empty() {
            return format!("one of {}", words.join(", "));
        }
        let argument = self.text(ContextKind::InvalidArg);
        let is_path = ["<DIR>", "<FILE>"].iter().any(|name| argument.contains(name));
        let expected = if is_path { "a path" } else { "a value" };
        let source = std::error::Error::source(self.0);
        source.map_or_else(|| expected.into(), ToString::to_string)
    }

    fn valid_values(&self) -> &[String] {
        match self.0.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(words)) => words,
            _ => &[],
        }
    }
}

/// `; did you mean --seed?`, if one of the words is almost what was found.
///
/// The suggestions of clap are not used: they are made of words that have little in common.
fn meant<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> String {
    let typed = found.to_lowercase();
    // A third of the letters may be wrong.
    let most = typed.trim_start_matches('-').chars().count().min(30) / 3;
    let each = words.map(|word| (distance(&typed, word), word));
    match each.filter(|&(distance, _)| distance <= most).min_by_key(|&(distance, _)| distance) {
        Some((_, word)) => format!("; did you mean {word}?"),
        None => String::new(),
    }
}

/// How many letters are to be added, removed, replaced or swapped with the next, to make one word
/// of the other.
fn distance(a: &str, b: &str) -> usize {
    // Words too long to be any of the program's need not be told apart.
    let [a, b] = [a, b].map(|word| word.chars().take(40).collect::<Vec<_>>());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// `-epochs`, of which clap names only `-e`.
fn as_typed(flag: &str, words: &[OsString]) -> String {
    let mut words = words.iter().filter_map(|word| word.to_str());
    let typed = words.find(|word| !flag.starts_with("--") && word.starts_with(flag));
    typed.and_then(|word| word.split('=').next()).unwrap_or(flag).to_owned()
}

/// The flag whose value is not UTF-8 but should be, and the value with its bytes escaped.
fn not_utf8(of: &Command, words: &[OsString]) -> Option<(String, String)> {
    let is_path = |flag: &str| {
        let flag = of.get_arguments().find(|arg| arg.get_long() == flag.strip_prefix("--"));
        flag.is_some_and(|arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>())
    };
    let previous = std::iter::once(None).chain(words.iter().map(Some));
    previous.zip(words).filter(|(_, word)| word.to_str().is_none()).find_map(|(previous, word)| {
        let found = Path::new(word).escaped();
        let (flag, found) = match found.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), value.to_owned()),
            _ => {
                let flag = previous.and_then(|word| word.to_str());
                let flag = flag.filter(|word| word.starts_with("--") && !word.contains('='));
                (flag.unwrap_or_default().to_owned(), found)
            }
        };
        (!is_path(&flag)).then_some((flag, found))
    })
}

/// `; MODEL: a model.safetensors or the folder of a run`, for each of a command's arguments that is
/// missing.
fn explained(of: &Command, missing: &str) -> String {
    let mut text = String::new();
    for argument in of.get_positionals() {
        let name = argument.get_value_names().and_then(|names| names.first());
        let name = name.map(clap::builder::Str::as_str).unwrap_or_default();
        let is_missing =
            missing.split(' ').any(|m| m == name) || missing == name.replace('|', " or ");
        if let Some(help) = argument.get_help().filter(|_| is_missing) {
            text.push_str(&format!("; {name}: {help}"));
        }
    }
    text
}

/// `--epochs` of `--epochs <N>`, `MODEL` of `<MODEL>...`, `MODEL or --preset` of
/// `<MODEL|--preset <NAME>>`.
fn name(argument: &str) -> String {
    let one = |argument: &str| {
        let word = argument.split([' ', '=']).next().unwrap_or_default();
        word.trim_matches(['<', '>', '[', ']', '.']).to_owned()
    };
    argument.split('|').map(one).collect::<Vec<_>>().join(" or ")
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
