"""How the program finds its database, and what `outbound doctor` says about a set-up that is not right."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import processes
from support.cluster import Cluster, Database
from support.lists import create_list, set_up_account
from support.site import WORKER_ROLE, Keys, Site, copy_secrets
from support.worker import Worker


def checks(worker: Worker, *, code: int, **variables: str) -> dict[str, Any]:
    """Return what doctor found, by check; its words for people must say the same."""
    found = json.loads(worker.run("doctor", "--json", code=code, variables=variables).stdout)
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
    assert {"database", "versions", "ssh key", "pgp key", "libssh2", "spool", "rights"} <= set(found)
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
    assert "GRANT outbound_worker" in found["rights"]


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
