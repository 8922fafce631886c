"""The program as shells, DAGs and people meet it: exit codes, what goes to which output, how it finds its
database, and what it says about a set-up that is not right.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import processes
from support.cluster import Cluster, Database
from support.lists import create_list, set_up_account
from support.site import WORKER_ROLE, Keys, Site, copy_secrets, csv, make_site, people
from support.worker import Worker

GOOD = csv(*people("good", 3))


def only_json(text: str) -> Any:
    """Return the one JSON document that a program wrote, with nothing before or behind it."""
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return json.loads(text)


# --- exit codes and outputs -------------------------------------------------------------------------


def test_success_and_no_match_are_0_and_the_report_is_on_stdout_alone(site: Site) -> None:
    site.job()
    for content, result in ((GOOD, "success"), (None, "no_match")):
        if content:
            site.put("contacts.csv", content)
        finished = site.run(code=0)
        assert only_json(finished.stdout)["result"] == result
        assert '"run_id"' not in finished.stderr


def test_a_report_for_people_names_the_result_the_files_and_the_counts(site: Site) -> None:
    site.job()
    site.put("contacts.csv", csv(*people("good", 3), "few,fields"))
    text = site.worker.run("run", "job").stdout
    for part in (
        'job "job"',
        "success",
        "contacts.csv",
        "3 added",
        "1 rejected",
        "too_few_columns 1",
        "deleted",
    ):
        assert part in text


def test_a_failure_is_1_and_some_failed_files_are_3(site: Site) -> None:
    site.job()
    site.put("contacts bad.csv", b"")
    finished = site.run(code=1)
    assert only_json(finished.stdout)["reason"] == "file_empty"
    assert "(file_empty)" in finished.stderr
    site.put("contacts good.csv", GOOD)
    assert only_json(site.run(code=3).stdout)["result"] == "partial"


def test_a_disabled_and_a_running_job_are_4(site: Site) -> None:
    site.job()
    site.database.query("SELECT outbound.disable_job('job')")
    assert only_json(site.run(code=4).stdout)["reason"] == "job_disabled"
    site.database.query("SELECT outbound.enable_job('job')")
    site.put("contacts.csv", GOOD)
    with site.worker.start("run", "job", hold="list.before") as running:
        running.wait_until_held()
        assert only_json(site.run(code=4).stdout)["reason"] == "job_running"
        running.release()
        assert running.wait().code == 0
    assert site.activity("result") == [("skipped",), ("success",), ("skipped",)]


def test_a_cause_that_may_pass_is_75(site: Site) -> None:
    site.job()
    away = f"sftp://127.0.0.1:{processes.free_port()}/in"
    site.database.query("SELECT outbound.alter_sftp_server('partner', %s)", away)
    assert only_json(site.run(code=75).stdout)["reason"] == "sftp_connect"
    nobody = {"PGPORT": str(processes.free_port())}
    finished = site.run(code=75, variables=nobody)
    assert finished.stdout == ""
    assert "(database)" in finished.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run",),
        ("run", "job", "another"),
        ("run", "--every", "day", "job"),
        ("import", "file.csv"),
        ("import", "file.csv", "--list", "L", "--append", "all"),
        ("import", "file.csv", "--list", "L", "--require-signature"),
        ("keys", "show", "both"),
        ("serve", "--poll", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_shows_how_it_is_used(worker: Worker, arguments: tuple[str, ...]) -> None:
    finished = worker.run(*arguments, code=2)
    assert finished.stdout == ""
    assert "sage" in finished.stderr


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--contact", "Phone"),
        ("--contact", "Phone=phone"),
        ("--column", "Name"),
        ("--max-rejected", "many"),
        ("--delimiter", "x"),
        ("--contact", "Phone=pigeon:Voice"),
        ("--contact", "Phone=phone:Nowhere"),
        ("--identifier", "Nothing like it"),
    ],
)
def test_flags_that_make_no_rules_are_refused_before_anything_is_done(
    site: Site, tmp_path: Path, flag: str, value: str
) -> None:
    file = tmp_path / "local.csv"
    file.write_bytes(GOOD)
    given = ["import", str(file), "--list", "Local", "--contact", "E-mail=email:Post"]
    finished = site.worker.run(*given, flag, value, code=None)
    assert finished.code in (1, 2)
    assert finished.stdout == ""
    assert finished.stderr
    assert site.lists() == {}
    assert site.activity() == []


def test_an_import_of_what_is_no_file_is_refused(site: Site, tmp_path: Path) -> None:
    given = ["--list", "Local", "--contact", "E-mail=email:Post"]
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing.csv", ".", "pipe"):
        finished = site.worker.run("import", str(tmp_path / name), *given, code=1)
        assert "(not_regular_file)" in finished.stderr
    assert site.activity() == []


def test_an_unknown_job_is_1_and_named(site: Site) -> None:
    for more in ((), ("--dry-run",)):
        finished = site.worker.run("run", "nobody's job", *more, code=1)
        assert finished.stdout == ""
        assert "nobody's job" in finished.stderr


def test_a_closed_stdout_is_no_error(site: Site) -> None:
    script = '"$0" completions bash | head -n 1'
    binary = site.worker.start("--version").process.args[0]  # type: ignore[index]
    assert processes.run(["bash", "-o", "pipefail", "-c", script, str(binary)]).startswith("_outbound")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_command(worker: Worker, shell: str) -> None:
    script = worker.run("completions", shell).stdout
    for command in ("run", "serve", "import", "keys", "doctor", "completions"):
        assert command in script


def test_help_names_the_exit_codes(worker: Worker) -> None:
    assert "75 failed for a cause that may pass" in worker.run("--help").stdout
    assert worker.run("--version").stdout.startswith("outbound 0.")


# --- keys -------------------------------------------------------------------------------------------


def test_keys_are_made_once_shown_and_known_to_the_database(worker: Worker, database: Database) -> None:
    missing = worker.run("keys", "show", "ssh", code=1)
    assert "outbound keys init" in missing.stderr
    worker.run("keys", "init", "--account", "Acme")
    for kind, start in (("ssh", "ssh-rsa "), ("pgp", "-----BEGIN PGP PUBLIC KEY BLOCK-----")):
        shown = worker.run("keys", "show", kind).stdout.strip()
        assert shown.startswith(start)
        assert database.value("SELECT outbound.public_key(%s)", kind).strip() == shown
        document = only_json(worker.run("keys", "show", kind, "--json").stdout)
        assert document["public_key"].strip() == shown
        assert document["fingerprint"]
    modes = {path.name: path.stat().st_mode & 0o777 for path in worker.secrets.iterdir()}
    assert (modes["ssh_key"], modes["pgp_key"]) == (0o600, 0o600)
    before = {path.name: path.read_bytes() for path in worker.secrets.iterdir()}
    again = worker.run("keys", "init", code=None)
    assert {path.name: path.read_bytes() for path in worker.secrets.iterdir()} == before
    assert "PRIVATE" not in again.stdout + again.stderr


# --- doctor -----------------------------------------------------------------------------------------


def checks(worker: Worker, *, code: int, **variables: str) -> dict[str, Any]:
    """Return what doctor found, by check; its words for people must say the same."""
    found = only_json(worker.run("doctor", "--json", code=code, variables=variables).stdout)
    assert found["ok"] == (code == 0)
    text = worker.run("doctor", code=code, variables=variables).stdout
    assert ("FAIL" in text) == (code != 0)
    return {check["check"]: check for check in found["checks"]}


def failing(worker: Worker, **variables: str) -> dict[str, str]:
    """Return the checks that failed, with what doctor said and advised."""
    found = checks(worker, code=1, **variables)
    return {name: f"{check['said']} {check['hint']}" for name, check in found.items() if not check["ok"]}


def test_doctor_finds_nothing_wrong_with_a_whole_set_up(site: Site) -> None:
    found = checks(site.worker, code=0)
    assert {"database", "versions", "ssh key", "pgp key", "libssh2", "spool"} <= set(found)
    assert WORKER_ROLE in found["database"]["said"]
    assert list(site.worker.spool.glob("worker-*")) == []


def test_doctor_finds_that_the_database_is_away(site: Site) -> None:
    assert list(failing(site.worker, PGPORT=str(processes.free_port()))) == ["database"]
    assert list(failing(site.worker, PGDATABASE="nowhere")) == ["database"]


def test_doctor_finds_that_the_extension_is_missing(
    empty_database: Database, tmp_path: Path, worker_keys: Keys
) -> None:
    worker = Worker(tmp_path / "worker", empty_database)
    copy_secrets(worker_keys, worker)
    assert "CREATE EXTENSION pg_outbound" in failing(worker)["versions"]


def test_doctor_finds_that_the_role_may_not_work(site: Site) -> None:
    with site.database.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS outbound_test_nobody")
        connection.execute("CREATE ROLE outbound_test_nobody LOGIN")
    found = failing(site.worker, PGUSER="outbound_test_nobody")
    assert "GRANT outbound_worker" in found["versions"]


@pytest.mark.parametrize(("file", "check"), [("ssh_key", "ssh key"), ("pgp_key", "pgp key")])
def test_doctor_finds_keys_that_are_missing_open_or_broken(site: Site, file: str, check: str) -> None:
    key = site.worker.secrets / file
    key.chmod(0o644)
    assert "chmod 600" in failing(site.worker)[check]
    text = key.read_text()
    site.worker.secret(file, "no key at all")
    assert list(failing(site.worker)) == [check]
    key.unlink()
    assert list(failing(site.worker)) == [check]
    site.worker.secret(file, text)
    checks(site.worker, code=0)


def test_doctor_finds_an_open_secret_folder_and_an_open_spool(site: Site) -> None:
    site.worker.secrets.chmod(0o750)
    assert set(failing(site.worker)) == {"ssh key", "pgp key"}
    site.worker.secrets.chmod(0o700)
    site.worker.spool.chmod(0o755)
    assert "chmod 700" in failing(site.worker)["spool"]


def test_doctor_finds_a_spool_that_cannot_be_one(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert list(failing(site.worker, OUTBOUND_SPOOL=str(tmp_path / "file" / "spool"))) == ["spool"]


# --- the database's address -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """A cluster that asks for a password, offers TLS, and has room for few locks."""
    few = {"max_locks_per_transaction": "10", "max_connections": "20"}
    with Cluster(password="a b'c\\d:e", tls=True, settings=few) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def guarded_database(guarded: Cluster) -> Database:
    """A database there."""
    return guarded.create_database(extension=True)


@pytest.fixture
def client(guarded_database: Database, tmp_path: Path, worker_keys: Keys) -> Worker:
    """A worker that knows where the guarded database is, but not the password."""
    worker = Worker(tmp_path / "worker", guarded_database)
    copy_secrets(worker_keys, worker)
    worker.variables = {"PGPASSWORD": "", "HOME": str(tmp_path)}
    return worker


def connected(worker: Worker, *arguments: str, **variables: str) -> bool:
    """Say whether doctor reaches the database."""
    found = worker.run("doctor", "--json", *arguments, code=None, variables=variables).json()
    return bool(found["checks"][0]["ok"])


def passfile(folder: Path, cluster: Cluster, mode: int = 0o600) -> str:
    """Write a password file as libpq reads it."""
    file = folder / "passfile"
    password = (cluster.password or "").replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"# a comment\nelsewhere:*:*:*:wrong\n127.0.0.1:{cluster.port}:*:postgres:{password}\n")
    file.chmod(mode)
    return str(file)


def test_the_password_comes_from_pgpassword_or_a_private_pgpassfile(
    client: Worker, guarded: Cluster, tmp_path: Path
) -> None:
    assert not connected(client)
    assert connected(client, PGPASSWORD=guarded.password or "")
    assert not connected(client, PGPASSWORD="wrong")
    assert connected(client, PGPASSFILE=passfile(tmp_path, guarded))
    finished = client.run("doctor", code=1, variables={"PGPASSFILE": passfile(tmp_path, guarded, mode=0o644)})
    assert "chmod 600" in finished.stderr
    Path(passfile(tmp_path, guarded)).rename(tmp_path / ".pgpass")
    assert connected(client)


def test_the_database_can_be_named_by_url_key_words_or_variables(
    client: Worker, guarded: Cluster, guarded_database: Database
) -> None:
    client.variables |= {"PGPASSWORD": guarded.password or "", "PGPORT": "1", "PGHOST": "nowhere.invalid"}
    name, port = guarded_database.name, guarded.port
    assert not connected(client)
    assert connected(client, "--database", f"postgresql://postgres@127.0.0.1:{port}/{name}")
    assert connected(client, "--database", f"host=127.0.0.1 port={port} dbname='{name}' user=postgres")
    assert connected(client, "--database", f"postgres:///{name}?host={guarded.socket_folder}&port={port}")
    assert connected(client, OUTBOUND_DATABASE=f"host=nowhere.invalid,127.0.0.1 port=1,{port}")
    assert not connected(client, "--database", f"host=127.0.0.1 port={port} nonsense=1")


def test_tls_is_verified_as_far_as_sslmode_says(client: Worker, guarded: Cluster, tmp_path: Path) -> None:
    client.variables |= {"PGPASSWORD": guarded.password or ""}
    authority = {"PGSSLROOTCERT": str(guarded.certificate_authority)}
    stranger = tmp_path / "stranger.crt"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    make += ["-subj", "/CN=Stranger", "-days", "2", "-keyout", str(tmp_path / "key"), "-out", str(stranger)]
    processes.run(make)
    for mode in ("disable", "allow", "prefer", "require"):
        assert connected(client, PGSSLMODE=mode), mode
    for mode in ("verify-ca", "verify-full"):
        assert connected(client, PGSSLMODE=mode, **authority), mode
        assert not connected(client, PGSSLMODE=mode, PGSSLROOTCERT=str(stranger)), mode
        assert not connected(client, PGSSLMODE=mode, PGSSLROOTCERT=str(tmp_path / "missing")), mode
    assert not connected(client, PGSSLMODE="sometimes")
    # The certificate is for localhost and 127.0.0.1, not for 127.0.0.2, where the server does not listen
    # under a name of its own: libpq's hostaddr connects there and still checks the name.
    misnamed = {"PGHOST": "another.example", "PGHOSTADDR": "127.0.0.1"}
    assert connected(client, PGSSLMODE="verify-ca", **authority, **misnamed)
    assert not connected(client, PGSSLMODE="verify-full", **authority, **misnamed)


def test_no_password_appears_in_any_message(client: Worker, guarded: Cluster) -> None:
    password = guarded.password or ""
    verbose = {"OUTBOUND_LOG": "trace", "PGPASSWORD": password}
    for more in ({}, {"PGDATABASE": "nowhere"}, {"PGSSLMODE": "sometimes"}, {"PGPORT": "1"}):
        finished = client.run("doctor", code=None, variables=verbose | more)
        assert password not in finished.stdout + finished.stderr


def test_doctor_finds_too_little_room_for_locks(
    client: Worker, guarded: Cluster, guarded_database: Database
) -> None:
    client.variables |= {"PGPASSWORD": guarded.password or ""}
    set_up_account(guarded_database)
    assert checks(client, code=0)["locks"]["ok"]
    for number in range(50):
        create_list(guarded_database, f"list {number}")
    assert "max_locks_per_transaction" in failing(client)["locks"]


# --- serve ------------------------------------------------------------------------------------------


def test_serve_is_woken_by_notify_and_stops_on_sigterm(site: Site) -> None:
    site.job()
    with site.worker.start("serve", "--poll", "3600") as serving:
        listening = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
        )
        processes.wait_until(lambda: site.database.value(listening, WORKER_ROLE) == 1, "the worker to listen")
        for number in range(2):
            time.sleep(0.5)  # it waits for a notification now, and for nothing else within the hour
            site.put("contacts.csv", GOOD)
            site.database.query("SELECT outbound.run_now('job')")
            processes.wait_until(lambda n=number: len(site.lists()) == n + 1, "the run to end")
        assert site.database.value("SELECT outbound.public_key('ssh')").startswith("ssh-")
        ended = serving.terminate()
    assert ended.code == 0
    assert ended.stdout == ""
    assert site.activity() == [("success", None)] * 2
    site.nothing_is_left()


def test_serve_ends_the_run_under_way_before_it_stops(site: Site) -> None:
    site.job()
    site.put("contacts.csv", GOOD)
    site.database.query("SELECT outbound.run_now('job')")
    with site.worker.start("serve", hold="publish.before") as serving:
        serving.wait_until_held()
        serving.process.terminate()
        time.sleep(0.5)
        assert serving.process.poll() is None
        serving.release()
        ended = serving.wait()
    assert ended.code == 0
    assert site.activity() == [("success", None)]
    site.nothing_is_left()


def test_run_waits_for_the_end_of_a_run_that_a_daemon_took(site: Site) -> None:
    site.job()
    site.put("contacts.csv", GOOD)
    with site.worker.start("serve", "--poll", "1"):
        finished = site.run()
        assert finished.json()["result"] == "success"
    assert site.lists() == {"contacts": 3}


# --- trace ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", [None, "trace"], ids=["as installed", "everything logged"])
def test_the_trace_switch_logs_each_step_of_the_connection_and_no_secret(site: Site, log: str | None) -> None:
    site.job("quiet")
    site.job("traced", connection={"trace": True})
    variables = {} if log is None else {"OUTBOUND_LOG": log}
    logs = {}
    for job in ("quiet", "traced"):
        site.put("contacts.csv", GOOD)
        logs[job] = site.run(job, variables=variables).stderr
    for step in ("connecting", "host key SHA256:", "accepted the SSH key", "listed", "fetched", "removed"):
        assert step in logs["traced"]
        assert (step in logs["quiet"]) == (log is not None)
    key = [line for line in (site.worker.secrets / "ssh_key").read_text().splitlines() if "-----" not in line]
    for text in logs.values():
        assert all(line not in text for line in key)


def test_a_traced_password_is_in_no_log_and_no_table(
    start_sftp_server: Any, database: Database, tmp_path: Path, worker_keys: Keys
) -> None:
    server = start_sftp_server(authentication="password")
    site = make_site(database, tmp_path / "worker", server, worker_keys, "in")
    site.worker.secret("partner_password", server.password)
    site.job(connection={"authentication": "password", "password_secret": "partner_password", "trace": True})
    site.put("contacts.csv", GOOD)
    finished = site.run(variables={"OUTBOUND_LOG": "trace"})
    assert "accepted the password" in finished.stderr
    dump = tmp_path / "dump"
    database.dump(dump, "--compress=0")
    for text in (finished.stdout, finished.stderr, dump.read_text(errors="replace"), server.log.read_text()):
        assert server.password not in text
