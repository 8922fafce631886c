//! The calls themselves, in the order of a run.

use super::*;

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl<'a> Protocol<'a> {
    /// Calls on `client`.
    pub fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Version of the extension in this database.
    pub async fn extension_version(&self) -> Result<String, Failure> {
        let sql = "SELECT outbound.extension_version()";
        self.one(sql, &[], "cannot ask for the extension's version")
            .await
    }

    /// Asks for a run of a job; answers its number.
    pub async fn run_now(
        &self,
        job: &str,
        requested_by: Option<&str>,
        request_key: Option<&str>,
    ) -> Result<i64, Failure> {
        let sql = "SELECT outbound.run_now($1, $2, $3)";
        self.one(
            sql,
            &[&job, &requested_by, &request_key],
            "cannot start the job",
        )
        .await
    }

    /// Enters a dry run of a job, in the caller's transaction.
    pub async fn dry_run(&self, job: &str) -> Result<i64, Failure> {
        self.one("SELECT outbound.dry_run($1)", &[&job], "cannot try the job")
            .await
    }

    /// Enters an import of a local file; answers the run, which only a claim by number finds.
    pub async fn start_import(
        &self,
        rules: &Value,
        requested_by: Option<&str>,
        dry_run: bool,
    ) -> Result<i64, Failure> {
        let sql = "SELECT outbound.start_import($1, $2, $3)";
        self.one(
            sql,
            &[rules, &requested_by, &dry_run],
            "cannot start the import",
        )
        .await
    }

    /// Claims a run: the one with number `run`, or else the oldest that is queued.
    pub async fn claim_run(
        &self,
        worker: &str,
        run: Option<i64>,
        lease: Duration,
    ) -> Result<Option<ClaimedRun>, Failure> {
        let sql = "SELECT outbound.claim_run($1, $2, make_interval(secs => $3))";
        let doing = "cannot claim a run";
        let claimed: Option<Value> = self
            .one(sql, &[&worker, &run, &lease.as_secs_f64()], doing)
            .await?;
        claimed.map(document).transpose()
    }

    /// Extends the lease; false when the try no longer owns the run.
    pub async fn heartbeat(&self, run: i64, try_no: i32, lease: Duration) -> Result<bool, Failure> {
        let sql = "SELECT outbound.heartbeat($1, $2, make_interval(secs => $3))";
        self.one(
            sql,
            &[&run, &try_no, &lease.as_secs_f64()],
            "cannot extend the lease of the run",
        )
        .await
    }

    /// Pins the first host key seen of the run's server.
    pub async fn pin_host_key(
        &self,
        run: i64,
        try_no: i32,
        fingerprint: &str,
    ) -> Result<(), Failure> {
        let sql = "SELECT outbound.pin_host_key($1, $2, $3)::text";
        self.nothing(
            sql,
            &[&run, &try_no, &fingerprint],
            "cannot pin the host key",
        )
        .await
    }

    /// Shows the listing of the remote directory; answers what to do, in processing order.
    pub async fn plan_files(
        &self,
        run: i64,
        try_no: i32,
        listing: &[ListedFile],
    ) -> Result<Vec<PlannedFile>, Failure> {
        let listing = serde_json::to_value(Listing(listing)).map_err(not_json)?;
        let sql = "SELECT outbound.plan_files($1, $2, $3)";
        document(
            self.one(sql, &[&run, &try_no, &listing], "cannot plan the files")
                .await?,
        )
    }

    /// Tells what a fetched file is; answers whether to load it.
    pub async fn file_fetched(
        &self,
        run: i64,
        try_no: i32,
        file: i64,
        sha256: &[u8; 32],
        size: u64,
    ) -> Result<FetchDecision, Failure> {
        let sql = "SELECT outbound.file_fetched($1, $2, $3, $4, $5)";
        let (sha256, size) = (sha256.as_slice(), size.cast_signed());
        let doing = "cannot enter the fetched file";
        let answer: String = self
            .one(sql, &[&run, &try_no, &file, &sha256, &size], doing)
            .await?;
        document(Value::String(answer))
    }

    /// Shows the header of a file and opens a load, or learns why the file is refused.
    pub async fn begin_load(
        &self,
        run: i64,
        try_no: i32,
        file: i64,
        header: &[String],
    ) -> Result<LoadDecision, Failure> {
        let header = Value::from(header);
        let sql = "SELECT outbound.begin_load($1, $2, $3, $4)";
        let doing = "cannot open the load";
        let mut answer: Value = self
            .one(sql, &[&run, &try_no, &file, &header], doing)
            .await?;
        match answer.get_mut("refused").map(Value::take) {
            Some(refused @ Value::Object(_)) => {
                document::<Refusal>(refused).map(|refusal| LoadDecision::Refused(refusal.into()))
            }
            _ => document(answer).map(|opened| LoadDecision::Load(Box::new(opened))),
        }
    }

    /// Makes one table of a load; answers the COPY statement that fills it, to be run in the same
    /// transaction.
    pub async fn create_load_table(&self, load: i64, part: LoadPart) -> Result<String, Failure> {
        let sql = "SELECT outbound.create_load_table($1, $2)";
        self.one(sql, &[&load, &part.as_str()], "cannot make a load table")
            .await
    }

    /// Adds keys and indexes to one table of a load.
    pub async fn finish_load_table(&self, load: i64, part: LoadPart) -> Result<(), Failure> {
        let sql = "SELECT outbound.finish_load_table($1, $2)::text";
        self.nothing(sql, &[&load, &part.as_str()], "cannot index a load table")
            .await
    }

    /// Publishes a load, in the caller's transaction.
    pub async fn publish(
        &self,
        run: i64,
        try_no: i32,
        load: i64,
        counts: &LoadCounts,
    ) -> Result<Published, Failure> {
        let counts = serde_json::to_value(counts).map_err(not_json)?;
        let sql = "SELECT outbound.publish($1, $2, $3, $4)";
        document(
            self.one(
                sql,
                &[&run, &try_no, &load, &counts],
                "cannot publish the load",
            )
            .await?,
        )
    }

    /// Has the order of the file noted, in a dry run that is about to publish.
    pub async fn note_load_order(&self, run: i64, try_no: i32, load: i64) -> Result<(), Failure> {
        let sql = "SELECT outbound.note_load_order($1, $2, $3)::text";
        self.nothing(
            sql,
            &[&run, &try_no, &load],
            "cannot note the order of the file",
        )
        .await
    }

    /// The first contacts that a published file made, in a dry run; `None` when it made none.
    pub async fn sample_load(
        &self,
        run: i64,
        try_no: i32,
        file: i64,
        rows: i32,
    ) -> Result<Option<Sample>, Failure> {
        let sql = "SELECT outbound.sample_load($1, $2, $3, $4)";
        let doing = "cannot look at what the file made";
        let sampled: Option<Value> = self.one(sql, &[&run, &try_no, &file, &rows], doing).await?;
        sampled.map(document).transpose()
    }

    /// Tells what became of the remote file.
    pub async fn file_disposed(
        &self,
        run: i64,
        try_no: i32,
        file: i64,
        disposed: &Disposed,
    ) -> Result<(), Failure> {
        let (outcome, moved_to) = match disposed {
            Disposed::Deleted => ("deleted", None),
            Disposed::Moved(path) => ("moved", Some(path.as_str())),
            Disposed::Left => ("left", None),
            Disposed::Gone => ("gone", None),
        };
        let sql = "SELECT outbound.file_disposed($1, $2, $3, $4, $5)::text";
        let doing = "cannot enter what became of the file";
        self.nothing(sql, &[&run, &try_no, &file, &outcome, &moved_to], doing)
            .await
    }

    /// Tells that a file was not imported, and gives its load up.
    pub async fn file_failed(
        &self,
        run: i64,
        try_no: i32,
        file: i64,
        failure: &Failure,
        counts: Option<&LoadCounts>,
    ) -> Result<(), Failure> {
        let counts = counts
            .map(serde_json::to_value)
            .transpose()
            .map_err(not_json)?;
        let (reason, message) = (failure.reason.code(), failure.message.as_str());
        let (detail, hint) = (failure.detail.as_deref(), failure.hint.as_deref());
        let sql = "SELECT outbound.file_failed($1, $2, $3, $4, $5, $6, $7, $8)::text";
        let doing = "cannot enter the failure of the file";
        self.nothing(
            sql,
            &[
                &run, &try_no, &file, &reason, &message, &counts, &detail, &hint,
            ],
            doing,
        )
        .await
    }

    /// Ends a run; `failure` is one of the run itself, not of a file.
    pub async fn finish_run(
        &self,
        run: i64,
        try_no: i32,
        failure: Option<&Failure>,
    ) -> Result<FinishedRun, Failure> {
        let reason = failure.map(|failure| failure.reason.code());
        let message = failure.map(|failure| failure.message.as_str());
        let detail = failure.and_then(|failure| failure.detail.as_deref());
        let hint = failure.and_then(|failure| failure.hint.as_deref());
        let sql = "SELECT outbound.finish_run($1, $2, $3, $4, $5, $6)";
        document(
            self.one(
                sql,
                &[&run, &try_no, &reason, &message, &detail, &hint],
                "cannot finish the run",
            )
            .await?,
        )
    }

    /// State of a run; `None` when there is no such run.
    pub async fn run_status(&self, run: i64) -> Result<Option<RunStatus>, Failure> {
        let sql = "SELECT run_id, job, state, result, reason, message FROM outbound.run_status($1)";
        let failed = |error| failure("cannot look at the run", &error);
        let Some(row) = self.client.query_opt(sql, &[&run]).await.map_err(failed)? else {
            return Ok(None);
        };
        Ok(Some(RunStatus {
            run_id: row.try_get(0).map_err(failed)?,
            job: row.try_get(1).map_err(failed)?,
            state: row.try_get(2).map_err(failed)?,
            result: row.try_get(3).map_err(failed)?,
            reason: row.try_get(4).map_err(failed)?,
            message: row.try_get(5).map_err(failed)?,
        }))
    }

    /// Makes the public half of a key known; `kind` is `ssh` or `pgp`.
    pub async fn register_public_key(
        &self,
        kind: &str,
        public_key: &str,
        fingerprint: &str,
    ) -> Result<(), Failure> {
        let sql = "SELECT outbound.register_public_key($1, $2, $3)::text";
        self.nothing(
            sql,
            &[&kind, &public_key, &fingerprint],
            "cannot register the key",
        )
        .await
    }

    /// The registered public key of that kind.
    pub async fn public_key(&self, kind: &str) -> Result<String, Failure> {
        self.one(
            "SELECT outbound.public_key($1)",
            &[&kind],
            "cannot ask for the key",
        )
        .await
    }

    /// Listens on a channel from now on.
    pub async fn listen(&self, channel: &str) -> Result<(), Failure> {
        // A channel is a name of ours, one of the constants of this module.
        self.client
            .batch_execute(&format!("LISTEN {channel}"))
            .await
            .map_err(|error| failure("cannot listen", &error))
    }

    async fn one<T: FromSqlOwned>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        doing: &str,
    ) -> Result<T, Failure> {
        let row = self.client.query_one(sql, parameters).await;
        row.and_then(|row| row.try_get(0))
            .map_err(|error| failure(doing, &error))
    }

    /// For functions that answer nothing: their empty value is cast to text to be readable.
    async fn nothing(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        doing: &str,
    ) -> Result<(), Failure> {
        self.one::<Option<String>>(sql, parameters, doing)
            .await
            .map(drop)
    }
}

impl LoadPart {
    fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Detail => "detail",
        }
    }
}

#[derive(Serialize)]
struct Listing<'a>(&'a [ListedFile]);

/// Why a file is refused.
#[derive(Deserialize)]
struct Refusal {
    reason: Reason,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason,
            message: refusal.message,
            detail: refusal.detail,
            hint: refusal.hint,
            retryable: false,
        }
    }
}

fn document<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::internal(format!(
            "the database answered what this worker does not understand: {error}"
        ))
        .with_hint("use a worker and an extension of the same version")
    })
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::internal(format!("cannot write a document for the database: {error}"))
}
