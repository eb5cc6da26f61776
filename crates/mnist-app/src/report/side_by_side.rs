//! Several runs on one page.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::chart::{Chart, Curve, Kind, LOOKS};
use super::page::{STYLE, curve, seconds};
use super::record::Record;
use super::tables;
use crate::escape::Escape;
use crate::evaluation::report::percent;
use crate::html::{Cell, Page, table, text};
use crate::train::EpochMetrics;

/// The page of several runs: their results, their curves in the same figures, and in what their
/// experiments differ. Their data are not needed.
///
/// # Errors
/// If one is not the folder of a run, or its files cannot be read.
pub(crate) fn side_by_side(folders: &[PathBuf]) -> anyhow::Result<String> {
    let read = |folder: &PathBuf| Record::read(folder);
    let records: Vec<_> = folders.iter().map(read).collect::<anyhow::Result<_>>()?;
    let names = names(folders);
    let title = format!("{} runs side by side", records.len());
    let body = format!(
        "<h1>{title}</h1>\n{}{}{}",
        results(&names, &records),
        curves(&names, &records),
        differences(&names, &records)?
    );
    Ok(Page { title: &title, style: STYLE, body: &body, script: None }.html())
}

/// What to call each run: the last part of its path, or all of it where that is another's too.
fn names(folders: &[PathBuf]) -> Vec<String> {
    let short = |folder: &Path| {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        real.file_name().map_or_else(|| folder.escaped(), |name| Path::new(name).escaped())
    };
    let all: Vec<_> = folders.iter().map(|folder| short(folder)).collect();
    let is_one = |name: &String| all.iter().filter(|other| *other == name).count() == 1;
    let pairs = folders.iter().zip(&all);
    pairs.map(|(path, name)| if is_one(name) { name.clone() } else { path.escaped() }).collect()
}

fn results(names: &[String], records: &[Record]) -> String {
    let row = |(name, record): (&String, &Record)| {
        let mut row = vec![Cell::Text(name.clone()), Cell::Text(record.title())];
        let lines = &record.run.lines;
        row.push(tables::count(lines.len()));
        match lines.last() {
            None => row.resize_with(8, || Cell::Number("–".into())),
            Some(last) => {
                row.push(tables::digits(last.train_error));
                // Of a run with validation images, the last line alone has them.
                if let Some(test) = last.test {
                    let [low, high] = test.interval().map(|end| 100.0 * end);
                    row.extend([
                        tables::digits(test.error),
                        tables::count(test.correct),
                        tables::count(test.total),
                        Cell::Number(percent(test.correct, test.total)),
                        Cell::Number(format!("{low:.2} to {high:.2} %")),
                    ]);
                }
            }
        }
        row.resize_with(9, || Cell::Number("–".into()));
        row.push(Cell::Number(seconds(lines.iter().map(|line| line.train_seconds).sum())));
        row.push(Cell::Text(record.state().unwrap_or_else(|| "ended".into())));
        row
    };
    let rows: Vec<_> = names.iter().zip(records).map(row).collect();
    let head = [
        "run",
        "experiment",
        "epochs",
        "training error",
        "test error",
        "right",
        "of",
        "accuracy",
        "95 % interval",
        "training",
        "state",
    ];
    "<h2 id=\"results\">Results</h2>\n".to_owned()
        + &table(
            "Each run after its last line of metrics; a committee's lines are of its votes",
            &head,
            &rows,
        )
}

