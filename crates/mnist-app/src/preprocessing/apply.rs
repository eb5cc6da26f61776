//! The steps from a raster to the bytes of an input.

use anyhow::{Context, anyhow};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};

use super::digit::{self, Found};
use super::{Background, Colour, Fit, Invert, Preprocessing, Raster, Style};

/// What resizes pictures, with memory to work in.
#[derive(Debug, Default)]
pub struct Resizer(fast_image_resize::Resizer);

impl Preprocessing {
    /// Writes a picture as the bytes of an input, `(C, H, W)`; one that has this size already keeps
    /// its bytes. Returns what was found, where it is to be a digit.
    ///
    /// # Errors
    /// If memory is short.
    ///
    /// # Panics
    /// If there is not room for exactly one input.
    pub fn apply(
        &self,
        picture: Raster,
        planes: &mut [u8],
        resizer: &mut Resizer,
    ) -> anyhow::Result<Option<Found>> {
        let picture = self.turned(picture);
        let (picture, found) = match self.style {
            Style::Picture => (picture.on(self.background), None),
            Style::Digit => {
                let (picture, found) = digit::to_mnist(picture.on_its_ground());
                (picture, Some(found))
            }
        };
        self.write(picture, planes, resizer)?;
        Ok(found)
    }

    /// The digits of a picture, line by line and each from left to right, as the bytes of an input
    /// each.
    ///
    /// # Errors
    /// If memory is short.
    pub fn split(
        &self,
        picture: Raster,
        resizer: &mut Resizer,
    ) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
        let lines = digit::split(self.turned(picture).on_its_ground());
        let mut input = |digit| {
            let mut planes = vec![0; self.shape().iter().product()];
            self.write(digit, &mut planes, resizer)?;
            Ok(planes)
        };
        let line = |line: Vec<_>| line.into_iter().map(&mut input).collect();
        lines.into_iter().map(line).collect()
    }

    fn turned(&self, picture: Raster) -> Raster {
        if self.transpose { picture.transposed() } else { picture }
    }

    /// Writes a picture without transparency.
    fn write(
        &self,
        picture: Raster,
        planes: &mut [u8],
        resizer: &mut Resizer,
    ) -> anyhow::Result<()> {
        assert_eq!(planes.len(), self.shape().iter().product::<usize>(), "an input's bytes");
        let picture = self.fitted(picture.in_colour(self.colour), resizer)?;
        picture.write_planes(planes);
        let inverts = match self.invert {
            Invert::Never => false,
            Invert::Always => true,
            Invert::Auto => mean(&picture.border()).iter().all(|&mean| mean > 127),
        };
        if inverts {
            planes.iter_mut().for_each(|byte| *byte = u8::MAX - *byte);
        }
        Ok(())
    }

    fn fitted(&self, picture: Raster, resizer: &mut Resizer) -> anyhow::Result<Raster> {
        let [height, width] = self.size;
        if [picture.height, picture.width] == self.size {
            return Ok(picture);
        }
        let (own_height, own_width) = (picture.height as f64, picture.width as f64);
        let scales = [height as f64 / own_height, width as f64 / own_width];
        match self.fit {
            Fit::Resize => resizer.resize(&picture, self.size, None),
            Fit::Crop => {
                let scale = scales[0].max(scales[1]);
                let part = [height as f64 / scale, width as f64 / scale];
                let part = [part[0].min(own_height), part[1].min(own_width)];
                resizer.resize(&picture, self.size, Some(part))
            }
            Fit::Pad => {
                let scale = scales[0].min(scales[1]);
                let side = |own: f64, most: usize| ((own * scale).round() as usize).clamp(1, most);
                let inner = [side(own_height, height), side(own_width, width)];
                let ground = mean(&picture.border());
                let inside = resizer.resize(&picture, inner, None)?;
                Ok(inside.in_the_middle_of(self.size, &ground))
            }
        }
    }
}

