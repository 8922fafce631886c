"""Lists made from conversations: criteria, preview, first load, automatic additions, and records of files that
name a conversation (contact-lists §2.1, §2.2, §2.4, §7.2 R01, R02; P16, P22, P31).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import add, create_list, rows, set_up_account
from support.site import Site, csv

OPEN = {"field": "status", "operator": "equal", "value": "open"}
CODES = "sys_id, concat(sys_status, sys_status_call, sys_status_email, sys_status_social_media)"
UNITS = "sys_contact_id, sys_channel_user, sys_conversation_type::text, sys_status"
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def talks(database: Database) -> Database:
    """Return an account with three persons and five conversations, one of them in an unknown inbox."""
    set_up_account(database)
    for identifier, name, blocked in (("p1", "Anna", False), ("p2", "Bo", True), ("p3", "Cy", False)):
        database.query(
            "INSERT INTO outbound.conversation_contact (contact_id, name, email, phone, blocked, attributes)"
            " VALUES (%s, %s, %s, '+380441112233', %s, %s)",
            identifier, name, f"{name}@example.org", blocked, Jsonb({"plan": name.lower()}),
        )  # fmt: skip
    for number, (contact, inbox) in enumerate(
        [("p2", "Chat"), ("p1", "Chat"), ("p1", "Post"), ("p3", None), ("p3", "Voice")], start=1
    ):
        talk(database, f"c{number}", contact, inbox, at=NOON - timedelta(days=10 - number))
    return database


def talk(
    database: Database, identifier: str, contact: str, inbox: str | None, at: datetime = NOON, **more: Any
) -> None:
    """Enter a conversation; without an inbox it is in one that nobody knows."""
    database.query(
        """INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, created_at, last_activity_at,
               status, team, labels, attributes)
           VALUES (%s, %s, coalesce((SELECT inbox_id FROM outbound.inbox WHERE name = %s), 4711), %s, %s, %s, %s, %s, %s)""",
        identifier, contact, inbox, at, at, more.get("status", "open"), more.get("team"), more.get("labels", []),
        Jsonb(more.get("attributes", {})),
    )  # fmt: skip


def make(database: Database, name: str = "talks", criteria: Any = OPEN, **more: Any) -> dict[str, Any]:
    given = {"auto_add": False, "schedule": "0 0 * * *", "close_if_all": False, "at": NOON} | more
    return dict(
        database.value(
            "SELECT outbound.create_list_from_conversations(%s, %s, %s, %s, %s, %s)",
            name, Jsonb(criteria), given["auto_add"], given["schedule"], given["close_if_all"], given["at"],
        )
    )  # fmt: skip


def preview(database: Database, criteria: Any = OPEN, rows: int = 10) -> list[tuple[Any, ...]]:
    return database.query(
        "SELECT contact_id, conversation_id, inbox, conversation_type::text, total, contacts, skipped"
        " FROM outbound.preview_list(%s, %s, %s)",
        Jsonb(criteria), rows, NOON,
    )  # fmt: skip


def new(database: Database, at: datetime) -> int:
    return int(database.value("SELECT outbound.add_new_conversations(%s)", at))


def next_at(database: Database, name: str = "talks") -> Any:
    return database.value("SELECT auto_add_next_at FROM outbound.list WHERE name = %s", name)


def problem(database: Database, statement: str, *parameters: Any) -> Any:
    with pytest.raises(psycopg.Error) as raised:
        database.query(statement, *parameters)
    diag = raised.value.diag
    assert diag.message_hint
    return diag


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
        "SELECT selection_method, identifier_column, contact_name_column, auto_add, auto_add_next_at FROM outbound.list"
    )
    assert facts == [("conversations", "contact_id", "name", False, None)]
    assert talks.value("SELECT total FROM outbound.list_status WHERE name = 'talks'") == 3
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
    "text like a placeholder": ({"field": "name", "operator": "not_equal", "value": "$now"}, ["c1", "c2", "c3", "c5"]),
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
    success = "(SELECT result_id FROM outbound.attempt_result WHERE name = 'success')"
    excluded = "(SELECT result_id FROM outbound.attempt_result WHERE name = 'manual')"
    talks.query(
        "UPDATE outbound_list.talks_detail SET sys_status = 'U', sys_last_attempt_dialer_attempt_result_id = "
        + (success if code == "U" else excluded)
    )
    talks.query(
        "UPDATE outbound_list.talks SET sys_status = %s, sys_status_social_media = %s", code, code
    )
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
        "UPDATE outbound_list.talks_detail SET sys_status = 'U', sys_last_attempt_dialer_attempt_result_id = %s"
        " WHERE sys_channel_user = 'c2'",
        success,
    )
    talks.query("UPDATE outbound_list.talks SET sys_status_social_media = 'U' WHERE sys_id = 'p1'")
    talks.query("SELECT outbound.alter_list('talks', close_if_all => false)")
    assert rows(talks, "talks", CODES)[0] == ("p1", "UFCU")
    assert talks.value("SELECT close_if_all FROM outbound.list") is False


def test_a_list_filled_from_files_has_no_criteria_and_one_from_conversations_takes_no_file(
    site: Site, tmp_path: Path
) -> None:
    database = site.database
    create_list(database, "files")
    for argument in ("auto_add => true", "auto_add_schedule => '0 0 * * *'", "criteria => '{}'"):
        said = problem(database, f"SELECT outbound.alter_list('files', {argument})")  # noqa: S608
        assert said.message_primary == 'contact list "files" is filled from files'
    database.query("SELECT outbound.alter_list('files', close_if_all => true)")
    make(database, "made")
    said = problem(database, "SELECT outbound.add_contacts('made', '[{\"contact_id\": 1}]')")
    assert said.message_primary == 'contact list "made" is made from conversations'
    file = tmp_path / "people.csv"
    file.write_bytes(csv("1,Anna,,", header="contact_id,name,email,phone"))
    finished = site.worker.run(
        "import", str(file), "--list", "made", "--append", "append_only", "--json", code=1
    ).json()
    assert finished["reason"] == "rule"
    assert rows(database, "made", "*") == []


def own_source(database: Database, **columns: str) -> None:
    """Make a table of a customer's own, and views of it with the columns of ours."""
    database.query(
        "CREATE TABLE public.chats (id bigint, person bigint, box bigint, opened timestamptz, word text)"
    )
    database.query("INSERT INTO public.chats SELECT 7, 70, inbox_id, now(), 'Hi' FROM outbound.inbox WHERE name = 'Chat'")
    plain = {
        "conversation_id": "id::text", "contact_id": "person::text", "inbox_id": "box", "status": "'open'::text",
        "created_at": "opened", "last_activity_at": "opened", "team": "NULL::text", "assignee": "NULL::text",
        "labels": "'{}'::text[]", "attributes": "jsonb_build_object('word', word)",
    } | columns  # fmt: skip
    database.query(
        "CREATE VIEW public.\"Our chats\" AS SELECT "
        + ", ".join(f"{expression} AS {name}" for name, expression in plain.items() if expression)
        + " FROM public.chats"
    )


