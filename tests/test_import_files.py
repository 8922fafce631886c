"""Which files a run takes, what becomes of them, and which list they go to
(list-automation §2.3, §3.3, §3.4 A-3, A-4, A-6).
"""

import time
from typing import Any

import psycopg
import pytest

from support.cluster import Database
from support.lists import (
    COLUMNS,
    HEADER,
    add,
    create_job,
    create_list,
    person,
    rows,
    set_up_account,
    table_of,
)
from support.run import LONG_AGO, Run, entry

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Anna")
BO = person("bo", phone="+380441112244", name="Bo")


@pytest.fixture
def jobs(database: Database) -> Database:
    set_up_account(database)
    return database


def ledger(database: Database, columns: str = "name, state, outcome") -> list[tuple[Any, ...]]:
    return database.query(f"SELECT {columns} FROM outbound.import_file ORDER BY file_id")  # noqa: S608


def decision(run: Run, name: str = "contacts.csv", **more: Any) -> tuple[str, str | None]:
    (answer,) = run.plan(entry(name, **more))
    assert (answer["file_id"] is None) == (answer["decision"] == "skip")
    return answer["decision"], answer["reason"]


DECISIONS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "plain": ({}, "take", None),
    "other name": ({"name": "people.csv"}, "skip", "no_match_name"),
    "other case": ({"name": "CONTACTS.CSV"}, "take", None),
    "refused name": ({"refused": "bad_file_name"}, "skip", "bad_file_name"),
    "directory": ({"kind": "directory"}, "skip", "not_regular_file"),
    "symlink": ({"kind": "symlink"}, "skip", "not_regular_file"),
    "pipe": ({"kind": "other"}, "skip", "not_regular_file"),
    "in transfer": ({"name": "contacts.csv.part"}, "skip", "still_growing"),
    "hidden": ({"name": ".contacts.csv"}, "skip", "still_growing"),
    "empty": ({"size": 0}, "take", None),
}


@pytest.mark.parametrize(("listed", "decided", "reason"), DECISIONS.values(), ids=DECISIONS)
def test_each_file_gets_its_decision(
    jobs: Database, listed: dict[str, Any], decided: str, reason: str | None
) -> None:
    create_job(jobs)
    assert decision(Run.of(jobs), **listed) == (decided, reason)


def test_a_file_is_taken_when_nobody_has_written_to_it_for_the_jobs_time(jobs: Database) -> None:
    create_job(jobs, files={"settle_seconds": 600})
    run = Run.of(jobs)
    now = int(time.time())
    assert decision(run, modified_at=now) == ("skip", "still_growing")
    assert decision(run, modified_at=now - 500) == ("skip", "still_growing")
    assert decision(run, modified_at=now - 601) == ("take", None)


def test_files_are_taken_oldest_first_then_by_name(jobs: Database) -> None:
    create_job(jobs)
    listing = [
        entry("contacts 3", modified_at=LONG_AGO + 1),
        entry("contacts b"),
        entry("other"),
        entry("contacts a"),
    ]
    answer = Run.of(jobs).plan(*listing)
    assert [line["index"] for line in answer if line["decision"] == "take"] == [3, 1, 0]
    assert [name for (name,) in ledger(jobs, "name")] == ["contacts a", "contacts b", "contacts 3"]
    assert Run.claim(jobs) is None


def test_an_empty_directory_is_no_match(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs)
    assert run.plan() == []
    assert run.finish()["result"] == "no_match"


def test_a_second_try_uses_the_entry_of_the_first(jobs: Database) -> None:
    create_job(jobs)
    first = Run.of(jobs)
    file = first.take()
    first.lost()
    second = Run.claim(jobs, "worker 2")
    assert second is not None
    assert second.take(size=101) == file
    assert ledger(jobs, "name, state, size") == [("contacts.csv", "taken", 101)]


def test_a_known_name_is_skipped_only_where_the_job_says_so(jobs: Database) -> None:
    for name, ignore in (("strict", True), ("lax", False)):
        create_job(jobs, name, files={"ignore_duplicates": ignore})
        Run.of(jobs, name).import_people([ANNA])
        again = Run.of(jobs, name)
        expected = ("skip", "known_name") if ignore else ("take", None)
        assert decision(again, size=999, modified_at=LONG_AGO + 5) == expected
        again.finish()


