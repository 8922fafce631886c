//! Runs a history against a database and against the model, and compares them after every step.

pub mod answers;
pub mod calls;
pub mod drain;
pub mod read;
pub mod settings;

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use tokio_postgres::Client;

use crate::history::generate::Generator;
use crate::history::{Event, History, Step};
use crate::invariants::{Moment, Pair, Stamps, check};
use crate::model::World;
use crate::model::apply::{Seen, Shut};
use crate::model::settings::Time;
use crate::snapshot::Snapshot;

/// Database and model disagree, or an invariant does not hold.
#[derive(Debug, Clone)]
pub struct Disagreement {
    /// What kind it is: an invariant's name, or what was compared.
    pub label: String,
    /// The step.
    pub step: String,
    /// What was found.
    pub found: String,
}

/// What a database answers to a call.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// Rows about attempts: outcome, record code, contact code.
    pub rows: Vec<AnsweredRow>,
    /// Claimed attempts: attempt id, list, contact, unit, origin, lease.
    pub claimed: Vec<ClaimedRow>,
    /// The error, if it was one.
    pub error: Option<String>,
}

/// One row about an attempt.
#[derive(Debug, Clone)]
pub struct AnsweredRow {
    /// What became of it.
    pub outcome: String,
    /// Code of the record, if shown.
    pub record_code: Option<String>,
    /// Code of the contact, if shown.
    pub contact_code: Option<String>,
    /// Schedule of the record, if there is one.
    pub scheduled_at: Option<Time>,
}

/// One claimed attempt.
#[derive(Debug, Clone)]
pub struct ClaimedRow {
    /// Number of the attempt in the database.
    pub id: i64,
    /// What is compared: list, contact, unit, conversation type, inbox, origin, lease end, balance.
    pub shown: String,
}

/// One run of a history: the model and the database side by side.
pub struct Run<'a> {
    client: &'a Client,
    /// Makes the names of this run different from those of all others.
    run: u64,
    world: World,
    /// Numbers of the attempts in the database, in the order of [`World::attempts`].
    attempt_ids: Vec<i64>,
    /// `sys_id` of records by list, contact and unit.
    record_ids: BTreeMap<(String, String, String), i64>,
    rows: Snapshot,
    stamps: Stamps,
    /// Steps so far.
    pub steps: usize,
}

impl<'a> Run<'a> {
    /// A run in a database; `number` must not have been used there before.
    #[must_use]
    pub fn new(client: &'a Client, number: u64, history: &History) -> Self {
        Self {
            client,
            run: number,
            world: World::new(history.base),
            attempt_ids: Vec::new(),
            record_ids: BTreeMap::new(),
            rows: Snapshot::default(),
            stamps: Stamps::new(),
            steps: 0,
        }
    }

