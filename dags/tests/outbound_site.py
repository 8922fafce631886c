"""A database with one job for every way a run can end, and the worker that runs them.

Jobs read the folders of a real SSH server on loop-back, which the tests fill.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from support.cluster import Cluster, Database
from support.sshd import SftpServer
from support.worker import Running, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTACTS = b"id,name,phone\n1,Ada Lovelace,+4930901820\n2,Grace Hopper,+4930901821\n"
# Lacks the columns that the jobs ask for.
ANOTHER_SHAPE = b"colour,shade,price\nred,dark,12\n"

#: Airflow's user of the database: what the README asks for, and nothing more.
ROLE = "airflow_test"


@dataclass
class Site:
    """The running parts, and the names of jobs by how their runs end."""

    database: Database
    sftp_server: SftpServer
    worker: Worker
    #: `skipped`, at once and without a worker.
    disabled: str = "Disabled"
    #: `failure`, reason `sftp_connect`.
    failing: str = "Unreachable server"
    #: `no_match`.
    finding_nothing: str = "Nothing to do"
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def importing(self) -> str:
        """Put a good file on the server and name a job whose run ends in `success`."""
        return self._job_with_files(**{"contacts.csv": CONTACTS})

    def importing_partly(self) -> str:
        """Put a good and a useless file on the server; the run of the job named ends in `partial`."""
        return self._job_with_files(**{"contacts.csv": CONTACTS, "prices.csv": ANOTHER_SHAPE})

    def serve(self) -> Running:
        """Start `outbound serve`."""
        return self.worker.start("serve")

    def prepare(self) -> None:
        """Enter what all tests share: keys, a role, servers, jobs that need no file of their own."""
        self.worker.run("keys", "init")
        self.sftp_server.authorize(self.worker.run("keys", "show", "ssh").stdout)
        self.database.query(f"CREATE ROLE {ROLE} LOGIN IN ROLE outbound_operator")
        self.database.query("SELECT outbound.create_inbox('Voice', 'call')")
        self.database.query(
            "SELECT outbound.create_sftp_server('partner', %s, %s)",
            self.sftp_server.address,
            self.sftp_server.host_key_fingerprint,
        )
        # The discard port, where nothing listens.
        self.database.query(
            "SELECT outbound.create_sftp_server('nowhere', 'sftp://127.0.0.1:9/',"
            " host_key_policy => 'accept_new')"
        )
        self.sftp_server.mkdir("nothing")
        self._create_job(self.finding_nothing, "partner", "nothing")
        self._create_job(self.disabled, "partner", "nothing")
        self.database.query("SELECT outbound.disable_job(%s)", self.disabled)
        self._create_job(self.failing, "nowhere", "")

    def _job_with_files(self, **files: bytes) -> str:
        folder = f"import_{next(self._numbers)}"
        self.sftp_server.mkdir(folder)
        for name, content in files.items():
            # A row of its own: the same content twice would be recognised and not imported again.
            own_row = f"{folder},Someone Else,+4930901822\n".encode()
            self.sftp_server.put(f"{folder}/{name}", content + own_row)
        self._create_job(folder, "partner", folder)
        return folder

    def _create_job(self, name: str, server: str, directory: str) -> None:
        rules = {
            "action": "import_file",
            "connection": {
                "server": server,
                "user": self.sftp_server.user,
                "authentication": "key",
                "directory": directory,
            },
            "files": {"operation": "ends_with", "name": ".csv"},
            "append_type": "new_list_only",
            "target_list": f"Contacts of {name}",
            "columns": [
                {"name": "id"},
                {"name": "name"},
                {"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}},
            ],
            "identifier": "id",
            "contact_name": "name",
        }
        self.database.query("SELECT outbound.create_job(%s, %s)", name, json.dumps(rules))


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Start a database server and an SSH server, and prepare them."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        database = cluster.create_database(extension=True)
        site = Site(database, stack.enter_context(SftpServer()), Worker(folder, database))
        site.prepare()
        yield site
