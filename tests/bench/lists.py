"""Contact lists to be dialed, loaded as fast as SQL goes: two phones and an e-mail address a contact.

The tables are those that `outbound.create_list` makes. Their keys are put aside while set-based statements
fill them, contacts and records on a connection each, and come back before anybody looks. A list can be loaded
as if most of it had been worked already: then one contact of so many is untouched, and of the others every
second was reached and is closed, and every second was not and waits until tomorrow.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import sql
from psycopg.types.json import Jsonb

from bench.harness import Bench
from support.cluster import Database
from support.contacts import RULES

#: Limits as sites set them; what was attempted once does not come back while the bench runs.
_CONTROL = {
    "max_per_contact": 6,
    "max_per_conversation": 3,
    "minimum_minutes": 600,
    "categories": {"busy": {"max_attempts": 2, "minutes": 600}},
}
#: No larger numbers, so that identifiers and phones all have the same length.
_MOST_CONTACTS = 100_000_000

_PROVIDED: WeakKeyDictionary[Bench, list["DialedList"]] = WeakKeyDictionary()

_KEYS = """
SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %%s', i.indexrelid::regclass)
            ELSE format('ALTER TABLE %%s DROP CONSTRAINT %%I', i.indrelid::regclass, c.conname) END,
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', i.indrelid::regclass, c.conname,
                        pg_get_constraintdef(c.oid)) END
FROM pg_index AS i LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid
WHERE i.indrelid = %s::regclass ORDER BY c.conname NULLS LAST, i.indexrelid"""

_STATES = """
generate_series(1, {count}) AS i CROSS JOIN LATERAL (
    SELECT 'C' || (100000000 + i) AS id, '+44' || (7000000000 + i) AS mobile,
           '+44' || (2000000000 + i) AS home, i || '@example.com' AS email, i % {every} = 0 AS untouched,
           i % {every} <> 0 AND i % 2 = 0 AS closed) AS c"""

_CONTACTS = """
INSERT INTO {table} (list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media,
    sys_unit_types, sys_attempts, sys_attempts_call, sys_last_attempt_cld_id, sys_last_attempt_at,
    sys_wait_until, sys_due_call, sys_due_email,
    customer_id, full_name, phone_mobile, phone_home, email, company, city, balance, birthday)
SELECT {list}, c.id, w.code, w.code, 'C', 'F',
       3, w.attempts, w.attempts, w.record, w.attempted,
       w.wait, w.wait, w.wait,
       c.id, 'Name ' || i, c.mobile, c.home, c.email, 'Company ' || i % 5000, 'City ' || i % 1000, i % 10000,
       date '1950-01-01' + i % 20000
FROM {states} CROSS JOIN LATERAL (
    SELECT CASE WHEN c.closed THEN 'U' ELSE 'C' END::"char" AS code,
           CASE WHEN c.untouched THEN 0 ELSE 1 END AS attempts,
           CASE WHEN NOT c.untouched THEN 3::bigint * i - 2 END AS record,
           CASE WHEN NOT c.untouched THEN now() - interval '1 day' END AS attempted,
           CASE WHEN NOT c.untouched THEN now() + interval '1 day' END AS wait) AS w"""

_RECORDS = """
INSERT INTO {table} (list_id, sys_id, sys_contact_id, sys_channel_user, sys_channel_user_type,
    sys_cl_source_column, sys_conversation_type, sys_inbox_id,
    sys_status, sys_attempts, sys_attempts_noanswer,
    sys_scheduled_at, sys_last_attempt_datetime, sys_last_attempt_dialer_attempt_result_id)
SELECT {list}, 3::bigint * i - 3 + u.n, c.id, u.value, u.type,
       u.source, u.kind, u.inbox,
       CASE WHEN NOT w.attempted THEN 'C' WHEN c.closed THEN 'U' ELSE 'O' END::"char",
       CASE WHEN w.attempted THEN 1 ELSE 0 END, CASE WHEN w.attempted AND NOT c.closed THEN 1 ELSE 0 END,
       CASE WHEN w.attempted AND NOT c.closed THEN now() + interval '1 day' END,
       CASE WHEN w.attempted THEN now() - interval '1 day' END,
       CASE WHEN w.attempted THEN CASE WHEN c.closed THEN {success} ELSE {noanswer} END END
FROM {states} CROSS JOIN LATERAL (
    VALUES (1, c.mobile, 'phone'::outbound.unit_type, 'phone_mobile',
            'call'::outbound.conversation_type, {voice}),
           (2, c.home, 'phone', 'phone_home', 'call', {voice}),
           (3, c.email, 'email', 'email', 'email', {mail})) AS u (n, value, type, source, kind, inbox)
