//! The only file that chooses how a correlation and its gradients are computed.
//!
//! What runs is what [`Plan`] tells: both come from [`Choice`], which is made once, when the
//! geometry is known.

use std::fmt;

use crate::Element;
use crate::simd::Level;

use super::cost;
use super::geometry::Geometry;
use super::layout::{Padded, Phase, fits_wide, wide};

/// Which numbers are multiplied to give an output, or the gradient of an input. It changes
/// rounding, so it depends on geometry and element alone.
///
/// Minimal filtering is for `f32` where kernels are 3 × 3 with stride 1 and one group, and less work
/// is done by more than a quarter: tiles from 16 channels and 16 kernels on with planes of 26 × 26,
/// columns with fewer, from two channels and eight kernels on. The error is at most
/// `(24 + 2 m) ε` of the largest `Σ |x| |k|`, where `m` products are added up at a point: one for
/// each channel in tiles and three in columns; of the gradient of kernels, one for each tile, or for
/// each position of a column. (A sum of `n` products as it is written has at most `n ε / 2`.) Tests
/// hold it for random numbers, constants and chessboards. A number that is not finite reaches all
/// outputs of the tiles or columns that see it. `f64`, which is there to check gradients, is always summed
/// as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// The sum as it is written.
    Direct,
    /// Winograd's minimal filtering F(4 × 4, 3 × 3), in two directions.
    Tiles,
    /// Winograd's minimal filtering F(4, 3), down the columns.
    Columns,
}

/// [`Arithmetic`] of the gradient of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelArithmetic {
    /// The sum as it is written. The first `outer` kernels fill vectors and are summed as outer
    /// products, position by position; the other `dots` as dot products, with positions in the lanes.
    Direct {
        /// Kernels in lanes.
        outer: usize,
        /// The other kernels.
        dots: usize,
    },
    /// As [`Arithmetic::Tiles`].
    Tiles,
    /// As [`Arithmetic::Columns`].
    Columns,
}

/// What the lanes of vectors are. It changes no bit, so it may depend on level and batch too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Neighbouring positions of a sample.
    Positions(VectorLayout),
    /// The same position of as many samples as there are lanes; samples that are left over one
    /// after another.
    BatchInLanes {
        /// How many at a time.
        lanes: usize,
        /// The layout of those that are left over.
        rest: VectorLayout,
    },
    /// The same point of neighbouring tiles.
    TilesInLanes,
}

/// How the positions of a plane are cut into vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorLayout {
    /// Row by row, with vectors of 512 bits.
    WideRows,
    /// Row by row, with vectors of 256 bits.
    NarrowRows,
    /// All rows as one line, with gaps between them. What lies in the gaps is computed in vain: for
    /// a width of 26 and kernels of 3 × 3 two positions in 28, where rows of whole vectors would
    /// compute six in 32.
    Line,
}

/// How one direction of a correlation is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// What is multiplied.
    pub arithmetic: Arithmetic,
    /// In which vectors.
    pub schedule: Schedule,
}

/// How a [`Correlation`](crate::Correlation) and its gradients are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The outputs.
    pub forward: Method,
    /// The gradient of the input. By minimal filtering it is a correlation with turned kernels,
    /// channels and kernels exchanged, where that is less work than its own direct sum.
    pub input_gradient: Method,
    /// The gradient of the kernels.
    pub kernel_gradient: KernelArithmetic,
}

/// What geometry and element decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    forward: Arithmetic,
    input_gradient: Arithmetic,
    pub(super) kernel_gradient: KernelArithmetic,
    /// Whether [enough](Self::FEWEST) samples lie in the lanes, of outputs and of the input's
    /// gradient, if they are summed as it is written.
    in_lanes: [bool; 2],
}

impl Choice {
    /// Samples that may lie in lanes.
    const FEWEST: usize = 8;

    /// For elements `T`.
    pub(super) fn of<T: Element>(layer: &Geometry) -> Self {
        let adjoint = layer.adjoint();
        let in_lanes = [forward_in_lanes::<T>(layer), gradient_in_lanes::<T>(layer)];
        // In a batch. With samples in lanes no position is computed in vain.
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

    /// How the gradient of their input is.
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

/// Of `n` samples whose rows of `read` numbers become rows of `written` ones.
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

/// Whether minimal filtering can compute the correlation, and may.
fn may_be_filtered<T: Element>(layer: &Geometry) -> bool {
    let shape = [layer.kernel_height, layer.kernel_width] == [3, 3];
    let is_dense = layer.step == [1, 1] && layer.dilation == [1, 1];
    T::FILTERED && shape && is_dense && layer.groups == 1
}

/// Whether rows hold a vector, and there are so few channels or kernels that tiles of 4 × 4 are no
/// better.
fn fits_columns(layer: &Geometry) -> bool {
    layer.channels.min(layer.kernels) < 16 && layer.width.min(layer.out_width) >= 8
}

/// Of a correlation that minimal filtering can compute, where the direct sum has so many positions.
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

    /// Of outputs: what computes fewest positions.
    fn of_outputs<T>(layer: &Geometry, level: Level) -> Self {
        let pitch = Padded::of(layer).columns;
        // A line is written twice, which costs as much as some taps.
        if cost::of_a_row::<T>(layer.out_width) <= pitch + 4 * pitch / layer.taps() {
            Self::of_rows::<T>(layer.out_width, has_wide::<T>(level))
        } else {
            Self::Line
        }
    }

    /// Of the output's gradient as a phase reads it: rows, which need no copy, unless one line of
    /// them has fewer positions.
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
    /// Of a direct sum its schedule, else its arithmetic.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.arithmetic {
            Arithmetic::Direct => self.schedule.fmt(f),
            filtered => filtered.fmt(f),
        }
    }
}
