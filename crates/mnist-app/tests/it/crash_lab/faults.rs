//! A fault at each change that a run makes to the disk.

use super::process::{Fault, with_fault};
use super::*;

fn single() -> &'static Undisturbed {
    static RUN: OnceLock<Undisturbed> = OnceLock::new();
    RUN.get_or_init(|| Undisturbed::new(train("single", "--checkpoint-every 2")))
}

fn committee() -> &'static Undisturbed {
    static RUN: OnceLock<Undisturbed> = OnceLock::new();
    RUN.get_or_init(|| Undisturbed::new(train("committee", "")))
}

/// Has the run meet the fault at each of its changes.
#[track_caller]
fn at_each_change(run: &Undisturbed, fault: Fault) {
    let mut ended = Vec::new();
    for (index, change) in run.changes.iter().enumerate() {
        if fault.tears() && !matches!(change, Change::Append(..)) {
            continue;
        }
        let what = format!("{fault:?} at change {}, {change}", index + 1);
        let here = empty_folder();
        let folder = here.path().join("run");
        let (output, stopped) = with_fault(here.path(), &run.line, fault, index + 1);
        assert_eq!(stopped, fault.stops(), "{what}");
        let is_whole = run.require_own(&folder, &what);
        if !stopped {
            let complaint = complaint(&output, &what);
            let may_be_left =
                fault == Fault::FailsFromThenOn || matches!(change, Change::Remove(_));
            let is_left = files(&folder).keys().any(|path| is_partial(path));
            assert!(may_be_left || !is_left, "{what}: {:?}", files(&folder).keys());
            assert!(is_whole || is_left || complaint.is_some(), "{what}");
        }
        ended.push(run.goes_on(here.path(), &what));
    }
    assert!(ended.contains(&Ended::Resumed) && ended.contains(&Ended::Anew), "{ended:?}");
}

/// Has the power go out at each change of the run.
#[track_caller]
fn power_goes_out(run: &Undisturbed) {
    for (number, image) in power_cut::images(&run.changes).iter().enumerate() {
        let here = empty_folder();
        power_cut::restore(image, here.path());
        let what = format!("image {number}, {:?}", image.keys());
        run.require_own(&here.path().join("run"), &what);
        run.goes_on(here.path(), &what);
    }
}

#[test]
fn a_change_fails() {
    at_each_change(single(), Fault::Fails);
}

#[test]
fn all_changes_fail_from_one_on() {
    at_each_change(single(), Fault::FailsFromThenOn);
}

#[test]
fn a_change_is_torn_and_fails() {
    at_each_change(single(), Fault::TearsAndFails);
}

#[test]
fn the_process_stops_before_a_change() {
    at_each_change(single(), Fault::Stops);
}

#[test]
fn the_process_stops_in_a_change() {
    at_each_change(single(), Fault::TearsAndStops);
}

#[test]
fn the_power_goes_out() {
    power_goes_out(single());
}

#[test]
fn the_process_of_a_committee_stops_before_a_change() {
    at_each_change(committee(), Fault::Stops);
}

#[test]
fn the_power_of_a_committee_goes_out() {
    power_goes_out(committee());
}

/// What goes on with a run of one epoch, of which lines and a partial file are left that its last
/// checkpoint does not know, and makes it longer.
const LONGER: &str =
    "train --resume run --epochs 2 --checkpoint-every 2 --quiet --threads 1 --no-report";

/// The folder of such a run, and the changes of a process that goes on with it.
fn begun() -> &'static (Files, Vec<Change>) {
    static RUN: OnceLock<(Files, Vec<Change>)> = OnceLock::new();
    RUN.get_or_init(|| {
        let here = empty_folder();
        let run = here.path().join("run");
        assert!(run_line(here.path(), &train("single", "--epochs 1")).status.success());
        let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        fs::write(run.join("metrics.jsonl"), lines + "{\"epoch\":2,\"tra").unwrap();
        fs::write(run.join("model.safetensors.1.partial"), "half").unwrap();
        let files = files(here.path());
        (files, process::recorded(here.path(), LONGER))
    })
}

/// Has a run that goes on meet the fault at each of its changes, and go on once more.
#[track_caller]
fn at_each_change_of_a_resumption(fault: Fault) {
    let (begun, changes) = begun();
    for (index, change) in changes.iter().enumerate() {
        if fault.tears() && !matches!(change, Change::Append(..)) {
            continue;
        }
        let what = format!("{fault:?} at change {}, {change}", index + 1);
        let here = empty_folder();
        for (path, bytes) in begun {
            let path = here.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let (_, stopped) = with_fault(here.path(), LONGER, fault, index + 1);
        assert_eq!(stopped, fault.stops(), "{what}");
        assert_eq!(None, complaint(&run_line(here.path(), LONGER), &what), "{what}");
        let run = here.path().join("run");
        assert!(single().require_own(&run, &what), "{what}: {:?}", files(&run).keys());
    }
}

#[test]
fn a_change_of_a_resumption_fails() {
    at_each_change_of_a_resumption(Fault::Fails);
}

#[test]
fn the_process_stops_in_or_before_a_change_of_a_resumption() {
    at_each_change_of_a_resumption(Fault::Stops);
    at_each_change_of_a_resumption(Fault::TearsAndStops);
}
