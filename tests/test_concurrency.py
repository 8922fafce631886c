"""Many dialers at one list: killed, cut off, stopped and started, with uploads and periodic duties going on.
No contact is in two hands, no limit is passed, no attempt is lost or counted twice.
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
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import paths, processes
from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, dialer_role, is_sound, people
from support.lists import add
from support.worker import Running, Worker

CONTACTS = 400
#: Dialers that behave badly, for each campaign; two programs with two good ones each make 16.
BAD_DIALERS = 6
SECONDS = 18
AGAIN = "SELECT outbound.set_wrap_up_code('again', false, false)"
WRONG = "SELECT outbound.set_wrap_up_code('wrong', false, true)"
LIMITS: dict[str, dict[str, Any]] = {
    "spring": {"max_per_contact": 4, "max_per_conversation": 3, "minimum_minutes": 0},
    "summer": {
        "max_per_contact": 9,
        "max_call": 7,
        "minimum_minutes": 0,
        "categories": {"busy": {"max_attempts": 2}, "machine": {"minutes": 1}},
    },
}
#: Written by the list's own tables, so that there is one order of what happened to a contact, whoever did it.
AUDIT = """
    CREATE TABLE public.audit (n bigint GENERATED ALWAYS AS IDENTITY, contact text, before bigint, after bigint,
        campaign bigint, previous text, code text, attempts int, attempts_call int);
    CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.audit (contact, before, after, campaign, previous, code, attempts, attempts_call)
        VALUES (OLD.sys_id, OLD.sys_open_attempt_id, NEW.sys_open_attempt_id, NEW.sys_open_campaign_id,
                NEW.sys_open_previous, OLD.sys_status, OLD.sys_attempts, OLD.sys_attempts_call);
        RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER UPDATE ON outbound_list.people FOR EACH ROW
    WHEN (OLD.sys_open_attempt_id IS DISTINCT FROM NEW.sys_open_attempt_id) EXECUTE FUNCTION public.audit();
    CREATE TABLE public.audit_record (n bigint GENERATED ALWAYS AS IDENTITY, contact text, record bigint, code text,
        attempts int, busy int);
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
    in_the_way: int = 0
    dialers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    draw: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311

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
            draw = random.Random(repr(action))  # noqa: S311
            with self.database.connect() as connection:
                while not self.over.wait(pause * draw.random() * 2):
                    try:
                        action(connection)
                    except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                        self.in_the_way += 1
                    except Exception as error:  # noqa: BLE001
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
        rows = psycopg.types.json.Jsonb(changed)
        kind = self.draw.choice(("append_only", "append_and_update", "append_and_update"))
        connection.execute("SELECT outbound.add_contacts('people', %s, %s)", [rows, kind])

    def operate(self, connection: psycopg.Connection[Any]) -> None:
        """Reset or exclude somebody, unless it is busy."""
        contact = f"c{self.draw.randrange(CONTACTS):06}"
        call = self.draw.choice(("reset", "reset", "exclude"))
        try:
            connection.execute(f"SELECT outbound.{call}('people', %s)".encode(), [contact])
        except psycopg.errors.ObjectInUse:
            pass

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


@pytest.fixture
def storm(database: Database, tmp_path: Path) -> Iterator[Storm]:
    create_people(database, CONTACTS)
    database.query(AGAIN)
    database.query(WRONG)
    with database.connect() as connection:
        connection.execute(AUDIT)
    for name, limits in LIMITS.items():
        create_campaign(
            database, name, limits=limits, lease_seconds=10, lease_started_seconds=10, always_active=name == "spring"
        )
    storm = Storm(database, tmp_path)
    yield storm
    storm.over.set()
    for dialer in storm.dialers.values():
        dialer.kill()


def rage(storm: Storm, tmp_path: Path) -> list[Running]:
    """Let everything happen at once, for a while; return the programs that worked meanwhile."""
    good = Worker(tmp_path / "good", storm.database, user=dialer_role(storm.database))
    for name in LIMITS:
        for number in range(BAD_DIALERS):
            storm.start_dialer(f"{name}-{number}")
    threads = [
        storm.repeat(storm.stop_and_start, 0.3),
        storm.repeat(storm.upload, 0.15),
        storm.repeat(storm.upload, 0.15),
        storm.repeat(storm.operate, 0.05),
        storm.repeat(storm.maintain, 0.2),
        storm.repeat(storm.maintain, 0.2),
    ]
    ended = []
    with ExitStack() as stack:
        for name in LIMITS:
            arguments = ("dial", "--simulate", "--json", "--campaign", name, "--dialers", "2", "--batch", "7", "--start")
            ended.append(stack.enter_context(good.start(*arguments, "--wrap-up", "again", "--callback", "0.2")))
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(0.3)
            storm.kill()
        ended[0].kill()
        ended[1].terminate()
    storm.over.set()
    for thread in threads:
        thread.join()
    for dialer in storm.dialers.values():
        dialer.terminate()
    for dialer in storm.dialers.values():
        dialer.wait(20)
    return ended


