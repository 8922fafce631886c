//! The events as calls of the extension's functions, every moment given explicitly.

use anyhow::Result;
use tokio_postgres::types::ToSql;

use crate::history::Event;
use crate::model::settings::Time;

use super::{Answered, AnsweredRow, ClaimedRow, Run};

/// A number that no attempt has.
const NO_ATTEMPT: i64 = 999_999_999_999;

const ROW: &str = "SELECT outcome, record_status::text, contact_status::text, (extract(epoch FROM scheduled_at) * 1000000)::bigint";

/// The periodic duties that histories are about, each a call of its own.
const DUTIES: [&str; 3] = [
    "SELECT outbound.sweep_leases($1::text::timestamptz)",
    "SELECT outbound.end_waiting($1::text::timestamptz)",
    "SELECT outbound.complete_campaigns($1::text::timestamptz)",
];

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Run<'_> {
    /// Calls what an event stands for.
    pub(super) async fn call(&mut self, at: Time, event: &Event) -> Result<Answered> {
        let moment = self.world.moment(at).to_rfc3339();
        match event {
            Event::Claim {
                campaign,
                n,
                dialer,
            } => self.claim(campaign, *n, dialer, &moment).await,
            Event::Start { attempts, dialer } => {
                let call = format!("{ROW} FROM outbound.start($1, $2, $3::text::timestamptz)");
                self.rows(&call, &[&self.ids(attempts), dialer, &moment])
                    .await
            }
            Event::Settle {
                attempts,
                results,
                ended,
                dialer,
                ..
            } => {
                let results: Vec<&str> = results.iter().map(|result| result.name()).collect();
                let dialogs: Vec<String> = attempts
                    .iter()
                    .map(|name| format!("dialog {name}"))
                    .collect();
                let call = format!(
                    "{ROW} FROM outbound.settle($1, $2, $3, $4, $5, $6::text::timestamptz)"
                );
                self.rows(
                    &call,
                    &[
                        &self.ids(attempts),
                        &results,
                        &dialogs,
                        ended,
                        dialer,
                        &moment,
                    ],
                )
                .await
            }
            Event::Release { attempts, dialer } => {
                let call = format!("{ROW} FROM outbound.release($1, $2, $3::text::timestamptz)");
                self.rows(&call, &[&self.ids(attempts), dialer, &moment])
                    .await
            }
            Event::Extend {
                attempts,
                seconds,
                dialer,
            } => {
                let until = self.world.moment(at + seconds).to_rfc3339();
                let call = format!(
                    "{ROW} FROM outbound.extend($1, $2::text::timestamptz, $3, $4::text::timestamptz)"
                );
                self.rows(&call, &[&self.ids(attempts), &until, dialer, &moment])
                    .await
            }
            Event::Finish { attempt, code } => {
                let call = format!("{ROW} FROM outbound.finish($1, $2, $3::text::timestamptz)");
                self.rows(
                    &call,
                    &[&self.id(attempt).unwrap_or(NO_ATTEMPT), code, &moment],
                )
                .await
            }
            Event::ScheduleCallback { attempt, seconds } => {
                let when = self.world.moment(at + seconds).to_rfc3339();
                let call = format!(
                    "{ROW} FROM outbound.schedule_callback($1, $2::text::timestamptz, $3::text::timestamptz)"
                );
                self.rows(
                    &call,
                    &[&self.id(attempt).unwrap_or(NO_ATTEMPT), &when, &moment],
                )
                .await
            }
            Event::MoveCallback {
                list,
                contact,
                unit,
                seconds,
            } => {
                let when = self.world.moment(at + seconds).to_rfc3339();
                let call = "SELECT outbound.move_callback($1, $2, $3::text::timestamptz, $4, $5::text::timestamptz)";
                self.run(
                    call,
                    &[
                        &self.name(list),
                        contact,
                        &when,
                        &self.record(list, contact, unit.as_deref()),
                        &moment,
                    ],
                )
                .await
            }
            Event::CancelCallback {
                list,
                contact,
                unit,
            } => {
                let call = "SELECT outbound.cancel_callback($1, $2, $3, $4::text::timestamptz)";
                self.run(
                    call,
                    &[
                        &self.name(list),
                        contact,
                        &self.record(list, contact, unit.as_deref()),
                        &moment,
                    ],
                )
                .await
            }
            Event::Exclude {
                list,
                contact,
                unit,
            } => {
                let record = self.record(list, contact, unit.as_deref());
                self.run(
                    "SELECT outbound.exclude($1, $2, $3, $4::text::timestamptz)",
                    &[&self.name(list), contact, &record, &moment],
                )
                .await
            }
            Event::Reset {
                list,
                contact,
                unit,
                zero,
            } => {
                let record = contact
                    .as_ref()
                    .and_then(|contact| self.record(list, contact, unit.as_deref()));
                self.run(
                    "SELECT outbound.reset($1, $2, $3, $4, $5::text::timestamptz)",
                    &[&self.name(list), contact, &record, zero, &moment],
                )
                .await
            }
            Event::Reevaluate { list, contact } => {
                self.run(
                    "SELECT outbound.reevaluate($1, $2, $3::text::timestamptz)",
                    &[&self.name(list), contact, &moment],
                )
                .await
            }
            Event::Maintain => {
                for duty in DUTIES {
                    let answered = self.run(duty, &[&moment]).await?;
                    if answered.error.is_some() {
                        return Ok(answered);
                    }
                }
                Ok(Answered::default())
            }
            _ => self.set(event, &moment).await,
        }
    }

    async fn claim(&self, campaign: &str, n: i32, dialer: &str, moment: &str) -> Result<Answered> {
        let call = "SELECT c.attempt_id, c.list, c.contact_id, c.unit, c.conversation_type::text, c.inbox, c.origin,
                           (extract(epoch FROM c.lease_until) * 1000000)::bigint, (c.fields ->> 'balance')::bigint
                    FROM outbound.claim($1, $2, $3, $4::text::timestamptz) AS c";
        let rows = match self
            .client
            .query(call, &[&self.name(campaign), &n, &dialer, &moment])
            .await
        {
            Ok(rows) => rows,
            Err(error) => return failed(error),
        };
        let mut answered = Answered::default();
        for row in rows {
            let list: String = row.try_get(1)?;
            let shown = format!(
                "{} {} {} {} {} {} until {} balance {:?}",
                list.strip_prefix(&self.name("")).unwrap_or(&list),
                row.try_get::<_, &str>(2)?,
                self.unit_of(row.try_get(3)?),
                row.try_get::<_, &str>(4)?,
                row.try_get::<_, &str>(5)?,
                row.try_get::<_, &str>(6)?,
                self.seconds(row.try_get(7)?)?.unwrap_or(-1),
                row.try_get::<_, Option<i64>>(8)?,
            );
            answered.claimed.push(ClaimedRow {
                id: row.try_get(0)?,
                shown,
            });
        }
        Ok(answered)
    }

    async fn rows(&self, call: &str, parameters: Parameters<'_>) -> Result<Answered> {
        let rows = match self.client.query(call, parameters).await {
            Ok(rows) => rows,
            Err(error) => return failed(error),
        };
        let mut answered = Answered::default();
        for row in rows {
            answered.rows.push(AnsweredRow {
                outcome: row.try_get(0)?,
                record_code: row.try_get(1)?,
                contact_code: row.try_get(2)?,
                scheduled_at: self.seconds(row.try_get(3)?)?,
            });
        }
        Ok(answered)
    }

    pub(super) async fn run(&self, call: &str, parameters: Parameters<'_>) -> Result<Answered> {
        match self.client.execute(call, parameters).await {
            Ok(_) => Ok(Answered::default()),
            Err(error) => failed(error),
        }
    }

    /// Numbers of attempts; each that never was gets a number of its own that no attempt has.
    fn ids(&self, names: &[String]) -> Vec<i64> {
        let place = |name: &String| names.iter().position(|other| other == name).unwrap_or(0);
        let number = |name: &String| NO_ATTEMPT + i64::try_from(place(name)).unwrap_or(0);
        names
            .iter()
            .map(|name| self.id(name).unwrap_or_else(|| number(name)))
            .collect()
    }

    fn id(&self, name: &str) -> Option<i64> {
        self.world
            .find(name)
            .and_then(|place| self.attempt_ids.get(place))
            .copied()
    }

    fn record(&self, list: &str, contact: &str, unit: Option<&str>) -> Option<i64> {
        self.record_ids
            .get(&(list.to_owned(), contact.to_owned(), unit?.to_owned()))
            .copied()
    }

    /// The name that the history has for a unit, by its text.
    pub(super) fn unit_of(&self, text: &str) -> String {
        let number = |text: &str| text.parse::<u64>().ok();
        let base = 1_000_000 + (self.run % 300) * 20_000;
        let phone = text
            .strip_prefix("+38044")
            .and_then(number)
            .and_then(|number| number.checked_sub(base));
        let conversation = text
            .strip_prefix(&format!("conversation-{}-", self.run))
            .and_then(number);
        let account = text
            .strip_prefix(&format!("account-{}-", self.run))
            .and_then(number);
        let address = text
            .strip_prefix("unit")
            .and_then(|rest| rest.split_once(".run"))
            .and_then(|(unit, _)| number(unit));
        let named = |letter: char| move |number: u64| format!("{letter}{number}");
        phone
            .map(named('p'))
            .or_else(|| conversation.map(named('v')))
            .or_else(|| account.map(named('m')))
            .or_else(|| address.map(named('e')))
            .unwrap_or_else(|| format!("x{text}"))
    }
}

/// An answer that is an error of the database; every other error ends the run.
fn failed(error: tokio_postgres::Error) -> Result<Answered> {
    match error.as_db_error() {
        Some(refused) => {
            let text = format!(
                "{} {}{}{}",
                refused.code().code(),
                refused.message(),
                refused
                    .detail()
                    .map(|detail| format!(" / {detail}"))
                    .unwrap_or_default(),
                refused
                    .where_()
                    .map(|place| format!("\n{place}"))
                    .unwrap_or_default()
            );
            Ok(Answered {
                error: Some(text),
                ..Answered::default()
            })
        }
        None => Err(error.into()),
    }
}
