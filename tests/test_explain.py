"""`outbound.explain` agrees with `outbound.claim`: whatever was done to a list, a claim takes a contact when
its turn comes if and only if all gates of its explanation pass (contact-lists §7.1).
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, is_sound, minutes
from support.lists import add

CONTACTS = 30
STEPS = 60
#: After how many steps the explanations are compared with a claim.
EVERY = 10
RESULTS = (
    "busy",
    "noanswer",
    "machine",
    "abandoned",
    "failed",
    "success",
    "wrong_party",
    "invalid",
    "not_performed",
)
GATES = [
    "campaign", "calendar", "unit", "contact_code", "type_code", "record_code", "due", "spacing",
    "contact_limit", "record_limit", "do_not_contact", "conversation", "filter", "record", "capacity",
]  # fmt: skip


class Chance:
    """A site and a history that are drawn, the same ones for a seed."""

    def __init__(self, database: Database, seed: int) -> None:
        """Draw the site."""
        self.draw = random.Random(seed)
        self.database = database
        self.campaigns = {"spring": "people", "summer": "people", "mail": "people", "talking": "talks"}
        create_people(database, 0, close_if_all=self.draw.random() < 0.5)
        add(database, "people", *(self.person(number) for number in range(CONTACTS)))
        self.talk(CONTACTS // 2)
        everybody = '{"field": "contact_id", "operator": "is_not_empty"}'
        database.query("SELECT outbound.create_list_from_conversations('talks', %s)", everybody)
        hours = {day: [["08:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "sat")}
        database.query("SELECT outbound.create_calendar('some', 'Europe/Kyiv', %s)", Jsonb(hours))
        database.query("SELECT outbound.create_suppression_list('mine')")
        database.query("SELECT outbound.create_suppression_list('all', true)")
        database.query("SELECT outbound.set_wrap_up_code('wrong', false, true)")
        database.query("SELECT outbound.set_wrap_up_code('again', false, false)")
        for name, kind in (
            ("spring", "call"),
            ("summer", "call"),
            ("mail", "email"),
            ("talking", "social_media"),
        ):
            create_campaign(
                database,
                name,
                [self.campaigns[name]],
                kind,
                self.limits(),
                **self.settings(self.campaigns[name]),
            )

    def one_of(self, *these: Any) -> Any:
        """Draw one."""
        return self.draw.choice(these)

    def person(self, number: int) -> dict[str, Any]:
        """Draw what a contact can be reached at."""
        return {
            "Client ID": f"c{number:03}",
            "Phone": self.one_of("", f"+38044{number:07}", f"+38044{number:07}", "12"),
            "Mobile": self.one_of("", f"+38050{number:07}"),
            "E-mail": self.one_of("", f"c{number}@example.org"),
            "Balance": str(self.draw.randrange(100)),
        }

    def talk(self, count: int) -> None:
        """Enter conversations; a contact may have two."""
        for number in range(count):
            for place in range(self.one_of(1, 1, 2)):
                self.database.query(
                    """INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, status)
                       SELECT %s, %s, inbox_id, %s FROM outbound.inbox WHERE name = 'Chat'""",
                    f"t{number}-{place}", f"k{number:03}", self.one_of("pending", "open", "snoozed"),
                )  # fmt: skip
            self.database.query(
                "INSERT INTO outbound.conversation_contact (contact_id) VALUES (%s)", f"k{number:03}"
            )

    def limits(self) -> dict[str, Any]:
        """Draw an attempt control."""
        return {
            "max_per_contact": self.one_of(None, 2, 4),
            "max_per_conversation": self.one_of(None, 1, 2, 3),
            "max_call": self.one_of(None, 1, 3),
            "max_email": self.one_of(None, 1, 3),
            "max_social_media": self.one_of(None, 1, 3),
            "minimum_minutes": self.one_of(0, 0, 5, 240),
            "minimum_scope": self.one_of("contact", "record"),
            "categories": {
                "busy": {"max_attempts": self.one_of(None, 1), "minutes": self.one_of(None, 0, 30)},
                "machine": {"minutes": self.one_of(None, 600)},
            },
        }

    def settings(self, list_name: str) -> dict[str, Any]:
        """Draw the settings of a campaign."""
        settings = {
            "calendar": self.one_of(None, "some"),
            "do_not_contact": self.one_of([], ["mine"]),
            "max_per_minute": self.one_of(None, None, 9),
            "max_in_progress": self.one_of(None, None, 12),
            "always_active": True,
        }
        if list_name == "people" and self.draw.random() < 0.5:
            settings["filter"] = {"field": "balance", "operator": "less_than", "value": 70}
            settings["order"] = [{"column": "balance", "direction": "desc"}]
        return settings

    def step(self, desk: Desk) -> None:
        """Let one thing happen; what is refused is refused."""
        campaign = self.one_of(*self.campaigns)
        desk.campaign, desk.list = campaign, self.campaigns[campaign]
        desk.table = desk.value("SELECT table_name FROM outbound.list WHERE name = %s", desk.list)
        desk.later(self.draw.choice([0, 1, 5, 30, 240, 1440]))
        happening: Callable[[Desk], object] = self.one_of(
            *[self.attempts] * 8,
            self.leave,
            self.operate,
            self.operate,
            self.suppress,
            self.forget,
            self.change,
        )
        try:
            happening(desk)
        except psycopg.Error as error:
            assert error.sqlstate in ("55006", "42704"), error

    def attempts(self, desk: Desk) -> None:
        """Claim, settle, and end what succeeded."""
        for claimed in desk.claim(self.draw.randrange(1, 9)):
            if self.draw.random() < 0.5 and desk.start(claimed.attempt_id)[0].outcome != "started":
                continue
            result = self.draw.choice(RESULTS)
            desk.settle(claimed.attempt_id, result, final=self.draw.random() < 0.1)
            if result == "success":
                end = self.draw.random()
                if end < 0.4:
                    desk.call_back(claimed.attempt_id, desk.at + minutes(self.one_of(1, 60, 3000)))
                elif end < 0.8:
                    desk.finish(claimed.attempt_id, self.one_of(None, "wrong", "again"))

    def leave(self, desk: Desk) -> None:
        """Claim and hold on."""
        desk.claim(3)

    def operate(self, desk: Desk) -> None:
        """Do something to a contact as an operator."""
        contact = self.draw.choice(desk.rows(f"SELECT sys_id FROM outbound_list.{desk.table}"))  # noqa: S608
        call = self.one_of(
            "exclude(%s, %s, at => %s)", "reset(%s, %s, at => %s)", "reset(%s, %s, NULL, true, %s)",
            "cancel_callback(%s, %s, at => %s)",
        )  # fmt: skip
        desk.rows(f"SELECT outbound.{call}", desk.list, contact[0], desk.at)
        desk.sweep()

    def suppress(self, desk: Desk) -> None:
        """Put a unit on a do-not-contact list."""
        unit = self.draw.choice(
            desk.rows(
                f"SELECT sys_channel_user_type, sys_channel_user FROM outbound_list.{desk.table}_detail"  # noqa: S608
            )
        )
        desk.rows(
            "SELECT outbound.suppress(%s, %s)",
            self.one_of("mine", "all"),
            Jsonb([{"type": unit[0], "value": unit[1]}]),
        )

    def forget(self, desk: Desk) -> None:
        """Delete a conversation."""
        name = f"t{self.draw.randrange(CONTACTS // 2)}-0"
        desk.rows("DELETE FROM outbound.conversation WHERE conversation_id = %s", name)

    def change(self, desk: Desk) -> None:
        """Change limits or settings; limits may be evaluated anew."""
        if self.draw.random() < 0.5:
            desk.rows("SELECT outbound.alter_attempt_control(%s, %s)", desk.campaign, Jsonb(self.limits()))
            if self.draw.random() < 0.5:
                desk.rows("SELECT outbound.reevaluate(%s, at => %s)", desk.list, desk.at)
        else:
            settings = self.settings(desk.list)
            desk.rows(
                "SELECT outbound.alter_campaign(%s, %s, at => %s)", desk.campaign, Jsonb(settings), desk.at
            )


def explained(desk: Desk) -> dict[str, list[Any]]:
    contacts = desk.rows(f"SELECT sys_id FROM outbound_list.{desk.table} ORDER BY sys_id")  # noqa: S608
    return {contact: desk.explain(contact) for (contact,) in contacts}


def claim_agrees(desk: Desk) -> int:
    """Compare a claim of everything with the explanations, undo it, and return how many it took."""
    gates = explained(desk)
    for contact, rows in gates.items():
        assert [row.gate for row in rows] == GATES, contact
        assert [row.position for row in rows] == list(range(1, len(GATES) + 1))
        assert all(row.evidence for row in rows)
        assert [row.gate for row in rows if row.passes and row.possible_at is not None] == []
    passing = {
        contact: next(row.facts["record"] for row in rows if row.gate == "record")
        for contact, rows in gates.items()
        if all(row.passes for row in rows)
    }
    free = min(
        (row.facts["free"] for rows in gates.values() for row in rows if row.facts.get("free") is not None),
        default=None,
    )
    with desk.connection.transaction(force_rollback=True):
        taken = {attempt.contact_id: attempt.record_id for attempt in desk.claim(10_000)}
    if free is None or len(passing) <= free:
        assert taken == passing, failures(gates, set(taken) ^ set(passing))
    else:
        assert taken.items() <= passing.items()
        assert len(taken) == free
    return len(taken)


def failures(gates: dict[str, list[Any]], contacts: set[str]) -> dict[str, list[str]]:
    return {contact: [row.gate for row in gates[contact] if not row.passes] for contact in contacts}


def time_opens(desk: Desk) -> None:
    """Check that what an explanation promises of the time is so: the gate opens then, and no sooner."""
    now = desk.at
    promised = [
        (contact, row.gate, row.possible_at)
        for contact, rows in explained(desk).items()
        for row in rows
        if row.possible_at is not None and not row.passes
    ]
    for contact, gate, moment in promised:
        assert moment > now
        for at, opens in ((moment, True), (moment - timedelta(microseconds=1), False)):
            desk.at = at
            (row,) = [row for row in desk.explain(contact) if row.gate == gate]
            assert row.passes is opens, f"{contact}: {gate} at {at}"
    desk.at = now


@pytest.mark.parametrize("seed", range(12))
def test_explain_agrees_with_claim(database: Database, seed: int) -> None:
    chance = Chance(database, seed)
    taken = 0
    with Desk(database) as desk:
        for number in range(STEPS):
            chance.step(desk)
            if number % EVERY == 0:
                for campaign, list_name in chance.campaigns.items():
                    desk.campaign, desk.list = campaign, list_name
                    desk.table = desk.value("SELECT table_name FROM outbound.list WHERE name = %s", list_name)
                    taken += claim_agrees(desk)
                time_opens(desk)
    assert taken > 0
    database.query("SELECT outbound.sweep_leases('2040-01-01'), outbound.end_waiting('2040-01-01')")
    for name in ("people", "talks"):
        # Limits were changed, and some of them not looked at since (contact-lists §16 Q14).
        database.query("SELECT outbound.reevaluate(%s)", name)
        assert database.query("SELECT * FROM outbound.check_consistency(%s)", name) == []


def test_a_callback_that_is_shut_out_can_shut_out_its_contact(database: Database) -> None:
    create_people(database, 0)
    add(database, "people", {"Client ID": "1", "Phone": "+380440000001", "Mobile": "+380500000001"})
    create_campaign(database, limits={"max_call": 1, "minimum_minutes": 0})
    create_campaign(database, "summer", limits={"minimum_minutes": 0})
    database.query("SELECT outbound.create_suppression_list('all', true)")
    with Desk(database) as desk:
        attempt = desk.claim_one().attempt_id
        desk.settle(attempt, "success")
        desk.call_back(attempt, desk.at + minutes(10))
        # Its type is callable for the sake of the callback alone: the limit of the latest attempt is met.
        assert desk.codes("1") == "C CFF SC"
        units = Jsonb([{"type": "phone", "value": "+380440000001"}])
        database.query("SELECT outbound.suppress('all', %s)", units)
        desk.later(10)
        desk.campaign = "summer"
        assert claim_agrees(desk) == 0
        assert desk.claim(10) == []
        assert desk.codes("1") == "F AFF UC"
    is_sound(database)


def test_explaining_changes_nothing_and_waits_for_nobody(database: Database) -> None:
    create_people(database, 5)
    database.query("SELECT outbound.set_inbox('Voice', 100)")
    create_campaign(database, max_per_minute=100, max_in_progress=50)
    with Desk(database) as claiming, Desk(database) as asking:
        before = asking.everything()
        asking.rows("SET lock_timeout = '2s'")
        claiming.rows("SET lock_timeout = '2s'")
        with claiming.connection.transaction():
            claiming.claim(2)
            assert len(asking.explain("c000000")) == len(GATES)
        with asking.connection.transaction():
            asking.explain("c000002")
            assert len(claiming.claim(2)) == 2
        for attempt in asking.rows("SELECT sys_open_attempt_id FROM outbound.contact WHERE sys_status = 'I'"):
            claiming.release(attempt[0])
        assert asking.everything()[:2] != before[:2]  # The contacts were touched by the claims alone.
    is_sound(database)
