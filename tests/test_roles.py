"""Who may do what: from the catalogue, and by doing."""

from dataclasses import dataclass

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.lists import COLUMNS, FINGERPRINT, add, create_job, create_list, person, rules, set_up_account
from support.run import Run

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Anna")
READER = {
    "run_status", "public_key", "account_settings", "calendar_is_open", "extension_version",
    "_campaign_counts", "due_now", "contact_history", "explain", "check_consistency",
}  # fmt: skip
DIALER = {
    "claim", "start", "settle", "release", "extend", "finish", "schedule_callback", "move_callback",
    "cancel_callback", "explain", "contact_history", "extension_version",
}  # fmt: skip
OPERATOR = READER | DIALER | {
    "create_list", "rename_list", "drop_list", "add_contacts",
    "create_list_from_conversations", "preview_list", "alter_list", "add_new_conversations",
    "create_suppression_list", "alter_suppression_list", "drop_suppression_list", "suppress", "unsuppress",
    "create_calendar", "alter_calendar", "drop_calendar",
    "create_attempt_control", "alter_attempt_control", "drop_attempt_control",
    "set_wrap_up_code", "drop_wrap_up_code",
    "create_campaign", "alter_campaign", "start_campaign", "stop_campaign", "delete_campaign",
    "restore_campaign",
    "create_job", "alter_job", "drop_job", "enable_job", "disable_job",
    "run_now", "return_ended_runs", "drop_dead_loads", "prune_history", "maintain",
    "exclude", "reset", "reevaluate", "sweep_leases", "end_waiting", "complete_campaigns", "compact_counts",
    "prune_pace", "keep_log_partitions", "prune_maintenance_log", "_try_duty",
}  # fmt: skip
ADMIN = OPERATOR | {
    "set_account", "create_inbox", "set_inbox", "drop_inbox", "create_attempt_result", "drop_attempt_result",
    "set_conversation_source",
    "create_sftp_server", "alter_sftp_server", "drop_sftp_server",
}  # fmt: skip
WORKER = {
    "claim_run", "heartbeat", "pin_host_key", "plan_files", "file_fetched", "begin_load", "create_load_table",
    "finish_load_table", "publish", "note_load_order", "sample_load", "file_disposed", "file_failed",
    "finish_run", "run_now", "dry_run",
    "start_import", "run_status", "register_public_key", "public_key", "extension_version",
}  # fmt: skip
FUNCTIONS: dict[str, set[str]] = {
    "outbound_reader": READER,
    "outbound_operator": OPERATOR,
    "outbound_admin": ADMIN,
    "outbound_worker": WORKER,
    "outbound_dialer": DIALER,
}


@dataclass
class As(Database):
    """A database in which every connection has the rights of one role and no others."""

    role: str = ""

    def conninfo(self, **more: str | int) -> str:
        return super().conninfo(options=f"-c role={self.role}", **more)


def acting(database: Database, role: str) -> As:
    return As(database.cluster, database.name, role)


@pytest.fixture
def used(database: Database) -> Database:
    set_up_account(database)
    create_list(database, "people")
    add(database, "people", ANNA)
    create_job(database)
    return database


def refused(database: Database, statement: str, *parameters: object) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.query(statement, *parameters)


@pytest.mark.parametrize("role", FUNCTIONS)
def test_each_role_may_call_its_functions_and_no_others(each_database: Database, role: str) -> None:
    question = """SELECT proname::text FROM pg_proc
        WHERE pronamespace = 'outbound'::regnamespace AND has_function_privilege(%s, oid, 'EXECUTE')"""
    assert {name for (name,) in each_database.query(question, role)} == FUNCTIONS[role]


