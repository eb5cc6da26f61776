//! The command line as a user meets it: the environment, completion, help, the manual, messages.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::text;

/// Runs the program in `folder` with the words of `line` and an environment variable.
fn run_with(folder: &Path, line: &str, (variable, value): (&str, &str)) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).env_remove("ASTERISM_SIMD").env(variable, value);
    command.args(line.split_whitespace()).output().unwrap()
}

#[test]
fn every_command_checks_the_vector_instructions() {
    let here = tempfile::tempdir().unwrap();
    for line in [
        "train",
        "evaluate a",
        "compare a b",
        "profile",
        "inspect --preset notebook",
        "presets",
        "presets notebook",
        "completions bash",
        "manual",
    ] {
        let output = run_with(here.path(), line, ("ASTERISM_SIMD", "sse9"));
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {message}");
        assert!(message.starts_with("error: ASTERISM_SIMD: "), "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{line}: {message}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}
