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

CREATE PROCEDURE outbound.maintain()
LANGUAGE plpgsql
AS $$
BEGIN
    -- A procedure that commits cannot fix its search_path as functions do: every name is qualified instead.
    PERFORM outbound.return_ended_runs();
    COMMIT;
    PERFORM outbound.drop_dead_loads();
    COMMIT;
    PERFORM outbound.prune_history();
    COMMIT;
END
$$;
COMMENT ON PROCEDURE outbound.maintain IS 'Does all periodic duties: returns runs of lost workers to the queue, removes what they left, prunes history past its retention';
