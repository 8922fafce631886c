-- Campaigns (contact-lists §10): what they are, how they are switched on and off. Settings are checked by core
-- and stored with every key named; what a campaign uses with others (lists, a calendar, an attempt control,
-- do-not-contact lists) is named by people and stored by number.

CREATE TABLE outbound.campaign (
    campaign_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    conversation_type outbound.conversation_type NOT NULL,
    state text NOT NULL DEFAULT 'off' CHECK (state IN ('off', 'active', 'deleted')),
    off_reason text DEFAULT 'new' CHECK (off_reason IN ('new', 'manual', 'auto', 'error')),
    calendar_id integer REFERENCES outbound.calendar ON DELETE SET NULL,
    attempt_control_id integer REFERENCES outbound.attempt_control ON DELETE SET NULL,
    settings jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    stopped_at timestamptz,
    CONSTRAINT campaign_off_reason CHECK ((state = 'off') = (off_reason IS NOT NULL))
);
COMMENT ON TABLE outbound.campaign IS 'Campaigns';
COMMENT ON COLUMN outbound.campaign.campaign_id IS 'Number used by sys_last_attempt_campaign_id of the records';
COMMENT ON COLUMN outbound.campaign.name IS 'Name, unique, also among deleted campaigns';
COMMENT ON COLUMN outbound.campaign.conversation_type IS 'The one conversation type it works; fixed at creation';
COMMENT ON COLUMN outbound.campaign.state IS 'off (completed), active or deleted (contact-lists §10.2)';
COMMENT ON COLUMN outbound.campaign.off_reason IS 'Why it is off: new, manual, auto (all contacts are processed) or error';
COMMENT ON COLUMN outbound.campaign.calendar_id IS 'Calendar whose hours it keeps to; null: always open';
COMMENT ON COLUMN outbound.campaign.attempt_control_id IS 'Attempt control whose limits it keeps to; null: no limits';
COMMENT ON COLUMN outbound.campaign.settings IS 'The other settings, checked and completed with their defaults (contact-lists §10.1)';
COMMENT ON COLUMN outbound.campaign.created_at IS 'When the campaign was made';
COMMENT ON COLUMN outbound.campaign.modified_at IS 'When its settings were last changed';
COMMENT ON COLUMN outbound.campaign.started_at IS 'When it was last switched on';
COMMENT ON COLUMN outbound.campaign.stopped_at IS 'When it last went off';

CREATE TABLE outbound.campaign_list (
    campaign_id bigint NOT NULL REFERENCES outbound.campaign ON DELETE CASCADE,
    list_id integer NOT NULL REFERENCES outbound.list,
    position integer NOT NULL CHECK (position >= 1),
    PRIMARY KEY (campaign_id, list_id),
    UNIQUE (campaign_id, position)
);
COMMENT ON TABLE outbound.campaign_list IS 'The contact lists that campaigns work';
COMMENT ON COLUMN outbound.campaign_list.campaign_id IS 'The campaign';
COMMENT ON COLUMN outbound.campaign_list.list_id IS 'The contact list';
COMMENT ON COLUMN outbound.campaign_list.position IS 'Order among the lists of the campaign, from 1';
CREATE INDEX campaign_list_list ON outbound.campaign_list (list_id);
COMMENT ON INDEX outbound.campaign_list_list IS 'The campaigns of a list';

CREATE TABLE outbound.campaign_suppression_list (
    campaign_id bigint NOT NULL REFERENCES outbound.campaign ON DELETE CASCADE,
    suppression_list_id integer NOT NULL REFERENCES outbound.suppression_list,
    PRIMARY KEY (campaign_id, suppression_list_id)
);
COMMENT ON TABLE outbound.campaign_suppression_list IS 'The do-not-contact lists that are ticked on campaigns';
COMMENT ON COLUMN outbound.campaign_suppression_list.campaign_id IS 'The campaign';
COMMENT ON COLUMN outbound.campaign_suppression_list.suppression_list_id IS 'The do-not-contact list';
CREATE INDEX campaign_suppression_list_list ON outbound.campaign_suppression_list (suppression_list_id);
COMMENT ON INDEX outbound.campaign_suppression_list_list IS 'The campaigns of a do-not-contact list';

