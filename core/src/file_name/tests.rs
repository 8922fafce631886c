//! What must hold for names of remote files.
#![allow(clippy::unwrap_used)]

use super::*;
use chrono::NaiveDate;
use proptest::prelude::*;

fn takes(op: NameOperator, value: &str, name: &str) -> bool {
    matches(op, value, name, false)
}

#[test]
fn operators_compare_the_full_name_without_case() {
    use NameOperator::{Contains, EndsWith, Equals, Matches, StartsWith};
    let name = "Contacts_May.CSV.pgp";
    assert!(takes(Equals, "contacts_may.csv.pgp", name));
    assert!(!takes(Equals, "contacts_may", name));
    assert!(takes(Contains, "MAY", name));
    assert!(takes(Contains, ".csv", name));
    assert!(takes(StartsWith, "contacts", name));
    assert!(!takes(StartsWith, "may", name));
    assert!(takes(EndsWith, ".csv.PGP", name));
    assert!(!takes(EndsWith, ".csv", name));
    assert!(takes(Matches, "contacts_*.csv.pgp", name));
    assert!(takes(Matches, "contacts_???.*", name));
    assert!(takes(Contains, "київ", "Клієнти КИЇВ.csv"));
}

#[test]
fn case_counts_when_asked_for() {
    assert!(!matches(
        NameOperator::Contains,
        "may",
        "Contacts_May.csv",
        true
    ));
    assert!(matches(
        NameOperator::Contains,
        "May",
        "Contacts_May.csv",
        true
    ));
}

#[test]
fn every_operator_has_its_negation() {
    use NameOperator::*;
    for (op, negation) in [
        (Equals, NotEquals),
        (Contains, NotContains),
        (StartsWith, NotStartsWith),
        (EndsWith, NotEndsWith),
        (Matches, NotMatches),
    ] {
        for value in ["may.csv", "may", "m*v", "?", ""] {
            for name in ["may.csv", "june.csv", "m", ""] {
                assert_ne!(takes(op, value, name), takes(negation, value, name));
            }
        }
    }
}