def test_sixteen_dialers_in_a_storm(storm: Storm, tmp_path: Path) -> None:
    database = storm.database
    rage(storm, tmp_path)
    assert storm.problems == []
    assert (tmp_path / "errors").read_text() == ""
    assert database.query("SELECT duty, sqlstate, message FROM outbound.maintenance_log") == []
    # Whatever a dead dialer held comes back when its lease is over.
    database.query("SELECT outbound.sweep_leases(now() + interval '1 day')")
    assert database.value("SELECT planning FROM outbound.list_status") == 0
    is_sound(database)
    nothing_was_in_two_hands(storm)
    every_attempt_is_in_the_log_once(storm)
    no_limit_was_passed(database)


def nothing_was_in_two_hands(storm: Storm) -> None:
    # By the dialers' own notes: from when they had started an attempt to when they began to let go of it. What
    # has not started is given back when its campaign is stopped, whoever holds it.
    hands: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for name, notes in storm.notes():
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
                    hands[contacts[attempt]].append((since, note["at"], name))
    assert sum(map(len, hands.values())) > 1000
    for contact, spans in hands.items():
        spans.sort()
        for (_, until, first), (since, _, second) in zip(spans, spans[1:], strict=False):
            assert since >= until, f"{contact} was in the hands of {first} and {second}"
    # By the list's own account: no claim replaced another.
    taken_over = "SELECT * FROM public.audit WHERE before IS NOT NULL AND after IS NOT NULL"
    assert storm.database.query(taken_over) == []
    assert storm.database.query("SELECT * FROM public.audit WHERE after IS NOT NULL AND code <> 'C'") == []
    assert storm.database.query("SELECT * FROM public.audit_record WHERE code NOT IN ('C', 'O', 'S')") == []


def every_attempt_is_in_the_log_once(storm: Storm) -> None:
    database = storm.database
    got = {attempt for _, notes in storm.notes() for note in notes for attempt, _ in note.get("attempts", []) if note["kind"] == "got"}
    logged = [attempt for (attempt,) in database.query("SELECT attempt_id FROM outbound.attempt_log")]
    assert len(logged) == len(set(logged))
    assert got <= set(logged)
    claimed = {attempt for (attempt,) in database.query("SELECT after FROM public.audit WHERE after IS NOT NULL")}
    assert claimed == set(logged)
    in_order = "SELECT * FROM outbound.attempt_log WHERE settled_at < coalesce(started_at, claimed_at) OR started_at < claimed_at"
    assert database.query(in_order) == []
    unheard = "SELECT * FROM outbound.contact_event WHERE attempt_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbound.attempt_log AS l WHERE l.attempt_id = contact_event.attempt_id)"
    assert database.query(unheard) == []


def no_limit_was_passed(database: Database) -> None:
    numbers = {name: database.value("SELECT campaign_id FROM outbound.campaign WHERE name = %s", name) for name in LIMITS}
    claims = database.query(
        """SELECT a.contact, a.campaign, a.attempts, a.attempts_call, r.attempts, r.busy
           FROM (SELECT *, row_number() OVER (PARTITION BY contact ORDER BY n) AS claim FROM public.audit WHERE after IS NOT NULL) AS a
           JOIN (SELECT *, row_number() OVER (PARTITION BY contact ORDER BY n) AS claim FROM public.audit_record) AS r
           USING (contact, claim) WHERE a.previous <> 'S'"""
    )
    assert len(claims) > 1000
    for name, limits in LIMITS.items():
        never = 1_000_000
        most = (limits.get("max_per_contact", never), limits.get("max_call", never), limits.get("max_per_conversation", never),
                limits.get("categories", {}).get("busy", {}).get("max_attempts", never))  # fmt: skip
        for contact, campaign, *made in claims:
            if campaign == numbers[name]:
                assert all(count < limit for count, limit in zip(made, most, strict=True)), (contact, name, made)
