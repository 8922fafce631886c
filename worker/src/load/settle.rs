//! The end of the middle stage: suspects become rows or duplicates.
//!
//! Everything that was surely new is in the contact table by now, so the database can tell which
//! suspects are duplicates. The suspects are then read once more, in file order: those that are
//! not are loaded, the others are reported.

use std::time::Instant;

use tokio_postgres::Client;

use super::counts::Timings;
use super::pipeline::{LoadError, LoadPlan, Pass, broken, lost, run_pass, stopped};
use super::rows::{Output, Rows};
use super::sink::Statements;
use super::suspects::{self, SuspectReader};
use crate::database::protocol::load_table;
use crate::decode::RecordBatch;

/// Decides about the suspects, and loads or reports each.
pub(super) async fn settle(
    mut rows: Rows,
    detail: Output,
    client: &Client,
    statements: &Statements,
    plan: &LoadPlan,
    timings: &mut Timings,
) -> Result<(Rows, Output), Box<LoadError>> {
    let sealed = match rows.take_suspects() {
        Some(suspects) if !suspects.is_empty() => suspects.seal()?,
        _ => return Ok((rows, detail)),
    };
    let (mut reader, rules) = (sealed.reader()?, rows.rules().clone());
    let table = load_table(plan.load_id);
    let cleared = suspects::cleared(client, &table, move |each| {
        let mut batch = RecordBatch::default();
        while reader.next(&mut batch)? {
            for record in batch.iter() {
                each(rules.identifier(record.fields).unwrap_or_default())?;
            }
        }
        Ok(())
    })
    .await?;
    let reader = sealed.reader()?;
    let (pass, copied) = run_pass(client, &statements.contact, move |contact| {
        settle_pass(rows, detail, contact, reader, &cleared)
    })
    .await?;
    timings.check += pass.busy;
    let failure = match copied {
        Ok(Some(copied)) => {
            timings.copy += copied.busy;
            stopped(pass.result)
        }
        Ok(None) => Some(stopped(pass.result).unwrap_or_else(broken)),
        Err(failure) => Some(stopped(pass.result).unwrap_or(failure)),
    };
    match failure {
        None => Ok((pass.rows, pass.detail)),
        Some(failure) => Err(lost(pass.rows, failure)),
    }
}

fn settle_pass(
    mut rows: Rows,
    mut detail: Output,
    mut contact: Output,
    mut reader: SuspectReader,
    cleared: &[u64],
) -> Pass {
    let started = Instant::now();
    let mut run = || {
        let (mut batch, mut cleared) = (RecordBatch::default(), cleared.iter().peekable());
        for place in 0.. {
            if !reader.next(&mut batch)? {
                break;
            }
            for record in batch.iter() {
                if cleared.next_if_eq(&&place).is_some() {
                    rows.load_suspect(&record)?;
                } else {
                    rows.drop_duplicate(&record)?;
                }
            }
            rows.flush(&mut contact, &mut detail)?;
        }
        Ok(())
    };
    let result = run().and_then(|()| contact.end(rows.take_contact()).map(drop));
    Pass {
        rows,
        detail,
        result,
        busy: started.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outbound_core::account::{Account, CharacterSet};
    use outbound_core::fields::Fields;
    use outbound_core::reason::Reason;
    use outbound_core::row::RowRules;
    use outbound_core::shape::Shape;

    use super::*;
    use crate::decode::Record;
    use crate::spool::Spool;

    #[test]
    fn the_first_of_each_identifier_is_loaded_and_the_rest_is_reported() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(&root.path().join("spool")).unwrap();
        let shape: Shape = serde_json::from_value(serde_json::json!({
            "list_id": 7, "identifier": 0,
            "columns": [{"name": "id", "identifier": "id", "column_type": "text"}],
        }))
        .unwrap();
        let account = Account {
            name: "a".to_owned(),
            default_country: "DE".to_owned(),
            character_set: CharacterSet::Utf8,
            time_zone: chrono_tz::UTC,
        };
        let rules = RowRules::new(&shape, &["id".to_owned()], &account).unwrap();
        let mut rows = Rows::new(rules, Arc::new(shape), 1, &spool, None);
        for (line, identifier) in (2..).zip(["a", "b", " a", "A", "b "]) {
            rows.take(&Record {
                line,
                raw: identifier,
                fields: Fields {
                    text: identifier,
                    ends: &[identifier.len()],
                },
                undecodable: 0,
                refused: None,
            })
            .unwrap();
        }
        assert_eq!((rows.counts.rows_read, rows.counts.contacts), (5, 3));
        let sealed = rows.take_suspects().unwrap().seal().unwrap();
        let output = |name| Output::Spool(spool.create(name).unwrap());

        // Suppose the first suspect was suspected for nothing.
        let reader = sealed.reader().unwrap();
        let pass = settle_pass(rows, output("detail"), output("contact"), reader, &[0]);

        assert!(pass.result.is_ok());
        let counts = pass.rows.counts;
        assert_eq!(
            (counts.contacts, counts.duplicates, counts.rejected),
            (4, 1, 0)
        );
        let rejects = pass.rows.rejects.seal();
        assert_eq!(rejects.counts()[&Reason::DuplicateClientId], 1);
    }
}
