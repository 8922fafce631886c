"""Campaigns: settings that are checked when saved, what they use, switching on and off; what is refused, and
with which words (contact-lists §10).
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import COLUMNS, add, create_job, create_list, person, set_up_account, table_of
from support.meanwhile import Meanwhile
from support.run import Run

#: A name that would do harm where names are pasted into SQL.
NASTY = "x\"; DROP TABLE outbound.campaign; --'%s"
OFFICE = {"mon": [["09:00", "18:00"]], "tue": [["09:00", "13:00"], ["14:00", "24:00"]]}
MORE_COLUMNS: list[dict[str, Any]] = [
    *COLUMNS,
    {"name": "Balance", "type": "numeric"},
    {"name": "Last seen", "type": "date"},
]


@pytest.fixture
def site(database: Database) -> Database:
    set_up_account(database)
    create_list(database, "people", columns=MORE_COLUMNS)
    create_list(database, "others")
    database.query("SELECT outbound.create_calendar('Office', 'Europe/Kyiv', %s)", Jsonb(OFFICE))
    database.query("SELECT outbound.create_attempt_control('Gentle', %s)", Jsonb({"max_call": 3}))
    database.query("SELECT outbound.create_suppression_list('Register')")
    return database


def refusal(database: Database, statement: str, *parameters: object) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        database.query(statement, *parameters)
    return raised.value.diag


def create(
    database: Database, name: str = "spring", lists: Any = ("people",), kind: str = "call", **settings: Any
) -> None:
    statement = "SELECT outbound.create_campaign(%s, %s, %s, %s)"
    database.query(statement, name, list(lists), kind, Jsonb(settings))


def alter(database: Database, name: str = "spring", **settings: Any) -> None:
    database.query("SELECT outbound.alter_campaign(%s, %s)", name, Jsonb(settings))


def stored(database: Database, name: str = "spring") -> dict[str, Any]:
    return dict(database.value("SELECT settings FROM outbound.campaign WHERE name = %s", name))


def state(database: Database, name: str = "spring") -> tuple[Any, ...]:
    return database.query("SELECT state, off_reason FROM outbound.campaign WHERE name = %s", name)[0]


def lists_of(database: Database, name: str = "spring") -> list[str]:
    found = database.query(
        """SELECT l.name FROM outbound.campaign AS c JOIN outbound.campaign_list USING (campaign_id)
           JOIN outbound.list AS l USING (list_id) WHERE c.name = %s ORDER BY position""",
        name,
    )
    return [line[0] for line in found]


def indexes_of_claims(database: Database, name: str = "people") -> list[str]:
    """Return the columns of the indexes that claims have on a list."""
    found = database.query(
        """SELECT substring(pg_get_indexdef(indexrelid, 1, true) FROM '^sys_(.+)$') FROM pg_index
           WHERE indrelid = format('outbound_list.%%I', %s::text)::regclass AND indpred IS NOT NULL
           ORDER BY 1""",
        table_of(database, name),
    )
    return [column for (column,) in found if column != "open_attempt_id"]


def version(database: Database) -> int:
    return int(database.value("SELECT coalesce(max(version), 0) FROM outbound.settings_version"))


# --- campaigns --------------------------------------------------------------------------------------


def test_a_campaign_is_made_off_with_every_default(site: Database) -> None:
    create(site)
    assert state(site) == ("off", "new")
    assert stored(site) == {
        "always_active": False, "filter": None, "order": [], "priority": 0, "max_per_minute": None,
        "max_in_progress": None, "max_queued": None, "waiting_hours": 72, "on_waiting_over": "close",
        "unknown_outcome": None, "pending_is_busy": False, "lease_seconds": 120, "lease_started_seconds": 900,
        "subject": None, "message": None, "handover": None,
    }  # fmt: skip
    assert lists_of(site) == ["people"]


def test_what_a_campaign_names_is_kept_by_number_and_follows_a_new_name(site: Database) -> None:
    create(
        site,
        lists=["others", "people"],
        calendar="Office",
        attempt_control="Gentle",
        do_not_contact=["Register"],
    )
    read = "SELECT calendar_id IS NOT NULL, attempt_control_id IS NOT NULL FROM outbound.campaign"
    assert site.query(read) == [(True, True)]
    assert lists_of(site) == ["others", "people"]
    site.query("SELECT outbound.alter_calendar('Office', new_name => 'Bureau')")
    alter(site, priority=3)
    assert site.query(read) == [(True, True)]
    assert site.value("SELECT count(*) FROM outbound.campaign_suppression_list") == 1
    alter(site, calendar=None, attempt_control=None, do_not_contact=None)
    assert site.query(read) == [(False, False)]
    assert site.value("SELECT count(*) FROM outbound.campaign_suppression_list") == 0
    assert stored(site)["priority"] == 3


def test_a_change_of_settings_keeps_the_others_and_null_resets(site: Database) -> None:
    create(
        site,
        lease_seconds=60,
        max_per_minute=10,
        filter={"field": "balance", "operator": "greater_than", "value": 1},
    )
    alter(site, lease_seconds=None, order=[{"column": "Last-Seen"}])
    now = stored(site)
    assert (now["lease_seconds"], now["max_per_minute"]) == (120, 10)
    assert now["order"] == [{"column": "Last-Seen", "direction": "asc"}]
    assert now["filter"]["any"][0]["all"][0]["field"] == "balance"
    alter(site, filter=None)
    assert stored(site)["filter"] is None


def test_lists_of_a_campaign_can_be_changed_and_swapped(site: Database) -> None:
    create(site, lists=["people", "others"])
    change = "SELECT outbound.alter_campaign('spring', lists => %s)"
    site.query(change, ["others", "people"])
    assert lists_of(site) == ["others", "people"]
    site.query(change, ["people"])
    assert lists_of(site) == ["people"]


def greater(field: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": "greater_than", "value": value}


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"max_calls": 1}, "max_calls"),
    "unknown key that is null": ({"max_calls": None}, "max_calls"),
    "no pace": ({"max_per_minute": 0}, "max_per_minute"),
    "lease too short": ({"lease_seconds": 9}, "lease_seconds"),
    "unknown outcome": ({"unknown_outcome": "maybe"}, "unknown_outcome"),
    "waiting for ever": ({"waiting_hours": 100000}, "waiting_hours"),
    "subject of a call": ({"subject": "Hello"}, "subject"),
    "header in a subject": ({"subject": "Hello\r\nBcc: x"}, "subject"),
    "name of a calendar": ({"calendar": 7}, "calendar"),
    "names of lists": ({"do_not_contact": "Register"}, "do_not_contact"),
    "list twice": ({"do_not_contact": ["Register", "Register"]}, "do_not_contact[1]"),
    "filter of no column": ({"filter": greater("nothing", 1)}, "filter.any[0].all[0].field"),
    "filter of another type": ({"filter": greater("balance", "much")}, "filter.any[0].all[0].value"),
    "filter in SQL": ({"filter": "balance > 1"}, "filter"),
    "filter that hides SQL": (
        {"filter": greater('balance" > 1); DROP TABLE outbound.campaign; --', 1)},
        "filter.any[0].all[0].field",
    ),
    "empty filter": ({"filter": {}}, "filter"),
    "order of no column": ({"order": [{"column": "nothing"}]}, "order[0].column"),
    "order in SQL": ({"order": [{"column": "balance; DROP TABLE outbound.campaign"}]}, "order[0].column"),
    "direction": ({"order": [{"column": "balance", "direction": "desc; --"}]}, "order[0].direction"),
}


def test_settings_that_do_not_hold_are_refused_with_their_field(site: Database) -> None:
    create(site)
    before = site.query("SELECT * FROM outbound.campaign")
    for what, (settings, field) in BAD_SETTINGS.items():
        for statement in (
            "create_campaign('other', '{people}', 'call', %s)",
            "alter_campaign('spring', %s, '{people}')",
        ):
            problem = refusal(site, f"SELECT outbound.{statement}", Jsonb(settings))
            assert (problem.sqlstate, problem.message_detail) == ("22023", f"Field: {field}"), what
            assert problem.message_hint, what
    assert site.query("SELECT * FROM outbound.campaign") == before


def test_settings_that_are_no_document_are_refused(site: Database) -> None:
    for settings in (None, [], "x", 1):
        given = None if settings is None else Jsonb(settings)
        problem = refusal(site, "SELECT outbound.create_campaign('c', '{people}', 'call', %s)", given)
        assert problem.sqlstate == "22023"
        assert str(problem.message_primary).startswith("campaign settings: ")


def test_a_filter_must_fit_every_list(site: Database) -> None:
    problem = refusal(
        site,
        "SELECT outbound.create_campaign('c', '{people,others}', 'call', %s)",
        Jsonb({"filter": greater("balance", 1)}),
    )
    assert str(problem.message_primary).startswith('the filter does not fit contact list "others": ')
    create(site, filter=greater("balance", 1), order=[{"column": "sys_created_at", "direction": "desc"}])
    problem = refusal(site, "SELECT outbound.alter_campaign('spring', lists => '{people,others}')")
    assert str(problem.message_primary).startswith('the filter does not fit contact list "others": ')
    assert lists_of(site) == ["people"]


def test_a_filter_may_ask_for_what_the_list_itself_knows(site: Database) -> None:
    for field in ("sys_id", "sys_attempts", "sys_created_at"):
        create(site, field, filter={"field": field, "operator": "is_not_empty"}, order=[{"column": field}])


def test_a_campaign_needs_lists_and_each_once(site: Database) -> None:
    for lists in (None, [], [None], ["people", None], ["people", "people"]):
        problem = refusal(site, "SELECT outbound.create_campaign('c', %s, 'call')", lists)
        assert problem.sqlstate == "22023", lists
        assert problem.message_hint, lists


UNKNOWN: dict[str, tuple[str, str]] = {
    "contact list": ("create_campaign('c', ARRAY[%s], 'call')", "outbound.list_status"),
    "calendar": (
        "create_campaign('c', '{people}', 'call', jsonb_build_object('calendar', %s::text))",
        "create_calendar",
    ),
    "attempt control": (
        "create_campaign('c', '{people}', 'call', jsonb_build_object('attempt_control', %s::text))",
        "create_attempt_control",
    ),
    "do-not-contact list": (
        "create_campaign('c', '{people}', 'call', jsonb_build_object('do_not_contact', ARRAY[%s]))",
        "create_suppression_list",
    ),
}


def test_what_a_campaign_names_must_exist(site: Database) -> None:
    for kind, (call, hint) in UNKNOWN.items():
        problem = refusal(site, "SELECT outbound." + call, NASTY)
        assert (problem.sqlstate, problem.message_primary) == ("42704", f'{kind} "{NASTY}" does not exist')
        assert hint in str(problem.message_hint)
    assert site.value("SELECT count(*) FROM outbound.campaign") == 0


BY_NAME = (
    "alter_campaign", "start_campaign", "stop_campaign", "delete_campaign", "restore_campaign",
    "alter_calendar", "drop_calendar", "calendar_is_open", "alter_attempt_control", "drop_attempt_control",
    "drop_wrap_up_code", "drop_attempt_result", "set_inbox", "drop_inbox", "drop_list",
)  # fmt: skip


def test_a_name_that_does_not_exist_is_named_in_the_error(site: Database) -> None:
    for function in BY_NAME:
        for name in (NASTY, "", None):
            problem = refusal(site, f"SELECT outbound.{function}(%s)", name)
            assert problem.sqlstate == "42704", function
            shown = "<NULL>" if name is None else name
            assert str(problem.message_primary).endswith(f'"{shown}" does not exist'), function
            assert problem.message_hint, function


NAMING = (
    "create_campaign(%s, '{people}', 'call')", "alter_campaign('spring', new_name => %s)",
    "create_calendar(%s, 'UTC', '{}')", "alter_calendar('Office', new_name => %s)",
    "create_attempt_control(%s, '{}')", "alter_attempt_control('Gentle', new_name => %s)",
    "create_attempt_result(%s, 'busy')", "set_wrap_up_code(%s)",
)  # fmt: skip


def test_a_name_that_cannot_be_shown_is_refused(site: Database) -> None:
    create(site)
    for call in NAMING:
        for name in (" ", "a\u0007", "x" * 256):
            problem = refusal(site, "SELECT outbound." + call, name)
            assert problem.sqlstate == "22023", call
            assert problem.message_hint, call


def test_names_are_unique_and_any_text(site: Database) -> None:
    create(site)
    create(site, NASTY)
    for call in (
        "create_campaign(%s, '{people}', 'call')",
        "alter_campaign('spring', new_name => %s)",
    ):
        assert refusal(site, "SELECT outbound." + call, NASTY).sqlstate == "42710"
    for statement in (
        "SELECT outbound.create_calendar('Office', 'UTC', '{}')",
        "SELECT outbound.create_attempt_control('Gentle', '{}')",
    ):
        assert refusal(site, statement).sqlstate == "42710"
    site.query("SELECT outbound.alter_campaign(%s, new_name => 'tame')", NASTY)
    assert site.query("SELECT name FROM outbound.campaign ORDER BY 1") == [("spring",), ("tame",)]


def test_a_list_must_have_units_of_the_conversation_type(site: Database) -> None:
    create_list(
        site,
        "post only",
        columns=[{"name": "E-mail", "contact": {"type": "email", "inbox": "Post"}}],
        identifier=None,
        contact_name=None,
    )
    problem = refusal(site, "SELECT outbound.create_campaign('c', '{people,\"post only\"}', 'call')")
    assert (problem.sqlstate, problem.message_primary) == (
        "55000",
        'contact list "post only" has no units for calls',
    )
    assert problem.message_hint
    create(site, lists=["people", "post only"], kind="email", subject="Hello")


def test_an_inbox_must_be_allowed_to_write_first(site: Database) -> None:
    columns = [{"name": "Handle", "contact": {"type": "username", "inbox": "Chat"}}]
    create_list(site, "chats", columns=columns, identifier=None, contact_name=None)
    problem = refusal(site, "SELECT outbound.create_campaign('c', '{chats}', 'social_media')")
    assert (problem.sqlstate, problem.message_detail) == ("55000", 'Inboxes: "Chat".')
    assert "set_inbox" in str(problem.message_hint)
    site.query("SELECT outbound.set_inbox('Chat', may_write_first => true)")
    create(site, "chatting", ["chats"], "social_media")
    site.query("SELECT outbound.set_inbox('Chat', may_write_first => false)")
    assert refusal(site, "SELECT outbound.start_campaign('chatting')").sqlstate == "55000"
    assert state(site, "chatting") == ("off", "new")


def test_conversations_themselves_need_no_right_to_write_first(site: Database) -> None:
    create_list(
        site,
        "talks",
        columns=[{"name": "Talk", "contact": {"type": "conversation_id"}}],
        identifier=None,
        contact_name=None,
    )
    create(site, "talking", ["talks"], "social_media")


# --- states -----------------------------------------------------------------------------------------


def test_a_campaign_goes_through_its_states(site: Database) -> None:
    create(site)
    moments = "SELECT started_at, stopped_at FROM outbound.campaign"
    first, second = datetime(2026, 1, 5, 8, tzinfo=UTC), datetime(2026, 1, 5, 9, tzinfo=UTC)
    site.query("SELECT outbound.start_campaign('spring', %s)", first)
    assert state(site) == ("active", None)
    site.query("SELECT outbound.start_campaign('spring', %s)", second)
    assert site.query(moments) == [(first, None)]
    site.query("SELECT outbound.stop_campaign('spring', %s)", second)
    site.query("SELECT outbound.stop_campaign('spring')")
    assert state(site) == ("off", "manual")
    assert site.query(moments) == [(first, second)]
    site.query("SELECT outbound.start_campaign('spring')")
    site.query("SELECT outbound.delete_campaign('spring')")
    site.query("SELECT outbound.delete_campaign('spring')")
    assert state(site) == ("deleted", None)
    site.query("SELECT outbound.restore_campaign('spring')")
    site.query("SELECT outbound.restore_campaign('spring')")
    assert state(site) == ("off", "manual")


def test_a_deleted_campaign_keeps_its_name_and_does_nothing(site: Database) -> None:
    create(site)
    site.query("SELECT outbound.delete_campaign('spring')")
    problem = refusal(site, "SELECT outbound.create_campaign('spring', '{people}', 'call')")
    assert problem.sqlstate == "42710"
    assert "restore_campaign" in str(problem.message_hint)
    for call in ("start_campaign('spring')", "stop_campaign('spring')", "alter_campaign('spring', '{}')"):
        problem = refusal(site, f"SELECT outbound.{call}")
        assert (problem.sqlstate, problem.message_primary) == ("55000", 'campaign "spring" is deleted')
        assert problem.message_hint


def test_an_active_campaign_takes_other_lists_as_if_it_were_stopped_and_started(site: Database) -> None:
    create(site)
    site.query("SELECT outbound.start_campaign('spring')")
    at = datetime(2030, 1, 1, tzinfo=UTC)
    change = "SELECT outbound.alter_campaign('spring', %s, %s, at => %s)"
    site.query(change, Jsonb({"priority": 1}), None, at)
    assert site.value("SELECT stopped_at FROM outbound.campaign") is None
    site.query(change, None, ["others"], at)
    assert site.query("SELECT state, started_at, stopped_at FROM outbound.campaign") == [("active", at, at)]


def test_a_calendar_and_an_attempt_control_in_use_are_not_dropped(site: Database) -> None:
    create(site, 'a "b"', calendar="Office", attempt_control="Gentle", do_not_contact=["Register"])
    for call in (
        "drop_calendar('Office')",
        "drop_attempt_control('Gentle')",
        "drop_suppression_list('Register')",
    ):
        problem = refusal(site, f"SELECT outbound.{call}")
        assert problem.sqlstate == "55006"
        assert problem.message_detail == 'Campaigns that keep to it: "a ""b""".'
        assert problem.message_hint
    site.query("SELECT outbound.delete_campaign(%s)", 'a "b"')
    said: list[str | None] = []
    with site.connect() as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
        for call in (
            "drop_calendar('Office')",
            "drop_attempt_control('Gentle')",
            "drop_suppression_list('Register')",
        ):
            connection.execute(f"SELECT outbound.{call}".encode())
    assert said == [
        'deleted campaigns lose calendar "Office"',
        'deleted campaigns lose attempt control "Gentle"',
    ]
    site.query("SELECT outbound.restore_campaign(%s)", 'a "b"')


