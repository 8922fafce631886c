"""Lists are tables, and people do to tables what they like: triggers, columns of their own, other types,
direct changes; and dialers' calls stand in transactions of any kind. Either it works as with any statement,
or it is refused with an error that says why; nothing is lost, and the server lives.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, is_sound, minutes
from support.lists import add, rows
from support.meanwhile import Meanwhile

ONE = {"Client ID": "one", "Name": "Ann", "Phone": "+380440000001", "Mobile": "+380500000001", "Balance": "7"}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """Return a desk for a list with one contact, who has two phones, and a campaign."""
    table = create_people(database, 0)
    assert table == "people"
    add(database, "people", ONE)
    create_campaign(database)
    with Desk(database) as desk:
        notices: list[str] = []
        desk.connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        desk.connection.execute("SET client_min_messages = warning")
        yield desk
    assert notices == []
    is_sound(database)


def refused(desk: Desk, call: str, *arguments: Any) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised:
        getattr(desk, call)(*arguments)
    return raised.value.diag


# --- triggers ---------------------------------------------------------------------------------------


def watch(database: Database, table: str, when: str, each: str, body: str) -> None:
    """Make a trigger on a table of the list."""
    database.query(
        f"""CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
            CREATE TRIGGER watch {when} UPDATE ON outbound_list.{table}
            FOR EACH {each} EXECUTE FUNCTION public.watch()"""
    )


def test_triggers_of_rows_see_every_change(database: Database, desk: Desk) -> None:
    database.query("CREATE TABLE public.seen (code text)")
    watch(
        database,
        "people_detail",
        "AFTER",
        "ROW",
        "INSERT INTO public.seen VALUES (new.sys_status); RETURN NULL;",
    )
    desk.settle(desk.claim_one().attempt_id, "busy")
    assert database.query("SELECT code FROM public.seen") == [("I",), ("O",)]


def test_what_a_trigger_changes_of_a_row_is_kept(database: Database, desk: Desk) -> None:
    database.query("ALTER TABLE outbound_list.people ADD changes integer NOT NULL DEFAULT 0")
    watch(database, "people", "BEFORE", "ROW", "new.changes := old.changes + 1; RETURN new;")
    desk.settle(desk.claim_one().attempt_id, "busy")
    assert rows(database, "people", "sys_id, changes") == [("one", 2)]


def test_a_trigger_that_keeps_a_contact_from_being_changed_keeps_it_from_being_claimed(
    database: Database, desk: Desk
) -> None:
    watch(database, "people", "BEFORE", "ROW", "RETURN NULL;")
    problem = refused(desk, "claim")
    assert problem.sqlstate == "40001"
    assert "a trigger keeps rows from being changed" in (problem.message_detail or "")
    assert rows(database, "people", "sys_id, sys_status") == [("one", "C")]
    database.query("DROP TRIGGER watch ON outbound_list.people")
    assert len(desk.claim()) == 1


def test_triggers_of_statements_see_the_rows_that_were_changed(database: Database, desk: Desk) -> None:
    add(database, "people", {"Client ID": "two", "Phone": "+380440000002"})
    database.query("CREATE TABLE public.seen (contacts bigint)")
    database.query(
        """CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO public.seen SELECT count(*) FROM changed; RETURN NULL; END $$"""
    )
    database.query(
        """CREATE TRIGGER watch AFTER UPDATE ON outbound_list.people REFERENCING NEW TABLE AS changed
           FOR EACH STATEMENT EXECUTE FUNCTION public.watch()"""
    )
    assert len(desk.claim(10)) == 2
    assert database.query("SELECT contacts FROM public.seen") == [(2,)]


def test_a_record_with_a_trigger_that_somebody_else_changes_is_refused_for_now(
    database: Database, desk: Desk
) -> None:
    # It brought the server down: a row changed meanwhile was looked at again with no plan to do so.
    watch(database, "people_detail", "BEFORE", "ROW", "RETURN new;")
    assert outcome_beside(database, desk) == "40001"


def test_a_record_that_somebody_else_changes_is_refused_for_now(database: Database, desk: Desk) -> None:
    assert outcome_beside(database, desk) == "40001"
    assert len(desk.claim(10)) == 1


def outcome_beside(database: Database, desk: Desk) -> int | str | None:
    """Claim while another session changes all records: how many attempts, or the error."""

    def claim() -> int | str | None:
        try:
            return len(desk.claim(10))
        except psycopg.Error as problem:
            return problem.sqlstate

    with database.connect(autocommit=False) as connection:
        connection.execute("UPDATE outbound_list.people_detail SET sys_updated_at = now()")
        claiming = Meanwhile(claim)
        claiming.waits(database)
        connection.commit()
        return claiming.ends()


# --- columns and keys -------------------------------------------------------------------------------


def test_a_column_that_was_given_another_type_is_handed_out_as_the_list_defines_it(
    database: Database, desk: Desk
) -> None:
    # It brought the server down: a number was read as the address of a text.
    database.query("ALTER TABLE outbound_list.people ALTER name TYPE bigint USING 42")
    database.query("ALTER TABLE outbound_list.people ALTER balance TYPE text USING '8'")
    fields = desk.claim_one().fields
    assert (fields["Name"], fields["Balance"]) == ("42", 8)


def test_a_value_that_is_none_of_the_columns_type_any_more_is_an_error_that_names_it(
    database: Database, desk: Desk
) -> None:
    database.query("ALTER TABLE outbound_list.people ALTER balance TYPE text USING 'much'")
    problem = refused(desk, "claim")
    assert (problem.sqlstate, problem.message_primary) == (
        "22P02",
        'invalid input syntax for type bigint: "much"',
    )


def test_columns_that_people_add_drop_and_compute_are_left_alone(database: Database, desk: Desk) -> None:
    for change in (
        "ADD gone text",
        "ADD note text DEFAULT 'none'",
        "ADD long text",
        "ADD twice integer GENERATED ALWAYS AS (sys_attempts * 2) STORED",
        "DROP gone",
    ):
        database.query(f"ALTER TABLE outbound_list.people {change}")
    database.query("UPDATE outbound_list.people SET long = repeat(md5(sys_id), 1000)")
    desk.settle(desk.claim_one().attempt_id, "busy")
    assert rows(database, "people", "note, length(long), twice") == [("none", 32_000, 2)]


def test_long_values_of_a_list_survive_a_change_in_place(database: Database, desk: Desk) -> None:
    database.query("ALTER TABLE outbound_list.people ALTER name SET STORAGE EXTERNAL")
    database.query("UPDATE outbound_list.people SET name = repeat('long ', 4000)")
    attempt = desk.claim_one()
    assert attempt.fields["Name"] == "long " * 4000
    desk.settle(attempt.attempt_id, "busy")
    assert rows(database, "people", "length(name)") == [(20_000,)]


def test_the_documented_columns_cannot_be_taken_away(database: Database, desk: Desk) -> None:
    for change in (
        "ALTER sys_attempts TYPE bigint",
        "DROP sys_attempts",
        "RENAME sys_attempts TO tries",
    ):
        with pytest.raises(psycopg.errors.InvalidTableDefinition):
            database.query(f"ALTER TABLE outbound_list.{desk.table} {change}")


def test_records_without_their_key_are_an_error_that_says_how_to_give_it_back(
    database: Database, desk: Desk
) -> None:
    key = database.value(
        """SELECT conname FROM pg_constraint
           WHERE conrelid = 'outbound_list.people_detail'::regclass AND contype = 'p'"""
    )
    database.query(f"ALTER TABLE outbound_list.people_detail DROP CONSTRAINT {key}")
    for other in (None, "sys_id, sys_contact_id"):
        if other:
            database.query(f"ALTER TABLE outbound_list.people_detail ADD PRIMARY KEY ({other})")
        problem = refused(desk, "claim")
        assert problem.sqlstate == "42704"
        assert "(sys_contact_id, sys_id)" in (problem.message_hint or "")
    database.query("ALTER TABLE outbound_list.people_detail DROP CONSTRAINT people_detail_pkey")
    database.query("ALTER TABLE outbound_list.people_detail ADD PRIMARY KEY (sys_contact_id, sys_id)")
    assert len(desk.claim()) == 1


@pytest.mark.parametrize("part", ["people", "people_detail"])
def test_a_table_that_was_taken_from_its_parent_is_an_error(
    database: Database, desk: Desk, part: str
) -> None:
    # Its columns can be given other types then.
    parent = "outbound.contact" if part == "people" else "outbound.contact_detail"
    database.query(f"ALTER TABLE outbound_list.{part} NO INHERIT {parent}")
    problem = refused(desk, "claim")
    assert (problem.sqlstate, parent in (problem.message_hint or "")) == ("42703", True)
    database.query(f"ALTER TABLE outbound_list.{part} INHERIT {parent}")
    assert len(desk.claim()) == 1


@pytest.mark.parametrize("part", ["people", "people_detail"])
def test_something_else_in_the_place_of_a_table_is_an_error(
    database: Database, desk: Desk, part: str
) -> None:
    # A partitioned table brought the server down.
    for replace in (
        f"ALTER TABLE outbound_list.{part} RENAME TO aside",
        f"CREATE TABLE outbound_list.{part} (LIKE outbound_list.aside INCLUDING ALL) PARTITION BY HASH "
        + ("(sys_id)" if part == "people" else "(sys_contact_id)"),
    ):
        database.query(replace)
    assert refused(desk, "claim").sqlstate == "42809"
    database.query(f"DROP TABLE outbound_list.{part}")
    database.query(f"ALTER TABLE outbound_list.aside RENAME TO {part}")
    assert len(desk.claim()) == 1


def test_a_publication_that_could_not_send_a_change_refuses_it(database: Database, desk: Desk) -> None:
    database.query("CREATE PUBLICATION callable FOR TABLE outbound_list.people WHERE (sys_status = 'C')")
    assert refused(desk, "claim").sqlstate == "42P10"
    database.query("DROP PUBLICATION callable")
    assert len(desk.claim()) == 1


def test_a_constraint_may_ask_for_the_table(database: Database, desk: Desk) -> None:
    check = "CHECK (tableoid = 'outbound_list.people'::regclass)"
    database.query(f"ALTER TABLE outbound_list.people ADD CONSTRAINT here {check}")
    assert len(desk.claim()) == 1


def test_a_constraint_that_people_add_is_kept(database: Database, desk: Desk) -> None:
    database.query("ALTER TABLE outbound_list.people_detail ADD CONSTRAINT once CHECK (sys_attempts < 1)")
    attempt = desk.claim_one().attempt_id
    problem = refused(desk, "settle", attempt, "busy")
    assert problem.sqlstate == "23514"
    assert 'violates check constraint "once"' in (problem.message_primary or "")
    database.query("ALTER TABLE outbound_list.people_detail DROP CONSTRAINT once")
    desk.settle(attempt, "busy")


def test_an_index_that_people_add_finds_what_calls_changed(database: Database, desk: Desk) -> None:
    database.query("CREATE INDEX ON outbound_list.people_detail (sys_attempts) INCLUDE (sys_status)")
    desk.settle(desk.claim_one().attempt_id, "busy")
    with database.connect(options="-c enable_seqscan=off") as connection:
        found = connection.execute(
            "SELECT sys_status FROM outbound_list.people_detail WHERE sys_attempts = 1"
        )
        assert found.fetchall() == [("O",)]


# --- transactions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_the_protocol_works_in_one_transaction_of_any_isolation(desk: Desk, level: str) -> None:
    desk.connection.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
    attempt = desk.claim_one().attempt_id
    assert [answer.outcome for answer in desk.start(attempt)] == ["started"]
    assert [answer.outcome for answer in desk.settle(attempt, "busy")] == ["settled"]
    desk.later(6)
    again = desk.claim_one()
    desk.connection.execute("COMMIT")
    assert desk.codes("one").startswith("I IFF ")
    assert again.attempt_id != attempt


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_contact_that_another_transaction_changed_is_a_serialization_failure(
    database: Database, desk: Desk, level: str
) -> None:
    attempt = desk.claim_one().attempt_id
    desk.connection.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
    desk.rows("SELECT 1 FROM outbound_list.people")
    with Desk(database) as other:
        other.start(attempt)
    assert refused(desk, "settle", attempt, "busy").sqlstate == "40001"
    desk.connection.execute("ROLLBACK")
    assert [answer.outcome for answer in desk.settle(attempt, "busy")] == ["settled"]


@pytest.mark.parametrize("call", ["claim", "start", "extend", "release", "settle"])
def test_a_transaction_that_only_reads_makes_no_call_that_writes(desk: Desk, call: str) -> None:
    attempt = desk.claim_one().attempt_id
    desk.connection.execute("BEGIN READ ONLY")
    arguments = {"claim": [1], "extend": [desk.at + minutes(5), attempt], "settle": [attempt, "busy"]}
    assert refused(desk, call, *arguments.get(call, [attempt])).sqlstate == "25006"
    desk.connection.execute("ROLLBACK")
    assert desk.codes("one") == "I IFF IC"


def test_what_a_savepoint_takes_back_never_was(desk: Desk) -> None:
    desk.connection.execute("BEGIN")
    desk.connection.execute("SAVEPOINT before")
    first = desk.claim_one()
    desk.settle(first.attempt_id, "busy")
    desk.connection.execute("ROLLBACK TO before")
    assert desk.codes("one") == "C CFF CC"
    again = desk.claim_one()
    assert again.record_id == first.record_id
    desk.connection.execute("COMMIT")
    assert desk.codes("one") == "I IFF IC"


def test_an_error_that_a_function_catches_takes_back_the_call_before_it(
    database: Database, desk: Desk
) -> None:
    database.query(
        """CREATE FUNCTION public.try_and_fail(attempts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
           BEGIN
               PERFORM outbound.settle(attempts, ARRAY['busy']);
               RAISE EXCEPTION 'no';
           EXCEPTION WHEN raise_exception THEN
               PERFORM outbound.settle(attempts, ARRAY['noanswer']);
           END $$"""
    )
    attempt = desk.claim_one().attempt_id
    desk.rows("SELECT public.try_and_fail(%s)", [attempt])
    record = desk.records("one")[0]
    assert (record.sys_attempts, record.sys_attempts_busy, record.sys_attempts_noanswer) == (1, 0, 1)
