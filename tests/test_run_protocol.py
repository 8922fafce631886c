"""The run protocol: leases, fencing, loads that die, publishing (list-automation §1.1 J-10, §3.4)."""

import threading
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import HEADER, add, create_job, create_list, person, set_up_account
from support.run import Run

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Anna")
BO = person("bo", phone="+380441112244", name="Bo")


@pytest.fixture
def jobs(database: Database) -> Database:
    set_up_account(database)
    return database


def loads(database: Database) -> tuple[int, int]:
    """Return how many loads are under way, and how many of their tables there are."""
    tables = database.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^sys_load_'")
    return database.value("SELECT count(*) FROM outbound.load"), tables


def expect(state: str, run: Run, function: str, *arguments: Any) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        run.call(function, *arguments)
    assert raised.value.diag.sqlstate == state, raised.value
    return raised.value.diag


def test_a_claim_tells_the_worker_all_it_needs(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs)
    document = run.document
    assert document["try"] == 1
    assert document["rules"] == jobs.value("SELECT rules FROM outbound.job")
    assert document["server"]["host"] == "sftp.example.org"
    assert document["account"] == {
        "name": "Test",
        "default_country": "UA",
        "character_set": "iso-8859-1",
        "time_zone": "UTC",
    }


def test_the_oldest_request_is_taken_first_and_none_twice(jobs: Database) -> None:
    for name in ("a", "b"):
        create_job(jobs, name)
        jobs.query("SELECT outbound.run_now(%s)", name)
    taken = [Run.claim(jobs), Run.claim(jobs)]
    assert [run.document["job"] for run in taken if run] == ["a", "b"]
    assert Run.claim(jobs) is None


def test_of_two_workers_racing_for_one_run_one_gets_it_and_neither_waits(jobs: Database) -> None:
    create_job(jobs)
    jobs.query("SELECT outbound.run_now('job')")
    with jobs.connect(autocommit=False) as first, jobs.connect() as second:
        claim = "SELECT outbound.claim_run('racer')"
        won = first.execute(claim).fetchone()
        lost = second.execute(claim).fetchone()
        first.commit()
    assert won is not None
    assert won[0]["try"] == 1
    assert lost == (None,)
    answers: list[Run | None] = []
    jobs.query("SELECT outbound.finish_run(%s, 1)", won[0]["run_id"])
    jobs.query("SELECT outbound.run_now('job')")
    racers = [threading.Thread(target=lambda: answers.append(Run.claim(jobs))) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [answer is None for answer in answers].count(False) == 1


def test_a_local_import_is_only_for_the_worker_that_names_it(jobs: Database) -> None:
    local = {"action": "import_file", "append_type": "append_only", "target_list": "x"}
    number = jobs.value("SELECT outbound.start_import(%s, 'Ann')", Jsonb(local))
    assert Run.claim(jobs) is None
    run = Run.claim(jobs, run=number)
    assert run is not None
    assert (run.document["job"], run.document["server"]) == (None, None)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="connection"):
        jobs.query("SELECT outbound.start_import(%s)", Jsonb(local | {"connection": {"server": "partner"}}))


def test_a_trial_run_is_never_queued_for_others_and_never_shown(jobs: Database) -> None:
    create_job(jobs)
    number = jobs.value("SELECT outbound.dry_run('job')")
    assert Run.claim(jobs) is None
    asked = jobs.value("SELECT outbound.run_now('job')")
    assert jobs.value("SELECT state FROM outbound.run_status(%s)", asked) == "queued"
    run = Run.claim(jobs, run=number)
    assert run is not None
    run.finish("sftp_connect", "refused")
    assert jobs.query("SELECT status, failures FROM outbound.job_status") == [("queued", 0)]
    assert jobs.query("SELECT * FROM outbound.job_activity") == []


