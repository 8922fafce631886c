-- An import as a good SQL user would write it: the file comes in on standard input, decrypted, and goes
-- through a text table into two tables like those of the list :list. The rules are those of the import as
-- far as SQL can state them; a numbering plan it has none, so a phone is digits of a likely length.

SET work_mem = '256MB';
SET maintenance_work_mem = '256MB';
SET client_min_messages = warning;

DROP SCHEMA IF EXISTS by_hand CASCADE;
CREATE SCHEMA by_hand;

CREATE UNLOGGED TABLE by_hand.staging (
    line bigint GENERATED ALWAYS AS IDENTITY,
    customer_id text, full_name text, phone_mobile text, phone_home text, email text,
    company text, city text, balance text, birthday text
);
\copy by_hand.staging (customer_id, full_name, phone_mobile, phone_home, email, company, city, balance, birthday) FROM pstdin (FORMAT csv, HEADER)
ANALYZE by_hand.staging;

CREATE TABLE by_hand.rejected AS
SELECT s.line, CASE
        WHEN coalesce(btrim(s.customer_id), '') = '' THEN 'empty_client_id'
        WHEN s.balance !~ '^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*$' THEN 'bad_value'
        WHEN s.birthday !~ '^\s*([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}\.[0-9]{2}\.[0-9]{4})\s*$' THEN 'bad_date'
    END AS reason
FROM by_hand.staging AS s
WHERE coalesce(btrim(s.customer_id), '') = ''
   OR s.balance !~ '^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*$'
   OR s.birthday !~ '^\s*([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}\.[0-9]{2}\.[0-9]{4})\s*$';

-- The first row of each identifier, its units in normal form. OFFSET 0 keeps the planner from working
-- a regular expression out again for each place that uses it.
CREATE UNLOGGED TABLE by_hand.good AS
SELECT DISTINCT ON (s.id) s.*,
    CASE WHEN s.mobile ~ '^\+[1-9][0-9]{7,14}$' THEN concat(s.mobile, ';ext=' || s.mobile_extension) END AS mobile_unit,
    CASE WHEN s.home ~ '^\+[1-9][0-9]{7,14}$' THEN concat(s.home, ';ext=' || s.home_extension) END AS home_unit,
    CASE WHEN s.address ~ '^[^@\s]+@([[:alnum:]]([-[:alnum:]]*[[:alnum:]])?\.)+[[:alpha:]]{2,}$'
         THEN split_part(s.address, '@', 1) || '@' || lower(split_part(s.address, '@', 2)) END AS email_unit
FROM (
    SELECT r.line, r.id, r.full_name, r.phone_mobile, r.phone_home, r.email, r.company, r.city, r.balance, r.birthday,
        CASE WHEN r.mobile LIKE '+%' THEN r.mobile WHEN r.mobile LIKE '00%' THEN '+' || substr(r.mobile, 3)
             WHEN r.mobile LIKE '0%' THEN '+44' || substr(r.mobile, 2) WHEN r.mobile <> '' THEN '+44' || r.mobile END AS mobile,
        CASE WHEN r.home LIKE '+%' THEN r.home WHEN r.home LIKE '00%' THEN '+' || substr(r.home, 3)
             WHEN r.home LIKE '0%' THEN '+44' || substr(r.home, 2) WHEN r.home <> '' THEN '+44' || r.home END AS home,
        r.mobile_extension, r.home_extension, r.address
    FROM (
        -- Goes: the zero in brackets, which is a trunk zero; the extension; whatever is no digit and no plus.
        SELECT t.*, btrim(t.customer_id) AS id, btrim(t.email) AS address,
            regexp_replace(t.phone_mobile, '\(0\)|(x|ext\.?)\s*[0-9]+\s*$|[^0-9+]', '', 'g') AS mobile,
            regexp_replace(t.phone_home, '\(0\)|(x|ext\.?)\s*[0-9]+\s*$|[^0-9+]', '', 'g') AS home,
            substring(t.phone_mobile FROM '(?:x|ext\.?)\s*([0-9]+)\s*$') AS mobile_extension,
            substring(t.phone_home FROM '(?:x|ext\.?)\s*([0-9]+)\s*$') AS home_extension
        FROM by_hand.staging AS t
        WHERE NOT EXISTS (SELECT 1 FROM by_hand.rejected AS x WHERE x.line = t.line)
        OFFSET 0
    ) AS r
    OFFSET 0
) AS s
ORDER BY s.id, s.line;

CREATE TABLE by_hand.contact (LIKE outbound_list.:"list" INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
CREATE TABLE by_hand.detail (LIKE outbound_list.:"detail" INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
SELECT list_id FROM outbound_list.:"list" LIMIT 1 \gset
SELECT inbox_id AS voice FROM outbound.inbox WHERE name = 'Voice' \gset
SELECT inbox_id AS mail FROM outbound.inbox WHERE name = 'Mail' \gset

INSERT INTO by_hand.contact (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media,
    customer_id, full_name, phone_mobile, phone_home, email, company, city, balance, birthday)
SELECT :list_id, g.id,
    CASE WHEN coalesce(g.mobile_unit, g.home_unit, g.email_unit) IS NULL THEN 'F' ELSE 'C' END,
    CASE WHEN coalesce(g.mobile_unit, g.home_unit) IS NULL THEN 'F' ELSE 'C' END,
    CASE WHEN g.email_unit IS NULL THEN 'F' ELSE 'C' END, 'F',
    g.id, g.full_name, g.phone_mobile, g.phone_home, g.email, g.company, g.city,
    nullif(btrim(g.balance), '')::numeric,
    CASE WHEN g.birthday LIKE '%.%' THEN to_date(g.birthday, 'DD.MM.YYYY') ELSE nullif(btrim(g.birthday), '')::date END
FROM by_hand.good AS g;

INSERT INTO by_hand.detail (list_id, sys_id, sys_contact_id, sys_channel_user, sys_channel_user_type,
    sys_cl_source_column, sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id)
SELECT :list_id, row_number() OVER (), g.id, coalesce(u.unit, btrim(u.given)), u.kind, u.source, u.conversation, u.inbox,
    CASE WHEN u.unit IS NULL THEN 'U' ELSE 'C' END, CASE WHEN u.unit IS NULL THEN 8 END
FROM by_hand.good AS g
CROSS JOIN LATERAL (VALUES
    (g.phone_mobile, g.mobile_unit, 'phone'::outbound.unit_type, 'phone_mobile', 'call'::outbound.conversation_type, :voice),
    (g.phone_home, CASE WHEN g.home_unit IS DISTINCT FROM g.mobile_unit THEN g.home_unit END,
     'phone', 'phone_home', 'call', :voice),
    (g.email, g.email_unit, 'email', 'email', 'email', :mail)
) AS u (given, unit, kind, source, conversation, inbox)
WHERE btrim(u.given) <> '' AND NOT (u.source = 'phone_home' AND g.home_unit = g.mobile_unit);

ALTER TABLE by_hand.contact ADD PRIMARY KEY (sys_id);
ALTER TABLE by_hand.detail ADD PRIMARY KEY (sys_id);
CREATE INDEX ON by_hand.detail (sys_contact_id);
DROP TABLE by_hand.staging, by_hand.good;
