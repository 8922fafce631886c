"""What tests of the extension set up again and again: inboxes, a list, a server, a job, a run.

Everything goes through the functions that people and the worker call.
"""

import json
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from support.cluster import Database

#: Columns of the list that most tests use: an identifier, a name, a phone, an e-mail address.
COLUMNS: list[dict[str, Any]] = [
    {"name": "Client ID"},
    {"name": "Name"},
    {"name": "Phone", "contact": {"type": "phone", "inbox": "Voice"}},
    {"name": "E-mail", "contact": {"type": "email", "inbox": "Post"}},
]
HEADER = [column["name"] for column in COLUMNS]
FINGERPRINT = "SHA256:" + "A" * 43


def set_up_account(database: Database) -> None:
    """Set the account's country and make the inboxes that `COLUMNS` names, and one for messengers."""
    database.query("SELECT outbound.set_account(name => 'Test', default_country => 'UA')")
    for name, kind in (("Voice", "call"), ("Post", "email"), ("Chat", "social_media")):
        database.query("SELECT outbound.create_inbox(%s, %s)", name, kind)


def create_list(database: Database, name: str, **more: Any) -> str:
    """Make a list with `COLUMNS`, or with other arguments of `create_list`; return its table's name."""
    given = {"columns": COLUMNS, "identifier": "Client ID", "contact_name": "Name"} | more
    database.query(
        "SELECT outbound.create_list(%s, %s, %s, %s, %s)",
        name,
        Jsonb(given["columns"]),
        given["identifier"],
        given["contact_name"],
        given.get("close_if_all", False),
    )
    return table_of(database, name)


def table_of(database: Database, name: str) -> str:
    """Return the name of a list's table."""
    return str(database.value("SELECT table_name FROM outbound.list WHERE name = %s", name))


def add(
    database: Database, name: str, *contacts: dict[str, Any], append_type: str = "append_only"
) -> dict[str, Any]:
    """Add contacts to a list and return the counts."""
    statement = "SELECT outbound.add_contacts(%s, %s, %s)"
    return dict(database.value(statement, name, Jsonb(list(contacts)), append_type))


def person(identifier: str, phone: str = "", email: str = "", name: str = "") -> dict[str, Any]:
    """Return one contact for `COLUMNS`."""
    return {"Client ID": identifier, "Name": name, "Phone": phone, "E-mail": email}


def rows(database: Database, table: str, columns: str, order: str = "sys_id") -> list[tuple[Any, ...]]:
    """Return columns of a table in schema outbound_list; the columns are SQL of the test."""
    with database.connect() as connection:
        query = sql.SQL("SELECT {} FROM outbound_list.{} ORDER BY {}").format(
            sql.SQL(columns), sql.Identifier(table), sql.SQL(order)
        )
        return connection.execute(query).fetchall()


def rules(**more: Any) -> dict[str, Any]:
    """Return job rules for files with `COLUMNS` on the server `partner`; sections are merged."""
    document: dict[str, Any] = {
        "action": "import_file",
        "connection": {
            "server": "partner",
            "user": "acme",
            "authentication": "key",
            "directory": "in",
        },
        "files": {"operation": "contains", "name": "contacts"},
        "append_type": "new_list_only",
        "columns": COLUMNS,
        "identifier": "Client ID",
        "contact_name": "Name",
    }
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            document[key] = document[key] | value
        else:
            document[key] = value
    return json.loads(json.dumps(document))


def create_job(database: Database, name: str = "job", **more: Any) -> None:
    """Make a job with `rules(**more)`, and its server when it is missing."""
    if not database.value("SELECT count(*) FROM outbound.sftp_server WHERE name = 'partner'"):
        address = "sftp://sftp.example.org/drop"
        database.query(
            "SELECT outbound.create_sftp_server('partner', %s, %s)",
            address,
            FINGERPRINT,
        )
    database.query("SELECT outbound.create_job(%s, %s)", name, Jsonb(rules(**more)))
