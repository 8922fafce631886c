"""Random histories against a database and against a model of the rules (contact-lists §13).

The program is `tests/model`; a history that shows a disagreement is printed in its shortest form and is
run again with `outbound-model --database … --replay FILE`.
"""

import subprocess

from support import build
from support.cluster import Database

STEPS = 3000


def test_random_histories_agree_with_the_model(database: Database) -> None:
    program = build.model()
    arguments = ["--database", database.conninfo(), "--steps", str(STEPS), "--seed", "1"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    assert done.stdout.endswith(", seed 1: agree\n")
