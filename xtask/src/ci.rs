//! `cargo xtask ci`: everything that must hold before a change is merged, cheapest first.
//!
//! Names of steps run these alone. Stops at the first failure and says which command it was.

mod dependent;
mod emulated;
mod pages;
mod tidy;
mod tools;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::process::{cargo, line, release, root, run as run_command, target};
use crate::{Usage, codegen};
use tools::tool;

/// Name, why it exists, and what it does.
type Step = (&'static str, &'static str, fn() -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("tidy", "house rules that no compiler knows", tidy::check),
    ("format", "one layout, so that a change shows only what it changes", format),
    ("clippy", "known mistakes, and the lints of Cargo.toml; also compiles every target", clippy),
    ("policy", "licences, sources and spelling, where cargo-deny and typos are installed", policy),
    ("docs", "links and examples in the documentation lead somewhere", docs),
    ("test", "the README's test command: unit, property, whole-program and doc tests", test),
    ("x86", "no instruction that an older processor lacks, where QEMU is installed", emulated::x86),
    ("neon", "the same bits on another instruction set, where QEMU is installed", emulated::neon),
    ("examples", "what a reader runs first must run", examples),
    ("dependent", "a program outside has not the workspace's profiles", dependent::check),
    ("release", "the program as users build it", build_release),
    ("benches", "benchmarks rot unless they are run: each once, results checked", benches),
    ("codegen", "no test sees a hot loop that lost its packed multiply-adds", codegen),
    (
        "pages",
        "what a browser makes of them, where Java, Node and Chromium are installed",
        pages::check,
    ),
    ("training", "two epochs on the real images end with a plausible accuracy", training),
];

/// Runs the steps of these names, or all if there is none.
pub fn run(names: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let known: Vec<_> = STEPS.iter().map(|(name, ..)| *name).collect();
    if let Some(name) = names.iter().find(|name| !known.iter().any(|known| known == name)) {
        let (known, name) = (known.join(", "), name.to_string_lossy());
        bail!(Usage(format!("ci: expected names of steps ({known}), found {name:?}")));
    }
    tools::full()?;
    let mut times = Vec::new();
    for (name, why, step) in STEPS {
        if !names.is_empty() && !names.iter().any(|chosen| chosen == name) {
            continue;
        }
        println!("\n=== {name}: {why}");
        let start = Instant::now();
        step().with_context(|| format!("ci: {name} failed"))?;
        times.push((name, start.elapsed().as_secs_f64()));
    }
    println!();
    for (name, seconds) in &times {
        println!("{name:<10}{seconds:>7.1} s");
    }
    let total: f64 = times.iter().map(|(_, seconds)| seconds).sum();
    println!("{:<10}{total:>7.1} s: {} of {} steps passed", "ci", times.len(), STEPS.len());
    Ok(ExitCode::SUCCESS)
}

fn format() -> anyhow::Result<()> {
    run_command(&mut cargo(&["fmt", "--all", "--check"]))?;
    // Cargo does not see the modules that a macro declares, as that of the commands does.
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.arg("--check").current_dir(root());
    let files = tidy::files()?;
    // Parts of files that `export` writes are no modules.
    let is_part = |name: &&String| name.contains("/export/code/rust/");
    let files = files.iter().filter(|name| name.ends_with(".rs") && !is_part(name));
    let status = rustfmt.args(files).status().context("rustfmt")?;
    ensure!(status.success(), "rustfmt $(git ls-files '*.rs') mends it");
    Ok(())
}

