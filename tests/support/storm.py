"""Everything that goes on at one list at once: dialers that behave well and badly, kills, cut connections,
stopped and started campaigns, uploads, operators, periodic duties. And what must hold afterwards.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from support import build, paths, processes
from support.cluster import Database
from support.dialing import create_campaign, create_people, dialer_role, people
from support.worker import Worker

CONTACTS = 800
#: Dialers of each campaign; together they are 16.
BAD_DIALERS, GOOD_DIALERS = 6, 2
#: Seconds: the shortest lease there is.
LEASE = 10
#: So much must have happened that it means something.
MANY = 500
LIMITS: dict[str, dict[str, Any]] = {
    "spring": {"max_per_contact": 4, "max_per_conversation": 3, "minimum_minutes": 0},
    "summer": {
        "max_per_contact": 9,
        "max_call": 7,
        "minimum_minutes": 0,
        "categories": {"busy": {"max_attempts": 2}, "machine": {"minutes": 1}},
    },
}
#: Written by the list's own tables: there is one order of what happened to a contact, whoever did it.
AUDIT = """
    CREATE TABLE public.audit (n bigint GENERATED ALWAYS AS IDENTITY, contact text, before bigint,
        after bigint, campaign bigint, previous text, code text, attempts int, attempts_call int);
    CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.audit (contact, before, after, campaign, previous, code, attempts, attempts_call)
        VALUES (OLD.sys_id, OLD.sys_open_attempt_id, NEW.sys_open_attempt_id, NEW.sys_open_campaign_id,
                NEW.sys_open_previous, OLD.sys_status, OLD.sys_attempts, OLD.sys_attempts_call);
        RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER UPDATE ON outbound_list.people FOR EACH ROW
    WHEN (OLD.sys_open_attempt_id IS DISTINCT FROM NEW.sys_open_attempt_id) EXECUTE FUNCTION public.audit();
    CREATE TABLE public.audit_record (n bigint GENERATED ALWAYS AS IDENTITY, contact text, record bigint,
        code text, attempts int, busy int);
    CREATE FUNCTION public.audit_record() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.audit_record (contact, record, code, attempts, busy)
        VALUES (OLD.sys_contact_id, OLD.sys_id, OLD.sys_status, OLD.sys_attempts, OLD.sys_attempts_busy);
        RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER UPDATE ON outbound_list.people_detail FOR EACH ROW
    WHEN (NEW.sys_status = 'I' AND OLD.sys_status <> 'I') EXECUTE FUNCTION public.audit_record();
