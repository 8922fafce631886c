"""What an append keeps and what an update changes (list-automation §3.4 A-1, A-5; contact-lists §5.4)."""

from typing import Any

import pytest

from support.cluster import Database
from support.lists import add, create_list, person, rows, set_up_account

PHONE, OTHER_PHONE, EMAIL = "+380441112233", "+380441112244", "anna@example.org"
CODES = "sys_status, sys_status_call, sys_status_email, sys_status_social_media"


@pytest.fixture
def table(database: Database) -> str:
    set_up_account(database)
    made = create_list(database, "people")
    add(
        database,
        "people",
        person("anna", phone=PHONE, email=EMAIL, name="Anna"),
        person("bo", phone=OTHER_PHONE),
    )
    return made


def update(database: Database, *contacts: dict[str, Any]) -> dict[str, Any]:
    return add(database, "people", *contacts, append_type="append_and_update")


def claimed(database: Database) -> int:
    """Let a campaign claim a call of Anna, the first contact, and return the attempt."""
    if not database.value("SELECT count(*) FROM outbound.campaign"):
        database.query(
            """SELECT outbound.create_attempt_control('once', '{"minimum_minutes": 0, "max_call": 1}')"""
        )
        database.query("SELECT outbound.create_campaign('calls', '{people}', 'call')")
        database.query("SELECT outbound.start_campaign('calls')")
    return int(database.value("SELECT attempt_id FROM outbound.claim('calls', 1, 'dialer')"))


def attempted(database: Database, result: str = "noanswer") -> int:
    """Let one call of Anna have a result, and return the attempt."""
    attempt = claimed(database)
    settle = "SELECT outcome FROM outbound.settle(ARRAY[%s]::bigint[], ARRAY[%s])"
    assert database.value(settle, attempt, result) == "settled"
    return attempt


def record(database: Database, table: str, unit: str) -> list[tuple[Any, ...]]:
    found = "sys_channel_user, sys_id, sys_status, sys_attempts, sys_last_attempt_dialer_attempt_result_id"
    return [line[1:] for line in rows(database, table + "_detail", found) if line[0] == unit]


def codes(database: Database, table: str, who: str = "anna") -> str:
    return "".join(next(line[1:] for line in rows(database, table, f"sys_id, {CODES}") if line[0] == who))


def test_append_only_keeps_the_contact_that_is_there(database: Database, table: str) -> None:
    report = add(
        database, "people", person("anna", phone=OTHER_PHONE, name="Other"), person("cy", phone=PHONE)
    )
    counted = ("rows_read", "added", "updated", "duplicates", "records_added")
    assert {name: report[name] for name in counted} == {
        "rows_read": 2, "added": 1, "updated": 0, "duplicates": 1, "records_added": 1,
    }  # fmt: skip
    assert rows(database, table, "sys_id, name") == [("anna", "Anna"), ("bo", None), ("cy", None)]
    assert record(database, table, PHONE)[0] == (1, "C", 0, None)


def test_a_contact_that_is_equal_already_is_not_written(database: Database, table: str) -> None:
    before = (
        rows(database, table, "xmin::text, sys_updated_at"),
        rows(database, table + "_detail", "xmin::text"),
    )
    report = update(database, person("anna", phone=PHONE, email=EMAIL, name="Anna"))
    assert (report["updated"], report["unchanged"], report["records_added"], report["records_removed"]) == (
        1,
        1,
        0,
        0,
    )
    assert (
        rows(database, table, "xmin::text, sys_updated_at"),
        rows(database, table + "_detail", "xmin::text"),
    ) == before


def test_an_unchanged_unit_keeps_its_attempts_and_its_callback(database: Database, table: str) -> None:
    attempt = attempted(database, "success")
    database.query("SELECT outbound.schedule_callback(%s, now() + '1 day')", attempt)
    report = update(database, person("anna", phone="044 111-22-33", email=EMAIL, name="Ганна"))
    assert (report["updated"], report["unchanged"]) == (1, 0)
    assert record(database, table, PHONE) == [(1, "S", 1, 6)]
    assert rows(database, table, "name, sys_attempts, sys_attempts_call")[0] == ("Ганна", 1, 1)