@pytest.mark.parametrize("role", FUNCTIONS)
def test_readers_read_every_table_and_only_worker_and_admin_write_some(used: Database, role: str) -> None:
    question = """SELECT c.oid::regclass::text, p FROM pg_class AS c,
            unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p
        WHERE relnamespace IN ('outbound'::regnamespace, 'outbound_list'::regnamespace)
            AND relkind IN ('r', 'v') AND has_table_privilege(%s, c.oid, p)"""
    may = set(used.query(question, role))
    everything = used.query(
        """SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v')
           AND relnamespace IN ('outbound'::regnamespace, 'outbound_list'::regnamespace)"""
    )
    if role == "outbound_worker":
        assert may == {("outbound.rejected_row", "INSERT")}
    elif role == "outbound_dialer":
        assert may == set()
    else:
        writes = {
            (f"outbound.{table}", right)
            for table in ("conversation", "conversation_contact")
            for right in ("INSERT", "UPDATE", "DELETE")
            if role == "outbound_admin"
        }
        assert may == {(name, "SELECT") for (name,) in everything} | writes


def test_nothing_is_granted_to_public(used: Database) -> None:
    question = """
        SELECT 'relation', oid::regclass::text
        FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
        WHERE relnamespace IN (SELECT oid FROM mine) AND relkind IN ('r', 'v', 'S') AND grantee = 0
        UNION ALL SELECT 'function', oid::regprocedure::text
        FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
        WHERE pronamespace IN (SELECT oid FROM mine) AND grantee = 0
        UNION ALL SELECT 'type', oid::regtype::text
        FROM pg_type, aclexplode(coalesce(typacl, acldefault('T', typowner)))
        WHERE typnamespace IN (SELECT oid FROM mine) AND typtype = 'e' AND grantee = 0
        UNION ALL SELECT 'schema', nspname::text
        FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
        WHERE oid IN (SELECT oid FROM mine) AND grantee = 0"""
    mine = "WITH mine AS (SELECT oid FROM pg_namespace WHERE nspname LIKE 'outbound%') "
    assert used.query(mine + question) == []


def test_every_function_fixes_its_search_path_but_the_one_that_commits(each_database: Database) -> None:
    question = """SELECT proname::text FROM pg_proc WHERE pronamespace = 'outbound'::regnamespace
        AND NOT coalesce(proconfig, '{}') && '{"search_path=pg_catalog, pg_temp"}'"""
    assert each_database.query(question) == [("maintain",)]


def test_every_object_has_a_comment(each_database: Database) -> None:
    question = """
        WITH member AS (
            SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
            AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_outbound')
            UNION ALL
            -- Indexes belong to their tables, not to the extension; keys are explained by their columns.
            SELECT 'pg_class'::regclass, indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
            WHERE relnamespace = 'outbound'::regnamespace
            AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
        )
        SELECT pg_describe_object(classid, objid, 0) FROM member
        WHERE NOT EXISTS (SELECT 1 FROM pg_description AS d
                          WHERE d.classoid = classid AND d.objoid = objid AND d.objsubid = 0)
        AND NOT (classid = 'pg_class'::regclass
                 AND EXISTS (SELECT 1 FROM pg_class AS s WHERE s.oid = objid AND s.relkind = 'S'))
        AND NOT (classid = 'pg_type'::regclass
                 AND EXISTS (SELECT 1 FROM pg_type AS t WHERE t.oid = objid AND t.typtype <> 'e'))
        UNION ALL
        SELECT pg_describe_object(classid, objid, attnum) FROM member JOIN pg_attribute ON attrelid = objid
        JOIN pg_class AS c ON c.oid = objid
        WHERE classid = 'pg_class'::regclass AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
        AND col_description(objid, attnum) IS NULL"""
    assert each_database.query(question) == []


def test_a_stranger_sees_nothing(used: Database) -> None:
    with used.connect() as connection:
        connection.execute("CREATE ROLE outbound_test_stranger NOLOGIN")
    try:
        stranger = acting(used, "outbound_test_stranger")
        for statement in (
            "SELECT * FROM outbound.list_status",
            "SELECT * FROM outbound_list.people",
            "SELECT outbound.extension_version()",
            "CALL outbound.maintain()",
        ):
            refused(stranger, statement)
    finally:
        used.query("DROP ROLE outbound_test_stranger")


