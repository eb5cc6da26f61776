//! The only file that chooses how a correlation and its gradients are computed.
//!
//! [`Plan`] tells what runs: both follow [`Choice`], which is made once, when the geometry is
//! known.

use std::fmt;

use crate::Element;
use crate::simd::Level;

use super::cost;
use super::geometry::Geometry;
use super::layout::{Padded, Phase, fits_wide, wide};

/// Which products are summed to give an output, or the gradient of an input. The choice affects
/// rounding, so it depends on geometry and element alone.
///
/// Minimal filtering is used for `f32`, 3 × 3 kernels, stride 1 and one group where it costs at
/// least a fifth less than the direct sum: for planes of 26 × 26, tiles from 16 channels and 16
/// kernels on, and with fewer of them columns, from two channels and eight kernels on. The error is
/// at most `(24 + 2 m) ε` of the largest `Σ |x| |k|`, where `m` products are summed at each point:
/// one for each channel in tiles, three in columns; for the gradient of the kernels, one for each
/// tile, or for each position of a column. (A direct sum of `n` products has an error of at most
/// `n ε / 2`.) Tests check this for random numbers, constants and chessboards. A number that is not
/// finite spreads to all outputs of the tiles or columns that read it. `f64`, which is for gradient
/// checks, is always summed directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// The direct sum.
    Direct,
    /// Winograd's minimal filtering F(4 × 4, 3 × 3), in two directions.
    Tiles,
    /// Winograd's minimal filtering F(4, 3), down the columns.
    Columns,
}

/// [`Arithmetic`] for the gradient of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelArithmetic {
    /// The direct sum. The first `outer` kernels fill vectors and are computed as outer products,
    /// position by position; the other `dots` as dot products, with positions in the lanes.
    Direct {
        /// Kernels computed with kernels in the lanes.
        outer: usize,
        /// The other kernels.
        dots: usize,
    },
    /// As [`Arithmetic::Tiles`].
    Tiles,
    /// As [`Arithmetic::Columns`].
    Columns,
}

/// What the lanes of vectors hold. It changes no bit, so it may depend on level and batch too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Neighbouring positions of one sample.
    Positions(VectorLayout),
    /// The same position of as many samples as there are lanes; the remaining samples one after
    /// another.
    BatchInLanes {
        /// How many samples at a time.
        lanes: usize,
        /// The layout for the remaining samples.
        rest: VectorLayout,
    },
    /// The same point of neighbouring tiles.
    TilesInLanes,
}

/// How the positions of a plane are divided into vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorLayout {
    /// Row by row, with vectors of 512 bits.
    WideRows,
    /// Row by row, with vectors of 256 bits.
    NarrowRows,
    /// All rows as one line, with gaps between them. Positions in the gaps are wasted: two in 28
    /// for a width of 26 and 3 × 3 kernels, where rows of whole vectors would waste six in 32.
    Line,
}

/// How one direction of a correlation is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Which products are summed.
    pub arithmetic: Arithmetic,
    /// What the lanes hold.
    pub schedule: Schedule,
}

/// How a [`Correlation`](crate::Correlation) and its gradients are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The outputs.
    pub forward: Method,
    /// The gradient of the input. By minimal filtering it is a correlation with rotated kernels,
    /// channels and kernels exchanged, where that costs less than its direct sum.
    pub input_gradient: Method,
    /// The gradient of the kernels.
    pub kernel_gradient: KernelArithmetic,
}

/// The part of the plan that geometry and element decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    forward: Arithmetic,
    input_gradient: Arithmetic,
    pub(super) kernel_gradient: KernelArithmetic,
    /// Whether samples lie in the lanes if there are [enough](Self::FEWEST), in a direct sum of the
    /// outputs and of the input gradient.
    in_lanes: [bool; 2],
}

impl Choice {
    /// The fewest samples that are put in lanes.
    const FEWEST: usize = 8;

