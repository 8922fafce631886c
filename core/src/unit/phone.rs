//! Phone numbers in E.164 form (list-automation §4.7 T-1 to T-6).
//!
//! The numbering plans, and what belongs to a number at all, are the library's matter. A text
//! that it takes is parsed once; only a text that it refuses is helped and tried again, so that
//! the zero of an Italian `(0)` stays and the trunk zero of an English one goes.

use std::fmt::Write as _;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, Region};

/// Longest text that is looked at, in bytes. No way of writing a number comes near it.
const MAX_BYTES: usize = 200;

/// Appends the canonical form of `raw` to `out` and answers whether there is one.
pub(super) fn normalize_into(raw: &str, country: Region, out: &mut String) -> bool {
    if raw.len() > MAX_BYTES {
        return false;
    }
    let number = parse(raw, country).or_else(|| helped(raw).and_then(|text| parse(&text, country)));
    match number {
        Some(number) => {
            write_into(&number, out);
            true
        }
        None => false,
    }
}

fn parse(text: &str, country: Region) -> Option<PhoneNumber> {
    PHONE_NUMBER_UTIL
        .parse(text, Some(country))
        .ok()
        .filter(PhoneNumber::is_valid)
}

/// The text with its trunk zero `(0)` dropped (T-3) and `00` read as `+` (T-6), for countries
/// where the library does neither by itself. `None` when there is nothing to help.
fn helped(raw: &str) -> Option<String> {
    let mut text = raw.replacen("(0)", " ", 1);
    let start = text.trim_start_matches([' ', '(', '\u{a0}', '\t']);
    match start.strip_prefix("00") {
        Some(rest) => text = format!("+{rest}"),
        None if text.len() == raw.len() => return None,
        None => {}
    }
    Some(text)
}

/// Writes E.164 without the library's intermediate string: this runs for every phone of a file.
fn write_into(number: &PhoneNumber, out: &mut String) {
    let zeros = if number.italian_leading_zero() {
        usize::try_from(number.number_of_leading_zeros()).unwrap_or(0)
    } else {
        0
    };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "+{}{:0>zeros$}{}",
        number.country_code, "", number.national_number
    );
    let extension = number.extension();
    if !extension.is_empty() {
        out.push_str(";ext=");
        out.push_str(extension);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use rlibphonenumber::PhoneNumberFormat;

    fn e164(country: &str, raw: &str) -> Option<String> {
        let mut out = String::new();
        normalize_into(raw, Region::from_code(country).unwrap(), &mut out).then_some(out)
    }

    #[test]
    fn a_number_with_its_country_code_is_the_same_in_every_account() {
        for country in ["GB", "US", "UA", "AU", "JP", "IT"] {
            for raw in [
                "+442075518700",
                "+44 20 7551 8700",
                "+44 (0)20 7551 8700",
                "+44 (0) 20 7551 8700",
                "+44.20.7551.8700",
                "+44-20-7551-8700",
                "+44 (20) 7551/8700",
                "  +44 20 7551 8700 ",
                "00442075518700",
                "0044 20 7551 8700",
                "0044 (0)20 7551 8700",
                "tel:+44-20-7551-8700",
            ] {
                let got = e164(country, raw);
                assert_eq!(got.as_deref(), Some("+442075518700"), "{raw} in {country}");
            }
        }
    }

    #[test]
    fn a_number_without_country_code_belongs_to_the_accounts_country() {
        assert_eq!(e164("GB", "20 7551 8700").unwrap(), "+442075518700");
        assert_eq!(e164("GB", "020 7551 8700").unwrap(), "+442075518700");
        assert_eq!(e164("FR", "20 7551 8700"), None);
        // The same digits are a number of their own in another country's plan.
        assert_eq!(e164("US", "20 7551 8700").unwrap(), "+12075518700");
        assert_eq!(e164("US", "(212) 736-5000").unwrap(), "+12127365000");
        assert_eq!(e164("US", "1-212-736-5000").unwrap(), "+12127365000");
        assert_eq!(e164("UA", "067 123 45 67").unwrap(), "+380671234567");
        assert_eq!(e164("UA", "0671234567").unwrap(), "+380671234567");
    }

    #[test]
    fn the_trunk_zero_in_brackets_is_dropped_where_it_is_a_trunk_zero() {
        assert_eq!(e164("US", "+49 (0)30 901820").unwrap(), "+4930901820");
        assert_eq!(e164("US", "+36 (0)1 234 5678").unwrap(), "+3612345678");
        assert_eq!(
            e164("US", "+39 (0)6 698 1234").unwrap(),
            "+3906".to_owned() + "6981234"
        );
    }

    #[test]
    fn the_international_prefix_of_the_accounts_country_is_understood() {
        assert_eq!(e164("US", "011 44 20 7551 8700").unwrap(), "+442075518700");
        assert_eq!(e164("AU", "0011 44 20 7551 8700").unwrap(), "+442075518700");
    }

    #[test]
    fn extensions_are_kept_in_one_form() {
        for raw in [
            "+44 20 7551 8700 x123",
            "+44 20 7551 8700 ext 123",
            "+44 20 7551 8700 ext. 123",
            "+44 20 7551 8700 Ext:123",
            "+44 20 7551 8700 extension 123",
            "+44 20 7551 8700 #123",
            "+442075518700;ext=123",
            "tel:+442075518700;ext=123",
        ] {
            let got = e164("US", raw);
            assert_eq!(got.as_deref(), Some("+442075518700;ext=123"), "{raw}");
        }
    }

    #[test]
    fn leading_zeros_that_belong_to_a_number_stay() {
        assert_eq!(e164("IT", "06 698 1234").unwrap(), "+39066981234");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for raw in [
            "",
            " ",
            "n/a",
            "-",
            "0",
            "00",
            "123",
            "+",
            "+1",
            "+999123456789",
            "()",
            "(0)",
            "12345678901234567890",
            "1.23E+10",
            "unknown",
            "ann@example.com",
            "+1 000 000 0000",
        ] {
            assert_eq!(e164("US", raw), None, "{raw}");
        }
        assert_eq!(e164("US", &"9".repeat(1 << 20)), None);
    }

    #[test]
    fn our_writing_is_the_librarys_e164() {
        for (country, raw) in [
            ("US", "2127365000"),
            ("IT", "06 698 1234"),
            ("GB", "020 7551 8700"),
            ("UA", "0671234567"),
            ("CI", "+225 01 23 45 67 89"),
            ("DE", "030 901820"),
        ] {
            let number = parse(raw, Region::from_code(country).unwrap()).unwrap();
            let mut ours = String::new();
            write_into(&number, &mut ours);
            assert_eq!(ours, number.format_as(PhoneNumberFormat::E164));
        }
    }

    proptest! {
        #[test]
        fn what_was_made_canonical_is_canonical_in_every_account(
            country in prop::sample::select(&["US", "GB", "UA", "IT", "AU", "JP", "BR", "RU", "HU"][..]),
            other in prop::sample::select(&["US", "GB", "UA", "IT", "AU", "JP", "BR", "RU", "HU"][..]),
            raw in "(\\+[1-9][0-9]?|00[1-9][0-9]?|0|)[ -]?(\\(0\\))?[ -]?[1-9][0-9]{6,10}( x[0-9]{1,4})?",
        ) {
            if let Some(once) = e164(country, &raw) {
                prop_assert_eq!(e164(other, &once), Some(once));
            }
        }
    }
}
