//! Connections to the database.
//!
//! A worker needs several connections with the same settings: one for the run's own calls, two to
//! load a list, one to listen. [`Databases`] holds the settings, resolved once by libpq's own
//! conventions (see [`conninfo`]), and opens [`Session`]s from them. Every session resolves names
//! in `pg_catalog` only, so that nothing in another schema can take the place of a function or an
//! operator; whatever is ours is called by its full name (see [`protocol`]).

pub mod conninfo;
pub mod passfile;
pub mod protocol;
pub mod tls;

use std::error::Error as _;
use std::future::poll_fn;
use std::time::Duration;

use outbound_core::reason::Reason;
use postgres_openssl::MakeTlsConnector;
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Notification};

use crate::error::Failure;
use conninfo::{ConnectOptions, Endpoint};

/// SQLSTATE of calls for a try that no longer owns its run.
const NOT_OWNER: &str = "OB409";

/// SQLSTATE of a load whose list was dropped meanwhile.
const LIST_DROPPED: &str = "OB404";

/// SQLSTATE of a load whose new list was made by somebody else meanwhile.
const LIST_MADE: &str = "OB405";

/// Notifications that may wait. They are wake-up calls, so one too many can be dropped.
const WAITING_NOTIFICATIONS: usize = 64;

/// How long a connection that is given up may take to roll back.
const ROLLBACK_TIME: Duration = Duration::from_secs(30);

/// Opens connections with one set of settings.
#[derive(Debug, Clone)]
pub struct Databases {
    options: ConnectOptions,
}

/// One connection.
///
/// End it with [`close`](Self::close). When it is dropped instead, what it is doing at that moment
/// is cancelled, and its transaction is rolled back.
pub struct Session {
    client: Client,
    notifications: mpsc::Receiver<Notification>,
    cancel: Option<(CancelToken, MakeTlsConnector)>,
}

impl Databases {
    /// Takes the settings as resolved.
    pub fn new(options: ConnectOptions) -> Self {
        Self { options }
    }

    /// Opens a connection: each host in turn until one answers.
    ///
    /// # Errors
    ///
    /// `database`; retryable when the server cannot be reached or is not ready.
    pub async fn connect(&self) -> Result<Session, Failure> {
        let connector = tls::connector(&self.options)?;
        let mut first_failure = None;
        for endpoint in self.options.endpoints() {
            match self.connect_to(endpoint, &connector).await {
                Ok(session) => return Ok(session),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        Err(first_failure.unwrap_or_else(|| Failure::internal("no database host to connect to")))
    }

    async fn connect_to(
        &self,
        endpoint: &Endpoint,
        connector: &MakeTlsConnector,
    ) -> Result<Session, Failure> {
        let doing = format!("cannot connect to the database on {endpoint}");
        let mut first_error = None;
        for &tls_use in self.options.tls_uses(endpoint) {
            let config = self.options.config(endpoint, tls_use)?;
            let (client, connection) = match config.connect(connector.clone()).await {
                Ok(connected) => connected,
                Err(error) => {
                    let again = other_encryption_may_help(&error);
                    let error = first_error.get_or_insert(error);
                    if again {
                        continue;
                    }
                    return Err(failure(&doing, error));
                }
            };
            let (notify, notifications) = mpsc::channel(WAITING_NOTIFICATIONS);
            tokio::spawn(drive(connection, notify));
            client
                .batch_execute("SET search_path TO pg_catalog, pg_temp")
                .await
                .map_err(|error| failure(&doing, &error))?;
            let cancel = Some((client.cancel_token(), connector.clone()));
            return Ok(Session {
                client,
                notifications,
                cancel,
            });
        }
        Err(match first_error {
            Some(error) => failure(&doing, &error),
            None => Failure::internal(doing),
        })
    }
}

impl Session {
    /// For queries.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The next notification on a channel that this session listens on; `None` when the
    /// connection is lost.
    pub async fn notification(&mut self) -> Option<Notification> {
        self.notifications.recv().await
    }

    /// Ends the connection in good order.
    pub async fn close(mut self) {
        self.cancel = None;
    }

    /// Cancels what runs on this connection, rolls its transaction back and waits for that.
    pub async fn abort(mut self) {
        let Some((token, connector)) = self.cancel.take() else {
            return;
        };
        let ended = async {
            // When the request does not get through, the rollback waits for the statement.
            if let Err(error) = token.cancel_query(connector).await {
                tracing::debug!(%error, "cannot cancel a statement");
            }
            self.client.batch_execute("ROLLBACK").await
        };
        match tokio::time::timeout(ROLLBACK_TIME, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection was lost before its rollback"),
            Err(_) => tracing::warn!("a connection takes long to roll back and is left alone"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some((token, connector)) = self.cancel.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = token.cancel_query(connector).await {
                    tracing::debug!(%error, "cannot cancel a statement");
                }
            });
        }
    }
}

/// Runs statements without parameters and without an answer.
///
/// # Errors
///
/// `database`
pub async fn execute(client: &Client, statements: &str) -> Result<(), Failure> {
    client
        .batch_execute(statements)
        .await
        .map_err(|error| failure("the database refuses a statement", &error))
}

/// Moves a connection's bytes until it ends; passes notifications on and logs notices.
async fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    notify: mpsc::Sender<Notification>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => {
                // A full queue wakes its reader all the same.
                let _full = notify.try_send(notification);
            }
            Ok(AsyncMessage::Notice(notice)) => log_notice(&notice),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a database connection ended");
                return;
            }
        }
    }
}

