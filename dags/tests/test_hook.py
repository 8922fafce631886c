"""The hook against the database: what it connects with, what it asks, what it is told."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from outbound_site import Site

    from airflow_provider_pg_outbound.hooks.outbound import OutboundHook


def hook() -> OutboundHook:
    from airflow_provider_pg_outbound.hooks.outbound import OutboundHook

    return OutboundHook("pg_outbound_default")


def test_blank_fields_are_left_to_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PG_OUTBOUND_DEFAULT",
        json.dumps({"conn_type": "pg_outbound", "host": "db", "password": "", "extra": {"sslmode": None}}),
    )
    words = hook().dsn_kwargs()
    assert words["host"] == "db"
    assert not {"password", "user", "port", "dbname", "sslmode"} & words.keys()


def test_extra_fields_reach_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PG_OUTBOUND_DEFAULT",
        "pg-outbound://u:p%20w@db:5433/contacts?sslmode=verify-full&iam=false",
    )
    words = hook().dsn_kwargs()
    assert words["sslmode"] == "verify-full"
    assert (words["user"], words["password"], words["port"]) == ("u", "p w", 5433)
    assert words["dbname"] == "contacts"
    assert "iam" not in words


@pytest.mark.usefixtures("connection")
def test_same_key_gives_the_same_run(site: Site) -> None:
    key = uuid.uuid4().hex
    first = hook().run_now(site.disabled, requested_by="test", request_key=key)
    assert hook().run_now(site.disabled, requested_by="test", request_key=key) == first
    assert hook().run_now(site.disabled, request_key=uuid.uuid4().hex) != first


@pytest.mark.usefixtures("connection")
def test_status_is_plain_data_with_times_as_text(site: Site) -> None:
    run_id = hook().run_now(site.disabled)
    run = hook().run_status(run_id)
    assert json.loads(json.dumps(run)) == run
    assert (run["run_id"], run["job"]) == (run_id, site.disabled)
    assert (run["state"], run["result"]) == ("finished", "skipped")
    assert isinstance(run["requested_at"], str)


@pytest.mark.usefixtures("connection")
def test_unknown_job_is_refused_by_name() -> None:
    with pytest.raises(psycopg.Error, match="no such job here"):
        hook().run_now("no such job here")


@pytest.mark.usefixtures("connection")
def test_unknown_run_has_no_status() -> None:
    assert hook().run_status(9_000_000_000) is None
