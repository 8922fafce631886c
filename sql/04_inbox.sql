-- Inboxes: the channels outbound conversations are sent from (contact-lists §1, §2.3).

CREATE TABLE outbound.inbox (
    inbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    conversation_type outbound.conversation_type NOT NULL,
    max_per_minute integer CHECK (max_per_minute BETWEEN 1 AND 1000000),
    may_write_first boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.inbox IS 'Channels that outbound conversations are sent from';
COMMENT ON COLUMN outbound.inbox.inbox_id IS 'Number used by sys_inbox_id of the records';
COMMENT ON COLUMN outbound.inbox.name IS 'Name, unique';
COMMENT ON COLUMN outbound.inbox.conversation_type IS 'The one conversation type the inbox carries';
COMMENT ON COLUMN outbound.inbox.max_per_minute IS 'Most attempts started from it a minute, by all campaigns together; null: no limit (contact-lists §10.1 "Pacing")';
COMMENT ON COLUMN outbound.inbox.may_write_first IS 'Whether it may begin a conversation; a campaign refuses units of an inbox that may not (contact-lists §2.3)';
COMMENT ON COLUMN outbound.inbox.created_at IS 'When the inbox was made';

CREATE FUNCTION outbound._check_inbox_rate(rate integer) RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF rate NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION '% attempts a minute are not possible', rate
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 to 1000000.';
    END IF;
    RETURN rate;
END
$$;
COMMENT ON FUNCTION outbound._check_inbox_rate IS 'The rate limit of an inbox, or an error; null is no limit';

CREATE FUNCTION outbound.create_inbox(
    name text,
    conversation_type outbound.conversation_type,
    max_per_minute integer DEFAULT NULL,
    may_write_first boolean DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM outbound.check_display_name('inbox', create_inbox.name);
    INSERT INTO outbound.inbox AS i (name, conversation_type, max_per_minute, may_write_first)
    VALUES (create_inbox.name, create_inbox.conversation_type, outbound._check_inbox_rate(create_inbox.max_per_minute),
            coalesce(create_inbox.may_write_first, create_inbox.conversation_type <> 'social_media'))
    ON CONFLICT DO NOTHING
    RETURNING i.inbox_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'inbox "%" exists already', create_inbox.name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name; outbound.inbox lists the inboxes.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_inbox IS 'Makes an inbox and returns its number; unless said otherwise it has no rate limit, and may write first if it is for calls or email';

CREATE FUNCTION outbound._inbox_by_name(inbox_name text) RETURNS outbound.inbox
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.inbox;
BEGIN
    SELECT i.* INTO match FROM outbound.inbox AS i WHERE i.name = inbox_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'inbox "%" does not exist', inbox_name
            USING ERRCODE = 'undefined_object', HINT = 'outbound.inbox lists the inboxes.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._inbox_by_name IS 'The inbox of that name, or an error';

CREATE FUNCTION outbound.set_inbox(name text, max_per_minute integer DEFAULT NULL, may_write_first boolean DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.inbox := outbound._inbox_by_name(set_inbox.name);
BEGIN
    UPDATE outbound.inbox AS i SET
        max_per_minute = coalesce(outbound._check_inbox_rate(nullif(set_inbox.max_per_minute, 0)),
                                  CASE WHEN set_inbox.max_per_minute = 0 THEN NULL ELSE before.max_per_minute END),
        may_write_first = coalesce(set_inbox.may_write_first, before.may_write_first)
    WHERE i.inbox_id = before.inbox_id;
END
$$;
COMMENT ON FUNCTION outbound.set_inbox IS 'Changes what is given of an inbox; a rate limit of 0 takes the limit away';

CREATE FUNCTION outbound.drop_inbox(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    inbox outbound.inbox := outbound._inbox_by_name(drop_inbox.name);
    users text;
BEGIN
    SELECT string_agg(DISTINCT quote_ident(l.name), ', ') INTO users
    FROM outbound.list AS l
    WHERE EXISTS (SELECT 1 FROM outbound.list_column AS c WHERE c.list_id = l.list_id AND c.inbox_id = inbox.inbox_id)
       OR outbound._has_conversations_in(l, inbox.inbox_id);
    IF users IS NOT NULL THEN
        RAISE EXCEPTION 'inbox "%" is in use', drop_inbox.name
            USING ERRCODE = 'object_in_use', DETAIL = format('Contact lists that send from it: %s.', users),
                  HINT = 'Drop those lists first.';
    END IF;
    DELETE FROM outbound.inbox AS i WHERE i.inbox_id = inbox.inbox_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_inbox IS 'Removes an inbox that no contact list uses';
