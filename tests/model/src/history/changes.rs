//! Random changes of what dialers work on: contacts, do-not-contact lists, conversations, campaigns.

use crate::model::World;
use crate::model::settings::Kind;

use super::generate::Generator;
use super::setup::{self, Units};
use super::{Event, Upload};

impl Generator {
    /// New contacts, known ones again, and known ones with more or fewer units.
    pub(super) fn upload(&mut self, world: &World) -> Option<Event> {
        let (list, _, _) = self.someone(world)?;
        let of = world.lists.get(&list)?;
        let mut units = Units::after(self.units);
        let mut contacts = Vec::new();
        for _ in 0..=self.random.below(3) {
            let number = self.random.below(of.contacts.len() + 3);
            // A closed contact stays closed, whatever it gets (§16 Q15).
            let closed: Vec<&String> = of
                .contacts
                .iter()
                .filter(|(_, contact)| contact.code == 'U')
                .map(|(id, _)| id)
                .collect();
            let id = match self.random.pick(&closed) {
                Some(id) if self.random.chance(60) => (*id).clone(),
                _ => format!("c{number:02}"),
            };
            if contacts.iter().any(|upload: &Upload| upload.id == id) && self.random.chance(70) {
                continue;
            }
            let mut made = setup::upload(&mut self.random, &id, &of.columns, &mut units);
            if let Some(known) = of.contacts.get(&id) {
                for record in &known.records {
                    let column = &of.columns.get(record.column)?.name;
                    if self.random.chance(85) {
                        made.units.insert(column.clone(), record.unit.clone());
                    }
                }
            }
            contacts.push(made);
        }
        self.units += 100;
        contacts.retain(|upload: &Upload| has_no_unit_twice(upload));
        Some(Event::Contacts {
            list,
            contacts,
            update: self.random.chance(60),
            twice: self.random.chance(25),
        })
    }

    pub(super) fn suppress(&mut self, world: &World) -> Option<Event> {
        let names: Vec<&String> = world.suppression.keys().collect();
        let name = (*self.random.pick(&names)?).clone();
        let (list, contact, unit) = self.someone(world)?;
        let record = world.contact(&list, &contact)?.record_of(&unit?)?;
        let units = vec![
            Some(record)
                .filter(|record| !record.unit.starts_with('x'))?
                .unit
                .clone(),
        ];
        Some(if self.random.chance(70) {
            Event::Suppress { name, units }
        } else {
            Event::Unsuppress { name, units }
        })
    }

    /// A conversation appears, perhaps from another inbox than before, changes, or goes.
    pub(super) fn conversation(&mut self, world: &World) -> Option<Event> {
        let id = format!("v{}", self.random.below(5));
        let known = world
            .conversations
            .get(&id)
            .map(|conversation| conversation.kind);
        if known.is_some() && self.random.chance(40) {
            return Some(Event::DropConversation { id });
        }
        let kind = known.or_else(|| self.random.pick(&Kind::ALL).copied())?;
        let status = (*self
            .random
            .pick(&["open", "pending", "resolved", "snoozed"])?)
        .to_owned();
        Some(Event::Conversation { id, kind, status })
    }

    pub(super) fn switch(&mut self, world: &World) -> Option<Event> {
        let names: Vec<&String> = world.campaigns.keys().collect();
        let name = (*self.random.pick(&names)?).clone();
        Some(match world.campaigns.get(&name)?.state {
            "deleted" => Event::RestoreCampaign { name },
            "off" if self.random.chance(90) => Event::StartCampaign { name },
            "active" if self.random.chance(45) => Event::StopStart { name },
            "active" if self.random.chance(80) => Event::StopCampaign { name },
            _ => Event::DeleteCampaign { name },
        })
    }
}

/// Whether no unit stands in two cells: which of them counts is tested elsewhere.
fn has_no_unit_twice(upload: &Upload) -> bool {
    let mut units: Vec<&String> = upload.units.values().collect();
    units.sort();
    units.windows(2).all(|pair| pair.first() != pair.last())
}
