"""Builds what the tests exercise, once in a session: the worker, and the extension for each major.

Cargo decides whether there is anything to do. What comes out is put in place by a rename, so that a
server or a test which still uses the former file keeps it whole, and under a lock, so that two
sessions in one checkout take turns. As a program (`python -m support.build debug worker 15 18`) it
builds the same things with Cargo's own messages.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from support import paths, processes

Profile = Literal["debug", "release"]


@cache
def worker(profile: Profile = "debug") -> Path:
    """Build the worker and return its path; only the debug build can be held at fault points."""
    arguments = ["--release"] if profile == "release" else ["--features", "fault-points"]
    with _lock():
        _cargo("build", "-p", "outbound", "--bin", "outbound", *arguments)
        place = paths.scratch() / "bin" / profile / "outbound"
        _put(paths.target() / profile / "outbound", place)
    return place


@cache
def model() -> Path:
    """Build the model test's program and return its path."""
    with _lock():
        _cargo("build", "-p", "outbound-model")
        place = paths.scratch() / "bin" / "debug" / "outbound-model"
        _put(paths.target() / "debug" / "outbound-model", place)
    return place


@cache
def install_extension(major: int, profile: Profile = "debug") -> None:
    """Build the extension for a major and install it into that major's private copy."""
    features = [] if major == 15 else ["--no-default-features"]
    staged = paths.scratch() / "package" / f"{major}-{profile}"
    pg_config = paths.postgres(major) / "bin" / "pg_config"
    with _lock():
        processes.remove(staged)
        arguments = ["--pg-config", str(pg_config), "--out-dir", str(staged), *features]
        if profile == "debug":
            arguments.append("--debug")
        _cargo("pgrx", "package", "-p", "pg_outbound", *arguments)
        libraries = Path(processes.run([pg_config, "--pkglibdir"]).strip())
        scripts = Path(processes.run([pg_config, "--sharedir"]).strip()) / "extension"
        for file in staged.rglob("pg_outbound*"):
            if file.is_file():
                _put(file, (libraries if file.suffix == ".so" else scripts) / file.name)


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(prog="support.build", description=__doc__)
    parser.add_argument("profile", choices=["debug", "release"])
    parser.add_argument("part", nargs="+", choices=["worker", "15", "18"])
    given = parser.parse_args()
    for part in given.part:
        if part == "worker":
            worker(given.profile)
        else:
            install_extension(int(part), given.profile)


def _cargo(*arguments: str) -> None:
    """Run Cargo; pytest captures its messages and shows them with the test that failed over it."""
    done = subprocess.run(
        ["cargo", *arguments],
        cwd=paths.TOP,
        env=paths.environment(),
        stdin=subprocess.DEVNULL,
        stdout=2,  # standard error: the number, which pytest captures too
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"cargo {' '.join(arguments)}: exit {done.returncode}")


def _put(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    arriving = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.copy(source, arriving)
    arriving.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    arriving.rename(place)


@contextmanager
def _lock() -> Iterator[None]:
    with (paths.scratch() / "build.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
