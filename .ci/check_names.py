"""Checks that no file of the project names a package registry's host or a path of one machine.

Lock files, settings and documents are read on other machines, where another mirror answers and no such
folder exists. Looks at every text file that git has or would add; prints `file:line: what` and fails
when there is one.
"""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
HOSTS = (
    "pypi.org",
    "pythonhosted.org",
    "index.crates.io",
    "static.crates.io",
    "registry.npmjs.org",
    "proxy.golang.org",
    "deb.debian.org",
    "artifactory",
)
# A path is absolute when nothing that belongs to a longer path or an address stands before it.
HOME_FOLDERS = ("home", "root", "work", "Users")
FORBIDDEN = re.compile(
    "|".join(re.escape(host) for host in HOSTS) + rf"|(?<![\w.~$}}-])/(?:{'|'.join(HOME_FOLDERS)})/",
    re.IGNORECASE,
)


def files() -> list[Path]:
    """Return every file that git has, or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    )
    names = (TOP / name for name in listed.stdout.split("\0") if name)
    return [file for file in names if file.is_file() and file != Path(__file__).resolve()]


def findings(file: Path) -> list[str]:
    """Return a line for each forbidden name in a file; a file that is not text has none."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    return [
        f"{file.relative_to(TOP)}:{number}: {found.group()}"
        for number, line in enumerate(text.splitlines(), start=1)
        for found in FORBIDDEN.finditer(line)
    ]


def main() -> int:
    """Print the findings and return the exit code."""
    found = [finding for file in files() for finding in findings(file)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
