//! Invariants that hold at every moment.

use crate::history::units::unit_type;
use crate::model::codes::Facts;
use crate::model::settings::{Control, Kind, UnitType, met};
use crate::snapshot::{ContactRow, RecordRow, Rows};

use super::Moment;

/// A check: why it does not hold, or nothing.
pub type Check = fn(&Moment<'_>) -> Option<String>;

/// The checks by name.
pub const CHECKS: [(&str, Check); 15] = [
    ("P1", p1),
    ("P2", p2),
    ("P3", p3),
    ("P4", p4),
    ("P5", p5),
    ("P6", p6),
    ("P10", p10),
    ("P13", p13),
    ("P14", p14),
    ("P15", p15),
    ("P16", p16),
    ("P18", p18),
    ("P23", p23),
    ("P30", p30),
    ("P32", p32),
];

/// One contact with its records, as the checks look at it.
struct View<'a> {
    moment: &'a Moment<'a>,
    list: &'a str,
    rows: &'a Rows,
    id: &'a str,
    contact: &'a ContactRow,
}

impl View<'_> {
    fn records(&self) -> impl Iterator<Item = &RecordRow> {
        self.rows.records_of(self.id).map(|(_, record)| record)
    }

    fn control(&self, campaign: Option<&String>) -> Option<Control> {
        campaign.map(|campaign| self.moment.world.control_of(campaign))
    }

    /// The reference functions of §5.4 over the stored records.
    fn facts(&self) -> Facts {
        let latest_of = |kind: Kind| {
            let tried = self
                .records()
                .filter(|record| record.kind == Some(kind) && record.last_at.is_some());
            tried.max_by_key(|record| record.last_at)
        };
        let latest = self
            .contact
            .last_record
            .and_then(|id| self.rows.records.get(&(self.id.to_owned(), id)));
        Facts {
            records: self
                .records()
                .map(|record| (record.kind, record.code, record.succeeded()))
                .collect(),
            type_limits: Kind::ALL.map(|kind| {
                self.control(latest_of(kind).and_then(|record| record.last_campaign.as_ref()))
                    .is_some_and(|control| {
                        met(
                            control.max_of(kind),
                            self.contact.type_attempts[kind.index()],
                        )
                    })
            }),
            contact_limit: self
                .control(latest.and_then(|record| record.last_campaign.as_ref()))
                .is_some_and(|control| met(control.max_per_contact, self.contact.attempts)),
            close_if_all: self
                .moment
                .world
                .lists
                .get(self.list)
                .is_some_and(|list| list.close_if_all),
            was_closed: self.contact.code == 'U',
        }
    }

    /// Whether limits were changed and not evaluated again: stored codes may lag behind (§16 Q14).
    fn lags(&self) -> bool {
        self.moment
            .world
            .lists
            .get(self.list)
            .is_some_and(|list| list.limits_changed)
    }
}

/// The first contact of which a test says something.
fn each(moment: &Moment<'_>, test: impl Fn(&View<'_>) -> Option<String>) -> Option<String> {
    moment.rows.lists.iter().find_map(|(list, rows)| {
        rows.contacts.iter().find_map(|(id, contact)| {
            let found = test(&View {
                moment,
                list,
                rows,
                id,
                contact,
            })?;
            Some(format!("list {list} contact {id}: {found}"))
        })
    })
}

fn fail_unless(holds: bool, why: impl FnOnce() -> String) -> Option<String> {
    (!holds).then(why)
}

fn p1(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let contact = std::iter::once(view.contact.code)
            .chain(view.contact.type_codes)
            .all(|code| "IAUCQF".contains(code));
        let records = view
            .records()
            .all(|record| "CIAUOSPQ".contains(record.code));
        fail_unless(contact && records, || {
            "a code that its level does not have".to_owned()
        })
    })
}

fn p2(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let open = view
            .records()
            .filter(|record| matches!(record.code, 'I' | 'Q'))
            .count();
        fail_unless(open <= 1, || {
            format!("{open} records in progress or queued")
        })
    })
}

fn p3(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        ['I', 'Q'].into_iter().find_map(|code| {
            let records: Vec<Option<Kind>> = view
                .records()
                .filter(|record| record.code == code)
                .map(|record| record.kind)
                .collect();
            let types: Vec<Option<Kind>> = Kind::ALL
                .into_iter()
                .filter(|kind| view.contact.type_codes[kind.index()] == code)
                .map(Some)
                .collect();
            let holds = records == types && (view.contact.code == code) == (records.len() == 1);
            fail_unless(holds, || {
                format!(
                    "{code}: contact {}, types {types:?}, records {records:?}",
                    view.contact.code
                )
            })
        })
    })
}

fn p4(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let facts = view.facts();
        let expected = (facts.code(), facts.type_codes());
        let stored = (view.contact.code, view.contact.type_codes);
        fail_unless(view.lags() || expected == stored, || {
            format!("stored {stored:?}, derived {expected:?}")
        })
    })
}

fn p5(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let of = |kind: Kind| -> i64 {
            view.records()
                .filter(|record| record.kind == Some(kind))
                .map(|record| record.attempts)
                .sum()
        };
        let records = Kind::ALL.map(of);
        let log = Kind::ALL.map(|kind| counted(view, |record| record.kind == Some(kind)));
        let holds = view.contact.attempts == view.contact.type_attempts.iter().sum::<i64>()
            && view.contact.type_attempts == records
            && records == log;
        fail_unless(holds, || {
            format!(
                "contact {:?}, records {records:?}, log {log:?}",
                view.contact.type_attempts
            )
        })
    })
}

