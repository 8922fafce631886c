-- Conversations and the persons they are with: what lists are made of (contact-lists §2.2), and where records
-- of kind conversation_id find their inbox. The platform that holds the conversations keeps the two tables
-- here up to date, or says where it keeps its own: tables or views with the same columns.

CREATE TABLE outbound.conversation (
    conversation_id text COLLATE "C" PRIMARY KEY
        CHECK (conversation_id = btrim(conversation_id) AND conversation_id <> '' AND length(conversation_id) <= 128),
    contact_id text COLLATE "C" NOT NULL
        CHECK (contact_id = btrim(contact_id) AND contact_id <> '' AND length(contact_id) <= 255),
    inbox_id bigint NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('pending', 'open', 'resolved', 'snoozed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_activity_at timestamptz NOT NULL DEFAULT now(),
    team text,
    assignee text,
    labels text[] NOT NULL DEFAULT '{}',
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object')
);
COMMENT ON TABLE outbound.conversation IS 'Conversations that the platform has, whatever their inbox; kept up to date by whoever holds them';
COMMENT ON COLUMN outbound.conversation.conversation_id IS 'Identifier of the conversation: the unit of its record';
COMMENT ON COLUMN outbound.conversation.contact_id IS 'The person it is with; need not be in outbound.conversation_contact yet';
COMMENT ON COLUMN outbound.conversation.inbox_id IS 'Inbox (outbound.inbox); a conversation of an inbox that is not there is never used';
COMMENT ON COLUMN outbound.conversation.status IS 'pending (with a bot), open, resolved or snoozed';
COMMENT ON COLUMN outbound.conversation.created_at IS 'When it began';
COMMENT ON COLUMN outbound.conversation.last_activity_at IS 'When somebody last wrote in it';
COMMENT ON COLUMN outbound.conversation.team IS 'Team it is assigned to';
COMMENT ON COLUMN outbound.conversation.assignee IS 'Agent it is assigned to';
COMMENT ON COLUMN outbound.conversation.labels IS 'Labels';
COMMENT ON COLUMN outbound.conversation.attributes IS 'Custom attributes, an object';
CREATE INDEX conversation_contact_id ON outbound.conversation (contact_id);
COMMENT ON INDEX outbound.conversation_contact_id IS 'Conversations of a person';
CREATE INDEX conversation_inbox ON outbound.conversation (inbox_id, status);
COMMENT ON INDEX outbound.conversation_inbox IS 'Criteria over inbox and status';
CREATE INDEX conversation_last_activity ON outbound.conversation (last_activity_at);
COMMENT ON INDEX outbound.conversation_last_activity IS 'Criteria over the last activity';
CREATE INDEX conversation_created ON outbound.conversation (created_at);
COMMENT ON INDEX outbound.conversation_created IS 'Criteria over the beginning';
CREATE INDEX conversation_labels ON outbound.conversation USING gin (labels);
COMMENT ON INDEX outbound.conversation_labels IS 'Criteria over labels';

CREATE TABLE outbound.conversation_contact (
    contact_id text COLLATE "C" PRIMARY KEY
        CHECK (contact_id = btrim(contact_id) AND contact_id <> '' AND length(contact_id) <= 255),
    name text,
    email text,
    phone text,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_activity_at timestamptz NOT NULL DEFAULT now(),
    labels text[] NOT NULL DEFAULT '{}',
    blocked boolean NOT NULL DEFAULT false,
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object')
);
COMMENT ON TABLE outbound.conversation_contact IS 'Persons that conversations are with; kept up to date by whoever holds the conversations';
COMMENT ON COLUMN outbound.conversation_contact.contact_id IS 'Identifier of the person: sys_id in lists made from conversations';
COMMENT ON COLUMN outbound.conversation_contact.name IS 'Name';
COMMENT ON COLUMN outbound.conversation_contact.email IS 'E-mail address';
COMMENT ON COLUMN outbound.conversation_contact.phone IS 'Phone number';
COMMENT ON COLUMN outbound.conversation_contact.created_at IS 'When the person became known';
COMMENT ON COLUMN outbound.conversation_contact.last_activity_at IS 'When the person was last active';
COMMENT ON COLUMN outbound.conversation_contact.labels IS 'Labels';
COMMENT ON COLUMN outbound.conversation_contact.blocked IS 'Whether what the person writes is stopped; nothing follows from it here, but criteria can ask for it (contact-lists §16 Q22)';
COMMENT ON COLUMN outbound.conversation_contact.attributes IS 'Custom attributes, an object';
CREATE INDEX conversation_contact_last_activity ON outbound.conversation_contact (last_activity_at);
COMMENT ON INDEX outbound.conversation_contact_last_activity IS 'Criteria over the last activity of the person';
CREATE INDEX conversation_contact_labels ON outbound.conversation_contact USING gin (labels);
COMMENT ON INDEX outbound.conversation_contact_labels IS 'Criteria over labels of the person';

CREATE TABLE outbound.conversation_source (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    conversations text,
    contacts text
);
COMMENT ON TABLE outbound.conversation_source IS 'Where conversations and their contacts are read from; no row: from the tables here';
COMMENT ON COLUMN outbound.conversation_source.only_row IS 'Always true: holds the table to one row';
COMMENT ON COLUMN outbound.conversation_source.conversations IS 'Name, with its schema, of a table or view like outbound.conversation; null: that table itself';
COMMENT ON COLUMN outbound.conversation_source.contacts IS 'Name, with its schema, of a table or view like outbound.conversation_contact; null: that table itself';

CREATE FUNCTION outbound._checked_source(p_source regclass, p_model regclass) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    source pg_catalog.pg_class;
    full_name text;
    wrong text;
BEGIN
    SELECT c.* INTO source FROM pg_catalog.pg_class AS c WHERE c.oid = p_source;
    full_name := format('%I.%I', (SELECT n.nspname FROM pg_catalog.pg_namespace AS n WHERE n.oid = source.relnamespace), source.relname);
    IF (source.relkind IN ('r', 'p', 'v', 'm', 'f') AND source.relpersistence <> 't') IS NOT TRUE THEN
        RAISE EXCEPTION '% cannot be read by others', coalesce(full_name, 'this')
            USING ERRCODE = 'wrong_object_type', HINT = 'Name a table or a view that is not temporary.';
    END IF;
    -- Whoever reads a relation runs what its owner hung on it, such as the functions of a view, and here that is
    -- the owner of the extension: no one else's may be read, or making a view would be a way to that role's rights.
    IF NOT pg_has_role(source.relowner, (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = p_model), 'MEMBER') THEN
        RAISE EXCEPTION 'the owner of % is not trusted', full_name
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('It belongs to role %s, and would be read with the rights of role %s.', pg_get_userbyid(source.relowner),
                      (SELECT pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class AS c WHERE c.oid = p_model)),
                  HINT = 'Let a superuser, or the owner of the extension, make a view of it.';
    END IF;
    SELECT string_agg(format('%s %s', m.attname, format_type(m.atttypid, NULL))
               || coalesce(' (here ' || format_type(s.atttypid, s.atttypmod) || ')', ''), ', ' ORDER BY m.attnum) INTO wrong
    FROM pg_catalog.pg_attribute AS m
    LEFT JOIN pg_catalog.pg_attribute AS s ON s.attrelid = p_source AND s.attname = m.attname AND s.attnum > 0 AND NOT s.attisdropped
    WHERE m.attrelid = p_model AND m.attnum > 0 AND NOT m.attisdropped AND s.atttypid IS DISTINCT FROM m.atttypid;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '% does not have the columns of %', full_name, p_model
            USING ERRCODE = 'datatype_mismatch', DETAIL = format('Missing, or of another type: %s.', wrong),
                  HINT = 'Make a view with these columns, such as SELECT id::text AS conversation_id, … FROM …, and name the view.';
    END IF;
    RETURN full_name;
END
$$;
COMMENT ON FUNCTION outbound._checked_source IS 'Full name of a relation that has the columns of a model and an owner who can be trusted, or an error';

CREATE FUNCTION outbound.set_conversation_source(conversations regclass DEFAULT NULL, contacts regclass DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO outbound.conversation_source AS s (conversations, contacts)
    VALUES (CASE WHEN set_conversation_source.conversations <> 'outbound.conversation'::regclass
                 THEN outbound._checked_source(set_conversation_source.conversations, 'outbound.conversation') END,
            CASE WHEN set_conversation_source.contacts <> 'outbound.conversation_contact'::regclass
                 THEN outbound._checked_source(set_conversation_source.contacts, 'outbound.conversation_contact') END)
    ON CONFLICT (only_row) DO UPDATE SET conversations = excluded.conversations, contacts = excluded.contacts;
END
$$;
COMMENT ON FUNCTION outbound.set_conversation_source IS 'Says which tables or views conversations and their contacts are read from; null: outbound.conversation and outbound.conversation_contact';

CREATE FUNCTION outbound._source(p_name text, p_model text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_name IS NULL THEN
        RETURN p_model;
    ELSIF to_regclass(p_name) IS NULL THEN
        RAISE EXCEPTION '% does not exist any more', p_name
            USING ERRCODE = 'undefined_table', DETAIL = format('It was named to be read in the place of %s.', p_model),
                  HINT = 'Name another with outbound.set_conversation_source, or call that without arguments.';
    END IF;
    RETURN outbound._checked_source(to_regclass(p_name), p_model::regclass);
END
$$;
COMMENT ON FUNCTION outbound._source IS 'The relation of that name, checked again, or the model where there is none';

CREATE FUNCTION outbound._conversation_relation() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._source((SELECT s.conversations FROM outbound.conversation_source AS s), 'outbound.conversation')
$$;
COMMENT ON FUNCTION outbound._conversation_relation IS 'The relation that conversations are read from, ready to stand in a statement';

CREATE FUNCTION outbound._conversation_contact_relation() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._source((SELECT s.contacts FROM outbound.conversation_source AS s), 'outbound.conversation_contact')
$$;
COMMENT ON FUNCTION outbound._conversation_contact_relation IS 'The relation that the contacts of conversations are read from, ready to stand in a statement';

CREATE FUNCTION outbound._has_conversations_in(p_list outbound.list, p_inbox_id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_one boolean := false;
BEGIN
    IF p_list.selection_method = 'conversations'
        OR EXISTS (SELECT 1 FROM outbound.list_column AS c WHERE c.list_id = p_list.list_id AND c.unit_type = 'conversation_id')
    THEN
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM outbound_list.%I AS d WHERE d.sys_channel_user_type = ''conversation_id'' AND d.sys_inbox_id = $1)',
                       p_list.table_name || '_detail') INTO found_one USING p_inbox_id;
    END IF;
    RETURN found_one;
END
$$;
COMMENT ON FUNCTION outbound._has_conversations_in IS 'Whether a list has records whose inbox was found from their conversation and is this one';

CREATE FUNCTION outbound._codes_of_untried(records text[], close_if_all boolean) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound.derive_codes(
        array_agg(split_part(r.record, ',', 1)), array_agg(nullif(split_part(r.record, ',', 2), '')),
        array_agg(false), '{}', _codes_of_untried.close_if_all)
    FROM unnest(_codes_of_untried.records) AS r (record)
$$;
COMMENT ON FUNCTION outbound._codes_of_untried IS 'Codes of a contact that was never attempted, from its records as code and conversation type with a comma between';

CREATE FUNCTION outbound._resolve_conversations(p_load outbound.load) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    SET work_mem = '64MB' SET jit = off
AS $$
DECLARE
    staged text := 'sys_load_' || p_load.load_id;
    resolved bigint;
BEGIN
    IF NOT p_load.definition @> '{"columns": [{"unit_type": "conversation_id"}]}' THEN
        RETURN 0;
    END IF;
    -- They come as P: whoever read the file knows no conversations. What is no identifier stays so.
    EXECUTE format($sql$
        UPDATE outbound_list.%1$I AS d SET sys_status = 'C', sys_inbox_id = i.inbox_id, sys_conversation_type = i.conversation_type
        FROM %2$s AS v JOIN outbound.inbox AS i ON i.inbox_id = v.inbox_id
        WHERE d.sys_channel_user_type = 'conversation_id' AND d.sys_status = 'P'
          AND d.sys_last_attempt_dialer_attempt_result_id IS NULL AND v.conversation_id = d.sys_channel_user
        $sql$, staged || '_detail', outbound._conversation_relation());
    GET DIAGNOSTICS resolved = ROW_COUNT;
    IF resolved > 0 THEN
        -- Contacts whose records are alike have the same codes: the rule is asked once for each kind.
        EXECUTE format($sql$
            WITH contacts AS MATERIALIZED (
                SELECT d.sys_contact_id, array_agg(DISTINCT concat_ws(',', d.sys_status, d.sys_conversation_type)) AS records,
                       coalesce(bit_or(CASE d.sys_conversation_type WHEN 'call' THEN 1 WHEN 'email' THEN 2 WHEN 'social_media' THEN 4 END), 0) AS unit_types
                FROM outbound_list.%2$I AS d
                GROUP BY d.sys_contact_id HAVING bool_or(d.sys_channel_user_type = 'conversation_id' AND d.sys_status <> 'P')
            ), kinds AS MATERIALIZED (
                SELECT k.records, outbound._codes_of_untried(k.records, $1) AS codes FROM (SELECT DISTINCT c.records FROM contacts AS c) AS k
            )
            UPDATE outbound_list.%1$I AS t SET
                sys_status = (k.codes)[1]::"char", sys_status_call = (k.codes)[2]::"char",
                sys_status_email = (k.codes)[3]::"char", sys_status_social_media = (k.codes)[4]::"char",
                sys_unit_types = c.unit_types
            FROM contacts AS c JOIN kinds AS k ON k.records = c.records
            WHERE t.sys_id = c.sys_contact_id
            $sql$, staged, staged || '_detail') USING (p_load.definition ->> 'close_if_all')::boolean;
    END IF;
    RETURN resolved;
END
$$;
COMMENT ON FUNCTION outbound._resolve_conversations IS 'Gives the records of a load that name a conversation its inbox, and their contacts their codes; those whose conversation or inbox is missing stay P (contact-lists §7.2 R01, R02). Returns how many were found';