def test_known_content_under_another_name_is_not_loaded_and_then_left_alone(jobs: Database) -> None:
    create_job(jobs, files={"ignore_duplicates": True})
    Run.of(jobs).import_people([ANNA], content=b"the same")
    again = Run.of(jobs)
    with pytest.raises(AssertionError):
        again.take("contacts 2.csv", content=b"the same")
    assert ledger(jobs, "name, state, reason, message")[1] == (
        "contacts 2.csv",
        "known",
        "known_content",
        'same content as "contacts.csv", which was imported before',
    )
    ended = again.finish()
    assert (ended["result"], ended["message"]) == (
        "no_match",
        "1 file(s) skipped: same content as a file imported before",
    )
    assert decision(Run.of(jobs), name="contacts 2.csv") == ("skip", "known_content")


def test_the_same_content_is_loaded_again_where_the_job_does_not_mind(jobs: Database) -> None:
    create_job(jobs)
    for name in ("contacts.csv", "contacts 2.csv"):
        assert Run.of(jobs).import_people([ANNA], name, content=b"the same")["added"] == 1


def test_a_failed_file_is_taken_again_by_the_next_run(jobs: Database) -> None:
    create_job(jobs, files={"ignore_duplicates": True})
    run = Run.of(jobs)
    run.call("file_failed", run.take(), "pgp_integrity", "it was tampered with", {"rows_read": 7})
    run.finish()
    assert decision(Run.of(jobs)) == ("take", None)
    assert ledger(jobs, "state, rows_read") == [("failed", 7), ("taken", None)]


@pytest.mark.parametrize(
    ("files", "disposition", "state"),
    [
        ({}, "delete", "published"),
        ({"delete_after_import": False}, "leave", "done"),
        ({"move_after_import_to": "done"}, "move", "published"),
        ({"move_after_import_to": "done", "delete_after_import": True}, "move", "published"),
    ],
)
def test_what_is_to_become_of_a_file_is_written_before_it_is_loaded(
    jobs: Database, files: dict[str, Any], disposition: str, state: str
) -> None:
    create_job(jobs, files=files)
    run = Run.of(jobs)
    file = run.take()
    assert ledger(jobs, "disposition, state") == [(disposition, "taken")]
    run.publish(run.load(file, [ANNA]))
    assert ledger(jobs, "state") == [(state,)]
    if state == "published":
        run.call("file_disposed", file, "moved" if disposition == "move" else "deleted", "done/contacts.csv")
    else:
        assert ledger(jobs, "outcome") == [("left",)]
    assert ledger(jobs, "state") == [("done",)]


@pytest.mark.parametrize("ignore", [False, True])
def test_a_file_published_before_a_crash_is_only_disposed_of(jobs: Database, ignore: bool) -> None:
    create_job(jobs, files={"ignore_duplicates": ignore})
    first = Run.of(jobs)
    file = first.take()
    first.publish(first.load(file, [ANNA]))
    first.lost()
    second = Run.claim(jobs, "worker 2")
    assert second is not None
    (answer,) = second.plan(entry("contacts.csv"))
    assert (answer["decision"], answer["file_id"]) == ("dispose", file)
    second.call("file_disposed", file, "deleted")
    assert second.finish()["result"] == "success"
    assert ledger(jobs) == [("contacts.csv", "done", "deleted")]
    assert jobs.query("SELECT successes, failures FROM outbound.job_status") == [(1, 0)]


def test_a_published_file_that_is_gone_is_settled_and_a_new_one_of_its_name_is_taken(jobs: Database) -> None:
    create_job(jobs)
    for later in ([], [entry("contacts.csv", size=555)]):
        first = Run.of(jobs)
        first.publish(first.load(first.take(), [ANNA]))
        first.lost()
        second = Run.claim(jobs, "worker 2")
        assert second is not None
        assert [line["decision"] for line in second.plan(*later)] == ["take"] * len(later)
        second.finish()
    assert ledger(jobs) == [
        ("contacts.csv", "done", "gone"),
        ("contacts.csv", "done", "gone"),
        ("contacts.csv", "failed", None),
    ]


def test_a_file_of_another_job_is_not_known(jobs: Database) -> None:
    for name in ("a", "b"):
        create_job(jobs, name, files={"ignore_duplicates": True})
        assert Run.of(jobs, name).import_people([ANNA])["added"] == 1


