-- Settings of the account. One database is one account; the table holds at most one row, and an
-- account that was never set up has the defaults below. The row is made on first use, not by the
-- install script: a row made here would collide with the dumped one when a database is restored.

CREATE TABLE outbound.account (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL DEFAULT 'account' CHECK (name ~ '\S' AND length(name) <= 255),
    default_country text NOT NULL DEFAULT 'US' CHECK (default_country ~ '^[A-Z]{2}$'),
    character_set text NOT NULL DEFAULT 'iso-8859-1'
        CHECK (character_set IN ('utf-8', 'iso-8859-1', 'windows-1252')),
    time_zone text NOT NULL DEFAULT 'UTC',
    history_retention interval NOT NULL DEFAULT '90 days' CHECK (history_retention > interval '0'),
    max_run_tries integer NOT NULL DEFAULT 5 CHECK (max_run_tries BETWEEN 1 AND 100)
);
COMMENT ON TABLE outbound.account IS 'Settings of the account (this database); at most one row';
COMMENT ON COLUMN outbound.account.only_row IS 'Always true: holds the table to one row';
COMMENT ON COLUMN outbound.account.name IS 'Name in readable form, used in names that the system makes';
COMMENT ON COLUMN outbound.account.default_country IS 'ISO 3166 code: the country of a phone number without country code (list-automation §4.7 T-2)';
COMMENT ON COLUMN outbound.account.character_set IS 'Character set of files: utf-8, iso-8859-1 or windows-1252 (list-automation §4.3 H-1)';
COMMENT ON COLUMN outbound.account.time_zone IS 'IANA zone of times without a zone, and of time stamps in names';
COMMENT ON COLUMN outbound.account.history_retention IS 'How long finished runs, their files and their rejected rows are kept';
COMMENT ON COLUMN outbound.account.max_run_tries IS 'After how many lost workers a run is given up';

CREATE FUNCTION outbound.account_settings() RETURNS outbound.account
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settings outbound.account;
BEGIN
    SELECT a.* INTO settings FROM outbound.account AS a;
    IF NOT FOUND THEN
        INSERT INTO outbound.account DEFAULT VALUES ON CONFLICT DO NOTHING;
        SELECT a.* INTO settings FROM outbound.account AS a;
    END IF;
    RETURN settings;
END
$$;
COMMENT ON FUNCTION outbound.account_settings IS 'The settings of the account; makes the row with its defaults on first use';

CREATE FUNCTION outbound.set_account(
    name text DEFAULT NULL,
    default_country text DEFAULT NULL,
    character_set text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    history_retention interval DEFAULT NULL,
    max_run_tries integer DEFAULT NULL
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
    ELSIF set_account.max_run_tries NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION '% tries of a run are not possible', set_account.max_run_tries
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 to 100.';
    END IF;
    UPDATE outbound.account AS a SET
        name = coalesce(checked ->> 'name', before.name),
        default_country = coalesce(checked ->> 'default_country', before.default_country),
        character_set = coalesce(checked ->> 'character_set', before.character_set),
        time_zone = coalesce(checked ->> 'time_zone', before.time_zone),
        history_retention = coalesce(set_account.history_retention, before.history_retention),
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
