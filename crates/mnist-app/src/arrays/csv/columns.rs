//! What the columns of a table are.

use anyhow::{Context, bail};

use super::order::by_numbers;
use crate::arrays::{check_size, some_of};
use crate::escape::quoted;

/// The names of a column of labels, in lower case.
const LABELS: [&str; 4] = ["label", "class", "y", "target"];

/// The names of columns that number the rows, in lower case; the empty one is a data frame's.
const IDS: [&str; 5] = ["id", "imageid", "image_id", "index", ""];

/// What the columns of a table are.
pub(super) struct Columns {
    /// The names in the first line, if it is one of names.
    names: Option<Vec<String>>,
    left_out: Vec<bool>,
    /// The others, the pixels in their order.
    pub(super) order: Vec<usize>,
    /// Whether the order is that of the numbers in the names.
    pub(super) is_numbered: bool,
    pub(super) label: Label,
    /// `(C, H, W)`, as the number of pixels says.
    pub(super) shape: [usize; 3],
}

/// Which column the label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    None,
    At(usize),
    FirstOrLast,
}

impl Columns {
    /// The columns of a table with this first row.
    pub(super) fn of(first: &[String], size: Option<[usize; 2]>) -> anyhow::Result<Self> {
        let lower: Vec<_> = first.iter().map(|cell| cell.to_lowercase()).collect();
        let is_header = is_header(&lower);
        let is_one_of = |names: &[&str], at: usize| is_header && names.contains(&&*lower[at]);
        let left_out: Vec<_> = (0..first.len()).map(|at| is_one_of(&IDS, at)).collect();
        let used: Vec<_> = (0..first.len()).filter(|&at| !left_out[at]).collect();
        let mut labels = used.iter().copied().filter(|&at| is_one_of(&LABELS, at));
        let named = labels.next();
        if let (Some(one), Some(other)) = (named, labels.next()) {
            bail!(
                "expected one column of labels, found {} and {}; remove one, or name it \"id\"",
                quoted(&first[one]),
                quoted(&first[other])
            );
        }
        let odd = || if is_header { odd_one(&lower, &used) } else { None };
        let shape = |pixels: usize| shape_of(pixels, size);
        let count = used.len();
        let less = count.saturating_sub(1);
        let complaint = |found: String| {
            let remedy = match size {
                None => {
                    "; of pictures that are not square, say size = [HEIGHT, WIDTH] in [data] \
                         of the experiment"
                }
                Some(_) => ", nor are they as many as size in [data] says",
            };
            let others = match is_header {
                true => "; name a column that is no pixel \"id\", and the label \"label\"",
                false => "",
            };
            format!(
                "expected a label and as many pixels as a square picture has, grey or in colour, \
                 found {found}{remedy}{others}"
            )
        };
        let (label, shape) = if let Some(at) = named.or_else(odd) {
            let shape = shape(less);
            (
                Label::At(at),
                shape.with_context(|| {
                    complaint(format!("{less} columns beside the label {}", quoted(&first[at])))
                })?,
            )
        } else {
            match (shape(count), shape(less)) {
                (Some(shape), Some(_)) if is_header && are_alike(&lower, &used) => {
                    (Label::None, shape)
                }
                (Some(_), Some(_)) => bail!(
                    "expected columns that are a label and pixels, found {count}, which may be \
                     pixels with a label or without; name them in a first line, the label \"label\""
                ),
                (Some(shape), None) => (Label::None, shape),
                (None, Some(shape)) => (Label::FirstOrLast, shape),
                (None, None) => bail!(complaint(format!("{count} columns"))),
            }
        };
        check_size(shape)?;
        let is_label = |at: &usize| label == Label::At(*at);
        let (mut order, pixels): (Vec<_>, Vec<_>) = used.into_iter().partition(is_label);
        let numbered = if is_header { by_numbers(&lower, &pixels) } else { None };
        let is_numbered = numbered.is_some();
        order.extend(numbered.unwrap_or(pixels));
        let names = is_header.then(|| first.to_vec());
        Ok(Self { names, left_out, order, is_numbered, label, shape })
    }

    pub(super) fn has_header(&self) -> bool {
        self.names.is_some()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.left_out.len()
    }

    /// The first and the last one of those that are not left out.
    pub(super) fn ends(&self) -> (usize, usize) {
        let end = |at: Option<&usize>| at.copied().unwrap_or_default();
        (end(self.order.first()), end(self.order.last()))
    }

    /// Those that are pixels, or may be.
    pub(super) fn pixels(&self) -> &[usize] {
        match self.label {
            Label::At(_) => self.order.get(1..).unwrap_or_default(),
            Label::None | Label::FirstOrLast => &self.order,
        }
    }

    /// Whether the pixels stand in another order.
    pub(super) fn is_moved(&self) -> bool {
        !self.pixels().is_sorted()
    }

    /// Those that are left out and have an empty name.
    pub(super) fn unnamed(&self) -> Vec<usize> {
        let is_unnamed = |at: &usize| {
            self.left_out[*at] && self.names.as_ref().is_some_and(|names| names[*at].is_empty())
        };
        (0..self.count()).filter(is_unnamed).collect()
    }

