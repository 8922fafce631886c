"""Claims of one contact each, by 8 dialers at full speed, who settle each attempt before the next claim."""

from bench import lists
from bench.dialers import dial, maintained
from bench.harness import CONTACTS, ROUNDS, Bench, median

_ATTEMPTS = 20_000


def measure(bench: Bench) -> None:
    """Measure how long a claim takes."""
    attempts = bench.size(_ATTEMPTS)
    dialed = lists.provide(bench, bench.size(CONTACTS), untouched=attempts * ROUNDS)
    with maintained(bench.database):
        reports = [dial(bench, dialed.campaign, attempts, dialers=8, batch=1) for _ in range(ROUNDS)]
    add = bench.figures.add
    add("claim_single_p99_ms", median(report["claim_ms"]["p99"] for report in reports), "ms", limit=20)
    add("claim_single_p50_ms", median(report["claim_ms"]["p50"] for report in reports), "ms")
    add("claim_single_per_s", median(report["attempts_per_second"] for report in reports), "attempts/s")
