"""The package as Airflow sees it: its description, its connection form, its DAGs."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_description_fits_airflows_schema() -> None:
    import json
    from importlib.resources import files

    import jsonschema

    from airflow_provider_pg_outbound import get_provider_info

    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_every_module_it_names_exists() -> None:
    from importlib import import_module

    from airflow_provider_pg_outbound import get_provider_info

    info = get_provider_info()
    for kind in ("operators", "hooks", "triggers", "bundles"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                import_module(module)


@pytest.mark.usefixtures("airflow_database")
def test_airflow_offers_the_connection_type_with_its_fields() -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    manager = ProvidersManager()
    assert "airflow-provider-pg-outbound" in manager.providers
    assert ProvidersManagerTaskRuntime().hooks["pg_outbound"].hook_name == "pg_outbound"
    assert "extra__pg_outbound__sslmode" in manager.connection_form_widgets
    assert manager.field_behaviours["pg_outbound"]["relabeling"] == {"schema": "Database"}


def test_reading_the_description_imports_nothing_of_airflow() -> None:
    # Every process of Airflow reads it, so its cost is paid everywhere.
    program = (
        "import sys, airflow_provider_pg_outbound as p; p.get_provider_info();"
        "sys.exit(any(m.partition('.')[0] in ('airflow', 'psycopg') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.usefixtures("airflow_database")
def test_bundle_holds_the_dag_and_it_parses() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag

    bundle = DagBundlesManager().get_bundle("pg-outbound")
    bag = DagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"outbound_run_job"}
