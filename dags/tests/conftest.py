"""What the tests stand on: Airflow on SQLite, a database with the extension, a real worker.

`site` is the session's database with one job for every way a run can end. `start_worker` runs
`outbound serve` until the test ends, so a test decides when its runs begin.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Airflow reads its settings when it is first imported, which the tests' own imports do.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=f"{_HOME.name}/dags",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME.name}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=(
        '[{"name": "pg-outbound",'
        ' "classpath": "airflow_provider_pg_outbound.bundles.PackageDagBundle", "kwargs": {}}]'
    ),
)
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG
    from outbound_site import Site

    Register = Callable[[DAG], DAG]
    StartWorker = Callable[[], None]

CONNECTION = "pg_outbound_default"


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make Airflow's own database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return the session's database, SSH server and worker."""
    from outbound_site import open_site

    with open_site(tmp_path_factory.mktemp("worker")) as opened:
        yield opened


@pytest.fixture
def connection(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the id of an Airflow connection to the site's database, as an operator."""
    from outbound_site import ROLE
    from psycopg.conninfo import conninfo_to_dict

    words = conninfo_to_dict(site.database.conninfo(user=ROLE))
    fields = {
        "conn_type": "pg_outbound",
        "host": words["host"],
        "port": int(words["port"]),
        "login": words["user"],
        "schema": words["dbname"],
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", json.dumps(fields))
    return CONNECTION


@pytest.fixture
def start_worker(site: Site) -> Iterator[StartWorker]:
    """Return a function that starts a worker, which is stopped when the test ends."""
    with ExitStack() as stack:

        def start() -> None:
            stack.enter_context(site.serve())

        yield start


@pytest.fixture
def register(airflow_database: None) -> Register:
    """Return a function that makes a DAG known to Airflow, which `dag.test()` asks for."""

    def known(dag: DAG) -> DAG:
        from airflow.models.dagbundle import DagBundleModel
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.definitions.dag import SerializedDAG
        from airflow.serialization.serialized_objects import LazyDeserializedDAG
        from airflow.utils.session import create_session

        lazy = LazyDeserializedDAG.from_dag(dag)
        with create_session() as session:
            session.merge(DagBundleModel(name="testing"))
            session.flush()
            SerializedDAG.bulk_write_to_db("testing", None, [lazy], session=session)
            SerializedDagModel.write_dag(lazy, bundle_name="testing", session=session)
        return dag

    return known