def test_a_unit_never_tried_is_deleted_with_the_update_that_lacks_it(database: Database, table: str) -> None:
    report = update(database, person("anna", phone=PHONE))
    assert (report["records_added"], report["records_removed"]) == (0, 1)
    assert record(database, table, EMAIL) == []
    assert codes(database, table) == "CCFF"


def test_a_unit_that_was_tried_is_retired_and_comes_back_when_a_file_has_it_again(
    database: Database, table: str
) -> None:
    attempted(database)
    report = update(database, person("anna", phone=OTHER_PHONE, email=EMAIL))
    assert (report["records_added"], report["records_removed"]) == (1, 1)
    assert record(database, table, PHONE) == [(1, "U", 1, 14)]
    assert codes(database, table) == "CCCF"
    # Uncallable, but no success: with nothing else to call, calls have no unit left.
    update(database, person("anna", email=EMAIL))
    assert codes(database, table) == "CFCF"
    update(database, person("anna", phone=PHONE, email=EMAIL))
    assert record(database, table, PHONE) == [(1, "C", 1, None)]
    assert codes(database, table) == "CCCF"
    assert rows(database, table, "sys_attempts, sys_attempts_call")[0] == (1, 1)


@pytest.mark.parametrize("status", ["I", "Q"])
def test_a_record_that_a_dialer_holds_is_left_alone(database: Database, table: str, status: str) -> None:
    claimed(database) if status == "I" else attempted(database, "success")
    before = record(database, table, PHONE)
    report = update(database, person("anna", phone=OTHER_PHONE, email=EMAIL, name="Anna"))
    assert (report["records_added"], report["records_removed"]) == (1, 0)
    assert record(database, table, PHONE) == before
    assert codes(database, table) == f"{status}{status}CF"


def test_a_contact_that_is_closed_stays_closed(database: Database, table: str) -> None:
    database.query("SELECT outbound.finish(%s)", attempted(database, "success"))
    update(database, person("anna", phone=OTHER_PHONE, email=EMAIL))
    # The success stays a success of calls, though its unit is gone from the file.
    assert record(database, table, PHONE) == [(1, "U", 1, 6)]
    assert codes(database, table) == "UUCF"


def test_a_limit_that_was_met_is_still_met(database: Database, table: str) -> None:
    claimed(database)
    database.query("""SELECT outbound.alter_campaign('calls', '{"attempt_control": "once"}')""")
    open_attempt = database.value("SELECT max(sys_open_attempt_id) FROM outbound_list.people")
    database.query("SELECT outbound.settle(ARRAY[%s]::bigint[], '{noanswer}')", open_attempt)
    assert codes(database, table) == "CACF"
    update(database, person("anna", phone=OTHER_PHONE, email=EMAIL))
    assert codes(database, table) == "CACF"


def test_a_contact_whose_units_all_went_has_no_callable_unit(database: Database, table: str) -> None:
    report = update(database, person("anna"))
    assert report["records_removed"] == 2
    assert codes(database, table) == "FFFF"
    assert codes(database, table, "bo") == "CCFF"


def test_an_update_adds_the_contacts_that_are_new(database: Database, table: str) -> None:
    report = update(
        database, person("anna", phone=PHONE, email=EMAIL, name="Anna"), person("cy", phone=OTHER_PHONE)
    )
    assert (report["added"], report["updated"], report["duplicates"], report["records_added"]) == (1, 1, 0, 1)
    assert rows(database, table, "sys_id") == [("anna",), ("bo",), ("cy",)]
    assert rows(database, table + "_detail", "max(sys_id)", "1") == [(4,)]