def test_a_run_whose_lease_ended_is_taken_by_another_worker(jobs: Database) -> None:
    create_job(jobs)
    first = Run.of(jobs).lost()
    second = Run.claim(jobs, "worker 2")
    assert second is not None
    assert (second.run_id, second.try_no) == (first.run_id, 2)
    shown = jobs.query("SELECT try_no, worker, result, reason FROM outbound.job_activity ORDER BY try_no")
    assert shown == [(1, "worker 1", "failure", "worker_lost"), (2, "worker 2", "running", None)]
    assert jobs.query("SELECT failures FROM outbound.job_status") == [(0,)]
    second.finish()


def test_a_heartbeat_keeps_the_run(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs).lost()
    assert run.call("heartbeat") is True
    assert Run.claim(jobs) is None
    run.finish()
    assert run.call("heartbeat") is False


def test_a_worker_that_lost_its_run_can_change_nothing(jobs: Database) -> None:
    create_job(jobs)
    first = Run.of(jobs).lost()
    file = first.take()
    load = first.load(file, [ANNA])
    second = Run.claim(jobs, "worker 2")
    assert second is not None
    assert first.call("heartbeat") is False
    for function, arguments in (
        ("plan_files", [[]]),
        ("file_fetched", [file, b"0" * 32, 1]),
        ("begin_load", [file, HEADER]),
        ("publish", [load.number, load.counts()]),
        ("file_disposed", [file, "deleted"]),
        ("file_failed", [file, "internal", "late"]),
        ("pin_host_key", ["SHA256:" + "B" * 42 + "A"]),
        ("finish_run", []),
    ):
        problem = expect("OB409", first, function, *arguments)
        assert problem.message_primary == f"try 1 no longer owns run {first.run_id}"
    assert second.import_people([BO])["added"] == 1
    assert jobs.query("SELECT name, total FROM outbound.list_status") == [("contacts", 1)]
    assert loads(jobs) == (0, 0)


def test_a_finished_run_can_not_be_changed_by_its_own_worker(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs)
    run.finish()
    expect("OB409", run, "finish_run")
    expect("OB409", run, "plan_files", [])


def test_a_load_of_another_run_is_not_published(jobs: Database) -> None:
    create_job(jobs, "a")
    create_job(jobs, "b", files={"name": "other"})
    first, second = Run.of(jobs, "a"), Run.of(jobs, "b")
    load = first.load(first.take(), [ANNA])
    expect("OB409", second, "publish", load.number, load.counts())
    assert first.publish(load)["added"] == 1


def test_after_too_many_lost_workers_a_run_is_given_up(jobs: Database) -> None:
    jobs.query("SELECT outbound.set_account(max_run_tries => 2)")
    create_job(jobs)
    run = Run.of(jobs)
    run.take()
    run.lost()
    again = Run.claim(jobs, "worker 2")
    assert again is not None
    again.lost()
    assert Run.claim(jobs) is None
    ((result, reason, message),) = jobs.query(
        "SELECT result, reason, message FROM outbound.run_status(%s)", run.run_id
    )
    assert (result, reason) == ("failure", "worker_lost")
    assert message.endswith("given up after 2 tries")
    assert jobs.query("SELECT state, reason FROM outbound.import_file") == [("failed", "worker_lost")]
    assert jobs.query("SELECT status, failures FROM outbound.job_status") == [("failure", 1)]


def test_a_local_import_whose_worker_is_lost_fails_at_once(jobs: Database) -> None:
    local = {"action": "import_file", "append_type": "append_only", "target_list": "x"}
    number = jobs.value("SELECT outbound.start_import(%s)", Jsonb(local))
    assert Run.claim(jobs, run=number, lease="0 seconds") is not None
    assert jobs.value("SELECT outbound.return_ended_runs()") == 1
    shown = "SELECT state, result, reason FROM outbound.run_status(%s)"
    assert jobs.query(shown, number) == [("finished", "failure", "worker_lost")]