    /// Makes a history while it runs; every step that was run is noted in it.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn generate(
        &mut self,
        mut generator: Generator,
        history: &mut History,
    ) -> Result<Option<Disagreement>> {
        while let Some(step) = generator.next(&self.world) {
            history.steps.push(step.clone());
            if let Some(found) = self.step(&step).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Runs the steps of a history that are possible.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn replay(&mut self, history: &History) -> Result<Option<Disagreement>> {
        for step in &history.steps {
            if let Some(found) = self.step(step).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn step(&mut self, step: &Step) -> Result<Option<Disagreement>> {
        if !self.world.is_possible(&step.event) {
            return Ok(None);
        }
        if let Event::Drain { rounds } = step.event {
            return self.drain(step, rounds).await;
        }
        let mut found = self.compare(step).await?;
        let repeated = match &step.event {
            Event::Settle { twice: true, .. } => Some("P19"),
            Event::Contacts { twice: true, .. } => Some("P22"),
            _ => None,
        };
        if let (None, Some(invariant)) = (&found, repeated) {
            let contacts = |rows: &Snapshot| {
                rows.lists
                    .values()
                    .map(|list| (list.contacts.len(), list.records.len()))
                    .collect::<Vec<_>>()
            };
            let before = contacts(&self.rows);
            found = self.compare(step).await?;
            if found.is_none() && before != contacts(&self.rows) {
                found = Some(disagree(
                    invariant,
                    step,
                    "the second time changed how many rows there are",
                ));
            }
        }
        Ok(found)
    }

    /// Everything after one event: answers, rows, counters, consistency, invariants.
    async fn compare(&mut self, step: &Step) -> Result<Option<Disagreement>> {
        self.steps += 1;
        let before = self.world.clone();
        let answered = match self.perform(step).await? {
            Ok(answered) => answered,
            Err(found) => return Ok(Some(found)),
        };
        let (raw, stamps) = self.read().await?;
        let seen = seen(&before, &step.event, &raw);
        let answer = match self.world.apply(step.at, &step.event, Some(&seen)) {
            Ok(answer) => answer,
            Err(why) => return Ok(Some(disagree("free choice", step, &why))),
        };
        let (rows, disorder) = raw.rows(&self.world, &self.attempt_ids);
        self.record_ids = raw.record_ids();
        let differences = rows.differences(&Snapshot::of(&self.world));
        let found = self
            .compare_answer(step, &answered, &answer, &rows)
            .or_else(|| disorder.map(|why| disagree("record order", step, &why)))
            .or_else(|| {
                (!differences.is_empty()).then(|| disagree("rows", step, &differences.join("\n")))
            });
        if found.is_some() {
            return Ok(found);
        }
        let pair = Pair {
            before: Moment {
                world: &before,
                rows: &self.rows,
            },
            after: Moment {
                world: &self.world,
                rows: &rows,
            },
            stamps_before: &self.stamps,
            stamps_after: &stamps,
            event: &step.event,
            at: step.at,
            answer: &answer,
        };
        let found = check(&pair)
            .into_iter()
            .next()
            .map(|(name, why)| disagree(name, step, &why));
        self.rows = rows;
        self.stamps = stamps;
        if found.is_some() {
            return Ok(found);
        }
        let inconsistent = self.inconsistencies().await?;
        Ok((!inconsistent.is_empty())
            .then(|| disagree("consistency", step, &inconsistent.join("\n"))))
    }

    /// Calls the database, in the way that the event asks for.
    async fn perform(&mut self, step: &Step) -> Result<Result<Answered, Disagreement>> {
        match &step.event {
            Event::Commute { first, second } => {
                let mut sides = Vec::new();
                for (one, other, end) in [(first, second, "ROLLBACK"), (second, first, "COMMIT")] {
                    self.client.batch_execute("BEGIN").await?;
                    for event in [one, other] {
                        if let Some(error) = self.call(step.at, event).await?.error {
                            self.client.batch_execute("ROLLBACK").await?;
                            return Ok(Err(disagree("error", step, &error)));
                        }
                    }
                    sides.push(self.read().await?.0);
                    self.client.batch_execute(end).await?;
                }
                let rows: Vec<Snapshot> = sides
                    .iter()
                    .map(|raw| raw.rows(&self.world, &self.attempt_ids).0)
                    .collect();
                Ok(match rows.as_slice() {
                    [one, other] if one.lists != other.lists => {
                        Err(disagree("P25", step, &one.differences(other).join("\n")))
                    }
                    _ => Ok(Answered::default()),
                })
            }
            Event::Torn { event } => {
                self.client.batch_execute("BEGIN").await?;
                let answered = self.call(step.at, event).await?;
                self.client.batch_execute("ROLLBACK").await?;
                Ok(answered.error.map_or(Ok(Answered::default()), |error| {
                    Err(disagree("error", step, &error))
                }))
            }
            event => self.call(step.at, event).await.map(Ok),
        }
    }

    async fn inconsistencies(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (name, list) in &self.world.lists {
            if list.limits_changed {
                continue;
            }
            let query = "SELECT format('%s %s %s: stored %s, expected %s', contact_id, record_id, what, stored, expected) FROM outbound.check_consistency($1)";
            for row in self.client.query(query, &[&self.name(name)]).await? {
                lines.push(format!(
                    "list {name} contact {}",
                    row.try_get::<_, String>(0)?
                ));
            }
        }
        Ok(lines)
    }

    /// A name that no other run uses.
    fn name(&self, name: &str) -> String {
        format!("run {} {name}", self.run)
    }

    /// Removes what the run made.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    pub async fn clean(&self) -> Result<()> {
        let prefix = self.name("");
        self.client
            .execute(
                "DELETE FROM outbound.campaign WHERE starts_with(name, $1)",
                &[&prefix],
            )
            .await
            .map_err(|error| anyhow!("campaigns of the run cannot be removed: {error:?}"))?;
        for list in self.world.lists.keys() {
            self.client
                .execute("SELECT outbound.drop_list($1)", &[&self.name(list)])
                .await?;
        }
        for list in self.world.suppression.keys() {
            self.client
                .execute(
                    "SELECT outbound.drop_suppression_list($1)",
                    &[&self.name(list)],
                )
                .await?;
        }
        self.client
            .execute(
                "DELETE FROM outbound.conversation WHERE split_part(conversation_id, '-', 2) = $1",
                &[&self.run.to_string()],
            )
            .await?;
        Ok(())
    }
}

fn disagree(label: &str, step: &Step, found: &str) -> Disagreement {
    Disagreement {
        label: label.to_owned(),
        step: step.to_string(),
        found: found.to_owned(),
    }
}

/// What the database did where it was free to choose.
fn seen(before: &World, event: &Event, raw: &read::Raw) -> Seen {
    let mut seen = Seen::default();
    if matches!(event, Event::Contacts { .. }) {
        for (list, contact, unit, code, result) in raw.records() {
            let known = before
                .contact(list, contact)
                .and_then(|contact| contact.record_of(unit));
            let open = known.is_none_or(|record| matches!(record.code, 'C' | 'O' | 'S'));
            let blocked = code == 'U' && result == Some("dnc");
            if open && blocked {
                seen.shut.push(Shut {
                    list: list.to_owned(),
                    contact: contact.to_owned(),
                    unit: unit.to_owned(),
                    code,
                });
            }
        }
    }
    for (name, row) in &raw.campaigns {
        if row.state == "off"
            && before
                .campaigns
                .get(name)
                .is_some_and(|campaign| campaign.state == "active")
            && row.off_reason.as_deref() == Some("auto")
        {
            seen.completed.push(name.clone());
        }
    }
    seen
}
