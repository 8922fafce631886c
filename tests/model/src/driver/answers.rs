//! What calls answer, compared with what the model expects of them.

use crate::history::Step;
use crate::model::apply::{Answer, Row};
use crate::snapshot::Snapshot;

use super::{Answered, AnsweredRow, Disagreement, Run, disagree};

impl Run<'_> {
    /// Compares what a call answered with what the model expects.
    pub(super) fn compare_answer(
        &mut self,
        step: &Step,
        answered: &Answered,
        answer: &Answer,
        rows: &Snapshot,
    ) -> Option<Disagreement> {
        match (answer, &answered.error) {
            (Answer::Refused, None) => {
                return Some(disagree(
                    "error",
                    step,
                    "the call must be refused, and was not",
                ));
            }
            (Answer::Refused, Some(_)) => return None,
            (_, Some(error)) => return Some(disagree("error", step, error)),
            _ => {}
        }
        match answer {
            Answer::Claimed(places) => {
                let expected: Vec<String> = places
                    .iter()
                    .filter_map(|place| self.shown(*place))
                    .collect();
                let shown: Vec<String> = answered
                    .claimed
                    .iter()
                    .map(|row| row.shown.clone())
                    .collect();
                self.attempt_ids
                    .extend(answered.claimed.iter().map(|row| row.id));
                if expected != shown {
                    let found = format!(
                        "  model    {}\n  database {}",
                        expected.join("\n           "),
                        shown.join("\n           ")
                    );
                    return Some(disagree("claim", step, &found));
                }
                None
            }
            Answer::Rows(expected) => {
                if expected.len() != answered.rows.len() {
                    return Some(disagree(
                        "outcome",
                        step,
                        &format!("{} rows instead of {}", answered.rows.len(), expected.len()),
                    ));
                }
                expected
                    .iter()
                    .zip(&answered.rows)
                    .find_map(|(expected, row)| Self::compare_row(expected, row, rows))
                    .map(|why| disagree("outcome", step, &why))
            }
            Answer::Nothing | Answer::Refused => None,
        }
    }

    /// A row's outcome must be one that is right, and the codes it shows those that the tables have.
    fn compare_row(expected: &Row, row: &AnsweredRow, rows: &Snapshot) -> Option<String> {
        if !expected.outcomes.contains(&row.outcome.as_str()) {
            return Some(format!("model {:?}, database {row:?}", expected.outcomes));
        }
        let (list, contact, id) = expected.record.as_ref()?;
        let tables = rows.lists.get(list)?;
        let record = tables.records.get(&(contact.clone(), *id))?;
        let known = tables.contacts.get(contact)?;
        let same = |shown: &Option<String>, code: char| {
            shown
                .as_ref()
                .is_none_or(|shown| *shown == code.to_string())
        };
        let holds = same(&row.record_code, record.code)
            && same(&row.contact_code, known.code)
            && (row.record_code.is_none()
                || matches!(row.outcome.as_str(), "extended" | "repeated")
                || row.scheduled_at == record.scheduled_at);
        (!holds).then(|| {
            format!(
                "{row:?} does not show what the tables have: record {}, contact {}, {:?}",
                record.code, known.code, record.scheduled_at
            )
        })
    }

    /// A claimed attempt as both sides show it.
    fn shown(&self, place: usize) -> Option<String> {
        let attempt = self.world.attempts.get(place)?;
        let contact = self.world.contact(&attempt.list, &attempt.contact)?;
        let record = contact.record(attempt.record)?;
        let kind = record.kind?;
        let origin = if attempt.callback {
            "agent_callback"
        } else {
            "auto"
        };
        Some(format!(
            "{} {} {} {} {} {origin} until {} balance {:?}",
            attempt.list,
            attempt.contact,
            record.unit,
            kind.name(),
            kind.inbox(),
            attempt.lease_until,
            contact.balance
        ))
    }
}
