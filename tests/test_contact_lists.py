"""Contact lists as tables: their names, their columns, their rules, and what an update keeps
(contact-lists §2.3, §3, §4, §5.4; list-automation §3.4).
"""

import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from support.cluster import Cluster, Database
from support.lists import add, create_list, person, rows, set_up_account, table_of

# Bytes that PostgreSQL leaves to an identifier.
IDENTIFIER_BYTES = 63
ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Анна")


@pytest.fixture
def lists(database: Database) -> Database:
    set_up_account(database)
    return database


def refusal(database: Database, statement: str, *parameters: object) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        database.query(statement, *parameters)
    return raised.value.diag


def list_tables(database: Database) -> set[str]:
    found = database.query(
        "SELECT relname::text FROM pg_class "
        "WHERE relnamespace = 'outbound_list'::regnamespace AND relkind = 'r'"
    )
    return {name for (name,) in found}


NAMES = {
    "plain": ("Spring 2026", "spring_2026"),
    "sql": ('x"; DROP TABLE outbound.list; --', "x_drop_table_outbound_list"),
    "quotes": ("O'Neil's \"list\"", "o_neil_s_list"),
    "placeholders": ("%s %I %L $1 {0}", "s_i_l_1_0"),
    "reserved word": ("Select", "select_"),
    "only an emoji": ("😀", "list"),
    "digits": ("2026", "list_2026"),
    "sys_": ("sys_contact", "list_sys_contact"),
    "pg_": ("pg_class", "list_pg_class"),
    "another script": ("Київ, весна", "київ_весна"),
}


@pytest.mark.parametrize(("name", "table"), NAMES.values(), ids=NAMES)
def test_any_text_is_a_lists_name_and_is_shown_as_written(lists: Database, name: str, table: str) -> None:
    assert create_list(lists, name) == table
    assert lists.query("SELECT name, table_name FROM outbound.list_status") == [(name, table)]
    assert add(lists, name, ANNA)["added"] == 1
    assert list_tables(lists) == {table, table + "_detail"}
    comment = "SELECT obj_description(format('outbound_list.%%I', %s::text)::regclass)"
    assert name in lists.value(comment, table)
    lists.query("SELECT outbound.drop_list(%s)", name)
    assert list_tables(lists) == set()


def test_a_name_of_300_bytes_gets_a_table_name_that_fits(lists: Database) -> None:
    name = "ї" * 150
    table = create_list(lists, name)
    other = create_list(lists, name[:-1])
    assert table != other
    for made in (table, other):
        assert len((made + "_detail").encode()) <= IDENTIFIER_BYTES
        assert {made, made + "_detail"} <= list_tables(lists)


@pytest.mark.parametrize("name", ["", "  \t", "two\nlines", "a" * 256, None], ids=repr)
def test_a_name_that_cannot_be_shown_is_refused(lists: Database, name: str | None) -> None:
    create_list(lists, "present")
    statement = "SELECT outbound.create_list(%s, '[]')"
    for problem in (
        refusal(lists, statement, name),
        refusal(lists, "SELECT outbound.rename_list('present', %s)", name),
    ):
        assert problem.sqlstate == "22023"
        assert "cannot be the name of a contact list" in str(problem.message_primary)
        assert problem.message_hint
    assert list_tables(lists) == {"present", "present_detail"}


def test_names_that_derive_alike_get_tables_of_their_own(lists: Database) -> None:
    assert [create_list(lists, name) for name in ("A b", "a-B", "A  B!")] == ["a_b", "a_b_2", "a_b_3"]


@pytest.mark.parametrize(
    "names", [("x", "x_detail"), ("x_detail", "x"), ("x", "x detail", "x_detail_detail")]
)
def test_x_and_x_detail_never_share_a_table(lists: Database, names: tuple[str, ...]) -> None:
    tables = [create_list(lists, name) for name in names]
    assert len(list_tables(lists)) == 2 * len(names)
    for name in names:
        add(lists, name, ANNA)
    assert [len(rows(lists, table + "_detail", "1")) for table in tables] == [2] * len(names)


def test_a_second_list_of_one_name_is_refused(lists: Database) -> None:
    create_list(lists, "Spring")
    problem = refusal(lists, "SELECT outbound.create_list('Spring', '[]')")
    assert problem.sqlstate == "42710"
    create_list(lists, "Summer")
    assert refusal(lists, "SELECT outbound.rename_list('Summer', 'Spring')").sqlstate == "42710"


