-- Inboxes: the channels outbound conversations are sent from (contact-lists §1, §2.3).

CREATE TABLE outbound.inbox (
    inbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    conversation_type outbound.conversation_type NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.inbox IS 'Channels that outbound conversations are sent from';
COMMENT ON COLUMN outbound.inbox.inbox_id IS 'Number used by sys_inbox_id of the records';
COMMENT ON COLUMN outbound.inbox.name IS 'Name, unique';
COMMENT ON COLUMN outbound.inbox.conversation_type IS 'The one conversation type the inbox carries';
COMMENT ON COLUMN outbound.inbox.created_at IS 'When the inbox was made';

CREATE FUNCTION outbound.create_inbox(name text, conversation_type outbound.conversation_type) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM outbound.check_display_name('inbox', create_inbox.name);
    INSERT INTO outbound.inbox AS i (name, conversation_type)
    VALUES (create_inbox.name, create_inbox.conversation_type)
    ON CONFLICT DO NOTHING
    RETURNING i.inbox_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'inbox "%" exists already', create_inbox.name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name; outbound.inbox lists the inboxes.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_inbox IS 'Makes an inbox and returns its number';

CREATE FUNCTION outbound.drop_inbox(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    inbox outbound.inbox;
    users text;
BEGIN
    SELECT i.* INTO inbox FROM outbound.inbox AS i WHERE i.name = drop_inbox.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'inbox "%" does not exist', drop_inbox.name
            USING ERRCODE = 'undefined_object', HINT = 'outbound.inbox lists the inboxes.';
    END IF;
    SELECT string_agg(DISTINCT quote_ident(l.name), ', ') INTO users
    FROM outbound.list_column AS c JOIN outbound.list AS l USING (list_id)
    WHERE c.inbox_id = inbox.inbox_id;
    IF users IS NOT NULL THEN
        RAISE EXCEPTION 'inbox "%" is in use', drop_inbox.name
            USING ERRCODE = 'object_in_use', DETAIL = format('Contact lists that send from it: %s.', users),
                  HINT = 'Drop those lists first.';
    END IF;
    DELETE FROM outbound.inbox AS i WHERE i.inbox_id = inbox.inbox_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_inbox IS 'Removes an inbox that no contact list uses';
