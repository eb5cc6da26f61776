//! What goes on in each layer, as a section of a page.

use std::fmt::Write as _;

use super::activity::{LayerActivity, Pair};
use super::histogram::{Flat, Histogram};
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
         In another colour are outputs of activations where the derivative is below 1 % of its \
         largest value, so that no gradient comes through. Of sigmoid and tanh, in \
         <span class=\"many\">orange</span>, these are saturated: their inputs are too large. Of a \
         ReLU they are zeros, in <span class=\"calm\">green</span>, which is how it works: many are \
         no fault, as on empty paper. Only a unit that is so for all of these images learns nothing \
         from them.</p>\n",
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
    let LayerActivity { index, name, shape, weights, outputs, flat, .. } = layer;
    let name = html::text(name);
    let units = dead(layer, place);
    let mut html = format!(
        "<div class=\"layer\">\n<h3>{index} {name} <span class=\"quiet\">→ {shape}{units}</span>\
         </h3>\n<div class=\"four\">\n"
    );
    for (what, pair) in [("outputs", Some(outputs)), ("weights", weights.as_ref())] {
        let Some(Pair { start, now }) = pair else { continue };
        let mut figure = |when: &str, histogram: &Histogram| {
            let alt = format!("layer {index}, {what} {when}");
            let content = histogram.html(&alt, *flat);
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

/// How many units bring no gradient for any image, and when.
fn dead(layer: &LayerActivity, place: &str) -> String {
    let LayerActivity { flat, units, dead: [start, now], .. } = layer;
    if [start, now].iter().all(|dead| dead.is_none_or(|dead| dead == 0)) {
        return String::new();
    }
    let word = if *flat == Flat::Saturated { "saturated" } else { "dead" };
    let counts: Vec<_> = [(start, "at the start"), (now, place)]
        .iter()
        .filter_map(|(dead, when)| Some(format!("{} {when}", (**dead)?)))
        .collect();
    format!("; of {units} units {word} for all images: {}", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Flat, LayerActivity, dead, of_layer};
    use crate::report::activity::Pair;
    use crate::report::histogram::Histogram;

    /// An activation whose outputs are flat, three of four.
    fn layer(flat: Flat) -> LayerActivity {
        let marks = [true, true, true, false];
        let histogram = || Histogram::of((&[0.0, 0.0, 0.0, 0.004], Some(&marks)), [-0.001, 0.004]);
        LayerActivity {
            index: 1,
            name: "Layer".into(),
            shape: "(4)".into(),
            weights: None,
            outputs: Pair { start: Some(histogram()), now: histogram() },
            flat,
            units: 4,
            dead: [Some(3), Some(0)],
        }
    }

    #[test]
    fn only_what_squashes_is_saturated() {
        for (flat, words) in [(Flat::Zero, "75.0 % zeros"), (Flat::Low, "75.0 % on the flat side")]
        {
            let html = of_layer(&layer(flat), "at the end");
            assert!(html.contains(words) && html.contains("class=\"marked calm\""), "{html}");
            assert!(!html.contains("saturated") && !html.contains("class=\"many\""), "{html}");
        }
        let html = of_layer(&layer(Flat::Saturated), "at the end");
        assert!(html.contains("<span class=\"many\">75.0 % saturated"), "{html}");
    }

    #[test]
    fn it_is_said_when_units_are_dead() {
        let found = dead(&layer(Flat::Zero), "at the end");
        assert_eq!(found, "; of 4 units dead for all images: 3 at the start, 0 at the end");
        let none = LayerActivity { dead: [None, Some(0)], ..layer(Flat::Zero) };
        assert_eq!(dead(&none, "at the end"), "");
    }

    #[test]
    fn there_is_one_minus_sign() {
        let html = of_layer(&layer(Flat::Zero), "at the end");
        assert!(html.contains("−1.0e−3") && !html.contains("e-"), "{html}");
    }
}
