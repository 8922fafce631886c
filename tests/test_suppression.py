"""Do-not-contact lists: units from SQL, which ones they block, and what a load does with them
(contact-lists §2.5, §7.2 R03).
"""

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import add, create_job, create_list, person, rows, set_up_account
from support.run import Run
from support.suppression import ENTRIES, block, raised, suppress

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Anna")
BO = person("bo", phone="+380441112244", name="Bo")
CODES = "sys_id, sys_status, sys_status_call, sys_status_email"
RECORDS = "sys_contact_id, sys_channel_user, sys_status, sys_last_attempt_dialer_attempt_result_id"
DNC = 10


@pytest.fixture
def account(database: Database) -> Database:
    set_up_account(database)
    return database


# --- from SQL ---------------------------------------------------------------------------------------


def test_units_are_entered_in_their_normal_form_and_once(account: Database) -> None:
    block(account, "Opted out")
    answer = suppress(
        account,
        "Opted out",
        ("phone", "(044) 111-22-33"),
        ("phone", "+380 44 111 22 33"),
        ("email", " Anna@EXAMPLE.org"),
        ("phone", "12"),
        ("fax", "0441112233"),
        ("phone", 441112244),
    )
    assert (answer["added"], answer["known"], answer["rejected"]) == (3, 1, 2)
    assert [(line["row"], line["reason"], line["original"]["value"]) for line in answer["reported"]] == [
        (4, "bad_device", "12"),
        (5, "bad_value", "0441112233"),
    ]
    assert account.query(ENTRIES) == [
        ("phone", "+380441112233"),
        ("phone", "+380441112244"),
        ("email", "Anna@example.org"),
    ]
    again = suppress(account, "Opted out", ("phone", "0441112233"))
    assert again == {"added": 0, "known": 1, "rejected": 0, "reported": []}


def test_units_are_taken_off_again(account: Database) -> None:
    block(account, "Opted out", ("phone", "0441112233"), ("username", "anna"))
    off = [("phone", "+380441112233"), ("phone", "+380441112244"), ("email", "?")]
    answer = suppress(account, "Opted out", *off, function="unsuppress")
    assert (answer["removed"], answer["unknown"], answer["rejected"]) == (1, 1, 1)
    assert account.query(ENTRIES) == [("username", "anna")]


def test_the_status_view_counts_the_units_and_tells_when_they_changed(account: Database) -> None:
    block(account, "A", ("phone", "0441112233"), ("email", "a@b.org"), applies_to_all=False)
    block(account, "B")
    status = "SELECT name, applies_to_all, total FROM outbound.suppression_list_status ORDER BY name"
    assert account.query(status) == [("A", False, 2), ("B", True, 0)]
    changed = "SELECT modified_at FROM outbound.suppression_list_status WHERE name = 'A'"
    before = account.value(changed)
    suppress(account, "A", ("phone", "0441112233"))
    assert account.value(changed) == before
    suppress(account, "A", ("phone", "0441112244"))
    assert account.value(changed) > before
    account.query("SELECT outbound.alter_suppression_list('A', true, 'opted out', 'C')")
    assert account.query(status) == [("B", True, 0), ("C", True, 3)]


REFUSED = {
    "no array": ("SELECT outbound.suppress('A', '{}')", "22023", "units must be an array of objects"),
    "null": ("SELECT outbound.suppress('A', NULL)", "22023", "units must be an array of objects"),
    "no array to remove": (
        "SELECT outbound.unsuppress('A', '1')",
        "22023",
        "units must be an array of objects",
    ),
    "no such list": (
        "SELECT outbound.suppress('X', '[]')",
        "42704",
        'do-not-contact list "X" does not exist',
    ),
    "nothing to drop": (
        "SELECT outbound.drop_suppression_list('X')",
        "42704",
        'do-not-contact list "X" does not exist',
    ),
    "twice": (
        "SELECT outbound.create_suppression_list('A')",
        "42710",
        'do-not-contact list "A" exists already',
    ),
    "no name": ("SELECT outbound.create_suppression_list(' ')", "22023", None),
    "to a name that is taken": (
        "SELECT outbound.alter_suppression_list('A', new_name => 'B')",
        "42710",
        'do-not-contact list "B" exists already',
    ),
}


