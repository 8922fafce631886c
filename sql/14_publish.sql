-- Publishing a load: the one transaction after which everybody sees its rows. It raises, and so
-- changes nothing, unless rows read = added + updated + duplicates + rejected + filtered.

CREATE FUNCTION outbound._count(p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    counted bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM outbound_list.%I', p_table) INTO counted;
    RETURN counted;
END
$$;
COMMENT ON FUNCTION outbound._count IS 'Rows of a table in outbound_list';

CREATE FUNCTION outbound._has_own_additions(p_table text, p_loaded text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
                     AND d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_statistic_ext'::regclass))
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid = t.reltype AND d.deptype = 'n')
        OR t.relrowsecurity OR t.relforcerowsecurity OR t.relreplident <> 'd' OR t.reloptions IS DISTINCT FROM (SELECT n.reloptions FROM pg_catalog.pg_class AS n WHERE n.relnamespace = t.relnamespace AND n.relname = p_loaded)
        OR t.relowner <> (SELECT p.relowner FROM pg_catalog.pg_class AS p WHERE p.oid = 'outbound.contact'::regclass)
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a
                   WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0
                     AND NOT EXISTS (SELECT 1 FROM outbound.list AS l JOIN outbound.list_column AS c USING (list_id)
                                     WHERE l.table_name = t.relname AND c.column_name = a.attname))
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                   WHERE i.indrelid = t.oid AND left(c.relname, 4) <> 'sys_')
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = t.oid)
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_policy AS p WHERE p.polrelid = t.oid)
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_publication_rel AS p WHERE p.prrelid = t.oid)
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS f WHERE f.confrelid = t.oid)
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS c WHERE c.conrelid = t.oid AND c.contype = 'c'
                   AND c.coninhcount = 0 AND c.conname NOT IN ('contact_list', 'detail_list'))
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.oid AND a.attacl IS NOT NULL)
    FROM pg_catalog.pg_class AS t
    WHERE t.relnamespace = 'outbound_list'::regnamespace AND t.relname = p_table
$$;
COMMENT ON FUNCTION outbound._has_own_additions IS 'Whether people hung something on a list table (views, functions, statistics, indexes, triggers, row security, publications, foreign keys, checks, columns, rights on columns, storage settings, an owner) that a swap would lose';

CREATE FUNCTION outbound._swap_tables(p_load outbound.load, p_list outbound.list) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '30s'
AS $$
DECLARE
    part record;
    grants text[];
    columns text;
BEGIN
    -- Who waits for this lock makes everybody else wait: rather give the file up, the next run takes it.
    FOR part IN SELECT * FROM (VALUES ('sys_load_' || p_load.load_id, p_list.table_name),
                                      ('sys_load_' || p_load.load_id || '_detail', p_list.table_name || '_detail')) AS v (loaded, present)
    LOOP
        EXECUTE format('LOCK TABLE outbound_list.%I IN ACCESS EXCLUSIVE MODE', part.present);
    END LOOP;
    -- Only now does nobody claim or settle any more.
    PERFORM outbound._log_flushed(p_list);
    IF outbound._has_own_additions(p_list.table_name, 'sys_load_' || p_load.load_id)
       OR outbound._has_own_additions(p_list.table_name || '_detail', 'sys_load_' || p_load.load_id || '_detail') THEN
        FOR part IN SELECT * FROM (VALUES ('sys_load_' || p_load.load_id, p_list.table_name),
                                          ('sys_load_' || p_load.load_id || '_detail', p_list.table_name || '_detail')) AS v (loaded, present)
        LOOP
            SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = format('outbound_list.%I', part.loaded)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
            IF EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS f WHERE f.confrelid = format('outbound_list.%I', part.present)::regclass) THEN
                -- TRUNCATE is refused while a foreign key points here, whether or not a row uses it.
                EXECUTE format('DELETE FROM outbound_list.%I', part.present);
            ELSE
                EXECUTE format('TRUNCATE outbound_list.%I', part.present);
            END IF;
            EXECUTE format('INSERT INTO outbound_list.%1$I (%3$s) SELECT %3$s FROM outbound_list.%2$I', part.present, part.loaded, columns);
        END LOOP;
        EXECUTE format('DROP TABLE outbound_list.%I, outbound_list.%I', 'sys_load_' || p_load.load_id, 'sys_load_' || p_load.load_id || '_detail');
    ELSE
        SELECT coalesce(array_agg(format('GRANT %s ON outbound_list.%I TO %s%s', g.privilege_type, t.relname,
                   CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                   CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)), '{}') INTO grants
        FROM pg_catalog.pg_class AS t CROSS JOIN LATERAL aclexplode(t.relacl) AS g
        WHERE t.relnamespace = 'outbound_list'::regnamespace AND t.relname IN (p_list.table_name, p_list.table_name || '_detail')
          AND g.grantee <> t.relowner;
        EXECUTE format('DROP TABLE outbound_list.%I, outbound_list.%I', p_list.table_name, p_list.table_name || '_detail');
        PERFORM outbound._execute(outbound.attach_ddl(p_load.load_id, p_list.table_name, p_list.name, p_load.definition -> 'columns'));
        -- A new list can be read by readers; this one only if it could before.
        EXECUTE format('REVOKE ALL ON outbound_list.%I, outbound_list.%I FROM outbound_reader', p_list.table_name, p_list.table_name || '_detail');
        PERFORM outbound._execute(grants);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound._swap_tables IS 'Puts the loaded tables in the place of the list''s; where people hung views or the like on those, their rows are replaced instead';

