"""The pytest fixtures over the other modules. A test names the parts it needs and gets them running.

`cluster` is one server for the whole session (major 15, or what `--postgres` says); `each_cluster`
runs a test on both majors; `database` is a new database with the extension, copied from a template in
a fraction of a second. A test that stops, crashes or reconfigures a server makes a `Cluster` of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, Database
from support.gpg import Gpg
from support.site import Keys, Site, make_site
from support.sshd import SftpServer
from support.worker import Worker

MAJORS = (15, 18)
TEMPLATE = "outbound_template"
_numbers = count(1)


class Clusters:
    """The session's clusters, each started when a test first asks for its major."""

    def __init__(self, stack: ExitStack) -> None:
        """Keep the stack that ends them."""
        self._stack = stack
        self._running: dict[int, Cluster] = {}

    def __getitem__(self, major: int) -> Cluster:
        """Return the cluster of a major."""
        if major not in self._running:
            self._running[major] = self._stack.enter_context(Cluster(major))
        return self._running[major]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the PostgreSQL major."""
    parser.addoption(
        "--postgres",
        type=int,
        choices=MAJORS,
        default=MAJORS[0],
        help="major version of the fixture `cluster` (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Return the session's clusters by major."""
    with ExitStack() as stack:
        yield Clusters(stack)


@pytest.fixture(scope="session")
def cluster(clusters: Clusters, pytestconfig: pytest.Config) -> Cluster:
    """Return the session's cluster; databases in it are the tests' own, its settings are not."""
    return clusters[pytestconfig.getoption("--postgres")]


@pytest.fixture(params=MAJORS, ids=[f"postgres-{major}" for major in MAJORS])
def each_cluster(request: pytest.FixtureRequest, clusters: Clusters) -> Cluster:
    """Return the session's cluster of each major in turn."""
    return clusters[request.param]


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[Database]:
    """Return a new database without the extension."""
    yield from _own(cluster.create_database())


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """Return a new database with the extension."""
    yield from _own(copy_template(cluster))


@pytest.fixture
def each_database(each_cluster: Cluster) -> Iterator[Database]:
    """Return a new database with the extension, on each major in turn."""
    yield from _own(copy_template(each_cluster))


@pytest.fixture
def start_sftp_server() -> Iterator[Callable[..., SftpServer]]:
    """Return a function that starts an SFTP server with the options of `SftpServer`."""
    with ExitStack() as stack:

        def start(**options: Any) -> SftpServer:
            return stack.enter_context(SftpServer(**options))

        yield start


@pytest.fixture
def sftp_server(start_sftp_server: Callable[..., SftpServer]) -> SftpServer:
    """Return a running SFTP server that takes keys."""
    return start_sftp_server()


@pytest.fixture(scope="session")
def gpg_partner() -> Iterator[Gpg]:
    """Return the partner's GnuPG home, with a key called `partner` to sign with."""
    with Gpg() as gpg:
        gpg.make_key("partner")
        yield gpg


@pytest.fixture
def worker(database: Database, tmp_path: Path) -> Worker:
    """Return the worker set up for the test's database; it has no keys yet."""
    return Worker(tmp_path / "worker", database)


@pytest.fixture(scope="session")
def worker_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Return keys of a worker, made once because that takes seconds."""
    maker = Worker(tmp_path_factory.mktemp("keys"))
    maker.run("keys", "init")
    return Keys(maker.secrets)


@pytest.fixture(scope="module")
def partner_server(worker_keys: Keys) -> Iterator[SftpServer]:
    """Return one SFTP server for a module, which lets the holder of `worker_keys` in."""
    with SftpServer() as server:
        server.authorize(worker_keys.ssh)
        yield server


@pytest.fixture
def site(database: Database, tmp_path: Path, partner_server: SftpServer, worker_keys: Keys) -> Site:
    """Return a database, a worker with keys, and a folder of the test's own on the module's server."""
    return make_site(database, tmp_path / "worker", partner_server, worker_keys, f"in-{next(_numbers)}")


def copy_template(cluster: Cluster) -> Database:
    """Create a database with the extension by copying one that has it, made at the first call."""
    with cluster.connect() as connection:
        known = connection.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", [TEMPLATE])
        if known.fetchone() is None:
            cluster.create_database(TEMPLATE, extension=True)
            # A connection to a template, a background worker's too, would block every copy.
            connection.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
    return cluster.create_database(template=TEMPLATE)


def _own(database: Database) -> Iterator[Database]:
    yield database
    database.cluster.drop_database(database.name)
