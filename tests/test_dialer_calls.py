"""The attempt protocol as dialers keep it and break it: late, double, foreign and out-of-order calls
(contact-lists §8.2), failures (§8.3), and what is refused outright.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, is_sound, minutes
from support.lists import add

ONE = {"Client ID": "one", "Phone": "+380440000001"}
TWO = {"Client ID": "two", "Phone": "+380440000002", "Mobile": "+380500000002"}
MAIL = {"Client ID": "mail", "E-mail": "mail@example.org"}
#: Longer than a lease before the start, and shorter than one after it.
LEASE = minutes(2)
LEASE_STARTED = minutes(15)


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """Return a desk for two people with phones and one with an address, worked by two campaigns."""
    create_people(database, 0)
    add(database, "people", ONE, TWO, MAIL)
    create_campaign(database)
    create_campaign(database, "mail", kind="email")
    with Desk(database) as desk:
        yield desk
    is_sound(database)


def outcomes(answers: list[Any]) -> list[str]:
    return [answer.outcome for answer in answers]


def claimed(desk: Desk, contact: str = "one") -> int:
    """Claim everybody's attempts, keep that of one contact, and give the others back."""
    attempts = {attempt.contact_id: attempt.attempt_id for attempt in desk.claim(10)}
    mine = attempts.pop(contact)
    desk.release(*attempts.values())
    return int(mine)


def reached(desk: Desk, contact: str = "one") -> int:
    attempt = claimed(desk, contact)
    desk.settle(attempt, "success")
    return attempt


# --- the protocol -----------------------------------------------------------------------------------


def test_a_claim_says_all_that_a_dialer_needs_and_counts_nothing(database: Database, desk: Desk) -> None:
    first, second = desk.claim(10)
    assert (first.contact_id, first.unit, first.unit_type) == ("one", "+380440000001", "phone")
    assert (first.list, first.inbox, first.conversation_type, first.origin) == ("people", "Voice", "call", "auto")
    assert first.inbox_id == database.value("SELECT inbox_id FROM outbound.inbox WHERE name = 'Voice'")
    assert (first.fields["Phone"], first.fields["Balance"]) == ("+380440000001", None)
    assert first.lease_until == desk.at + LEASE
    assert first.record_id == desk.records("one")[0].sys_id
    assert second.contact_id == "two"
    assert desk.codes("one") == "I IFF I"
    assert desk.contact("one").sys_attempts == 0
    assert desk.claim(10) == []
    desk.release(first.attempt_id, second.attempt_id)


def test_a_released_attempt_leaves_everything_as_it_was_but_the_log(desk: Desk) -> None:
    desk.at = datetime.now(UTC)
    attempt = claimed(desk, "two")
    desk.settle(attempt, "busy")
    planned = desk.records("two")
    desk.later(5)
    attempt = claimed(desk, "two")
    (answer,) = desk.release(attempt)
    assert (answer.outcome, answer.record_status, answer.contact_status) == ("released", "C", "C")
    after = desk.records("two")
    for before, now in zip(planned, after, strict=True):
        assert before.sys_status == now.sys_status
        assert before.sys_scheduled_at == now.sys_scheduled_at
        assert before.sys_attempts == now.sys_attempts
    assert desk.history("two")[-1] == "not_performed"


def test_started_twice_is_started_once(desk: Desk) -> None:
    attempt = claimed(desk)
    (answer,) = desk.start(attempt)
    assert answer.outcome == "started"
    started = desk.at
    desk.later(1)
    assert outcomes(desk.start(attempt)) == ["started"]
    row = desk.contact("one")
    assert (row.sys_open_started_at, row.sys_open_until) == (started, started + LEASE_STARTED)
    desk.settle(attempt, "noanswer")
    assert desk.records("one")[0].sys_last_attempt_datetime == started


def test_settled_twice_counts_once(desk: Desk) -> None:
    attempt = claimed(desk)
    (answer,) = desk.settle(attempt, "busy")
    assert (answer.outcome, answer.record_status, answer.contact_status) == ("settled", "O", "C")
    assert answer.scheduled_at == desk.at + minutes(5)
    before = desk.everything()
    for result in ("busy", "success", "not_performed"):
        (again,) = desk.settle(attempt, result)
        assert (again.outcome, again.message) == ("already_settled", "the attempt ended before, as busy")
    assert outcomes(desk.release(attempt)) == ["already_settled"]
    assert desk.everything() == before


def test_an_attempt_that_is_named_twice_in_a_call_counts_once_by_its_first_result(desk: Desk) -> None:
    attempt = claimed(desk)
    answers = desk.settle([attempt, attempt, attempt], ["machine", "busy", "success"])
    assert outcomes(answers) == ["settled", "repeated", "repeated"]
    assert desk.history("one") == ["machine"]
    assert desk.contact("one").sys_attempts == 1


