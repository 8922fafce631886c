"""Jobs: rules that are checked when saved, switching on and off, asking for runs, what the views show
(list-automation §1.1, §3, §12).
"""

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import create_job, person, rules, set_up_account
from support.run import Run

PERSON = person("1", phone="+380441112233")


@pytest.fixture
def jobs(database: Database) -> Database:
    set_up_account(database)
    create_job(database)
    return database


def refusal(database: Database, statement: str, *parameters: object) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        database.query(statement, *parameters)
    return raised.value.diag


def status(database: Database, columns: str) -> tuple[Any, ...]:
    return database.query(f"SELECT {columns} FROM outbound.job_status WHERE name = 'job'")[0]  # noqa: S608


def activity(database: Database) -> list[tuple[Any, ...]]:
    return database.query(
        "SELECT job, try_no, result, reason, message, requested_by "
        "FROM outbound.job_activity ORDER BY run_id, try_no"
    )


def without(section: str, key: str) -> dict[str, Any]:
    document = rules()
    del document[section][key]
    return document


BAD_RULES: dict[str, tuple[Any, str]] = {
    "unknown key": (rules(action_type="x"), "action_type"),
    "unknown key in a section": (rules(files={"nane": "x"}), "files.nane"),
    "missing action": ({key: value for key, value in rules().items() if key != "action"}, "action"),
    "missing connection": (rules(connection=None), "connection"),
    "missing files": (rules(files=None), "files"),
    "missing server": (without("connection", "server"), "connection.server"),
    "missing name": (without("files", "name"), "files.name"),
    "unknown action": (rules(action="send"), "action"),
    "unknown operation": (rules(files={"operation": "sounds_like"}), "files.operation"),
    "unknown append type": (rules(append_type="merge"), "append_type"),
    "password without its secret": (
        rules(connection={"authentication": "password"}),
        "connection.password_secret",
    ),
    "wrong kind of value": (rules(files={"settle_seconds": "soon"}), "files.settle_seconds"),
    "delimiter": (rules(format={"delimiter": "x"}), "format.delimiter"),
    "no contact column": (rules(columns=[{"name": "a"}], identifier=None, contact_name=None), "columns"),
    "new list without columns": (rules(columns=[], identifier=None, contact_name=None), "columns"),
    "signature without encryption": (
        rules(encryption={"require_signature": True}),
        "encryption.require_signature",
    ),
    "share above one": (rules(max_rejected={"share": 2}), "max_rejected.share"),
    "unknown inbox": (
        rules(
            columns=[{"name": "a", "contact": {"type": "phone", "inbox": "none"}}],
            identifier=None,
            contact_name=None,
        ),
        "columns[0].contact.inbox",
    ),
}


@pytest.mark.parametrize(("document", "field"), BAD_RULES.values(), ids=BAD_RULES)
def test_rules_that_do_not_hold_are_refused_with_their_field(
    jobs: Database, document: Any, field: str
) -> None:
    for statement in ("create_job('other', %s)", "alter_job('job', %s)"):
        problem = refusal(jobs, f"SELECT outbound.{statement}", Jsonb(document))
        assert problem.sqlstate == "22023", problem.message_primary
        assert problem.message_detail == f"Field: {field}"
        assert problem.message_hint
    assert jobs.query("SELECT name, version FROM outbound.job") == [("job", 1)]


@pytest.mark.parametrize("document", [None, [], "x", 1], ids=repr)
def test_rules_that_are_no_document_are_refused(jobs: Database, document: Any) -> None:
    given = None if document is None else Jsonb(document)
    problem = refusal(jobs, "SELECT outbound.create_job('other', %s)", given)
    assert problem.sqlstate == "22023"
    assert str(problem.message_primary).startswith("job rules: ")