def test_a_list_of_an_active_campaign_is_not_dropped_and_other_campaigns_lose_it(site: Database) -> None:
    create(site, lists=["people"])
    create(site, "both", lists=["others", "people"])
    site.query("SELECT outbound.start_campaign('spring')")
    problem = refusal(site, "SELECT outbound.drop_list('people')")
    assert (problem.sqlstate, problem.message_detail) == ("55006", "Active campaigns that work it: spring.")
    assert "stop_campaign" in str(problem.message_hint)
    site.query("SELECT outbound.stop_campaign('spring')")
    site.query("SELECT outbound.drop_list('people')")
    assert (lists_of(site), lists_of(site, "both")) == ([], ["others"])
    problem = refusal(site, "SELECT outbound.start_campaign('spring')")
    assert (problem.sqlstate, problem.message_primary) == ("55000", 'campaign "spring" has no contact list')
    site.query("SELECT outbound.alter_campaign('spring', lists => '{others}')")
    site.query("SELECT outbound.start_campaign('spring')")


def test_a_list_that_is_dropped_meanwhile_is_no_list_of_a_new_campaign(site: Database) -> None:
    late = "SELECT outbound.create_campaign('late', '{people}', 'call')"
    with site.connect(autocommit=False) as connection:
        connection.execute("SELECT outbound.drop_list('people')")
        waiting = Meanwhile(lambda: refusal(site, late))
        waiting.waits(site)
        connection.commit()
    assert waiting.ends().sqlstate == "42704"


