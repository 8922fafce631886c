//! A row that is loaded allocates nothing: an import of a million rows must not spend its time,
//! or grow its memory, on rows that are in order. Phones are left out, because the phone library
//! allocates inside itself.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use outbound_core::account::{Account, CharacterSet};
use outbound_core::fields::Fields;
use outbound_core::row::{RowRules, Scratch};
use outbound_core::shape::Shape;
use serde_json::json;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_row_in_order_allocates_nothing() {
    let shape: Shape = serde_json::from_value(json!({
        "list_id": 1,
        "columns": [
            {"name": "id", "identifier": "id", "column_type": "text"},
            {"name": "mail", "identifier": "mail", "column_type": "text",
             "contact": {"unit_type": "email", "inbox_id": 1, "conversation_type": "email"}},
            {"name": "chat", "identifier": "chat", "column_type": "text",
             "contact": {"unit_type": "username", "inbox_id": 2, "conversation_type": "social_media"}},
            {"name": "n", "identifier": "n", "column_type": "integer"},
            {"name": "d", "identifier": "d", "column_type": "numeric"},
            {"name": "b", "identifier": "b", "column_type": "boolean"},
            {"name": "day", "identifier": "day", "column_type": "date"},
            {"name": "at", "identifier": "at", "column_type": "timestamptz"}
        ],
        "identifier": 0
    }))
    .unwrap();
    let account = Account {
        name: "Test".to_owned(),
        default_country: "US".to_owned(),
        character_set: CharacterSet::Utf8,
        time_zone: chrono_tz::Tz::Europe__Kyiv,
    };
    let names: Vec<String> = shape.columns.iter().map(|c| c.name.clone()).collect();
    let rules = RowRules::new(&shape, &names, &account).unwrap();

    let cells = [
        "C-1",
        "Ann@Example.com",
        "ann.17",
        "42",
        "-12.50",
        "yes",
        "2026-05-01",
        "2026-05-01 10:30",
    ];
    let mut text = String::new();
    let mut ends = Vec::new();
    for cell in cells {
        text.push_str(cell);
        ends.push(text.len());
    }
    let fields = Fields {
        text: &text,
        ends: &ends,
    };
    let mut scratch = Scratch::default();
    rules.check(fields, &mut scratch).unwrap();

    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..100 {
        rules.check(fields, &mut scratch).unwrap();
    }
    let after = ALLOCATIONS.with(Cell::get);
    assert_eq!(after - before, 0);
    assert_eq!(scratch.units.len(), 2);
}
