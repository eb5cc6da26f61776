//! A PNG image, decoded strictly: a damaged or animated one is an error.

use std::io::{Cursor, ErrorKind};

use anyhow::{Context, anyhow, ensure};
use image::metadata::Orientation;
use png::{ColorType, Decoder, DecodingError, Reader, Transformations};

use super::Raster;
use super::decode::{ANIMATION, MOST_NUMBERS};
use crate::dataset::size_text;

/// The picture in the bytes of a PNG file.
///
/// # Errors
/// If it is damaged, implausibly large, or an animation.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Raster> {
    Image::of(bytes)?.read()
}

/// The shape, `(C, H, W)`, of the picture in the bytes of a PNG file, alpha not counted.
///
/// # Errors
/// As [`decode`].
pub(super) fn shape(bytes: &[u8]) -> anyhow::Result<[usize; 3]> {
    Ok(Image::of(bytes)?.shape)
}

/// What the EXIF data of a PNG file say of its orientation.
///
/// # Errors
/// As [`decode`].
pub(super) fn orientation(bytes: &[u8]) -> anyhow::Result<Orientation> {
    let image = Image::of(bytes)?;
    let exif = image.reader.info().exif_metadata.as_deref();
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    Ok(orientation.unwrap_or(Orientation::NoTransforms))
}

/// A PNG image whose header has been read.
struct Image<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    /// `(C, H, W)`, alpha not counted.
    shape: [usize; 3],
    /// Whether it has an alpha channel.
    alpha: bool,
    palette: Option<Palette>,
}

/// The palette of an image whose pixels are indices.
struct Palette {
    /// Red, green, blue, alpha.
    colours: Vec<[u8; 4]>,
    /// Bits per pixel.
    bits: usize,
}

impl<'a> Image<'a> {
    fn of(bytes: &'a [u8]) -> anyhow::Result<Self> {
        let mut decoder = Decoder::new(Cursor::new(bytes));
        // Text and colour profiles change no pixel, and there may be many.
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let header = decoder.read_header_info().map_err(complaint)?;
        let is_indexed = header.color_type == ColorType::Indexed;
        let channels = match header.color_type {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => 1,
            ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => 3,
        };
        let [height, width] = [header.height, header.width].map(|size| size as usize);
        let shape = [channels, height, width];
        let numbers = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        ensure!(
            numbers.is_some_and(|numbers| numbers <= MOST_NUMBERS),
            "expected an image of at most {MOST_NUMBERS} numbers, of each pixel and channel one, \
             found one of {}; choose a smaller picture",
            size_text(shape)
        );
        if !is_indexed {
            // Fewer than 8 bits are expanded, and of 16 the upper 8 are kept.
            decoder.set_transformations(Transformations::normalize_to_color8());
        }
        let reader = decoder.read_info().map_err(complaint)?;
        ensure!(!reader.info().is_animated(), "{ANIMATION}");
        let palette = if is_indexed { Some(Palette::of(&reader)?) } else { None };
        let alpha = match reader.output_color_type().0 {
            ColorType::GrayscaleAlpha | ColorType::Rgba | ColorType::Indexed => true,
            ColorType::Grayscale | ColorType::Rgb => false,
        };
        Ok(Self { reader, shape, alpha, palette })
    }

    fn read(mut self) -> anyhow::Result<Raster> {
        let Self { reader, shape: [channels, height, width], alpha, palette } = &mut self;
        let (channels, height, width) = (*channels + usize::from(*alpha), *height, *width);
        let mut pixels = zeros(height * width * channels)?;
        match palette {
            None => {
                reader.next_frame(&mut pixels).map_err(complaint)?;
            }
            Some(palette) => {
                let mut packed = zeros(reader.output_buffer_size().context("its size")?)?;
                let line = reader.next_frame(&mut packed).map_err(complaint)?.line_size;
                let lines = packed.chunks_exact(line);
                for (line, pixels) in lines.zip(pixels.chunks_exact_mut(width * channels)) {
                    palette.expand(line, pixels)?;
                }
            }
        }
        // Read on to the end, so that a truncated file is an error.
        reader.finish().map_err(complaint)?;
        Ok(Raster { channels, height, width, pixels })
    }
}

impl Palette {
    fn of(reader: &Reader<Cursor<&[u8]>>) -> anyhow::Result<Self> {
        let info = reader.info();
        let colours = info.palette.as_deref().context("expected a palette, found none")?;
        let alphas = info.trns.as_deref().unwrap_or_default();
        let alpha = |place: usize| alphas.get(place).copied().unwrap_or(u8::MAX);
        let colours = colours.as_chunks().0.iter().enumerate();
        let colours = colours.map(|(place, &[r, g, b])| [r, g, b, alpha(place)]).collect();
        Ok(Self { colours, bits: info.bit_depth as usize })
    }

    /// The colours of a row of indices; the first index of a byte is in its upper bits.
    fn expand(&self, line: &[u8], pixels: &mut [u8]) -> anyhow::Result<()> {
        let Self { colours, bits } = self;
        let in_byte = 8 / bits;
        for (at, pixel) in pixels.as_chunks_mut().0.iter_mut().enumerate() {
            let shift = 8 - bits * (at % in_byte + 1);
            let place = usize::from(line[at / in_byte]) >> shift & ((1 << bits) - 1);
            *pixel = *colours.get(place).with_context(|| {
                let count = colours.len();
                format!(
                    "expected places in its palette of {count} colours, from 0 on, found {place}"
                )
            })?;
        }
        Ok(())
    }
}

fn zeros(len: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).context("too little memory to decode it")?;
    bytes.resize(len, 0);
    Ok(bytes)
}

fn complaint(error: DecodingError) -> anyhow::Error {
    match error {
        DecodingError::LimitsExceeded => {
            anyhow!("expected a PNG image that takes at most 64 MiB beside its pixels, found more")
        }
        DecodingError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => error.into(),
        error => {
            let reason = plain(&error.to_string());
            anyhow!("expected a PNG image, found something else or a damaged one ({reason})")
        }
    }
}

/// A message of the decoder, with the names of chunks instead of its debug output.
fn plain(text: &str) -> String {
    const START: &str = "ChunkType { type: ";
    let parts = text.split_once(START).and_then(|(before, rest)| {
        let (chunk, rest) = rest.split_once(',')?;
        Some((before, chunk, rest.split_once('}')?.1))
    });
    match parts {
        Some((before, chunk, after)) => format!("{before}{chunk}{}", plain(after)),
        None => text.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn chunks_are_called_by_their_names() {
        let found =
            plain(&format!("in {:?} chunk, before {:?}.", png::chunk::IDAT, png::chunk::PLTE));
        assert_eq!(found, "in IDAT chunk, before PLTE");
    }
}
