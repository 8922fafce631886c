"""Dialers at full speed for half an hour on one list of 1,000,000 contacts (`make soak`, SOAK_MINUTES=5).

Nobody is ever reached, so the list never ends: every contact comes back after the least time between two
attempts, by a clock of the dialers' own that moves on when nothing is left at its moment. What must not
happen is that the server slows down by what attempts leave behind: dead rows, entries in indexes, memory of
its processes.
"""

import datetime
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import lists
from bench.dialers import BATCH, maintained
from bench.harness import CONTACTS, Bench, median
from bench.lists import DialedList
from support.cluster import Database

_CAMPAIGN = "Soak"
_MINUTES = 30
_DIALERS = 4
#: Looks at the server over the whole time.
_LOOKS = 60
_RESULTS = {"noanswer": 0.6, "busy": 0.25, "machine": 0.15}

_TABLES = """
SELECT s.n_dead_tup, s.vacuum_count + s.autovacuum_count, pg_total_relation_size(s.relid)
FROM pg_stat_user_tables AS s WHERE s.schemaname = 'outbound_list' AND s.relname = %s"""
_COUNTERS = "SELECT count(*) FROM outbound.contact_count"
_CLAIMED = "SELECT last_value FROM outbound.attempt_id_seq"
_PROCESSES = "SELECT pid FROM pg_stat_activity WHERE usename = 'dialer'"


@dataclass(frozen=True)
class Look:
    """What was found at one moment."""

    claimed: int
    #: Dead rows as a share of the contacts, and of the records.
    dead: tuple[float, float]
    vacuums: int
    size_mb: float
    counters: int
    #: Memory that is one process's own, of the largest.
    process_mb: float


def measure(bench: Bench) -> None:
    """Let dialers work, and look at the server now and then."""
    seconds = max(_LOOKS, round(60 * float(os.environ.get("SOAK_MINUTES") or _MINUTES)))
    dialed = lists.provide(bench, bench.size(CONTACTS), untouched=bench.size(CONTACTS))
    lists.start_campaign(bench.database, _CAMPAIGN, dialed.name, attempt_control=None)
    bench.settle()
    looks, rates = [_look(bench.database, dialed)], []
    with (
        maintained(bench.database),
        bench.dialer.start("dial", *_arguments(), "--for", str(seconds)) as running,
    ):
        began = latest = time.monotonic()
        for number in range(1, _LOOKS + 1):
            # The last look comes before the dialers end.
            time.sleep(max(0, began + (number - 0.2) * seconds / _LOOKS - time.monotonic()))
            if running.process.poll() is not None:
                raise RuntimeError(f"the dialers ended too early: {running.wait()}")
            looks.append(_look(bench.database, dialed))
            now = time.monotonic()
            rates.append((looks[-1].claimed - looks[-2].claimed) / (now - latest))
            latest = now
            bench.figures.note(_told(looks[-1], rates[-1], now - began))
        report = running.wait().json()
    if report["dropped"] or report["ended"] != "time":
        raise RuntimeError(f"the dialers ended otherwise than by time: {report}")
    _tell(bench, rates, looks[1:])


def _arguments() -> list[str]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    arguments = ["--campaign", _CAMPAIGN, "--simulate", "--json", "--clock", now]
    arguments += ["--dialers", str(_DIALERS), "--batch", str(BATCH)]
    for result, probability in _RESULTS.items():
        arguments += [f"--{result}", str(probability)]
    return arguments


def _look(database: Database, dialed: DialedList) -> Look:
    contacts, records = (database.query(_TABLES, dialed.table + part)[0] for part in ("", "_detail"))
    processes = [_own_memory(pid) for (pid,) in database.query(_PROCESSES)]
    return Look(
        claimed=database.value(_CLAIMED),
        dead=(contacts[0] / dialed.contacts, records[0] / (3 * dialed.contacts)),
        vacuums=contacts[1] + records[1],
        size_mb=(contacts[2] + records[2]) / 1024**2,
        counters=database.value(_COUNTERS),
        process_mb=max(processes, default=0),
    )


def _own_memory(pid: int) -> float:
    """Return the MiB that a process shares with nobody, as far as they are memory and no file."""
    found = re.search(r"^Anonymous:\s*(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0


def _told(look: Look, rate: float, seconds: float) -> str:
    return (
        f"{seconds / 60:5.1f} min: {rate:,.0f} attempts/s; dead rows {look.dead[0]:.0%} of the contacts and"
        f" {look.dead[1]:.0%} of the records, {look.vacuums} vacuums; list {look.size_mb:,.0f} MiB;"
        f" {look.counters:,} rows of counters; largest process {look.process_mb:.0f} MiB"
    )


def _tell(bench: Bench, rates: Sequence[float], looks: Sequence[Look]) -> None:
    tenth, third = len(rates) // 10, len(looks) // 3
    start, end = median(rates[:tenth]), median(rates[-tenth:])
    worst = [max(*look.dead) for look in looks]
    early, late = looks[:third], looks[-third:]
    add = bench.figures.add
    add("soak_start_per_s", start, "attempts/s")
    add("soak_end_per_s", end, "attempts/s")
    add("soak_end_over_start", end / start, "times", least=0.8)
    add("soak_dead_rows", 100 * max(worst), "% of the live ones, at most")
    add("soak_dead_growth", max(worst[-third:]) / max(*worst[:third], 0.01), "times", limit=1.5)
    add("soak_size_growth", late[-1].size_mb / early[-1].size_mb, "times", limit=1.5)
    add("soak_process_growth", late[-1].process_mb / early[-1].process_mb, "times", limit=1.5)