CROSS JOIN LATERAL (SELECT NOT c.untouched AND u.n = 1 AS attempted) AS w"""

_UNTOUCHED = """
SELECT count(*) FROM {table} WHERE sys_attempts = 0 AND sys_status = 'C' AND sys_status_call = 'C'"""

_WAKE = """
UPDATE {table} SET sys_due_call = NULL, sys_due_email = NULL, sys_wait_until = NULL
WHERE sys_id IN (SELECT 'C' || (100000000 + i) FROM generate_series({first}, {count}, {every}) AS i)"""


@dataclass(frozen=True)
class DialedList:
    """A list, the campaign of calls over it, and how it was loaded."""

    database: Database
    name: str
    table: str
    contacts: int
    every: int

    @property
    def campaign(self) -> str:
        """Name of its campaign, which is on."""
        return self.name

    def untouched(self) -> int:
        """Count the contacts that nobody tried to call."""
        return int(self.query(_UNTOUCHED)[0][0])

    def wake(self, first: int) -> None:
        """Make as many contacts callable as were untouched: those that wait, from an odd number on."""
        self.query(_WAKE, first=first, count=self.contacts, every=self.every)

    def query(self, statement: str, **literals: object) -> list[tuple[Any, ...]]:
        """Run a statement over {table}, the contacts, and {records}, with more names given."""
        tables = {"table": _table(self.table), "records": _table(f"{self.table}_detail")}
        values = {name: sql.Literal(value) for name, value in literals.items()}
        with self.database.connect() as connection:
            cursor = connection.execute(sql.SQL(statement).format(**tables, **values))
            return cursor.fetchall() if cursor.description else []


def provide(bench: Bench, contacts: int, *, untouched: int = 0) -> DialedList:
    """Return a list of this size with so many untouched contacts left; one that is there, or a new one."""
    known = _PROVIDED.setdefault(bench, [])
    for one in known:
        if one.contacts == contacts and one.untouched() >= untouched:
            return one
    known.append(load(bench.database, f"Dialed {len(known) + 1}", contacts))
    return known[-1]


def set_up(database: Database) -> None:
    """Make what campaigns need besides lists."""
    if not database.query("SELECT 1 FROM outbound.attempt_control WHERE name = 'Bench'"):
        database.query("SELECT outbound.create_attempt_control('Bench', %s)", Jsonb(_CONTROL))


def load(database: Database, name: str, contacts: int, *, every: int = 1) -> DialedList:
    """Make a list and its campaign; one contact of `every` is untouched (an even number, or 1: all are)."""
    if contacts > _MOST_CONTACTS:
        raise ValueError(f"{contacts} contacts are more than the identifiers have digits for")
    set_up(database)
    list_id = database.value(
        "SELECT outbound.create_list(%s, %s, 'customer_id', 'full_name')", name, Jsonb(RULES)
    )
    table = database.value("SELECT table_name FROM outbound.list WHERE list_id = %s", list_id)
    results = dict(database.query("SELECT name, result_id FROM outbound.attempt_result"))
    inboxes = dict(database.query("SELECT name, inbox_id FROM outbound.inbox"))
    given = {
        "list": sql.Literal(list_id),
        "success": sql.Literal(results["success"]),
        "noanswer": sql.Literal(results["noanswer"]),
        "voice": sql.Literal(inboxes["Voice"]),
        "mail": sql.Literal(inboxes["Mail"]),
        "states": sql.SQL(_STATES).format(count=sql.Literal(contacts), every=sql.Literal(every)),
    }
    records = f"{table}_detail"
    _both(
        lambda: _fill(database, table, sql.SQL(_CONTACTS).format(table=_table(table), **given)),
        lambda: _fill(database, records, sql.SQL(_RECORDS).format(table=_table(records), **given)),
    )
    database.query(
        "SELECT setval(pg_get_serial_sequence(format('outbound_list.%%I', %s::text), 'sys_id'), %s)",
        records,
        3 * contacts,
    )
    counted = database.value("SELECT outbound._recount(%s, %s)", list_id, table)
    if counted != contacts:
        raise RuntimeError(f"{contacts} contacts were loaded, and {counted} counted")
    _both(lambda: _vacuum(database, table), lambda: _vacuum(database, records))
    database.query("CHECKPOINT")
    start_campaign(database, name, name)
    return DialedList(database, name, table, contacts, every)


def start_campaign(database: Database, name: str, of_list: str, **settings: object) -> None:
    """Make a campaign of calls over a list, and switch it on."""
    database.query(
        "SELECT outbound.create_campaign(%s, ARRAY[%s], 'call', %s)",
        name,
        of_list,
        Jsonb({"attempt_control": "Bench"} | settings),
    )
    database.query("SELECT outbound.start_campaign(%s)", name)


def _fill(database: Database, table: str, statement: sql.Composed) -> None:
    """Fill an empty table, its keys and indexes being made afterwards as they were."""
    keys = database.query(_KEYS, f"outbound_list.{sql.Identifier(table).as_string()}")
    with database.connect() as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        for drop, _ in keys:
            connection.execute(drop.encode())
        connection.execute(statement)
        for _, make in keys:
            connection.execute(make.encode())


def _vacuum(database: Database, table: str) -> None:
    with database.connect() as connection:
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(_table(table)))


def _both(one: Callable[[], None], other: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(one), pool.submit(other)]:
            task.result()


def _table(name: str) -> sql.Identifier:
    return sql.Identifier("outbound_list", name)
