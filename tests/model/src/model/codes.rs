//! Codes of a contact as functions of its records (contact-lists §5.4, §7.3).

use super::settings::{Control, Kind, met};
use super::{Contact, List, Record, World};

/// What decides the codes of one contact: facts about its records, from the model or a database.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Type, code and success of each record.
    pub records: Vec<(Option<Kind>, char, bool)>,
    /// Whether the limit of each type is met.
    pub type_limits: [bool; 3],
    /// Whether the limit of the contact is met.
    pub contact_limit: bool,
    /// Close rule of the list.
    pub close_if_all: bool,
    /// Whether the contact is closed already.
    pub was_closed: bool,
}

impl Facts {
    fn any(&self, kind: Kind, test: impl Fn(char, bool) -> bool) -> bool {
        self.records
            .iter()
            .any(|(of, code, success)| *of == Some(kind) && test(*code, *success))
    }

    /// Code for one type.
    #[must_use]
    pub fn type_code(&self, kind: Kind) -> char {
        if self.any(kind, |code, _| code == 'I') {
            'I'
        } else if self.any(kind, |code, _| code == 'Q') {
            'Q'
        } else if self.any(kind, |code, success| code == 'U' && success) {
            'U'
        } else if self.any(kind, |code, _| code == 'S') {
            'C'
        } else if self.type_limits[kind.index()] {
            'A'
        } else if self.any(kind, |code, _| code == 'C' || code == 'O') {
            'C'
        } else {
            'F'
        }
    }

    /// Codes for the three types.
    #[must_use]
    pub fn type_codes(&self) -> [char; 3] {
        Kind::ALL.map(|kind| self.type_code(kind))
    }

    /// Whether the close rule holds.
    #[must_use]
    pub fn closed(&self) -> bool {
        let codes = self.type_codes();
        if self.close_if_all {
            let mut kinds = Kind::ALL
                .into_iter()
                .filter(|kind| self.any(*kind, |_, _| true))
                .peekable();
            kinds.peek().is_some() && kinds.all(|kind| codes[kind.index()] == 'U')
        } else {
            codes.contains(&'U')
        }
    }

    /// Code of the contact.
    #[must_use]
    pub fn code(&self) -> char {
        let types = self.type_codes();
        let callback = |(kind, code, _): &(Option<Kind>, char, bool)| {
            *code == 'S' && kind.is_some_and(|kind| types[kind.index()] == 'C')
        };
        if self.records.iter().any(|(_, code, _)| *code == 'I') {
            'I'
        } else if self.records.iter().any(|(_, code, _)| *code == 'Q') {
            'Q'
        } else if self.closed() || self.was_closed {
            'U'
        } else if self.records.iter().any(callback) {
            'C'
        } else if self.contact_limit {
            'A'
        } else if types.contains(&'C') {
            'C'
        } else {
            'F'
        }
    }
}

/// Whether the limits of a control shut a record out of automatic attempts (G5).
#[must_use]
pub fn record_limit_met(control: &Control, record: &Record) -> bool {
    met(control.max_per_conversation, record.attempts)
        || super::settings::Category::COUNTED
            .iter()
            .zip(record.by_category)
            .any(|(category, count)| met(control.max_with(*category), count))
}

impl World {
    /// The limits of the latest attempt of a type: decides the type's A.
    fn type_limit_met(&self, contact: &Contact, kind: Kind) -> bool {
        let latest = contact
            .records
            .iter()
            .filter(|record| record.kind == Some(kind) && record.last_at.is_some())
            .max_by_key(|record| record.last_at);
        latest
            .and_then(|record| record.last_campaign.as_ref())
            .is_some_and(|campaign| {
                met(
                    self.control_of(campaign).max_of(kind),
                    contact.type_attempts[kind.index()],
                )
            })
    }

    /// The limits of the contact's latest attempt: decide the contact's A.
    fn contact_limit_met(&self, contact: &Contact) -> bool {
        contact
            .last_record
            .and_then(|id| contact.record(id))
            .and_then(|record| record.last_campaign.as_ref())
            .is_some_and(|campaign| met(self.control_of(campaign).max_per_contact, contact.count()))
    }

    /// What decides the codes of a contact.
    #[must_use]
    pub fn facts(&self, list: &List, contact: &Contact) -> Facts {
        Facts {
            records: contact
                .records
                .iter()
                .map(|record| (record.kind, record.code, record.succeeded()))
                .collect(),
            type_limits: Kind::ALL.map(|kind| self.type_limit_met(contact, kind)),
            contact_limit: self.contact_limit_met(contact),
            close_if_all: list.close_if_all,
            was_closed: contact.code == 'U',
        }
    }

    /// Derives the codes of a contact anew; `reopen` lets a closed one open again (explicit reset).
    pub fn derive(&mut self, list: &str, contact: &str, reopen: bool) {
        let Some(of) = self.lists.get(list) else {
            return;
        };
        let Some(known) = of.contacts.get(contact) else {
            return;
        };
        let mut facts = self.facts(of, known);
        facts.was_closed &= !reopen;
        let (types, code) = (facts.type_codes(), facts.code());
        if let Some(known) = self.contact_mut(list, contact) {
            known.type_codes = types;
            known.code = code;
        }
    }
}
