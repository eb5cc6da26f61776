//! How numbers are written.

use crate::passes::minus;

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
    // A zero has no sign.
    let (x, size) = (x + 0.0, x.abs());
    minus(&match size {
        _ if size < 1e5 && size.fract() == 0.0 => format!("{x:.0}"),
        _ if !(1e-4..1e5).contains(&size) => format!("{x:.4e}"),
        _ if size < 1e-2 => format!("{x:.7}"),
        _ if size < 10.0 => format!("{x:.6}"),
        _ => format!("{x:.4}"),
    })
}

/// Ten digits.
#[expect(clippy::cast_possible_truncation, reason = "a logarithm")]
pub(super) fn precise(x: f64) -> String {
    let exponent = x.abs().log10().floor();
    minus(&match exponent {
        _ if x == 0.0 => "0".into(),
        _ if (-5.0..10.0).contains(&exponent) => {
            let places = 9 - exponent as i32;
            format!("{x:.*}", usize::try_from(places).unwrap_or(0))
        }
        _ => format!("{x:.9e}"),
    })
}

/// A number of this precision exactly; of one that was computed beside it, in `f64`, ten digits.
pub(super) fn given(x: f64, precision: &str) -> String {
    if is_of(x, precision) { exact(x, precision) } else { precise(x) }
}

/// Whether there is such a number in this precision.
pub(super) fn is_of(x: f64, precision: &str) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it was")]
    let narrow = f64::from(x as f32);
    precision != "f32" || narrow.to_bits() == x.to_bits()
}

/// Whether this number, rounded to this precision, is `y`.
pub(super) fn rounds_to(x: f64, y: f64, precision: &str) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
    let x = if precision == "f32" { f64::from(x as f32) } else { x };
    x == y
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

#[cfg(test)]
mod tests {
    use super::{exact, given, precise, rounded, rounds_to, small};

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
    fn what_is_computed_in_f64_has_ten_digits() {
        assert_eq!(precise(-0.005_651_234_567_89), "−0.005651234568");
        assert_eq!([0.0, 1234.5, 1.5e-9].map(precise), ["0", "1234.500000", "1.500000000e−9"]);
        assert_eq!([0.1, f64::from(0.1_f32)].map(|x| given(x, "f32")), ["0.1000000000", "0.1"]);
        assert_eq!(given(0.1, "f64"), "0.1");
        assert!(rounds_to(0.1, f64::from(0.1_f32), "f32") && !rounds_to(0.1, 0.25, "f32"));
    }

    #[test]
    fn others_are_short() {
        assert_eq!([-1.0 / 3.0, -0.0].map(rounded), ["−0.333333", "0"]);
        assert_eq!(rounded(1e-9), "1.0000e-9".replace('-', "−"));
        for x in [0.0, 0.123_456, -9.999, 12.345, -1234.5, 3e-7, -4.2e10] {
            assert!(small(x).chars().count() <= 6, "{}", small(x));
        }
    }
}
