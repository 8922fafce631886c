-- Calendars: when campaigns may act (contact-lists §10.1). A calendar is checked by core and stored in its
-- full form; whether it is open at a moment is for core to say too.

CREATE TABLE outbound.calendar (
    calendar_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    description text,
    time_zone text NOT NULL,
    hours jsonb NOT NULL CHECK (jsonb_typeof(hours) = 'object'),
    exceptions jsonb NOT NULL CHECK (jsonb_typeof(exceptions) = 'array'),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.calendar IS 'Calendars: working hours in which campaigns act';
COMMENT ON COLUMN outbound.calendar.calendar_id IS 'Number of the calendar';
COMMENT ON COLUMN outbound.calendar.name IS 'Name, unique';
COMMENT ON COLUMN outbound.calendar.description IS 'Free text';
COMMENT ON COLUMN outbound.calendar.time_zone IS 'IANA zone whose clock the hours are read on';
COMMENT ON COLUMN outbound.calendar.hours IS 'Intervals [from, till) by weekday, mon to sun; an empty array is closed all day';
COMMENT ON COLUMN outbound.calendar.exceptions IS 'Dates with hours of their own in place of their weekday''s';
COMMENT ON COLUMN outbound.calendar.created_at IS 'When the calendar was made';
COMMENT ON COLUMN outbound.calendar.modified_at IS 'When it was last changed';

CREATE FUNCTION outbound._calendar_by_name(calendar_name text) RETURNS outbound.calendar
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.calendar;
BEGIN
    SELECT c.* INTO match FROM outbound.calendar AS c WHERE c.name = calendar_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'calendar "%" does not exist', calendar_name
            USING ERRCODE = 'undefined_object',
                  DETAIL = format('Known calendars: %s.', coalesce((SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.name) FROM outbound.calendar AS c), 'none')),
                  HINT = 'Make it with outbound.create_calendar.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._calendar_by_name IS 'The calendar of that name, or an error that lists the known ones';

CREATE FUNCTION outbound._calendar_document(p_calendar_id integer) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('time_zone', c.time_zone, 'hours', c.hours, 'exceptions', c.exceptions)
    FROM outbound.calendar AS c WHERE c.calendar_id = p_calendar_id
$$;
COMMENT ON FUNCTION outbound._calendar_document IS 'A calendar as the document that calendar_state reads; null: there is none, and it is always open';