def test_the_new_list_has_the_stem_and_with_a_second_one_a_time_stamp(jobs: Database) -> None:
    create_job(jobs)
    for _ in range(3):
        Run.of(jobs).import_people([ANNA], "Contacts, May.csv.gpg")
    names = [name for (name,) in jobs.query("SELECT name FROM outbound.list ORDER BY list_id")]
    assert names[0] == "Contacts, May"
    stamped = jobs.value(
        "SELECT bool_and(name ~ '^Contacts, May_[0-9]{14}(_[0-9]+)?$') FROM outbound.list WHERE list_id > 1"
    )
    assert stamped
    assert len(set(names)) == 3


@pytest.mark.parametrize("append_type", ["append_only", "append_and_update", "flush_and_append"])
def test_a_list_that_is_missing_is_made(jobs: Database, append_type: str) -> None:
    create_job(jobs, append_type=append_type, target_list="Everybody")
    assert Run.of(jobs).import_people([ANNA])["list"] == "Everybody"
    assert Run.of(jobs).import_people([ANNA, BO])["list"] == "Everybody"
    assert jobs.query("SELECT name, total FROM outbound.list_status") == [("Everybody", 2)]
    counted = {
        "append_only": (1, 0, 1),
        "append_and_update": (1, 1, 0),
        "flush_and_append": (2, 0, 0),
    }
    assert ledger(jobs, "added, updated, duplicates")[1] == counted[append_type]


def test_two_runs_that_both_make_the_missing_list_do_not_make_two(jobs: Database) -> None:
    for name in ("a", "b"):
        create_job(jobs, name, append_type="append_only", target_list="Everybody")
    first, second = Run.of(jobs, "a"), Run.of(jobs, "b")
    loads = [run.load(run.take(), [ANNA]) for run in (first, second)]
    first.publish(loads[0])
    with pytest.raises(psycopg.Error) as raised:
        second.publish(loads[1])
    assert raised.value.diag.sqlstate == "OB405"
    second.finish("list_exists", "it was made meanwhile")
    assert jobs.query("SELECT name, total FROM outbound.list_status") == [("Everybody", 1)]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (HEADER[:-1], "header_missing"),
        ([*HEADER, "Extra"], "header_drift"),
        ([*HEADER, "Name"], "header_duplicate"),
        ([*HEADER, "sys_id"], "header_reserved"),
        ([*HEADER, ""], "header_empty"),
        ([f"column {number}" for number in range(201)], "header_too_many"),
    ],
)
def test_a_header_that_does_not_fit_the_list_is_refused_with_a_reason(
    jobs: Database, header: list[str], reason: str
) -> None:
    create_list(jobs, "contacts")
    create_job(jobs, append_type="append_only")
    run = Run.of(jobs)
    refused = run.call("begin_load", run.take(), header)["refused"]
    assert refused["reason"] == reason
    assert refused["message"]
    assert jobs.value("SELECT count(*) FROM outbound.load") == 0


def test_columns_that_the_job_does_not_name_become_text(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs)
    answer = run.call("begin_load", run.take(), ["Extra", *HEADER])
    columns = [(column["name"], column["column_type"]) for column in answer["shape"]["columns"]]
    assert columns == [(name, "text") for name in ["Extra", *HEADER]]
    assert answer["shape"]["identifier"] == 1


def test_the_identifier_need_not_be_among_the_jobs_columns_but_must_be_in_the_file(jobs: Database) -> None:
    create_job(jobs, columns=COLUMNS[2:], identifier="Client ID", contact_name="Name")
    run = Run.of(jobs)
    file = run.take()
    refused = run.call("begin_load", file, HEADER[1:])["refused"]
    assert refused["reason"] == "header_missing"
    assert "Client ID" in str(refused)
    assert run.begin(file).shape["identifier"] == 0


def test_a_flush_is_all_or_nothing_and_readers_never_see_an_empty_list(jobs: Database) -> None:
    table = create_list(jobs, "contacts")
    add(jobs, "contacts", ANNA)
    create_job(jobs, append_type="flush_and_append")
    run = Run.of(jobs)
    load = run.load(run.take(), [BO])
    assert rows(jobs, table, "sys_id") == [("anna",)]
    with jobs.connect(autocommit=False) as connection:
        run.call_on(connection, "publish", load.number, load.counts())
        connection.rollback()
    assert rows(jobs, table, "sys_id") == [("anna",)]
    assert run.publish(load)["added"] == 1
    assert rows(jobs, table, "sys_id") == [("bo",)]
    # Anna had the records 1 and 2: the attempt log may name them, so their numbers do not come back.
    assert rows(jobs, table + "_detail", "sys_id, sys_contact_id") == [(3, "bo")]
    assert add(jobs, "contacts", ANNA)["records_added"] == 2
    assert rows(jobs, table + "_detail", "sys_id") == [(3,), (4,), (5,)]