def test_campaigns_of_one_type_that_start_at_once_share_the_indexes_of_a_list(site: Database) -> None:
    create(site)
    create(site, "autumn")
    with site.connect(autocommit=False) as connection:
        connection.execute("SELECT outbound.start_campaign('spring')")
        waiting = Meanwhile(lambda: site.query("SELECT outbound.start_campaign('autumn')"))
        waiting.waits(site)
        connection.commit()
        waiting.ends()
    assert indexes_of_claims(site) == ["callback_call", "due_call"]


def test_a_campaign_that_waits_for_a_list_keeps_nobody_else_waiting(site: Database) -> None:
    # It had changed its settings before, so that whoever had the list and changed settings too met it there.
    create(site)
    changed = {"order": [{"column": "Name", "direction": "asc"}]}
    for call, given in (("start_campaign", []), ("alter_campaign", [Jsonb(changed)])):
        places = ", ".join(["%s"] * (1 + len(given)))
        with site.connect(autocommit=False) as holder:
            holder.execute("SELECT 1 FROM outbound.list WHERE name = 'people' FOR UPDATE")
            statement, arguments = f"SELECT outbound.{call}({places})", ["spring", *given]
            waiting = Meanwhile(partial(site.query, statement, *arguments))
            waiting.waits(site)
            holder.execute("SET LOCAL lock_timeout = '2s'")
            holder.execute("SELECT outbound.set_inbox('Voice', 10)")
            holder.commit()
            waiting.ends()
    assert site.value("SELECT state FROM outbound.campaign WHERE name = 'spring'") == "active"


