"""Throw-away PostgreSQL clusters of major 15 or 18, on a Unix socket and a free loop-back port.

with Cluster(18, preload=["pg_outbound"]) as cluster:
    database = cluster.create_database("lists", extension=True)
    with database.connect() as connection: ...
"""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from support import build, paths, processes

SUPERUSER = "postgres"
# The kernel's limit for a socket's path is 107 bytes, and PostgreSQL's file name takes some of it.
_LONGEST_SOCKET_FOLDER = 85
_QUICK_AND_QUIET = {
    # A crash of the server process keeps what was written; only a crash of the machine would not.
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "log_line_prefix": "%m [%p] %d ",
    "log_min_messages": "warning",
    "max_connections": "60",
    "shared_buffers": "128MB",
}
_numbers = count(1)


@dataclass
class Database:
    """One database of a running cluster."""

    cluster: "Cluster"
    name: str

    def conninfo(self, **more: str | int) -> str:
        """Return libpq key words for a TCP connection as superuser; `user="…"` and others override."""
        return self.cluster.conninfo(dbname=self.name, **more)

    def environment(self, user: str = SUPERUSER) -> dict[str, str]:
        """Return the `PG…` variables that lead libpq programs here."""
        return self.cluster.environment(self.name, user)

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        """Open a connection; statements commit by themselves unless `autocommit=False` is given."""
        return psycopg.connect(self.conninfo(), **({"autocommit": True} | more))

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own and return its rows (none: an empty list)."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *parameters: object) -> Any:
        """Run one statement and return the first column of its first row."""
        return self.query(statement, *parameters)[0][0]

    def psql(self, script: str, *arguments: str) -> str:
        """Run a script in psql, stopping at its first error, and return what it printed."""
        command = [self.cluster.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments]
        return processes.run(command, text=script, env=paths.environment() | self.environment())

    def dump(self, file: Path, *arguments: str) -> None:
        """Write a dump in pg_dump's custom format."""
        command = [self.cluster.program("pg_dump"), "-Fc", "-f", file, *arguments, self.name]
        processes.run(command, env=paths.environment() | self.environment())

    def restore(self, file: Path, *arguments: str) -> None:
        """Restore a custom-format dump into this (empty) database; the first error ends it."""
        restore = self.cluster.program("pg_restore")
        command = [restore, "--exit-on-error", "-d", self.name, *arguments, file]
        processes.run(command, env=paths.environment() | self.environment())