def test_a_failed_flush_leaves_the_list_as_it_was(jobs: Database) -> None:
    create_list(jobs, "contacts")
    add(jobs, "contacts", ANNA)
    create_job(jobs, append_type="flush_and_append")
    run = Run.of(jobs)
    run.load(run.take(), [BO])
    run.finish("pgp_truncated", "the message ends too early")
    assert rows(jobs, "contacts", "sys_id") == [("anna",)]


def flush(database: Database) -> None:
    create_job(database, append_type="flush_and_append")
    assert Run.of(database).import_people([BO])["added"] == 1


def test_a_flush_keeps_rights_and_gives_none_back(jobs: Database) -> None:
    create_list(jobs, "contacts")
    jobs.query("REVOKE ALL ON outbound_list.contacts_detail FROM outbound_reader")
    jobs.query("GRANT SELECT ON outbound_list.contacts TO outbound_dialer WITH GRANT OPTION")
    rights = """SELECT relname::text, grantee::regrole::text, privilege_type, is_grantable
        FROM pg_class, aclexplode(relacl)
        WHERE relname IN ('contacts', 'contacts_detail') AND grantee <> relowner ORDER BY 1, 2, 3"""
    before = jobs.query(rights)
    number = jobs.value("SELECT 'outbound_list.contacts'::regclass::oid")
    flush(jobs)
    assert jobs.query(rights) == before
    assert jobs.value("SELECT 'outbound_list.contacts'::regclass::oid") != number


ADDITIONS = {
    "view": ("CREATE VIEW added AS SELECT sys_id FROM outbound_list.contacts", "SELECT * FROM added"),
    "function": (
        "CREATE FUNCTION added() RETURNS text "
        "BEGIN ATOMIC SELECT max(sys_id) FROM outbound_list.contacts; END",
        "SELECT added()",
    ),
    "index": (
        "CREATE INDEX added ON outbound_list.contacts (name)",
        "SELECT 'bo' FROM pg_indexes WHERE indexname = 'added' AND tablename = 'contacts'",
    ),
    "check": (
        "ALTER TABLE outbound_list.contacts ADD CONSTRAINT added CHECK (name <> '')",
        "SELECT 'bo' FROM pg_constraint "
        "WHERE conname = 'added' AND conrelid = 'outbound_list.contacts'::regclass",
    ),
    "right on a column": (
        "GRANT SELECT (name) ON outbound_list.contacts TO outbound_dialer",
        "SELECT 'bo' "
        "WHERE has_column_privilege('outbound_dialer', 'outbound_list.contacts', 'name', 'SELECT')",
    ),
    "row security": (
        "CREATE POLICY added ON outbound_list.contacts USING (true); "
        "ALTER TABLE outbound_list.contacts ENABLE ROW LEVEL SECURITY",
        "SELECT 'bo' FROM pg_class WHERE relrowsecurity AND oid = 'outbound_list.contacts'::regclass",
    ),
    "publication": (
        "CREATE PUBLICATION added FOR TABLE outbound_list.contacts",
        "SELECT 'bo' FROM pg_publication_tables WHERE pubname = 'added' AND tablename = 'contacts'",
    ),
    "statistics": (
        "CREATE STATISTICS added ON name, phone FROM outbound_list.contacts",
        "SELECT 'bo' FROM pg_statistic_ext WHERE stxrelid = 'outbound_list.contacts'::regclass",
    ),
}


@pytest.mark.parametrize(("statement", "question"), ADDITIONS.values(), ids=ADDITIONS)
def test_a_flush_keeps_what_people_hung_on_the_table(jobs: Database, statement: str, question: str) -> None:
    create_list(jobs, "contacts")
    add(jobs, "contacts", ANNA)
    jobs.psql(statement)
    flush(jobs)
    assert jobs.query(question) == [("bo",)]
    assert rows(jobs, "contacts_detail", "sys_contact_id") == [("bo",)]
    assert add(jobs, "contacts", ANNA)["records_added"] == 2
    assert table_of(jobs, "contacts") == "contacts"


def test_an_encrypted_import_marks_the_list_as_secured(jobs: Database) -> None:
    create_job(jobs, encryption={"required": True})
    Run.of(jobs).import_people([ANNA])
    assert jobs.query("SELECT name, secured FROM outbound.list_status") == [("contacts", True)]
