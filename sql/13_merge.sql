-- Merging staged rows into a list that exists, set-based. The dialers' work goes on meanwhile: the
-- contacts that are touched are locked first, those in progress keep their open record, and rows that
-- are equal already are not rewritten.

CREATE FUNCTION outbound._user_columns(p_load outbound.load, p_form text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(format(p_form, c.item ->> 'column_name', c.item ->> 'column_name'), ', ' ORDER BY c.position)
    FROM jsonb_array_elements(p_load.definition -> 'columns') WITH ORDINALITY AS c (item, position)
$$;
COMMENT ON FUNCTION outbound._user_columns IS 'The user columns of the list in a form such as t.%I, separated by commas';

CREATE FUNCTION outbound._append_contacts(p_load outbound.load, p_table text, p_offset bigint) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    user_columns text := outbound._user_columns(p_load, '%I');
    staged_id text := CASE WHEN p_load.definition ->> 'identifier' IS NULL THEN format('(s.%%I::bigint + %s)::text', p_offset) ELSE 's.%I' END;
    added bigint;
    records bigint;
BEGIN
    EXECUTE format($sql$
        WITH added AS (
            INSERT INTO outbound_list.%1$I (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media, sys_unit_types, %3$s)
            SELECT s.list_id, %5$s, s.sys_status, s.sys_status_call, s.sys_status_email, s.sys_status_social_media, s.sys_unit_types, %3$s
            FROM outbound_list.%4$I AS s
            ON CONFLICT (sys_id) DO NOTHING
            RETURNING sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media, sys_unit_types
        ), counted AS (
            INSERT INTO outbound.contact_count %8$s
        ), records AS (
            INSERT INTO outbound_list.%2$I (list_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column,
                sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id)
            SELECT d.list_id, a.sys_id, d.sys_channel_user, d.sys_channel_user_type, d.sys_cl_source_column,
                d.sys_conversation_type, d.sys_inbox_id, d.sys_status, d.sys_last_attempt_dialer_attempt_result_id
            FROM (SELECT s.*, %6$s AS contact_id FROM outbound_list.%7$I AS s) AS d
            JOIN added AS a ON a.sys_id = d.contact_id
            ORDER BY d.sys_id
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM records)
        $sql$, p_table, p_table || '_detail', user_columns, 'sys_load_' || p_load.load_id,
        format(staged_id, 'sys_id'), format(staged_id, 'sys_contact_id'), 'sys_load_' || p_load.load_id || '_detail',
        outbound._counting('added', p_load.list_id))
    INTO added, records;
    RETURN ARRAY[added, records];
END
$$;
COMMENT ON FUNCTION outbound._append_contacts IS 'Adds the staged contacts that the list does not have, with their records; returns how many of each';

CREATE FUNCTION outbound._add_unknown_contacts(p_load outbound.load, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    user_columns text := outbound._user_columns(p_load, '%I');
    unknown text := format('NOT EXISTS (SELECT 1 FROM outbound_list.%I AS o WHERE o.sys_id = t.sys_id)', 'sys_load_' || p_load.load_id || '_known');
    added bigint;
BEGIN
    EXECUTE 'INSERT INTO outbound.contact_count '
        || outbound._counting(format('outbound_list.%I', 'sys_load_' || p_load.load_id), p_load.list_id, unknown);
    EXECUTE format($sql$
        INSERT INTO outbound_list.%1$I (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media, sys_unit_types, %3$s)
        SELECT s.list_id, s.sys_id, s.sys_status, s.sys_status_call, s.sys_status_email, s.sys_status_social_media, s.sys_unit_types, %3$s
        FROM outbound_list.%2$I AS s
        WHERE NOT EXISTS (SELECT 1 FROM outbound_list.%4$I AS k WHERE k.sys_id = s.sys_id)
        $sql$, p_table, 'sys_load_' || p_load.load_id, user_columns, 'sys_load_' || p_load.load_id || '_known');
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
COMMENT ON FUNCTION outbound._add_unknown_contacts IS 'Adds the staged contacts that were not found in the list, without their records; returns how many';

CREATE FUNCTION outbound._replace_contact_data(p_load outbound.load, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
BEGIN
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS t SET %3$s, sys_updated_at = now()
        FROM outbound_list.%2$I AS s
        WHERE t.sys_id = s.sys_id AND ROW(%4$s) IS DISTINCT FROM ROW(%5$s)
        $sql$, p_table, 'sys_load_' || p_load.load_id, outbound._user_columns(p_load, '%I = s.%I'),
        outbound._user_columns(p_load, 't.%I'), outbound._user_columns(p_load, 's.%I'));
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION outbound._replace_contact_data IS 'Overwrites the user columns of the contacts that are staged and differ; returns how many did';

CREATE FUNCTION outbound._compare_records(p_load outbound.load, p_table text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    staged text := 'sys_load_' || p_load.load_id;
BEGIN
    -- LATERAL with OFFSET 0: the list's records are looked up, whatever the planner thinks of a list without statistics.
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%4$I AS
        SELECT d.sys_id, d.sys_contact_id, n.sys_id AS staged_id, n.sys_status AS staged_status, d.sys_status, d.sys_attempts,
               d.sys_conversation_type, d.result_id, n.sys_conversation_type AS staged_type, n.sys_inbox_id AS staged_inbox,
               nullif(n.sys_cl_source_column, d.sys_cl_source_column) AS other_column
        FROM outbound_list.%2$I AS k
        CROSS JOIN LATERAL (
            SELECT r.sys_id, r.sys_contact_id, r.sys_channel_user, r.sys_channel_user_type, r.sys_cl_source_column, r.sys_inbox_id,
                   r.sys_conversation_type, r.sys_status, r.sys_attempts, r.sys_last_attempt_dialer_attempt_result_id AS result_id
            FROM outbound_list.%1$I AS r WHERE r.sys_contact_id = k.sys_id OFFSET 0) AS d
        LEFT JOIN outbound_list.%3$I AS n
            ON n.sys_contact_id = d.sys_contact_id AND n.sys_channel_user = d.sys_channel_user
           AND n.sys_channel_user_type = d.sys_channel_user_type
           AND (n.sys_inbox_id IS NOT DISTINCT FROM d.sys_inbox_id OR n.sys_channel_user_type = 'conversation_id')
        $sql$, p_table || '_detail', staged || '_known', staged || '_detail', staged || '_present');
    EXECUTE format('ANALYZE outbound_list.%I', staged || '_present');
END
$$;
COMMENT ON FUNCTION outbound._compare_records IS 'Notes the records that the staged contacts have now, each with what the file says of it: looked at once, so that nothing later has to search the list again. A unit is the same when kind, normal form and inbox are; the inbox of a conversation is found, not given (list-automation §3.4 A-5)';

CREATE FUNCTION outbound._replace_records(p_load outbound.load, p_table text, lookups boolean) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    detail text := p_table || '_detail';
    staged text := 'sys_load_' || p_load.load_id;
    present text := 'sys_load_' || p_load.load_id || '_present';
    removed_result bigint := (SELECT r.result_id FROM outbound.attempt_result AS r WHERE r.name = 'removed');
    added bigint;
    revived bigint;
    deleted bigint;
    retired bigint;
BEGIN
    PERFORM outbound._prefer_lookups(lookups);
    EXECUTE format($sql$
        DELETE FROM outbound_list.%1$I AS d USING outbound_list.%2$I AS p
        WHERE d.sys_contact_id = p.sys_contact_id AND d.sys_id = p.sys_id
          AND p.staged_id IS NULL AND p.sys_attempts = 0 AND p.sys_status NOT IN ('I', 'Q')
          AND (p.sys_status <> 'U' OR p.result_id = ANY (%3$L::bigint[]))
        $sql$, detail, present,
        (SELECT array_agg(r.result_id) FROM outbound.attempt_result AS r WHERE r.category IN ('invalid', 'removed')));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    -- A record with attempts is not deleted: the counts of its contact rest on it. It is closed instead. Nor is
    -- one that was shut out (do-not-contact, by an operator): it would come back callable with a later file.
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'U', sys_scheduled_at = NULL, sys_updated_at = now(),
            sys_last_attempt_dialer_attempt_result_id = %3$s
        FROM outbound_list.%2$I AS p
        WHERE d.sys_contact_id = p.sys_contact_id AND d.sys_id = p.sys_id
          AND p.staged_id IS NULL AND p.sys_attempts > 0 AND p.sys_status IN ('C', 'O', 'S')
        $sql$, detail, present, removed_result);
    GET DIAGNOSTICS retired = ROW_COUNT;
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'C', sys_updated_at = now(), sys_last_attempt_dialer_attempt_result_id = NULL
        FROM outbound_list.%2$I AS p
        WHERE d.sys_contact_id = p.sys_contact_id AND d.sys_id = p.sys_id
          AND p.staged_status = 'C' AND p.sys_status = 'U' AND p.result_id = %3$s
        $sql$, detail, present, removed_result);
    GET DIAGNOSTICS revived = ROW_COUNT;
    -- A conversation that was missing is there by now.
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'C', sys_conversation_type = p.staged_type, sys_inbox_id = p.staged_inbox,
            sys_updated_at = now(), sys_last_attempt_dialer_attempt_result_id = NULL
        FROM outbound_list.%2$I AS p
        WHERE d.sys_contact_id = p.sys_contact_id AND d.sys_id = p.sys_id AND p.staged_status = 'C' AND p.sys_status = 'P'
        $sql$, detail, present);
    -- It may have another type by now: attempts of the record count for the type that it has.
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS t SET sys_attempts_call = t.sys_attempts_call + m.call, sys_attempts_email = t.sys_attempts_email + m.email,
            sys_attempts_social_media = t.sys_attempts_social_media + m.social_media
        FROM (SELECT p.sys_contact_id,
                     sum(p.sys_attempts * ((p.staged_type = 'call')::integer - (p.sys_conversation_type = 'call')::integer)) AS call,
                     sum(p.sys_attempts * ((p.staged_type = 'email')::integer - (p.sys_conversation_type = 'email')::integer)) AS email,
                     sum(p.sys_attempts * ((p.staged_type = 'social_media')::integer - (p.sys_conversation_type = 'social_media')::integer)) AS social_media
              FROM outbound_list.%2$I AS p
              WHERE p.staged_status = 'C' AND p.sys_status = 'P' AND p.sys_attempts > 0 AND p.staged_type <> p.sys_conversation_type
              GROUP BY p.sys_contact_id) AS m
        WHERE t.sys_id = m.sys_contact_id
        $sql$, p_table, present);
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_cl_source_column = p.other_column, sys_updated_at = now()
        FROM outbound_list.%2$I AS p
        WHERE d.sys_contact_id = p.sys_contact_id AND d.sys_id = p.sys_id AND p.other_column IS NOT NULL
        $sql$, detail, present);
    PERFORM outbound._prefer_lookups(false);
    -- Contacts that have other kinds of records afterwards: only their codes can change. A kind is a bit, by
    -- conversation type, code, and whether it succeeded.
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%4$I AS
        SELECT r.sys_contact_id AS sys_id FROM (
            SELECT p.sys_contact_id, p.sys_conversation_type, p.sys_status AS before, p.result_id,
                   -- A conversation that is there by now may have another type.
                   CASE WHEN p.staged_status = 'C' AND p.sys_status = 'P' THEN p.staged_type ELSE p.sys_conversation_type END AS type_after,
                   CASE WHEN p.staged_id IS NULL AND p.sys_attempts > 0 AND p.sys_status IN ('C', 'O', 'S') THEN 'U'
                        WHEN p.staged_id IS NULL AND p.sys_attempts = 0 AND p.sys_status NOT IN ('I', 'Q', 'U') THEN NULL
                        WHEN p.staged_status = 'C' AND (p.sys_status = 'P' OR (p.sys_status = 'U' AND p.result_id = %5$s)) THEN 'C'
                        ELSE p.sys_status END AS after
            FROM outbound_list.%1$I AS p
            UNION ALL
            SELECT n.sys_contact_id, NULL, NULL, NULL, n.sys_conversation_type, n.sys_status
            FROM outbound_list.%2$I AS n JOIN outbound_list.%3$I AS k ON k.sys_id = n.sys_contact_id
            WHERE NOT EXISTS (SELECT 1 FROM outbound_list.%1$I AS p WHERE p.staged_id = n.sys_id)) AS r
        CROSS JOIN LATERAL (SELECT
            CASE r.sys_conversation_type WHEN 'call' THEN 1 WHEN 'email' THEN 11 WHEN 'social_media' THEN 21 ELSE 31 END + w.success AS shift,
            CASE r.type_after WHEN 'call' THEN 1 WHEN 'email' THEN 11 WHEN 'social_media' THEN 21 ELSE 31 END + w.success AS shift_after
            FROM (SELECT CASE WHEN r.result_id = ANY (%6$L::bigint[]) THEN 9 ELSE 0 END AS success) AS w) AS b
        GROUP BY r.sys_contact_id
        HAVING bool_or(r.before IN ('O', 'S') AND r.after IS DISTINCT FROM r.before) OR bit_or(CASE WHEN r.before IS NULL THEN 0 ELSE 1::bigint << (b.shift + strpos('CIAUOSPQ', r.before::text)) END)
            <> bit_or(CASE WHEN r.after IS NULL THEN 0 ELSE 1::bigint << (b.shift_after + strpos('CIAUOSPQ', r.after::text)) END)
        $sql$, present, staged || '_detail', staged || '_known', staged || '_touched', removed_result,
        (SELECT array_agg(r.result_id) FROM outbound.attempt_result AS r WHERE r.category = 'success'));
    EXECUTE format('ANALYZE outbound_list.%I', staged || '_touched');
    -- Those of new contacts and those that known contacts did not have: every staged contact is in the list by now.
    EXECUTE format($sql$
        INSERT INTO outbound_list.%1$I (list_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column,
            sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id)
        SELECT n.list_id, n.sys_contact_id, n.sys_channel_user, n.sys_channel_user_type, n.sys_cl_source_column,
            n.sys_conversation_type, n.sys_inbox_id, n.sys_status, n.sys_last_attempt_dialer_attempt_result_id
        FROM outbound_list.%2$I AS n
        WHERE NOT EXISTS (SELECT 1 FROM outbound_list.%3$I AS p WHERE p.staged_id = n.sys_id)
        ORDER BY n.sys_id
        $sql$, detail, staged || '_detail', present);
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN ARRAY[added + revived, deleted + retired];
END
$$;
COMMENT ON FUNCTION outbound._replace_records IS 'Makes the records of the staged contacts the staged ones, keeping those that are the same with their attempts and callbacks; returns records added and removed';