fn curves(names: &[String], records: &[Record]) -> String {
    let all = |number: fn(&EpochMetrics) -> f64| -> Vec<Curve> {
        let pairs = names.iter().zip(records);
        pairs.map(|(name, record)| curve(name, &record.run.lines, number)).collect()
    };
    let chart = |title: &str, curves: &[Curve], kind| {
        Chart { title, across: "epoch", curves, kind, marks: true }.html()
    };
    let many = match records.len() > LOOKS {
        true => "<p>There are more runs than looks of curves: some look alike.</p>\n",
        false => "",
    };
    let differ = |of: &dyn Fn(&Record) -> String| {
        let first = records.first().map(of);
        records.iter().any(|record| Some(of(record)) != first)
    };
    let mut notes = String::new();
    if differ(&|record| format!("{:?}", record.run.experiment.loss)) {
        notes += "<p class=\"notice\">The runs have different losses: their errors are not the same \
                  quantity, and only their accuracies can be compared.</p>\n";
    }
    let tested = |record: &Record| record.run.lines.last()?.test.map(|test| test.total);
    let data = |record: &Record| record.run.experiment.data.clone();
    if differ(&|record| format!("{:?} {:?}", tested(record), data(record))) {
        notes += "<p class=\"notice\">The runs are tested on different images.</p>\n";
    }
    let lines = || records.iter().flat_map(|record| &record.run.lines);
    let has = |word| lines().any(|line| line.looked_at_word() == word);
    let images = match (has("validation"), has("test")) {
        (false, _) => "test images",
        (true, false) => "validation images",
        (true, true) => "validation images, or test images where there are no others",
    };
    let titles = [format!("Accuracy on the {images}"), format!("Error of the {images}")];
    format!(
        "<h2 id=\"curves\">Curves</h2>\n{many}{notes}<div class=\"charts\">\n{}{}{}{}</div>\n",
        chart(&titles[0], &all(|line| line.looked_at().accuracy()), Kind::Fraction),
        chart(&titles[1], &all(|line| line.looked_at().error), Kind::Error),
        chart("Error of the training images", &all(|line| line.train_error), Kind::Error),
        chart("Learning rate at the end of an epoch", &all(|line| line.learning_rate), Kind::Size)
    )
}

/// The settings in which the experiments differ.
fn differences(names: &[String], records: &[Record]) -> anyhow::Result<String> {
    let settings: Vec<_> = records.iter().map(settings).collect::<anyhow::Result<_>>()?;
    let keys: BTreeSet<_> = settings.iter().flatten().map(|(key, _)| key).collect();
    let value = |settings: &[(String, String)], key: &str| {
        let found = settings.iter().find(|(own, _)| own == key);
        found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    let mut rows = Vec::new();
    for key in keys {
        let values: Vec<_> = settings.iter().map(|settings| value(settings, key)).collect();
        if values.iter().any(|value| *value != values[0]) {
            let cells = values.into_iter().map(|value| Cell::Text(value.escaped()));
            rows.push(std::iter::once(Cell::Text(key.escaped())).chain(cells).collect());
        }
    }
    let heading = "<h2 id=\"differences\">In what the experiments differ</h2>\n";
    if rows.is_empty() {
        return Ok(heading.to_owned() + "<p>In nothing.</p>\n");
    }
    let head: Vec<_> = std::iter::once("setting").chain(names.iter().map(String::as_str)).collect();
    let same = "All other settings are the same.";
    Ok(format!("{heading}{}<p>{}</p>\n", table("Settings", &head, &rows), text(same)))
}

/// All settings of an experiment, each on one line: a layer's too.
fn settings(record: &Record) -> anyhow::Result<Vec<(String, String)>> {
    let tree = toml::Value::try_from(&record.run.experiment).context("the experiment")?;
    let mut all = Vec::new();
    flatten("", &tree, &mut all);
    Ok(all)
}

fn flatten(place: &str, value: &toml::Value, all: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) if !place.contains("layers[") => {
            for (key, value) in table {
                let dot = if place.is_empty() { "" } else { "." };
                flatten(&format!("{place}{dot}{key}"), value, all);
            }
        }
        toml::Value::Array(items) if items.iter().all(toml::Value::is_table) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{place}[{index:02}]"), item, all);
            }
        }
        _ => all.push((place.to_owned(), value.to_string())),
    }
}