@pytest.mark.parametrize("function", ["drop_list(%s)", "rename_list(%s, 'other')", "add_contacts(%s, '[]')"])
def test_a_list_that_does_not_exist_is_named_in_the_error(lists: Database, function: str) -> None:
    problem = refusal(lists, "SELECT outbound." + function, "none such")
    assert problem.sqlstate == "42704"
    assert problem.message_primary == 'contact list "none such" does not exist'
    assert "list_status" in str(problem.message_hint)


def test_lists_made_at_the_same_moment_wait_for_each_other(lists: Database) -> None:
    columns = '[{"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}}]'
    statement = b"SELECT outbound.create_list(%s, %s)"
    with lists.connect(autocommit=False) as first, lists.connect() as second:
        first.execute(statement, ["a b", columns])
        other = threading.Thread(target=second.execute, args=(statement, ["a-b", columns]))
        other.start()
        other.join(0.3)
        assert other.is_alive()
        first.commit()
        other.join()
    assert [table_of(lists, name) for name in ("a b", "a-b")] == ["a_b", "a_b_2"]


def test_a_renamed_list_keeps_contacts_rights_and_views(lists: Database) -> None:
    table = create_list(lists, "before")
    add(lists, "before", ANNA)
    lists.query("CREATE VIEW report AS SELECT * FROM outbound_list.before_detail")
    lists.query("SELECT outbound.rename_list('before', 'Після \"тесту\"')")
    assert table_of(lists, 'Після "тесту"') == "після_тесту"
    assert list_tables(lists) == {"після_тесту", "після_тесту_detail"}
    assert lists.value("SELECT count(*) FROM report") == 2
    assert add(lists, 'Після "тесту"', person("b", phone="+380441112244"))["added"] == 1
    assert table == "before"


@pytest.mark.parametrize(("before", "after"), [("x", "x detail"), ("x detail", "x"), ("x", "X"), ("x", "x!")])
def test_a_list_may_take_a_name_near_its_own(lists: Database, before: str, after: str) -> None:
    create_list(lists, before)
    add(lists, before, ANNA)
    lists.query("SELECT outbound.rename_list(%s, %s)", before, after)
    table = table_of(lists, after)
    assert list_tables(lists) == {table, table + "_detail"}
    assert len(rows(lists, table, "1")) == 1
    assert len(rows(lists, table + "_detail", "1")) == 2


def test_a_list_that_a_view_uses_is_not_dropped(lists: Database) -> None:
    table = create_list(lists, "used")
    lists.query("CREATE VIEW report AS SELECT * FROM outbound_list.used")
    assert refusal(lists, "SELECT outbound.drop_list('used')").sqlstate == "2BP01"
    assert table in list_tables(lists)


DOCUMENTED_CONTACT = """
    list_id integer, sys_id text, sys_status "char", sys_attempts integer, sys_status_call "char",
    sys_status_email "char", sys_status_social_media "char", sys_attempts_call integer,
    sys_attempts_email integer, sys_attempts_social_media integer,
    sys_created_at timestamp with time zone, sys_updated_at timestamp with time zone,
    sys_last_attempt_cld_id bigint"""
#: What a list keeps for its own use, between the documented columns and the user's.
INTERNAL = [
    "sys_unit_types", "sys_last_attempt_at", "sys_wait_until", "sys_due_call", "sys_due_email",
    "sys_due_social_media", "sys_callback_call", "sys_callback_email", "sys_callback_social_media",
    "sys_open_attempt_id", "sys_open_record_id", "sys_open_campaign_id", "sys_open_dialer",
    "sys_open_claimed_at", "sys_open_started_at", "sys_open_until", "sys_open_previous",
]  # fmt: skip
DOCUMENTED_DETAIL = """
    list_id integer, sys_id bigint, sys_contact_id text, sys_channel_user text,
    sys_channel_user_type outbound.unit_type, sys_cl_source_column text,
    sys_conversation_type outbound.conversation_type, sys_inbox_id bigint, sys_status "char",
    sys_attempts integer, sys_attempts_abandoned integer, sys_attempts_busy integer,
    sys_attempts_noanswer integer, sys_attempts_machine integer,
    sys_scheduled_at timestamp with time zone, sys_created_at timestamp with time zone,
    sys_updated_at timestamp with time zone, sys_last_attempt_datetime timestamp with time zone,
    sys_last_attempt_campaign_id bigint, sys_last_attempt_dialog_id text,
    sys_last_attempt_dialer_attempt_result_id bigint"""


def columns_of(database: Database, table: str) -> list[tuple[str, str, str | None]]:
    return [
        (name, kind, comment)
        for name, kind, comment in database.query(
            "SELECT attname::text, format_type(atttypid, atttypmod), col_description(attrelid, attnum) "
            "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            table,
        )
    ]


