//! Identifiers of tables and columns, made from people's names for things.
//!
//! A list may be called anything and is shown as it was written; its table and its columns get an
//! identifier derived from that name. The identifier is always safe to use unquoted, so that
//! people can type it, and it never depends on how SQL quotes things.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use thiserror::Error;

/// Longest name of a list, a column or a job, in characters (list-automation §3.6 N-4).
pub const MAX_NAME_CHARS: usize = 255;

/// How many numbered variants of a taken identifier are tried.
const MAX_NUMBER: u32 = 1_000_000;

/// Reserved words of SQL in Postgres 15 to 18 (categories "reserved" and "reserved, can be
/// function or type"), then the system columns that every table has, then the one column that
/// each list table has without the prefix `sys_`.
const RESERVED: &str = "\
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
    collate collation column concurrently constraint create cross current_catalog current_date \
    current_role current_schema current_time current_timestamp current_user default deferrable \
    desc distinct do else end except false fetch for foreign freeze from full grant group having \
    ilike in initially inner intersect into is isnull join lateral leading left like limit \
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps \
    placing primary references returning right select session_user similar some symmetric \
    system_user table tablesample then to trailing true union unique user using variadic verbose \
    when where window with \
    cmax cmin ctid tableoid xmax xmin \
    list_id";

static RESERVED_WORDS: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| RESERVED.split_ascii_whitespace().collect());

/// A name that cannot be used, or from which no identifier can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing visible in it.
    #[error("the name is empty: give it at least one visible character")]
    Blank,
    /// Too long to be shown.
    #[error("the name has {chars} characters: shorten it to {MAX_NAME_CHARS}")]
    TooLong {
        /// Its length in characters.
        chars: usize,
    },
    /// Holds a character that cannot be stored or shown.
    #[error("the name holds the control character U+{:04X} at position {position}: remove it", u32::from(*.character))]
    Control {
        /// The character.
        character: char,
        /// Its place in the name, counted from 1 in characters.
        position: usize,
    },
    /// The room for an identifier is too small for what must be in it.
    #[error("no identifier fits into {max_bytes} bytes")]
    NoRoom {
        /// The room that was given.
        max_bytes: usize,
    },
    /// Every variant is taken.
    #[error("every identifier like \"{base}\" is taken: choose another name")]
    AllTaken {
        /// The identifier without a number.
        base: String,
    },
}

/// Makes an identifier of at most `max_bytes` bytes from a name.
///
/// - Lower case; letters and digits of any script are kept, every run of other characters becomes
///   one `_`, and none is left at the start or the end.
/// - What would be empty, start with a digit, or start with `sys_` or `pg_`, gets
///   `fallback_prefix` and `_` in front (`list_2026`, `list_sys_x`).
/// - A reserved word gets a `_` behind it (`order_`).
/// - What is too long is cut, never inside a character.
/// - What is `taken` gets `_2`, `_3` and so on, and is cut further when there is no room.
///
/// `fallback_prefix` is ours, not a user's: a short ASCII word.
///
/// # Errors
/// [`NameError::NoRoom`] when `max_bytes` leaves no room, [`NameError::AllTaken`] when no number
/// is free. Every name has an identifier otherwise, also one that
/// [`check_display_name`] refuses.
pub fn derive(
    name: &str,
    max_bytes: usize,
    fallback_prefix: &str,
    taken: &mut dyn FnMut(&str) -> bool,
) -> Result<String, NameError> {
    let mut base = words_of(name);
    let unusable = base.is_empty()
        || base.starts_with(|c: char| c.is_numeric())
        || base.starts_with("sys_")
        || base.starts_with("pg_");
    if unusable {
        let tail = if base.is_empty() { "" } else { "_" };
        base = format!("{fallback_prefix}{tail}{base}");
    }
    let first = fitted(&base, "", max_bytes)?;
    if !taken(&first) {
        return Ok(first);
    }
    for number in 2..=MAX_NUMBER {
        let candidate = fitted(&base, &format!("_{number}"), max_bytes)?;
        if !taken(&candidate) {
            return Ok(candidate);
        }
    }
    Err(NameError::AllTaken { base: first })
}

/// Lower-case letters and digits of the name, everything between them one `_`.
fn words_of(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut between = false;
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            if between && !out.is_empty() {
                out.push('_');
            }
            between = false;
            out.push(c);
        } else {
            between = true;
        }
    }
    out
}

/// `base` and `ending` in at most `max_bytes`, and no reserved word.
fn fitted(base: &str, ending: &str, max_bytes: usize) -> Result<String, NameError> {
    let cut = |room: usize| {
        let end = base.floor_char_boundary(room);
        base.get(..end).unwrap_or(base).trim_end_matches('_')
    };
    let room = max_bytes.saturating_sub(ending.len());
    let mut out = cut(room).to_owned();
    if ending.is_empty() && RESERVED_WORDS.contains(out.as_str()) {
        out = format!("{}_", cut(room.saturating_sub(1)));
    } else {
        out.push_str(ending);
    }
    if out.len() == ending.len() || out == "_" || out.len() > max_bytes {
        return Err(NameError::NoRoom { max_bytes });
    }
    Ok(out)
}

/// Whether a name can be stored and shown as it is written: something visible, at most
/// [`MAX_NAME_CHARS`] characters, no NUL and no control characters.
///
/// # Errors
/// [`NameError`] with what is wrong and what to do.
pub fn check_display_name(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank);
    }
    if let Some((at, character)) = name.chars().enumerate().find(|(_, c)| c.is_control()) {
        return Err(NameError::Control {
            character,
            position: at + 1,
        });
    }
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(NameError::TooLong { chars });
    }
    Ok(())
}