    /// The choice for elements `T`.
    pub(super) fn of<T: Element>(layer: &Geometry) -> Self {
        let adjoint = layer.adjoint();
        let in_lanes = [forward_in_lanes::<T>(layer), gradient_in_lanes::<T>(layer)];
        // For a batch: with samples in lanes no position is wasted.
        let positions = |in_lanes: bool, alone: &Geometry| match in_lanes {
            true => layer.out_plane(),
            false => cost::positions::<T>(alone),
        };
        let (mut forward, mut input_gradient) = (Arithmetic::Direct, Arithmetic::Direct);
        if may_be_filtered::<T>(layer) {
            forward = arithmetic(layer, positions(in_lanes[0], layer));
            if !layer.sees_padding_alone() {
                input_gradient = arithmetic(&adjoint, positions(in_lanes[1], &adjoint));
            }
        }
        Self { forward, input_gradient, kernel_gradient: of_kernels::<T>(layer), in_lanes }
    }

    /// How the outputs of `n` samples are computed at `level`.
    pub(super) fn forward<T>(&self, layer: &Geometry, level: Level, n: usize) -> Method {
        let arithmetic = self.forward;
        let rows = [layer.width, layer.out_width];
        let layout = || VectorLayout::of_outputs::<T>(layer, level);
        let in_lanes = self.in_lanes[0];
        Method { arithmetic, schedule: schedule::<T>(arithmetic, rows, layout, in_lanes, level, n) }
    }

    /// How the gradient of the input is computed for `n` samples at `level`.
    pub(super) fn input_gradient<T>(&self, layer: &Geometry, level: Level, n: usize) -> Method {
        let arithmetic = self.input_gradient;
        let rows = [layer.out_width, layer.width];
        // The first phase is the largest.
        let phase = Phase::of(layer, 1, [0, 0]);
        let layout = || VectorLayout::of_phase::<T>(layer, &phase, has_wide::<T>(level));
        let in_lanes = self.in_lanes[1];
        Method { arithmetic, schedule: schedule::<T>(arithmetic, rows, layout, in_lanes, level, n) }
    }
}

/// The schedule of a direct sum over `n` samples, whose rows of `read` numbers become rows of
/// `written` numbers.
fn schedule<T>(
    arithmetic: Arithmetic,
    [read, written]: [usize; 2],
    direct: impl Fn() -> VectorLayout,
    in_lanes: bool,
    level: Level,
    n: usize,
) -> Schedule {
    let lanes = level.lanes::<T>();
    match arithmetic {
        Arithmetic::Direct if in_lanes && n >= lanes.max(Choice::FEWEST) => {
            Schedule::BatchInLanes { lanes, rest: direct() }
        }
        Arithmetic::Direct => Schedule::Positions(direct()),
        Arithmetic::Tiles => Schedule::TilesInLanes,
        Arithmetic::Columns => {
            let has_wide = has_wide::<T>(level) && read >= wide::<T>();
            Schedule::Positions(VectorLayout::of_rows::<T>(written, has_wide))
        }
    }
}

/// Whether minimal filtering is possible and allowed.
fn may_be_filtered<T: Element>(layer: &Geometry) -> bool {
    let shape = [layer.kernel_height, layer.kernel_width] == [3, 3];
    let is_dense = layer.step == [1, 1] && layer.dilation == [1, 1];
    T::FILTERED && shape && is_dense && layer.groups == 1
}

/// Whether a row holds a vector, and there are so few channels or kernels that tiles of 4 × 4 would
/// not be better.
fn fits_columns(layer: &Geometry) -> bool {
    layer.channels.min(layer.kernels) < 16 && layer.width.min(layer.out_width) >= 8
}

/// The arithmetic where minimal filtering is possible, and a direct sum computes `positions`
/// positions.
fn arithmetic(layer: &Geometry, positions: usize) -> Arithmetic {
    let by_columns = || cost::gains(cost::direct_beside_columns(layer), cost::columns(layer));
    if cost::gains(cost::direct(layer, positions), cost::tiles(layer)) {
        Arithmetic::Tiles
    } else if fits_columns(layer) && by_columns() {
        Arithmetic::Columns
    } else {
        Arithmetic::Direct
    }
}

fn of_kernels<T: Element>(layer: &Geometry) -> KernelArithmetic {
    let outer = if layer.groups == 1 { layer.kernels / wide::<T>() * wide::<T>() } else { 0 };
    let filtered = may_be_filtered::<T>(layer);
    let direct = cost::direct(layer, layer.out_plane());
    if filtered && cost::gains(direct, cost::gradient_tiles(layer)) {
        return KernelArithmetic::Tiles;
    }
    let direct = cost::gradient_beside_columns(layer, outer);
    if filtered && fits_columns(layer) && cost::gains(direct, cost::gradient_columns(layer)) {
        return KernelArithmetic::Columns;
    }
    KernelArithmetic::Direct { outer, dots: layer.kernels - outer }
}

