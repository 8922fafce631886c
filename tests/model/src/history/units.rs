//! The names that a history has for units, and what they are in a database.

use crate::model::settings::UnitType;

/// Text of a unit in a database, where each history has units of its own.
#[must_use]
pub fn unit_text(unit: &str, run: u64) -> String {
    let number: u64 = unit
        .get(1..)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    match unit.chars().next() {
        Some('p') => format!("+38044{:07}", 1_000_000 + (run % 300) * 20_000 + number),
        Some('e') => format!("unit{number}.run{run}@example.org"),
        Some('m') => format!("account-{run}-{number}"),
        Some('v') => format!("conversation-{run}-{number}"),
        _ => format!("{number}"),
    }
}

/// Kind of a unit by its name.
#[must_use]
pub fn unit_type(unit: &str) -> UnitType {
    match unit.chars().next() {
        Some('e') => UnitType::Email,
        Some('m') => UnitType::MessengerId,
        Some('v') => UnitType::ConversationId,
        _ => UnitType::Phone,
    }
}
