"""How the demonstration speaks: chapters, the commands as a user types them, and what they answer."""

import re
import textwrap

from support.cluster import Database

WIDTH = 98
_COMMAND = "\x1b[1m{}\x1b[0m"


class Story:
    """Prints to standard output; commands are bold on a terminal."""

    def __init__(self, *, bold: bool) -> None:
        """Start at chapter 1."""
        self._bold = bold
        self._chapter = 0

    def chapter(self, title: str, text: str) -> None:
        """Begin a chapter: a number, a title, and a few sentences."""
        self._chapter += 1
        self._command(f"\n{self._chapter}. {title}:", text)

    def say(self, text: str) -> None:
        """Print a paragraph."""
        print(textwrap.fill(text, WIDTH))

    def shell(self, command: str, answer: str = "", lines: int = 4) -> None:
        """Print a command of the shell and the first lines of its answer."""
        self._command(f"$ {command}")
        for line in answer.rstrip().splitlines()[:lines]:
            print(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="      "))

    def sql(self, database: Database, query: str) -> None:
        """Print a query as typed into psql, run it there, and print its table."""
        self.typed(query)
        layout = ["-P", "footer=off", "-P", "format=wrapped", "-P", f"columns={WIDTH}", "-P", "null=-"]
        table = database.psql(query, *layout).rstrip("\n")
        print(re.sub(r"[ \t]+$", "", table, flags=re.MULTILINE))

    def typed(self, query: str) -> None:
        """Print a query as typed into psql, without its answer."""
        first, *others = query.strip().splitlines()
        self._command("\n".join([f"=> {first}", *(f"   {line}" for line in others)]))

    def _command(self, command: str, text: str = "") -> None:
        if text:
            shown = textwrap.fill(f"{command.strip()} {text}", WIDTH)
            shown = shown.replace(command.strip(), self._strong(command.strip()), 1)
            print(f"\n{shown}" if command.startswith("\n") else shown)
        else:
            print(self._strong(command))

    def _strong(self, text: str) -> str:
        return _COMMAND.format(text) if self._bold else text
