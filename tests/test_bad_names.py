"""Names that could deceive, and things that are no files: they are left where they are and shown safely, the
good files beside them are imported, and a name that is merely odd is a name like any other.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.cluster import Database
from support.lists import table_of
from support.site import BAD, BEFORE, Keys, Site, csv, make_site, others_are_imported, surround
from support.sshd import SftpServer

SQL_NAME = 'x"; drop table outbound.list; --'


@pytest.mark.parametrize(
    "name",
    [
        "contacts\nbad.csv",
        "contacts\rbad.csv",
        "contacts\x1b[2Jbad.csv",
        "contacts\u202ebad.csv",
        "contacts\u200bbad.csv",
        "contacts\u2028bad.csv",
        "..\\contacts bad.csv",
        os.fsdecode(b"contacts \xff\xfe bad.csv"),
    ],
    ids=repr,
)
def test_a_name_that_could_deceive_is_left_alone_and_shown_safely(site: Site, name: str) -> None:
    site.job()
    surround(site)
    place = site.put(name, BEFORE)
    for arguments in ((), ("--json",)):
        finished = site.worker.run("run", "job", *arguments)
        shown = [line for line in finished.stdout.split("\n") if "bad_file_name" in line]
        assert len(shown) == 1
        assert all(mark not in finished.stdout for mark in "\r\x1b\u202e\u200b\u2028")
    assert [file["reason"] for file in finished.json()["files"]] == ["bad_file_name"]
    assert place.read_bytes() == BEFORE
    assert len(site.files()) == 1
    others_are_imported(site)


#: Stands between the SFTP server and us, and puts other names of the same length into its answers.
LIAR = """
import os, subprocess, sys
server = subprocess.Popen(["/usr/lib/openssh/sftp-server", "-d", sys.argv[1]], stdout=subprocess.PIPE)
while answer := os.read(server.stdout.fileno(), 1 << 20):
    answer = answer.replace(b"contacts-slash.csv", b"../contacts.csv...")
    answer = answer.replace(b"contacts-nul-.csv", b"contacts\\0.csv----")
    answer = answer.replace(b"contacts-path---", b"/etc/contacts.cs")
    os.write(1, answer)
