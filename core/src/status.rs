//! Record, type and contact codes, and how the last two follow from the first.
//!
//! Record codes, attempt counts and limits are the state; the codes of a contact, for each
//! conversation type and as a whole, are stored beside it and derivable from it
//! (contact-lists §5.4). The functions here are that derivation, and the only place of it.

use crate::text_enum::text_enum;

text_enum! {
    /// Code of a record (contact-lists §5.1).
    pub enum RecordCode("record code") {
        /// May be used.
        Callable = "C",
        /// The dialer planned another interaction.
        AutoScheduled = "O",
        /// An agent planned another interaction.
        AgentCallback = "S",
        /// Chosen by the dialer for an interaction.
        InProgress = "I",
        /// Reached, and handed to the campaign manager.
        Queued = "Q",
        /// A limit of this record is reached.
        Exhausted = "A",
        /// Processed successfully, wrong party, invalid, blocked or excluded.
        Uncallable = "U",
        /// The conversation does not exist.
        Purged = "P",
    }
}

impl RecordCode {
    /// Whether a dialer may choose the record, once it is due (contact-lists §5.1).
    #[must_use]
    pub const fn is_claimable(self) -> bool {
        matches!(
            self,
            Self::Callable | Self::AutoScheduled | Self::AgentCallback
        )
    }

    /// Whether only an explicit reset leads out of the code (contact-lists §5.1, §7.2 R50).
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Exhausted | Self::Uncallable | Self::Purged)
    }
}

text_enum! {
    /// Code of a contact, and of a contact for one conversation type (contact-lists §5.2, §5.3).
    pub enum ContactCode("contact code") {
        /// A record is chosen by the dialer.
        InProgress = "I",
        /// A record is with the campaign manager.
        Queued = "Q",
        /// Processed successfully.
        Uncallable = "U",
        /// A limit is reached.
        Exhausted = "A",
        /// May be used.
        Callable = "C",
        /// No record is eligible.
        Flagged = "F",
    }
}

/// What decides the code of a contact for one conversation type. Without any record of the type
/// every fact but the limit is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeFacts {
    /// There are records of the type.
    pub has_units: bool,
    /// Any record of the type is I.
    pub in_progress: bool,
    /// Any record of the type is Q.
    pub queued: bool,
    /// Any record of the type is U by success.
    pub succeeded: bool,
    /// Any record of the type is S.
    pub agent_callback: bool,
    /// Attempts of the type have reached the limit of the type.
    pub limit_met: bool,
    /// Any record of the type is C or O.
    pub callable: bool,
}

impl TypeFacts {
    /// Takes a record of the type into account; `by_success` says that a U came from a success.
    pub fn add(&mut self, code: RecordCode, by_success: bool) {
        self.has_units = true;
        match code {
            RecordCode::InProgress => self.in_progress = true,
            RecordCode::Queued => self.queued = true,
            RecordCode::AgentCallback => self.agent_callback = true,
            RecordCode::Callable | RecordCode::AutoScheduled => self.callable = true,
            RecordCode::Uncallable => self.succeeded |= by_success,
            RecordCode::Exhausted | RecordCode::Purged => {}
        }
    }
}

/// What decides the code of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ContactFacts {
    /// Any record is I.
    in_progress: bool,
    /// Any record is Q.
    queued: bool,
    /// The close rule is met, see [`is_closed`].
    closed: bool,
    /// Any record is S whose type is C.
    agent_callback: bool,
    /// Attempts of the contact have reached the limit of the contact.
    limit_met: bool,
    /// Any type is C.
    callable: bool,
}

/// Code of a contact for one conversation type: the first of I, Q, U, C by an agent's callback,
/// A, C, F that applies (contact-lists §5.4). A callback comes before the limit, because the
/// customer asked for it (contact-lists §16 Q9).
#[must_use]
const fn type_status(facts: &TypeFacts) -> ContactCode {
    first_that_applies(
        facts.in_progress,
        facts.queued,
        facts.succeeded,
        facts.agent_callback,
        facts.limit_met,
        facts.callable,
    )
}

/// Code of a contact: the first of I, Q, U, C by an agent's callback, A, C, F that applies
/// (contact-lists §5.4).
#[must_use]
const fn contact_status(facts: &ContactFacts) -> ContactCode {
    first_that_applies(
        facts.in_progress,
        facts.queued,
        facts.closed,
        facts.agent_callback,
        facts.limit_met,
        facts.callable,
    )
}

