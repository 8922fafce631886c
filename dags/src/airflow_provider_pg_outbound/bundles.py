"""The DAGs of this package as a bundle, so that nobody has to copy files."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle


class PackageDagBundle(LocalDagBundle):
    """The folder `dags` of the installed package, for `[dag_processor] dag_bundle_config_list`."""

    def __init__(self, **kwargs: Any) -> None:
        """Take what every bundle takes (`name`, `refresh_interval`, …)."""
        super().__init__(path=str(files("airflow_provider_pg_outbound") / "dags"), **kwargs)
