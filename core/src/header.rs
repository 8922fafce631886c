//! The header row of a file: whether its names can be columns, and which list column each is.
//!
//! Later files must have the columns of the first one; otherwise the whole file is refused,
//! because a column that moved or was renamed would put numbers where names belong
//! (contact-lists §2.3, later uploads). Order may differ: names decide.

use std::collections::HashMap;

use thiserror::Error;

use crate::identifier::{check_display_name, header_key, is_reserved};
use crate::reason::Reason;
use crate::shape::{MAX_COLUMNS, Shape};

/// A header row that is refused, and with it the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct HeaderError {
    /// Stable code, one of the `header_…` ones or `format`.
    pub reason: Reason,
    /// What is wrong.
    pub message: String,
    /// Which columns, and where they stand.
    pub detail: String,
    /// What to do.
    pub hint: String,
}

/// Checks that names can be the columns of a list: 1 to [`MAX_COLUMNS`] of them, none empty, none
/// with a control character or longer than a name may be, none starting with `sys_`, no two with
/// the same [`header_key`] (contact-lists §2.3).
///
/// # Errors
/// `header_empty`, `header_too_many`, `header_reserved`, `header_duplicate`; `format` for a name
/// that cannot be shown.
pub fn check_names(names: &[String]) -> Result<(), HeaderError> {
    if names.is_empty() {
        return Err(HeaderError {
            reason: Reason::HeaderEmpty,
            message: "there are no columns".to_owned(),
            detail: "A header row with the names of the columns is expected.".to_owned(),
            hint: "Put the names of the columns into the first line.".to_owned(),
        });
    }
    if names.len() > MAX_COLUMNS {
        return Err(HeaderError {
            reason: Reason::HeaderTooMany,
            message: format!(
                "there are {} columns, and a list has at most {MAX_COLUMNS}",
                names.len()
            ),
            detail: format!(
                "The first column too many is {}.",
                place(names, MAX_COLUMNS)
            ),
            hint: "Leave out the columns that are not needed.".to_owned(),
        });
    }
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let key = header_key(name);
        if key.is_empty() {
            return Err(HeaderError {
                reason: Reason::HeaderEmpty,
                message: format!("column {} has no name", i + 1),
                detail: format!("The columns are: {}.", quoted(names)),
                hint: "Give every column a name with at least one letter or digit, and look for \
                       a delimiter too many at the end of the first line."
                    .to_owned(),
            });
        }
        if let Err(error) = check_display_name(name) {
            return Err(HeaderError {
                reason: Reason::Format,
                message: format!("the name of column {} cannot be used: {error}", i + 1),
                detail: format!("The name is {}.", shown(name)),
                hint: "Check that the first line holds the names of the columns, and that the \
                       file is in the expected character set."
                    .to_owned(),
            });
        }
        if is_reserved(name) {
            return Err(HeaderError {
                reason: Reason::HeaderReserved,
                message: format!("the column name {} is reserved", shown(name)),
                detail: format!("{} starts with sys_.", place(names, i)),
                hint: "Rename the column: names that start with sys_ belong to the list itself."
                    .to_owned(),
            });
        }
        if let Some(first) = seen.insert(key, i) {
            return Err(HeaderError {
                reason: Reason::HeaderDuplicate,
                message: format!("the column name {} stands twice", shown(name)),
                detail: format!(
                    "{} and {} are the same name.",
                    place(names, first),
                    place(names, i)
                ),
                hint: "Rename one of them: case, blanks, _ and - do not tell names apart."
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// Finds the field of the file for each column of the list, by [`header_key`]: answer `i` is the
/// field that holds list column `i`.
///
/// # Errors
/// Those of [`check_names`]; `header_missing` when the file lacks a column of the list,
/// `header_drift` when it has one that the list has not. Both name the columns.
pub fn match_columns(shape: &Shape, names: &[String]) -> Result<Vec<usize>, HeaderError> {
    check_names(names)?;
    let mut fields: HashMap<String, usize> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (header_key(name), i))
        .collect();
    let found: Vec<Option<usize>> = shape
        .columns
        .iter()
        .map(|column| fields.remove(&header_key(&column.name)))
        .collect();
    let missing: Vec<&str> = shape
        .columns
        .iter()
        .zip(&found)
        .filter(|(_, field)| field.is_none())
        .map(|(column, _)| column.name.as_str())
        .collect();
    let mut extra: Vec<usize> = fields.into_values().collect();
    extra.sort_unstable();
    let extra: Vec<&str> = extra
        .into_iter()
        .filter_map(|i| names.get(i).map(String::as_str))
        .collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(found.into_iter().flatten().collect());
    }
    let detail = match (missing.is_empty(), extra.is_empty()) {
        (false, false) => format!(
            "Missing: {}. Not in the list: {}.",
            quoted(&missing),
            quoted(&extra)
        ),
        (false, true) => format!("Missing: {}.", quoted(&missing)),
        _ => format!("Not in the list: {}.", quoted(&extra)),
    };
    let (reason, message) = if missing.is_empty() {
        (
            Reason::HeaderDrift,
            format!(
                "the file has columns that the list has not: {}",
                quoted(&extra)
            ),
        )
    } else {
        (
            Reason::HeaderMissing,
            format!("the file lacks columns of the list: {}", quoted(&missing)),
        )
    };
    Err(HeaderError {
        reason,
        message,
        detail,
        hint: "Send a file with the same columns as the first one (their order is free), or \
               import this one into a new list."
            .to_owned(),
    })
}

/// Most names shown in one message.
const SHOWN_NAMES: usize = 10;

/// Longest part of a name shown, in characters.
const SHOWN_CHARS: usize = 60;

fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    let mut out = names
        .iter()
        .take(SHOWN_NAMES)
        .map(|name| shown(name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN_NAMES {
        out.push_str(&format!(" and {} more", names.len() - SHOWN_NAMES));
    }
    out
}

/// A name between quotation marks, with control characters escaped and the rest of a long name
/// left out: it goes into logs and onto terminals.
fn shown(name: &str) -> String {
    let mut out = String::from("\"");
    for c in name.chars().take(SHOWN_CHARS) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if name.chars().count() > SHOWN_CHARS {
        out.push('…');
    }
    out.push('"');
    out
}

fn place(names: &[String], i: usize) -> String {
    format!(
        "column {} ({})",
        i + 1,
        shown(names.get(i).map_or("", String::as_str))
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::shape::Column;
    use crate::value::ColumnType;
    use proptest::prelude::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    fn shape(columns: &[&str]) -> Shape {
        Shape {
            list_id: 1,
            columns: columns
                .iter()
                .map(|&name| Column {
                    name: name.to_owned(),
                    identifier: header_key(name),
                    column_type: ColumnType::Text,
                    contact: None,
                })
                .collect(),
            identifier: None,
            contact_name: None,
            invalid_result_id: None,
            last_record_id: 0,
            units_required: false,
        }
    }

    fn refused(list: &[&str]) -> HeaderError {
        check_names(&names(list)).unwrap_err()
    }

    #[test]
    fn good_names_pass() {
        assert_eq!(
            check_names(&names(&["id", "Ім'я", "phone 1", "system"])),
            Ok(())
        );
        let most: Vec<String> = (0..MAX_COLUMNS).map(|i| format!("c{i}")).collect();
        assert_eq!(check_names(&most), Ok(()));
    }

    #[test]
    fn an_empty_name_is_refused_with_its_place() {
        let error = refused(&["id", " ", "phone"]);
        assert_eq!(error.reason, Reason::HeaderEmpty);
        assert_eq!(error.message, "column 2 has no name");
        assert_eq!(refused(&[]).reason, Reason::HeaderEmpty);
        assert_eq!(refused(&["id", "_-_"]).reason, Reason::HeaderEmpty);
    }

    #[test]
    fn two_equal_names_are_refused_and_both_are_named() {
        let error = refused(&["First Name", "phone", "first_name"]);
        assert_eq!(error.reason, Reason::HeaderDuplicate);
        assert_eq!(
            error.detail,
            "column 1 (\"First Name\") and column 3 (\"first_name\") are the same name."
        );
    }

    #[test]
    fn names_of_the_list_itself_are_refused() {
        for name in ["sys_id", "SYS_STATUS", " sys_x"] {
            assert_eq!(refused(&["phone", name]).reason, Reason::HeaderReserved);
        }
    }

    #[test]
    fn two_thousand_columns_are_refused() {
        let many: Vec<String> = (0..2000).map(|i| format!("c{i}")).collect();
        let error = check_names(&many).unwrap_err();
        assert_eq!(error.reason, Reason::HeaderTooMany);
        assert!(error.message.contains("2000"));
    }

    #[test]
    fn a_name_that_cannot_be_shown_is_refused_without_showing_it() {
        let error = refused(&["phone\u{0}\u{1b}[31m"]);
        assert_eq!(error.reason, Reason::Format);
        assert_eq!(error.detail, "The name is \"phone\\u{0}\\u{1b}[31m\".");
        assert_eq!(refused(&[&"x".repeat(300)]).reason, Reason::Format);
    }

    #[test]
    fn columns_are_matched_by_name_in_any_order() {
        let list = shape(&["Client Id", "Phone", "Name"]);
        let fields = match_columns(&list, &names(&["name", "client_id", "PHONE"])).unwrap();
        assert_eq!(fields, [1, 2, 0]);
    }

    #[test]
    fn missing_columns_are_named() {
        let list = shape(&["id", "phone", "email"]);
        let error = match_columns(&list, &names(&["id", "mobile"])).unwrap_err();
        assert_eq!(error.reason, Reason::HeaderMissing);
        assert_eq!(
            error.message,
            "the file lacks columns of the list: \"phone\", \"email\""
        );
        assert_eq!(
            error.detail,
            "Missing: \"phone\", \"email\". Not in the list: \"mobile\"."
        );
    }

    #[test]
    fn unknown_columns_are_named() {
        let list = shape(&["id"]);
        let error = match_columns(&list, &names(&["b", "id", "a"])).unwrap_err();
        assert_eq!(error.reason, Reason::HeaderDrift);
        assert_eq!(
            error.message,
            "the file has columns that the list has not: \"b\", \"a\""
        );
    }

    #[test]
    fn a_long_list_of_columns_is_cut_in_messages() {
        let list = shape(&["id"]);
        let mut file: Vec<String> = (0..50).map(|i| format!("c{i}")).collect();
        file.push("id".to_owned());
        let error = match_columns(&list, &file).unwrap_err();
        assert!(error.message.ends_with("\"c9\" and 40 more"));
    }

    proptest! {
        #[test]
        fn no_header_makes_checking_panic(list in prop::collection::vec(any::<String>(), 0..10)) {
            let _ = check_names(&list);
            let _ = match_columns(&shape(&["id", "phone"]), &list);
        }
    }
}
