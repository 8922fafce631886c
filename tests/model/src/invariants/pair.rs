//! Invariants about what an event may change.

use crate::history::Event;
use crate::model::apply::Answer;
use crate::model::codes::record_limit_met;
use crate::model::settings::Scope;
use crate::model::{Attempt, Stage, World};
use crate::snapshot::{ContactRow, RecordRow};

use super::Pair;

/// A check: why it does not hold, or nothing.
pub type Check = fn(&Pair<'_>) -> Option<String>;

/// The checks by name.
pub const CHECKS: [(&str, Check); 13] = [
    ("P7", p7),
    ("P8", p8),
    ("P9", p9),
    ("P10", p10),
    ("P11", p11),
    ("P12", p12),
    ("P13", p13),
    ("P17", p17),
    ("P21", p21),
    ("P24", p24),
    ("P26", p26),
    ("P28", p28),
    ("P29", p29),
];

/// Pairs of a contact's rows that were there before and after.
fn contacts<'a>(
    pair: &'a Pair<'a>,
) -> impl Iterator<Item = (&'a str, &'a str, &'a ContactRow, &'a ContactRow)> {
    pair.before.rows.lists.iter().flat_map(move |(list, rows)| {
        rows.contacts.iter().filter_map(move |(id, before)| {
            let after = pair.after.rows.lists.get(list)?.contacts.get(id)?;
            Some((list.as_str(), id.as_str(), before, after))
        })
    })
}

/// Pairs of a record's rows that were there before and after.
fn records<'a>(
    pair: &'a Pair<'a>,
) -> impl Iterator<Item = (&'a str, &'a (String, u64), &'a RecordRow, &'a RecordRow)> {
    pair.before.rows.lists.iter().flat_map(move |(list, rows)| {
        rows.records.iter().filter_map(move |(key, before)| {
            let after = pair.after.rows.lists.get(list)?.records.get(key)?;
            Some((list.as_str(), key, before, after))
        })
    })
}

/// The attempts that the event claimed, as they were made, and the world before.
fn claims<'a>(pair: &'a Pair<'a>) -> impl Iterator<Item = (&'a World, &'a Attempt)> {
    let places = match pair.answer {
        Answer::Claimed(places) => places.as_slice(),
        _ => &[],
    };
    places
        .iter()
        .filter_map(|place| Some((pair.before.world, pair.after.world.attempts.get(*place)?)))
}

fn p7(pair: &Pair<'_>) -> Option<String> {
    if matches!(pair.event, Event::Reset { zero: true, .. }) {
        return None;
    }
    let contact = contacts(pair).find(|(_, _, before, after)| {
        before
            .type_attempts
            .iter()
            .zip(after.type_attempts)
            .any(|(before, after)| *before > after)
    });
    let record = records(pair).find(|(_, _, before, after)| {
        before.attempts > after.attempts
            || before
                .by_category
                .iter()
                .zip(after.by_category)
                .any(|(before, after)| *before > after)
    });
    contact
        .map(|(list, id, ..)| format!("list {list} contact {id} lost attempts"))
        .or_else(|| {
            record.map(|(list, key, ..)| format!("list {list} record {key:?} lost attempts"))
        })
}

fn p8(pair: &Pair<'_>) -> Option<String> {
    claims(pair).find_map(|(world, attempt)| {
        let campaign = world.campaigns.get(&attempt.campaign)?;
        let contact = world.contact(&attempt.list, &attempt.contact)?;
        let control = world.control_of(&attempt.campaign);
        let over = World::contact_limits_met(&control, contact, campaign.kind)
            || record_limit_met(&control, contact.record(attempt.record)?);
        (!attempt.callback && over)
            .then(|| format!("{} was claimed beyond a limit", attempt.contact))
    })
}

fn p9(pair: &Pair<'_>) -> Option<String> {
    claims(pair).find_map(|(_, attempt)| {
        let rows = pair.before.rows.lists.get(&attempt.list)?;
        let code = rows
            .records
            .get(&(attempt.contact.clone(), attempt.record))?
            .code;
        (!matches!(code, 'C' | 'O' | 'S'))
            .then(|| format!("{} was claimed in {code}", attempt.contact))
    })
}