#[test]
fn patterns_are_for_the_whole_name() {
    for (pattern, name, expected) in [
        ("*", "", true),
        ("*", "anything", true),
        ("", "", true),
        ("", "a", false),
        ("a*b*c", "aXXbYYc", true),
        ("a*b*c", "aXXbYY", false),
        ("a*bc", "abcbc", true),
        ("?", "я", true),
        ("?", "", false),
        ("*.csv", "a.csv.pgp", false),
        ("**x", "x", true),
        ("[ab]", "a", false),
    ] {
        assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_pattern_made_to_be_slow_is_not() {
    let pattern = "a*".repeat(100) + "b";
    assert!(!glob(&pattern, &"a".repeat(255)));
}

#[test]
fn files_that_are_being_written_are_known_by_their_names() {
    for name in ["a.csv.part", "a.TMP", "a.filepart", ".hidden", ".a.csv"] {
        assert!(is_in_transfer(name), "{name}");
    }
    for name in ["a.csv", "part", "tmp.csv", "a.partial", "a.part.csv"] {
        assert!(!is_in_transfer(name), "{name}");
    }
}

#[test]
fn names_that_could_be_paths_or_hide_something_are_refused() {
    let bad: [(&[u8], BadName); 12] = [
        (b"", BadName::Empty),
        (b".", BadName::Directory),
        (b"..", BadName::Directory),
        (b"../etc/passwd", BadName::Separator('/')),
        (b"a/b.csv", BadName::Separator('/')),
        (b"..\\a.csv", BadName::Separator('\\')),
        (b"a\0.csv", BadName::Invisible('\0')),
        (b"a\n.csv", BadName::Invisible('\n')),
        (b"a\x1b[31m.csv", BadName::Invisible('\u{1b}')),
        (
            "a\u{202e}vsc.exe".as_bytes(),
            BadName::Invisible('\u{202e}'),
        ),
        (b"a\xff.csv", BadName::NotUtf8),
        (&[b'a'; 256], BadName::TooLong { bytes: 256 }),
    ];
    for (name, expected) in bad {
        assert_eq!(
            check_remote_name(name),
            Err(expected),
            "{}",
            display_name(name)
        );
    }
}

#[test]
fn strange_names_that_hide_nothing_are_taken() {
    let longest = "x".repeat(255);
    for name in [
        "a..b.csv",
        " a.csv ",
        "$(rm -rf).csv",
        "Клієнти.csv",
        "-rf",
        "x\"; drop",
        &longest,
    ] {
        assert_eq!(check_remote_name(name.as_bytes()), Ok(name));
    }
}

#[test]
fn names_are_shown_without_doing_anything() {
    assert_eq!(display_name("Клієнти.csv".as_bytes()), "Клієнти.csv");
    assert_eq!(display_name(b"a\n\xffb\\"), "a\\u{a}\\xffb\\\\");
    assert_eq!(display_name("a\u{202e}b".as_bytes()), "a\\u{202e}b");
}

#[test]
fn a_list_is_named_after_the_stem_of_its_file() {
    for (file, list) in [
        ("contacts.csv", "contacts"),
        ("contacts.csv.pgp", "contacts"),
        ("Contacts.CSV.GPG", "Contacts"),
        ("contacts.asc", "contacts"),
        ("contacts", "contacts"),
        ("may.2026.csv", "may.2026"),
        ("contacts.pgp.csv", "contacts.pgp"),
        ("contacts.csv.csv", "contacts.csv"),
        (".csv", ".csv"),
        (" .csv", " .csv"),
    ] {
        assert_eq!(list_name_from(file), list);
    }
}

#[test]
fn a_time_stamp_goes_before_the_extension() {
    let at = NaiveDate::from_ymd_opt(2026, 5, 1)
        .unwrap()
        .and_hms_opt(7, 8, 9)
        .unwrap();
    for (name, expected) in [
        ("a.csv", "a_20260501070809.csv"),
        ("a.csv.pgp", "a_20260501070809.csv.pgp"),
        ("a.tar", "a_20260501070809.tar"),
        ("a", "a_20260501070809"),
        (".hidden", ".hidden_20260501070809"),
    ] {
        assert_eq!(timestamped(name, &at), expected);
    }
    let long = timestamped(&format!("{}.csv", "я".repeat(125)), &at);
    assert!(long.len() <= MAX_NAME_BYTES && long.ends_with("я_20260501070809.csv"));
}

proptest! {
    #[test]
    fn no_bytes_make_a_name_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let shown = display_name(&bytes);
        prop_assert!(!shown.chars().any(is_invisible));
        if let Ok(name) = check_remote_name(&bytes) {
            let _ = (is_in_transfer(name), list_name_from(name));
        }
    }

    #[test]
    fn no_text_makes_a_name_panic(name in any::<String>(), value in any::<String>()) {
        for &op in NameOperator::ALL {
            let _ = takes(op, &value, &name);
        }
        let at = NaiveDate::from_ymd_opt(2026, 5, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
        let _ = timestamped(&name, &at);
        let _ = list_name_from(&name);
    }

    #[test]
    fn different_names_are_shown_differently(
        a in prop::collection::vec(any::<u8>(), 0..4),
        b in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        prop_assert_eq!(a == b, display_name(&a) == display_name(&b));
    }

    #[test]
    fn a_pattern_of_a_name_with_a_star_in_it_matches_the_name(name in "[a-z.]{1,12}", at in 0_usize..12) {
        let at = at.min(name.len());
        let (start, end) = name.split_at(at);
        let pattern = format!("{start}*{end}");
        prop_assert!(glob(&pattern, &name));
        let longer = format!("{start}xyz{end}");
        prop_assert!(glob(&pattern, &longer));
    }
}
