//! Folders in which a run cannot go on: on a full disk, on one that cannot be written to.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::two_runs::wait_until;

/// Runs a script of the shell in `folder`, where `disk` is an empty file system of so many kB and
/// `$PROGRAM` is the program; `None` if this system does not let tests mount one.
fn on_small_disk(folder: &Path, kilobytes: usize, script: &str) -> Option<Output> {
    const MOUNTED: &str = "mounted";
    fs::create_dir_all(folder.join("disk")).unwrap();
    let script =
        format!("mount -t tmpfs -o size={kilobytes}k none disk || exit; touch {MOUNTED}; {script}");
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]).current_dir(folder);
    let output = unshare.env("PROGRAM", env!("CARGO_BIN_EXE_mnist-app")).output();
    let mounted = folder.join(MOUNTED).exists();
    if !mounted {
        eprintln!("left out: what a full disk does, since no file system can be mounted here");
    }
    output.ok().filter(|_| mounted)
}

/// The arguments of a run into a folder on the small disk.
fn train_there() -> String {
    train("").replace("--out run", "--out disk/run")
}

#[test]
fn a_full_disk_stops_a_run_which_goes_on_when_there_is_room() {
    for pages in 1.. {
        let here = tempfile::tempdir().unwrap();
        let script = format!(
            "$PROGRAM {}; status=$?; cp -r disk/run before; mount -o remount,size=1m disk; \\
             $PROGRAM train --resume disk/run 2>resumed; echo $? >>resumed; cp -r disk/run after; \\
             exit $status",
            train_there()
        );
        let Some(output) = on_small_disk(here.path(), 4 * pages, &script) else { return };
        let what = format!("{} kB", 4 * pages);
        let complaint = complaint(&output, &what);
        let resumed = fs::read_to_string(here.path().join("resumed")).unwrap();
        eprintln!("{what}: {complaint:?} {resumed:?}");
        if complaint.is_none() {
            break;
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named_and_stays_as_it_is() {
    let here = tempfile::tempdir().unwrap();
    let script = format!(
        "$PROGRAM {train}; mount -o remount,ro disk; \
         $PROGRAM {train} 2>>told; echo $? >>told; \
         $PROGRAM train --resume disk/run 2>>told; echo $? >>told; \
         $PROGRAM {train}2 2>>told; echo $? >>told",
        train = train_there()
    );
    let Some(_) = on_small_disk(here.path(), 1024, &script) else { return };
    let told = fs::read_to_string(here.path().join("told")).unwrap();
    eprintln!("{told}");
}

/// A run that lasts for a second, and is killed when the test ends.
struct Long(Child);

impl Long {
    const FLAGS: &str = "--epochs 400";

    /// Starts one in `folder` and waits for its first lines.
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
        command.current_dir(folder).args(train(Self::FLAGS).split_whitespace());
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("metrics", || metrics(&folder.join("run")).len() > 1);
        Self(child)
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
    let undisturbed = Undisturbed::new(train(Long::FLAGS));
    let here = tempfile::tempdir().unwrap();
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
fn a_run_whose_folder_is_removed_ends() {
    let here = tempfile::tempdir().unwrap();
    let mut run = Long::start(here.path());
    fs::remove_dir_all(here.path().join("run")).unwrap();
    let complaint = run.complaint().unwrap();
    assert!(complaint.contains("the folder was moved, removed"), "{complaint}");
    assert_eq!(names(here.path()), Vec::<String>::new());
}

#[test]
fn a_run_that_is_in_progress_is_nobody_elses_to_resume() {
    let here = tempfile::tempdir().unwrap();
    let mut run = Long::start(here.path());
    let complaint = complaint(&run_line(here.path(), RESUME), "in progress").unwrap();
    assert!(complaint.contains("in progress"), "{complaint}");
    assert_eq!(run.complaint(), None);
}
