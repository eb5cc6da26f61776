//! Small plots as SVG: panels with lines over a logarithmic axis.

use std::fmt::Write;

/// Several lines in one frame.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The title above the frame.
    pub title: &'static str,
    /// What the horizontal axis counts.
    pub axis: &'static str,
    /// An upper bound for all lines, drawn dashed.
    pub ceiling: f64,
    /// One line for each thing that is compared; the same things in all panels.
    pub lines: Vec<Line>,
}

/// Points from left to right.
#[derive(Clone, Debug)]
pub struct Line {
    /// The name in the legend.
    pub name: &'static str,
    /// Positions along the axis, ascending and positive, and heights from 0 on.
    pub points: Vec<(f64, f64)>,
}

const COLOURS: [&str; 3] = ["#1f77b4", "#d62728", "#2ca02c"];
const FRAME: [f64; 2] = [340.0, 180.0];
const CELL: [f64; 2] = [420.0, 260.0];
const MARGIN: [f64; 2] = [50.0, 70.0];

/// The panels, two in a row, below a heading and a legend.
pub fn svg(heading: &str, panels: &[Panel]) -> String {
    let [width, height] = [2.0 * CELL[0], 30.0 + CELL[1] * panels.len().div_ceil(2) as f64];
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    put(&mut text, [MARGIN[0], 20.0], "start", heading);
    for (index, line) in
        panels.iter().flat_map(|panel| panel.lines.iter().take(3)).take(3).enumerate()
    {
        let (x, colour) = (MARGIN[0] + 130.0 * index as f64, COLOURS[index]);
        let _ = writeln!(text, "<path d=\"M{x} 36h20\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        put(&mut text, [x + 26.0, 40.0], "start", line.name);
    }
    for (index, panel) in panels.iter().enumerate() {
        let corner = [(index % 2) as f64 * CELL[0], (index / 2) as f64 * CELL[1]];
        draw(&mut text, [corner[0] + MARGIN[0], corner[1] + MARGIN[1]], panel);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, [left, top]: [f64; 2], panel: &Panel) {
    let all = || panel.lines.iter().flat_map(|line| &line.points);
    let first = all().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let last = all().map(|point| point.0).fold(first, f64::max);
    let highest = all().map(|point| point.1).fold(panel.ceiling, f64::max) * 1.05;
    let x = |at: f64| left + FRAME[0] * (at / first).ln() / (last / first).ln().max(1e-9);
    let y = |height: f64| top + FRAME[1] * (1.0 - height / highest);
    let (bottom, right) = (top + FRAME[1], left + FRAME[0]);
    put(text, [left, top - 8.0], "start", panel.title);
    let _ = writeln!(
        text,
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>\n\
         <path d=\"M{left} {ceiling:.1}H{right}\" stroke=\"gray\" stroke-dasharray=\"4\"/>",
        ceiling = y(panel.ceiling)
    );
    put(text, [right, bottom + 32.0], "end", panel.axis);
    let mut ticks: Vec<f64> = panel
        .lines
        .first()
        .map_or(vec![], |line| line.points.iter().map(|point| point.0).collect());
    ticks.dedup();
    let mut free = f64::NEG_INFINITY;
    for tick in ticks.into_iter().filter(|&tick| {
        let fits = x(tick) >= free;
        free = if fits { x(tick) + 30.0 } else { free };
        fits
    }) {
        put(text, [x(tick), bottom + 16.0], "middle", &tick.to_string());
    }
    let step = [10.0, 20.0, 50.0, 100.0].into_iter().find(|step| highest / step < 6.0);
    let step = step.unwrap_or(highest / 5.0);
    for count in 0..=(highest / step) as usize {
        let height = count as f64 * step;
        put(text, [left - 6.0, y(height) + 4.0], "end", &format!("{height:.0}"));
    }
    for (line, colour) in panel.lines.iter().zip(COLOURS) {
        let points =
            line.points.iter().map(|&(at, height)| format!("{:.1},{:.1}", x(at), y(height)));
        let points: Vec<_> = points.collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
    }
}

fn put(text: &mut String, [x, y]: [f64; 2], anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ =
        writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::{Line, Panel, svg};

    #[test]
    fn points_lie_where_their_numbers_say() {
        let line = Line { name: "line", points: vec![(1.0, 0.0), (10.0, 50.0), (100.0, 100.0)] };
        let panel = Panel { title: "a < b", axis: "size", ceiling: 100.0, lines: vec![line] };
        let text = svg("heading", &[panel]);
        // The frame is 340 by 180 at (50, 70); its height stands for 105.
        assert!(text.contains("points=\"50.0,250.0 220.0,164.3 390.0,78.6\""), "{text}");
        assert!(text.contains(">a &lt; b</text>") && text.contains(">100</text>"), "{text}");
    }
}
