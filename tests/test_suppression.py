"""Do-not-contact lists: units from SQL and from files, and what a load does with them
(contact-lists §2.5, §7.2 R03).
"""

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import COLUMNS, add, create_job, create_list, person, rows, rules, set_up_account
from support.run import Run
from support.site import Site, csv
from test_dry_run import compare

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Anna")
BO = person("bo", phone="+380441112244", name="Bo")
ENTRIES = "SELECT e.unit_type::text, e.value FROM outbound.suppression_entry AS e ORDER BY e.unit_type, e.value"
CODES = "sys_id, sys_status, sys_status_call, sys_status_email"
RECORDS = "sys_contact_id, sys_channel_user, sys_status, sys_last_attempt_dialer_attempt_result_id"
DNC = 10


@pytest.fixture
def account(database: Database) -> Database:
    set_up_account(database)
    return database


def block(database: Database, name: str, *units: tuple[str, str], applies_to_all: bool = True) -> None:
    """Make a do-not-contact list with these units."""
    database.query("SELECT outbound.create_suppression_list(%s, %s)", name, applies_to_all)
    suppress(database, name, *units)


def suppress(
    database: Database, name: str, *units: tuple[str, Any], function: str = "suppress"
) -> dict[str, Any]:
    """Put units on a list, or take them off, and return the answer."""
    given = Jsonb([{"type": kind, "value": value} for kind, value in units])
    return dict(database.value(f"SELECT outbound.{function}(%s, %s)", name, given))


