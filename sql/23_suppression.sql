-- Do-not-contact lists, by device: units that nobody is to be reached at (contact-lists §2.5).
--
-- A unit is blocked when an applicable list has an entry of its kind with its normal form, or, for a phone,
-- with its normal form without ";ext=…": whoever blocks a number blocks its extensions, and an extension can
-- be blocked alone. Applicable are the lists ticked on the campaign, and those that apply to all. The rule
-- stands in _blocking_values(), once, as text for set-based statements: claims ask _suppressed_units(), which
-- is made of it, and loads have it in _suppress_records(). Lists of clients, dates and channels belong there too.
-- Entries come from SQL (suppress), or from files by the steps of every load (12_load.sql) with mode suppress.

CREATE TABLE outbound.suppression_list (
    suppression_list_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    description text,
    applies_to_all boolean NOT NULL DEFAULT false,
    columns jsonb CHECK (jsonb_typeof(columns) = 'array'),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.suppression_list IS 'Do-not-contact lists';
COMMENT ON COLUMN outbound.suppression_list.suppression_list_id IS 'Number of the list';
COMMENT ON COLUMN outbound.suppression_list.name IS 'Name, unique';
COMMENT ON COLUMN outbound.suppression_list.description IS 'Free text';
COMMENT ON COLUMN outbound.suppression_list.applies_to_all IS 'Whether it applies to every campaign and to every load, not only to the campaigns it is ticked on';
COMMENT ON COLUMN outbound.suppression_list.columns IS 'Columns of its files, as loads describe columns; null until its first file: later files must have the same';
COMMENT ON COLUMN outbound.suppression_list.created_at IS 'When the list was made';
COMMENT ON COLUMN outbound.suppression_list.modified_at IS 'When its settings or its entries last changed';

CREATE TABLE outbound.suppression_entry (
    suppression_list_id integer NOT NULL REFERENCES outbound.suppression_list ON DELETE CASCADE,
    unit_type outbound.unit_type NOT NULL,
    value text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (suppression_list_id, unit_type, value)
);
COMMENT ON TABLE outbound.suppression_entry IS 'Units on do-not-contact lists';
COMMENT ON COLUMN outbound.suppression_entry.suppression_list_id IS 'The list';
COMMENT ON COLUMN outbound.suppression_entry.unit_type IS 'Kind of unit';
COMMENT ON COLUMN outbound.suppression_entry.value IS 'The unit in its normal form, as sys_channel_user has it';
COMMENT ON COLUMN outbound.suppression_entry.created_at IS 'When it came into the list';

CREATE FUNCTION outbound._blocking_values(p_type text, p_value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format($sql$CASE WHEN %1$s = 'phone' AND strpos(%2$s, ';ext=') > 0 THEN ARRAY[%2$s, split_part(%2$s, ';ext=', 1)] ELSE ARRAY[%2$s] END$sql$,
                  p_type, p_value)
$$;
COMMENT ON FUNCTION outbound._blocking_values IS 'SQL for the values of entries that block a unit, from SQL for its kind and its normal form';

-- Made here from the rule's text, so that claims find it with its plan ready. Never planned but as look-ups in
-- the key: a session keeps the plan while the list grows from nothing to millions.
DO $do$
BEGIN
    EXECUTE pg_catalog.format($sql$
        CREATE FUNCTION outbound._suppressed_units(p_list_ids integer[], p_types outbound.unit_type[], p_values text[])
        RETURNS TABLE ("position" integer)
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
            SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
        AS $body$
        BEGIN
            -- OFFSET 0: each value is looked up in the key of each list, in this order.
            RETURN QUERY SELECT DISTINCT v.place::integer
                FROM (SELECT u.place, u.unit_type, unnest(%s) AS value
                      FROM unnest(p_types, p_values) WITH ORDINALITY AS u (unit_type, value, place)) AS v
                CROSS JOIN unnest(p_list_ids) AS l (id)
                CROSS JOIN LATERAL (SELECT 1 FROM outbound.suppression_entry AS e
                                    WHERE e.suppression_list_id = l.id AND e.unit_type = v.unit_type AND e.value = v.value OFFSET 0) AS hit;
        END
        $body$ $sql$, outbound._blocking_values('u.unit_type', 'u.value'));
END
$do$;
COMMENT ON FUNCTION outbound._suppressed_units IS 'Places, from 1, of the units that one of these do-not-contact lists blocks';

CREATE FUNCTION outbound._suppression_list_by_name(list_name text) RETURNS outbound.suppression_list
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.suppression_list;
BEGIN
    SELECT s.* INTO match FROM outbound.suppression_list AS s WHERE s.name = list_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'do-not-contact list "%" does not exist', list_name
            USING ERRCODE = 'undefined_object',
                  DETAIL = format('Known lists: %s.', coalesce((SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.name) FROM outbound.suppression_list AS s), 'none')),
                  HINT = 'Make it with outbound.create_suppression_list.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._suppression_list_by_name IS 'The do-not-contact list of that name, or an error that lists the known ones';

CREATE FUNCTION outbound._lock_suppression_list(list_name text) RETURNS outbound.suppression_list
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.suppression_list;
BEGIN
    -- One at a time: two that entered the same units in another order would wait for each other.
    SELECT s.* INTO match FROM outbound.suppression_list AS s WHERE s.name = list_name FOR NO KEY UPDATE;
    RETURN CASE WHEN FOUND THEN match ELSE outbound._suppression_list_by_name(list_name) END;
END
$$;
COMMENT ON FUNCTION outbound._lock_suppression_list IS 'The do-not-contact list of that name, locked against other changes, or an error';

CREATE FUNCTION outbound.create_suppression_list(name text, applies_to_all boolean DEFAULT false, description text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made integer;
BEGIN
    PERFORM outbound.check_display_name('do-not-contact list', create_suppression_list.name);
    INSERT INTO outbound.suppression_list AS s (name, applies_to_all, description)
    VALUES (create_suppression_list.name, coalesce(create_suppression_list.applies_to_all, false), create_suppression_list.description)
    ON CONFLICT DO NOTHING
    RETURNING s.suppression_list_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'do-not-contact list "%" exists already', create_suppression_list.name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name, or change that list with outbound.alter_suppression_list.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_suppression_list IS 'Makes an empty do-not-contact list and returns its number; one that applies to all need not be ticked on campaigns (contact-lists §2.5)';

CREATE FUNCTION outbound.alter_suppression_list(
    name text,
    applies_to_all boolean DEFAULT NULL,
    description text DEFAULT NULL,
    new_name text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.suppression_list := outbound._lock_suppression_list(alter_suppression_list.name);
BEGIN
    IF alter_suppression_list.new_name IS NOT NULL THEN
        PERFORM outbound.check_display_name('do-not-contact list', alter_suppression_list.new_name);
        IF EXISTS (SELECT 1 FROM outbound.suppression_list AS s
                   WHERE s.name = alter_suppression_list.new_name AND s.suppression_list_id <> before.suppression_list_id) THEN
            RAISE EXCEPTION 'do-not-contact list "%" exists already', alter_suppression_list.new_name
                USING ERRCODE = 'duplicate_object', HINT = 'Choose another name.';
        END IF;
    END IF;
    UPDATE outbound.suppression_list AS s SET
        name = coalesce(alter_suppression_list.new_name, before.name),
        applies_to_all = coalesce(alter_suppression_list.applies_to_all, before.applies_to_all),
        description = coalesce(alter_suppression_list.description, before.description),
        modified_at = now()
    WHERE s.suppression_list_id = before.suppression_list_id;
END
$$;
COMMENT ON FUNCTION outbound.alter_suppression_list IS 'Changes what is given of a do-not-contact list; its entries stay';

CREATE FUNCTION outbound.drop_suppression_list(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dropped outbound.suppression_list := outbound._lock_suppression_list(drop_suppression_list.name);
    users text;
BEGIN
    -- Whoever is ticking it on a campaign is waited for, and then seen below.
    PERFORM 1 FROM outbound.suppression_list AS s WHERE s.suppression_list_id = dropped.suppression_list_id FOR UPDATE;
    IF EXISTS (SELECT 1 FROM outbound.load AS l WHERE l.suppression_list_id = dropped.suppression_list_id) THEN
        RAISE EXCEPTION 'do-not-contact list "%" is being loaded', dropped.name
            USING ERRCODE = 'object_in_use', HINT = 'Wait for the load to end, or run CALL outbound.maintain() if its worker is gone.';
    END IF;
    SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.name) INTO users
    FROM outbound.campaign_suppression_list AS t JOIN outbound.campaign AS c USING (campaign_id)
    WHERE t.suppression_list_id = dropped.suppression_list_id AND c.state <> 'deleted';
    IF users IS NOT NULL THEN
        RAISE EXCEPTION 'do-not-contact list "%" is in use', dropped.name
            USING ERRCODE = 'object_in_use', DETAIL = format('Campaigns that keep to it: %s.', users),
                  HINT = 'Take it off those campaigns with outbound.alter_campaign, or delete them, first.';
    END IF;
    DELETE FROM outbound.campaign_suppression_list AS t WHERE t.suppression_list_id = dropped.suppression_list_id;
    DELETE FROM outbound.suppression_list AS s WHERE s.suppression_list_id = dropped.suppression_list_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_suppression_list IS 'Removes a do-not-contact list with its entries; refused while it is loaded or a campaign that is not deleted keeps to it';

CREATE FUNCTION outbound._suppression_list_changed(p_list_id integer, p_changes bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE outbound.suppression_list AS s SET modified_at = now() WHERE s.suppression_list_id = p_list_id AND p_changes > 0
$$;
COMMENT ON FUNCTION outbound._suppression_list_changed IS 'Notes that entries of a do-not-contact list changed, if any did';

CREATE FUNCTION outbound.suppress(list text, units jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb := outbound.check_units(outbound._account_document(), suppress.units::text)::jsonb;
    target outbound.suppression_list := outbound._lock_suppression_list(suppress.list);
    added bigint;
BEGIN
    INSERT INTO outbound.suppression_entry (suppression_list_id, unit_type, value)
    SELECT target.suppression_list_id, u.unit_type, u.value
    FROM jsonb_to_recordset(checked -> 'units') AS u (unit_type outbound.unit_type, value text)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    PERFORM outbound._suppression_list_changed(target.suppression_list_id, added);
    RETURN jsonb_build_object('added', added, 'known', jsonb_array_length(checked -> 'units') - added,
                              'rejected', jsonb_array_length(checked -> 'reported'), 'reported', checked -> 'reported');
END
$$;
COMMENT ON FUNCTION outbound.suppress IS 'Puts units, an array of {"type", "value"}, on a do-not-contact list and returns the counts and what was refused; refused units do not stop the others';

CREATE FUNCTION outbound.unsuppress(list text, units jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb := outbound.check_units(outbound._account_document(), unsuppress.units::text)::jsonb;
    target outbound.suppression_list := outbound._lock_suppression_list(unsuppress.list);
    removed bigint;
BEGIN
    DELETE FROM outbound.suppression_entry AS e
    USING jsonb_to_recordset(checked -> 'units') AS u (unit_type outbound.unit_type, value text)
    WHERE e.suppression_list_id = target.suppression_list_id AND e.unit_type = u.unit_type AND e.value = u.value;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM outbound._suppression_list_changed(target.suppression_list_id, removed);
    RETURN jsonb_build_object('removed', removed, 'unknown', jsonb_array_length(checked -> 'units') - removed,
                              'rejected', jsonb_array_length(checked -> 'reported'), 'reported', checked -> 'reported');
END
$$;
COMMENT ON FUNCTION outbound.unsuppress IS 'Takes units, an array of {"type", "value"}, off a do-not-contact list and returns the counts and what was refused; records that were shut out stay so until they are reset';

CREATE VIEW outbound.suppression_list_status AS
SELECT s.name, s.applies_to_all,
       (SELECT count(*) FROM outbound.suppression_entry AS e WHERE e.suppression_list_id = s.suppression_list_id) AS total,
       s.created_at, s.modified_at
FROM outbound.suppression_list AS s;
COMMENT ON VIEW outbound.suppression_list_status IS 'Do-not-contact lists and how many units each holds';
COMMENT ON COLUMN outbound.suppression_list_status.name IS 'Name of the list';
COMMENT ON COLUMN outbound.suppression_list_status.applies_to_all IS 'Whether it applies to every campaign and to every load';
COMMENT ON COLUMN outbound.suppression_list_status.total IS 'Units on the list';
COMMENT ON COLUMN outbound.suppression_list_status.created_at IS 'When the list was made';
COMMENT ON COLUMN outbound.suppression_list_status.modified_at IS 'When its settings or its entries last changed';

CREATE FUNCTION outbound._suppress_records(p_load outbound.load, p_lists integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    SET enable_nestloop = on SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
DECLARE
    records text := 'sys_load_' || p_load.load_id || '_detail';
    blocked text := 'sys_load_' || p_load.load_id || '_blocked';
    -- Nobody has statistics of a table that was just filled, but its size is known.
    lookups boolean := pg_relation_size(format('outbound_list.%I', records)) * 8 < pg_relation_size('outbound.suppression_entry');
BEGIN
    -- Few records against the entries are looked up in their key; otherwise both are read through once.
    PERFORM outbound._prefer_lookups(lookups), set_config('enable_nestloop', CASE WHEN lookups THEN 'on' ELSE 'off' END, true);
    EXECUTE format($sql$
        CREATE UNLOGGED TABLE outbound_list.%2$I AS
        SELECT DISTINCT u.place, u.sys_contact_id
        FROM (SELECT d.ctid AS place, d.sys_contact_id, d.sys_channel_user_type AS unit_type, unnest(%3$s) AS value
              FROM outbound_list.%1$I AS d WHERE d.sys_status = 'C') AS u
        JOIN outbound.suppression_entry AS e ON e.unit_type = u.unit_type AND e.value = u.value
        WHERE e.suppression_list_id = ANY (%4$L)
        $sql$, records, blocked, outbound._blocking_values('d.sys_channel_user_type', 'd.sys_channel_user'), p_lists);
    PERFORM outbound._prefer_lookups(false), set_config('enable_nestloop', 'on', true);
    EXECUTE format('ANALYZE outbound_list.%I', blocked);
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'U', sys_last_attempt_dialer_attempt_result_id = %3$s
        FROM outbound_list.%2$I AS b WHERE d.ctid = b.place
        $sql$, records, blocked, (SELECT r.result_id FROM outbound.attempt_result AS r WHERE r.name = 'dnc'));
END
$$;
COMMENT ON FUNCTION outbound._suppress_records IS 'Shuts out the records of a load that these do-not-contact lists block, and notes which they were';

CREATE FUNCTION outbound._suppress_loaded(p_load outbound.load) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
AS $$
DECLARE
    contacts text := 'sys_load_' || p_load.load_id;
    lists integer[] := (SELECT array_agg(s.suppression_list_id) FROM outbound.suppression_list AS s
                        WHERE s.applies_to_all
                          AND EXISTS (SELECT 1 FROM outbound.suppression_entry AS e WHERE e.suppression_list_id = s.suppression_list_id));
    blocked bigint;
BEGIN
    IF lists IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM outbound._suppress_records(p_load, lists);
    blocked := outbound._count(contacts || '_blocked');
    -- Nothing of a load was ever attempted: its contacts have no code but C and F. Those whose records are alike
    -- have the same codes, so the rule is asked once for each kind.
    IF blocked > 0 THEN
        EXECUTE format($sql$
            WITH contacts AS MATERIALIZED (
                SELECT d.sys_contact_id AS sys_id, array_agg(DISTINCT d.sys_status::text || coalesce(d.sys_conversation_type::text, '')) AS records
                FROM outbound_list.%2$I AS d
                WHERE d.sys_contact_id IN (SELECT b.sys_contact_id FROM outbound_list.%3$I AS b)
                GROUP BY d.sys_contact_id
            ), kinds AS MATERIALIZED (
                SELECT k.records,
                       outbound.derive_codes(array_agg(left(r.record, 1)), array_agg(nullif(substr(r.record, 2), '')),
                                             array_agg(false), ARRAY['C', 'C', 'C', 'C'], %4$L) AS codes
                FROM (SELECT DISTINCT c.records FROM contacts AS c) AS k CROSS JOIN LATERAL unnest(k.records) AS r (record)
                GROUP BY k.records
            )
            UPDATE outbound_list.%1$I AS t SET
                sys_status = (k.codes)[1]::"char", sys_status_call = (k.codes)[2]::"char",
                sys_status_email = (k.codes)[3]::"char", sys_status_social_media = (k.codes)[4]::"char"
            FROM contacts AS c JOIN kinds AS k ON k.records = c.records
            WHERE t.sys_id = c.sys_id
            $sql$, contacts, contacts || '_detail', contacts || '_blocked', (p_load.definition ->> 'close_if_all')::boolean);
    END IF;
    EXECUTE format('DROP TABLE outbound_list.%I', contacts || '_blocked');
    RETURN blocked;
END
$$;
COMMENT ON FUNCTION outbound._suppress_loaded IS 'Gives the records of a load that a do-not-contact list for all blocks code U and result dnc, and their contacts the codes that follow, before anybody sees them; returns how many records (contact-lists §7.2 R03)';

CREATE FUNCTION outbound._begin_suppression(p_run outbound.job_run, p_file bigint, p_header jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s'
AS $$
DECLARE
    target_name text := p_run.rules ->> 'target_suppression_list';
    target outbound.suppression_list;
    target_id integer;
    definition jsonb;
    shape jsonb;
    header_refusal jsonb;
    opened outbound.load;
BEGIN
    BEGIN
        SELECT s.* INTO target FROM outbound.suppression_list AS s WHERE s.name = target_name FOR NO KEY UPDATE;
    EXCEPTION WHEN lock_not_available THEN
        RETURN outbound._refused('list_busy', format('do-not-contact list "%s" is being changed by somebody else', target_name),
                                 'A load, a dry run or outbound.suppress holds it.', 'The file stays where it is; the next run takes it.');
    END;
    IF target.columns IS NULL AND jsonb_array_length(p_run.rules -> 'columns') = 0 THEN
        RETURN CASE WHEN target.suppression_list_id IS NULL
            THEN outbound._refused('list_missing', format('do-not-contact list "%s" does not exist', target_name), NULL,
                'Give the job columns, at least one of them with "contact": {"type": …}: then it makes the list.')
            ELSE outbound._refused('rule', format('nothing says which columns are to be put on do-not-contact list "%s"', target_name),
                'No file was put on it so far.', 'Give the job columns, at least one of them with "contact": {"type": …}.') END;
    END IF;
    definition := outbound.suppression_definition(p_run.rules, target.columns, p_header);
    IF definition ? 'refused' THEN
        RETURN definition;
    END IF;
    target_id := coalesce(target.suppression_list_id, nextval(pg_get_serial_sequence('outbound.suppression_list', 'suppression_list_id'))::integer);
    shape := outbound._shape_of(target_id, definition) || '{"units_required": true}';
    header_refusal := outbound.match_header(shape, p_header);
    IF header_refusal IS NOT NULL THEN
        RETURN jsonb_build_object('refused', header_refusal);
    END IF;
    PERFORM outbound._free_list_of_dead_loads(NULL, target_id);
    IF EXISTS (SELECT 1 FROM outbound.load AS l WHERE l.suppression_list_id = target_id) THEN
        RETURN outbound._refused('list_busy', format('do-not-contact list "%s" is being loaded by another run', target_name),
                                 NULL, 'The file stays where it is; the next run takes it.');
    END IF;
    opened := outbound._open_load(p_run.run_id, p_run.tries, p_file, NULL, target_name, 'suppress',
                                  definition || jsonb_build_object('new', target.suppression_list_id IS NULL), target_id);
    RETURN jsonb_build_object('load_id', opened.load_id, 'fresh', false, 'shape', shape, 'refused', NULL);
END
$$;
COMMENT ON FUNCTION outbound._begin_suppression IS 'Decides whether the header of a file fits the do-not-contact list it is for, and opens the load';

CREATE FUNCTION outbound._loaded_suppression_list(p_load outbound.load) RETURNS outbound.suppression_list
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target outbound.suppression_list;
BEGIN
    IF (p_load.definition ->> 'new')::boolean THEN
        INSERT INTO outbound.suppression_list AS s (suppression_list_id, name, columns) OVERRIDING SYSTEM VALUE
        VALUES (p_load.suppression_list_id, p_load.list_name, p_load.definition -> 'columns')
        ON CONFLICT DO NOTHING RETURNING s.* INTO target;
        IF target.suppression_list_id IS NULL THEN
            RAISE EXCEPTION 'do-not-contact list "%" was made by somebody else while this load was under way', p_load.list_name
                USING ERRCODE = 'OB405', HINT = 'Nothing was changed; the next run adds to it.';
        END IF;
        RETURN target;
    END IF;
    UPDATE outbound.suppression_list AS s SET columns = coalesce(s.columns, p_load.definition -> 'columns'), modified_at = now()
    WHERE s.suppression_list_id = p_load.suppression_list_id RETURNING s.* INTO target;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'do-not-contact list "%" was dropped while it was being loaded', p_load.list_name
            USING ERRCODE = 'OB404', HINT = 'Run the job again: it makes the list anew.';
    END IF;
    RETURN target;
END
$$;
COMMENT ON FUNCTION outbound._loaded_suppression_list IS 'The do-not-contact list of a load, made where it is still missing, and locked';

CREATE FUNCTION outbound._publish_suppression(p_load outbound.load, p_counts jsonb, p_flush boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off
AS $$
DECLARE
    target outbound.suppression_list := outbound._loaded_suppression_list(p_load);
    staged text := 'sys_load_' || p_load.load_id;
    rows_read bigint := (p_counts ->> 'rows_read')::bigint;
    rejected bigint := (p_counts ->> 'rejected')::bigint;
    filtered bigint := (p_counts ->> 'filtered')::bigint;
    contacts bigint := outbound._count(staged);
    duplicates bigint := (p_counts ->> 'duplicates')::bigint;
    added bigint;
    units_added bigint;
    units_removed bigint := 0;
BEGIN
    IF p_flush THEN
        EXECUTE format($sql$
            DELETE FROM outbound.suppression_entry AS e
            WHERE e.suppression_list_id = %2$s
              AND NOT EXISTS (SELECT 1 FROM outbound_list.%1$I AS d
                              WHERE d.sys_channel_user = e.value AND d.sys_channel_user_type = e.unit_type
                                AND d.sys_last_attempt_dialer_attempt_result_id IS NULL)
            $sql$, staged || '_detail', target.suppression_list_id);
        GET DIAGNOSTICS units_removed = ROW_COUNT;
    END IF;
    -- A row adds something if it is the first of the file with a unit that the list has not; in a list that was
    -- emptied, with any unit.
    EXECUTE format($sql$
        WITH units AS MATERIALIZED (
            SELECT DISTINCT ON (d.sys_channel_user_type, d.sys_channel_user COLLATE "C")
                   d.sys_channel_user_type AS unit_type, d.sys_channel_user COLLATE "C" AS value, d.sys_contact_id
            FROM outbound_list.%1$I AS d WHERE d.sys_last_attempt_dialer_attempt_result_id IS NULL
            ORDER BY d.sys_channel_user_type, d.sys_channel_user COLLATE "C", d.sys_id
        ), entered AS (
            INSERT INTO outbound.suppression_entry (suppression_list_id, unit_type, value)
            SELECT %2$s, u.unit_type, u.value FROM units AS u
            ON CONFLICT DO NOTHING
            RETURNING unit_type, value
        )
        SELECT (SELECT count(*) FROM entered),
               (SELECT count(DISTINCT u.sys_contact_id) FROM units AS u
                WHERE %3$L OR (u.unit_type, u.value) IN (SELECT n.unit_type, n.value FROM entered AS n))
        $sql$, staged || '_detail', target.suppression_list_id, p_flush)
    INTO units_added, added;
    EXECUTE format('DROP TABLE outbound_list.%I, outbound_list.%I', staged, staged || '_detail');
    DELETE FROM outbound.load AS l WHERE l.load_id = p_load.load_id;
    duplicates := duplicates + contacts - added;
    -- A count that is missing is null: it must not let the load through either.
    IF (contacts = (p_counts ->> 'contacts')::bigint AND rows_read = added + duplicates + rejected + filtered) IS NOT TRUE THEN
        RAISE EXCEPTION 'the counts of the load do not reconcile'
            USING ERRCODE = 'OB500',
                  DETAIL = format('read %s, staged %s of %s, added %s, duplicates %s, rejected %s, filtered %s',
                      rows_read, contacts, p_counts ->> 'contacts', added, duplicates, rejected, filtered),
                  HINT = 'Nothing was changed. This is a defect: please report it with this line.';
    END IF;
    RETURN jsonb_build_object('added', added, 'updated', 0, 'unchanged', 0, 'records_added', units_added, 'records_removed', units_removed,
        'rows_read', rows_read, 'rejected', rejected, 'filtered', filtered, 'duplicates', duplicates, 'warnings', p_counts -> 'warnings',
        'suppression_list_id', target.suppression_list_id, 'list', target.name, 'table', NULL);
END
$$;
COMMENT ON FUNCTION outbound._publish_suppression IS 'Publishes a load into its do-not-contact list, emptied before if so asked, and returns the counts; raises OB500 unless they reconcile';
