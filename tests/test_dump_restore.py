"""A dump of a database in use, restored into a clean server, is the same database
(on every major that is supported, and from the older to the newer).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from support import build, catalog
from support.cluster import Cluster, Database
from support.fixtures import MAJORS, copy_template
from support.lists import add, create_job, create_list, person, rows, set_up_account
from support.run import Run, entry

ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Анна")
BO = person("bo", phone="+380441112244", name="Bo")
SAME_MAJOR = [(major, major) for major in MAJORS]


def use(database: Database) -> None:
    """Leave something in every table: lists, runs in every state, rejects, keys, a load under way."""
    set_up_account(database)
    database.query("SELECT outbound.create_attempt_result('voicemail', 'machine', 'our own')")
    create_list(database, 'Весна "2026"; DROP TABLE x')
    add(database, 'Весна "2026"; DROP TABLE x', ANNA, BO, person("", name="no id"))
    create_list(database, "numbered", identifier=None, close_if_all=True)
    add(database, "numbered", ANNA, ANNA)
    database.query("SELECT outbound.create_suppression_list('Opted out', true)")
    unit = '[{"type": "phone", "value": "0441112299"}]'
    database.query("SELECT outbound.suppress('Opted out', %s)", unit)
    create_list(database, "dropped")
    database.query("SELECT outbound.drop_list('dropped')")
    database.query("GRANT SELECT ON outbound_list.numbered TO outbound_dialer")
    database.query("CREATE VIEW outbound_list.report AS SELECT sys_id FROM outbound_list.numbered")
    create_job(
        database, files={"ignore_duplicates": True}, append_type="append_and_update", target_list="jobs'"
    )
    run = Run.of(database)
    file = run.take()
    database.query(
        "INSERT INTO outbound.rejected_row VALUES (%s, 3, 'Phone', 'bad_device', 'warning', 'x', '12')", file
    )
    run.publish(run.load(file, [ANNA]))
    run.call("file_disposed", file, "moved", "done/contacts.csv")
    run.call("file_failed", run.take("contacts bad.csv"), "pgp_decrypt", "not ours", None)
    run.finish()
    create_job(database, "interrupted", append_type="new_list_only")
    under_way = Run.of(database, "interrupted")
    under_way.load(under_way.take(), [BO])
    database.query("SELECT outbound.run_now('job', request_key => 'evening')")
    database.query("INSERT INTO outbound.conversation_contact (contact_id, name) VALUES ('p1', 'Анна')")
    database.query(
        "INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id, labels)"
        " SELECT 'c1', 'p1', inbox_id, '{vip}' FROM outbound.inbox WHERE name = 'Chat'"
    )
    database.query("SELECT outbound.set_conversation_source()")
    database.query(
        "SELECT outbound.create_list_from_conversations('talks', %s, true)",
        '{"field": "labels", "operator": "contains", "value": "vip"}',
    )
    use_campaigns(database)
    for kind in ("ssh", "pgp"):
        database.query("SELECT outbound.register_public_key(%s, 'the key', 'its fingerprint')", kind)


def use_campaigns(database: Database) -> None:
    """Let a campaign make attempts, so that its tables and the logs have rows, old ones too."""
    query = database.query
    query("""SELECT outbound.create_calendar('days', 'Europe/Kyiv', '{"mon": [["09:00", "18:00"]]}')""")
    query("""SELECT outbound.create_attempt_control('often', '{"max_call": 3}')""")
    query("SELECT outbound.set_wrap_up_code('wrong', false, true)")
    query("SELECT outbound.set_inbox('Voice', max_per_minute => 100)")
    settings = {"attempt_control": "often", "max_per_minute": 50, "do_not_contact": ["Opted out"]}
    query("SELECT outbound.create_campaign('calls', '{numbered}', 'call', %s)", Jsonb(settings))
    query("SELECT outbound.start_campaign('calls')")
    for at in (query("SELECT now()")[0][0], "2020-01-01"):
        query(
            """SELECT outbound.settle(array_agg(attempt_id), array_agg('noanswer'::text), at => %s)
               FROM outbound.claim('calls', 1, 'dialer', %s)""",
            at,
            at,
        )
    query("SELECT outbound.exclude('numbered', '2')")
    query("SELECT outbound.exclude('numbered', '1', at => '2020-01-01')")
    query(
        "INSERT INTO outbound.maintenance_log (duty, seconds, sqlstate, message) VALUES ('x', 1, '40P01', '')"
    )


@pytest.fixture(scope="module", params=[*SAME_MAJOR, MAJORS], ids=lambda pair: f"{pair[0]}-to-{pair[1]}")
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Database]]:
    """Return a database in use, and what its dump became in a server that never had the extension."""
    majors = request.param
    file: Path = tmp_path_factory.mktemp("dump") / "dump"
    for major in majors:
        build.install_extension(major)
    with Cluster(majors[0]) as old, Cluster(majors[1]) as new:
        source = copy_template(old)
        use(source)
        source.dump(file)
        target = new.create_database(source.name)
        target.restore(file)
        yield source, target


def test_every_table_and_sequence_is_the_same(both: tuple[Database, Database]) -> None:
    source, target = both
    before = catalog.contents(source)
    empty = {name for name, lines in before.items() if not lines}
    # Months to come are empty; settings_version is for sessions, not for dumps.
    empty = {name for name in empty if not re.search(r"_\d{4}_\d\d$", name)}
    assert empty == {"outbound.contact", "outbound.contact_detail"}, (
        "the test must put a row into every table"
    )
    after = catalog.contents(target)
    assert after.keys() == before.keys()
    for name, lines in before.items():
        if "settings_version" not in name:
            assert after[name] == lines, name


def test_every_definition_right_and_comment_is_the_same(both: tuple[Database, Database]) -> None:
    source, target = both
    before, after = catalog.definitions(source), catalog.definitions(target)
    if source.cluster.major != target.cluster.major:
        # NOT NULL became a constraint with a name, row types are members no more, owners have one more
        # right, and views are printed otherwise.
        left_out = re.compile("_not_null$|^member type ")
        before, after = ({name: "" for name in side if not left_out.search(name)} for side in (before, after))
    assert after.keys() == before.keys()
    for name, said in before.items():
        assert after[name] == said, name


def test_the_restored_database_works_on(both: tuple[Database, Database]) -> None:
    _, target = both
    counters = "SELECT total FROM outbound.list_status WHERE name = %s"
    assert target.value(counters, "numbered") == 2
    assert add(target, "numbered", BO)["added"] == 1
    assert rows(target, "numbered", "sys_id") == [("1",), ("2",), ("3",)]
    assert rows(target, "numbered_detail", "max(sys_id)", "1") == [(5,)]
    highest = target.value("SELECT max(list_id) FROM outbound.list")
    create_list(target, "made after")
    assert target.value("SELECT list_id FROM outbound.list WHERE name = 'made after'") > highest
    assert target.value("SELECT outbound.run_now('job', request_key => 'evening')") == target.value(
        "SELECT run_id FROM outbound.job_run WHERE request_key = 'evening'"
    )
    target.query("UPDATE outbound.job_run SET lease_until = now() WHERE state = 'running'")
    target.query("CALL outbound.maintain()")
    assert target.value("SELECT count(*) FROM outbound.load") == 0
    run = Run.claim(target)
    assert run is not None
    assert run.document["job"] == "interrupted"
    assert run.import_people([BO])["added"] == 1
    run = Run.claim(target)
    assert run is not None
    assert [line["reason"] for line in run.plan(entry("contacts.csv", size=7))] == ["known_name"]
    assert run.import_people([ANNA, BO], "contacts 2.csv")["updated"] == 1
    assert target.value("SELECT outbound.public_key('ssh')") == "the key"
    target.query("SELECT outbound.drop_list('jobs''')")
