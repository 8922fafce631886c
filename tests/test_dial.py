"""`outbound dial --simulate`: what it reports is what the log says, whatever ends it, and it needs no right
but a dialer's.
"""

import os
import pty
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from support import build, processes
from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, dialer_role, is_sound, minutes
from support.worker import Worker

CLOCK = "2030-01-01T12:00:00Z"
LOG = """SELECT r.name, count(*) FROM outbound.attempt_log JOIN outbound.attempt_result AS r USING (result_id)
         GROUP BY 1"""
#: The longest that a signal may take: a call under way is ended first.
SOON = 20
AGAIN = {"minimum_minutes": 0}


@pytest.fixture
def dialer(database: Database, tmp_path: Path) -> Worker:
    create_people(database, 40)
    return Worker(tmp_path / "dialer", database, user=dialer_role(database))


def dial(dialer: Worker, *arguments: str, campaign: str = "spring", code: int = 0) -> Any:
    given = ("dial", "--simulate", "--json", "--campaign", campaign, *arguments)
    return dialer.run(*given, code=code).json()


def logged(database: Database) -> dict[str, int]:
    return dict(database.query(LOG))


def story(database: Database, list_name: str) -> list[tuple[Any, ...]]:
    return database.query(
        """SELECT contact_id, unit, result_id, started_at, settled_at, counted FROM outbound.attempt_log
           JOIN outbound.list USING (list_id) WHERE name = %s ORDER BY attempt_id""",
        list_name,
    )


# --- what is reported -------------------------------------------------------------------------------


def test_the_report_says_what_the_log_says(database: Database, dialer: Worker) -> None:
    create_campaign(database, limits={"max_per_contact": 4, "max_per_conversation": 3, "minimum_minutes": 60})
    report = dial(dialer, "--clock", CLOCK, "--tick", "3600", "--until-empty", "--seed", "7", "--batch", "15")
    assert report["results"] == logged(database)
    assert report["attempts"] == sum(logged(database).values()) == report["claimed"] > 40
    assert report["finished"] == report["results"]["success"]
    assert (report["ended"], report["seed"], report["dropped"]) == ("empty", 7, {})
    assert report["claims"] > report["empty_claims"] > 8 * 24
    assert 0 < report["claim_ms"]["p50"] <= report["claim_ms"]["p99"]
    assert 0 < report["settle_ms"]["p50"] <= report["settle_ms"]["p99"]
    assert report["attempts_per_second"] == pytest.approx(report["attempts"] / report["seconds"])
    assert database.query("SELECT callable, planning, open FROM outbound.campaign_status") == [(0, 0, 0)]
    is_sound(database)


def test_the_same_seed_makes_the_same_history_and_another_seed_another(
    database: Database, dialer: Worker
) -> None:
    for name in ("first", "second", "third"):
        create_people(database, 30, name)
        create_campaign(database, name, [name], limits={"max_per_conversation": 3})
    arguments = ("--clock", CLOCK, "--tick", "3600", "--until-empty", "--callback", "0.2", "--start")
    for name, seed in (("first", "11"), ("second", "11"), ("third", "12")):
        dial(dialer, *arguments, "--seed", seed, campaign=name)
    assert len(story(database, "first")) > 30
    assert story(database, "first") == story(database, "second") != story(database, "third")


def test_a_contacts_story_is_told_in_order(database: Database, dialer: Worker) -> None:
    database.query("SELECT outbound.set_wrap_up_code('spoke', true, true)")
    create_campaign(database, limits={"minimum_minutes": 0, "categories": {"busy": {"minutes": 30}}})
    arguments = ("--clock", CLOCK, "--tick", "1800", "--start")
    dial(dialer, *arguments, "--busy", "1", "--limit", "40")
    dial(dialer, "--clock", "2030-01-01T12:30:00Z", "--success", "1", "--wrap-up", "spoke", "--until-empty")
    with Desk(database) as desk:
        for contact in ("c000000", "c000001", "c000039"):
            told = desk.rows("SELECT * FROM outbound.contact_history('people', %s)", contact)
            assert [line.what for line in told] == ["busy", "success", "finished"]
            assert [line.at for line in told] == [desk.at, desk.at + minutes(30), desk.at + minutes(30)]
            assert {line.campaign for line in told} == {"spring"}
            assert told[2].details["wrap_up_code"] == "spoke"
            assert desk.contact(contact).sys_status == "U"


