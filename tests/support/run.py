"""A worker's side of the run protocol in SQL, without SFTP and decoding.

It calls what the worker calls, in the transactions the worker uses, so a test can stop between any two
calls, die, come late, or report wrong counts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import HEADER

#: Old enough for a file to have settled.
LONG_AGO = 1_700_000_000
# A code of one byte and the label of an enumeration travel as their text in binary COPY too.
CONTACT_TYPES = ["int4", *["text"] * 5, "int2"]
DETAIL_TYPES = ["int4", "int8", *["text"] * 5, "int8", "text", "int8"]


def entry(name: str, **more: Any) -> dict[str, Any]:
    """Return one line of a directory listing: a regular file that has settled."""
    plain = {"name": name, "size": 100, "modified_at": LONG_AGO, "kind": "file", "refused": None}
    return plain | more


@dataclass
class Load:
    """A load under way."""

    number: int
    list_id: int
    shape: dict[str, Any]
    contacts: int = 0
    records: int = 0

    def counts(self, **more: int) -> dict[str, int]:
        """Return counts that reconcile, unless `more` says otherwise."""
        plain = {
            "rows_read": self.contacts,
            "rejected": 0,
            "duplicates": 0,
            "filtered": 0,
            "contacts": self.contacts,
            "records": self.records,
            "warnings": 0,
        }
        return plain | more


@dataclass
class Run:
    """One try of one worker at a run."""

    database: Database
    document: dict[str, Any]

    @property
    def run_id(self) -> int:
        """Return the number of the run."""
        return int(self.document["run_id"])

    @property
    def try_no(self) -> int:
        """Return the number of the try."""
        return int(self.document["try"])

    @classmethod
    def claim(
        cls, database: Database, worker: str = "worker 1", run: int | None = None, lease: str = "2 minutes"
    ) -> "Run | None":
        """Take a queued run."""
        document = database.value("SELECT outbound.claim_run(%s, %s, %s)", worker, run, lease)
        return None if document is None else cls(database, document)

    @classmethod
    def of(cls, database: Database, job: str = "job", **more: Any) -> "Run":
        """Ask for a run of a job and take it."""
        number = database.value("SELECT outbound.run_now(%s)", job)
        run = cls.claim(database, run=number, **more)
        assert run is not None
        return run

    def lost(self) -> "Run":
        """Let the lease be over, as if the worker had not been heard of for its length."""
        statement = "UPDATE outbound.job_run SET lease_until = now() WHERE run_id = %s AND tries = %s"
        self.database.query(statement, self.run_id, self.try_no)
        return self

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the protocol for this try, in a transaction of its own."""
        with self.database.connect() as connection:
            return self.call_on(connection, function, *arguments)

    def call_on(self, connection: psycopg.Connection[Any], function: str, *arguments: Any) -> Any:
        """Call a function of the protocol for this try on a connection of the caller."""
        given = [Jsonb(value) if isinstance(value, dict | list) else value for value in arguments]
        places = ", ".join(["%s"] * (2 + len(given)))
        statement = f"SELECT outbound.{function}({places})"
        row = connection.execute(statement.encode(), [self.run_id, self.try_no, *given]).fetchone()
        assert row is not None
        return row[0]

    def plan(self, *listing: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the decisions about a directory listing."""
        return list(self.call("plan_files", list(listing)))

    def take(self, name: str = "contacts.csv", content: bytes | None = None, **more: Any) -> int:
        """Plan a listing of one file, which must be taken, say it is fetched, and return its number."""
        (decision,) = self.plan(entry(name, **more))
        assert decision["decision"] == "take", decision
        digest = hashlib.sha256(name.encode() if content is None else content).digest()
        answer = self.call("file_fetched", decision["file_id"], digest, more.get("size", 100))
        assert answer == "load"
        return int(decision["file_id"])

    def begin(self, file: int, header: Sequence[str] = HEADER) -> Load:
        """Open the load of a file whose header fits."""
        answer = self.call("begin_load", file, list(header))
        assert answer["refused"] is None, answer
        return Load(answer["load_id"], answer["shape"]["list_id"], answer["shape"])

    def fill(self, load: Load, people: Sequence[dict[str, Any]]) -> None:
        """Make both tables of a load and COPY rows for `COLUMNS` into them, as the worker does."""
        contacts, records = staged(load, people)
        for part, types, lines in (
            ("contact", CONTACT_TYPES + ["text"] * len(HEADER), contacts),
            ("detail", DETAIL_TYPES, records),
        ):
            with self.database.connect(autocommit=False) as connection:
                row = connection.execute("SELECT outbound.create_load_table(%s, %s)", [load.number, part])
                statement = row.fetchone()
                assert statement is not None
                with connection.cursor().copy(statement[0]) as copy:
                    copy.set_types(types)
                    for line in lines:
                        copy.write_row(line)
                connection.execute("SELECT outbound.finish_load_table(%s, %s)", [load.number, part])
        load.contacts, load.records = len(contacts), len(records)

    def load(self, file: int, people: Sequence[dict[str, Any]]) -> Load:
        """Open the load of a file and fill its tables."""
        load = self.begin(file)
        self.fill(load, people)
        return load

    def publish(self, load: Load, **counts: int) -> dict[str, Any]:
        """Publish a load, by default with counts that reconcile."""
        return dict(self.call("publish", load.number, load.counts(**counts)))

    def import_people(
        self, people: Sequence[dict[str, Any]], name: str = "contacts.csv", **more: Any
    ) -> dict[str, Any]:
        """Take a file with these people, publish it, say it was deleted, and end the run."""
        file = self.take(name, **more)
        published = self.publish(self.load(file, people))
        self.call("file_disposed", file, "deleted")
        self.finish()
        return published

    def finish(self, reason: str | None = None, message: str | None = None) -> dict[str, Any]:
        """End the run."""
        return dict(self.call("finish_run", reason, message))


def staged(load: Load, people: Sequence[dict[str, Any]]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the contact and detail rows of people whose units are all valid and in normal form."""
    contacts: list[list[Any]] = []
    records: list[list[Any]] = []
    for someone in people:
        identifier = someone["Client ID"]
        codes = {"call": "F", "email": "F", "social_media": "F"}
        for column in load.shape["columns"]:
            unit = someone.get(column["name"], "")
            if column["contact"] is None or not unit:
                continue
            kind = column["contact"]["conversation_type"]
            codes[kind] = "C"
            # After the list's own records: numbers are never given twice.
            number = load.shape["last_record_id"] + len(records) + 1
            owner = [load.list_id, number, identifier]
            channel = [column["contact"]["unit_type"], column["name"], kind, column["contact"]["inbox_id"]]
            records.append([*owner, unit, *channel, "C", None])
        status = "C" if "C" in codes.values() else "F"
        kinds = sum(1 << place for place, code in enumerate(codes.values()) if code == "C")
        cells = [someone.get(name) or None for name in HEADER]
        contacts.append([load.list_id, identifier, status, *codes.values(), kinds, *cells])
    return contacts, records