def raised(database: Database, statement: str, *parameters: Any) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as error:
        database.query(statement, *parameters)
    assert error.value.diag.message_hint
    return error.value.diag


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
        (SELECT array_agg(suppression_list_id) FROM outbound.suppression_list WHERE name = ANY (%s)), %s, %s)"""
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


@pytest.mark.parametrize("append_type", ["new_list_only", "append_only", "append_and_update", "flush_and_append"])
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
    assert set(line[1:] for line in codes[4:]) == {("C", "C", "C")}


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


# --- from files -------------------------------------------------------------------------------------


def job_rules(**more: Any) -> dict[str, Any]:
    """Return the sections of a job for a do-not-contact list, for `create_job`."""
    return {
        "action": "import_suppression",
        "append_type": "append_only",
        "target_suppression_list": "Opted out",
        "columns": [
            {"name": "phone", "contact": {"type": "phone"}},
            {"name": "mail", "contact": {"type": "email"}},
        ],
        "identifier": None,
        "contact_name": None,
    } | more


OPTED_OUT = csv(
    "1,0441112233,anna@example.org,asked",
    "2,0441112244,,",
    "3,+380441112233,,again",
    "4,12,nobody,",
    "5,,bo@example.org,",
    "6,13,bo2@example.org,",
    "7,,,",
    "8,few",
    header="no,phone,mail,why",
)
COUNTS = "rows_read, added, updated, duplicates, rejected, filtered, warnings, records, append_type, list_name"


def put(site: Site, name: str, content: bytes) -> str:
    """Write a local file and return its path."""
    path = site.worker.folder / name
    path.write_bytes(content)
    return str(path)


def test_units_of_a_local_file_are_blocked_and_its_counts_reconcile(site: Site) -> None:
    path = put(site, "out.csv", OPTED_OUT)
    command = ("suppress", path, "--list", "Opted out", "--unit", "phone=phone", "--unit", "mail=email")
    report, code = compare(site, *command)
    assert (report["result"], code) == ("success", 0)
    (file,) = report["files"]
    counts = {name: file[name] for name in ("rows_read", "added", "duplicates", "rejected", "records_added")}
    assert counts == {"rows_read": 8, "added": 4, "duplicates": 1, "rejected": 3, "records_added": 5}
    assert file["reasons"] == {"bad_device": 1, "no_valid_device": 2, "too_few_columns": 1}
    assert site.ledger(COUNTS) == [(8, 4, 0, 1, 3, 0, 1, 5, "append_only", "Opted out")]
    assert site.ledger("list_id, suppression_list_id IS NULL") == [(None, False)]
    assert site.refused("line_number, column_name, reason, severity, message") == [
        (5, "phone", "no_valid_device", "row", '"12" is not a valid phone number'),
        (7, "phone", "bad_device", "warning", '"13" is not a valid phone number'),
        (8, None, "no_valid_device", "row", "the row has no unit"),
        (9, None, "too_few_columns", "row", "the row has 2 fields and the header has 4"),
    ]
    assert site.database.query(ENTRIES) == [
        ("phone", "+380441112233"),
        ("phone", "+380441112244"),
        ("email", "anna@example.org"),
        ("email", "bo2@example.org"),
        ("email", "bo@example.org"),
    ]
    assert 'new do-not-contact list "Opted out"' in report["message"]


def test_the_same_file_again_is_all_duplicates_and_says_so_to_people(site: Site) -> None:
    path = put(site, "out.csv", OPTED_OUT)
    site.worker.run("suppress", path, "--list", "Opted out", "--unit", "phone=phone")
    text = site.worker.run("suppress", path, "--list", "Opted out").stdout
    assert "8 rows: 0 added, 3 duplicates, 5 rejected; 0 units added" in text
    assert 'do-not-contact list "Opted out"' in text


def test_a_flush_leaves_what_the_file_has(site: Site) -> None:
    block(site.database, "Opted out", ("phone", "0441112244"), ("phone", "0441112299"))
    path = put(site, "out.csv", OPTED_OUT)
    flags = ("--unit", "phone=phone", "--append", "flush_and_append", "--json")
    (file,) = site.worker.run("suppress", path, "--list", "Opted out", *flags).json()["files"]
    assert (file["added"], file["duplicates"], file["records_removed"]) == (2, 1, 1)
    assert site.database.query(ENTRIES) == [("phone", "+380441112233"), ("phone", "+380441112244")]
    assert site.database.value("SELECT applies_to_all FROM outbound.suppression_list_status")


HEADERS = {
    "another column": ("phone,mail,why", "header_drift"),
    "a column less": ("phone", "header_missing"),
    "an own column": ("phone,sys_id", "header_reserved"),
}


@pytest.mark.parametrize(("header", "reason"), HEADERS.values(), ids=HEADERS)
def test_later_files_have_the_columns_of_the_first(site: Site, header: str, reason: str) -> None:
    first = put(site, "first.csv", csv("0441112233,a@b.org", header="Phone,Mail"))
    site.worker.run("suppress", first, "--list", "Out", "--unit", "phone=phone")
    line = ",".join("1" for _ in header.split(","))
    later = put(site, "later.csv", csv(line, header=header))
    report = site.worker.run("suppress", later, "--list", "Out", "--json", code=1).json()
    assert report["files"][0]["reason"] == reason
    swapped = put(site, "swapped.csv", csv("x,0441112244", header="MAIL,phone"))
    site.worker.run("suppress", swapped, "--list", "Out")
    assert site.database.query(ENTRIES) == [("phone", "+380441112233"), ("phone", "+380441112244")]


def test_units_from_other_columns_than_the_lists_are_refused(site: Site) -> None:
    path = put(site, "out.csv", OPTED_OUT)
    site.worker.run("suppress", path, "--list", "Out", "--unit", "phone=phone")
    flags = ("--unit", "phone=phone", "--unit", "mail=email")
    (file,) = site.worker.run("suppress", path, "--list", "Out", *flags, "--json", code=1).json()["files"]
    assert file["reason"] == "header_drift"
    assert file["detail"] == "The list: phone (phone). The job: mail (email), phone (phone)."


MISSING: dict[str, tuple[bool, tuple[str, ...], str]] = {
    "no list and no columns": (False, (), "list_missing"),
    "no columns": (True, (), "rule"),
    "no such column": (True, ("--unit", "fax=phone"), "header_missing"),
    "no valid unit": (True, ("--unit", "why=email"), "no_acceptable_row"),
    "too many refused": (True, ("--unit", "phone=phone", "--max-rejected", "2"), "max_rejected"),
}


@pytest.mark.parametrize(("made", "flags", "reason"), MISSING.values(), ids=MISSING)
def test_a_file_that_fails_changes_nothing(
    site: Site, made: bool, flags: tuple[str, ...], reason: str
) -> None:
    if made:
        block(site.database, "Out", ("phone", "0441112299"))
    path = put(site, "out.csv", OPTED_OUT)
    report = site.worker.run("suppress", path, "--list", "Out", *flags, "--json", code=1).json()
    assert report["reason"] == reason
    assert report["files"][0]["hint"] or reason == "no_acceptable_row"
    assert site.database.query(ENTRIES) == [("phone", "+380441112299")] * made
    assert site.database.query("SELECT columns FROM outbound.suppression_list") == [(None,)] * made
    site.nothing_is_left()


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        (("--unit", "phone=fax"), "columns[0].contact.type"),
        (("--unit", "phone=phone", "--append", "new_list_only"), "append_type"),
        (("--unit", "sys_x=phone"), "columns[0].name"),
    ],
)
def test_flags_that_make_no_rules_are_refused(site: Site, flags: tuple[str, ...], field: str) -> None:
    path = put(site, "out.csv", OPTED_OUT)
    finished = site.worker.run("suppress", path, "--list", "Out", *flags, code=1)
    assert f"outbound: {field}: " in finished.stderr
    assert "hint: " in finished.stderr


def test_a_job_blocks_the_units_of_its_files_and_a_later_load_keeps_to_them(site: Site) -> None:
    site.job(**job_rules())
    site.put("contacts 1.csv", OPTED_OUT, age=7200)
    site.put("contacts 2.csv", csv("9,0441112255,,", header="no,phone,mail,why"))
    report = site.run().json()
    assert [(file["added"], file["outcome"]) for file in report["files"]] == [(4, "deleted"), (1, "deleted")]
    assert site.database.query("SELECT status, action FROM outbound.job_status") == [
        ("success", "import_suppression")
    ]
    site.database.query("SELECT outbound.alter_suppression_list('Opted out', true)")
    create_list(site.database, "people")
    add(site.database, "people", ANNA, BO, person("cy", phone="0441112255"))
    assert [line[1] for line in rows(site.database, "people", CODES)] == ["F", "F", "F"]
    site.nothing_is_left()


def test_a_job_for_a_do_not_contact_list_has_no_inbox(account: Database) -> None:
    account.query("SELECT outbound.create_sftp_server('partner', 'sftp:host')")
    for more, field in (
        ({"columns": COLUMNS[2:3]}, "columns[0].contact.inbox"),
        ({"target_list": "people"}, "target_list"),
        ({"target_suppression_list": None}, "target_suppression_list"),
    ):
        problem = raised(
            account, "SELECT outbound.create_job('job', %s)", Jsonb(rules(**job_rules(**more)))
        )
        assert (problem.sqlstate, problem.message_detail) == ("22023", f"Field: {field}")


def test_what_changes_during_a_load_is_noticed(account: Database) -> None:
    create_job(account, **job_rules())
    header = ["phone", "mail"]
    for change, state in (
        ("SELECT outbound.create_suppression_list('Opted out')", "OB405"),
        ("DELETE FROM outbound.suppression_list", "OB404"),
    ):
        run = Run.of(account)
        load = run.begin(run.take(), header)
        for part in ("contact", "detail"):
            account.query("SELECT outbound.create_load_table(%s, %s)", load.number, part)
        account.query(change)
        with pytest.raises(psycopg.Error) as raised_by:
            run.publish(load)
        assert raised_by.value.diag.sqlstate == state
        run.finish("list_missing", "it was")


def test_a_list_is_loaded_by_one_and_not_dropped_meanwhile(account: Database) -> None:
    block(account, "Opted out")
    for name in ("a", "b"):
        create_job(account, name, **job_rules())
    first, second = Run.of(account, "a"), Run.of(account, "b")
    first.begin(first.take(), ["phone", "mail"])
    answer = second.call("begin_load", second.take(), ["phone", "mail"])
    assert answer["refused"]["reason"] == "list_busy"
    problem = raised(account, "SELECT outbound.drop_suppression_list('Opted out')")
    assert problem.sqlstate == "55006"
    first.lost()
    account.query("SELECT outbound.return_ended_runs()")
    assert second.call("begin_load", second.take("contacts 2.csv"), ["phone", "mail"])["refused"] is None


def test_counts_that_do_not_add_up_are_not_published(account: Database) -> None:
    create_job(account, **job_rules())
    run = Run.of(account)
    load = run.begin(run.take(), ["phone", "mail"])
    for part in ("contact", "detail"):
        account.query("SELECT outbound.create_load_table(%s, %s)", load.number, part)
    with pytest.raises(psycopg.Error) as error:
        run.publish(load, rows_read=1)
    assert error.value.diag.sqlstate == "OB500"
    assert account.query("SELECT name FROM outbound.suppression_list") == []
