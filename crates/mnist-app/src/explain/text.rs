//! The walk as lines of text.

use std::fmt::Write as _;

use tensor::Shape;

use super::calculation::{Calculation, Grid, Named, Nudge, Part, Rest, Step, Sum, Window};
use super::loss::{LossWalk, Row};
use super::number::{exact, given, precise, rounded, rounds_to, small};
use super::{LayerWalk, Walk};
use crate::escape::Escape;
use crate::passes::minus;
use crate::width::{WIDTH, cut, wrap};

/// What stands before a layer's lines.
const INDENT: &str = "   ";

/// All of it, or a single layer's part.
pub(crate) fn lines(walk: &Walk, picture: &str, only: Option<&str>) -> String {
    let mut text = String::new();
    let is_shown = |layer: &&LayerWalk| match only {
        Some(only) => layer.layer.split('.').next() == Some(only),
        None => true,
    };
    let shown = || walk.layers.iter().filter(is_shown);
    let _ = writeln!(text, "{}", wrap(&head(walk, picture)));
    heading(&mut text, "Forward: from the picture to the outputs");
    for layer in shown() {
        title(&mut text, layer);
        line(&mut text, &layer.formula);
        step(&mut text, &layer.forward, walk.precision, Some(&layer.rule));
    }
    heading(&mut text, "The loss: how far the outputs are from the target");
    loss(&mut text, &walk.loss, walk);
    heading(&mut text, "Backward: how much the loss changes with each number");
    for layer in shown().collect::<Vec<_>>().into_iter().rev() {
        title(&mut text, layer);
        layer.gradient_formulas.iter().for_each(|formula| line(&mut text, formula));
        for of_layer in &layer.backward {
            step(&mut text, of_layer, walk.precision, None);
        }
    }
    text + "\n" + LEGEND
}

const LEGEND: &str = "\
Indices begin at 0.
= the sum, = the formula
           computed in f64 from what stands above it
library    the number that the network computes with: added in another order,
           and rounded each time, which makes the difference behind it
nudged     the loss E with one number larger, and smaller, by h: the quotient
           (E(+) − E(−)) / 2h is the gradient, unless the loss bends between.
           All of it is in f64, and so is the gradient that it is compared
           with: in f32 rounding would hide the difference of two losses
";

/// What is explained, in a sentence or two.
pub(super) fn head(walk: &Walk, picture: &str) -> String {
    let class = |place: usize| walk.classes[place].escaped();
    let (predicted, label) = (class(walk.predicted), class(walk.label));
    let target = match walk.label_is_known {
        true if walk.predicted == walk.label => ", which is right".to_owned(),
        true => format!(", which is not the target, {label}"),
        false => "; the true class is not known, so this one is taken as the target \
                  (--label NAME says another)"
            .to_owned(),
    };
    format!("{picture}: the network says {predicted}{target}. Its numbers are {}.", walk.precision)
}

fn heading(text: &mut String, words: &str) {
    let _ = writeln!(text, "\n{words}\n{}", "─".repeat(words.chars().count()));
}

fn title(text: &mut String, layer: &LayerWalk) {
    let [input, output] =
        [&layer.input_shape, &layer.output_shape].map(|shape| Shape::new(shape).to_string());
    let shapes = format!("{input} → {output}");
    let taken = shapes.chars().count() + layer.layer.len() + 3;
    let room = WIDTH.saturating_sub(taken);
    if layer.name.chars().count() < room {
        let _ = writeln!(text, "\n{:>2} {:<room$}{shapes}", layer.layer, layer.name);
    } else {
        let name = wrap(&format!("{:>2} {}", layer.layer, layer.name));
        let _ = writeln!(text, "\n{name}\n{shapes:>WIDTH$}");
    }
}

fn line(text: &mut String, words: &str) {
    let mut taken = WIDTH;
    for word in words.split(' ') {
        let len = word.chars().count();
        if taken + 1 + len > WIDTH {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(INDENT);
            text.push_str(word);
            taken = INDENT.len() + len;
        } else {
            let _ = write!(text, " {word}");
            taken += 1 + len;
        }
    }
    text.push('\n');
}