def test_conversations_can_be_read_from_views_of_the_users_own(talks: Database) -> None:
    own_source(talks)
    talks.query("SELECT outbound.set_conversation_source('public.\"Our chats\"')")
    assert talks.query("SELECT conversations, contacts FROM outbound.conversation_source") == [
        ('public."Our chats"', None)
    ]
    criteria = {"field": "attributes.word", "operator": "equal", "value": "Hi"}
    assert make(talks, criteria=criteria) == {
        "list": "talks", "table": "talks", "contacts": 1, "records": 1, "skipped": 0,
    }  # fmt: skip
    assert rows(talks, "talks_detail", UNITS) == [("70", "7", "social_media", "C")]
    # What is there twice is one conversation all the same, and what has no name is none.
    talks.query("INSERT INTO public.chats SELECT * FROM public.chats")
    talks.query("INSERT INTO public.chats SELECT NULL, 1, box, opened, word FROM public.chats LIMIT 1")
    talks.query("INSERT INTO public.chats SELECT 8, NULL, box, opened, word FROM public.chats LIMIT 1")
    assert make(talks, "again", criteria=criteria) == {
        "list": "again", "table": "again", "contacts": 1, "records": 1, "skipped": 2,
    }  # fmt: skip
    talks.query("SELECT outbound.set_conversation_source()")
    assert [line[1] for line in preview(talks)] == ["c1", "c2", "c3", "c5"]


def test_a_source_must_have_the_columns_and_their_types(talks: Database) -> None:
    own_source(talks, conversation_id="id", team="")
    said = problem(talks, "SELECT outbound.set_conversation_source('public.\"Our chats\"')")
    assert (said.sqlstate, said.message_primary, said.message_detail) == (
        "42804",
        'public."Our chats" does not have the columns of outbound.conversation',
        "Missing, or of another type: conversation_id text (here bigint), team text.",
    )
    said = problem(talks, "SELECT outbound.set_conversation_source(contacts => 'outbound.conversation')")
    assert said.sqlstate == "42804"
    talks.query("CREATE SEQUENCE public.numbers")
    assert problem(talks, "SELECT outbound.set_conversation_source('public.numbers')").sqlstate == "42809"


