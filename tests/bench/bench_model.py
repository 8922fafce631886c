"""The model test at length: random histories, three times those of `make test` for each of several seeds.

It is no measurement: a disagreement between the database and the model ends the bench, and prints the
history in its shortest form.
"""

import subprocess
import time

from bench.harness import Bench
from support import build

_STEPS = 10_000
_SEEDS = (2, 3, 4)


def measure(bench: Bench) -> None:
    """Play the histories, each on a database of its own."""
    program, steps, began = build.model(), bench.size(_STEPS), time.monotonic()
    for seed in _SEEDS:
        name = f"model_{seed}"
        database = bench.database.cluster.create_database(name, extension=True)
        arguments = ["--database", database.conninfo(), "--steps", str(steps), "--seed", str(seed)]
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"seed {seed} disagrees:\n{done.stderr}\n{done.stdout}")
        bench.database.cluster.drop_database(name)
        bench.figures.note(done.stdout.strip().splitlines()[-1])
    bench.figures.add("model_steps", len(_SEEDS) * steps, "steps that agree")
    bench.figures.add("model_steps_per_s", len(_SEEDS) * steps / (time.monotonic() - began), "steps/s")
