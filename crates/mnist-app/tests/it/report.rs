//! `report.html`, and `report`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mnist_app::experiment::Experiment;
use serde_json::Value;

use crate::committee::TWO;
use crate::common::{
    names, objects, or_notebook, run_line, small_data, succeeds, text, train_small,
};
use crate::two_runs::wait_until;

/// Trains with the words of `line` on the small data, with a report.
#[track_caller]
pub fn train_with_report(folder: &Path, line: &str) -> String {
    let (data, line) = (small_data().display(), or_notebook(line));
    succeeds(folder, &format!("train --quiet --data {data} {line}"))
}

#[track_caller]
fn page(folder: &Path, name: &str) -> String {
    let page = fs::read_to_string(folder.join(name)).unwrap();
    require_one_file(&page);
    page
}

/// Expects a page that is whole, not too large, and complete in itself.
#[track_caller]
fn require_one_file(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">") && page.ends_with("</html>\n"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for (attribute, allowed) in
        [("src=\"", &["data:image/png;base64,"][..]), ("href=\"", &["#", "data:,", "member-"])]
    {
        for value in page.split(attribute).skip(1) {
            assert!(allowed.iter().any(|start| value.starts_with(start)), "{attribute}{value:.60}");
        }
    }
    for word in ["<script", "@import", "url(", "<iframe", "<object"] {
        assert!(!page.contains(word), "{word}");
    }
    // Every picture says what it shows.
    let pictures = page.split("<img ").skip(1).map(|tag| tag.split('>').next().unwrap());
    pictures
        .for_each(|tag| assert!(tag.contains("alt=\"") && !tag.contains("alt=\"\""), "{tag:.80}"));
    let drawings = page.split("<svg ").skip(1).map(|tag| tag.split('>').next().unwrap());
    drawings.for_each(|tag| assert!(tag.contains("aria-"), "{tag}"));
}

/// The rows of the table of a page with this caption, cell by cell; of a number, all its digits.
#[track_caller]
fn table(page: &str, caption: &str) -> Vec<Vec<String>> {
    let caption = format!("<caption>{caption}</caption>");
    let at = page.find(&caption).unwrap_or_else(|| panic!("{caption}"));
    let body = page[at..].split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
    let cell = |cell: &str| {
        let inner = cell.split_once('>').unwrap().1.split("</t").next().unwrap();
        match inner.strip_prefix("<data value=\"") {
            Some(rest) => rest.split_once('"').unwrap().0.to_owned(),
            None => inner.replace("<code>", "").replace("</code>", ""),
        }
    };
    let row = |row: &str| -> Vec<_> {
        let row = row.replace("<th ", "<td ").replace("</th>", "</td>");
        row.split("<td").skip(1).map(cell).collect()
    };
    body.split("<tr>").skip(1).map(row).collect()
}

/// Expects the tables of a page to say what the lines of metrics say.
#[track_caller]
fn require_metrics(page: &str, metrics: &[Value]) {
    let rows = table(page, "The lines of metrics.jsonl");
    assert_eq!(rows.len(), metrics.len());
    for (row, line) in rows.iter().zip(metrics) {
        for (column, key) in [
            (0, "epoch"),
            (1, "train_error"),
            (2, "test_error"),
            (3, "test_correct"),
            (4, "test_total"),
            (6, "learning_rate"),
            (7, "train_seconds"),
            (8, "samples_per_second"),
        ] {
            let found: Value = serde_json::from_str(&row[column]).unwrap();
            assert_eq!(found, line[key], "{key}");
        }
    }
    for (row, line) in table(page, "Digests and receipts").iter().zip(metrics) {
        assert_eq!(
            [&row[1], &row[2]],
            [&line["weights_sha256"], &line["receipt"]].map(|text| text.as_str().unwrap())
        );
    }
}

fn metrics(folder: &Path, run: &str) -> Vec<Value> {
    objects(&fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap())
}

