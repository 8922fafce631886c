"""What campaigns use: calendars, attempt controls, wrap-up codes, attempt results, inboxes; what is refused,
and with which words (contact-lists §2.3, §6, §10.1).
"""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import set_up_account

#: A name that would do harm where names are pasted into SQL.
NASTY = "x\"; DROP TABLE outbound.campaign; --'%s"
OFFICE = {"mon": [["09:00", "18:00"]], "tue": [["09:00", "13:00"], ["14:00", "24:00"]]}


@pytest.fixture
def site(database: Database) -> Database:
    set_up_account(database)
    database.query("SELECT outbound.create_calendar('Office', 'Europe/Kyiv', %s)", Jsonb(OFFICE))
    database.query("SELECT outbound.create_attempt_control('Gentle', %s)", Jsonb({"max_call": 3}))
    return database


def refusal(database: Database, statement: str, *parameters: object) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        database.query(statement, *parameters)
    return raised.value.diag


# --- calendars ------------------------------------------------------------------------------------


def test_a_calendar_is_stored_in_full_and_tells_whether_it_is_open(site: Database) -> None:
    hours = site.value("SELECT hours FROM outbound.calendar")
    assert hours == OFFICE | {"wed": [], "thu": [], "fri": [], "sat": [], "sun": []}
    is_open = "SELECT open, until FROM outbound.calendar_is_open('Office', %s)"
    assert site.query(is_open, "2026-01-05 07:00Z") == [(True, datetime(2026, 1, 5, 16, tzinfo=UTC))]
    assert site.query(is_open, "2026-01-06 22:00Z") == [(False, datetime(2026, 1, 12, 7, tzinfo=UTC))]
    assert site.value("SELECT (outbound.calendar_is_open('Office')).open IS NOT NULL")


def test_an_exception_changes_a_date_and_can_be_taken_back(site: Database) -> None:
    holiday = Jsonb([{"date": "2026-01-05", "hours": []}])
    site.query("SELECT outbound.alter_calendar('Office', exceptions => %s)", holiday)
    is_open = "SELECT (outbound.calendar_is_open('Office', '2026-01-05 12:00+02')).open"
    assert site.value(is_open) is False
    site.query(
        "SELECT outbound.alter_calendar('Office', exceptions => '[]', time_zone => 'UTC', new_name => 'O')"
    )
    assert site.value(is_open.replace("Office", "O")) is True
    assert site.query("SELECT name, time_zone, exceptions FROM outbound.calendar") == [("O", "UTC", [])]


BAD_CALENDARS: dict[str, tuple[str | None, Any, Any, str | None]] = {
    "unknown zone": ("Mars/Base", OFFICE, [], "time_zone"),
    "no zone": (None, OFFICE, [], "time_zone"),
    "no hours": ("UTC", None, [], "hours"),
    "unknown weekday": ("UTC", {"monday": []}, [], "hours.monday"),
    "overlap": ("UTC", {"mon": [["09:00", "12:00"], ["11:00", "18:00"]]}, [], "hours.mon[1]"),
    "backwards": ("UTC", {"sun": [["18:00", "09:00"]]}, [], "hours.sun[0]"),
    "no time": ("UTC", {"sun": [["25:00", "26:00"]]}, [], "hours.sun[0][0]"),
    "no date": ("UTC", {}, [{"date": "2026-02-30", "hours": []}], "exceptions[0].date"),
    "date twice": (
        "UTC",
        {},
        [{"date": "2026-02-01", "hours": []}, {"date": "2026-02-01", "hours": []}],
        "exceptions[1].date",
    ),
    "SQL": ("UTC", {"mon": [["'; DROP TABLE outbound.calendar; --", "18:00"]]}, [], "hours.mon[0][0]"),
}


def test_a_calendar_that_does_not_hold_is_refused_with_its_field(site: Database) -> None:
    for what, (zone, hours, exceptions, field) in BAD_CALENDARS.items():
        given = (zone, None if hours is None else Jsonb(hours), Jsonb(exceptions))
        problem = refusal(site, "SELECT outbound.create_calendar('bad', %s, %s, %s)", *given)
        assert (problem.sqlstate, problem.message_detail) == ("22023", f"Field: {field}"), what
        assert problem.message_hint, what
        # A change keeps what is not given.
        if zone is not None and hours is not None:
            problem = refusal(site, "SELECT outbound.alter_calendar('Office', %s, %s, %s)", *given)
            assert (problem.sqlstate, problem.message_detail) == ("22023", f"Field: {field}"), what
    assert site.query("SELECT name, time_zone FROM outbound.calendar") == [("Office", "Europe/Kyiv")]


def test_a_moment_without_end_is_refused(site: Database) -> None:
    assert refusal(site, "SELECT outbound.calendar_is_open('Office', 'infinity')").sqlstate == "22023"


# --- attempt controls, wrap-up codes, results, inboxes ----------------------------------------------


