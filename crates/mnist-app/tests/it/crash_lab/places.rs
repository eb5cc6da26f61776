//! Folders in which a run cannot go on: on a full disk, on one that cannot be written to, moved,
//! removed, in use.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::common::names;
use crate::two_runs::wait_until;

/// Runs a script of the shell in `folder`, where `disk` is an empty file system of so many kB,
/// `$PROGRAM` is the program and `$TRAIN` the arguments of a run into `disk/run`; `None` if this
/// system does not let tests mount one.
fn on_small_disk(folder: &Path, kilobytes: usize, script: &str) -> Option<Output> {
    const MOUNTED: &str = "mounted";
    fs::create_dir_all(folder.join("disk")).unwrap();
    let mount = format!("mount -t tmpfs -o size={kilobytes}k none disk || exit; touch {MOUNTED}");
    let script = format!("{mount}; {script}");
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]).current_dir(folder);
    unshare.env("PROGRAM", env!("CARGO_BIN_EXE_mnist-app"));
    let line = train("single", "").replace("--out run", "--out disk/run");
    unshare.env("TRAIN", line.trim_end());
    let output = unshare.output();
    if !folder.join(MOUNTED).exists() {
        eprintln!("left out: full and read-only disks, since this system lets tests mount none");
        return None;
    }
    output.ok()
}

/// What the program printed last on standard error, from a file.
#[track_caller]
fn last_line(file: &Path) -> String {
    fs::read_to_string(file).unwrap().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_full_disk_ends_a_run_which_goes_on_when_there_is_room() {
    let undisturbed = Undisturbed::new(train("single", ""));
    let script = "$PROGRAM $TRAIN; status=$?; cp -r disk/run before; \
                  mount -o remount,size=1m disk; \
                  $PROGRAM train --resume disk/run --no-report 2>resumed || exit 3; cp -r disk/run after; \
                  exit $status";
    for pages in 1.. {
        let here = empty_folder();
        let what = format!("a disk of {pages} pages");
        let Some(output) = on_small_disk(here.path(), 4 * pages, script) else { return };
        let complaint = complaint(&output, &what);
        let is_whole = undisturbed.require_own(&here.path().join("before"), &what);
        assert!(undisturbed.require_own(&here.path().join("after"), &what), "{what}");
        let Some(complaint) = complaint else {
            assert!(is_whole, "{what}");
            assert!(pages > 2, "{what} is not full");
            break;
        };
        assert!(complaint.contains(": cannot be written: No space left on device"), "{complaint}");
        assert!(complaint.contains("; make room there"), "{complaint}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let here = empty_folder();
    let script = "mkdir disk/none; $PROGRAM $TRAIN --epochs 1; mount -o remount,ro disk; \
                  cp -r disk/run before; \
                  $PROGRAM $TRAIN 2>taken; $PROGRAM $TRAIN/none 2>inside; \
                  $PROGRAM ${TRAIN%run}new 2>new; \
                  $PROGRAM train --resume disk/run >resumed; cp -r disk/run after";
    let Some(output) = on_small_disk(here.path(), 1024, script) else { return };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let read_only = "Read-only file system";
    for (name, parts) in [
        ("taken", ["error: --out disk/run: ", "found one with something in it"]),
        ("inside", ["error: --out disk/run/none: ", "in that of the run"]),
        ("new", ["error: --out disk/new: expected a folder that can be made: ", read_only]),
        // It has ended, and its result needs no writing.
        ("resumed", ["weights: sha256 ", ""]),
    ] {
        let told = last_line(&here.path().join(name));
        assert!(parts.iter().all(|part| told.contains(part)), "{name}: {told}");
    }
    assert_eq!(files(&here.path().join("before")), files(&here.path().join("after")));
}

/// A run that lasts for a second or two, and is killed when the test ends.
struct Long(Child);

impl Long {
    const FLAGS: &str = "--epochs 400";

    /// Starts one in `folder` and waits for its first lines.
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
        command.current_dir(folder).args(train("single", Self::FLAGS).split_whitespace());
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = folder.join("run/metrics.jsonl");
        wait_until("metrics", || fs::metadata(&lines).is_ok_and(|found| found.len() > 0));
        Self(child)
    }

    /// What it tells until it ends by itself, as it should.
    #[track_caller]
    fn told(&mut self) -> String {
        let mut told = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(self.0.wait().unwrap().success(), "{told}");
        told
    }

    /// What it complains of when it ends by itself.
    #[track_caller]
    fn complaint(&mut self) -> Option<String> {
        let mut stderr = Vec::new();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        let output = Output { status: self.0.wait().unwrap(), stdout: Vec::new(), stderr };
        complaint(&output, "long")
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn a_run_whose_folder_is_moved_goes_on_from_there() {
    let undisturbed = Undisturbed::new(train("single", Long::FLAGS));
    let here = empty_folder();
    let mut run = Long::start(here.path());
    fs::rename(here.path().join("run"), here.path().join("elsewhere")).unwrap();
    let complaint = run.complaint().unwrap();
    let start = "error: run/config.toml: expected the file that this run made, found none; ";
    assert!(complaint.starts_with(start), "{complaint}");
    assert_eq!(names(here.path()), ["elsewhere"]);
    fs::rename(here.path().join("elsewhere"), here.path().join("run")).unwrap();
    assert_eq!(undisturbed.goes_on(here.path(), "moved"), Ended::Resumed);
}

#[cfg(unix)]
#[test]
fn what_is_removed_in_the_folder_of_a_run_is_made_again() {
    let undisturbed = Undisturbed::new(train("single", Long::FLAGS));
    let here = empty_folder();
    let mut run = Long::start(here.path());
    let own = here.path().join("run");
    fs::remove_file(own.join("metrics.jsonl")).unwrap();
    wait_until("no checkpoints", || fs::remove_dir_all(own.join("checkpoint")).is_ok());
    let told = run.told();
    let expected = "run/metrics.jsonl: expected the file that this run writes, found none or \
                    another one; it is written anew, with all of its lines\n";
    assert!(told.contains(expected), "{told}");
    assert!(undisturbed.require_own(&own, "removed"));
    assert!(own.join("checkpoint").is_dir());
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_checkpoint_is_named_and_not_waited_for() {
    let undisturbed = Undisturbed::new(train("single", ""));
    let here = empty_folder();
    run_line(here.path(), &format!("{} --epochs 1", undisturbed.line));
    let pipe = here.path().join("run/checkpoint/000009-000000.safetensors");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let output = run_line(here.path(), &format!("{RESUME} --epochs 2"));
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let expected = "run/checkpoint/000009-000000.safetensors: expected a regular file";
    assert!(told.contains(expected), "{told}");
}

#[cfg(unix)]
#[test]
fn a_run_whose_folder_is_removed_ends() {
    let here = empty_folder();
    let mut run = Long::start(here.path());
    // The run may be writing to it.
    wait_until("no folder", || fs::remove_dir_all(here.path().join("run")).is_ok());
    let complaint = run.complaint().unwrap();
    assert!(complaint.contains("the folder was moved, removed"), "{complaint}");
    assert_eq!(names(here.path()), Vec::<String>::new());
}

#[test]
fn of_two_processes_that_resume_a_run_one_gets_it() {
    let here = empty_folder();
    let mut run = Long::start(here.path());
    let complaint = complaint(&run_line(here.path(), RESUME), "in progress").unwrap();
    assert!(complaint.contains("a run that is still in progress"), "{complaint}");
    assert_eq!(run.complaint(), None);
}
