//! What has to happen by itself: leases that are over, contacts that wait for too long, claims of a campaign
//! that was stopped, campaigns that are done (contact-lists §8.3, §8.5, §9, §10.3).

use outbound_core::machine::Micros;
use outbound_core::machine::gate::{Claimant, choose};
use pgrx::prelude::*;

use super::catalog::{self, Campaign, CampaignList, List};
use super::spi::{self, Arg};
use super::store::{self, Held, Which};
use super::unit_checks::UnitChecks;
use super::work::Work;

/// Contacts looked at in one statement.
const PORTION: i64 = 5_000;

/// A moment later than any that is planned: how completion ignores the time.
const END_OF_TIME: Micros = i64::MAX - 1;

/// Settles attempts whose lease is over: those that had not started are given back, the others end with
/// the result `unknown`. Returns how many.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn sweep_leases(at: default!(TimestampWithTimeZone, "pg_catalog.now()")) -> i64 {
    let at = spi::moment(at);
    on_every_list(
        at,
        "WHERE k.sys_status = 'I' AND k.sys_open_until <= $1 ORDER BY k.sys_id LIMIT $2",
        |work, place| work.end_lease(place),
    )
}

/// Ends the waiting of contacts that were reached and never finished, as their campaigns say. Returns how
/// many.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn end_waiting(at: default!(TimestampWithTimeZone, "pg_catalog.now()")) -> i64 {
    let at = spi::moment(at);
    on_every_list(
        at,
        "WHERE k.sys_status = 'Q' AND k.sys_open_until <= $1 ORDER BY k.sys_id LIMIT $2",
        |work, place| work.end_waiting(place),
    )
}

/// Gives back what a stopped campaign has claimed and not started (contact-lists §8.3).
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _release_campaign(campaign_id: i64, at: TimestampWithTimeZone) -> i64 {
    let at = spi::moment(at);
    spi::connected(|| {
        catalog::refresh();
        let Some(campaign) = catalog::campaign(campaign_id) else {
            return 0;
        };
        // By number, as every call goes through lists, so that no two wait for each other.
        let mut lists: Vec<i32> = campaign.lists.iter().map(|entry| entry.list_id).collect();
        lists.sort_unstable();
        lists
            .into_iter()
            .filter_map(catalog::list)
            .map(|list| {
                settle_all(
                    &list,
                    "WHERE k.sys_status = 'I' AND k.sys_open_campaign_id = $3 AND k.sys_open_started_at IS NULL AND $1 IS NOT NULL \
                     ORDER BY k.sys_id LIMIT $2",
                    Some(campaign_id),
                    at,
                    |work, place| work.end_lease(place),
                )
            })
            .sum()
    })
}

