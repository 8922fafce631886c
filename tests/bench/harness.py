"""What every group measures with: one server for all sides, SFTP, GnuPG, the worker's release build.

The import under test is always the whole program: `outbound run JOB --json`, from its start to its end,
with an encrypted file on the SFTP server. Files are made and encrypted beforehand. Before each
measurement the server writes out what earlier ones left, so that nobody pays for somebody else.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from bench.figures import Figures
from support import contacts, paths, people
from support.cluster import Cluster, Database
from support.gpg import Gpg
from support.sshd import SftpServer
from support.worker import Worker

ROUNDS = 3
CONTACTS = 1_000_000
LARGE = 10_000_000
#: What the server has that a fresh installation has not.
SETTINGS = {"fsync": "on", "shared_buffers": "1GB", "max_wal_size": "8GB"}
LIST = "Bench"
#: Where figures, plans and tables of measurements are written.
OUTPUT = paths.scratch() / "bench"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Sealed:
    """An encrypted file, and what an import of it must report."""

    file: Path
    expected: contacts.Expected


@dataclass(frozen=True)
class Import:
    """One run of the worker: seconds from start to end, the most memory it had, its report."""

    seconds: float
    peak_mb: float
    report: dict[str, Any]

    @property
    def table(self) -> str:
        """The table of the contacts, in schema outbound_list."""
        return self.report["files"][0]["table"]


class Bench:
    """The parts, and how to measure an import with them."""

    def __init__(self, stack: ExitStack, scale: float) -> None:
        """Start the parts; `scale` is the share of the full size."""
        self.scale = scale
        self.figures = Figures()
        cluster = stack.enter_context(Cluster(profile="release", settings=SETTINGS))
        self.database = cluster.create_database("bench", extension=True)
        self.server = stack.enter_context(SftpServer())
        self.partner = stack.enter_context(Gpg())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=paths.scratch()))
        self.folder = Path(folder)
        self.worker = Worker(self.folder / "worker", self.database, user="loader", profile="release")
        self.dialer = Worker(self.folder / "dialer", self.database, user="dialer", profile="release")
        #: Imports of the main file into the list `LIST`, which holds the rows of the latest.
        self.imports: list[Import] = []
        self._sealed: dict[str, Sealed] = {}
        self._jobs: set[str] = set()
        self._set_up()

    def size(self, full: int) -> int:
        """Return a number of contacts at this scale."""
        return max(100, round(full * self.scale))

    def seconds(self, full: float) -> int:
        """Return a length of time at this scale."""
        return max(2, round(full * min(1, self.scale)))

    def sealed(
        self, name: str, rows: int, *, recipient: str = "", first: int = 1, known: Iterable[int] = ()
    ) -> Sealed:
        """Return a file of good rows, encrypted as GnuPG does by itself (for the worker's key)."""
        if name not in self._sealed:
            clear, file = self.folder / f"{name}.csv", self.folder / f"{name}.csv.gpg"
            expected = contacts.write(clear, rows, first=first, known=known)
            self.partner.encrypt_file(clear, file, recipient or self._worker_key)
            clear.unlink()
            self._sealed[name] = Sealed(file, expected)
        return self._sealed[name]

    def main_file(self) -> Sealed:
        """Return the file with all the contacts."""
        return self.sealed("main", self.size(CONTACTS))

    def import_main(self) -> Import:
        """Import the main file into a new list `LIST`, in place of an earlier one."""
        self.drop_list(LIST)
        self.imports.append(self.run(self.main_file(), LIST, "new_list_only"))
        return self.imports[-1]

    def imported(self, rounds: int = 1) -> Import:
        """Return an import of the main file, the list being there; the median one of `rounds`."""
        while len(self.imports) < rounds:
            self.import_main()
        return sorted(self.imports, key=lambda run: run.seconds)[len(self.imports) // 2]

    def run(self, sealed: Sealed, target: str, append_type: str) -> Import:
        """Put a file on the server, and measure the run that imports it."""
        job = self._job(target, append_type)
        self.server.put(f"{job}.csv.gpg", sealed.file)
        self.settle()
        started = time.monotonic()
        with self.worker.start("run", job, "--json") as running:
            peak = _Peak(running.process.pid)
            running.process.wait()
            seconds = time.monotonic() - started
            finished = running.wait()
        if finished.code != 0:
            raise RuntimeError(
                f"outbound run {job}: exit {finished.code}\n{finished.stdout}{finished.stderr}"
            )
        report = finished.json()
        counts, expected = report["files"][0], sealed.expected
        found = [counts["rows_read"], counts["added"], counts["updated"], counts["records_added"]]
        if found != [expected.rows, expected.added, expected.updated, expected.records_added]:
            raise RuntimeError(f"the file was made for {expected}, and the import counted {counts}")
        return Import(seconds, peak.mebibytes(), report)

    def settle(self) -> None:
        """Have the server write out what is pending."""
        self.database.query("CHECKPOINT")

    def drop_list(self, name: str) -> None:
        """Drop a list if it is there."""
        if self.database.query("SELECT 1 FROM outbound.list WHERE name = %s", name):
            self.database.query("SELECT outbound.drop_list(%s)", name)

    def timed(self, action: Callable[[], object]) -> float:
        """Return the seconds that something takes, after the server has settled."""
        self.settle()
        started = time.monotonic()
        action()
        return time.monotonic() - started

    def set_up_account(self, database: Database) -> None:
        """Set a database's account up as the one that everything is measured in."""
        database.query(
            "SELECT outbound.set_account(default_country => %s, character_set => 'utf-8')",
            people.DEFAULT_COUNTRY,
        )
        database.query(
            "SELECT outbound.create_inbox('Voice', 'call'), outbound.create_inbox('Mail', 'email')"
        )

    def _set_up(self) -> None:
        query = self.database.query
        query("CREATE ROLE loader LOGIN IN ROLE outbound_worker")
        query("CREATE ROLE dialer LOGIN IN ROLE outbound_dialer")
        self.worker.run("keys", "init")
        self.server.authorize(self.database.value("SELECT outbound.public_key('ssh')"))
        self.partner.import_key(self.database.value("SELECT outbound.public_key('pgp')"))
        keys = self.partner.run("--with-colons", "--list-keys").decode().splitlines()
        self._worker_key = next(line.split(":")[9] for line in keys if line.startswith("fpr:"))
        self.set_up_account(self.database)
        query(
            "SELECT outbound.create_sftp_server('partner', %s, %s)",
            f"sftp://127.0.0.1:{self.server.port}/",
            self.server.host_key_fingerprint,
        )

    def _job(self, target: str, append_type: str) -> str:
        job = f"{target}-{append_type}".replace(" ", "-")
        if job not in self._jobs:
            rules = {
                "action": "import_file",
                "connection": {"server": "partner", "user": self.server.user, "authentication": "key"},
                "files": {"operation": "equals", "name": f"{job}.csv.gpg", "settle_seconds": 0},
                "encryption": {"required": True},
                "append_type": append_type,
                "target_list": target,
                "columns": contacts.RULES,
                "identifier": "customer_id",
                "contact_name": "full_name",
            }
            self.database.query("SELECT outbound.create_job(%s, %s)", job, Jsonb(rules))
            self._jobs.add(job)
        return job


class _Peak:
    """The most resident memory of a process, as the kernel keeps it, looked up until the process ends."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/status")
        self._kibibytes = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def mebibytes(self) -> float:
        """Return the peak of a process that has ended."""
        self._thread.join()
        return self._kibibytes * 1024 / _MIB

    def _watch(self) -> None:
        while True:
            try:
                lines = self._file.read_text().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                return
            found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
            if not found:  # It has ended and nobody has waited for it yet.
                return
            self._kibibytes = max(self._kibibytes, int(found[0]))
            time.sleep(0.01)


def median(seconds: Iterable[float]) -> float:
    """Return the middle one of several measurements."""
    return statistics.median(seconds)
