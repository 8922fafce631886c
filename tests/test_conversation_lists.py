"""Lists made from conversations: criteria, preview, first load and automatic additions
(contact-lists §2.1, §2.2, §2.4; P22, P31).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.conversations import CODES, NOON, OPEN, UNITS, agree, enter_talks, make, preview, problem, talk
from support.lists import rows


@pytest.fixture
def talks(database: Database) -> Database:
    enter_talks(database)
    return database


def new(database: Database, at: datetime) -> int:
    return int(database.value("SELECT outbound.add_new_conversations(%s)", at))


def next_at(database: Database, name: str = "talks") -> Any:
    return database.value("SELECT auto_add_next_at FROM outbound.list WHERE name = %s", name)


def contents(database: Database) -> list[Any]:
    """Return everything that a call which changes nothing must leave alone."""
    tables = [
        name
        for (name,) in database.query(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace IN ('outbound'::regnamespace, 'outbound_list'::regnamespace) ORDER BY 1"
        )
    ]
    return [(name, database.query(f"SELECT * FROM {name}")) for name in tables]  # noqa: S608


def test_a_list_has_one_contact_a_person_and_one_record_a_conversation(talks: Database) -> None:
    made = make(talks)
    assert made == {"list": "talks", "table": "talks", "contacts": 3, "records": 4, "skipped": 1}
    assert rows(talks, "talks", CODES) == [("p1", "CFCC"), ("p2", "CFFC"), ("p3", "CCFF")]
    assert rows(talks, "talks", "contact_id, name, email, phone")[0] == (
        "p1", "Anna", "Anna@example.org", "+380441112233",
    )  # fmt: skip
    assert rows(talks, "talks_detail", f"sys_id, {UNITS}, sys_cl_source_column") == [
        (1, "p2", "c1", "social_media", "C", "conversation_id"),
        (2, "p1", "c2", "social_media", "C", "conversation_id"),
        (3, "p1", "c3", "email", "C", "conversation_id"),
        (4, "p3", "c5", "call", "C", "conversation_id"),
    ]
    facts = talks.query(
        "SELECT selection_method, identifier_column, contact_name_column, auto_add, auto_add_next_at"
        " FROM outbound.list"
    )
    assert facts == [("conversations", "contact_id", "name", False, None)]
    agree(talks)
    assert talks.value("SELECT count(*) FROM outbound.load") == 0


CRITERIA: dict[str, tuple[Any, list[str]]] = {
    "inbox": ({"field": "inbox", "operator": "equal", "value": "Chat"}, ["c1", "c2"]),
    "type": ({"field": "conversation_type", "operator": "in", "value": ["email", "call"]}, ["c3", "c5"]),
    "blocked": ({"field": "blocked", "operator": "equal", "value": True}, ["c1"]),
    "name": ({"field": "name", "operator": "contains", "value": "ANN"}, ["c2", "c3"]),
    "days": ({"field": "created_at", "operator": "less_than_days_ago", "value": 8}, ["c3", "c5"]),
    "attribute": ({"field": "contact_attributes.plan", "operator": "equal", "value": "cy"}, ["c5"]),
    "no attribute": ({"field": "attributes.it's", "operator": "equal", "value": "cy"}, []),
    "both": (
        {"any": [{"all": [{"field": "contact_id", "operator": "equal", "value": "p1"},
                          {"field": "inbox", "operator": "not_equal", "value": "Chat"}]},
                 {"all": [{"field": "conversation_type", "operator": "equal", "value": "call"}]}]},
        ["c3", "c5"],
    ),
    "text like a placeholder": (
        {"field": "name", "operator": "not_equal", "value": "$now"}, ["c1", "c2", "c3", "c5"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("criteria", "expected"), CRITERIA.values(), ids=CRITERIA)
def test_criteria_ask_for_conversations_and_persons(
    talks: Database, criteria: Any, expected: list[str]
) -> None:
    assert [line[1] for line in preview(talks, criteria)] == expected
    assert make(talks, criteria=criteria)["records"] == len(expected)
    assert [unit for (unit,) in rows(talks, "talks_detail", "sys_channel_user")] == expected


def test_labels_and_teams_can_be_asked_for(talks: Database) -> None:
    talk(talks, "c6", "p1", "Chat", labels=["vip", "late"], team="North")
    for criteria in (
        {"field": "labels", "operator": "contains", "value": "vip"},
        {"field": "team", "operator": "equal", "value": "North"},
        {"field": "team", "operator": "is_not_empty"},
    ):
        assert [line[1] for line in preview(talks, criteria)] == ["c6"]


def test_a_preview_shows_the_first_rows_of_the_load_and_its_totals_and_changes_nothing(
    talks: Database,
) -> None:
    before = contents(talks)
    shown = preview(talks, rows=2)
    assert shown == [
        ("p2", "c1", "Chat", "social_media", 4, 3, 1),
        ("p1", "c2", "Chat", "social_media", 4, 3, 1),
    ]
    assert contents(talks) == before
    make(talks)
    loaded = rows(talks, "talks_detail", "sys_contact_id, sys_channel_user, sys_conversation_type::text")
    assert [(line[0], line[1], line[3]) for line in shown] == loaded[:2]
    assert [(line[0], line[1], line[3]) for line in preview(talks)] == loaded


def test_a_preview_without_a_match_has_no_row(talks: Database) -> None:
    assert preview(talks, {"field": "status", "operator": "equal", "value": "snoozed"}) == []
    said = problem(talks, "SELECT * FROM outbound.preview_list(%s, 0)", Jsonb(OPEN))
    assert (said.sqlstate, said.message_primary) == ("22023", "a preview of 0 rows is not possible")


BAD_CRITERIA: dict[str, Any] = {
    "null": None,
    "empty": {},
    "no set": {"any": []},
    "no comparison": {"any": [{"all": []}]},
    "unknown field": {"field": "balance", "operator": "equal", "value": 1},
    "attribute without a name": {"field": "attributes.", "operator": "equal", "value": "x"},
    "SQL": {"field": "1=1; DROP TABLE outbound.list", "operator": "equal", "value": 1},
    "wrong type": {"field": "blocked", "operator": "greater_than", "value": 1},
    "array": [1],
}


@pytest.mark.parametrize("criteria", BAD_CRITERIA.values(), ids=BAD_CRITERIA)
def test_criteria_that_say_nothing_or_nonsense_are_refused(talks: Database, criteria: Any) -> None:
    given = None if criteria is None else Jsonb(criteria)
    make(talks, "good")
    before = contents(talks)
    for statement in (
        "SELECT * FROM outbound.preview_list(%s)",
        "SELECT outbound.create_list_from_conversations('bad', %s)",
        *(["SELECT outbound.alter_list('good', criteria => %s)"] if criteria is not None else []),
    ):
        assert problem(talks, statement, given).sqlstate == "22023"
    assert contents(talks) == before


def test_a_list_needs_a_free_name_and_a_schedule(talks: Database) -> None:
    make(talks)
    call = "SELECT outbound.create_list_from_conversations(%s, %s, true, %s)"
    assert problem(talks, call, "talks", Jsonb(OPEN), "0 0 * * *").sqlstate == "42710"
    said = problem(talks, call, "other", Jsonb(OPEN), "@daily")
    assert (said.sqlstate, said.message_primary) == (
        "22023",
        '"@daily" is no schedule: it must have five fields with exactly one blank between them',
    )


def test_new_conversations_are_added_when_it_is_time_and_once(talks: Database) -> None:
    talks.query("SELECT outbound.set_account(time_zone => 'Europe/Kyiv')")
    make(talks, auto_add=True)
    midnight = datetime(2026, 7, 1, 21, tzinfo=UTC)
    assert next_at(talks) == midnight
    talk(talks, "c6", "p4", "Chat")
    talk(talks, "c7", "p1", "Voice")
    assert new(talks, midnight - timedelta(seconds=1)) == 0
    assert new(talks, midnight) == 2
    assert next_at(talks) == midnight + timedelta(days=1)
    state = [rows(talks, table, "*") for table in ("talks", "talks_detail")]
    assert rows(talks, "talks", CODES) == [("p1", "CCCC"), ("p2", "CFFC"), ("p3", "CCFF"), ("p4", "CFFC")]
    assert rows(talks, "talks_detail", UNITS)[4:] == [
        ("p1", "c7", "call", "C"),
        ("p4", "c6", "social_media", "C"),
    ]
    agree(talks)
    updated = talks.value("SELECT updated_at FROM outbound.list")
    for days in (1, 2, 3):
        assert new(talks, midnight + timedelta(days=days)) == 0
    assert [rows(talks, table, "*") for table in ("talks", "talks_detail")] == state
    assert talks.value("SELECT updated_at FROM outbound.list") == updated
    assert talks.value("SELECT count(*) FROM outbound.load") == 0


def test_what_no_longer_matches_stays_and_nothing_is_reset(talks: Database) -> None:
    make(talks, auto_add=True, schedule="* * * * *")
    talks.query("UPDATE outbound.conversation SET status = 'resolved', contact_id = 'p9'")
    talk(talks, "c6", "p6", "Chat")
    before = rows(talks, "talks_detail", "*")
    assert new(talks, NOON + timedelta(minutes=5)) == 1
    assert rows(talks, "talks_detail", "*")[:4] == before
    # A conversation that went over to another person is in the list already.
    talks.query("UPDATE outbound.conversation SET status = 'open'")
    assert new(talks, NOON + timedelta(minutes=10)) == 0


@pytest.mark.parametrize(("code", "after"), [("F", "C"), ("U", "U")])
def test_a_new_conversation_makes_an_f_contact_callable_and_leaves_a_u_one_closed(
    talks: Database, code: str, after: str
) -> None:
    make(talks, criteria={"field": "contact_id", "operator": "equal", "value": "p2"}, auto_add=True)
    result = "success" if code == "U" else "manual"
    talks.query(
        """UPDATE outbound_list.talks_detail SET sys_status = 'U', sys_last_attempt_dialer_attempt_result_id =
               (SELECT result_id FROM outbound.attempt_result WHERE name = %s)""",
        result,
    )
    talks.query("UPDATE outbound_list.talks SET sys_status = %s, sys_status_social_media = %s", code, code)
    talk(talks, "c6", "p2", "Voice")
    assert new(talks, NOON + timedelta(days=1)) == 1
    assert rows(talks, "talks", CODES) == [("p2", f"{after}CF{code}")]
    assert rows(talks, "talks_detail", UNITS) == [
        ("p2", "c1", "social_media", "U"),
        ("p2", "c6", "call", "C"),
    ]


def test_a_list_that_cannot_be_added_to_says_why_and_does_not_stop_the_others(talks: Database) -> None:
    make(talks, "first", auto_add=True)
    make(talks, "second", auto_add=True)
    talks.query("ALTER TABLE outbound_list.first RENAME COLUMN phone TO telephone")
    talk(talks, "c6", "p6", "Chat")
    day = NOON + timedelta(days=1)
    assert new(talks, day) == 1
    found = talks.query("SELECT name, auto_add_problem, auto_add_next_at FROM outbound.list ORDER BY name")
    assert found[0][1] == 'column "phone" of relation "first" does not exist'
    assert found[1][1] is None
    assert found[0][2] == found[1][2] > day
    talks.query("ALTER TABLE outbound_list.first RENAME COLUMN telephone TO phone")
    assert new(talks, day + timedelta(days=1)) == 1
    assert talks.value("SELECT auto_add_problem FROM outbound.list WHERE name = 'first'") is None


def test_two_that_add_at_once_add_each_conversation_once(talks: Database) -> None:
    make(talks, auto_add=True)
    talk(talks, "c6", "p6", "Chat")
    day = NOON + timedelta(days=1)
    statement = "SELECT outbound.add_new_conversations(%s)"
    with talks.connect(autocommit=False) as one:
        assert one.execute(statement, [day]).fetchone() == (1,)
        assert new(talks, day) == 0
    assert new(talks, day) == 0
    assert rows(talks, "talks_detail", "count(*)", "1") == [(5,)]


def test_criteria_schedule_and_switch_can_be_changed(talks: Database) -> None:
    make(talks)
    alter = "SELECT outbound.alter_list('talks', at => %s, "
    talks.query(alter + "auto_add_schedule => '30 * * * *')", NOON)
    assert next_at(talks) is None
    talks.query(alter + "auto_add => true)", NOON)
    assert next_at(talks) == NOON + timedelta(minutes=30)
    talks.query(alter + "auto_add => true)", NOON + timedelta(hours=3))
    assert next_at(talks) == NOON + timedelta(minutes=30)
    criteria = {"field": "status", "operator": "in", "value": ["open", "snoozed"]}
    talks.query(alter + "criteria => %s)", NOON, Jsonb(criteria))
    talk(talks, "c6", "p2", "Chat", status="snoozed")
    assert new(talks, NOON + timedelta(hours=1)) == 1
    assert next_at(talks) == NOON + timedelta(hours=1, minutes=30)
    talks.query(alter + "auto_add => false)", NOON)
    assert next_at(talks) is None
    talk(talks, "c7", "p2", "Chat")
    assert new(talks, NOON + timedelta(days=9)) == 0
    said = problem(talks, alter + "auto_add_schedule => 'x')", NOON)
    assert said.sqlstate == "22023"


def test_the_close_rule_of_a_list_can_be_changed_and_the_codes_follow(talks: Database) -> None:
    make(talks, close_if_all=True)
    success = talks.value("SELECT result_id FROM outbound.attempt_result WHERE name = 'success'")
    talks.query(
        """UPDATE outbound_list.talks_detail
           SET sys_status = 'U', sys_last_attempt_dialer_attempt_result_id = %s
           WHERE sys_channel_user = 'c2'""",
        success,
    )
    talks.query("UPDATE outbound_list.talks SET sys_status_social_media = 'U' WHERE sys_id = 'p1'")
    talks.query("SELECT outbound.alter_list('talks', close_if_all => false)")
    assert rows(talks, "talks", CODES)[0] == ("p1", "UFCU")
    assert talks.value("SELECT close_if_all FROM outbound.list") is False
