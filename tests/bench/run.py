"""`make bench`: every figure as a line `name = value unit`, all of them in one JSON file.

SCALE=0.1 measures with a tenth of the contacts (the limits hold at full scale); ONLY=append measures one
group. The groups are the modules `bench_…` beside this one; those that take their time run only when they are
named (`make soak`).
"""

import os
import sys
import time
from contextlib import ExitStack

from bench import (
    bench_append,
    bench_claim_flat,
    bench_claim_single,
    bench_claims,
    bench_counters,
    bench_explain,
    bench_handwritten,
    bench_import,
    bench_memory,
    bench_model,
    bench_soak,
)
from bench.figures import machine
from bench.harness import CONTACTS, OUTPUT, ROUNDS, SETTINGS, Bench
from support import paths

GROUPS = {
    "import": bench_import.measure,
    "handwritten": bench_handwritten.measure,
    "append": bench_append.measure,
    "memory": bench_memory.measure,
    "claims": bench_claims.measure,
    "claim_single": bench_claim_single.measure,
    "explain": bench_explain.measure,
    "claim_flat": bench_claim_flat.measure,
    "counters": bench_counters.measure,
    "model": bench_model.measure,
}
#: Run when they are named, never with the others.
APART = {"soak": bench_soak.measure}


def main() -> int:
    """Measure the groups; answer 1, with the reason, if one cannot be measured."""
    scale, only = float(os.environ.get("SCALE") or 1), os.environ.get("ONLY") or ""
    groups = {only: (GROUPS | APART).get(only)} if only else GROUPS
    if None in groups.values():
        print(f"There is no group {only!r}; there are {', '.join(GROUPS | APART)}.", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            bench = Bench(stack, scale)
            about = machine(bench.database, bench.worker)
            about |= {
                "settings": ", ".join(f"{name} = {value}" for name, value in SETTINGS.items()),
                "contacts": f"{bench.size(CONTACTS):,} (scale {scale:g})",
                "figures": f"median of {ROUNDS} runs, memory the most; single calls and large lists: one run",
            }
            for name, value in about.items():
                print(f"# {name}: {value}", flush=True)
            for name, measure in groups.items():
                print(f"# --- {name}", flush=True)
                measure(bench)
            file = OUTPUT / ("soak.json" if only in APART else "figures.json")
            bench.figures.write(file, about | {"scale": scale, "groups": only or "all"})
    except (RuntimeError, AssertionError, TimeoutError) as failure:
        print(f"The bench failed: {failure}", file=sys.stderr)
        return 1
    print(f"# {time.monotonic() - started:.0f} s in all; {file.relative_to(paths.TOP)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