#[test]
fn a_report_says_what_the_files_of_its_run_say() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_with_report(path, "--epochs 3 --out run");
    let made = page(path, "run/report.html");
    let lines = metrics(path, "run");
    require_metrics(&made, &lines);
    let matrix = table(&made, "Confusion matrix");
    let number = |cell: &String| cell.parse::<u64>().unwrap();
    let right: u64 = (0..10).map(|class| number(&matrix[class][class + 1])).sum();
    let all: u64 = matrix.iter().flat_map(|row| row[1..].iter().map(number)).sum();
    assert_eq!(
        [right, all],
        [&lines[2]["test_correct"], &lines[2]["test_total"]].map(|n| n.as_u64().unwrap())
    );
    for row in table(&made, "Precision and recall of each class") {
        let class = &matrix[number(&row[0]) as usize];
        let images: u64 = class[1..].iter().map(number).sum();
        let taken: u64 =
            matrix.iter().map(|other| number(&other[1 + number(&row[0]) as usize])).sum();
        assert_eq!((number(&row[1]), number(&row[2])), (images, taken));
    }
    for part in [
        "notebook, seed 0",
        "% saturated",
        "0.weight",
        "Test image ",
        "[network]",
        "mnist-app verify",
    ] {
        assert!(made.contains(part), "{part}");
    }
    // One minus sign.
    let shown = made.split_once("<h2").unwrap().1;
    let shown =
        shown.split("<pre").next().unwrap().split('>').filter_map(|part| part.split('<').next());
    for text in shown {
        let is_minus = |at: usize| text[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        let hyphen = text.match_indices("e-").any(|(at, _)| is_minus(at + 1));
        let is_negative = text.starts_with('-') && is_minus(0);
        assert!(!hyphen && !is_negative, "{text}");
    }
    // It is a function of the run.
    assert_eq!(succeeds(path, "report run"), "report: run/report.html\n");
    assert!(page(path, "run/report.html") == made);
    succeeds(path, "report run --quiet --threads 1 --out elsewhere.html");
    assert!(page(path, "elsewhere.html") == made);
}

#[test]
fn a_run_without_a_report_gets_one_when_it_is_resumed() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let printed = train_small(path, "--epochs 1 --out run");
    assert!(!printed.contains("report.html"), "{printed}");
    let is_there = || path.join("run/report.html").exists();
    assert!(!is_there());
    succeeds(path, "train --resume run --no-report");
    assert!(!is_there());
    succeeds(path, "train --resume run --json");
    require_metrics(&page(path, "run/report.html"), &metrics(path, "run"));
}

#[test]
fn each_member_of_a_committee_has_a_report_and_so_has_their_vote() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), TWO).unwrap();
    train_with_report(path, "--config two.toml --out two");
    let vote = page(path, "two/report.html");
    require_metrics(&vote, &metrics(path, "two"));
    let members = table(&vote, "The members after their last epochs");
    assert_eq!(members.len(), 2);
    for (number, row) in members.iter().enumerate() {
        let own = format!("two/member-{}", number + 1);
        let lines = metrics(path, &own);
        require_metrics(&page(path, &format!("{own}/report.html")), &lines);
        assert_eq!(row[3], lines[1]["test_correct"].to_string());
        assert!(row[0].contains(&format!("member-{}/report.html", number + 1)));
    }
    assert!(!vote.contains("This run has not ended"));
    // The same two were not all that were planned.
    let config = path.join("two/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("committee = 2", "committee = 3")).unwrap();
    run_line(path, "report two");
    let vote = page(path, "two/report.html");
    assert!(vote.contains("This run has not ended: 2 of 3 members are done."));
}

