"""Several at one list at once: no contact is in two hands, no limit is passed, no attempt is lost or counted
twice, and nobody waits for another who need not.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, is_sound
from support.lists import add, create_job, create_list, person
from support.meanwhile import Meanwhile
from support.run import Run
from support.storm import Storm, gather

SECONDS = 18
AGAIN = {"minimum_minutes": 0}


@pytest.fixture
def storm(database: Database, tmp_path: Path) -> Iterator[Storm]:
    storm = gather(database, tmp_path)
    yield storm
    storm.end()


def test_sixteen_dialers_kills_stops_uploads_and_duties_at_once(storm: Storm, tmp_path: Path) -> None:
    database = storm.database
    storm.rage(SECONDS)
    assert (storm.problems, storm.in_the_way()) == ([], 0)
    assert (tmp_path / "errors").read_text() == ""
    assert database.query("SELECT duty, sqlstate, message FROM outbound.maintenance_log") == []
    # Whatever a dead dialer held comes back when its lease is over.
    database.query("SELECT outbound.sweep_leases(now() + interval '1 day')")
    assert database.value("SELECT planning FROM outbound.list_status") == 0
    is_sound(database)
    storm.nothing_was_in_two_hands()
    storm.claims_were_in_order()
    storm.every_attempt_is_in_the_log_once()
    storm.no_limit_was_passed()


# --- two or three, step by step ---------------------------------------------------------------------


@pytest.fixture
def several(database: Database) -> Iterator[Callable[..., Desk]]:
    """Return a function that opens desks at a list of twenty; time is the real one."""
    create_people(database, 20)
    opened: list[Desk] = []

    def open_desk(**more: Any) -> Desk:
        opened.append(Desk(database, **more))
        opened[-1].at = opened[-1].value("SELECT now()")
        opened[-1].rows("SET lock_timeout = '20s'")
        return opened[-1]

    yield open_desk
    for desk in opened:
        desk.connection.close()
    is_sound(database)


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Do things at the same time and return their answers."""
    ready = threading.Barrier(len(actions))

    def begin(action: Callable[[], Any]) -> Callable[[], Any]:
        def act() -> Any:
            ready.wait()
            return action()

        return act

    return [begun.ends() for begun in [Meanwhile(begin(action)) for action in actions]]


