-- Attempt controls (contact-lists §6.2), and what wrap-up codes mean (contact-lists §6.3). The settings of an
-- attempt control are checked by core and stored with every key named. A change of them moves no contact:
-- counts are compared with the limits at the next attempt, or when somebody calls reevaluate (§8.4).

CREATE TABLE outbound.attempt_control (
    attempt_control_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    settings jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.attempt_control IS 'Attempt controls: how often and how soon campaigns may try again';
COMMENT ON COLUMN outbound.attempt_control.attempt_control_id IS 'Number of the attempt control';
COMMENT ON COLUMN outbound.attempt_control.name IS 'Name, unique';
COMMENT ON COLUMN outbound.attempt_control.settings IS 'Limits, checked and completed with their defaults; null is no limit';
COMMENT ON COLUMN outbound.attempt_control.created_at IS 'When it was made';
COMMENT ON COLUMN outbound.attempt_control.modified_at IS 'When it was last changed';

CREATE FUNCTION outbound._attempt_control_by_name(control_name text) RETURNS outbound.attempt_control
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.attempt_control;
BEGIN
    SELECT a.* INTO match FROM outbound.attempt_control AS a WHERE a.name = control_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt control "%" does not exist', control_name
            USING ERRCODE = 'undefined_object',
                  DETAIL = format('Known attempt controls: %s.', coalesce((SELECT string_agg(quote_ident(a.name), ', ' ORDER BY a.name) FROM outbound.attempt_control AS a), 'none')),
                  HINT = 'Make it with outbound.create_attempt_control.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._attempt_control_by_name IS 'The attempt control of that name, or an error that lists the known ones';

CREATE FUNCTION outbound.create_attempt_control(name text, settings jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made integer;
BEGIN
    PERFORM outbound.check_display_name('attempt control', create_attempt_control.name);
    INSERT INTO outbound.attempt_control AS a (name, settings)
    VALUES (create_attempt_control.name, outbound.check_attempt_control('{}', create_attempt_control.settings::text))
    ON CONFLICT DO NOTHING
    RETURNING a.attempt_control_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'attempt control "%" exists already', create_attempt_control.name
            USING ERRCODE = 'duplicate_object', HINT = 'Change it with outbound.alter_attempt_control.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_attempt_control IS 'Makes an attempt control; what the settings do not name has its default: no limit, and 5 minutes between two attempts of a contact';

CREATE FUNCTION outbound.alter_attempt_control(name text, settings jsonb DEFAULT NULL, new_name text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.attempt_control := outbound._attempt_control_by_name(alter_attempt_control.name);
BEGIN
    -- A change is laid upon what is there: two at once must not undo each other.
    SELECT a.* INTO before FROM outbound.attempt_control AS a WHERE a.attempt_control_id = before.attempt_control_id FOR NO KEY UPDATE;
    IF alter_attempt_control.new_name IS NOT NULL THEN
        PERFORM outbound.check_display_name('attempt control', alter_attempt_control.new_name);
        IF EXISTS (SELECT 1 FROM outbound.attempt_control AS a
                   WHERE a.name = alter_attempt_control.new_name AND a.attempt_control_id <> before.attempt_control_id) THEN
            RAISE EXCEPTION 'attempt control "%" exists already', alter_attempt_control.new_name
                USING ERRCODE = 'duplicate_object', HINT = 'Choose another name.';
        END IF;
    END IF;
    UPDATE outbound.attempt_control AS a SET
        name = coalesce(alter_attempt_control.new_name, before.name),
        settings = CASE WHEN alter_attempt_control.settings IS NULL THEN before.settings
                        ELSE outbound.check_attempt_control(before.settings, alter_attempt_control.settings::text) END,
        modified_at = now()
    WHERE a.attempt_control_id = before.attempt_control_id;
END
$$;
COMMENT ON FUNCTION outbound.alter_attempt_control IS 'Changes the settings that are named, null takes one back to its default; no contact moves by it';

CREATE FUNCTION outbound.drop_attempt_control(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    control outbound.attempt_control := outbound._attempt_control_by_name(drop_attempt_control.name);
BEGIN
    PERFORM 1 FROM outbound.attempt_control AS a WHERE a.attempt_control_id = control.attempt_control_id FOR UPDATE;
    PERFORM outbound._refuse_while_used('attempt control', control.name,
        (SELECT array_agg(c.campaign_id) FROM outbound.campaign AS c WHERE c.attempt_control_id = control.attempt_control_id));
    DELETE FROM outbound.attempt_control AS a WHERE a.attempt_control_id = control.attempt_control_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_attempt_control IS 'Removes an attempt control; refused while a campaign that is not deleted keeps to it, and a notice names the deleted campaigns that lose it';

CREATE TABLE outbound.wrap_up_code (
    code text PRIMARY KEY CHECK (code ~ '\S' AND length(code) <= 255),
    contact_uncallable boolean NOT NULL DEFAULT true,
    number_uncallable boolean NOT NULL DEFAULT true,
    description text
);
COMMENT ON TABLE outbound.wrap_up_code IS 'What wrap-up codes mean for the contact (contact-lists §6.3); outbound.finish refuses a code that is not here, and without a code the attempt was successful';
COMMENT ON COLUMN outbound.wrap_up_code.code IS 'The code, as agents give it';
COMMENT ON COLUMN outbound.wrap_up_code.contact_uncallable IS 'Whether the contact is done with: it was processed successfully';
COMMENT ON COLUMN outbound.wrap_up_code.number_uncallable IS 'Whether the record is done with: if only that, the number is somebody else''s';
COMMENT ON COLUMN outbound.wrap_up_code.description IS 'Free text';

CREATE FUNCTION outbound.set_wrap_up_code(
    code text,
    contact_uncallable boolean DEFAULT true,
    number_uncallable boolean DEFAULT true,
    description text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM outbound.check_display_name('wrap-up code', set_wrap_up_code.code);
    INSERT INTO outbound.wrap_up_code AS w (code, contact_uncallable, number_uncallable, description)
    VALUES (set_wrap_up_code.code, coalesce(set_wrap_up_code.contact_uncallable, true), coalesce(set_wrap_up_code.number_uncallable, true),
            set_wrap_up_code.description)
    ON CONFLICT ON CONSTRAINT wrap_up_code_pkey DO UPDATE SET contact_uncallable = excluded.contact_uncallable, number_uncallable = excluded.number_uncallable,
        description = coalesce(excluded.description, w.description);
END
$$;
COMMENT ON FUNCTION outbound.set_wrap_up_code IS 'Says what a wrap-up code means, for conversations that are finished from now on';

CREATE FUNCTION outbound.drop_wrap_up_code(code text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM outbound.wrap_up_code AS w WHERE w.code = drop_wrap_up_code.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'wrap-up code "%" does not exist', drop_wrap_up_code.code
            USING ERRCODE = 'undefined_object', HINT = 'outbound.wrap_up_code lists the codes.';
    END IF;
END
$$;
COMMENT ON FUNCTION outbound.drop_wrap_up_code IS 'Removes a wrap-up code: outbound.finish refuses it from now on';
