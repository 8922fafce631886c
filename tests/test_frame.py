"""The parts that all other tests stand on: servers start, answer, and leave nothing behind."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from support.cluster import Cluster, Database
from support.gpg import Gpg
from support.sshd import SftpServer


def sftp(server: SftpServer, batch: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["sftp", "-F", "none", "-P", str(server.port)]
    # The first word on an option counts, and -b implies BatchMode: ours come before it.
    for option in (*options, "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"):
        command += ["-o", option]
    command += ["-b", "-", f"{server.user}@127.0.0.1"]
    return subprocess.run(command, input=batch, capture_output=True, text=True, check=False, timeout=60)


def test_a_cluster_of_each_major_answers(each_cluster: Cluster) -> None:
    with each_cluster.connect() as connection:
        assert connection.info.server_version // 10000 == each_cluster.major


def test_a_database_survives_dump_and_restore(each_cluster: Cluster, tmp_path: Path) -> None:
    source, target = each_cluster.create_database(), each_cluster.create_database()
    source.psql("CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (7);")
    source.dump(tmp_path / "dump")
    target.restore(tmp_path / "dump")
    assert target.value("SELECT id FROM kept") == 7


def test_a_crashed_cluster_keeps_what_was_committed() -> None:
    with Cluster(settings={"fsync": "off"}) as cluster:
        Database(cluster, "postgres").query("CREATE TABLE kept AS SELECT 7 AS id")
        cluster.crash()
        cluster.start()
        assert Database(cluster, "postgres").value("SELECT id FROM kept") == 7


def test_a_stopped_cluster_leaves_neither_process_nor_file() -> None:
    with Cluster() as cluster:
        folder = cluster.folder
        assert folder.exists()
    assert not folder.exists()
    listed = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert listed.stdout == ""


def test_a_cluster_can_ask_for_a_password_over_verified_tls() -> None:
    with Cluster(password="open sesame", tls=True) as cluster:
        root = str(cluster.certificate_authority)
        conninfo = cluster.conninfo(sslmode="verify-full", sslrootcert=root)
        with psycopg.connect(conninfo) as connection:
            question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert connection.execute(question).fetchone() == (True,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(cluster.conninfo(password="wrong"))


def test_the_sftp_server_takes_an_authorised_key(sftp_server: SftpServer, tmp_path: Path) -> None:
    sftp_server.put("offered.csv", b"id\n1\n")
    fetched = tmp_path / "fetched.csv"
    key = (f"IdentityFile={sftp_server.private_key}", "IdentitiesOnly=yes")
    done = sftp(sftp_server, f"get offered.csv {fetched}\nrm offered.csv\n", *key)
    assert done.returncode == 0, done.stderr + sftp_server.log.read_text()
    assert fetched.read_bytes() == b"id\n1\n"
    assert list(sftp_server.directory.iterdir()) == []


def test_the_sftp_server_refuses_another_key(sftp_server: SftpServer, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", stranger], check=True)
    done = sftp(sftp_server, "ls\n", f"IdentityFile={stranger}", "IdentitiesOnly=yes")
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("authentication", ["password", "key_and_password"])
def test_the_sftp_server_asks_for_a_password(
    authentication: str,
    start_sftp_server: Callable[..., SftpServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start_sftp_server(authentication=authentication)
    server.put("offered.csv", b"id\n1\n")
    answer = tmp_path / "answer"
    answer.write_text(f"#!/bin/sh\necho '{server.password}'\n")
    answer.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(answer))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    key = (f"IdentityFile={server.private_key}", "IdentitiesOnly=yes", "BatchMode=no")
    done = sftp(server, "rename offered.csv taken.csv\n", *key)
    assert done.returncode == 0, done.stderr + server.log.read_text()
    assert [file.name for file in server.directory.iterdir()] == ["taken.csv"]
    without_key = sftp(server, "ls\n", "PubkeyAuthentication=no", "BatchMode=no")
    assert (without_key.returncode == 0) == (authentication == "password")


def test_the_host_key_fingerprint_is_the_one_openssh_prints(sftp_server: SftpServer) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", sftp_server.folder / "host_key.pub"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sftp_server.host_key_fingerprint == shown.stdout.split()[1]


def test_killed_sessions_end_and_a_stopped_server_comes_back(sftp_server: SftpServer) -> None:
    port = sftp_server.port
    options = ("-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    command = ["sftp", "-q", *options, "-i", str(sftp_server.private_key), "-P", str(port)]
    session = subprocess.Popen(
        [*command, f"{sftp_server.user}@127.0.0.1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert session.stdin is not None
    assert session.stdout is not None
    session.stdin.write("pwd\n")
    session.stdin.flush()
    assert "Remote working directory" in session.stdout.readline() + session.stdout.readline()
    assert len(sftp_server.sessions()) == 1
    sftp_server.kill_sessions()
    session.communicate("ls\n", timeout=30)
    assert session.returncode != 0
    sftp_server.stop()
    sftp_server.start()
    assert sftp_server.port == port


def test_gnupg_reads_back_what_it_encrypted_and_signed(gpg_partner: Gpg) -> None:
    with Gpg() as receiver:
        receiver.make_key("receiver")
        gpg_partner.import_key(receiver.export_public("receiver"))
        receiver.import_key(gpg_partner.export_public("partner"))
        message = gpg_partner.encrypt(b"id\n1\n", "receiver", sign_as="partner", armor=True)
        assert message.startswith(b"-----BEGIN PGP MESSAGE-----")
        assert receiver.decrypt(message) == b"id\n1\n"
        with pytest.raises(RuntimeError, match="No secret key"):
            gpg_partner.decrypt(message)
