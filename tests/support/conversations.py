"""Conversations and lists made from them, through the calls that people use."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import rows, set_up_account

OPEN = {"field": "status", "operator": "equal", "value": "open"}
CODES = "sys_id, concat(sys_status, sys_status_call, sys_status_email, sys_status_social_media)"
UNITS = "sys_contact_id, sys_channel_user, sys_conversation_type::text, sys_status"
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def enter_talks(database: Database) -> None:
    """Set the account up, with three persons and five conversations, one of them in an unknown inbox."""
    set_up_account(database)
    for identifier, name, blocked in (("p1", "Anna", False), ("p2", "Bo", True), ("p3", "Cy", False)):
        database.query(
            "INSERT INTO outbound.conversation_contact (contact_id, name, email, phone, blocked, attributes)"
            " VALUES (%s, %s, %s, '+380441112233', %s, %s)",
            identifier, name, f"{name}@example.org", blocked, Jsonb({"plan": name.lower()}),
        )  # fmt: skip
    for number, (contact, inbox) in enumerate(
        [("p2", "Chat"), ("p1", "Chat"), ("p1", "Post"), ("p3", None), ("p3", "Voice")], start=1
    ):
        talk(database, f"c{number}", contact, inbox, at=NOON - timedelta(days=10 - number))


def talk(
    database: Database, identifier: str, contact: str, inbox: str | None, at: datetime = NOON, **more: Any
) -> None:
    """Enter a conversation; without an inbox it is in one that nobody knows."""
    database.query(
        """INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, created_at,
               last_activity_at, status, team, labels)
           VALUES (%s, %s, coalesce((SELECT inbox_id FROM outbound.inbox WHERE name = %s), 4711), %s, %s,
               %s, %s, %s)""",
        identifier, contact, inbox, at, at,
        more.get("status", "open"), more.get("team"), more.get("labels", []),
    )  # fmt: skip


def make(database: Database, name: str = "talks", criteria: Any = OPEN, **more: Any) -> dict[str, Any]:
    """Make a list of what matches at noon; return the answer."""
    given = {"auto_add": False, "schedule": "0 0 * * *", "close_if_all": False, "at": NOON} | more
    return dict(
        database.value(
            "SELECT outbound.create_list_from_conversations(%s, %s, %s, %s, %s, %s)",
            name, Jsonb(criteria), given["auto_add"], given["schedule"], given["close_if_all"], given["at"],
        )
    )  # fmt: skip


def preview(database: Database, criteria: Any = OPEN, rows: int = 10) -> list[tuple[Any, ...]]:
    """Return what would be loaded at noon, with the totals."""
    return database.query(
        "SELECT contact_id, conversation_id, inbox, conversation_type::text, total, contacts, skipped"
        " FROM outbound.preview_list(%s, %s, %s)",
        Jsonb(criteria), rows, NOON,
    )  # fmt: skip


def problem(database: Database, statement: str, *parameters: Any) -> Any:
    """Return what a statement raises; it must come with a hint."""
    with pytest.raises(psycopg.Error) as raised:
        database.query(statement, *parameters)
    diag = raised.value.diag
    assert diag.message_hint
    return diag


def agree(database: Database, name: str = "talks") -> None:
    """Check that codes and counters of a list are what follows from its records."""
    assert database.query("SELECT * FROM outbound.check_consistency(%s)", name) == []
    table = database.value("SELECT table_name FROM outbound.list WHERE name = %s", name)
    counted = database.query("SELECT total, callable, closed FROM outbound.list_status WHERE name = %s", name)
    codes = [code for (code,) in rows(database, table, "sys_status")]
    assert counted == [(len(codes), codes.count("C"), codes.count("U"))]
