//! Names of remote files: which ones a job takes, and what may be done with them.
//!
//! A name comes from a server that is not ours. It is compared, shown and sent back to the same
//! server, and never used as a path of our own; still, a name that could mean a path, or that
//! shows as something else than it is, is refused (list-automation §2.3, §3.3).

use chrono::NaiveDateTime;
use thiserror::Error;

use crate::text_enum::text_enum;

/// Longest name of a file, in bytes, as on nearly every file system.
pub const MAX_NAME_BYTES: usize = 255;

/// What OpenPGP programs put behind the name of a file (list-automation §3.3 M-5).
const PGP_SUFFIXES: [&str; 3] = [".pgp", ".gpg", ".asc"];

/// What kinds of list files end in (list-automation §3.3 M-5).
const LIST_SUFFIXES: [&str; 5] = [".csv", ".txt", ".tsv", ".xlsx", ".xls"];

/// What programs put behind the name of a file that they are still writing (F-17).
const TRANSFER_SUFFIXES: [&str; 3] = [".part", ".tmp", ".filepart"];

text_enum! {
    /// How a file's name is compared (list-automation §3.3 M-1, M-2).
    pub enum NameOperator("file name operation") {
        /// The whole name.
        Equals = "equals",
        /// Anywhere in the name.
        Contains = "contains",
        /// At the start of the name.
        StartsWith = "starts_with",
        /// At the end of the name, the extension included.
        EndsWith = "ends_with",
        /// A pattern for the whole name: `*` any text, `?` one character.
        Matches = "matches",
        /// Not `equals`.
        NotEquals = "not_equals",
        /// Not `contains`.
        NotContains = "not_contains",
        /// Not `starts_with`.
        NotStartsWith = "not_starts_with",
        /// Not `ends_with`.
        NotEndsWith = "not_ends_with",
        /// Not `matches`.
        NotMatches = "not_matches",
    }
}

/// A remote name that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadName {
    /// No name at all.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error(
        "the name has {bytes} bytes and at most {MAX_NAME_BYTES} are accepted: rename the file"
    )]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("the name is not UTF-8: rename the file, or set its server to UTF-8")]
    NotUtf8,
    /// `.` or `..`.
    #[error("the name means a directory: rename the file")]
    Directory,
    /// A character that separates directories.
    #[error("the name holds \"{0}\", which separates directories: rename the file")]
    Separator(char),
    /// A character that does not show, or changes how the rest shows.
    #[error("the name holds the invisible character U+{:04X}: rename the file", u32::from(*.0))]
    Invisible(char),
}

/// Whether a name, extension included, satisfies operator and value. Without `case_sensitive`
/// case does not count.
#[must_use]
pub fn matches(op: NameOperator, value: &str, name: &str, case_sensitive: bool) -> bool {
    if !case_sensitive {
        return matches(op, &value.to_lowercase(), &name.to_lowercase(), true);
    }
    match op {
        NameOperator::Equals => name == value,
        NameOperator::Contains => name.contains(value),
        NameOperator::StartsWith => name.starts_with(value),
        NameOperator::EndsWith => name.ends_with(value),
        NameOperator::Matches => glob(value, name),
        NameOperator::NotEquals => name != value,
        NameOperator::NotContains => !name.contains(value),
        NameOperator::NotStartsWith => !name.starts_with(value),
        NameOperator::NotEndsWith => !name.ends_with(value),
        NameOperator::NotMatches => !glob(value, name),
    }
}

/// Matches a whole name against a pattern. Only the last `*` is ever taken back, so the time is
/// bounded by the product of both lengths.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&expected) if expected == '?' || expected == c => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((star_p, star_n)) => {
                    star = Some((star_p, star_n + 1));
                    p = star_p + 1;
                    n = star_n + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

/// Whether a name says that its file is still being written: it ends in `.part`, `.tmp` or
/// `.filepart`, or starts with a dot (list-automation §2.3 F-17).
#[must_use]
pub fn is_in_transfer(name: &str) -> bool {
    name.starts_with('.') || TRANSFER_SUFFIXES.iter().any(|s| without(name, s).is_some())
}

/// Checks the name of a remote entry, as the bytes that the server sent.
///
/// # Errors
/// [`BadName`] for what is not UTF-8, empty, longer than [`MAX_NAME_BYTES`], `.` or `..`, or holds
/// a separator of directories, NUL, a control character, or a mark that changes the direction of
/// writing.
pub fn check_remote_name(bytes: &[u8]) -> Result<&str, BadName> {
    if bytes.is_empty() {
        return Err(BadName::Empty);
    }
    if bytes.len() > MAX_NAME_BYTES {
        return Err(BadName::TooLong { bytes: bytes.len() });
    }
    let name = std::str::from_utf8(bytes).map_err(|_| BadName::NotUtf8)?;
    if matches!(name, "." | "..") {
        return Err(BadName::Directory);
    }
    for c in name.chars() {
        if matches!(c, '/' | '\\') {
            return Err(BadName::Separator(c));
        }
        if is_invisible(c) {
            return Err(BadName::Invisible(c));
        }
    }
    Ok(name)
}

/// Control characters, marks of writing direction, characters without width, and the two
/// separators that end a line in some programs.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A name that is safe to print and to store, whatever bytes it is made of: invisible characters
/// appear as `\u{202e}`, bytes that are no UTF-8 as `\xff`, a backslash as `\\`. Different names
/// stay different.
#[must_use]
pub fn display_name(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push_str("\\\\");
            } else if is_invisible(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// The name of the list for a file: its stem, without the suffixes of OpenPGP and of list files
/// (list-automation §3.4 ). Other dots belong to the name, so `may.2026.csv.pgp` is for
/// the list `may.2026`. A name that is nothing but suffixes is taken whole.
#[must_use]
pub fn list_name_from(file_name: &str) -> String {
    let stem = stem_of(file_name).trim();
    if stem.is_empty() {
        file_name.to_owned()
    } else {
        stem.to_owned()
    }
}

fn stem_of(name: &str) -> &str {
    let name = PGP_SUFFIXES
        .iter()
        .find_map(|suffix| without(name, suffix))
        .unwrap_or(name);
    LIST_SUFFIXES
        .iter()
        .find_map(|suffix| without(name, suffix))
        .unwrap_or(name)
}

/// The name without an ASCII suffix in any case, if it has one and something before it.
fn without<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    let (stem, end) = name.split_at_checked(at)?;
    (at > 0 && end.eq_ignore_ascii_case(suffix)).then_some(stem)
}

/// The name with `_YYYYMMDDhhmmss` before its extension, for a target that exists already
/// (list-automation §2.3 F-16). The suffixes of OpenPGP and of list files count as one extension;
/// any other name is split at its last dot. The stem is cut when the result would be longer than
/// [`MAX_NAME_BYTES`].
#[must_use]
pub fn timestamped(name: &str, at: &NaiveDateTime) -> String {
    let mut stem = stem_of(name);
    if stem.len() == name.len()
        && let Some(dot) = name.rfind('.').filter(|&dot| dot > 0)
    {
        stem = name.get(..dot).unwrap_or(name);
    }
    let extension = name.get(stem.len()..).unwrap_or("");
    let stamp = at.format("_%Y%m%d%H%M%S").to_string();
    let room = MAX_NAME_BYTES.saturating_sub(stamp.len() + extension.len());
    let stem = stem.get(..stem.floor_char_boundary(room)).unwrap_or(stem);
    format!("{stem}{stamp}{extension}")
}

#[cfg(test)]
mod tests;