impl Resizer {
    /// The picture, or the middle `part` of it (height, width), in another size, each pixel the mean
    /// of what it covers, weighted by a triangle.
    fn resize(
        &mut self,
        picture: &Raster,
        [height, width]: [usize; 2],
        part: Option<[f64; 2]>,
    ) -> anyhow::Result<Raster> {
        let channels = picture.channels;
        let kind = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let sides = |width: usize, height: usize| -> anyhow::Result<[u32; 2]> {
            Ok([u32::try_from(width)?, u32::try_from(height)?])
        };
        let [own_width, own_height] = sides(picture.width, picture.height)?;
        let from = ImageRef::new(own_width, own_height, &picture.pixels, kind)?;
        let [to_width, to_height] = sides(width, height)?;
        let mut to = Image::new(to_width, to_height, kind);
        let mut options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        if let Some([part_height, part_width]) = part {
            let left = (picture.width as f64 - part_width) / 2.0;
            let top = (picture.height as f64 - part_height) / 2.0;
            options = options.crop(left, top, part_width, part_height);
        }
        self.0
            .resize(&from, &mut to, &options)
            .map_err(|error| anyhow!("{error}"))
            .context("resizing")?;
        Ok(Raster { channels, height, width, pixels: to.into_vec() })
    }
}

impl Raster {
    fn transposed(self) -> Self {
        let Self { channels, height, width, pixels } = self;
        let mut turned = Vec::with_capacity(pixels.len());
        for x in 0..width {
            for y in 0..height {
                turned.extend_from_slice(&pixels[(y * width + x) * channels..][..channels]);
            }
        }
        Self { channels, height: width, width: height, pixels: turned }
    }

    /// Without transparency, on this background.
    fn on(self, Background(colour): Background) -> Self {
        let Self { channels, height, width, pixels } = self;
        let shades = match channels {
            2 => vec![luma(colour)],
            4 => colour.to_vec(),
            _ => return Self { channels, height, width, pixels },
        };
        let visible = channels - 1;
        let pixels = pixels
            .chunks_exact(channels)
            .flat_map(|pixel| {
                let alpha = u32::from(pixel[visible]);
                pixel[..visible].iter().zip(&shades).map(move |(&front, &back)| {
                    let mixed = u32::from(front) * alpha + u32::from(back) * (255 - alpha);
                    ((mixed + 127) / 255) as u8
                })
            })
            .collect();
        Self { channels: visible, height, width, pixels }
    }

    /// A digit in grey, without transparency, on the ground on which its ink is seen best: what is
    /// behind transparent pixels is white or black, whichever is farther from all that is opaque;
    /// or, where that is both light and dark, and so has a ground of its own, what is nearer to
    /// most of it.
    fn on_its_ground(self) -> Self {
        let background = match self.channels {
            2 | 4 => Background([if self.is_seen_on_white() { u8::MAX } else { 0 }; 3]),
            _ => Background::default(),
        };
        self.on(background).in_colour(Colour::Grey)
    }

    /// Whether what is opaque is seen on white rather than on black.
    fn is_seen_on_white(&self) -> bool {
        /// What is nearer than this to ink is no ground for it.
        const FAR: u64 = 64;
        let visible = self.channels - 1;
        let mut counts = [0_u64; 256];
        for pixel in self.pixels.chunks_exact(self.channels) {
            let grey = match visible {
                3 => luma([pixel[0], pixel[1], pixel[2]]),
                _ => pixel[0],
            };
            counts[usize::from(grey)] += u64::from(pixel[visible]);
        }
        let all: u64 = counts.iter().sum();
        // The first brightness of which this share of what is opaque is no lighter.
        let quantile = |percent: u64| -> u64 {
            let mut below = 0;
            let is_reached = |(_, count): &(u64, &u64)| {
                below += **count;
                100 * below >= percent * all
            };
            (0..).zip(&counts).find(is_reached).map_or(0, |(grey, _)| grey)
        };
        let (from_black, from_white) = (quantile(2), 255 - quantile(98));
        match from_black.max(from_white) {
            FAR.. => from_white >= from_black,
            _ => quantile(50) > 127,
        }
    }

    /// In grey or in colour, of a picture without transparency.
    fn in_colour(self, colour: Colour) -> Self {
        let Self { channels, height, width, pixels } = self;
        let pixels = match (channels, colour) {
            (3, Colour::Grey) => pixels.as_chunks().0.iter().map(|&pixel| luma(pixel)).collect(),
            (1, Colour::Rgb) => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            _ => pixels,
        };
        Self { channels: colour.channels(), height, width, pixels }
    }

    /// The pixels along its four sides.
    fn border(&self) -> Self {
        let Self { channels, height, width, .. } = *self;
        let is_border = |y: usize, x: usize| y == 0 || x == 0 || y + 1 == height || x + 1 == width;
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let pixels: Vec<u8> = places
            .filter(|&(y, x)| is_border(y, x))
            .flat_map(|(y, x)| &self.pixels[(y * width + x) * channels..][..channels])
            .copied()
            .collect();
        Self { channels, height: 1, width: pixels.len() / channels, pixels }
    }

