"""A throw-away GnuPG home: the partner who encrypts and signs files for the worker.

GnuPG is the other implementation that our OpenPGP must get along with, so the tests never use ours
for both sides.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from support import processes


@dataclass
class Gpg:
    """A GnuPG home with keys of its own; a context manager, `remove` by hand too."""

    #: Short and outside the checkout: the agent's socket is in it, and socket paths are limited.
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        """Make the home; it holds no key yet."""
        self.home = Path(tempfile.mkdtemp(prefix="outbound-gpg-"))
        processes.at_end(self.remove)

    def make_key(self, name: str, *, algorithm: str = "future-default", expires: str = "never") -> str:
        """Make a key without a passphrase and return its fingerprint.

        `algorithm` and `expires` are GnuPG's own: "future-default" (ed25519, cv25519), "rsa4096", …;
        "never", "1d", "seconds=1", …
        """
        self.run("--passphrase", "", "--quick-generate-key", name, algorithm, "default", expires)
        return self.fingerprint(name)

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of the first primary key that matches `name`."""
        listing = self.run("--with-colons", "--list-keys", name).decode()
        return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))

    def import_key(self, key: bytes | str) -> None:
        """Import public or secret keys, armoured or not."""
        self.run("--import", content=key.encode() if isinstance(key, str) else key)

    def export_public(self, name: str) -> str:
        """Return a public key, armoured."""
        return self.run("--armor", "--export", name).decode()

    def export_secret(self, name: str) -> str:
        """Return a secret key, armoured."""
        return self.run("--armor", "--export-secret-keys", name).decode()

    def encrypt(
        self,
        content: bytes | Path,
        recipients: str | Sequence[str],
        *,
        sign_as: str | None = None,
        armor: bool = False,
        arguments: Sequence[str] = (),
    ) -> bytes:
        """Encrypt for the recipients (names or fingerprints), signing as well if asked to."""
        command = [*arguments, "--encrypt"]
        for recipient in [recipients] if isinstance(recipients, str) else recipients:
            command += ["--recipient", recipient]
        return self._seal(command, content, sign_as, armor)

    def sign(self, content: bytes | Path, sign_as: str, *, armor: bool = False) -> bytes:
        """Sign without encrypting (an OpenPGP message, not a detached signature)."""
        return self._seal(["--sign"], content, sign_as, armor)

    def encrypt_file(self, source: Path, target: Path, recipient: str, *arguments: str) -> None:
        """Encrypt a file to a file, for contents too large to hold in memory."""
        self.run(*arguments, "--output", str(target), "--encrypt", "--recipient", recipient, str(source))

    def decrypt(self, content: bytes) -> bytes:
        """Decrypt with the secret keys of this home; a bad signature fails."""
        return self.run("--decrypt", content=content)

    def run(self, *arguments: str, content: bytes | None = None) -> bytes:
        """Run gpg in this home and return its standard output."""
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet"]
        # Keys here were made or imported by the test: who trusts whom is not the question.
        command += ["--trust-model", "always", "--pinentry-mode", "loopback"]
        done = subprocess.run([*command, *arguments], input=content, capture_output=True, check=False)
        if done.returncode != 0:
            complaint = done.stderr.decode(errors="replace").rstrip()
            raise RuntimeError(f"gpg {' '.join(arguments)}: exit {done.returncode}\n{complaint}")
        return done.stdout

    def remove(self) -> None:
        """End the home's agent and remove its keys."""
        if self.home.exists():
            stop = ["gpgconf", "--homedir", str(self.home), "--kill", "all"]
            subprocess.run(stop, capture_output=True, check=False)
        processes.remove(self.home)

    def __enter__(self) -> Self:
        """Return the home itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the home's agent and remove its keys."""
        self.remove()

    def _seal(self, command: Sequence[str], content: bytes | Path, sign_as: str | None, armor: bool) -> bytes:
        arguments = list(command)
        if sign_as:
            arguments = ["--local-user", sign_as, "--sign", *arguments]
        if armor:
            arguments = ["--armor", *arguments]
        return self.run(*arguments, content=content.read_bytes() if isinstance(content, Path) else content)
