//! The events as calls of the extension's functions, every moment given explicitly.

use anyhow::Result;
use serde_json::{Map, Value, json};
use tokio_postgres::types::ToSql;

use crate::history::generate::unit_text;
use crate::history::{Column, Event, Upload};
use crate::model::settings::{Kind, Time, UnitType};

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

    async fn set(&mut self, event: &Event, moment: &str) -> Result<Answered> {
        match event {
            Event::Calendar { name, calendar } => {
                let (hours, exceptions) = (json!(calendar.hours), json!(calendar.exceptions));
                self.run(
                    "SELECT outbound.create_calendar($1, $2, $3, $4)",
                    &[&self.name(name), &calendar.time_zone, &hours, &exceptions],
                )
                .await
            }
            Event::Control { name, control } => {
                self.run(
                    "SELECT outbound.create_attempt_control($1, $2)",
                    &[&self.name(name), &control.document()],
                )
                .await
            }
            Event::AlterControl { name, control } => {
                self.run(
                    "SELECT outbound.alter_attempt_control($1, $2)",
                    &[&self.name(name), &control.document()],
                )
                .await
            }
            Event::WrapUp {
                code,
                contact_uncallable,
                number_uncallable,
            } => {
                self.run(
                    "SELECT outbound.set_wrap_up_code($1, $2, $3)",
                    &[code, contact_uncallable, number_uncallable],
                )
                .await
            }
            Event::Suppression {
                name,
                applies_to_all,
            } => {
                self.run(
                    "SELECT outbound.create_suppression_list($1, $2)",
                    &[&self.name(name), applies_to_all],
                )
                .await
            }
            Event::Suppress { name, units } => {
                self.run(
                    "SELECT outbound.suppress($1, $2)",
                    &[&self.name(name), &self.units(units)],
                )
                .await
            }
            Event::Unsuppress { name, units } => {
                self.run(
                    "SELECT outbound.unsuppress($1, $2)",
                    &[&self.name(name), &self.units(units)],
                )
                .await
            }
            Event::Conversation { id, kind, status } => {
                let statement = "INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, status)
                    SELECT $1, $1, i.inbox_id, $3 FROM outbound.inbox AS i WHERE i.name = $2
                    ON CONFLICT (conversation_id) DO UPDATE SET status = EXCLUDED.status, inbox_id = EXCLUDED.inbox_id";
                self.run(
                    statement,
                    &[&unit_text(id, self.run), &kind.inbox(), status],
                )
                .await
            }
            Event::DropConversation { id } => {
                self.run(
                    "DELETE FROM outbound.conversation WHERE conversation_id = $1",
                    &[&unit_text(id, self.run)],
                )
                .await
            }
            Event::List {
                name,
                close_if_all,
                columns,
            } => {
                let columns = columns_document(columns);
                self.run(
                    "SELECT outbound.create_list($1, $2, 'id', NULL, $3)",
                    &[&self.name(name), &columns, close_if_all],
                )
                .await
            }
            Event::Contacts {
                list,
                contacts,
                update,
                ..
            } => {
                let contacts = json!(
                    contacts
                        .iter()
                        .map(|upload| self.upload(upload))
                        .collect::<Vec<_>>()
                );
                let append_type = if *update {
                    "append_and_update"
                } else {
                    "append_only"
                };
                self.run(
                    "SELECT outbound.add_contacts($1, $2, $3)",
                    &[&self.name(list), &contacts, &append_type],
                )
                .await
            }
            Event::Campaign {
                name,
                lists,
                kind,
                settings,
            } => {
                let lists: Vec<String> = lists.iter().map(|list| self.name(list)).collect();
                let settings = settings.document(&|name| self.name(name));
                let call = "SELECT outbound.create_campaign($1, $2, $3::text::outbound.conversation_type, $4)";
                self.run(call, &[&self.name(name), &lists, &kind.name(), &settings])
                    .await
            }
            Event::StartCampaign { name } => {
                self.run(
                    "SELECT outbound.start_campaign($1, $2::text::timestamptz)",
                    &[&self.name(name), &moment],
                )
                .await
            }
            Event::StopCampaign { name } => {
                self.run(
                    "SELECT outbound.stop_campaign($1, $2::text::timestamptz)",
                    &[&self.name(name), &moment],
                )
                .await
            }
            Event::StopStart { name } => {
                let stopped = self
                    .run(
                        "SELECT outbound.stop_campaign($1, $2::text::timestamptz)",
                        &[&self.name(name), &moment],
                    )
                    .await?;
                if stopped.error.is_some() {
                    return Ok(stopped);
                }
                self.run(
                    "SELECT outbound.start_campaign($1, $2::text::timestamptz)",
                    &[&self.name(name), &moment],
                )
                .await
            }
            Event::DeleteCampaign { name } => {
                self.run(
                    "SELECT outbound.delete_campaign($1, $2::text::timestamptz)",
                    &[&self.name(name), &moment],
                )
                .await
            }
            Event::RestoreCampaign { name } => {
                self.run(
                    "SELECT outbound.restore_campaign($1, $2::text::timestamptz)",
                    &[&self.name(name), &moment],
                )
                .await
            }
            _ => Ok(Answered::default()),
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

    async fn run(&self, call: &str, parameters: Parameters<'_>) -> Result<Answered> {
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

    fn units(&self, units: &[String]) -> Value {
        let document = |unit: &String| {
            let kind = crate::history::generate::unit_type(unit);
            json!({"type": kind.name(), "value": unit_text(unit, self.run)})
        };
        units.iter().map(document).collect()
    }

    fn upload(&self, upload: &Upload) -> Value {
        let mut contact: Map<String, Value> = upload
            .units
            .iter()
            .map(|(column, unit)| (column.clone(), json!(unit_text(unit, self.run))))
            .collect();
        contact.insert("id".to_owned(), json!(upload.id));
        contact.insert("balance".to_owned(), json!(upload.balance));
        Value::Object(contact)
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

fn columns_document(columns: &[Column]) -> Value {
    let mut documents = vec![
        json!({"name": "id"}),
        json!({"name": "balance", "type": "integer"}),
    ];
    for column in columns {
        let contact = match (column.unit, column.kind) {
            (UnitType::ConversationId, _) => json!({"type": "conversation_id"}),
            (unit, kind) => json!({"type": unit.name(), "inbox": kind.map(Kind::inbox)}),
        };
        documents.push(json!({"name": column.name, "contact": contact}));
    }
    Value::Array(documents)
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
