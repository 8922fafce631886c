//! What a run did, for people and for programs. A dry run's report is made by the same code from the
//! same answers, so that it equals the one of the real run.

mod sample;

use std::collections::BTreeMap;
use std::fmt;

use outbound_core::reason::Reason;
use serde::Serialize;

use crate::database::protocol::{FinishedRun, Published, RunStatus, Sample};
use crate::error::Failure;
use crate::load::Timings;

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
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Partial => 3,
            Self::Skipped => 4,
            Self::Temporary => 75,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Number of the run.
    pub run_id: i64,
    /// Name of the job; none for a local file.
    pub job: Option<String>,
    /// Whether everything was undone.
    pub dry_run: bool,
    /// `success`, `no_match`, `partial`, `failure` or `skipped`.
    pub result: String,
    /// Stable code.
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
    /// The facts behind the message.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Files that were taken, or why they were not; names that do not match are left out.
    pub files: Vec<FileReport>,
    /// Seconds: the whole run, and the stages of all its files. Stages overlap.
    pub seconds: Seconds,
    /// Whether the failure may pass by itself.
    #[serde(skip)]
    pub retryable: bool,
}

/// What became of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name, safe to print.
    pub name: String,
    /// `imported`, `disposed`, `skipped` or `failed`.
    pub decision: String,
    /// Stable code for a file that was skipped or failed.
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
    /// The facts behind the message.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Counts of an imported file.
    #[serde(flatten)]
    pub published: Option<Published>,
    /// The first contacts it made, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// Refused rows and reports by reason code.
    pub reasons: BTreeMap<String, u64>,
    /// Who signed it.
    pub signed_by: Option<String>,
    /// What became of the remote file: `deleted`, `moved`, `left` or `gone`.
    pub outcome: Option<String>,
    /// Where it was moved to.
    pub moved_to: Option<String>,
}

/// Seconds a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// From the claim to the end.
    pub total: f64,
    /// Fetching over SFTP.
    pub fetch: f64,
    /// Reading and decrypting.
    pub source: f64,
    /// Character set and format.
    pub decode: f64,
    /// Rules, duplicates, encoding.
    pub check: f64,
    /// COPY of both tables.
    pub copy: f64,
    /// Keys and indexes of both tables.
    pub index: f64,
    /// The publishing transaction.
    pub publish: f64,
}

impl Seconds {
    /// Adds the stages of one file's load.
    pub(crate) fn add(&mut self, stages: &Timings) {
        self.source += stages.source.as_secs_f64();
        self.decode += stages.decode.as_secs_f64();
        self.check += stages.check.as_secs_f64();
        self.copy += stages.copy.as_secs_f64();
        self.index += stages.index.as_secs_f64();
    }
}

impl FileReport {
    /// A file that was left alone, or failed.
    pub(crate) fn refused(
        name: String,
        decision: &str,
        reason: Option<String>,
        message: Option<String>,
    ) -> Self {
        Self {
            name,
            decision: decision.to_owned(),
            reason,
            message,
            ..Self::default()
        }
    }

    /// A file that failed.
    pub(crate) fn failed(name: String, why: &Failure) -> Self {
        Self {
            detail: why.detail.clone(),
            hint: why.hint.clone(),
            ..Self::refused(
                name,
                "failed",
                Some(why.reason.code().to_owned()),
                Some(why.message.clone()),
            )
        }
    }
}

impl RunReport {
    /// The report of a run that this worker carried out.
    pub(crate) fn of_run(
        run_id: i64,
        job: Option<String>,
        dry_run: bool,
        finished: FinishedRun,
        files: Vec<FileReport>,
        seconds: Seconds,
    ) -> Self {
        Self {
            run_id,
            job,
            dry_run,
            result: finished.result,
            reason: finished.reason,
            message: finished.message,
            detail: finished.detail,
            hint: finished.hint,
            files,
            seconds,
            retryable: false,
        }
    }

    /// The report of a run that another worker carried out, or nobody.
    #[must_use]
    pub fn of_status(status: &RunStatus) -> Self {
        Self {
            run_id: status.run_id,
            job: status.job.clone(),
            dry_run: false,
            result: status.result.clone().unwrap_or_default(),
            reason: status.reason.clone(),
            message: status.message.clone(),
            detail: None,
            hint: None,
            files: Vec::new(),
            seconds: Seconds::default(),
            retryable: false,
        }
    }

