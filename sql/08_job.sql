-- Jobs: what is to be done, as one JSON document of rules (list-automation §1, §3). The document is
-- validated when it is saved and again when it is run, by the same rules in core.

CREATE TABLE outbound.job (
    job_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    description text,
    rules jsonb NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    successes bigint NOT NULL DEFAULT 0 CHECK (successes >= 0),
    failures bigint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    last_run_at timestamptz,
    last_result text,
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.job IS 'List automation jobs';
COMMENT ON COLUMN outbound.job.job_id IS 'Number of the job';
COMMENT ON COLUMN outbound.job.name IS 'Name, unique';
COMMENT ON COLUMN outbound.job.description IS 'Free text';
COMMENT ON COLUMN outbound.job.rules IS 'The rules, checked and completed with their defaults';
COMMENT ON COLUMN outbound.job.enabled IS 'A disabled job does not run (list-automation §1.1 J-6)';
COMMENT ON COLUMN outbound.job.version IS 'Grows with every change of the rules; a run keeps the rules it started with';
COMMENT ON COLUMN outbound.job.successes IS 'Runs that found and loaded a file';
COMMENT ON COLUMN outbound.job.failures IS 'Runs that failed, wholly or in part; a run that found nothing counts as neither';
COMMENT ON COLUMN outbound.job.last_run_at IS 'End of the last completed run';
COMMENT ON COLUMN outbound.job.last_result IS 'Its result';
COMMENT ON COLUMN outbound.job.created_at IS 'When the job was made';
COMMENT ON COLUMN outbound.job.modified_at IS 'When it was last changed';

CREATE FUNCTION outbound._job_by_name(job_name text) RETURNS outbound.job
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.job;
BEGIN
    SELECT j.* INTO match FROM outbound.job AS j WHERE j.name = job_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job "%" does not exist', job_name
            USING ERRCODE = 'undefined_object', HINT = 'outbound.job_status lists the jobs.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._job_by_name IS 'The job of that name, or an error';

CREATE FUNCTION outbound._checked_job_rules(rules jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb := outbound.check_job_rules(_checked_job_rules.rules::text, 'server');
    known text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM outbound.sftp_server AS s WHERE s.name = checked #>> '{connection,server}') THEN
        SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.name) INTO known FROM outbound.sftp_server AS s;
        RAISE EXCEPTION 'connection.server: SFTP server "%" does not exist', checked #>> '{connection,server}'
            USING ERRCODE = 'undefined_object', DETAIL = format('Known servers: %s.', coalesce(known, 'none')),
                  HINT = 'Enter it with outbound.create_sftp_server.';
    END IF;
    PERFORM outbound.check_job_columns(checked, outbound._inboxes());
    RETURN checked;
END
$$;
COMMENT ON FUNCTION outbound._checked_job_rules IS 'The rules with their defaults, or an error that names the field; server and inboxes must exist';

CREATE FUNCTION outbound.create_job(name text, rules jsonb, description text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made integer;
BEGIN
    PERFORM outbound.check_display_name('job', create_job.name);
    INSERT INTO outbound.job AS j (name, description, rules)
    VALUES (create_job.name, create_job.description, outbound._checked_job_rules(create_job.rules))
    ON CONFLICT DO NOTHING
    RETURNING j.job_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'job "%" exists already', create_job.name
            USING ERRCODE = 'duplicate_object', HINT = 'Change it with outbound.alter_job.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_job IS 'Makes a job; the rules are checked and stored with their defaults';

CREATE FUNCTION outbound.alter_job(
    name text,
    rules jsonb DEFAULT NULL,
    description text DEFAULT NULL,
    new_name text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.job := outbound._job_by_name(alter_job.name);
BEGIN
    IF alter_job.new_name IS NOT NULL THEN
        PERFORM outbound.check_display_name('job', alter_job.new_name);
        IF EXISTS (SELECT 1 FROM outbound.job AS j WHERE j.name = alter_job.new_name AND j.job_id <> before.job_id) THEN
            RAISE EXCEPTION 'job "%" exists already', alter_job.new_name
                USING ERRCODE = 'duplicate_object', HINT = 'Choose another name.';
        END IF;
    END IF;
    UPDATE outbound.job AS j SET
        name = coalesce(alter_job.new_name, before.name),
        description = coalesce(alter_job.description, before.description),
        rules = CASE WHEN alter_job.rules IS NULL THEN before.rules ELSE outbound._checked_job_rules(alter_job.rules) END,
        version = before.version + CASE WHEN alter_job.rules IS NULL THEN 0 ELSE 1 END,
        modified_at = now()
    WHERE j.job_id = before.job_id;
    IF alter_job.rules IS NOT NULL AND (alter_job.rules #>> '{connection,server}', coalesce(alter_job.rules #>> '{connection,directory}', ''))
           IS DISTINCT FROM (before.rules #>> '{connection,server}', before.rules #>> '{connection,directory}') THEN
        -- It looks elsewhere from now on, and will not come back for files that it has still to dispose of.
        UPDATE outbound.import_file AS f SET state = 'done', outcome = 'left', finished_at = now()
        WHERE f.job_id = before.job_id AND f.state = 'published';
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.alter_job IS 'Changes what is given, also while the job is disabled or running (a run keeps the rules it started with)';

CREATE FUNCTION outbound.drop_job(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job outbound.job := outbound._job_by_name(drop_job.name);
BEGIN
    IF EXISTS (SELECT 1 FROM outbound.job_run AS r WHERE r.job_id = job.job_id AND r.state = 'running') THEN
        RAISE EXCEPTION 'job "%" is running', job.name
            USING ERRCODE = 'object_in_use', HINT = 'Wait for the run to end; outbound.job_activity shows it.';
    END IF;
    -- Nobody will come back for files that were published and not yet disposed of: they stay where they are.
    UPDATE outbound.import_file AS f SET state = 'done', outcome = 'left', finished_at = now()
    WHERE f.job_id = job.job_id AND f.state = 'published';
    DELETE FROM outbound.job_run AS r WHERE r.job_id = job.job_id AND r.state = 'queued';
    DELETE FROM outbound.job AS j WHERE j.job_id = job.job_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_job IS 'Removes a job and what it has queued; what its past runs did stays in the history until retention';

CREATE FUNCTION outbound.disable_job(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job outbound.job := outbound._job_by_name(disable_job.name);
BEGIN
    UPDATE outbound.job AS j SET enabled = false, modified_at = now() WHERE j.job_id = job.job_id AND j.enabled;
END
$$;
COMMENT ON FUNCTION outbound.disable_job IS 'Stops all later runs; a run under way ends normally';

CREATE FUNCTION outbound.enable_job(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job outbound.job := outbound._job_by_name(enable_job.name);
BEGIN
    UPDATE outbound.job AS j SET enabled = true, modified_at = now() WHERE j.job_id = job.job_id AND NOT j.enabled;
END
$$;
COMMENT ON FUNCTION outbound.enable_job IS 'Lets a disabled job run again';
