//! What an experiment says of the form of its pictures.

use serde::{Deserialize, Serialize};

use super::{Background, Broken, Colour, Fit, Invert, Normalize, Preprocessing, Style};

/// What an experiment says of the form of its pictures; what it leaves open, the pictures decide.
/// Kept in a model, so that a new picture is brought to the same form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Height and width; where they are left open, all pictures must have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// How a picture of another size comes to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// Grey or colour; left open, that of the first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    /// What is behind transparent pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// Whether light and dark change places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invert: Option<Invert>,
    /// Whether rows and columns change places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transpose: Option<bool>,
    /// What a picture shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// How bytes become numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<Normalize>,
    /// What becomes of a file that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
    /// The share of pictures that are for testing, where the data have no such part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
    /// The share of pictures that are for validation, where the data have no such part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
}

impl Form {
    /// Whether nothing is said.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// The preprocessing of pictures of which the first has this shape, `(C, H, W)`, transparency
    /// not counted.
    pub fn preprocessing(&self, shape: [usize; 3]) -> Preprocessing {
        let plain = Preprocessing::plain(shape);
        let transpose = self.transpose.unwrap_or_default();
        let [height, width] = plain.size;
        let own = if transpose { [width, height] } else { [height, width] };
        Preprocessing {
            size: self.size.unwrap_or(own),
            colour: self.colour.unwrap_or(plain.colour),
            fit: self.fit.unwrap_or_default(),
            background: self.background.unwrap_or_default(),
            invert: self.invert.unwrap_or_default(),
            transpose,
            style: self.style.unwrap_or_default(),
            ..plain
        }
    }

    /// The same with a size and colours, chosen for pictures of these shapes, `(C, H, W)`, where they
    /// are left open: the size that all have, if it is at most 128×128, else 64×64; grey if all are.
    pub fn chosen(&self, shapes: &[[usize; 3]]) -> Self {
        let mut sizes =
            shapes.iter().map(|&shape| Self { colour: None, ..*self }.preprocessing(shape).size);
        let own = sizes.next().filter(|size| size.iter().all(|&side| side <= LARGEST_KEPT));
        let own = own.filter(|size| sizes.all(|other| other == *size));
        let is_grey = shapes.iter().all(|shape| shape[0] == 1);
        Self {
            size: self.size.or(own).or(Some(CHOSEN)),
            colour: self.colour.or(Some(if is_grey { Colour::Grey } else { Colour::Rgb })),
            ..*self
        }
    }
}

/// The largest side of pictures that keep their size where none is chosen for them.
const LARGEST_KEPT: usize = 128;

/// The size that is chosen for others.
const CHOSEN: [usize; 2] = [64, 64];

#[cfg(test)]
mod tests {
    use super::Form;
    use crate::preprocessing::Colour;

    #[test]
    fn what_is_left_open_is_chosen_by_all_pictures() {
        let open = Form::default();
        let said = Form { size: Some([8, 9]), colour: Some(Colour::Rgb), ..open };
        let turned = Form { transpose: Some(true), ..open };
        for (form, shapes, size, colour) in [
            (open, &[[1, 28, 28]][..], [28, 28], Colour::Grey),
            (open, &[[1, 28, 20], [3, 28, 20]], [28, 20], Colour::Rgb),
            (open, &[[3, 128, 128]], [128, 128], Colour::Rgb),
            (open, &[[3, 129, 20]], [64, 64], Colour::Rgb),
            (open, &[[1, 28, 28], [1, 28, 27]], [64, 64], Colour::Grey),
            (said, &[[1, 500, 20]], [8, 9], Colour::Rgb),
            (turned, &[[1, 30, 20]], [20, 30], Colour::Grey),
        ] {
            let chosen = form.chosen(shapes);
            assert_eq!((chosen.size, chosen.colour), (Some(size), Some(colour)), "{shapes:?}");
        }
    }
}
