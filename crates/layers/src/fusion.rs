//! Which neighbouring layers are fused into one.

use tensor::{Element, Shape, ShapeError};

use crate::builtin::LayerSpec;
use crate::chain::{FusedInto, Link};
use crate::layer::Layer;

impl Link for LayerSpec {
    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Self::build(self, input)
    }

    fn fused<T: Element>(
        &self,
        next: &Self,
        input: Shape,
    ) -> Option<(FusedInto, Box<dyn Layer<T>>)> {
        Some(match (self, next) {
            (Self::BatchNorm2d(first), Self::Relu(_)) => {
                (FusedInto::Previous, first.build_rectified(input)?)
            }
            // The input and the output of a ReLU have the same sign: its derivative follows from
            // either.
            (Self::Relu(_), Self::MaxPool2d(second)) => {
                (FusedInto::Next, second.build_rectified(input)?)
            }
            _ => return None,
        })
    }
}
