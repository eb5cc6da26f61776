//! A sheet of tiles, each a picture with lines of text below it.

use super::font::{self, CHARACTER, can_write};
use super::{Colour, Picture};
use crate::dataset::Classes;

/// Black text on white paper, as it is printed.
const COLOURS: [Colour; 2] = [[0x1a; 3], [0xff; 3]];
/// Pixels around the sheet and between tiles.
const GAP: usize = 16;

/// A picture with lines of text below it.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub(crate) picture: Picture,
    pub(crate) caption: Vec<String>,
}

/// Tiles in rows below a heading.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    /// Lines of text above the tiles.
    pub(crate) heading: Vec<String>,
    pub(crate) tiles: Vec<Tile>,
    /// How many tiles there are in a row.
    pub(crate) columns: usize,
}

impl Sheet {
    /// The characters that fit below a picture `width` pixels wide.
    pub(crate) const fn characters(width: usize) -> usize {
        width / CHARACTER[1]
    }

    /// The whole sheet as one picture. A caption wider than the widest picture is cut.
    pub(crate) fn picture(&self) -> Picture {
        let [line, letter] = CHARACTER;
        let most = |number: &dyn Fn(&Tile) -> usize| self.tiles.iter().map(number).max();
        let tile_width = most(&|tile| tile.picture.width).unwrap_or_default();
        let tile_height = most(&|tile| tile.picture.height + line * tile.caption.len());
        let tile_height = tile_height.unwrap_or_default();
        let columns = self.columns.clamp(1, self.tiles.len().max(1));
        let rows = self.tiles.len().div_ceil(columns);
        let of_text = self.heading.iter().map(|text| text.chars().count() * letter).max();
        let inner = (columns * (tile_width + GAP)).saturating_sub(GAP);
        let width = inner.max(of_text.unwrap_or_default()) + 2 * GAP;
        let top = if self.heading.is_empty() { 0 } else { self.heading.len() * line + GAP };
        let height = GAP + top + rows * (tile_height + GAP);
        let mut sheet = Picture::plain([height, width], COLOURS[1]);
        for (index, text) in self.heading.iter().enumerate() {
            sheet.draw(&font::write(text, COLOURS), [GAP + index * line, GAP]);
        }
        for (index, tile) in self.tiles.iter().enumerate() {
            let y = GAP + top + index / columns * (tile_height + GAP);
            let x = GAP + index % columns * (tile_width + GAP);
            sheet.draw(&tile.picture, [y, x]);
            for (index, text) in tile.caption.iter().enumerate() {
                let text: String = text.chars().take(Self::characters(tile_width)).collect();
                let y = y + tile.picture.height + index * line;
                sheet.draw(&font::write(&text, COLOURS), [y, x]);
            }
        }
        sheet
    }
}

/// The names of classes for a sheet: where a name has letters that its font lacks, `class 3`.
#[derive(Clone, Debug)]
pub(crate) struct Captions {
    names: Vec<String>,
    replaced: usize,
}

impl Captions {
    /// The names of these classes, cut to `most` characters.
    pub(crate) fn of(classes: &Classes, most: usize) -> Self {
        let mut replaced = 0;
        let name = |label: usize| {
            let name = classes.name(label);
            if !can_write(&name) {
                replaced += 1;
                return format!("class {label}");
            }
            match name.chars().count() {
                count if count <= most => name,
                _ => name.chars().take(most.saturating_sub(2)).chain("..".chars()).collect(),
            }
        };
        Self { names: (0..classes.count()).map(name).collect(), replaced }
    }

    /// The name of a class.
    pub(crate) fn name(&self, label: u8) -> &str {
        &self.names[usize::from(label)]
    }

    /// How many classes go by their number, since their names cannot be written.
    pub(crate) fn replaced(&self) -> usize {
        self.replaced
    }
}

#[cfg(test)]
mod tests {
    use super::{COLOURS, Captions, GAP, Picture, Sheet, Tile};
    use crate::dataset::Classes;

    #[test]
    fn tiles_lie_in_rows() {
        let tile = Tile { picture: Picture::plain([10, 20], [7; 3]), caption: vec!["a".into()] };
        let sheet = Sheet { heading: Vec::new(), tiles: vec![tile; 3], columns: 2 };
        let picture = sheet.picture();
        let row = 10 + 16 + GAP;
        assert_eq!(picture.size(), [GAP + 2 * row, 3 * GAP + 2 * 20]);
        let places = [[GAP, GAP], [GAP, 2 * GAP + 20], [GAP + row, GAP]];
        assert!(places.iter().all(|&place| picture.pixel(place) == [7; 3]));
        assert_eq!(picture.pixel([GAP + row, 2 * GAP + 20]), COLOURS[1]);
    }

    #[test]
    fn a_name_that_cannot_be_written_is_its_number() {
        let names = ["ant", "кот", "a rather long name"].map(String::from).to_vec();
        let captions = Captions::of(&Classes::Named(names), 10);
        let shown: Vec<_> = (0..3).map(|label| captions.name(label)).collect();
        assert_eq!(shown, ["ant", "class 1", "a rather.."]);
        assert_eq!(captions.replaced(), 1);
    }
}
