//! What is known of the units of contacts beyond their records: which of them a do-not-contact list of the
//! campaign blocks (contact-lists §7.1 G8), and which conversations are gone (§7.2 R13).

use std::collections::{HashMap, HashSet};

use outbound_core::machine::{Category, Micros, Record};

use super::catalog::Campaign;
use super::spi::{self, Arg};
use super::store::{self, Held};

/// What is known of the units of held contacts beyond their records: which are on a do-not-contact list,
/// which conversations are gone.
pub struct UnitChecks {
    blocked: HashSet<i64>,
    missing: HashSet<i64>,
}

impl UnitChecks {
    /// Looks up the units of one conversation type that could be claimed.
    pub fn of(campaign: &Campaign, held: &[Held], at: Micros) -> Self {
        let candidates: Vec<(&Record, &store::Unit)> = held
            .iter()
            .flat_map(|contact| {
                contact.now.records.iter().filter_map(move |record| {
                    let wanted = record.kind == Some(campaign.kind)
                        && record.code.is_claimable()
                        && record.scheduled_at.is_none_or(|moment| moment <= at);
                    let unit = wanted.then(|| contact.unit(record.id))??;
                    Some((record, unit))
                })
            })
            .collect();
        Self {
            blocked: blocked_units(campaign, &candidates),
            missing: missing_conversations(&candidates),
        }
    }

    /// Why a record can never be used, if so.
    pub fn shuts_out(&self, record: i64) -> Option<Category> {
        if self.is_missing(record) {
            Some(Category::NotFound)
        } else if self.is_blocked(record) {
            Some(Category::Suppressed)
        } else {
            None
        }
    }

    /// Whether a record's unit is on a do-not-contact list.
    pub fn is_blocked(&self, record: i64) -> bool {
        self.blocked.contains(&record)
    }

    /// Whether a record's conversation is gone.
    pub fn is_missing(&self, record: i64) -> bool {
        self.missing.contains(&record)
    }
}

/// The do-not-contact lists that apply to a campaign.
fn do_not_contact_lists(campaign: &Campaign) -> Arg<'static> {
    Arg::Int4s(campaign.suppression.iter().copied().map(Some).collect())
}

fn blocked_units(campaign: &Campaign, candidates: &[(&Record, &store::Unit)]) -> HashSet<i64> {
    let mut blocked = HashSet::new();
    if campaign.suppression.is_empty() || candidates.is_empty() {
        return blocked;
    }
    spi::execute(
        "SELECT s.position FROM outbound._suppressed_units($1, $2::outbound.unit_type[], $3) AS s",
        &[
            do_not_contact_lists(campaign),
            Arg::Texts(
                candidates
                    .iter()
                    .map(|(_, unit)| Some(unit.unit_type.as_str()))
                    .collect(),
            ),
            Arg::Texts(
                candidates
                    .iter()
                    .map(|(_, unit)| Some(unit.value.as_str()))
                    .collect(),
            ),
        ],
        |row| {
            let place = row
                .int4(0)
                .and_then(|position| usize::try_from(position - 1).ok());
            if let Some((record, _)) = place.and_then(|place| candidates.get(place)) {
                blocked.insert(record.id);
            }
        },
    );
    blocked
}

/// Name of a do-not-contact list of the campaign that blocks a unit.
pub fn blocking_list(campaign: &Campaign, unit: &store::Unit) -> Option<String> {
    spi::one(
        "SELECT l.name FROM outbound.suppression_list AS l WHERE l.suppression_list_id = ANY ($1) \
         AND EXISTS (SELECT 1 FROM outbound._suppressed_units(ARRAY[l.suppression_list_id], ARRAY[$2::outbound.unit_type], ARRAY[$3])) \
         ORDER BY l.suppression_list_id LIMIT 1",
        &[
            do_not_contact_lists(campaign),
            Arg::Text(unit.unit_type.as_str()),
            Arg::Text(&unit.value),
        ],
        |row| row.text(0),
    )
    .flatten()
}

fn missing_conversations(candidates: &[(&Record, &store::Unit)]) -> HashSet<i64> {
    let conversations: Vec<_> = candidates
        .iter()
        .filter(|(record, _)| record.is_conversation)
        .collect();
    if conversations.is_empty() {
        return HashSet::new();
    }
    let known = statuses(conversations.iter().map(|(_, unit)| unit.value.as_str()));
    conversations
        .into_iter()
        .filter(|(_, unit)| !known.contains_key(&unit.value))
        .map(|(record, _)| record.id)
        .collect()
}

/// Status of each conversation that exists.
pub fn statuses<'a>(conversations: impl Iterator<Item = &'a str>) -> HashMap<String, String> {
    let mut known = HashMap::new();
    let relation = spi::one("SELECT outbound._conversation_relation()", &[], |row| {
        row.text(0)
    })
    .flatten()
    .unwrap_or_default();
    spi::execute(
        &format!(
            "SELECT c.conversation_id::text, c.status::text FROM {relation} AS c WHERE c.conversation_id = ANY ($1)"
        ),
        &[Arg::Texts(conversations.map(Some).collect())],
        |row| {
            if let (Some(id), Some(status)) = (row.text(0), row.text(1)) {
                known.insert(id, status);
            }
        },
    );
    known
}