def test_a_source_that_is_gone_or_changed_is_told_and_nothing_is_read(talks: Database) -> None:
    own_source(talks)
    talks.query("SELECT outbound.set_conversation_source('public.\"Our chats\"')")
    talks.query('DROP VIEW public."Our chats"')
    said = problem(talks, "SELECT * FROM outbound.preview_list(%s)", Jsonb(OPEN))
    assert (said.sqlstate, said.message_primary) == ("42P01", 'public."Our chats" does not exist any more')
    talks.query("SELECT outbound.set_conversation_source()")
    assert len(preview(talks)) == 4


def test_a_source_of_somebody_who_is_not_trusted_is_never_read(talks: Database) -> None:
    """A view runs its functions with the rights of who reads it: here that would be the extension's owner."""
    own_source(talks)
    with talks.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS outbound_test_clever")
        connection.execute("CREATE ROLE outbound_test_clever IN ROLE outbound_admin")
    set_source = "SELECT outbound.set_conversation_source('public.\"Our chats\"')"
    talks.query(set_source)
    talks.query('ALTER VIEW public."Our chats" OWNER TO outbound_test_clever')
    try:
        for statement in (
            set_source,
            f"SELECT * FROM outbound.preview_list('{{\"field\": \"status\", \"operator\": \"is_not_empty\"}}')",
        ):
            said = problem(talks, statement)
            assert (said.sqlstate, said.message_primary) == (
                "42501",
                'the owner of public."Our chats" is not trusted',
            )
    finally:
        talks.query('DROP VIEW public."Our chats"')
        talks.query("DROP ROLE outbound_test_clever")


MIXED = [
    {"name": "id"},
    {"name": "chat", "contact": {"type": "conversation_id"}},
    {"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}},
]


@pytest.mark.parametrize("append_type", ["append_only", "append_and_update"])
def test_records_that_name_a_conversation_find_its_inbox_and_the_others_are_purged(
    talks: Database, append_type: str
) -> None:
    create_list(talks, "mixed", columns=MIXED, identifier="id", contact_name=None)
    add(
        talks,
        "mixed",
        {"id": "1", "chat": "c3"},
        {"id": "2", "chat": " c5 ", "phone": "+380441112233"},
        {"id": "3", "chat": "missing"},
        {"id": "4", "chat": "c4", "phone": "+380441112233"},
        {"id": "5", "phone": "+380441112233"},
        append_type=append_type,
    )
    assert rows(talks, "mixed", CODES) == [
        ("1", "CFCF"), ("2", "CCFF"), ("3", "FFFF"), ("4", "CCFF"), ("5", "CCFF"),
    ]  # fmt: skip
    chats = "sys_contact_id, sys_channel_user, sys_conversation_type::text, sys_inbox_id IS NULL, sys_status"
    found = [line for line in rows(talks, "mixed_detail", chats) if line[1][0] != "+"]
    assert found == [
        ("1", "c3", "email", False, "C"),
        ("2", "c5", "call", False, "C"),
        ("3", "missing", None, True, "P"),
        ("4", "c4", None, True, "P"),
    ]
    # Once the conversation is there, an update brings its record to life.
    talk(talks, "missing", "p1", "Chat")
    add(talks, "mixed", {"id": "3", "chat": "missing"}, append_type="append_and_update")
    assert rows(talks, "mixed", CODES)[2] == ("3", "CFFC")
    assert [line for line in rows(talks, "mixed_detail", UNITS) if line[0] == "3"] == [
        ("3", "missing", "social_media", "C")
    ]


def test_a_new_list_from_a_file_finds_conversations_too(site: Site, tmp_path: Path) -> None:
    talk(site.database, "c1", "p1", "Chat")
    file = tmp_path / "chats.csv"
    file.write_bytes(csv("1,c1", "2,none", header="id,chat"))
    site.database.query("SELECT outbound.create_list('chats', %s, 'id')", Jsonb(MIXED[:2]))
    site.worker.run("import", str(file), "--list", "chats", "--append", "flush_and_append", "--json")
    assert rows(site.database, "chats", CODES) == [("1", "CFFC"), ("2", "FFFF")]
    assert rows(site.database, "chats_detail", UNITS) == [
        ("1", "c1", "social_media", "C"),
        ("2", "none", None, "P"),
    ]
