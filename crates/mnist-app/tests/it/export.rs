//! Models in other formats: checked before they get their name, or said not to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{names, run_line, small_data, succeeds, text, train_small};

/// `export` with these words in a folder, with `cc` if it is named, and without Python.
fn command(folder: &Path, words: &str, cc: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.arg("export").args(words.split_whitespace()).current_dir(folder);
    command.env_remove("ASTERISM_PYTHON");
    if let Some(cc) = cc {
        command.env("CC", cc);
    }
    command
}

fn export(folder: &Path, words: &str, cc: Option<&Path>) -> Output {
    command(folder, words, cc).output().unwrap()
}

/// A folder with the run `run` of a small convolutional network.
fn folder_with_run() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    train_small(folder.path(), "--preset lenet --epochs 1 --out run");
    folder
}

/// A compiler of C that does this first; `$here` is the folder with the exported file, `network.c`.
fn compiler(folder: &Path, first: &str) -> PathBuf {
    let path = folder.join("compiler");
    // To be asked for its version it must be a compiler.
    let script = format!(
        "#!/bin/sh\nfor last; do here=$(dirname \"$last\"); done\n\
         [ \"$1\" = --version ] || {{ {first}; }}\nexec cc \"$@\"\n"
    );
    fs::write(&path, script).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    path
}

#[test]
fn an_export_is_checked_or_says_that_it_is_not() {
    let folder = folder_with_run();
    let here = folder.path();
    for (format, out) in [("rust", "net.rs"), ("c", "net.c")] {
        let output = export(here, &format!("run --to {format} --out {out}"), None);
        let told = text(&output.stdout);
        let bytes = fs::metadata(here.join(out)).unwrap().len();
        assert!(told.starts_with(&format!("{out}: {bytes} bytes, ")), "{told}");
        assert!(told.contains("answered as the model answers them, with the same bits"), "{told}");
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
    for (format, out) in [("onnx", "net.onnx"), ("pytorch", "net-pytorch"), ("npz", "net-npz")] {
        let words = format!("run --to {format} --out {out}");
        let output = export(here, &words, None);
        let (told, noted) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && told.ends_with("bytes, not checked\n"), "{told}");
        assert!(noted.contains("not checked: expected a Python with"), "{noted}");
        assert!(noted.contains("ASTERISM_PYTHON"), "{noted}");
        assert!(here.join(out).exists());
        // Once more, a file over what is there, and without a word where no check is asked for.
        if here.join(out).is_dir() {
            let told = text(&export(here, &words, None).stderr);
            assert!(told.contains("expected a new folder or an empty one, found "), "{told}");
            fs::remove_dir_all(here.join(out)).unwrap();
        }
        let output = export(here, &format!("{words} --no-check"), None);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
    let weights = "net-pytorch/model.safetensors";
    let tested = format!("evaluate {weights} --data {}", small_data().display());
    assert_eq!(succeeds(here, &tested), succeeds(here, "evaluate run"));
    let output = export(here, "run --to c --out net.c --check 3 --json", None);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["format"], &line["checked"]), (&"c".into(), &3.into()), "{line}");
    assert_eq!((&line["largest_difference"], &line["unchecked"]), (&0.0.into(), &Value::Null));
    let expected = ["net-npz", "net-pytorch", "net.c", "net.onnx", "net.rs", "run"];
    assert_eq!(names(here), expected);
}

