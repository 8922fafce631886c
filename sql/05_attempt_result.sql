-- Catalogue of dialer attempt results (contact-lists §6.1). The numbers below 1000 are ours and
-- fixed: records keep them in sys_last_attempt_dialer_attempt_result_id. A site's own results start at 1000.

CREATE TABLE outbound.attempt_result (
    result_id bigint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    category text NOT NULL CHECK (category IN ('busy', 'noanswer', 'machine', 'abandoned', 'failed', 'success',
        'wrong_party', 'invalid', 'not_found', 'dnc', 'not_performed', 'unknown', 'manual', 'removed')),
    counts_as_attempt boolean NOT NULL,
    retryable boolean NOT NULL,
    description text NOT NULL
);
COMMENT ON TABLE outbound.attempt_result IS 'Results an attempt can have, and results the system itself gives (contact-lists §6.1)';
COMMENT ON COLUMN outbound.attempt_result.result_id IS 'Number, fixed; below 1000 belongs to the extension';
COMMENT ON COLUMN outbound.attempt_result.name IS 'Name a dialer reports, unique';
COMMENT ON COLUMN outbound.attempt_result.category IS 'Dialer attempt category: decides what becomes of the record';
COMMENT ON COLUMN outbound.attempt_result.counts_as_attempt IS 'Whether sys_attempts grows by it';
COMMENT ON COLUMN outbound.attempt_result.retryable IS 'Whether another attempt may follow';
COMMENT ON COLUMN outbound.attempt_result.description IS 'Meaning in words';

INSERT INTO outbound.attempt_result (result_id, name, category, counts_as_attempt, retryable, description) VALUES
    (1, 'busy', 'busy', true, true, 'line busy, or the conversation is in somebody''s hands'),
    (2, 'noanswer', 'noanswer', true, true, 'not answered'),
    (3, 'machine', 'machine', true, true, 'answering machine or auto-reply'),
    (4, 'abandoned', 'abandoned', true, true, 'answered, then dropped before an agent spoke'),
    (5, 'failed', 'failed', true, true, 'technical failure, or could not be sent'),
    (6, 'success', 'success', true, false, 'reached and handed over'),
    (7, 'wrong_party', 'wrong_party', true, false, 'reached somebody else'),
    (8, 'invalid', 'invalid', true, false, 'the number or address cannot exist'),
    (9, 'not_found', 'not_found', false, false, 'the conversation is missing'),
    (10, 'dnc', 'dnc', false, false, 'on a do-not-contact list'),
    (11, 'not_performed', 'not_performed', false, true, 'not carried out: no free line, window closed, campaign stopped'),
    (12, 'unknown', 'unknown', true, true, 'started, outcome lost'),
    (13, 'manual', 'manual', false, false, 'excluded by an operator'),
    (14, 'removed', 'removed', false, false, 'no longer among the units of the contact after an update');

CREATE SEQUENCE outbound.attempt_result_result_id_seq START 1000 MINVALUE 1000 OWNED BY outbound.attempt_result.result_id;
COMMENT ON SEQUENCE outbound.attempt_result_result_id_seq IS 'Numbers of a site''s own results; none is given twice, because records keep them';

CREATE FUNCTION outbound._attempt_result_by_name(result_name text) RETURNS outbound.attempt_result
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.attempt_result;
BEGIN
    SELECT r.* INTO match FROM outbound.attempt_result AS r WHERE r.name = result_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt result "%" does not exist', result_name
            USING ERRCODE = 'undefined_object', HINT = 'outbound.attempt_result lists the results.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._attempt_result_by_name IS 'The attempt result of that name, or an error';

CREATE FUNCTION outbound.create_attempt_result(name text, category text, description text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- What a category means is what it means for the one result of ours that has it.
    model outbound.attempt_result;
    made bigint;
BEGIN
    PERFORM outbound.check_display_name('attempt result', create_attempt_result.name);
    SELECT r.* INTO model FROM outbound.attempt_result AS r
    WHERE r.category = create_attempt_result.category AND r.result_id < 1000 AND r.category NOT IN ('dnc', 'manual', 'removed');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt category "%" cannot be given to a result', create_attempt_result.category
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The categories dnc, manual and removed are for what the system does by itself.',
                  HINT = 'Use one of ' || (SELECT string_agg(r.category, ', ' ORDER BY r.result_id) FROM outbound.attempt_result AS r
                                           WHERE r.result_id < 1000 AND r.category NOT IN ('dnc', 'manual', 'removed')) || '.';
    END IF;
    INSERT INTO outbound.attempt_result AS r (result_id, name, category, counts_as_attempt, retryable, description)
    VALUES (nextval('outbound.attempt_result_result_id_seq'), create_attempt_result.name, model.category, model.counts_as_attempt,
            model.retryable, coalesce(create_attempt_result.description, model.description))
    ON CONFLICT DO NOTHING
    RETURNING r.result_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'attempt result "%" exists already', create_attempt_result.name
            USING ERRCODE = 'duplicate_object', HINT = 'Choose another name; outbound.attempt_result lists the results.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_attempt_result IS 'Makes a result of the site''s own, for dialers to report, and returns its number; its category decides what becomes of the record';

CREATE FUNCTION outbound.drop_attempt_result(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result outbound.attempt_result := outbound._attempt_result_by_name(drop_attempt_result.name);
BEGIN
    IF result.result_id < 1000 THEN
        RAISE EXCEPTION 'attempt result "%" belongs to the extension', result.name
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only results made with outbound.create_attempt_result can be dropped.';
    END IF;
    -- Records and attempts keep the number, and codes follow from its category: the row stays, its name is free again.
    UPDATE outbound.attempt_result AS r SET name = format('%s (dropped %s)', result.name, result.result_id)
    WHERE r.result_id = result.result_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_attempt_result IS 'Takes a result of the site''s own away from dialers: it gets another name, because records that have it keep what it means';
