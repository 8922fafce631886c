//! Makes a failing history short: steps are dropped as long as the same thing still fails.

use super::{Event, History, Step};

/// The shortest history found with which `fails` still says yes, within a number of tries.
pub async fn shrink<F>(history: History, tries: usize, mut fails: F) -> History
where
    F: AsyncFnMut(&History) -> bool,
{
    let mut best = history;
    let mut left = tries;
    let mut size = best.steps.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < best.steps.len() && left > 0 {
            let mut fewer = best.clone();
            fewer.steps.drain(from..(from + size).min(best.steps.len()));
            left -= 1;
            if fails(&fewer).await {
                best = fewer;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    for place in 0..best.steps.len() {
        for simpler in best.steps.get(place).map(simpler).unwrap_or_default() {
            if left == 0 {
                return best;
            }
            let mut other = best.clone();
            if let Some(step) = other.steps.get_mut(place) {
                *step = simpler;
            }
            left -= 1;
            if fails(&other).await {
                best = other;
                break;
            }
        }
    }
    best
}

/// The same step with less in it.
fn simpler(step: &Step) -> Vec<Step> {
    let events = match &step.event {
        Event::Contacts {
            list,
            contacts,
            update,
            ..
        } => (0..contacts.len())
            .map(|place| {
                let kept = contacts
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at == place)
                    .map(|(_, upload)| upload.clone());
                Event::Contacts {
                    list: list.clone(),
                    contacts: kept.collect(),
                    update: *update,
                    twice: false,
                }
            })
            .collect(),
        Event::Settle {
            attempts,
            results,
            ended,
            dialer,
            ..
        } => attempts
            .iter()
            .zip(results)
            .map(|(attempt, result)| Event::Settle {
                attempts: vec![attempt.clone()],
                results: vec![*result],
                ended: *ended,
                dialer: dialer.clone(),
                twice: false,
            })
            .collect(),
        Event::Commute { first, second } => vec![(**first).clone(), (**second).clone()],
        _ => Vec::new(),
    };
    events
        .into_iter()
        .filter(|event| *event != step.event)
        .map(|event| Step { at: step.at, event })
        .collect()
}
