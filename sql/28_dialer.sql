-- What stands behind the dialers' calls, which are functions of the crate (engine): the documents they read
-- lists and campaigns from, the record of their pace, and what starting and stopping a campaign does to
-- attempts.

CREATE TABLE outbound.pace (
    campaign_id bigint,
    inbox_id bigint,
    at timestamptz NOT NULL,
    claims integer NOT NULL CHECK (claims > 0),
    CHECK ((campaign_id IS NULL) <> (inbox_id IS NULL))
);
COMMENT ON TABLE outbound.pace IS 'Claims of the last minute, of campaigns and inboxes that have a rate';
COMMENT ON COLUMN outbound.pace.campaign_id IS 'The campaign, or';
COMMENT ON COLUMN outbound.pace.inbox_id IS 'the inbox';
COMMENT ON COLUMN outbound.pace.at IS 'When the claim was made';
COMMENT ON COLUMN outbound.pace.claims IS 'How many attempts it took';
CREATE INDEX pace_campaign ON outbound.pace (campaign_id, at) WHERE campaign_id IS NOT NULL;
COMMENT ON INDEX outbound.pace_campaign IS 'Claims of a campaign in a minute';
CREATE INDEX pace_inbox ON outbound.pace (inbox_id, at) WHERE inbox_id IS NOT NULL;
COMMENT ON INDEX outbound.pace_inbox IS 'Claims from an inbox in a minute';

CREATE FUNCTION outbound._list_document(p_list_id integer) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'list_id', l.list_id, 'name', l.name, 'close_if_all', l.close_if_all,
        'contacts', format('outbound_list.%I', l.table_name), 'details', format('outbound_list.%I', l.table_name || '_detail'),
        'positions', coalesce((SELECT jsonb_object_agg(c.name, c.position) FROM outbound.list_column AS c WHERE c.list_id = l.list_id), '{}'),
        'fields', coalesce((SELECT jsonb_agg(jsonb_build_object('name', c.name, 'column', quote_ident(c.column_name), 'type', c.column_type)
                                             ORDER BY c.position)
                            FROM outbound.list_column AS c WHERE c.list_id = l.list_id), '[]'),
        'contact_name', coalesce((SELECT format('k.%I::text', c.column_name) FROM outbound.list_column AS c
                                  WHERE c.list_id = l.list_id AND c.name = l.contact_name_column), 'NULL::text'))
    FROM outbound.list AS l WHERE l.list_id = p_list_id
$$;
COMMENT ON FUNCTION outbound._list_document IS 'A contact list as the dialers'' calls read it';

CREATE FUNCTION outbound._campaign_document(p_campaign_id bigint) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'campaign_id', c.campaign_id, 'name', c.name, 'state', c.state, 'conversation_type', c.conversation_type, 'settings', c.settings,
        'attempt_control', (SELECT a.settings FROM outbound.attempt_control AS a WHERE a.attempt_control_id = c.attempt_control_id),
        'calendar', (SELECT jsonb_build_object('time_zone', k.time_zone, 'hours', k.hours, 'exceptions', k.exceptions)
                     FROM outbound.calendar AS k WHERE k.calendar_id = c.calendar_id),
        'suppression', coalesce((SELECT jsonb_agg(s.suppression_list_id ORDER BY s.suppression_list_id) FROM outbound.suppression_list AS s
                                 WHERE s.applies_to_all OR EXISTS (SELECT 1 FROM outbound.campaign_suppression_list AS t
                                     WHERE t.campaign_id = c.campaign_id AND t.suppression_list_id = s.suppression_list_id)), '[]'),
        'lists', coalesce((SELECT jsonb_agg(jsonb_build_object('list_id', m.list_id,
                               'filter', outbound.condition_sql(nullif(c.settings -> 'filter', 'null'), outbound._list_fields(m.list_id)),
                               'order', nullif(outbound.order_sql(nullif(c.settings -> 'order', '[]'), outbound._list_fields(m.list_id)), ''))
                               ORDER BY m.position)
                           FROM outbound.campaign_list AS m WHERE m.campaign_id = c.campaign_id), '[]'))
    FROM outbound.campaign AS c WHERE c.campaign_id = p_campaign_id
