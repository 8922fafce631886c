//! The command line: what can be typed, and which exit code an answer becomes. Data goes to
//! stdout, messages to stderr; `--json` makes the data one JSON document.

pub mod doctor;
pub mod import;
pub mod keys;
pub mod run;
pub mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Failure;
use crate::report::RunReport;

/// Moves files between SFTP servers and the contact lists of pg_outbound.
#[derive(Debug, Parser)]
#[command(name = "outbound", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Settings that every command knows.
    #[command(flatten)]
    pub settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done (also when no file matched), 1 failed, 2 wrong usage, \
3 some files failed, 4 skipped (job disabled or running), 75 failed for a cause that may pass.";

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
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(path)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one job now, in the foreground.
    Run(run::RunArgs),
    /// Take queued runs until told to stop (SIGTERM, SIGINT).
    Serve(serve::ServeArgs),
    /// Load a local file into a contact list.
    Import(import::ImportArgs),
    /// Make or show the worker's keys.
    Keys(keys::KeysArgs),
    /// Check the set-up.
    Doctor,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How a command ended; becomes the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All went well.
    Done,
    /// It failed.
    Failed,
    /// Some files failed, others were loaded.
    Partial,
    /// The request was skipped.
    Skipped,
    /// It failed for a cause that may pass (`EX_TEMPFAIL`).
    Temporary,
}

impl Outcome {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Partial => 3,
            Self::Skipped => 4,
            Self::Temporary => 75,
        }
    }
}

/// Does what was asked and returns the exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let settings = cli.settings;
    let answer = match cli.command {
        Command::Run(args) => run::run(&settings, args).await,
        Command::Serve(args) => serve::serve(&settings, args).await,
        Command::Import(args) => import::import(&settings, args).await,
        Command::Keys(args) => keys::keys(&settings, args).await,
        Command::Doctor => doctor::doctor(&settings).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "outbound", &mut std::io::stdout());
            Ok(Outcome::Done)
        }
    };
    let outcome = answer.unwrap_or_else(|failure| {
        complain(&failure);
        if failure.retryable { Outcome::Temporary } else { Outcome::Failed }
    });
    ExitCode::from(outcome.code())
}

/// Writes a failure to stderr: what, the facts behind it, what to do.
fn complain(failure: &Failure) {
    eprintln!("outbound: {failure}");
    if let Some(detail) = &failure.detail {
        eprintln!("  detail: {detail}");
    }
    if let Some(hint) = &failure.hint {
        eprintln!("  hint: {hint}");
    }
}

/// Prints data; a reader that has gone away (`| head`) is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("stdout is closed");
    }
}

/// Prints the report of a run and says how it ended.
fn present(report: &RunReport, json: bool) -> Outcome {
    print(&if json { report.to_json() } else { report.to_string() });
    report.outcome()
}
