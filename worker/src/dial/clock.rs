//! The time that simulated dialers go by: the real one, or one that stands still while there is work and
//! moves on when there is none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{RwLock, RwLockReadGuard};

/// Time without any work after which a list counts as done: longer than the longest wait between two attempts
/// (a week).
const IDLE: Duration = Duration::from_secs(8 * 24 * 3600);

/// A clock.
#[derive(Debug)]
pub struct Clock {
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    now: RwLock<SystemTime>,
    tick: Duration,
    /// Seconds that passed since there last was work.
    idle: AtomicU64,
}

/// A moment at which a dialer works. A clock of one's own does not move meanwhile, so that no lease ends
/// between two calls.
#[derive(Debug)]
pub struct Held<'c> {
    own: Option<RwLockReadGuard<'c, SystemTime>>,
}

impl Held<'_> {
    /// The moment to tell the database; none: its own.
    #[must_use]
    pub fn at(&self) -> Option<SystemTime> {
        self.own.as_deref().copied()
    }
}

impl Clock {
    /// The real time.
    #[must_use]
    pub const fn real() -> Self {
        Self { own: None }
    }

    /// A clock that starts at a moment and moves by ticks.
    #[must_use]
    pub fn starting_at(moment: SystemTime, tick: Duration) -> Self {
        Self {
            own: Some(Own {
                now: RwLock::new(moment),
                tick,
                idle: AtomicU64::new(0),
            }),
        }
    }

    /// Holds the clock for one round of work.
    pub async fn hold(&self) -> Held<'_> {
        Held {
            own: match &self.own {
                Some(own) => Some(own.now.read().await),
                None => None,
            },
        }
    }

    /// There was work.
    pub fn found(&self) {
        if let Some(own) = &self.own {
            own.idle.store(0, Ordering::SeqCst);
        }
    }

    /// There was no work at that moment: moves on, unless another dialer did so already. Says whether work
    /// can be hoped for at once; the real time has to be waited for.
    pub async fn nothing(&self, at: Option<SystemTime>) -> bool {
        let Some(own) = &self.own else {
            return false;
        };
        let mut now = own.now.write().await;
        if Some(*now) == at {
            *now += own.tick;
            own.idle.fetch_add(own.tick.as_secs(), Ordering::SeqCst);
        }
        true
    }

    /// Whether what was not found will not be found later either.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.own
            .as_ref()
            .is_none_or(|own| own.idle.load(Ordering::SeqCst) >= IDLE.as_secs())
    }

    /// The moment it shows, where it is not the real one.
    pub async fn shown(&self) -> Option<SystemTime> {
        match &self.own {
            Some(own) => Some(*own.now.read().await),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_moves_when_there_is_nothing_to_do_and_only_then() {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH, HOUR);
        let at = clock.hold().await.at();
        assert_eq!(at, Some(SystemTime::UNIX_EPOCH));
        clock.found();
        assert_eq!(clock.hold().await.at(), at);
        assert!(clock.nothing(at).await);
        assert_eq!(clock.shown().await, Some(SystemTime::UNIX_EPOCH + HOUR));
        // Another dialer found nothing at the same moment.
        assert!(clock.nothing(at).await);
        assert_eq!(clock.shown().await, Some(SystemTime::UNIX_EPOCH + HOUR));
    }

    #[tokio::test]
    async fn it_stands_still_while_a_dialer_works() {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH, HOUR);
        let held = clock.hold().await;
        let moved = tokio::time::timeout(Duration::from_millis(20), clock.nothing(held.at()));
        assert!(moved.await.is_err());
        assert_eq!(held.at(), Some(SystemTime::UNIX_EPOCH));
    }

    #[tokio::test]
    async fn a_list_is_done_after_more_than_a_week_without_work() {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH, 24 * HOUR);
        for _ in 0..8 {
            assert!(!clock.is_idle());
            let at = clock.hold().await.at();
            clock.nothing(at).await;
        }
        assert!(clock.is_idle());
        clock.found();
        assert!(!clock.is_idle());
    }

    #[tokio::test]
    async fn the_real_time_is_the_databases() {
        let clock = Clock::real();
        assert_eq!(clock.hold().await.at(), None);
        assert!(!clock.nothing(None).await);
        assert!(clock.is_idle());
        assert_eq!(clock.shown().await, None);
    }
}