def test_a_job_needs_a_server_that_exists(jobs: Database) -> None:
    document = Jsonb(rules(connection={"server": "nobody"}))
    problem = refusal(jobs, "SELECT outbound.create_job('other', %s)", document)
    assert (problem.sqlstate, problem.message_primary) == (
        "42704",
        'connection.server: SFTP server "nobody" does not exist',
    )
    assert problem.message_detail == "Known servers: partner."
    assert (
        refusal(jobs, "SELECT outbound.drop_sftp_server('partner')").message_detail
        == "Jobs that use it: job."
    )


def test_stored_rules_have_every_default(jobs: Database) -> None:
    stored = jobs.value("SELECT rules FROM outbound.job")
    assert stored["files"]["delete_after_import"] is True
    assert stored["files"]["ignore_duplicates"] is False
    assert stored["encryption"]["required"] is False
    assert stored["format"] == {"type": "csv", "delimiter": ",", "character_set": None}
    assert jobs.value("SELECT outbound.check_job_rules(rules::text, 'server') = rules FROM outbound.job")


def test_job_names_are_unique_and_any_text(jobs: Database) -> None:
    name = 'job"; DROP TABLE outbound.job; --'
    create_job(jobs, name)
    assert refusal(jobs, "SELECT outbound.create_job('job', %s)", Jsonb(rules())).sqlstate == "42710"
    assert refusal(jobs, "SELECT outbound.alter_job('job', new_name => %s)", name).sqlstate == "42710"
    jobs.query("SELECT outbound.drop_job(%s)", name)
    assert jobs.query("SELECT name FROM outbound.job_status") == [("job",)]


@pytest.mark.parametrize(
    "call",
    ["alter_job(%s)", "drop_job(%s)", "enable_job(%s)", "disable_job(%s)", "run_now(%s)", "dry_run(%s)"],
)
def test_a_job_that_does_not_exist_is_named_in_the_error(jobs: Database, call: str) -> None:
    problem = refusal(jobs, "SELECT outbound." + call, "nothing")
    assert (problem.sqlstate, problem.message_primary) == ("42704", 'job "nothing" does not exist')


def test_a_new_job_is_shown_with_its_source(jobs: Database) -> None:
    shown = status(jobs, "list_source, status, enabled, successes, failures, last_run_at, action")
    assert shown == ("acme@sftp.example.org", "new", True, 0, 0, None, "import_file")


def test_a_disabled_job_stays_and_does_not_run(jobs: Database) -> None:
    jobs.query("SELECT outbound.disable_job('job')")
    assert status(jobs, "status, enabled") == ("disabled", False)
    with jobs.connect() as connection:
        warnings: list[str | None] = []
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
        run = connection.execute("SELECT outbound.run_now('job', 'Ann')").fetchone()
    assert run is not None
    assert warnings == ['job "job" is disabled: the request is skipped']
    assert Run.claim(jobs) is None
    assert activity(jobs) == [("job", 0, "skipped", "job_disabled", 'job "job" is disabled', "Ann")]
    shown = "SELECT state, result, reason FROM outbound.run_status(%s)"
    assert jobs.query(shown, run[0]) == [("finished", "skipped", "job_disabled")]
    jobs.query("SELECT outbound.enable_job('job')")
    assert status(jobs, "status, successes, failures") == ("new", 0, 0)
    assert Run.of(jobs).finish()["result"] == "no_match"


def test_a_run_under_way_ends_normally_when_its_job_is_disabled(jobs: Database) -> None:
    run = Run.of(jobs)
    jobs.query("SELECT outbound.disable_job('job')")
    assert status(jobs, "status") == ("running",)
    run.import_people([PERSON])
    assert status(jobs, "status, successes") == ("disabled", 1)


def test_a_second_request_is_skipped_while_a_run_waits_or_goes_on(jobs: Database) -> None:
    first = jobs.value("SELECT outbound.run_now('job')")
    assert status(jobs, "status") == ("queued",)
    assert jobs.value("SELECT outbound.run_now('job')") != first
    run = Run.claim(jobs)
    assert run is not None
    jobs.query("SELECT outbound.run_now('job')")
    assert [(line[1], line[2], line[3]) for line in activity(jobs)] == [
        (1, "running", None),
        (0, "skipped", "job_running"),
        (0, "skipped", "job_running"),
    ]
    assert [line[4] for line in activity(jobs)[1:]] == [
        f"run {first} of the job is still queued",
        f"run {first} of the job is still running",
    ]
    run.finish()
    asked = jobs.value("SELECT outbound.run_now('job')")
    assert jobs.value("SELECT state FROM outbound.run_status(%s)", asked) == "queued"


