//! `check_consistency`: whether what a list stores is what follows from its records (contact-lists §5.4, §13).

use outbound_core::machine::Rules;
use pgrx::prelude::*;

use super::catalog::{self, List};
use super::counters;
use super::operator::portion;
use super::spi;
use super::store::{self, Held};

/// Differences between what a list stores and what follows from its records (contact-lists §5.4, §13): none
/// in a list that is in order.
///
/// # Errors
/// Raises `undefined_object` for an unknown list.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_consistency(
    list: &str,
) -> TableIterator<
    'static,
    (
        name!(contact_id, Option<String>),
        name!(record_id, Option<i64>),
        name!(what, String),
        name!(stored, String),
        name!(expected, String),
    ),
> {
    let mut found = Vec::new();
    spi::connected(|| {
        catalog::refresh();
        let list = catalog::list_by_name(list);
        store::at_one_moment(&list, || differences(&list, &mut found));
    });
    TableIterator::new(
        found
            .into_iter()
            .map(|d| (d.contact, d.record, d.what, d.stored, d.expected)),
    )
}

fn differences(list: &List, found: &mut Vec<Difference>) {
    let mut counted = [[0_i64; 6]; 4];
    let mut after = String::new();
    loop {
        let contacts = portion(list, &after, false);
        let Some(last) = contacts.last() else { break };
        after.clone_from(&last.now.id);
        let rules = catalog::rules(list, &contacts, None);
        for contact in &contacts {
            compare(contact, &rules, found);
            counters::add(&mut counted, &contact.before, contact.types_before, 1);
        }
    }
    let stored = counters::stored(list);
    for (dimension, name) in counters::DIMENSIONS.iter().enumerate() {
        if stored[dimension] != counted[dimension] {
            found.push(Difference {
                contact: None,
                record: None,
                what: format!("counters of dimension {name}"),
                stored: format!("{:?}", stored[dimension]),
                expected: format!("{:?}", counted[dimension]),
            });
        }
    }
}

/// One difference.
struct Difference {
    /// The contact; none for a counter of the list.
    contact: Option<String>,
    /// The record, where it is one.
    record: Option<i64>,
    /// What differs.
    what: String,
    /// As stored.
    stored: String,
    /// As it should be.
    expected: String,
}

fn compare(contact: &Held, rules: &Rules, found: &mut Vec<Difference>) {
    let stored = &contact.before;
    let mut expected = stored.clone();
    expected.derive(rules);
    let mut differ = |record: Option<i64>, what: &str, stored: String, expected: String| {
        if stored != expected {
            found.push(Difference {
                contact: Some(contact.before.id.clone()),
                record,
                what: what.to_owned(),
                stored,
                expected,
            });
        }
    };
    differ(
        None,
        "sys_status",
        stored.code.to_string(),
        expected.code.to_string(),
    );
    for (kind, name) in ["call", "email", "social_media"].iter().enumerate() {
        let (is, should) = (stored.type_codes[kind], expected.type_codes[kind]);
        differ(
            None,
            &format!("sys_status_{name}"),
            is.to_string(),
            should.to_string(),
        );
        let made: i32 = stored
            .records
            .iter()
            .filter(|record| record.kind.is_some_and(|k| k as usize == kind))
            .map(|record| record.attempts)
            .sum();
        differ(
            None,
            &format!("sys_attempts_{name}"),
            stored.type_attempts[kind].to_string(),
            made.to_string(),
        );
        differ(
            None,
            &format!("sys_due_{name}"),
            format!("{:?}", stored.due[kind]),
            // A code that shuts the contact out says more than a due moment does.
            if stored.type_codes[kind] == outbound_core::status::ContactCode::Callable {
                format!("{:?}", expected.due[kind])
            } else {
                format!("{:?}", stored.due[kind])
            },
        );
        differ(
            None,
            &format!("sys_callback_{name}"),
            format!("{:?}", stored.callbacks[kind]),
            format!("{:?}", expected.callbacks[kind]),
        );
    }
    let busy: Vec<i64> = stored
        .records
        .iter()
        .filter(|record| !record.code.is_claimable() && !record.code.is_terminal())
        .map(|record| record.id)
        .collect();
    let open: Vec<i64> = stored.open.iter().map(|open| open.record).collect();
    differ(
        None,
        "open attempt",
        format!("{open:?}"),
        format!("{busy:?}"),
    );
}
