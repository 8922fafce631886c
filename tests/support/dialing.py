"""What tests of dialers need again and again: a list of people, a campaign, a dialer's calls at moments of
the test's choosing, and what must hold of every list whatever was done to it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from psycopg import sql
from psycopg.abc import Buffer
from psycopg.rows import namedtuple_row
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import COLUMNS, add, create_list, set_up_account, table_of

#: A Tuesday at noon, later than any test runs: periodic duties, which go by the real time, end nothing then.
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
#: `lists.COLUMNS` with a second phone, and a number to filter by.
TWO_PHONES: list[dict[str, Any]] = [
    *COLUMNS,
    {"name": "Mobile", "contact": {"type": "phone", "inbox": "Voice"}},
    {"name": "Balance", "type": "integer"},
]
#: What `outbound dial` logs in as: it may do what `outbound_dialer` may, and no more.
DIALER_ROLE = "outbound_test_dialer"
TYPES = ("call", "email", "social_media")
COUNTERS = ("callable", "planning", "open", "attempted", "flagged", "closed")
CODES = "CIQAFU"


def minutes(count: float) -> timedelta:
    """Return a length of time."""
    return timedelta(minutes=count)


def people(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return contacts for `TWO_PHONES`, with a phone; some with a mobile, some with an address."""
    return [
        {
            "Client ID": f"c{number:06}",
            "Name": f"Name {number}",
            "Phone": f"+38044{number:07}",
            "Mobile": f"+38050{number:07}" if number % 2 else "",
            "E-mail": f"c{number}@example.org" if number % 3 == 0 else "",
            "Balance": str(number % 100),
        }
        for number in range(start, start + count)
    ]


def create_people(database: Database, count: int, name: str = "people", **more: Any) -> str:
    """Make a list with so many people, and set the account up for the first; return its table's name."""
    if not database.value("SELECT count(*) FROM outbound.inbox"):
        set_up_account(database)
    table = create_list(database, name, columns=TWO_PHONES, **more)
    if count:
        add(database, name, *people(count))
    return table


def create_campaign(
    database: Database,
    name: str = "spring",
    lists: Iterable[str] = ("people",),
    kind: str = "call",
    limits: dict[str, Any] | None = None,
    *,
    start: bool = True,
    **settings: Any,
) -> int:
    """Make a campaign, with limits of its own, switch it on, and return its number."""
    if limits is not None:
        database.query("SELECT outbound.create_attempt_control(%s, %s)", name, Jsonb(limits))
        settings["attempt_control"] = name
    made = "SELECT outbound.create_campaign(%s, %s, %s, %s)"
    number = database.value(made, name, list(lists), kind, Jsonb(settings))
    if start:
        database.query("SELECT outbound.start_campaign(%s)", name)
    return int(number)


def dialer_role(database: Database) -> str:
    """Make the role that dialers log in as, if it is missing, and return its name."""
    with database.connect() as connection:
        known = connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", [DIALER_ROLE])
        if known.fetchone() is None:
            connection.execute(f"CREATE ROLE {DIALER_ROLE} LOGIN IN ROLE outbound_dialer")
    return DIALER_ROLE


class _Moment(TimestamptzLoader):
    """Reads moments, infinity as the last one that Python knows."""

    def load(self, data: Buffer) -> datetime:
        """Read one."""
        return datetime.max.replace(tzinfo=UTC) if bytes(data) == b"infinity" else super().load(data)