    fn in_the_middle_of(&self, [height, width]: [usize; 2], ground: &[u8]) -> Self {
        let mut pixels = ground.repeat(height * width);
        let [top, left] = [(height - self.height) / 2, (width - self.width) / 2];
        let row = self.width * self.channels;
        for (y, from) in self.pixels.chunks_exact(row).enumerate() {
            let start = ((top + y) * width + left) * self.channels;
            pixels[start..start + row].copy_from_slice(from);
        }
        Self { channels: self.channels, height, width, pixels }
    }
}

/// The brightness of a colour (Recommendation ITU-R BT.601); of a grey its own.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8
}

/// The mean of each channel.
fn mean(picture: &Raster) -> Vec<u8> {
    let count = (picture.pixels.len() / picture.channels).max(1);
    let of_channel = |channel| {
        let values = picture.pixels.iter().skip(channel).step_by(picture.channels);
        ((values.map(|&byte| usize::from(byte)).sum::<usize>() + count / 2) / count) as u8
    };
    (0..picture.channels).map(of_channel).collect()
}

#[cfg(test)]
mod tests {
    use super::{Resizer, luma};
    use crate::preprocessing::{Background, Colour, Fit, Invert, Preprocessing, Raster};

    fn noise(channels: usize, height: usize, width: usize) -> Raster {
        let mut state = 1_u32;
        let pixels = (0..channels * height * width).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Raster { channels, height, width, pixels: pixels.collect() }
    }

    fn applied(preprocessing: &Preprocessing, picture: Raster) -> Vec<u8> {
        let mut planes = vec![9; preprocessing.shape().iter().product()];
        preprocessing.apply(picture, &mut planes, &mut Resizer::default()).unwrap();
        planes
    }