def test_what_a_lost_worker_left_is_cleaned_and_a_living_load_is_not(jobs: Database) -> None:
    create_job(jobs, "dead")
    create_job(jobs, "alive", files={"name": "other"})
    dead, alive = Run.of(jobs, "dead"), Run.of(jobs, "alive")
    dead.load(dead.take(), [ANNA])
    dead.lost()
    living = alive.load(alive.take("other.csv"), [BO])
    assert loads(jobs) == (2, 4)
    assert jobs.value("SELECT outbound.drop_dead_loads()") == 0
    jobs.query("SELECT outbound.return_ended_runs()")
    assert jobs.value("SELECT outbound.drop_dead_loads()") == 1
    assert loads(jobs) == (1, 2)
    assert alive.publish(living)["added"] == 1
    assert loads(jobs) == (0, 0)


def test_a_load_whose_tables_are_being_filled_is_not_cleaned_away(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs).lost()
    load = run.begin(run.take())
    jobs.query("SELECT outbound.return_ended_runs()")
    with jobs.connect(autocommit=False) as connection:
        connection.execute("SELECT outbound.create_load_table(%s, 'contact')", [load.number])
        assert jobs.value("SELECT outbound.drop_dead_loads()") == 0
        connection.rollback()
    assert jobs.value("SELECT outbound.drop_dead_loads()") == 1


def test_the_next_try_takes_the_list_from_the_dead_load_of_the_one_before(jobs: Database) -> None:
    create_list(jobs, "contacts")
    create_job(jobs, append_type="append_only")
    first = Run.of(jobs).lost()
    first.load(first.take(), [ANNA])
    second = Run.claim(jobs, "worker 2")
    assert second is not None
    assert second.import_people([BO])["added"] == 1
    assert loads(jobs) == (0, 0)


def test_a_list_takes_one_load_at_a_time(jobs: Database) -> None:
    create_list(jobs, "contacts")
    create_job(jobs, "a", append_type="append_only")
    create_job(jobs, "b", append_type="append_only")
    first, second = Run.of(jobs, "a"), Run.of(jobs, "b")
    load = first.load(first.take(), [ANNA])
    refused = second.call("begin_load", second.take(), HEADER)["refused"]
    assert refused["reason"] == "list_busy"
    for statement in (
        "SELECT outbound.add_contacts('contacts', '[]')",
        "SELECT outbound.drop_list('contacts')",
    ):
        with pytest.raises(psycopg.errors.ObjectInUse, match="is being loaded"):
            jobs.query(statement)
    first.publish(load)
    assert add(jobs, "contacts", BO)["added"] == 1


WRONG_COUNTS: dict[str, dict[str, Any]] = {
    "a row more": {"rows_read": 3},
    "a row less": {"rows_read": 1},
    "a rejected row too many": {"rejected": 1},
    "a duplicate too many": {"duplicates": 1},
    "a contact too many": {"contacts": 3, "rows_read": 3},
    "no count of rows": {"rows_read": None},
    "no count of contacts": {"contacts": None},
    "no count of duplicates": {"duplicates": None},
}


@pytest.mark.parametrize(
    "append_type", ["new_list_only", "append_only", "append_and_update", "flush_and_append"]
)
@pytest.mark.parametrize("wrong", WRONG_COUNTS.values(), ids=WRONG_COUNTS)
def test_counts_that_do_not_reconcile_publish_nothing(
    jobs: Database, append_type: str, wrong: dict[str, Any]
) -> None:
    create_list(jobs, "contacts")
    add(jobs, "contacts", ANNA)
    create_job(jobs, append_type=append_type)
    run = Run.of(jobs)
    file = run.take()
    load = run.load(file, [ANNA, BO])
    before = jobs.query("SELECT list_id, sys_id, name FROM outbound_list.contacts")
    problem = expect("OB500", run, "publish", load.number, load.counts(**wrong))
    assert problem.message_primary == "the counts of the load do not reconcile"
    assert jobs.query("SELECT list_id, sys_id, name FROM outbound_list.contacts") == before
    assert jobs.query("SELECT name FROM outbound.list") == [("contacts",)]
    assert jobs.query("SELECT state, added FROM outbound.import_file") == [("taken", None)]


