//! What `verify` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::differences::Difference;
use crate::console::Console;
use crate::escape::Escape;
use crate::width::wrap;

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Claim {
    /// The receipt of a line of metrics, by what the line says.
    Line(usize),
    /// An epoch.
    Epoch(usize),
    /// The vote of so many members.
    VoteOf(usize),
    /// A file.
    File(&'static str),
}

/// What a claim is about: the receipt of a line and the numbers in it are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Line(usize),
    File(&'static str),
}

impl Claim {
    fn subject(self) -> Subject {
        match self {
            Self::Line(number) | Self::Epoch(number) | Self::VoteOf(number) => {
                Subject::Line(number)
            }
            Self::File(name) => Subject::File(name),
        }
    }
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    /// Of a committee.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<usize>,
    #[serde(flatten)]
    claim: Claim,
    agrees: bool,
    differences: &'a [Difference],
}

/// Prints what is found, and counts.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) console: Console,
    pub(super) json: bool,
    /// Whether only what differs is printed.
    pub(super) quiet: bool,
    /// The member that is checked, if any is.
    pub(super) member: Option<usize>,
    /// Whether each claim that was checked is true.
    agree: BTreeMap<(Option<usize>, Subject), bool>,
}

impl Findings {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, ..Self::default() }
    }

    /// How many claims were checked, and how many of them are not true.
    pub(super) fn counts(&self) -> [usize; 2] {
        [self.agree.len(), self.agree.values().filter(|&&agrees| !agrees).count()]
    }

    /// Tells whether a claim is true; `detail` is what it is about, in words.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub(super) fn tell(
        &mut self,
        claim: Claim,
        detail: &str,
        differences: &[Difference],
    ) -> anyhow::Result<()> {
        let agrees = differences.is_empty();
        *self.agree.entry((self.member, claim.subject())).or_insert(true) &= agrees;
        if self.json {
            let line = Line { member: self.member, claim, agrees, differences };
            return self.console.line(serde_json::to_string(&line)?);
        }
        if agrees && self.quiet {
            return Ok(());
        }
        let of = self.member.map(|number| format!("member {number}, ")).unwrap_or_default();
        let what = match claim {
            Claim::Line(number) => format!("receipt of line {number}"),
            Claim::Epoch(number) => format!("epoch {number}"),
            Claim::VoteOf(count) => format!("vote of {count}"),
            Claim::File(name) => name.to_owned(),
        };
        if agrees {
            return self.console.line(wrap(&format!("{of}{what}: agrees: {detail}")));
        }
        let mut text = format!("{of}{what}: differs\n");
        for Difference { key, claimed, found } in differences {
            let claimed = claimed.escaped();
            text += &format!("    {key}\n        claimed {claimed}\n        found   {found}\n");
        }
        self.console.print(text)
    }
}