CREATE FUNCTION outbound._advance_record_numbers(p_table text, p_last bigint) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT setval(pg_get_serial_sequence(format('outbound_list.%I', p_table || '_detail'), 'sys_id'), p_last) WHERE p_last > 0
$$;
COMMENT ON FUNCTION outbound._advance_record_numbers IS 'Lets the running number of the records go on after the last one given';

CREATE FUNCTION outbound._publish_load(p_load outbound.load, p_counts jsonb, p_secured boolean, p_list_must_be_new boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    staged bigint := outbound._count('sys_load_' || p_load.load_id);
    rows_read bigint := (p_counts ->> 'rows_read')::bigint;
    rejected bigint := (p_counts ->> 'rejected')::bigint;
    filtered bigint := (p_counts ->> 'filtered')::bigint;
    duplicates bigint := (p_counts ->> 'duplicates')::bigint;
    merged jsonb;
    last_record bigint;
    target outbound.list;
BEGIN
    PERFORM outbound._resolve_conversations(p_load);
    PERFORM outbound._suppress_loaded(p_load);
    IF p_load.mode = 'new' THEN
        target := outbound._install_list(p_load, p_secured,
            CASE WHEN p_load.definition ->> 'identifier' IS NULL THEN staged ELSE 0 END, p_list_must_be_new);
        PERFORM outbound._advance_record_numbers(target.table_name, (p_counts ->> 'records')::bigint);
        PERFORM outbound._recount(target.list_id, target.table_name);
        merged := jsonb_build_object('added', staged, 'updated', 0, 'unchanged', 0, 'records_added', p_counts -> 'records', 'records_removed', 0);
    ELSE
        SELECT l.* INTO target FROM outbound.list AS l WHERE l.list_id = p_load.list_id FOR UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'contact list "%" was dropped while it was being loaded', p_load.list_name
                USING ERRCODE = 'OB404', HINT = 'Run the job again: it makes the list anew.';
        END IF;
        IF p_load.mode = 'swap' THEN
            last_record := outbound._last_record_id(target.table_name) + (p_counts ->> 'records')::bigint;
            PERFORM outbound._swap_tables(p_load, target);
            PERFORM outbound._advance_record_numbers(target.table_name, last_record);
            PERFORM outbound._index_list(target.list_id);
            PERFORM outbound._recount(target.list_id, target.table_name);
            merged := jsonb_build_object('added', staged, 'updated', 0, 'unchanged', 0, 'records_added', p_counts -> 'records', 'records_removed', 0);
        ELSE
            merged := outbound._merge_load(p_load, target);
            EXECUTE format('DROP TABLE outbound_list.%I, outbound_list.%I', 'sys_load_' || p_load.load_id, 'sys_load_' || p_load.load_id || '_detail');
            duplicates := duplicates + staged - (merged ->> 'added')::bigint - (merged ->> 'updated')::bigint;
        END IF;
        UPDATE outbound.list AS l SET updated_at = now(), secured = coalesce(p_secured, l.secured),
            last_contact_number = CASE WHEN l.identifier_column IS NOT NULL THEN 0
                WHEN p_load.mode = 'swap' THEN staged ELSE l.last_contact_number + staged END
        WHERE l.list_id = target.list_id;
    END IF;
    DELETE FROM outbound.load AS l WHERE l.load_id = p_load.load_id;
    -- A count that is missing is null: it must not let the load through either.
    IF (staged = (p_counts ->> 'contacts')::bigint
        AND rows_read = (merged ->> 'added')::bigint + (merged ->> 'updated')::bigint + duplicates + rejected + filtered) IS NOT TRUE THEN
        RAISE EXCEPTION 'the counts of the load do not reconcile'
            USING ERRCODE = 'OB500',
                  DETAIL = format('read %s, staged %s of %s, added %s, updated %s, duplicates %s, rejected %s, filtered %s',
                      rows_read, staged, p_counts ->> 'contacts', merged ->> 'added', merged ->> 'updated', duplicates, rejected, filtered),
                  HINT = 'Nothing was changed. This is a defect: please report it with this line.';
    END IF;
    RETURN merged || jsonb_build_object('rows_read', rows_read, 'rejected', rejected, 'filtered', filtered, 'duplicates', duplicates,
        'warnings', p_counts -> 'warnings', 'list_id', target.list_id, 'list', target.name, 'table', target.table_name);
END
$$;
COMMENT ON FUNCTION outbound._publish_load IS 'Publishes a load into its list and returns the counts; raises OB500 unless they reconcile';

CREATE FUNCTION outbound.publish(p_run bigint, p_try integer, p_load bigint, p_counts jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    run outbound.job_run := outbound._own_run(p_run, p_try);
    loading outbound.load := outbound._load(p_load);
    counts jsonb;
BEGIN
    IF (loading.run_id = p_run AND loading.try_no = p_try) IS NOT TRUE THEN
        RAISE EXCEPTION 'load % is not one of try % of run %', p_load, p_try, p_run
            USING ERRCODE = 'OB409', HINT = 'Publish the load that begin_load opened for this try.';
    END IF;
    counts := CASE WHEN loading.mode = 'suppress'
        THEN outbound._publish_suppression(loading, p_counts, run.rules ->> 'append_type' = 'flush_and_append')
        ELSE outbound._publish_load(loading, p_counts, coalesce((run.rules #>> '{encryption,required}')::boolean, false),
                                    run.rules ->> 'append_type' <> 'new_list_only') END;
    UPDATE outbound.import_file AS f SET
        state = CASE WHEN f.disposition = 'leave' THEN 'done' ELSE 'published' END,
        outcome = CASE WHEN f.disposition = 'leave' THEN 'left' END,
        finished_at = CASE WHEN f.disposition = 'leave' THEN now() END,
        published_at = now(),
        list_id = (counts ->> 'list_id')::integer, suppression_list_id = (counts ->> 'suppression_list_id')::integer, list_name = counts ->> 'list', append_type = run.rules ->> 'append_type',
        rows_read = (counts ->> 'rows_read')::bigint, added = (counts ->> 'added')::bigint, updated = (counts ->> 'updated')::bigint,
        unchanged = (counts ->> 'unchanged')::bigint, duplicates = (counts ->> 'duplicates')::bigint,
        rejected = (counts ->> 'rejected')::bigint, filtered = (counts ->> 'filtered')::bigint,
        warnings = (counts ->> 'warnings')::bigint, records = (counts ->> 'records_added')::bigint
    WHERE f.file_id = loading.file_id AND f.state = 'taken';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'file % is not being imported by this run', loading.file_id
            USING ERRCODE = 'OB409', HINT = 'It was published or given up already.';
    END IF;
    RETURN counts - ARRAY['list_id', 'suppression_list_id'];
END
$$;
COMMENT ON FUNCTION outbound.publish IS 'Publishes a load: merge, counts and ledger in the caller''s transaction';