def test_a_request_goes_on_with_the_run_of_a_lost_worker(jobs: Database) -> None:
    lost = Run.of(jobs).lost()
    assert jobs.value("SELECT outbound.run_now('job')") == lost.run_id
    # A caller with a key asks for a run of its own.
    assert jobs.value("SELECT outbound.run_now('job', request_key => 'morning')") != lost.run_id
    again = Run.claim(jobs)
    assert again is not None
    assert (again.run_id, again.try_no) == (lost.run_id, 2)


def test_a_request_key_asks_once(jobs: Database) -> None:
    ask = "SELECT outbound.run_now('job', request_key => %s)"
    first = jobs.value(ask, "morning")
    assert jobs.value(ask, "morning") == first
    run = Run.claim(jobs)
    assert run is not None
    run.finish()
    assert jobs.value(ask, "morning") == first
    assert jobs.value(ask, "evening") != first
    assert jobs.value("SELECT count(*) FROM outbound.job_run") == 2


def test_a_request_key_of_a_skipped_request_stays_skipped(jobs: Database) -> None:
    jobs.query("SELECT outbound.disable_job('job')")
    ask = "SELECT outbound.run_now('job', request_key => 'morning')"
    first = jobs.value(ask)
    jobs.query("SELECT outbound.enable_job('job')")
    assert jobs.value(ask) == first
    assert Run.claim(jobs) is None


def test_each_result_counts_as_the_specification_says(jobs: Database) -> None:
    def counts() -> tuple[Any, ...]:
        return status(jobs, "successes, failures, status")

    assert Run.of(jobs).finish()["result"] == "no_match"
    assert counts() == (0, 0, "no_match")
    Run.of(jobs).import_people([PERSON])
    assert counts() == (1, 0, "success")
    assert Run.of(jobs).finish("sftp_connect", "connection refused")["result"] == "failure"
    assert counts() == (1, 1, "failure")
    partial = Run.of(jobs)
    file = partial.take("contacts 2.csv")
    bad = partial.take("contacts 3.csv")
    partial.publish(partial.load(file, [PERSON]))
    partial.call("file_failed", bad, "header_missing", 'the file has no column "Phone"', None)
    assert partial.finish()["result"] == "partial"
    assert counts() == (1, 2, "partial")
    assert status(jobs, "last_run_at = (SELECT max(ended_at) FROM outbound.job_activity)") == (True,)


def test_messages_say_what_happened(jobs: Database) -> None:
    assert Run.of(jobs).finish()["message"] == 'no new file whose name contains "contacts" in directory "in"'
    Run.of(jobs).import_people([PERSON, person("2")])
    failed = Run.of(jobs)
    failed.call("file_failed", failed.take("contacts 2.csv"), "pgp_decrypt", "not for our key", None)
    failed.finish()
    Run.of(jobs).finish("sftp_auth", "the server refused the key")
    assert [(line[2], line[3], line[4]) for line in activity(jobs)[1:]] == [
        (
            "success",
            None,
            '1 file(s), 2 rows: 2 added, 0 updated, 0 duplicates, 0 rejected; new list "contacts"',
        ),
        ("failure", "pgp_decrypt", "contacts 2.csv: not for our key (pgp_decrypt)"),
        ("failure", "sftp_auth", "the server refused the key"),
    ]


