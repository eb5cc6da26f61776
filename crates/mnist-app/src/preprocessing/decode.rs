//! The file of a picture becomes a raster.

use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{anyhow, bail, ensure};
use image::codecs::webp::WebPDecoder;
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::{Raster, jpeg, png_image};
use crate::input::{Input, append, reserve};
use crate::memory;

/// The longest file of a picture.
const MOST_BYTES: usize = 1 << 28;

/// The most values of a picture, all channels together.
pub(super) const MOST_NUMBERS: usize = 1 << 28;

impl Raster {
    /// The bytes of a file that may be a picture.
    ///
    /// # Errors
    /// If it cannot be read, or is longer than a picture's.
    pub(crate) fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
        let input = Input::open(file)?;
        let mut bytes = Vec::new();
        // One byte more shows the end, without room for as much again.
        let len = input.len().unwrap_or(0).min(MOST_BYTES as u64) as usize;
        reserve(&mut bytes, len + 1)?;
        Self::append_of(input, bytes)
    }

    /// The same of what a reader has.
    pub(crate) fn bytes_of(reader: impl Read) -> anyhow::Result<Vec<u8>> {
        Self::append_of(reader, Vec::new())
    }

    fn append_of(mut reader: impl Read, mut bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let found = append(&mut reader, MOST_BYTES + 1, &mut bytes)?;
        ensure!(
            found <= MOST_BYTES,
            "expected a picture of at most {MOST_BYTES} bytes, found more; choose a smaller one"
        );
        Ok(bytes)
    }

    /// The picture in the bytes of a file, the right way up as its EXIF data say. Its content shows
    /// its format. Of 16 bits the upper 8 are kept.
    ///
    /// # Errors
    /// If it is none, in a format that is not read, damaged, implausibly large, or an animation.
    pub fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let format = format_of(bytes)?;
        if format == ImageFormat::Png {
            return Ok(png_image::decode(bytes)?.oriented(png_image::orientation(bytes)?));
        }
        let (decoder, orientation) = decoder(bytes, format)?;
        let picture = DynamicImage::from_decoder(decoder);
        let picture = picture.map_err(|error| complaint(format, error))?;
        Ok(Self::of_image(picture).oriented(orientation))
    }

    /// The shape, `(C, H, W)`, that the picture in the bytes of a file will have, transparency not
    /// counted: 1 channel for grey, 3 for colour.
    ///
    /// # Errors
    /// If it is none, in a format that is not read, or implausibly large.
    pub fn shape_of(bytes: &[u8]) -> anyhow::Result<[usize; 3]> {
        let format = format_of(bytes)?;
        if format == ImageFormat::Png {
            return Ok(turned(png_image::shape(bytes)?, png_image::orientation(bytes)?));
        }
        let (decoder, orientation) = decoder(bytes, format)?;
        let (width, height) = decoder.dimensions();
        let channels = if decoder.color_type().has_color() { 3 } else { 1 };
        Ok(turned([channels, height as usize, width as usize], orientation))
    }

    fn of_image(picture: DynamicImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let upper = |numbers: Vec<u16>| numbers.into_iter().map(|number| (number >> 8) as u8);
        let (channels, pixels) = match picture {
            DynamicImage::ImageLuma8(picture) => (1, picture.into_raw()),
            DynamicImage::ImageLumaA8(picture) => (2, picture.into_raw()),
            DynamicImage::ImageRgb8(picture) => (3, picture.into_raw()),
            DynamicImage::ImageRgba8(picture) => (4, picture.into_raw()),
            DynamicImage::ImageLuma16(picture) => (1, upper(picture.into_raw()).collect()),
            DynamicImage::ImageLumaA16(picture) => (2, upper(picture.into_raw()).collect()),
            DynamicImage::ImageRgb16(picture) => (3, upper(picture.into_raw()).collect()),
            DynamicImage::ImageRgba16(picture) => (4, upper(picture.into_raw()).collect()),
            other => (3, other.into_rgb8().into_raw()),
        };
        Self { channels, height, width, pixels }
    }

    /// The same picture the right way up.
    fn oriented(self, orientation: Orientation) -> Self {
        let Self { channels, height, width, pixels } = self;
        // Where the pixel of a row and column comes from.
        let from = |y: usize, x: usize| match orientation {
            Orientation::NoTransforms => (y, x),
            Orientation::FlipHorizontal => (y, width - 1 - x),
            Orientation::Rotate180 => (height - 1 - y, width - 1 - x),
            Orientation::FlipVertical => (height - 1 - y, x),
            Orientation::Rotate90FlipH => (x, y),
            Orientation::Rotate90 => (height - 1 - x, y),
            Orientation::Rotate270FlipH => (height - 1 - x, width - 1 - y),
            Orientation::Rotate270 => (x, width - 1 - y),
        };
        if orientation == Orientation::NoTransforms {
            return Self { channels, height, width, pixels };
        }
        let [_, rows, columns] = turned([channels, height, width], orientation);
        let mut turned = Vec::with_capacity(pixels.len());
        for y in 0..rows {
            for x in 0..columns {
                let (y, x) = from(y, x);
                turned.extend_from_slice(&pixels[(y * width + x) * channels..][..channels]);
            }
        }
        Self { channels, height: rows, width: columns, pixels: turned }
    }
}

