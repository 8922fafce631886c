//! One file of a run: fetched into the spool, loaded, published. Each step may be repeated
//! after a crash: what the ledger says decides where to go on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use openssl::sha::Sha256;
use outbound_core::header::check_names;
use outbound_core::job::JobRules;
use outbound_core::reason::Reason;

use super::steps::{Run, Site};
use crate::database::protocol::{FetchDecision, LoadDecision, OpenedLoad, Published};
use crate::error::Failure;
use crate::fault;
use crate::load::{ByteSource, Input, LoadCounts, LoadPlan, Loaded, Reading, RejectedRows, Target};
use crate::openpgp::{self, DecryptionKeys, Verified};
use crate::report::FileReport;
use crate::sftp::RemoteEntry;
use crate::spool::SpoolFile;

/// Bytes read from a local file at a time.
const READ_BYTES: usize = 1 << 20;

/// A file at hand.
pub(super) struct Arrived {
    file_id: i64,
    name: String,
    place: Place,
    sha256: Option<[u8; 32]>,
    size: u64,
}

enum Place {
    Spool(SpoolFile),
    Local(PathBuf),
}

impl Arrived {
    /// A local file: read where it is.
    pub(super) fn local(file_id: i64, name: String, path: &Path) -> Self {
        Self {
            file_id,
            name,
            place: Place::Local(path.to_owned()),
            sha256: None,
            size: 0,
        }
    }

    fn path(&self) -> PathBuf {
        match &self.place {
            Place::Spool(file) => file.path().to_owned(),
            Place::Local(path) => path.clone(),
        }
    }
}

