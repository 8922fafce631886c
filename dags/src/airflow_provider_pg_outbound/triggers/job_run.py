"""Waiting for the end of a run, in a triggerer or in a task.

The database says when a run ends (NOTIFY on `outbound_run_finished`, with the run's id). A
notification reaches only who listens at that instant, so the run's row is what counts: it is
read after LISTEN took effect, at every notification and every `poll_interval` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from psycopg import AsyncConnection

CHANNEL = "outbound_run_finished"

# A restart of the database, or its fail-over to a standby, must not fail the tasks that wait:
# the run itself survives it, and a new try of the task would ask for another one.
PATIENCE_SECONDS = 600.0

log = logging.getLogger(__name__)


async def wait_for_run(
    dsn_kwargs: dict[str, Any],
    run_id: int,
    poll_interval: float,
    patience: float = PATIENCE_SECONDS,
) -> dict[str, Any]:
    """Return a run, as `OutboundHook.run_status` does, once it is finished.

    A lost connection is opened again, for at most `patience` seconds in a row.

    :raises psycopg.OperationalError: the database stayed out of reach.
    :raises AirflowException: the database does not know the run.
    """
    from psycopg import AsyncConnection, OperationalError

    clock = asyncio.get_running_loop()
    last_seen = clock.time()
    while True:
        try:
            async with await AsyncConnection.connect(**dsn_kwargs, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                while True:
                    run = await _read(connection, run_id)
                    if run["state"] == "finished":
                        return run
                    last_seen = clock.time()
                    await _notified(connection, run_id, poll_interval)
        except OperationalError as error:
            if clock.time() - last_seen >= patience:
                raise
            log.warning("Lost the database while waiting for run %d: %s", run_id, error)
            await asyncio.sleep(min(poll_interval, 5.0))


async def _read(connection: AsyncConnection, run_id: int) -> dict[str, Any]:
    from airflow.providers.common.compat.sdk import AirflowException

    from airflow_provider_pg_outbound.hooks.outbound import RUN_STATUS

    row = await (await connection.execute(RUN_STATUS, (run_id,))).fetchone()
    if row is None:
        raise AirflowException(f"The database does not know run {run_id}")
    return row[0]


async def _notified(connection: AsyncConnection, run_id: int, timeout: float) -> None:
    """Return at a notification about this run, or after `timeout` seconds."""
    # The generator holds the connection's lock until it is closed.
    async with aclosing(connection.notifies(timeout=timeout)) as notifications:
        async for notification in notifications:
            if notification.payload == str(run_id):
                return


class JobRunTrigger(BaseTrigger):
    """Fire once, with the run as `OutboundHook.run_status` returns it, when it is finished.

    :param run_id: the run.
    :param outbound_conn_id: a connection of type `pg_outbound`.
    :param poll_interval: seconds between two looks at the run when no notification comes.
    """

    def __init__(self, run_id: int, outbound_conn_id: str, poll_interval: float) -> None:
        """Keep the arguments; nothing is looked up before the trigger runs."""
        super().__init__()
        self.run_id = run_id
        self.outbound_conn_id = outbound_conn_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to make this trigger again; no secret is in it."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "run_id": self.run_id,
                "outbound_conn_id": self.outbound_conn_id,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the run and yield the one event."""
        from asgiref.sync import sync_to_async

        from airflow_provider_pg_outbound.hooks.outbound import OutboundHook

        # Looking up a connection blocks, which would hold up every other trigger.
        dsn_kwargs = await sync_to_async(OutboundHook(self.outbound_conn_id).dsn_kwargs)()
        yield TriggerEvent(await wait_for_run(dsn_kwargs, self.run_id, self.poll_interval))