class Desk:
    """One connection over which a dialer, or whoever else, makes calls; time passes only when told to."""

    def __init__(
        self, database: Database, list_name: str = "people", campaign: str = "spring", dialer: str = "one"
    ) -> None:
        """Connect; list, campaign and dialer are those of calls that name no other."""
        self.connection = database.connect(row_factory=namedtuple_row)
        self.connection.adapters.register_loader("timestamptz", _Moment)
        self.list = list_name
        self.campaign = campaign
        self.dialer = dialer
        self.table = table_of(database, list_name)
        self.at = NOON

    def __enter__(self) -> Self:
        """Return the desk."""
        return self

    def __exit__(self, *ended: object) -> None:
        """Close the connection."""
        self.connection.close()

    def later(self, length: timedelta | float) -> None:
        """Let time pass; a number is minutes."""
        self.at += length if isinstance(length, timedelta) else minutes(length)

    def rows(self, statement: str, *parameters: object) -> list[Any]:
        """Run one statement and return its rows, columns by name."""
        cursor = self.connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *parameters: object) -> Any:
        """Run one statement and return the first column of its first row."""
        return self.rows(statement, *parameters)[0][0]

    def claim(self, n: int = 1, campaign: str | None = None, dialer: str | None = None) -> list[Any]:
        """Claim up to `n` attempts."""
        statement = "SELECT * FROM outbound.claim(%s, %s, %s, %s)"
        return self.rows(statement, campaign or self.campaign, n, dialer or self.dialer, self.at)

    def claim_one(self, campaign: str | None = None, dialer: str | None = None) -> Any:
        """Claim the one attempt that can be made."""
        (claimed,) = self.claim(10, campaign, dialer)
        return claimed

    def start(self, *attempts: int, dialer: str | None = None) -> list[Any]:
        """Start attempts."""
        statement = "SELECT * FROM outbound.start(%s, %s, %s)"
        return self.rows(statement, list(attempts), dialer, self.at)

    def settle(
        self,
        attempts: int | Sequence[int],
        results: str | Sequence[str],
        *,
        final: bool = False,
        dialer: str | None = None,
        dialogs: Sequence[str | None] | None = None,
    ) -> list[Any]:
        """Settle attempts, each with its result; one result goes for all."""
        ids = [attempts] if isinstance(attempts, int) else list(attempts)
        given = [results] * len(ids) if isinstance(results, str) else list(results)
        statement = "SELECT * FROM outbound.settle(%s, %s, %s, %s, %s, %s)"
        return self.rows(
            statement, ids, given, None if dialogs is None else list(dialogs), final, dialer, self.at
        )

    def release(self, *attempts: int, dialer: str | None = None) -> list[Any]:
        """Give attempts back."""
        return self.rows("SELECT * FROM outbound.release(%s, %s, %s)", list(attempts), dialer, self.at)

    def extend(self, until: datetime, *attempts: int, dialer: str | None = None) -> list[Any]:
        """Keep attempts longer."""
        statement = "SELECT * FROM outbound.extend(%s, %s, %s, %s)"
        return self.rows(statement, list(attempts), until, dialer, self.at)

    def finish(self, attempt: int, code: str | None = None) -> Any:
        """Finish an attempt that reached its contact."""
        return self.rows("SELECT * FROM outbound.finish(%s, %s, %s)", attempt, code, self.at)[0]

    def call_back(self, attempt: int, at: datetime) -> Any:
        """Plan a callback."""
        return self.rows("SELECT * FROM outbound.schedule_callback(%s, %s, %s)", attempt, at, self.at)[0]

    def attempt(self, *results: str, campaign: str | None = None) -> list[Any]:
        """Make one attempt for each result, all at this moment; return the answers."""
        return [self.settle(self.claim_one(campaign).attempt_id, result)[0] for result in results]

    def sweep(self) -> int:
        """End the leases that are over at this moment."""
        return int(self.value("SELECT outbound.sweep_leases(%s)", self.at))

    def contact(self, contact: str) -> Any:
        """Return a contact's row."""
        query = sql.SQL("SELECT * FROM outbound_list.{} WHERE sys_id = %s").format(sql.Identifier(self.table))
        return self.connection.execute(query, [contact]).fetchone()

    def records(self, contact: str) -> list[Any]:
        """Return a contact's records."""
        query = sql.SQL("SELECT * FROM outbound_list.{} WHERE sys_contact_id = %s ORDER BY sys_id").format(
            sql.Identifier(f"{self.table}_detail")
        )
        return self.connection.execute(query, [contact]).fetchall()

    def codes(self, contact: str) -> str:
        """Return the codes of a contact: its own, those of its types, those of its records (`C CFF CC`)."""
        row = self.contact(contact)
        of_types = "".join(getattr(row, f"sys_status_{kind}") for kind in TYPES)
        return f"{row.sys_status} {of_types} {''.join(record.sys_status for record in self.records(contact))}"

    def explain(self, contact: str, campaign: str | None = None) -> list[Any]:
        """Return the gates that a claim of the contact meets."""
        statement = "SELECT * FROM outbound.explain(%s, %s, %s, %s)"
        return self.rows(statement, self.list, contact, campaign or self.campaign, self.at)

    def history(self, contact: str) -> list[str]:
        """Return what befell a contact, in order."""
        return [
            line.what
            for line in self.rows("SELECT * FROM outbound.contact_history(%s, %s)", self.list, contact)
        ]

    def everything(self) -> list[list[Any]]:
        """Return all that a call could change, to be compared."""
        names = (
            f"outbound_list.{self.table}",
            f"outbound_list.{self.table}_detail",
            "outbound.attempt_log",
            "outbound.contact_event",
            "outbound.list_counter",
            "outbound.campaign",
        )
        return [sorted(self.rows(f"SELECT * FROM {name}"), key=repr) for name in names]  # noqa: S608


def is_sound(database: Database, list_name: str = "people") -> None:
    """Check what holds of a list whatever was done to it, zeroed counters aside (contact-lists §13)."""
    differing = database.query("SELECT * FROM outbound.check_consistency(%s)", list_name)
    assert differing == [], differing[:5]
    with Desk(database, list_name) as desk:
        contacts = {row.sys_id: row for row in desk.rows(f"SELECT * FROM outbound_list.{desk.table}")}  # noqa: S608
        records: dict[str, list[Any]] = {contact: [] for contact in contacts}
        for row in desk.rows(f"SELECT * FROM outbound_list.{desk.table}_detail"):  # noqa: S608
            records[row.sys_contact_id].append(row)
        log = desk.rows(
            """SELECT l.*, r.category
               FROM outbound.attempt_log AS l JOIN outbound.attempt_result AS r USING (result_id)
               WHERE list_id = (SELECT list_id FROM outbound.list WHERE name = %s)""",
            list_name,
        )
        _codes_fit(contacts, records)
        _counts_fit(contacts, records, log)
        _counters_fit(desk, contacts, records)


