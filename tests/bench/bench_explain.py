"""`outbound.explain` of contacts all over a list of 1,000,000, every second of which was attempted before."""

import time

from bench import lists
from bench.dialers import Session, dial, percentile
from bench.harness import CONTACTS, Bench

_CALLS = 4_000
_CONTACTS = """
SELECT c.sys_id FROM (
    (SELECT k.sys_id FROM {table} AS k WHERE k.sys_attempts > 0 ORDER BY hashtext(k.sys_id) LIMIT {half})
    UNION ALL
    (SELECT k.sys_id FROM {table} AS k WHERE k.sys_attempts = 0 ORDER BY hashtext(k.sys_id) LIMIT {half})
) AS c ORDER BY hashtext(c.sys_id)"""


def measure(bench: Bench) -> None:
    """Measure how long the answer takes."""
    half = bench.size(_CALLS) // 2
    dialed = lists.provide(bench, bench.size(CONTACTS), untouched=2 * half)
    dial(bench, dialed.campaign, half, dialers=1)
    contacts = dialed.query(_CONTACTS, half=half)
    text = "SELECT * FROM outbound.explain($1, $2, $3)"
    times = []
    bench.settle()
    with Session(bench.database, explain=text) as session:
        # What a session does once is not what an answer takes.
        session.run("explain", dialed.name, contacts[0][0], dialed.campaign)
        for (contact,) in contacts:
            began = time.perf_counter()
            answer = session.run("explain", dialed.name, contact, dialed.campaign)
            times.append(time.perf_counter() - began)
            if answer.ntuples == 0:
                raise RuntimeError(f"nothing is explained of contact {contact}")
    bench.figures.add("explain_p99_ms", percentile(times, 99) * 1e3, "ms", limit=5)
    bench.figures.add("explain_p50_ms", percentile(times, 50) * 1e3, "ms")
