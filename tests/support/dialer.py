"""A dialer that behaves badly, as a program: it settles twice, gives back, holds on too long, loses attempts,
and goes on when its connection is cut. It notes what it was given and what it let go of, so that a test can
tell what was in its hands when it was killed.

    python -m support.dialer CONNINFO CAMPAIGN NAME SEED NOTES
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable
from typing import Any

import psycopg

RESULTS = (
    "busy",
    "noanswer",
    "machine",
    "abandoned",
    "failed",
    "success",
    "success",
    "wrong_party",
    "invalid",
)
#: Shares of the attempts that are given back, lost, and settled twice.
GIVEN_BACK, LOST, TWICE = 0.1, 0.04, 0.2
AT_ONCE = 12


class Dialer:
    """One dialer at work."""

    def __init__(self, conninfo: str, campaign: str, name: str, seed: int, notes: str) -> None:
        """Open the notes; connect later."""
        self.conninfo = conninfo
        self.campaign = campaign
        self.name = name
        self.draw = random.Random(seed)
        # What is written is written, whatever becomes of the process.
        self.notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.connection: psycopg.Connection[Any] | None = None
        self.stopping = False

    def note(self, kind: str, **facts: Any) -> None:
        """Write a line of the notes; moments are those of the machine's one clock."""
        os.write(self.notes, (json.dumps({"kind": kind, "at": time.monotonic()} | facts) + "\n").encode())

    def call(self, statement: str, *parameters: object) -> list[Any]:
        """Make a call, again when another was in the way, over a new connection when it is cut."""
        while True:
            try:
                if self.connection is None:
                    self.connection = psycopg.connect(
                        self.conninfo, autocommit=True, application_name=self.name
                    )
                return self.connection.execute(statement.encode(), parameters).fetchall()
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
                self.note("in the way", sqlstate=error.sqlstate, statement=statement)
            except psycopg.OperationalError as error:
                # Cut, or refused for a moment. What was claimed on it and never heard of ends with its lease.
                self.note("cut", sqlstate=error.sqlstate)
                self.connection = None
                time.sleep(0.05)

    def work(self) -> None:
        """Work until told to stop."""
        while not self.stopping:
            if not self.round():
                time.sleep(0.05)
        self.note("end")

    def round(self) -> int:
        """Claim, and do something with each attempt; return how many there were."""
        claimed = self.call(
            "SELECT attempt_id, contact_id FROM outbound.claim(%s, %s, %s)",
            # Now and then whatever campaign has something to do.
            self.campaign if self.draw.random() < 0.8 else None,
            self.draw.randint(1, AT_ONCE),
            self.name,
        )
        self.note("got", attempts=claimed)
        attempts = [attempt for attempt, _ in claimed]
        self.draw.shuffle(attempts)
        asked = [attempt for attempt in attempts if self.draw.random() < 0.6]
        answers = self.call("SELECT attempt_id, outcome FROM outbound.start(%s, %s)", asked, self.name)
        started = [attempt for attempt, outcome in answers if outcome == "started"]
        self.note("started", attempts=started)
        time.sleep(self.draw.choice((0, 0, 0.02)))
        given_back, lost, settled = self.parted(attempts, set(started))
        # From here on they may be anybody's; those that had not started were not ours alone before.
        self.note("let go", attempts=attempts)
        if given_back:
            self.call("SELECT * FROM outbound.release(%s, %s)", given_back, self.name)
        if lost and self.draw.random() < 0.5:
            self.call("SELECT * FROM outbound.extend(%s, now() + interval '5 s', %s)", lost, self.name)
        self.settle(settled)
        return len(claimed)

    def parted(self, attempts: Iterable[int], started: set[int]) -> tuple[list[int], list[int], list[int]]:
        """Part attempts into those given back, lost, and settled."""
        parts: tuple[list[int], list[int], list[int]] = ([], [], [])
        for attempt in attempts:
            chance = self.draw.random()
            if chance < LOST:
                parts[1].append(attempt)
            elif chance < LOST + GIVEN_BACK and attempt not in started:
                parts[0].append(attempt)
            else:
                parts[2].append(attempt)
        return parts

    def settle(self, attempts: list[int]) -> None:
        """Settle attempts, some of them once more, and end those that succeeded."""
        if not attempts:
            return
        results = [self.draw.choice(RESULTS) for _ in attempts]
        statement = "SELECT attempt_id, outcome FROM outbound.settle(%s, %s, NULL, %s, %s)"
        final = self.draw.random() < 0.1
        outcomes = dict(self.call(statement, attempts, results, final, self.name))
        if self.draw.random() < TWICE:
            order = list(range(len(attempts)))
            self.draw.shuffle(order)
            again = [attempts[place] for place in order]
            self.call(statement, again, [self.draw.choice(RESULTS) for _ in again], final, self.name)
        for attempt, result in zip(attempts, results, strict=True):
            if result == "success" and outcomes[attempt] == "settled" and not final:
                self.end_success(attempt)

    def end_success(self, attempt: int) -> None:
        """Finish a success, plan a callback, or leave it."""
        chance = self.draw.random()
        if chance < 0.3:
            self.call("SELECT * FROM outbound.schedule_callback(%s, now() + interval '0.5 s')", attempt)
        elif chance < 0.9:
            code = self.draw.choice((None, "again", "again", "wrong"))
            self.call("SELECT * FROM outbound.finish(%s, %s)", attempt, code)


def main() -> None:
    """Work as the command line says."""
    conninfo, campaign, name, seed, notes = sys.argv[1:]
    dialer = Dialer(conninfo, campaign, name, int(seed), notes)

    def stop(*_: object) -> None:
        dialer.stopping = True

    signal.signal(signal.SIGTERM, stop)
    try:
        dialer.work()
    except Exception as error:
        dialer.note("error", error=repr(error))
        raise


if __name__ == "__main__":
    main()
