"""Files that are not what they should be, each put between two good ones: the bad one fails with its code
and stays where it is, the good ones are imported, earlier lists and the database's own order are untouched.
"""

import os
import random
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.cluster import Database
from support.lists import create_list, rows, table_of
from support.site import HEADER, Keys, Site, csv, make_site, people
from support.sshd import SftpServer

BEFORE, AFTER = csv(*people("before", 2)), csv(*people("after", 3))
BAD = "contacts bad.csv"
SQL_NAME = 'x"; drop table outbound.list; --'


def surround(site: Site, seal: Callable[[bytes], bytes] = lambda content: content) -> None:
    """Put a good file before the bad one and one after it."""
    site.put("contacts before.csv", seal(BEFORE), age=7200)
    site.put("contacts after.csv", seal(AFTER), age=1800)


def others_are_imported(site: Site) -> None:
    """Check that both good files were imported and disposed of, and nothing else was made."""
    assert site.lists() == {"contacts before": 2, "contacts after": 3}
    assert [line[:2] for line in site.ledger() if line[0] != BAD] == [
        ("contacts before.csv", "done"),
        ("contacts after.csv", "done"),
    ]
    site.nothing_is_left()


def fails_alone(
    site: Site, content: bytes, reason: str, seal: Callable[[bytes], bytes] = lambda content: content
) -> dict[str, Any]:
    """Run the job over the bad file and its neighbours; only the bad one fails. Return its report."""
    surround(site, seal)
    place = site.put(BAD, content)
    finished = site.run(code=3)
    report = finished.json()
    (bad,) = (file for file in report["files"] if file["name"] == BAD)
    assert (bad["decision"], bad["reason"]) == ("failed", reason)
    assert bad["message"]
    assert f"({reason})" in finished.stderr
    assert (report["result"], report["reason"]) == ("partial", reason)
    assert site.activity() == [("partial", reason)]
    assert (BAD, "failed", reason, bad["message"]) in site.ledger("name, state, reason, message")
    assert list(site.files()) == [BAD]
    assert place.read_bytes() == content
    others_are_imported(site)
    return bad


# --- content ----------------------------------------------------------------------------------------

UNFIT = {
    "zero bytes": (b"", "file_empty"),
    "blank lines": (b"\r\n\n\r\n", "file_empty"),
    "header only": (csv(), "no_rows"),
    "column missing": (csv("1,2,3", header="Client ID,Name,Phone"), "header_missing"),
    "column twice": (csv("1,2,3,4,5", header=f"{HEADER},client_id"), "header_duplicate"),
    "column reserved": (csv("1,2,3,4,5", header=f"{HEADER},SYS_Id"), "header_reserved"),
    "column unnamed": (csv("1,2,3,4,", header=f"{HEADER},"), "header_empty"),
    "2,000 columns": (
        csv(",".join("x" * 2000), header=",".join([HEADER, *(f"c{n}" for n in range(1996))])),
        "header_too_many",
    ),
    "every row refused": (csv("1,2", "2,3"), "no_acceptable_row"),
    "every identifier empty": (csv(",a,+380441110001,", ",b,+380441110002,"), "no_acceptable_row"),
    "another delimiter": (csv("1;2;3;4", header=HEADER.replace(",", ";")), "header_missing"),
    "header never closed": (b'"Client ID,Name,Phone,E-mail\r\n1,2,3,4\r\n', "format"),
    "no text at all": (random.Random(1).randbytes(4000), "format"),
    "NUL in the header": (csv("1,2,3,4,5", header=f"{HEADER},Na\0me"), "format"),
    "line break in the header": (csv("1,2,3,4,5", header=f'{HEADER},"a\nb"'), "format"),
    "encrypted, unexpectedly": (
        b"-----BEGIN PGP MESSAGE-----\n\nhQ==\n-----END PGP MESSAGE-----\n",
        "format",
    ),
}


@pytest.mark.parametrize(("content", "reason"), UNFIT.values(), ids=UNFIT)
def test_a_file_that_cannot_be_imported_fails_alone(site: Site, content: bytes, reason: str) -> None:
    site.job()
    fails_alone(site, content, reason)


def test_a_file_with_more_clear_bytes_than_allowed_fails_alone(site: Site) -> None:
    site.job(encryption={"max_bytes": 10_000})
    fails_alone(site, csv(*people("many", 500)), "too_large")


