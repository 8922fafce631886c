"""Tasks in a real Airflow: each end of a run becomes the right end of the task."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.models import TaskInstance
    from outbound_site import Site

    from conftest import Register, StartWorker

    RunTask = Callable[..., tuple[TaskInstance, list[Exception]]]

pytestmark = pytest.mark.usefixtures("connection")

BOTH_WAYS = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "plain"])


@pytest.fixture
def run_task(register: Register) -> RunTask:
    """Return a function that runs one operator in a DAG: its task instance and its errors."""

    def run(job: str, deferrable: bool, **arguments: Any) -> tuple[TaskInstance, list[Exception]]:
        from airflow.sdk import DAG

        from airflow_provider_pg_outbound.operators.run_job import RunJobOperator

        errors = []
        with DAG(f"test_{uuid.uuid4().hex}", schedule=None) as dag:
            RunJobOperator(
                task_id="run_job",
                job=job,
                deferrable=deferrable,
                on_failure_callback=lambda context: errors.append(context["exception"]),
                on_retry_callback=lambda context: errors.append(context["exception"]),
                **arguments,
            )
        return register(dag).test().get_task_instance("run_job"), errors

    return run


@BOTH_WAYS
def test_success_is_the_tasks_result(
    site: Site, run_task: RunTask, start_worker: StartWorker, deferrable: bool
) -> None:
    job = site.importing()
    start_worker()
    task, errors = run_task(job, deferrable)
    run = task.xcom_pull(task_ids="run_job")
    assert (task.state, errors) == ("success", [])
    assert (run["job"], run["state"], run["result"]) == (job, "finished", "success")


@BOTH_WAYS
def test_finding_no_file_is_a_success(
    site: Site, run_task: RunTask, start_worker: StartWorker, deferrable: bool
) -> None:
    start_worker()
    task, errors = run_task(site.finding_nothing, deferrable)
    assert (task.state, errors) == ("success", [])
    assert task.xcom_pull(task_ids="run_job")["result"] == "no_match"


@BOTH_WAYS
def test_failure_fails_with_message_and_reason(
    site: Site, run_task: RunTask, start_worker: StartWorker, deferrable: bool
) -> None:
    start_worker()
    task, [error] = run_task(site.failing, deferrable)
    assert task.state == "failed"
    assert f"job {site.failing!r}: failure:" in str(error)
    assert str(error).endswith("(sftp_connect)")


@BOTH_WAYS
def test_partial_result_fails(
    site: Site, run_task: RunTask, start_worker: StartWorker, deferrable: bool
) -> None:
    job = site.importing_partly()
    start_worker()
    task, [error] = run_task(job, deferrable)
    assert task.state == "failed"
    assert f"job {job!r}: partial:" in str(error)


@BOTH_WAYS
def test_disabled_job_skips_the_task_without_a_worker(
    site: Site, run_task: RunTask, deferrable: bool
) -> None:
    task, errors = run_task(site.disabled, deferrable)
    assert (task.state, errors) == ("skipped", [])


def test_deferred_task_executed_twice_in_one_try_waits_for_one_run(site: Site) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    from airflow_provider_pg_outbound.operators.run_job import RunJobOperator

    class Instance:
        dag_id, task_id, run_id, map_index, try_number = "dag", "run_job", uuid.uuid4().hex, -1, 1

    operator = RunJobOperator(task_id="run_job", job=site.importing(), deferrable=True)
    deferred = []
    for _ in range(2):
        with pytest.raises(TaskDeferred) as caught:
            operator.execute({"ti": Instance})
        deferred.append(caught.value)
    assert {d.method_name for d in deferred} == {"execute_complete"}
    # The same try of the task, executed again, waits for the same run.
    assert deferred[0].trigger.run_id == deferred[1].trigger.run_id


def test_unknown_job_fails_by_name(run_task: RunTask) -> None:
    task, [error] = run_task("no such job here", deferrable=True)
    assert task.state == "failed"
    assert "no such job here" in str(error)


def test_retry_asks_for_another_run(site: Site, run_task: RunTask, start_worker: StartWorker) -> None:
    start_worker()
    task, errors = run_task(site.failing, deferrable=True, retries=1, retry_delay=timedelta(seconds=0))
    assert task.state == "failed"
    first, second = (str(error).partition(" of job ")[0] for error in errors)
    assert first != second


@pytest.mark.usefixtures("airflow_database")
def test_packaged_dag_runs_the_job_it_is_given(
    site: Site, register: Register, start_worker: StartWorker
) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag

    folder = DagBundlesManager().get_bundle("pg-outbound").path
    dag = DagBag(dag_folder=folder, bundle_path=folder, bundle_name="pg-outbound").dags["outbound_run_job"]
    job = site.importing()
    start_worker()
    dag_run = register(dag).test(run_conf={"job": job})
    assert dag_run.state == "success"
    assert dag_run.get_task_instance("run_job").xcom_pull(task_ids="run_job")["job"] == job


def test_constructor_only_assigns(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_pg_outbound.operators.run_job import RunJobOperator

    # A DAG file is parsed again and again, on machines that cannot reach the database.
    monkeypatch.delenv("AIRFLOW_CONN_PG_OUTBOUND_DEFAULT")
    operator = RunJobOperator(task_id="run_job", job="x")
    assert (operator.outbound_conn_id, operator.deferrable) == ("pg_outbound_default", False)
