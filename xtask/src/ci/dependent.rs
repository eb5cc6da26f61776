//! A program that depends on the library from outside of the workspace, whose profiles do not
//! hold for it: with the checks and without the optimisation of a plain debug build it must
//! print what it prints here.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::{build_examples, example};
use crate::process::{cargo, line, root, target};

/// An example that trains each kind of layer and prints digests.
const EXAMPLE: &str = "06-every-layer";

pub fn check() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("asterism-dependent-{}", std::process::id()));
    let result = check_in(&folder);
    // Nobody needs the package; where it cannot be removed it does no harm.
    let _ = fs::remove_dir_all(&folder);
    result
}

fn check_in(folder: &Path) -> anyhow::Result<()> {
    let source = root().join(format!("crates/layers/examples/{EXAMPLE}.rs"));
    write_package(folder, &source)?;
    build_examples()?;
    let inside = output(&mut example(EXAMPLE)?)?;
    // What is built is kept for the next time, beside what is built of the workspace.
    let mut dependent = cargo(&["run", "--quiet", "--offline"]);
    dependent.current_dir(folder).env("CARGO_TARGET_DIR", target()?.join("dependent"));
    let outside = output(&mut dependent)?;
    for (inside, outside) in inside.lines().zip(outside.lines()) {
        ensure!(inside == outside, "expected {inside:?} as in the workspace, found {outside:?}");
    }
    ensure!(inside == outside, "expected as many lines as in the workspace, found {outside}");
    println!("{} lines, the same in a plain debug build outside", inside.lines().count());
    Ok(())
}

/// A package of its own with the example as its program, and the workspace's lock file, so that
/// nothing is fetched that is not there.
fn write_package(folder: &Path, source: &Path) -> anyhow::Result<()> {
    let dependency = |name: &str| {
        let path = root().join("crates").join(name);
        format!("{name} = {{ path = '{}' }}\n", path.display())
    };
    let manifest = format!(
        "[package]\nname = \"dependent\"\nedition = \"2024\"\n\n[dependencies]\n{}{}",
        dependency("layers"),
        dependency("tensor"),
    );
    fs::create_dir_all(folder.join("src")).with_context(|| folder.display().to_string())?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::copy(source, folder.join("src/main.rs")).with_context(|| source.display().to_string())?;
    Ok(())
}

/// What a command prints.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| line(command))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{}: {}, after it printed\n{text}",
        output.status,
        line(command)
    );
    Ok(text)
}