def test_the_ledger_refuses_counts_that_do_not_reconcile(jobs: Database) -> None:
    create_job(jobs)
    Run.of(jobs).import_people([ANNA])
    with pytest.raises(psycopg.errors.CheckViolation, match="import_file_reconciles"):
        jobs.query("UPDATE outbound.import_file SET added = added + 1")


def test_a_row_that_was_refused_is_kept_with_its_file(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs)
    file = run.take()
    load = run.load(file, [ANNA])
    with jobs.connect(autocommit=False) as connection:
        connection.execute(
            "INSERT INTO outbound.rejected_row "
            "VALUES (%s, 3, 'Client ID', 'empty_client_id', 'row', 'is empty', ',x')",
            [file],
        )
        run.call_on(connection, "publish", load.number, load.counts(rows_read=2, rejected=1))
    assert jobs.query("SELECT rows_read, added, rejected, records FROM outbound.import_file") == [
        (2, 1, 1, 2)
    ]
    assert jobs.query("SELECT line_number, reason FROM outbound.rejected_row") == [(3, "empty_client_id")]


def test_finishing_a_run_fails_what_it_left_and_drops_its_loads(jobs: Database) -> None:
    create_job(jobs)
    run = Run.of(jobs)
    run.load(run.take(), [ANNA])
    assert run.finish("sftp_partial", "the connection was lost") == {
        "result": "failure",
        "reason": "sftp_partial",
        "message": "the connection was lost",
        "detail": None,
        "hint": None,
    }
    assert jobs.query("SELECT state, reason FROM outbound.import_file") == [("failed", "sftp_partial")]
    assert loads(jobs) == (0, 0)


def test_the_first_host_key_is_pinned_only_where_the_policy_says_so(jobs: Database) -> None:
    create_job(jobs)
    seen = "SHA256:" + "B" * 42 + "A"
    shown = "SELECT host_key_fingerprint, host_key_first_seen_at IS NOT NULL FROM outbound.sftp_server"
    run = Run.of(jobs)
    jobs.query("SELECT outbound.alter_sftp_server('partner', host_key_fingerprint => '')")
    run.call("pin_host_key", seen)
    assert jobs.query(shown) == [(None, False)]
    jobs.query("SELECT outbound.alter_sftp_server('partner', host_key_policy => 'accept_new')")
    run.call("pin_host_key", seen)
    run.call("pin_host_key", "SHA256:" + "C" * 42 + "A")
    assert jobs.query(shown) == [(seen, True)]


def test_people_are_told_of_queued_and_finished_runs(jobs: Database) -> None:
    create_job(jobs)
    with jobs.connect() as listener:
        listener.execute("LISTEN outbound_run")
        listener.execute("LISTEN outbound_run_finished")
        run = Run.of(jobs)
        run.finish()
        told = [(note.channel, note.payload) for note in listener.notifies(timeout=5, stop_after=2)]
    assert told == [("outbound_run", str(run.run_id)), ("outbound_run_finished", str(run.run_id))]


def test_the_workers_keys_are_shown_to_people(jobs: Database) -> None:
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has not registered its ssh key"):
        jobs.value("SELECT outbound.public_key('ssh')")
    register = "SELECT outbound.register_public_key('ssh', %s, 'SHA256:x')"
    jobs.query(register, "ssh-rsa AAAA one")
    jobs.query(register, "ssh-rsa AAAA two")
    assert jobs.value("SELECT outbound.public_key('ssh')") == "ssh-rsa AAAA two"
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        jobs.value("SELECT outbound.public_key('tls')")