CREATE FUNCTION outbound._campaign_by_name(campaign_name text) RETURNS outbound.campaign
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.campaign;
BEGIN
    SELECT c.* INTO match FROM outbound.campaign AS c WHERE c.name = campaign_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'campaign "%" does not exist', campaign_name
            USING ERRCODE = 'undefined_object', HINT = 'outbound.campaign_status lists the campaigns.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._campaign_by_name IS 'The campaign of that name, or an error';

CREATE FUNCTION outbound._check_moment(p_at timestamptz) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF isfinite(p_at) IS NOT TRUE THEN
        RAISE EXCEPTION 'a moment cannot be infinite or null'
            USING ERRCODE = 'datetime_field_overflow', HINT = 'Give a date and a time, or leave it out.';
    END IF;
END
$$;
COMMENT ON FUNCTION outbound._check_moment IS 'Raises an error unless it is a moment: contacts that are never due are due in infinity';

CREATE FUNCTION outbound._lock_campaign(p_campaign_id bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    -- Claims take the shared twin: those of one campaign go on at once, and wait while it is switched.
    SELECT pg_advisory_xact_lock(hashtext('outbound.campaign'), p_campaign_id::integer)
$$;
COMMENT ON FUNCTION outbound._lock_campaign IS 'Alone with a campaign until the end of the transaction: no claims meanwhile';

CREATE FUNCTION outbound._locked_campaign(campaign_name text) RETURNS outbound.campaign
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    campaign outbound.campaign := outbound._campaign_by_name(campaign_name);
BEGIN
    PERFORM outbound._lock_campaign(campaign.campaign_id);
    -- As it is now that nobody else is at it.
    SELECT c.* INTO campaign FROM outbound.campaign AS c WHERE c.campaign_id = campaign.campaign_id FOR NO KEY UPDATE;
    RETURN campaign;
END
$$;
COMMENT ON FUNCTION outbound._locked_campaign IS 'The campaign of that name, locked, or an error';

CREATE FUNCTION outbound._list_fields(p_list_id integer) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_array(
               jsonb_build_object('name', 'sys_id', 'sql', 'k.sys_id', 'type', 'text'),
               jsonb_build_object('name', 'sys_attempts', 'sql', 'k.sys_attempts', 'type', 'integer'),
               jsonb_build_object('name', 'sys_created_at', 'sql', 'k.sys_created_at', 'type', 'timestamptz'))
           || coalesce(jsonb_agg(jsonb_build_object('name', c.name, 'sql', format('k.%I', c.column_name), 'type', c.column_type) ORDER BY c.position), '[]')
    FROM outbound.list_column AS c WHERE c.list_id = p_list_id
$$;
COMMENT ON FUNCTION outbound._list_fields IS 'What a filter and an order over the contacts of a list, called k, can ask for: fields with their SQL and type';

CREATE FUNCTION outbound._keep_lists(p_list_ids integer[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*) FROM (SELECT 1 FROM outbound.list AS l WHERE l.list_id = ANY (p_list_ids) ORDER BY l.list_id FOR KEY SHARE) AS l
$$;
COMMENT ON FUNCTION outbound._keep_lists IS 'Until the end of the transaction nobody drops the lists or puts other tables in their place; whoever is at it is waited for. To be called before anything is changed';

CREATE FUNCTION outbound._lists_by_name(names text[]) RETURNS integer[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    twice text;
    found integer[];
BEGIN
    IF coalesce(cardinality(names), 0) = 0 OR array_position(names, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a campaign needs a contact list'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Name one or more, such as ARRAY[''people'']; outbound.list_status lists them.';
    END IF;
    SELECT n.name INTO twice FROM unnest(names) AS n (name) GROUP BY n.name HAVING count(*) > 1 LIMIT 1;
    IF twice IS NOT NULL THEN
        RAISE EXCEPTION 'contact list "%" stands twice', twice
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Name each list once.';
    END IF;
    SELECT array_agg((outbound._list_by_name(n.name)).list_id ORDER BY n.place) INTO found
    FROM unnest(names) WITH ORDINALITY AS n (name, place);
    -- Whoever drops one of them waits, or is waited for and has dropped it then.
    PERFORM outbound._keep_lists(found);
    PERFORM outbound._list_by_name(n.name) FROM unnest(names) AS n (name);
    RETURN found;
END
$$;
COMMENT ON FUNCTION outbound._lists_by_name IS 'Numbers of the contact lists of those names, in order, kept from being dropped, or an error';

CREATE FUNCTION outbound._lists_of_campaign(p_campaign_id bigint) RETURNS integer[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(c.list_id ORDER BY c.position), '{}') FROM outbound.campaign_list AS c WHERE c.campaign_id = p_campaign_id
$$;
COMMENT ON FUNCTION outbound._lists_of_campaign IS 'Numbers of the lists of a campaign, in order';

CREATE FUNCTION outbound._check_campaign_units(p_lists integer[], p_type outbound.conversation_type) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    list outbound.list;
    silent text;
BEGIN
    FOR list IN SELECT l.* FROM unnest(p_lists) WITH ORDINALITY AS n (list_id, place) JOIN outbound.list AS l USING (list_id) ORDER BY n.place LOOP
        -- What conversations a list holds, and their inboxes, is known of each record only.
        IF list.selection_method <> 'conversations' AND NOT EXISTS (
               SELECT 1 FROM outbound.list_column AS c LEFT JOIN outbound.inbox AS i USING (inbox_id)
               WHERE c.list_id = list.list_id AND (i.conversation_type = p_type OR c.unit_type = 'conversation_id')) THEN
            RAISE EXCEPTION 'contact list "%" has no units for %', list.name, CASE p_type WHEN 'call' THEN 'calls' ELSE replace(p_type::text, '_', ' ') END
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'None of its contact columns is reached from an inbox of that conversation type.',
                      HINT = 'Name another list, or make a campaign of another conversation type.';
        END IF;
        SELECT string_agg(DISTINCT quote_ident(i.name), ', ') INTO silent
        FROM outbound.list_column AS c JOIN outbound.inbox AS i USING (inbox_id)
        WHERE c.list_id = list.list_id AND i.conversation_type = p_type AND c.unit_type <> 'conversation_id' AND NOT i.may_write_first;
        IF silent IS NOT NULL THEN
            RAISE EXCEPTION 'contact list "%" sends from an inbox that may not write first', list.name
                USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Inboxes: %s.', silent),
                      HINT = 'If its channel permits it, say so with outbound.set_inbox.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION outbound._check_campaign_units IS 'Refuses lists without a unit of the conversation type, and units whose inbox may not write first (contact-lists §2.3)';

CREATE FUNCTION outbound._check_campaign_fields(p_lists integer[], p_settings jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    list record;
    field text;
    said text;
    detail text;
    hint text;
BEGIN
    FOR list IN SELECT l.name, l.list_id FROM unnest(p_lists) WITH ORDINALITY AS n (list_id, place) JOIN outbound.list AS l USING (list_id) ORDER BY n.place LOOP
        BEGIN
            field := 'filter';
            PERFORM outbound.check_condition((p_settings -> 'filter')::text, outbound._list_fields(list.list_id));
            field := 'order';
            PERFORM outbound.check_order((p_settings -> 'order')::text, outbound._list_fields(list.list_id));
        EXCEPTION WHEN invalid_parameter_value THEN
            GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RAISE EXCEPTION 'the % does not fit contact list "%": %', field, list.name, regexp_replace(said, '^(condition|order): ', '')
                USING ERRCODE = 'invalid_parameter_value', HINT = hint,
                      DETAIL = regexp_replace(detail, '^Field: ', 'Field: ' || field || CASE field WHEN 'filter' THEN '.' ELSE '' END);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION outbound._check_campaign_fields IS 'Refuses a filter and an order that do not fit the columns of every list';

CREATE FUNCTION outbound._check_campaign_settings(p_type outbound.conversation_type, p_present jsonb, p_change jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb := outbound.check_campaign_settings(p_present, p_change::text);
BEGIN
    IF p_type <> 'email' AND checked ->> 'subject' IS NOT NULL THEN
        RAISE EXCEPTION 'campaign settings: subject: is given, but only e-mails have a subject line'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Field: subject', HINT = 'Leave it out.';
    END IF;
    RETURN checked;
END
$$;
COMMENT ON FUNCTION outbound._check_campaign_settings IS 'The settings of a campaign after a change, with the names of what it uses, or an error that names the field';

CREATE FUNCTION outbound._settings_as_given(p_campaign outbound.campaign) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p_campaign.settings || jsonb_build_object(
        'calendar', (SELECT c.name FROM outbound.calendar AS c WHERE c.calendar_id = p_campaign.calendar_id),
        'attempt_control', (SELECT a.name FROM outbound.attempt_control AS a WHERE a.attempt_control_id = p_campaign.attempt_control_id),
        'do_not_contact', (SELECT coalesce(jsonb_agg(s.name ORDER BY s.name), '[]')
                           FROM outbound.campaign_suppression_list AS c JOIN outbound.suppression_list AS s USING (suppression_list_id)
                           WHERE c.campaign_id = p_campaign.campaign_id))
$$;
COMMENT ON FUNCTION outbound._settings_as_given IS 'The settings of a campaign as people write them: with the names of what it uses';

CREATE FUNCTION outbound._put_campaign(p_campaign_id bigint, p_settings jsonb, p_lists integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    calendar integer;
    control integer;
    suppression integer[];
BEGIN
    -- Looked up under a lock: what is being dropped meanwhile is gone, and named as such.
    IF p_settings ->> 'calendar' IS NOT NULL THEN
        SELECT c.calendar_id INTO calendar FROM outbound.calendar AS c WHERE c.name = p_settings ->> 'calendar' FOR KEY SHARE;
        calendar := coalesce(calendar, (outbound._calendar_by_name(p_settings ->> 'calendar')).calendar_id);
    END IF;
    IF p_settings ->> 'attempt_control' IS NOT NULL THEN
        SELECT a.attempt_control_id INTO control FROM outbound.attempt_control AS a WHERE a.name = p_settings ->> 'attempt_control' FOR KEY SHARE;
        control := coalesce(control, (outbound._attempt_control_by_name(p_settings ->> 'attempt_control')).attempt_control_id);
    END IF;
    PERFORM 1 FROM outbound.suppression_list AS s WHERE p_settings -> 'do_not_contact' ? s.name ORDER BY s.suppression_list_id FOR KEY SHARE;
    SELECT array_agg((outbound._suppression_list_by_name(n.name)).suppression_list_id) INTO suppression
    FROM jsonb_array_elements_text(p_settings -> 'do_not_contact') AS n (name);
    UPDATE outbound.campaign AS c SET calendar_id = calendar, attempt_control_id = control,
        settings = p_settings - '{calendar,attempt_control,do_not_contact}'::text[], modified_at = now()
    WHERE c.campaign_id = p_campaign_id;
    DELETE FROM outbound.campaign_suppression_list AS c WHERE c.campaign_id = p_campaign_id AND (c.suppression_list_id = ANY (suppression)) IS NOT TRUE;
    INSERT INTO outbound.campaign_suppression_list (campaign_id, suppression_list_id)
    SELECT p_campaign_id, s.id FROM unnest(suppression) AS s (id) ON CONFLICT DO NOTHING;
    IF p_lists IS DISTINCT FROM outbound._lists_of_campaign(p_campaign_id) THEN
        DELETE FROM outbound.campaign_list AS c WHERE c.campaign_id = p_campaign_id;
        INSERT INTO outbound.campaign_list (campaign_id, list_id, position)
        SELECT p_campaign_id, l.id, l.place FROM unnest(p_lists) WITH ORDINALITY AS l (id, place);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound._put_campaign IS 'Stores what was checked: settings, what they name, and lists';

CREATE FUNCTION outbound.create_campaign(
    name text,
    lists text[],
    conversation_type outbound.conversation_type,
    settings jsonb DEFAULT '{}'
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb;
    list_ids integer[];
    made bigint;
BEGIN
    PERFORM outbound.check_display_name('campaign', create_campaign.name);
    IF create_campaign.conversation_type IS NULL THEN
        RAISE EXCEPTION 'a campaign needs a conversation type'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give call, email or social_media.';
    END IF;
    checked := outbound._check_campaign_settings(create_campaign.conversation_type, '{}', create_campaign.settings);
    list_ids := outbound._lists_by_name(create_campaign.lists);
    PERFORM outbound._check_campaign_units(list_ids, create_campaign.conversation_type);
    PERFORM outbound._check_campaign_fields(list_ids, checked);
    INSERT INTO outbound.campaign AS c (name, conversation_type, settings)
    VALUES (create_campaign.name, create_campaign.conversation_type, '{}')
    ON CONFLICT DO NOTHING
    RETURNING c.campaign_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'campaign "%" exists already', create_campaign.name
            USING ERRCODE = 'duplicate_object',
                  HINT = CASE (SELECT c.state FROM outbound.campaign AS c WHERE c.name = create_campaign.name)
                         WHEN 'deleted' THEN 'It is deleted; bring it back with outbound.restore_campaign, or choose another name.'
                         ELSE 'Change it with outbound.alter_campaign.' END;
    END IF;
    PERFORM outbound._put_campaign(made, checked, list_ids);
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_campaign IS 'Makes a campaign, off, and returns its number; settings may also name its calendar, its attempt_control and its do_not_contact lists';

CREATE FUNCTION outbound._switch_campaign(p_campaign_id bigint, p_state text, p_reason text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before text;
BEGIN
    SELECT c.state INTO before FROM outbound.campaign AS c WHERE c.campaign_id = p_campaign_id;
    -- First of all: it makes all who change settings wait for one another, so that what follows cannot meet crosswise.
    UPDATE outbound.campaign AS c SET state = p_state, off_reason = p_reason,
        started_at = CASE WHEN p_state = 'active' THEN coalesce(p_at, now()) ELSE c.started_at END,
        stopped_at = CASE WHEN before = 'active' THEN coalesce(p_at, now()) ELSE c.stopped_at END
    WHERE c.campaign_id = p_campaign_id;
    IF p_state = 'active' THEN
        PERFORM outbound._campaign_started(p_campaign_id);
    ELSIF before = 'active' THEN
        PERFORM outbound._campaign_stopped(p_campaign_id, coalesce(p_at, now()));
    END IF;
END
$$;
COMMENT ON FUNCTION outbound._switch_campaign IS 'Brings a locked campaign into another state and lets follow what belongs to it';

CREATE FUNCTION outbound.alter_campaign(
    name text,
    settings jsonb DEFAULT NULL,
    lists text[] DEFAULT NULL,
    new_name text DEFAULT NULL,
    at timestamptz DEFAULT now()
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.campaign := outbound._locked_campaign(alter_campaign.name);
    present integer[] := outbound._lists_of_campaign(before.campaign_id);
    list_ids integer[] := present;
    checked jsonb;
    -- Another choice of contacts: what was claimed under the former one goes back, as when it is stopped.
    chooses_anew boolean;
BEGIN
    IF before.state = 'deleted' THEN
        RAISE EXCEPTION 'campaign "%" is deleted', before.name
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Bring it back with outbound.restore_campaign first.';
    END IF;
    IF alter_campaign.new_name IS NOT NULL THEN
        PERFORM outbound.check_display_name('campaign', alter_campaign.new_name);
        IF EXISTS (SELECT 1 FROM outbound.campaign AS c WHERE c.name = alter_campaign.new_name AND c.campaign_id <> before.campaign_id) THEN
            RAISE EXCEPTION 'campaign "%" exists already', alter_campaign.new_name
                USING ERRCODE = 'duplicate_object', HINT = 'Choose another name.';
        END IF;
    END IF;
    IF alter_campaign.settings IS NOT NULL OR alter_campaign.lists IS NOT NULL THEN
        PERFORM outbound._keep_lists(present);
    END IF;
    IF alter_campaign.lists IS NOT NULL THEN
        list_ids := outbound._lists_by_name(alter_campaign.lists);
        PERFORM outbound._check_campaign_units(list_ids, before.conversation_type);
    END IF;
    IF alter_campaign.new_name IS NOT NULL THEN
        UPDATE outbound.campaign AS c SET name = alter_campaign.new_name, modified_at = now() WHERE c.campaign_id = before.campaign_id;
    END IF;
    IF alter_campaign.settings IS NULL AND alter_campaign.lists IS NULL THEN
        RETURN;
    END IF;
    checked := outbound._check_campaign_settings(before.conversation_type, outbound._settings_as_given(before), coalesce(alter_campaign.settings, '{}'));
    chooses_anew := (list_ids, checked -> 'filter', checked -> 'order')
                    IS DISTINCT FROM (present, before.settings -> 'filter', before.settings -> 'order');
    IF chooses_anew THEN
        PERFORM outbound._check_campaign_fields(list_ids, checked);
    END IF;
    IF chooses_anew AND before.state = 'active' THEN
        PERFORM outbound._switch_campaign(before.campaign_id, 'off', 'manual', alter_campaign.at);
    END IF;
    PERFORM outbound._put_campaign(before.campaign_id, checked, list_ids);
    IF chooses_anew AND before.state = 'active' THEN
        PERFORM outbound._switch_campaign(before.campaign_id, 'active', NULL, alter_campaign.at);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.alter_campaign IS 'Changes the settings that are named (null takes one back to its default), the lists, or the name; an active campaign goes on with them from the next claim on';

CREATE FUNCTION outbound.start_campaign(name text, at timestamptz DEFAULT now()) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    campaign outbound.campaign := outbound._locked_campaign(start_campaign.name);
    list_ids integer[] := outbound._lists_of_campaign(campaign.campaign_id);
BEGIN
    IF campaign.state = 'active' THEN
        RETURN;
    ELSIF campaign.state = 'deleted' THEN
        RAISE EXCEPTION 'campaign "%" is deleted', campaign.name
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Bring it back with outbound.restore_campaign first.';
    ELSIF list_ids = '{}' THEN
        RAISE EXCEPTION 'campaign "%" has no contact list', campaign.name
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The lists it had were dropped.',
                  HINT = 'Give it another with outbound.alter_campaign.';
    END IF;
    PERFORM outbound._keep_lists(list_ids);
    PERFORM outbound._check_campaign_units(list_ids, campaign.conversation_type);
    PERFORM outbound._check_campaign_fields(list_ids, campaign.settings);
    PERFORM outbound._switch_campaign(campaign.campaign_id, 'active', NULL, start_campaign.at);
END
$$;
COMMENT ON FUNCTION outbound.start_campaign IS 'Switches a campaign on; it goes on where it stopped. Does nothing when it is on';

CREATE FUNCTION outbound.stop_campaign(name text, at timestamptz DEFAULT now()) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    campaign outbound.campaign := outbound._locked_campaign(stop_campaign.name);
BEGIN
    IF campaign.state = 'active' THEN
        PERFORM outbound._switch_campaign(campaign.campaign_id, 'off', 'manual', stop_campaign.at);
    ELSIF campaign.state = 'deleted' THEN
        RAISE EXCEPTION 'campaign "%" is deleted', campaign.name
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Nothing is claimed for a deleted campaign.';
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.stop_campaign IS 'Switches a campaign off: no more claims, those not started go back, what is started ends normally (contact-lists §8.3). Does nothing when it is off';

CREATE FUNCTION outbound.delete_campaign(name text, at timestamptz DEFAULT now()) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    campaign outbound.campaign := outbound._locked_campaign(delete_campaign.name);
BEGIN
    IF campaign.state <> 'deleted' THEN
        PERFORM outbound._switch_campaign(campaign.campaign_id, 'deleted', NULL, delete_campaign.at);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.delete_campaign IS 'Stops a campaign and puts it away; restore_campaign brings it back, and until then its name stays taken';

CREATE FUNCTION outbound.restore_campaign(name text, at timestamptz DEFAULT now()) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    campaign outbound.campaign := outbound._locked_campaign(restore_campaign.name);
BEGIN
    IF campaign.state = 'deleted' THEN
        PERFORM outbound._switch_campaign(campaign.campaign_id, 'off', 'manual', restore_campaign.at);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.restore_campaign IS 'Brings a deleted campaign back, off';

-- Dialers' calls keep settings in their sessions, and look here whether they are still the latest.

CREATE SEQUENCE outbound.settings_version_version_seq;
COMMENT ON SEQUENCE outbound.settings_version_version_seq IS 'Versions of the settings: none is given twice, also when what it stood for was rolled back';

CREATE TABLE outbound.settings_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
COMMENT ON TABLE outbound.settings_version IS 'Version of everything that the dialers'' calls keep in mind; at most one row';
COMMENT ON COLUMN outbound.settings_version.only_row IS 'Always true: holds the table to one row';
COMMENT ON COLUMN outbound.settings_version.version IS 'Another number, never used before, after each change';
ALTER SEQUENCE outbound.settings_version_version_seq OWNED BY outbound.settings_version.version;

CREATE FUNCTION outbound._settings_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO outbound.settings_version AS v (version) VALUES (nextval('outbound.settings_version_version_seq'))
    ON CONFLICT (only_row) DO UPDATE SET version = excluded.version;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION outbound._settings_changed IS 'Gives the settings another version';

CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.inbox FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.attempt_result FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.list_column FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.calendar FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.attempt_control FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.wrap_up_code FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.campaign FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.campaign_list FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OR DELETE ON outbound.campaign_suppression_list FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
-- Loads touch these two all the time, in columns that no dialer's call depends on: they would wait for each other.
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OF name, table_name, selection_method, identifier_column, contact_name_column, close_if_all OR DELETE
    ON outbound.list FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
CREATE TRIGGER settings_changed AFTER INSERT OR UPDATE OF name, applies_to_all OR DELETE
    ON outbound.suppression_list FOR EACH STATEMENT EXECUTE FUNCTION outbound._settings_changed();
