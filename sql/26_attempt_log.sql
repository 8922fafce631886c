-- The attempt log and the journal of contacts. The log has one row an attempt, written when it ends and
-- never changed; the journal has what else befell a contact, and results that came too late. Both are
-- partitioned by month: outbound.keep_log_partitions() makes months ahead and drops those past retention.

CREATE SEQUENCE outbound.attempt_id_seq AS bigint CACHE 100;
COMMENT ON SEQUENCE outbound.attempt_id_seq IS 'Running part of the numbers of attempts; the rest is the number of the list';

CREATE TABLE outbound.attempt_log (
    attempt_id bigint NOT NULL,
    list_id integer NOT NULL,
    contact_id text COLLATE "C" NOT NULL,
    record_id bigint NOT NULL,
    unit text NOT NULL,
    inbox_id bigint,
    campaign_id bigint NOT NULL,
    dialer text NOT NULL,
    origin text NOT NULL CHECK (origin IN ('auto', 'agent_callback')),
    claimed_at timestamptz NOT NULL,
    started_at timestamptz,
    settled_at timestamptz NOT NULL,
    result_id bigint NOT NULL,
    counted boolean NOT NULL,
    dialog_id text
) PARTITION BY RANGE (settled_at);
COMMENT ON TABLE outbound.attempt_log IS 'One row an attempt, written when it ended';
COMMENT ON COLUMN outbound.attempt_log.attempt_id IS 'Number of the attempt';
COMMENT ON COLUMN outbound.attempt_log.list_id IS 'The contact list';
COMMENT ON COLUMN outbound.attempt_log.contact_id IS 'The contact';
COMMENT ON COLUMN outbound.attempt_log.record_id IS 'The record';
COMMENT ON COLUMN outbound.attempt_log.unit IS 'The unit that was used, as it was then';
COMMENT ON COLUMN outbound.attempt_log.inbox_id IS 'The inbox it was used from';
COMMENT ON COLUMN outbound.attempt_log.campaign_id IS 'The campaign';
COMMENT ON COLUMN outbound.attempt_log.dialer IS 'Who claimed it';
COMMENT ON COLUMN outbound.attempt_log.origin IS 'auto, or agent_callback for a callback that an agent had planned';
COMMENT ON COLUMN outbound.attempt_log.claimed_at IS 'When it was claimed';
COMMENT ON COLUMN outbound.attempt_log.started_at IS 'When it was started; null: it never was';
COMMENT ON COLUMN outbound.attempt_log.settled_at IS 'When it ended';
COMMENT ON COLUMN outbound.attempt_log.result_id IS 'Its result (outbound.attempt_result)';
COMMENT ON COLUMN outbound.attempt_log.counted IS 'Whether it counted as an attempt';
COMMENT ON COLUMN outbound.attempt_log.dialog_id IS 'The conversation it made';

-- Indexes are each partition's own: pg_dump cannot restore those that come with an index of a table which
-- the extension owns.
CREATE TABLE outbound.attempt_log_default PARTITION OF outbound.attempt_log DEFAULT;
COMMENT ON TABLE outbound.attempt_log_default IS 'Attempts of months that have no partition yet';
CREATE INDEX attempt_log_default_attempt ON outbound.attempt_log_default (attempt_id);
COMMENT ON INDEX outbound.attempt_log_default_attempt IS 'Did this attempt end before?';
CREATE INDEX attempt_log_default_contact ON outbound.attempt_log_default (list_id, contact_id);
COMMENT ON INDEX outbound.attempt_log_default_contact IS 'The story of a contact';

CREATE TABLE outbound.contact_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    list_id integer NOT NULL,
    contact_id text COLLATE "C" NOT NULL,
    record_id bigint,
    attempt_id bigint,
    campaign_id bigint,
    kind text NOT NULL CHECK (kind IN ('finished', 'waiting_over', 'callback_scheduled', 'callback_moved', 'callback_cancelled',
        'excluded', 'reset', 'reevaluated', 'suppressed', 'purged', 'corrected')),
    actor text NOT NULL DEFAULT session_user,
    details jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (at);
COMMENT ON TABLE outbound.contact_event IS 'What befell contacts besides attempts';
COMMENT ON COLUMN outbound.contact_event.event_id IS 'Running number';
COMMENT ON COLUMN outbound.contact_event.at IS 'When it happened';
COMMENT ON COLUMN outbound.contact_event.list_id IS 'The contact list';
COMMENT ON COLUMN outbound.contact_event.contact_id IS 'The contact';
COMMENT ON COLUMN outbound.contact_event.record_id IS 'The record, where it is one';
COMMENT ON COLUMN outbound.contact_event.attempt_id IS 'The attempt it belongs to';
COMMENT ON COLUMN outbound.contact_event.campaign_id IS 'The campaign it belongs to';
COMMENT ON COLUMN outbound.contact_event.kind IS 'What happened, a stable name';
COMMENT ON COLUMN outbound.contact_event.actor IS 'The role that did it';
COMMENT ON COLUMN outbound.contact_event.details IS 'Facts';
CREATE TABLE outbound.contact_event_default PARTITION OF outbound.contact_event DEFAULT;
COMMENT ON TABLE outbound.contact_event_default IS 'Events of months that have no partition yet';
CREATE INDEX contact_event_default_contact ON outbound.contact_event_default (list_id, contact_id);
COMMENT ON INDEX outbound.contact_event_default_contact IS 'The story of a contact';

DO $$
DECLARE
    said record;