def test_a_list_has_the_documented_columns_and_then_the_users_own(lists: Database) -> None:
    own = [
        {"name": "Order", "type": "integer"},
        {"name": "Sum, UAH", "type": "numeric"},
        {"name": "VIP?", "type": "boolean"},
        {"name": "Born", "type": "date"},
        {"name": "Seen", "type": "timestamptz"},
        {"name": "2nd", "type": "text"},
        {"name": "Phone", "contact": {"type": "phone", "inbox": "Voice"}},
    ]
    create_list(lists, "typed", columns=own, identifier=None, contact_name=None)
    contact = columns_of(lists, "outbound_list.typed")
    documented = [tuple(part.split(None, 1)) for part in DOCUMENTED_CONTACT.split(",")]
    internal = contact[len(documented) : len(documented) + len(INTERNAL)]
    assert [name for name, _, _ in internal] == INTERNAL
    assert [(name, kind) for name, kind, _ in contact if name not in INTERNAL] == [
        *documented,
        ("order_", "bigint"),
        ("sum_uah", "numeric"),
        ("vip", "boolean"),
        ("born", "date"),
        ("seen", "timestamp with time zone"),
        ("c_2nd", "text"),
        ("phone", "text"),
    ]
    detail = columns_of(lists, "outbound_list.typed_detail")
    documented = [tuple(part.split(None, 1)) for part in DOCUMENTED_DETAIL.split(",")]
    assert [(name, kind) for name, kind, _ in detail] == documented
    assert [name for name, _, comment in contact + detail if not comment] == []
    assert contact[-1][2] == 'User column "Phone", units of type phone'


@pytest.mark.parametrize(
    ("part", "change", "constraint"),
    [
        ("", "sys_status = 'X'", "contact_codes"),
        ("", "sys_status_call = 'O'", "contact_codes"),
        ("", "sys_attempts = 1", "contact_attempts"),
        ("", "sys_last_attempt_cld_id = 1", "contact_last_attempt"),
        ("", "list_id = 999", "contact_list"),
        ("_detail", "sys_status = 'F'", "detail_code"),
        ("_detail", "sys_status = 'O'", "detail_schedule"),
        ("_detail", "sys_scheduled_at = now()", "detail_schedule"),
        ("_detail", "sys_inbox_id = NULL", "detail_channel"),
        ("_detail", "sys_status = 'P'", "detail_purged"),
        ("_detail", "sys_attempts_busy = 1", "detail_attempts"),
        ("_detail", "list_id = 999", "detail_list"),
    ],
)
def test_no_row_can_break_the_checks(lists: Database, part: str, change: str, constraint: str) -> None:
    table = create_list(lists, "checked")
    add(lists, "checked", ANNA)
    update = sql.SQL("UPDATE outbound_list.{} SET {}").format(sql.Identifier(table + part), sql.SQL(change))
    with lists.connect() as connection, pytest.raises(psycopg.errors.CheckViolation) as raised:
        connection.execute(update)
    assert raised.value.diag.constraint_name == constraint


def test_nothing_is_stored_in_the_parents_and_they_show_every_list(lists: Database) -> None:
    for name in ("one", "two"):
        create_list(lists, name)
        add(lists, name, ANNA)
    assert lists.value("SELECT count(*) FROM outbound.contact") == 2
    assert lists.value("SELECT count(*) FROM ONLY outbound.contact") == 0
    assert lists.value("SELECT count(*) FROM outbound.contact_detail") == 4
    statement = "INSERT INTO outbound.contact SELECT * FROM outbound.contact LIMIT 1"
    assert refusal(lists, statement).constraint_name == "contact_abstract"
    statement = "INSERT INTO outbound.contact_detail SELECT * FROM outbound.contact_detail LIMIT 1"
    assert refusal(lists, statement).constraint_name == "detail_abstract"


