//! One simulated dialer: claims, draws results, settles, finishes. Between two calls it looks whether it is
//! told to stop; then it gives back what it holds and has not started, and settles the rest.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use outbound_core::machine::Category;

use super::calls::{Answer, Calls};
use super::random::Random;
use super::report::{Ended, Tally};
use super::{Plan, Shared};
use crate::database::Databases;
use crate::error::Failure;

/// Pause after a claim that found nothing, in real time.
const POLL: Duration = Duration::from_millis(200);

/// Pause while other dialers hold all that the limit leaves.
const WAIT_FOR_OTHERS: Duration = Duration::from_millis(5);

/// A dialer.
pub struct Dialer {
    name: String,
    random: Random,
    tally: Tally,
}

/// How a success ends.
#[derive(Debug, PartialEq)]
enum Afterwards<'p> {
    /// It waits for the campaign manager.
    Waits,
    /// It is finished, with or without a wrap-up code.
    Finished(Option<&'p str>),
    /// The agent plans a callback.
    CalledBack,
}

impl Dialer {
    /// A dialer of that name.
    #[must_use]
    pub fn new(name: String, random: Random) -> Self {
        Self {
            name,
            random,
            tally: Tally::default(),
        }
    }

    /// What it did.
    #[must_use]
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    /// Works until the work is over; says why it is.
    ///
    /// # Errors
    /// What the database refuses.
    pub async fn work(&mut self, databases: &Databases, shared: &Shared) -> Result<Ended, Failure> {
        let session = databases.connect().await?;
        let name = self.name.clone();
        let ended = match Calls::prepare(session.client(), &name).await {
            Ok(calls) => self.rounds(&calls, shared).await,
            Err(failure) => Err(failure),
        };
        session.close().await;
        ended
    }

    async fn rounds(&mut self, calls: &Calls<'_>, shared: &Shared) -> Result<Ended, Failure> {
        let plan = &shared.plan;
        loop {
            if let Some(ended) = shared.end() {
                return Ok(ended);
            }
            let batch = u64::try_from(plan.batch).unwrap_or(1);
            let wanted = shared.take(batch).await;
            if wanted == 0 {
                shared.pause(WAIT_FOR_OTHERS).await;
                continue;
            }
            let held = plan.clock.hold().await;
            let at = held.at();
            let done = self.round(calls, shared, wanted, at).await;
            drop(held);
            let (claimed, made) = done?;
            shared.made.fetch_add(made, Ordering::SeqCst);
            shared.give_back(wanted.saturating_sub(made)).await;
            if claimed > 0 {
                plan.clock.found();
                continue;
            }
            if plan.until_empty && plan.clock.is_idle() {
                return Ok(Ended::Empty);
            }
            if !plan.clock.nothing(at).await {
                shared.pause(POLL).await;
            }
        }
    }

    /// Claims once and ends what it got; returns how many it got, and how many attempts were made.
    async fn round(
        &mut self,
        calls: &Calls<'_>,
        shared: &Shared,
        wanted: u64,
        at: Option<SystemTime>,
    ) -> Result<(usize, u64), Failure> {
        let plan = &shared.plan;
        let n = i32::try_from(wanted).unwrap_or(plan.batch);
        let began = Instant::now();
        let claimed = calls.claim(&plan.campaign, n, at).await?;
        self.tally.claimed(claimed.len(), began.elapsed());
        if claimed.is_empty() {
            return Ok((0, 0));
        }
        if shared.end() == Some(Ended::Signal) {
            self.tally.gave_back(&calls.release(&claimed, at).await?);
            return Ok((claimed.len(), 0));
        }
        let mut made = 0;
        let mut attempts = claimed.clone();
        if plan.starts {
            let answers = calls.start(&claimed, at).await?;
            made += self.tally.started(&answers);
            attempts = answers
                .into_iter()
                .filter(|answer| answer.outcome == "started")
                .map(|answer| answer.attempt)
                .collect();
        }
        let results: Vec<Category> = attempts
            .iter()
            .map(|_| plan.odds.drawn(self.random.draw()))
            .collect();
        let began = Instant::now();
        let answers = calls.settle(&attempts, &results, plan.is_final, at).await?;
        self.tally.took_to_settle(began.elapsed());
        let of: HashMap<i64, Category> = attempts.into_iter().zip(results).collect();
        made += self.tally.settled(&answers, &of);
        if !plan.is_final {
            self.end_successes(calls, plan, &answers, &of, at).await?;
        }
        Ok((claimed.len(), made))
    }

    async fn end_successes(
        &mut self,
        calls: &Calls<'_>,
        plan: &Plan,
        answers: &[Answer],
        of: &HashMap<i64, Category>,
        at: Option<SystemTime>,
    ) -> Result<(), Failure> {
        let (mut finished, mut called_back) = (Vec::new(), Vec::new());
        for answer in answers {
            let reached = of.get(&answer.attempt) == Some(&Category::Success);
            if reached && answer.outcome == "settled" {
                match self.afterwards(plan) {
                    Afterwards::Waits => {}
                    Afterwards::Finished(code) => finished.push((answer.attempt, code)),
                    Afterwards::CalledBack => called_back.push(answer.attempt),
                }
            }
        }
        self.tally.finished(&calls.finish(&finished, at).await?);
        let planned = calls
            .call_back(&called_back, plan.callback_after, at)
            .await?;
        self.tally.called_back(&planned);
        Ok(())
    }

    fn afterwards<'p>(&mut self, plan: &'p Plan) -> Afterwards<'p> {
        if self.random.happens(plan.callback) {
            Afterwards::CalledBack
        } else if self.random.happens(plan.finish) {
            Afterwards::Finished(self.random.one_of(&plan.wrap_up).map(String::as_str))
        } else {
            Afterwards::Waits
        }
    }
}