/// Counted attempts in the log for records of the contact.
fn counted(view: &View<'_>, which: impl Fn(&RecordRow) -> bool) -> i64 {
    let log = view.moment.world.attempts.iter().filter(|attempt| {
        attempt.counted && attempt.list == view.list && attempt.contact == view.id
    });
    let of = log.filter(|attempt| {
        view.rows
            .records
            .get(&(view.id.to_owned(), attempt.record))
            .is_some_and(&which)
    });
    i64::try_from(of.count()).unwrap_or(-1)
}

fn p6(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        view.rows.records_of(view.id).find_map(|(id, record)| {
            let log = crate::model::settings::Category::COUNTED.map(|category| {
                let of = view.moment.world.attempts.iter().filter(|attempt| {
                    attempt.counted
                        && attempt.record == id
                        && attempt.list == view.list
                        && attempt.result == Some(category)
                });
                i64::try_from(of.count()).unwrap_or(-1)
            });
            let holds = record.by_category.iter().sum::<i64>() <= record.attempts
                && record.by_category == log;
            fail_unless(holds, || {
                format!(
                    "record {id}: {:?} of {}, log {log:?}",
                    record.by_category, record.attempts
                )
            })
        })
    })
}

fn p10(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        view.records().find_map(|record| {
            let holds = match record.code {
                'O' | 'S' => record.scheduled_at.is_some(),
                'I' => true,
                _ => record.scheduled_at.is_none(),
            };
            fail_unless(holds, || {
                format!(
                    "unit {}: {} with schedule {:?}",
                    record.unit, record.code, record.scheduled_at
                )
            })
        })
    })
}

fn p13(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let open = view
            .records()
            .any(|record| matches!(record.code, 'I' | 'Q'));
        let closed = view.facts().closed();
        fail_unless(!closed || open || view.contact.code == 'U', || {
            format!("closed, but {}", view.contact.code)
        })
    })
}

fn p14(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let facts = view.facts();
        let exhausted =
            view.contact.code != 'A' || view.lags() || (facts.contact_limit && !facts.closed());
        let flagged = view.contact.code != 'F' || !view.contact.type_codes.contains(&'C');
        fail_unless(exhausted && flagged, || {
            format!(
                "{} with types {:?}",
                view.contact.code, view.contact.type_codes
            )
        })
    })
}

fn p15(moment: &Moment<'_>) -> Option<String> {
    let adds_up = |counters: &[i64; 7]| counters.iter().skip(1).sum::<i64>() == counters[0];
    let list = moment.rows.lists.iter().find_map(|(name, rows)| {
        let count = i64::try_from(rows.contacts.len()).unwrap_or(-1);
        fail_unless(adds_up(&rows.counters) && rows.counters[0] == count, || {
            format!("list {name}: {:?}", rows.counters)
        })
    });
    list.or_else(|| {
        moment.rows.campaigns.iter().find_map(|(name, row)| {
            fail_unless(adds_up(&row.counters), || {
                format!("campaign {name}: {:?}", row.counters)
            })
        })
    })
}

fn p16(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let purged = view.records().find(|record| {
            record.code == 'P' && unit_type(&record.unit) != UnitType::ConversationId
        });
        purged.map(|record| format!("unit {} is purged", record.unit))
    })
}

fn p18(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let latest = view
            .rows
            .records_of(view.id)
            .filter(|(_, record)| record.last_at.is_some())
            .max_by_key(|(_, record)| record.last_at);
        let contact = view.contact.last_record == latest.map(|(id, _)| id)
            && view.contact.last_record.is_some() == (view.contact.attempts > 0);
        let records = view.records().all(|record| {
            let tried = record.attempts > 0;
            record.last_at.is_some() == tried && record.last_campaign.is_some() == tried
        });
        fail_unless(contact && records, || {
            format!(
                "latest record {:?}, by their times {:?}",
                view.contact.last_record,
                latest.map(|(id, _)| id)
            )
        })
    })
}

fn p23(moment: &Moment<'_>) -> Option<String> {
    let orphan = moment.rows.lists.iter().find_map(|(name, rows)| {
        let lost = rows
            .records
            .keys()
            .find(|(contact, _)| !rows.contacts.contains_key(contact))?;
        Some(format!("list {name}: record {lost:?} of nobody"))
    });
    orphan.or_else(|| {
        each(moment, |view| {
            Kind::ALL.into_iter().find_map(|kind| {
                let any = view.records().any(|record| record.kind == Some(kind));
                let code = view.contact.type_codes[kind.index()];
                fail_unless(any || code == 'F', || {
                    format!("{} is {code} without records", kind.name())
                })
            })
        })
    })
}

fn p30(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        let reset = view
            .moment
            .world
            .lists
            .get(view.list)
            .is_none_or(|list| list.close_if_all);
        let closed = view
            .contact
            .type_codes
            .iter()
            .filter(|code| **code == 'U')
            .count();
        fail_unless(reset || closed <= 1, || format!("{closed} types succeeded"))
    })
}

fn p32(moment: &Moment<'_>) -> Option<String> {
    each(moment, |view| {
        if view.contact.code != 'C' || view.lags() {
            return None;
        }
        let some = view.records().any(|record| {
            let callable = record
                .kind
                .is_some_and(|kind| view.contact.type_codes[kind.index()] == 'C');
            callable
                && (record.code == 'S'
                    || (matches!(record.code, 'C' | 'O') && !record_limit_met(view, record)))
        });
        fail_unless(some, || "callable without a record to claim".to_owned())
    })
}

/// Whether the campaign of its latest attempt may not take a record again. A record whose latest
/// attempt was another campaign's business is not looked at: limits differ between campaigns.
fn record_limit_met(view: &View<'_>, record: &RecordRow) -> bool {
    view.control(record.last_campaign.as_ref())
        .is_some_and(|control| met(control.max_per_conversation, record.attempts))
}
