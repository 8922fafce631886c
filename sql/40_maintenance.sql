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

CREATE FUNCTION outbound._note_failure(p_duty text, p_began timestamptz, p_sqlstate text, p_message text, p_detail text, p_hint text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE WARNING 'the duty % failed: %', p_duty, p_message USING ERRCODE = p_sqlstate, DETAIL = p_detail, HINT = p_hint;
    INSERT INTO outbound.maintenance_log (duty, seconds, sqlstate, message, detail, hint)
    VALUES (p_duty, extract(epoch FROM clock_timestamp() - p_began), p_sqlstate, p_message, nullif(p_detail, ''), nullif(p_hint, ''));
END
$$;
COMMENT ON FUNCTION outbound._note_failure IS 'Notes that a duty, or its part for one list or campaign, failed';

CREATE FUNCTION outbound._on_each(p_duty text, p_part text, p_ids bigint[], p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    began timestamptz := clock_timestamp();
    of_this bigint;
    of_all bigint := 0;
    id bigint;
    code text;
    said text;
    facts text;
    way_out text;
BEGIN
    PERFORM outbound._check_moment(p_at);
    FOREACH id IN ARRAY p_ids LOOP
        BEGIN
            EXECUTE format('SELECT outbound.%I($1, $2)', p_part) INTO of_this USING id, p_at;
            of_all := of_all + of_this;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, said = MESSAGE_TEXT, facts = PG_EXCEPTION_DETAIL, way_out = PG_EXCEPTION_HINT;
            PERFORM outbound._note_failure(p_duty, began, code, said, facts, way_out);
        END;
    END LOOP;
    RETURN of_all;
END
$$;
COMMENT ON FUNCTION outbound._on_each IS 'Does a part of a duty for each list or campaign; where it fails it is undone and noted, and the others go on. Returns the sum of the answers';

CREATE FUNCTION outbound.sweep_leases(at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._on_each('sweep_leases', '_sweep_list', ARRAY(SELECT l.list_id::bigint FROM outbound.list AS l ORDER BY l.list_id), sweep_leases.at)
$$;
COMMENT ON FUNCTION outbound.sweep_leases IS 'Settles attempts whose lease is over, those that had not started as not performed, the others as unknown; returns how many. A duty of maintain() (contact-lists §8.3)';

CREATE FUNCTION outbound.end_waiting(at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._on_each('end_waiting', '_end_waiting_of', ARRAY(SELECT l.list_id::bigint FROM outbound.list AS l ORDER BY l.list_id), end_waiting.at)
$$;
COMMENT ON FUNCTION outbound.end_waiting IS 'Ends the waiting of contacts that were reached and never finished; returns how many. A duty of maintain() (contact-lists §9)';

CREATE FUNCTION outbound._could_complete(p_campaign_id bigint) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT 1 FROM outbound.campaign AS c
                   WHERE c.campaign_id = p_campaign_id AND c.state = 'active' AND NOT (c.settings ->> 'always_active')::boolean)
       AND NOT EXISTS (SELECT 1 FROM outbound.campaign_list AS m JOIN outbound.load AS l USING (list_id) WHERE m.campaign_id = p_campaign_id)
$$;
COMMENT ON FUNCTION outbound._could_complete IS 'Whether a campaign goes off by itself once nothing is left to do, and none of its lists is being loaded';

CREATE FUNCTION outbound._complete_campaign(p_campaign_id bigint, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    -- Nothing is waited for long: other campaigns may be off already in this transaction, and hold who would be waited for.
    SET lock_timeout = '200ms'
AS $$
DECLARE
    lists integer[] := outbound._lists_of_campaign(p_campaign_id);
    kept bigint;
BEGIN
    -- Who adds contacts to a list, or puts other tables in its place, holds it: some may be there in a moment.
    kept := (SELECT count(*) FROM (SELECT 1 FROM outbound.list AS l WHERE l.list_id = ANY (lists) FOR KEY SHARE SKIP LOCKED) AS l);
    -- Looks of their own, as of now that they are kept, and again without claims of the campaign meanwhile.
    IF kept = cardinality(lists) AND NOT outbound._campaign_has_work(p_campaign_id, p_at) THEN
        PERFORM outbound._lock_campaign(p_campaign_id);
        IF outbound._could_complete(p_campaign_id) AND outbound._lists_of_campaign(p_campaign_id) = lists
           AND NOT outbound._campaign_has_work(p_campaign_id, p_at) THEN
            PERFORM outbound._switch_campaign(p_campaign_id, 'off', 'auto', p_at);
            RETURN 1;
        END IF;
    END IF;
    -- What was locked for a look is free again at once.
    RAISE EXCEPTION USING ERRCODE = 'OB100', MESSAGE = 'something is left to do';
EXCEPTION WHEN SQLSTATE 'OB100' OR lock_not_available OR deadlock_detected THEN
    RETURN 0;
END
$$;
COMMENT ON FUNCTION outbound._complete_campaign IS 'Switches a campaign off if nothing is left to do; returns 1 if it did';

CREATE FUNCTION outbound.complete_campaigns(at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._on_each('complete_campaigns', '_complete_campaign',
        ARRAY(SELECT c.campaign_id FROM outbound.campaign AS c WHERE c.state = 'active' AND outbound._could_complete(c.campaign_id) ORDER BY c.campaign_id),
        complete_campaigns.at)
$$;
COMMENT ON FUNCTION outbound.complete_campaigns IS 'Switches campaigns off that have nothing left to do; returns how many. A duty of maintain() (contact-lists §10.3)';

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
        PERFORM outbound._note_failure(p_duty, began, code, said, facts, way_out);
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
