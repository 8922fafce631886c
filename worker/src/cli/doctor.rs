//! `outbound doctor`: looks at everything a worker needs and says what is wrong and what to do, without
//! changing anything.

use std::cmp::Ordering;

use serde_json::json;

use super::print;
use crate::database::conninfo::ConnectOptions;
use crate::database::protocol::Protocol;
use crate::database::{Databases, Session};
use crate::error::Failure;
use crate::keys as key_store;
use crate::report::Outcome;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::sftp;
use crate::spool::Spool;
use outbound_core::reason::Reason;
use std::io::Write;

/// Locks that one statement over all lists may need, for each list: two tables and their indexes.
const LOCKS_PER_LIST: i64 = 6;

/// One thing that was looked at.
struct Check {
    name: &'static str,
    result: Result<String, Failure>,
}

/// Checks the set-up.
///
/// # Errors
/// Never; what is wrong is printed and makes the exit code 1.
pub async fn doctor(settings: &Settings) -> Result<Outcome, Failure> {
    let mut checks = database_checks(settings).await;
    checks.push(Check {
        name: "ssh key",
        result: key(settings, key_store::ssh_public),
    });
    checks.push(Check {
        name: "pgp key",
        result: key(settings, key_store::pgp_public),
    });
    checks.push(Check {
        name: "libssh2",
        result: Ok(sftp::library_version()),
    });
    checks.push(Check {
        name: "spool",
        result: spool(settings),
    });
    let well = checks.iter().all(|check| check.result.is_ok());
    if settings.json {
        let list: Vec<_> = checks
            .iter()
            .map(|check| match &check.result {
                Ok(said) => json!({"check": check.name, "ok": true, "said": said}),
                Err(failure) => json!({"check": check.name, "ok": false, "said": failure.to_string(), "hint": failure.hint}),
            })
            .collect();
        print(&json!({"ok": well, "checks": list}).to_string());
    } else {
        for check in &checks {
            print(&match &check.result {
                Ok(said) => format!("ok    {:<10} {said}", check.name),
                Err(failure) => match &failure.hint {
                    Some(hint) => format!(
                        "FAIL  {:<10} {failure}\n      {:<10} {hint}",
                        check.name, ""
                    ),
                    None => format!("FAIL  {:<10} {failure}", check.name),
                },
            });
        }
    }
    Ok(if well { Outcome::Done } else { Outcome::Failed })
}

/// Whether the database can be reached, has the extension of this version, and lets us work.
async fn database_checks(settings: &Settings) -> Vec<Check> {
    let connected = match ConnectOptions::from_environment(settings.database.as_deref()) {
        Ok(options) => Databases::new(options).connect().await,
        Err(failure) => Err(failure),
    };
    let session = match connected {
        Ok(session) => session,
        Err(failure) => {
            return vec![Check {
                name: "database",
                result: Err(failure),
            }];
        }
    };
    let mut checks = vec![server_check(&session).await];
    let worker_version = env!("CARGO_PKG_VERSION");
    checks.push(Check {
        name: "versions",
        result: match Protocol::new(session.client()).extension_version().await {
            Ok(version) if version == worker_version => {
                Ok(format!("extension and worker are both {version}"))
            }
            Ok(version) => Err(Failure::new(
                Reason::Database,
                format!("the extension is {version} and the worker is {worker_version}"),
            )
            .with_hint(match numbers(&version).cmp(&numbers(worker_version)) {
                Ordering::Less => {
                    "upgrade the extension: make install, then ALTER EXTENSION pg_outbound UPDATE"
                }
                Ordering::Greater => "upgrade the worker",
                Ordering::Equal => "bring worker and extension to the same version",
            })),
            Err(failure) => Err(failure
                .with_hint("CREATE EXTENSION pg_outbound, and GRANT outbound_worker to this role")),
        },
    });
    checks.push(rights_check(&session).await);
    let locks = session
        .client()
        .query_one(
            "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'outbound_list') \
             AND relkind = 'r') / 2, current_setting('max_locks_per_transaction')::bigint * current_setting('max_connections')::bigint",
            &[],
        )
        .await;
    checks.push(Check {
        name: "locks",
        result: match locks.map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))) {
            Ok((lists, room)) if lists * LOCKS_PER_LIST <= room => Ok(format!("{lists} lists, room for {room} locks")),
            Ok((lists, room)) => Err(Failure::new(
                Reason::Database,
                format!("a query over all {lists} lists may need more than the {room} locks there is room for"),
            )
            .with_hint("raise max_locks_per_transaction")),
            Err(error) => Err(crate::database::failure("cannot count the lists", &error)),
        },
    });
    checks
}

/// Whether our role may take runs.
async fn rights_check(session: &Session) -> Check {
    let asked = session
        .client()
        .query_one(
            "SELECT has_function_privilege('outbound.claim_run(text,bigint,interval,timestamptz)', 'EXECUTE'), current_user::text, \
             format('GRANT outbound_worker TO %I', current_user)",
            &[],
        )
        .await
        .and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
    let result: Result<(bool, String, String), _> = asked;
    Check {
        name: "rights",
        result: match result {
            Ok((true, role, _)) => Ok(format!("{role} may take runs")),
            Ok((false, role, grant)) => Err(Failure::new(
                Reason::Database,
                format!("role {role} may not take runs"),
            )
            .with_hint(grant)),
            Err(error) => Err(crate::database::failure(
                "cannot ask whether this role may take runs",
                &error,
            )
            .with_hint("CREATE EXTENSION pg_outbound, and GRANT outbound_worker to this role")),
        },
    }
}

/// The numbers of a version, in order: 0.10.1 comes after 0.9.2.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|sign: char| !sign.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Which server answered, and as whom we are known there.
async fn server_check(session: &Session) -> Check {
    let asked = session
        .client()
        .query_one("SELECT format('%s as %s, PostgreSQL %s', current_database(), current_user, current_setting('server_version'))", &[])
        .await;
    Check {
        name: "database",
        result: asked
            .and_then(|row| row.try_get(0))
            .map_err(|error| crate::database::failure("cannot ask the database", &error)),
    }
}

fn key(
    settings: &Settings,
    read: fn(&Secrets) -> Result<key_store::PublicKey, Failure>,
) -> Result<String, Failure> {
    let secrets = Secrets::open(&settings.secrets)?;
    read(&secrets).map(|key| format!("{}, private", key.fingerprint))
}

/// Whether the spool can be written.
fn spool(settings: &Settings) -> Result<String, Failure> {
    let spool = Spool::open(&settings.spool)?;
    spool
        .create("doctor")?
        .write_all(b"written by outbound doctor")
        .map_err(|error| Failure::storage("cannot write to the spool", &error))?;
    Ok(format!(
        "{}, private and writable",
        settings.spool.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("0.10.0") > numbers("0.9.2"));
        assert!(numbers("1.0.0") > numbers("0.99.99"));
        assert_eq!(numbers("0.1.0"), numbers("0.1.0"));
    }
}
