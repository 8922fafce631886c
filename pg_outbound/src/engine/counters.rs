//! What a change of contacts means for the counters of their list (contact-lists §12).
//!
//! Counters are kept as changes: each statement that moves contacts from one code to another adds a row to
//! `outbound.contact_count`, and a reader adds the rows up. So they are exact at every commit, and no two
//! callers wait for each other's counter. `outbound.compact_counts()` makes few rows of many.

use outbound_core::machine::Contact;
use outbound_core::status::ContactCode;

use super::catalog::List;
use super::spi::{self, Arg};
use super::store::Held;

/// What is counted: whole contacts, and contacts with a unit of one conversation type.
pub const DIMENSIONS: [&str; 4] = ["contact", "call", "email", "social_media"];

/// Codes in the order of the columns: callable, planning, open, attempted, flagged, closed.
const CODES: [ContactCode; 6] = [
    ContactCode::Callable,
    ContactCode::InProgress,
    ContactCode::Queued,
    ContactCode::Exhausted,
    ContactCode::Flagged,
    ContactCode::Uncallable,
];

/// Notes how many contacts of a list went from one code to another.
pub fn note(list: &List, held: &[Held]) {
    let mut changes = [[0_i64; 6]; 4];
    for contact in held {
        add(&mut changes, &contact.before, contact.types_before, -1);
        add(&mut changes, &contact.now, contact.now.unit_types(), 1);
    }
    let moved: Vec<usize> = (0..4)
        .filter(|d| changes[*d].iter().any(|c| *c != 0))
        .collect();
    if moved.is_empty() {
        return;
    }
    let column = |code: usize| Arg::Int8s(moved.iter().map(|d| Some(changes[*d][code])).collect());
    spi::run(
        "INSERT INTO outbound.contact_count (list_id, dimension, callable, planning, open, attempted, flagged, closed) \
         SELECT $1, u.* FROM ROWS FROM (unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8)) AS u",
        &[
            Arg::Int4(list.id),
            Arg::Texts(moved.iter().map(|d| DIMENSIONS.get(*d).copied()).collect()),
            column(0),
            column(1),
            column(2),
            column(3),
            column(4),
            column(5),
        ],
    );
}

/// Adds a contact, with units of these conversation types, to counters by dimension and code.
pub fn add(changes: &mut [[i64; 6]; 4], contact: &Contact, types: i16, by: i64) {
    changes[0][place(contact.code)] += by;
    for kind in 0..3 {
        if types & (1 << kind) != 0 {
            changes[kind + 1][place(effective(contact, kind))] += by;
        }
    }
}

/// The counters of a list as they are kept, by dimension and code, as [`spi::look`] sees them.
pub fn stored(list: &List) -> [[i64; 6]; 4] {
    let mut stored = [[0_i64; 6]; 4];
    spi::look(
        "SELECT c.dimension, sum(c.callable)::bigint, sum(c.planning)::bigint, sum(c.open)::bigint, sum(c.attempted)::bigint, \
                sum(c.flagged)::bigint, sum(c.closed)::bigint \
         FROM outbound.contact_count AS c WHERE c.list_id = $1 GROUP BY c.dimension",
        &[Arg::Int4(list.id)],
        |row| {
            let name = row.text(0);
            let dimension = DIMENSIONS.iter().position(|d| Some(*d) == name.as_deref());
            if let Some(dimension) = dimension {
                for (code, counter) in stored[dimension].iter_mut().enumerate() {
                    *counter = row.int8(code + 1).unwrap_or(0);
                }
            }
        },
    );
    stored
}

/// The code that a campaign of the type counts a contact under (contact-lists §12, `eff`).
#[must_use]
pub fn effective(contact: &Contact, kind: usize) -> ContactCode {
    match (contact.code, contact.type_codes[kind]) {
        (ContactCode::Uncallable, _) => ContactCode::Uncallable,
        (contact, ContactCode::Callable) => {
            if contact == ContactCode::Exhausted {
                ContactCode::Exhausted
            } else {
                ContactCode::Callable
            }
        }
        (_, of_type) => of_type,
    }
}

fn place(code: ContactCode) -> usize {
    CODES.iter().position(|c| *c == code).unwrap_or(0)
}