/// The key by which header names are compared: case, blanks, `_` and `-` do not count
/// (list-automation §4.4.1).
#[must_use]
pub fn header_key(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a column name is kept for the list itself (contact-lists §2.3, reserved names).
pub(crate) fn is_reserved(name: &str) -> bool {
    name.trim()
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("sys_"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn free(name: &str) -> String {
        derive(name, 63, "list", &mut |_| false).unwrap()
    }

    #[test]
    fn names_become_lower_case_words() {
        for (name, identifier) in [
            ("Spring 2026", "spring_2026"),
            ("  VIP -- customers!  ", "vip_customers"),
            ("Клієнти 2026", "клієнти_2026"),
            ("Straße", "straße"),
            ("客户", "客户"),
            ("O'Neil", "o_neil"),
            ("_x_", "x"),
            ("x\"; drop table contact; --", "x_drop_table_contact"),
        ] {
            assert_eq!(free(name), identifier, "{name}");
        }
    }

    #[test]
    fn what_cannot_start_an_identifier_gets_the_prefix() {
        assert_eq!(free("2026"), "list_2026");
        assert_eq!(free("???"), "list");
        assert_eq!(free(""), "list");
        assert_eq!(free("sys_id"), "list_sys_id");
        assert_eq!(free("SYS id"), "list_sys_id");
        assert_eq!(free("pg_class"), "list_pg_class");
        assert_eq!(free("٣ items"), "list_٣_items");
        assert_eq!(free("system"), "system");
        assert_eq!(free("page"), "page");
    }

    #[test]
    fn reserved_words_get_an_underscore() {
        assert_eq!(free("Order"), "order_");
        assert_eq!(free("select"), "select_");
        assert_eq!(free("ctid"), "ctid_");
        assert_eq!(free("list id"), "list_id_");
        assert_eq!(free("orders"), "orders");
        assert_eq!(
            derive("selection", 6, "list", &mut |_| false).unwrap(),
            "selec_"
        );
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(free(&"a".repeat(100)), "a".repeat(63));
        assert_eq!(free(&"я".repeat(100)), "я".repeat(31));
        assert_eq!(derive("aaa bbb", 4, "list", &mut |_| false).unwrap(), "aaa");
    }

    #[test]
    fn taken_identifiers_are_numbered_within_the_limit() {
        let mut used = HashSet::new();
        let mut next = |name: &str| {
            let made = derive(name, 10, "list", &mut |id| used.contains(id)).unwrap();
            used.insert(made.clone());
            made
        };
        assert_eq!(next("Contacts of May"), "contacts_o");
        assert_eq!(next("contacts of may"), "contacts_2");
        assert_eq!(next("contacts-of-may"), "contacts_3");
        assert_eq!(next("order"), "order_");
        assert_eq!(next("Order"), "order_2");
    }

    #[test]
    fn no_room_and_nothing_free_are_errors() {
        assert_eq!(
            derive("客户", 2, "list", &mut |_| false),
            Err(NameError::NoRoom { max_bytes: 2 })
        );
        assert!(derive("x", 0, "list", &mut |_| false).is_err());
        assert_eq!(
            derive("ab", 3, "list", &mut |_| true),
            Err(NameError::NoRoom { max_bytes: 3 })
        );
    }

    #[test]
    fn any_text_that_can_be_shown_is_a_name() {
        for good in ["x", "Клієнти «Київ»", "x\"; drop table contact; --", " a "] {
            assert_eq!(check_display_name(good), Ok(()));
        }
        assert_eq!(check_display_name(" \u{a0}"), Err(NameError::Blank));
        assert!(check_display_name(&"я".repeat(255)).is_ok());
        assert_eq!(
            check_display_name(&"я".repeat(256)),
            Err(NameError::TooLong { chars: 256 })
        );
        let error = check_display_name("a\u{0}b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the name holds the control character U+0000 at position 2: remove it"
        );
    }

    #[test]
    fn header_names_are_compared_without_case_blanks_and_marks() {
        for name in ["First Name", "first_name", "FIRST-NAME", " firstname "] {
            assert_eq!(header_key(name), "firstname");
        }
        assert_ne!(header_key("phone 1"), header_key("phone 2"));
    }

    proptest! {
        #[test]
        fn every_name_has_a_valid_identifier_of_its_own(
            names in prop::collection::vec(any::<String>(), 1..20),
            max_bytes in 16_usize..=63,
        ) {
            let mut used = HashSet::new();
            for name in &names {
                let made = derive(name, max_bytes, "list", &mut |id| used.contains(id)).unwrap();
                prop_assert!(made.len() <= max_bytes);
                prop_assert!(made.chars().all(|c| c == '_' || c.is_alphanumeric()));
                prop_assert!(made.starts_with(char::is_alphabetic), "{}", made);
                prop_assert!(!made.starts_with("sys_") && !made.starts_with("pg_"));
                prop_assert!(!RESERVED_WORDS.contains(made.as_str()));
                prop_assert!(used.insert(made));
            }
        }

        #[test]
        fn an_identifier_is_its_own_identifier(name in any::<String>()) {
            let once = free(&name);
            prop_assert_eq!(free(&once), once);
        }

        #[test]
        fn the_header_key_of_a_key_is_the_key(name in any::<String>()) {
            let key = header_key(&name);
            prop_assert_eq!(header_key(&key), key);
        }
    }
}
