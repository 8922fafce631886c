"""The worked examples of contact-lists §14, each under the name it has there."""

from collections.abc import Callable, Iterator

import pytest

from support.cluster import Database
from support.dialing import Desk, create_campaign, create_people, is_sound, minutes
from support.lists import add

Open = Callable[..., Desk]

PHONE = {"Client ID": "1", "Phone": "+380440000001"}
TWO_PHONES = PHONE | {"Mobile": "+380500000001"}
PHONE_AND_EMAIL = PHONE | {"E-mail": "one@example.org"}


@pytest.fixture
def desk(database: Database) -> Iterator[Open]:
    """Return a function that makes a list of one contact and a desk for it."""
    opened: list[Desk] = []

    def open_desk(contact: dict[str, str], *, close_if_all: bool = False) -> Desk:
        create_people(database, 0, close_if_all=close_if_all)
        add(database, "people", contact)
        opened.append(Desk(database))
        return opened[0]

    yield open_desk
    is_sound(database)
    opened[0].connection.close()


def talk(database: Database, status: str = "snoozed") -> None:
    """Let there be a conversation with contact 1."""
    database.query(
        """INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, status)
           SELECT 't1', '1', inbox_id, %s FROM outbound.inbox WHERE name = 'Chat'""",
        status,
    )
    database.query("INSERT INTO outbound.conversation_contact (contact_id) VALUES ('1')")


@pytest.fixture
def talks(database: Database) -> Iterator[Desk]:
    """Return a desk for a list of one conversation."""
    create_people(database, 0)
    talk(database)
    everybody = '{"field": "contact_id", "operator": "is_not_empty"}'
    database.query("SELECT outbound.create_list_from_conversations('talks', %s)", everybody)
    with Desk(database, "talks", "talking") as desk:
        yield desk
    is_sound(database, "talks")


def test_one_phone_max_per_conversation_3_busy_max_2_every_30_min(database: Database, desk: Open) -> None:
    at = desk(PHONE)
    limits = {"max_per_conversation": 3, "categories": {"busy": {"max_attempts": 2, "minutes": 30}}}
    create_campaign(database, limits=limits)
    (answer,) = at.attempt("busy")
    assert answer.scheduled_at == at.at + minutes(30)
    assert at.codes("1") == "C CFF O"
    at.later(29)
    assert at.claim() == []
    at.later(1)
    at.attempt("busy")
    assert at.codes("1") == "F FFF A"


def test_one_phone_max_per_contact_2_no_category_entry_minimum_60_min(database: Database, desk: Open) -> None:
    at = desk(PHONE)
    create_campaign(database, limits={"max_per_contact": 2, "minimum_minutes": 60})
    at.attempt("noanswer")
    assert at.codes("1") == "C CFF O"
    at.later(60)
    at.attempt("noanswer")
    assert at.codes("1") == "A CFF O"
    at.later(60 * 24 * 365)
    assert at.claim() == []


def test_two_phones_wrong_party_on_the_first(database: Database, desk: Open) -> None:
    at = desk(TWO_PHONES)
    database.query("SELECT outbound.set_wrap_up_code('somebody else', false, true)")
    create_campaign(database)
    first = at.claim_one()
    assert first.unit == "+380440000001"
    at.settle(first.attempt_id, "success")
    assert at.codes("1") == "Q QFF QC"
    at.finish(first.attempt_id, "somebody else")
    assert at.codes("1") == "C CFF UC"
    at.later(5)
    assert at.claim_one().unit == "+380500000001"


def test_phone_and_email_close_option_off(database: Database, desk: Open) -> None:
    at = desk(PHONE_AND_EMAIL)
    create_campaign(database)
    create_campaign(database, "mail", kind="email")
    call = at.claim_one()
    at.settle(call.attempt_id, "success")
    at.finish(call.attempt_id)
    assert at.codes("1") == "U UCF UC"
    at.later(60)
    assert at.claim(campaign="mail") == []
    closed = "SELECT name, callable, closed FROM outbound.campaign_status ORDER BY name"
    assert database.query(closed) == [("mail", 0, 1), ("spring", 0, 1)]


def test_phone_and_email_close_option_on(database: Database, desk: Open) -> None:
    at = desk(PHONE_AND_EMAIL, close_if_all=True)
    create_campaign(database)
    create_campaign(database, "mail", kind="email")
    call = at.claim_one()
    at.settle(call.attempt_id, "success")
    assert at.claim(campaign="mail") == []
    at.finish(call.attempt_id)
    assert at.codes("1") == "C UCF UC"
    at.later(60)
    mail = at.claim_one("mail")
    at.settle(mail.attempt_id, "success", final=True)
    assert at.codes("1") == "U UUF UU"


def test_phone_and_email_option_on_max_per_contact_1(database: Database, desk: Open) -> None:
    at = desk(PHONE_AND_EMAIL, close_if_all=True)
    create_campaign(database, limits={"max_per_contact": 1})
    at.settle(at.claim_one().attempt_id, "success", final=True)
    assert at.codes("1") == "A UCF UC"


@pytest.mark.parametrize(
    ("limits", "codes"),
    [
        ({"categories": {"busy": {"minutes": 30}}}, "C FFC O"),
        ({"minimum_minutes": 0}, "C FFC C"),
        ({"categories": {"busy": {"max_attempts": 1}}}, "F FFF A"),
    ],
    ids=["delay", "no delay", "limit met"],
)
def test_conversation_in_open_when_the_message_is_due(
    database: Database, talks: Desk, limits: dict[str, object], codes: str
) -> None:
    create_campaign(database, "talking", ["talks"], "social_media", limits)
    claimed = talks.claim_one()
    database.query("UPDATE outbound.conversation SET status = 'open'")
    (answer,) = talks.start(claimed.attempt_id)
    assert answer.outcome == "busy"
    assert talks.codes("1") == codes
    record = talks.records("1")[0]
    assert (record.sys_attempts, record.sys_attempts_busy) == (1, 1)
    assert talks.settle(claimed.attempt_id, "success")[0].outcome == "already_settled"
    assert talks.codes("1") == codes


@pytest.mark.parametrize(
    ("result", "codes"), [("noanswer", "A CFF O"), ("invalid", "A AFF U"), ("success", "U UFF U")]
)
def test_agent_plans_a_callback_on_the_last_permitted_attempt(
    database: Database, desk: Open, result: str, codes: str
) -> None:
    at = desk(PHONE)
    create_campaign(database, limits={"max_per_contact": 1, "max_call": 1 if result == "invalid" else None})
    call = at.claim_one()
    at.settle(call.attempt_id, "success")
    due = at.at + minutes(90)
    assert at.call_back(call.attempt_id, due).outcome == "callback_scheduled"
    assert at.codes("1") == "C CFF S"
    at.later(89)
    assert at.claim() == []
    at.later(1)
    callback = at.claim_one()
    assert callback.origin == "agent_callback"
    assert at.codes("1") == "I IFF I"
    at.settle(callback.attempt_id, result, final=True)
    assert at.codes("1") == codes


def test_conversation_deleted_before_its_turn(database: Database, talks: Desk) -> None:
    create_campaign(database, "talking", ["talks"], "social_media")
    database.query("DELETE FROM outbound.conversation")
    assert talks.claim() == []
    assert talks.codes("1") == "F FFF P"
    assert talks.contact("1").sys_attempts == 0
    assert talks.history("1") == ["purged"]
