//! A fault at each change that a run makes to the disk.

use std::path::Path;

use super::process::{Change, Fault, with_fault};
use super::*;

/// Has a run meet the fault at each of its changes.
#[track_caller]
fn at_each_change(fault: Fault) {
    for (index, change) in undisturbed().changes.iter().enumerate() {
        let what = format!("{fault:?} at {} {change:?}", index + 1);
        let what = &what[..what.len().min(200)];
        let here = tempfile::tempdir().unwrap();
        let run = here.path().join("run");
        let (output, stopped) = with_fault(here.path(), train(), fault, index + 1);
        assert_eq!(stopped, fault.stops(), "{what}");
        let is_whole = require_whole(&run, what);
        if !stopped {
            let complaint = complaint(&output, what);
            eprintln!("{what}: {complaint:?} {}", text(&output.stderr));
            assert!(is_whole || complaint.is_some(), "{what}");
            let is_left = run.is_dir() && names(&run).iter().any(|name| name.ends_with(".partial"));
            let may_be_left =
                fault == Fault::FailsFromThenOn || matches!(change, Change::Remove(_));
            assert!(may_be_left || !is_left, "{what}: {:?}", names(&run));
        }
        goes_on(here.path(), what);
    }
}

/// Expects that a new run into the folder succeeds, or is told that there is another run in it.
#[track_caller]
fn goes_on(folder: &Path, what: &str) {
    let output = run_line(folder, train());
    match complaint(&output, what) {
        None => assert!(require_whole(&folder.join("run"), what), "{what}"),
        Some(complaint) => {
            assert!(complaint.contains("with something in it"), "{what}: {complaint}");
            assert!(folder.join("run/config.toml").exists(), "{what}: {complaint}");
        }
    }
}

#[test]
fn a_change_fails() {
    at_each_change(Fault::Fails);
}

#[test]
fn all_changes_fail_from_one_on() {
    at_each_change(Fault::FailsFromThenOn);
}

#[test]
fn a_change_is_torn_and_fails() {
    at_each_change(Fault::TearsAndFails);
}

#[test]
fn the_process_stops_before_a_change() {
    at_each_change(Fault::Stops);
}

#[test]
fn the_process_stops_in_a_change() {
    at_each_change(Fault::TearsAndStops);
}

#[test]
fn the_power_goes_out() {
    let images = power_cut::images(&undisturbed().changes);
    eprintln!("{} images", images.len());
    for (number, image) in images.iter().enumerate() {
        let here = tempfile::tempdir().unwrap();
        power_cut::restore(image, here.path());
        let what = format!("image {number}: {:?}", image.keys());
        require_whole(&here.path().join("run"), &what);
        goes_on(here.path(), &what);
    }
}
