//! `outbound preview FILE --list NAME`: a dry run of the import that also shows the first contacts it would make
//! (contact-lists §2.1, Sample).

use super::import::{FileArgs, rules};
use super::present;
use crate::error::Failure;
use crate::report::Outcome;
use crate::run::Worker;
use crate::settings::Settings;
use crate::stop::Stop;

/// Arguments of `outbound preview`.
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// What would be imported.
    #[command(flatten)]
    pub what: FileArgs,
    /// How many contacts to show.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub rows: i32,
}

/// Shows what importing one local file would make.
///
/// # Errors
/// What kept the trial from starting; a file that would fail is a report, not an error.
pub async fn preview(settings: &Settings, args: PreviewArgs) -> Result<Outcome, Failure> {
    let worker = Worker::open(settings)?;
    let stop = Stop::listen()?;
    let report = worker
        .rehearse_local(&args.what.file, rules(&args.what)?, Some(args.rows), &stop)
        .await?;
    Ok(present(&report, settings.json))
}
