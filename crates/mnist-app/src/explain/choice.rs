//! Which output of a layer is shown.

use tensor::{Element, Shape};

use super::scene::largest;
use crate::usage::Usage;

/// What the flags say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice {
    /// The layer that the others are about.
    pub(crate) layer: Option<usize>,
    /// The plane of its output, or its output.
    pub(crate) kernel: Option<usize>,
    /// Row and column.
    pub(crate) at: Option<[usize; 2]>,
}

impl Choice {
    /// Checks that a network of so many layers has the layer.
    ///
    /// # Errors
    /// If not.
    pub(super) fn check(self, layers: usize) -> Result<(), Usage> {
        if let Some(layer) = self.layer.filter(|&layer| layer >= layers) {
            let most = layers - 1;
            return Err(Usage(format!(
                "--layer: expected a layer from 0 to {most}, found {layer}"
            )));
        }
        Ok(())
    }

    /// The output of the layer that is shown, and why this one.
    ///
    /// # Errors
    /// If the layer has no such output.
    pub(super) fn of<T: Element>(
        self,
        layer: Option<usize>,
        (shape, outputs): (Shape, &[T]),
    ) -> Result<(usize, String), Usage> {
        let (kernel, at) = match layer {
            Some(_) if layer == self.layer => (self.kernel, self.at),
            _ => (None, None),
        };
        let number = layer.unwrap_or(0);
        let [planes, height, width] = shape.axes().unwrap_or([shape.len(), 1, 1]);
        if let Some(kernel) = kernel.filter(|&kernel| kernel >= planes) {
            let most = planes - 1;
            return Err(Usage(format!(
                "--kernel: expected from 0 to {most}, as layer {number} has {shape}, found {kernel}"
            )));
        }
        if let Some([y, x]) = at {
            if shape.dims().len() != 3 {
                return Err(Usage(format!(
                    "--at: expected a layer with planes, found layer {number} with outputs \
                     {shape}; choose one of them with --kernel"
                )));
            }
            if y >= height || x >= width {
                let [last_y, last_x] = [height - 1, width - 1];
                return Err(Usage(format!(
                    "--at: expected from 0,0 to {last_y},{last_x}, as layer {number} has {shape}, \
                     found {y},{x}"
                )));
            }
        }
        let fits = |place: usize| {
            let here = [place / width % height, place % width];
            kernel.is_none_or(|kernel| place / (height * width) == kernel)
                && at.is_none_or(|at| at == here)
        };
        let places = (0..outputs.len()).filter(|&place| fits(place));
        let number = |place: usize| (place, outputs[place].to_f64());
        let best = largest(places.map(number)).unwrap_or(0);
        let rule = match (kernel, at) {
            (None, None) => "the largest output of this layer for this picture",
            (Some(_), None) if shape.dims().len() == 3 => "the largest output of this kernel",
            (None, Some(_)) => "the largest output at this place",
            _ => "as the flags say",
        };
        Ok((best, rule.to_owned()))
    }
}
