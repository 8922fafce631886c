"""The `outbound` program against a test's database, with a secret folder and a spool of its own.

    worker = Worker(folder, database)
    worker.run("keys", "init")
    with worker.start("run", "nightly", hold="publish.middle") as running:
        running.wait_until_held()
        running.kill()

Holding needs a debug build, which has the cargo feature `fault-points`: the worker then makes the
file named by OUTBOUND_FAULT_HOLD when it comes to the point named by OUTBOUND_FAULT_POINT, and waits
there until the file is gone.
"""

import json
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support import build, paths, processes
from support.cluster import SUPERUSER, Database


@dataclass(frozen=True)
class Finished:
    """How a run of the program ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Return standard output read as one JSON document."""
        return json.loads(self.stdout)


@dataclass
class Running:
    """A started program. A context manager that leaves nothing running."""

    process: subprocess.Popen[bytes]
    folder: Path
    hold: Path | None

    def wait_until_held(self, seconds: float = 60) -> None:
        """Wait until the program stands at its fault point; fail if it ends before."""
        hold = self.hold
        if hold is None:
            raise RuntimeError("the program was started without a point to hold at")
        processes.wait_until(lambda: hold.exists() or self._over, f"{hold.name} to be reached", seconds)
        if not hold.exists():
            ended = self.wait()
            raise RuntimeError(f"it ended (exit {ended.code}) before {hold.name}:\n{ended.stderr}")

    def release(self) -> None:
        """Let a held program go on."""
        if self.hold is not None:
            self.hold.unlink(missing_ok=True)

    def kill(self) -> Finished:
        """End it by SIGKILL, as a power cut would."""
        return self._signal(signal.SIGKILL)

    def terminate(self) -> Finished:
        """Ask it to end, by SIGTERM, and wait for it."""
        return self._signal(signal.SIGTERM)

    def wait(self, seconds: float = 120) -> Finished:
        """Wait for its end and return its outputs."""
        code = self.process.wait(seconds)
        return Finished(
            code,
            (self.folder / "stdout").read_text(errors="replace"),
            (self.folder / "stderr").read_text(errors="replace"),
        )

    def __enter__(self) -> Self:
        """Return the running program."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the program if it still runs."""
        if not self._over:
            self.kill()

    @property
    def _over(self) -> bool:
        return self.process.poll() is not None

    def _signal(self, which: signal.Signals) -> Finished:
        self.process.send_signal(which)
        return self.wait()


@dataclass
class Worker:
    """A set-up of the worker: one database, one secret folder, one spool."""

    folder: Path
    database: Database | None = None
    user: str = SUPERUSER
    profile: build.Profile = "debug"
    #: Added to the program's environment.
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the private folders."""
        for private in (self.secrets, self.spool):
            private.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def secrets(self) -> Path:
        """The secret folder (OUTBOUND_SECRETS)."""
        return self.folder / "secrets"

    @property
    def spool(self) -> Path:
        """The spool (OUTBOUND_SPOOL)."""
        return self.folder / "spool"

    def secret(self, name: str, value: str) -> None:
        """Put a secret in the folder, readable by its owner alone."""
        file = self.secrets / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(value)
        file.chmod(0o600)

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment the program runs in; nothing of the developer's own settings."""
        kept = {name: paths.environment()[name] for name in ("PATH", "HOME") if name in paths.environment()}
        where = self.database.environment(self.user) if self.database else {}
        own = {"OUTBOUND_SECRETS": str(self.secrets), "OUTBOUND_SPOOL": str(self.spool)}
        return kept | {"LC_ALL": "C.UTF-8"} | where | own | self.variables | dict(variables or {})

    def run(
        self,
        *arguments: str,
        code: int | None = 0,
        variables: Mapping[str, str] | None = None,
        seconds: float = 120,
    ) -> Finished:
        """Run the program to its end; an exit code other than `code` fails (`None`: any will do)."""
        with self.start(*arguments, variables=variables) as running:
            finished = running.wait(seconds)
        if code is not None and finished.code != code:
            shown = " ".join(arguments)
            raise AssertionError(
                f"outbound {shown}: exit {finished.code}, not {code}\n{finished.stdout}{finished.stderr}"
            )
        return finished

    def start(
        self, *arguments: str, hold: str | None = None, variables: Mapping[str, str] | None = None
    ) -> Running:
        """Start the program; `hold` names the fault point it shall stop and wait at."""
        folder = Path(tempfile.mkdtemp(prefix="try-", dir=self.folder))
        extra = dict(variables or {})
        place = None
        if hold is not None:
            place = folder / hold
            extra |= {"OUTBOUND_FAULT_POINT": hold, "OUTBOUND_FAULT_HOLD": str(place)}
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = processes.start(
                [build.worker(self.profile), *arguments],
                env=self.environment(extra),
                cwd=self.folder,
                stdout=stdout,
                stderr=stderr,
                at_death=signal.SIGKILL,
            )
        return Running(process, folder, place)