fn forward_in_lanes<T: Element>(layer: &Geometry) -> bool {
    let copied = layer.channels * Padded::of(layer).channel() + layer.output_shape().len();
    let in_vain = cost::positions::<T>(layer) - layer.out_plane();
    cost::gains_in_lanes(in_vain * layer.taps() * layer.kernels, copied)
}

fn gradient_in_lanes<T: Element>(layer: &Geometry) -> bool {
    let in_vain = |phase: Phase| {
        let positions = match VectorLayout::of_phase::<T>(layer, &phase, false) {
            VectorLayout::Line => cost::positions_by_lines::<T>(layer, &phase),
            _ => cost::positions_by_rows::<T>(layer, &phase),
        };
        positions - phase.kernel_width * phase.kernel_height * layer.out_plane()
    };
    let in_vain: usize = Phase::each(layer).map(in_vain).sum();
    let copied = layer.input_shape().len() + layer.output_shape().len();
    cost::gains_in_lanes(in_vain * layer.channels / layer.groups * layer.kernels, copied)
}

/// Whether vectors of 512 bits are used at `level`.
fn has_wide<T>(level: Level) -> bool {
    level.lanes::<T>() == wide::<T>()
}

impl VectorLayout {
    fn of_rows<T>(len: usize, has_wide: bool) -> Self {
        if has_wide && fits_wide::<T>(len) { Self::WideRows } else { Self::NarrowRows }
    }

    /// The layout for outputs that computes the fewest positions.
    fn of_outputs<T>(layer: &Geometry, level: Level) -> Self {
        let pitch = Padded::of(layer).columns;
        // A line is written twice, which costs as much as a few taps.
        if cost::of_a_row::<T>(layer.out_width) <= pitch + 4 * pitch / layer.taps() {
            Self::of_rows::<T>(layer.out_width, has_wide::<T>(level))
        } else {
            Self::Line
        }
    }

    /// The layout of the output gradient in which a phase reads it: rows, which need no copy,
    /// unless one line of them has fewer positions.
    #[inline(always)]
    pub(super) fn of_phase<T>(layer: &Geometry, phase: &Phase, has_wide: bool) -> Self {
        let len = layer.out_width * phase.lanes;
        if cost::of_a_row::<T>(len) <= phase.pitch * phase.lanes {
            Self::of_rows::<T>(len, has_wide)
        } else {
            Self::Line
        }
    }
}

impl Schedule {
    /// The layout of samples that are computed one after another; tiles lie on one line.
    #[inline(always)]
    pub(super) fn layout(&self) -> VectorLayout {
        match *self {
            Self::Positions(layout) | Self::BatchInLanes { rest: layout, .. } => layout,
            Self::TilesInLanes => VectorLayout::Line,
        }
    }

    /// How many samples are computed together in lanes.
    #[inline(always)]
    pub(super) fn samples_together(&self) -> usize {
        if let Self::BatchInLanes { lanes, .. } = *self { lanes } else { 1 }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Tiles => "tiles of 4 × 4",
            Self::Columns => "columns of 4",
        })
    }
}

impl fmt::Display for KernelArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct { outer: 0, .. } => "dot products",
            Self::Direct { dots: 0, .. } => "outer products",
            Self::Direct { .. } => "outer and dot products",
            Self::Tiles => return Arithmetic::Tiles.fmt(f),
            Self::Columns => return Arithmetic::Columns.fmt(f),
        })
    }
}

impl fmt::Display for VectorLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WideRows => "wide rows",
            Self::NarrowRows => "narrow rows",
            Self::Line => "line",
        })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Positions(layout) => layout.fmt(f),
            Self::BatchInLanes { .. } => f.write_str("batch in lanes"),
            Self::TilesInLanes => f.write_str("tiles in lanes"),
        }
    }
}

impl fmt::Display for Method {
    /// The schedule of a direct sum; the arithmetic otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.arithmetic {
            Arithmetic::Direct => self.schedule.fmt(f),
            filtered => filtered.fmt(f),
        }
    }
}
