//! Simulated dialers. Each has a connection of its own, works as any dialer does — claim, start, settle,
//! finish or plan a callback — and decides nothing but the results, which it draws.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@self`] | all dialers of one command: started, told to stop, their reports added up |
//! | [`dialer`] | one dialer |
//! | [`calls`] | the calls of the extension |
//! | [`odds`], [`random`] | what is drawn |
//! | [`clock`] | the real time, or one that passes faster |
//! | [`report`] | what was done, and how long the calls took |

pub mod calls;
pub mod clock;
pub mod dialer;
pub mod odds;
pub mod random;
pub mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use self::clock::Clock;
use self::dialer::Dialer;
use self::odds::Odds;
use self::random::Random;
use self::report::{DialReport, Ended, Tally};
use crate::database::Databases;
use crate::database::conninfo::ConnectOptions;
use crate::error::Failure;
use crate::settings::Settings;
use crate::stop::Stop;

/// How often the progress is drawn again.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// What the dialers of one command do.
#[derive(Debug)]
pub struct Plan {
    /// The campaign.
    pub campaign: String,
    /// How many dialers.
    pub dialers: u16,
    /// Attempts claimed at once.
    pub batch: i32,
    /// Name they go by; none: host and process.
    pub name: Option<String>,
    /// Decides what is drawn.
    pub seed: u64,
    /// How often each result is drawn.
    pub odds: Odds,
    /// Whether attempts are started before they are settled.
    pub starts: bool,
    /// Whether successes need no end.
    pub is_final: bool,
    /// Share of the successes without a callback that are finished at once.
    pub finish: f64,
    /// Wrap-up codes to finish with.
    pub wrap_up: Vec<String>,
    /// Share of the successes that end with a callback.
    pub callback: f64,
    /// Time until such a callback is due.
    pub callback_after: Duration,
    /// End after so many attempts.
    pub limit: Option<u64>,
    /// End when nothing is left.
    pub until_empty: bool,
    /// End after this time.
    pub seconds: Option<Duration>,
    /// The time to go by.
    pub clock: Clock,
}

impl Plan {
    /// Whether the work ends by itself.
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.limit.is_some() || self.until_empty || self.seconds.is_some()
    }
}

/// What the dialers of one command share.
#[derive(Debug)]
pub struct Shared {
    plan: Plan,
    deadline: Option<Instant>,
    /// Attempts that may still be claimed; `None` without a limit.
    budget: Option<Mutex<u64>>,
    /// Attempts that ended with a result.
    made: AtomicU64,
    /// Told to stop, or another dialer failed.
    stopping: AtomicBool,
    wake: Notify,
}