    /// How it ended, for the exit code.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.result.as_str() {
            "success" | "no_match" => Outcome::Done,
            // Those who stopped it know that it has more to do.
            "partial" if self.reason.as_deref() == Some(Reason::Interrupted.code()) => {
                Outcome::Temporary
            }
            "partial" => Outcome::Partial,
            "skipped" => Outcome::Skipped,
            _ if self.retryable => Outcome::Temporary,
            _ => Outcome::Failed,
        }
    }

    /// One JSON document on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"result\":\"internal\",\"message\":\"{error}\"}}"))
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self
            .job
            .as_ref()
            .map_or_else(|| "import".to_owned(), |job| format!("job \"{job}\""));
        let trial = if self.dry_run {
            ", dry run: nothing was changed"
        } else {
            ""
        };
        write!(
            f,
            "{what}, run {}: {} in {:.1} s{trial}",
            self.run_id, self.result, self.seconds.total
        )?;
        if let Some(reason) = &self.reason {
            write!(f, "\n  reason    {reason}")?;
        }
        // Of a success the files below say the same, and more.
        if let Some(message) = self.message.as_ref().filter(|_| self.result != "success") {
            write!(f, "\n  message   {message}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, "\n  detail    {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint      {hint}")?;
        }
        for file in &self.files {
            write!(f, "\n  {:<9} {}", file.decision, file.name)?;
            if let Some(reason) = &file.reason {
                write!(f, " ({reason})")?;
            }
            if let Some(detail) = &file.detail {
                write!(f, "\n            detail: {detail}")?;
            }
            if let Some(hint) = &file.hint {
                write!(f, "\n            hint: {hint}")?;
            }
            if let Some(p) = file.published.as_ref().filter(|p| p.table.is_none()) {
                write!(
                    f,
                    "\n            {} rows: {} added, {} duplicates, {} rejected; {} units added, {} removed; do-not-contact list \"{}\"",
                    p.rows_read,
                    p.added,
                    p.duplicates,
                    p.rejected,
                    p.records_added,
                    p.records_removed,
                    p.list
                )?;
            } else if let Some(p) = &file.published {
                write!(
                    f,
                    "\n            {} rows: {} added, {} updated ({} unchanged), {} duplicates, {} rejected; {} records; list \"{}\"",
                    p.rows_read,
                    p.added,
                    p.updated,
                    p.unchanged,
                    p.duplicates,
                    p.rejected,
                    p.records_added,
                    p.list
                )?;
            }
            if let Some(sample) = &file.sample {
                write!(f, "{sample}")?;
            }
            if !file.reasons.is_empty() {
                let list: Vec<String> = file
                    .reasons
                    .iter()
                    .map(|(reason, count)| format!("{reason} {count}"))
                    .collect();
                write!(f, "\n            reported: {}", list.join(", "))?;
            }
            match (&file.outcome, &file.moved_to) {
                (Some(outcome), Some(path)) => {
                    write!(f, "\n            the remote file was {outcome} to {path}")?
                }
                (Some(outcome), None) if outcome != "left" => {
                    write!(f, "\n            the remote file was {outcome}")?
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ended(result: &str, failure: &Failure) -> RunReport {
        let finished = FinishedRun {
            result: result.to_owned(),
            reason: Some(failure.reason.code().to_owned()),
            message: Some(failure.message.clone()),
            detail: failure.detail.clone(),
            hint: failure.hint.clone(),
        };
        let files = vec![FileReport::failed("in.csv".to_owned(), failure)];
        let mut report = RunReport::of_run(7, None, false, finished, files, Seconds::default());
        report.retryable = failure.retryable;
        report
    }

    #[test]
    fn detail_and_hint_of_run_and_file_are_shown_to_people_and_programs() {
        let failure = Failure::new(Reason::PgpNoKey, "no key of ours")
            .with_detail("encrypted for 1234")
            .with_hint("send them our key");
        let report = ended("failure", &failure);
        let text = report.to_string();
        for line in [
            "\n  detail    encrypted for 1234",
            "\n  hint      send them our key",
            "\n            detail: encrypted for 1234",
            "\n            hint: send them our key",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        for place in [&json, &json["files"][0]] {
            assert_eq!(place["detail"], "encrypted for 1234");
            assert_eq!(place["hint"], "send them our key");
        }
    }

    #[test]
    fn an_interrupted_run_may_be_tried_again_also_when_some_files_were_loaded() {
        let interrupted = Failure::new(Reason::Interrupted, "told to stop").retryable();
        for result in ["failure", "partial"] {
            assert_eq!(ended(result, &interrupted).outcome(), Outcome::Temporary);
        }
        let refused = Failure::new(Reason::HeaderDrift, "other columns");
        assert_eq!(ended("partial", &refused).outcome(), Outcome::Partial);
    }
}