/// The shape after the orientation.
fn turned([channels, height, width]: [usize; 3], orientation: Orientation) -> [usize; 3] {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => [channels, width, height],
        _ => [channels, height, width],
    }
}

fn decoder(
    bytes: &[u8],
    format: ImageFormat,
) -> anyhow::Result<(impl ImageDecoder + '_, Orientation)> {
    let failed = |error| complaint(format, error);
    match format {
        ImageFormat::Gif => require_still_gif(bytes)?,
        ImageFormat::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
            ensure!(!decoder.has_animation(), ANIMATION);
        }
        ImageFormat::Jpeg => jpeg::require_whole(bytes)?,
        _ => {}
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let numbers =
        u64::from(width) * u64::from(height) * u64::from(decoder.color_type().channel_count());
    ensure!(
        width > 0 && height > 0 && numbers <= MOST_NUMBERS as u64,
        "expected an image of at most {MOST_NUMBERS} numbers, of each pixel and channel one, found \
         one of {height}×{width} pixels; choose a smaller picture"
    );
    let bytes = decoder.total_bytes().saturating_mul(2);
    memory::require("decoding it", bytes, "choose a smaller picture")?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

/// That there are several pictures in one.
pub(super) const ANIMATION: &str =
    "expected a single image, found an animation; save the picture that is meant as PNG";

/// Refuses an animation, of which nobody says which picture is meant.
fn require_still_gif(bytes: &[u8]) -> anyhow::Result<()> {
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;
    let decoder = GifDecoder::new(Cursor::new(bytes));
    let decoder = decoder.map_err(|error| complaint(ImageFormat::Gif, error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) * 4 > MOST_NUMBERS as u64 {
        // Refused for its size.
        return Ok(());
    }
    let mut frames = decoder.into_frames();
    for count in 0..2 {
        match frames.next() {
            Some(Ok(_)) => ensure!(count == 0, ANIMATION),
            Some(Err(error)) => return Err(complaint(ImageFormat::Gif, error)),
            None => break,
        }
    }
    Ok(())
}

/// The format that the first bytes show.
fn format_of(bytes: &[u8]) -> anyhow::Result<ImageFormat> {
    const READ: [ImageFormat; 6] = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ];
    const EXPECTED: &str = "expected a picture (PNG, JPEG, GIF, BMP, WebP or PNM), found";
    if bytes.is_empty() {
        bail!("{EXPECTED} an empty file");
    }
    let format = image::guess_format(bytes).ok();
    if let Some(format) = format.filter(|format| READ.contains(format)) {
        return Ok(format);
    }
    let brand = bytes.get(4..12).unwrap_or_default();
    let is_text = bytes.iter().take(512).all(|&byte| byte >= 32 || b"\t\r\n".contains(&byte));
    let found = match (format, brand) {
        (_, b"ftypheic" | b"ftypheix" | b"ftypmif1" | b"ftyphevc") => "HEIC, as phones write it",
        (Some(ImageFormat::Avif), _) | (_, b"ftypavif") => "AVIF",
        (Some(ImageFormat::Tiff), _) => "TIFF",
        _ if bytes.starts_with(b"%PDF") => "PDF",
        _ if bytes.starts_with(b"<svg") || bytes.starts_with(b"<?xml") => "SVG or another XML",
        _ if is_text => bail!("{EXPECTED} a text"),
        _ => bail!("{EXPECTED} something else"),
    };
    bail!("{EXPECTED} {found}; save it as PNG or JPEG")
}

fn complaint(format: ImageFormat, error: ImageError) -> anyhow::Error {
    let name = match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::WebP => "WebP",
        _ => "PNM",
    };
    let reason = error.to_string().replace('\n', " ");
    anyhow!(
        "expected a {name} image, found a damaged one or one of a kind that is not read ({reason})"
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::metadata::Orientation;
    use image::{DynamicImage, ImageFormat, RgbImage};

    use super::Raster;

    fn raster() -> Raster {
        Raster { channels: 1, height: 2, width: 3, pixels: vec![1, 2, 3, 4, 5, 6] }
    }

    #[test]
    fn orientations_are_those_of_the_image_crate() {
        let picture = image::GrayImage::from_raw(3, 2, raster().pixels).unwrap();
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let mut expected = DynamicImage::ImageLuma8(picture.clone());
            expected.apply_orientation(orientation);
            assert_eq!(raster().oriented(orientation), Raster::of_image(expected), "{exif}");
        }
    }

    #[test]
    fn lossless_formats_give_the_same_pixels() {
        let picture = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8 * 9, y as u8 * 40, 7]));
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Pnm] {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            assert_eq!(Raster::shape_of(&bytes).unwrap(), [3, 3, 5]);
            let found = Raster::decode(&bytes).unwrap();
            assert_eq!((found.shape(), &found.pixels), ([3, 3, 5], picture.as_raw()), "{format:?}");
            for end in [0, 1, 8, bytes.len() / 2] {
                assert!(Raster::decode(&bytes[..end]).is_err(), "{format:?} {end}");
            }
        }
    }

    #[test]
    fn animations_are_refused() {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for shade in [0, 200] {
            let frame = image::RgbaImage::from_pixel(2, 2, image::Rgba([shade, 0, 0, 255]));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
        drop(encoder);
        let complaint = Raster::decode(&bytes).unwrap_err().to_string();
        assert!(complaint.contains("found an animation"), "{complaint}");
    }
}
