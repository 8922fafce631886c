-- Making, renaming and dropping contact lists (contact-lists §2). The definition of a list is one
-- document, checked by core; its tables are made by the same steps as those of a load.

CREATE FUNCTION outbound._list_by_name(list_name text) RETURNS outbound.list
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.list;
BEGIN
    SELECT l.* INTO match FROM outbound.list AS l WHERE l.name = list_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'contact list "%" does not exist', list_name
            USING ERRCODE = 'undefined_object', HINT = 'outbound.list_status lists the contact lists.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._list_by_name IS 'The contact list of that name, or an error';

CREATE FUNCTION outbound._inboxes() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(i.name, jsonb_build_object('inbox_id', i.inbox_id, 'conversation_type', i.conversation_type)), '{}')
    FROM outbound.inbox AS i
$$;
COMMENT ON FUNCTION outbound._inboxes IS 'All inboxes by name, as the document list_definition reads';

CREATE FUNCTION outbound._definition_of(p_list_id integer) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'identifier', l.identifier_column, 'contact_name', l.contact_name_column, 'close_if_all', l.close_if_all,
        'columns', (SELECT jsonb_agg(jsonb_build_object(
                        'name', c.name, 'column_name', c.column_name, 'type', c.column_type, 'unit_type', c.unit_type,
                        'inbox_id', c.inbox_id, 'conversation_type', i.conversation_type) ORDER BY c.position)
                    FROM outbound.list_column AS c LEFT JOIN outbound.inbox AS i USING (inbox_id)
                    WHERE c.list_id = l.list_id))
    FROM outbound.list AS l WHERE l.list_id = p_list_id
$$;
COMMENT ON FUNCTION outbound._definition_of IS 'The definition of a list that exists, as a document';

