-- Loads: how rows come into a list. A load has two tables of its own, filled by COPY on two
-- connections; publishing them is one short transaction. A new list, and one that is flushed, is
-- loaded into tables that become the list's own; an append is loaded into staging tables and merged.

CREATE FUNCTION outbound._open_load(p_run bigint, p_try integer, p_file bigint, p_list_id integer, p_list_name text, p_mode text, p_definition jsonb,
    p_suppression_list_id integer DEFAULT NULL)
RETURNS outbound.load
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO outbound.load AS l (run_id, try_no, file_id, list_id, suppression_list_id, list_name, mode, definition)
    VALUES (p_run, p_try, p_file, p_list_id, p_suppression_list_id, p_list_name, p_mode, p_definition)
    RETURNING l.*
$$;
COMMENT ON FUNCTION outbound._open_load IS 'Enters a load';

CREATE FUNCTION outbound._load(p_load bigint) RETURNS outbound.load
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.load;
BEGIN
    -- Held until the caller's transaction ends: a load whose tables are being made is not cleaned away.
    SELECT l.* INTO match FROM outbound.load AS l WHERE l.load_id = p_load FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'load % is not under way', p_load
            USING ERRCODE = 'OB409', HINT = 'It was published or given up; start the run again.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._load IS 'The load of that number, held against clean-up, or an error';

