//! The first contacts of a file as a table for people.

use std::fmt;

use serde_json::Value;

use crate::database::protocol::Sample;

/// Most characters of a cell.
const CELL_CHARS: usize = 32;

/// Before each line, so that it stands below what is said of its file.
const INDENT: &str = "            ";

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut lines = vec![heading(self)];
        for contact in &self.rows {
            let mut line = vec![cell(&contact.id), contact.status.clone()];
            line.extend(contact.values.iter().map(value));
            let records: Vec<String> = contact
                .records
                .iter()
                .map(|record| {
                    let by = record.inbox.as_deref().unwrap_or("no inbox");
                    format!("{} {} ({})", record.status, cell(&record.unit), cell(by))
                })
                .collect();
            line.push(records.join(", "));
            lines.push(line);
        }
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
        for line in &lines {
            let padded: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:<width$}"))
                .collect();
            write!(f, "\n{INDENT}{}", padded.join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn heading(sample: &Sample) -> Vec<String> {
    let mut names = vec!["sys_id".to_owned(), "sys_status".to_owned()];
    names.extend(sample.columns.iter().map(|name| cell(name)));
    names.push("records".to_owned());
    names
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => cell(text),
        other => cell(&other.to_string()),
    }
}

/// A text of the file, short and without what would disturb a terminal.
fn cell(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    match text.char_indices().nth(CELL_CHARS) {
        Some((end, _)) => text
            .get(..end)
            .unwrap_or(text)
            .chars()
            .map(clean)
            .chain(['…'])
            .collect(),
        None => text.chars().map(clean).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sample_is_a_table_that_no_cell_can_break() {
        let sample: Sample = serde_json::from_value(json!({
            "columns": ["Name", "Balance"],
            "rows": [
                {"id": "1", "status": "C", "values": ["Anna\n\u{1b}[31m", 12.5], "records": [
                    {"unit": "+380441112233", "type": "phone", "column": "Phone", "conversation_type": "call", "inbox": "Voice", "status": "C"},
                    {"unit": "c1", "type": "conversation_id", "column": "Chat", "conversation_type": null, "inbox": null, "status": "P"}]},
                {"id": "second", "status": "F", "values": ["x".repeat(100), null], "records": []},
            ],
        }))
        .unwrap();
        let expected = format!(
            "\n            sys_id  sys_status  Name                               Balance  records\
             \n            1       C           Anna\u{FFFD}\u{FFFD}[31m                         12.5     C +380441112233 (Voice), P c1 (no inbox)\
             \n            second  F           {}…",
            "x".repeat(32)
        );
        assert_eq!(sample.to_string(), expected);
    }
}