CREATE FUNCTION outbound._free_list_name(p_name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    candidate text := p_name;
    number integer := 1;
BEGIN
    IF EXISTS (SELECT 1 FROM outbound.list AS l WHERE l.name = candidate) THEN
        candidate := left(p_name, 240) || '_'
            || to_char(now() AT TIME ZONE (outbound.account_settings()).time_zone, 'YYYYMMDDHH24MISS');
    END IF;
    WHILE EXISTS (SELECT 1 FROM outbound.list AS l WHERE l.name = candidate) LOOP
        number := number + 1;
        candidate := regexp_replace(candidate, '(_\d{14})(_\d+)?$', '\1') || '_' || number;
    END LOOP;
    RETURN candidate;
END
$$;
COMMENT ON FUNCTION outbound._free_list_name IS 'The name, with a time stamp if a list has it already (list-automation §3.4 A-6)';

CREATE FUNCTION outbound._free_table_name(p_name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound.list_table_name(p_name, coalesce(array_agg(c.relname::text), '{}'))
    FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'outbound_list'::regnamespace
$$;
COMMENT ON FUNCTION outbound._free_table_name IS 'A table name for a list of that name, unlike every relation in outbound_list';

CREATE FUNCTION outbound._lock_list_names() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_advisory_xact_lock('outbound.list'::regclass::bigint)
$$;
COMMENT ON FUNCTION outbound._lock_list_names IS 'One at a time: whoever makes or renames a list looks for names that are free';

CREATE FUNCTION outbound._execute(statements text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
COMMENT ON FUNCTION outbound._execute IS 'Runs statements made by the functions of list_ddl, in order';

CREATE FUNCTION outbound._next_list_id() RETURNS integer
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT nextval(pg_get_serial_sequence('outbound.list', 'list_id'))::integer
$$;
COMMENT ON FUNCTION outbound._next_list_id IS 'Number for a list that is still to be made';

CREATE FUNCTION outbound._install_list(p_load outbound.load, p_secured boolean, p_last_contact_number bigint, p_list_must_be_new boolean) RETURNS outbound.list
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made outbound.list;
BEGIN
    PERFORM outbound._lock_list_names();
    IF p_list_must_be_new AND EXISTS (SELECT 1 FROM outbound.list AS l WHERE l.name = p_load.list_name) THEN
        RAISE EXCEPTION 'contact list "%" was made by somebody else while this load was under way', p_load.list_name
            USING ERRCODE = 'OB405', HINT = 'Nothing was changed; the next run appends to it.';
    END IF;
    INSERT INTO outbound.list AS l (list_id, name, table_name, identifier_column, contact_name_column, close_if_all, secured, last_contact_number)
    OVERRIDING SYSTEM VALUE
    VALUES (p_load.list_id, outbound._free_list_name(p_load.list_name), outbound._free_table_name(p_load.list_name),
            p_load.definition ->> 'identifier', p_load.definition ->> 'contact_name',
            (p_load.definition ->> 'close_if_all')::boolean, p_secured, p_last_contact_number)
    RETURNING l.* INTO made;
    INSERT INTO outbound.list_column (list_id, position, name, column_name, column_type, unit_type, inbox_id)
    SELECT made.list_id, c.position, c.item ->> 'name', c.item ->> 'column_name', c.item ->> 'type',
           (c.item ->> 'unit_type')::outbound.unit_type, (c.item ->> 'inbox_id')::bigint
    FROM jsonb_array_elements(p_load.definition -> 'columns') WITH ORDINALITY AS c (item, position);
    PERFORM outbound._execute(outbound.attach_ddl(p_load.load_id, made.table_name, made.name, p_load.definition -> 'columns'));
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound._install_list IS 'Enters a new list in the catalogue and gives the tables of its load their names';

CREATE FUNCTION outbound.create_list(
    name text,
    columns jsonb,
    identifier text DEFAULT NULL,
    contact_name text DEFAULT NULL,
    close_if_all boolean DEFAULT false
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    opened outbound.load;
BEGIN
    PERFORM outbound.check_display_name('contact list', create_list.name);
    PERFORM outbound._lock_list_names();
    IF EXISTS (SELECT 1 FROM outbound.list AS l WHERE l.name = create_list.name) THEN
        RAISE EXCEPTION 'contact list "%" exists already', create_list.name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name, or drop that list with outbound.drop_list.';
    END IF;
    opened := outbound._open_load(NULL, NULL, NULL, outbound._next_list_id(), create_list.name, 'new',
        outbound.list_definition(jsonb_build_object('columns', create_list.columns, 'identifier', create_list.identifier,
            'contact_name', create_list.contact_name, 'close_if_all', coalesce(create_list.close_if_all, false))::text, outbound._inboxes()));
    PERFORM outbound.create_load_table(opened.load_id, 'contact'), outbound.create_load_table(opened.load_id, 'detail');
    PERFORM outbound.finish_load_table(opened.load_id, 'contact'), outbound.finish_load_table(opened.load_id, 'detail');
    PERFORM outbound._install_list(opened, false, 0, true);
    DELETE FROM outbound.load AS l WHERE l.load_id = opened.load_id;
    RETURN opened.list_id;
END
$$;
COMMENT ON FUNCTION outbound.create_list IS 'Makes an empty contact list; columns is an array of {"name", "type", "contact": {"type", "inbox"}} (contact-lists §2.3)';

CREATE FUNCTION outbound.drop_list(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dropped outbound.list := outbound._list_by_name(drop_list.name);
    users text;
BEGIN
    -- Campaigns first, as in every change of one: none of them is switched on, or takes the list, meanwhile.
    PERFORM outbound._lock_campaign(c.campaign_id)
    FROM (SELECT m.campaign_id FROM outbound.campaign_list AS m WHERE m.list_id = dropped.list_id ORDER BY m.campaign_id) AS c;
    SELECT l.* INTO dropped FROM outbound.list AS l WHERE l.list_id = dropped.list_id FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM outbound._list_by_name(drop_list.name);
    END IF;
    SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.name) INTO users
    FROM outbound.campaign_list AS m JOIN outbound.campaign AS c USING (campaign_id)
    WHERE m.list_id = dropped.list_id AND c.state = 'active';
    IF users IS NOT NULL THEN
        RAISE EXCEPTION 'contact list "%" is in use', dropped.name
            USING ERRCODE = 'object_in_use', DETAIL = format('Active campaigns that work it: %s.', users),
                  HINT = 'Stop those campaigns with outbound.stop_campaign, or give them other lists, first.';
    END IF;
    IF EXISTS (SELECT 1 FROM outbound.load AS l WHERE l.list_id = dropped.list_id) THEN
        RAISE EXCEPTION 'contact list "%" is being loaded', dropped.name
            USING ERRCODE = 'object_in_use', HINT = 'Wait for the load to end, or run CALL outbound.maintain() if its worker is gone.';
    END IF;
    -- Settings before tables, as in every change of them.
    DELETE FROM outbound.campaign_list AS m WHERE m.list_id = dropped.list_id;
    EXECUTE format('LOCK TABLE outbound_list.%I, outbound_list.%I IN ACCESS EXCLUSIVE MODE', dropped.table_name, dropped.table_name || '_detail');
    PERFORM outbound._log_flushed(dropped);
    EXECUTE format('DROP TABLE outbound_list.%I, outbound_list.%I', dropped.table_name, dropped.table_name || '_detail');
    DELETE FROM outbound.contact_count AS c WHERE c.list_id = dropped.list_id;
    DELETE FROM outbound.list AS l WHERE l.list_id = dropped.list_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_list IS 'Drops a contact list with its tables; campaigns that are off lose it. Refused while an active campaign works it, or other objects (views) use its tables';

CREATE FUNCTION outbound.rename_list(name text, new_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.list;
    new_table text;
    part text;
BEGIN
    PERFORM outbound.check_display_name('contact list', rename_list.new_name);
    before := outbound._list_by_name(rename_list.name);
    -- Before its tables: whoever holds the row may be about to use them.
    PERFORM 1 FROM outbound.list AS l WHERE l.list_id = before.list_id FOR UPDATE;
    PERFORM outbound._lock_list_names();
    before := outbound._list_by_name(rename_list.name);
    IF rename_list.new_name = before.name THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT 1 FROM outbound.list AS l WHERE l.name = rename_list.new_name) THEN
        RAISE EXCEPTION 'contact list "%" exists already', rename_list.new_name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name.';
    END IF;
    SELECT outbound.list_table_name(rename_list.new_name, coalesce(array_agg(c.relname::text), '{}')) INTO new_table
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'outbound_list'::regnamespace
      AND c.relname NOT IN (before.table_name, before.table_name || '_detail');
    -- Settings before tables, as in every change of them.
    UPDATE outbound.list AS l SET name = rename_list.new_name, table_name = new_table, updated_at = now()
    WHERE l.list_id = before.list_id;
    IF new_table <> before.table_name THEN
        -- From "x" to "x detail" the second table has to make room for the first.
        FOREACH part IN ARRAY CASE new_table WHEN before.table_name || '_detail' THEN ARRAY['_detail', ''] ELSE ARRAY['', '_detail'] END LOOP
            EXECUTE format('ALTER TABLE outbound_list.%I RENAME TO %I', before.table_name || part, new_table || part);
        END LOOP;
    END IF;
    EXECUTE format('COMMENT ON TABLE outbound_list.%I IS %L', new_table, 'Contact list "' || rename_list.new_name || '": one row a contact');
    EXECUTE format('COMMENT ON TABLE outbound_list.%I IS %L', new_table || '_detail', 'Contact list "' || rename_list.new_name || '": one row a communication unit');
END
$$;
COMMENT ON FUNCTION outbound.rename_list IS 'Gives a contact list another name; its tables follow, and views on them stay valid';
