//! Letters as pixels: Noto Sans Mono, under the SIL Open Font License, for Latin scripts.

use noto_sans_mono_bitmap::get_raster_width;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};

use super::{Colour, Picture, byte};

const WEIGHT: FontWeight = FontWeight::Regular;
const SIZE: RasterHeight = RasterHeight::Size16;

/// The height and width of a character in pixels.
pub(super) const CHARACTER: [usize; 2] = [SIZE.val(), get_raster_width(WEIGHT, SIZE)];

fn raster(character: char) -> Option<RasterizedChar> {
    get_raster(character, WEIGHT, SIZE)
}

/// Whether there is a picture of each character.
pub(super) fn can_write(text: &str) -> bool {
    text.chars().all(|character| raster(character).is_some())
}

/// Writes a text; what is not in the font becomes `?`.
pub(super) fn write(text: &str, [ink, paper]: [Colour; 2]) -> Picture {
    let [height, width] = CHARACTER;
    let count = text.chars().count();
    let mut line = Picture::plain([height, width * count], paper);
    for (place, character) in text.chars().enumerate() {
        let Some(raster) = raster(character).or_else(|| raster('?')) else { continue };
        let mix = |&part: &u8| {
            let part = f64::from(part) / 255.0;
            [0, 1, 2].map(|c| byte(f64::from(paper[c]) * (1.0 - part) + f64::from(ink[c]) * part))
        };
        let pixels = raster.pixels().iter().map(mix).collect();
        let (height, width) = (raster.height(), raster.width());
        line.draw(&Picture { height, width, pixels }, [0, place * CHARACTER[1]]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{CHARACTER, can_write, write};

    #[test]
    fn latin_letters_can_be_written_and_others_are_known_not_to_be() {
        assert!(can_write("Zürich, Łódź: 7 × 50 %"));
        assert!(!can_write("кот") && !can_write("猫") && !can_write("…"));
        let [ink, paper] = [[0; 3], [255; 3]];
        let text = write("ab", [ink, paper]);
        assert_eq!(text.size(), [CHARACTER[0], 2 * CHARACTER[1]]);
        assert!(text.pixels.contains(&paper) && text.pixels.iter().any(|pixel| pixel[0] < 64));
        assert_eq!(write("猫", [ink, paper]), write("?", [ink, paper]));
    }
}