def test_a_run_keeps_the_rules_it_was_asked_with(jobs: Database) -> None:
    jobs.query("SELECT outbound.run_now('job')")
    jobs.query(
        "SELECT outbound.alter_job('job', %s, 'new words', 'renamed')",
        Jsonb(rules(append_type="append_only")),
    )
    run = Run.claim(jobs)
    assert run is not None
    assert (run.document["job"], run.document["rules"]["append_type"]) == ("job", "new_list_only")
    assert jobs.query("SELECT name, description, version FROM outbound.job") == [("renamed", "new words", 2)]
    assert jobs.query("SELECT job_name, job_version FROM outbound.job_run") == [("job", 1)]


def test_rules_that_no_longer_hold_end_the_run_with_the_reason(jobs: Database) -> None:
    jobs.query("SELECT outbound.drop_inbox('Post')")
    jobs.query("SELECT outbound.run_now('job')")
    assert Run.claim(jobs) is None
    (line,) = activity(jobs)
    assert line[1:4] == (1, "failure", "rule")
    assert 'inbox "Post" does not exist' in line[4]
    assert "columns[3].contact.inbox" in line[4]
    assert status(jobs, "status, failures") == ("failure", 1)


def test_a_running_job_is_not_dropped_and_a_dropped_one_leaves_its_history(jobs: Database) -> None:
    run = Run.of(jobs)
    assert refusal(jobs, "SELECT outbound.drop_job('job')").sqlstate == "55006"
    run.import_people([PERSON])
    jobs.query("SELECT outbound.run_now('job')")
    jobs.query("SELECT outbound.drop_job('job')")
    assert Run.claim(jobs) is None
    assert [line[:3] for line in activity(jobs)] == [("job", 1, "success")]
    assert jobs.query("SELECT name, state FROM outbound.import_file") == [("contacts.csv", "done")]


BAD_SERVERS = {
    "ftp": ("s", "ftp://host/", None, "strict", "22023"),
    "user information": ("s", "sftp://me@host/", None, "strict", "22023"),
    "no address": ("s", None, None, "strict", "22023"),
    "short fingerprint": ("s", "sftp://host/", "SHA256:AAAA", "strict", "22023"),
    "MD5 fingerprint": ("s", "sftp://host/", "16:27:ac", "strict", "22023"),
    "policy": ("s", "sftp://host/", None, "trust", "22023"),
    "name": ("", "sftp://host/", None, "strict", "22023"),
    "twice": ("partner", "sftp://host/", None, "strict", "42710"),
}


@pytest.mark.parametrize("given", BAD_SERVERS.values(), ids=BAD_SERVERS)
def test_a_wrong_server_is_refused(jobs: Database, given: tuple[Any, ...]) -> None:
    problem = refusal(jobs, "SELECT outbound.create_sftp_server(%s, %s, %s, %s)", *given[:4])
    assert problem.sqlstate == given[4]
    assert problem.message_hint


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("sftp://Host.example:2222/in/here", ("Host.example", 2222, "in/here")),
        ("sftp:host/in", ("host", 22, "in")),
        ("sftp://[::1]", ("::1", 22, "")),
    ],
)
def test_both_forms_of_an_address_are_understood(
    jobs: Database, address: str, parts: tuple[Any, ...]
) -> None:
    jobs.query("SELECT outbound.create_sftp_server('other', %s)", address)
    ((host, port, directory),) = jobs.query(
        "SELECT host, port, directory FROM outbound.sftp_server WHERE name = 'other'"
    )
    assert (host.lower(), port, directory.strip("/")) == (parts[0].lower(), parts[1], parts[2])


def test_a_fingerprint_can_be_pinned_and_taken_away(jobs: Database) -> None:
    shown = "SELECT host_key_fingerprint, host, host_key_policy FROM outbound.sftp_server"
    pinned = "SHA256:" + "B" * 42 + "A"
    jobs.query("SELECT outbound.alter_sftp_server('partner', host_key_fingerprint => %s)", pinned + "=")
    assert jobs.query(shown) == [(pinned, "sftp.example.org", "strict")]
    jobs.query("SELECT outbound.alter_sftp_server('partner', host_key_fingerprint => '')")
    assert jobs.query(shown) == [(None, "sftp.example.org", "strict")]
