//! Builds a network's layers, each for the output of the one before, and reports where they do not
//! fit.

use std::fmt::Write as _;

use tensor::{Element, Shape, ShapeError};

use crate::bounded::shortened;
use crate::chain::{Chain, too_large};
use crate::footprint::Footprint;
use crate::spec::{BuildError, NetworkSpec};

impl NetworkSpec {
    /// How much memory the network and its passes would take.
    ///
    /// # Errors
    /// If a layer does not accept the output of the one before it.
    pub fn footprint<T: Element>(&self) -> Result<Footprint<T>, BuildError> {
        let fail = |layer, cause, shapes: &[Shape]| {
            Err(BuildError { layer, cause, table: self.table(shapes) })
        };
        if self.input.is_empty() || self.input.len() >= Shape::MAX_RANK || self.input.contains(&0) {
            let expected = "an input sample with one to three axes, none of them 0";
            let found = shortened(&format!("{:?}", self.input));
            return fail(None, ShapeError::new("network", expected, found), &[]);
        }
        let input_shape = Shape::new(&self.input);
        if input_shape.checked_len().is_none() {
            return fail(None, too_large(input_shape), &[]);
        }
        let (count, most) = (self.count(), Self::MOST_LAYERS);
        if count > most {
            let expected = format!("at most {most}, those inside of others counted");
            let cause = ShapeError::new("layers", expected, count);
            return Err(BuildError { layer: None, cause, table: String::new() });
        }
        let chain = match Chain::<T>::build(input_shape, &self.layers) {
            Ok(chain) => chain,
            Err((layer, cause, shapes)) => return fail(Some(layer), cause, &shapes),
        };
        if chain.layers().is_empty() {
            return fail(
                Some(0),
                ShapeError::new("network", "at least one layer", 0),
                &[input_shape],
            );
        }
        Ok(Footprint { spec: self.clone(), chain })
    }

    /// The layers with their output shapes as far as these are known. Of many layers, the first
    /// ones and those around the last known shape.
    fn table(&self, shapes: &[Shape]) -> String {
        let input = shortened(&format!("{:?}", self.input));
        let mut table = format!("     {:<36}{input}", "input");
        let last_known = shapes.len().saturating_sub(1);
        let is_shown = |index: usize| {
            self.layers.len() <= 50 || index < 10 || index.abs_diff(last_known) <= 10
        };
        let mut left_out = 0;
        for (index, layer) in self.layers.iter().enumerate() {
            if !is_shown(index) {
                left_out += 1;
                continue;
            }
            if left_out > 0 {
                let _ = write!(table, "\n      … {left_out} layers");
                left_out = 0;
            }
            let shape = shapes.get(index + 1).map_or_else(String::new, ToString::to_string);
            let mark = if index + 1 == shapes.len() { "→" } else { " " };
            let row = format!(" {mark} {index:>2} {:<36}{shape}", layer.summary());
            let _ = write!(table, "\n{}", row.trim_end());
        }
        if left_out > 0 {
            let _ = write!(table, "\n      … {left_out} layers");
        }
        table
    }
}