CREATE FUNCTION outbound.create_load_table(p_load bigint, p_part text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    loading outbound.load := outbound._load(p_load);
BEGIN
    PERFORM outbound._execute(outbound.load_table_ddl(p_load, p_part, coalesce(loading.list_id, loading.suppression_list_id),
        loading.definition -> 'columns', loading.mode NOT IN ('new', 'swap')));
    RETURN outbound.load_copy_statement(p_load, p_part, loading.definition -> 'columns', loading.mode IN ('new', 'swap'));
END
$$;
COMMENT ON FUNCTION outbound.create_load_table IS 'Makes the contact or detail table of a load and returns the COPY statement that fills it, to be run in the same transaction';

CREATE FUNCTION outbound.finish_load_table(p_load bigint, p_part text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    -- What a merge must know of its staging tables is their size and little more: a small sample will do.
    SET default_statistics_target = 10
AS $$
DECLARE
    loading outbound.load := outbound._load(p_load);
    memory text := current_setting('maintenance_work_mem');
BEGIN
    -- Sorting three million identifiers in the default 64 MB spills to disk; the caller has its own back afterwards.
    IF pg_size_bytes(memory) < pg_size_bytes('256MB') THEN
        PERFORM set_config('maintenance_work_mem', '256MB', true);
    END IF;
    PERFORM outbound._execute(outbound.load_keys_ddl(p_load, p_part,
        -- Campaigns that are started meanwhile make their indexes when the tables are in place.
        ARRAY(SELECT DISTINCT c.conversation_type::text FROM outbound.campaign_list AS m JOIN outbound.campaign AS c USING (campaign_id)
              WHERE m.list_id = loading.list_id AND c.state = 'active' ORDER BY 1), loading.mode NOT IN ('new', 'swap')));
    PERFORM set_config('maintenance_work_mem', memory, true);
END
$$;
COMMENT ON FUNCTION outbound.finish_load_table IS 'Adds keys and indexes to a load table (statistics to a staging table), after its COPY and in the same transaction';

CREATE FUNCTION outbound._drop_load(p_load bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS outbound_list.%I, outbound_list.%I', 'sys_load_' || p_load, 'sys_load_' || p_load || '_detail');
    DELETE FROM outbound.load AS l WHERE l.load_id = p_load;
END
$$;
COMMENT ON FUNCTION outbound._drop_load IS 'Removes a load and what is left of its tables';

CREATE FUNCTION outbound._is_dead(p_load outbound.load) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT 1 FROM outbound.job_run AS r
                       WHERE r.run_id = p_load.run_id AND r.tries = p_load.try_no AND r.state = 'running')
$$;
COMMENT ON FUNCTION outbound._is_dead IS 'Whether the worker that opened a load no longer owns its run';

CREATE FUNCTION outbound.drop_dead_loads() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    dead record;
    dropped integer := 0;
BEGIN
    FOR dead IN SELECT l.load_id FROM outbound.load AS l WHERE outbound._is_dead(l) FOR UPDATE SKIP LOCKED LOOP
        PERFORM outbound._drop_load(dead.load_id);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION outbound.drop_dead_loads IS 'Removes the tables of loads whose worker is gone; a duty of maintain()';

CREATE FUNCTION outbound._free_list_of_dead_loads(p_list_id integer, p_suppression_list_id integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning SET lock_timeout = '10s'
AS $$
DECLARE
    dead record;
BEGIN
    -- Waits for a connection that is just noticing that its worker is gone: it ends by itself. That of a
    -- worker that hangs does not; then the list stays busy, and this run ends instead of hanging as well.
    FOR dead IN SELECT l.load_id FROM outbound.load AS l WHERE (l.list_id = p_list_id OR l.suppression_list_id = p_suppression_list_id) AND outbound._is_dead(l) FOR UPDATE LOOP
        PERFORM outbound._drop_load(dead.load_id);
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    RAISE WARNING 'a lost worker still holds a load of list %', coalesce(p_list_id, p_suppression_list_id)
        USING HINT = 'It hangs: end its process, or its connections to the database.';
END
$$;
COMMENT ON FUNCTION outbound._free_list_of_dead_loads IS 'Removes what lost workers left under way for one list, or one do-not-contact list';

CREATE FUNCTION outbound._last_record_id(p_table text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(format('outbound_list.%I', p_table || '_detail'), 'sys_id')::regclass), 0)
$$;
COMMENT ON FUNCTION outbound._last_record_id IS 'Highest number that a record of the list was ever given; 0 for none';

CREATE FUNCTION outbound._shape_of(p_list_id integer, p_definition jsonb, p_last_record_id bigint DEFAULT 0) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'list_id', p_list_id,
        'last_record_id', p_last_record_id,
        'invalid_result_id', (SELECT r.result_id FROM outbound.attempt_result AS r WHERE r.name = 'invalid'),
        'columns', jsonb_agg(jsonb_build_object(
            'name', c.item -> 'name', 'identifier', c.item -> 'column_name', 'column_type', c.item -> 'type',
            'contact', CASE WHEN c.item ->> 'unit_type' IS NOT NULL THEN jsonb_build_object(
                'unit_type', c.item -> 'unit_type', 'inbox_id', c.item -> 'inbox_id', 'conversation_type', c.item -> 'conversation_type') END)
            ORDER BY c.position),
        'identifier', (SELECT i.position - 1 FROM jsonb_array_elements(p_definition -> 'columns') WITH ORDINALITY AS i (item, position)
                       WHERE i.item ->> 'name' = p_definition ->> 'identifier'),
        'contact_name', (SELECT i.position - 1 FROM jsonb_array_elements(p_definition -> 'columns') WITH ORDINALITY AS i (item, position)
                         WHERE i.item ->> 'name' = p_definition ->> 'contact_name'))
    FROM jsonb_array_elements(p_definition -> 'columns') WITH ORDINALITY AS c (item, position)
$$;
COMMENT ON FUNCTION outbound._shape_of IS 'A definition as the document that the row rules of core read';

CREATE FUNCTION outbound._refused(p_reason text, p_message text, p_detail text DEFAULT NULL, p_hint text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('refused', jsonb_build_object('reason', p_reason, 'message', p_message, 'detail', p_detail, 'hint', p_hint))
$$;
COMMENT ON FUNCTION outbound._refused IS 'Answer of a decision that refuses a file';

CREATE FUNCTION outbound.begin_load(p_run bigint, p_try integer, p_file bigint, p_header jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
    file_name text := (SELECT f.name FROM outbound.import_file AS f WHERE f.file_id = p_file);
    target_name text := coalesce(run.rules ->> 'target_list', outbound.list_name_from(file_name));
    append_type text := run.rules ->> 'append_type';
    target outbound.list;
    header_refusal jsonb := outbound.check_header(p_header);
    load_mode text;
    definition jsonb;
    target_id integer;
    opened outbound.load;
BEGIN
    IF header_refusal IS NOT NULL THEN
        RETURN jsonb_build_object('refused', header_refusal);
    END IF;
    IF run.rules ->> 'action' = 'import_suppression' THEN
        RETURN outbound._begin_suppression(run, p_file, p_header);
    END IF;
    BEGIN
        SELECT l.* INTO target FROM outbound.list AS l WHERE l.name = target_name AND append_type <> 'new_list_only' FOR NO KEY UPDATE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN outbound._refused('list_busy', format('contact list "%s" is being changed by somebody else', target_name),
                                 'A load, a dry run or outbound.add_contacts holds it.', 'The file stays where it is; the next run takes it.');
    END;
    IF target.selection_method = 'conversations' THEN
        RETURN outbound._refused('rule', format('contact list "%s" is made from conversations', target_name),
            'Its contacts are those that its criteria describe.', 'Name another list in target_list.');
    ELSIF target.list_id IS NOT NULL THEN
        target_id := target.list_id;
        definition := outbound._definition_of(target.list_id);
        load_mode := CASE append_type WHEN 'append_only' THEN 'append' WHEN 'append_and_update' THEN 'update' ELSE 'swap' END;
    ELSIF jsonb_array_length(run.rules -> 'columns') = 0 THEN
        RETURN outbound._refused('list_missing', format('contact list "%s" does not exist', target_name), NULL,
            'Make it with outbound.create_list, or give the job columns to make it with.');
    ELSE
        target_id := outbound._next_list_id();
        definition := outbound.definition_for_header(run.rules, p_header, outbound._inboxes());
        IF definition ? 'refused' THEN
            RETURN definition;
        END IF;
        load_mode := 'new';
    END IF;
    header_refusal := outbound.match_header(outbound._shape_of(target_id, definition), p_header);
    IF header_refusal IS NOT NULL THEN
        RETURN jsonb_build_object('refused', header_refusal);
    END IF;
    PERFORM outbound._free_list_of_dead_loads(target_id);
    IF EXISTS (SELECT 1 FROM outbound.load AS l WHERE l.list_id = target_id) THEN
        RETURN outbound._refused('list_busy', format('contact list "%s" is being loaded by another run', target_name),
                                 NULL, 'The file stays where it is; the next run takes it.');
    END IF;
    opened := outbound._open_load(p_run, p_try, p_file, target_id, target_name, load_mode, definition);
    RETURN jsonb_build_object('load_id', opened.load_id, 'fresh', load_mode IN ('new', 'swap'),
                              -- Record numbers are never given twice, also when the list is flushed: the attempt log names them.
                              'shape', outbound._shape_of(target_id, definition,
                                  CASE load_mode WHEN 'swap' THEN outbound._last_record_id(target.table_name) ELSE 0 END), 'refused', NULL);
END
$$;
COMMENT ON FUNCTION outbound.begin_load IS 'Decides which list a file goes to and whether its header fits, and opens the load (list-automation §3.4 A-3, A-6)';
