//! The `outbound` command: reads the command line, sets up logging and the runtime, and turns the
//! answer into an exit code. Everything else is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use outbound_worker::cli::{self, Cli};
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            EnvFilter::try_from_env("OUTBOUND_LOG")
                .unwrap_or_else(|_| EnvFilter::new("warn,outbound_worker=info")),
        )
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let code = runtime.block_on(cli::run(cli));
    // A connection that hangs must not keep the process: what it was doing is fenced by the lease.
    runtime.shutdown_background();
    Ok(code)
}
