//! A PNG image as planes of bytes.

use std::io::{BufReader, ErrorKind};
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use png::{ColorType, Decoder, DecodingError, Reader, Transformations};

use super::samples::size_text;
use crate::input::Input;

/// The most values of an image, all channels together.
const MOST_NUMBERS: usize = 1 << 26;

/// The shape, `(C, H, W)`, and the pixels of a PNG image.
///
/// # Errors
/// If it is none, or not one that data may have.
pub(crate) fn read_png(file: &Path) -> anyhow::Result<([usize; 3], Vec<u8>)> {
    let image = Image::open(file)?;
    let shape = image.shape;
    let mut pixels = Vec::new();
    resize(&mut pixels, shape.iter().product())?;
    image.read(&mut pixels, &mut <[Vec<u8>; 2]>::default())?;
    Ok((shape, pixels))
}

/// A PNG image whose header has been read.
pub(crate) struct Image {
    reader: Reader<BufReader<Input>>,
    /// `(C, H, W)`, alpha not counted.
    pub(crate) shape: [usize; 3],
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

impl Image {
    /// # Errors
    /// If it is not a PNG image, is implausibly large, or is an animation.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        Self::of(Input::open(file)?)
    }

    /// # Errors
    /// As [`Image::open`].
    pub(crate) fn of(input: Input) -> anyhow::Result<Self> {
        let mut decoder = Decoder::new(BufReader::new(input));
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
            "expected an image of at most {MOST_NUMBERS} numbers, found one of {}",
            size_text(shape)
        );
        if !is_indexed {
            // Fewer than 8 bits are expanded, and of 16 the upper 8 are kept.
            decoder.set_transformations(Transformations::normalize_to_color8());
        }
        let reader = decoder.read_info().map_err(complaint)?;
        ensure!(!reader.info().is_animated(), "expected a single image, found an animation");
        let palette = if is_indexed { Some(Palette::of(&reader)?) } else { None };
        let alpha = match reader.output_color_type().0 {
            ColorType::GrayscaleAlpha | ColorType::Rgba | ColorType::Indexed => true,
            ColorType::Grayscale | ColorType::Rgb => false,
        };
        Ok(Self { reader, shape, alpha, palette })
    }

    /// Writes the pixels, `(C, H, W)`; the two vectors are memory to work in.
    ///
    /// # Errors
    /// If the file is damaged, or a pixel is transparent.
    pub(crate) fn read(
        mut self,
        planes: &mut [u8],
        [interleaved, packed]: &mut [Vec<u8>; 2],
    ) -> anyhow::Result<()> {
        let Self { reader, shape: [channels, height, width], alpha, palette } = &mut self;
        let pixel = *channels + usize::from(*alpha);
        resize(interleaved, *height * *width * pixel)?;
        match palette {
            None => {
                reader.next_frame(interleaved).map_err(complaint)?;
            }
            Some(palette) => {
                resize(packed, reader.output_buffer_size().context("its size")?)?;
                let line = reader.next_frame(packed).map_err(complaint)?.line_size;
                let lines = packed.chunks_exact(line);
                for (line, pixels) in lines.zip(interleaved.chunks_exact_mut(*width * pixel)) {
                    palette.expand(line, pixels)?;
                }
            }
        }
        // Read on to the end, so that a truncated file is an error.
        reader.finish().map_err(complaint)?;
        let pixels = || interleaved.chunks_exact(pixel);
        ensure!(
            !*alpha || pixels().all(|pixel| pixel[*channels] == u8::MAX),
            "expected an opaque image, found one with transparent pixels; put it on a background \
             first"
        );
        for (channel, plane) in planes.chunks_exact_mut(*height * *width).enumerate() {
            plane.iter_mut().zip(pixels()).for_each(|(to, pixel)| *to = pixel[channel]);
        }
        Ok(())
    }
}

impl Palette {
    fn of(reader: &Reader<BufReader<Input>>) -> anyhow::Result<Self> {
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

fn resize(bytes: &mut Vec<u8>, len: usize) -> anyhow::Result<()> {
    bytes.clear();
    bytes.try_reserve(len).context("too little memory to decode it")?;
    bytes.resize(len, 0);
    Ok(())
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