def test_an_attempt_control_has_every_default_and_changes_by_key(site: Database) -> None:
    read = "SELECT settings FROM outbound.attempt_control"
    before = site.value(read)
    assert (before["max_call"], before["max_email"], before["minimum_minutes"]) == (3, None, 5)
    assert before["categories"]["busy"] == {"max_attempts": None, "minutes": None}
    change = {"minimum_minutes": 60, "categories": {"busy": {"max_attempts": 2}}}
    site.query("SELECT outbound.alter_attempt_control('Gentle', %s)", Jsonb(change))
    site.query("SELECT outbound.alter_attempt_control('Gentle', %s, %s)", Jsonb({"max_call": None}), NASTY)
    after = site.value(read)
    assert (after["max_call"], after["minimum_minutes"], after["categories"]["busy"]["max_attempts"]) == (
        None,
        60,
        2,
    )
    assert site.query("SELECT name FROM outbound.attempt_control") == [(NASTY,)]


BAD_CONTROLS: list[tuple[Any, str | None]] = [
    ({"max_calls": 3}, "max_calls"),
    ({"max_call": 0}, "max_call"),
    ({"max_per_contact": "3; DROP TABLE x"}, "max_per_contact"),
    ({"categories": {"failed": {"minutes": 1}}}, "categories.failed"),
    ({"categories": {"busy": {"minutes": 10081}}}, "categories.busy.minutes"),
    ([], None),
    (None, None),
]


def test_settings_of_an_attempt_control_that_do_not_hold_are_refused(site: Database) -> None:
    for settings, field in BAD_CONTROLS:
        given = None if settings is None else Jsonb(settings)
        problem = refusal(site, "SELECT outbound.create_attempt_control('bad', %s)", given)
        assert problem.sqlstate == "22023", settings
        assert problem.message_detail == (field and f"Field: {field}")
        assert problem.message_hint, settings
    assert site.value("SELECT count(*) FROM outbound.attempt_control") == 1


def test_a_wrap_up_code_means_success_until_something_else_is_said(site: Database) -> None:
    read = "SELECT code, contact_uncallable, number_uncallable, description FROM outbound.wrap_up_code"
    site.query("SELECT outbound.set_wrap_up_code(%s)", NASTY)
    assert site.query(read) == [(NASTY, True, True, None)]
    site.query("SELECT outbound.set_wrap_up_code(%s, false, true, 'somebody else')", NASTY)
    site.query("SELECT outbound.set_wrap_up_code(%s, false, false)", NASTY)
    assert site.query(read) == [(NASTY, False, False, "somebody else")]
    site.query("SELECT outbound.drop_wrap_up_code(%s)", NASTY)
    assert site.query(read) == []
    problem = refusal(site, "SELECT outbound.drop_wrap_up_code(%s)", NASTY)
    assert (problem.sqlstate, problem.message_primary) == ("42704", f'wrap-up code "{NASTY}" does not exist')
    assert refusal(site, "SELECT outbound.set_wrap_up_code(' ')").sqlstate == "22023"


def test_a_site_s_own_result_means_what_its_category_means(site: Database) -> None:
    make = "SELECT outbound.create_attempt_result(%s, %s, %s)"
    read = """SELECT result_id, name, category, counts_as_attempt, retryable, description
              FROM outbound.attempt_result WHERE result_id >= 1000"""
    assert site.value(make, "voicemail", "machine", "left a message") == 1000
    assert site.query(read) == [(1000, "voicemail", "machine", True, True, "left a message")]
    assert refusal(site, make, "voicemail", "machine", None).sqlstate == "42710"
    assert refusal(site, make, "busy", "machine", None).sqlstate == "42710"
    for category in ("dnc", "manual", "removed", "other", NASTY, None):
        problem = refusal(site, make, "mine", category, None)
        assert problem.sqlstate == "22023"
        assert str(problem.message_hint).startswith("Use one of busy, noanswer, ")


def test_a_result_that_is_dropped_keeps_its_number_and_frees_its_name(site: Database) -> None:
    make = "SELECT outbound.create_attempt_result(%s, 'success')"
    first = site.value(make, "sold")
    site.query("SELECT outbound.drop_attempt_result('sold')")
    assert site.value("SELECT category FROM outbound.attempt_result WHERE result_id = %s", first) == "success"
    assert site.value(make, "sold") > first
    assert refusal(site, "SELECT outbound.drop_attempt_result('none')").sqlstate == "42704"
    problem = refusal(site, "SELECT outbound.drop_attempt_result('busy')")
    assert (problem.sqlstate, problem.message_primary) == (
        "55000",
        'attempt result "busy" belongs to the extension',
    )


def test_an_inbox_may_write_first_and_has_no_limit_unless_said_otherwise(site: Database) -> None:
    read = "SELECT max_per_minute, may_write_first FROM outbound.inbox WHERE name = %s"
    assert [site.query(read, name)[0] for name in ("Voice", "Post", "Chat")] == [
        (None, True),
        (None, True),
        (None, False),
    ]
    site.query("SELECT outbound.create_inbox('Bot', 'social_media', 30, true)")
    assert site.query(read, "Bot") == [(30, True)]
    site.query("SELECT outbound.set_inbox('Bot', may_write_first => false)")
    assert site.query(read, "Bot") == [(30, False)]
    site.query("SELECT outbound.set_inbox('Bot', 0)")
    assert site.query(read, "Bot") == [(None, False)]
    assert refusal(site, "SELECT outbound.set_inbox('none', 1)").sqlstate == "42704"
    for rate in (-1, 1_000_001):
        assert refusal(site, "SELECT outbound.set_inbox('Bot', %s)", rate).sqlstate == "22023"
        assert refusal(site, "SELECT outbound.create_inbox('New', 'call', %s)", rate).sqlstate == "22023"
