-- Views: the contract with people and BI tools.

CREATE VIEW outbound.list_status AS
SELECT l.name, coalesce(c.callable + c.planning + c.open + c.attempted + c.flagged + c.closed, 0) AS total,
       coalesce(c.callable, 0) AS callable, coalesce(c.planning, 0) AS planning, coalesce(c.open, 0) AS open,
       coalesce(c.attempted, 0) AS attempted, coalesce(c.flagged, 0) AS flagged, coalesce(c.closed, 0) AS closed,
       l.table_name, l.secured, l.created_at, l.updated_at
FROM outbound.list AS l
LEFT JOIN LATERAL (
    SELECT sum(n.callable)::bigint AS callable, sum(n.planning)::bigint AS planning, sum(n.open)::bigint AS open,
           sum(n.attempted)::bigint AS attempted, sum(n.flagged)::bigint AS flagged, sum(n.closed)::bigint AS closed
    FROM outbound.contact_count AS n WHERE n.list_id = l.list_id AND n.dimension = 'contact') AS c ON true;
COMMENT ON VIEW outbound.list_status IS 'Contact lists with their seven counters, exact';
COMMENT ON COLUMN outbound.list_status.name IS 'Name of the list';
COMMENT ON COLUMN outbound.list_status.total IS 'Contacts in the list';
COMMENT ON COLUMN outbound.list_status.callable IS 'Contacts suitable for outbound activity (C)';
COMMENT ON COLUMN outbound.list_status.planning IS 'Contacts chosen by a dialer (I)';
COMMENT ON COLUMN outbound.list_status.open IS 'Contacts reached and not finished (Q)';
COMMENT ON COLUMN outbound.list_status.attempted IS 'Contacts whose maximum of attempts is reached (A)';
COMMENT ON COLUMN outbound.list_status.flagged IS 'Contacts without a suitable unit (F)';
COMMENT ON COLUMN outbound.list_status.closed IS 'Contacts that succeeded and are finished (U)';
COMMENT ON COLUMN outbound.list_status.table_name IS 'Table in schema outbound_list; the records are in the one with _detail added';
COMMENT ON COLUMN outbound.list_status.secured IS 'Whether its last file came encrypted';
COMMENT ON COLUMN outbound.list_status.created_at IS 'When the list was made';
COMMENT ON COLUMN outbound.list_status.updated_at IS 'When it was last loaded or renamed';

CREATE VIEW outbound.job_status AS
SELECT j.name, j.description,
       concat(j.rules #>> '{connection,user}', '@', coalesce(s.host, j.rules #>> '{connection,server}')) AS list_source,
       j.last_run_at,
       CASE WHEN r.state IS NOT NULL THEN r.state WHEN NOT j.enabled THEN 'disabled' ELSE coalesce(j.last_result, 'new') END AS status,
       j.modified_at, j.successes, j.failures, j.enabled, j.rules ->> 'action' AS action
FROM outbound.job AS j
LEFT JOIN outbound.sftp_server AS s ON s.name = j.rules #>> '{connection,server}'
LEFT JOIN outbound.job_run AS r ON r.job_id = j.job_id AND r.state <> 'finished' AND NOT r.dry_run;
COMMENT ON VIEW outbound.job_status IS 'Jobs and where they stand (list-automation §12.1)';
COMMENT ON COLUMN outbound.job_status.name IS 'Name of the job';
COMMENT ON COLUMN outbound.job_status.description IS 'Free text';
COMMENT ON COLUMN outbound.job_status.list_source IS 'user@server';
COMMENT ON COLUMN outbound.job_status.last_run_at IS 'End of the last completed run';
COMMENT ON COLUMN outbound.job_status.status IS 'queued, running, disabled, new, or the result of the last run';
COMMENT ON COLUMN outbound.job_status.modified_at IS 'When the job was made or last changed';
COMMENT ON COLUMN outbound.job_status.successes IS 'Runs that found and loaded a file';
COMMENT ON COLUMN outbound.job_status.failures IS 'Runs that failed';
COMMENT ON COLUMN outbound.job_status.enabled IS 'Whether it may run';
COMMENT ON COLUMN outbound.job_status.action IS 'What it does';

CREATE VIEW outbound.job_activity AS
SELECT r.job_name AS job, r.run_id, t.try_no, t.started_at, t.ended_at, coalesce(t.result, 'running') AS result, t.reason, t.message,
       t.detail, t.hint, t.worker, r.requested_by, r.requested_at
FROM outbound.run_try AS t JOIN outbound.job_run AS r USING (run_id)
WHERE NOT r.dry_run;
COMMENT ON VIEW outbound.job_activity IS 'One row for each go of a worker at a run, and for each request that was skipped (list-automation §12.2)';
COMMENT ON COLUMN outbound.job_activity.job IS 'Name of the job at the time; null for a file imported by hand';
COMMENT ON COLUMN outbound.job_activity.run_id IS 'The run';
COMMENT ON COLUMN outbound.job_activity.try_no IS 'Which go at the run; more than 1 after a lost worker';
COMMENT ON COLUMN outbound.job_activity.started_at IS 'Start time';
COMMENT ON COLUMN outbound.job_activity.ended_at IS 'End time';
COMMENT ON COLUMN outbound.job_activity.result IS 'success, no_match, partial, failure, skipped, or running';
COMMENT ON COLUMN outbound.job_activity.reason IS 'Stable code of the reason';
COMMENT ON COLUMN outbound.job_activity.message IS 'What happened, in words';
COMMENT ON COLUMN outbound.job_activity.detail IS 'The facts behind a failure';
COMMENT ON COLUMN outbound.job_activity.hint IS 'What to do about it';
COMMENT ON COLUMN outbound.job_activity.worker IS 'The worker';
COMMENT ON COLUMN outbound.job_activity.requested_by IS 'Who asked for the run';
COMMENT ON COLUMN outbound.job_activity.requested_at IS 'When it was asked for';
