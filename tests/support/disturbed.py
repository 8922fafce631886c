"""One import with every part real, to be disturbed and then compared with an undisturbed one.

`prepare` makes what all cases share: a database in which a list has contacts already, and a file of the
partner's with changes and new contacts. A `Case` is a copy of that database, a worker with a spool of
its own, a folder on the server with the file in it, and one job. Its methods disturb the worker or ask
what became of everything.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from support import catalog, contacts, processes
from support.cluster import Cluster, Database
from support.gpg import Gpg
from support.site import WORKER_ROLE, Keys, copy_secrets, import_certificate
from support.sshd import SftpServer
from support.worker import Finished, Running, Worker

JOB = "job"
FILE = "people.csv.gpg"
MOVED = f"done/{FILE}"
#: In the list before; in the file, half of it known to the list. At the fault point "stage.middle" the
#: first of several chunks of such a file has been sent to the database.
KNOWN, ROWS = 1_000, 5_000
_TEMPLATE = "undisturbed"
_WORKERS = """SELECT pid FROM pg_stat_activity
    WHERE application_name = 'outbound' AND datname = current_database()"""
_numbers = count(1)

Try = tuple[str, str | None]


@dataclass(frozen=True)
class Way:
    """How a job loads its file, and what becomes of the file."""

    append_type: str = "new_list_only"
    moves: bool = False

    @property
    def target(self) -> str:
        """The list the file goes to: one that is there, unless a new one must be made."""
        return "Newcomers" if self.append_type == "new_list_only" else "People"

    def __str__(self) -> str:
        """Return it as part of a test's name."""
        return f"{self.append_type}-{'move' if self.moves else 'delete'}"


@dataclass(frozen=True)
class Outcome:
    """Everything an import leaves behind, but for numbers and times that differ from one to the next."""

    lists: list[tuple[Any, ...]]
    contacts: tuple[int, str]
    records: tuple[int, str]
    refused: tuple[int, str]
    counts: tuple[int, ...]


@dataclass
class Parts:
    """What the cases share."""

    cluster: Cluster
    server: SftpServer
    keys: Keys
    sealed: bytes = b""
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def undisturbed(self, way: Way, folder: Path) -> Outcome:
        """Return what an import leaves behind that nobody disturbs; made once for each append type."""
        if way.append_type not in self.outcomes:
            with open_case(self, way, folder) as case:
                case.run()
                self.outcomes[way.append_type] = case.outcome()
        return self.outcomes[way.append_type]


@dataclass
class Case:
    """One disturbed import."""

    parts: Parts
    way: Way
    database: Database
    worker: Worker
    #: The folder of this case on the server.
    folder: Path

    def start(self, hold: str | None = None) -> Running:
        """Start a run of the job, held at a fault point."""
        return self.worker.start("run", JOB, hold=hold)

    def run(self, code: int | None = 0) -> Finished:
        """Run the job to its end."""
        return self.worker.run("run", JOB, code=code)

    def put(self, content: bytes | None = None) -> Path:
        """Put the file, or another content under its name, on the server."""
        return self.parts.server.put(
            f"{self.folder.name}/{FILE}", self.parts.sealed if content is None else content
        )

    def end_lease(self) -> None:
        """Let the lease of the run under way be over, as if its worker had been silent for as long."""
        self.database.query(
            "UPDATE outbound.job_run SET lease_until = now() WHERE state = 'running' AND job_name = %s", JOB
        )

    def cut_database_connections(self, which: str = "true") -> None:
        """End connections of the worker inside the database server; `which` is SQL of the test."""
        with self.database.connect() as connection:
            cut = [pid for (pid,) in connection.execute(f"{_WORKERS} AND {which}".encode())]
            assert cut
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [cut])
            ended = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s)"
            processes.wait_until(lambda: self.database.value(ended, cut) == 0, "connections to end")

    def waits_for_a_lock(self) -> bool:
        """Say whether a connection of the worker waits for somebody's lock."""
        return bool(self.database.query(f"{_WORKERS} AND wait_event_type = 'Lock'"))

    def tries(self) -> list[Try]:
        """Return result and reason of every go of a worker at the job, oldest first."""
        return self.database.query(
            "SELECT result, reason FROM outbound.job_activity WHERE job = %s ORDER BY run_id, try_no", JOB
        )

    def counters(self) -> tuple[int, int]:
        """Return the job's successes and failures."""
        shown = "SELECT successes, failures FROM outbound.job_status WHERE name = %s"
        successes, failures = self.database.query(shown, JOB)[0]
        return successes, failures

    def ledger(self) -> list[tuple[Any, ...]]:
        """Return state, outcome and reason of every file that was taken, oldest first."""
        return self.database.query(
            "SELECT f.state, f.outcome, f.reason FROM outbound.import_file AS f"
            " JOIN outbound.job AS j USING (job_id) WHERE j.name = %s ORDER BY f.file_id",
            JOB,
        )

    def remote(self) -> list[str]:
        """Return the path of every file that is still on the server, in the job's folder and below."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def spooled(self) -> list[str]:
        """Return what is in the spool."""
        return sorted(path.name for path in self.worker.spool.glob("worker-*"))

    def half_made(self) -> list[Any]:
        """Return tables and entries of loads that are not over."""
        made = [name for _, name in catalog.tables(self.database) if name.startswith("sys_load_")]
        return made + self.database.query("SELECT load_id, run_id, try_no FROM outbound.load")

    def maintain(self) -> None:
        """Do the periodic duties."""
        self.database.query("CALL outbound.maintain()")

    def outcome(self) -> Outcome:
        """Return what the imports so far have left behind."""
        with self.database.connect() as connection:
            lists = connection.execute(
                "SELECT name, total, callable, flagged, closed, secured"
                " FROM outbound.list_status ORDER BY name"
            ).fetchall()
            tables = dict(connection.execute("SELECT name, table_name FROM outbound.list").fetchall())
            table = str(tables[self.way.target])
            counted = connection.execute(
                "SELECT rows_read, added, updated, unchanged, duplicates, rejected, warnings, records"
                " FROM outbound.import_file WHERE state IN ('published', 'done')"
                " ORDER BY file_id DESC LIMIT 1"
            ).fetchone()
            assert counted is not None
            return Outcome(
                lists,
                _digest(connection, "outbound_list", table, {"list_id"}),
                _digest(connection, "outbound_list", f"{table}_detail", {"list_id", "sys_id"}),
                _digest(connection, "outbound", "rejected_row", {"file_id"}),
                counted,
            )

    def everything(self) -> tuple[dict[str, list[Any]], list[str]]:
        """Return every row of every table, but for loads that are not over, and every file on the server."""
        rows = catalog.rows(self.database)
        of_loads = [name for name in rows if name == "outbound.load" or name.startswith("outbound_list.sys_")]
        return {name: rows[name] for name in rows if name not in of_loads}, self.remote()


def _digest(
    connection: psycopg.Connection[Any], schema: str, table: str, left_out: set[str]
) -> tuple[int, str]:
    """Return number and checksum of a table's rows, without the columns left out and without times."""
    columns = connection.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped AND attname <> ALL (%s)"
        " AND attname NOT IN ('sys_created_at', 'sys_updated_at') ORDER BY attnum",
        [sql.Identifier(schema, table).as_string(connection), list(left_out)],
    ).fetchall()
    row = sql.SQL("ROW({})").format(sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns))
    query = sql.SQL(
        """SELECT count(*), md5(string_agg(line, chr(10) ORDER BY line COLLATE "C"))
        FROM (SELECT {}::text AS line FROM {}) AS lines"""
    ).format(row, sql.Identifier(schema, table))
    number, checksum = connection.execute(query).fetchone() or (0, "")
    return number, checksum


