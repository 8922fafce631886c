-- Campaigns and where they stand (contact-lists §12). Without a filter a campaign's counters are those of its
-- lists for its conversation type; with one, its contacts are counted when they are asked for.

CREATE FUNCTION outbound._campaign_counts(p_campaign_id bigint)
RETURNS TABLE (callable bigint, planning bigint, open bigint, attempted bigint, flagged bigint, closed bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    document jsonb := outbound._campaign_document(p_campaign_id);
    counted bigint[] := '{0,0,0,0,0,0}';
    part bigint[];
    entry record;
BEGIN
    FOR entry IN
        SELECT l.list_id, l.table_name, e.item ->> 'filter' AS filter
        FROM jsonb_array_elements(document -> 'lists') AS e (item) JOIN outbound.list AS l ON l.list_id = (e.item ->> 'list_id')::integer
    LOOP
        IF entry.filter IS NULL THEN
            SELECT ARRAY[sum(c.callable), sum(c.planning), sum(c.open), sum(c.attempted), sum(c.flagged), sum(c.closed)]::bigint[] INTO part
            FROM outbound.contact_count AS c WHERE c.list_id = entry.list_id AND c.dimension = document ->> 'conversation_type';
        ELSE
            EXECUTE format('SELECT ARRAY[q.c, q.i, q.q, q.a, q.f, q.u] FROM (%s) AS q (list_id, dimension, c, i, q, a, f, u) WHERE q.dimension = $1',
                outbound._counting(format('(SELECT k.* FROM outbound_list.%I AS k WHERE %s)', entry.table_name,
                                          replace(entry.filter, '$now', 'now()')), entry.list_id))
            INTO part USING document ->> 'conversation_type';
        END IF;
        counted := ARRAY(SELECT coalesce(u.a, 0) + coalesce(u.b, 0) FROM unnest(counted, part) AS u (a, b));
    END LOOP;
    RETURN QUERY SELECT counted[1], counted[2], counted[3], counted[4], counted[5], counted[6];
END
$$;
COMMENT ON FUNCTION outbound._campaign_counts IS 'The six counters of a campaign; their sum is its total (contact-lists §12)';

CREATE VIEW outbound.campaign_status AS
SELECT c.name, c.state, c.off_reason, c.conversation_type,
       ARRAY(SELECT l.name FROM outbound.campaign_list AS m JOIN outbound.list AS l USING (list_id)
             WHERE m.campaign_id = c.campaign_id ORDER BY m.position) AS lists,
       n.callable + n.planning + n.open + n.attempted + n.flagged + n.closed AS total,
       n.callable, n.planning, n.open, n.attempted, n.flagged, n.closed,
       round(1 - (n.callable + n.planning + n.open)::numeric
             / nullif(n.callable + n.planning + n.open + n.attempted + n.flagged + n.closed, 0), 4) AS progress,
       c.started_at, c.stopped_at
FROM outbound.campaign AS c CROSS JOIN LATERAL outbound._campaign_counts(c.campaign_id) AS n;
COMMENT ON VIEW outbound.campaign_status IS 'Campaigns with their counters, exact: contacts that have a unit of the campaign''s type and pass its filter';
COMMENT ON COLUMN outbound.campaign_status.name IS 'Name of the campaign';
COMMENT ON COLUMN outbound.campaign_status.state IS 'off, active or deleted';
COMMENT ON COLUMN outbound.campaign_status.off_reason IS 'Why it is off: new, manual, auto (all contacts processed) or error';
COMMENT ON COLUMN outbound.campaign_status.conversation_type IS 'call, email or social_media';
COMMENT ON COLUMN outbound.campaign_status.lists IS 'Its contact lists';
COMMENT ON COLUMN outbound.campaign_status.total IS 'Contacts for which interactions within the campaign are possible';
COMMENT ON COLUMN outbound.campaign_status.callable IS 'Contacts suitable for outbound activity (C)';
COMMENT ON COLUMN outbound.campaign_status.planning IS 'Contacts chosen by a dialer (I)';
COMMENT ON COLUMN outbound.campaign_status.open IS 'Contacts reached and not finished (Q)';
COMMENT ON COLUMN outbound.campaign_status.attempted IS 'Contacts whose maximum of attempts is reached (A)';
COMMENT ON COLUMN outbound.campaign_status.flagged IS 'Contacts without a suitable unit (F)';
COMMENT ON COLUMN outbound.campaign_status.closed IS 'Contacts that succeeded and are finished (U)';
COMMENT ON COLUMN outbound.campaign_status.progress IS 'Share of the contacts that are done with, 0 to 1; null without contacts';
COMMENT ON COLUMN outbound.campaign_status.started_at IS 'When it was last switched on';
COMMENT ON COLUMN outbound.campaign_status.stopped_at IS 'When it was last switched off';

CREATE FUNCTION outbound.due_now(campaign text, at timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    document jsonb := outbound._campaign_document((outbound._campaign_by_name(due_now.campaign)).campaign_id);
    due bigint := 0;
    part bigint;
    entry record;
BEGIN
    PERFORM outbound._check_moment(due_now.at);
    FOR entry IN
        SELECT l.table_name, coalesce(e.item ->> 'filter', 'true') AS filter
        FROM jsonb_array_elements(document -> 'lists') AS e (item) JOIN outbound.list AS l ON l.list_id = (e.item ->> 'list_id')::integer
    LOOP
        -- The conditions are those of the indexes of claims: of a campaign that was ever on, they alone are read.
        EXECUTE format($sql$
            SELECT (SELECT count(*) FROM ONLY outbound_list.%1$I AS k
                    WHERE k.sys_status = 'C' AND k.sys_status_%2$s = 'C' AND k.sys_due_%2$s IS NULL AND (%3$s))
                 + (SELECT count(*) FROM ONLY outbound_list.%1$I AS k
                    WHERE k.sys_status = 'C' AND k.sys_status_%2$s = 'C' AND k.sys_due_%2$s <= $1 AND (%3$s))
                 + (SELECT count(*) FROM ONLY outbound_list.%1$I AS k
                    WHERE k.sys_status = 'C' AND k.sys_status_%2$s = 'C' AND k.sys_callback_%2$s <= $1 AND k.sys_due_%2$s > $1 AND (%3$s))
            $sql$, entry.table_name, document ->> 'conversation_type', replace(entry.filter, '$now', '$1'))
        INTO part USING due_now.at;
        due := due + part;
    END LOOP;
    RETURN due;
END
$$;
COMMENT ON FUNCTION outbound.due_now IS 'Callable contacts of a campaign that have a record due at a moment, whatever its limits, its calendar and do-not-contact lists say (contact-lists §12). It counts them: what it takes grows with what is due';
