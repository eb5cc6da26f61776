//! The numbers with which a window can be moved.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::{LayerWalk, Weights};

/// What is computed for each place of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An output, from the input.
    Forward,
    /// The gradient of an input, from those of the outputs.
    Adjoint,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Adjoint => "adjoint",
        }
    }
}

/// The layers whose windows can be moved.
#[derive(Debug, Default)]
pub(super) struct Movable {
    /// The layer and its numbers as JSON.
    layers: Vec<(String, String)>,
    /// Bytes of them all.
    bytes: usize,
}

/// The most bytes of numbers on a page: with them it stays below a megabyte.
const MOST_BYTES: usize = 400_000;

impl Movable {
    /// The key under which the layer's numbers are found; none if they are too many.
    pub(super) fn add(&mut self, layer: &LayerWalk) -> Option<usize> {
        if let Some(at) = self.layers.iter().position(|(known, _)| *known == layer.layer) {
            return Some(at);
        }
        let weights = layer.correlation.as_ref()?;
        let text = numbers(layer, weights);
        if self.bytes + text.len() > MOST_BYTES {
            return None;
        }
        self.bytes += text.len();
        self.layers.push((layer.layer.clone(), text));
        Some(self.layers.len() - 1)
    }

    /// All numbers, for the script.
    pub(super) fn data(&self) -> String {
        let mut html = String::new();
        for (at, (_, text)) in self.layers.iter().enumerate() {
            let _ = writeln!(
                html,
                "<script type=\"application/json\" id=\"numbers-{at}\">{text}</script>"
            );
        }
        html
    }
}

/// In `f32` where that holds all of them exactly.
fn numbers(layer: &LayerWalk, weights: &Weights) -> String {
    let maps = &layer.maps;
    let all: [(&str, &[f64]); 6] = [
        ("x", &maps.input),
        ("y", &maps.output),
        ("dx", &maps.input_gradient),
        ("dy", &maps.output_gradient),
        ("k", &weights.kernels),
        ("b", &weights.bias),
    ];
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it was")]
    let is_short = |x: &f64| f64::from(*x as f32).to_bits() == x.to_bits();
    let short = all.iter().all(|(_, numbers)| numbers.iter().all(is_short));
    let encoded = |numbers: &[f64]| {
        #[expect(clippy::cast_possible_truncation, reason = "all of them are exact")]
        let bytes: Vec<u8> = match short {
            true => numbers.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
            false => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        STANDARD.encode(&bytes)
    };
    let geometry = &weights.geometry;
    let mut object = json!({
        "input": geometry.input_shape().dims(),
        "kernels": geometry.kernels_shape().dims(),
        "output": geometry.output_shape().dims(),
        "stride": geometry.stride(),
        "dilation": geometry.dilation(),
        "padding": geometry.padding().map(|[before, _]| before),
        "groups": geometry.groups(),
        "bytes": if short { 4 } else { 8 },
    });
    for (name, numbers) in all {
        object[name] = encoded(numbers).into();
    }
    object.to_string()
}
