"""Periodic duties of the dialers' side: they do their part for every list and campaign whatever happens to
one of them, campaigns go off only when nothing is left, and the log keeps what its retention says
(contact-lists §8.5, §10.3).
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from support.cluster import Database
from support.dialing import NOON, Desk, create_campaign, create_people, is_sound
from support.lists import add

BOTH = {"Client ID": "both", "Phone": "+380440000001", "E-mail": "both@example.org"}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """Return a desk for a list with one contact, who has a phone and an address."""
    create_people(database, 0)
    add(database, "people", BOTH)
    with Desk(database) as desk:
        yield desk
    is_sound(database)


def state(database: Database, campaign: str = "spring") -> tuple[str, str | None]:
    (found,) = database.query("SELECT state, off_reason FROM outbound.campaign WHERE name = %s", campaign)
    return found


# --- one list must not stop the others --------------------------------------------------------------


def test_a_list_that_refuses_changes_keeps_no_other_from_its_duties(database: Database, desk: Desk) -> None:
    create_people(database, 1, "broken")
    create_campaign(database, always_active=True)
    create_campaign(database, "summer", ["broken"], always_active=True)
    attempt = desk.claim_one()
    (other,) = desk.claim(campaign="summer")
    database.query(
        """CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'not this one' USING HINT = 'Ask somebody.'; END $$;
           CREATE TRIGGER refuse BEFORE UPDATE ON outbound_list.broken
           FOR EACH ROW EXECUTE FUNCTION public.refuse()"""
    )
    desk.later(60)
    assert desk.sweep() == 1
    assert desk.codes(attempt.contact_id)[0] == "C"
    noted = database.query("SELECT duty, message, hint FROM outbound.maintenance_log")
    assert noted == [("sweep_leases", "not this one", "Ask somebody.")]
    database.query("DROP TRIGGER refuse ON outbound_list.broken")
    assert desk.sweep() == 1
    assert desk.start(other.attempt_id)[0].outcome == "already_settled"
    is_sound(database, "broken")


# --- completion -------------------------------------------------------------------------------------


def test_a_campaign_stays_on_while_its_contact_is_under_way_by_another_type(
    database: Database, desk: Desk
) -> None:
    create_campaign(database)
    create_campaign(database, "mail", kind="email")
    desk.claim_one("mail")
    assert desk.codes("both") == "I CIF CI"
    assert desk.value("SELECT outbound.complete_campaigns(%s)", desk.at) == 0
    assert state(database) == ("active", None)


def test_a_campaign_stays_on_while_contacts_are_being_added(database: Database, desk: Desk) -> None:
    create_campaign(database)
    desk.settle(desk.claim_one().attempt_id, "success", final=True)
    with database.connect(autocommit=False) as other:
        other.execute(
            "SELECT outbound.add_contacts('people', jsonb_build_array(%s::jsonb))",
            ['{"Client ID": "later", "Phone": "+380440000002"}'],
        )
        assert desk.value("SELECT outbound.complete_campaigns(%s)", desk.at) == 0
        other.commit()
    assert desk.value("SELECT outbound.complete_campaigns(%s)", desk.at) == 0
    desk.settle(desk.claim_one().attempt_id, "success", final=True)
    assert desk.value("SELECT outbound.complete_campaigns(%s)", desk.at) == 1
    assert state(database) == ("off", "auto")


def test_a_claim_under_way_keeps_a_campaign_that_shares_the_list_from_completing(
    database: Database, desk: Desk
) -> None:
    # The contact was on its way from callable to claimed, and looked for first here, then there.
    create_campaign(database)
    create_campaign(database, "summer")
    with Desk(database, campaign="summer") as other, other.connection.transaction():
        attempt = other.claim_one()
        desk.connection.execute("SET lock_timeout = '200ms'")
        assert desk.value("SELECT outbound.complete_campaigns(%s)", desk.at) == 0
    assert state(database) == ("active", None)
    desk.release(attempt.attempt_id)


# --- the log ----------------------------------------------------------------------------------------


def partitions(database: Database) -> list[str]:
    return [
        name
        for (name,) in database.query(
            """SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'outbound.attempt_log'::regclass AND c.relname ~ '20(3|4)' ORDER BY 1"""
        )
    ]


def test_the_log_has_a_partition_a_month_and_forgets_those_past_the_retention(
    database: Database, desk: Desk
) -> None:
    create_campaign(database, always_active=True)
    attempt = desk.claim_one().attempt_id
    desk.settle(attempt, "busy")
    in_default = "SELECT count(*) FROM outbound.attempt_log_default"
    assert database.value(in_default) == 1
    database.query("SELECT outbound.keep_log_partitions(%s)", NOON)
    assert partitions(database) == ["attempt_log_2030_01", "attempt_log_2030_02"]
    assert database.value(in_default) == 0
    assert database.value("SELECT count(*) FROM outbound.attempt_log_2030_01") == 1
    assert desk.settle(attempt, "busy")[0].outcome == "already_settled"
    for years, known in ((2, True), (3, False)):
        database.query("SELECT outbound.keep_log_partitions(%s)", NOON + timedelta(days=366 * years))
        assert ("attempt_log_2030_01" in partitions(database)) == known
    assert desk.settle(attempt, "busy")[0].outcome == "not_found"
    assert desk.history("both") == []
    # Its counts rest on what is forgotten.
    desk.rows("SELECT outbound.reset('people', 'both', zero_counters => true)")


def test_the_retention_of_the_log_is_the_accounts_and_holds_for_what_has_no_partition(
    database: Database, desk: Desk
) -> None:
    create_campaign(database, always_active=True)
    desk.settle(desk.claim_one().attempt_id, "not_performed")
    database.query("SELECT outbound.set_account(attempt_retention => '3 months')")
    database.query("SELECT outbound.keep_log_partitions(%s)", NOON + timedelta(days=80))
    assert desk.history("both") == ["not_performed"]
    database.query("SELECT outbound.keep_log_partitions(%s)", NOON + timedelta(days=100))
    assert desk.history("both") == []