def test_a_bi_user_joins_contacts_and_records_of_a_list_and_asks_over_all_lists(lists: Database) -> None:
    create_list(lists, "Spring 2026")
    add(lists, "Spring 2026", ANNA, person("bo", phone="044 111 22 44", name="Bo"), person("cy", name="Cy"))
    assert lists.query(
        """SELECT c.name, count(d.sys_id), count(*) FILTER (WHERE d.sys_conversation_type = 'call')
           FROM outbound_list.spring_2026 AS c
           LEFT JOIN outbound_list.spring_2026_detail AS d ON d.sys_contact_id = c.sys_id
           WHERE c.client_id < 'c' GROUP BY c.sys_id, c.name ORDER BY c.name"""
    ) == [("Bo", 1, 1), ("Анна", 2, 1)]
    assert lists.query(
        """SELECT l.name, c.sys_status, count(*)
           FROM outbound.contact AS c JOIN outbound.list AS l USING (list_id)
           GROUP BY 1, 2 ORDER BY 1, 2"""
    ) == [("Spring 2026", "C", 2), ("Spring 2026", "F", 1)]
    counters = "SELECT total, callable, planning, open, attempted, flagged, closed FROM outbound.list_status"
    assert lists.query(counters) == [(3, 2, 0, 0, 0, 1, 0)]


def test_the_seven_counters_are_exact(lists: Database) -> None:
    create_list(lists, "counted")
    people = [person(str(number), phone=f"+3804411122{number:02}") for number in range(28)]
    add(lists, "counted", *people, person("none", phone="12"))
    limits = '{"minimum_minutes": 0, "max_per_contact": 1}'
    lists.query("SELECT outbound.create_attempt_control('once', %s)", limits)
    settings = '{"attempt_control": "once"}'
    lists.query("SELECT outbound.create_campaign('calls', '{counted}', 'call', %s)", settings)
    lists.query("SELECT outbound.start_campaign('calls')")
    attempts = [n for (n,) in lists.query("SELECT attempt_id FROM outbound.claim('calls', 20, 'dialer')")]
    settle = "SELECT outbound.settle(%s::bigint[], array_fill(%s::text, ARRAY[%s]), final => %s)"
    for result, final, which in (
        ("success", False, attempts[:3]),
        ("success", True, attempts[3:9]),
        ("noanswer", False, attempts[9:13]),
    ):
        lists.query(settle, which, result, len(which), final)
    counters = "SELECT total, callable, planning, open, attempted, flagged, closed FROM outbound.list_status"
    assert lists.query(counters) == [(29, 8, 7, 3, 4, 1, 6)]
    lists.query("SELECT outbound.compact_counts()")
    assert lists.query(counters) == [(29, 8, 7, 3, 4, 1, 6)]
    assert lists.query("SELECT * FROM outbound.check_consistency('counted')") == []


BAD_COLUMNS = {
    "no columns": ("[]", "columns"),
    "null": ("null", "columns"),
    "reserved": ('[{"name": "sys_id"}]', "columns[0].name"),
    "same name twice": ('[{"name": "Client ID"}, {"name": "client_id"}]', "columns[1].name"),
    "unknown type": ('[{"name": "a", "type": "money"}]', "columns"),
    "unknown key": ('[{"name": "a", "kind": "text"}]', "columns"),
    "no such inbox": (
        '[{"name": "a", "contact": {"type": "phone", "inbox": "None"}}]',
        "columns[0].contact.inbox",
    ),
    "inbox missing": ('[{"name": "a", "contact": {"type": "phone"}}]', "columns[0].contact.inbox"),
    "inbox does not fit": (
        '[{"name": "a", "contact": {"type": "email", "inbox": "Voice"}}]',
        "columns[0].contact.inbox",
    ),
}


@pytest.mark.parametrize(("columns", "field"), BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_a_wrong_definition_names_its_field_and_makes_nothing(
    lists: Database, columns: str, field: str
) -> None:
    problem = refusal(lists, "SELECT outbound.create_list('wrong', %s)", columns)
    assert problem.sqlstate == "22023"
    assert field in f"{problem.message_primary} {problem.message_detail}"
    assert problem.message_hint
    assert list_tables(lists) == set()
    assert lists.value("SELECT count(*) FROM outbound.load") == 0


def test_an_inbox_in_use_is_not_dropped(lists: Database) -> None:
    create_list(lists, "its user")
    problem = refusal(lists, "SELECT outbound.drop_inbox('Voice')")
    assert (problem.sqlstate, problem.message_detail) == (
        "55006",
        'Contact lists that send from it: "its user".',
    )
    lists.query("SELECT outbound.drop_inbox('Chat')")


def test_errors_carry_no_backtrace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    with Cluster() as cluster:
        database = cluster.create_database(extension=True)
        set_up_account(database)
        without = refusal(database, "SELECT outbound.create_list('wrong', '[]', '')")
        with_detail = refusal(database, """SELECT outbound.check_job_rules('{"act": 1}', 'server')""")
    assert with_detail.message_detail == "Field: act"
    for problem in (without, with_detail):
        assert "pgrx" not in f"{problem.message_detail} {problem.context}"
