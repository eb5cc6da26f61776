//! Correlation and its gradients as direct sums.

mod batch_in_lanes;
mod blocks;
mod column_sums;
pub(crate) mod dot_products;
pub(crate) mod forward;
pub(crate) mod input_gradient;
pub(crate) mod outer_products;
mod phase_sums;

use fearless_simd::Simd;

use crate::Element;
use crate::microkernel::{Product, multiply, multiply_narrow};
use crate::simd::SimdRegisters;
use crate::vector::Whole;

use super::plan::VectorLayout;

/// [`multiply`] with the vectors of a layout; a line consists of whole vectors of either width.
#[inline(always)]
fn multiply_in<S: Simd, T: Element>(
    simd: S,
    layout: VectorLayout,
    product: &Product<'_, T>,
    output: &mut [T],
) {
    if S::LARGE && layout != VectorLayout::NarrowRows {
        multiply::<S, T, Whole<T::Wide<S>>>(simd, product, output);
    } else {
        multiply_narrow(simd, product, output);
    }
}
