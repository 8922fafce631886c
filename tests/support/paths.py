"""Where the checkout, its scratch folder and the private PostgreSQL copies are.

`.ci/env.sh` decides that, for shell and Python alike. Under `make` its variables are already in the
environment; a bare `pytest` asks the script once.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


@cache
def environment() -> dict[str, str]:
    """Return the environment that builds and servers run in: ours plus what `.ci/env.sh` exports."""
    if os.environ.get("OUTBOUND_TOP") == str(TOP):
        return dict(os.environ)
    script = f". {TOP}/.ci/env.sh && env -0"
    answer = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    return dict(entry.split("=", 1) for entry in answer.stdout.split("\0") if "=" in entry)


def scratch() -> Path:
    """Return the git-ignored folder of the checkout for what only the tests themselves read."""
    folder = TOP / ".run"
    folder.mkdir(exist_ok=True)
    return folder


def servers() -> Path:
    """Return the folder that the servers' own users can reach (see `.ci/env.sh`)."""
    return Path(environment()["OUTBOUND_SERVERS"])


def server_data() -> Path:
    """Return the folder in which throw-away servers keep their data; anyone may add to it."""
    return existing(servers() / "data")


def postgres(major: int) -> Path:
    """Return the private copy of PostgreSQL `major`; its programs are in `bin`."""
    return existing(servers() / f"postgresql-{major}")


def target() -> Path:
    """Return Cargo's target folder."""
    return Path(environment().get("CARGO_TARGET_DIR") or TOP / "target")


def existing(path: Path) -> Path:
    """Return `path`, or say how to get it."""
    if not path.exists():
        raise RuntimeError(f"{path} is missing: run .ci/setup.sh (or make test, which does)")
    return path