@dataclass
class Cluster:
    """A PostgreSQL server with data of its own. A context manager; `start` and `remove` by hand too."""

    major: int = 15
    preload: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    #: Asked of TCP connections when set; connections over the socket never need one.
    password: str | None = None
    #: Offer TLS with a certificate for 127.0.0.1 and localhost, signed by `certificate_authority`.
    tls: bool = False
    #: "debug" or "release": how the extension is built when a database asks for it.
    profile: build.Profile = "debug"

    port: int = field(default=0, init=False)
    folder: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Make the data folder; the server is not started yet."""
        account = processes.server_account()
        self.folder = Path(tempfile.mkdtemp(prefix=f"cluster-{self.major}-", dir=paths.server_data()))
        processes.at_end(self.remove)
        if processes.is_root():
            shutil.chown(self.folder, account, account)
        self.socket_folder = self.folder
        if len(bytes(self.folder)) > _LONGEST_SOCKET_FOLDER:
            self.socket_folder = Path(tempfile.mkdtemp(prefix="outbound-socket-"))
            if processes.is_root():
                shutil.chown(self.socket_folder, account, account)
        self._initdb()
        if self.tls:
            self._make_certificates()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    @property
    def certificate_authority(self) -> Path:
        """The certificate to trust when `tls` is on (`sslrootcert`)."""
        return self.folder / "ca.crt"

    def program(self, name: str) -> Path:
        """Return the path of one of this major's programs (`psql`, `pg_dump`, …)."""
        return paths.postgres(self.major) / "bin" / name

    def conninfo(self, **more: str | int) -> str:
        """Return libpq key words for a TCP connection as superuser to `postgres`, or as overridden."""
        here: dict[str, str | int] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": SUPERUSER,
            "dbname": "postgres",
        }
        if self.password is not None:
            here["password"] = self.password
        return make_conninfo("", **(here | more))

    def environment(self, database: str, user: str = SUPERUSER) -> dict[str, str]:
        """Return the `PG…` variables that lead libpq programs to a database of this cluster."""
        here = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": user,
            "PGDATABASE": database,
        }
        return here if self.password is None else here | {"PGPASSWORD": self.password}

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        """Open a connection to the database `postgres`."""
        return Database(self, "postgres").connect(**more)

    def start(self) -> None:
        """Start the server (again) and wait until it takes connections; recovery is waited for.

        It keeps the port it had, so that clients find it again.
        """
        for _ in range(5):
            self.port = self.port or processes.free_port()
            with self.log.open("ab") as log:
                self._process = processes.start(
                    [self.program("postgres"), "-D", self.data, *self._options()],
                    account=processes.server_account(),
                    stdout=log,
                    stderr=log,
                    at_death=signal.SIGINT,
                )
            processes.wait_until(self._settled, f"PostgreSQL {self.major} to start, see {self.log}", 120)
            if self._process.poll() is None:
                return
            if "Address already in use" not in self.log.read_text(errors="replace"):
                break
            self.port = 0
        raise RuntimeError(f"PostgreSQL {self.major} did not start:\n{self.log_tail()}")

    def stop(self) -> None:
        """Shut down in order; open connections are cut ("fast")."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End without a checkpoint ("immediate"), so that the next start recovers from the journal."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Stop the server if it runs, and remove its data."""
        self.crash()
        processes.remove(self.folder)
        processes.remove(self.socket_folder)

    def create_database(
        self, name: str | None = None, *, template: str | None = None, extension: bool = False
    ) -> Database:
        """Create a database, by default with a name of its own; `extension` installs pg_outbound in it."""
        database = Database(self, name or f"test_{next(_numbers)}")
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database.name))
        if template:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self.connect() as connection:
            connection.execute(statement)
        if extension:
            build.install_extension(self.major, self.profile)
            database.query("CREATE EXTENSION pg_outbound CASCADE")
        return database

    def drop_database(self, name: str) -> None:
        """Drop a database and cut whoever is connected to it."""
        with self.connect() as connection:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server and remove its data."""
        self.remove()

    def _initdb(self) -> None:
        command = [self.program("initdb"), "-D", self.data, "-U", SUPERUSER, "-E", "UTF8"]
        command += ["--locale=C.UTF-8", "-N", "--auth-local=trust"]
        if self.password is None:
            command.append("--auth-host=trust")
        else:
            secret = self.folder / "password"
            secret.write_text(self.password)
            secret.chmod(0o644)
            command += ["--auth-host=scram-sha-256", f"--pwfile={secret}"]
        processes.run(command, account=processes.server_account())

    def _make_certificates(self) -> None:
        """Make an authority and a server certificate, as the server's own user, valid for two days."""
        account = processes.server_account()
        here = self.folder
        openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl += ["-nodes", "-days", "2"]
        authority = ["-subj", "/CN=Test authority", "-keyout", str(here / "ca.key")]
        processes.run([*openssl, *authority, "-out", str(self.certificate_authority)], account=account)
        server = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        server += ["-addext", "basicConstraints=critical,CA:FALSE"]
        server += ["-CA", str(self.certificate_authority), "-CAkey", str(here / "ca.key")]
        server += ["-keyout", str(here / "server.key"), "-out", str(here / "server.crt")]
        processes.run([*openssl, *server], account=account)
        self.certificate_authority.chmod(0o644)

    def _options(self) -> list[str]:
        settings = _QUICK_AND_QUIET | {
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_folder),
        }
        if self.preload:
            settings["shared_preload_libraries"] = ",".join(self.preload)
        if self.tls:
            settings |= {
                "ssl": "on",
                "ssl_cert_file": str(self.folder / "server.crt"),
                "ssl_key_file": str(self.folder / "server.key"),
            }
        settings |= self.settings
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _settled(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return True
        try:
            psycopg.connect(self.conninfo(host=str(self.socket_folder)), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