def test_successes_end_as_asked(database: Database, dialer: Worker) -> None:
    create_campaign(database)
    status = "SELECT open, closed, callable FROM outbound.list_status"
    report = dial(dialer, "--success", "1", "--finish", "0", "--limit", "10")
    assert (report["finished"], report["callbacks"]) == (0, 0)
    assert database.query(status) == [(10, 0, 30)]
    report = dial(dialer, "--success", "1", "--final", "--limit", "10")
    assert report["finished"] == 0
    assert database.query(status) == [(10, 10, 20)]
    report = dial(dialer, "--success", "1", "--callback", "1", "--callback-after", "90", "--until-empty")
    assert (report["attempts"], report["callbacks"], report["ended"]) == (20, 20, "empty")
    assert database.query(status) == [(10, 10, 20)]
    planned = (
        "SELECT DISTINCT sys_status, sys_scheduled_at > now() + '89 minutes' FROM outbound.contact_detail"
    )
    assert ("S", True) in database.query(planned)
    is_sound(database)


def test_wrap_up_codes_decide_what_becomes_of_a_success(database: Database, dialer: Worker) -> None:
    database.query("SELECT outbound.set_wrap_up_code('wrong person', false, true)")
    database.query("SELECT outbound.set_wrap_up_code('hung up', false, false)")
    create_campaign(database)
    codes = ("--wrap-up", "wrong person", "--wrap-up", "hung up")
    dial(dialer, "--success", "1", *codes, "--limit", "40")
    codes_now = dict(
        database.query(
            "SELECT sys_status, count(*) FROM outbound.contact_detail WHERE sys_attempts > 0 GROUP BY 1"
        )
    )
    assert set(codes_now) == {"U", "O"}
    assert sum(codes_now.values()) == 40
    assert min(codes_now.values()) > 5


def test_attempts_start_when_asked_to_and_a_conversation_in_somebodys_hands_is_busy(
    database: Database, dialer: Worker
) -> None:
    talks = [("free", "snoozed"), ("taken", "open"), ("gone", "pending")]
    for name, status in talks:
        database.query(
            """INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, status)
               SELECT %s, %s, inbox_id, %s FROM outbound.inbox WHERE name = 'Chat'""",
            name, name, status,
        )  # fmt: skip
        database.query("INSERT INTO outbound.conversation_contact (contact_id) VALUES (%s)", name)
    everybody = '{"field": "contact_id", "operator": "is_not_empty"}'
    database.query("SELECT outbound.create_list_from_conversations('talks', %s)", everybody)
    create_campaign(database, "talking", ["talks"], "social_media")
    with Desk(database, "talks", "talking") as desk:
        desk.at = database.value("SELECT now()")
        claimed = desk.claim(10)
        desk.release(*(attempt.attempt_id for attempt in claimed))
    report = dial(dialer, "--start", "--success", "1", "--until-empty", campaign="talking")
    assert report["results"] == {"success": 2, "busy": 1}
    assert report["attempts"] == 3
    assert database.query(
        "SELECT sys_status FROM outbound.contact_detail WHERE sys_channel_user = 'taken'"
    ) == [("O",)]


# --- several at once, and limits --------------------------------------------------------------------


def test_several_dialers_share_the_work_and_the_limit(database: Database, dialer: Worker) -> None:
    create_campaign(database, limits=AGAIN)
    report = dial(
        dialer, "--dialers", "4", "--batch", "3", "--limit", "37", "--noanswer", "1", "--name", "team"
    )
    assert (report["attempts"], report["dialers"], report["ended"]) == (37, 4, "limit")
    assert report["results"] == logged(database) == {"noanswer": 37}
    names = {name for (name,) in database.query("SELECT DISTINCT dialer FROM outbound.attempt_log")}
    assert names <= {f"team/{number}" for number in range(1, 5)}
    is_sound(database)


