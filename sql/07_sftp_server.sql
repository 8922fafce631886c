-- SFTP servers that jobs may use: a list kept by administrators (list-automation §2.1 F-3). Host keys
-- are pinned by fingerprint; no secret is stored here.

CREATE TABLE outbound.sftp_server (
    server_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    description text,
    host text NOT NULL,
    port integer NOT NULL DEFAULT 22 CHECK (port BETWEEN 1 AND 65535),
    directory text NOT NULL DEFAULT '',
    host_key_fingerprint text,
    host_key_policy text NOT NULL DEFAULT 'strict' CHECK (host_key_policy IN ('strict', 'accept_new')),
    host_key_first_seen_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.sftp_server IS 'SFTP servers that jobs may use';
COMMENT ON COLUMN outbound.sftp_server.server_id IS 'Number of the server';
COMMENT ON COLUMN outbound.sftp_server.name IS 'Name that jobs use, unique';
COMMENT ON COLUMN outbound.sftp_server.description IS 'Free text';
COMMENT ON COLUMN outbound.sftp_server.host IS 'Host name or address';
COMMENT ON COLUMN outbound.sftp_server.port IS 'TCP port';
COMMENT ON COLUMN outbound.sftp_server.directory IS 'Directory that a job''s directory starts from; empty: the login directory';
COMMENT ON COLUMN outbound.sftp_server.host_key_fingerprint IS 'Pinned host key, SHA256:… as ssh-keygen -lf prints it';
COMMENT ON COLUMN outbound.sftp_server.host_key_policy IS 'strict: nothing without a pinned key; accept_new: the first key seen is pinned (list-automation §2.1 F-5)';
COMMENT ON COLUMN outbound.sftp_server.host_key_first_seen_at IS 'When accept_new pinned the key';
COMMENT ON COLUMN outbound.sftp_server.created_at IS 'When the server was entered';
COMMENT ON COLUMN outbound.sftp_server.modified_at IS 'When it was last changed';

CREATE FUNCTION outbound._server_by_name(server_name text) RETURNS outbound.sftp_server
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match outbound.sftp_server;
BEGIN
    SELECT s.* INTO match FROM outbound.sftp_server AS s WHERE s.name = server_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'SFTP server "%" does not exist', server_name
            USING ERRCODE = 'undefined_object',
                  DETAIL = format('Known servers: %s.', coalesce((SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.name) FROM outbound.sftp_server AS s), 'none')),
                  HINT = 'Enter it with outbound.create_sftp_server.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound._server_by_name IS 'The server of that name, or an error that lists the known ones';

CREATE FUNCTION outbound.create_sftp_server(
    name text,
    address text,
    host_key_fingerprint text DEFAULT NULL,
    host_key_policy text DEFAULT 'strict',
    description text DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parts jsonb := outbound.parse_sftp_address(coalesce(create_sftp_server.address, ''));
    made integer;
BEGIN
    PERFORM outbound.check_display_name('SFTP server', create_sftp_server.name);
    INSERT INTO outbound.sftp_server AS s (name, description, host, port, directory, host_key_fingerprint, host_key_policy)
    VALUES (create_sftp_server.name, create_sftp_server.description, parts ->> 'host', (parts ->> 'port')::integer,
            coalesce(parts ->> 'directory', ''),
            outbound.check_host_key_fingerprint(create_sftp_server.host_key_fingerprint),
            outbound._check_host_key_policy(create_sftp_server.host_key_policy))
    ON CONFLICT DO NOTHING
    RETURNING s.server_id INTO made;
    IF made IS NULL THEN
        RAISE EXCEPTION 'SFTP server "%" exists already', create_sftp_server.name
            USING ERRCODE = 'duplicate_object', HINT = 'Change it with outbound.alter_sftp_server.';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION outbound.create_sftp_server IS 'Enters an SFTP server; the address is sftp://host[:port]/[directory] or sftp:host/[directory] (list-automation §2.1 F-2)';

CREATE FUNCTION outbound.alter_sftp_server(
    name text,
    address text DEFAULT NULL,
    host_key_fingerprint text DEFAULT NULL,
    host_key_policy text DEFAULT NULL,
    description text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before outbound.sftp_server := outbound._server_by_name(alter_sftp_server.name);
    parts jsonb := coalesce(outbound.parse_sftp_address(alter_sftp_server.address),
                            jsonb_build_object('host', before.host, 'port', before.port, 'directory', before.directory));
BEGIN
    UPDATE outbound.sftp_server AS s SET
        host = parts ->> 'host',
        port = (parts ->> 'port')::integer,
        directory = coalesce(parts ->> 'directory', ''),
        host_key_fingerprint = coalesce(outbound.check_host_key_fingerprint(nullif(alter_sftp_server.host_key_fingerprint, '')),
                                        CASE WHEN alter_sftp_server.host_key_fingerprint = '' THEN NULL ELSE before.host_key_fingerprint END),
        host_key_first_seen_at = CASE WHEN alter_sftp_server.host_key_fingerprint IS NULL THEN before.host_key_first_seen_at END,
        host_key_policy = coalesce(outbound._check_host_key_policy(alter_sftp_server.host_key_policy), before.host_key_policy),
        description = coalesce(alter_sftp_server.description, before.description),
        modified_at = now()
    WHERE s.server_id = before.server_id;
END
$$;
COMMENT ON FUNCTION outbound.alter_sftp_server IS 'Changes what is given; an empty fingerprint takes the pinned key away';

CREATE FUNCTION outbound.drop_sftp_server(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server outbound.sftp_server := outbound._server_by_name(drop_sftp_server.name);
    users text;
BEGIN
    SELECT string_agg(quote_ident(j.name), ', ' ORDER BY j.name) INTO users
    FROM outbound.job AS j WHERE j.rules #>> '{connection,server}' = server.name;
    IF users IS NOT NULL THEN
        RAISE EXCEPTION 'SFTP server "%" is in use', server.name
            USING ERRCODE = 'object_in_use', DETAIL = format('Jobs that use it: %s.', users),
                  HINT = 'Change or drop those jobs first.';
    END IF;
    DELETE FROM outbound.sftp_server AS s WHERE s.server_id = server.server_id;
END
$$;
COMMENT ON FUNCTION outbound.drop_sftp_server IS 'Removes an SFTP server that no job uses';

CREATE FUNCTION outbound._check_host_key_policy(policy text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF policy IS NOT NULL AND policy NOT IN ('strict', 'accept_new') THEN
        RAISE EXCEPTION 'host key policy "%" does not exist', policy
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use strict or accept_new.';
    END IF;
    RETURN policy;
END
$$;
COMMENT ON FUNCTION outbound._check_host_key_policy IS 'The policy, or an error that names the possible ones';
