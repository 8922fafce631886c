"""Everything an import needs, running: a database, a worker with its keys, a folder on an SFTP server.

A test of bad input puts a bad file between good ones and asks `Site` what became of each: the ledger,
the activity, the refused rows, the lists, and whether anything was left lying about.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from support import catalog, lists
from support.cluster import Database
from support.gpg import Gpg
from support.sshd import SftpServer
from support.worker import Finished, Worker

#: What the worker logs in to the database as: it may do what `outbound_worker` may, and no more.
WORKER_ROLE = "outbound_test_etl"
HEADER = ",".join(lists.HEADER)


@dataclass
class Keys:
    """The secret folder of a worker that has its keys, to be copied, and their public halves."""

    secrets: Path

    @property
    def ssh(self) -> str:
        """The line for a server's `authorized_keys`."""
        return (self.secrets / "ssh_key.pub").read_text()

    @property
    def pgp(self) -> str:
        """The certificate partners encrypt to, armoured."""
        return (self.secrets / "pgp_key.asc").read_text()


@dataclass
class Site:
    """One test's database, worker and folder; `job` and `put` fill it, `run` runs the job."""

    database: Database
    worker: Worker
    server: SftpServer
    #: The folder of this test, below the server's own.
    folder: str
    #: What the list `Earlier` held when the test began.
    earlier: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Set the account up, enter the server, and make a list that must stay as it is."""
        lists.set_up_account(self.database)
        self.database.query("SELECT outbound.set_account(character_set => 'utf-8')")
        self.server.mkdir(self.folder)
        self.enter_server()
        lists.create_list(self.database, "Earlier")
        lists.add(self.database, "Earlier", lists.person("old", "+380441112200", "old@example.org", "Old"))
        self.earlier = self._list_earlier()

    @property
    def directory(self) -> Path:
        """The folder of this test, where the partner puts files."""
        return self.server.directory / self.folder

    def enter_server(self, name: str = "partner", address: str | None = None, **more: str) -> None:
        """Enter the server in the database, with its host key pinned unless `more` says otherwise."""
        given = more or {"host_key_fingerprint": self.server.host_key_fingerprint}
        self.database.query(
            "SELECT outbound.create_sftp_server(%s, %s, %s, %s)",
            name,
            address or self.server.address,
            given.get("host_key_fingerprint"),
            given.get("host_key_policy", "strict"),
        )

    def job(self, name: str = "job", **more: Any) -> None:
        """Make a job for the files of this test; sections of `more` are merged into the rules."""
        connection = {"user": self.server.user, "directory": self.folder} | more.pop("connection", {})
        rules = lists.rules(connection=connection, **more)
        self.database.query("SELECT outbound.create_job(%s, %s)", name, Jsonb(rules))

    def put(self, name: str, content: bytes, *, age: float = 3600) -> Path:
        """Put a file into the folder, last changed `age` seconds ago."""
        return self.server.put(f"{self.folder}/{name}", content, age=age)

    def files(self) -> dict[str, tuple[int, float]]:
        """Return size and time of change of every file below the server's folder, by path."""
        found = {}
        for path in sorted(self.directory.rglob("*")):
            facts = path.lstat()
            found[str(path.relative_to(self.directory))] = (facts.st_size, facts.st_mtime)
        return found

    def run(self, job: str = "job", *, code: int | None = 0, **more: Any) -> Finished:
        """Run the job in the foreground, with a report in JSON."""
        return self.worker.run("run", job, "--json", code=code, **more)

    def activity(self, columns: str = "result, reason") -> list[tuple[Any, ...]]:
        """Return lines of the activity, oldest first; the columns are SQL of the test."""
        return self.database.query(f"SELECT {columns} FROM outbound.job_activity ORDER BY run_id, try_no")  # noqa: S608

    def ledger(self, columns: str = "name, state, reason") -> list[tuple[Any, ...]]:
        """Return the files taken so far, in order; the columns are SQL of the test."""
        return self.database.query(f"SELECT {columns} FROM outbound.import_file ORDER BY file_id")  # noqa: S608

    def refused(self, columns: str = "line_number, reason") -> list[tuple[Any, ...]]:
        """Return what was reported of rows, in order; the columns are SQL of the test."""
        return self.database.query(
            f"SELECT {columns} FROM outbound.rejected_row ORDER BY file_id, line_number, column_name"  # noqa: S608
        )

    def lists(self) -> dict[str, int]:
        """Return the lists made by the test and how many contacts each has."""
        found = self.database.query("SELECT name, total FROM outbound.list_status WHERE name <> 'Earlier'")
        return dict(found)

    def nothing_is_left(self) -> None:
        """Check that no half-made thing remains and that the earlier list is as it was."""
        made = [name for _, name in catalog.tables(self.database) if name.startswith("sys_load_")]
        assert made == []
        assert self.database.value("SELECT count(*) FROM outbound.load") == 0
        assert self.database.value("SELECT count(*) FROM outbound.job_run WHERE state <> 'finished'") == 0
        assert (
            self.database.value(
                "SELECT count(*) FROM outbound.import_file WHERE state IN ('taken', 'published')"
            )
            == 0
        )
        assert sorted(path.name for path in self.worker.spool.glob("worker-*")) == []
        assert self._list_earlier() == self.earlier

    def _list_earlier(self) -> list[Any]:
        table = lists.table_of(self.database, "Earlier")
        return [lists.rows(self.database, name, "*") for name in (table, f"{table}_detail")]