def test_a_success_that_is_with_the_campaign_manager_is_settled_already(desk: Desk) -> None:
    attempt = reached(desk)
    before = desk.everything()
    assert outcomes(desk.settle(attempt, "busy")) == ["already_settled"]
    assert outcomes(desk.start(attempt)) == ["already_settled"]
    assert outcomes(desk.release(attempt)) in (["already_settled"], ["refused"])
    assert desk.everything() == before


def test_answers_stand_in_the_order_of_the_attempts_and_one_that_is_refused_fails_no_other(
    desk: Desk,
) -> None:
    first, second = (attempt.attempt_id for attempt in desk.claim(10))
    unknown = [0, -1, 1, 2**62, first + 1_000_000]
    answers = desk.settle([second, *unknown, first], "noanswer")
    assert [answer.attempt_id for answer in answers] == [second, *unknown, first]
    assert outcomes(answers) == ["settled", *["not_found"] * len(unknown), "settled"]
    assert all(answer.message for answer in answers[1:-1])
    for call in (desk.start, desk.release):
        assert outcomes(call(*unknown)) == ["not_found"] * len(unknown)
    assert outcomes(desk.rows("SELECT * FROM outbound.start('{NULL}')")) == ["not_found"]
    assert desk.rows("SELECT * FROM outbound.settle('{}', '{}')") == []


def test_another_dialers_attempt_is_left_alone(desk: Desk) -> None:
    (mine,) = desk.claim(1, dialer="mine")
    (theirs,) = desk.claim(1, dialer="theirs")
    before = desk.contact(theirs.contact_id)
    both = (theirs.attempt_id, mine.attempt_id)
    assert outcomes(desk.start(*both, dialer="mine")) == ["foreign", "started"]
    assert outcomes(desk.extend(desk.at + minutes(60), *both, dialer="mine")) == ["foreign", "extended"]
    assert outcomes(desk.release(theirs.attempt_id, dialer="mine")) == ["foreign"]
    answers = desk.settle(both, "busy", dialer="mine")
    assert outcomes(answers) == ["foreign", "settled"]
    assert answers[0].message == "another dialer claimed the attempt"
    assert desk.contact(theirs.contact_id) == before
    # Whoever names no dialer acts for all of them.
    assert outcomes(desk.settle(theirs.attempt_id, "busy")) == ["settled"]


def test_calls_that_come_too_early_are_refused(desk: Desk) -> None:
    attempt = claimed(desk)
    before = desk.everything()
    answer = desk.finish(attempt)
    assert (answer.outcome, answer.message) == ("refused", "the contact was not reached: settle the attempt first")
    assert desk.everything() == before
    desk.settle(attempt, "busy")
    before = desk.everything()
    assert desk.finish(attempt).outcome == "already_settled"
    assert desk.call_back(attempt, desk.at + minutes(60)).outcome == "already_settled"
    assert outcomes(desk.extend(desk.at + minutes(60), attempt)) == ["already_settled"]
    assert desk.everything() == before


def test_what_has_started_cannot_be_given_back(desk: Desk) -> None:
    attempt = claimed(desk)
    desk.start(attempt)
    before = desk.everything()
    (answer,) = desk.release(attempt)
    assert (answer.outcome, answer.message) == ("refused", "the attempt has started: settle it with its result")
    assert desk.everything() == before
    assert outcomes(desk.settle(attempt, "not_performed")) == ["refused"]
    assert desk.everything() == before


def test_an_attempt_that_was_not_made_is_given_back(desk: Desk) -> None:
    attempt = claimed(desk)
    assert outcomes(desk.settle(attempt, "not_performed")) == ["released"]
    assert (desk.codes("one"), desk.contact("one").sys_attempts) == ("C CFF C", 0)


def test_finished_twice_is_finished_once_and_by_the_first_code(database: Database, desk: Desk) -> None:
    database.query("SELECT outbound.set_wrap_up_code('other person', false, true)")
    attempt = reached(desk)
    assert desk.finish(attempt, "other person").outcome == "finished"
    assert desk.codes("one") == "F FFF U"
    before = desk.everything()
    assert desk.finish(attempt).outcome == "already_settled"
    assert desk.call_back(attempt, desk.at + minutes(60)).outcome == "already_settled"
    assert desk.everything() == before


def test_a_callback_during_the_call_counts_as_its_success(desk: Desk) -> None:
    attempt = claimed(desk)
    desk.start(attempt)
    assert desk.call_back(attempt, desk.at + minutes(60)).outcome == "callback_scheduled"
    assert (desk.codes("one"), desk.contact("one").sys_attempts) == ("C CFF S", 1)
    assert desk.history("one") == ["success", "callback_scheduled"]
    assert outcomes(desk.settle(attempt, "success")) == ["already_settled"]
    assert desk.contact("one").sys_attempts == 1


