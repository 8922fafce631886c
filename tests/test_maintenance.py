"""The periodic duties, and everything that can call them: people, the background worker, pg_cron."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from support import build, processes
from support.cluster import Cluster, Database
from support.dialing import Desk, create_campaign, create_people
from support.lists import create_job, person, set_up_account
from support.run import Run

ANNA = person("anna", phone="+380441112233")
LATER = "now() + '91 days'"


@pytest.fixture
def jobs(database: Database) -> Database:
    set_up_account(database)
    create_job(database)
    return database


def leave_a_mess(database: Database) -> Run:
    """Let a worker die in a load, a dialer in its attempts, and a campaign be on with nothing left to do."""
    set_up_account(database)
    create_people(database, 2)
    create_people(database, 1, "done")
    create_campaign(database)
    create_campaign(database, "summer", ["done"])
    with Desk(database) as desk:
        desk.at = datetime.now(UTC) - timedelta(days=10)
        reached, _ = desk.claim(2)
        desk.settle(reached.attempt_id, "success")
        desk.settle(desk.claim_one("summer").attempt_id, "success", final=True)
    create_job(database)
    run = Run.of(database)
    run.load(run.take(), [ANNA])
    return run.lost()


def is_clean(database: Database) -> bool:
    runs = database.query("SELECT state FROM outbound.job_run")
    loads = database.value("SELECT count(*) FROM outbound.load")
    contacts = database.query("SELECT sys_status FROM outbound.contact ORDER BY list_id, sys_id")
    campaigns = database.query("SELECT name, state, off_reason FROM outbound.campaign ORDER BY name")
    return (
        (runs, loads) == ([("queued",)], 0)
        # The one that was reached has waited for too long; the other comes back; the third was done with.
        and contacts == [("U",), ("C",), ("U",)]
        and campaigns == [("spring", "active", None), ("summer", "off", "auto")]
    )


def count(database: Database, table: str) -> int:
    return int(database.value(f"SELECT count(*) FROM outbound.{table}"))  # noqa: S608


def test_maintain_returns_lost_runs_and_removes_what_they_left(each_database: Database) -> None:
    leave_a_mess(each_database)
    each_database.query("CALL outbound.maintain()")
    assert is_clean(each_database)
    each_database.query("CALL outbound.maintain()")
    assert is_clean(each_database)


def test_maintain_leaves_a_living_run_alone(jobs: Database) -> None:
    run = Run.of(jobs)
    load = run.load(run.take(), [ANNA])
    jobs.query("CALL outbound.maintain()")
    assert run.publish(load)["added"] == 1


def test_a_duty_that_fails_is_noted_and_stops_no_other(jobs: Database) -> None:
    run = Run.of(jobs).lost()
    with jobs.connect(autocommit=False) as other, jobs.connect() as connection:
        other.execute("LOCK TABLE outbound.pace IN ACCESS EXCLUSIVE MODE")
        connection.execute("SET lock_timeout = '200ms'")
        connection.execute("CALL outbound.maintain()")
        other.rollback()
    assert jobs.query("SELECT state FROM outbound.run_status(%s)", run.run_id) == [("queued",)]
    failures = "SELECT duty, sqlstate, message FROM outbound.maintenance_log"
    assert jobs.query(failures) == [("prune_pace", "55P03", "canceling statement due to lock timeout")]
    assert jobs.value("SELECT outbound.prune_maintenance_log(now() + '2 years')") == 1


def test_two_callers_at_once_do_not_disturb_each_other(jobs: Database) -> None:
    Run.of(jobs).lost()
    with jobs.connect(autocommit=False) as first, jobs.connect() as second:
        assert first.execute("SELECT outbound.return_ended_runs()").fetchone() == (1,)
        assert second.execute("SELECT outbound.return_ended_runs()").fetchone() == (0,)
        first.commit()
    assert count(jobs, "run_try") == 1


def test_history_past_its_retention_goes_and_what_a_job_knows_stays(jobs: Database) -> None:
    jobs.query(
        "SELECT outbound.alter_job('job', jsonb_set(rules, '{files,ignore_duplicates}', 'true')) "
        "FROM outbound.job"
    )
    run = Run.of(jobs)
    file = run.take()
    run.publish(run.load(file, [ANNA]))
    jobs.query("INSERT INTO outbound.rejected_row VALUES (%s, 2, NULL, 'bad_value', 'row', 'x', 'x')", file)
    run.call("file_disposed", file, "deleted")
    run.call("file_failed", run.take("contacts 2.csv"), "format", "no CSV", None)
    run.finish()
    waiting = jobs.value("SELECT outbound.run_now('job')")
    assert jobs.value("SELECT outbound.prune_history()") == 0
    assert jobs.value(f"SELECT outbound.prune_history({LATER})") == 3
    assert jobs.query("SELECT name, run_id FROM outbound.import_file") == [("contacts.csv", None)]
    assert jobs.query("SELECT run_id FROM outbound.job_run") == [(waiting,)]
    assert (count(jobs, "run_try"), count(jobs, "rejected_row")) == (0, 0)
    again = Run.claim(jobs)
    assert again is not None
    (answer,) = again.plan(
        {"name": "contacts.csv", "size": 1, "modified_at": 1, "kind": "file", "refused": None}
    )
    assert answer["reason"] == "known_name"


def test_retention_is_the_accounts(jobs: Database) -> None:
    Run.of(jobs).finish()
    jobs.query("SELECT outbound.set_account(history_retention => '1 year')")
    assert jobs.value(f"SELECT outbound.prune_history({LATER})") == 0
    jobs.query("SELECT outbound.set_account(history_retention => '90 days')")
    assert jobs.value(f"SELECT outbound.prune_history({LATER})") == 1


@pytest.fixture(params=[15, 18])
def preloaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    # Whatever the environment asks of Rust, the log shows the errors of Postgres as Postgres wrote them.
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    build.install_extension(request.param)
    settings = {"pg_outbound.databases": "absent, duty, plain", "pg_outbound.maintain_every": "1"}
    with Cluster(request.param, preload=["pg_outbound"], settings=settings) as cluster:
        yield cluster


def test_the_background_worker_does_the_duties_by_itself(preloaded: Cluster) -> None:
    preloaded.create_database("plain")
    database = preloaded.create_database("duty", extension=True)
    leave_a_mess(database)
    processes.wait_until(lambda: is_clean(database), f"the background worker, see {preloaded.log_tail()}")


def test_the_background_worker_goes_on_after_a_crash_and_after_an_error(preloaded: Cluster) -> None:
    database = preloaded.create_database("duty", extension=True)
    with database.connect() as connection:
        connection.execute("ALTER FUNCTION outbound.return_ended_runs RENAME TO hidden")
        missing = "function outbound.return_ended_runs() does not exist"
        said = f"WARNING:  the duty return_ended_runs failed: {missing}"
        processes.wait_until(lambda: said in preloaded.log.read_text(), "an error in the log")
        assert "pgrx" not in preloaded.log.read_text()
        connection.execute("ALTER FUNCTION outbound.hidden RENAME TO return_ended_runs")
    preloaded.crash()
    preloaded.start()
    leave_a_mess(database)
    processes.wait_until(lambda: is_clean(database), f"the background worker, see {preloaded.log_tail()}")


def test_the_background_worker_holds_no_database_open(preloaded: Cluster) -> None:
    preloaded.create_database("duty", extension=True)

    def dropped() -> bool:
        try:
            with preloaded.connect() as connection:
                connection.execute("DROP DATABASE duty")
        except psycopg.errors.ObjectInUse:
            return False
        return True

    processes.wait_until(dropped, "a moment in which nobody is connected to the database", 10)


def test_the_settings_take_effect_on_reload_and_misspelt_ones_are_refused(preloaded: Cluster) -> None:
    with preloaded.connect() as connection:
        with pytest.raises(psycopg.Error, match="pg_outbound"):
            connection.execute("ALTER SYSTEM SET pg_outbound.databasse = 'x'")
        context: Any = connection.execute(
            "SELECT DISTINCT context FROM pg_settings WHERE name ~ '^pg_outbound'"
        )
        assert context.fetchall() == [("sighup",)]


def test_pg_cron_can_call_maintain() -> None:
    build.install_extension(15)
    settings = {"cron.database_name": "duty", "cron.host": "127.0.0.1"}
    with Cluster(15, preload=["pg_cron"], settings=settings) as cluster:
        database = cluster.create_database("duty", extension=True)
        database.query("CREATE EXTENSION pg_cron")
        leave_a_mess(database)
        database.query("SELECT cron.schedule('duties', '* * * * *', 'CALL outbound.maintain()')")
        processes.wait_until(
            lambda: is_clean(database), f"pg_cron's next minute, see {cluster.log_tail()}", 130
        )
        runs = "SELECT DISTINCT status, command FROM cron.job_run_details WHERE end_time IS NOT NULL"
        processes.wait_until(
            lambda: database.query(runs) == [("succeeded", "CALL outbound.maintain()")], "pg_cron's report"
        )