#[test]
fn several_runs_stand_side_by_side() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--epochs 2 --out a");
    train_small(path, "--epochs 1 --learning-rate 0.02 --out b");
    // Their data are not needed.
    for run in ["a", "b"] {
        let config = path.join(run).join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("small-mnist", "gone")).unwrap();
    }
    succeeds(path, "report a b --out both.html");
    let both = page(path, "both.html");
    let caption =
        "Each run after its last line of metrics; a committee&#39;s lines are of its votes";
    let results = table(&both, caption);
    for (row, run) in results.iter().zip(["a", "b"]) {
        let last = metrics(path, run).pop().unwrap();
        assert_eq!(
            (&*row[0], &row[3], &row[4]),
            (run, &last["train_error"].to_string(), &last["test_error"].to_string())
        );
    }
    let settings = table(&both, "Settings");
    let keys: Vec<_> = settings.iter().map(|row| &*row[0]).collect();
    assert_eq!(keys, ["epochs", "learning_rate"]);
    assert_eq!(settings[1][1..], ["0.01", "0.02"]);
    for (line, status, expected) in [
        ("report a --out a/config.toml", 2, "a file whose name ends with .html"),
        ("report a b --out no/b.html", 1, "--out no/b.html: expected a folder that is there"),
    ] {
        let output = run_line(path, line);
        assert_eq!(output.status.code(), Some(status));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let output = run_line(path, "report a");
    let told = text(&output.stderr);
    assert!(
        output.status.code() == Some(1) && told.contains("gone: expected a folder of images"),
        "{told}"
    );
    assert!(!path.join("a/report.html").exists());
}

#[test]
fn a_run_that_has_not_ended_is_reported_from_its_newest_checkpoint() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--epochs 2 --out run");
    for file in ["summary.json", "model.safetensors"] {
        fs::remove_file(path.join("run").join(file)).unwrap();
    }
    succeeds(path, "report run");
    let made = page(path, "run/report.html");
    require_metrics(&made, &metrics(path, "run"));
    assert!(made.contains("This run has not ended: 2 of 2 epochs are done."));
    fs::remove_dir_all(path.join("run/checkpoint")).unwrap();
    let output = run_line(path, "report run");
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("model.safetensors"), "{told}");
}

#[test]
fn a_run_that_broke_off_has_a_report_that_says_so() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let data = small_data().display();
    let output = run_line(
        path,
        &format!("train --quiet --data {data} --preset lenet --learning-rate 1e30 --out run"),
    );
    assert_eq!(output.status.code(), Some(1));
    let made = page(path, "run/report.html");
    assert!(
        made.contains("This run broke off in epoch 1") && made.contains("No epoch is done."),
        "{}",
        text(&output.stderr)
    );
    // What is told last is why.
    assert!(text(&output.stderr).lines().last().unwrap().starts_with("error: training stopped"));
}

#[test]
fn names_are_text() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--epochs 1 --out run");
    let mut config = Experiment::read(&path.join("run/config.toml")).unwrap();
    config.description = "</title><script>alert(1)</script> a & b \u{202e}<i>".into();
    fs::write(path.join("named.toml"), config.to_toml().unwrap()).unwrap();
    train_with_report(path, "--config named.toml --out named");
    let made = page(path, "named/report.html");
    assert!(made.contains("&lt;script&gt;alert(1)") && made.contains("a &amp; b \\u202e&lt;i&gt;"));
}

#[cfg(unix)]
#[test]
fn a_signal_while_the_report_is_made_ends_that_and_the_run_stays_finished() {
    let here = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(here.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let line = "train --quiet --preset accurate --train-limit 16 --batch-size 16 --epochs 1 \
                --test-limit 3000 --threads 1 --out run";
    let child = command.args(line.split_whitespace()).spawn().unwrap();
    let run = here.path().join("run");
    wait_until("a summary", || run.join("summary.json").exists());
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{told}");
    assert!(told.contains("interrupted before report.html was made"), "{told}");
    assert_eq!(
        names(&run),
        ["checkpoint", "config.toml", "metrics.jsonl", "model.safetensors", "summary.json"]
    );
    let printed = succeeds(here.path(), "train --resume run --no-report");
    assert!(printed.contains("run: has ended"), "{printed}");
}

#[test]
fn all_runs_are_read_before_a_report_is_written() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--epochs 1 --out run");
    let output = run_line(path, "report run nothing");
    assert_eq!(output.status.code(), Some(1));
    assert!(!path.join("run/report.html").exists());
}