def test_several_dialers_work_a_list_through_the_days_by_one_clock(
    database: Database, dialer: Worker
) -> None:
    hours = {"tue": [["09:00", "18:00"]], "thu": [["10:00", "12:00"]]}
    database.query("SELECT outbound.create_calendar('office', 'UTC', %s)", Jsonb(hours))
    create_campaign(
        database,
        limits={"max_per_conversation": 3, "minimum_minutes": 240},
        calendar="office",
        lease_seconds=10,
    )
    report = dial(dialer, "--dialers", "3", "--clock", CLOCK, "--tick", "1800", "--until-empty", "--start")
    assert report["results"] == logged(database)
    assert report["dropped"] == {}
    assert report["clock"] > "2030-01-10"
    days = database.query(
        """SELECT to_char(utc, 'dy'), min(extract(hour FROM utc)) >= 9, max(extract(hour FROM utc)) < 18
           FROM (SELECT settled_at AT TIME ZONE 'UTC' AS utc FROM outbound.attempt_log) AS l
           GROUP BY 1 ORDER BY 1"""
    )
    assert days == [("thu", True, True), ("tue", True, True)]
    assert database.query("SELECT callable, planning, open FROM outbound.campaign_status") == [(0, 0, 0)]
    is_sound(database)


# --- ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bound", "code"), [((), 0), (("--for", "600"), 75)], ids=["endless", "bounded"])
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM], ids=lambda which: which.name)
def test_a_signal_ends_it_with_nothing_in_progress(
    database: Database, dialer: Worker, which: signal.Signals, bound: tuple[str, ...], code: int
) -> None:
    create_campaign(database, limits=AGAIN)
    arguments = (
        "dial",
        "--simulate",
        "--json",
        "--campaign",
        "spring",
        "--dialers",
        "2",
        "--batch",
        "5",
        *bound,
    )
    with dialer.start(*arguments, "--noanswer", "0.5", "--busy", "0.5") as running:
        processes.wait_until(lambda: sum(logged(database).values()) > 50, "attempts")
        running.process.send_signal(which)
        ended = running.wait(SOON)
    assert ended.code == code, ended.stderr
    report = ended.json()
    assert report["ended"] == "signal"
    assert report["results"] == logged(database)
    assert database.query("SELECT callable, planning FROM outbound.list_status") == [(40, 0)]
    is_sound(database)


def test_a_signal_while_there_is_nothing_to_do_ends_it_too(database: Database, dialer: Worker) -> None:
    create_campaign(database, start=False)
    with dialer.start("dial", "--simulate", "--campaign", "spring") as running:
        waits = """SELECT count(*) FROM pg_stat_activity
                   WHERE usename = %s AND state = 'idle' AND query LIKE '%%claim%%'"""
        processes.wait_until(lambda: database.value(waits, dialer.user) > 0, "a claim")
        assert running.terminate().code == 0


def test_it_ends_after_the_time_it_has(database: Database, dialer: Worker) -> None:
    create_campaign(database, limits=AGAIN)
    began = time.monotonic()
    report = dial(dialer, "--for", "1", "--noanswer", "1", "--batch", "5")
    assert time.monotonic() - began < SOON
    assert report["ended"] == "time"
    assert report["results"] == logged(database)


def test_a_campaign_that_is_off_is_empty(database: Database, dialer: Worker) -> None:
    create_campaign(database, start=False)
    report = dial(dialer, "--until-empty")
    assert (report["attempts"], report["claims"], report["empty_claims"], report["ended"]) == (
        0,
        1,
        1,
        "empty",
    )
    assert report["settle_ms"] == {"p50": None, "p99": None}


def test_a_campaign_that_is_stopped_takes_its_claims_back_without_an_error(
    database: Database, dialer: Worker
) -> None:
    create_campaign(database, limits=AGAIN)
    arguments = ("dial", "--simulate", "--json", "--campaign", "spring", "--dialers", "3", "--batch", "8")
    with dialer.start(*arguments, "--noanswer", "1", "--for", "4") as running:
        while running.process.poll() is None:
            database.query("SELECT outbound.stop_campaign('spring')")
            assert database.value("SELECT planning FROM outbound.list_status") == 0
            database.query("SELECT outbound.start_campaign('spring')")
        ended = running.wait()
    assert ended.code == 0, ended.stderr
    report = ended.json()
    # A result that comes after its attempt was taken back is noted in the journal.
    assert set(report["dropped"]) <= {"already_settled", "corrected"}
    # What the campaign took back is in the log as not performed.
    assert Counter(logged(database)) - Counter({"not_performed": sum(report["dropped"].values())}) == Counter(
        report["results"]
    )
    is_sound(database)


