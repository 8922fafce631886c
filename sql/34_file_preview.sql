-- A look at what a file would make (contact-lists §2.1). A trial run does all that the import does, in one
-- transaction; before it publishes it has the order of the file noted, afterwards it asks for the first
-- contacts, and then undoes everything.

CREATE FUNCTION outbound._own_trial(p_run bigint, p_try integer) RETURNS outbound.job_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
BEGIN
    IF NOT run.dry_run THEN
        RAISE EXCEPTION 'run % is no trial', p_run
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Ask for a sample in a dry run.';
    END IF;
    RETURN run;
END
$$;
COMMENT ON FUNCTION outbound._own_trial IS 'The trial run, if that try still owns it, or an error';

CREATE FUNCTION outbound.note_load_order(p_run bigint, p_try integer, p_load bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_trial(p_run, p_try);
    loading outbound.load := outbound._load(p_load);
    numbers_from bigint := 0;
BEGIN
    IF loading.run_id IS DISTINCT FROM run.run_id THEN
        RAISE EXCEPTION 'load % is not one of run %', p_load, p_run
            USING ERRCODE = 'OB409', HINT = 'Name the load that begin_load opened for this try.';
    END IF;
    IF loading.definition ->> 'identifier' IS NULL AND loading.mode IN ('append', 'update') THEN
        SELECT l.last_contact_number INTO numbers_from FROM outbound.list AS l WHERE l.list_id = loading.list_id;
    END IF;
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%I AS
        SELECT %s AS sys_id, row_number() OVER (ORDER BY t.ctid) AS place FROM outbound_list.%I AS t
        $sql$, 'sys_order_' || loading.file_id,
        CASE WHEN numbers_from > 0 THEN format('(t.sys_id::bigint + %s)::text', numbers_from) ELSE 't.sys_id' END, 'sys_load_' || p_load);
END
$$;
COMMENT ON FUNCTION outbound.note_load_order IS 'Notes, in a trial run that is about to publish, in which order the file has its contacts: publishing moves rows';

CREATE FUNCTION outbound.sample_load(p_run bigint, p_try integer, p_file bigint, p_rows integer) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_trial(p_run, p_try);
    target outbound.list;
    sampled jsonb;
BEGIN
    SELECT l.* INTO target FROM outbound.import_file AS f JOIN outbound.list AS l ON l.list_id = f.list_id
    WHERE f.file_id = p_file AND f.run_id = run.run_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- A trial is one transaction: what it wrote has its moment.
    EXECUTE format($sql$
        SELECT jsonb_agg(jsonb_build_object(
            'id', s.row ->> 'sys_id', 'status', s.row ->> 'sys_status',
            'values', (SELECT jsonb_agg(s.row -> c.column_name ORDER BY c.position) FROM outbound.list_column AS c WHERE c.list_id = $1),
            'records', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                            'unit', d.sys_channel_user, 'type', d.sys_channel_user_type, 'column', d.sys_cl_source_column,
                            'conversation_type', d.sys_conversation_type, 'inbox', i.name, 'status', d.sys_status) ORDER BY d.sys_id), '[]')
                        FROM outbound_list.%2$I AS d LEFT JOIN outbound.inbox AS i ON i.inbox_id = d.sys_inbox_id
                        WHERE d.sys_contact_id = s.row ->> 'sys_id')) ORDER BY s.place)
        FROM (SELECT to_jsonb(t) AS row, o.place FROM outbound_list.%1$I AS t JOIN outbound_list.%3$I AS o ON o.sys_id = t.sys_id
              WHERE t.sys_updated_at = now() ORDER BY o.place LIMIT $2) AS s
        $sql$, target.table_name, target.table_name || '_detail', 'sys_order_' || p_file)
    INTO sampled USING target.list_id, p_rows;
    RETURN jsonb_build_object('rows', coalesce(sampled, '[]'),
        'columns', (SELECT jsonb_agg(c.name ORDER BY c.position) FROM outbound.list_column AS c WHERE c.list_id = target.list_id));
END
$$;
COMMENT ON FUNCTION outbound.sample_load IS 'The first contacts, in the order of the file, that a trial run made or changed with a file it has published, with their records; null when the file was not published';
