use std::io::Write;
use std::time::Instant;

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{AFTER_HELP, CommandLine};
use crate::console::Console;

/// Prints the manual page
///
/// `mnist-app manual | man -l -` shows it.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {}

pub(super) fn run(_: &Flags, _: Instant) -> anyhow::Result<()> {
    Console::default().print(String::from_utf8_lossy(&page()?))
}

/// One page for all commands: a section for each.
fn page() -> std::io::Result<Vec<u8>> {
    let mut program = CommandLine::command();
    program.build();
    let mut page = Vec::new();
    let whole = Man::new(program.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    for command in program.get_subcommands() {
        let title = format!("mnist-app {}", command.get_name()).to_uppercase();
        writeln!(page, ".SH \"{title}\"")?;
        let about = command.get_long_about().or(command.get_about());
        writeln!(page, "{}", about.map(ToString::to_string).unwrap_or_default())?;
        let mut options = Vec::new();
        Man::new(command.clone()).render_options_section(&mut options)?;
        // A command's options stand below its own title.
        let options = String::from_utf8_lossy(&options);
        let below = options.split_once(".SH OPTIONS\n").map_or(&*options, |(_, below)| below);
        page.extend(below.replace(".SH ", ".SS ").into_bytes());
    }
    page.extend(sections(AFTER_HELP).into_bytes());
    whole.render_version_section(&mut page)?;
    Ok(page)
}

/// The sections of a text: `Title:`, then lines with a term, two spaces or more and what it means,
/// which goes on in lines that are indented further.
fn sections(text: &str) -> String {
    let mut page = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let line = line.replace('-', "\\-");
        if let Some(title) = line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            page.push_str(&format!(".SH \"{}\"\n", title.to_uppercase()));
            continue;
        }
        let entry = line.strip_prefix("  ").unwrap_or(&line);
        match entry.split_once("  ").filter(|_| !entry.starts_with(' ')) {
            Some((term, meaning)) => {
                page.push_str(&format!(".TP\n\\fB{term}\\fR\n{}\n", meaning.trim()));
            }
            None => page.push_str(&format!("{}\n", entry.trim())),
        }
    }
    page
}
