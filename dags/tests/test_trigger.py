"""Waiting: no end of a run is missed, whenever it comes and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from outbound_site import Site

    from airflow_provider_pg_outbound.hooks.outbound import OutboundHook
    from airflow_provider_pg_outbound.triggers.job_run import JobRunTrigger
    from conftest import StartWorker

LONG = 600.0  # seconds between two polls that no test lives to see: only notifications count


def trigger(run_id: int, poll_interval: float = LONG) -> JobRunTrigger:
    from airflow_provider_pg_outbound.triggers.job_run import JobRunTrigger

    return JobRunTrigger(run_id, "pg_outbound_default", poll_interval)


async def first_event(waiting: JobRunTrigger) -> dict[str, Any]:
    return (await anext(waiting.run())).payload


async def during(waiting: JobRunTrigger, act: Callable[[], None]) -> dict[str, Any]:
    """Start waiting, call `act` once the database has been reached, return the event."""
    task = asyncio.create_task(first_event(waiting))
    await asyncio.sleep(1.5)
    assert not task.done()
    act()
    return await asyncio.wait_for(task, 60)


@pytest.fixture
def hook(connection: str) -> OutboundHook:
    from airflow_provider_pg_outbound.hooks.outbound import OutboundHook

    return OutboundHook(connection)


def test_serialized_form_makes_the_same_trigger() -> None:
    from airflow.sdk.module_loading import import_string

    path, arguments = trigger(7, 12.5).serialize()
    again = import_string(path)(**arguments)
    assert again.serialize() == (path, arguments)
    assert (again.run_id, again.poll_interval) == (7, 12.5)


def test_run_that_ended_before_the_waiting_is_seen_at_once(site: Site, hook: OutboundHook) -> None:
    run_id = hook.run_now(site.disabled)
    event = asyncio.run(asyncio.wait_for(first_event(trigger(run_id)), 10))
    assert event == hook.run_status(run_id)


def test_notification_wakes(site: Site, hook: OutboundHook, start_worker: StartWorker) -> None:
    run_id = hook.run_now(site.failing)
    event = asyncio.run(during(trigger(run_id), start_worker))
    assert (event["run_id"], event["state"]) == (run_id, "finished")


def test_lost_connection_is_opened_again(site: Site, hook: OutboundHook, start_worker: StartWorker) -> None:
    from outbound_site import ROLE

    run_id = hook.run_now(site.failing)

    def cut_then_serve() -> None:
        cut = site.database.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s", ROLE
        )
        assert cut == 1
        start_worker()

    event = asyncio.run(during(trigger(run_id, 2.0), cut_then_serve))
    assert event["run_id"] == run_id


def test_waiting_ends_when_the_database_stays_away() -> None:
    from airflow_provider_pg_outbound.triggers.job_run import wait_for_run

    nowhere = {"host": "127.0.0.1", "port": 1, "dbname": "x", "user": "x"}
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(wait_for_run(nowhere, 1, poll_interval=0.1, patience=0.3))


@pytest.mark.usefixtures("connection")
def test_unknown_run_is_an_error_and_no_endless_waiting() -> None:
    with pytest.raises(Exception, match="does not know run 9000000000"):
        asyncio.run(asyncio.wait_for(first_event(trigger(9_000_000_000)), 10))
