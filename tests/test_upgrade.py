"""Every released version upgrades to the present one, and what comes out equals a fresh installation.

A release leaves its install script in `tests/upgrade/` (`make freeze`) and its upgrade script in
`sql/`; both are found here by themselves. So that this is exercised before there is any release, a
version 0.0.1 is made up on the spot: the present script, and an upgrade script without statements.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import build, catalog, paths, processes
from support.cluster import Cluster, Database
from support.lists import add, create_job, create_list, person, set_up_account
from support.run import Run

FROZEN = paths.TOP / "tests" / "upgrade"
MADE_UP = "0.0.1"
SCRIPT = "pg_outbound--{}.sql"
ANNA = person("anna", phone="+380441112233", email="anna@example.org", name="Анна")
BO = person("bo", phone="+380441112244", name="Bo")


def present() -> str:
    found = re.search(r'^version = "(.+)"$', (paths.TOP / "Cargo.toml").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def released() -> list[str]:
    frozen = (file.stem.removeprefix("pg_outbound--") for file in FROZEN.glob(SCRIPT.format("*")))
    return sorted(version for version in frozen if version != present())


@pytest.fixture(params=[MADE_UP, *released()])
def version(request: pytest.FixtureRequest, each_cluster: Cluster) -> Iterator[str]:
    """Put the scripts of a version into the server's extension folder while a test runs."""
    build.install_extension(each_cluster.major)
    program = each_cluster.program("pg_config")
    folder = Path(processes.run([program, "--sharedir"]).strip()) / "extension"
    install = folder / SCRIPT.format(request.param)
    added = {install: (folder / SCRIPT.format(present())).read_text()}
    if request.param == MADE_UP:
        added[folder / SCRIPT.format(f"{MADE_UP}--{present()}")] = "-- Nothing changed.\n"
    else:
        added[install] = (FROZEN / install.name).read_text()
    for file, text in added.items():
        file.write_text(text)
    yield request.param
    for file in added:
        file.unlink()


@pytest.fixture
def old(version: str, each_cluster: Cluster) -> Iterator[Database]:
    """Return a database with that version, in use."""
    database = each_cluster.create_database()
    database.psql(f"CREATE EXTENSION pg_outbound VERSION '{version}'")
    set_up_account(database)
    create_list(database, "people")
    add(database, "people", ANNA)
    create_job(database, append_type="append_and_update", target_list="people")
    Run.of(database).import_people([ANNA, BO])
    yield database
    each_cluster.drop_database(database.name)


def upgrade(database: Database) -> None:
    database.query("ALTER EXTENSION pg_outbound UPDATE")


def test_an_upgraded_version_equals_a_fresh_one(version: str, each_cluster: Cluster) -> None:
    upgraded, fresh = each_cluster.create_database(), each_cluster.create_database(extension=True)
    upgraded.psql(f"CREATE EXTENSION pg_outbound VERSION '{version}'")
    upgrade(upgraded)
    extension = "SELECT extversion FROM pg_extension WHERE extname = 'pg_outbound'"
    assert upgraded.value(extension) == fresh.value(extension) == present()
    assert catalog.definitions(upgraded) == catalog.definitions(fresh)
    for database in (upgraded, fresh):
        each_cluster.drop_database(database.name)


def test_an_upgrade_keeps_every_list_and_all_history(old: Database) -> None:
    before = {
        name: len(lines) for name, lines in catalog.contents(old).items() if name.startswith("outbound_list.")
    }
    activity = old.query("SELECT job, result, message FROM outbound.job_activity")
    counters = old.query("SELECT name, total, callable FROM outbound.list_status")
    upgrade(old)
    after = catalog.contents(old)
    assert {name: len(after[name]) for name in before} == before
    assert old.query("SELECT job, result, message FROM outbound.job_activity") == activity
    assert old.query("SELECT name, total, callable FROM outbound.list_status") == counters


def test_an_upgraded_database_works_on(old: Database) -> None:
    upgrade(old)
    assert (
        Run.of(old).import_people([BO, person("cy", phone="+380441112255")], "contacts 2.csv")["added"] == 1
    )
    assert add(old, "people", person("di"))["added"] == 1
    create_list(old, "another")
    assert old.query("SELECT name, total FROM outbound.list_status ORDER BY name") == [
        ("another", 0),
        ("people", 4),
    ]
    old.query("CALL outbound.maintain()")


def test_each_released_version_has_a_path_to_the_present_one(version: str, each_cluster: Cluster) -> None:
    with each_cluster.connect() as connection:
        question = (
            "SELECT path FROM pg_extension_update_paths('pg_outbound') WHERE source = %s AND target = %s"
        )
        (path,) = connection.execute(question, [version, present()]).fetchall()
    assert path[0] is not None, f"sql/pg_outbound--{version}--{present()}.sql is missing"