def test_a_claim_waits_for_nobody_who_holds_a_contact(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_campaign(database)
    one, two, other = several(), several(), several()
    other.rows("SET lock_timeout = '1s'")
    with one.connection.transaction(), two.connection.transaction():
        (claimed,) = one.claim(1)
        two.rows(f"SELECT * FROM outbound_list.{two.table} WHERE sys_id = 'c000001' FOR UPDATE")  # noqa: S608
        with pytest.raises(psycopg.Error), one.connection.transaction():
            one.rows("SELECT 1/0")
        taken = {attempt.contact_id for attempt in other.claim(100)}
        assert taken == {f"c{number:06}" for number in range(20)} - {claimed.contact_id, "c000001"}
    assert [attempt.contact_id for attempt in other.claim(100)] == ["c000001"]


def test_dialers_who_claim_at_once_get_different_contacts(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_campaign(database)
    desks = [several() for _ in range(8)]
    claimed = together(
        *[
            lambda desk=desk: [attempt.contact_id for _ in range(10) for attempt in desk.claim(1)]
            for desk in desks
        ]
    )
    everybody = Counter(contact for contacts in claimed for contact in contacts)
    assert set(everybody.values()) == {1}
    assert len(everybody) == 20


def test_a_paced_campaign_is_not_overdrawn_by_those_who_claim_at_once(
    database: Database, several: Callable[..., Desk]
) -> None:
    database.query("SELECT outbound.set_inbox('Voice', 9)")
    create_campaign(database, max_in_progress=7)
    create_campaign(database, "summer", max_per_minute=5)
    desks = [several(campaign=("spring", "summer")[number % 2]) for number in range(8)]
    claimed = together(*[lambda desk=desk: len(desk.claim(4)) for desk in desks])
    assert sum(claimed[::2]) <= 7
    assert sum(claimed[1::2]) <= 5
    assert sum(claimed) == 9


def test_stopping_waits_for_a_claim_under_way_and_takes_it_back(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_campaign(database)
    one, operator = several(), several()
    with one.connection.transaction():
        (claimed,) = one.claim(1)
        stopping = Meanwhile(lambda: operator.rows("SELECT outbound.stop_campaign('spring')"))
        stopping.waits(database)
    stopping.ends()
    assert one.codes(claimed.contact_id)[0] == "C"
    assert one.claim(1) == []
    assert one.start(claimed.attempt_id)[0].outcome == "already_settled"


def test_a_claim_waits_for_who_is_stopping_its_campaign_and_gets_nothing(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_campaign(database)
    one, operator = several(), several()
    one.claim(3)
    with operator.connection.transaction():
        operator.rows("SELECT outbound.stop_campaign('spring')")
        claiming = Meanwhile(lambda: one.claim(10))
        claiming.waits(database)
    assert claiming.ends() == []


def test_claims_of_a_stopped_campaign_never_survive(database: Database, several: Callable[..., Desk]) -> None:
    create_campaign(database, limits=AGAIN)
    over = threading.Event()
    operator = several()

    def claiming(desk: Desk) -> int:
        count = 0
        while not over.is_set():
            attempts = [attempt.attempt_id for attempt in desk.claim(3)]
            desk.start(*attempts[:1])
            desk.settle(attempts[:1], "noanswer")
            count += len(attempts)
        return count

    def stopping() -> None:
        for _ in range(30):
            operator.rows("SELECT outbound.stop_campaign('spring')")
            held = (
                "SELECT count(*) FROM outbound.contact WHERE sys_status = 'I' AND sys_open_started_at IS NULL"
            )
            assert operator.value(held) == 0
            operator.rows("SELECT outbound.start_campaign('spring')")
        over.set()

    desks = [several() for _ in range(4)]
    try:
        answers = together(stopping, *[lambda desk=desk: claiming(desk) for desk in desks])
    finally:
        over.set()
    assert sum(answers[1:]) > 30
    database.query("SELECT outbound.sweep_leases(now() + interval '1 day')")


def test_a_batch_that_two_dialers_settle_at_once_counts_once(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_campaign(database, limits=AGAIN)
    one, two = several(), several()
    attempts = [attempt.attempt_id for attempt in one.claim(20)]
    with one.connection.transaction():
        first = one.settle(attempts, "busy")
        second = Meanwhile(lambda: two.settle(attempts[::-1], "noanswer"))
        second.waits(database)
    assert {answer.outcome for answer in first} == {"settled"}
    assert {answer.outcome for answer in second.ends()} == {"already_settled"}
    for _ in range(15):
        attempts = [attempt.attempt_id for attempt in one.claim(20)]
        assert len(attempts) == 20
        answers = together(lambda: one.settle(attempts, "busy"), lambda: two.settle(attempts, "machine"))  # noqa: B023
        outcomes = Counter(answer.outcome for half in answers for answer in half)
        assert outcomes == {"settled": 20, "already_settled": 20}
    assert database.value("SELECT sum(sys_attempts) FROM outbound.contact") == 16 * 20


def test_shuffled_batches_never_lock_each_other_out(database: Database, several: Callable[..., Desk]) -> None:
    create_campaign(database, limits=AGAIN)
    claiming = several()
    desks = [several() for _ in range(4)]
    for desk in desks:
        desk.at = claiming.at
    for turn in range(12):
        attempts = [attempt.attempt_id for attempt in claiming.claim(20)]
        assert len(attempts) == 20

        def shuffled(desk: Desk, seed: int, attempts: list[int] = attempts) -> list[Any]:
            mine = random.Random(seed).sample(attempts, 16)
            desk.start(*mine)
            desk.extend(desk.at.replace(year=desk.at.year + 1), *mine[::-1])
            return desk.settle(mine, "success" if seed % 2 else "noanswer") + desk.settle(attempts, "busy")

        together(
            *[
                lambda desk=desk, seed=4 * turn + place: shuffled(desk, seed)
                for place, desk in enumerate(desks)
            ]
        )
        for attempt in attempts:
            claiming.finish(attempt, None)
        claiming.rows("SELECT outbound.reset('people')")
    assert database.value("SELECT sum(sys_attempts) FROM outbound.contact") == 12 * 20


def test_stopping_a_campaign_of_two_lists_and_settling_attempts_of_both_do_not_lock_each_other_out(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_people(database, 2, "others")
    # Not in the order in which they were made.
    create_campaign(database, lists=["others", "people"])
    one, operator, holder = several(), several(), several()
    attempts = one.claim(100)
    (first, second), theirs = (
        sorted((a for a in attempts if a.list == "people"), key=lambda a: a.contact_id)[:2],
        next(a for a in attempts if a.list == "others"),
    )
    with holder.connection.transaction():
        held = f"SELECT * FROM outbound_list.{holder.table} WHERE sys_id = %s FOR UPDATE"  # noqa: S608
        holder.rows(held, first.contact_id)
        stopping = Meanwhile(lambda: operator.rows("SELECT outbound.stop_campaign('spring')"))
        stopping.waits(database)
        settling = Meanwhile(lambda: one.settle([second.attempt_id, theirs.attempt_id], "busy"))
        settling.waits_or_ends(database, 2)
    stopping.ends()
    settling.ends()
    is_sound(database, "others")


def test_claims_from_two_paced_inboxes_do_not_lock_each_other_out(
    database: Database, several: Callable[..., Desk]
) -> None:
    database.query("SELECT outbound.set_inbox('Voice', 1000)")
    database.query("SELECT outbound.create_inbox('Second voice', 'call')")
    database.query("SELECT outbound.set_inbox('Second voice', 1000)")
    columns = [
        {"name": "Client ID"},
        {"name": "A", "contact": {"type": "phone", "inbox": "Voice"}},
        {"name": "B", "contact": {"type": "phone", "inbox": "Second voice"}},
    ]
    for name in ("first", "second"):
        database.query(
            "SELECT outbound.create_list(%s, %s, 'Client ID')", name, psycopg.types.json.Jsonb(columns)
        )
    numbers = ["+380440000001", "+380440000002"]
    add(database, "first", {"Client ID": "1", "A": numbers[0]}, {"Client ID": "2", "B": numbers[1]})
    add(database, "second", {"Client ID": "1", "B": numbers[0]}, {"Client ID": "2", "A": numbers[1]})
    for name in ("first", "second"):
        create_campaign(database, name, [name])
    one, two, holder = several(campaign="first"), several(campaign="second"), several()
    with holder.connection.transaction():
        # Whoever looks at the pace waits here, with what it has locked until then.
        holder.rows("LOCK TABLE outbound.pace IN ACCESS EXCLUSIVE MODE")
        claims = [Meanwhile(lambda desk=desk: desk.claim(10)) for desk in (one, two)]
        claims[1].waits(database, 2)
    assert [len(claim.ends()) for claim in claims] == [2, 2]


def test_claims_for_all_campaigns_at_once_do_not_lock_each_other_out(
    database: Database, several: Callable[..., Desk]
) -> None:
    for name in ("spring", "summer"):
        create_campaign(database, name, max_per_minute=1000)
    desks, holder = (several(), several()), several()
    # Campaigns of equal priority take turns in being first, by the moment.
    desks[1].at = desks[0].at.replace(microsecond=desks[0].at.microsecond ^ 1)
    all_campaigns = "SELECT * FROM outbound.claim(NULL, 4, %s, %s)"
    with holder.connection.transaction():
        holder.rows("LOCK TABLE outbound.pace IN ACCESS EXCLUSIVE MODE")
        claims = [Meanwhile(lambda desk=desk: desk.rows(all_campaigns, "one", desk.at)) for desk in desks]
        claims[1].waits(database, 2)
    assert [len(claim.ends()) for claim in claims] == [4, 4]


def test_two_who_do_the_duties_at_once_do_them_once(database: Database, several: Callable[..., Desk]) -> None:
    create_campaign(database, limits=AGAIN, lease_seconds=10, lease_started_seconds=10)
    one, two = several(), several()
    for turn in range(6):
        claimed = [attempt.attempt_id for attempt in one.claim(20)]
        assert len(claimed) == 20
        one.start(*claimed[::2])
        # As if the leases had ended.
        one.rows(f"UPDATE outbound_list.{one.table} SET sys_open_until = now() WHERE sys_status = 'I'")  # noqa: S608
        together(lambda: one.rows("CALL outbound.maintain()"), lambda: two.rows("CALL outbound.maintain()"))
        swept = database.value("SELECT planning FROM outbound.list_status")
        if swept:
            one.rows("CALL outbound.maintain()")
        logged = database.query("SELECT counted, count(*) FROM outbound.attempt_log GROUP BY 1 ORDER BY 1")
        assert logged == [(False, 10 * (turn + 1)), (True, 10 * (turn + 1))]
    assert database.query("SELECT * FROM outbound.maintenance_log") == []
    assert database.query("SELECT state FROM outbound.campaign") == [("active",)]


def test_contacts_that_are_uploaded_while_they_are_worked_keep_their_attempts(
    database: Database, several: Callable[..., Desk]
) -> None:
    create_campaign(database)
    one, uploading = several(), several()
    (claimed,) = one.claim(1)
    changed = {"Client ID": claimed.contact_id, "Phone": "+380449999999", "Name": "Other"}
    with one.connection.transaction():
        one.start(claimed.attempt_id)
        upload = Meanwhile(lambda: add(database, "people", changed, append_type="append_and_update"))
        upload.waits(database)
    assert upload.ends()["updated"] == 1
    assert one.settle(claimed.attempt_id, "busy")[0].outcome == "settled"
    units = {record.sys_channel_user: record.sys_attempts for record in uploading.records(claimed.contact_id)}
    assert units == {claimed.unit: 1, "+380449999999": 0}


@pytest.mark.parametrize("doing", ["claim", "start", "settle", "finish"])
def test_a_flush_ends_what_is_in_progress_in_the_log_once(
    database: Database, several: Callable[..., Desk], doing: str
) -> None:
    create_list(database, "contacts")
    everybody = [person(str(number), phone=f"+38044000000{number}") for number in range(3)]
    add(database, "contacts", *everybody)
    create_job(database, append_type="flush_and_append")
    create_campaign(database, lists=["contacts"])
    one = several(list_name="contacts")
    attempts = [attempt.attempt_id for attempt in one.claim(2)]
    if doing == "finish":
        one.settle(attempts, "success")
    run = Run.of(database)
    load = run.load(run.take(), everybody[:1])
    with one.connection.transaction():
        if doing == "claim":
            attempts += [attempt.attempt_id for attempt in one.claim(1)]
        elif doing == "start":
            one.start(*attempts)
        elif doing == "settle":
            one.settle(attempts, "busy")
        else:
            one.finish(attempts[0])
        flush = Meanwhile(lambda: run.publish(load))
        flush.waits(database)
        # A claim that comes now waits for the flush, and is for the new contacts.
        late = Meanwhile(lambda: several(list_name="contacts").claim(10))
        late.waits(database, 2)
    assert flush.ends()["added"] == 1
    results = {"claim": "not_performed", "start": "unknown", "settle": "busy", "finish": "success"}
    logged = database.query(
        "SELECT attempt_id, name FROM outbound.attempt_log JOIN outbound.attempt_result USING (result_id)"
    )
    assert sorted(logged) == [(attempt, results[doing]) for attempt in sorted(attempts)]
    assert [attempt.contact_id for attempt in late.ends()] == ["0"]
    again = one.settle(attempts, "machine")
    assert {answer.outcome for answer in again} <= {"already_settled", "corrected"}
    assert len(database.query("SELECT * FROM outbound.attempt_log")) == len(attempts)
    assert database.query("SELECT * FROM outbound.check_consistency('contacts')") == []
