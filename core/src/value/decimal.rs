//! Decimal numbers, checked and taken apart without leaving their text.
//!
//! Whoever stores the number builds the database's form from the parts, so the digits are never
//! squeezed through a floating-point number.

/// Most digits, before and after the point together.
pub const MAX_DIGITS: usize = 1_000;

/// Largest power of ten, in either direction. Together with [`MAX_DIGITS`] it keeps every number
/// far inside what Postgres can hold (131072 digits before the point, 16383 after it).
pub const MAX_EXPONENT: i32 = 1_000;

/// A decimal number: `(-1)^negative × whole.fraction × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// Whether a minus sign stands before it.
    pub negative: bool,
    /// ASCII digits before the point; empty in `.5`.
    pub whole: &'a str,
    /// ASCII digits after the point; empty in `5` and `5.`.
    pub fraction: &'a str,
    /// Power of ten after `e`; 0 when there is none.
    pub exponent: i32,
}

impl<'a> Decimal<'a> {
    /// Takes a decimal number apart: an optional sign, digits with an optional point, an optional
    /// exponent, blanks around it. `None` for anything else, for more than [`MAX_DIGITS`] digits,
    /// and for exponents beyond [`MAX_EXPONENT`].
    #[must_use]
    pub fn parse(raw: &'a str) -> Option<Self> {
        let text = raw.trim();
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.len() + fraction.len();
        let only_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        (digits > 0 && digits <= MAX_DIGITS && only_digits(whole) && only_digits(fraction))
            .then_some(Self {
                negative,
                whole,
                fraction,
                exponent,
            })
    }
}

fn exponent_of(text: &str) -> Option<i32> {
    text.parse()
        .ok()
        .filter(|exponent| (-MAX_EXPONENT..=MAX_EXPONENT).contains(exponent))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn parts(raw: &str) -> Option<(bool, &str, &str, i32)> {
        Decimal::parse(raw).map(|d| (d.negative, d.whole, d.fraction, d.exponent))
    }

    #[test]
    fn numbers_are_taken_apart_at_sign_point_and_exponent() {
        assert_eq!(parts("0"), Some((false, "0", "", 0)));
        assert_eq!(parts(" -12.50 "), Some((true, "12", "50", 0)));
        assert_eq!(parts("+.5"), Some((false, "", "5", 0)));
        assert_eq!(parts("5."), Some((false, "5", "", 0)));
        assert_eq!(parts("1e6"), Some((false, "1", "", 6)));
        assert_eq!(parts("1.5E-3"), Some((false, "1", "5", -3)));
        assert_eq!(parts("2e+4"), Some((false, "2", "", 4)));
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for bad in [
            "",
            "-",
            "+",
            ".",
            "e5",
            ".e5",
            "1,5",
            "1 000",
            "1'000",
            "1.2.3",
            "--1",
            "1-",
            "1e",
            "1e1.5",
            "1e1001",
            "1e-1001",
            "1e99999999999",
            "NaN",
            "Infinity",
            "0x1F",
            "½",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn digits_are_bounded() {
        assert!(Decimal::parse(&"9".repeat(MAX_DIGITS)).is_some());
        assert!(Decimal::parse(&"9".repeat(MAX_DIGITS + 1)).is_none());
    }

    proptest! {
        #[test]
        fn the_parts_put_together_are_the_number(
            negative: bool,
            whole in "[0-9]{1,30}",
            fraction in "[0-9]{0,30}",
            exponent in -1000..=1000,
        ) {
            let sign = if negative { "-" } else { "" };
            let text = format!("{sign}{whole}.{fraction}e{exponent}");
            let decimal = Decimal::parse(&text).unwrap();
            prop_assert_eq!(decimal, Decimal { negative, whole: &whole, fraction: &fraction, exponent });
        }
    }
}
