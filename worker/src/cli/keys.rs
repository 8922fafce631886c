//! `outbound keys`: makes the worker's two keys, and shows their public halves. The private halves
//! stay in the secret folder.

use super::print;
use crate::error::Failure;
use crate::keys as key_store;
use crate::report::Outcome;
use crate::run::Worker;
use crate::secrets::Secrets;
use crate::settings::Settings;
use serde_json::json;

/// Arguments of `outbound keys`.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    /// What to do with the keys.
    #[command(subcommand)]
    pub action: KeysAction,
}

/// What to do with the keys.
#[derive(Debug, clap::Subcommand)]
pub enum KeysAction {
    /// Make the SSH key pair (RSA 4096) and the OpenPGP certificate; what exists is left alone.
    Init {
        /// Name in the certificate's user id.
        #[arg(long, default_value = "outbound")]
        account: String,
    },
    /// Print a public key: ssh for SFTP servers, pgp for those who encrypt files for us.
    Show {
        /// Which key.
        kind: Kind,
    },
}

/// The two keys; they are separate and never stand in for one another (list-automation §2.2 F-10).
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    /// The SSH key pair.
    Ssh,
    /// The OpenPGP certificate.
    Pgp,
}

/// Makes or shows keys.
///
/// # Errors
/// The secret folder cannot be used, or keys exist already.
pub async fn keys(settings: &Settings, args: KeysArgs) -> Result<Outcome, Failure> {
    let secrets = Secrets::open(&settings.secrets)?;
    match args.action {
        KeysAction::Show { kind } => {
            let key = match kind {
                Kind::Ssh => key_store::ssh_public(&secrets)?,
                Kind::Pgp => key_store::pgp_public(&secrets)?,
            };
            print(&if settings.json {
                json!({"public_key": key.text, "fingerprint": key.fingerprint}).to_string()
            } else {
                key.text.trim_end().to_owned()
            });
        }
        KeysAction::Init { account } => {
            key_store::init(&secrets, &account)?;
            let (ssh, pgp) = (
                key_store::ssh_public(&secrets)?,
                key_store::pgp_public(&secrets)?,
            );
            print(&if settings.json {
                json!({"ssh": ssh.fingerprint, "pgp": pgp.fingerprint, "folder": settings.secrets})
                    .to_string()
            } else {
                format!(
                    "SSH key      {}\nOpenPGP key  {}\nin           {}",
                    ssh.fingerprint,
                    pgp.fingerprint,
                    settings.secrets.display()
                )
            });
            register(settings).await;
        }
    }
    Ok(Outcome::Done)
}

/// Makes the public halves known to the database, so that `outbound.public_key` shows them. Without a
/// database the next run does it.
async fn register(settings: &Settings) {
    let registered = async {
        let worker = Worker::open(settings)?;
        let session = worker.connect().await?;
        worker.register_keys(&session).await
    };
    if let Err(failure) = registered.await {
        tracing::warn!(%failure, "the public keys are not registered in the database yet; the next run does it");
    }
}
