"""The attempt protocol as dialers keep it and break it: late, double, foreign and out-of-order calls
(contact-lists §8.2), and failures (§8.3).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

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
    assert (first.list, first.inbox, first.conversation_type, first.origin) == (
        "people",
        "Voice",
        "call",
        "auto",
    )
    assert first.inbox_id == database.value("SELECT inbox_id FROM outbound.inbox WHERE name = 'Voice'")
    assert (first.fields["Phone"], first.fields["Balance"]) == ("+380440000001", None)
    assert first.lease_until == desk.at + LEASE
    assert first.record_id == desk.records("one")[0].sys_id
    assert second.contact_id == "two"
    assert desk.codes("one") == "I IFF I"
    assert desk.contact("one").sys_attempts == 0
    assert desk.claim(10) == []
    desk.release(first.attempt_id, second.attempt_id)


def test_a_claim_for_all_campaigns_goes_by_priority_and_equals_share(database: Database) -> None:
    create_people(database, 20)
    create_people(database, 20, "others")
    create_people(database, 20, "more")
    for name, people, priority in (("low", "people", 0), ("also low", "others", 0), ("high", "more", 5)):
        create_campaign(database, name, [people], priority=priority)
    with Desk(database) as desk:

        def taken(n: int) -> dict[str, int]:
            rows = desk.rows("SELECT list FROM outbound.claim(NULL, %s, 'one', %s)", n, desk.at)
            return dict(Counter(row.list for row in rows))

        assert taken(15) == {"more": 15}
        assert taken(15) == {"more": 5, "people": 5, "others": 5}
        desk.rows("SELECT outbound.stop_campaign('also low', %s)", desk.at)
        assert taken(10) == {"people": 10}
        desk.rows("SELECT outbound.start_campaign('also low', %s)", desk.at)
        # What one of them cannot take is the others'.
        assert taken(100) == {"people": 5, "others": 20}


def test_a_campaign_with_its_manager_full_claims_nothing_until_some_are_finished(database: Database) -> None:
    create_people(database, 4)
    create_campaign(database, max_queued=2)
    with Desk(database) as desk:
        first, second = desk.claim(2)
        desk.settle([first.attempt_id, second.attempt_id], "success")
        assert desk.codes(first.contact_id)[0] == "Q"
        assert desk.claim(10) == []
        explained = {row.gate: row.passes for row in desk.explain("c000003")}
        assert not explained["capacity"]
        desk.finish(first.attempt_id)
        assert len(desk.claim(10)) == 1


def test_due_now_counts_callable_contacts_whose_moment_has_come(desk: Desk) -> None:
    def due() -> int:
        return int(desk.value("SELECT outbound.due_now('spring', %s)", desk.at))

    assert due() == 2
    attempt = claimed(desk)
    assert due() == 1
    desk.settle(attempt, "busy")
    assert due() == 1
    desk.later(5)
    assert due() == 2
    reached = claimed(desk)
    desk.settle(reached, "success")
    desk.call_back(reached, desk.at + minutes(10))
    desk.finish(reached)
    assert due() == 1
    desk.later(10)
    assert due() == 2
    desk.rows(
        "SELECT outbound.alter_campaign('spring', %s)",
        '{"filter": {"field": "sys_id", "operator": "equal", "value": "two"}}',
    )
    assert due() == 1


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
    assert (answer.outcome, answer.message) == (
        "refused",
        "the contact was not reached: settle the attempt first",
    )
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
    assert (answer.outcome, answer.message) == (
        "refused",
        "the attempt has started: settle it with its result",
    )
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
