//! How numbers are written.

/// The shortest decimal that reads back as the same number of this precision.
pub(super) fn exact(x: f64, precision: &str) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    let text = if precision == "f32" { (x as f32).to_string() } else { x.to_string() };
    let is_long = x != 0.0 && !(1e-5..1e15).contains(&x.abs());
    minus(&if is_long { exponent(x, precision) } else { text })
}

fn exponent(x: f64, precision: &str) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    if precision == "f32" { format!("{:e}", x as f32) } else { format!("{x:e}") }
}

/// The same as a program reads it.
pub(super) fn machine(x: f64, precision: &str) -> String {
    exact(x, precision).replace('−', "-")
}

/// Six digits or so.
pub(super) fn rounded(x: f64) -> String {
    let size = x.abs();
    minus(&match size {
        _ if size < 1e5 && size.fract() == 0.0 => format!("{x:.0}"),
        _ if !(1e-4..1e5).contains(&size) => format!("{x:.4e}"),
        _ if size < 1e-2 => format!("{x:.7}"),
        _ if size < 10.0 => format!("{x:.6}"),
        _ => format!("{x:.4}"),
    })
}

/// At most six characters, for a grid.
pub(super) fn small(x: f64) -> String {
    let size = x.abs();
    minus(&match size {
        0.0 => "0".into(),
        _ if size < 0.000_5 => format!("{x:.0e}"),
        _ if size < 9.9995 => format!("{x:.3}"),
        _ if size < 99.995 => format!("{x:.2}"),
        _ if size < 9999.5 => format!("{x:.0}"),
        _ => format!("{x:.0e}"),
    })
}

/// With the sign of the formulas.
fn minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::{exact, rounded, small};

    #[test]
    fn exact_numbers_read_back() {
        for x in [0.1_f32, -1.0 / 3.0, 1e-30, 3.4e38, 0.0] {
            let text = exact(f64::from(x), "f32").replace('−', "-");
            assert_eq!(text.parse::<f32>().unwrap().to_bits(), x.to_bits(), "{text}");
        }
        assert_eq!(exact(0.1, "f64"), "0.1");
        assert_eq!(exact(f64::from(0.1_f32), "f32"), "0.1");
    }

    #[test]
    fn others_are_short() {
        assert_eq!(rounded(-1.0 / 3.0), "−0.333333");
        assert_eq!(rounded(1e-9), "1.0000e-9".replace('-', "−"));
        for x in [0.0, 0.123_456, -9.999, 12.345, -1234.5, 3e-7, -4.2e10] {
            assert!(small(x).chars().count() <= 6, "{}", small(x));
        }
    }
}
