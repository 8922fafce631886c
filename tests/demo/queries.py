"""The SQL of the demonstration, laid out as a user would type it."""

ACCOUNT = "SELECT outbound.set_account(default_country => 'GB', character_set => 'utf-8');"

INBOXES = "SELECT outbound.create_inbox('Voice', 'call'), outbound.create_inbox('Mail', 'email');"

SERVER = """
SELECT outbound.create_sftp_server('partner', 'sftp://127.0.0.1:{port}/',
         '{fingerprint}');"""

# The story shows the gist of the rules; the job is made from all of them.
JOB = """
SELECT outbound.create_job('new customers', '{{"action": "import_file",
  "connection": {{"server": "partner", "user": "{user}", "authentication": "key"}},
  "files": {{"operation": "starts_with", "name": "customers", "ignore_duplicates": true, …}},
  "encryption": {{"required": true}}, "append_type": "new_list_only",
  "target_list": "Customers", "identifier": "customer_id", "contact_name": "full_name",
  "columns": [… {{"name": "phone_mobile", "contact": {{"type": "phone", "inbox": "Voice"}}}},
              {{"name": "birthday", "type": "date"}}, …]}}');"""

COUNTERS = """
SELECT name, total, callable, planning, open, attempted, flagged, closed, secured
  FROM outbound.list_status;"""

ACTIVITY = """
SELECT to_char(ended_at - started_at, 'SS.MS') AS s, result, message
  FROM outbound.job_activity ORDER BY run_id;"""

REJECTS = """
SELECT reason, count(*), min(line_number) AS line,
       (array_agg(left(original, 18) ORDER BY line_number))[1] AS "its text",
       (array_agg(left(message, 36) ORDER BY line_number))[1] AS "what was wrong"
  FROM outbound.rejected_row GROUP BY reason, severity ORDER BY severity, count(*) DESC;"""

CONTACTS = """
SELECT c.sys_id, c.full_name, c.sys_status AS "C", d.sys_channel_user AS unit,
       d.sys_status AS "R", to_jsonb(c) ->> d.sys_cl_source_column AS "as written"
  FROM outbound_list.customers AS c
  JOIN outbound_list.customers_detail AS d ON d.sys_contact_id = c.sys_id
 WHERE c.sys_id IN ('GB-00000003', 'UA-00000024', 'US-00000109') ORDER BY c.sys_id, d.sys_id;"""

FILES = """
SELECT name, state, outcome, rows_read AS rows, added, updated, unchanged, duplicates, rejected
  FROM outbound.import_file ORDER BY file_id;"""

QUESTION = """
SELECT left(c.sys_id, 2) AS country, count(DISTINCT c.sys_id) AS contacts, count(*) AS units,
       count(*) FILTER (WHERE d.sys_status = 'C') AS callable, max(c.balance) AS "most owed",
       count(DISTINCT c.sys_id) FILTER (WHERE birthday > now() - interval '30 years') AS young
  FROM outbound_list.customers AS c
  JOIN outbound_list.customers_detail AS d ON d.sys_contact_id = c.sys_id
 GROUP BY country ORDER BY contacts DESC LIMIT 4;"""

LIMITS = """
SELECT outbound.create_attempt_control('gentle', '{"max_per_contact": 4, "max_per_conversation": 3,
         "minimum_minutes": 60, "categories": {"busy": {"minutes": 90}}}');"""

CALENDAR = """
SELECT outbound.create_calendar('office', 'Europe/London', '{"mon": [["09:00", "18:00"]], …}');"""

# The story shows the gist of the hours; the calendar is made from all of them.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
HOURS = "{" + ", ".join(f'"{day}": [["09:00", "18:00"]]' for day in WEEKDAYS) + "}"

CAMPAIGN = """
SELECT outbound.create_campaign('Debts', '{Customers}', 'call',
         '{"calendar": "office", "attempt_control": "gentle",
           "filter": {"field": "balance", "operator": "greater_than", "value": 1900}}');"""

START = "SELECT outbound.start_campaign('Debts');"

PROGRESS = """
SELECT name, state, total, callable, planning, open, attempted, flagged, closed, progress
  FROM outbound.campaign_status;"""

HISTORY = """
SELECT to_char(at, 'Dy HH24:MI') AS "when", what, unit, dialer, details ->> 'origin' AS origin
  FROM outbound.contact_history('Customers', '{contact}');"""

EXPLANATION = """
SELECT gate, evidence, to_char(possible_at, 'Dy HH24:MI') AS "possible at"
  FROM outbound.explain('Customers', '{contact}', 'Debts', at => '{at}')
 WHERE NOT passes;"""

# A contact worth a look: one that has to wait, called back once, whose story has many sorts of events.
WORTH_A_LOOK = """
SELECT c.sys_id
  FROM outbound_list.customers AS c
  JOIN outbound.attempt_log AS l ON l.contact_id = c.sys_id
 WHERE c.sys_status = 'C' AND c.sys_callback_call IS NULL AND c.sys_due_call > %s
 GROUP BY c.sys_id, c.sys_due_call
 ORDER BY bool_or(l.origin = 'agent_callback') DESC, c.sys_due_call DESC, count(DISTINCT l.result_id) DESC,
          c.sys_id LIMIT 1"""

# What is compared with the report of the dialers.
LOGGED = "SELECT count(*) FROM outbound.attempt_log WHERE counted"

DIFFERENCES = "SELECT count(*) FROM outbound.check_consistency('Customers')"

# What is compared with the generator's own counts.
COUNTS_OF_LATEST = """
SELECT file_id, rows_read, added, updated, unchanged, duplicates, rejected, records
  FROM outbound.import_file ORDER BY file_id DESC LIMIT 1"""

REASONS_OF_FILE = """
SELECT reason, count(*) FROM outbound.rejected_row
 WHERE file_id = %s AND reason <> 'duplicate_client_id' GROUP BY reason"""