#[cfg(unix)]
#[test]
fn what_answers_otherwise_gets_no_name() {
    let folder = folder_with_run();
    let here = folder.path();
    for (change, place) in [("s,255,256,", "layer 0 (Conv2d"), ("s, + bias.o.,,", "layer 7 (Dense")]
    {
        let wrong = compiler(here, &format!("sed -i '{change}' $here/network.c"));
        let before = names(here);
        let output = export(here, "run --to c --out net.c", Some(&wrong));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.starts_with("error: net.c: not written, as it answers otherwise"), "{told}");
        assert!(told.contains(&format!("the numbers part in {place}")), "{told}");
        assert_eq!((told.lines().count(), names(here)), (1, before), "{told}");
    }
    for (first, expected) in [
        ("echo 'not C' >> $here/network.c", "expected a file that compiles, found "),
        ("exit 0", "expected a compiler, found that it wrote no program"),
        ("exec yes", "found that it prints without end"),
    ] {
        let broken = compiler(here, first);
        let output = export(here, "run --to c --out net.c", Some(&broken));
        let told = text(&output.stderr);
        assert!(told.contains(expected) && told.contains("in CC"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert_eq!((output.status.code(), names(here).len()), (Some(1), 2), "{told}");
    }
    for (path, expected) in
        [("none/cc", "CC=none/cc: expected a compiler"), (".", "CC=.: expected")]
    {
        let told = text(&export(here, "run --to c --out net.c", Some(Path::new(path))).stderr);
        assert!(told.contains(expected), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_check_and_leaves_nothing() {
    let folder = folder_with_run();
    let here = folder.path();
    // While it compiles, and while it is asked for its version.
    for first in ["touch began; sleep 100", "true; }; { touch began; exec sleep 100"] {
        let slow = compiler(here, first);
        let mut child = command(here, "run --to c --out net.c", Some(&slow));
        let child = child.stderr(Stdio::piped()).spawn().unwrap();
        let (began, start) = (here.join("began"), Instant::now());
        while !began.exists() {
            assert!(start.elapsed() < Duration::from_secs(60), "the compiler was not called");
            thread::sleep(Duration::from_millis(10));
        }
        fs::remove_file(began).unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(143));
        assert_eq!(text(&output.stderr), "interrupted; nothing was written\n");
        assert_eq!(names(here), ["compiler", "run"]);
    }
}

#[test]
fn what_cannot_be_written_is_refused_in_one_line() {
    let folder = folder_with_run();
    let here = folder.path();
    train_small(here, "--preset lenet --epochs 1 --precision f64 --out wide");
    train_small(here, "--preset committee --epochs 1 --train-limit 20 --out several");
    fs::create_dir(here.join("pictures")).unwrap();
    fs::write(here.join("pictures/1.png"), "").unwrap();
    fs::write(here.join("broken.safetensors"), "").unwrap();
    let before = names(here);
    for (words, status, expected) in [
        ("run --to rust --out net.txt", 2, "expected a file whose name ends with .rs"),
        ("run --to onnx --out run/model.safetensors", 2, "ends with .onnx"),
        ("run --to rust --out net.rs --input f32", 2, "--input: expected only with --to onnx"),
        ("run --to java --out net", 2, "expected one of pytorch, npz, onnx, rust, c"),
        ("run --to rust", 2, "--out"),
        ("run --to rust --out net.rs --check 0", 2, "--check: expected a whole number from 1"),
        ("run --to rust --out net.rs --check 1 --no-check", 2, "--no-check"),
        ("none --to rust --out net.rs", 1, "none"),
        ("broken.safetensors --to rust --out net.rs", 1, "expected a safetensors file"),
        ("run --to rust --out none/net.rs", 1, "expected a folder that is there, found none"),
        ("run --to npz --out pictures", 1, "an empty one, found 1.png in it"),
        ("run --to npz --out broken.safetensors", 1, "expected a new folder, found a file"),
        ("run --to c --out net.c --data none", 1, "none"),
        ("wide --to rust --out net.rs", 1, "--to rust: expected a network of --precision f32"),
        ("wide --to c --out net.c", 1, "--to c: expected a network of --precision f32"),
        ("several --to rust --out net.rs", 1, "expected one network, found a committee of 3"),
        ("several --to npz --out net", 1, "or all with --to onnx"),
        ("several --to pytorch --out net", 1, "expected one network, found a committee of 3"),
    ] {
        let output = run_line(here, &format!("export {words}"));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{words}: {told}");
        assert!(told.contains(expected), "{words}: {told}");
        assert_eq!(told.lines().count(), 1, "{words}: {told}");
        assert_eq!(names(here), before, "{words}");
    }
}