def _codes_fit(contacts: dict[str, Any], records: dict[str, list[Any]]) -> None:
    for contact, row in contacts.items():
        own = records[contact]
        busy = [record for record in own if record.sys_status in "IQ"]
        assert len(busy) <= 1, f"P2: {contact} has {len(busy)} records in progress or queued"
        for code in "IQ":
            of_records = [r.sys_conversation_type for r in own if r.sys_status == code]
            of_types = [kind for kind in TYPES if getattr(row, f"sys_status_{kind}") == code]
            assert of_types == of_records, (
                f"P3: {contact} has types {of_types} and records {of_records} in {code}"
            )
            assert (row.sys_status == code) == bool(of_records), f"P3: {contact} is {row.sys_status}"
        assert (row.sys_open_record_id is None) == (not busy), contact
        if busy:
            assert row.sys_open_record_id == busy[0].sys_id, contact
        for record in own:
            planned = record.sys_scheduled_at is not None
            if record.sys_status != "I":
                assert planned == (record.sys_status in "OS"), (
                    f"P10: {contact} has a record {record.sys_status}"
                )
        for kind in TYPES:
            if not any(record.sys_conversation_type == kind for record in own):
                assert getattr(row, f"sys_status_{kind}") == "F", f"P23: {contact} has no {kind}"


def _counts_fit(contacts: dict[str, Any], records: dict[str, list[Any]], log: list[Any]) -> None:
    twice = [number for number, times in Counter(line.attempt_id for line in log).items() if times > 1]
    assert twice == [], f"in the log twice: {twice[:5]}"
    counted = Counter(line.record_id for line in log if line.counted)
    by_category = Counter((line.record_id, line.category) for line in log if line.counted)
    for contact, row in contacts.items():
        own = records[contact]
        for kind in TYPES:
            of_type = sum(r.sys_attempts for r in own if r.sys_conversation_type == kind)
            assert getattr(row, f"sys_attempts_{kind}") == of_type, f"P5: {contact}, {kind}"
        assert row.sys_attempts == sum(record.sys_attempts for record in own), f"P5: {contact}"
        for record in own:
            assert record.sys_attempts == counted[record.sys_id], f"P5: {contact}, record {record.sys_id}"
            for category in ("abandoned", "busy", "noanswer", "machine"):
                of_category = getattr(record, f"sys_attempts_{category}")
                assert of_category == by_category[record.sys_id, category], f"P6: {contact}, {category}"
        attempted = [
            record for record in own if record.sys_last_attempt_datetime is not None and record.sys_attempts
        ]
        latest = max((record.sys_last_attempt_datetime for record in attempted), default=None)
        assert row.sys_last_attempt_at == latest, f"P18: {contact}"


def _counters_fit(desk: Desk, contacts: dict[str, Any], records: dict[str, list[Any]]) -> None:
    """Count the contacts as contact-lists §12 says, and compare with what the views say."""
    (shown,) = desk.rows("SELECT * FROM outbound.list_status WHERE name = %s", desk.list)
    assert shown.total == len(contacts)
    assert _shown(shown) == _counted(row.sys_status for row in contacts.values())
    campaigns = desk.rows(
        """SELECT s.* FROM outbound.campaign_status AS s JOIN outbound.campaign AS c USING (name)
           WHERE s.lists = ARRAY[%s] AND c.settings ->> 'filter' IS NULL""",
        desk.list,
    )
    for campaign in campaigns:
        kind = campaign.conversation_type
        sample = [
            row
            for contact, row in contacts.items()
            if any(record.sys_conversation_type == kind for record in records[contact])
        ]
        assert campaign.total == len(sample), campaign.name
        assert _shown(campaign) == _counted(effective(row, kind) for row in sample), campaign.name


def effective(row: Any, kind: str) -> str:
    """Return the code under which a campaign of the type counts a contact (contact-lists §12, `eff`)."""
    if row.sys_status == "U":
        return "U"
    of_type: str = getattr(row, f"sys_status_{kind}")
    if of_type != "C":
        return of_type
    return "A" if row.sys_status == "A" else "C"


def _shown(row: Any) -> dict[str, int]:
    return {name: getattr(row, name) for name in COUNTERS}


def _counted(codes: Iterable[str]) -> dict[str, int]:
    count = Counter(codes)
    return {name: count[code] for name, code in zip(COUNTERS, CODES, strict=True)}
