-- A look at what a file would make (contact-lists §2.1). A trial run does all that the import does; it asks for
-- this after it has published, and then undoes everything.

CREATE FUNCTION outbound.sample_load(p_run bigint, p_try integer, p_file bigint, p_rows integer) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
    target outbound.list;
    file_order text := 't.ctid';
    sampled jsonb;
BEGIN
    IF NOT run.dry_run THEN
        RAISE EXCEPTION 'run % is no trial', p_run
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Ask for a sample in a dry run.';
    END IF;
    SELECT l.* INTO target FROM outbound.import_file AS f JOIN outbound.list AS l ON l.list_id = f.list_id
    WHERE f.file_id = p_file AND f.run_id = p_run;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF run.rules ->> 'append_type' IN ('append_only', 'append_and_update') AND target.created_at < now() THEN
        -- Rows that are added to a list go wherever there is room; their records are numbered in the order of the file.
        file_order := format('(SELECT min(d.sys_id) FROM outbound_list.%I AS d WHERE d.sys_contact_id = t.sys_id AND d.sys_created_at = now()), t.ctid',
                             target.table_name || '_detail');
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
        FROM (SELECT to_jsonb(t) AS row, row_number() OVER (ORDER BY %3$s) AS place FROM outbound_list.%1$I AS t
              WHERE t.sys_updated_at = now() ORDER BY 2 LIMIT $2) AS s
        $sql$, target.table_name, target.table_name || '_detail', file_order)
    INTO sampled USING target.list_id, p_rows;
    RETURN jsonb_build_object('rows', coalesce(sampled, '[]'),
        'columns', (SELECT jsonb_agg(c.name ORDER BY c.position) FROM outbound.list_column AS c WHERE c.list_id = target.list_id));
END
$$;
COMMENT ON FUNCTION outbound.sample_load IS 'The first contacts, in the order of the file, that a trial run made or changed with a file it has published, with their records; null when the file was not published';
