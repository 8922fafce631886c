-- Roles and schemas. Roles belong to the whole server, so they are made only where they are missing
-- and are never dropped by the extension. Nothing is granted to PUBLIC.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['outbound_admin', 'outbound_operator', 'outbound_dialer', 'outbound_worker', 'outbound_reader']
    LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) role_name) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;
END
$$;

-- Everything that is later made in the schema by this script starts without the rights that
-- Postgres gives to PUBLIC by default.
REVOKE ALL ON SCHEMA outbound FROM PUBLIC;
COMMENT ON SCHEMA outbound IS 'pg_outbound: settings, functions and views';

CREATE SCHEMA outbound_list;
REVOKE ALL ON SCHEMA outbound_list FROM PUBLIC;
COMMENT ON SCHEMA outbound_list IS 'pg_outbound: the users'' contact lists, two ordinary tables a list';
