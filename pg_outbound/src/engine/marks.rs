//! Where the latest scan for contacts that wait for nothing ended, by list and campaign.
//!
//! Claims take such contacts in the order of their identifiers, and what they leave in the index stays there
//! until it is cleaned: without a mark, every claim would walk all of it again. A mark only says where to
//! begin. A scan that finds too few begins at the start, and so does one whose mark is a second old, by the
//! clock or by the moments of the claims, or whose session made a contact wait for nothing again meanwhile;
//! a contact that another session gave back comes a second late.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use outbound_core::machine::Micros;
use outbound_core::unit::ConversationType;

/// How long a mark is good.
const GOOD_FOR: Duration = Duration::from_secs(1);

struct Mark {
    kind: ConversationType,
    contact: String,
    made: Instant,
    at: Micros,
}

impl Mark {
    fn is_good(&self, at: Micros) -> bool {
        let later = at.saturating_sub(self.at);
        self.made.elapsed() < GOOD_FOR
            && u64::try_from(later).is_ok_and(|later| Duration::from_micros(later) < GOOD_FOR)
    }
}

thread_local! {
    static MARKS: RefCell<HashMap<(i32, i64), Mark>> = RefCell::new(HashMap::new());
}

/// The contact after which a claim at that moment begins.
pub fn get(list: i32, campaign: i64, at: Micros) -> Option<String> {
    MARKS.with_borrow(|marks| {
        let mark = marks
            .get(&(list, campaign))
            .filter(|mark| mark.is_good(at))?;
        Some(mark.contact.clone())
    })
}

/// Remembers the last contact that a scan took. A mark's second counts from when it was first made, so that
/// even a session that never rests looks at the start now and then.
pub fn set(list: i32, campaign: i64, kind: ConversationType, contact: &str, at: Micros) {
    MARKS.with_borrow_mut(|marks| {
        let (made, at) = match marks.get(&(list, campaign)) {
            Some(mark) if mark.is_good(at) => (mark.made, mark.at),
            _ => (Instant::now(), at),
        };
        let contact = contact.to_owned();
        marks.insert(
            (list, campaign),
            Mark {
                kind,
                contact,
                made,
                at,
            },
        );
    });
}

/// Forgets the marks of a list for claims of a conversation type: one of its contacts is to be found again.
pub fn forget(list: i32, kind: ConversationType) {
    MARKS.with_borrow_mut(|marks| {
        marks.retain(|(of, _), mark| *of != list || mark.kind != kind);
    });
}
