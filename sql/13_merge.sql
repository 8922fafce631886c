-- Merging staged rows into a list that exists, set-based. The dialers' work goes on meanwhile: the
-- contacts that are touched are locked first, those in progress keep their open record, and rows that
-- are equal already are not rewritten.

CREATE FUNCTION outbound._merge_new_contacts(p_load outbound.load, p_table text, p_offset bigint) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    user_columns text := (SELECT string_agg(format(', %I', c.item ->> 'column_name'), '' ORDER BY c.position)
                          FROM jsonb_array_elements(p_load.definition -> 'columns') WITH ORDINALITY AS c (item, position));
    staged_id text := CASE WHEN p_load.definition ->> 'identifier' IS NULL THEN format('(%%s.sys_id::bigint + %s)::text', p_offset) ELSE '%s.sys_id' END;
    added bigint;
    records bigint;
BEGIN
    EXECUTE format($sql$
        WITH added AS (
            INSERT INTO outbound_list.%1$I (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media%3$s)
            SELECT s.list_id, %5$s, s.sys_status, s.sys_status_call, s.sys_status_email, s.sys_status_social_media%3$s
            FROM outbound_list.%4$I AS s
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
        format(staged_id, 's'), replace(format(staged_id, 's'), 's.sys_id', 's.sys_contact_id'), 'sys_load_' || p_load.load_id || '_detail')
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

CREATE FUNCTION outbound._replace_records(p_load outbound.load, p_table text) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    detail text := p_table || '_detail';
    staged text := 'sys_load_' || p_load.load_id;
    removed_result bigint := (SELECT r.result_id FROM outbound.attempt_result AS r WHERE r.name = 'removed');
    added bigint;
    revived bigint;
    deleted bigint;
    retired bigint;
BEGIN
    -- A unit is the same when kind, normal form and inbox are; its attempts and callbacks are kept (list-automation §3.4 A-5).
    EXECUTE format($sql$
        DELETE FROM outbound_list.%1$I AS d
        USING outbound_list.%2$I AS s
        WHERE d.sys_contact_id = s.sys_id AND d.sys_attempts = 0 AND d.sys_status NOT IN ('I', 'Q')
          AND (d.sys_status <> 'U' OR d.sys_last_attempt_dialer_attempt_result_id = ANY (%4$L::bigint[]))
          AND NOT EXISTS (SELECT 1 FROM outbound_list.%3$I AS n
                          WHERE n.sys_contact_id = d.sys_contact_id AND n.sys_channel_user = d.sys_channel_user
                            AND n.sys_channel_user_type = d.sys_channel_user_type AND n.sys_inbox_id IS NOT DISTINCT FROM d.sys_inbox_id)
        $sql$, detail, staged, staged || '_detail',
        (SELECT array_agg(r.result_id) FROM outbound.attempt_result AS r WHERE r.category IN ('invalid', 'removed')));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    -- A record with attempts is not deleted: the counts of its contact rest on it. It is closed instead. Nor is
    -- one that was shut out (do-not-contact, by an operator): it would come back callable with a later file.
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'U', sys_scheduled_at = NULL, sys_updated_at = now(),
            sys_last_attempt_dialer_attempt_result_id = %4$s
        FROM outbound_list.%2$I AS s
        WHERE d.sys_contact_id = s.sys_id AND d.sys_status IN ('C', 'O', 'S')
          AND NOT EXISTS (SELECT 1 FROM outbound_list.%3$I AS n
                          WHERE n.sys_contact_id = d.sys_contact_id AND n.sys_channel_user = d.sys_channel_user
                            AND n.sys_channel_user_type = d.sys_channel_user_type AND n.sys_inbox_id IS NOT DISTINCT FROM d.sys_inbox_id)
        $sql$, detail, staged, staged || '_detail', removed_result);
    GET DIAGNOSTICS retired = ROW_COUNT;
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'C', sys_updated_at = now(), sys_last_attempt_dialer_attempt_result_id = NULL
        FROM outbound_list.%2$I AS n
        WHERE n.sys_contact_id = d.sys_contact_id AND n.sys_channel_user = d.sys_channel_user
          AND n.sys_channel_user_type = d.sys_channel_user_type AND n.sys_inbox_id IS NOT DISTINCT FROM d.sys_inbox_id
          AND d.sys_status = 'U' AND d.sys_last_attempt_dialer_attempt_result_id = %3$s AND n.sys_status = 'C'
        $sql$, detail, staged || '_detail', removed_result);
    GET DIAGNOSTICS revived = ROW_COUNT;
    EXECUTE format($sql$
        INSERT INTO outbound_list.%1$I (list_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column,
            sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id)
        SELECT n.list_id, n.sys_contact_id, n.sys_channel_user, n.sys_channel_user_type, n.sys_cl_source_column,
            n.sys_conversation_type, n.sys_inbox_id, n.sys_status, n.sys_last_attempt_dialer_attempt_result_id
        FROM outbound_list.%3$I AS n
        JOIN outbound_list.%2$I AS t ON t.sys_id = n.sys_contact_id
        WHERE NOT EXISTS (SELECT 1 FROM outbound_list.%1$I AS d
                          WHERE d.sys_contact_id = n.sys_contact_id AND d.sys_channel_user = n.sys_channel_user
                            AND d.sys_channel_user_type = n.sys_channel_user_type AND d.sys_inbox_id IS NOT DISTINCT FROM n.sys_inbox_id)
        ORDER BY n.sys_id
        $sql$, detail, p_table, staged || '_detail');
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN ARRAY[added + revived, deleted + retired];
END
$$;
COMMENT ON FUNCTION outbound._replace_records IS 'Makes the records of the staged contacts the staged ones, keeping those that are the same; returns records added and removed';

