-- Merging staged rows into a list that exists, set-based. The dialers' work goes on meanwhile: the
-- contacts that are touched are locked first, those in progress keep their open record, and rows that
-- are equal already are not rewritten.

CREATE FUNCTION outbound._merge_new_contacts(p_load outbound.load, p_table text, p_offset bigint, p_known boolean) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    user_columns text := (SELECT string_agg(format(', %I', c.item ->> 'column_name'), '' ORDER BY c.position)
                          FROM jsonb_array_elements(p_load.definition -> 'columns') WITH ORDINALITY AS c (item, position));
    staged_id text := CASE WHEN p_load.definition ->> 'identifier' IS NULL THEN format('(%%s.sys_id::bigint + %s)::text', p_offset) ELSE '%s.sys_id' END;
    -- Those that were looked up already need not run into the key to be told apart.
    others text := CASE WHEN p_known THEN format('WHERE NOT EXISTS (SELECT 1 FROM outbound_list.%I AS k WHERE k.sys_id = s.sys_id)',
                                                 'sys_load_' || p_load.load_id || '_known') ELSE '' END;
    added bigint;
    records bigint;
BEGIN
    EXECUTE format($sql$
        WITH added AS (
            INSERT INTO outbound_list.%1$I (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media%3$s)
            SELECT s.list_id, %5$s, s.sys_status, s.sys_status_call, s.sys_status_email, s.sys_status_social_media%3$s
            FROM outbound_list.%4$I AS s
            %8$s
            ON CONFLICT (sys_id) DO NOTHING
            RETURNING sys_id
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
        format(staged_id, 's'), replace(format(staged_id, 's'), 's.sys_id', 's.sys_contact_id'), 'sys_load_' || p_load.load_id || '_detail', others)
    INTO added, records;
    RETURN ARRAY[added, records];
END
$$;
COMMENT ON FUNCTION outbound._merge_new_contacts IS 'Adds the staged contacts that the list does not have, with their records; returns how many of each';

CREATE FUNCTION outbound._replace_contact_data(p_load outbound.load, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    left_side text;
    right_side text;
    assignments text;
    changed bigint;
BEGIN
    SELECT string_agg(format('t.%I', c.item ->> 'column_name'), ', ' ORDER BY c.position),
           string_agg(format('s.%I', c.item ->> 'column_name'), ', ' ORDER BY c.position),
           string_agg(format('%I = s.%I', c.item ->> 'column_name', c.item ->> 'column_name'), ', ' ORDER BY c.position)
    INTO left_side, right_side, assignments
    FROM jsonb_array_elements(p_load.definition -> 'columns') WITH ORDINALITY AS c (item, position);
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS t SET %3$s, sys_updated_at = now()
        FROM outbound_list.%2$I AS s
        WHERE t.sys_id = s.sys_id AND ROW(%4$s) IS DISTINCT FROM ROW(%5$s)
        $sql$, p_table, 'sys_load_' || p_load.load_id, assignments, left_side, right_side);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION outbound._replace_contact_data IS 'Overwrites the user columns of the contacts that are staged and differ; returns how many did';

CREATE FUNCTION outbound._replace_records(p_load outbound.load, p_table text, lookups boolean) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    detail text := p_table || '_detail';
    staged text := 'sys_load_' || p_load.load_id;
    found text := 'sys_load_' || p_load.load_id || '_found';
    present text := 'sys_load_' || p_load.load_id || '_present';
    removed_result bigint := (SELECT r.result_id FROM outbound.attempt_result AS r WHERE r.name = 'removed');
    added bigint;
    revived bigint;
    deleted bigint;
    retired bigint;
BEGIN
    -- The records that the staged contacts have now, each with what the file says of it: looked at once, so
    -- that nothing below has to search the list again. A unit is the same when kind, normal form and inbox
    -- are; its attempts and callbacks are kept (list-automation §3.4 A-5).
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%3$I AS
        SELECT d.sys_id, d.sys_contact_id, d.sys_channel_user, d.sys_channel_user_type, d.sys_inbox_id, d.sys_status, d.sys_attempts,
               d.sys_last_attempt_dialer_attempt_result_id AS result_id
        FROM outbound_list.%2$I AS s
        JOIN outbound_list.%1$I AS d ON d.sys_contact_id = s.sys_id
        $sql$, detail, staged || '_known', found);
    PERFORM outbound._prefer_lookups(false);
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%3$I AS
        SELECT d.sys_id, d.sys_contact_id, n.sys_id AS staged_id, n.sys_status AS staged_status, d.sys_status, d.sys_attempts, d.result_id
        FROM outbound_list.%1$I AS d
        LEFT JOIN outbound_list.%2$I AS n
            ON n.sys_contact_id = d.sys_contact_id AND n.sys_channel_user = d.sys_channel_user
           AND n.sys_channel_user_type = d.sys_channel_user_type AND n.sys_inbox_id IS NOT DISTINCT FROM d.sys_inbox_id
        $sql$, found, staged || '_detail', present);
    EXECUTE format('DROP TABLE outbound_list.%I', found);
    EXECUTE format('ANALYZE outbound_list.%I', present);
    PERFORM outbound._prefer_lookups(lookups);
    EXECUTE format($sql$
        DELETE FROM outbound_list.%1$I AS d USING outbound_list.%2$I AS p
        WHERE d.sys_id = p.sys_id AND p.staged_id IS NULL AND p.sys_attempts = 0 AND p.sys_status NOT IN ('I', 'Q')
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
        WHERE d.sys_id = p.sys_id AND p.staged_id IS NULL AND p.sys_attempts > 0 AND p.sys_status IN ('C', 'O', 'S')
        $sql$, detail, present, removed_result);
    GET DIAGNOSTICS retired = ROW_COUNT;
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'C', sys_updated_at = now(), sys_last_attempt_dialer_attempt_result_id = NULL
        FROM outbound_list.%2$I AS p
        WHERE d.sys_id = p.sys_id AND p.staged_status = 'C' AND p.sys_status = 'U' AND p.result_id = %3$s
        $sql$, detail, present, removed_result);
    GET DIAGNOSTICS revived = ROW_COUNT;
    PERFORM outbound._prefer_lookups(false);
    EXECUTE format($sql$
        INSERT INTO outbound_list.%1$I (list_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column,
            sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id)
        SELECT n.list_id, n.sys_contact_id, n.sys_channel_user, n.sys_channel_user_type, n.sys_cl_source_column,
            n.sys_conversation_type, n.sys_inbox_id, n.sys_status, n.sys_last_attempt_dialer_attempt_result_id
        FROM outbound_list.%3$I AS n
        JOIN outbound_list.%2$I AS k ON k.sys_id = n.sys_contact_id
        WHERE NOT EXISTS (SELECT 1 FROM outbound_list.%4$I AS p WHERE p.staged_id = n.sys_id)
        ORDER BY n.sys_id
        $sql$, detail, staged || '_known', staged || '_detail', present);
    GET DIAGNOSTICS added = ROW_COUNT;
    EXECUTE format('DROP TABLE outbound_list.%I', present);
    RETURN ARRAY[added + revived, deleted + retired];