fn on_every_list(at: Micros, clauses: &str, event: fn(&mut Work<'_>, usize)) -> i64 {
    spi::connected(|| {
        catalog::refresh();
        let mut lists = Vec::new();
        spi::execute(
            "SELECT l.list_id FROM outbound.list AS l ORDER BY l.list_id",
            &[],
            |row| lists.extend(row.int4(0)),
        );
        lists
            .into_iter()
            .filter_map(catalog::list)
            .map(|list| settle_all(&list, clauses, None, at, event))
            .sum()
    })
}

fn settle_all(
    list: &List,
    clauses: &str,
    campaign: Option<i64>,
    at: Micros,
    event: fn(&mut Work<'_>, usize),
) -> i64 {
    let mut settled = 0;
    loop {
        let mut args = vec![Arg::Time(at), Arg::Int8(PORTION)];
        args.extend(campaign.map(Arg::Int8));
        let held = store::hold(
            list,
            &Which {
                clauses,
                args: &args,
                // Whoever holds a contact is settling it at this moment.
                skip_locked: campaign.is_none(),
                fields: false,
            },
        );
        if held.is_empty() {
            return settled;
        }
        let mut work = Work::on(list, held, at);
        for place in 0..work.held.len() {
            event(&mut work, place);
        }
        let changed = work
            .held
            .iter()
            .filter(|contact| contact.before != contact.now)
            .count();
        work.write();
        settled += i64::try_from(changed).unwrap_or(0);
        if changed == 0 {
            return settled;
        }
    }
}

/// Switches campaigns off that have nothing left to do (contact-lists §10.3). Returns how many.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn complete_campaigns(at: default!(TimestampWithTimeZone, "pg_catalog.now()")) -> i64 {
    let at = spi::moment(at);
    spi::connected(|| {
        catalog::refresh();
        let mut active = Vec::new();
        spi::execute(
            "SELECT c.campaign_id FROM outbound.campaign AS c WHERE c.state = 'active' \
             AND NOT (c.settings ->> 'always_active')::boolean \
             AND NOT EXISTS (SELECT 1 FROM outbound.campaign_list AS m JOIN outbound.load AS l USING (list_id) \
                             WHERE m.campaign_id = c.campaign_id)",
            &[],
            |row| active.extend(row.int8(0)),
        );
        let done = active
            .into_iter()
            .filter_map(catalog::campaign)
            .filter(|campaign| !has_work(campaign, at));
        let mut completed = 0;
        for campaign in done {
            spi::run(
                "SELECT outbound._lock_campaign($1)",
                &[Arg::Int8(campaign.id)],
            );
            completed += spi::run(
                "UPDATE outbound.campaign AS c SET state = 'off', off_reason = 'auto', stopped_at = $2 \
                 WHERE c.campaign_id = $1 AND c.state = 'active'",
                &[Arg::Int8(campaign.id), Arg::Time(at)],
            );
            spi::run(
                "SELECT outbound._campaign_stopped($1, $2)",
                &[Arg::Int8(campaign.id), Arg::Time(at)],
            );
        }
        i64::try_from(completed).unwrap_or(0)
    })
}

/// Whether a contact is under way, or could be claimed at some time.
fn has_work(campaign: &Campaign, at: Micros) -> bool {
    campaign.lists.iter().any(|entry| {
        catalog::list(entry.list_id).is_some_and(|list| {
            is_under_way(campaign, entry, &list, at) || is_claimable(campaign, entry, &list, at)
        })
    })
}

fn filter_of(entry: &CampaignList) -> String {
    entry.filter.as_ref().map_or_else(String::new, |filter| {
        format!(" AND ({})", filter.replace("$now", "$1"))
    })
}

fn is_under_way(campaign: &Campaign, entry: &CampaignList, list: &List, at: Micros) -> bool {
    let (kind, filter) = (campaign.kind, filter_of(entry));
    ["I", "Q"].iter().any(|code| {
        spi::one(
            &format!(
                "SELECT EXISTS (SELECT 1 FROM ONLY {} AS k WHERE k.sys_status = '{code}' AND k.sys_status_{kind} = '{code}' \
                 AND $1 IS NOT NULL{filter})",
                list.contacts
            ),
            &[Arg::Time(at)],
            |row| row.boolean(0),
        )
        .flatten()
        .unwrap_or(false)
    })
}

fn is_claimable(campaign: &Campaign, entry: &CampaignList, list: &List, at: Micros) -> bool {
    let (kind, filter) = (campaign.kind, filter_of(entry));
    let callable = format!(
        "WHERE k.sys_status = 'C' AND k.sys_status_{kind} = 'C' AND $1 IS NOT NULL{filter}"
    );
    // Most of the time any few answer it; where none of them can be claimed, all are looked at.
    let (any, in_order) = (
        format!("{callable} LIMIT $2"),
        format!("{callable} AND k.sys_id > $3 ORDER BY k.sys_id LIMIT $2"),
    );
    let mut after: Option<String> = None;
    loop {
        let mut args = vec![
            Arg::Time(at),
            Arg::Int8(if after.is_none() { 10 } else { PORTION }),
        ];
        args.extend(after.as_deref().map(Arg::Text));
        let found = store::look(
            list,
            &Which {
                clauses: if after.is_none() { &any } else { &in_order },
                args: &args,
                skip_locked: false,
                fields: false,
            },
        );
        let Some(last) = found.last() else {
            return false;
        };
        if could_be_claimed(campaign, &found) {
            return true;
        }
        after = Some(if after.is_none() {
            String::new()
        } else {
            last.now.id.clone()
        });
    }
}

/// Whether the campaign could claim one of these contacts at some time.
fn could_be_claimed(campaign: &Campaign, found: &[Held]) -> bool {
    let checks = UnitChecks::of(campaign, found, END_OF_TIME);
    let claimant = Claimant {
        kind: campaign.kind,
        limits: &campaign.policy.limits,
    };
    found.iter().any(|contact| {
        choose(&contact.now, claimant, END_OF_TIME, |record| {
            checks.is_blocked(record.id)
        })
        .is_some()
    })
}
