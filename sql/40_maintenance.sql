-- Periodic duties. Each is a function that can be called alone; maintain() calls them all, each in a
-- transaction of its own. People, pg_cron, a DAG and the extension's background worker all call maintain().

CREATE FUNCTION outbound.prune_history(at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    oldest timestamptz := prune_history.at - (outbound.account_settings()).history_retention;
    old_files bigint[];
    removed bigint;
    total bigint := 0;
BEGIN
    -- In portions: what is left over is for the next call.
    SELECT array_agg(f.file_id) INTO old_files FROM (
        SELECT o.file_id FROM outbound.import_file AS o WHERE NOT o.pruned AND o.finished_at < oldest
        ORDER BY o.finished_at LIMIT 1000 FOR UPDATE SKIP LOCKED) AS f;
    DELETE FROM outbound.rejected_row AS w WHERE w.file_id = ANY (old_files);
    GET DIAGNOSTICS removed = ROW_COUNT;
    total := total + removed;
    -- What a job knows of the names and contents it imported stays as long as the job (list-automation §15 Q-13).
    DELETE FROM outbound.import_file AS f WHERE f.file_id = ANY (old_files) AND (f.job_id IS NULL OR f.state = 'failed');
    GET DIAGNOSTICS removed = ROW_COUNT;
    total := total + removed;
    UPDATE outbound.import_file AS f SET pruned = true WHERE f.file_id = ANY (old_files);
    DELETE FROM outbound.job_run AS r WHERE r.run_id IN (
        SELECT o.run_id FROM outbound.job_run AS o WHERE o.state = 'finished' AND o.finished_at < oldest
        ORDER BY o.finished_at LIMIT 10000 FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN total + removed;
END
$$;
COMMENT ON FUNCTION outbound.prune_history IS 'Removes runs, rejected rows and files past their retention, a portion a call, and returns how many rows; what a job knows of imported files stays as long as the job';

CREATE TABLE outbound.maintenance_log (
    duty text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seconds double precision NOT NULL,
    sqlstate text NOT NULL,
    message text NOT NULL,
    detail text,
    hint text
);
COMMENT ON TABLE outbound.maintenance_log IS 'Periodic duties that failed';
COMMENT ON COLUMN outbound.maintenance_log.duty IS 'The duty';
COMMENT ON COLUMN outbound.maintenance_log.at IS 'When it failed';
COMMENT ON COLUMN outbound.maintenance_log.seconds IS 'How long it took until then';
COMMENT ON COLUMN outbound.maintenance_log.sqlstate IS 'Code of the error';
COMMENT ON COLUMN outbound.maintenance_log.message IS 'The error';
COMMENT ON COLUMN outbound.maintenance_log.detail IS 'The facts behind it';
COMMENT ON COLUMN outbound.maintenance_log.hint IS 'What to do about it';

CREATE FUNCTION outbound.prune_maintenance_log(at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed bigint;
BEGIN
    DELETE FROM outbound.maintenance_log AS m
    WHERE m.at < prune_maintenance_log.at - (outbound.account_settings()).history_retention;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION outbound.prune_maintenance_log IS 'Removes failures past the retention of the history; returns how many';

CREATE FUNCTION outbound._try_duty(p_duty text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    began timestamptz := clock_timestamp();
    code text;
    said text;
    facts text;
    way_out text;
BEGIN
    -- In two places at once, one does the duty and the other passes on.
    IF NOT pg_try_advisory_xact_lock('outbound.maintenance_log'::regclass::oid::integer, hashtext(p_duty)) THEN
        RETURN true;
    END IF;
    BEGIN
        EXECUTE format('SELECT outbound.%I()', p_duty);
        RETURN true;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, said = MESSAGE_TEXT, facts = PG_EXCEPTION_DETAIL, way_out = PG_EXCEPTION_HINT;
        RAISE WARNING 'the duty % failed: %', p_duty, said USING ERRCODE = code, DETAIL = facts, HINT = way_out;
        INSERT INTO outbound.maintenance_log (duty, seconds, sqlstate, message, detail, hint)
        VALUES (p_duty, extract(epoch FROM clock_timestamp() - began), code, said, nullif(facts, ''), nullif(way_out, ''));
        RETURN false;
    END;
END
$$;
COMMENT ON FUNCTION outbound._try_duty IS 'Does one periodic duty; a failure is noted and undone, and does not stop the others';

CREATE PROCEDURE outbound.maintain()
LANGUAGE plpgsql
AS $$
DECLARE
    duty text;
BEGIN
    -- A procedure that commits cannot fix its search_path as functions do: every name is qualified instead.
    FOREACH duty IN ARRAY ARRAY['sweep_leases', 'return_ended_runs', 'drop_dead_loads', 'add_new_conversations', 'end_waiting',
                                'complete_campaigns', 'compact_counts', 'prune_pace', 'keep_log_partitions', 'prune_history',
                                'prune_maintenance_log'] LOOP
        PERFORM outbound._try_duty(duty);
        COMMIT;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE outbound.maintain IS 'Does all periodic duties, each in a transaction of its own: ended leases and runs, what lost workers left, conversations to be added, waiting that is over, campaigns that are done, counters, partitions and retention. What fails is in outbound.maintenance_log';
