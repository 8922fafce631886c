//! Free capacity (contact-lists §7.1 G9): attempts in progress and waiting, attempts a minute, inbox rates.
//!
//! Only campaigns and inboxes that have a limit pay for it: their claims take turns, because a limit that
//! two callers look at in the same moment would be passed.

use std::collections::HashMap;

use outbound_core::machine::{MINUTE, Micros};

use super::catalog::{self, Campaign};
use super::spi::{self, Arg};

/// What a campaign may still claim at this moment, and why not more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Attempts that may be claimed.
    pub free: i64,
    /// The limit that decides, in words; none: no limit.
    pub because: Option<String>,
    /// When there can be more by itself.
    pub more_at: Option<Micros>,
}

/// Makes other claims of the same paced campaign wait until this transaction has ended.
pub fn take_turn(campaign: &Campaign) {
    let settings = &campaign.settings;
    if settings.max_in_progress.is_some()
        || settings.max_queued.is_some()
        || settings.max_per_minute.is_some()
    {
        spi::run(
            "SELECT pg_catalog.pg_advisory_xact_lock('outbound.pace'::regclass::oid::integer, $1)",
            &[Arg::Int4(key(campaign.id))],
        );
    }
}

/// Advisory locks have two 32-bit keys; campaigns that share one only wait for each other.
#[must_use]
pub const fn key(campaign: i64) -> i32 {
    (campaign & 0x7fff_ffff) as i32
}

/// What the campaign's own limits leave.
pub fn of_campaign(campaign: &Campaign, at: Micros) -> Room {
    let settings = &campaign.settings;
    let mut room = Room {
        free: i64::MAX,
        because: None,
        more_at: None,
    };
    for (limit, code, words) in [
        (settings.max_in_progress, "I", "in progress"),
        (settings.max_queued, "Q", "with the campaign manager"),
    ] {
        if let Some(limit) = limit {
            let present = open_attempts(campaign, code);
            narrow(&mut room, i64::from(limit) - present, None, || {
                format!("{present} of {limit} {words}")
            });
        }
    }
    if let Some(limit) = settings.max_per_minute {
        let (made, oldest) = recent("campaign_id", campaign.id, at);
        narrow(
            &mut room,
            i64::from(limit) - made,
            oldest.map(|oldest| oldest + MINUTE),
            || format!("{made} of {limit} a minute"),
        );
    }
    room
}

/// The rates of all inboxes that have one, by inbox. Makes other claims wait until this transaction has ended;
/// in one order, so that no two wait for each other.
pub fn take_inbox_turns() -> HashMap<i64, i32> {
    let mut rates = Vec::new();
    spi::execute(
        "SELECT i.inbox_id, i.max_per_minute FROM outbound.inbox AS i WHERE i.max_per_minute IS NOT NULL ORDER BY i.inbox_id",
        &[],
        |row| rates.extend(row.int8(0).zip(row.int4(1))),
    );
    for (inbox, _) in &rates {
        spi::run(
            "SELECT pg_catalog.pg_advisory_xact_lock('outbound.inbox'::regclass::oid::integer, $1)",
            &[Arg::Int4(key(*inbox))],
        );
    }
    rates.into_iter().collect()
}

/// What the rate of an inbox leaves at this moment, as far as anybody can see who does not wait.
pub fn of_inbox(inbox: i64, at: Micros) -> Room {
    let limit = spi::one(
        "SELECT i.max_per_minute FROM outbound.inbox AS i WHERE i.inbox_id = $1",
        &[Arg::Int8(inbox)],
        |row| row.int4(0),
    );
    match limit.flatten() {
        Some(limit) => of_rate(inbox, limit, at),
        None => Room {
            free: i64::MAX,
            because: None,
            more_at: None,
        },
    }
}

/// What a rate of an inbox leaves.
pub fn of_rate(inbox: i64, limit: i32, at: Micros) -> Room {
    let mut room = Room {
        free: i64::MAX,
        because: None,
        more_at: None,
    };
    let (made, oldest) = recent("inbox_id", inbox, at);
    narrow(
        &mut room,
        i64::from(limit) - made,
        oldest.map(|oldest| oldest + MINUTE),
        || format!("{made} of {limit} a minute from this inbox"),
    );
    room
}

fn narrow(room: &mut Room, free: i64, more_at: Option<Micros>, because: impl Fn() -> String) {
    if free < room.free {
        *room = Room {
            free: free.max(0),
            because: Some(because()),
            more_at: if free <= 0 { more_at } else { None },
        };
    }
}

fn open_attempts(campaign: &Campaign, code: &str) -> i64 {
    campaign
        .lists
        .iter()
        .filter_map(|entry| catalog::list(entry.list_id))
        .map(|list| {
            spi::one(
                &format!(
                    "SELECT count(*) FROM ONLY {} AS k WHERE k.sys_status = '{code}' AND k.sys_open_campaign_id = $1",
                    list.contacts
                ),
                &[Arg::Int8(campaign.id)],
                |row| row.int8(0),
            )
            .flatten()
            .unwrap_or(0)
        })
        .sum()
}

/// Claims of the last minute, and when the oldest of them was made. Those of a caller who began later and had
/// its turn first count too.
fn recent(column: &str, id: i64, at: Micros) -> (i64, Option<Micros>) {
    spi::one(
        &format!(
            "SELECT coalesce(sum(p.claims), 0)::bigint, min(p.at) FROM outbound.pace AS p \
             WHERE p.{column} = $1 AND p.at > $2"
        ),
        &[Arg::Int8(id), Arg::Time(at - MINUTE)],
        |row| (row.int8(0).unwrap_or(0), row.time(1)),
    )
    .unwrap_or((0, None))
}

/// Notes claims of a campaign or an inbox that has a rate.
pub fn note(column: &str, id: i64, claims: usize, at: Micros) {
    spi::run(
        &format!("INSERT INTO outbound.pace ({column}, at, claims) VALUES ($1, $2, $3)"),
        &[
            Arg::Int8(id),
            Arg::Time(at),
            Arg::Int4(i32::try_from(claims).unwrap_or(i32::MAX)),
        ],
    );
}
