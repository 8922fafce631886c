"""The program as shells, DAGs and people meet it: exit codes, outputs, keys, the daemon, logs."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from support import processes
from support.cluster import Database
from support.site import WORKER_ROLE, Keys, Site, csv, make_site, people
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
def test_wrong_usage_is_2_and_leads_to_the_help(worker: Worker, arguments: tuple[str, ...]) -> None:
    finished = worker.run(*arguments, code=2)
    assert finished.stdout == ""
    assert "--help" in finished.stderr or "Usage:" in finished.stderr


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--contact", "Phone"),
        ("--contact", "Phone=phone"),
        ("--column", "Name"),
        ("--max-rejected", "many"),
        ("--delimiter", "x"),
        ("--contact", "Phone=pigeon:Voice"),
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


@pytest.mark.parametrize(
    ("flag", "value", "reason", "named"),
    [
        ("--contact", "Phone=phone:Nowhere", "rule", "Nowhere"),
        ("--contact", "Fax=phone:Voice", "header_missing", "Fax"),
        ("--identifier", "Nothing like it", "header_missing", "Nothing like it"),
    ],
)
def test_flags_that_name_what_is_not_there_fail_the_import_and_say_what(
    site: Site, tmp_path: Path, flag: str, value: str, reason: str, named: str
) -> None:
    file = tmp_path / "local.csv"
    file.write_bytes(GOOD)
    given = ["import", str(file), "--list", "Local", "--contact", "E-mail=email:Post", flag, value]
    report = only_json(site.worker.run(*given, "--json", code=1).stdout)
    assert report["reason"] == reason
    assert named in report["message"]
    assert site.activity() == [("failure", reason)]
    assert site.lists() == {}
    site.nothing_is_left()


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


def test_a_reader_that_goes_away_is_no_error(worker: Worker) -> None:
    # The reader has ended before the program starts to write.
    script = 'mkfifo pipe; exec 3<>pipe; exec 4>pipe; exec 3<&-; "$0" completions bash >&4'
    with worker.start("--version") as running:
        binary = running.process.args[0]  # type: ignore[index]
        running.wait()
    processes.run(["bash", "-c", script, str(binary)], cwd=worker.folder)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_command(worker: Worker, shell: str) -> None:
    script = worker.run("completions", shell).stdout
    for command in ("run", "serve", "import", "keys", "doctor", "completions"):
        assert command in script


def test_help_names_the_exit_codes(worker: Worker) -> None:
    assert "75 failed for a cause that may pass" in worker.run("--help").stdout
    assert worker.run("--version").stdout.startswith("outbound 0.")


# --- signals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_ended_at_once_and_can_be_run_again(site: Site, which: signal.Signals) -> None:
    site.job()
    site.put("contacts.csv", GOOD)
    with site.worker.start("run", "job", "--json", hold="fetch.middle") as running:
        running.wait_until_held()
        running.process.send_signal(which)
        ended = running.wait()
    assert ended.code == 75
    report = only_json(ended.stdout)
    assert (report["result"], report["reason"]) == ("failure", "interrupted")
    assert which.name in report["message"]
    assert site.activity() == [("failure", "interrupted")]
    assert site.ledger() == [("contacts.csv", "failed", "interrupted")]
    assert list(site.files()) == ["contacts.csv"]
    site.nothing_is_left()
    assert site.run().json()["result"] == "success"
    assert site.lists() == {"contacts": 3}


def test_an_interrupted_import_is_ended_at_once(site: Site, tmp_path: Path) -> None:
    open_runs = "SELECT count(*) FROM outbound.job_run WHERE state <> 'finished'"
    file = tmp_path / "local.csv"
    file.write_bytes(GOOD)
    given = ("import", str(file), "--list", "Local", "--contact", "E-mail=email:Post", "--json")
    with site.database.connect() as other:
        # The import cannot enter its file as long as this transaction lasts.
        other.execute("BEGIN")
        other.execute("LOCK TABLE outbound.import_file IN ACCESS EXCLUSIVE MODE")
        with site.worker.start(*given) as running:
            processes.wait_until(lambda: site.database.value(open_runs) == 1, "the run to begin")
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            other.execute("ROLLBACK")
            ended = running.wait()
    assert ended.code == 75
    assert only_json(ended.stdout)["reason"] == "interrupted"
    assert site.database.value(open_runs) == 0
    assert "Local" not in site.lists()


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
    private, public = ((site.worker.secrets / name).read_text() for name in ("ssh_key", "ssh_key.pub"))
    # The private key's file holds the public half too, which may be shown.
    secret = [line for line in private.splitlines() if "-----" not in line and line not in public]
    assert len(secret) > 20
    for text in logs.values():
        assert [line for line in secret if line in text] == []


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