    #[test]
    fn greys_keep_their_brightness() {
        assert!((0..=255).all(|grey| luma([grey; 3]) == grey));
        assert_eq!([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(luma), [76, 150, 29]);
    }

    #[test]
    fn a_picture_of_the_right_form_keeps_its_bytes() {
        for shape in [[1, 5, 7], [3, 4, 4]] {
            let picture = noise(shape[0], shape[1], shape[2]);
            let mut planes = vec![0; picture.pixels.len()];
            picture.write_planes(&mut planes);
            assert_eq!(applied(&Preprocessing::plain(shape), picture), planes);
        }
    }

    #[test]
    fn each_step_does_what_it_says() {
        let plain = Preprocessing::plain([1, 1, 2]);
        let grey =
            |pixels: &[u8]| Raster { channels: 1, height: 1, width: 2, pixels: pixels.into() };
        let inverted = Preprocessing { invert: Invert::Always, ..plain.clone() };
        assert_eq!(applied(&inverted, grey(&[0, 250])), [255, 5]);
        let auto = Preprocessing { invert: Invert::Auto, ..plain.clone() };
        assert_eq!(applied(&auto, grey(&[100, 250])), [155, 5]);
        assert_eq!(applied(&auto, grey(&[4, 250])), [4, 250]);
        let clear = Raster { channels: 2, height: 1, width: 2, pixels: vec![10, 0, 10, 255] };
        assert_eq!(applied(&plain, clear.clone()), [255, 10]);
        let black = Preprocessing { background: Background([0; 3]), ..plain.clone() };
        assert_eq!(applied(&black, clear), [0, 10]);
        let turned = Preprocessing { transpose: true, ..Preprocessing::plain([1, 3, 2]) };
        let picture = Raster { channels: 1, height: 2, width: 3, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(applied(&turned, picture), [1, 4, 2, 5, 3, 6]);
        let colour = Preprocessing { colour: Colour::Rgb, ..plain };
        assert_eq!(applied(&colour, grey(&[7, 8])), [7, 8, 7, 8, 7, 8]);
    }

    #[test]
    fn transparent_ground_lets_ink_be_seen() {
        let of = |ink: [u8; 2], others: &[[u8; 2]]| {
            let pixels = [&[[0, 0]; 20][..], &[ink; 10], others].concat().concat();
            let picture = Raster { channels: 2, height: 1, width: pixels.len() / 2, pixels };
            picture.on_its_ground().pixels[0]
        };
        assert_eq!(of([10, 255], &[]), 255);
        assert_eq!(of([250, 200], &[]), 0);
        // Ink from black to grey.
        assert_eq!(of([150, 255], &[[0, 255], [80, 255]]), 255);
        // Ink on opaque paper with transparent corners, and on a dark board.
        assert_eq!(of([10, 255], &[[240, 255]; 90]), 255);
        assert_eq!(of([240, 255], &[[10, 255]; 90]), 0);
        let clear = Raster { channels: 4, height: 1, width: 1, pixels: vec![9, 9, 9, 0] };
        assert_eq!(clear.on_its_ground().pixels.len(), 1);
        let yellow = [[0, 0, 0, 0], [250, 240, 20, 255]].concat();
        let yellow = Raster { channels: 4, height: 1, width: 2, pixels: yellow };
        assert_eq!(yellow.on_its_ground().pixels[0], 0);
    }

    #[test]
    fn proportions_change_are_cut_or_are_filled() {
        // A light square on a dark ground twice as wide as high.
        let picture = Raster {
            channels: 1,
            height: 40,
            width: 80,
            pixels: (0..3200)
                .map(|at| if (20..60).contains(&(at % 80)) { 200 } else { 0 })
                .collect(),
        };
        let to = |fit| Preprocessing { size: [20, 20], fit, ..Preprocessing::plain([1, 40, 80]) };
        let row = |planes: &[u8], y: usize| planes[20 * y..20 * y + 20].to_vec();
        let resized = applied(&to(Fit::Resize), picture.clone());
        assert_eq!([row(&resized, 0)[0], row(&resized, 0)[10]], [0, 200]);
        let cropped = applied(&to(Fit::Crop), picture.clone());
        // Its sides blend with what is just outside.
        assert!(cropped.iter().all(|&byte| byte >= 150) && cropped[10] == 200, "{cropped:?}");
        let padded = applied(&to(Fit::Pad), picture);
        let ground = padded[0];
        assert!(row(&padded, 4).iter().all(|&byte| byte == ground));
        assert_eq!([row(&padded, 10)[0], row(&padded, 10)[10]], [0, 200]);
    }

    /// The same on every processor: CI runs this on emulated ones too.
    #[test]
    fn resizing_has_the_same_bits_everywhere() {
        let mut all = Vec::new();
        for channels in [1, 3] {
            for [height, width] in [[1, 1], [1, 97], [31, 53], [200, 7]] {
                for size in [[1, 1], [28, 28], [64, 64], [5, 300]] {
                    let picture = noise(channels, height, width);
                    all.extend(Resizer::default().resize(&picture, size, None).unwrap().pixels);
                }
            }
        }
        assert_eq!(
            layers::sha256(&all),
            "3d58c5ce3acf9b3806689c189320a64b4224ef81ccb3375cde5afc2a1aefa2fd"
        );
    }

    /// A pixel is the mean of those under a triangle as wide as two pixels of the result, or of the
    /// picture where that is coarser.
    fn slowly(picture: &Raster, [height, width]: [usize; 2]) -> Vec<f64> {
        let weights = |own: usize, other: usize, at: usize| -> Vec<f64> {
            let scale = own as f64 / other as f64;
            let (centre, reach) = ((at as f64 + 0.5) * scale, scale.max(1.0));
            let weight =
                |place: usize| (1.0 - ((place as f64 + 0.5 - centre) / reach).abs()).max(0.0);
            let weights: Vec<_> = (0..own).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / sum).collect()
        };
        let mut resized = Vec::new();
        for y in 0..height {
            let rows = weights(picture.height, height, y);
            for x in 0..width {
                let columns = weights(picture.width, width, x);
                resized.extend((0..picture.channels).map(|channel| {
                    let pixel =
                        |at: usize| f64::from(picture.pixels[at * picture.channels + channel]);
                    let row = |y: usize| -> f64 {
                        let each = columns.iter().enumerate();
                        each.map(|(x, weight)| weight * pixel(y * picture.width + x)).sum()
                    };
                    rows.iter().enumerate().map(|(y, weight)| weight * row(y)).sum::<f64>()
                }));
            }
        }
        resized
    }

    #[test]
    fn resizing_is_antialiased() {
        for (channels, [height, width], size) in [
            (1, [31, 53], [28, 28]),
            (3, [64, 40], [9, 11]),
            (1, [8, 8], [20, 20]),
            (3, [5, 1], [1, 7]),
        ] {
            let picture = noise(channels, height, width);
            let found = Resizer::default().resize(&picture, size, None).unwrap();
            for (found, expected) in found.pixels.iter().zip(slowly(&picture, size)) {
                assert!((f64::from(*found) - expected).abs() < 1.5, "{found} {expected}");
            }
        }
    }
}
