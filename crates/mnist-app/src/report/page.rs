//! The page of a run, and that of a committee.

use std::fmt::Write as _;

use layers::Schedule;

use super::activity_section;
use super::chart::{Chart, Curve, Kind};
use super::findings::Findings;
use super::pictures;
use super::record::Record;
use super::tables;
use crate::dataset::{DataSource, Digests, Samples};
use crate::escape::{Escape, escape_lines};
use crate::evaluation::Evaluation;
use crate::evaluation::report::percent;
use crate::evaluation::vote::Outputs;
use crate::html::{self, Cell, Page, table, text};
use crate::layer_rows::layer_rows;
use crate::memory::size_text;
use crate::run_folder::{REPORT, member};
use crate::train::EpochMetrics;

pub(super) const STYLE: &str = include_str!("style.css");

/// The page of a run of one network.
pub(super) fn of_network(record: &Record, findings: &Findings) -> anyhow::Result<String> {
    let Findings { place, test, evaluation, layers, kernels, maps, mistakes, .. } = findings;
    let mut sections = vec![curves(record, findings.train)];
    sections.push(tables::epochs(&record.run.lines, "epoch"));
    sections.push(tested(record, place, (evaluation, test)));
    sections.push(tables::confusion(evaluation, test));
    sections.push(tables::classes(evaluation, test));
    sections.push(pictures::mistakes_section(mistakes, test)?);
    if !kernels.is_empty() {
        sections.push(pictures::kernels_section(kernels, findings.convolutions));
    }
    if !maps.is_empty() {
        sections.push(pictures::maps_section(maps, test)?);
    }
    sections.push(activity_section::section(layers, place, findings.looked_at));
    sections.push(network(findings));
    sections.push(experiment(record));
    let data = (&findings.digests, findings.train, test.len());
    sections.push(origin(record, data));
    let parameters = findings.table.iter().map(|(_, _, parameters)| parameters).sum();
    Ok(page(record, Some(parameters), &sections.concat()))
}

/// The page of a committee, given its members and their vote.
pub(super) fn of_committee(
    record: &Record,
    (members, data): (&[Record], (&Digests, usize)),
    (evaluation, outputs, test): (&Evaluation, Outputs, &Samples),
) -> anyhow::Result<String> {
    let mistakes = evaluation.mistakes(outputs, test);
    let sections = [
        of_members(members),
        votes(record),
        tables::epochs(&record.run.lines, "members"),
        tables::confusion(evaluation, test),
        tables::classes(evaluation, test),
        pictures::mistakes_section(&mistakes, test)?,
        experiment(record),
        origin(record, (data.0, data.1, test.len())),
    ];
    Ok(page(record, None, &sections.concat()))
}

/// A whole page: what the run came to, then these sections.
fn page(record: &Record, parameters: Option<usize>, sections: &str) -> String {
    let title = record.title();
    let mut body = format!("<h1>{}</h1>\n", text(&title));
    let description = record.run.experiment.description.escaped();
    if !description.is_empty() {
        let _ = writeln!(body, "<p>{}</p>", text(&description));
    }
    if let Some(state) = record.state() {
        let _ = writeln!(body, "<p class=\"notice\"><strong>{}</strong></p>", text(&state));
    }
    body.push_str(&facts(record, parameters));
    body.push_str(&contents(sections));
    body.push_str(sections);
    Page { title: &title, style: STYLE, body: &body, script: None }.html()
}

/// The results at a glance.
fn facts(record: &Record, parameters: Option<usize>) -> String {
    let mut facts = Vec::new();
    let last = record.run.lines.last();
    if let Some((score, word)) = last.map(|last| (last.best_known(), last.best_known_word())) {
        let [low, high] = score.interval().map(|end| 100.0 * end);
        facts.push((
            percent(score.correct, score.total),
            format!(
                "{} of {} {word} images right, 95 % interval {low:.2} to {high:.2} %",
                score.correct, score.total
            ),
        ));
        facts.push((format!("{:.4}", score.error), format!("mean error of the {word} images")));
    }
    if let Some(best) = last.and_then(|last| last.best_epoch) {
        let what = "is kept, which has the best accuracy on the validation images";
        facts.push((format!("epoch {best}"), what.into()));
    }
    let training: f64 = record.run.lines.iter().map(|line| line.train_seconds).sum();
    if training > 0.0 {
        facts.push((seconds(training), "of training".into()));
    }
    if let Some(wall) = record.number("wall_seconds") {
        facts.push((seconds(wall), "in all, loading and testing too".into()));
    }
    if let Some(parameters) = parameters {
        facts.push((parameters.to_string(), "parameters".into()));
    }
    let items: Vec<_> = facts
        .iter()
        .map(|(number, what)| {
            format!("<li><b>{}</b><span>{}</span></li>\n", text(number), text(what))
        })
        .collect();
    if items.is_empty() {
        String::new()
    } else {
        format!("<ul class=\"facts\">\n{}</ul>\n", items.concat())
    }
}