$$;
COMMENT ON FUNCTION outbound._campaign_document IS 'A campaign as the dialers'' calls read it: settings, limits, calendar, do-not-contact lists, filter and order for each list';

CREATE FUNCTION outbound._has_claim_indexes(p_list outbound.list, p_type outbound.conversation_type) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                   WHERE i.indrelid = format('outbound_list.%I', p_list.table_name)::regclass AND c.relname ~ format('^sys_due_%s_', p_type))
$$;
COMMENT ON FUNCTION outbound._has_claim_indexes IS 'Whether a list has the indexes of the claims of a conversation type';

CREATE FUNCTION outbound._index_claims(p_list outbound.list, p_type outbound.conversation_type) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF outbound._has_claim_indexes(p_list, p_type) THEN
        RETURN;
    END IF;
    -- Another campaign of the type may be switched on at this moment.
    PERFORM pg_advisory_xact_lock(hashtext('outbound.claim_indexes'), p_list.list_id);
    IF NOT outbound._has_claim_indexes(p_list, p_type) THEN
        PERFORM outbound._execute(outbound.claim_index_ddl(p_list.table_name, p_list.list_id, p_type::text));
    END IF;
END
$$;
COMMENT ON FUNCTION outbound._index_claims IS 'Makes the indexes of the claims of a conversation type for a list that has none of them yet';

CREATE FUNCTION outbound._index_campaign(p_campaign_id bigint, p_list_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    campaign outbound.campaign := (SELECT c FROM outbound.campaign AS c WHERE c.campaign_id = p_campaign_id);
    list outbound.list := (SELECT l FROM outbound.list AS l WHERE l.list_id = p_list_id);
    fields jsonb;
    filter text;
    ordering text;
    definition text;
BEGIN
    PERFORM outbound._index_claims(list, campaign.conversation_type);
    fields := (SELECT jsonb_agg(f.item || jsonb_build_object('sql', substr(f.item ->> 'sql', 3)))
               FROM jsonb_array_elements(outbound._list_fields(p_list_id)) AS f (item));
    filter := outbound.condition_sql(nullif(campaign.settings -> 'filter', 'null'), fields);
    ordering := nullif(outbound.order_sql(nullif(campaign.settings -> 'order', '[]'), fields), '');
    -- Contacts that wait for nothing, in the campaign's order: without it, every claim would sort all of them,
    -- or walk past all that its filter leaves out.
    IF (ordering IS NULL AND filter IS NULL) OR filter LIKE '%$now%' THEN
        RETURN;
    END IF;
    definition := format('(%s, sys_id) WHERE sys_status = ''C'' AND sys_status_%2$s = ''C'' AND sys_due_%2$s IS NULL%3$s',
        coalesce(ordering, 'sys_due_' || campaign.conversation_type), campaign.conversation_type, ' AND (' || filter || ')');
    BEGIN
        -- The name tells definitions apart: one that could not be dropped may be left from before a change.
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON outbound_list.%I %s',
            format('sys_campaign_%s_%s_%s', p_campaign_id, p_list_id, left(md5(definition), 8)), list.table_name, definition);
    EXCEPTION WHEN feature_not_supported OR invalid_object_definition THEN
        RAISE NOTICE 'the filter of campaign "%" cannot be part of an index: its claims look at more contacts', campaign.name;
    END;
END
$$;
COMMENT ON FUNCTION outbound._index_campaign IS 'Makes the indexes that the claims of a campaign need in one list: those of its type, and one in its order and with its filter, where it has any';

