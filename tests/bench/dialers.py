"""Dialers: `outbound dial --simulate` for throughput, a bare session for the cost of single calls.

The client must not be what is measured. `outbound dial` is one process for all dialers; a session here leaves
values as the server sent them, so that it spends next to nothing on its own side. While dialers work, the
periodic duties are done as often as the background worker does them.
"""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from bench.harness import Bench
from support.cluster import Database

#: Attempts that a claim asks for, but where claims of one are measured.
BATCH = 100
#: Seconds between two rounds of the periodic duties: what `pg_outbound.maintain_every` is by itself.
_MAINTAIN_EVERY = 15
#: Longest time that dialers may need for a number of attempts.
_PATIENCE = 3600
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


def dial(bench: Bench, campaign: str, attempts: int, *, dialers: int, batch: int = BATCH) -> dict[str, Any]:
    """Have simulated dialers make so many attempts with the usual results; return their report."""
    bench.settle()
    command = ["dial", "--campaign", campaign, "--simulate", "--final", "--seed", "1", "--json"]
    command += ["--dialers", str(dialers), "--batch", str(batch), "--limit", str(attempts)]
    report = bench.dialer.run(*command, seconds=_PATIENCE).json()
    if report["attempts"] != attempts or report["empty_claims"]:
        raise RuntimeError(f"{dialers} dialers were to make {attempts} attempts of {campaign}: {report}")
    return dict(report)


@contextmanager
def maintained(database: Database) -> Iterator[None]:
    """Do the periodic duties now and then until the end of the block; one that fails is an error."""
    over = threading.Event()

    def rounds() -> None:
        while not over.is_set():
            database.query("CALL outbound.maintain()")
            over.wait(_MAINTAIN_EVERY)

    with ThreadPoolExecutor(1) as pool:
        duties = pool.submit(rounds)
        try:
            yield
        finally:
            over.set()
        duties.result()
    failed = database.query("SELECT duty, message FROM outbound.maintenance_log")
    if failed:
        raise RuntimeError(f"periodic duties failed: {failed}")


@dataclass(frozen=True)
class Cost:
    """What calls cost: milliseconds until the answer was there, and those that the server computed."""

    ms: float
    cpu_ms: float


class Session:
    """A connection with prepared statements, whose values stay texts. A context manager."""

    def __init__(self, database: Database, **statements: str) -> None:
        """Connect, and prepare the statements under their names."""
        self.connection = database.connect()
        self._raw = self.connection.pgconn
        self._cpu = Path(f"/proc/{self.connection.info.backend_pid}/schedstat")
        for name, text in statements.items():
            self._checked(self._raw.prepare(name.encode(), text.encode()))

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.connection.close()

    def run(self, name: str, *values: str) -> PGresult:
        """Run a prepared statement."""
        return self._checked(self._raw.exec_prepared(name.encode(), [value.encode() for value in values]))

    def cpu_seconds(self) -> float:
        """Return how long the server's process of this session has computed so far."""
        return int(self._cpu.read_text().split()[0]) / 1e9

    def _checked(self, result: PGresult) -> PGresult:
        if result.status not in _DONE:
            raise RuntimeError((result.error_message or b"").decode())
        return result


class Dialer(Session):
    """A dialer that claims, and settles every attempt as not answered."""

    def __init__(self, database: Database, campaign: str) -> None:
        """Connect."""
        super().__init__(
            database,
            claim="SELECT * FROM outbound.claim($1, $2, 'bench')",
            settle="SELECT * FROM outbound.settle($1, ARRAY(SELECT 'noanswer' FROM unnest($1::bigint[])))",
        )
        self._campaign = campaign

    def claim(self, batch: int = BATCH) -> list[str]:
        """Claim, and return the attempts."""
        claimed = column(self.run("claim", self._campaign, str(batch)), 0)
        if len(claimed) != batch:
            raise RuntimeError(f"{len(claimed)} of {batch} attempts of {self._campaign} could be claimed")
        return claimed

    def settle(self, attempts: Sequence[str]) -> None:
        """Report that nobody answered."""
        self.run("settle", array(attempts))

    def turn(self) -> Cost:
        """Claim and settle once; return what the claim cost."""
        cpu, began = self.cpu_seconds(), time.perf_counter()
        claimed = self.claim()
        seconds, cpu = time.perf_counter() - began, self.cpu_seconds() - cpu
        self.settle(claimed)
        return Cost(seconds * 1e3, cpu * 1e3)


def column(result: PGresult, number: int) -> list[str]:
    """Return the values of a column."""
    return [(result.get_value(row, number) or b"").decode() for row in range(result.ntuples)]


def array(numbers: Sequence[str]) -> str:
    """Return numbers as PostgreSQL writes an array of them."""
    return "{" + ",".join(numbers) + "}"


def percentile(times: Sequence[float], percent: float) -> float:
    """Return the time that so many of a hundred do not exceed."""
    return sorted(times)[math.ceil(len(times) * percent / 100) - 1]