CREATE FUNCTION outbound._rederive_touched(p_load outbound.load) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format($sql$
        SELECT count(outbound._rederive_contacts(%2$L, p.ids)) FROM (
            SELECT array_agg(n.sys_id) AS ids
            FROM (SELECT t.sys_id, row_number() OVER () / 5000 AS portion FROM outbound_list.%1$I AS t) AS n
            GROUP BY n.portion) AS p
        $sql$, 'sys_load_' || p_load.load_id || '_touched', p_load.list_id);
END
$$;
COMMENT ON FUNCTION outbound._rederive_touched IS 'Recomputes codes and due moments of the known contacts whose records changed (contact-lists §5.4), portion by portion';

CREATE FUNCTION outbound._lock_known_contacts(p_load outbound.load, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    locked bigint;
BEGIN
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%3$I AS
        SELECT l.sys_id FROM (
            SELECT t.sys_id FROM outbound_list.%1$I AS t JOIN outbound_list.%2$I AS s USING (sys_id)
            ORDER BY t.sys_id FOR NO KEY UPDATE OF t) AS l
        $sql$, p_table, 'sys_load_' || p_load.load_id, 'sys_load_' || p_load.load_id || '_known');
    GET DIAGNOSTICS locked = ROW_COUNT;
    EXECUTE format('ANALYZE outbound_list.%I', 'sys_load_' || p_load.load_id || '_known');
    RETURN locked;