/// `1.3 s` or `2 min 5 s`.
pub(super) fn seconds(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match whole {
        0..60 => format!("{seconds:.2} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// Links to the sections, by their headings.
fn contents(sections: &str) -> String {
    let links: String = sections
        .split("<h2 id=\"")
        .skip(1)
        .filter_map(|section| {
            let (id, rest) = section.split_once("\">")?;
            let (heading, _) = rest.split_once("</h2>")?;
            Some(format!("<li><a href=\"#{id}\">{heading}</a></li>\n"))
        })
        .collect();
    format!("<nav aria-label=\"Contents\">\n<ul>\n{links}</ul>\n</nav>\n")
}

/// The curves of a run with so many training images.
fn curves(record: &Record, train: usize) -> String {
    let lines = &record.run.lines;
    let heading = "<h2 id=\"curves\">Curves</h2>\n";
    if lines.is_empty() {
        return heading.to_owned() + "<p>No epoch is done.</p>\n";
    }
    let word = lines[0].looked_at_word();
    let error = [
        curve("training images, on the way", lines, |line| line.train_error),
        curve(&format!("{word} images, after the epoch"), lines, |line| line.looked_at().error),
    ];
    let title = format!("Accuracy on the {word} images");
    let accuracy = [curve(&format!("{word} images"), lines, |line| line.looked_at().accuracy())];
    let rate = [rate(record, train)];
    let chart =
        |title, curves, kind, marks| Chart { title, across: "epoch", curves, kind, marks }.html();
    format!(
        "{heading}<div class=\"charts\">\n{}{}{}</div>\n",
        chart("Error", &error, Kind::Error, true),
        chart(&title, &accuracy, Kind::Fraction, true),
        chart("Learning rate", &rate, Kind::Size, false)
    )
}

/// A number of each line, over its number.
pub(super) fn curve(
    name: &str,
    lines: &[EpochMetrics],
    number: impl Fn(&EpochMetrics) -> f64,
) -> Curve {
    let points = lines.iter().map(|line| [line.epoch as f64, number(line)]).collect();
    Curve { name: name.to_owned(), points }
}

/// The learning rate of each step, or of some, as the schedule has it.
fn rate(record: &Record, train: usize) -> Curve {
    const POINTS: usize = 300;
    let experiment = &record.run.experiment;
    let steps = train.div_ceil(experiment.batch_size.get()).max(1);
    let epochs = experiment.epochs.get();
    let total = steps * epochs;
    let schedule: &Schedule = &experiment.schedule;
    let point = |step: usize| {
        let rate = schedule.rate(experiment.learning_rate, step, total);
        [(step + 1) as f64 / steps as f64, rate]
    };
    let points = (0..=POINTS).map(|place| place * total.saturating_sub(1) / POINTS);
    let mut points: Vec<_> = points.map(point).collect();
    points.dedup_by(|a, b| a[0] == b[0]);
    Curve { name: "learning rate".into(), points }
}

/// What the tables below are of.
fn tested(record: &Record, place: &str, (evaluation, test): (&Evaluation, &Samples)) -> String {
    let last = record.run.lines.last().and_then(|last| last.test);
    if record.has_ended() && last.is_some_and(|last| last.correct == evaluation.correct(test)) {
        return String::new();
    }
    format!(
        "<p class=\"notice\">All that follows is of the network {}, which gets {} of {} test \
         images right.</p>\n",
        text(place),
        evaluation.correct(test),
        test.len()
    )
}

/// The layers.
fn network(findings: &Findings) -> String {
    let row = |(index, (summary, shape, parameters)): (usize, &(String, _, usize))| {
        let shape: &tensor::Shape = shape;
        format!("{index}\t{summary}\t{shape}\t{parameters}")
    };
    let rows: Vec<_> = layer_rows(findings.table.iter().enumerate().map(row)).collect();
    let cells = |row: &String| {
        let mut cells: Vec<_> = row.split('\t').map(|cell| Cell::Text(cell.to_owned())).collect();
        if let Some(Cell::Text(parameters)) = cells.get(3) {
            cells[3] = Cell::Number(parameters.clone());
        }
        cells.resize_with(4, || Cell::Text(String::new()));
        cells
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let head = ["layer", "what it is", "output", "parameters"];
    "<h2 id=\"network\">The network</h2>\n".to_owned() + &table("Its layers", &head, &rows)
}

/// The experiment as it ran.
fn experiment(record: &Record) -> String {
    let config = text(&escape_lines(&record.config));
    format!(
        "<h2 id=\"experiment\">The experiment</h2>\n<p>As <code>config.toml</code> has it; \
         <code>mnist-app train --config config.toml</code> comes to the same weights.</p>\n\
         <pre role=\"region\" aria-label=\"config.toml\" tabindex=\"0\"><code>{config}</code></pre>\n"
    )
}

/// The machine, the data, and the digests that the run can be verified by.
fn origin(record: &Record, (data, train, test): (&Digests, usize, usize)) -> String {
    let source = match record.run.experiment.data_path() {
        Some(folder) => folder.escaped(),
        None => DataSource::Mnist.to_string(),
    };
    let code = |text: &str| Cell::Html(format!("<code>{}</code>", html::text(&text.escaped())));
    let mut rows = Vec::new();
    let mut add = |name: &str, cell: Cell| rows.push(vec![Cell::Text(name.into()), cell]);
    add("data", Cell::Text(format!("{source}, {train} training images, {test} test images")));
    add("SHA-256 of the data", code(&data.whole()));
    if let Some(last) = record.run.lines.last() {
        add("SHA-256 of the weights", code(&last.weights_sha256));
        add("receipt", code(&last.receipt));
    }
    for (name, key) in [("program", "version"), ("SIMD", "simd"), ("precision", "precision")] {
        if let Some(found) = record.text(key) {
            add(name, Cell::Text(found.escaped()));
        }
    }
    if let Some(threads) = record.number("threads") {
        add("threads", Cell::Text(threads.to_string()));
    }
    if let Some(bytes) = record.summary.as_ref().and_then(|all| all["peak_rss_bytes"].as_u64()) {
        add("largest memory", Cell::Text(size_text(bytes)));
    }
    format!(
        "<h2 id=\"origin\">Machine and digests</h2>\n{}<p>The receipt ties all lines of metrics to \
         one another, to the experiment, the data and the arithmetic. <code>mnist-app verify \
         RUN</code> trains again and compares.</p>\n",
        table("What the run was made of and on", &["what", "found"], &rows)
    )
}

/// The members of a committee side by side.
fn of_members(members: &[Record]) -> String {
    let row = |(index, record): (usize, &Record)| {
        let folder = member(index + 1);
        let link = format!("<a href=\"{folder}/{REPORT}\">{}</a>", index + 1);
        let layers = record.run.experiment.networks.first().layers.len();
        let mut row = vec![
            Cell::Html(link),
            Cell::Number(record.run.experiment.seed.to_string()),
            tables::count(layers),
        ];
        if let Some(last) = record.run.lines.last() {
            let score = last.best_known();
            row.extend([
                tables::count(score.correct),
                Cell::Number(percent(score.correct, score.total)),
                tables::digits(score.error),
                tables::digits(last.train_error),
            ]);
        }
        row
    };
    let rows: Vec<_> = members.iter().enumerate().map(row).collect();
    let head = ["member", "seed", "layers", "right", "accuracy", "test error", "training error"];
    let curves: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(index, record)| {
            let name = format!("member {}", index + 1);
            curve(&name, &record.run.lines, |line| line.looked_at().accuracy())
        })
        .collect();
    let first = members.first().and_then(|record| record.run.lines.first());
    let word = first.map_or("test", EpochMetrics::looked_at_word);
    let chart = Chart {
        title: &format!("Accuracy of each member on the {word} images"),
        across: "epoch",
        curves: &curves,
        kind: Kind::Fraction,
        marks: true,
    };
    format!(
        "<h2 id=\"members\">The members</h2>\n<p>Each has a report of its own in its folder.</p>\n\
         {}{}",
        table("The members after their last epochs", &head, &rows),
        chart.html()
    )
}

/// The accuracy of the vote.
fn votes(record: &Record) -> String {
    let curves = [curve("the vote", &record.run.lines, |line| line.best_known().accuracy())];
    let title = "Accuracy of the vote on the test images";
    let chart =
        Chart { title, across: "members", curves: &curves, kind: Kind::Fraction, marks: true };
    format!(
        "<h2 id=\"vote\">The vote</h2>\n<p>They answer together by the geometric mean of their \
         probabilities.</p>\n{}",
        chart.html()
    )
}
