//! What has to happen by itself, list by list and campaign by campaign: leases that are over, contacts that wait
//! for too long, claims of a campaign that was stopped, whether a campaign is done (contact-lists §8.3, §8.5, §9,
//! §10.3). The duties that call it for all of them are in `sql/40_maintenance.sql`.

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

/// Settles attempts of a list whose lease is over: those that had not started are given back, the others end
/// with the result `unknown`. Returns how many.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _sweep_list(list_id: i64, at: TimestampWithTimeZone) -> i64 {
    on_list(
        list_id,
        at,
        "WHERE k.sys_status = 'I' AND k.sys_open_until <= $1 ORDER BY k.sys_id LIMIT $2",
        |work, place| work.end_lease(place),
    )
}

/// Ends the waiting of contacts of a list that were reached and never finished, as their campaigns say.
/// Returns how many.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _end_waiting_of(list_id: i64, at: TimestampWithTimeZone) -> i64 {
    on_list(
        list_id,
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

fn on_list(
    list_id: i64,
    at: TimestampWithTimeZone,
    clauses: &str,
    event: fn(&mut Work<'_>, usize),
) -> i64 {
    let at = spi::moment(at);
    spi::connected(|| {
        catalog::refresh();
        let list = i32::try_from(list_id).ok().and_then(catalog::list);
        list.map_or(0, |list| settle_all(&list, clauses, None, at, event))
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

/// Whether a campaign has something left to do (contact-lists §10.3).
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _campaign_has_work(campaign_id: i64, at: TimestampWithTimeZone) -> bool {
    let at = spi::moment(at);
    spi::connected(|| {
        catalog::refresh();
        catalog::campaign(campaign_id).is_some_and(|campaign| has_work(&campaign, at))
    })
}

/// Whether a contact is under way, or could be claimed at some time. All is looked at as of one moment: a
/// contact that goes from one state to the other meanwhile is found in one of them.
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

/// A contact that is under way by another type, and callable by this one, may be claimed when that has ended.
fn is_under_way(campaign: &Campaign, entry: &CampaignList, list: &List, at: Micros) -> bool {
    let (kind, filter) = (campaign.kind, filter_of(entry));
    ["I", "Q"].iter().any(|code| {
        let mut found = false;
        spi::look(
            &format!(
                "SELECT 1 FROM ONLY {} AS k WHERE k.sys_status = '{code}' AND k.sys_status_{kind} IN ('{code}', 'C') \
                 AND $1 IS NOT NULL{filter} LIMIT 1",
                list.contacts
            ),
            &[Arg::Time(at)],
            |_| found = true,
        );
        found
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
