//! The calls of the extension that a dialer uses, prepared once a connection. Each is a transaction of its
//! own; one that got in another's way is made again.

use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use outbound_core::machine::Category;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use crate::database::failure;
use crate::error::Failure;

/// How often a call is made again before it is a failure.
const MOST_TRIES: u32 = 20;

/// First pause before a call is made again; it grows with every try.
const PAUSE: Duration = Duration::from_millis(5);

/// Without a moment, the call goes by the database's time.
const CLAIM: &str = "SELECT c.* FROM outbound.claim($1, $2, $3, at => coalesce($4, now())) AS c";
const START: &str = "SELECT s.attempt_id, s.outcome \
     FROM outbound.start($1, dialer => $2, at => coalesce($3, now())) AS s";
const SETTLE: &str = "SELECT s.attempt_id, s.outcome \
     FROM outbound.settle($1, $2, NULL, $3, $4, coalesce($5, now())) AS s";
const RELEASE: &str = "SELECT r.attempt_id, r.outcome \
     FROM outbound.release($1, dialer => $2, at => coalesce($3, now())) AS r";
const FINISH: &str = "SELECT f.attempt_id, f.outcome \
     FROM outbound.finish($1, $2, at => coalesce($3, now())) AS f";
const CALL_BACK: &str = "SELECT s.attempt_id, s.outcome \
     FROM outbound.schedule_callback($1, coalesce($2, now()) + make_interval(secs => $3), at => coalesce($2, now())) AS s";

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The attempt.
    pub attempt: i64,
    /// What became of it.
    pub outcome: String,
}

/// The calls of one dialer on its connection.
pub struct Calls<'c> {
    client: &'c Client,
    dialer: &'c str,
    claim: Statement,
    start: Statement,
    settle: Statement,
    release: Statement,
    finish: Statement,
    call_back: Statement,
}

impl<'c> Calls<'c> {
    /// Prepares the calls.
    ///
    /// # Errors
    /// `database`
    pub async fn prepare(client: &'c Client, dialer: &'c str) -> Result<Self, Failure> {
        let prepare = |text: &'static str| async move {
            client
                .prepare(text)
                .await
                .map_err(|error| failure("the database knows no dialers", &error))
        };
        Ok(Self {
            client,
            dialer,
            claim: prepare(CLAIM).await?,
            start: prepare(START).await?,
            settle: prepare(SETTLE).await?,
            release: prepare(RELEASE).await?,
            finish: prepare(FINISH).await?,
            call_back: prepare(CALL_BACK).await?,
        })
    }

    /// Takes up to `n` attempts; returns their numbers.
    ///
    /// # Errors
    /// `database`
    pub async fn claim(
        &self,
        campaign: &str,
        n: i32,
        at: Option<SystemTime>,
    ) -> Result<Vec<i64>, Failure> {
        let doing = format!("cannot claim attempts of campaign \"{campaign}\"");
        let rows = self
            .call(&doing, &self.claim, &[&campaign, &n, &self.dialer, &at])
            .await?;
        read(&doing, &rows, |row| row.try_get("attempt_id"))
    }

    /// Starts attempts.
    ///
    /// # Errors
    /// `database`
    pub async fn start(
        &self,
        attempts: &[i64],
        at: Option<SystemTime>,
    ) -> Result<Vec<Answer>, Failure> {
        self.answers(
            "cannot start attempts",
            &self.start,
            &[&attempts, &self.dialer, &at],
        )
        .await
    }

    /// Settles attempts, each with its result.
    ///
    /// # Errors
    /// `database`
    pub async fn settle(
        &self,
        attempts: &[i64],
        results: &[Category],
        is_final: bool,
        at: Option<SystemTime>,
    ) -> Result<Vec<Answer>, Failure> {
        let results: Vec<&str> = results.iter().map(|category| category.as_str()).collect();
        self.answers(
            "cannot settle attempts",
            &self.settle,
            &[&attempts, &results, &is_final, &self.dialer, &at],
        )
        .await
    }

    /// Gives attempts back that will not be made.
    ///
    /// # Errors
    /// `database`
    pub async fn release(
        &self,
        attempts: &[i64],
        at: Option<SystemTime>,
    ) -> Result<Vec<Answer>, Failure> {
        self.answers(
            "cannot give attempts back",
            &self.release,
            &[&attempts, &self.dialer, &at],
        )
        .await
    }

    /// Finishes attempts that reached their contact, each for itself, with or without a wrap-up code.
    ///
    /// # Errors
    /// `database`
    pub async fn finish(
        &self,
        attempts: &[(i64, Option<&str>)],
        at: Option<SystemTime>,
    ) -> Result<Vec<Answer>, Failure> {
        let all = attempts.iter().map(|(attempt, code)| async move {
            self.answers(
                "cannot finish an attempt",
                &self.finish,
                &[attempt, code, &at],
            )
            .await
        });
        try_join_all(all).await.map(|answers| answers.concat())
    }

    /// Plans a callback with contacts that were reached, each for itself, `after` the present moment.
    ///
    /// # Errors
    /// `database`
    pub async fn call_back(
        &self,
        attempts: &[i64],
        after: Duration,
        at: Option<SystemTime>,
    ) -> Result<Vec<Answer>, Failure> {
        let seconds = after.as_secs_f64();
        let all = attempts.iter().map(|attempt| async move {
            self.answers(
                "cannot plan a callback",
                &self.call_back,
                &[attempt, &at, &seconds],
            )
            .await
        });
        try_join_all(all).await.map(|answers| answers.concat())
    }

    async fn answers(
        &self,
        doing: &str,
        statement: &Statement,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Answer>, Failure> {
        let rows = self.call(doing, statement, arguments).await?;
        read(doing, &rows, |row| {
            Ok(Answer {
                attempt: row.try_get(0)?,
                outcome: row.try_get(1)?,
            })
        })
    }

    /// Makes a call, again as long as another transaction is in its way. It changed nothing then; and would
    /// it have, attempts that have ended say so.
    async fn call(
        &self,
        doing: &str,
        statement: &Statement,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let mut tries = 1;
        loop {
            match self.client.query(statement, arguments).await {
                Ok(rows) => return Ok(rows),
                Err(error) if tries < MOST_TRIES && error.code().is_some_and(is_in_the_way) => {
                    tracing::debug!(%error, tries, "{doing}; trying again");
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Err(error) => return Err(failure(doing, &error)),
            }
        }
    }
}

/// Whether another transaction was in the way: the same call may succeed at once.
fn is_in_the_way(code: &SqlState) -> bool {
    [
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(&code)
}

fn read<T>(
    doing: &str,
    rows: &[Row],
    of: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<Vec<T>, Failure> {
    rows.iter()
        .map(of)
        .collect::<Result<Vec<T>, _>>()
        .map_err(|error| failure(doing, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_were_in_the_way_of_is_called_again() {
        assert!(is_in_the_way(&SqlState::from_code("40001")));
        assert!(is_in_the_way(&SqlState::from_code("40P01")));
        for code in ["57P01", "42501", "42704", "55P03"] {
            assert!(!is_in_the_way(&SqlState::from_code(code)), "{code}");
        }
    }
}
