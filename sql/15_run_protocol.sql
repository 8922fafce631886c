-- What a worker and those who ask for runs call. Decisions are answered as documents; a call of a
-- worker that no longer owns its run raises OB409.

CREATE FUNCTION outbound._skip_run(p_run bigint, p_reason text, p_message text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE outbound.job_run AS r SET state = 'finished', finished_at = now(), result = 'skipped', reason = p_reason, message = p_message
    WHERE r.run_id = p_run;
    INSERT INTO outbound.run_try (run_id, try_no, started_at, ended_at, result, reason, message)
    VALUES (p_run, 0, now(), now(), 'skipped', p_reason, p_message);
    PERFORM pg_notify('outbound_run_finished', p_run::text);
END
$$;
COMMENT ON FUNCTION outbound._skip_run IS 'Ends a request that may not run, and notes it in the activity';

CREATE FUNCTION outbound.run_now(job text, requested_by text DEFAULT NULL, request_key text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted outbound.job := outbound._job_by_name(run_now.job);
    asked_by text := coalesce(run_now.requested_by, session_user::text);
    made bigint;
    open_run outbound.job_run;
BEGIN
    IF run_now.request_key IS NOT NULL THEN
        SELECT r.run_id INTO made FROM outbound.job_run AS r WHERE r.request_key = run_now.request_key;
        IF FOUND THEN
            RETURN made;
        END IF;
    END IF;
    PERFORM outbound.return_ended_runs();
    WHILE wanted.enabled AND open_run.run_id IS NULL LOOP
        INSERT INTO outbound.job_run AS r (job_id, job_name, job_version, rules, requested_by, request_key)
        VALUES (wanted.job_id, wanted.name, wanted.version, wanted.rules, asked_by, run_now.request_key)
        ON CONFLICT DO NOTHING
        RETURNING r.run_id INTO made;
        IF made IS NOT NULL THEN
            PERFORM pg_notify('outbound_run', made::text);
            RETURN made;
        END IF;
        -- The same key at the same moment from elsewhere: that run is the answer.
        SELECT r.run_id INTO made FROM outbound.job_run AS r WHERE r.request_key = run_now.request_key;
        IF FOUND THEN
            RETURN made;
        END IF;
        SELECT r.* INTO open_run FROM outbound.job_run AS r WHERE r.job_id = wanted.job_id AND r.state <> 'finished' AND NOT r.dry_run;
        IF open_run.state = 'queued' AND open_run.tries > 0 AND run_now.request_key IS NULL THEN
            -- Its worker was lost. Where no daemon serves, whoever asks now is the only one to go on with it.
            RETURN open_run.run_id;
        END IF;
        -- None found: it has ended in this very moment, and there is room for this one.
    END LOOP;
    INSERT INTO outbound.job_run AS r (job_id, job_name, job_version, rules, requested_by, request_key, state, finished_at, result)
    VALUES (wanted.job_id, wanted.name, wanted.version, wanted.rules, asked_by, run_now.request_key, 'finished', now(), 'skipped')
    RETURNING r.run_id INTO made;
    IF NOT wanted.enabled THEN
        PERFORM outbound._skip_run(made, 'job_disabled', format('job "%s" is disabled', wanted.name));
        RAISE WARNING 'job "%" is disabled: the request is skipped', wanted.name
            USING HINT = 'Enable it with outbound.enable_job.';
    ELSE
        PERFORM outbound._skip_run(made, 'job_running', format('run %s of the job is still %s', open_run.run_id, open_run.state));
        RAISE WARNING 'run % of job "%" is still %: the request is skipped', open_run.run_id, wanted.name, open_run.state;
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.run_now IS 'Asks for a run of a job and returns its number; a job that is disabled or running gets a skipped run, and a run whose worker was lost is gone on with (list-automation §1.1 J-5, J-10)';

CREATE FUNCTION outbound.dry_run(job text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO outbound.job_run AS r (job_id, job_name, job_version, rules, requested_by, dry_run)
    SELECT j.job_id, j.name, j.version, j.rules, session_user::text, true FROM outbound._job_by_name(dry_run.job) AS j
    RETURNING r.run_id
$$;
COMMENT ON FUNCTION outbound.dry_run IS 'Enters a trial run; its worker does everything in this transaction and rolls it back';

CREATE FUNCTION outbound.start_import(rules jsonb, requested_by text DEFAULT NULL, dry_run boolean DEFAULT false) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO outbound.job_run AS r (rules, requested_by, dry_run)
    VALUES (outbound.check_job_rules(start_import.rules::text, 'local'), coalesce(start_import.requested_by, session_user::text), start_import.dry_run)
    RETURNING r.run_id
$$;
COMMENT ON FUNCTION outbound.start_import IS 'Enters a run for a local file, to be claimed by the worker that has the file';

CREATE FUNCTION outbound._own_run(p_run bigint, p_try integer) RETURNS outbound.job_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run;
BEGIN
    SELECT r.* INTO run FROM outbound.job_run AS r
    WHERE r.run_id = p_run AND r.tries = p_try AND r.state = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'try % no longer owns run %', p_try, p_run
            USING ERRCODE = 'OB409', DETAIL = 'Its lease ended, or the run was finished.', HINT = 'Stop working on it; another worker goes on.';
    END IF;
    RETURN run;
END
$$;
COMMENT ON FUNCTION outbound._own_run IS 'The run, locked, if that try still owns it; else OB409';

CREATE FUNCTION outbound._end_try(p_run bigint, p_result text, p_reason text, p_message text, p_detail text DEFAULT NULL, p_hint text DEFAULT NULL) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE outbound.run_try AS t SET ended_at = now(), result = p_result, reason = p_reason, message = p_message, detail = p_detail, hint = p_hint
    WHERE t.run_id = p_run AND t.ended_at IS NULL
$$;
COMMENT ON FUNCTION outbound._end_try IS 'Writes the end of the try under way';

CREATE FUNCTION outbound._finish(p_run outbound.job_run, p_result text, p_reason text, p_message text, p_detail text DEFAULT NULL, p_hint text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM outbound._end_try(p_run.run_id, p_result, p_reason, p_message, p_detail, p_hint);
    UPDATE outbound.job_run AS r SET state = 'finished', finished_at = now(), lease_until = NULL,
        result = p_result, reason = p_reason, message = p_message, detail = p_detail, hint = p_hint
    WHERE r.run_id = p_run.run_id;
    UPDATE outbound.job AS j SET last_run_at = now(), last_result = p_result,
        successes = j.successes + (p_result = 'success')::integer,
        failures = j.failures + (p_result IN ('failure', 'partial'))::integer
    WHERE j.job_id = p_run.job_id AND NOT p_run.dry_run;
    PERFORM pg_notify('outbound_run_finished', p_run.run_id::text);
END
$$;
COMMENT ON FUNCTION outbound._finish IS 'Ends a run and adds to the counts of its job (list-automation §12.1, §12.3)';

CREATE FUNCTION outbound.return_ended_runs(at timestamptz DEFAULT now()) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ended outbound.job_run;
    max_tries integer := (outbound.account_settings()).max_run_tries;
    returned integer := 0;
    note text;
BEGIN
    FOR ended IN
        SELECT r.* FROM outbound.job_run AS r
        WHERE r.state = 'running' AND r.lease_until <= return_ended_runs.at FOR UPDATE SKIP LOCKED
    LOOP
        note := format('worker %s was lost: its lease ended at %s', ended.worker, ended.lease_until);
        IF ended.tries >= max_tries THEN
            PERFORM outbound._fail_taken_files(ended.run_id, 'worker_lost', note);
            PERFORM outbound._finish(ended, CASE WHEN (outbound._finish_summary(ended.run_id) ->> 'loaded')::integer > 0 THEN 'partial' ELSE 'failure' END,
                'worker_lost', format('%s; given up after %s tries', note, ended.tries));
        ELSIF ended.job_id IS NULL THEN
            -- Only the worker that was asked has the local file.
            PERFORM outbound._fail_taken_files(ended.run_id, 'worker_lost', note);
            PERFORM outbound._finish(ended, 'failure', 'worker_lost', note);
        ELSE
            PERFORM outbound._end_try(ended.run_id, 'failure', 'worker_lost', note);
            UPDATE outbound.job_run AS r SET state = 'queued', lease_until = NULL WHERE r.run_id = ended.run_id;
            PERFORM pg_notify('outbound_run', ended.run_id::text);
        END IF;
        returned := returned + 1;
    END LOOP;
    FOR ended IN
        SELECT r.* FROM outbound.job_run AS r
        WHERE r.state = 'queued' AND r.job_name IS NULL AND r.requested_at <= return_ended_runs.at - interval '1 hour' FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM outbound._finish(ended, 'failure', 'worker_lost', 'the worker that has the local file never took the run');
        returned := returned + 1;
    END LOOP;
    RETURN returned;
END
$$;
COMMENT ON FUNCTION outbound.return_ended_runs IS 'Gives runs whose lease is over back to the queue; a duty of maintain()';

CREATE FUNCTION outbound._fail_taken_files(p_run bigint, p_reason text, p_message text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE outbound.import_file AS f SET state = 'failed', reason = p_reason, message = p_message, finished_at = now()
    WHERE f.run_id = p_run AND f.state = 'taken'
$$;
COMMENT ON FUNCTION outbound._fail_taken_files IS 'Marks the files that a run took and did not publish as failed';

CREATE FUNCTION outbound._server_of(p_run outbound.job_run) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('name', s.name, 'host', s.host, 'port', s.port, 'directory', s.directory,
        'host_key_fingerprint', s.host_key_fingerprint, 'host_key_policy', s.host_key_policy)
    FROM outbound.sftp_server AS s WHERE s.name = p_run.rules #>> '{connection,server}'
$$;
COMMENT ON FUNCTION outbound._server_of IS 'The server of a run, as the document the worker reads; null if there is none';

CREATE FUNCTION outbound._why_not_run(p_run outbound.job_run) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said text;
    detail text;
BEGIN
    IF p_run.job_id IS NULL AND p_run.job_name IS NULL THEN
        RETURN NULL;
    END IF;
    IF outbound._server_of(p_run) IS NULL THEN
        RETURN ARRAY['server_unknown', format('SFTP server "%s" does not exist (any more)', p_run.rules #>> '{connection,server}')];
    END IF;
    PERFORM outbound._checked_job_rules(p_run.rules);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN ARRAY['rule', concat_ws(': ', said, nullif(detail, ''))];
END
$$;
COMMENT ON FUNCTION outbound._why_not_run IS 'Reason code and message if the rules of a run no longer hold; they are validated again when run (list-automation §1.1 J-8)';

CREATE FUNCTION outbound.claim_run(p_worker text, p_run bigint DEFAULT NULL, p_lease interval DEFAULT '2 minutes', at timestamptz DEFAULT now()) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run;
    refusal text[];
BEGIN
    PERFORM outbound.return_ended_runs(claim_run.at);
    LOOP
        SELECT r.* INTO run FROM outbound.job_run AS r
        WHERE r.state = 'queued' AND (r.run_id = p_run OR (p_run IS NULL AND r.job_id IS NOT NULL AND NOT r.dry_run))
        ORDER BY r.requested_at, r.run_id LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        IF EXISTS (SELECT 1 FROM outbound.job AS j WHERE j.job_id = run.job_id AND NOT j.enabled AND NOT run.dry_run) THEN
            PERFORM outbound._skip_run(run.run_id, 'job_disabled', format('job "%s" was disabled before a worker took the run', run.job_name));
            CONTINUE;
        END IF;
        UPDATE outbound.job_run AS r SET state = 'running', worker = p_worker, tries = r.tries + 1,
            started_at = coalesce(r.started_at, claim_run.at), lease_until = claim_run.at + p_lease
        WHERE r.run_id = run.run_id RETURNING r.* INTO run;
        INSERT INTO outbound.run_try (run_id, try_no, worker, started_at) VALUES (run.run_id, run.tries, p_worker, claim_run.at);
        refusal := outbound._why_not_run(run);
        IF refusal IS NULL THEN
            RETURN jsonb_build_object('run_id', run.run_id, 'try', run.tries, 'job', run.job_name, 'rules', run.rules,
                                      'server', outbound._server_of(run), 'account', outbound._account_document());
        END IF;
        PERFORM outbound._finish(run, 'failure', refusal[1], refusal[2]);
    END LOOP;
END
$$;
COMMENT ON FUNCTION outbound.claim_run IS 'Takes a queued run for a worker (the one named, or the oldest) and returns what it needs; null if there is none';

CREATE FUNCTION outbound.heartbeat(p_run bigint, p_try integer, p_lease interval DEFAULT '2 minutes', at timestamptz DEFAULT now()) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH extended AS (
        -- The call may have waited for a publication: the lease counts from now.
        UPDATE outbound.job_run AS r SET lease_until = greatest(heartbeat.at, clock_timestamp()) + p_lease
        WHERE r.run_id = p_run AND r.tries = p_try AND r.state = 'running'
        RETURNING 1)
    SELECT EXISTS (SELECT 1 FROM extended)
$$;
COMMENT ON FUNCTION outbound.heartbeat IS 'Extends the lease; false: the run is no longer owned and the worker must stop';

CREATE FUNCTION outbound.pin_host_key(p_run bigint, p_try integer, p_fingerprint text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
BEGIN
    UPDATE outbound.sftp_server AS s SET host_key_fingerprint = outbound.check_host_key_fingerprint(p_fingerprint), host_key_first_seen_at = now(), modified_at = now()
    WHERE s.name = run.rules #>> '{connection,server}' AND s.host_key_policy = 'accept_new' AND s.host_key_fingerprint IS NULL;
END
$$;
COMMENT ON FUNCTION outbound.pin_host_key IS 'Pins the first host key seen, where the policy is accept_new and none is pinned';

CREATE FUNCTION outbound._finish_summary(p_run bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s record;
    lines text[] := '{}';
BEGIN
    SELECT count(*) FILTER (WHERE f.state IN ('published', 'done')) AS loaded,
           count(*) FILTER (WHERE f.state = 'failed') AS failed,
           count(*) FILTER (WHERE f.state = 'known') AS known,
           sum(f.rows_read) AS rows_read, sum(f.added) AS added, sum(f.updated) AS updated, sum(f.duplicates) AS duplicates, sum(f.rejected) AS rejected,
           (SELECT string_agg(format('%s%s "%s"', CASE WHEN m.made THEN 'new ' END, m.kind, m.list_name), ', ' ORDER BY m.list_name)
            FROM (SELECT l.list_name, bool_or(coalesce(t.created_at, n.created_at) = l.published_at) AS made,
                         CASE WHEN l.suppression_list_id IS NULL THEN 'list' ELSE 'do-not-contact list' END AS kind
                  FROM outbound.import_file AS l LEFT JOIN outbound.list AS t USING (list_id)
                  LEFT JOIN outbound.suppression_list AS n ON n.suppression_list_id = l.suppression_list_id
                  WHERE l.run_id = p_run AND l.state IN ('published', 'done') GROUP BY l.list_name, kind) AS m) AS lists,
           (array_agg(f.reason ORDER BY f.file_id) FILTER (WHERE f.state = 'failed'))[1] AS first_reason,
           (array_agg(f.detail ORDER BY f.file_id) FILTER (WHERE f.state = 'failed'))[1] AS first_detail,
           (array_agg(f.hint ORDER BY f.file_id) FILTER (WHERE f.state = 'failed'))[1] AS first_hint,
           string_agg(format('%s: %s (%s)', f.name, f.message, f.reason), '; ' ORDER BY f.file_id) FILTER (WHERE f.state = 'failed') AS failures
    INTO s FROM outbound.import_file AS f WHERE f.run_id = p_run;
    IF s.loaded > 0 THEN
        lines := lines || format('%s file(s), %s rows: %s added, %s updated, %s duplicates, %s rejected; %s',
                                 s.loaded, s.rows_read, s.added, s.updated, s.duplicates, s.rejected, s.lists);
    END IF;
    IF s.known > 0 THEN
        lines := lines || format('%s file(s) skipped: same content as a file imported before', s.known);
    END IF;
    IF s.failed > 0 THEN
        lines := lines || s.failures;
    END IF;
    lines := lines || coalesce((
        SELECT array_agg(format('%s file(s) left alone: %s (%s)', k.value ->> 'files', k.key, k.value ->> 'name') ORDER BY k.key)
        FROM outbound.job_run AS r CROSS JOIN LATERAL jsonb_each(r.skipped) AS k WHERE r.run_id = p_run), '{}');
    RETURN jsonb_build_object(
        'result', CASE WHEN s.failed > 0 AND s.loaded > 0 THEN 'partial' WHEN s.failed > 0 THEN 'failure' WHEN s.loaded > 0 THEN 'success' ELSE 'no_match' END,
        'reason', s.first_reason, 'detail', s.first_detail, 'hint', s.first_hint, 'message', nullif(array_to_string(lines, '; '), ''), 'loaded', s.loaded);
END
$$;
COMMENT ON FUNCTION outbound._finish_summary IS 'Result, reason and message of a run from its files';

CREATE FUNCTION outbound.finish_run(p_run bigint, p_try integer, p_reason text DEFAULT NULL, p_message text DEFAULT NULL,
    p_detail text DEFAULT NULL, p_hint text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
    summary jsonb;
    result text;
    message text;
BEGIN
    -- The load of an earlier try whose worker hangs is locked by its connection: maintain() removes it later.
    PERFORM outbound._drop_load(l.load_id) FROM (SELECT o.load_id FROM outbound.load AS o WHERE o.run_id = p_run FOR UPDATE SKIP LOCKED) AS l;
    PERFORM outbound._fail_taken_files(p_run, coalesce(p_reason, 'internal'), coalesce(p_message, 'the run ended before the file was imported'));
    summary := outbound._finish_summary(p_run);
    IF p_reason IS NULL THEN
        result := summary ->> 'result';
        message := coalesce(summary ->> 'message', format('no new file whose name %s "%s" in directory "%s"',
            replace(run.rules #>> '{files,operation}', '_', ' '), run.rules #>> '{files,name}', run.rules #>> '{connection,directory}'), 'no file');
    ELSE
        result := CASE WHEN (summary ->> 'loaded')::integer > 0 THEN 'partial' ELSE 'failure' END;
        message := concat_ws('; ', p_message, CASE WHEN result = 'partial' THEN summary ->> 'message' END);
    END IF;
    IF p_reason IS NULL THEN
        p_reason := summary ->> 'reason';
        p_detail := summary ->> 'detail';
        p_hint := summary ->> 'hint';
    END IF;
    PERFORM outbound._finish(run, result, p_reason, message, p_detail, p_hint);
    RETURN jsonb_build_object('result', result, 'reason', p_reason, 'message', message, 'detail', p_detail, 'hint', p_hint);
END
$$;
COMMENT ON FUNCTION outbound.finish_run IS 'Ends a run; without a reason of its own the result follows from its files (list-automation §12.3)';

CREATE FUNCTION outbound.run_status(run bigint)
RETURNS TABLE (run_id bigint, job text, state text, result text, reason text, message text, requested_at timestamptz, started_at timestamptz, finished_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.run_id, r.job_name, r.state, r.result, r.reason, r.message, r.requested_at, r.started_at, r.finished_at
    FROM outbound.job_run AS r WHERE r.run_id = run_status.run
$$;
COMMENT ON FUNCTION outbound.run_status IS 'Where a run stands; no row if its history is gone';
