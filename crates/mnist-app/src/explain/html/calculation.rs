//! Sums, windows and finite differences as tables.

use std::fmt::Write as _;

use super::super::calculation::{Calculation, Grid, Named, Nudge, Part, Rest, Step, Window};
use super::super::number::{exact, is_of, machine, precise, rounded, small};
use super::super::text::{agreement, formula_apart, rounding};
use super::math;
use crate::html::text;
use crate::picture::Scale;

/// A number, rounded, with all its digits for programs.
pub(super) fn data(x: f64, precision: &str) -> String {
    format!("<data value=\"{}\">{}</data>", machine(x, precision), rounded(x))
}

/// A number that is computed in `f64` beside those of the network.
fn precise_data(x: f64) -> String {
    format!("<data value=\"{x}\">{}</data>", precise(x))
}

/// What the number is computed from.
pub(super) fn steps_of(step: &Step, precision: &str) -> String {
    let mut html = String::new();
    match &step.calculation {
        Calculation::Sum(sum) => {
            let mut lines = Vec::new();
            for part in &sum.parts {
                match part {
                    Part::Window(window) => {
                        html.push_str(&window_tables(window, precision));
                        let name = format!("sum of the products with {}", window.right.name);
                        lines.push([math(&name), data(window.sum(), "f64"), String::new()]);
                    }
                    Part::Product(product) => {
                        let names =
                            math(&format!("{} · {}", product.left.name, product.right.name));
                        let [left, right] = [&product.left, &product.right]
                            .map(|factor| data(factor.value, precision));
                        let factors = format!("= {left} · {right}");
                        lines.push([names, data(product.value(), "f64"), factors]);
                    }
                    Part::Rest(Rest { name, sum: value, .. }) => {
                        lines.push([math(name), data(*value, "f64"), String::new()]);
                    }
                    Part::Number(Named { name, value }) => {
                        lines.push([math(name), data(*value, precision), String::new()]);
                    }
                }
            }
            if sum.terms > 1 {
                lines.push(["the sum".into(), data(sum.total(), "f64"), String::new()]);
            }
            html.push_str(&lines_table(&lines));
        }
        Calculation::Function { numbers, value } => {
            html.push_str(&named(numbers, precision));
            if let Some(value) = formula_apart(*value, step.value, precision) {
                html.push_str(&lines_table(&[[
                    "the formula".into(),
                    precise_data(value),
                    String::new(),
                ]]));
            }
        }
        Calculation::Largest { grid, at } => {
            html.push_str(&grids(&[(grid, Some(*at))], precision));
        }
        Calculation::Routes { grid, at, from } => {
            html.push_str(&grids(&[(grid, Some(*at))], precision));
            html.push_str(&named(from, precision));
        }
    }
    html
}

fn named(numbers: &[Named], precision: &str) -> String {
    let line = |Named { name, value }: &Named| {
        let value =
            if is_of(*value, precision) { data(*value, precision) } else { precise_data(*value) };
        [math(name), value, String::new()]
    };
    lines_table(&numbers.iter().map(line).collect::<Vec<_>>())
}

/// Rows of a name, a number and a remark.
fn lines_table(lines: &[[String; 3]]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut html =
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"The numbers\">\n\
                    <table class=\"lines\">\n<tbody>\n"
            .to_owned();
    let has_remarks = lines.iter().any(|[_, _, remark]| !remark.is_empty());
    for [name, number, remark] in lines {
        let remark = if has_remarks { format!("<td>{remark}</td>") } else { String::new() };
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td class=\"number\">{number}</td>{remark}</tr>"
        );
    }
    html + "</tbody>\n</table>\n</div>\n"
}

