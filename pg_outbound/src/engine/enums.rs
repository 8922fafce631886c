//! Values of the extension's enum types, read by their object identifiers: a statement that hands them over
//! as text looks every one of them up, row by row.

use std::cell::RefCell;
use std::str::FromStr;

use outbound_core::unit::{ConversationType, UnitType};
use pgrx::{enum_helper, pg_sys};

type Known<T> = RefCell<Vec<(pg_sys::Oid, T)>>;

thread_local! {
    static CONVERSATION_TYPES: Known<ConversationType> = const { RefCell::new(Vec::new()) };
    static UNIT_TYPES: Known<UnitType> = const { RefCell::new(Vec::new()) };
}

/// The value of `outbound.conversation_type`.
pub fn conversation_type(value: pg_sys::Oid) -> Option<ConversationType> {
    CONVERSATION_TYPES.with_borrow_mut(|known| look_up(known, value))
}

/// The value of `outbound.unit_type`.
pub fn unit_type(value: pg_sys::Oid) -> Option<UnitType> {
    UNIT_TYPES.with_borrow_mut(|known| look_up(known, value))
}

/// Identifiers of enum values are never given twice to values that one session sees, so what is known stays.
fn look_up<T: Copy + FromStr>(known: &mut Vec<(pg_sys::Oid, T)>, value: pg_sys::Oid) -> Option<T> {
    if let Some((_, found)) = known.iter().find(|(oid, _)| *oid == value) {
        return Some(*found);
    }
    let (label, _, _) = enum_helper::lookup_enum_by_oid(value);
    let found = label.parse().ok()?;
    known.push((value, found));
    Some(found)
}
