-- Counters of contact lists (contact-lists §12), kept as changes: whoever moves contacts from one code to
-- another adds a row, and a reader adds the rows up. Exact at every commit, and nobody waits for anybody.

CREATE TABLE outbound.contact_count (
    list_id integer NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('contact', 'call', 'email', 'social_media')),
    callable bigint NOT NULL,
    planning bigint NOT NULL,
    open bigint NOT NULL,
    attempted bigint NOT NULL,
    flagged bigint NOT NULL,
    closed bigint NOT NULL
);
COMMENT ON TABLE outbound.contact_count IS 'Changes of the counters of contact lists; their sums are the counters';
COMMENT ON COLUMN outbound.contact_count.list_id IS 'The contact list';
COMMENT ON COLUMN outbound.contact_count.dimension IS 'contact: whole contacts by their code; call, email, social_media: contacts with a unit of that type, as its campaigns count them';
COMMENT ON COLUMN outbound.contact_count.callable IS 'Contacts that became callable, less those that no longer are';
COMMENT ON COLUMN outbound.contact_count.planning IS 'The same for those in progress (I)';
COMMENT ON COLUMN outbound.contact_count.open IS 'The same for those reached and not finished (Q)';
COMMENT ON COLUMN outbound.contact_count.attempted IS 'The same for those whose attempts are used up (A)';
COMMENT ON COLUMN outbound.contact_count.flagged IS 'The same for those without a record that can be used (F)';
COMMENT ON COLUMN outbound.contact_count.closed IS 'The same for those that are closed (U)';
CREATE INDEX contact_count_list ON outbound.contact_count (list_id, dimension);
COMMENT ON INDEX outbound.contact_count_list IS 'The changes of one list';

CREATE FUNCTION outbound._counting(p_rows text, p_list_id integer, p_where text DEFAULT 'true') RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- One place for the rule by which a campaign counts a contact (§12, eff): closed contacts are closed for
    -- every type; otherwise the type's code decides, and an exhausted contact is attempted, not callable.
    SELECT format($sql$
        SELECT %2$s, v.dimension,
               coalesce(sum(k.n) FILTER (WHERE v.code = 'C'), 0)::bigint, coalesce(sum(k.n) FILTER (WHERE v.code = 'I'), 0)::bigint,
               coalesce(sum(k.n) FILTER (WHERE v.code = 'Q'), 0)::bigint, coalesce(sum(k.n) FILTER (WHERE v.code = 'A'), 0)::bigint,
               coalesce(sum(k.n) FILTER (WHERE v.code = 'F'), 0)::bigint, coalesce(sum(k.n) FILTER (WHERE v.code = 'U'), 0)::bigint
        FROM (SELECT t.sys_status AS s, t.sys_unit_types AS u, t.sys_status_call AS c, t.sys_status_email AS e,
                     t.sys_status_social_media AS m, count(*) AS n
              FROM %1$s AS t WHERE %3$s GROUP BY 1, 2, 3, 4, 5) AS k
        CROSS JOIN LATERAL (VALUES ('contact', true, k.s, k.s), ('call', (k.u & 1) <> 0, k.s, k.c),
            ('email', (k.u & 2) <> 0, k.s, k.e), ('social_media', (k.u & 4) <> 0, k.s, k.m)) AS d (dimension, counts, whole, of_type)
        CROSS JOIN LATERAL (SELECT d.dimension, CASE WHEN d.whole = 'U' THEN 'U' WHEN d.of_type <> 'C' THEN d.of_type
                                   WHEN d.whole = 'A' THEN 'A' ELSE 'C' END AS code) AS v
        WHERE d.counts
        GROUP BY v.dimension $sql$, p_rows, p_list_id, p_where)
$$;
COMMENT ON FUNCTION outbound._counting IS 'Query that counts the contacts of a relation by dimension and code, in the form of outbound.contact_count';

CREATE FUNCTION outbound._recount(p_list_id integer, p_table text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    total bigint;
BEGIN
    DELETE FROM outbound.contact_count AS c WHERE c.list_id = p_list_id;
    EXECUTE 'INSERT INTO outbound.contact_count ' || outbound._counting(format('outbound_list.%I', p_table), p_list_id);
    SELECT sum(c.callable + c.planning + c.open + c.attempted + c.flagged + c.closed) INTO total
    FROM outbound.contact_count AS c WHERE c.list_id = p_list_id AND c.dimension = 'contact';
    RETURN coalesce(total, 0);
END
$$;
COMMENT ON FUNCTION outbound._recount IS 'Counts a list''s contacts anew, for a list whose tables were just put in place; returns how many there are';

CREATE FUNCTION outbound.compact_counts() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    compacted bigint;
BEGIN
    -- Only rows that nobody else is compacting; what is added meanwhile stays for the next call.
    WITH crowded AS (
        SELECT c.list_id FROM outbound.contact_count AS c GROUP BY c.list_id HAVING count(*) > 16
    ), chosen AS MATERIALIZED (
        SELECT c.ctid AS row FROM outbound.contact_count AS c JOIN crowded USING (list_id) FOR UPDATE OF c SKIP LOCKED
    ), taken AS (
        DELETE FROM outbound.contact_count AS c USING chosen WHERE c.ctid = chosen.row RETURNING c.*
    ), summed AS (
        INSERT INTO outbound.contact_count
        SELECT t.list_id, t.dimension, sum(t.callable), sum(t.planning), sum(t.open), sum(t.attempted), sum(t.flagged), sum(t.closed)
        FROM taken AS t GROUP BY t.list_id, t.dimension
    )
    SELECT count(*) INTO compacted FROM taken;
    RETURN compacted;
END
$$;
COMMENT ON FUNCTION outbound.compact_counts IS 'Makes few rows of many in outbound.contact_count; returns how many it took. The counters stay the same';

CREATE VIEW outbound.list_counter AS
SELECT c.list_id, c.dimension, sum(c.callable)::bigint AS callable, sum(c.planning)::bigint AS planning, sum(c.open)::bigint AS open,
       sum(c.attempted)::bigint AS attempted, sum(c.flagged)::bigint AS flagged, sum(c.closed)::bigint AS closed
FROM outbound.contact_count AS c GROUP BY c.list_id, c.dimension;
COMMENT ON VIEW outbound.list_counter IS 'The counters of contact lists, exact, by dimension';
COMMENT ON COLUMN outbound.list_counter.list_id IS 'The contact list';
COMMENT ON COLUMN outbound.list_counter.dimension IS 'contact, or a conversation type';
COMMENT ON COLUMN outbound.list_counter.callable IS 'Contacts suitable for outbound activity (C)';
COMMENT ON COLUMN outbound.list_counter.planning IS 'Contacts chosen by a dialer (I)';
COMMENT ON COLUMN outbound.list_counter.open IS 'Contacts reached and not finished (Q)';
COMMENT ON COLUMN outbound.list_counter.attempted IS 'Contacts whose maximum of attempts is reached (A)';
COMMENT ON COLUMN outbound.list_counter.flagged IS 'Contacts without a suitable unit (F)';
COMMENT ON COLUMN outbound.list_counter.closed IS 'Contacts that succeeded and are finished (U)';