def test_two_changes_at_once_do_not_undo_each_other(site: Database) -> None:
    create(site)
    with site.connect(autocommit=False) as connection:
        connection.execute("SELECT outbound.alter_campaign('spring', '{\"priority\": 7}')")
        waiting = Meanwhile(lambda: alter(site, max_queued=5))
        waiting.waits(site)
        connection.commit()
        waiting.ends()
    assert (stored(site)["priority"], stored(site)["max_queued"]) == (7, 5)


# --- versions of the settings -----------------------------------------------------------------------


def test_every_change_of_settings_has_a_version_of_its_own(site: Database) -> None:
    create(site)
    seen = [version(site)]
    for statement in (
        "SELECT outbound.alter_campaign('spring', '{\"priority\": 1}')",
        "SELECT outbound.start_campaign('spring')",
        "SELECT outbound.alter_calendar('Office', time_zone => 'UTC')",
        "SELECT outbound.alter_attempt_control('Gentle', '{}')",
        "SELECT outbound.set_wrap_up_code('x')",
        "SELECT outbound.create_attempt_result('mine', 'busy')",
        "SELECT outbound.set_inbox('Voice', 10)",
        "SELECT outbound.rename_list('others', 'more')",
        "SELECT outbound.alter_suppression_list('Register', true)",
    ):
        site.query(statement)
        seen.append(version(site))
    assert seen == sorted(set(seen))


