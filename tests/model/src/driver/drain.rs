//! Drains a fair history: everything is attempted in vain until nothing is left (P27).

use anyhow::Result;

use crate::history::{Event, Step};
use crate::model::settings::{Category, Time};

use super::{Disagreement, Run, disagree};

/// A day and a bit: more than any delay of a fair history.
const PAUSE: Time = 90_001;

impl Run<'_> {
    /// P27: with limits everywhere and time enough nobody stays callable.
    pub(super) async fn drain(&mut self, step: &Step, rounds: i64) -> Result<Option<Disagreement>> {
        let mut at = step.at;
        let lists: Vec<String> = self.world.lists.keys().cloned().collect();
        let campaigns: Vec<String> = self.world.campaigns.keys().cloned().collect();
        let revive = campaigns.iter().flat_map(|name| {
            [
                Event::RestoreCampaign { name: name.clone() },
                Event::StartCampaign { name: name.clone() },
            ]
        });
        let evaluate = lists.iter().map(|list| Event::Reevaluate {
            list: list.clone(),
            contact: None,
        });
        for event in revive.chain(evaluate).collect::<Vec<_>>() {
            at += 1;
            let step = Step { at, event };
            if self.world.is_possible(&step.event)
                && let Some(found) = self.compare(&step).await?
            {
                return Ok(Some(found));
            }
        }
        for _ in 0..rounds {
            at += PAUSE;
            // Contacts that were busy before were passed by when limits were evaluated.
            let lagging = |list: &String| {
                self.world
                    .lists
                    .get(list)
                    .is_some_and(|list| list.limits_changed)
            };
            let evaluate =
                lists
                    .iter()
                    .filter(|list| lagging(list))
                    .map(|list| Event::Reevaluate {
                        list: list.clone(),
                        contact: None,
                    });
            let duties: Vec<Event> = std::iter::once(Event::Maintain).chain(evaluate).collect();
            for event in duties {
                if let Some(found) = self.compare(&Step { at, event }).await? {
                    return Ok(Some(found));
                }
            }
            for campaign in &campaigns {
                at += 1;
                let from = self.world.attempts.len();
                let claim = Event::Claim {
                    campaign: campaign.clone(),
                    n: 1000,
                    dialer: "dialer 0".to_owned(),
                };
                if let Some(found) = self.compare(&Step { at, event: claim }).await? {
                    return Ok(Some(found));
                }
                let attempts: Vec<String> = (from..self.world.attempts.len())
                    .filter_map(|place| self.world.name_of(place))
                    .collect();
                if attempts.is_empty() {
                    continue;
                }
                at += 1;
                let results = vec![Category::Noanswer; attempts.len()];
                let settle = Event::Settle {
                    attempts,
                    results,
                    ended: false,
                    dialer: None,
                    twice: false,
                };
                if let Some(found) = self.compare(&Step { at, event: settle }).await? {
                    return Ok(Some(found));
                }
            }
            if self.left().is_none() {
                break;
            }
        }
        Ok(self.left().map(|why| disagree("P27", step, &why)))
    }

    /// A contact that is not done with.
    fn left(&self) -> Option<String> {
        self.rows.lists.iter().find_map(|(list, rows)| {
            let (id, contact) = rows
                .contacts
                .iter()
                .find(|(_, contact)| !matches!(contact.code, 'A' | 'U' | 'F'))?;
            Some(format!(
                "list {list} contact {id} is still {}",
                contact.code
            ))
        })
    }
}