@pytest.mark.parametrize(("statement", "state", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_with_a_hint(
    account: Database, statement: str, state: str, message: str | None
) -> None:
    block(account, "A", ("phone", "0441112233"))
    block(account, "B")
    problem = raised(account, statement)
    assert problem.sqlstate == state
    assert message in (None, problem.message_primary)
    assert account.value("SELECT count(*) FROM outbound.suppression_entry") == 1


def test_a_list_that_a_campaign_keeps_to_is_not_dropped(account: Database) -> None:
    block(account, "A", ("phone", "0441112233"), applies_to_all=False)
    create_list(account, "people")
    settings = Jsonb({"do_not_contact": ["A"]})
    account.query("SELECT outbound.create_campaign('spring', '{people}', 'call', %s)", settings)
    problem = raised(account, "SELECT outbound.drop_suppression_list('A')")
    assert (problem.sqlstate, problem.message_primary) == ("55006", 'do-not-contact list "A" is in use')
    assert problem.message_detail == "Campaigns that keep to it: spring."
    account.query("SELECT outbound.delete_campaign('spring')")
    account.query("SELECT outbound.drop_suppression_list('A')")
    assert account.query(ENTRIES) == []


def test_two_who_enter_the_same_units_take_turns(account: Database) -> None:
    block(account, "A")
    units = Jsonb([{"type": "phone", "value": "0441112233"}])
    with account.connect(autocommit=False) as first, account.connect(autocommit=False) as second:
        first.execute("SELECT outbound.suppress('A', %s)", [units])
        second.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("SELECT outbound.suppress('A', %s)", [units])


# --- the rule ---------------------------------------------------------------------------------------


def test_a_number_blocks_its_extensions_and_an_extension_itself_alone(account: Database) -> None:
    units = [
        ("phone", "+380441112233"),
        ("phone", "+380441112233;ext=5"),
        ("phone", "+380441112244"),
        ("phone", "+380441112244;ext=5"),
        ("phone", "+380441112244;ext=6"),
        ("username", "+380441112233"),
        ("username", "anna;ext=1"),
        ("email", "anna@example.org"),
    ]
    block(account, "A", ("phone", "+380441112233"), ("phone", "+380441112244;ext=5"), ("username", "anna"))
    block(account, "B", ("email", "anna@example.org"))
    question = """SELECT array_agg("position" ORDER BY "position") FROM outbound._suppressed_units(
        (SELECT array_agg(suppression_list_id) FROM outbound.suppression_list WHERE name = ANY (%s)),
        %s, %s)"""
    kinds, values = ([unit[place] for unit in units] for place in (0, 1))
    for lists, blocked in ((["A"], [1, 2, 4]), (["B"], [8]), (["A", "B"], [1, 2, 4, 8]), ([], None)):
        assert account.value(question, lists, "{" + ",".join(kinds) + "}", values) == blocked


# --- loads ------------------------------------------------------------------------------------------


def test_added_contacts_are_shut_out_where_a_list_for_all_blocks_them(account: Database) -> None:
    block(account, "For all", ("phone", "0441112233"), ("phone", "0441112244"))
    block(account, "Ticked only", ("email", "anna@example.org"), applies_to_all=False)
    table = create_list(account, "people")
    bad = person("bad", phone="12")
    free = person("free", phone="+380441112255")
    assert add(account, "people", ANNA, BO, bad, free)["added"] == 4
    assert rows(account, table + "_detail", RECORDS) == [
        ("anna", "+380441112233", "U", DNC),
        ("anna", "anna@example.org", "C", None),
        ("bo", "+380441112244", "U", DNC),
        ("bad", "12", "U", 8),
        ("free", "+380441112255", "C", None),
    ]
    assert rows(account, table, CODES) == [
        ("anna", "C", "F", "C"),
        ("bad", "F", "F", "F"),
        ("bo", "F", "F", "F"),
        ("free", "C", "C", "F"),
    ]
    assert account.value("SELECT flagged FROM outbound.list_status") == 2


@pytest.mark.parametrize(
    "append_type", ["new_list_only", "append_only", "append_and_update", "flush_and_append"]
)
def test_every_kind_of_load_shuts_blocked_units_out(account: Database, append_type: str) -> None:
    block(account, "For all", ("phone", "0441112233"))
    more = {} if append_type == "new_list_only" else {"target_list": "people"}
    if more:
        create_list(account, "people")
        add(account, "people", person("old", phone="+380441112266"))
    create_job(account, append_type=append_type, **more)
    table = str(Run.of(account).import_people([ANNA, BO])["table"])
    old = [] if append_type in ("new_list_only", "flush_and_append") else [("old", "C", "C", "F")]
    assert rows(account, table, CODES) == [("anna", "C", "F", "C"), ("bo", "C", "C", "F"), *old]
    blocked = [line for line in rows(account, table + "_detail", RECORDS) if line[2] == "U"]
    assert blocked == [("anna", "+380441112233", "U", DNC)]
    assert account.value("SELECT count(*) FROM pg_class WHERE relname LIKE 'sys_load_%%'") == 0


@pytest.mark.parametrize("append_type", ["new_list_only", "append_only"])
@pytest.mark.parametrize("entries", [3, 3000], ids=["few entries", "many entries"])
def test_few_and_many_entries_shut_the_same_units_out(
    account: Database, append_type: str, entries: int
) -> None:
    if append_type == "append_only":
        create_list(account, "contacts")
    block(account, "For all", *[("phone", f"+38044111{number:04}") for number in range(3)])
    account.query(
        """INSERT INTO outbound.suppression_entry SELECT 1, 'phone', '+38044222' || lpad(n::text, 4, '0')
           FROM generate_series(1, %s) AS n""",
        entries - 3,
    )
    create_job(account, append_type=append_type)
    crowd = [person(f"{n:04}", phone=f"+38044111{n:04}", email=f"p{n}@example.org") for n in range(1000)]
    crowd[2]["Phone"] += ";ext=7"
    crowd[3]["E-mail"] = ""
    table = str(Run.of(account).import_people(crowd)["table"])
    blocked = [line for line in rows(account, table + "_detail", RECORDS) if line[2] != "C"]
    assert blocked == [
        (f"{n:04}", f"+38044111{n:04}{';ext=7' if n == 2 else ''}", "U", DNC) for n in range(3)
    ]
    codes = rows(account, table, CODES)
    assert codes[:4] == [*[(f"{n:04}", "C", "F", "C") for n in range(3)], ("0003", "C", "C", "F")]
    assert {line[1:] for line in codes[4:]} == {("C", "C", "C")}


def test_a_known_record_is_left_to_the_claim_and_keeps_what_it_is(account: Database) -> None:
    table = create_list(account, "people")
    add(account, "people", ANNA)
    block(account, "For all", ("phone", "0441112233"), ("phone", "0441112277"))
    more = ANNA | {"Phone": "+380441112277"}
    add(account, "people", ANNA, append_type="append_and_update")
    assert rows(account, table, CODES) == [("anna", "C", "C", "C")]
    add(account, "people", more, append_type="append_and_update")
    assert rows(account, table, CODES) == [("anna", "C", "F", "C")]
    assert rows(account, table + "_detail", RECORDS, "sys_channel_user")[0] == (
        "anna",
        "+380441112277",
        "U",
        DNC,
    )