@pytest.mark.parametrize("limit", [{"rows": 2}, {"share": 0.2}], ids=["rows", "share"])
def test_more_refused_rows_than_allowed_fail_the_file_and_are_all_reported(site: Site, limit: Any) -> None:
    site.job(max_rejected=limit)
    fails_alone(site, csv(*people("ok", 7), "1,2", "2,3", "3,4"), "max_rejected")
    # The refused rows tell what to mend, so they are kept though nothing was loaded.
    assert site.refused("line_number, reason, original") == [
        (9, "too_few_columns", "1,2"),
        (10, "too_few_columns", "2,3"),
        (11, "too_few_columns", "3,4"),
    ]
    assert ("contacts bad.csv", 3) in site.ledger("name, rejected")


@pytest.mark.parametrize("limit", [{"rows": 3}, {"share": 0.3}], ids=["rows", "share"])
def test_as_many_refused_rows_as_allowed_do_not_fail_the_file(site: Site, limit: Any) -> None:
    site.job(max_rejected=limit)
    site.put("contacts.csv", csv(*people("ok", 7), "1,2", "2,3", "3,4"))
    assert site.run().json()["result"] == "success"
    assert site.lists() == {"contacts": 7}
    assert site.ledger("rows_read, added, rejected") == [(10, 7, 3)]


# --- rows -------------------------------------------------------------------------------------------


def imports_but(site: Site, content: bytes, added: int, *refused: tuple[int, str]) -> None:
    """Run the job over a file of which some rows are refused and the others imported."""
    site.put("contacts.csv", content)
    report = site.run().json()
    (file,) = report["files"]
    assert (report["result"], file["added"], file["rejected"]) == ("success", added, len(refused))
    assert site.refused() == list(refused)
    assert site.activity() == [("success", None)]
    assert site.lists() == {"contacts": added}
    assert site.files() == {}
    site.nothing_is_left()


def test_rows_with_too_few_or_too_many_fields_are_refused_one_by_one(site: Site) -> None:
    site.job()
    bad = ["a,b,c", "a,b,c,d,e", "a"]
    first, *others = people("ok", 3)
    content = csv(first, bad[0], others[0], bad[1], bad[2], others[1])
    imports_but(site, content, 3, (3, "too_few_columns"), (5, "too_many_columns"), (6, "too_few_columns"))
    assert site.refused("original, severity") == [(line, "row") for line in bad]


def test_a_quote_that_is_never_closed_costs_its_line_and_no_other(site: Site) -> None:
    site.job()
    first, *others = people("ok", 40)
    imports_but(site, csv(first, 'x,"never closed,+380441110000,', *others), 40, (3, "unclosed_quote"))
    assert site.refused("original") == [('x,"never closed,+380441110000,',)]


def test_a_field_of_10_mb_is_refused_and_its_neighbours_are_not(site: Site) -> None:
    site.job()
    first, *others = people("ok", 3)
    long = f"x,{'y' * 10_000_000},+380441110000,"
    imports_but(site, csv(first, long, *others), 3, (3, "field_too_long"))
    ((kept,),) = site.refused("octet_length(original)")
    assert 1000 <= kept <= 8192


def test_a_quoted_field_of_10_mb_is_refused_and_its_neighbours_are_not(site: Site) -> None:
    site.job()
    first, *others = people("ok", 3)
    long = f'x,"{"y" * 10_000_000}",+380441110000,'
    imports_but(site, csv(first, long, *others), 3, (3, "field_too_long"))


def test_a_row_of_20_mb_in_short_fields_is_refused_and_its_neighbours_are_not(site: Site) -> None:
    site.job()
    first, *others = people("ok", 3)
    imports_but(site, csv(first, "x" + ",yyyyyyyyy" * 2_000_000, *others), 3, (3, "record_too_long"))


def test_invalid_utf_8_is_loaded_with_marks_and_reported(site: Site) -> None:
    site.job(format={"character_set": "utf-8"})
    broken = b"bad,Zo\xeb \xff\xfe,+380441110099,\r\n"
    imports_but_warns = csv(*people("ok", 2)) + broken
    site.put("contacts.csv", imports_but_warns)
    (file,) = site.run().json()["files"]
    assert (file["added"], file["rejected"], file["reasons"]) == (3, 0, {"undecodable": 1})
    assert site.refused("line_number, reason, severity") == [(4, "undecodable", "warning")]
    assert ("bad", "Zo\ufffd \ufffd\ufffd") in rows(site.database, "contacts", "sys_id, name")
    site.nothing_is_left()


def test_nul_bytes_are_refused_where_they_stand(site: Site) -> None:
    site.job()
    imports_but(site, csv(*people("ok", 2), "n\0ul,Name,+380441110000,"), 2, (4, "bad_value"))


