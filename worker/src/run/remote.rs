//! The SFTP side of a run, on a thread of its own: the library blocks, and one session belongs to one
//! thread.

use std::sync::mpsc;
use std::thread;

use outbound_core::job::{Authentication, ConnectionRules};
use outbound_core::reason::Reason;
use tokio::sync::oneshot;

use crate::database::protocol::ServerDocument;
use crate::error::Failure;
use crate::keys;
use crate::secrets::Secrets;
use crate::sftp::{Connection, HostKey, Target};

/// How long one step of the server may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

type Act = Box<dyn FnOnce(&Connection) + Send>;

/// An open SFTP connection, reached from async code.
pub(super) struct Remote {
    acts: mpsc::Sender<Act>,
}

impl Remote {
    /// Connects and authenticates.
    pub(super) async fn open(target: Target) -> Result<(Self, HostKey), Failure> {
        let (acts, todo) = mpsc::channel::<Act>();
        let (opened, answer) = oneshot::channel();
        thread::Builder::new()
            .name("sftp".to_owned())
            .spawn(move || {
                let (connection, host_key) = match Connection::open(&target) {
                    Ok(open) => open,
                    Err(failure) => {
                        drop(opened.send(Err(failure)));
                        return;
                    }
                };
                if opened.send(Ok(host_key)).is_ok() {
                    for act in todo {
                        act(&connection);
                    }
                }
            })
            .map_err(|error| Failure::storage("cannot start the SFTP thread", &error))?;
        let host_key = answer.await.map_err(|_| thread_gone())??;
        Ok((Self { acts }, host_key))
    }

    /// Does something with the connection and waits for its answer.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (done, answer) = oneshot::channel();
        let act: Act = Box::new(move |connection| drop(done.send(act(connection))));
        self.acts.send(act).map_err(|_| thread_gone())?;
        answer.await.map_err(|_| thread_gone())?
    }
}

fn thread_gone() -> Failure {
    Failure::internal("the SFTP thread is gone")
}

/// The target that a job's rules, the server's entry and the secret folder make together.
pub(super) fn target(
    rules: &ConnectionRules,
    server: &ServerDocument,
    secrets: &Secrets,
) -> Result<Target, Failure> {
    let password = match (
        &rules.password_secret,
        rules.authentication.needs_password(),
    ) {
        (Some(name), true) => Some(secrets.read(name)?),
        (None, true) => {
            return Err(Failure::new(
                Reason::Rule,
                "the job authenticates with a password and names no password_secret",
            ));
        }
        (_, false) => None,
    };
    let private_key = match rules.authentication {
        Authentication::Password => None,
        Authentication::Key | Authentication::KeyAndPassword => Some(secrets.read(keys::SSH_KEY)?),
    };
    let pinned = server
        .host_key_fingerprint
        .as_deref()
        .map(outbound_core::address::parse_fingerprint)
        .transpose()
        .map_err(|error| {
            Failure::new(
                Reason::SftpHostkey,
                format!("the pinned host key of server \"{}\": {error}", server.name),
            )
        })?;
    Ok(Target {
        host: server.host.clone(),
        port: server.port,
        user: rules.user.clone(),
        authentication: rules.authentication,
        password,
        private_key,
        pinned,
        policy: server.host_key_policy,
        timeout: TIMEOUT,
        trace: rules.trace,
    })
}

/// The directory a job looks into: its own, starting from the server's unless it is absolute.
pub(super) fn directory(rules: &ConnectionRules, server: &ServerDocument) -> String {
    match (
        server
            .directory
            .as_deref()
            .unwrap_or_default()
            .trim_end_matches('/'),
        rules.directory.as_str(),
    ) {
        (_, own) if own.starts_with('/') => own.to_owned(),
        ("", own) => own.to_owned(),
        (base, "") => base.to_owned(),
        (base, own) => format!("{base}/{own}"),
    }
}