def test_contacts_that_come_in_change_no_version(site: Database) -> None:
    before = version(site)
    add(site, "people", person("1", phone="+380441112233"))
    units = Jsonb([{"type": "phone", "value": "+380441112233"}])
    site.query("SELECT outbound.suppress('Register', %s)", units)
    assert version(site) == before


def test_a_version_that_was_rolled_back_is_not_given_again(site: Database) -> None:
    with site.connect(autocommit=False) as connection:
        connection.execute("SELECT outbound.set_inbox('Voice', 10)")
        row = connection.execute("SELECT version FROM outbound.settings_version").fetchone()
        connection.rollback()
    assert row is not None
    site.query("SELECT outbound.set_inbox('Voice', 20)")
    assert version(site) > row[0]


# --- indexes ----------------------------------------------------------------------------------------


def test_a_list_has_indexes_for_the_claims_of_types_that_campaigns_have_worked(site: Database) -> None:
    create(site)
    assert indexes_of_claims(site) == []
    site.query("SELECT outbound.start_campaign('spring')")
    of_calls = ["callback_call", "due_call"]
    assert indexes_of_claims(site) == of_calls
    assert indexes_of_claims(site, "others") == []
    create(site, "mail", kind="email")
    site.query("SELECT outbound.start_campaign('mail')")
    both = ["callback_call", "callback_email", "due_call", "due_email"]
    assert indexes_of_claims(site) == both
    site.query("SELECT outbound.stop_campaign('spring')")
    site.query("SELECT outbound.start_campaign('spring')")
    assert indexes_of_claims(site) == both


