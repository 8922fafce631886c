"""What another session does at the same time, step by step: begun, seen to wait for a lock, ended."""

import threading
from collections.abc import Callable
from typing import Any

from support import processes
from support.cluster import Database


def waiting(database: Database) -> int:
    """Return how many wait for a lock."""
    locked = """SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    return int(database.value(locked))


class Meanwhile:
    """Something that another does at the same time, and what came of it."""

    def __init__(self, action: Callable[[], Any]) -> None:
        """Begin."""
        self.answer: Any = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._act, args=(action,))
        self._thread.start()

    def _act(self, action: Callable[[], Any]) -> None:
        try:
            self.answer = action()
        except Exception as error:
            self.error = error

    def waits(self, database: Database, among: int = 1) -> None:
        """Wait until so many wait for a lock, of whom this must be one."""
        processes.wait_until(lambda: waiting(database) >= among, "a lock that is waited for")
        assert self._thread.is_alive()

    def waits_or_ends(self, database: Database, among: int) -> None:
        """Wait until so many wait for a lock, or this has ended."""
        processes.wait_until(
            lambda: waiting(database) >= among or not self._thread.is_alive(), "a lock or an end"
        )

    def ends(self) -> Any:
        """Wait for the end and return the answer."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.answer