    /// The name of a column, if it has one.
    pub(super) fn name_of(&self, at: usize) -> Option<&str> {
        Some(self.names.as_ref()?.get(at)?)
    }

    /// The number of a column, counted from 1, and its name.
    pub(super) fn name(&self, at: usize) -> String {
        match &self.names {
            Some(names) => format!("{} ({})", at + 1, quoted(&names[at])),
            None => (at + 1).to_string(),
        }
    }

    /// How they were understood, where that is not plain; the `empty` ones have no cell with text.
    pub(super) fn notes(&self, empty: &[usize]) -> Vec<String> {
        let ids = (0..self.count()).filter(|at| self.left_out[*at] && !empty.contains(at));
        let listed = |columns: Vec<usize>| some_of(columns.into_iter().map(|at| self.name(at)));
        let mut notes = Vec::new();
        for (columns, what) in [(ids.collect(), "numbers the rows"), (empty.to_vec(), "is empty")] {
            let columns = listed(columns);
            if !columns.is_empty() {
                notes.push(format!("left out column {columns}, which {what}"));
            }
        }
        if let (true, [first, .., last], Some(names)) =
            (self.is_moved(), self.pixels(), &self.names)
        {
            notes.push(format!(
                "columns are read in the order of the numbers in their names, {} to {}",
                quoted(&names[*first]),
                quoted(&names[*last])
            ));
        }
        if let (Label::At(at), Some(names)) = (self.label, &self.names)
            && !LABELS.contains(&&*names[at].to_lowercase())
        {
            notes.push(format!("column {} is read as the label", self.name(at)));
        }
        notes
    }
}

/// Whether a first row, in lower case, is one of names and not of data.
fn is_header(first: &[String]) -> bool {
    let is_number = |cell: &String| cell.parse::<f64>().is_ok();
    let is_known = |cell: &String| LABELS.contains(&&**cell) || IDS[..4].contains(&&**cell);
    let counts_on = |(at, cell): (usize, &String)| *cell == at.to_string();
    first.iter().any(is_known)
        // A label may be a name.
        || first.iter().filter(|cell| !is_number(cell)).count() > 1
        // What a data frame without names is saved with.
        || first.len() > 2 && first.iter().enumerate().all(counts_on)
}

/// A name without its digits.
fn stem(name: &str) -> String {
    name.chars().filter(|character| !character.is_numeric()).collect()
}

/// Whether the used columns differ by digits alone.
fn are_alike(names: &[String], used: &[usize]) -> bool {
    let mut stems = used.iter().map(|&at| stem(&names[at]));
    stems.next().is_some_and(|first| !first.is_empty() && stems.all(|stem| stem == first))
}

/// The only one of the used columns that differs from the others by more than digits.
fn odd_one(names: &[String], used: &[usize]) -> Option<usize> {
    let [one, other, another, ..] = *used else { return None };
    let stem_of = |at: usize| stem(&names[at]);
    let is_first_common = [other, another].iter().any(|&at| stem_of(at) == stem_of(one));
    let common = stem_of(if is_first_common { one } else { other });
    let mut odd = used.iter().copied().filter(|&at| stem_of(at) != common);
    odd.next().filter(|_| odd.next().is_none())
}

/// The shape, `(C, H, W)`, of pictures of so many pixels; of a single pixel only if `size` says so,
/// as a table of other things may have few columns.
fn shape_of(pixels: usize, size: Option<[usize; 2]>) -> Option<[usize; 3]> {
    let square = |pixels: usize| {
        let side = pixels.isqrt();
        (side > 1 && side * side == pixels).then_some([side, side])
    };
    let plane = |pixels: usize| {
        let given = size.filter(|[height, width]| height.checked_mul(*width) == Some(pixels));
        given.or_else(|| square(pixels))
    };
    let colour = || Some((3, plane(pixels / 3).filter(|_| pixels.is_multiple_of(3))?));
    let (channels, [height, width]) = plane(pixels).map(|size| (1, size)).or_else(colour)?;
    Some([channels, height, width])
}

#[cfg(test)]
mod tests {
    use super::{is_header, shape_of};

    #[test]
    fn pixels_are_a_square_or_as_many_as_is_said() {
        for (pixels, size, shape) in [
            (784, None, Some([1, 28, 28])),
            (3072, None, Some([3, 32, 32])),
            (3, None, None),
            (1, Some([1, 1]), Some([1, 1, 1])),
            (0, None, None),
            (785, None, None),
            (12, Some([3, 4]), Some([1, 3, 4])),
            (36, Some([3, 4]), Some([1, 6, 6])),
            (72, Some([4, 6]), Some([3, 4, 6])),
            (20, Some([3, 4]), None),
        ] {
            assert_eq!(shape_of(pixels, size), shape, "{pixels}");
        }
    }

    #[test]
    fn names_are_told_from_data() {
        let row = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("label,0,1,2,3", true),
            ("pixel0,pixel1", true),
            ("0,1,2,3,4", true),
            ("5,0,0,0,0", false),
            ("cat,0,0,0,0", false),
            ("0.5,0,0", false),
        ] {
            assert_eq!(is_header(&row(line)), expected, "{line}");
        }
    }
}