END
$$;
COMMENT ON FUNCTION outbound._replace_records IS 'Makes the records of the staged contacts the staged ones, keeping those that are the same; returns records added and removed';

CREATE FUNCTION outbound._rederive_codes(p_load outbound.load, p_table text, lookups boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
BEGIN
    -- A code A stands for a limit that was met; a load changes no limit and no count, so it is still met.
    -- Contacts whose records are alike have the same codes: the rule is asked once for each kind.
    PERFORM outbound._prefer_lookups(lookups);
    EXECUTE format($sql$
        WITH contacts AS MATERIALIZED (
            SELECT t.sys_id, ARRAY[t.sys_status::text, t.sys_status_call::text, t.sys_status_email::text, t.sys_status_social_media::text] AS before,
                   (SELECT array_agg(DISTINCT ROW(d.sys_status::text, d.sys_conversation_type::text,
                        coalesce(d.sys_last_attempt_dialer_attempt_result_id = ANY (%4$L), false))::text)
                    FROM outbound_list.%2$I AS d WHERE d.sys_contact_id = t.sys_id) AS records
            FROM outbound_list.%3$I AS k
            JOIN outbound_list.%1$I AS t ON t.sys_id = k.sys_id
        ), kinds AS MATERIALIZED (
            SELECT k.before, k.records,
                   outbound.derive_codes(
                       array_agg(split_part(btrim(r.record, '()'), ',', 1)),
                       array_agg(nullif(split_part(btrim(r.record, '()'), ',', 2), '')),
                       array_agg(split_part(btrim(r.record, '()'), ',', 3) = 't'),
                       k.before, %5$L) AS codes
            FROM (SELECT DISTINCT c.before, c.records FROM contacts AS c) AS k
            LEFT JOIN LATERAL unnest(k.records) AS r (record) ON true
            GROUP BY k.before, k.records
        )
        UPDATE outbound_list.%1$I AS t SET
            sys_status = (k.codes)[1]::"char", sys_status_call = (k.codes)[2]::"char",
            sys_status_email = (k.codes)[3]::"char", sys_status_social_media = (k.codes)[4]::"char",
            sys_updated_at = now()
        FROM contacts AS c JOIN kinds AS k ON k.before = c.before AND k.records IS NOT DISTINCT FROM c.records
        WHERE t.sys_id = c.sys_id AND k.codes <> k.before
        $sql$, p_table, p_table || '_detail', 'sys_load_' || p_load.load_id || '_known',
        (SELECT array_agg(r.result_id) FROM outbound.attempt_result AS r WHERE r.category = 'success'),
        (p_load.definition ->> 'close_if_all')::boolean);
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM outbound._prefer_lookups(false);
    RETURN changed;
END
$$;
COMMENT ON FUNCTION outbound._rederive_codes IS 'Recomputes the stored codes of the staged contacts from their records (contact-lists §5.4); returns how many changed';

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

CREATE FUNCTION outbound._merge_load(p_load outbound.load, p_list outbound.list) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    -- The staged rows are few against the list: they are looked up by its keys, whatever its size. Settings
    -- of the function, so that the caller's transaction has its own back afterwards.
    SET random_page_cost = 1.1 SET work_mem = '64MB' SET jit = off SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
DECLARE
    replaced bigint := 0;
    changed bigint := 0;
    record_counts bigint[] := ARRAY[0, 0];
    lookups boolean;
    new_counts bigint[];
BEGIN
    IF p_load.mode = 'update' AND p_load.definition ->> 'identifier' IS NOT NULL THEN
        lookups := outbound._few_against_list(p_load, p_list.table_name);
        PERFORM outbound._prefer_lookups(lookups);
        replaced := outbound._lock_known_contacts(p_load, p_list.table_name);
        IF replaced > 0 THEN
            changed := outbound._replace_contact_data(p_load, p_list.table_name);
            record_counts := outbound._replace_records(p_load, p_list.table_name, lookups);
            PERFORM outbound._rederive_codes(p_load, p_list.table_name, lookups);
        END IF;
        PERFORM outbound._prefer_lookups(false);
    END IF;
    new_counts := outbound._merge_new_contacts(p_load, p_list.table_name, p_list.last_contact_number, lookups IS NOT NULL);
    EXECUTE format('DROP TABLE IF EXISTS outbound_list.%I', 'sys_load_' || p_load.load_id || '_known');
    RETURN jsonb_build_object('added', new_counts[1], 'updated', replaced, 'unchanged', replaced - changed,
                              'records_added', new_counts[2] + record_counts[1], 'records_removed', record_counts[2]);
END
$$;
COMMENT ON FUNCTION outbound._merge_load IS 'Merges a staged load into its list by its append type; returns the counts';