fn step(text: &mut String, step: &Step, precision: &str, rule: Option<&str>) {
    text.push('\n');
    match rule {
        Some(rule) => line(text, &format!("{}, {rule}:", step.name)),
        None => line(text, &format!("{}, {}:", step.name, step.title)),
    }
    line(text, &format!("= {}", step.formula));
    match &step.calculation {
        Calculation::Sum(sum) => {
            sum_lines(text, sum);
            let total = sum.total();
            if sum.terms > 1 {
                let _ = writeln!(text, "{INDENT}{:<30} {:>14}", "= the sum", rounded(total));
            }
            let library = exact(step.value, precision);
            let apart = rounding(total, step.value);
            let _ = writeln!(text, "{INDENT}{:<30} {library:>14}{apart}", "library");
        }
        Calculation::Function { numbers, value } => {
            named(text, numbers, precision);
            let library = exact(step.value, precision);
            match formula_apart(*value, step.value, precision) {
                Some(value) => {
                    number(text, "= the formula", &precise(value));
                    let apart = rounding(value, step.value);
                    number(text, "library", &format!("{library:>14}{apart}"));
                }
                None => number(text, &format!("= {}", step.name), &library),
            }
        }
        Calculation::Largest { grid, at } => {
            grids(text, &[(grid, Some(*at))]);
            let library = exact(step.value, precision);
            let _ = writeln!(text, "{INDENT}{:<30} {library:>14}", "the largest");
        }
        Calculation::Routes { grid, at, from } => {
            grids(text, &[(grid, Some(*at))]);
            named(text, from, precision);
            let library = exact(step.value, precision);
            let _ = writeln!(text, "{INDENT}{:<30} {library:>14}", format!("= {}", step.name));
        }
    }
    if let Some(nudge) = &step.nudge {
        nudge_lines(text, nudge);
    }
}

/// The formula's value in `f64`, where the library's number is not simply that, rounded.
pub(super) fn formula_apart(value: Option<f64>, library: f64, precision: &str) -> Option<f64> {
    value.filter(|&value| !rounds_to(value, library, precision))
}

/// A line with a name and a number. A name that is too long for its column stands above.
fn number(text: &mut String, name: &str, number: &str) {
    const COLUMN: usize = 30;
    let mut name = name;
    if name.chars().count() > COLUMN {
        let _ = writeln!(text, "{INDENT}{}", cut(name, WIDTH - INDENT.len()));
        name = "";
    }
    let _ = writeln!(text, "{INDENT}{name:<COLUMN$} {number:>14}");
}

/// How far the library's number is from the sum or the formula that is shown.
pub(super) fn rounding(total: f64, value: f64) -> String {
    match (total - value).abs() {
        0.0 => String::new(),
        apart => minus(&format!("  rounding {apart:.0e}")),
    }
}

fn named(text: &mut String, numbers: &[Named], precision: &str) {
    for Named { name, value } in numbers {
        number(text, name, &given(*value, precision));
    }
}

fn sum_lines(text: &mut String, sum: &Sum) {
    for part in &sum.parts {
        match part {
            Part::Window(window) => window_lines(text, window),
            Part::Product(product) => {
                let names = format!("{} · {}", product.left.name, product.right.name);
                let [left, right] = [&product.left, &product.right].map(|x| rounded(x.value));
                let product = rounded(product.value());
                number(text, &names, &format!("{product:>14}  = {left} · {right}"));
            }
            Part::Rest(Rest { name, sum: value, .. }) | Part::Number(Named { name, value }) => {
                number(text, name, &rounded(*value));
            }
        }
    }
}

/// Window, kernel and products side by side, as far as there is room.
fn window_lines(text: &mut String, window: &Window) {
    let Window { left, right, .. } = window;
    let products = window.grid_of_products();
    // A grid of equal numbers says nothing.
    let is_constant = right.values.iter().all(|&x| x.to_bits() == right.values[0].to_bits());
    if is_constant {
        let products = Grid { name: format!("times {}", right.name), ..products };
        grids(text, &[(left, None), (&products, None)]);
    } else {
        grids(text, &[(left, None), (right, None), (&products, None)]);
    }
    let _ = writeln!(text, "{INDENT}{:<30} {:>14}", "sum of the products", rounded(window.sum()));
}

