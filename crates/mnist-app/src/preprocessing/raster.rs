//! A picture as it was decoded.

/// A picture of interleaved bytes, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// 1 for grey, 2 for grey and alpha, 3 for red, green and blue, 4 with alpha.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `(H, W, C)`.
    pub pixels: Vec<u8>,
}

impl Raster {
    /// A picture of these planes, `(C, H, W)`.
    ///
    /// # Panics
    /// If they are not as many bytes as the shape says.
    pub fn of_planes([channels, height, width]: [usize; 3], planes: &[u8]) -> Self {
        assert_eq!(planes.len(), channels * height * width, "planes of another size");
        let plane = height * width;
        let pixels = match channels {
            1 => planes.to_vec(),
            _ => (0..plane * channels)
                .map(|at| planes[at % channels * plane + at / channels])
                .collect(),
        };
        Self { channels, height, width, pixels }
    }

    /// Its planes, `(C, H, W)`.
    pub fn write_planes(&self, planes: &mut [u8]) {
        let plane = (self.height * self.width).max(1);
        for (channel, plane) in planes.chunks_exact_mut(plane).enumerate() {
            let pixels = self.pixels.chunks_exact(self.channels);
            plane.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel[channel]);
        }
    }

    /// Its shape, `(C, H, W)`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::Raster;

    #[test]
    fn planes_become_pixels_and_planes_again() {
        let planes: Vec<u8> = (0..24).collect();
        for shape in [[1, 4, 6], [2, 3, 4], [3, 4, 2], [4, 2, 3]] {
            let raster = Raster::of_planes(shape, &planes);
            assert_eq!(raster.shape(), shape);
            let mut back = [0; 24];
            raster.write_planes(&mut back);
            assert_eq!(back[..], planes);
        }
        assert_eq!(Raster::of_planes([3, 1, 2], &[1, 2, 3, 4, 5, 6]).pixels, [1, 3, 5, 2, 4, 6]);
    }
}