CREATE FUNCTION outbound._rederive_codes(p_load outbound.load, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
BEGIN
    -- A code A stands for a limit that was met; a load changes no limit and no count, so it is still met.
    EXECUTE format($sql$
        WITH facts AS (
            SELECT t.sys_id, array_agg(d.sys_status::text) AS codes, array_agg(d.sys_conversation_type::text) AS types,
                   array_agg(coalesce(d.sys_last_attempt_dialer_attempt_result_id = ANY (%4$L), false)) AS successes
            FROM outbound_list.%3$I AS s
            JOIN outbound_list.%1$I AS t ON t.sys_id = s.sys_id
            LEFT JOIN outbound_list.%2$I AS d ON d.sys_contact_id = t.sys_id
            GROUP BY t.sys_id
        )
        UPDATE outbound_list.%1$I AS t SET
            sys_status = (c.codes)[1]::"char", sys_status_call = (c.codes)[2]::"char",
            sys_status_email = (c.codes)[3]::"char", sys_status_social_media = (c.codes)[4]::"char",
            sys_updated_at = now()
        FROM facts AS f
        CROSS JOIN LATERAL (
            SELECT outbound.derive_codes(f.codes, f.types, f.successes,
                       ARRAY[o.sys_status::text, o.sys_status_call::text, o.sys_status_email::text, o.sys_status_social_media::text], %5$L) AS codes,
                   ARRAY[o.sys_status::text, o.sys_status_call::text, o.sys_status_email::text, o.sys_status_social_media::text] AS before
            FROM outbound_list.%1$I AS o WHERE o.sys_id = f.sys_id) AS c
        WHERE t.sys_id = f.sys_id AND c.codes IS DISTINCT FROM c.before
        $sql$, p_table, p_table || '_detail', 'sys_load_' || p_load.load_id,
        (SELECT array_agg(r.result_id) FROM outbound.attempt_result AS r WHERE r.category = 'success'),
        (p_load.definition ->> 'close_if_all')::boolean);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION outbound._rederive_codes IS 'Recomputes the stored codes of the staged contacts from their records (contact-lists §5.4); returns how many changed';

CREATE FUNCTION outbound._lock_staged_contacts(p_load outbound.load, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    locked bigint;
BEGIN
    EXECUTE format($sql$
        SELECT count(*) FROM (
            SELECT 1 FROM outbound_list.%1$I AS t JOIN outbound_list.%2$I AS s USING (sys_id)
            ORDER BY t.sys_id FOR NO KEY UPDATE OF t) AS locked
        $sql$, p_table, 'sys_load_' || p_load.load_id) INTO locked;
    RETURN locked;
END
$$;
COMMENT ON FUNCTION outbound._lock_staged_contacts IS 'Locks the contacts that are about to be replaced, in one order, so that no dialer works on them meanwhile; returns how many there are';

CREATE FUNCTION outbound._merge_load(p_load outbound.load, p_list outbound.list) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    replaced bigint := 0;
    changed bigint := 0;
    record_counts bigint[] := ARRAY[0, 0];
    new_counts bigint[];
BEGIN
    IF p_load.mode = 'update' AND p_load.definition ->> 'identifier' IS NOT NULL THEN
        replaced := outbound._lock_staged_contacts(p_load, p_list.table_name);
        IF replaced > 0 THEN
            changed := outbound._replace_contact_data(p_load, p_list.table_name);
            record_counts := outbound._replace_records(p_load, p_list.table_name);
            PERFORM outbound._rederive_codes(p_load, p_list.table_name);
        END IF;
    END IF;
    new_counts := outbound._merge_new_contacts(p_load, p_list.table_name, p_list.last_contact_number);
    RETURN jsonb_build_object('added', new_counts[1], 'updated', replaced, 'unchanged', replaced - changed,
                              'records_added', new_counts[2] + record_counts[1], 'records_removed', record_counts[2]);
END
$$;
COMMENT ON FUNCTION outbound._merge_load IS 'Merges a staged load into its list by its append type; returns the counts';
