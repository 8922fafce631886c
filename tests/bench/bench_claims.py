"""Claim and settle in batches of 100 by 1, 2, 4 and 8 dialers, against a bare queue by one consumer.

The list has 1,000,000 contacts with 3 records each; no contact comes twice. The queue is one table, used as
pgmq uses its own: a batch is read with SKIP LOCKED and hidden for a while, then moved into an archive. It is
vacuumed before each of its turns; the list is not. Both take turns, so that a machine that slows down slows
both down, and the numbers of dialers change places from round to round.
"""

import time

from bench import lists
from bench.dialers import BATCH, Session, array, column, dial, maintained
from bench.harness import CONTACTS, ROUNDS, Bench, median

_DIALERS = (1, 2, 4, 8)
#: Attempts of one turn: all turns together use up nine tenths of the list.
_ATTEMPTS = 75_000

_QUEUE = (
    "CREATE SCHEMA bare",
    "CREATE TABLE bare.queue (id bigint PRIMARY KEY, read integer NOT NULL DEFAULT 0,"
    " entered_at timestamptz NOT NULL DEFAULT now(), visible_at timestamptz NOT NULL DEFAULT now(),"
    " message jsonb)",
    "CREATE INDEX ON bare.queue (visible_at)",
    "CREATE TABLE bare.archive (LIKE bare.queue, archived_at timestamptz DEFAULT now(), PRIMARY KEY (id))",
    "INSERT INTO bare.queue (id, message) SELECT i, jsonb_build_object('contact', 'C' || i,"
    " 'unit', '+44' || i, 'name', 'Name ' || i) FROM generate_series(1, %s) AS i",
)
_READ = """
WITH next AS (SELECT q.id FROM bare.queue AS q WHERE q.visible_at <= clock_timestamp() ORDER BY q.id LIMIT $1
              FOR UPDATE SKIP LOCKED)
UPDATE bare.queue AS q SET visible_at = clock_timestamp() + interval '120 s', read = q.read + 1
FROM next WHERE q.id = next.id RETURNING q.id, q.read, q.entered_at, q.visible_at, q.message"""
_ARCHIVE = """
WITH done AS (DELETE FROM bare.queue AS q WHERE q.id = ANY ($1) RETURNING q.*)
INSERT INTO bare.archive SELECT d.* FROM done AS d"""


def measure(bench: Bench) -> None:
    """Measure both, in turn."""
    attempts = bench.size(_ATTEMPTS)
    dialed = lists.provide(bench, bench.size(CONTACTS), untouched=attempts * ROUNDS * len(_DIALERS))
    _make_queue(bench, attempts * ROUNDS)
    rates: dict[int, list[float]] = {dialers: [] for dialers in _DIALERS}
    bare = []
    with maintained(bench.database):
        for turn in range(ROUNDS):
            for dialers in _DIALERS[turn:] + _DIALERS[:turn]:
                if dialers == 1:
                    bare.append(_consume(bench, attempts))
                report = dial(bench, dialed.campaign, attempts, dialers=dialers)
                rates[dialers].append(report["attempts_per_second"])
    bench.database.query("DROP SCHEMA bare CASCADE")
    figures, one, queue = bench.figures, median(rates[1]), median(bare)
    figures.add("claim_per_s_1", one, "attempts/s", least=15_000)
    figures.add("claim_per_s_2", median(rates[2]), "attempts/s", least=1.1 * one)
    for dialers in (4, 8):
        figures.add(f"claim_per_s_{dialers}", median(rates[dialers]), "attempts/s", least=one)
    figures.add("bare_queue_per_s", queue, "messages/s")
    figures.add("claim_ratio_bare_queue", one / queue, "times", least=0.35)


def _make_queue(bench: Bench, messages: int) -> None:
    for statement in _QUEUE[:-1]:
        bench.database.query(statement)
    bench.database.query(_QUEUE[-1], messages)


def _consume(bench: Bench, messages: int) -> float:
    """Read and archive so many messages; return how many a second."""
    bench.database.query("VACUUM (ANALYZE) bare.queue")
    bench.settle()
    done, began = 0, time.monotonic()
    with Session(bench.database, read=_READ, archive=_ARCHIVE) as session:
        while done < messages:
            batch = column(session.run("read", str(min(BATCH, messages - done))), 0)
            if not batch:
                raise RuntimeError(f"the queue was empty after {done} of {messages} messages")
            session.run("archive", array(batch))
            done += len(batch)
    return done / (time.monotonic() - began)