/// The code of a contact and its codes for the conversation types, from what is known of each
/// (contact-lists §5.4). `stays_closed`: it was closed before, and nobody opened it again. `limit_met`: its
/// attempts have reached the limit of the contact.
#[must_use]
pub fn derive(
    types: &[TypeFacts; 3],
    close_if_all: bool,
    stays_closed: bool,
    limit_met: bool,
) -> (ContactCode, [ContactCode; 3]) {
    let codes = types.map(|facts| type_status(&facts));
    let with_units: Vec<ContactCode> = (0..3)
        .filter(|kind| types[*kind].has_units)
        .map(|kind| codes[kind])
        .collect();
    let contact = contact_status(&ContactFacts {
        in_progress: types.iter().any(|facts| facts.in_progress),
        queued: types.iter().any(|facts| facts.queued),
        closed: stays_closed || is_closed(close_if_all, &with_units),
        agent_callback: (0..3)
            .any(|kind| types[kind].agent_callback && codes[kind] == ContactCode::Callable),
        limit_met,
        callable: codes.contains(&ContactCode::Callable),
    });
    (contact, codes)
}

/// The order that both levels share.
const fn first_that_applies(
    in_progress: bool,
    queued: bool,
    done: bool,
    agent_callback: bool,
    limit_met: bool,
    callable: bool,
) -> ContactCode {
    if in_progress {
        ContactCode::InProgress
    } else if queued {
        ContactCode::Queued
    } else if done {
        ContactCode::Uncallable
    } else if agent_callback {
        ContactCode::Callable
    } else if limit_met {
        ContactCode::Exhausted
    } else if callable {
        ContactCode::Callable
    } else {
        ContactCode::Flagged
    }
}

/// The close rule (contact-lists §7.3). `types` are the codes of the types that the contact has
/// units of: with `close_if_all` all of them must be U, and there must be one; without, one is
/// enough.
#[must_use]
fn is_closed(close_if_all: bool, types: &[ContactCode]) -> bool {
    let done = |code: &ContactCode| *code == ContactCode::Uncallable;
    if close_if_all {
        !types.is_empty() && types.iter().all(done)
    } else {
        types.iter().any(done)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use ContactCode::{Callable, Exhausted, Flagged, InProgress, Queued, Uncallable};

    fn every_combination() -> impl Iterator<Item = [bool; 6]> {
        (0_u8..64).map(|bits| std::array::from_fn(|i| bits & (1 << i) != 0))
    }

    /// The column of contact-lists §5.4, top to bottom.
    const ORDER: [ContactCode; 6] = [
        InProgress, Queued, Uncallable, Callable, Exhausted, Callable,
    ];

    #[test]
    fn both_levels_take_the_first_line_of_the_table_that_applies() {
        for facts in every_combination() {
            let expected = facts
                .iter()
                .position(|&fact| fact)
                .map_or(Flagged, |line| ORDER[line]);
            let [a, b, c, d, e, f] = facts;
            let of_type = type_status(&TypeFacts {
                has_units: true,
                in_progress: a,
                queued: b,
                succeeded: c,
                agent_callback: d,
                limit_met: e,
                callable: f,
            });
            let of_contact = contact_status(&ContactFacts {
                in_progress: a,
                queued: b,
                closed: c,
                agent_callback: d,
                limit_met: e,
                callable: f,
            });
            assert_eq!((of_type, of_contact), (expected, expected), "{facts:?}");
        }
    }

    #[test]
    fn a_type_without_units_is_flagged() {
        assert_eq!(type_status(&TypeFacts::default()), Flagged);
        assert_eq!(contact_status(&ContactFacts::default()), Flagged);
    }

    #[test]
    fn a_contact_closes_with_one_type_or_with_all_it_has_units_of() {
        assert!(is_closed(false, &[Callable, Uncallable]));
        assert!(!is_closed(false, &[Callable, Exhausted]));
        assert!(!is_closed(false, &[]));
        assert!(is_closed(true, &[Uncallable, Uncallable]));
        assert!(is_closed(true, &[Uncallable]));
        assert!(!is_closed(true, &[Uncallable, Callable]));
        assert!(!is_closed(true, &[Uncallable, Flagged]));
        assert!(!is_closed(true, &[]));
    }

    #[test]
    fn no_record_code_is_both_claimable_and_terminal() {
        let claimable: Vec<_> = RecordCode::ALL
            .iter()
            .filter(|c| c.is_claimable())
            .collect();
        let terminal: Vec<_> = RecordCode::ALL.iter().filter(|c| c.is_terminal()).collect();
        assert_eq!(claimable.len(), 3);
        assert_eq!(terminal.len(), 3);
        assert!(claimable.iter().all(|c| !terminal.contains(c)));
        assert!(!RecordCode::InProgress.is_claimable() && !RecordCode::Queued.is_terminal());
    }

    #[test]
    fn codes_are_single_letters() {
        for code in RecordCode::ALL {
            assert_eq!(code.as_str().len(), 1);
            assert_eq!(code.as_str().parse::<RecordCode>().unwrap(), *code);
        }
        for code in ContactCode::ALL {
            assert_eq!(code.as_str().parse::<ContactCode>().unwrap(), *code);
        }
    }
}
