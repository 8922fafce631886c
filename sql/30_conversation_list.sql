-- Contact lists made from conversations (contact-lists §2.2): a condition says which, one query finds them, and
-- preview, first load and automatic additions all ask that query. A contact is a person, a record a conversation.

CREATE FUNCTION outbound._conversation_fields(p_criteria jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_agg(jsonb_build_object('name', f.name, 'sql', f.expression, 'type', f.type)) FROM (
        VALUES ('status', 'v.status', 'text'),
               ('inbox', 'i.name', 'text'),
               ('inbox_id', 'v.inbox_id', 'integer'),
               ('conversation_type', 'i.conversation_type::text', 'text'),
               ('team', 'v.team', 'text'),
               ('assignee', 'v.assignee', 'text'),
               ('labels', 'v.labels', 'text[]'),
               ('created_at', 'v.created_at', 'timestamptz'),
               ('last_activity_at', 'v.last_activity_at', 'timestamptz'),
               ('contact_id', 'v.contact_id', 'text'),
               ('name', 'k.name', 'text'),
               ('email', 'k.email', 'text'),
               ('phone', 'k.phone', 'text'),
               ('contact_created_at', 'k.created_at', 'timestamptz'),
               ('contact_last_activity_at', 'k.last_activity_at', 'timestamptz'),
               ('contact_labels', 'k.labels', 'text[]'),
               ('blocked', 'k.blocked', 'boolean')
        UNION ALL
        -- A custom attribute is a field as soon as somebody names it.
        SELECT DISTINCT a.name, format('(%s.attributes ->> %L)', CASE WHEN a.name LIKE 'contact%' THEN 'k' ELSE 'v' END,
                                       regexp_replace(a.name, '^(contact_)?attributes\.', '')), 'text'
        FROM (SELECT p.field #>> '{}' AS name FROM jsonb_path_query(p_criteria, '$.**.field') AS p (field)) AS a
        WHERE a.name ~ '^(contact_)?attributes\..'
    ) AS f (name, expression, type)
$$;
COMMENT ON FUNCTION outbound._conversation_fields IS 'What criteria over conversations can ask for: fields with their SQL and type; attributes.<name> and contact_attributes.<name> are custom attributes';

CREATE FUNCTION outbound._checked_criteria(p_criteria jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb := outbound.check_condition(p_criteria::text, outbound._conversation_fields(p_criteria));
BEGIN
    IF checked IS NULL THEN
        RAISE EXCEPTION 'there are no criteria'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Without any, every conversation would match.',
                  HINT = 'Write, for example, {"field": "status", "operator": "equal", "value": "open"}.';
    END IF;
    RETURN checked;
END
$$;
COMMENT ON FUNCTION outbound._checked_criteria IS 'Criteria in canonical form, or an error that names what is wrong; empty ones are refused';

CREATE FUNCTION outbound._matching_conversations(p_criteria jsonb, p_at timestamptz, p_not_in text DEFAULT NULL)
RETURNS TABLE (contact_id text, name text, email text, phone text, conversation_id text, inbox_id bigint, inbox text,
               conversation_type outbound.conversation_type, usable boolean, number bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET work_mem = '64MB' SET jit = off
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        SELECT m.contact_id, m.name, m.email, m.phone, m.conversation_id, m.inbox_id, m.inbox, m.conversation_type, m.usable,
               row_number() OVER (ORDER BY m.usable DESC, m.created_at, m.conversation_id)
        FROM (
            SELECT DISTINCT ON (v.conversation_id COLLATE "C")
                   v.contact_id, k.name, k.email, k.phone, v.conversation_id COLLATE "C" AS conversation_id, i.inbox_id, i.name AS inbox, i.conversation_type,
                   coalesce(i.inbox_id IS NOT NULL AND v.conversation_id <> '' AND length(v.conversation_id) <= 128
                            AND v.contact_id <> '' AND length(v.contact_id) <= 255, false) AS usable, v.created_at
            FROM %1$s AS v
            LEFT JOIN outbound.inbox AS i ON i.inbox_id = v.inbox_id
            LEFT JOIN %2$s AS k ON k.contact_id = v.contact_id
            WHERE (%3$s) %4$s
            ORDER BY v.conversation_id COLLATE "C", v.created_at, v.contact_id) AS m
        ORDER BY 10
        $sql$, outbound._conversation_relation(), outbound._conversation_contact_relation(),
        replace(outbound.condition_sql(p_criteria, outbound._conversation_fields(p_criteria)), '$now', '$1'),
        CASE WHEN p_not_in IS NOT NULL THEN format($sql$
            AND NOT EXISTS (SELECT 1 FROM outbound_list.%I AS d
                            WHERE d.sys_channel_user = v.conversation_id AND d.sys_channel_user_type = 'conversation_id')
            $sql$, p_not_in || '_detail') END)
    USING p_at;
END
$$;
COMMENT ON FUNCTION outbound._matching_conversations IS 'Conversations that criteria in canonical form describe, each once, oldest first, with the person; those that cannot be used, since their inbox is not known, last. p_not_in: table of a list whose conversations are left out';

CREATE FUNCTION outbound.preview_list(criteria jsonb, rows integer DEFAULT 10, at timestamptz DEFAULT now())
RETURNS TABLE (contact_id text, name text, email text, phone text, conversation_id text, inbox text,
               conversation_type outbound.conversation_type, total bigint, contacts bigint, skipped bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (preview_list.rows BETWEEN 1 AND 1000) IS NOT TRUE THEN
        RAISE EXCEPTION 'a preview of % rows is not possible', coalesce(preview_list.rows::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 to 1000.';
    END IF;
    RETURN QUERY
    WITH matching AS MATERIALIZED (
        SELECT m.* FROM outbound._matching_conversations(outbound._checked_criteria(preview_list.criteria), preview_list.at) AS m
    ), counted AS (
        SELECT count(*) FILTER (WHERE m.usable) AS total, count(DISTINCT m.contact_id) FILTER (WHERE m.usable) AS contacts,
               count(*) FILTER (WHERE NOT m.usable) AS skipped
        FROM matching AS m
    )
    SELECT m.contact_id, m.name, m.email, m.phone, m.conversation_id, m.inbox, m.conversation_type, c.total, c.contacts, c.skipped
    FROM matching AS m CROSS JOIN counted AS c
    WHERE m.usable AND m.number <= preview_list.rows
    ORDER BY m.number;
END
$$;
COMMENT ON FUNCTION outbound.preview_list IS 'The first conversations that a list with these criteria would have, with the totals: records, contacts, and conversations left out because their inbox is not known. Asks what the load asks, changes nothing, and has no row when there is nothing to load (contact-lists §2.1)';

CREATE FUNCTION outbound._stage_conversations(p_load outbound.load, p_criteria jsonb, p_at timestamptz, p_not_in text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    SET work_mem = '64MB' SET jit = off
AS $$
DECLARE
    counts jsonb;
BEGIN
    PERFORM outbound.create_load_table(p_load.load_id, 'contact'), outbound.create_load_table(p_load.load_id, 'detail');
    -- Contacts whose records are alike have the same codes: the rule is asked once for each kind.
    EXECUTE format($sql$
        WITH matching AS MATERIALIZED (
            SELECT m.* FROM outbound._matching_conversations($1, $2, $3) AS m
        ), contacts AS MATERIALIZED (
            SELECT m.contact_id, min(m.name) AS name, min(m.email) AS email, min(m.phone) AS phone, min(m.number) AS number,
                   array_agg(DISTINCT concat('C,', m.conversation_type)) AS records,
                   bit_or(CASE m.conversation_type WHEN 'call' THEN 1 WHEN 'email' THEN 2 ELSE 4 END) AS unit_types
            FROM matching AS m WHERE m.usable GROUP BY m.contact_id
        ), kinds AS MATERIALIZED (
            SELECT k.records, outbound._codes_of_untried(k.records, $4) AS codes FROM (SELECT DISTINCT c.records FROM contacts AS c) AS k
        ), staged AS (
            INSERT INTO outbound_list.%1$I (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media,
                sys_unit_types, contact_id, name, email, phone)
            SELECT %3$s, c.contact_id, (k.codes)[1]::"char", (k.codes)[2]::"char", (k.codes)[3]::"char", (k.codes)[4]::"char",
                   c.unit_types, c.contact_id, c.name, c.email, c.phone
            FROM contacts AS c JOIN kinds AS k ON k.records = c.records
            ORDER BY c.number
        ), records AS (
            INSERT INTO outbound_list.%2$I (list_id, sys_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column,
                sys_conversation_type, sys_inbox_id, sys_status)
            SELECT %3$s, m.number, m.contact_id, m.conversation_id, 'conversation_id', 'conversation_id',
                   m.conversation_type, m.inbox_id, 'C'
            FROM matching AS m WHERE m.usable
            ORDER BY m.number
        )
        SELECT jsonb_build_object('rows_read', c.contacts, 'contacts', c.contacts, 'records', r.records, 'skipped', r.skipped,
                                  'rejected', 0, 'filtered', 0, 'duplicates', 0, 'warnings', 0)
        FROM (SELECT count(*) AS contacts FROM contacts) AS c,
             (SELECT count(*) FILTER (WHERE m.usable) AS records, count(*) FILTER (WHERE NOT m.usable) AS skipped FROM matching AS m) AS r
        $sql$, 'sys_load_' || p_load.load_id, 'sys_load_' || p_load.load_id || '_detail', p_load.list_id)
    INTO counts USING p_criteria, p_at, p_not_in, (p_load.definition ->> 'close_if_all')::boolean;
    PERFORM outbound.finish_load_table(p_load.load_id, 'contact'), outbound.finish_load_table(p_load.load_id, 'detail');
    RETURN counts;
END
$$;
COMMENT ON FUNCTION outbound._stage_conversations IS 'Fills the tables of a load with the matching conversations and their contacts; returns the counts, as a worker gives them for a file';

CREATE FUNCTION outbound._conversation_list_definition(p_close_if_all boolean) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('identifier', 'contact_id', 'contact_name', 'name', 'close_if_all', p_close_if_all,
        'columns', jsonb_agg(jsonb_build_object('name', c.name, 'column_name', c.name, 'type', 'text',
                                                'unit_type', NULL, 'inbox_id', NULL, 'conversation_type', NULL) ORDER BY c.position))
    FROM unnest('{contact_id,name,email,phone}'::text[]) WITH ORDINALITY AS c (name, position)
$$;
COMMENT ON FUNCTION outbound._conversation_list_definition IS 'Definition of every list made from conversations: what is known of the person; the units are the conversations';

CREATE FUNCTION outbound._next_auto_add(p_schedule text, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound.next_run(p_schedule, (outbound.account_settings()).time_zone, p_at)
$$;
COMMENT ON FUNCTION outbound._next_auto_add IS 'When a schedule comes next, in the zone of the account (contact-lists §2.2)';

CREATE FUNCTION outbound.create_list_from_conversations(
    name text,
    criteria jsonb,
    auto_add boolean DEFAULT false,
    auto_add_schedule text DEFAULT '0 0 * * *',
    close_if_all boolean DEFAULT false,
    at timestamptz DEFAULT now()
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb := outbound._checked_criteria(create_list_from_conversations.criteria);
    next_at timestamptz := outbound._next_auto_add(create_list_from_conversations.auto_add_schedule, create_list_from_conversations.at);
    opened outbound.load;
    counts jsonb;
    published jsonb;
BEGIN
    PERFORM outbound.check_display_name('contact list', create_list_from_conversations.name);
    PERFORM outbound._lock_list_names();
    IF EXISTS (SELECT 1 FROM outbound.list AS l WHERE l.name = create_list_from_conversations.name) THEN
        RAISE EXCEPTION 'contact list "%" exists already', create_list_from_conversations.name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name, or drop that list with outbound.drop_list.';
    END IF;
    opened := outbound._open_load(NULL, NULL, NULL, outbound._next_list_id(), create_list_from_conversations.name, 'new',
        outbound._conversation_list_definition(coalesce(create_list_from_conversations.close_if_all, false)));
    counts := outbound._stage_conversations(opened, checked, create_list_from_conversations.at);
    published := outbound._publish_load(opened, counts, false, true);
    UPDATE outbound.list AS l SET selection_method = 'conversations', criteria = checked,
        auto_add = coalesce(create_list_from_conversations.auto_add, false),
        auto_add_schedule = create_list_from_conversations.auto_add_schedule,
        auto_add_next_at = CASE WHEN create_list_from_conversations.auto_add THEN next_at END
    WHERE l.list_id = opened.list_id;
    RETURN jsonb_build_object('list', published -> 'list', 'table', published -> 'table', 'contacts', published -> 'added',
                              'records', published -> 'records_added', 'skipped', counts -> 'skipped');
END
$$;
COMMENT ON FUNCTION outbound.create_list_from_conversations IS 'Makes a contact list of the conversations that match now, and returns how many contacts and records it has and how many conversations were left out because their inbox is not known; with auto_add, those that match later are added by the schedule (contact-lists §2.2)';

CREATE FUNCTION outbound._add_conversations(p_list outbound.list, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    opened outbound.load;
    counts jsonb;
    known text;
BEGIN
    -- Most times there is nothing new, and then nothing is written.
    IF NOT EXISTS (SELECT 1 FROM outbound._matching_conversations(p_list.criteria, p_at, p_list.table_name) AS m WHERE m.usable) THEN
        RETURN 0;
    END IF;
    opened := outbound._open_load(NULL, NULL, NULL, p_list.list_id, p_list.name, 'append', outbound._definition_of(p_list.list_id));
    known := 'sys_load_' || opened.load_id || '_known';
    counts := outbound._stage_conversations(opened, p_list.criteria, p_at, p_list.table_name);
    PERFORM outbound._suppress_loaded(opened);
    IF outbound._lock_known_contacts(opened, p_list.table_name) > 0 THEN
        EXECUTE format($sql$
            INSERT INTO outbound_list.%1$I (list_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column,
                sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id)
            SELECT n.list_id, n.sys_contact_id, n.sys_channel_user, n.sys_channel_user_type, n.sys_cl_source_column,
                n.sys_conversation_type, n.sys_inbox_id, n.sys_status, n.sys_last_attempt_dialer_attempt_result_id
            FROM outbound_list.%2$I AS n JOIN outbound_list.%3$I AS k ON k.sys_id = n.sys_contact_id
            ORDER BY n.sys_id
            $sql$, p_list.table_name || '_detail', 'sys_load_' || opened.load_id || '_detail', known);
    END IF;
    PERFORM outbound._publish_load(opened, counts, NULL, false);
    -- In portions: each is read into memory.
    EXECUTE format($sql$
        SELECT count(outbound._units_added($1, p.ids, $2)::text) FROM (
            SELECT array_agg(k.sys_id ORDER BY k.sys_id) AS ids
            FROM (SELECT o.sys_id, row_number() OVER (ORDER BY o.sys_id) / 1000 AS portion FROM outbound_list.%1$I AS o) AS k
            GROUP BY k.portion ORDER BY k.portion) AS p
        $sql$, known) USING p_list, p_at;
    EXECUTE format('DROP TABLE outbound_list.%I', known);
    RETURN (counts ->> 'records')::bigint;
END
$$;
COMMENT ON FUNCTION outbound._add_conversations IS 'Adds the conversations that match and that the list does not have: with their contact where it is new, else as a record of the contact it has, whose codes are recomputed. Removes and resets nothing; returns how many';

CREATE FUNCTION outbound.add_new_conversations(at timestamptz DEFAULT now()) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due record;
    target outbound.list;
    added bigint := 0;
    said text;
    detail text;
BEGIN
    FOR due IN
        SELECT l.list_id FROM outbound.list AS l WHERE l.auto_add AND l.auto_add_next_at <= add_new_conversations.at
        ORDER BY l.auto_add_next_at, l.list_id
    LOOP
        -- Somebody else may be at it, or have done it since.
        SELECT l.* INTO target FROM outbound.list AS l
        WHERE l.list_id = due.list_id AND l.auto_add AND l.auto_add_next_at <= add_new_conversations.at FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        said := NULL;
        BEGIN
            added := added + outbound._add_conversations(target, add_new_conversations.at);
        EXCEPTION
            WHEN serialization_failure OR deadlock_detected OR lock_not_available THEN
                -- It passes: the next call tries again.
                CONTINUE;
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
                said := concat_ws(': ', said, nullif(detail, ''));
                RAISE WARNING 'nothing was added to contact list "%": %', target.name, said
                    USING HINT = 'It is tried again at its next time; outbound.list.auto_add_problem keeps the reason.';
        END;
        UPDATE outbound.list AS l SET auto_add_problem = said,
            auto_add_next_at = outbound._next_auto_add(target.auto_add_schedule, add_new_conversations.at)
        WHERE l.list_id = target.list_id;
    END LOOP;
    RETURN added;
END
$$;
COMMENT ON FUNCTION outbound.add_new_conversations IS 'Adds the conversations that newly match to every list whose time it is, each at most once to a list, and returns how many; a duty of maintain(). A list that fails does not stop the others';

CREATE FUNCTION outbound.alter_list(
    name text,
    close_if_all boolean DEFAULT NULL,
    criteria jsonb DEFAULT NULL,
    auto_add boolean DEFAULT NULL,
    auto_add_schedule text DEFAULT NULL,
    at timestamptz DEFAULT now()
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.list := outbound._list_by_name(alter_list.name);
    checked jsonb;
    schedule text;
    adds boolean;
    next_at timestamptz;
BEGIN
    SELECT l.* INTO before FROM outbound.list AS l WHERE l.list_id = before.list_id FOR UPDATE;
    IF before.selection_method = 'file' AND coalesce(alter_list.criteria::text, alter_list.auto_add::text, alter_list.auto_add_schedule) IS NOT NULL THEN
        RAISE EXCEPTION 'contact list "%" is filled from files', before.name
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Criteria and automatic additions belong to lists made from conversations.',
                  HINT = 'Make such a list with outbound.create_list_from_conversations.';
    END IF;
    schedule := coalesce(alter_list.auto_add_schedule, before.auto_add_schedule);
    adds := coalesce(alter_list.auto_add, before.auto_add);
    IF alter_list.criteria IS NOT NULL THEN
        checked := outbound._checked_criteria(alter_list.criteria);
    END IF;
    IF schedule IS NOT NULL THEN
        -- Whether or not it is followed: this is also its check.
        next_at := outbound._next_auto_add(schedule, alter_list.at);
    END IF;
    UPDATE outbound.list AS l SET criteria = coalesce(checked, l.criteria), auto_add = adds, auto_add_schedule = schedule,
        auto_add_next_at = CASE WHEN NOT adds THEN NULL
            WHEN l.auto_add AND schedule = l.auto_add_schedule THEN l.auto_add_next_at ELSE next_at END,
        auto_add_problem = CASE WHEN adds AND checked IS NULL THEN l.auto_add_problem END,
        close_if_all = coalesce(alter_list.close_if_all, l.close_if_all)
    WHERE l.list_id = before.list_id;
    IF alter_list.close_if_all <> before.close_if_all THEN
        IF EXISTS (SELECT 1 FROM outbound.load AS l WHERE l.list_id = before.list_id AND NOT outbound._is_dead(l)) THEN
            RAISE EXCEPTION 'contact list "%" is being loaded', before.name
                USING ERRCODE = 'object_in_use', DETAIL = 'The load goes by the close rule that the list had when it began.',
                      HINT = 'Try again when the load has ended; outbound.job_activity shows it.';
        END IF;
        PERFORM outbound._rederive_list(before.list_id);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.alter_list IS 'Changes what is given of a list: the close rule (every contact''s codes are recomputed), and, where it is made from conversations, the criteria and when those that newly match are added (contact-lists §2.4)';
