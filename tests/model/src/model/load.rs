//! Lists and uploads (contact-lists §2.3, §7.2 R01-R03; list-automation §3.4 A-5).

use std::collections::BTreeSet;

use crate::history::{Column, Upload};

use super::settings::{Category, Kind, UnitType};
use super::{Contact, List, Record, World};

impl World {
    pub(super) fn make_list(&mut self, name: &str, close_if_all: bool, columns: &[Column]) {
        let made = List {
            close_if_all,
            columns: columns.to_vec(),
            ..List::default()
        };
        self.lists.insert(name.to_owned(), made);
    }

    /// Adds contacts; those that are there already are updated or left alone.
    pub(super) fn load(&mut self, name: &str, contacts: &[Upload], update: bool) {
        let mut taken = BTreeSet::new();
        for upload in contacts {
            if !taken.insert(&upload.id) {
                continue;
            }
            let Some(mut list) = self.lists.get(name).cloned() else {
                return;
            };
            let staged = self.stage_records(&list, upload);
            match list.contacts.get_mut(&upload.id) {
                None => {
                    let mut contact = Contact {
                        balance: upload.balance,
                        cells: upload.units.clone(),
                        code: 'F',
                        type_codes: ['F'; 3],
                        ..Contact::default()
                    };
                    for record in staged {
                        list.last_record += 1;
                        contact.records.push(Record {
                            id: list.last_record,
                            ..record
                        });
                    }
                    list.contacts.insert(upload.id.clone(), contact);
                }
                Some(contact) if update => {
                    contact.balance = upload.balance;
                    contact.cells.clone_from(&upload.units);
                    // Codes are derived anew only where they can differ: limits that were changed
                    // meanwhile do not take effect by an upload.
                    if !Self::replace_records(contact, staged, &mut list.last_record) {
                        self.lists.insert(name.to_owned(), list);
                        continue;
                    }
                }
                Some(_) => continue,
            }
            self.lists.insert(name.to_owned(), list);
            self.derive(name, &upload.id, false);
        }
    }

    /// The records of an upload, without numbers.
    fn stage_records(&self, list: &List, upload: &Upload) -> Vec<Record> {
        let cells = list
            .columns
            .iter()
            .enumerate()
            .filter_map(|(place, column)| Some((place, column, upload.units.get(&column.name)?)));
        cells
            .map(|(place, column, unit)| {
                let kind = match column.unit {
                    UnitType::ConversationId => self
                        .conversations
                        .get(unit)
                        .map(|conversation| conversation.kind),
                    _ => column.kind,
                };
                let invalid = unit.starts_with('x');
                Record {
                    id: 0,
                    column: place,
                    unit: unit.clone(),
                    unit_type: column.unit,
                    kind,
                    code: match kind {
                        None => 'P',
                        Some(_) if invalid => 'U',
                        Some(_) => 'C',
                    },
                    attempts: 0,
                    by_category: [0; 4],
                    scheduled_at: None,
                    last_at: None,
                    last_campaign: None,
                    last_dialog: None,
                    last_result: invalid.then_some(Category::Invalid),
                }
            })
            .collect()
    }

    /// the staged units replace those that the contact had; what stays keeps its history.
    /// Returns whether the contact's codes may be others now.
    fn replace_records(contact: &mut Contact, staged: Vec<Record>, last_record: &mut u64) -> bool {
        let kinds = |contact: &Contact| -> BTreeSet<(Option<Kind>, char, bool)> {
            let of = |record: &Record| (record.kind, record.code, record.succeeded());
            contact.records.iter().map(of).collect()
        };
        let planned = |contact: &Contact| -> Vec<u64> {
            let planned = contact
                .records
                .iter()
                .filter(|record| matches!(record.code, 'O' | 'S'));
            planned.map(|record| record.id).collect()
        };
        let before = (kinds(contact), planned(contact));
        let is_staged = |record: &Record| {
            staged
                .iter()
                .find(|new| new.unit == record.unit && new.unit_type == record.unit_type)
        };
        contact.records.retain(|record| {
            let system = matches!(
                record.last_result,
                Some(Category::Invalid | Category::Removed)
            );
            let goes = record.attempts == 0
                && !matches!(record.code, 'I' | 'Q')
                && (record.code != 'U' || system);
            is_staged(record).is_some() || !goes
        });
        for record in &mut contact.records {
            match is_staged(record) {
                None if record.attempts > 0 && matches!(record.code, 'C' | 'O' | 'S') => {
                    record.shut(Category::Removed)
                }
                Some(new)
                    if new.code == 'C'
                        && record.code == 'U'
                        && record.last_result == Some(Category::Removed) =>
                {
                    record.enter('C');
                    record.last_result = None;
                }
                // The conversation is there by now.
                Some(new) if new.code == 'C' && record.code == 'P' => {
                    record.enter('C');
                    record.kind = new.kind;
                    record.last_result = None;
                }
                _ => {}
            }
        }
        for new in staged {
            let known =
                |record: &Record| record.unit == new.unit && record.unit_type == new.unit_type;
            if !contact.records.iter().any(known) {
                *last_record += 1;
                contact.records.push(Record {
                    id: *last_record,
                    ..new
                });
            }
        }
        contact.count_by_type();
        before != (kinds(contact), planned(contact))
    }
}