END
$$;
COMMENT ON FUNCTION outbound._lock_known_contacts IS 'Locks the contacts that are about to be replaced, in one order, so that no dialer works on them meanwhile, and notes which they are; returns how many';

CREATE FUNCTION outbound._prefer_lookups(wanted boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT set_config('enable_hashjoin', CASE WHEN wanted THEN 'off' ELSE 'on' END, true),
           set_config('enable_mergejoin', CASE WHEN wanted THEN 'off' ELSE 'on' END, true)
$$;
COMMENT ON FUNCTION outbound._prefer_lookups IS 'For this transaction: join by looking rows up in an index, as is right where few rows meet a large list and nobody has statistics of it yet';

CREATE FUNCTION outbound._few_against_list(p_load outbound.load, p_table text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.reltuples * 4 < pg_relation_size(t.oid) / 250
    FROM pg_catalog.pg_class AS t, pg_catalog.pg_class AS s
    WHERE t.oid = format('outbound_list.%I', p_table)::regclass AND s.oid = format('outbound_list.%I', 'sys_load_' || p_load.load_id)::regclass
$$;
COMMENT ON FUNCTION outbound._few_against_list IS 'Whether the staged contacts are fewer than about a quarter of the list''s (by its size: a list just loaded has no statistics)';

CREATE FUNCTION outbound._update_contacts(p_load outbound.load, p_table text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lookups boolean := outbound._few_against_list(p_load, p_table);
    known bigint;
    changed bigint;
    added bigint;
    record_counts bigint[];
    helper text;
BEGIN
    PERFORM outbound._prefer_lookups(lookups);
    known := outbound._lock_known_contacts(p_load, p_table);
    changed := outbound._replace_contact_data(p_load, p_table);
    PERFORM outbound._prefer_lookups(false);
    PERFORM outbound._compare_records(p_load, p_table);
    added := outbound._add_unknown_contacts(p_load, p_table);
    record_counts := outbound._replace_records(p_load, p_table, lookups);
    PERFORM outbound._rederive_touched(p_load);
    FOREACH helper IN ARRAY ARRAY['_known', '_present', '_touched'] LOOP
        EXECUTE format('DROP TABLE outbound_list.%I', 'sys_load_' || p_load.load_id || helper);
    END LOOP;
    RETURN jsonb_build_object('added', added, 'updated', known, 'unchanged', known - changed,
                              'records_added', record_counts[1], 'records_removed', record_counts[2]);
END
$$;
COMMENT ON FUNCTION outbound._update_contacts IS 'Replaces the contacts that the list has and adds the others, with their records; returns the counts';

CREATE FUNCTION outbound._merge_load(p_load outbound.load, p_list outbound.list) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    -- The staged rows are few against the list: they are looked up by its keys, whatever its size. Settings
    -- of the function, so that the caller's transaction has its own back afterwards.
    SET random_page_cost = 1.1 SET work_mem = '64MB' SET jit = off SET enable_hashjoin = on SET enable_mergejoin = on
    -- What it must know of its own tables is their size and little more.
    SET default_statistics_target = 10
AS $$
DECLARE
    counts bigint[];
BEGIN
    IF p_load.mode = 'update' AND p_load.definition ->> 'identifier' IS NOT NULL THEN
        RETURN outbound._update_contacts(p_load, p_list.table_name);
    END IF;
    counts := outbound._append_contacts(p_load, p_list.table_name, p_list.last_contact_number);
    RETURN jsonb_build_object('added', counts[1], 'updated', 0, 'unchanged', 0, 'records_added', counts[2], 'records_removed', 0);
END
$$;
COMMENT ON FUNCTION outbound._merge_load IS 'Merges a staged load into its list by its append type; returns the counts';
