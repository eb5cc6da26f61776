//! Tables with a row for each layer.

/// The rows of a table of layers; of many, only the first and the last, with the number of those
/// between.
pub(crate) fn layer_rows(
    rows: impl ExactSizeIterator<Item = String>,
) -> impl Iterator<Item = String> {
    const MOST: usize = 50;
    const ENDS: usize = 10;
    let count = rows.len();
    let left_out = if count > MOST { ENDS..count - ENDS } else { count..count };
    rows.enumerate().filter_map(move |(index, row)| match index {
        _ if !left_out.contains(&index) => Some(row),
        _ if index == left_out.start => Some(format!("… {} layers", left_out.len())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::layer_rows;

    #[test]
    fn of_many_layers_the_first_and_the_last_are_shown() {
        let shown =
            |count: usize| -> Vec<_> { layer_rows((0..count).map(|at| at.to_string())).collect() };
        assert_eq!(shown(50).len(), 50);
        let rows = shown(50_000);
        assert_eq!(rows.len(), 21);
        assert_eq!(rows[9..12], ["9", "… 49980 layers", "49990"]);
    }
}
