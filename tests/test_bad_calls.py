"""Calls of dialers that are refused: with SQLSTATE and a way out, and nothing changed. Who may make which."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people
from support.lists import add

ONE = {"Client ID": "one", "Phone": "+380440000001"}
TWO = {"Client ID": "two", "Phone": "+380440000002", "Mobile": "+380500000002"}
MAIL = {"Client ID": "mail", "E-mail": "mail@example.org"}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """Return a desk for two people with phones and one with an address, worked by two campaigns."""
    create_people(database, 0)
    add(database, "people", ONE, TWO, MAIL)
    create_campaign(database)
    create_campaign(database, "mail", kind="email")
    with Desk(database) as desk:
        yield desk


BAD_CALLS: dict[str, tuple[str, str, str]] = {
    "unknown campaign": ("claim('autumn', 1, 'd')", "42704", 'campaign "autumn" does not exist'),
    "no attempts": ("claim('spring', 0, 'd')", "22023", "0 attempts cannot"),
    "fewer than none": ("claim('spring', -1, 'd')", "22023", "-1 attempts cannot"),
    "too many": ("claim('spring', 10001, 'd')", "22023", "10001 attempts cannot"),
    "as many as can be written": ("claim('spring', 2147483647, 'd')", "22023", "attempts cannot"),
    "dialer without a name": ("claim('spring', 1, ' ')", "22023", "a dialer needs a name"),
    "dialer with a long name": ("claim('spring', 1, repeat('x', 256))", "22023", "a dialer needs a name"),
    "unknown result": ("settle(ARRAY[{0}], '{{vanished}}')", "42704", 'result "vanished" does not exist'),
    "no result": ("settle(ARRAY[{0}], '{{NULL}}')", "42704", "does not exist"),
    "result of the system": ("settle(ARRAY[{0}], '{{dnc}}')", "42704", 'result "dnc" does not exist'),
    "one unknown of two": ("settle(ARRAY[{0},{1}], '{{busy,x}}')", "42704", 'result "x" does not exist'),
    "more results than attempts": ("settle(ARRAY[{0}], '{{busy,busy}}')", "2202E", "results has 2 elements"),
    "fewer results than attempts": ("settle(ARRAY[{0},{1}], '{{busy}}')", "2202E", "results has 1 elements"),
    "fewer dialogs than attempts": (
        "settle(ARRAY[{0},{1}], '{{busy,busy}}', '{{d}}')", "2202E", "dialog_ids has 1 elements",
    ),
    "more attempts than a call takes": (
        "start(array_agg(n)) FROM generate_series(1, 10001) AS n", "22023", "10001 attempts are too many",
    ),
    "lease into the past": ("extend(ARRAY[{0}], now() - interval '1 s')", "22023", "the end of a lease"),
    "lease for ever": ("extend(ARRAY[{0}], 'infinity')", "22008", "cannot be infinite"),
    "unknown wrap-up code": ("finish({0}, 'none')", "42704", 'wrap-up code "none" does not exist'),
    "callback in the past": ("schedule_callback({0}, now() - interval '1 s')", "22023", "a callback cannot"),
    "callback now": ("schedule_callback({0}, now())", "22023", "a callback cannot"),
    "callback never": ("schedule_callback({0}, 'infinity')", "22008", "cannot be infinite"),
    "callback moved back": ("move_callback('people', 'one', '1999-01-01')", "22023", "a callback cannot"),
    "moment without end": ("claim('spring', 1, 'd', 'infinity')", "22008", "cannot be infinite"),
    "moment before all time": ("sweep_leases('-infinity')", "22008", "cannot be infinite"),
    "callback that nobody planned": ("cancel_callback('people', 'one')", "42704", "no callback is planned"),
    "explanation for no list": ("explain('nobody', 'one', 'spring')", "42704", 'contact list "nobody"'),
    "explanation for no contact": ("explain('people', 'none', 'spring')", "42704", 'no contact "none"'),
    "explanation for no campaign": ("explain('people', 'one', 'autumn')", "42704", 'campaign "autumn"'),
    "exclusion of a busy contact": ("exclude('people', 'one')", "55006", "in progress"),
    "reset of a busy contact": ("reset('people', 'one')", "55006", "in progress"),
    "exclusion of no contact": ("exclude('people', 'none')", "42704", 'no contact "none"'),
    "exclusion of no record": ("exclude('people', 'mail', 1000000)", "42704", "no record 1000000"),
    "reset of no list": ("reset('nobody')", "42704", 'contact list "nobody"'),
    "re-evaluation of no list": ("reevaluate('nobody')", "42704", 'contact list "nobody"'),
    "check of no list": ("check_consistency('nobody')", "42704", 'contact list "nobody"'),
}  # fmt: skip


@pytest.mark.parametrize(("call", "sqlstate", "said"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_input_is_refused_with_a_way_out_and_changes_nothing(
    desk: Desk, call: str, sqlstate: str, said: str
) -> None:
    desk.at = datetime.now(UTC)
    attempts = [attempt.attempt_id for attempt in desk.claim(10)]
    before = desk.everything()
    # An argument may be an aggregate.
    asking = "SELECT outbound." if " FROM " in call else "SELECT * FROM outbound."
    with pytest.raises(psycopg.Error) as raised:
        desk.rows(asking + call.format(*attempts))
    problem = raised.value.diag
    assert (problem.sqlstate, said in str(problem.message_primary)) == (sqlstate, True), (
        problem.message_primary
    )
    assert problem.message_hint
    assert desk.everything() == before


@pytest.mark.parametrize(
    "call",
    [
        "claim('spring', NULL, 'd')", "claim('spring', 1, NULL)",
        "claim('spring', 1, 'd', NULL)", "start(NULL)", "settle(NULL, '{{}}')", "settle(ARRAY[{0}], NULL)",
        "settle(ARRAY[{0}], '{{busy}}', at => NULL)", "release(NULL)", "extend(ARRAY[{0}], NULL)",
        "finish(NULL)",
        "schedule_callback({0}, NULL)", "schedule_callback(NULL, now() + interval '1 h')",
        "move_callback('people', 'one', NULL)", "cancel_callback('people', NULL)", "exclude(NULL, 'one')",
        "reset(NULL)", "reevaluate(NULL)", "explain(NULL, 'one', 'spring')", "check_consistency(NULL)",
        "contact_history(NULL, 'one')",
    ],
)  # fmt: skip
def test_null_where_a_value_is_needed_is_no_internal_error(desk: Desk, call: str) -> None:
    desk.at = datetime.now(UTC)
    attempts = [attempt.attempt_id for attempt in desk.claim(10)]
    before = desk.everything()
    try:
        answers = [tuple(row) for row in desk.rows("SELECT * FROM outbound." + call.format(*attempts))]  # noqa: S608
    except psycopg.Error as error:
        assert error.sqlstate in ("22004", "42704"), error.diag.message_primary
        assert error.diag.message_hint
    else:
        assert answers in ([], [(None,)])
    assert desk.everything() == before


def test_a_campaign_that_may_not_work_answers_nothing_and_explain_says_why(
    database: Database, desk: Desk
) -> None:
    def fails() -> list[str]:
        assert desk.claim(10) == []
        return [gate.gate for gate in desk.explain("one") if not gate.passes]

    database.query("SELECT outbound.create_calendar('never', 'UTC', '{}')")
    database.query("SELECT outbound.alter_campaign('spring', %s)", Jsonb({"calendar": "never"}))
    assert fails() == ["calendar"]
    database.query("SELECT outbound.stop_campaign('spring')")
    assert fails() == ["campaign", "calendar"]
    database.query("SELECT outbound.delete_campaign('spring')")
    assert fails() == ["campaign", "calendar"]
    (gate,) = [gate for gate in desk.explain("one") if gate.gate == "campaign"]
    assert "deleted" in gate.evidence


# --- roles ------------------------------------------------------------------------------------------

DIALERS = (
    "claim('spring', 1, 'd')", "start('{}')", "settle('{}', '{}')", "release('{}')", "finish(1)",
    "extend('{}', now() + interval '1 h')", "schedule_callback(1, now() + interval '1 h')",
)  # fmt: skip
OPERATORS = (
    "exclude('people', 'two')", "reset('people', 'two')", "reevaluate('people')", "sweep_leases()",
    "end_waiting()", "complete_campaigns()", "stop_campaign('spring')",
)  # fmt: skip
READERS = ("explain('people', 'one', 'spring')", "contact_history('people', 'one')")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("outbound_dialer", {*DIALERS, *READERS}),
        ("outbound_reader", {*READERS}),
        ("outbound_operator", {*DIALERS, *READERS, *OPERATORS}),
        ("outbound_worker", set()),
    ],
)
def test_each_role_makes_the_calls_that_are_its_own(desk: Desk, role: str, may: set[str]) -> None:
    desk.connection.execute(f"SET ROLE {role}".encode())
    for call in (*DIALERS, *READERS, *OPERATORS):
        if call in may:
            desk.rows(f"SELECT * FROM outbound.{call}")  # noqa: S608
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                desk.rows(f"SELECT * FROM outbound.{call}")  # noqa: S608
    desk.connection.execute("RESET ROLE")


def test_a_dialer_sees_no_table(database: Database, desk: Desk) -> None:
    tables = database.query(
        """SELECT c.oid::regclass::text FROM pg_class AS c
           WHERE relnamespace IN ('outbound'::regnamespace, 'outbound_list'::regnamespace)
           AND relkind IN ('r', 'p', 'v')"""
    )
    assert len(tables) > 20
    desk.connection.execute("SET ROLE outbound_dialer")
    for (table,) in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.rows(f"SELECT * FROM {table}")  # noqa: S608
    desk.connection.execute("RESET ROLE")
