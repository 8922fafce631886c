"""What tests of do-not-contact lists do again and again, through the functions that people call."""

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database

#: All units on all lists.
ENTRIES = """SELECT e.unit_type::text, e.value FROM outbound.suppression_entry AS e
    ORDER BY e.unit_type, e.value"""


def block(database: Database, name: str, *units: tuple[str, str], applies_to_all: bool = True) -> None:
    """Make a do-not-contact list with these units."""
    database.query("SELECT outbound.create_suppression_list(%s, %s)", name, applies_to_all)
    suppress(database, name, *units)


def suppress(
    database: Database, name: str, *units: tuple[str, Any], function: str = "suppress"
) -> dict[str, Any]:
    """Put units on a list, or take them off, and return the answer."""
    given = Jsonb([{"type": kind, "value": value} for kind, value in units])
    return dict(database.value(f"SELECT outbound.{function}(%s, %s)", name, given))


def raised(database: Database, statement: str, *parameters: Any) -> psycopg.errors.Diagnostic:
    """Return what a statement raises; it must say what to do."""
    with pytest.raises(psycopg.Error) as error:
        database.query(statement, *parameters)
    assert error.value.diag.message_hint
    return error.value.diag
