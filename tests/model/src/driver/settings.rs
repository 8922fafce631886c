//! Settings, lists and uploads as calls of the extension's functions.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::history::units::{unit_text, unit_type};
use crate::history::{Column, Event, Upload};
use crate::model::settings::{Kind, UnitType};

use super::{Answered, Run};

impl Run<'_> {
    /// Calls what an event about settings stands for.
    pub(super) async fn set(&mut self, event: &Event, moment: &str) -> Result<Answered> {
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

    fn units(&self, units: &[String]) -> Value {
        let document = |unit: &String| {
            let kind = unit_type(unit);
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
