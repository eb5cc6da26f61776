use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::process::{line, root};

const MOST_LINES: usize = 600;
const MOST_BYTES: u64 = 4 << 20;

/// Unfinished work, in two parts each so that this file does not contain it.
const UNFINISHED: [[&str; 2]; 3] = [["todo", "!("], ["unimplemented", "!("], ["#[", "ignore"]];

/// What a fuzzer wrote, as it wrote it.
const CORPORA: &str = "fuzz/corpus/";

/// What prints a path as it is, in two parts as well, and where names are escaped instead.
const RAW_PATH: [&str; 2] = [".dis", "play()"];
const ESCAPED: &str = "crates/mnist-app/src/";

/// Checks every file that is, or would be, in the repository.
pub fn check() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    let files = files()?;
    for name in &files {
        let path = root().join(name);
        // A file that was removed but not yet from the index.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.len() > MOST_BYTES && !name.starts_with("data/mnist/") {
            complaints.push(format!("{name}: more than {} MB", MOST_BYTES >> 20));
        } else if metadata.is_file() && !name.starts_with(CORPORA) {
            let bytes = std::fs::read(&path).with_context(|| name.clone())?;
            if let Ok(text) = String::from_utf8(bytes) {
                complaints.extend(complaints_of(name, &text));
            }
        }
    }
    if let Ok(readme) = std::fs::read_to_string(root().join("README.md")) {
        complaints.extend(missing_presets(&files, &readme));
    }
    if complaints.is_empty() {
        println!("{} files", files.len());
        return Ok(());
    }
    bail!("\n{}", complaints.join("\n"))
}

/// What git knows, and what it would if all were added.
pub(super) fn files() -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.current_dir(root()).output().with_context(|| line(&git))?;
    if !output.status.success() {
        bail!("{}: {}", line(&git), String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

fn complaints_of(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_rust = Path::new(name).extension().is_some_and(|extension| extension == "rs");
    if is_rust && text.lines().count() > MOST_LINES {
        complaints.push(format!("{name}: more than {MOST_LINES} lines"));
    }
    let is_data = Path::new(name).extension().is_some_and(|extension| extension == "json");
    if !text.is_empty() && !text.ends_with('\n') && !is_data {
        complaints.push(format!("{name}: no line feed at the end"));
    }
    for (index, content) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        if content.ends_with([' ', '\t']) {
            complaints.push(format!("{place}: white space at the end"));
        }
        let unfinished = UNFINISHED.iter().map(|parts| parts.concat());
        for word in unfinished.filter(|word| is_rust && content.contains(word)) {
            complaints.push(format!("{place}: {word}"));
        }
        let raw_path = RAW_PATH.concat();
        if name.starts_with(ESCAPED) && content.contains(&raw_path) {
            complaints.push(format!("{place}: expected .escaped(), found {raw_path}"));
        }
    }
    complaints
}

/// The presets that the README does not name.
fn missing_presets(files: &[String], readme: &str) -> Vec<String> {
    let presets = files
        .iter()
        .filter_map(|name| name.strip_prefix("crates/mnist-app/presets/")?.strip_suffix(".toml"));
    presets
        .filter(|preset| !readme.contains(&format!("`{preset}`")))
        .map(|preset| format!("README.md: expected to name the preset `{preset}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ESCAPED, MOST_LINES, RAW_PATH, UNFINISHED, complaints_of, missing_presets};

    #[test]
    fn each_rule_has_its_complaint() {
        assert_eq!(complaints_of("a.rs", "fn main() {}\n"), Vec::<String>::new());
        assert_eq!(complaints_of("a.md", "x"), ["a.md: no line feed at the end"]);
        assert_eq!(complaints_of("a.md", "x \n"), ["a.md:1: white space at the end"]);
        assert_eq!(complaints_of("a.rs", &"\n".repeat(MOST_LINES + 1)).len(), 1);
        for parts in UNFINISHED {
            assert_eq!(complaints_of("a.rs", &format!("\n{}\n", parts.concat())).len(), 1);
        }
        for (folder, expected) in [(ESCAPED, 1), ("xtask/src/", 0)] {
            let found =
                complaints_of(&format!("{folder}a.rs"), &format!("{}\n", RAW_PATH.concat()));
            assert_eq!(found.len(), expected, "{found:?}");
        }
    }

    #[test]
    fn presets_are_looked_for_by_their_exact_names() {
        let files = ["crates/mnist-app/presets/notebook.toml".to_owned()];
        assert_eq!(missing_presets(&files, "`notebook-tuned`").len(), 1);
        assert!(missing_presets(&files, "`notebook`").is_empty());
    }
}