fn clippy() -> anyhow::Result<()> {
    run_command(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn policy() -> anyhow::Result<()> {
    if tool("cargo-deny", "cargo install --locked cargo-deny")? {
        let mut deny = Command::new("cargo-deny");
        // Without `advisories`, which are a download.
        deny.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
        run_command(deny.current_dir(root()))?;
    }
    if tool("typos", "pip install typos")? {
        run_command(Command::new("typos").current_dir(root()))?;
    }
    Ok(())
}

fn docs() -> anyhow::Result<()> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    run_command(doc.env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn test() -> anyhow::Result<()> {
    run_command(&mut cargo(&["test", "--workspace"]))
}

/// Runs each example as the step `test` has built it: for a package alone, cargo would build what it
/// depends on once more, with fewer features.
fn examples() -> anyhow::Result<()> {
    build_examples()?;
    for package in folder(&root().join("crates"))? {
        let examples = root().join("crates").join(&package).join("examples");
        if !examples.is_dir() {
            continue;
        }
        for file in folder(&examples)? {
            let is_folder = examples.join(&file).join("main.rs").is_file();
            if let Some(name) = file.strip_suffix(".rs").or(is_folder.then_some(&file)) {
                run_command(example(name)?.current_dir(root()))?;
            }
        }
    }
    Ok(())
}

/// With all tests, as the step `test` does: for examples alone, fewer features would be built anew.
fn build_examples() -> anyhow::Result<()> {
    run_command(&mut cargo(&["test", "--quiet", "--workspace", "--no-run"]))
}

/// An example that has been built.
fn example(name: &str) -> anyhow::Result<Command> {
    let built = target()?.join("debug/examples").join(name);
    Ok(Command::new(built.with_extension(std::env::consts::EXE_EXTENSION)))
}

fn benches() -> anyhow::Result<()> {
    // With the features of the release build, so that nothing is built twice.
    run_command(&mut cargo(&["bench", "--workspace", "--bench", "*", "--", "--test"]))
}

fn codegen() -> anyhow::Result<()> {
    codegen::run(Vec::new()).map(|_| ())
}

fn build_release() -> anyhow::Result<()> {
    run_command(&mut cargo(&["build", "--release", "--workspace"]))
}

fn training() -> anyhow::Result<()> {
    let run_folder = std::env::temp_dir().join(format!("asterism-ci-{}", std::process::id()));
    let mut train = Command::new(release("mnist-app")?);
    train.args(["train", "--preset", "notebook-tuned", "--epochs", "2", "--quiet", "--json"]);
    train.arg("--out").arg(&run_folder).current_dir(root());
    let output = train.stderr(Stdio::inherit()).output().with_context(|| line(&train))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    let written = run_folder.join("model.safetensors").is_file();
    // Nobody needs the run; where it cannot be removed it does no harm.
    let _ = std::fs::remove_dir_all(&run_folder);
    if !output.status.success() {
        bail!("{}: {}", output.status, line(&train));
    }
    if !written {
        bail!("no model.safetensors in {}: {}", run_folder.display(), line(&train));
    }
    plausible(&text).with_context(|| line(&train))
}

/// Whether two epochs of `notebook-tuned` ended as they do.
fn plausible(lines: &str) -> anyhow::Result<()> {
    let lines: Vec<Value> =
        lines.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("no JSON")?;
    let [_, last] = lines.as_slice() else {
        bail!("expected 2 lines of JSON, found {}", lines.len());
    };
    let number = |key: &str| last[key].as_u64().with_context(|| format!("no {key}: {last}"));
    let (correct, total) = (number("test_correct")?, number("test_total")?);
    if total != 10_000 || !(6_000..=9_500).contains(&correct) {
        bail!("expected 6,000 to 9,500 of 10,000 right, found {correct} of {total}");
    }
    Ok(())
}

/// The names of what is in a folder, in order.
fn folder(path: &Path) -> anyhow::Result<Vec<String>> {
    let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::plausible;

    #[test]
    fn the_last_line_decides() {
        let line = |correct| format!("{{\"test_correct\":{correct},\"test_total\":10000}}\n");
        assert!(plausible(&(line(1_000) + &line(7_500))).is_ok());
        assert!(plausible(&(line(7_500) + &line(1_000))).is_err());
        assert!(plausible(&line(7_500)).is_err());
        assert!(plausible("error").is_err());
    }
}
