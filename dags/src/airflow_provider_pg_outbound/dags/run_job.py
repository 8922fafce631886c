"""A DAG for Airflow that runs one list automation job, named when the DAG is triggered."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_pg_outbound.operators.run_job import RunJobOperator

with DAG(
    dag_id="outbound_run_job",
    dag_display_name="Run a list automation job",
    doc_md="Runs a job of the database behind the connection `pg_outbound_default` to its end.",
    schedule=None,
    catchup=False,
    # A run asked for while a DAG is paused would stay queued, and new DAGs start paused.
    is_paused_upon_creation=False,
    params={"job": Param(type="string", minLength=1, title="Job", description="The job's name.")},
    tags=["pg_outbound"],
):
    RunJobOperator(task_id="run_job", job="{{ params.job }}")
