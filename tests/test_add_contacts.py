"""Contacts added from SQL: the same rules as for a file (contact-lists §2.3)."""

from typing import Any

import psycopg
import pytest

from support.cluster import Database
from support.lists import COLUMNS, add, create_list, person, rows, set_up_account

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Анна")


@pytest.fixture
def lists(database: Database) -> Database:
    set_up_account(database)
    return database


def test_contacts_added_from_sql_follow_the_rules_of_a_file(lists: Database) -> None:
    table = create_list(lists, "ruled")
    report = add(
        lists,
        "ruled",
        {"Client ID": " 1 ", "Name": "first", "Phone": "(044) 111-22-33", "E-mail": " Anna@EXAMPLE.org "},
        {"Client ID": "1", "Name": "again", "Phone": "0441112244"},
        {"Client ID": "", "Name": "without"},
        {"Client ID": 2, "Phone": "12", "E-mail": "not an address"},
        {"Client ID": "3"},
    )
    counts = {
        name: report[name] for name in ("rows_read", "added", "duplicates", "rejected", "records_added")
    }
    assert counts == {"rows_read": 5, "added": 3, "duplicates": 1, "rejected": 1, "records_added": 4}
    assert [
        (line["row"], line["column"], line["reason"], line["severity"]) for line in report["reported"]
    ] == [
        (2, "Client ID", "duplicate_client_id", "row"),
        (3, "Client ID", "empty_client_id", "row"),
        (4, "Phone", "bad_device", "warning"),
        (4, "E-mail", "bad_device", "warning"),
        (4, None, "no_valid_device", "warning"),
        (5, None, "no_valid_device", "warning"),
    ]
    codes = "sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media"
    assert rows(lists, table, codes) == [
        ("1", "C", "C", "C", "F"),
        ("2", "F", "F", "F", "F"),
        ("3", "F", "F", "F", "F"),
    ]
    units = "sys_contact_id, sys_channel_user, sys_cl_source_column, sys_status"
    units += ", sys_last_attempt_dialer_attempt_result_id"
    assert rows(lists, table + "_detail", units) == [
        ("1", "+380441112233", "Phone", "C", None),
        ("1", "Anna@example.org", "E-mail", "C", None),
        ("2", "12", "Phone", "U", 8),
        ("2", "not an address", "E-mail", "U", 8),
    ]


def test_one_unit_in_two_columns_is_one_record_of_the_first(lists: Database) -> None:
    columns = [
        {"name": name, "contact": {"type": "phone", "inbox": inbox}}
        for name, inbox in (("home", "Voice"), ("work", "Voice"), ("messenger", "Chat"))
    ]
    table = create_list(lists, "twice", columns=columns, identifier=None, contact_name=None)
    add(lists, "twice", {"home": "0441112233", "work": "+380 44 111 22 33", "messenger": "0441112233"})
    assert rows(lists, table + "_detail", "sys_cl_source_column, sys_conversation_type::text") == [
        ("home", "call"),
        ("messenger", "social_media"),
    ]


def test_typed_columns_hold_typed_values(lists: Database) -> None:
    columns: list[dict[str, Any]] = [
        {"name": kind, "type": kind} for kind in ("integer", "numeric", "boolean", "date", "timestamptz")
    ]
    columns.append(COLUMNS[2])
    table = create_list(lists, "typed", columns=columns, identifier=None, contact_name=None)
    values = {
        "integer": "9007199254740993",
        "numeric": "12.50",
        "boolean": "yes",
        "date": "31.12.2026",
        "timestamptz": "2026-01-02T03:04:05+02:00",
    }
    report = add(
        lists,
        "typed",
        values | {"Phone": "0441112233"},
        {"integer": "many"},
        {"boolean": True, "numeric": 1.5},
    )
    assert [(line["row"], line["reason"]) for line in report["reported"] if line["severity"] == "row"] == [
        (2, "bad_value")
    ]
    shown = "integer::text, numeric::text, boolean::text, date::text, (timestamptz AT TIME ZONE 'UTC')::text"
    assert rows(lists, table, shown) == [
        ("9007199254740993", "12.50", "true", "2026-12-31", "2026-01-02 01:04:05"),
        (None, "1.5", "true", None, None),
    ]


def test_running_numbers_go_on_after_the_highest_used(lists: Database) -> None:
    table = create_list(lists, "numbered", identifier=None)
    add(lists, "numbered", ANNA, ANNA)
    lists.query("DELETE FROM outbound_list.numbered WHERE sys_id = '2'")
    add(lists, "numbered", ANNA, append_type="append_and_update")
    assert rows(lists, table, "sys_id") == [("1",), ("3",)]
    assert rows(lists, table + "_detail", "sys_id, sys_contact_id") == [
        (1, "1"), (2, "1"), (3, "2"), (4, "2"), (5, "3"), (6, "3"),
    ]  # fmt: skip


BAD_CONTACTS = {
    "not an array": ("{}", "append_only", "contacts must be an array of objects"),
    "null": (None, "append_only", "contacts must be an array of objects"),
    "not an object": ("[1]", "append_only", "contact 1 is not an object"),
    "unknown column": (
        '[{"Client ID": 1}, {"Fone": 1}]',
        "append_only",
        'contact 2: the list has no column "Fone"',
    ),
    "append type": ("[]", "flush_and_append", 'append type "flush_and_append" cannot be used here'),
    "no append type": ("[]", None, 'append type "<NULL>" cannot be used here'),
}


@pytest.mark.parametrize(("contacts", "append_type", "message"), BAD_CONTACTS.values(), ids=BAD_CONTACTS)
def test_contacts_that_are_no_contacts_are_refused(
    lists: Database, contacts: str | None, append_type: str | None, message: str
) -> None:
    create_list(lists, "strict")
    with pytest.raises(psycopg.Error) as raised:
        lists.query("SELECT outbound.add_contacts('strict', %s, %s)", contacts, append_type)
    problem = raised.value.diag
    assert (problem.sqlstate, problem.message_primary) == ("22023", message)
    assert problem.message_hint
