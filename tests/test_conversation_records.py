"""Where conversations are read from, and the records of files that name one
(contact-lists §2.2, §7.2 R01, R02; P16).
"""

from datetime import timedelta
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.conversations import CODES, OPEN, UNITS, agree, enter_talks, make, preview, problem, talk
from support.dialing import Desk, create_campaign
from support.lists import add, create_list, rows
from support.site import Site, csv


@pytest.fixture
def talks(database: Database) -> Database:
    enter_talks(database)
    return database


def own_source(database: Database, **columns: str) -> None:
    """Make a table of a customer's own, and views of it with the columns of ours."""
    database.query(
        "CREATE TABLE public.chats (id bigint, person bigint, box bigint, opened timestamptz, word text)"
    )
    database.query(
        "INSERT INTO public.chats SELECT 7, 70, inbox_id, now(), 'Hi' FROM outbound.inbox WHERE name = 'Chat'"
    )
    plain = {
        "conversation_id": "id::text", "contact_id": "person::text", "inbox_id": "box",
        "status": "'open'::text", "created_at": "opened", "last_activity_at": "opened",
        "team": "NULL::text", "assignee": "NULL::text", "labels": "'{}'::text[]",
        "attributes": "jsonb_build_object('word', word)",
    } | columns  # fmt: skip
    chosen = ", ".join(f"{expression} AS {name}" for name, expression in plain.items() if expression)
    database.query(f'CREATE VIEW public."Our chats" AS SELECT {chosen} FROM public.chats')  # noqa: S608


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
            'SELECT * FROM outbound.preview_list(\'{"field": "status", "operator": "is_not_empty"}\')',
        ):
            said = problem(talks, statement)
            assert (said.sqlstate, said.message_primary) == (
                "42501",
                'the owner of public."Our chats" is not trusted',
            )
    finally:
        talks.query('DROP VIEW public."Our chats"')
        talks.query("DROP ROLE outbound_test_clever")


def test_an_inbox_that_records_found_from_their_conversation_is_in_use(talks: Database) -> None:
    make(talks, criteria={"field": "inbox", "operator": "equal", "value": "Chat"})
    said = problem(talks, "SELECT outbound.drop_inbox('Chat')")
    assert (said.sqlstate, said.message_detail) == ("55006", "Contact lists that send from it: talks.")
    talks.query("SELECT outbound.drop_inbox('Post')")


def test_a_list_filled_from_files_has_no_criteria_and_one_from_conversations_takes_no_file(
    site: Site, tmp_path: Path
) -> None:
    database = site.database
    create_list(database, "files")
    for argument in ("auto_add => true", "auto_add_schedule => '0 0 * * *'", "criteria => '{}'"):
        said = problem(database, f"SELECT outbound.alter_list('files', {argument})")
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
    agree(talks, "mixed")
    # Once the conversation is there, an update brings its record to life.
    talk(talks, "missing", "p1", "Chat")
    add(talks, "mixed", {"id": "3", "chat": "missing"}, append_type="append_and_update")
    assert rows(talks, "mixed", CODES)[2] == ("3", "CFFC")
    assert [line for line in rows(talks, "mixed_detail", UNITS) if line[0] == "3"] == [
        ("3", "missing", "social_media", "C")
    ]
    agree(talks, "mixed")


def test_attempts_of_a_conversation_that_comes_back_count_for_the_type_it_has_then(talks: Database) -> None:
    create_list(talks, "mixed", columns=MIXED[:2], identifier="id", contact_name=None)
    add(talks, "mixed", {"id": "1", "chat": "c2"}, {"id": "2", "chat": "c1"})
    create_campaign(talks, "chats", ["mixed"], "social_media")
    with Desk(talks, campaign="chats", list_name="mixed") as desk:
        for result in ("busy", "noanswer"):
            desk.later(timedelta(days=1))
            attempts = [claimed.attempt_id for claimed in desk.claim(10)]
            assert [answer.outcome for answer in desk.settle(attempts, result)] == ["settled", "settled"]
        talks.query("DELETE FROM outbound.conversation WHERE conversation_id = 'c2'")
        desk.later(timedelta(days=1))
        assert [claimed.contact_id for claimed in desk.claim(10)] == ["2"]
    talk(talks, "c2", "p1", "Post")
    add(talks, "mixed", {"id": "1", "chat": "c2"}, append_type="append_and_update")
    assert rows(talks, "mixed_detail", UNITS)[0] == ("1", "c2", "email", "C")
    counts = "sys_id, sys_attempts, sys_attempts_social_media, sys_attempts_email"
    assert rows(talks, "mixed", counts) == [("1", 2, 0, 2), ("2", 2, 2, 0)]
    assert talks.query("SELECT * FROM outbound.check_consistency('mixed')") == []


def test_a_conversation_that_comes_back_with_another_type_opens_that_type(talks: Database) -> None:
    # Beside it a missing and a callable one keep the former type: only the new one tells that codes change.
    chats = {"first": "c2", "second": "c6", "third": "c7"}
    columns = [{"name": name, "contact": {"type": "conversation_id"}} for name in chats]
    for identifier in ("c6", "c7"):
        talk(talks, identifier, "p1", "Chat")
    create_list(talks, "chats", columns=[MIXED[0], *columns], identifier="id", contact_name=None)
    add(talks, "chats", {"id": "1"} | chats)
    create_campaign(talks, "spring", ["chats"], "social_media")
    talks.query("DELETE FROM outbound.conversation WHERE conversation_id IN ('c2', 'c6')")
    with Desk(talks, list_name="chats") as desk:
        desk.settle(desk.claim_one().attempt_id, "not_performed")
    found = [
        ("1", "c2", "social_media", "P"),
        ("1", "c6", "social_media", "P"),
        ("1", "c7", "social_media", "C"),
    ]
    assert rows(talks, "chats_detail", UNITS) == found
    talk(talks, "c2", "p1", "Post")
    add(talks, "chats", {"id": "1"} | chats, append_type="append_and_update")
    assert rows(talks, "chats_detail", UNITS) == [("1", "c2", "email", "C"), *found[1:]]
    assert rows(talks, "chats", CODES) == [("1", "CFCC")]
    assert talks.query("SELECT * FROM outbound.check_consistency('chats')") == []


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
