"""Airflow provider for pg_outbound: run list automation jobs from DAGs.

The rules of a job, its runs and their results live in the database; this package only asks
for a run and waits for it. Importing it imports nothing else, because Airflow does so in
every one of its processes to read `get_provider_info`.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Describe the package to Airflow (entry point `apache_airflow_provider`).

    The fields of the connection form are libpq's own key words, so what is entered reaches
    the database driver under the same name.
    """
    return {
        "package-name": "airflow-provider-pg-outbound",
        "name": "pg_outbound",
        "description": "Run the list automation jobs of a pg_outbound database.",
        "integrations": [{"integration-name": "pg_outbound", "tags": ["software"]}],
        "operators": [
            {
                "integration-name": "pg_outbound",
                "python-modules": ["airflow_provider_pg_outbound.operators.run_job"],
            }
        ],
        "hooks": [
            {
                "integration-name": "pg_outbound",
                "python-modules": ["airflow_provider_pg_outbound.hooks.outbound"],
            }
        ],
        "triggers": [
            {
                "integration-name": "pg_outbound",
                "python-modules": ["airflow_provider_pg_outbound.triggers.job_run"],
            }
        ],
        "bundles": [
            {
                "integration-name": "pg_outbound",
                "python-modules": ["airflow_provider_pg_outbound.bundles"],
            }
        ],
        "connection-types": [
            {
                "connection-type": "pg_outbound",
                "hook-class-name": "airflow_provider_pg_outbound.hooks.outbound.OutboundHook",
                "hook-name": "pg_outbound",
                "conn-fields": {
                    "sslmode": {
                        "label": "SSL mode",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": [
                                "disable",
                                "allow",
                                "prefer",
                                "require",
                                "verify-ca",
                                "verify-full",
                            ],
                        },
                        "description": "How the server is authenticated; verify-full is safest.",
                    },
                    "sslrootcert": {
                        "label": "SSL root certificate",
                        "schema": {"type": ["string", "null"]},
                        "description": "File on the Airflow host, or 'system'.",
                    },
                },
                "ui-field-behaviour": {
                    "relabeling": {"schema": "Database"},
                    "placeholders": {"port": "5432"},
                },
            }
        ],
    }