CREATE FUNCTION outbound.create_calendar(
    name text,
    time_zone text,
    hours jsonb,
    exceptions jsonb DEFAULT '[]',
    description text DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    checked jsonb;
    made integer;
BEGIN
    PERFORM outbound.check_display_name('calendar', create_calendar.name);
    checked := outbound.check_calendar(create_calendar.time_zone, create_calendar.hours::text, create_calendar.exceptions::text);
    INSERT INTO outbound.calendar AS c (name, description, time_zone, hours, exceptions)
    VALUES (create_calendar.name, create_calendar.description, checked ->> 'time_zone', checked -> 'hours', checked -> 'exceptions')
    ON CONFLICT DO NOTHING
    RETURNING c.calendar_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'calendar "%" exists already', create_calendar.name
            USING ERRCODE = 'duplicate_object', HINT = 'Change it with outbound.alter_calendar.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_calendar IS 'Makes a calendar: {"mon": [["09:00", "18:00"]], …} by the clock of a time zone, with exceptions [{"date": "2026-12-25", "hours": []}]';

CREATE FUNCTION outbound.alter_calendar(
    name text,
    time_zone text DEFAULT NULL,
    hours jsonb DEFAULT NULL,
    exceptions jsonb DEFAULT NULL,
    description text DEFAULT NULL,
    new_name text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.calendar := outbound._calendar_by_name(alter_calendar.name);
    checked jsonb;
BEGIN
    -- A change is laid upon what is there: two at once must not undo each other.
    SELECT c.* INTO before FROM outbound.calendar AS c WHERE c.calendar_id = before.calendar_id FOR NO KEY UPDATE;
    checked := outbound.check_calendar(coalesce(alter_calendar.time_zone, before.time_zone),
        coalesce(alter_calendar.hours, before.hours)::text, coalesce(alter_calendar.exceptions, before.exceptions)::text);
    IF alter_calendar.new_name IS NOT NULL THEN
        PERFORM outbound.check_display_name('calendar', alter_calendar.new_name);
        IF EXISTS (SELECT 1 FROM outbound.calendar AS c WHERE c.name = alter_calendar.new_name AND c.calendar_id <> before.calendar_id) THEN
            RAISE EXCEPTION 'calendar "%" exists already', alter_calendar.new_name
                USING ERRCODE = 'duplicate_object', HINT = 'Choose another name.';
        END IF;
    END IF;
    UPDATE outbound.calendar AS c SET
        name = coalesce(alter_calendar.new_name, before.name),
        description = coalesce(alter_calendar.description, before.description),
        time_zone = checked ->> 'time_zone', hours = checked -> 'hours', exceptions = checked -> 'exceptions',
        modified_at = now()
    WHERE c.calendar_id = before.calendar_id;
END
$$;
COMMENT ON FUNCTION outbound.alter_calendar IS 'Changes what is given of a calendar; hours and exceptions are replaced as a whole. Campaigns keep to it from the next claim on';

CREATE FUNCTION outbound._refuse_while_used(p_kind text, p_name text, p_campaigns bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    users text;
    losers text;
BEGIN
    SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.name) FILTER (WHERE c.state <> 'deleted'),
           string_agg(quote_ident(c.name), ', ' ORDER BY c.name) FILTER (WHERE c.state = 'deleted')
    INTO users, losers
    FROM outbound.campaign AS c WHERE c.campaign_id = ANY (p_campaigns);
    IF users IS NOT NULL THEN
        RAISE EXCEPTION '% "%" is in use', p_kind, p_name
            USING ERRCODE = 'object_in_use', DETAIL = format('Campaigns that keep to it: %s.', users),
                  HINT = 'Give those campaigns another with outbound.alter_campaign, or delete them, first.';
    ELSIF losers IS NOT NULL THEN
        RAISE NOTICE 'deleted campaigns lose %', format('%s "%s"', p_kind, p_name)
            USING DETAIL = format('They would be restored without it: %s.', losers);
    END IF;
END
$$;
COMMENT ON FUNCTION outbound._refuse_while_used IS 'Refuses to drop what one of these campaigns uses, unless it is deleted';

CREATE FUNCTION outbound.drop_calendar(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    calendar outbound.calendar := outbound._calendar_by_name(drop_calendar.name);
BEGIN
    PERFORM 1 FROM outbound.calendar AS c WHERE c.calendar_id = calendar.calendar_id FOR UPDATE;
    PERFORM outbound._refuse_while_used('calendar', calendar.name,
        (SELECT array_agg(c.campaign_id) FROM outbound.campaign AS c WHERE c.calendar_id = calendar.calendar_id));
    DELETE FROM outbound.calendar AS c WHERE c.calendar_id = calendar.calendar_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_calendar IS 'Removes a calendar; refused while a campaign that is not deleted keeps to it, and a notice names the deleted campaigns that lose it';

CREATE FUNCTION outbound.calendar_is_open(name text, at timestamptz DEFAULT now(), OUT open boolean, OUT until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (s.state ->> 'open')::boolean, (s.state ->> 'until')::timestamptz
    FROM outbound._calendar_by_name(calendar_is_open.name) AS c
    CROSS JOIN LATERAL outbound.calendar_state(outbound._calendar_document(c.calendar_id), coalesce(calendar_is_open.at, now())) AS s (state)
$$;
COMMENT ON FUNCTION outbound.calendar_is_open IS 'Whether a calendar is open at a moment, and when that changes next; null: not within 400 days';
