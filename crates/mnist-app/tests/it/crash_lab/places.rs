//! Folders in which a run cannot go on: on a full disk, on one that cannot be written to.

use std::process::Command;

use super::*;

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
