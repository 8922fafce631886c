"""Servers that are not there, not the right ones, or do not let us in: each run ends with the code that
says so, nothing is loaded, nothing on the server is touched, and once the fault is mended the same job
imports the same file.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import processes
from support.cluster import Database
from support.lists import FINGERPRINT
from support.site import Keys, Site, csv, make_site, people
from support.sshd import SftpServer

GOOD = csv(*people("good", 3))
Start = Callable[..., SftpServer]


def failed(site: Site, reason: str, *, code: int = 1, files: bool = False) -> dict[str, Any]:
    """Run the job, which must fail with this reason and leave everything as it was; return its report."""
    before = site.files()
    finished = site.run(code=code)
    report = finished.json()
    assert (report["result"], report["reason"]) == ("failure", reason)
    assert site.activity()[-1] == ("failure", reason)
    # What the report says, the activity keeps.
    told = (report["message"], report["detail"], report["hint"])
    assert site.activity("message, detail, hint")[-1] == told
    assert report["message"]
    # People look at stderr, programs at stdout: the code is in both.
    assert f"({reason})" in finished.stderr
    assert site.files() == before
    if not files:
        assert site.ledger() == []
    assert site.lists() == {}
    site.nothing_is_left()
    return dict(report)


def fails(site: Site, reason: str, *, code: int = 1, files: bool = False) -> str:
    """Run the job, which must fail with this reason and leave everything as it was; return the message."""
    return str(failed(site, reason, code=code, files=files)["message"])


def succeeds(site: Site) -> None:
    """Run the job, which must now import the file that was there all the time."""
    assert site.run().json()["result"] == "success"
    assert site.activity()[-1] == ("success", None)
    assert site.lists() == {"contacts": 3}
    assert site.files() == {}
    site.nothing_is_left()


@pytest.fixture
def waiting(site: Site) -> Site:
    """A site with a good file on the server."""
    site.put("contacts.csv", GOOD)
    return site


@pytest.fixture
def with_password(
    database: Database, tmp_path: Path, start_sftp_server: Start, worker_keys: Keys
) -> Callable[[str], Site]:
    """A function that starts a server with this authentication and returns a site with a file on it."""

    def start(authentication: str) -> Site:
        server = start_sftp_server(authentication=authentication)
        server.authorize(worker_keys.ssh)
        made = make_site(database, tmp_path / "worker", server, worker_keys, "in")
        made.put("contacts.csv", GOOD)
        made.worker.secret("partner_password", server.password + "\n")
        return made

    return start


def test_a_job_for_an_unknown_server_is_refused_when_it_is_saved(site: Site) -> None:
    with pytest.raises(psycopg.Error, match=r"connection\.server") as raised:
        site.job(connection={"server": "nobody"})
    assert 'SFTP server "nobody" does not exist' in str(raised.value)
    assert "Known servers: partner" in str(raised.value)
    assert site.database.value("SELECT count(*) FROM outbound.job") == 0


def test_a_job_whose_server_is_gone_says_so_when_it_runs(waiting: Site) -> None:
    waiting.job()
    with pytest.raises(psycopg.errors.ObjectInUse):
        waiting.database.query("SELECT outbound.drop_sftp_server('partner')")
    waiting.database.query("DELETE FROM outbound.sftp_server")
    assert waiting.run(code=1).json()["reason"] == "server_unknown"
    ((result, reason, message),) = waiting.activity("result, reason, message")
    assert (result, reason) == ("failure", "server_unknown")
    assert "partner" in message
    waiting.enter_server()
    succeeds(waiting)


def test_a_refused_connection_may_pass(waiting: Site) -> None:
    waiting.job()
    change = "SELECT outbound.alter_sftp_server('partner', %s)"
    port = processes.free_port()
    waiting.database.query(change, f"sftp://127.0.0.1:{port}{waiting.server.directory}")
    report = failed(waiting, "sftp_connect", code=75)
    assert f"127.0.0.1:{port}" in report["message"]
    assert "refused" in report["detail"]
    assert "firewalls" in report["hint"]
    # People are told as much.
    shown = waiting.worker.run("run", "job", code=75)
    assert f"  detail    {report['detail']}" in shown.stdout
    assert f"  hint      {report['hint']}" in shown.stdout
    assert report["detail"] in shown.stderr
    waiting.database.query(change, waiting.server.address)
    succeeds(waiting)


def test_a_name_without_address_is_a_server_that_cannot_be_reached(waiting: Site) -> None:
    waiting.job()
    waiting.database.query("SELECT outbound.alter_sftp_server('partner', 'sftp://nowhere.invalid/in')")
    assert "nowhere.invalid" in fails(waiting, "sftp_connect", code=75)


def test_a_server_that_is_no_sftp_server_is_named_as_such(waiting: Site) -> None:
    waiting.job()
    # PostgreSQL answers there, and not with an SSH greeting.
    address = f"sftp://127.0.0.1:{waiting.database.cluster.port}/in"
    waiting.database.query("SELECT outbound.alter_sftp_server('partner', %s)", address)
    assert "no SSH connection" in fails(waiting, "sftp_connect", code=75)


def test_a_wrong_host_key_ends_the_run_before_any_credentials_are_sent(waiting: Site) -> None:
    waiting.job()
    pin = "SELECT outbound.alter_sftp_server('partner', host_key_fingerprint => %s)"
    waiting.database.query(pin, FINGERPRINT)
    logged = len(waiting.server.log.read_text())
    report = failed(waiting, "sftp_hostkey")
    assert "no credentials were sent" in report["message"]
    assert f"pinned: {FINGERPRINT}" in report["detail"]
    assert waiting.server.host_key_fingerprint in report["detail"]
    assert "ask its owner" in report["hint"]
    log = waiting.server.log.read_text()[logged:]
    assert "Accepted" not in log
    assert "publickey" not in log
    waiting.database.query(pin, waiting.server.host_key_fingerprint)
    succeeds(waiting)


def test_without_a_pinned_host_key_the_message_shows_the_one_offered_and_how_to_pin_it(waiting: Site) -> None:
    waiting.job()
    pin = "SELECT outbound.alter_sftp_server('partner', host_key_fingerprint => %s)"
    waiting.database.query(pin, "")
    message = fails(waiting, "sftp_hostkey_unpinned")
    offered = waiting.server.host_key_fingerprint
    assert offered in message
    assert "outbound.alter_sftp_server" in message
    assert f"host_key_fingerprint => '{offered}'" in message
    waiting.database.query(pin, offered)
    succeeds(waiting)


def test_accept_new_pins_the_first_host_key_and_refuses_a_later_one(
    database: Database, tmp_path: Path, start_sftp_server: Start, worker_keys: Keys
) -> None:
    server = start_sftp_server()
    server.authorize(worker_keys.ssh)
    site = make_site(database, tmp_path / "worker", server, worker_keys, "in")
    site.enter_server("new", host_key_policy="accept_new")
    site.job(connection={"server": "new"})
    pinned = """SELECT host_key_fingerprint, host_key_first_seen_at IS NOT NULL
        FROM outbound.sftp_server WHERE name = 'new'"""
    assert database.query(pinned) == [(None, False)]
    site.put("contacts.csv", GOOD)
    succeeds(site)
    first = server.host_key_fingerprint
    assert database.query(pinned) == [(first, True)]
    server.stop()
    server.new_host_key()
    server.start()
    assert server.host_key_fingerprint != first
    site.put("contacts.csv", GOOD)
    site.run(code=1)
    assert site.activity()[-1] == ("failure", "sftp_hostkey")
    assert database.query(pinned) == [(first, True)]
    assert list(site.files()) == ["contacts.csv"]
    site.nothing_is_left()


def test_a_refused_key_says_which_key_the_server_must_have(
    database: Database, tmp_path: Path, start_sftp_server: Start, worker_keys: Keys
) -> None:
    server = start_sftp_server()
    site = make_site(database, tmp_path / "worker", server, worker_keys, "in")
    site.put("contacts.csv", GOOD)
    site.job()
    assert "refused the SSH key" in fails(site, "sftp_auth")
    server.authorize(worker_keys.ssh)
    succeeds(site)


def test_a_wrong_password_is_refused_and_shown_nowhere(with_password: Callable[[str], Site]) -> None:
    site = with_password("password")
    site.job(connection={"authentication": "password", "password_secret": "partner_password"})
    site.worker.secret("partner_password", "not the password of anybody")
    assert "refused the password" in fails(site, "sftp_auth")
    assert (
        site.database.value("SELECT count(*) FROM outbound.job_run AS r WHERE r::text ~ 'not the password'")
        == 0
    )
    site.worker.secret("partner_password", site.server.password)
    succeeds(site)


def test_key_and_password_are_both_needed_where_both_are_agreed(with_password: Callable[[str], Site]) -> None:
    site = with_password("key_and_password")
    site.job(connection={"authentication": "key_and_password", "password_secret": "partner_password"})
    site.worker.secret("partner_password", "wrong")
    assert "accepted the SSH key but refused the password" in fails(site, "sftp_auth")
    site.worker.secret("partner_password", site.server.password)
    succeeds(site)


@pytest.mark.parametrize(
    ("asked", "rules_say", "secret"),
    [
        ("key_and_password", "key", None),
        ("key_and_password", "password", "partner_password"),
        ("password", "key_and_password", "partner_password"),
        ("password", "key", None),
    ],
)
def test_a_server_that_asks_for_more_or_less_than_agreed_is_refused(
    with_password: Callable[[str], Site], asked: str, rules_say: str, secret: str | None
) -> None:
    site = with_password(asked)
    site.job(connection={"authentication": rules_say, "password_secret": secret})
    fails(site, "sftp_auth")


def test_a_missing_directory_is_named(waiting: Site) -> None:
    waiting.job(connection={"directory": "nowhere"})
    assert f"{waiting.server.directory}/nowhere" in fails(waiting, "sftp_path")


def test_a_file_in_place_of_the_directory_is_named(waiting: Site) -> None:
    waiting.job(connection={"directory": f"{waiting.folder}/contacts.csv"})
    assert "contacts.csv" in fails(waiting, "sftp_path")


def test_a_closed_directory_is_named(with_password: Callable[[str], Site]) -> None:
    site = with_password("password")
    site.job(connection={"authentication": "password", "password_secret": "partner_password"})
    site.directory.chmod(0o700)
    assert "does not permit" in fails(site, "sftp_path")
    site.directory.chmod(0o777)
    succeeds(site)


def test_a_file_that_is_closed_to_us_does_not_keep_the_others_from_being_imported(
    with_password: Callable[[str], Site],
) -> None:
    site = with_password("password")
    site.job(connection={"authentication": "password", "password_secret": "partner_password"})
    site.put("contacts closed.csv", GOOD, age=7200).chmod(0o600)
    finished = site.run(code=3)
    assert site.activity() == [("partial", "sftp_path")]
    assert site.ledger() == [("contacts closed.csv", "failed", "sftp_path"), ("contacts.csv", "done", None)]
    assert "contacts closed.csv" in finished.stdout
    assert list(site.files()) == ["contacts closed.csv"]
    assert site.lists() == {"contacts": 3}
    site.nothing_is_left()


def test_a_missing_folder_to_move_to_fails_the_run_but_imports_once(waiting: Site) -> None:
    waiting.job(files={"move_after_import_to": "done"})
    waiting.run(code=3)
    assert waiting.activity() == [("partial", "sftp_path")]
    assert waiting.lists() == {"contacts": 3}
    assert waiting.ledger("state, outcome") == [("published", None)]
    assert list(waiting.files()) == ["contacts.csv"]
    waiting.server.mkdir(f"{waiting.folder}/done")
    waiting.run()
    assert waiting.lists() == {"contacts": 3}
    assert waiting.ledger("state, outcome, moved_to") == [("done", "moved", "done/contacts.csv")]
    assert list(waiting.files()) == ["done", "done/contacts.csv"]
    waiting.nothing_is_left()


def test_a_missing_secret_says_where_it_belongs(with_password: Callable[[str], Site]) -> None:
    site = with_password("password")
    site.job(connection={"authentication": "password", "password_secret": "elsewhere"})
    assert "elsewhere" in fails(site, "secret_missing")
    variable = {"OUTBOUND_SECRET_ELSEWHERE": site.server.password}
    assert site.run(variables=variable).json()["result"] == "success"


def test_a_missing_key_says_how_to_make_one(waiting: Site) -> None:
    waiting.job()
    key = waiting.worker.secrets / "ssh_key"
    text = key.read_text()
    key.unlink()
    assert "ssh_key" in fails(waiting, "secret_missing")
    waiting.worker.secret("ssh_key", text)
    succeeds(waiting)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_may_read_is_not_used(with_password: Callable[[str], Site], mode: int) -> None:
    site = with_password("password")
    site.job(connection={"authentication": "password", "password_secret": "partner_password"})
    (site.worker.secrets / "partner_password").chmod(mode)
    assert f"mode {mode:o}" in fails(site, "secret_missing")
    (site.worker.secrets / "partner_password").chmod(0o600)
    succeeds(site)


def test_a_secret_folder_that_others_may_enter_is_not_used(waiting: Site) -> None:
    waiting.job()
    waiting.worker.secrets.chmod(0o755)
    finished = waiting.run(code=1)
    assert finished.stdout == ""
    assert "(secret_missing)" in finished.stderr
    assert f"chmod 700 {waiting.worker.secrets}" in finished.stderr
    assert waiting.activity() == []
    waiting.worker.secrets.chmod(0o700)
    succeeds(waiting)


def test_rules_that_hold_a_password_are_refused(site: Site) -> None:
    with pytest.raises(psycopg.Error, match=r"connection\.password"):
        site.job(connection={"password": "geheim"})


def test_a_server_with_outdated_algorithms_only_is_refused_by_their_name(
    database: Database, tmp_path: Path, start_sftp_server: Start, worker_keys: Keys
) -> None:
    server = start_sftp_server(options=("KexAlgorithms diffie-hellman-group14-sha1",))
    server.authorize(worker_keys.ssh)
    site = make_site(database, tmp_path / "worker", server, worker_keys, "in")
    site.job()
    site.put("contacts.csv", GOOD)
    fails(site, "sftp_algorithm")
