//! Usage errors, in one line each.

use std::fmt;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

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
    /// The error of clap about a command's arguments, in one line.
    pub(crate) fn new(error: &clap::Error, of: &Command) -> Self {
        let command = of.get_bin_name().unwrap_or(of.get_name());
        let parts = ErrorParts(error);
        let flag = parts.flag();
        let complaint = match error.kind() {
            ErrorKind::InvalidSubcommand => format!(
                "expected a command, found {:?}{}",
                parts.text(ContextKind::InvalidSubcommand),
                parts.meant(ContextKind::SuggestedSubcommand)
            ),
            ErrorKind::UnknownArgument if flag.starts_with('-') => format!(
                "{flag}: no such flag of {command}{}",
                parts.meant(ContextKind::SuggestedArg)
            ),
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
                format!(
                    "{flag}: expected {expected}, found {found}{}",
                    parts.meant(ContextKind::SuggestedValue)
                )
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
        if let Some(ContextValue::Strings(words)) = self.0.get(ContextKind::ValidValue)
            && !words.is_empty()
        {
            return format!("one of {}", words.join(", "));
        }
        let argument = self.text(ContextKind::InvalidArg);
        let is_path = ["<DIR>", "<FILE>"].iter().any(|name| argument.contains(name));
        let expected = if is_path { "a path" } else { "a value" };
        let source = std::error::Error::source(self.0);
        source.map_or_else(|| expected.into(), ToString::to_string)
    }

    /// `; did you mean --seed?`
    fn meant(&self, kind: ContextKind) -> String {
        let words = match self.0.get(kind) {
            Some(ContextValue::String(word)) => word.clone(),
            Some(ContextValue::Strings(words)) => words.join(" or "),
            _ => return String::new(),
        };
        if words.is_empty() { words } else { format!("; did you mean {words}?") }
    }
}

/// `; MODEL: a model.safetensors or the folder of a run`, for each of a command's arguments that is
/// missing.
fn explained(of: &Command, missing: &str) -> String {
    let mut text = String::new();
    for argument in of.get_positionals() {
        let name = argument.get_value_names().and_then(|names| names.first());
        let name = name.map(clap::builder::Str::as_str).unwrap_or_default();
        if let Some(help) = argument.get_help().filter(|_| missing.split(' ').any(|m| m == name)) {
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