CREATE FUNCTION outbound._index_list(p_list_id integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._index_campaign(m.campaign_id, m.list_id)
    FROM outbound.campaign_list AS m JOIN outbound.campaign AS c USING (campaign_id) WHERE m.list_id = p_list_id AND c.state = 'active'
$$;
COMMENT ON FUNCTION outbound._index_list IS 'Makes the indexes of the campaigns that are on, for a list whose tables were just put in place';

CREATE FUNCTION outbound._campaign_started(p_campaign_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM outbound._index_campaign(m.campaign_id, m.list_id)
    FROM (SELECT l.campaign_id, l.list_id FROM outbound.campaign_list AS l WHERE l.campaign_id = p_campaign_id ORDER BY l.list_id) AS m;
    -- The log has a partition for what is about to happen.
    PERFORM outbound.keep_log_partitions();
END
$$;
COMMENT ON FUNCTION outbound._campaign_started IS 'What switching a campaign on does besides: the indexes of its claims, and log partitions';

CREATE FUNCTION outbound._drop_campaign_indexes(p_campaign_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
AS $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT c.relname FROM pg_catalog.pg_class AS c
               WHERE c.relnamespace = 'outbound_list'::regnamespace AND c.relkind = 'i' AND c.relname ~ format('^sys_campaign_%s_\d+_', p_campaign_id) LOOP
        EXECUTE format('DROP INDEX outbound_list.%I', old.relname);
    END LOOP;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    -- Who waits for this lock makes everybody else wait. The index does no harm, and goes with the next stop.
    RAISE NOTICE 'an index of the campaign stays for now: its list is being read';
END
$$;
COMMENT ON FUNCTION outbound._drop_campaign_indexes IS 'Drops the indexes that were made for a campaign, unless somebody reads the list for long';

CREATE FUNCTION outbound._campaign_stopped(p_campaign_id bigint, p_at timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._release_campaign(p_campaign_id, p_at);
    SELECT outbound._drop_campaign_indexes(p_campaign_id);
$$;
COMMENT ON FUNCTION outbound._campaign_stopped IS 'What switching a campaign off does besides: attempts that were claimed and not started are given back (contact-lists §8.3), and its indexes go';

CREATE FUNCTION outbound._log_flushed(p_list outbound.list) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ended bigint;
BEGIN
    -- Attempts of contacts that are about to go end here: what had started has an unknown outcome, the rest never was.
    EXECUTE format($sql$
        INSERT INTO outbound.attempt_log (attempt_id, list_id, contact_id, record_id, unit, inbox_id, campaign_id, dialer, origin,
            claimed_at, started_at, settled_at, result_id, counted)
        SELECT k.sys_open_attempt_id, k.list_id, k.sys_id, d.sys_id, d.sys_channel_user, d.sys_inbox_id, k.sys_open_campaign_id, k.sys_open_dialer,
               CASE k.sys_open_previous WHEN 'S' THEN 'agent_callback' ELSE 'auto' END, k.sys_open_claimed_at, k.sys_open_started_at, now(),
               r.result_id, r.counts_as_attempt
        FROM outbound_list.%1$I AS k
        JOIN outbound_list.%2$I AS d ON d.sys_contact_id = k.sys_id AND d.sys_id = k.sys_open_record_id
        JOIN outbound.attempt_result AS r ON r.name = CASE WHEN k.sys_open_started_at IS NULL THEN 'not_performed' ELSE 'unknown' END
        WHERE k.sys_status = 'I' $sql$, p_list.table_name, p_list.table_name || '_detail');
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
COMMENT ON FUNCTION outbound._log_flushed IS 'Ends, in the log, the attempts in progress of a list whose contacts are about to be flushed; returns how many';

CREATE FUNCTION outbound._units_added(p_list outbound.list, p_contact_ids text[], p_at timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT outbound._rederive_contacts(p_list.list_id, p_contact_ids)
$$;
COMMENT ON FUNCTION outbound._units_added IS 'Recomputes the codes of contacts that got records; one that is closed stays so (contact-lists §2.2)';

CREATE FUNCTION outbound.prune_pace(at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed bigint;
BEGIN
    DELETE FROM outbound.pace AS p WHERE p.at <= prune_pace.at - interval '10 minutes';
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION outbound.prune_pace IS 'Forgets claims that no rate looks at any more; returns how many rows';

CREATE TYPE outbound.attempt_answer AS (
    attempt_id bigint,
    outcome text,
    record_status "char",
    contact_status "char",
    scheduled_at timestamptz,
    message text
);
COMMENT ON TYPE outbound.attempt_answer IS 'What became of an attempt: started, busy, purged, settled, already_settled, corrected, released, extended, expired, finished, callback_scheduled, not_found, foreign, repeated or refused';

-- The dialers' calls. Their statements touch few rows of tables that may have no statistics yet, so they are
-- planned once a session, by index. A claim must never sort: its scans are in the order of their index.

CREATE FUNCTION outbound.claim(campaign text, n integer, dialer text, at timestamptz DEFAULT now())
RETURNS TABLE (attempt_id bigint, list text, contact_id text, record_id bigint, unit text, unit_type text, conversation_type text,
    inbox_id bigint, inbox text, contact_name text, fields jsonb, origin text, lease_until timestamptz)
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off SET enable_sort = off
AS 'MODULE_PATHNAME', 'claim_attempts_wrapper';
COMMENT ON FUNCTION outbound.claim IS 'Takes up to n attempts of a campaign (null: of all that are on, by priority) for a dialer, with all it needs to make them; fewer when fewer may be made at this moment, which explain tells (contact-lists §7.1, §8.1)';

CREATE FUNCTION outbound.start(attempt_ids bigint[], dialer text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS SETOF outbound.attempt_answer
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS 'MODULE_PATHNAME', 'start_attempts_wrapper';
COMMENT ON FUNCTION outbound.start IS 'Attempts are about to be made: last checks, and a longer lease; answers for each (contact-lists §8.2)';

CREATE FUNCTION outbound.settle(attempt_ids bigint[], results text[], dialog_ids text[] DEFAULT NULL, final boolean DEFAULT false, dialer text DEFAULT NULL,
    at timestamptz DEFAULT now())
RETURNS SETOF outbound.attempt_answer
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS 'MODULE_PATHNAME', 'settle_attempts_wrapper';
COMMENT ON FUNCTION outbound.settle IS 'Attempts have these results; each counts once, and answers for itself. final: successes that need no end (contact-lists §7.2 R21 to R29)';

CREATE FUNCTION outbound.release(attempt_ids bigint[], dialer text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS SETOF outbound.attempt_answer
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS 'MODULE_PATHNAME', 'release_attempts_wrapper';
COMMENT ON FUNCTION outbound.release IS 'Attempts will not be made: their records are what they were before the claim (contact-lists §7.2 R20)';

CREATE FUNCTION outbound.extend(attempt_ids bigint[], until timestamptz, dialer text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS SETOF outbound.attempt_answer
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS 'MODULE_PATHNAME', 'extend_attempts_wrapper';
COMMENT ON FUNCTION outbound.extend IS 'Attempts need longer: their leases end at that moment, which the answer has as scheduled_at';

CREATE FUNCTION outbound.finish(attempt_id bigint, wrap_up_code text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS SETOF outbound.attempt_answer
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS 'MODULE_PATHNAME', 'finish_attempt_wrapper';
COMMENT ON FUNCTION outbound.finish IS 'The campaign manager is done with the contact that an attempt reached; the wrap-up code decides what becomes of it (contact-lists §6.3)';

CREATE FUNCTION outbound.schedule_callback(attempt_id bigint, callback_at timestamptz, at timestamptz DEFAULT now())
RETURNS SETOF outbound.attempt_answer
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET jit = off
AS 'MODULE_PATHNAME', 'schedule_callback_wrapper';
COMMENT ON FUNCTION outbound.schedule_callback IS 'An agent plans a callback with the contact that an attempt reached or is speaking to (contact-lists §7.2 R34, R36)';

DO $$
DECLARE
    call regprocedure;
    setting text;
BEGIN
    -- The same settings for the calls that answer one row.
    FOR call IN
        SELECT p.oid FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace OPERATOR(pg_catalog.=) 'outbound'::regnamespace
          AND p.proname OPERATOR(pg_catalog.=) ANY (ARRAY['move_callback', 'cancel_callback', 'exclude', 'reset', 'reevaluate', 'explain', '_sweep_list',
              '_end_waiting_of', '_campaign_has_work', '_release_campaign', '_rederive_contacts']::name[])
    LOOP
        FOREACH setting IN ARRAY ARRAY['plan_cache_mode = force_generic_plan', 'enable_seqscan = off', 'enable_bitmapscan = off',
                                       'enable_hashjoin = off', 'enable_mergejoin = off', 'jit = off'] LOOP
            EXECUTE pg_catalog.format('ALTER FUNCTION %s SET %s', call, setting);
        END LOOP;
    END LOOP;
END
$$;
