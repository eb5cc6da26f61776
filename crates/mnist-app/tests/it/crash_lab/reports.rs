//! A fault at each change that the report of a run makes to the disk: the run itself has ended, and
//! that stays so.

use super::process::{Fault, with_fault};
use super::*;

const REPORT: &str = "run/report.html";

/// Whether a change is about the report of the run.
fn is_reports(change: &Change) -> bool {
    change.to_string().contains("run/report.html")
}

/// The report, if it is there; it must be whole then.
#[track_caller]
fn report(folder: &Path, what: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join(REPORT)).ok()?;
    let is_whole = text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n");
    assert!(is_whole, "{what}: {} bytes", text.len());
    Some(text)
}

#[test]
fn a_report_that_cannot_be_written_is_a_warning_and_comes_when_the_run_is_resumed() {
    let line = with_report("single", "--epochs 1");
    let undisturbed = Undisturbed::new(train("single", "--epochs 1"));
    let changes = process::recorded(empty_folder().path(), &line);
    let first = changes.iter().position(is_reports).unwrap();
    assert!(changes[..first].iter().any(|change| change.to_string().contains("summary.json")));
    let faults = [Fault::Fails, Fault::FailsFromThenOn, Fault::TearsAndFails, Fault::Stops];
    for fault in faults.into_iter().chain([Fault::TearsAndStops]) {
        for (index, change) in changes.iter().enumerate().skip(first) {
            if fault.tears() && !matches!(change, Change::Append(..)) {
                continue;
            }
            let what = format!("{fault:?} at change {}, {change}", index + 1);
            let here = empty_folder();
            let (output, stopped) = with_fault(here.path(), &line, fault, index + 1);
            assert_eq!(stopped, fault.stops(), "{what}");
            let told = text(&output.stderr);
            let warning = "warning: run/report.html: cannot be made: run/report.html: cannot be \
                           written: ";
            if !stopped {
                assert!(output.status.success() && told.contains(warning), "{what}: {told}");
                let is_left = files(&here.path().join("run")).keys().any(|path| is_partial(path));
                assert!(!is_left || fault == Fault::FailsFromThenOn, "{what}");
            }
            report(here.path(), &what);
            let resume = RESUME.replace("--no-report ", "");
            let resumed = run_line(here.path(), &resume);
            assert_eq!(complaint(&resumed, &what), None);
            assert!(report(here.path(), &what).is_some(), "{what}");
            fs::remove_file(here.path().join(REPORT)).unwrap();
            assert!(undisturbed.require_own(&here.path().join("run"), &what), "{what}");
        }
    }
}

#[test]
fn a_report_is_whole_or_not_there_when_the_power_goes_out() {
    let line = with_report("single", "--epochs 1");
    let changes = process::recorded(empty_folder().path(), &line);
    let mut found = 0;
    for image in power_cut::images(&changes) {
        let Some(Some(bytes)) = image.get(Path::new(REPORT)) else { continue };
        assert!(bytes.ends_with(b"</html>\n"), "{} bytes", bytes.len());
        found += 1;
    }
    assert!(found > 0);
}