def make_site(database: Database, folder: Path, server: SftpServer, keys: Keys, name: str) -> Site:
    """Return a site whose worker has a copy of `keys`; `name` is its folder on the server."""
    with database.connect() as connection:
        known = connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", [WORKER_ROLE])
        if known.fetchone() is None:
            connection.execute(f"CREATE ROLE {WORKER_ROLE} LOGIN IN ROLE outbound_worker")
    worker = Worker(folder, database, user=WORKER_ROLE)
    copy_secrets(keys, worker)
    return Site(database, worker, server, name)


def copy_secrets(keys: Keys, worker: Worker) -> None:
    """Give a worker the keys."""
    for file in keys.secrets.iterdir():
        shutil.copy(file, worker.secrets / file.name)


def csv(*lines: str, header: str = HEADER, end: str = "\r\n") -> bytes:
    """Return a CSV file of these lines."""
    return "".join(line + end for line in (header, *lines)).encode()


def people(start: str, count: int) -> Sequence[str]:
    """Return lines of good people whose identifiers begin with `start`."""
    return [
        f"{start}-{number},Name {number},+38044111{number:04},{start}{number}@example.org"
        for number in range(count)
    ]


def import_certificate(partner: Gpg, keys: Keys) -> str:
    """Make the worker's certificate known to a partner and return its fingerprint."""
    partner.import_key(keys.pgp)
    listing = partner.run("--with-colons", "--show-keys", content=keys.pgp.encode()).decode()
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))


BEFORE, AFTER = csv(*people("before", 2)), csv(*people("after", 3))
#: The file between those two.
BAD = "contacts bad.csv"


def surround(site: Site, seal: Callable[[bytes], bytes] = bytes) -> None:
    """Put a good file before the bad one and one after it."""
    site.put("contacts before.csv", seal(BEFORE), age=7200)
    site.put("contacts after.csv", seal(AFTER), age=1800)


def others_are_imported(site: Site) -> None:
    """Check that both good files were imported and disposed of, and nothing else was made."""
    assert site.lists() == {"contacts before": 2, "contacts after": 3}
    assert [line[:2] for line in site.ledger() if line[0] != BAD] == [
        ("contacts before.csv", "done"),
        ("contacts after.csv", "done"),
    ]
    site.nothing_is_left()
