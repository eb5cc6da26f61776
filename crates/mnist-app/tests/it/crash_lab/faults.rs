//! A fault at each change that a run makes to the disk.

use super::process::{Fault, with_fault};
use super::*;

fn run() -> &'static Undisturbed {
    static RUN: OnceLock<Undisturbed> = OnceLock::new();
    RUN.get_or_init(|| Undisturbed::new(train("--checkpoint-every 2")))
}

/// Has a run meet the fault at each of its changes.
#[track_caller]
fn at_each_change(fault: Fault) {
    let mut ended = Vec::new();
    for (index, change) in run().changes.iter().enumerate() {
        let what = format!("{fault:?} at change {}, {change}", index + 1);
        let here = tempfile::tempdir().unwrap();
        let folder = here.path().join("run");
        let (output, stopped) = with_fault(here.path(), &run().line, fault, index + 1);
        assert_eq!(stopped, fault.stops(), "{what}");
        let is_whole = run().require_whole(&folder, &what);
        if !stopped {
            let complaint = complaint(&output, &what);
            eprintln!("{what}: {complaint:?} {}", text(&output.stderr));
            assert!(is_whole || complaint.is_some(), "{what}");
            let is_partial = |name: &String| name.ends_with(".partial");
            let is_left = folder.is_dir() && names(&folder).iter().any(is_partial);
            let may_be_left =
                fault == Fault::FailsFromThenOn || matches!(change, Change::Remove(_));
            assert!(may_be_left || !is_left, "{what}: {:?}", names(&folder));
        }
        match std::panic::catch_unwind(|| run().goes_on(here.path(), &what)) {
            Ok(e) => ended.push(e),
            Err(_) => eprintln!("FAILED {what}"),
        }
    }
    assert!(ended.contains(&Ended::Resumed) && ended.contains(&Ended::Anew), "{ended:?}");
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
    let images = power_cut::images(&run().changes);
    eprintln!("{} images", images.len());
    for (number, image) in images.iter().enumerate() {
        let here = tempfile::tempdir().unwrap();
        power_cut::restore(image, here.path());
        let what = format!("image {number}, {:?}", image.keys());
        run().require_whole(&here.path().join("run"), &what);
        run().goes_on(here.path(), &what);
    }
}
