//! In which order columns are pixels: that of the numbers in their names, if they have some.

/// The place that a name tells: its row, if it has one, and its number.
type Place = (u64, u64);

/// The columns in the order of their names `pixel0`, `pixel1`, … or `1x1`, `1x2`, …; none if their
/// names have no numbers, or differ by more.
pub(super) fn by_numbers(names: &[String], columns: &[usize]) -> Option<Vec<usize>> {
    let sorted = |place: fn(&str) -> Option<(&str, Place)>| {
        let mut first = None;
        let mut places = Vec::new();
        for &at in columns {
            let (stem, place) = place(&names[at])?;
            if *first.get_or_insert(stem) != stem {
                return None;
            }
            places.push((place, at));
        }
        places.sort_unstable();
        let are_different = places.windows(2).all(|pair| pair[0].0 != pair[1].0);
        are_different.then(|| places.into_iter().map(|(_, at)| at).collect())
    };
    sorted(row_and_column).or_else(|| sorted(number))
}

/// The stem of a name, and the number that follows it.
fn number(name: &str) -> Option<(&str, Place)> {
    let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
    Some((stem, (0, name[stem.len()..].parse().ok()?)))
}

/// The stem of a name, and the row and the column that follow it, as in `28x28`.
fn row_and_column(name: &str) -> Option<(&str, Place)> {
    let (before, (_, column)) = number(name)?;
    let (stem, (_, row)) = number(before.strip_suffix('x')?)?;
    Some((stem, (row, column)))
}
