use crate::{Element, Shape, ShapeError};

/// A contiguous, row-major array of numbers with a [`Shape`].
///
/// There is one layout and there are no views: a tensor owns its numbers, and a part of it is a
/// slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    shape: Shape,
    data: Vec<T>,
}

impl<T: Element> Tensor<T> {
    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { shape, data: vec![T::ZERO; shape.len()] }
    }

    /// The tensor with these numbers, in row-major order.
    ///
    /// # Errors
    /// If `data.len() != shape.len()`.
    pub fn from_vec(shape: impl Into<Shape>, data: Vec<T>) -> Result<Self, ShapeError> {
        let shape = shape.into();
        if data.len() != shape.len() {
            let expected = format!("{} elements for the shape {shape}", shape.len());
            return Err(ShapeError::new("Tensor::from_vec", expected, data.len()));
        }
        Ok(Self { shape, data })
    }

    /// The tensor whose element with flat index `i` is `f(i)`.
    pub fn from_fn(shape: impl Into<Shape>, f: impl FnMut(usize) -> T) -> Self {
        let shape = shape.into();
        Self { shape, data: (0..shape.len()).map(f).collect() }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The numbers, in row-major order.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// The numbers, in row-major order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The numbers, in row-major order.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }

    /// The same numbers under another shape.
    ///
    /// # Errors
    /// If the new shape has another number of elements.
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Self, ShapeError> {
        let shape = shape.into();
        if shape.len() != self.data.len() {
            let expected = format!("{} elements as in {}", self.data.len(), self.shape);
            let found = format!("{} in {shape}", shape.len());
            return Err(ShapeError::new("Tensor::reshape", expected, found));
        }
        Ok(Self { shape, ..self })
    }

    /// Height and width, or the error of `operation` if the tensor, its `operand`, is not a plane
    /// or is empty.
    pub(crate) fn plane(
        &self,
        operation: &'static str,
        operand: &str,
    ) -> Result<[usize; 2], ShapeError> {
        match self.shape.axes() {
            Some([h, w]) if h > 0 && w > 0 => Ok([h, w]),
            _ => {
                let expected = format!("{operand} that is a non-empty plane (H, W)");
                Err(ShapeError::new(operation, expected, self.shape))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tensor;

    #[test]
    fn wrong_lengths_name_the_whole_shape() {
        let error = Tensor::from_vec([2, 3], vec![0.0f32; 5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Tensor::from_vec: expected 6 elements for the shape (2, 3), got 5"
        );
        let error = Tensor::<f32>::zeros([2, 3]).reshape([4, 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Tensor::reshape: expected 6 elements as in (2, 3), got 8 in (4, 2)"
        );
    }
}