def test_only_a_conversation_can_be_missing(desk: Desk) -> None:
    attempt = claimed(desk)
    before = desk.everything()
    (answer,) = desk.settle(attempt, "not_found")
    assert (answer.outcome, answer.message) == ("refused", "only a conversation can be missing")
    assert desk.everything() == before


# --- leases and failures ----------------------------------------------------------------------------


def test_a_dialer_that_dies_before_the_start_made_no_attempt(desk: Desk) -> None:
    attempt = claimed(desk)
    desk.later(LEASE - minutes(0.01))
    assert desk.sweep() == 0
    desk.later(minutes(0.01))
    assert desk.sweep() == 1
    assert desk.sweep() == 0
    assert (desk.codes("one"), desk.contact("one").sys_attempts) == ("C CFF C", 0)
    assert desk.history("one")[-1] == "not_performed"
    assert outcomes(desk.start(attempt)) == ["already_settled"]


@pytest.mark.parametrize(
    ("contact", "campaign", "codes"), [("one", "spring", "C CFF O"), ("mail", "mail", "F FFF U")]
)
def test_a_dialer_that_dies_after_the_start_made_one_attempt(
    desk: Desk, contact: str, campaign: str, codes: str
) -> None:
    """A call is made again; a message may have arrived, and is not sent twice."""
    desk.campaign = campaign
    attempt = claimed(desk, contact)
    desk.start(attempt)
    desk.later(LEASE_STARTED - minutes(0.01))
    assert desk.sweep() == 0
    desk.later(minutes(0.01))
    assert desk.sweep() == 1
    assert (desk.codes(contact), desk.contact(contact).sys_attempts) == (codes, 1)
    assert desk.history(contact)[-1] == "unknown"


@pytest.mark.parametrize("started", [True, False])
def test_a_result_that_comes_too_late_only_corrects_the_journal(desk: Desk, started: bool) -> None:
    attempt = claimed(desk)
    if started:
        desk.start(attempt)
    desk.later(60)
    desk.sweep()
    before = desk.everything()
    (answer,) = desk.settle(attempt, "success")
    assert answer.outcome == "corrected"
    after = desk.everything()
    events = after.pop(3)
    assert [event.kind for event in events if event not in before.pop(3)] == ["corrected"]
    assert after == before
    assert desk.history("one")[-1] == "corrected"
    before = desk.everything()
    assert outcomes(desk.settle(attempt, "busy")) == ["already_settled"]
    assert desk.everything() == before


def test_an_attempt_whose_lease_is_over_does_not_start(desk: Desk) -> None:
    attempt = claimed(desk)
    desk.later(LEASE)
    (answer,) = desk.start(attempt)
    assert (answer.outcome, answer.record_status) == ("expired", "C")
    assert (desk.codes("one"), desk.history("one")[-1]) == ("C CFF C", "not_performed")


def test_a_result_before_anybody_looked_at_the_lease_counts(desk: Desk) -> None:
    attempt = claimed(desk)
    desk.start(attempt)
    desk.later(60)
    assert outcomes(desk.settle(attempt, "machine")) == ["settled"]
    assert desk.sweep() == 0
    assert desk.history("one")[-1] == "machine"


def test_a_lease_can_be_made_longer(desk: Desk) -> None:
    attempt = claimed(desk)
    (answer,) = desk.extend(desk.at + minutes(10), attempt)
    assert (answer.outcome, answer.scheduled_at) == ("extended", desk.at + minutes(10))
    desk.later(9)
    assert desk.sweep() == 0
    assert outcomes(desk.start(attempt)) == ["started"]


def test_the_waiting_time_of_a_reached_contact_is_no_lease(desk: Desk) -> None:
    attempt = reached(desk)
    before = desk.everything()
    (answer,) = desk.extend(desk.at + minutes(1), attempt)
    assert answer.outcome == "already_settled"
    assert desk.everything() == before


def test_a_stopped_campaign_gives_back_its_own_claims_and_no_others(database: Database, desk: Desk) -> None:
    create_campaign(database, "second")
    (waiting, started) = desk.claim(10)
    desk.start(started.attempt_id)
    desk.rows("SELECT outbound.stop_campaign('second', %s)", desk.at)
    assert desk.codes(waiting.contact_id)[0] == "I"
    desk.rows("SELECT outbound.stop_campaign('spring', %s)", desk.at)
    assert desk.codes(waiting.contact_id)[0] == "C"
    assert desk.codes(started.contact_id)[0] == "I"
    assert outcomes(desk.start(waiting.attempt_id)) == ["already_settled"]
    assert outcomes(desk.settle([waiting.attempt_id, started.attempt_id], "busy")) == ["corrected", "settled"]


