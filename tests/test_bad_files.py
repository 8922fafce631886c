"""Files that are not what they should be, each put between two good ones: the bad one fails with its code
and stays where it is, the good ones are imported, earlier lists and the database's own order are untouched.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.lists import create_list, rows
from support.site import (
    AFTER,
    BAD,
    BEFORE,
    HEADER,
    WORKER_ROLE,
    Site,
    csv,
    others_are_imported,
    people,
    surround,
)


def fails_alone(
    site: Site, content: bytes, reason: str, seal: Callable[[bytes], bytes] = bytes
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
        connection.execute(f"SET ROLE {WORKER_ROLE}")
        for statement in ("DELETE FROM outbound.list", "UPDATE outbound.import_file SET state = 'done'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
