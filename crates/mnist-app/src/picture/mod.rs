//! Pictures of numbers: samples, kernels, feature maps, gradients. As pixels here, as PNG, as a
//! sheet of tiles with captions (`sheet.rs`), and in a terminal (`terminal.rs`).

mod diverging;
mod font;
mod sheet;
pub(crate) mod terminal;

pub(crate) use diverging::Scale;
pub(crate) use sheet::{Captions, Sheet, Tile};

use anyhow::Context as _;
use tensor::Element;

/// Red, green, blue.
pub(crate) type Colour = [u8; 3];

/// A picture of RGB pixels, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    height: usize,
    width: usize,
    pixels: Vec<Colour>,
}

impl Picture {
    /// One of a single colour.
    pub(crate) fn plain([height, width]: [usize; 2], colour: Colour) -> Self {
        Self { height, width, pixels: vec![colour; height * width] }
    }

    /// A sample of shape `(C, H, W)`: in colour if it has three channels, else in grey, the mean of
    /// its channels.
    ///
    /// # Panics
    /// If the planes are not of this shape.
    pub(crate) fn of_sample([channels, height, width]: [usize; 3], planes: &[u8]) -> Self {
        let area = height * width;
        assert_eq!(planes.len(), channels * area, "picture: numbers of a sample");
        let grey = |at: usize| {
            let sum: usize = planes.iter().skip(at).step_by(area).map(|&x| usize::from(x)).sum();
            [u8::try_from(sum / channels).unwrap_or(u8::MAX); 3]
        };
        let colour = |at: usize| [0, 1, 2].map(|channel| planes[channel * area + at]);
        let pixel = |at| if channels == 3 { colour(at) } else { grey(at) };
        Self { height, width, pixels: (0..area).map(pixel).collect() }
    }

    /// Signed numbers, such as those of a kernel, a feature map or a gradient: blue below 0, almost
    /// white at 0, red above; see [`Scale`].
    ///
    /// # Panics
    /// If there are not `height · width` numbers.
    pub(crate) fn of_signed<T: Element>(
        [height, width]: [usize; 2],
        numbers: &[T],
        scale: Scale,
    ) -> Self {
        assert_eq!(numbers.len(), height * width, "picture: numbers of a plane");
        let pixels = numbers.iter().map(|number| scale.colour(number.to_f64())).collect();
        Self { height, width, pixels }
    }

    /// Height and width.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The pixel in row `y` and column `x`.
    pub(crate) fn pixel(&self, [y, x]: [usize; 2]) -> Colour {
        self.pixels[y * self.width + x]
    }

    /// Each pixel as a square of `factor × factor`.
    pub(crate) fn enlarged(&self, factor: usize) -> Self {
        self.resized([self.height * factor, self.width * factor])
    }

    /// In another size: each new pixel is the mean of what it covers, so that a whole multiple
    /// repeats pixels.
    pub(crate) fn resized(&self, [height, width]: [usize; 2]) -> Self {
        let channel = |channel: usize| {
            let plane: Vec<_> = self.pixels.iter().map(|pixel| f64::from(pixel[channel])).collect();
            resized(&plane, self.size(), [height, width])
        };
        let [red, green, blue] = [0, 1, 2].map(channel);
        let pixel = |at: usize| [byte(red[at]), byte(green[at]), byte(blue[at])];
        Self { height, width, pixels: (0..height * width).map(pixel).collect() }
    }

