//! What goes on in each layer, as a section of a page.

use std::fmt::Write as _;

use super::activity::{LayerActivity, Pair};
use super::histogram::Histogram;
use crate::html;

/// The most layers that are shown; of more, the first and the last.
const MOST_LAYERS: usize = 40;

/// The section: for each layer its weights and its outputs, at the start and now, which is
/// `place` in the run; with so many training images.
pub(super) fn section(layers: &[LayerActivity], place: &str, images: usize) -> String {
    let mut section = format!(
        "<h2 id=\"layers\">Weights and activations</h2>\n<p>How the numbers of each layer are \
         distributed, at the start of the run and {place}: its outputs for the first {images} training \
         images, and its weights, without biases. A bar's height is the root of its count. \
         In <span class=\"many\">orange</span> are outputs of activations where the derivative is \
         below 1 % of its largest value: they are saturated, and learn nothing from these \
         images.</p>\n",
    );
    let count = layers.len();
    let ends = MOST_LAYERS / 2;
    let left_out = if count > MOST_LAYERS { ends..count - ends } else { count..count };
    for (place_of, layer) in layers.iter().enumerate() {
        if place_of == left_out.start {
            let _ = writeln!(section, "<p>… {} layers are left out</p>", left_out.len());
        }
        if !left_out.contains(&place_of) {
            section.push_str(&of_layer(layer, place));
        }
    }
    section
}

fn of_layer(layer: &LayerActivity, place: &str) -> String {
    let LayerActivity { index, name, shape, weights, outputs, dead } = layer;
    let name = html::text(name);
    let units = match dead {
        Some((dead, units)) if *dead > 0 => {
            format!(", {dead} of {units} units saturated for every image")
        }
        _ => String::new(),
    };
    let mut html = format!(
        "<div class=\"layer\">\n<h3>{index} {name} <span class=\"quiet\">→ {shape}{units}</span>\
         </h3>\n<div class=\"four\">\n"
    );
    for (what, pair) in [("outputs", Some(outputs)), ("weights", weights.as_ref())] {
        let Some(Pair { start, now }) = pair else { continue };
        let mut figure = |when: &str, histogram: &Histogram| {
            let alt = format!("layer {index}, {what} {when}");
            let content = histogram.html(&alt);
            let _ = write!(
                html,
                "<figure class=\"small {what}\">\n<figcaption>{what}, {when}</figcaption>\n\
                 {content}\n</figure>\n"
            );
        };
        if let Some(start) = start {
            figure("at the start", start);
        }
        figure(place, now);
    }
    html + "</div>\n</div>\n"
}
