-- Runs of jobs. A request is one row; a worker takes it with a lease, and each go of a worker at it
-- is a row of outbound.run_try, which is what the activity shows. Every write of a worker names its
-- run and try: a worker that lost its lease can no longer change anything.

CREATE TABLE outbound.job_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id integer REFERENCES outbound.job ON DELETE SET NULL,
    job_name text,
    job_version integer,
    rules jsonb NOT NULL,
    dry_run boolean NOT NULL DEFAULT false,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL,
    request_key text UNIQUE,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'finished')),
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    worker text,
    lease_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    result text CHECK (result IN ('success', 'no_match', 'partial', 'failure', 'skipped')),
    reason text,
    message text,
    detail text,
    hint text,
    skipped jsonb,
    CONSTRAINT job_run_lease CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CONSTRAINT job_run_end CHECK ((state = 'finished') = (finished_at IS NOT NULL) AND (state = 'finished') = (result IS NOT NULL))
);
COMMENT ON TABLE outbound.job_run IS 'Requested runs; the queue of the workers and the history';
COMMENT ON COLUMN outbound.job_run.run_id IS 'Number of the run';
COMMENT ON COLUMN outbound.job_run.job_id IS 'The job; null for a file imported by hand, or when the job was dropped';
COMMENT ON COLUMN outbound.job_run.job_name IS 'Name of the job at the time';
COMMENT ON COLUMN outbound.job_run.job_version IS 'Version of its rules at the time';
COMMENT ON COLUMN outbound.job_run.rules IS 'The rules this run follows, whatever becomes of the job meanwhile';
COMMENT ON COLUMN outbound.job_run.dry_run IS 'A trial: its transaction is rolled back, so no such row is ever seen from outside';
COMMENT ON COLUMN outbound.job_run.requested_at IS 'When the run was asked for';
COMMENT ON COLUMN outbound.job_run.requested_by IS 'Who asked';
COMMENT ON COLUMN outbound.job_run.request_key IS 'Key of the caller: asking twice with one key is one run';
COMMENT ON COLUMN outbound.job_run.state IS 'queued, running or finished';
COMMENT ON COLUMN outbound.job_run.tries IS 'How many workers have taken it';
COMMENT ON COLUMN outbound.job_run.worker IS 'Worker that has it, or had it last';
COMMENT ON COLUMN outbound.job_run.lease_until IS 'Until when the worker owns it; past that it goes back to the queue';
COMMENT ON COLUMN outbound.job_run.started_at IS 'When the first worker took it';
COMMENT ON COLUMN outbound.job_run.finished_at IS 'When it ended';
COMMENT ON COLUMN outbound.job_run.result IS 'success, no_match, partial, failure or skipped (list-automation §12.3)';
COMMENT ON COLUMN outbound.job_run.reason IS 'Stable code of the reason, where there is one';
COMMENT ON COLUMN outbound.job_run.message IS 'What happened, in words';

COMMENT ON COLUMN outbound.job_run.detail IS 'The facts behind a failure';
COMMENT ON COLUMN outbound.job_run.hint IS 'What to do about it';
COMMENT ON COLUMN outbound.job_run.skipped IS 'Files that matched and were left alone: for each reason how many, and the name of one';

CREATE UNIQUE INDEX job_run_one_open ON outbound.job_run (job_id) WHERE state <> 'finished' AND NOT dry_run;
COMMENT ON INDEX outbound.job_run_one_open IS 'Two runs of one job never overlap (list-automation §1.1 J-10)';
CREATE INDEX job_run_open ON outbound.job_run (requested_at) WHERE state <> 'finished';
COMMENT ON INDEX outbound.job_run_open IS 'What a worker looks for, whatever the length of the history';
CREATE INDEX job_run_finished ON outbound.job_run (finished_at) WHERE state = 'finished';
COMMENT ON INDEX outbound.job_run_finished IS 'For the retention of the history';

CREATE TABLE outbound.run_try (
    run_id bigint NOT NULL REFERENCES outbound.job_run ON DELETE CASCADE,
    try_no integer NOT NULL CHECK (try_no >= 0),
    worker text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    result text CHECK (result IN ('success', 'no_match', 'partial', 'failure', 'skipped')),
    reason text,
    message text,
    detail text,
    hint text,
    PRIMARY KEY (run_id, try_no),
    CONSTRAINT run_try_end CHECK ((ended_at IS NULL) = (result IS NULL))
);
COMMENT ON TABLE outbound.run_try IS 'Goes of workers at runs: the activity';
COMMENT ON COLUMN outbound.run_try.run_id IS 'The run';
COMMENT ON COLUMN outbound.run_try.try_no IS 'From 1; 0 for a request that was skipped';
COMMENT ON COLUMN outbound.run_try.worker IS 'The worker';
COMMENT ON COLUMN outbound.run_try.started_at IS 'When it took the run';
COMMENT ON COLUMN outbound.run_try.ended_at IS 'When its go ended; null while it is under way';
COMMENT ON COLUMN outbound.run_try.result IS 'success, no_match, partial, failure or skipped';
COMMENT ON COLUMN outbound.run_try.reason IS 'Stable code of the reason';
COMMENT ON COLUMN outbound.run_try.message IS 'What happened, in words';
COMMENT ON COLUMN outbound.run_try.detail IS 'The facts behind a failure';
COMMENT ON COLUMN outbound.run_try.hint IS 'What to do about it';