impl Shared {
    fn new(plan: Plan) -> Self {
        Self {
            deadline: plan.seconds.map(|length| Instant::now() + length),
            budget: plan.limit.map(Mutex::new),
            plan,
            made: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// Whether the work is over, whatever there is still to do.
    fn end(&self) -> Option<Ended> {
        if self.stopping.load(Ordering::SeqCst) {
            Some(Ended::Signal)
        } else if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            Some(Ended::Time)
        } else if self
            .plan
            .limit
            .is_some_and(|limit| self.made.load(Ordering::SeqCst) >= limit)
        {
            Some(Ended::Limit)
        } else {
            None
        }
    }

    /// Takes what one claim may ask for from the budget.
    async fn take(&self, wanted: u64) -> u64 {
        let Some(budget) = &self.budget else {
            return wanted;
        };
        let mut left = budget.lock().await;
        let taken = wanted.min(*left);
        *left -= taken;
        taken
    }

    /// Puts back what did not become an attempt.
    async fn give_back(&self, unused: u64) {
        if let Some(budget) = &self.budget {
            *budget.lock().await += unused;
        }
    }

    /// Waits, but no longer than until the work is over.
    async fn pause(&self, length: Duration) {
        let until = self.deadline.map_or(length, |deadline| {
            length.min(deadline.saturating_duration_since(Instant::now()))
        });
        let woken = self.wake.notified();
        if !self.stopping.load(Ordering::SeqCst) {
            tokio::select! { () = tokio::time::sleep(until) => {}, () = woken => {} }
        }
    }
}

/// Lets all dialers work, and adds up what they did. When one fails, the others end what they hold; the
/// failure comes with the report.
///
/// # Errors
/// What is wrong with the set-up.
pub async fn dial_all(
    settings: &Settings,
    plan: Plan,
    stop: &Stop,
) -> Result<(DialReport, Option<Failure>), Failure> {
    let databases = Databases::new(ConnectOptions::from_environment(
        settings.database.as_deref(),
    )?);
    let shared = Arc::new(Shared::new(plan));
    let began = Instant::now();
    let mut dialers = JoinSet::new();
    for number in 1..=shared.plan.dialers {
        let (databases, shared) = (databases.clone(), Arc::clone(&shared));
        dialers.spawn(async move {
            let mut dialer = Dialer::new(
                name_of(&shared.plan, number),
                random_of(&shared.plan, number),
            );
            let ended = dialer.work(&databases, &shared).await;
            (dialer.into_tally(), ended)
        });
    }
    let progress = progress();
    let mut tally = Tally::default();
    let mut ended = None;
    let mut first_failure = None;
    let mut told = false;
    loop {
        let next = tokio::select! {
            next = dialers.join_next() => next,
            () = tokio::time::sleep(DRAW_EVERY), if !progress.is_hidden() => {
                draw(&progress, &shared, began);
                continue;
            }
            _ = stop.told(), if !told => {
                told = true;
                shared.stop();
                continue;
            }
        };
        match next {
            Some(Ok((done, end))) => {
                tally.add(&done);
                match end {
                    Ok(end) => ended = ended.or(Some(end)),
                    Err(failure) => {
                        first_failure = first_failure.or(Some(failure));
                        shared.stop();
                    }
                }
            }
            Some(Err(error)) => {
                let failure = Failure::internal(format!("a dialer broke down: {error}"));
                first_failure = first_failure.or(Some(failure));
                shared.stop();
            }
            None => break,
        }
    }
    progress.finish_and_clear();
    let ended = match (&first_failure, ended) {
        (Some(_), _) | (None, None) => Ended::Failure,
        (None, Some(_)) if told => Ended::Signal,
        (None, Some(end)) => end,
    };
    let report = tally.report(&shared.plan, ended, began.elapsed()).await;
    Ok((report, first_failure))
}

/// Under which name a dialer goes.
fn name_of(plan: &Plan, number: u16) -> String {
    let name = plan.name.clone().unwrap_or_else(|| {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        format!("{host}:{}", std::process::id())
    });
    format!("{name}/{number}")
}

/// Each dialer draws for itself, so that one does not change what another draws.
fn random_of(plan: &Plan, number: u16) -> Random {
    Random::new(plan.seed, u64::from(number))
}

/// A line that is drawn on a terminal, and nowhere else.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, shared: &Shared, began: Instant) {
    let made = shared.made.load(Ordering::SeqCst);
    let seconds = began.elapsed().as_secs_f64().max(f64::EPSILON);
    #[allow(clippy::cast_precision_loss, reason = "shown, not counted with")]
    let rate = made as f64 / seconds;
    bar.set_message(format!("{made} attempts, {rate:.0} a second"));
    bar.tick();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(limit: Option<u64>) -> Plan {
        Plan {
            campaign: "spring".to_owned(),
            dialers: 1,
            batch: 100,
            name: Some("test".to_owned()),
            seed: 1,
            odds: Odds::usual(),
            starts: false,
            is_final: false,
            finish: 1.0,
            wrap_up: Vec::new(),
            callback: 0.0,
            callback_after: Duration::from_secs(60),
            limit,
            until_empty: false,
            seconds: None,
            clock: Clock::real(),
        }
    }

    #[tokio::test]
    async fn no_more_is_claimed_than_the_limit_leaves() {
        let shared = Shared::new(plan(Some(150)));
        assert_eq!(shared.take(100).await, 100);
        assert_eq!(shared.take(100).await, 50);
        assert_eq!(shared.take(100).await, 0);
        shared.give_back(30).await;
        assert_eq!(shared.take(100).await, 30);
        assert_eq!(shared.end(), None);
        shared.made.store(150, Ordering::SeqCst);
        assert_eq!(shared.end(), Some(Ended::Limit));
        assert_eq!(Shared::new(plan(None)).take(100).await, 100);
    }

    #[tokio::test]
    async fn nobody_waits_on_once_told_to_stop() {
        let shared = Arc::new(Shared::new(plan(None)));
        let waiting = Arc::clone(&shared);
        let pause = tokio::spawn(async move { waiting.pause(Duration::from_secs(600)).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        shared.stop();
        tokio::time::timeout(Duration::from_secs(5), pause)
            .await
            .unwrap()
            .unwrap();
        shared.pause(Duration::from_secs(600)).await;
        assert_eq!(shared.end(), Some(Ended::Signal));
    }

    #[test]
    fn dialers_go_by_one_name_and_a_number() {
        assert_eq!(name_of(&plan(None), 2), "test/2");
    }
}
