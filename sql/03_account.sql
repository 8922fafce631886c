-- Settings of the account. One database is one account; the table holds at most one row, and an
-- account that was never set up has the defaults of _account_defaults(). The row is made by set_account,
-- not by the install script: a row made here would collide with the dumped one when a database is restored.

CREATE TABLE outbound.account (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL CHECK (name ~ '\S' AND length(name) <= 255),
    default_country text NOT NULL CHECK (default_country ~ '^[A-Z]{2}$'),
    character_set text NOT NULL
        CHECK (character_set IN ('utf-8', 'iso-8859-1', 'windows-1252')),
    time_zone text NOT NULL,
    history_retention interval NOT NULL CHECK (history_retention > interval '0'),
    attempt_retention interval NOT NULL CHECK (attempt_retention >= interval '1 month'),
    max_run_tries integer NOT NULL CHECK (max_run_tries BETWEEN 1 AND 100)
);
COMMENT ON TABLE outbound.account IS 'Settings of the account (this database); at most one row';
COMMENT ON COLUMN outbound.account.only_row IS 'Always true: holds the table to one row';
COMMENT ON COLUMN outbound.account.name IS 'Name in readable form, used in names that the system makes';
COMMENT ON COLUMN outbound.account.default_country IS 'ISO 3166 code: the country of a phone number without country code (list-automation §4.7 T-2)';
COMMENT ON COLUMN outbound.account.character_set IS 'Character set of files: utf-8, iso-8859-1 or windows-1252 (list-automation §4.3 H-1)';
COMMENT ON COLUMN outbound.account.time_zone IS 'IANA zone of times without a zone, and of time stamps in names';
COMMENT ON COLUMN outbound.account.history_retention IS 'How long finished runs, their files and their rejected rows are kept';
COMMENT ON COLUMN outbound.account.attempt_retention IS 'How long attempts and the journal of contacts are kept; whole months are dropped';
COMMENT ON COLUMN outbound.account.max_run_tries IS 'After how many lost workers a run is given up';

CREATE FUNCTION outbound._account_defaults() RETURNS outbound.account
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d FROM jsonb_populate_record(NULL::outbound.account, jsonb_build_object(
        'only_row', true, 'name', 'account', 'default_country', 'US', 'character_set', 'iso-8859-1', 'time_zone', 'UTC',
        'history_retention', '90 days', 'attempt_retention', '2 years', 'max_run_tries', 5)) AS d
$$;
COMMENT ON FUNCTION outbound._account_defaults IS 'The settings of an account that was never set up';

CREATE FUNCTION outbound.account_settings() RETURNS outbound.account
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settings outbound.account;
BEGIN
    SELECT a.* INTO settings FROM outbound.account AS a;
    RETURN CASE WHEN FOUND THEN settings ELSE outbound._account_defaults() END;
END
$$;
COMMENT ON FUNCTION outbound.account_settings IS 'The settings of the account, or the defaults; writes nothing, so that it answers on a standby too';

CREATE FUNCTION outbound.set_account(
    name text DEFAULT NULL,
    default_country text DEFAULT NULL,
    character_set text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    history_retention interval DEFAULT NULL,
    max_run_tries integer DEFAULT NULL,
    attempt_retention interval DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.account := outbound.account_settings();
    checked jsonb := outbound.check_account(jsonb_build_object('name', set_account.name, 'default_country', set_account.default_country,
        'character_set', set_account.character_set, 'time_zone', set_account.time_zone));
BEGIN
    IF set_account.history_retention <= interval '0' THEN
        RAISE EXCEPTION 'a retention of % keeps nothing', set_account.history_retention
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a length of time such as 90 days.';
    ELSIF set_account.attempt_retention < interval '1 month' THEN
        RAISE EXCEPTION 'a retention of attempts of % is too short', set_account.attempt_retention
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a month or more.';
    ELSIF set_account.max_run_tries NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION '% tries of a run are not possible', set_account.max_run_tries
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 to 100.';
    END IF;
    INSERT INTO outbound.account SELECT before.* ON CONFLICT DO NOTHING;
    UPDATE outbound.account AS a SET
        name = coalesce(checked ->> 'name', before.name),
        default_country = coalesce(checked ->> 'default_country', before.default_country),
        character_set = coalesce(checked ->> 'character_set', before.character_set),
        time_zone = coalesce(checked ->> 'time_zone', before.time_zone),
        history_retention = coalesce(set_account.history_retention, before.history_retention),
        attempt_retention = coalesce(set_account.attempt_retention, before.attempt_retention),
        max_run_tries = coalesce(set_account.max_run_tries, before.max_run_tries);
END
$$;
COMMENT ON FUNCTION outbound.set_account IS 'Changes the settings that are given; the others stay';

CREATE FUNCTION outbound._account_document() RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('name', s.name, 'default_country', s.default_country,
                              'character_set', s.character_set, 'time_zone', s.time_zone)
    FROM outbound.account_settings() AS s
$$;
COMMENT ON FUNCTION outbound._account_document IS 'The settings that the import rules need, as the document they read';
