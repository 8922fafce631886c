-- Which files a run takes, and what became of them: the worker reports what it sees, the rules are
-- here (list-automation §2.3, §3.3; architecture §4).

CREATE FUNCTION outbound._settle_gone_files(p_run outbound.job_run, p_listing jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    -- Published before, and no longer there as it was: a worker died between deleting or moving the file and saying so.
    UPDATE outbound.import_file AS f SET state = 'done', outcome = 'gone', finished_at = now()
    WHERE f.job_id = p_run.job_id AND f.state = 'published'
      AND f.server = p_run.rules #>> '{connection,server}' AND f.directory = p_run.rules #>> '{connection,directory}'
      AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements(p_listing) AS e
                      WHERE e ->> 'name' = f.name AND (e ->> 'size')::bigint = f.size
                        AND to_timestamp((e ->> 'modified_at')::double precision) = f.modified_at)
$$;
COMMENT ON FUNCTION outbound._settle_gone_files IS 'Closes the ledger entries of published files that are no longer on the server';

CREATE FUNCTION outbound._file_decision(p_run outbound.job_run, p_entry jsonb, p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rules jsonb := p_run.rules -> 'files';
    listed_name text := p_entry ->> 'name';
    listed_size bigint := (p_entry ->> 'size')::bigint;
    changed_at timestamptz := to_timestamp((p_entry ->> 'modified_at')::double precision);
BEGIN
    IF NOT outbound.file_name_matches(rules ->> 'operation', rules ->> 'name', listed_name, (rules ->> 'case_sensitive')::boolean) THEN
        RETURN 'no_match_name';
    ELSIF p_entry ->> 'refused' IS NOT NULL THEN
        RETURN p_entry ->> 'refused';
    ELSIF p_entry ->> 'kind' <> 'file' THEN
        RETURN 'not_regular_file';
    ELSIF outbound.file_is_in_transfer(listed_name)
       OR changed_at > p_at - make_interval(secs => (rules ->> 'settle_seconds')::double precision) THEN
        RETURN 'still_growing';
    ELSIF EXISTS (SELECT 1 FROM outbound.import_file AS f
                  WHERE f.job_id = p_run.job_id AND f.name = listed_name AND f.state = 'published'
                    AND f.server = p_run.rules #>> '{connection,server}' AND f.directory = p_run.rules #>> '{connection,directory}'
                    AND f.size = listed_size AND f.modified_at = changed_at) THEN
        RETURN 'dispose';
    ELSIF (rules ->> 'ignore_duplicates')::boolean THEN
        IF EXISTS (SELECT 1 FROM outbound.import_file AS f
                   WHERE f.job_id = p_run.job_id AND f.name = listed_name AND f.state IN ('published', 'done')
                     AND f.server = p_run.rules #>> '{connection,server}' AND f.directory = p_run.rules #>> '{connection,directory}') THEN
            RETURN 'known_name';
        ELSIF EXISTS (SELECT 1 FROM outbound.import_file AS f
                      WHERE f.job_id = p_run.job_id AND f.name = listed_name AND f.state = 'known'
                        AND f.server = p_run.rules #>> '{connection,server}' AND f.directory = p_run.rules #>> '{connection,directory}'
                        AND f.size = listed_size AND f.modified_at = changed_at) THEN
            RETURN 'known_content';
        END IF;
    END IF;
    RETURN 'take';
END
$$;
COMMENT ON FUNCTION outbound._file_decision IS 'take, dispose, or the reason for leaving a listed file alone';

CREATE FUNCTION outbound._take_file(p_run outbound.job_run, p_entry jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    file bigint;
    file_disposition text := CASE
        WHEN p_run.rules #>> '{files,move_after_import_to}' IS NOT NULL THEN 'move'
        WHEN (p_run.rules #>> '{files,delete_after_import}')::boolean THEN 'delete' ELSE 'leave' END;
BEGIN
    -- An earlier try of this run may have taken it and died: the entry is used again, so that a file has one.
    UPDATE outbound.import_file AS f SET size = (p_entry ->> 'size')::bigint, taken_at = now(), fetched_at = NULL, sha256 = NULL,
        modified_at = to_timestamp((p_entry ->> 'modified_at')::double precision), disposition = file_disposition
    WHERE f.run_id = p_run.run_id AND f.name = p_entry ->> 'name' AND f.state = 'taken'
    RETURNING f.file_id INTO file;
    IF file IS NULL THEN
        INSERT INTO outbound.import_file AS f (run_id, job_id, server, directory, name, size, modified_at, disposition)
        VALUES (p_run.run_id, p_run.job_id, p_run.rules #>> '{connection,server}', p_run.rules #>> '{connection,directory}',
                p_entry ->> 'name', (p_entry ->> 'size')::bigint, to_timestamp((p_entry ->> 'modified_at')::double precision), file_disposition)
        RETURNING f.file_id INTO file;
    END IF;
    RETURN file;
END
$$;
COMMENT ON FUNCTION outbound._take_file IS 'Enters a file in the ledger for this run';

CREATE FUNCTION outbound.plan_files(p_run bigint, p_try integer, p_listing jsonb, at timestamptz DEFAULT now()) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
    answer jsonb;
BEGIN
    IF run.rules -> 'files' IS NULL OR run.rules -> 'files' = 'null' THEN
        -- A local file: the worker was told which one.
        SELECT jsonb_agg(jsonb_build_object('index', e.position - 1, 'decision', 'take', 'file_id', outbound._take_file(run, e.entry), 'reason', NULL))
        INTO answer FROM jsonb_array_elements(p_listing) WITH ORDINALITY AS e (entry, position);
        RETURN coalesce(answer, '[]');
    END IF;
    PERFORM outbound._settle_gone_files(run, p_listing);
    WITH decided AS (
        SELECT e.position - 1 AS index, e.entry, outbound._file_decision(run, e.entry, plan_files.at) AS decision
        FROM jsonb_array_elements(p_listing) WITH ORDINALITY AS e (entry, position)
    ), ordered AS (
        SELECT d.*, row_number() OVER (ORDER BY (d.entry ->> 'modified_at')::double precision, d.entry ->> 'name') AS place
        FROM decided AS d
        ORDER BY place
    )
    SELECT jsonb_agg(jsonb_build_object(
            'index', o.index,
            'decision', CASE WHEN o.decision IN ('take', 'dispose') THEN o.decision ELSE 'skip' END,
            'file_id', CASE o.decision
                WHEN 'take' THEN outbound._take_file(run, o.entry)
                WHEN 'dispose' THEN (SELECT max(f.file_id) FROM outbound.import_file AS f
                                     WHERE f.job_id = run.job_id AND f.name = o.entry ->> 'name' AND f.state = 'published'
                                       AND f.server = run.rules #>> '{connection,server}' AND f.directory = run.rules #>> '{connection,directory}') END,
            'reason', CASE WHEN o.decision NOT IN ('take', 'dispose') THEN o.decision END) ORDER BY o.place)
    INTO answer FROM ordered AS o;
    UPDATE outbound.job_run AS r SET skipped = left_alone.reasons
    FROM (SELECT jsonb_object_agg(s.reason, jsonb_build_object('files', s.files, 'name', s.name)) AS reasons
          FROM (SELECT a.item ->> 'reason' AS reason, count(*) AS files, min(p_listing -> (a.item ->> 'index')::integer ->> 'name') AS name
                FROM jsonb_array_elements(answer) AS a (item)
                WHERE a.item ->> 'decision' = 'skip' AND a.item ->> 'reason' <> 'no_match_name' GROUP BY 1) AS s) AS left_alone
    WHERE r.run_id = p_run;
    RETURN coalesce(answer, '[]');
END
$$;
COMMENT ON FUNCTION outbound.plan_files IS 'Answers for each file of a directory whether to take it, to dispose of it, or why not; oldest first (list-automation §3.3 M-4)';

CREATE FUNCTION outbound.file_fetched(p_run bigint, p_try integer, p_file bigint, p_sha256 bytea, p_size bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
    earlier text;
BEGIN
    IF (run.rules #>> '{files,ignore_duplicates}')::boolean THEN
        SELECT f.name INTO earlier FROM outbound.import_file AS f
        WHERE f.job_id = run.job_id AND f.sha256 = p_sha256 AND f.state IN ('published', 'done')
        ORDER BY f.file_id DESC LIMIT 1;
    END IF;
    UPDATE outbound.import_file AS f SET sha256 = p_sha256, size = p_size, fetched_at = now(),
        state = CASE WHEN earlier IS NULL THEN 'taken' ELSE 'known' END,
        finished_at = CASE WHEN earlier IS NOT NULL THEN now() END,
        reason = CASE WHEN earlier IS NOT NULL THEN 'known_content' END,
        message = CASE WHEN earlier IS NOT NULL THEN format('same content as "%s", which was imported before', earlier) END
    WHERE f.file_id = p_file AND f.run_id = p_run AND f.state = 'taken';
    RETURN CASE WHEN earlier IS NULL THEN 'load' ELSE 'known_content' END;
END
$$;
COMMENT ON FUNCTION outbound.file_fetched IS 'Notes size and SHA-256 of a fetched file; answers load, or known_content if the job ignores duplicates and imported the same bytes before';

CREATE FUNCTION outbound.file_disposed(p_run bigint, p_try integer, p_file bigint, p_outcome text, p_moved_to text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM outbound._own_run(p_run, p_try);
    UPDATE outbound.import_file AS f SET state = 'done', outcome = p_outcome, moved_to = p_moved_to, finished_at = now()
    WHERE f.file_id = p_file AND f.state = 'published';
END
$$;
COMMENT ON FUNCTION outbound.file_disposed IS 'Notes that nothing is left to do for a published file';

CREATE FUNCTION outbound.file_failed(p_run bigint, p_try integer, p_file bigint, p_reason text, p_message text, p_counts jsonb DEFAULT NULL,
    p_detail text DEFAULT NULL, p_hint text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM outbound._own_run(p_run, p_try);
    -- As in finish_run: what a worker that hangs still holds is left to maintain().
    PERFORM outbound._drop_load(l.load_id) FROM (SELECT o.load_id FROM outbound.load AS o WHERE o.file_id = p_file FOR UPDATE SKIP LOCKED) AS l;
    -- A file that fails again and again is reported once: the rows of its earlier failures make room.
    DELETE FROM outbound.rejected_row AS w USING outbound.import_file AS o, outbound.import_file AS f
    WHERE w.file_id = o.file_id AND f.file_id = p_file AND o.file_id <> p_file AND o.job_id = f.job_id AND o.name = f.name
      AND o.state = 'failed' AND o.size = f.size AND o.modified_at = f.modified_at;
    UPDATE outbound.import_file AS f SET state = 'failed', reason = p_reason, message = p_message, detail = p_detail, hint = p_hint, finished_at = now(),
        rows_read = (p_counts ->> 'rows_read')::bigint, rejected = (p_counts ->> 'rejected')::bigint,
        duplicates = (p_counts ->> 'duplicates')::bigint, warnings = (p_counts ->> 'warnings')::bigint
    WHERE f.file_id = p_file AND f.run_id = p_run AND f.state = 'taken';
END
$$;
COMMENT ON FUNCTION outbound.file_failed IS 'Notes that a file failed; nothing of it is in a list, and the remote file stays where it is';
