//! Whether the bytes of a JPEG file come to their end.

use anyhow::bail;

/// The second bytes of markers: of the end, of a scan, and of those without a length.
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// Refuses a JPEG file that stops before the marker at its end. The decoder fills what is missing
/// with grey; what follows the end does not matter (ITU-T T.81, section B.2).
///
/// # Errors
/// If there is no end.
pub(super) fn require_whole(bytes: &[u8]) -> anyhow::Result<()> {
    let mut at = 2;
    // Before a marker there may be fill bytes, and after a scan there are its data.
    while let Some(found) = next_marker(bytes, at) {
        let marker = bytes[found + 1];
        at = found + 2;
        if marker == END {
            return Ok(());
        }
        let has_length = !matches!(marker, 0x01 | 0xd0..=0xd8);
        if has_length {
            let Some(&[high, low]) = bytes.get(at..at + 2).and_then(|two| two.first_chunk()) else {
                break;
            };
            at += usize::from(u16::from_be_bytes([high, low]).max(2));
        }
        if marker != SCAN && has_length && at > bytes.len() {
            break;
        }
    }
    bail!("expected a whole JPEG image, found one that stops early: its end is missing");
}

/// The place of the next marker: a byte 0xff and another one that is neither 0, which stands for a
/// byte 0xff in the data of a scan, nor 0xff.
fn next_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff);
    rest.windows(2).position(is_marker).map(|place| from + place)
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;

    use super::require_whole;
    use crate::preprocessing::Raster;

    /// A JPEG file with another one in its metadata, as cameras write a small picture.
    fn with_thumbnail() -> Vec<u8> {
        let picture =
            image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 7]));
        let mut plain = Vec::new();
        JpegEncoder::new(&mut plain).encode_image(&picture).unwrap();
        let len = u16::try_from(plain.len() + 2).unwrap().to_be_bytes();
        [&plain[..2], &[0xff, 0xe1], &len, &plain, &plain[2..]].concat()
    }

    #[test]
    fn what_stops_early_is_refused_wherever_it_does() {
        let whole = with_thumbnail();
        assert!(require_whole(&whole).is_ok());
        for end in 2..whole.len() {
            assert!(require_whole(&whole[..end]).is_err(), "{end}");
        }
        let complaint = Raster::decode(&whole[..whole.len() - 9]).unwrap_err().to_string();
        assert!(complaint.contains("found one that stops early"), "{complaint}");
    }

    #[test]
    fn what_follows_the_end_does_not_matter() {
        let whole = with_thumbnail();
        let picture = Raster::decode(&whole).unwrap();
        for tail in [&[0; 9][..], b"\xff\xd8 and more", &whole] {
            assert_eq!(Raster::decode(&[&whole, tail].concat()).unwrap(), picture);
        }
    }
}