fn log_notice(notice: &tokio_postgres::error::DbError) {
    let hint = notice.hint().unwrap_or_default();
    // A rollback to be on the safe side may find nothing to roll back.
    let harmless = *notice.code() == SqlState::NO_ACTIVE_SQL_TRANSACTION;
    if notice.severity() == "WARNING" && !harmless {
        tracing::warn!(hint, "{}", notice.message());
    } else {
        tracing::debug!(hint, "{}", notice.message());
    }
}

/// True for errors that may come from the choice of encryption: the handshake, or an access rule
/// of the server that asks for the other choice.
fn other_encryption_may_help(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(refused) => *refused.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        None => !error
            .source()
            .is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// What the database said, as a failure of what was being done ("cannot publish").
///
/// Reason `worker_lost` when the try no longer owns its run: the caller stops quietly;
/// `list_missing`, `list_exists` or `list_busy` when the list of a load is to blame. Otherwise
/// `database`, retryable when the connection, the server's state or another transaction is to
/// blame.
pub fn failure(doing: &str, error: &tokio_postgres::Error) -> Failure {
    let Some(said) = error.as_db_error() else {
        let mut message = format!("{doing}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            // Some errors print their cause themselves.
            let cause_text = cause.to_string();
            if !message.contains(&cause_text) {
                message.push_str(": ");
                message.push_str(&cause_text);
            }
            source = cause.source();
        }
        let connection = error.is_closed()
            || error
                .source()
                .is_some_and(|source| source.is::<std::io::Error>());
        let failure = Failure::new(Reason::Database, message);
        return if connection {
            failure.retryable()
        } else {
            failure
        };
    };
    let code = said.code().code();
    let reason = reason_of(code);
    let detail = match said.detail() {
        Some(detail) => format!("{detail} (SQLSTATE {code})"),
        None => format!("SQLSTATE {code}"),
    };
    Failure {
        reason,
        message: format!("{doing}: {}", said.message()),
        detail: Some(detail),
        hint: hint_of(code).or(said.hint()).map(str::to_owned),
        retryable: may_pass(code),
    }
}

/// What an SQLSTATE says about a run or a file.
fn reason_of(code: &str) -> Reason {
    match code {
        NOT_OWNER => Reason::WorkerLost,
        LIST_DROPPED => Reason::ListMissing,
        LIST_MADE => Reason::ListExists,
        _ if code == SqlState::LOCK_NOT_AVAILABLE.code() => Reason::ListBusy,
        _ => Reason::Database,
    }
}

/// A better hint than the server's, where what is missing is ours.
fn hint_of(code: &str) -> Option<&'static str> {
    let missing = [
        &SqlState::UNDEFINED_FUNCTION,
        &SqlState::INVALID_SCHEMA_NAME,
        &SqlState::UNDEFINED_TABLE,
    ];
    missing.iter().any(|state| state.code() == code).then_some(
        "run CREATE EXTENSION pg_outbound in this database, or bring worker and extension to the same version",
    )
}

/// Connection exceptions, lack of resources, operator intervention, and transactions that got in
/// each other's way.
fn may_pass(code: &str) -> bool {
    ["08", "53", "57P"]
        .iter()
        .any(|class| code.starts_with(class))
        || ["40001", "40P01", "55P03"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_pass_by_itself_is_tried_again() {
        for code in ["08006", "53300", "57P01", "57P03", "40001", "40P01"] {
            assert!(may_pass(code), "{code}");
        }
        for code in [
            "28P01", "3D000", "42501", "23505", "57014", "OB409", "OB500",
        ] {
            assert!(!may_pass(code), "{code}");
        }
    }

    #[test]
    fn a_list_that_others_hold_fails_the_file_and_not_the_run() {
        assert_eq!(reason_of("55P03"), Reason::ListBusy);
        assert_eq!(reason_of("OB404"), Reason::ListMissing);
        assert_eq!(reason_of("OB405"), Reason::ListExists);
        assert_eq!(reason_of("OB409"), Reason::WorkerLost);
        assert_eq!(reason_of("40P01"), Reason::Database);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_may_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "host={} user=nobody dbname=nothing",
            folder.path().display()
        );
        let options = ConnectOptions::resolve(Some(&text), &|_| None).unwrap();
        let failure = Databases::new(options).connect().await.err().unwrap();
        assert_eq!(failure.reason, Reason::Database);
        assert!(failure.retryable, "{failure}");
    }
}