BEGIN
    -- A partition made by CREATE TABLE … PARTITION OF has no comments on its columns.
    FOR said IN
        SELECT format('COMMENT ON COLUMN outbound.%I.%I IS %L', c.relname || '_default', a.attname, col_description(c.oid, a.attnum)) AS statement
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.oid IN ('outbound.attempt_log'::regclass, 'outbound.contact_event'::regclass) AND a.attnum > 0
    LOOP
        EXECUTE said.statement;
    END LOOP;
END
$$;

CREATE FUNCTION outbound._make_log_partition(p_table text, p_column text, p_month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    partition text := format('%s_%s', p_table, to_char(p_month, 'YYYY_MM'));
    first timestamptz := p_month::timestamp AT TIME ZONE 'UTC';
    last timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(format('outbound.%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Rows of the month may wait in the default partition, where no partition of their own may overlap them.
    EXECUTE format('CREATE TABLE outbound.%I (LIKE outbound.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)', partition, p_table);
    EXECUTE format('COMMENT ON TABLE outbound.%I IS %L', partition, format('Rows of %s of %s', to_char(p_month, 'YYYY-MM'), p_table));
    EXECUTE format('CREATE INDEX %I ON outbound.%I (list_id, contact_id)', partition || '_contact', partition);
    EXECUTE format('COMMENT ON INDEX outbound.%I IS %L', partition || '_contact', 'The story of a contact');
    IF p_table = 'attempt_log' THEN
        EXECUTE format('CREATE INDEX %I ON outbound.%I (attempt_id)', partition || '_attempt', partition);
        EXECUTE format('COMMENT ON INDEX outbound.%I IS %L', partition || '_attempt', 'Did this attempt end before?');
    END IF;
    EXECUTE format('LOCK TABLE outbound.%I IN ACCESS EXCLUSIVE MODE', p_table);
    EXECUTE format('WITH moved AS (DELETE FROM outbound.%1$I AS d WHERE d.%2$I >= %3$L AND d.%2$I < %4$L RETURNING d.*)
                    INSERT INTO outbound.%5$I OVERRIDING SYSTEM VALUE SELECT m.* FROM moved AS m',
                   p_table || '_default', p_column, first, last, partition);
    EXECUTE format('ALTER TABLE outbound.%I ATTACH PARTITION outbound.%I FOR VALUES FROM (%L) TO (%L)', p_table, partition, first, last);
    EXECUTE format('GRANT SELECT ON outbound.%I TO outbound_reader', partition);
    RETURN true;
END
$$;
COMMENT ON FUNCTION outbound._make_log_partition IS 'Makes the partition of a month, if it is missing; true if it was';

CREATE FUNCTION outbound.keep_log_partitions(at timestamptz DEFAULT now()) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s'
AS $$
DECLARE
    month date := date_trunc('month', keep_log_partitions.at AT TIME ZONE 'UTC')::date;
    oldest timestamptz := keep_log_partitions.at - (outbound.account_settings()).attempt_retention;
    log record;
    past record;
    done integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock('outbound.attempt_log'::regclass::bigint);
    FOR log IN SELECT * FROM (VALUES ('attempt_log', 'settled_at'), ('contact_event', 'at')) AS v (name, moment) LOOP
        done := done + outbound._make_log_partition(log.name, log.moment, month)::integer
                     + outbound._make_log_partition(log.name, log.moment, (month + interval '1 month')::date)::integer;
        FOR past IN
            SELECT c.relname FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('outbound.%I', log.name)::regclass AND c.relname ~ '_\d{4}_\d\d$'
              AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= oldest
        LOOP
            EXECUTE format('DROP TABLE outbound.%I', past.relname);
            done := done + 1;
        END LOOP;
        EXECUTE format('DELETE FROM outbound.%I AS d WHERE d.%I < %L', log.name || '_default', log.moment, oldest);
    END LOOP;
    RETURN done;
END
$$;
COMMENT ON FUNCTION outbound.keep_log_partitions IS 'Makes the partitions of this month and the next, drops those wholly past the retention of attempts; returns how many were made or dropped';

CREATE FUNCTION outbound.contact_history(list text, contact_id text)
RETURNS TABLE (at timestamptz, what text, record_id bigint, unit text, campaign text, dialer text, details jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_list outbound.list := outbound._list_by_name(contact_history.list);
BEGIN
    RETURN QUERY
    SELECT h.at, h.what, h.record_id, h.unit, c.name, h.dialer, h.details FROM (
        SELECT l.settled_at AS at, r.name AS what, l.record_id, l.unit, l.campaign_id, l.dialer, l.attempt_id, 0 AS rank,
               jsonb_strip_nulls(jsonb_build_object('attempt_id', l.attempt_id, 'origin', l.origin, 'claimed_at', l.claimed_at,
                   'started_at', l.started_at, 'counted', l.counted, 'dialog_id', l.dialog_id)) AS details
        FROM outbound.attempt_log AS l JOIN outbound.attempt_result AS r USING (result_id)
        WHERE l.list_id = of_list.list_id AND l.contact_id = contact_history.contact_id
        UNION ALL
        SELECT e.at, e.kind, e.record_id, NULL, e.campaign_id, NULL, e.attempt_id, 1,
               e.details || jsonb_strip_nulls(jsonb_build_object('attempt_id', e.attempt_id, 'by', e.actor))
        FROM outbound.contact_event AS e
        WHERE e.list_id = of_list.list_id AND e.contact_id = contact_history.contact_id) AS h
    LEFT JOIN outbound.campaign AS c USING (campaign_id)
    ORDER BY h.at, h.attempt_id, h.rank;
END
$$;
COMMENT ON FUNCTION outbound.contact_history IS 'A contact''s story in order: every attempt that ended, and what else befell it';
