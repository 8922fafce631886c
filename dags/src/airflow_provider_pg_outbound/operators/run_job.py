"""The task that runs a list automation job to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    BaseOperator,
    conf,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pg_outbound.hooks.outbound import OutboundHook


class RunJobOperator(BaseOperator):
    """Run a job of a pg_outbound database and take over its result.

    | result of the run | the task |
    |---|---|
    | `success`, `no_match` | succeeds; the run is its XCom |
    | `partial`, `failure` | fails with the run's message and reason code |
    | `skipped` (job disabled, or already running) | is skipped |

    Each try of the task asks for a run of its own. A time limit on the task ends the waiting,
    not the run, which belongs to the database and its workers.

    :param job: the job's name (templated).
    :param outbound_conn_id: a connection of type `pg_outbound`.
    :param poll_interval: seconds between two looks at the run when no notification comes.
    :param deferrable: wait in the triggerer instead of a worker slot; the default is
        Airflow's setting `[operators] default_deferrable`.
    """

    template_fields: ClassVar[Sequence[str]] = ("job",)
    ui_color = "#dbe9f4"

    def __init__(
        self,
        *,
        job: str,
        outbound_conn_id: str = "pg_outbound_default",
        poll_interval: float = 30.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        """Keep the arguments; nothing is looked up before the task runs."""
        super().__init__(**kwargs)
        self.job = job
        self.outbound_conn_id = outbound_conn_id
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for a run and wait for its end, here or in the triggerer."""
        from airflow_provider_pg_outbound.hooks.outbound import OutboundHook

        hook = OutboundHook(self.outbound_conn_id)
        instance = context["ti"]
        # The try is part of the key: a retry is to run the job again, while a task that is
        # executed twice within one try, after a crash of Airflow, finds its run again.
        run_id = hook.run_now(
            self.job,
            requested_by=f"airflow {instance.dag_id}.{instance.task_id}",
            request_key=(
                f"airflow/{instance.dag_id}/{instance.run_id}/{instance.task_id}"
                f"/{instance.map_index}/{instance.try_number}"
            ),
        )
        self.log.info("Run %d of job %r", run_id, self.job)
        run = hook.run_status(run_id)
        if run is None or run["state"] != "finished":
            run = self._wait(hook, run_id)
        return self.execute_complete(context, run)

    def _wait(self, hook: OutboundHook, run_id: int) -> dict[str, Any]:
        from airflow_provider_pg_outbound.triggers.job_run import JobRunTrigger, wait_for_run

        if self.deferrable:
            self.defer(
                trigger=JobRunTrigger(run_id, self.outbound_conn_id, self.poll_interval),
                method_name="execute_complete",
                timeout=self.execution_timeout,
            )
        import asyncio

        return asyncio.run(wait_for_run(hook.dsn_kwargs(), run_id, self.poll_interval))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Turn a finished run into the outcome of the task; both ways of waiting end here."""
        result = event["result"]
        told = event["message"] or f"Job {event['job']!r}: {result}"
        text = f"{told} ({event['reason']})" if event["reason"] else told
        if result in ("success", "no_match"):
            self.log.info("Run %d: %s: %s", event["run_id"], result, text)
            return event
        if result == "skipped":
            raise AirflowSkipException(text)
        raise AirflowException(f"Run {event['run_id']} of job {event['job']!r}: {result}: {text}")
