-- Public halves of the worker's keys, so that people can hand them to partners from SQL. The private
-- halves never leave the worker's secret folder.

CREATE TABLE outbound.worker_public_key (
    kind text PRIMARY KEY CHECK (kind IN ('ssh', 'pgp')),
    public_key text NOT NULL,
    fingerprint text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbound.worker_public_key IS 'Public halves of the worker''s SSH key and OpenPGP certificate';
COMMENT ON COLUMN outbound.worker_public_key.kind IS 'ssh or pgp: two separate keys (list-automation §2.2 F-10)';
COMMENT ON COLUMN outbound.worker_public_key.public_key IS 'The key in the form partners expect: an authorized_keys line, or an armoured certificate';
COMMENT ON COLUMN outbound.worker_public_key.fingerprint IS 'Its fingerprint';
COMMENT ON COLUMN outbound.worker_public_key.registered_at IS 'When the worker registered it';

CREATE FUNCTION outbound.register_public_key(p_kind text, p_public_key text, p_fingerprint text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO outbound.worker_public_key AS k (kind, public_key, fingerprint) VALUES (p_kind, p_public_key, p_fingerprint)
    ON CONFLICT (kind) DO UPDATE SET public_key = excluded.public_key, fingerprint = excluded.fingerprint, registered_at = now()
    WHERE k.public_key IS DISTINCT FROM excluded.public_key
$$;
COMMENT ON FUNCTION outbound.register_public_key IS 'Called by the worker: makes the public half of a key known';

CREATE FUNCTION outbound.public_key(kind text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    match text;
BEGIN
    IF public_key.kind NOT IN ('ssh', 'pgp') THEN
        RAISE EXCEPTION 'there is no public key of kind "%"', public_key.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use ssh (for SFTP servers) or pgp (for encrypted files).';
    END IF;
    SELECT k.public_key INTO match FROM outbound.worker_public_key AS k WHERE k.kind = public_key.kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the worker has not registered its % key yet', public_key.kind
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run "outbound keys init" where the worker runs.';
    END IF;
    RETURN match;
END
$$;
COMMENT ON FUNCTION outbound.public_key IS 'The worker''s public key: ssh for the partner''s SFTP server, pgp for the partner''s encryption';