    /// Draws another picture over this one, its upper left corner at row `y` and column `x`; what
    /// would be outside is cut.
    pub(crate) fn draw(&mut self, other: &Self, [y, x]: [usize; 2]) {
        let (height, width) = (self.height.saturating_sub(y), self.width.saturating_sub(x));
        let width = width.min(other.width);
        for row in 0..other.height.min(height) {
            let to = (y + row) * self.width + x;
            let from = row * other.width;
            self.pixels[to..to + width].copy_from_slice(&other.pixels[from..from + width]);
        }
    }

    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// If the picture is empty or too large for one.
    pub(crate) fn png(&self) -> anyhow::Result<Vec<u8>> {
        let size =
            || -> anyhow::Result<_> { Ok((self.width.try_into()?, self.height.try_into()?)) };
        let (width, height) = size().context("a picture for PNG")?;
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// A plane of numbers in another size: each new one is the mean of those that it covers.
fn resized(numbers: &[f64], from: [usize; 2], to: [usize; 2]) -> Vec<f64> {
    let [rows, columns] = [0, 1].map(|axis| shares(from[axis], to[axis]));
    let mean = |row: &[(usize, f64)], column: &[(usize, f64)]| -> f64 {
        let of_row = |&(y, share): &(usize, f64)| {
            let row = &numbers[y * from[1]..][..from[1]];
            share * column.iter().map(|&(x, share)| share * row[x]).sum::<f64>()
        };
        row.iter().map(of_row).sum()
    };
    rows.iter().flat_map(|row| columns.iter().map(|column| mean(row, column))).collect()
}

/// For each of `to` pixels in a row, which of `from` pixels it covers, and their shares of it.
fn shares(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
    let covered = |index: usize| {
        // In units of 1 / to of an old pixel, new pixel `index` goes from start to end.
        let (start, end) = (index * from, (index + 1) * from);
        let old = start / to..end.div_ceil(to);
        let share = |pixel: usize| {
            let len = end.min((pixel + 1) * to) - start.max(pixel * to);
            (pixel, len as f64 / from as f64)
        };
        old.map(share).collect()
    };
    (0..to).map(covered).collect()
}

/// A number from 0 to 255, rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
fn byte(number: f64) -> u8 {
    number.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{Picture, Scale};

    #[test]
    fn samples_are_grey_or_in_colour() {
        let grey = Picture::of_sample([1, 1, 2], &[0, 200]);
        assert_eq!(grey.pixels, [[0; 3], [200; 3]]);
        let colour = Picture::of_sample([3, 1, 2], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(colour.pixels, [[1, 3, 5], [2, 4, 6]]);
        let two = Picture::of_sample([2, 1, 2], &[0, 10, 100, 20]);
        assert_eq!(two.pixels, [[50; 3], [15; 3]]);
    }

    #[test]
    fn enlarging_repeats_pixels_and_shrinking_takes_means() {
        let picture = Picture::of_sample([1, 1, 2], &[10, 30]);
        assert_eq!(picture.enlarged(2).pixels, [[10; 3], [10; 3], [30; 3], [30; 3]].repeat(2));
        assert_eq!(picture.resized([1, 1]).pixels, [[20; 3]]);
        assert_eq!(picture.resized([1, 3]).pixels, [[10; 3], [20; 3], [30; 3]]);
        let four = Picture::of_sample([1, 1, 4], &[0, 40, 80, 120]);
        assert_eq!(four.resized([1, 3]).pixels, [[10; 3], [60; 3], [110; 3]]);
        assert_eq!(four.enlarged(3).resized([1, 4]), four);
    }

    #[test]
    fn what_is_drawn_outside_is_cut() {
        let mut picture = Picture::plain([2, 2], [0; 3]);
        picture.draw(&Picture::plain([2, 2], [9; 3]), [1, 1]);
        picture.draw(&Picture::plain([2, 2], [9; 3]), [5, 5]);
        assert_eq!(picture.pixels, [[0; 3], [0; 3], [0; 3], [9; 3]]);
    }

    #[test]
    fn a_png_has_the_pixels() {
        let numbers = [-1.0, 0.0, 0.5, 1.0, f64::NAN, -0.25];
        let picture = Picture::of_signed([2, 3], &numbers, Scale::of(&numbers));
        let bytes = picture.png().unwrap();
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.height, frame.width), (2, 3));
        assert_eq!(pixels, picture.pixels.as_flattened());
        assert!(Picture::plain([0, 4], [0; 3]).png().is_err());
    }
}