fn p10(pair: &Pair<'_>) -> Option<String> {
    claims(pair).find_map(|(_, attempt)| {
        let rows = pair.before.rows.lists.get(&attempt.list)?;
        let scheduled = rows
            .records
            .get(&(attempt.contact.clone(), attempt.record))?
            .scheduled_at;
        scheduled.filter(|moment| *moment > pair.at).map(|moment| {
            format!(
                "{} was claimed at {} and not at {moment}",
                attempt.contact, pair.at
            )
        })
    })
}

fn p11(pair: &Pair<'_>) -> Option<String> {
    claims(pair).find_map(|(world, attempt)| {
        let control = world.control_of(&attempt.campaign);
        let same = |other: &&Attempt| {
            other.counted
                && other.list == attempt.list
                && other.contact == attempt.contact
                && (control.minimum_scope == Scope::Contact || other.record == attempt.record)
        };
        let latest = world
            .attempts
            .iter()
            .filter(same)
            .filter_map(|other| other.started_at)
            .max()?;
        let early = !attempt.callback && pair.at < latest + control.minimum();
        early.then(|| {
            format!(
                "{} was claimed {} s after its latest attempt",
                attempt.contact,
                pair.at - latest
            )
        })
    })
}

fn p12(pair: &Pair<'_>) -> Option<String> {
    claims(pair).find_map(|(world, attempt)| {
        let campaign = world.campaigns.get(&attempt.campaign)?;
        let record = world
            .contact(&attempt.list, &attempt.contact)?
            .record(attempt.record)?;
        let allowed = world.is_open(campaign, pair.at)
            && record.kind == Some(campaign.kind)
            && !world.is_suppressed(campaign, &record.unit);
        (!allowed).then(|| {
            format!(
                "{} must not be attempted now by {}",
                record.unit, attempt.campaign
            )
        })
    })
}

/// Entering U: the close rule holds, by the stored codes of the types.
fn p13(pair: &Pair<'_>) -> Option<String> {
    let closed =
        contacts(pair).filter(|(_, _, before, after)| before.code != 'U' && after.code == 'U');
    closed.into_iter().find_map(|(list, id, _, after)| {
        let all = pair.after.world.lists.get(list)?.close_if_all;
        let rows = pair.after.rows.lists.get(list)?;
        let holds = if all {
            rows.records_of(id).all(|(_, record)| {
                record
                    .kind
                    .is_none_or(|kind| after.type_codes[kind.index()] == 'U')
            })
        } else {
            after.type_codes.contains(&'U')
        };
        (!holds).then(|| {
            format!(
                "list {list} contact {id} is closed too early: {:?}",
                after.type_codes
            )
        })
    })
}

fn p17(pair: &Pair<'_>) -> Option<String> {
    if matches!(
        pair.event,
        Event::Reset { .. } | Event::Reevaluate { .. } | Event::Contacts { .. }
    ) {
        return None;
    }
    records(pair)
        .find(|(_, _, before, after)| {
            matches!(before.code, 'A' | 'U' | 'P') && before.code != after.code
        })
        .map(|(list, key, before, after)| {
            format!(
                "list {list} record {key:?}: {} became {}",
                before.code, after.code
            )
        })
}

/// Identifiers are keys of the snapshot; none may be empty, and known contacts keep their data.
fn p21(pair: &Pair<'_>) -> Option<String> {
    let empty = pair
        .after
        .rows
        .lists
        .values()
        .any(|rows| rows.contacts.keys().any(String::is_empty));
    let kept = contacts(pair).find(|(_, _, before, after)| {
        (before.balance, &before.cells) != (after.balance, &after.cells)
            && !matches!(pair.event, Event::Contacts { update: true, .. })
    });
    empty.then(|| "an empty identifier".to_owned()).or_else(|| {
        kept.map(|(list, id, ..)| format!("list {list} contact {id}: its data changed"))
    })
}

