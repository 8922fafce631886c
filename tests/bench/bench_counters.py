"""The counters of a list of 10,000,000 contacts and of its campaign, read while 2 dialers work at full speed.

The counters are exact at every commit, so each answer is also checked: nobody may be missing from it.
"""

import time

from bench import lists
from bench.dialers import Session, maintained, percentile
from bench.harness import LARGE, Bench

#: Long enough for several rounds of the periodic duties, which make few rows of the counters' many.
_SECONDS = 40
#: Between two answers, so that reading does not keep the dialers from working.
_PAUSE = 0.02


def measure(bench: Bench) -> None:
    """Measure how long the answers take."""
    dialed = lists.provide(bench, bench.size(LARGE))
    times: dict[str, list[float]] = {"list": [], "campaign": []}
    command = ["dial", "--campaign", dialed.campaign, "--simulate", "--final", "--dialers", "2", "--json"]
    seconds = bench.seconds(_SECONDS)
    bench.settle()
    views = {view: f"SELECT total, name FROM outbound.{view}_status" for view in times}  # noqa: S608 (names above)
    with (
        maintained(bench.database),
        Session(bench.database, **views) as session,
        bench.dialer.start(*command, "--for", str(seconds)) as running,
    ):
        while running.process.poll() is None:
            for view, taken in times.items():
                began = time.perf_counter()
                answer = session.run(view)
                taken.append(time.perf_counter() - began)
                found = {answer.get_value(row, 1): answer.get_value(row, 0) for row in range(answer.ntuples)}
                if found.get(dialed.name.encode()) != str(dialed.contacts).encode():
                    raise RuntimeError(f"{dialed.contacts} contacts, and {view}_status says {found}")
            time.sleep(_PAUSE)
        finished = running.wait()
    if finished.code != 0:
        raise RuntimeError(f"the dialers failed: {finished.stderr}")
    report = finished.json()
    p99 = {view: percentile(taken, 99) * 1e3 for view, taken in times.items()}
    bench.figures.add("counters_10m_ms", max(p99.values()), "ms", limit=100)
    for view, taken in times.items():
        bench.figures.note(
            f"{view}_status: {len(taken)} answers, half within {percentile(taken, 50) * 1e3:.1f} ms,"
            f" 99 % within {p99[view]:.1f} ms, all within {max(taken) * 1e3:.1f} ms"
        )
    bench.figures.note(f"meanwhile {report['attempts_per_second']:,.0f} attempts/s")
