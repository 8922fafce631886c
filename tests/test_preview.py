"""`outbound preview` shows the first contacts that an import would make, by doing all of it, and changes
nothing (contact-lists §2.1; P31).
"""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import catalog
from support.lists import add, create_list, person, rows, table_of
from support.site import Site, csv, people

CONTACTS = [
    "--contact", "Phone=phone:Voice", "--contact", "E-mail=email:Post", "--contact", "Chat=conversation_id",
    "--identifier", "Client ID",
]  # fmt: skip
HEADER = "Client ID,Name,Phone,E-mail,Chat"
LINES = (
    "2,Second,+380441110002,,c1",
    ",Nobody,+380441110001,,",
    "1,First,,first@example.org,none",
    "2,Twice,+380441110003,,",
    "3,No unit,,,",
    "4,Wrong,12,,",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(csv(*LINES, header=HEADER))
    return path


def arguments(file: Path, *more: str, name: str = "Previewed") -> list[str]:
    return [str(file), "--list", name, *CONTACTS, *more]


def everything(site: Site) -> Any:
    """Return all rows and definitions."""
    return catalog.rows(site.database), catalog.definitions(site.database)


def shown(site: Site, file: Path, *more: str, name: str = "Previewed") -> dict[str, Any]:
    """Return what the preview says of the file; nothing may change by it."""
    before = everything(site)
    report = site.worker.run("preview", *arguments(file, *more, name=name), "--json").json()
    assert everything(site) == before
    site.nothing_is_left()
    assert report["dry_run"] is True
    (about,) = report["files"]
    return dict(about)


def stored(site: Site, *identifiers: str, name: str = "Previewed") -> list[tuple[Any, ...]]:
    """Return contacts of a list as they are in its table."""
    table = table_of(site.database, name)
    found = {line[0]: line for line in rows(site.database, table, "sys_id, sys_status, name")}
    return [found[identifier] for identifier in identifiers]


def sampled(about: dict[str, Any]) -> list[tuple[Any, ...]]:
    where = about["sample"]["columns"].index("Name")
    return [(row["id"], row["status"], row["values"][where]) for row in about["sample"]["rows"]]


def test_a_preview_shows_the_first_rows_and_the_totals_of_the_import(site: Site, file: Path) -> None:
    site.database.query(
        "INSERT INTO outbound.conversation (conversation_id, contact_id, inbox_id)"
        " SELECT 'c1', 'p1', inbox_id FROM outbound.inbox WHERE name = 'Chat'"
    )
    about = shown(site, file)
    counts = {name: about[name] for name in ("rows_read", "added", "duplicates", "rejected", "records_added")}
    assert counts == {"rows_read": 6, "added": 4, "duplicates": 1, "rejected": 1, "records_added": 5}
    assert about["reasons"] == {
        "bad_device": 1, "duplicate_client_id": 1, "empty_client_id": 1, "no_valid_device": 2,
    }  # fmt: skip
    assert about["sample"]["columns"] == HEADER.split(",")
    assert sampled(about) == [
        ("2", "C", "Second"), ("1", "C", "First"), ("3", "F", "No unit"), ("4", "F", "Wrong"),
    ]  # fmt: skip
    first, second = about["sample"]["rows"][:2]
    assert first["values"] == ["2", "Second", "+380441110002", None, "c1"]
    keys = ("unit", "type", "column", "conversation_type", "inbox", "status")
    units = [tuple(record[key] for key in keys) for record in (*first["records"], second["records"][1])]
    assert units == [
        ("+380441110002", "phone", "Phone", "call", "Voice", "C"),
        ("c1", "conversation_id", "Chat", "social_media", "Chat", "C"),
        ("none", "conversation_id", "Chat", None, None, "P"),
    ]
    real = site.worker.run("import", *arguments(file), "--json").json()["files"][0]
    assert {key: value for key, value in about.items() if key != "sample"} == real
    assert stored(site, "2", "1", "3", "4") == sampled(about)


@pytest.mark.parametrize("append_type", ["append_only", "append_and_update", "flush_and_append"])
def test_a_preview_of_a_file_for_a_list_that_exists_shows_what_would_come_into_it(
    site: Site, tmp_path: Path, append_type: str
) -> None:
    create_list(site.database, "Previewed")
    add(site.database, "Previewed", *(person(f"old-{number}", "+380441110000") for number in range(50)))
    site.database.query("DELETE FROM outbound_list.previewed WHERE sys_id <> 'old-7'")
    site.database.query("DELETE FROM outbound_list.previewed_detail WHERE sys_contact_id <> 'old-7'")
    site.database.query("VACUUM outbound_list.previewed")
    file = tmp_path / "more.csv"
    file.write_bytes(csv("old-7,Known,+380441110007,", *people("new", 30)))
    command = [str(file), "--list", "Previewed", "--append", append_type]
    before = everything(site)
    about = site.worker.run("preview", *command, "--rows", "5", "--json").json()["files"][0]
    assert everything(site) == before
    expected = [f"new-{number}" for number in range(5)]
    if append_type != "append_only":
        expected = ["old-7", *expected[:4]]
    assert [row[0] for row in sampled(about)] == expected
    real = site.worker.run("import", *command, "--json").json()["files"][0]
    assert {key: value for key, value in about.items() if key != "sample"} == real
    assert sampled(about) == stored(site, *expected)


def test_a_preview_is_a_table_for_people(site: Site, file: Path) -> None:
    text = site.worker.run("preview", *arguments(file, "--rows", "2")).stdout
    assert "dry run: nothing was changed" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["sys_id", "sys_status", "Client", "ID", "Name", "Phone", "E-mail", "Chat", "records"] in lines
    assert any(line[:4] == ["2", "C", "2", "Second"] for line in lines)
    assert not any(line[:1] == ["3"] for line in lines)


def test_a_preview_of_a_file_that_fails_says_so_and_shows_nothing(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(csv(header=HEADER))
    finished = site.worker.run("preview", *arguments(file), "--json", code=1)
    about = json.loads(finished.stdout)["files"][0]
    assert (about["decision"], about["reason"]) == ("failed", "no_rows")
    assert "sample" not in about
    assert site.lists() == {}


@pytest.mark.parametrize("count", ["0", "-1", "1001", "many"])
def test_a_preview_of_no_or_too_many_rows_is_wrong_usage(site: Site, file: Path, count: str) -> None:
    site.worker.run("preview", *arguments(file, f"--rows={count}"), code=2)


def test_only_a_trial_is_sampled(site: Site, file: Path) -> None:
    site.worker.run("import", *arguments(file))
    (run_id,) = site.database.query("SELECT run_id FROM outbound.job_run")[0]
    site.database.query(
        """UPDATE outbound.job_run SET state = 'running', lease_until = now() + interval '1 hour',
               finished_at = NULL, result = NULL"""
    )
    with pytest.raises(psycopg.Error, match="is no trial"):
        site.database.query("SELECT outbound.sample_load(%s, 1, 1, 10)", run_id)
