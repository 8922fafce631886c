"""Starting programs so that none of them outlives the tests.

A child gets a signal from the kernel when the thread that started it ends, even when that was by
SIGKILL; so start long-lived children from the main thread. Whatever needs more than a signal (files
to remove, accounts to lock) registers with `at_end`.
"""

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

Argument = str | Path
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def is_root() -> bool:
    """Say whether the tests run as root."""
    return os.geteuid() == 0


def server_account() -> str:
    """Return the account PostgreSQL runs as: ours, or `postgres` when we are root."""
    return "postgres" if is_root() else pwd.getpwuid(os.geteuid()).pw_name


def identity(account: str) -> dict[str, Any]:
    """Return the keyword arguments that make `subprocess` run a program as `account`."""
    entry = pwd.getpwnam(account)
    if entry.pw_uid == os.geteuid():
        return {}
    groups = os.getgrouplist(account, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def run_as_root(command: Sequence[Argument], *, text: str | None = None) -> None:
    """Run a command as root, through sudo (without asking for a password) when we are not root."""
    sudo: list[Argument] = [] if is_root() else ["sudo", "-n"]
    run([*sudo, *command], text=text)


def run(
    command: Sequence[Argument],
    *,
    account: str | None = None,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command to its end and return its standard output; a failure shows both outputs."""
    who = identity(account) if account else {}
    done = subprocess.run(
        [str(part) for part in command],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd or ("/" if who else None),
        check=False,
        **who,
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise RuntimeError(f"{shown}: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def start(
    command: Sequence[Argument],
    *,
    account: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: IO[Any] | int = subprocess.DEVNULL,
    stderr: IO[Any] | int = subprocess.DEVNULL,
    at_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program that gets `at_death` when the starting thread ends.

    It is put in a session of its own, so an interrupt from the terminal reaches the tests alone, and
    they end it in order.
    """

    def bind_to_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(at_death), 0, 0, 0)

    who = identity(account) if account else {}
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=env,
        cwd=cwd or ("/" if who else None),
        start_new_session=True,
        preexec_fn=bind_to_parent,
        **who,
    )


def at_end(action: Callable[[], None]) -> None:
    """Have `action` run when Python ends, however the tests ended; it must bear being run twice."""
    atexit.register(action)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now; a caller that finds it taken asks again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until `condition` holds; after `seconds`, fail and say `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def remove(folder: Path) -> None:
    """Remove a folder and all in it; one that is gone already is fine."""
    shutil.rmtree(folder, ignore_errors=True)
