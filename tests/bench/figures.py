"""Figures: printed as they come, one `name = value unit` a line, and written to one JSON file at the end."""

import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster import Database
from support.worker import Worker


@dataclass
class Figures:
    """The figures of one bench run, in the order they came."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(
        self, name: str, value: float, unit: str, *, limit: float | None = None, least: float | None = None
    ) -> None:
        """Print a figure and keep it; `limit` is the most it may be at full scale, `least` the least."""
        shown, bounds = _rounded(value), {"limit": limit, "least": least}
        given = {bound: _rounded(number) for bound, number in bounds.items() if number is not None}
        self.values[name] = {"value": shown, "unit": unit} | given
        words = {"limit": "at most", "least": "at least"}
        wanted = "".join(f"  ({words[bound]} {number:,})" for bound, number in given.items())
        print(f"{name} = {shown} {unit}{wanted}", flush=True)

    def note(self, text: str) -> None:
        """Print what explains figures and is none."""
        print(f"#   {text}", flush=True)

    def write(self, file: Path, about: dict[str, Any]) -> None:
        """Write the figures, and what they were measured on."""
        file.parent.mkdir(parents=True, exist_ok=True)
        document = {"about": about, "figures": self.values}
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) < 100 else round(value)


def machine(database: Database, worker: Worker) -> dict[str, str]:
    """Name the machine and the versions of everything that takes part."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) / 1024**2:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "postgresql": database.value("SHOW server_version"),
        "pg_outbound": database.value("SELECT outbound.extension_version()"),
        "outbound": worker.run("--version").stdout.strip(),
        "gnupg": _first_line("gpg", "--version"),
        "openssh": _first_line("ssh", "-V"),
        "rust": _first_line("rustc", "--version"),
        "python": platform.python_version(),
    }


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]
