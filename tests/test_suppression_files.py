"""Do-not-contact lists from files, local ones and a job's, through the pipeline of every load
(contact-lists §2.5).
"""

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import COLUMNS, add, create_job, create_list, person, rows, rules, set_up_account
from support.run import Run
from support.site import Site, csv
from support.suppression import ENTRIES, block, raised
from test_dry_run import compare

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Anna")
BO = person("bo", phone="+380441112244", name="Bo")
CODES = "sys_id, sys_status, sys_status_call, sys_status_email"


@pytest.fixture
def account(database: Database) -> Database:
    set_up_account(database)
    return database


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
COUNTS = (
    "rows_read, added, updated, duplicates, rejected, filtered, warnings, records, append_type, list_name"
)


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
        problem = raised(account, "SELECT outbound.create_job('job', %s)", Jsonb(rules(**job_rules(**more))))
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
