//! Settings that every command knows: where the database, the secrets and the spool are. Each is a flag
//! and an environment variable.

use std::path::PathBuf;

/// Settings that every command knows.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Database: a URL or libpq key words. What it leaves out comes from libpq's PG… variables.
    #[arg(long, global = true, env = "OUTBOUND_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// Folder of secrets: mode 0700, one file (mode 0600) a secret.
    #[arg(long, global = true, env = "OUTBOUND_SECRETS", default_value_os_t = home(".config/outbound/secrets"))]
    pub secrets: PathBuf,
    /// Private folder for files under way.
    #[arg(long, global = true, env = "OUTBOUND_SPOOL", default_value_os_t = home(".cache/outbound/spool"))]
    pub spool: PathBuf,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// A path below the user's home folder; below the present folder where there is none.
fn home(path: &str) -> PathBuf {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default()
        .join(path)
}