@pytest.mark.parametrize("call", ["stop_campaign", "delete_campaign"])
def test_what_a_campaign_has_started_is_settled_and_finished_after_its_end(desk: Desk, call: str) -> None:
    attempts = [attempt.attempt_id for attempt in desk.claim(10)]
    desk.start(*attempts)
    desk.settle(attempts[0], "success")
    desk.rows(f"SELECT outbound.{call}('spring', %s)", desk.at)
    assert desk.codes("one")[0] == "Q"
    assert outcomes(desk.settle(attempts[1], "noanswer")) == ["settled"]
    assert desk.codes("two") == "C CFF OC"
    assert desk.finish(attempts[0]).outcome == "finished"
    assert desk.codes("one") == "U UFF U"


def test_two_campaigns_never_hold_the_same_contact(database: Database, desk: Desk) -> None:
    create_campaign(database, "second")
    (mine,) = desk.claim(1)
    assert [attempt.contact_id for attempt in desk.claim(10, campaign="second")] == ["two"]
    desk.settle(mine.attempt_id, "success")
    desk.later(60)
    assert desk.claim(10, campaign="second") == []


# --- what is refused --------------------------------------------------------------------------------

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
    "one unknown among results": ("settle(ARRAY[{0},{1}], '{{busy,x}}')", "42704", 'result "x" does not exist'),
    "more results than attempts": ("settle(ARRAY[{0}], '{{busy,busy}}')", "2202E", "results has 2 elements"),
    "fewer results than attempts": ("settle(ARRAY[{0},{1}], '{{busy}}')", "2202E", "results has 1 elements"),
    "fewer dialogs than attempts": (
        "settle(ARRAY[{0},{1}], '{{busy,busy}}', '{{d}}')", "2202E", "dialog_ids has 1 elements",
    ),
    "more attempts than a call takes": (
        "start(array_agg(n)) FROM generate_series(1, 10001) AS n", "22023", "10001 attempts are too many",
    ),
    "lease into the past": ("extend(ARRAY[{0}], now() - interval '1 s')", "22023", "the end of a lease cannot be at"),
    "lease for ever": ("extend(ARRAY[{0}], 'infinity')", "22023", "the end of a lease cannot be at"),
    "unknown wrap-up code": ("finish({0}, 'none')", "42704", 'wrap-up code "none" does not exist'),
    "callback in the past": ("schedule_callback({0}, now() - interval '1 s')", "22023", "a callback cannot be at"),
    "callback now": ("schedule_callback({0}, now())", "22023", "a callback cannot be at"),
    "callback never": ("schedule_callback({0}, 'infinity')", "22023", "a callback cannot be at"),
    "callback moved to the past": ("move_callback('people', 'one', '-infinity')", "22023", "a callback cannot be at"),
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
    assert (problem.sqlstate, said in str(problem.message_primary)) == (sqlstate, True), problem.message_primary
    assert problem.message_hint
    assert desk.everything() == before


@pytest.mark.parametrize(
    "call",
    [
        "claim(NULL, 1, 'd')", "claim('spring', NULL, 'd')", "claim('spring', 1, NULL)",
        "claim('spring', 1, 'd', NULL)", "start(NULL)", "settle(NULL, '{{}}')", "settle(ARRAY[{0}], NULL)",
        "settle(ARRAY[{0}], '{{busy}}', at => NULL)", "release(NULL)", "extend(ARRAY[{0}], NULL)", "finish(NULL)",
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
        answers = [tuple(row) for row in desk.rows("SELECT * FROM outbound." + call.format(*attempts))]
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
    "exclude('people', 'two')", "reset('people', 'two')", "reevaluate('people')", "sweep_leases()", "end_waiting()",
    "complete_campaigns()", "stop_campaign('spring')",
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
            desk.rows(f"SELECT * FROM outbound.{call}")
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                desk.rows(f"SELECT * FROM outbound.{call}")
    desk.connection.execute("RESET ROLE")


def test_a_dialer_sees_no_table(database: Database, desk: Desk) -> None:
    tables = database.query(
        """SELECT c.oid::regclass::text FROM pg_class AS c
           WHERE relnamespace IN ('outbound'::regnamespace, 'outbound_list'::regnamespace) AND relkind IN ('r', 'p', 'v')"""
    )
    assert len(tables) > 20
    desk.connection.execute("SET ROLE outbound_dialer")
    for (table,) in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.rows(f"SELECT * FROM {table}")  # noqa: S608
    desk.connection.execute("RESET ROLE")
