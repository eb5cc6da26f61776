//! The command line as a user meets it: the environment, completion, help, the manual, messages.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{run_in, run_line, small_data, succeeds, text, train_small};

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
        "show mnist",
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

/// What Bash offers for the last of `words`, if there is a Bash.
#[cfg(unix)]
fn bash_offers(script: &Path, words: &[&str]) -> Option<String> {
    let list = words.join(" ");
    let line = format!(
        "source {}; completer=$(complete -p mnist-app); completer=${{completer#*-F }}; \
         COMP_WORDS=({list}); COMP_CWORD={}; \
         ${{completer%% *}} mnist-app {} {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = Command::new("bash").args(["--norc", "--noprofile", "-c", &line]).output().ok()?;
    Some(text(&output.stdout))
}

#[cfg(unix)]
#[test]
fn bash_completes_the_flags_of_a_command() {
    let here = tempfile::tempdir().unwrap();
    let script = here.path().join("script");
    std::fs::write(&script, succeeds(here.path(), "completions bash")).unwrap();
    for (words, expected) in [
        (&["mnist-app", "tra"][..], "train"),
        (&["mnist-app", "train", "--pr"], "--preset"),
        (&["mnist-app", "train", "--preset", "len"], "lenet"),
        (&["mnist-app", "inspect", "--sam"], "--samples"),
    ] {
        let Some(found) = bash_offers(&script, words) else {
            println!("skipped: there is no bash");
            return;
        };
        assert!(found.lines().any(|line| line == expected), "{words:?}: {found}");
    }
}

#[test]
fn only_what_has_an_effect_is_offered() {
    let here = tempfile::tempdir().unwrap();
    for command in ["presets", "completions", "manual"] {
        let help = succeeds(here.path(), &format!("{command} --help"));
        assert!(!help.contains("--threads") && !help.contains("--quiet"), "{help}");
    }
    let defaults = [
        ("train", Some("[default: notebook; with --data: pictures]")),
        ("profile", Some("[default: notebook]")),
        ("inspect", None),
    ];
    for (command, default) in defaults {
        let help = succeeds(here.path(), &format!("{command} --help"));
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(help.contains("[default: notebook"), default.is_some(), "{help}");
        assert!(default.is_none_or(|default| help.contains(default)), "{help}");
        assert!(help.contains("--threads") && help.contains("--quiet"), "{help}");
    }
}

#[test]
fn quiet_leaves_out_notes_about_the_data() {
    let here = tempfile::tempdir().unwrap();
    train_small(here.path(), "--epochs 1 --train-limit 20 --out run");
    let other = here.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for entry in std::fs::read_dir(small_data()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(other.join(path.file_name().unwrap()), bytes).unwrap();
    }
    for command in ["evaluate run", "compare run run", "inspect run"] {
        let loud = run_line(here.path(), &format!("{command} --json --data other"));
        let quiet = run_line(here.path(), &format!("{command} --json --data other --quiet"));
        assert!(loud.status.success() && !loud.stderr.is_empty(), "{command}");
        assert!(quiet.status.success() && quiet.stderr.is_empty(), "{command}");
        assert_eq!(loud.stdout, quiet.stdout, "{command}");
    }
}

#[test]
fn the_columns_of_tables_of_layers_are_straight() {
    let here = tempfile::tempdir().unwrap();
    let data = small_data().display();
    let line = format!("inspect --preset committee --samples 2 --threads 1 --data {data}");
    let table = succeeds(here.path(), &line);
    let output_at = |line: &str, what: &str| line.split(what).next().unwrap().chars().count();
    let mut column = None;
    for line in table.lines() {
        if line.starts_with("layer ") {
            column = Some(output_at(line, "output"));
        } else if line.starts_with(' ') && line.contains('(') {
            assert_eq!(Some(output_at(line, "(")), column, "{table}");
        }
    }
    assert!(column.is_some(), "{table}");
}

#[cfg(unix)]
#[test]
fn values_that_are_no_utf8_are_shown_with_their_flag() {
    use std::os::unix::ffi::OsStrExt;

    let here = tempfile::tempdir().unwrap();
    let bytes = |bytes: &'static [u8]| std::ffi::OsStr::from_bytes(bytes);
    let apart = run_in(here.path(), &[&"train", &"--epochs", &bytes(b"1\xff")]);
    let joined =
        run_in(here.path(), &[&"train", &"--data", &bytes(b"\xfe"), &bytes(b"--epochs=1\xff")]);
    for output in [apart, joined] {
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        let expected =
            "error: --epochs: expected UTF-8, found \"1\\xff\"; see mnist-app train --help\n";
        assert_eq!(message, expected);
    }
}

#[test]
fn the_manual_has_sections_for_the_environment_and_the_exit_status() {
    let here = tempfile::tempdir().unwrap();
    let manual = succeeds(here.path(), "manual");
    assert!(!manual.contains(".SH EXTRA"), "{manual}");
    for part in [
        ".SH \"ENVIRONMENT\"\n.TP\n\\fBASTERISM_SIMD=portable|avx2|avx512|neon\\fR\n",
        ".TP\n\\fBRAYON_NUM_THREADS=N\\fR\n",
        ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ndone\n",
        ".TP\n\\fB130, 143\\fR\n",
    ] {
        assert!(manual.contains(part), "expected {part:?} in {manual}");
    }
}

#[test]
fn what_is_no_file_or_another_one_is_told_with_what_to_name() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("notes.txt"), "not a network at all\n").unwrap();
    let train = format!("train --preset notebook --data {} --out run", small_data().display());
    for (line, part) in [
        (
            "train --config nofile.toml",
            "; name an experiment's file, or one built in with --preset",
        ),
        (&format!("{train} --init nofile"), "name a model.safetensors with --init"),
        ("evaluate nofile", "; name a model.safetensors or the folder of a run"),
        ("evaluate notes.txt", "found another kind of file; name a model.safetensors"),
        (&format!("{train} --init notes.txt"), "found another kind of file"),
    ] {
        let output = run_line(here.path(), line);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(part), "expected {part:?} in {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