"""


def test_a_server_that_tells_names_with_paths_or_nul_gets_nothing_fetched_or_removed(
    database: Database, tmp_path: Path, start_sftp_server: Callable[..., SftpServer], worker_keys: Keys
) -> None:
    server = start_sftp_server()
    liar = server.folder / "liar.py"
    liar.write_text(LIAR)
    server.stop()
    command = shlex.join([sys.executable, str(liar), str(server.directory)])
    server.options = (f"ForceCommand {command}",)
    server.start()
    server.authorize(worker_keys.ssh)
    site = make_site(database, tmp_path / "worker", server, worker_keys, "in")
    site.job()
    surround(site)
    outside = server.put("contacts.csv...", BEFORE)
    for name in ("contacts-slash.csv", "contacts-nul-.csv", "contacts-path---"):
        site.put(name, BEFORE)
    report = site.run().json()
    skipped = {file["name"]: file["reason"] for file in report["files"] if file["decision"] == "skipped"}
    assert skipped == {
        "../contacts.csv...": "bad_file_name",
        "contacts\\u{0}.csv----": "bad_file_name",
        "/etc/contacts.cs": "bad_file_name",
    }
    assert outside.read_bytes() == BEFORE
    assert sorted(site.files()) == ["contacts-nul-.csv", "contacts-path---", "contacts-slash.csv"]
    others_are_imported(site)


@pytest.mark.parametrize("letter", ["c", "ж", "語"])
def test_a_name_of_255_bytes_is_imported_moved_and_moved_again(site: Site, letter: str) -> None:
    room = 255 - len(".contacts.csv")
    stem = letter * (room // len(letter.encode()))
    name = "x" * (room - len(stem.encode())) + stem + ".contacts.csv"
    assert len(name.encode()) == 255
    site.server.mkdir(f"{site.folder}/done")
    site.job(files={"move_after_import_to": "done"})
    for _ in range(2):
        # The file's first name on the server is short: it would have no room for another letter.
        site.put("arriving", BEFORE).rename(site.directory / name)
        site.run()
    assert site.ledger("name, state, outcome") == [(name, "done", "moved")] * 2
    moved = [path.name for path in (site.directory / "done").iterdir()]
    assert name in moved
    assert len(moved) == 2
    assert list(site.lists().values()) == [2, 2]
    site.nothing_is_left()


def test_names_that_are_sql_are_names_and_nothing_else(site: Site) -> None:
    columns = [
        {"name": "Client ID"},
        {"name": SQL_NAME},
        {"name": "Phone", "contact": {"type": "phone", "inbox": "Voice"}},
    ]
    site.job(
        SQL_NAME,
        files={"operation": "starts_with", "name": "x"},
        columns=columns,
        contact_name=SQL_NAME,
        target_list=SQL_NAME,
        append_type="append_and_update",
    )
    quoted = '"' + SQL_NAME.replace('"', '""') + '"'
    header = f"Client ID,{quoted},Phone"
    for number in (1, 2):
        site.put(
            f"{SQL_NAME} {number}.csv",
            csv(f"{number},'; drop schema outbound; --,+38044111000{number}", header=header),
        )
    assert site.run(SQL_NAME).json()["result"] == "success"
    assert site.lists() == {SQL_NAME: 2}
    assert site.database.query("SELECT job, result FROM outbound.job_activity") == [(SQL_NAME, "success")]
    assert [name for (name,) in site.ledger("name")] == [f"{SQL_NAME} 1.csv", f"{SQL_NAME} 2.csv"]
    columns_of = """SELECT c.name, c.column_name FROM outbound.list_column AS c
        JOIN outbound.list AS l USING (list_id) WHERE l.name = %s"""
    found = dict(site.database.query(columns_of, SQL_NAME))
    assert SQL_NAME in found
    table = table_of(site.database, SQL_NAME)
    assert all(character.isalnum() or character == "_" for character in table + found[SQL_NAME])
    texts = site.database.query(f'SELECT "{found[SQL_NAME]}" FROM outbound_list."{table}"')  # noqa: S608
    assert texts == [("'; drop schema outbound; --",)] * 2
    site.nothing_is_left()


# --- kinds of things --------------------------------------------------------------------------------


def make(kind: str, place: Path, target: Path) -> None:
    """Make something that is no regular file."""
    if kind == "symlink":
        place.symlink_to(target)
    elif kind == "directory":
        place.mkdir()
    else:
        os.mkfifo(place)


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo"])
def test_what_is_no_regular_file_is_left_alone(site: Site, kind: str, tmp_path: Path) -> None:
    site.job()
    surround(site)
    secret = tmp_path / "secret.csv"
    secret.write_bytes(BEFORE)
    make(kind, site.directory / BAD, secret)
    report = site.run().json()
    reasons = {file["name"]: file["reason"] for file in report["files"] if file["decision"] == "skipped"}
    assert reasons == {BAD: "not_regular_file"}
    assert list(site.files()) == [BAD]
    assert secret.read_bytes() == BEFORE
    others_are_imported(site)


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo"])
def test_what_turns_into_something_else_before_it_is_fetched_fails_alone(
    site: Site, kind: str, tmp_path: Path
) -> None:
    site.job()
    surround(site)
    place = site.put(BAD, BEFORE)
    secret = tmp_path / "secret.csv"
    shutil.copy2(place, secret)
    with site.worker.start("run", "job", "--json", hold="list.after") as running:
        running.wait_until_held()
        place.unlink()
        make(kind, place, secret)
        running.release()
        finished = running.wait()
    assert finished.code == 3
    assert site.activity() == [("partial", "not_regular_file")]
    assert (BAD, "failed", "not_regular_file") in site.ledger()
    assert list(site.files()) == [BAD]
    assert secret.read_bytes() == BEFORE
    others_are_imported(site)
