//! The command line: what can be typed, and which exit code an answer becomes. Data goes to
//! stdout, messages to stderr; `--json` makes the data one JSON document.

pub mod dial;
pub mod doctor;
pub mod import;
pub mod keys;
pub mod preview;
pub mod run;
pub mod serve;
pub mod suppress;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Failure;
use crate::report::{Outcome, RunReport};
use crate::settings::Settings;

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
3 some files failed, 4 skipped (job disabled or running), 75 failed for a cause that may pass, or interrupted.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one job now, in the foreground.
    Run(run::RunArgs),
    /// Take queued runs until told to stop (SIGTERM, SIGINT).
    Serve(serve::ServeArgs),
    /// Load a local file into a contact list.
    Import(import::ImportArgs),
    /// Show the first contacts that importing a local file would make; nothing changes in the database.
    Preview(preview::PreviewArgs),
    /// Put the units in a local file on a do-not-contact list.
    Suppress(suppress::SuppressArgs),
    /// Work a campaign with simulated dialers: for demonstrations, load and tests.
    Dial(Box<dial::DialArgs>),
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

/// Does what was asked and returns the exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let settings = cli.settings;
    let answer = match cli.command {
        Command::Run(args) => run::run(&settings, args).await,
        Command::Serve(args) => serve::serve(&settings, args).await,
        Command::Import(args) => import::import(&settings, args).await,
        Command::Preview(args) => preview::preview(&settings, args).await,
        Command::Suppress(args) => suppress::suppress(&settings, args).await,
        Command::Dial(args) => dial::dial(&settings, *args).await,
        Command::Keys(args) => keys::keys(&settings, args).await,
        Command::Doctor => doctor::doctor(&settings).await,
        Command::Completions { shell } => {
            // Into memory first: the generator panics when its reader goes away.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "outbound", &mut script);
            print(String::from_utf8_lossy(&script).trim_end());
            Ok(Outcome::Done)
        }
    };
    let outcome = answer.unwrap_or_else(|failure| {
        complain(&failure);
        if failure.retryable {
            Outcome::Temporary
        } else {
            Outcome::Failed
        }
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
    print(&if json {
        report.to_json()
    } else {
        report.to_string()
    });
    report.outcome()
}
