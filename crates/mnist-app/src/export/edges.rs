//! What lies at the edges of planes, where windows and kernels reach beyond them.

use tensor::{Correlation, Pooling};

/// The rows and columns at the end of the adjoint's output that no element of a kernel reaches: those
/// that the correlation leaves out.
pub(super) fn output_padding(correlation: &Correlation) -> [usize; 2] {
    let (wide, narrow) = (correlation.input_shape(), correlation.output_shape());
    let kernels = correlation.kernels_shape();
    [0, 1].map(|axis| {
        let [before, after] = correlation.padding()[axis];
        let kernel = correlation.dilation()[axis] * (kernels.dims()[2 + axis] - 1) + 1;
        let reached = (narrow.dims()[1 + axis] - 1) * correlation.stride()[axis] + kernel;
        wide.dims()[1 + axis] + before + after - reached
    })
}

/// The padding that the last window reaches into, on an axis: with it every window is whole, and
/// `ceil_mode`, of which there are several readings, not needed.
pub(super) fn padding_at_end(pooling: &Pooling, axis: usize) -> usize {
    let (windows, input) = (pooling.windows(), pooling.input_shape());
    let last = (pooling.output_shape().dims()[1 + axis] - 1) * windows.stride[axis];
    let [before, _] = windows.padding[axis];
    (last + windows.size[axis]).saturating_sub(before + input.dims()[1 + axis])
}

/// How a pooling pads: on each side of both axes what counts as part of the plane, and all in all,
/// with what the last windows need beyond it.
pub(super) struct Around {
    pub(super) counted: [[usize; 2]; 2],
    pub(super) whole: [[usize; 2]; 2],
}

impl Around {
    pub(super) fn of(pooling: &Pooling) -> Self {
        let windows = pooling.windows();
        let whole = [0, 1].map(|axis| {
            let [before, after] = windows.padding[axis];
            // What no window reaches need not be there, but does no harm.
            [before, after.max(padding_at_end(pooling, axis))]
        });
        let counted = if windows.count_padding { windows.padding } else { [[0; 2]; 2] };
        Self { counted, whole }
    }

    /// Whether all numbers of all windows count.
    pub(super) fn is_counted(&self) -> bool {
        self.counted == self.whole
    }

    /// What is beyond what counts.
    pub(super) fn beyond(&self) -> [[usize; 2]; 2] {
        [0, 1].map(|axis| [0, 1].map(|side| self.whole[axis][side] - self.counted[axis][side]))
    }
}
