//! What the crate promises, seen from outside: the numbers of SciPy and PyTorch, the laws
//! of correlation, sums in their stated order, and errors that say what was expected.

mod adjoint;
mod empty;
mod fixtures;
mod not_finite;
mod pytorch;
mod reduce;
mod scipy;
mod scratch;
