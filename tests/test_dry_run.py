"""A dry run goes the whole way and comes back: its report is the one the real run then gives, and neither
the database nor the server can tell that it took place.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from support import catalog
from support.gpg import Gpg
from support.lists import COLUMNS, add, create_list, person
from support.site import HEADER, Keys, Site, csv, import_certificate, people

MIXED = csv(
    *people("mixed", 20),
    "mixed-1,Twice,+380441110001,",
    ",Nobody,+380441110001,",
    "few,fields",
    "wrong,Wrong,12,none",
    "kept,Known already,+380441119999,known@example.org",
)
#: What may differ: which run it was, that it was none, and how long it took.
OWN = ("run_id", "dry_run", "seconds")


def state(site: Site) -> dict[str, Any]:
    """Return everything a dry run must not change."""
    return {
        "rows": catalog.rows(site.database),
        "defined": catalog.definitions(site.database),
        "files": site.files(),
    }


def compare(site: Site, *command: str) -> tuple[dict[str, Any], int]:
    """Run a command dry, then for real; return the report that both gave, and their exit code."""
    before = state(site)
    dry = site.worker.run(*command, "--json", "--dry-run", code=None)
    assert state(site) == before
    site.nothing_is_left()
    real = site.worker.run(*command, "--json", code=None)
    reports = [json.loads(run.stdout) for run in (dry, real)]
    assert [report["dry_run"] for report in reports] == [True, False]
    for report in reports:
        for key in OWN:
            del report[key]
    assert reports[0] == reports[1]
    assert dry.code == real.code
    return reports[1], real.code


@pytest.mark.parametrize("exists", [False, True], ids=["new list", "list exists"])
@pytest.mark.parametrize("append_type", ["append_only", "append_and_update", "flush_and_append"])
def test_a_dry_run_of_a_job_reports_what_the_real_run_then_does(
    site: Site, append_type: str, exists: bool
) -> None:
    if exists:
        create_list(site.database, "Target")
        add(site.database, "Target", person("kept", "+380441110000"), person("gone", "+380441110001"))
    site.job(append_type=append_type, target_list="Target")
    site.put("contacts 1.csv", MIXED, age=7200)
    site.put("contacts 2.csv", csv(*people("more", 5), *people("mixed", 3)))
    report, code = compare(site, "run", "job")
    assert (report["result"], code) == ("success", 0)
    assert [file["outcome"] for file in report["files"]] == ["deleted", "deleted"]
    assert report["files"][0]["reasons"]["too_few_columns"] == 1
    assert site.files() == {}
    site.nothing_is_left()


def test_a_dry_run_of_new_lists_reports_files_that_fail_beside_those_that_do_not(site: Site) -> None:
    site.job(max_rejected={"rows": 3})
    site.put("contacts 1.csv", csv(), age=9000)
    site.put("contacts 2.csv", MIXED, age=8000)
    site.put("contacts 3.csv", csv(*people("ok", 2), "1", "2", "3", "4"), age=7000)
    site.put("contacts 4.csv", csv("1,2,3", header="Client ID,Name,Phone"), age=6000)
    (site.directory / "contacts 5.csv").symlink_to("contacts 1.csv")
    report, code = compare(site, "run", "job")
    assert (report["result"], code) == ("partial", 3)
    assert [file["reason"] for file in report["files"]].count(None) == 1
    assert {file["reason"] for file in report["files"]} == {
        None,
        "no_rows",
        "max_rejected",
        "header_missing",
        "not_regular_file",
    }
    assert len(site.files()) == 4


def test_a_dry_run_of_encrypted_files_that_move_says_where_they_go(
    site: Site, gpg_partner: Gpg, worker_keys: Keys
) -> None:
    recipient = import_certificate(gpg_partner, worker_keys)
    site.worker.secret("signers/partner.asc", gpg_partner.export_public("partner"))
    site.server.mkdir(f"{site.folder}/done")
    site.job(encryption={"required": True, "require_signature": True}, files={"move_after_import_to": "done"})
    site.put("contacts.csv.gpg", gpg_partner.encrypt(MIXED, recipient, sign_as="partner"))
    report, code = compare(site, "run", "job")
    assert code == 0
    (file,) = report["files"]
    assert (file["outcome"], file["moved_to"]) == ("moved", "done/contacts.csv.gpg")
    assert file["signed_by"]


def test_a_dry_run_finds_that_the_folder_to_move_to_is_missing(site: Site) -> None:
    site.job(files={"move_after_import_to": "nowhere"})
    site.put("contacts.csv", MIXED)
    before = state(site)
    finished = site.worker.run("run", "job", "--json", "--dry-run", code=3)
    assert finished.json()["reason"] == "sftp_path"
    assert state(site) == before


def test_a_dry_run_does_not_make_files_known(site: Site) -> None:
    site.job(files={"ignore_duplicates": True, "delete_after_import": False})
    site.put("contacts 1.csv", MIXED, age=7200)
    site.put("contacts 2.csv", MIXED)
    report, _ = compare(site, "run", "job")
    assert [file["reason"] for file in report["files"]] == [None, "known_content"]
    assert len(site.files()) == 2


@pytest.mark.parametrize(
    ("more", "result", "code"),
    [
        ({"connection": {"directory": "nowhere"}}, "failure", 1),
        ({"files": {"name": "nothing like it"}}, "no_match", 0),
        ({"connection": {"authentication": "password", "password_secret": "missing"}}, "failure", 1),
    ],
    ids=["no directory", "no match", "no secret"],
)
def test_a_dry_run_fails_as_the_real_run_does(site: Site, more: Any, result: str, code: int) -> None:
    site.job(**more)
    site.put("contacts.csv", MIXED)
    report, ended = compare(site, "run", "job")
    assert (report["result"], ended) == (result, code)


def test_a_dry_run_does_not_pin_a_host_key(site: Site) -> None:
    site.enter_server("new", host_key_policy="accept_new")
    site.job(connection={"server": "new"})
    site.put("contacts.csv", MIXED)
    compare(site, "run", "job")
    pinned = site.database.value("SELECT host_key_fingerprint FROM outbound.sftp_server WHERE name = 'new'")
    assert pinned == site.server.host_key_fingerprint


def arguments(*more: str) -> list[str]:
    """Return the flags that stand for `COLUMNS`."""
    contacts = [
        f"{column['name']}={column['contact']['type']}:{column['contact']['inbox']}"
        for column in COLUMNS
        if "contact" in column
    ]
    flags = [part for contact in contacts for part in ("--contact", contact)]
    return [*flags, "--column", "Client ID=text", "--identifier", "Client ID", *more]


@pytest.mark.parametrize("append_type", ["new_list_only", "append_and_update"])
def test_a_dry_run_of_an_import_reports_what_the_real_import_then_does(
    site: Site, tmp_path: Path, append_type: str
) -> None:
    file = tmp_path / "local.csv"
    file.write_bytes(MIXED)
    command = ["import", str(file), "--list", "Local", "--append", append_type, *arguments()]
    report, code = compare(site, *command)
    assert (report["result"], code) == ("success", 0)
    assert report["files"][0]["outcome"] == "left"
    assert file.read_bytes() == MIXED
    assert site.lists() == {"Local": report["files"][0]["added"]}


@pytest.mark.parametrize(
    ("content", "more"),
    [(csv(), ()), (MIXED, ("--max-rejected", "1")), (b"", ()), (MIXED, ("--encrypted",))],
    ids=["no rows", "too many refused", "empty", "not encrypted"],
)
def test_a_dry_run_of_an_import_fails_as_the_real_import_does(
    site: Site, tmp_path: Path, content: bytes, more: tuple[str, ...]
) -> None:
    file = tmp_path / "local.csv"
    file.write_bytes(content)
    report, code = compare(site, "import", str(file), "--list", "Local", *arguments(*more))
    assert (report["result"], code) == ("failure", 1)
    assert site.lists() == {}


def test_a_dry_run_says_that_it_was_one(site: Site) -> None:
    site.job()
    site.put("contacts.csv", csv("1,Name,+380441110001,", header=HEADER))
    assert "dry run: nothing was changed" in site.worker.run("run", "job", "--dry-run").stdout
    assert "dry run" not in site.worker.run("run", "job").stdout
