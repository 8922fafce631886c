//! Where the latest scan for contacts that wait for nothing ended, by list and campaign.
//!
//! Claims take such contacts in the order of their identifiers, and what they leave in the index stays there
//! until it is cleaned: without a mark, every claim would walk all of it again. A mark only says where to
//! begin. A scan that finds too few begins at the start, and so does one whose mark is a second old or whose
//! session gave a contact back meanwhile; a contact that another session gave back comes a second late.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a mark is good.
const GOOD_FOR: Duration = Duration::from_secs(1);

type Marks = HashMap<(i32, i64), (String, Instant)>;

thread_local! {
    static MARKS: RefCell<Marks> = RefCell::new(HashMap::new());
}

/// The contact after which to begin.
pub fn get(list: i32, campaign: i64) -> Option<String> {
    MARKS.with_borrow(|marks| {
        marks
            .get(&(list, campaign))
            .filter(|(_, made)| made.elapsed() < GOOD_FOR)
            .map(|(contact, _)| contact.clone())
    })
}

/// Remembers the last contact that a scan took. The second counts from when the mark was first made, so that
/// even a session that never rests looks at the start now and then.
pub fn set(list: i32, campaign: i64, contact: &str) {
    MARKS.with_borrow_mut(|marks| {
        let made = marks
            .get(&(list, campaign))
            .map(|(_, made)| *made)
            .filter(|made| made.elapsed() < GOOD_FOR)
            .unwrap_or_else(Instant::now);
        marks.insert((list, campaign), (contact.to_owned(), made));
    });
}

/// Forgets the marks of a list: one of its contacts is to be found again.
pub fn forget(list: i32) {
    MARKS.with_borrow_mut(|marks| marks.retain(|(of, _), _| *of != list));
}
