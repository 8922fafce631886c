"""The connection to a pg_outbound database, and the two functions that a DAG needs of it.

Asking for a run and reading how it stands are SQL functions of the extension; the hook calls
them and adds no rule of its own.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.postgres.hooks.postgres import PostgresHook

# to_jsonb gives times as ISO 8601 text, so one and the same value serves as a trigger event,
# as an XCom and in the task log.
RUN_STATUS = "SELECT pg_catalog.to_jsonb(s) FROM outbound.run_status(%s) AS s"
_RUN_NOW = "SELECT outbound.run_now(%s, %s, %s)"


class OutboundHook(PostgresHook):
    """Ask a pg_outbound database for runs of its jobs.

    Everything that `PostgresHook` offers works as well, for queries over lists and views.

    :param outbound_conn_id: a connection of type `pg_outbound`; its user needs the rights of
        the role `outbound_operator`.
    """

    conn_name_attr = "outbound_conn_id"
    default_conn_name = "pg_outbound_default"
    conn_type = "pg_outbound"
    hook_name = "pg_outbound"

    def dsn_kwargs(self) -> dict[str, Any]:
        """Key words for `psycopg.connect` and `psycopg.AsyncConnection.connect`.

        What the connection leaves blank is left to libpq (`PG...` variables, its defaults).
        Key words, not a connection string: an empty value in a hand-made string swallows the
        next word and silently connects elsewhere.
        """
        connection = self.connection
        words = {
            "host": connection.host,
            "port": connection.port,
            "user": connection.login,
            "password": connection.password,
            "dbname": self.database or connection.schema,
            "options": self.options,
            # A server that vanished without closing the connection is noticed within a
            # minute, where the kernel alone would take a quarter of an hour.
            "tcp_user_timeout": 60_000,
            "fallback_application_name": "airflow",
        }
        words.update(
            (name, value)
            for name, value in connection.extra_dejson.items()
            if name not in self.ignored_extra_options
        )
        return {name: value for name, value in words.items() if value not in (None, "")}

    def run_now(self, job: str, *, requested_by: str | None = None, request_key: str | None = None) -> int:
        """Ask for a run of a job and return the run's id.

        :param job: the job's name.
        :param requested_by: who asks; shown in the job's activity.
        :param request_key: asking again with the same key gives the run of the first time
            instead of another one, so a request whose answer was lost can be repeated.
        :raises psycopg.Error: the database is out of reach or refuses, such as for a job it
            does not know.
        """
        return self._value(_RUN_NOW, job, requested_by, request_key)

    def run_status(self, run_id: int) -> dict[str, Any] | None:
        """Tell how a run stands, or None when the database does not know it.

        Keys: `run_id`, `job`, `state` (`queued`, `running`, `finished`), `result` (`success`,
        `no_match`, `partial`, `failure`, `skipped`; None before the end),
        `reason` (a stable code), `message`, and `requested_at`, `started_at`, `finished_at`
        (ISO 8601 text).
        """
        return self._value(RUN_STATUS, run_id)

    def _value(self, query: str, *parameters: Any) -> Any:
        """Run one statement in a transaction of its own; the first value of its first row."""
        import psycopg

        with psycopg.connect(**self.dsn_kwargs(), autocommit=True) as connection:
            row = connection.execute(query, parameters).fetchone()
        return row[0] if row else None