def prepare(cluster: Cluster, server: SftpServer, keys: Keys, partner: Gpg, folder: Path) -> Parts:
    """Make the database to be copied, with contacts in the list `People`, and the partner's file."""
    database = cluster.create_database(_TEMPLATE, extension=True)
    database.query(f"CREATE ROLE {WORKER_ROLE} LOGIN IN ROLE outbound_worker")
    database.query("SELECT outbound.set_account(default_country => 'GB', character_set => 'utf-8')")
    database.query("SELECT outbound.create_inbox('Voice', 'call'), outbound.create_inbox('Mail', 'email')")
    database.query(
        "SELECT outbound.create_sftp_server('partner', %s, %s)", server.address, server.host_key_fingerprint
    )
    recipient = import_certificate(partner, keys)
    plain, sealed = folder / "people.csv", folder / FILE
    parts = Parts(cluster, server, keys)

    known = contacts.write(plain, KNOWN)
    partner.encrypt_file(plain, sealed, recipient)
    parts.sealed = sealed.read_bytes()
    case = _case(parts, Way("append_only"), database, folder)
    case.run()
    database.query("SELECT outbound.drop_job(%s)", JOB)
    database.query("SELECT outbound.prune_history(now() + interval '100 years')")

    halves = {"known": range(1, known.contacts + 1), "first": known.contacts + 1}
    contacts.write(plain, ROWS, flaws=contacts.FLAWS, **halves)
    partner.encrypt_file(plain, sealed, recipient)
    parts.sealed = sealed.read_bytes()
    return parts


@contextmanager
def open_case(parts: Parts, way: Way, folder: Path) -> Iterator[Case]:
    """Make a case: the file is there, nothing has run."""
    database = parts.cluster.create_database(template=_TEMPLATE)
    try:
        yield _case(parts, way, database, folder)
    finally:
        parts.cluster.drop_database(database.name)


def _case(parts: Parts, way: Way, database: Database, folder: Path) -> Case:
    remote = parts.server.mkdir(f"case-{next(_numbers)}")
    parts.server.mkdir(f"{remote.name}/done")
    files = {"operation": "equals", "name": FILE, "settle_seconds": 0}
    rules = {
        "action": "import_file",
        "connection": {
            "server": "partner",
            "user": parts.server.user,
            "authentication": "key",
            "directory": remote.name,
        },
        "files": files | ({"move_after_import_to": "done"} if way.moves else {}),
        "encryption": {"required": True},
        "append_type": way.append_type,
        "target_list": way.target,
        "columns": contacts.RULES,
        "identifier": "customer_id",
        "contact_name": "full_name",
    }
    database.query("SELECT outbound.create_job(%s, %s)", JOB, Jsonb(rules))
    worker = Worker(folder / remote.name, database, user=WORKER_ROLE)
    copy_secrets(parts.keys, worker)
    case = Case(parts, way, database, worker, remote)
    case.put()
    return case


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """Mount a file system of `size` bytes at a folder, private to whoever runs the tests."""
    owner = place.stat()
    options = f"size={size},mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    processes.run_as_root(["mount", "-t", "tmpfs", "-o", options, "outbound-test", place])
    try:
        yield
    finally:
        processes.run_as_root(["umount", "--lazy", place])


def fill(folder: Path) -> Path:
    """Write a file until the disk it is on is full, and return it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            return filler


def copy_of(worker: Worker, folder: Path) -> Worker:
    """Return another worker with the same keys and database, and a spool of its own."""
    other = Worker(folder, worker.database, user=worker.user)
    shutil.copytree(worker.secrets, other.secrets, dirs_exist_ok=True)
    return other