"""


@dataclass
class Storm:
    """Everything that goes on at one list at once."""

    database: Database
    folder: Path
    over: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)
    dialers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    draw: random.Random = field(default_factory=lambda: random.Random(5))

    def start_dialer(self, name: str) -> None:
        """Start one that behaves badly; its campaign is in its name."""
        arguments = (self.database.conninfo(), name.split("-")[0], name, str(self.draw.random())[2:10])
        with (self.folder / "errors").open("ab") as errors:
            self.dialers[name] = processes.start(
                [sys.executable, "-m", "support.dialer", *arguments, self.folder / f"{name}.notes"],
                env=paths.environment() | {"PYTHONPATH": str(paths.TOP / "tests")},
                stderr=errors,
                at_death=signal.SIGKILL,
            )

    def repeat(self, action: Callable[[psycopg.Connection[Any]], None], pause: float) -> threading.Thread:
        """Do something over one connection again and again until the storm is over."""

        def repeated() -> None:
            draw = random.Random(repr(action))
            with self.database.connect() as connection:
                while not self.over.wait(pause * draw.random() * 2):
                    try:
                        action(connection)
                    except Exception as error:
                        self.problems.append(f"{action}: {error!r}")

        thread = threading.Thread(target=repeated)
        thread.start()
        return thread

    def stop_and_start(self, connection: psycopg.Connection[Any]) -> None:
        """Switch a campaign off and on; nothing that it had not started may outlast the first."""
        name = self.draw.choice(list(LIMITS))
        connection.execute("SELECT outbound.stop_campaign(%s)", [name])
        held = """SELECT count(*) FROM outbound_list.people AS k JOIN outbound.campaign AS c
                  ON c.campaign_id = k.sys_open_campaign_id
                  WHERE k.sys_status = 'I' AND k.sys_open_started_at IS NULL AND c.name = %s"""
        if (found := connection.execute(held, [name]).fetchone()) != (0,):
            self.problems.append(f"claims of {name} outlasted it: {found}")
        time.sleep(0.1)
        connection.execute("SELECT outbound.start_campaign(%s)", [name])

    def upload(self, connection: psycopg.Connection[Any]) -> None:
        """Add contacts, and change and renumber some that are there."""
        first = self.draw.randrange(CONTACTS + 200)
        changed = people(8, first)
        for person in changed[:4]:
            person["Mobile"] = self.draw.choice(("", person["Phone"].replace("+38044", "+38050")))
            person["Balance"] = str(self.draw.randrange(100))
        rows = Jsonb(changed)
        kind = self.draw.choice(("append_only", "append_and_update", "append_and_update"))
        connection.execute("SELECT outbound.add_contacts('people', %s, %s)", [rows, kind])

    def operate(self, connection: psycopg.Connection[Any]) -> None:
        """Reset or exclude somebody, unless it is busy."""
        contact = f"c{self.draw.randrange(CONTACTS):06}"
        call = self.draw.choice(("reset", "reset", "exclude"))
        with suppress(psycopg.errors.ObjectInUse):
            connection.execute(f"SELECT outbound.{call}('people', %s)".encode(), [contact])

    def maintain(self, connection: psycopg.Connection[Any]) -> None:
        """Do the periodic duties."""
        connection.execute("CALL outbound.maintain()")

    def kill(self) -> None:
        """Kill one dialer and start it again, or cut its connection."""
        name = self.draw.choice(list(self.dialers))
        if self.draw.random() < 0.5:
            self.dialers[name].kill()
            self.dialers[name].wait()
            self.start_dialer(name)
        else:
            self.database.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", name
            )

    def notes(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Return the notes of each dialer; a killed one may have left its last line unfinished."""
        for file in sorted(self.folder.glob("*.notes")):
            lines = file.read_text().split("\n")
            yield file.stem, [json.loads(line) for line in lines[:-1]]

    def rage(self, seconds: float) -> None:
        """Let everything happen at once, for a while, and end it."""
        good = Worker(self.folder / "good", self.database, user=dialer_role(self.database))
        build.worker(good.profile)
        for name in LIMITS:
            for number in range(BAD_DIALERS):
                self.start_dialer(f"{name}-{number}")
        threads = [
            self.repeat(self.stop_and_start, 0.3),
            self.repeat(self.upload, 0.15),
            self.repeat(self.upload, 0.15),
            self.repeat(self.operate, 0.05),
            self.repeat(self.maintain, 0.2),
            self.repeat(self.maintain, 0.2),
        ]
        with ExitStack() as stack:
            programs = []
            for name in LIMITS:
                arguments = (
                    "dial",
                    "--simulate",
                    "--campaign",
                    name,
                    "--dialers",
                    str(GOOD_DIALERS),
                    "--batch",
                    "7",
                )
                more = ("--start", "--wrap-up", "again", "--callback", "0.2")
                programs.append(stack.enter_context(good.start(*arguments, *more)))
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(0.3)
                self.kill()
            programs[0].kill()
            programs[1].terminate()
        self.over.set()
        for thread in threads:
            thread.join()
        for dialer in self.dialers.values():
            dialer.terminate()
        for dialer in self.dialers.values():
            dialer.wait(20)

    def in_the_way(self) -> int:
        """Return how often a dialer's call failed because another transaction was in its way."""
        return sum(note["kind"] == "in the way" for _, notes in self.notes() for note in notes)

    def end(self) -> None:
        """End whatever still goes on."""
        self.over.set()
        for dialer in self.dialers.values():
            dialer.kill()

    # --- what must hold afterwards ---

    def nothing_was_in_two_hands(self) -> None:
        """Check that no contact was anybody else's while a dialer had an attempt of it started."""
        # What has not started is given back when its campaign is stopped, whoever holds it.
        hands: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
        for name, notes in self.notes():
            contacts: dict[int, str] = {}
            held: dict[int, float] = {}
            for note in notes:
                if note["kind"] == "got":
                    # A dialer that was killed holds nothing any more when it is started again.
                    contacts, held = dict(note["attempts"]), {}
                elif note["kind"] == "started":
                    held = dict.fromkeys(note["attempts"], note["at"])
                elif note["kind"] == "let go":
                    for attempt, since in held.items():
                        # Longer than its lease nothing is anybody's.
                        until = min(note["at"], since + LEASE - 1)
                        hands[contacts[attempt]].append((since, until, name))
        assert sum(map(len, hands.values())) > MANY
        for contact, spans in hands.items():
            spans.sort()
            for (_, until, first), (since, _, second) in pairwise(spans):
                assert since >= until, f"{contact} was in the hands of {first} and {second}"

    def claims_were_in_order(self) -> None:
        """Check, by the list's own account, that no claim replaced another or took what was not to be had."""
        for wrong in (
            "SELECT * FROM public.audit WHERE before IS NOT NULL AND after IS NOT NULL",
            "SELECT * FROM public.audit WHERE after IS NOT NULL AND code <> 'C'",
            "SELECT * FROM public.audit WHERE after IS NOT NULL AND previous NOT IN ('C', 'O', 'S')",
            "SELECT * FROM public.audit_record WHERE code NOT IN ('C', 'O', 'S')",
        ):
            found = self.database.query(wrong)
            assert found == [], (wrong, found[:5])

    def every_attempt_is_in_the_log_once(self) -> None:
        """Check that the log has all that was claimed, and all that a dialer got; nothing is in progress."""
        got = {
            attempt
            for _, notes in self.notes()
            for note in notes
            if note["kind"] == "got"
            for attempt, _ in note["attempts"]
        }
        logged = [
            attempt for (attempt,) in self.database.query("SELECT attempt_id FROM outbound.attempt_log")
        ]
        claimed = self.database.query("SELECT after FROM public.audit WHERE after IS NOT NULL")
        assert len(logged) == len(set(logged)), "an attempt is in the log twice"
        assert got <= set(logged), f"not in the log: {sorted(got - set(logged))[:5]}"
        differing = {attempt for (attempt,) in claimed} ^ set(logged)
        assert differing == set(), f"claimed or in the log, not both: {sorted(differing)[:5]}"
        for wrong in (
            "SELECT * FROM outbound.attempt_log WHERE settled_at < started_at OR started_at < claimed_at",
            """SELECT * FROM outbound.contact_event AS e WHERE attempt_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM outbound.attempt_log AS l WHERE l.attempt_id = e.attempt_id)""",
        ):
            found = self.database.query(wrong)
            assert found == [], (wrong, found[:5])

    def no_limit_was_passed(self) -> None:
        """Check that no limit of its campaign was met when an automatic attempt was claimed."""
        claims = self.database.query(
            """SELECT c.name, a.contact, a.attempts, a.attempts_call, r.attempts, r.busy
               FROM (SELECT *, row_number() OVER (PARTITION BY contact ORDER BY n) AS claim
                     FROM public.audit WHERE after IS NOT NULL) AS a
               JOIN (SELECT *, row_number() OVER (PARTITION BY contact ORDER BY n) AS claim
                     FROM public.audit_record) AS r USING (contact, claim)
               JOIN outbound.campaign AS c ON c.campaign_id = a.campaign
               WHERE a.previous <> 'S'"""
        )
        assert len(claims) > MANY
        for name, contact, *made in claims:
            limits = LIMITS[name]
            most = (
                limits.get("max_per_contact"),
                limits.get("max_call"),
                limits.get("max_per_conversation"),
                limits.get("categories", {}).get("busy", {}).get("max_attempts"),
            )
            for count, limit in zip(made, most, strict=True):
                assert limit is None or count < limit, (name, contact, made)


def gather(database: Database, folder: Path) -> Storm:
    """Make the list and the two campaigns; nothing goes on yet."""
    create_people(database, CONTACTS)
    database.query("SELECT outbound.set_wrap_up_code('again', false, false)")
    database.query("SELECT outbound.set_wrap_up_code('wrong', false, true)")
    with database.connect() as connection:
        connection.execute(AUDIT)
    leases = {"lease_seconds": LEASE, "lease_started_seconds": LEASE}
    for name, limits in LIMITS.items():
        create_campaign(database, name, limits=limits, always_active=name == "spring", **leases)
    return Storm(database, folder)