# --- names ------------------------------------------------------------------------------------------


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


# --- while it is read -------------------------------------------------------------------------------

LARGE = csv(*people("large", 300_000))


def grow(place: Path) -> None:
    """Have the partner write on."""
    with place.open("ab") as file:
        file.write(csv(*people("more", 5), header=""))


def shrink(place: Path) -> None:
    """Have the partner start again."""
    os.truncate(place, 100)


def replace(place: Path) -> None:
    """Have the partner deliver another file of the same name and size."""
    other = place.with_name("other")
    other.write_bytes(place.read_bytes().replace(b"Name 1", b"Eman 1"))
    other.rename(place)


@pytest.mark.parametrize("change", [grow, shrink, replace, Path.unlink])
@pytest.mark.parametrize("content", [BEFORE, LARGE], ids=["small", "large"])
def test_a_file_that_changes_while_it_is_read_fails_alone_and_is_taken_when_it_has_settled(
    site: Site, change: Callable[[Path], None], content: bytes
) -> None:
    site.job(files={"settle_seconds": 0})
    place = site.put(BAD, content, age=7200)
    site.put("contacts after.csv", AFTER)
    with site.worker.start("run", "job", "--json", hold="fetch.middle") as running:
        running.wait_until_held()
        change(place)
        running.release()
        finished = running.wait()
    assert finished.code == 3, finished.stderr
    assert site.activity() == [("partial", "file_changed")]
    assert site.ledger() == [(BAD, "failed", "file_changed"), ("contacts after.csv", "done", None)]
    assert site.lists() == {"contacts after": 3}
    assert list(site.files()) == ([BAD] if place.exists() else [])
    site.nothing_is_left()
    site.put(BAD, BEFORE)
    assert site.run().json()["result"] == "success"
    assert site.lists() == {"contacts after": 3, "contacts bad": 2}


# --- the columns of an existing list ----------------------------------------------------------------

DRIFT = {
    "missing": (csv("x,Name,+380441110000", header="Client ID,Name,Phone"), "header_missing", "E-mail"),
    "extra": (csv("x,Name,+380441110000,,9", header=f"{HEADER},City"), "header_drift", "City"),
    "twice": (csv("x,Name,+380441110000,,9", header=f"{HEADER},PHONE"), "header_duplicate", "PHONE"),
    "reserved": (
        csv("x,Name,+380441110000,,9", header=f"{HEADER},sys_status"),
        "header_reserved",
        "sys_status",
    ),
    "unnamed": (csv("x,Name,+380441110000,,9", header=f"{HEADER},"), "header_empty", "5"),
}


@pytest.mark.parametrize(("content", "reason", "named"), DRIFT.values(), ids=DRIFT)
@pytest.mark.parametrize("append_type", ["append_only", "append_and_update", "flush_and_append"])
def test_a_file_whose_columns_drift_from_the_list_is_refused_by_the_column_s_name(
    site: Site, content: bytes, reason: str, named: str, append_type: str
) -> None:
    create_list(site.database, "Target")
    site.job(append_type=append_type, target_list="Target", columns=[], identifier=None, contact_name=None)
    reordered = csv("o@example.org,o,+380441110001,Olha", header="E-Mail,client id,PHONE,NAME")
    site.put("contacts good.csv", reordered, age=7200)
    site.put(BAD, content)
    report = site.run(code=3).json()
    (bad,) = (file for file in report["files"] if file["decision"] == "failed")
    assert bad["reason"] == reason
    assert named in bad["message"]
    assert site.ledger() == [("contacts good.csv", "done", None), (BAD, "failed", reason)]
    assert rows(site.database, "target", "sys_id, name, phone") == [("o", "Olha", "+380441110001")]
    assert list(site.files()) == [BAD]
    site.nothing_is_left()


def test_a_missing_list_is_named_when_the_job_has_no_columns_to_make_it_with(site: Site) -> None:
    columns = {"columns": [], "identifier": None, "contact_name": None}
    site.job(append_type="append_only", target_list="Nobody", **columns)
    place = site.put(BAD, BEFORE)
    report = site.run(code=1).json()
    assert report["reason"] == "list_missing"
    assert "Nobody" in report["message"]
    assert site.lists() == {}
    assert place.exists()
    site.nothing_is_left()


def test_the_ledger_cannot_be_written_by_the_worker_but_through_the_protocol(site: Site) -> None:
    with site.database.connect() as connection:
        connection.execute("SET ROLE outbound_test_etl")
        for statement in ("DELETE FROM outbound.list", "UPDATE outbound.import_file SET state = 'done'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
