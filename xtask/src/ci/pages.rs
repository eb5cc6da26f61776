//! The pages that the program writes: valid HTML, complete in themselves, readable on a phone and a
//! desktop, light and dark.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::folder;
use super::tools::{answers, found, tool};
use crate::process::{release, root, run};
use crate::temporary_folder::TemporaryFolder;

/// Where the modules of npm are: vnu-jar, playwright-core and axe-core.
const MODULES: &str = "ASTERISM_PAGES";

/// The names of Chromium and its kin, which `scripts/pages.mjs` knows too.
const BROWSERS: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];

/// Writes all kinds of pages with the release build, and has them checked.
pub fn check() -> anyhow::Result<()> {
    let modules = env::var_os(MODULES).map(PathBuf::from).unwrap_or_default();
    let validator = modules.join("vnu-jar/build/dist/vnu.jar");
    let install = format!(
        "npm install --ignore-scripts vnu-jar playwright-core axe-core, and set {MODULES} to the \
         folder node_modules"
    );
    let are_there = [
        found(validator.is_file(), "npm's vnu-jar", &install)?,
        tool("java", "apt install default-jre-headless")?,
        tool("node", "apt install nodejs")?,
        found(BROWSERS.iter().any(|name| answers(name)), "Chromium", "apt install chromium")?,
    ];
    if are_there.contains(&false) {
        return Ok(());
    }
    let here = TemporaryFolder::create("pages")?;
    let pages = write(here.path())?;
    let mut java = Command::new("java");
    java.arg("-jar").arg(validator).args(["--Werror", "--no-langdetect"]).args(&pages);
    run(java.current_dir(here.path()))?;
    let mut node = Command::new("node");
    node.arg(root().join("scripts/pages.mjs")).arg(modules).args(&pages);
    run(node.current_dir(here.path()))
}

/// Writes the pages into a folder, and returns their paths in it. A new kind of page is added here.
fn write(here: &Path) -> anyhow::Result<Vec<String>> {
    let program = release("mnist-app")?;
    let program = |words: &str| {
        let mut command = Command::new(&program);
        command.args(words.split_whitespace()).current_dir(here).stdout(Stdio::null());
        run(&mut command)
    };
    let mut pages = Vec::new();
    let mut runs = Vec::new();
    for preset in folder(&root().join("crates/mnist-app/presets"))? {
        let name = preset.strip_suffix(".toml").context("expected presets in TOML")?;
        program(&format!(
            "train --preset {name} --epochs 1 --train-limit 2000 --test-limit 2000 --quiet \
             --out {name}"
        ))?;
        let members = folder(&here.join(name))?.into_iter();
        let members = members.filter(|part| part.starts_with("member-"));
        pages.extend(members.map(|member| format!("{name}/{member}/report.html")));
        pages.push(format!("{name}/report.html"));
        runs.push(name.to_owned());
    }
    program(&format!("report {} --out side-by-side.html", runs.join(" ")))?;
    pages.push("side-by-side.html".into());
    for name in runs.iter().filter(|&name| name != "committee") {
        let page = format!("explain-{name}.html");
        program(&format!("explain {name} test:17 --quiet --html {page}"))?;
        pages.push(page);
    }
    Ok(pages)
}