/// The library's number, and what nudging says of it.
pub(super) fn result(layer: &str, step: &Step, precision: &str) -> String {
    let apart = match &step.calculation {
        Calculation::Sum(sum) => rounding(sum.total(), step.value),
        Calculation::Function { value, .. } => {
            let value = formula_apart(*value, step.value, precision);
            value.map_or(String::new(), |value| rounding(value, step.value))
        }
        _ => String::new(),
    };
    let mut html = format!(
        "<p class=\"result\">{} = <data class=\"library\" data-layer=\"{layer}\" data-name=\"{}\" \
         value=\"{}\">{}</data> <span class=\"quiet\">(library, {precision}{})</span></p>\n",
        math(&step.name),
        text(&step.name),
        machine(step.value, precision),
        exact(step.value, precision),
        if apart.is_empty() { String::new() } else { format!(";{}", apart.replace("  ", " ")) }
    );
    if let Some(nudge) = &step.nudge {
        html.push_str(&nudged(nudge));
    }
    html
}

fn nudged(nudge: &Nudge) -> String {
    let Nudge { name, step, above, below, quotient, gradient } = nudge;
    let (name, h) = (math(name), exact(*step, "f64"));
    let loss = |x: f64| format!("<data value=\"{x}\">{}</data>", exact(x, "f64"));
    format!(
        "<p class=\"nudge\">Nudged by h = {h}, in f64: E({name} + h) = {}, E({name} − h) = {}; \
         (E(+) − E(−)) / 2h = <data class=\"quotient\" value=\"{quotient}\">{}</data>, ∂E/∂{name} \
         in f64 = <data class=\"wide\" value=\"{gradient}\">{}</data>: <strong>{}</strong>.</p>\n",
        loss(*above),
        loss(*below),
        precise(*quotient),
        precise(*gradient),
        agreement(nudge)
    )
}

/// The loss: the sum of its parts, and the library's number.
pub(super) fn loss(total: f64, value: f64) -> String {
    let apart = rounding(total, value);
    format!(
        "<p class=\"result\">E = the sum of the parts = {} = <data class=\"library\" \
         data-layer=\"loss\" data-name=\"E\" value=\"{value}\">{}</data> <span class=\"quiet\">\
         (library, f64{})</span></p>\n",
        data(total, "f64"),
        exact(value, "f64"),
        if apart.is_empty() { String::new() } else { format!(";{}", apart.replace("  ", " ")) }
    )
}

fn window_tables(window: &Window, precision: &str) -> String {
    let Window { left, right, .. } = window;
    let products = window.grid_of_products();
    grids(&[(left, None), (right, None), (&products, None)], precision)
}

/// Grids side by side, coloured by their numbers; the marked one is framed.
fn grids(grids: &[(&Grid, Option<usize>)], precision: &str) -> String {
    let mut html = "<div class=\"grids\">\n".to_owned();
    for (grid, marked) in grids {
        let scale = Scale::of(&grid.values);
        // Products are sums' parts and not rounded.
        let precision = if grid.name == "products" { "f64" } else { precision };
        let caption = math(&grid.name);
        let _ = write!(html, "<table class=\"grid\">\n<caption>{caption}</caption>\n<tbody>\n");
        for (row, values) in grid.values.chunks(grid.columns).enumerate() {
            html.push_str("<tr>");
            for (column, &x) in values.iter().enumerate() {
                let place = row * grid.columns + column;
                if grid.outside[place] {
                    html.push_str("<td class=\"outside\"><data value=\"0\">·</data></td>");
                    continue;
                }
                let [r, g, b] = scale.colour(x);
                let ink = ink([r, g, b]);
                let class = if *marked == Some(place) { " class=\"marked\"" } else { "" };
                let _ = write!(
                    html,
                    "<td{class} style=\"background:#{r:02x}{g:02x}{b:02x};color:#{ink}\">\
                     <data value=\"{}\">{}</data></td>",
                    machine(x, precision),
                    small(x)
                );
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table>\n");
    }
    html + "</div>\n"
}

/// Black or white, whichever has more contrast with the colour; at least 4.5 to 1.
fn ink(colour: [u8; 3]) -> &'static str {
    let linear = |value: u8| {
        let x = f64::from(value) / 255.0;
        if x <= 0.040_45 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    // As WCAG 2 defines the relative luminance.
    if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 { "000" } else { "fff" }
}