/// Grids side by side where they fit; a number that is marked stands in brackets, a dot stands for
/// a zero beyond the edges.
fn grids(text: &mut String, grids: &[(&Grid, Option<usize>)]) {
    const CELL: usize = 7;
    let width = |grid: &Grid| (grid.columns * CELL).max(grid.name.chars().count() + 1);
    let mut rest = grids;
    while !rest.is_empty() {
        let mut taken = INDENT.len();
        let fits = |(grid, _): &&(&Grid, Option<usize>)| {
            taken += width(grid) + 2;
            taken <= WIDTH + 2
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (row, others) = rest.split_at(count);
        rest = others;
        let mut line = INDENT.to_owned();
        for (grid, _) in row {
            let _ = write!(line, "{:<1$}", format!(" {}", grid.name), width(grid) + 2);
        }
        let _ = writeln!(text, "{}", line.trim_end());
        let rows = row.iter().map(|(grid, _)| grid.values.len() / grid.columns).max().unwrap_or(0);
        for y in 0..rows {
            let mut line = INDENT.to_owned();
            for (grid, marked) in row {
                let mut cells = String::new();
                for x in 0..grid.columns {
                    let place = y * grid.columns + x;
                    let number = match grid.values.get(place) {
                        None => String::new(),
                        Some(_) if grid.outside[place] => "·".into(),
                        Some(&x) if *marked == Some(place) => format!("[{}]", small(x)),
                        Some(&x) => small(x),
                    };
                    let _ = write!(cells, "{number:>CELL$}");
                }
                let _ = write!(line, "{cells:<0$}", width(grid) + 2);
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

fn nudge_lines(text: &mut String, nudge: &Nudge) {
    let Nudge { name, step, above, below, quotient, gradient } = nudge;
    let _ = writeln!(text, "{INDENT}nudged, in f64: h = {}", exact(*step, "f64"));
    for (name, number) in [
        (format!("E({name} + h)"), exact(*above, "f64")),
        (format!("E({name} − h)"), exact(*below, "f64")),
        ("(E(+) − E(−)) / 2h".to_owned(), precise(*quotient)),
        (format!("∂E/∂{name} in f64"), precise(*gradient)),
    ] {
        let _ = writeln!(text, "{INDENT}  {:<28} {number:>22}", cut(&name, 28));
    }
    let _ = writeln!(text, "{INDENT}  {}", agreement(nudge));
}

/// Whether the finite difference agrees, in words.
pub(super) fn agreement(nudge: &Nudge) -> String {
    match nudge.digits() {
        None => "0 up to rounding, as it should be".into(),
        Some(0) => "not the same: the loss bends here".into(),
        Some(digits) => {
            let plural = if digits == 1 { "" } else { "s" };
            let why = match (digits, nudge.bends()) {
                (4.., _) => "",
                (_, true) => ": the loss bends here",
                (_, false) => ": E has too few digits for more",
            };
            format!("the same in {digits} digit{plural}{why}")
        }
    }
}

/// The rows of a table of outputs that are shown: all, or those that matter.
pub(super) fn shown_rows(walk: &Walk) -> Vec<(usize, &Row)> {
    const MOST: usize = 12;
    let mut rows: Vec<_> = walk.loss.rows.iter().enumerate().collect();
    if rows.len() > MOST {
        rows.sort_by(|a, b| b.1.gradient.abs().total_cmp(&a.1.gradient.abs()));
        rows.truncate(MOST);
        rows.sort_by_key(|row| row.0);
    }
    rows
}

fn loss(text: &mut String, loss: &LossWalk, walk: &Walk) {
    text.push('\n');
    line(text, &format!("{}:", loss.name));
    loss.formulas.iter().for_each(|formula| line(text, formula));
    let rows = shown_rows(walk);
    let has_probabilities = rows.iter().any(|(_, row)| row.probability.is_some());
    let (class, mut others) = ("class", vec!["output y", "p", "target t", "its part", "∂E/∂y"]);
    others.retain(|&name| has_probabilities || name != "p");
    let others: String = others.iter().map(|name| format!("{name:>13}")).collect();
    let _ = writeln!(text, "\n{INDENT}{class:<10}{others}");
    for (_, row) in &rows {
        let numbers = [Some(row.output), row.probability, Some(row.target), Some(row.term)];
        let numbers = numbers.into_iter().flatten().chain([row.gradient]);
        let numbers: String = numbers.map(|number| format!("{:>13}", rounded(number))).collect();
        let mut class = row.class.escaped();
        if class.chars().count() > 10 {
            let _ = writeln!(text, "{INDENT}{}", cut(&class, WIDTH - INDENT.len()));
            class.clear();
        }
        let _ = writeln!(text, "{INDENT}{class:<10}{numbers}");
    }
    if rows.len() < loss.rows.len() {
        let _ = writeln!(text, "{INDENT}… {} more", loss.rows.len() - rows.len());
    }
    let total: f64 = loss.rows.iter().map(|row| row.term).sum();
    let apart = rounding(total, loss.value);
    let _ = writeln!(text, "\n{INDENT}{:<30} {:>14}", "E = the sum of the parts", rounded(total));
    let _ = writeln!(text, "{INDENT}{:<30} {:>20}{apart}", "library", exact(loss.value, "f64"));
    step(text, &loss.gradient, walk.precision, None);
}