def test_a_lost_connection_is_75_and_what_was_done_is_reported(database: Database, dialer: Worker) -> None:
    create_campaign(database, limits=AGAIN)
    arguments = ("dial", "--simulate", "--json", "--campaign", "spring", "--dialers", "3", "--batch", "5")
    with dialer.start(*arguments, "--noanswer", "1") as running:
        processes.wait_until(lambda: sum(logged(database).values()) > 50, "attempts")
        database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s LIMIT 1", dialer.user
        )
        ended = running.wait(SOON)
    assert ended.code == 75
    assert "(database)" in ended.stderr
    report = ended.json()
    assert report["ended"] == "failure"
    # A settlement whose answer was lost may have been made; what others had just claimed they gave back.
    missing = sum(logged(database).values()) - sum(report["results"].values())
    assert 0 <= missing <= 5
    database.query("SELECT outbound.sweep_leases(now() + '1 hour')")
    is_sound(database)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "outbound.claim"),
        (("--simulate", "--success", "0.5"), "make 0.5, not 1"),
        (("--simulate", "--success", "0.7", "--busy", "0.7"), "make 1.4, not 1"),
        (("--simulate", "--success", "-1"), "--help"),
        (("--simulate", "--busy", "much"), "not a number from 0 to 1"),
        (("--simulate", "--finish", "2"), "not a number from 0 to 1"),
        (("--simulate", "--clock", "noon"), "time zone"),
        (("--simulate", "--tick", "60"), "--clock"),
        (("--simulate", "--dialers", "0"), "--dialers"),
        (("--simulate", "--batch", "0"), "--batch"),
        (("--simulate", "--final", "--finish", "0.5"), "--final"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_2_and_says_what_is_wrong(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    finished = Worker(tmp_path / "nowhere").run("dial", "--campaign", "spring", *arguments, code=2)
    assert finished.stdout == ""
    assert said in finished.stderr
    assert "Usage:" in finished.stderr or "--help" in finished.stderr


def test_what_the_database_refuses_is_1_with_its_hint(database: Database, dialer: Worker) -> None:
    create_campaign(database)
    finished = dialer.run("dial", "--simulate", "--campaign", "autumn", code=1)
    assert 'campaign "autumn" does not exist' in finished.stderr
    assert "SQLSTATE 42704" in finished.stderr
    assert "hint: outbound.campaign_status" in finished.stderr
    finished = dialer.run(
        "dial",
        "--simulate",
        "--campaign",
        "spring",
        "--success",
        "1",
        "--wrap-up",
        "none",
        "--limit",
        "1",
        code=1,
    )
    assert 'wrap-up code "none" does not exist' in finished.stderr


def test_a_role_that_is_no_dialer_is_refused(database: Database, dialer: Worker, tmp_path: Path) -> None:
    create_campaign(database)
    with database.connect() as connection:
        connection.execute("CREATE ROLE outbound_test_onlooker LOGIN IN ROLE outbound_reader")
    try:
        onlooker = Worker(tmp_path / "onlooker", database, user="outbound_test_onlooker")
        finished = onlooker.run("dial", "--simulate", "--campaign", "spring", "--limit", "1", code=1)
        assert "SQLSTATE 42501" in finished.stderr
    finally:
        database.query("DROP ROLE outbound_test_onlooker")
    assert logged(database) == {}


def test_a_database_that_is_away_is_75(dialer: Worker) -> None:
    nobody = {"PGPORT": str(processes.free_port())}
    finished = dialer.run("dial", "--simulate", "--campaign", "spring", code=75, variables=nobody)
    assert "(database)" in finished.stderr


# --- outputs ----------------------------------------------------------------------------------------


def test_progress_is_drawn_on_a_terminal_and_nowhere_else(database: Database, dialer: Worker) -> None:
    create_campaign(database, limits=AGAIN)
    arguments = ["dial", "--simulate", "--campaign", "spring", "--for", "2", "--noanswer", "1"]
    finished = dialer.run(*arguments)
    assert finished.stderr == ""
    for part in ("attempts in", "results: noanswer", "claims:", "settle: half within", "seed"):
        assert part in finished.stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [build.worker(dialer.profile), *arguments],
        env=dialer.environment({"TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        drawn = b""
        try:
            while part := os.read(ours, 4096):
                drawn += part
        except OSError:
            pass  # The terminal's other end is closed.
    os.close(ours)
    assert b"attempts, " in drawn
    assert process.returncode == 0