@pytest.mark.parametrize("started", ["before", "meanwhile", "within"])
def test_new_tables_of_a_list_have_the_indexes_of_the_campaigns_that_are_on(
    site: Database, started: str
) -> None:
    create(site, lists=["others"])
    create(site, "mail", lists=["others"], kind="email")
    create_job(site, append_type="flush_and_append", target_list="others")
    if started != "meanwhile":
        site.query("SELECT outbound.start_campaign('spring')")
    if started == "within":
        # The tables that are about to go have them already.
        site.query("SELECT outbound.stop_campaign('spring')")
    run = Run.of(site)
    load = run.load(run.take(), [person("anna", phone="+380441112233")])
    if started == "meanwhile":
        site.query("SELECT outbound.start_campaign('spring')")
    if started == "within":
        # Whoever replaces the tables does not see it yet.
        with site.connect(autocommit=False) as connection:
            run.call_on(connection, "publish", load.number, load.counts())
            start = "SELECT outbound.start_campaign('spring')"
            waiting = Meanwhile(lambda: site.query(start))
            waiting.waits(site)
            connection.commit()
            waiting.ends()
    else:
        run.publish(load)
    assert indexes_of_claims(site, "others") == ["callback_call", "due_call"]
    claimed = site.query("SELECT contact_id FROM outbound.claim('spring', 1, 'dialer')")
    assert claimed == [("anna",)]