fn p24(pair: &Pair<'_>) -> Option<String> {
    claims(pair).find_map(|(world, attempt)| {
        let open = |other: &&Attempt| {
            other.list == attempt.list
                && other.contact == attempt.contact
                && (other.in_progress() || other.stage == Stage::Queued)
        };
        world
            .attempts
            .iter()
            .find(open)
            .map(|other| format!("{} is with {} already", attempt.contact, other.campaign))
    })
}

fn p26(pair: &Pair<'_>) -> Option<String> {
    let mut campaigns = pair
        .after
        .world
        .campaigns
        .iter()
        .filter_map(|(name, campaign)| {
            Some((name, campaign, pair.after.rows.campaigns.get(name)?))
        });
    campaigns.find_map(|(name, campaign, row)| {
        let idle = row.counters[1] + row.counters[2] + row.counters[3] == 0;
        let overdue = matches!(pair.event, Event::Maintain)
            && idle
            && row.state == "active"
            && !campaign.settings.always_active;
        let by_itself =
            campaign.settings.always_active && row.off_reason.as_deref() == Some("auto");
        (overdue || by_itself).then(|| {
            format!(
                "campaign {name}: {}, {:?}, counters {:?}",
                row.state, row.off_reason, row.counters
            )
        })
    })
}

fn p28(pair: &Pair<'_>) -> Option<String> {
    let refused = match pair.answer {
        Answer::Refused => true,
        Answer::Rows(rows) => !rows.iter().any(|row| row.changed),
        _ => matches!(pair.event, Event::Torn { .. }),
    };
    if refused {
        let moved = pair.stamps_before != pair.stamps_after
            || pair.before.rows.lists != pair.after.rows.lists;
        return moved.then(|| "a refused event changed rows".to_owned());
    }
    // What people do not see of a contact may change with its records, and with a start or a
    // longer lease.
    let hidden = matches!(
        pair.event,
        Event::Start { .. } | Event::Extend { .. } | Event::Reset { .. } | Event::StopStart { .. }
    );
    let changed = |list: &str, key: &str, differs: bool, may_move: bool| {
        let name = (list.to_owned(), key.to_owned());
        let (before, after) = (
            pair.stamps_before.get(&name)?,
            pair.stamps_after.get(&name)?,
        );
        if differs && before.1 == after.1 {
            Some(format!("list {list} {key} changed, sys_updated_at did not"))
        } else if !differs && !may_move && before.1 != after.1 {
            Some(format!(
                "list {list} {key}: sys_updated_at moved without a change"
            ))
        } else if after.1 < after.0 {
            Some(format!("list {list} {key} was changed before it was made"))
        } else {
            None
        }
    };
    contacts(pair)
        .find_map(|(list, id, before, after)| {
            let with_records = hidden
                || pair
                    .before
                    .rows
                    .lists
                    .get(list)
                    .zip(pair.after.rows.lists.get(list))
                    .is_some_and(|(before, after)| !before.records_of(id).eq(after.records_of(id)));
            changed(
                list,
                &format!("contact {id}"),
                before != after,
                with_records,
            )
        })
        .or_else(|| {
            records(pair).find_map(|(list, (_, id), before, after)| {
                changed(list, &format!("record {id}"), before != after, false)
            })
        })
}

fn p29(pair: &Pair<'_>) -> Option<String> {
    let Event::StopStart { name } = pair.event else {
        return None;
    };
    records(pair).find_map(|(list, (contact, id), before, after)| {
        let mine = |attempt: &&Attempt| {
            attempt.campaign == *name
                && attempt.stage == Stage::Claimed
                && attempt.list == list
                && attempt.contact == *contact
                && attempt.record == *id
        };
        let holds = match pair.before.world.attempts.iter().find(mine) {
            Some(attempt) => {
                attempt.before == (after.code, after.scheduled_at)
                    && before.attempts == after.attempts
            }
            None => before == after,
        };
        (!holds).then(|| format!("list {list} record {id}: {before:?} became {after:?}"))
    })
}