def test_a_reader_looks_and_changes_nothing(used: Database) -> None:
    reader = acting(used, "outbound_reader")
    assert reader.query("SELECT name, total FROM outbound.list_status") == [("people", 1)]
    assert reader.query("SELECT name FROM outbound_list.people") == [("Anna",)]
    assert reader.value("SELECT count(*) FROM outbound.contact_detail") == 2
    assert reader.value("SELECT count(*) FROM outbound.job_status") == 1
    assert reader.query("SELECT * FROM outbound.job_activity") == []
    for statement in (
        "SELECT outbound.run_now('job')",
        "SELECT outbound.drop_list('people')",
        "SELECT outbound._execute('{}')",
        "SELECT outbound.list_table_name('x', '{}')",
        "UPDATE outbound.job SET enabled = false",
        "DELETE FROM outbound_list.people",
        "CREATE TABLE outbound_list.mine (id int)",
    ):
        refused(reader, statement)


def test_an_operator_runs_lists_and_jobs_but_sets_nothing_up(used: Database) -> None:
    operator = acting(used, "outbound_operator")
    create_list(operator, "another")
    assert add(operator, "another", ANNA)["added"] == 1
    operator.query("SELECT outbound.rename_list('another', 'renamed')")
    operator.query("SELECT outbound.drop_list('renamed')")
    operator.query("SELECT outbound.create_job('mine', %s)", Jsonb(rules()))
    operator.query("SELECT outbound.run_now('mine')")
    operator.query("CALL outbound.maintain()")
    operator.query("SELECT outbound.drop_job('mine')")
    for statement in (
        "SELECT outbound.set_account(name => 'mine')",
        "SELECT outbound.create_inbox('mine', 'call')",
        "SELECT outbound.create_sftp_server('mine', 'sftp://host/')",
        "SELECT outbound.claim_run('me')",
        "SELECT outbound.register_public_key('ssh', 'mine', 'mine')",
    ):
        refused(operator, statement)


def test_an_admin_sets_up_and_does_not_play_the_worker(used: Database) -> None:
    admin = acting(used, "outbound_admin")
    admin.query("SELECT outbound.set_account(name => 'Ours', time_zone => 'Europe/Kyiv')")
    admin.query("SELECT outbound.create_inbox('Second voice', 'call')")
    admin.query("SELECT outbound.create_sftp_server('second', 'sftp:host', %s)", FINGERPRINT)
    admin.query("SELECT outbound.alter_sftp_server('second', 'sftp://other/')")
    admin.query("SELECT outbound.drop_sftp_server('second')")
    admin.query("SELECT outbound.drop_inbox('Second voice')")
    refused(admin, "SELECT outbound.claim_run('me')")


@pytest.mark.parametrize(
    "append_type", ["new_list_only", "append_only", "append_and_update", "flush_and_append"]
)
def test_a_worker_imports_with_its_own_rights_and_reads_no_list(used: Database, append_type: str) -> None:
    create_list(used, "contacts")
    used.query("SELECT outbound.alter_job('job', %s)", Jsonb(rules(append_type=append_type)))
    worker = acting(used, "outbound_worker")
    run = Run.of(worker)
    file = run.take()
    load = run.load(file, [ANNA])
    with worker.connect(autocommit=False) as connection:
        with connection.cursor().copy(
            "COPY outbound.rejected_row "
            "(file_id, line_number, column_name, reason, severity, message, original) FROM STDIN"
        ) as copy:
            copy.write_row([file, 3, None, "bad_value", "row", "no number", "x"])
        run.call_on(connection, "publish", load.number, load.counts(rows_read=2, rejected=1))
    run.call("file_disposed", file, "deleted")
    assert run.finish()["result"] == "success"
    for statement in (
        "SELECT * FROM outbound_list.contacts",
        "SELECT * FROM outbound.rejected_row",
        "SELECT * FROM outbound.job",
        "INSERT INTO outbound_list.contacts SELECT * FROM outbound_list.contacts",
        "SELECT outbound.drop_list('contacts')",
        "SELECT outbound.create_job('mine', '{}')",
    ):
        refused(worker, statement)


def test_no_text_reaches_a_table_outside_the_lists(used: Database) -> None:
    operator = acting(used, "outbound_operator")
    columns = [*COLUMNS, {"name": 'x" text); DROP TABLE outbound.job; --'}]
    create_list(operator, "p'; DROP TABLE outbound.job; --", columns=columns)
    assert used.value("SELECT count(*) FROM outbound.job") == 1
