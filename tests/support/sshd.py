"""A throw-away OpenSSH server that speaks SFTP only, on 127.0.0.1 and a free port.

Two people can log in. `user`, who runs the tests, with a key; and `PASSWORD_USER`, a system account
that `.ci/setup.sh account` makes, whose password is new in each server and locked again afterwards
(checking passwords takes a server that runs as root: it is started by sudo when the tests are not).
Both start in `directory`, where remote paths are relative to; `address` is its URL.
"""

import base64
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from support import paths, processes

PASSWORD_USER = "outbound-sftp-test"
Authentication = Literal["key", "password", "key_and_password"]
_METHODS = {"key": "publickey", "password": "password", "key_and_password": "publickey,password"}


@dataclass
class SftpServer:
    """An SFTP server with one way to log in. A context manager; `start` and `remove` by hand too."""

    authentication: Authentication = "key"
    #: Type of the host key, as ssh-keygen names it.
    host_key_type: str = "ed25519"
    #: Further lines for sshd_config, for example "Ciphers aes128-ctr".
    options: tuple[str, ...] = ()

    port: int = field(default=0, init=False)
    password: str = field(default="", init=False)
    folder: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Make keys and the served folder; the server is not started yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="sftp-", dir=paths.server_data()))
        processes.at_end(self.remove)
        self.folder.chmod(0o755)
        self.directory.mkdir()
        # Either person may log in, and both must be able to take files away.
        self.directory.chmod(0o777)
        for name, kind in (("host_key", self.host_key_type), ("user_key", "ed25519")):
            processes.run(["ssh-keygen", "-q", "-N", "", "-C", name, "-t", kind, "-f", self.folder / name])
        self._authorized.write_text("")
        self._authorized.chmod(0o644)
        self.authorize(self.private_key.with_suffix(".pub").read_text())

    @property
    def directory(self) -> Path:
        """The folder in which sessions start; put files here."""
        return self.folder / "files"

    @property
    def private_key(self) -> Path:
        """A private key that may log in from the start."""
        return self.folder / "user_key"

    @property
    def user(self) -> str:
        """The account to log in as."""
        if self.authentication == "key":
            return pwd.getpwuid(os.geteuid()).pw_name
        return PASSWORD_USER

    @property
    def address(self) -> str:
        """The served folder as `sftp://host:port/path`."""
        return f"sftp://127.0.0.1:{self.port}{self.directory}"

    @property
    def host_key_fingerprint(self) -> str:
        """The host key's fingerprint as OpenSSH prints it: `SHA256:` and unpadded base64."""
        key = base64.b64decode((self.folder / "host_key.pub").read_text().split()[1])
        digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    def authorize(self, public_key: str) -> None:
        """Let the holder of this key (a line as in `id_….pub`) log in."""
        with self._authorized.open("a") as file:
            file.write(public_key.strip() + "\n")

    def mkdir(self, name: str) -> Path:
        """Make a folder below `directory` that whoever logs in may change."""
        folder = self.directory / name
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return folder

    def put(self, name: str, content: bytes | Path, *, age: float = 3600) -> Path:
        """Put a file there, complete from the first moment it is seen, last changed `age` seconds ago."""
        place = self.directory / name
        arriving = self.folder / f"arriving-{secrets.token_hex(4)}"
        if isinstance(content, Path):
            shutil.copyfile(content, arriving)
        else:
            arriving.write_bytes(content)
        arriving.chmod(0o666)
        changed = arriving.stat().st_mtime - age
        os.utime(arriving, (changed, changed))
        return arriving.rename(place)

    def new_host_key(self) -> None:
        """Give the server another host key; it takes effect with the next start."""
        for file in self.folder.glob("host_key*"):
            file.unlink()
        key = self.folder / "host_key"
        processes.run(["ssh-keygen", "-q", "-N", "", "-t", self.host_key_type, "-f", key])

    def start(self) -> None:
        """Start the server (again), on the port it had before if it had one."""
        if self.authentication != "key":
            self.password = secrets.token_urlsafe(18)
            processes.run_as_root(["chpasswd"], text=f"{PASSWORD_USER}:{self.password}\n")
        if self._by_sudo or processes.is_root():
            processes.run_as_root(["mkdir", "-p", "/run/sshd"])
        sudo = ["sudo", "-n"] if self._by_sudo else []
        for _ in range(5):
            self.port = self.port or processes.free_port()
            (self.folder / "sshd_config").write_text(self._configuration())
            self._process = processes.start(
                [*sudo, "/usr/sbin/sshd", "-D", "-f", self.folder / "sshd_config", "-E", self.log]
            )
            processes.wait_until(self._settled, f"sshd to start, see {self.log}")
            if self._process.poll() is None:
                return
            self.port = 0
        raise RuntimeError(f"sshd did not start:\n{self.log.read_text()}")

    def sessions(self) -> list[int]:
        """Return the process ids of the open sessions (children of the server)."""
        if self._process is None:
            return []
        if not self._by_sudo:
            return _children(self._process.pid)
        # What we started is sudo, and the server is its child.
        return [session for server in _children(self._process.pid) for session in _children(server)]

    def kill_sessions(self) -> None:
        """Cut every open session at once, as a failing network or a restarted server would."""
        for session in self.sessions():
            for pid in (*_children(session), session):
                self._kill(pid)

    def stop(self) -> None:
        """Stop the server and cut its sessions; `start` brings it back on the same port."""
        if self._process is None:
            return
        self.kill_sessions()
        if self._process.poll() is None:
            # sudo passes the signal on.
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        self._process = None
        if self.authentication != "key":
            processes.run_as_root(["passwd", "-q", "-l", PASSWORD_USER])

    def remove(self) -> None:
        """Stop the server and remove its files."""
        self.stop()
        processes.remove(self.folder)

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
        """Stop the server and remove its files."""
        self.remove()

    @property
    def _authorized(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def _by_sudo(self) -> bool:
        return self.authentication != "key" and not processes.is_root()

    def _kill(self, pid: int) -> None:
        if self._by_sudo:
            # It may have ended by itself since it was listed; then kill finds nothing to do.
            subprocess.run(["sudo", "-n", "kill", "-KILL", str(pid)], capture_output=True, check=False)
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _configuration(self) -> str:
        lines = [
            *self.options,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host_key'}",
            f"AuthorizedKeysFile {self._authorized}",
            f"PidFile {self.folder / 'pid'}",
            f"AuthenticationMethods {_METHODS[self.authentication]}",
            f"AllowUsers {self.user}",
            f"PasswordAuthentication {'no' if self.authentication == 'key' else 'yes'}",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UsePAM no",
            # The files are the test's own, below folders whose modes are not sshd's business.
            "StrictModes no",
            "LogLevel VERBOSE",
            "Subsystem sftp internal-sftp",
            f"ForceCommand internal-sftp -d {self.directory}",
        ]
        return "\n".join(lines) + "\n"

    def _settled(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return True
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]