impl Run<'_> {
    /// Copies a remote file into the spool, under a name of ours.
    pub(super) async fn fetch(
        &self,
        site: &Site,
        file_id: i64,
        name: &str,
    ) -> Result<Arrived, Failure> {
        fault::point("fetch.before");
        let started = Instant::now();
        let mut file = self.worker.spool.create(&format!("file-{file_id}"))?;
        let (directory, remote_name) = (site.directory.clone(), name.to_owned());
        let (file, fetched) = site
            .remote
            .act(move |connection| {
                let fetched =
                    connection.fetch(&directory, &remote_name, &mut file, &mut |_bytes| {
                        fault::point("fetch.middle");
                        Ok(())
                    })?;
                Ok((file, fetched))
            })
            .await?;
        self.add_seconds(|seconds| seconds.fetch += started.elapsed().as_secs_f64());
        fault::point("fetch.after");
        Ok(Arrived {
            file_id,
            name: name.to_owned(),
            place: Place::Spool(file),
            sha256: Some(fetched.sha256),
            size: fetched.size,
        })
    }

    /// Loads, publishes and disposes of a file at hand.
    pub(super) async fn take(
        &self,
        rules: &JobRules,
        mut arrived: Arrived,
        site: Option<(&Site, &RemoteEntry)>,
    ) -> Result<(), Failure> {
        let (sha256, size) = match arrived.sha256 {
            Some(sha256) => (sha256, arrived.size),
            None => match checksum(arrived.path()).await {
                Ok(sum) => sum,
                Err(failure) => {
                    return self
                        .file_failed(
                            arrived.file_id,
                            arrived.name,
                            failure,
                            &LoadCounts::default(),
                            None,
                        )
                        .await;
                }
            },
        };
        arrived.size = size;
        let (run, try_no) = (self.claim.run_id, self.claim.try_no);
        if self
            .protocol()
            .file_fetched(run, try_no, arrived.file_id, &sha256, size)
            .await?
            == FetchDecision::KnownContent
        {
            self.add_file(FileReport::refused(
                arrived.name,
                "skipped",
                Some(Reason::KnownContent.code().to_owned()),
                Some("same content as a file imported before".to_owned()),
            ));
            return Ok(());
        }
        let mut report = FileReport {
            name: arrived.name.clone(),
            ..FileReport::default()
        };
        match self.load(rules, &arrived).await {
            Ok((published, reasons, signed_by)) => {
                report.decision = "imported".to_owned();
                if let Some(rows) = self.sample {
                    report.sample = self
                        .protocol()
                        .sample_load(run, try_no, arrived.file_id, rows)
                        .await?;
                }
                report.published = Some(published);
                report.reasons = reasons;
                report.signed_by = signed_by;
            }
            Err(lost) => {
                let Lost {
                    failure,
                    counts,
                    rejects,
                } = *lost;
                return self
                    .file_failed(arrived.file_id, arrived.name, failure, &counts, rejects)
                    .await;
            }
        }
        fault::point("publish.after");
        match site {
            Some((site, entry)) => {
                self.dispose(rules, site, arrived.file_id, entry, &mut report)
                    .await?
            }
            None => report.outcome = Some("left".to_owned()),
        }
        self.add_file(report);
        Ok(())
    }

    /// From bytes to published rows.
    async fn load(
        &self,
        rules: &JobRules,
        arrived: &Arrived,
    ) -> Result<(Published, BTreeMap<String, u64>, Option<String>), Box<Lost>> {
        let input = Input {
            source: self.source(rules, arrived.path())?,
            character_set: rules
                .format
                .character_set
                .unwrap_or(self.claim.account.character_set),
            delimiter: u8::try_from(rules.format.delimiter).map_err(|_| {
                Failure::new(Reason::Rule, "the delimiter must be an ASCII character")
            })?,
        };
        if self.dry_run {
            self.begin().await?;
        }
        let outcome = self.load_and_publish(rules, arrived, input).await;
        if outcome.is_err() && self.dry_run {
            self.roll_back().await?;
        } else if self.dry_run {
            self.commit().await?;
        }
        outcome
    }

    async fn load_and_publish(
        &self,
        rules: &JobRules,
        arrived: &Arrived,
        input: Input<Option<Verified>>,
    ) -> Result<(Published, BTreeMap<String, u64>, Option<String>), Box<Lost>> {
        let reading = Reading::open(input).await?;
        // The database checks the names too, but one with a NUL does not even reach it.
        check_names(reading.header()).map_err(|error| {
            Failure::new(error.reason, error.message)
                .with_detail(error.detail)
                .with_hint(error.hint)
        })?;
        let (run, try_no) = (self.claim.run_id, self.claim.try_no);
        let OpenedLoad { load_id, shape, .. } = match self
            .protocol()
            .begin_load(run, try_no, arrived.file_id, reading.header())
            .await?
        {
            LoadDecision::Load(opened) => *opened,
            LoadDecision::Refused(failure) => return Err(failure.into()),
        };
        let plan = LoadPlan {
            load_id,
            file_id: arrived.file_id,
            shape,
            account: self.claim.account.clone(),
            max_rejected: rules.max_rejected,
            spool: self.worker.spool.clone(),
        };
        let target = if self.dry_run {
            Target::Single(self.main.client())
        } else {
            Target::Pair(&self.worker.databases)
        };
        let loaded = reading.load(target, &plan).await.map_err(|lost| {
            Box::new(Lost {
                failure: lost.failure,
                counts: lost.counts,
                rejects: lost.rejects,
            })
        })?;
        self.publish(load_id, loaded).await
    }

    /// The one transaction after which everybody sees the rows.
    async fn publish(
        &self,
        load_id: i64,
        loaded: Loaded<Option<Verified>>,
    ) -> Result<(Published, BTreeMap<String, u64>, Option<String>), Box<Lost>> {
        let started = Instant::now();
        self.add_seconds(|seconds| seconds.add(&loaded.timings));
        let reasons = reasons(&loaded.rejects);
        fault::point("publish.before");
        if !self.dry_run {
            self.begin().await?;
        }
        let published = async {
            if self.sample.is_some() {
                self.protocol()
                    .note_load_order(self.claim.run_id, self.claim.try_no, load_id)
                    .await?;
            }
            loaded.rejects.send(self.main.client()).await?;
            fault::point("publish.middle");
            self.protocol()
                .publish(
                    self.claim.run_id,
                    self.claim.try_no,
                    load_id,
                    &loaded.counts,
                )
                .await
        }
        .await;
        let published = match published {
            Ok(published) => published,
            Err(failure) => {
                if !self.dry_run {
                    self.roll_back().await?;
                }
                return Err(failure.into());
            }
        };
        if !self.dry_run {
            self.commit().await?;
        }
        self.add_seconds(|seconds| seconds.publish += started.elapsed().as_secs_f64());
        Ok((
            published,
            reasons,
            loaded.verdict.and_then(|verified| verified.signed_by),
        ))
    }

    /// The clear bytes of a file: decrypted where the job wants encryption, read as they are otherwise.
    fn source(
        &self,
        rules: &JobRules,
        path: PathBuf,
    ) -> Result<ByteSource<Option<Verified>>, Failure> {
        let opened = |path: &Path| {
            File::open(path).map_err(|error| {
                Failure::storage(&format!("cannot open {}", path.display()), &error)
            })
        };
        let mut file = opened(&path)?;
        if rules.encryption.required {
            let (keys, limits) = (
                DecryptionKeys::load(&self.worker.secrets)?,
                rules.encryption.clone(),
            );
            return Ok(Box::new(move |push| {
                openpgp::decrypt(file, &keys, &limits, push).map(Some)
            }));
        }
        let most = rules.encryption.max_bytes;
        Ok(Box::new(move |push| {
            let (mut buffer, mut total, mut first) = (vec![0; READ_BYTES], 0, true);
            loop {
                let length = file
                    .read(&mut buffer)
                    .map_err(|error| Failure::storage("cannot read the file", &error))?;
                let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                    return Ok(None);
                };
                if std::mem::take(&mut first) && openpgp::looks_encrypted(bytes) {
                    return Err(Failure::new(
                        Reason::Format,
                        "the file is encrypted and the job does not expect that",
                    )
                    .with_hint("set \"encryption\": {\"required\": true} in the job's rules"));
                }
                total += length as u64;
                if total > most {
                    return Err(Failure::new(
                        Reason::TooLarge,
                        format!("the file has more than {most} bytes"),
                    ));
                }
                push(bytes)?;
            }
        }))
    }
}

/// A file that was not loaded, with what was counted until then.
struct Lost {
    failure: Failure,
    counts: LoadCounts,
    rejects: Option<RejectedRows>,
}

impl From<Failure> for Box<Lost> {
    fn from(failure: Failure) -> Self {
        Self::new(Lost {
            failure,
            counts: LoadCounts::default(),
            rejects: None,
        })
    }
}

/// Refused rows and reports by reason code.
pub(super) fn reasons(rejects: &RejectedRows) -> BTreeMap<String, u64> {
    rejects
        .counts()
        .iter()
        .map(|(reason, count)| (reason.code().to_owned(), *count))
        .collect()
}

/// SHA-256 and size of a local file.
async fn checksum(path: PathBuf) -> Result<([u8; 32], u64), Failure> {
    let sum = tokio::task::spawn_blocking(move || {
        let failed = |error: std::io::Error| {
            Failure::storage(&format!("cannot read {}", path.display()), &error)
        };
        let mut file = File::open(&path).map_err(failed)?;
        let (mut sha, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; READ_BYTES]);
        loop {
            let length = file.read(&mut buffer).map_err(failed)?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                return Ok((sha.finish(), size));
            };
            sha.update(bytes);
            size += length as u64;
        }
    });
    sum.await
        .map_err(|_| Failure::internal("reading the file panicked"))?
}
