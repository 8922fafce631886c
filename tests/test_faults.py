"""Whatever happens to a run, the next one ends with exactly the contacts of an undisturbed import: none
lost, none twice, the remote file in one place, nothing half-made left, every try in the activity
(architecture §4).

The worker is held at each step boundary and in the middle of steps (worker/src/fault.rs), and killed
there, or its database, its SFTP connection or its disk is taken away.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import disturbed, processes
from support.cluster import Cluster
from support.disturbed import FILE, MOVED, Case, Parts, Try, Way
from support.gpg import Gpg
from support.site import Keys
from support.sshd import SftpServer

POINTS = (
    "list.before",
    "list.after",
    "fetch.before",
    "fetch.middle",
    "fetch.after",
    "stage.before",
    "stage.middle",
    "stage.after",
    "publish.before",
    "publish.middle",
    "publish.after",
    "dispose.before",
    "dispose.middle",
    "dispose.after",
    "finish.before",
)
NEW = Way()
WAYS = (NEW, Way(moves=True), Way("append_and_update"), Way("flush_and_append", moves=True))
# What differs between the ways are the tables of the load, its publication, and the remote file's end.
DECISIVE = tuple(point for point in POINTS if point.startswith(("publish.", "dispose.")))
EVERYWHERE = [
    *[(point, NEW) for point in POINTS],
    *[(point, WAYS[1]) for point in DECISIVE if point.startswith("dispose.")],
    *[(point, way) for way in WAYS[2:] for point in DECISIVE],
]

SUCCESS: Try = ("success", None)
NOTHING_LEFT_TO_LOAD: Try = ("no_match", None)

Open = Callable[[Way], Case]


def cases(*those: tuple[str, Way]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("point", "way"), those, ids=[f"{point}-{way}" for point, way in those])


@pytest.fixture(scope="module")
def parts(
    pytestconfig: pytest.Config,
    partner_server: SftpServer,
    worker_keys: Keys,
    gpg_partner: Gpg,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Parts]:
    with Cluster(pytestconfig.getoption("--postgres")) as cluster:
        folder = tmp_path_factory.mktemp("parts")
        yield disturbed.prepare(cluster, partner_server, worker_keys, gpg_partner, folder)


@pytest.fixture
def open_case(parts: Parts, tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda way: stack.enter_context(disturbed.open_case(parts, way, tmp_path))


def published_before(point: str) -> bool:
    return POINTS.index(point) >= POINTS.index("publish.after")


def is_as_undisturbed(case: Case, tmp_path: Path) -> None:
    """Check everything that must hold however a run was disturbed, once the next one has ended."""
    assert case.outcome() == case.parts.undisturbed(case.way, tmp_path)
    assert case.remote() == ([MOVED] if case.way.moves else [])
    assert [state for state, _, _ in case.ledger()].count("done") == 1
    assert {state for state, _, _ in case.ledger()} <= {"done", "failed"}
    assert case.database.value("SELECT count(*) FROM outbound.job_run WHERE state <> 'finished'") == 0
    assert case.spooled() == []
    case.maintain()
    assert case.half_made() == []
    results = [result for result, _ in case.tries()]
    lost = sum(reason == "worker_lost" for _, reason in case.tries())
    assert case.counters() == (
        results.count("success"),
        results.count("failure") + results.count("partial") - lost,
    )


def next_run_ends_it(case: Case, first: Try, tmp_path: Path, *, published: bool) -> None:
    """Run the job again, unless the disturbed run came to a good end, and check everything."""
    assert case.tries() == [first]
    expected = [first]
    if first != SUCCESS:
        case.run()
        expected.append(NOTHING_LEFT_TO_LOAD if published else SUCCESS)
    assert case.tries() == expected
    is_as_undisturbed(case, tmp_path)


@cases(*EVERYWHERE, *[(point, Way("append_and_update")) for point in ("stage.middle", "stage.after")])
def test_killed_worker(open_case: Open, tmp_path: Path, point: str, way: Way) -> None:
    case = open_case(way)
    with case.start(hold=point) as held:
        held.wait_until_held()
        held.kill()
    before = case.database.value("SELECT count(*) FROM outbound.list WHERE name = 'Newcomers'")
    assert before == (published_before(point) and way.target == "Newcomers")
    case.end_lease()
    case.run()
    assert case.tries() == [("failure", "worker_lost"), SUCCESS]
    # It was gone when somebody looked again: the worker died between removing it and saying so.
    outcome = "gone" if point == "dispose.middle" else "moved" if way.moves else "deleted"
    assert case.ledger() == [("done", outcome, None)]
    is_as_undisturbed(case, tmp_path)


@cases(*EVERYWHERE)
def test_terminated_database_connections(open_case: Open, tmp_path: Path, point: str, way: Way) -> None:
    case = open_case(way)
    with case.start(hold=point) as held:
        held.wait_until_held()
        case.cut_database_connections()
        held.release()
        ended = held.wait()
    published = published_before(point)
    if point in ("dispose.after", "finish.before"):
        # Everything was done and said; only the end of the run goes over a new connection.
        first: Try = SUCCESS
    else:
        first = ("partial" if published else "failure", "database")
    assert ended.code == {"success": 0, "partial": 3, "failure": 75}[first[0]], ended.stderr
    next_run_ends_it(case, first, tmp_path, published=published)


@cases(
    *[(point, NEW) for point in POINTS],
    *[(point, Way("append_and_update", moves=True)) for point in POINTS[POINTS.index("publish.after") : -1]],
    ("dispose.before", Way("flush_and_append", moves=True)),
    ("dispose.middle", Way("flush_and_append", moves=True)),
)
def test_dropped_sftp_connection(
    open_case: Open, partner_server: SftpServer, tmp_path: Path, point: str, way: Way
) -> None:
    case = open_case(way)
    with case.start(hold=point) as held:
        held.wait_until_held()
        partner_server.kill_sessions()
        held.release()
        held.wait()
    match point:
        case "list.before" | "list.after" | "fetch.before":
            first, published = ("failure", "sftp_connect"), False
        case "fetch.middle":
            # In the middle of the bytes, or between them and the last look at the file.
            (first,), published = case.tries(), False
            assert first in [("failure", "sftp_partial"), ("failure", "sftp_connect")]
        case "dispose.middle" | "dispose.after" | "finish.before":
            first, published = SUCCESS, True
        case _:
            # The file is in the spool: it is loaded all the same, and disposed of by the next run.
            first, published = ("partial", "sftp_connect"), True
    next_run_ends_it(case, first, tmp_path, published=published)


@cases(*[(point, way) for point in DECISIVE[:3] for way in (NEW, *WAYS[2:])])
def test_crashed_database_server(open_case: Open, parts: Parts, tmp_path: Path, point: str, way: Way) -> None:
    case = open_case(way)
    # A copy of a database shares the sequences' values that were logged in advance; only a checkpoint
    # makes a crash of the copy keep its own.
    case.database.query("CHECKPOINT")
    with case.start(hold=point) as held:
        held.wait_until_held()
        parts.cluster.crash()
        parts.cluster.start()
        held.release()
        held.wait()
    published = published_before(point)
    first = ("partial" if published else "failure", "database")
    next_run_ends_it(case, first, tmp_path, published=published)


@cases(*[(point, NEW) for point in DECISIVE[:3]])
def test_crashed_database_server_that_is_away_for_longer(
    open_case: Open, parts: Parts, tmp_path: Path, point: str, way: Way
) -> None:
    case = open_case(way)
    case.database.query("CHECKPOINT")
    with case.start(hold=point) as held:
        held.wait_until_held()
        parts.cluster.crash()
        held.release()
        ended = held.wait()
    parts.cluster.start()
    assert ended.code == 75, ended.stderr
    case.end_lease()
    case.run()
    assert case.tries() == [("failure", "worker_lost"), SUCCESS]
    is_as_undisturbed(case, tmp_path)


@cases(
    ("fetch.before", NEW),
    ("fetch.middle", NEW),
    ("stage.before", NEW),
    ("stage.middle", NEW),
    ("fetch.before", Way("append_and_update", moves=True)),
    ("stage.middle", Way("append_and_update", moves=True)),
)
def test_full_spool(open_case: Open, tmp_path: Path, point: str, way: Way) -> None:
    case = open_case(way)
    with disturbed.small_disk(case.worker.spool, 4 << 20):
        with case.start(hold=point) as held:
            held.wait_until_held()
            filler = disturbed.fill(case.worker.spool)
            held.release()
            ended = held.wait()
        assert ended.code == 75, ended.stderr
        assert case.remote() == [FILE]
        assert case.ledger() == [("failed", None, "storage")]
        filler.unlink()
        next_run_ends_it(case, ("failure", "storage"), tmp_path, published=False)


@pytest.mark.parametrize("way", [NEW, *WAYS[2:]], ids=str)
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_tampered_file(open_case: Open, tmp_path: Path, place: str, way: Way) -> None:
    case = open_case(way)
    before = case.database.query("SELECT name, total, updated_at FROM outbound.list_status")
    content = bytearray(case.parts.sealed)
    content[{"start": 0, "middle": len(content) // 2, "end": -1}[place]] ^= 0x80
    case.put(bytes(content))
    for _ in range(2):
        case.run(code=1)
        assert case.remote() == [FILE]
        assert (case.folder / FILE).read_bytes() == content
        assert case.half_made() == []
    reason = "not_encrypted" if place == "start" else "pgp_integrity"
    assert case.tries() == [("failure", reason)] * 2
    assert case.database.query("SELECT name, total, updated_at FROM outbound.list_status") == before
    assert case.database.value("SELECT count(*) FROM outbound.rejected_row") == 0

    case.put()
    case.run()
    assert case.tries() == [("failure", reason)] * 2 + [SUCCESS]
    is_as_undisturbed(case, tmp_path)


@cases(
    *[(point, NEW) for point in POINTS if point not in ("list.before", "fetch.middle")],
    ("stage.middle", WAYS[2]),
    *[("publish.middle", way) for way in WAYS[2:]],
)
def test_worker_that_comes_back_after_its_lease(
    open_case: Open, tmp_path: Path, point: str, way: Way
) -> None:
    case = open_case(way)
    with case.start(hold=point) as frozen:
        frozen.wait_until_held()
        frozen.process.send_signal(signal.SIGSTOP)
        case.end_lease()
        if point == "stage.middle" and way.target == "People":
            # The list waits for a transaction that nobody ends; the file stays for the run after.
            case.run(code=1)
            expected = [("failure", "worker_lost"), ("failure", "list_busy")]
        else:
            case.run()
            expected = [("failure", "worker_lost"), SUCCESS]
        assert case.tries() == expected
        case.maintain()
        before = case.everything()
        frozen.release()
        frozen.process.send_signal(signal.SIGCONT)
        assert frozen.wait().code == 1
    case.maintain()
    assert case.everything() == before
    if expected[-1] != SUCCESS:
        case.run()
    is_as_undisturbed(case, tmp_path)


def test_worker_whose_heart_beat_is_refused_stops_by_itself(open_case: Open, tmp_path: Path) -> None:
    case = open_case(NEW)
    with case.start(hold="stage.middle") as held:
        held.wait_until_held()
        case.end_lease()
        case.run()
        case.maintain()
        before = case.everything()
        # It beats every twenty seconds, also while the load does not move.
        ended = held.wait(30)
    assert ended.code == 1
    assert "another owner" in ended.stderr
    case.maintain()
    assert case.everything() == before
    # The thread that is held keeps the spool; the next start removes it.
    case.run()
    assert case.tries() == [("failure", "worker_lost"), SUCCESS, NOTHING_LEFT_TO_LOAD]
    is_as_undisturbed(case, tmp_path)


def test_lost_heart_beat_connection_ends_the_run_though_it_holds_locks(
    open_case: Open, tmp_path: Path
) -> None:
    case = open_case(NEW)
    with case.start(hold="publish.before") as held, case.database.connect(autocommit=False) as other:
        held.wait_until_held()
        # Publishing waits for whoever looks at the lists, with the run's own row locked.
        other.execute("LOCK TABLE outbound.list IN SHARE MODE")
        held.release()
        processes.wait_until(case.waits_for_a_lock, "the worker to publish")
        case.cut_database_connections("state = 'idle'")
        ended = held.wait(40)
        other.rollback()
    assert ended.code == 75, ended.stderr
    next_run_ends_it(case, ("failure", "database"), tmp_path, published=False)


def test_file_that_came_after_the_lease_is_not_taken_for_the_one_that_was_loaded(
    open_case: Open,
) -> None:
    case = open_case(NEW)
    listed = (case.folder / FILE).stat()
    with case.start(hold="dispose.before") as frozen:
        frozen.wait_until_held()
        case.end_lease()
        case.run()
        assert case.remote() == []
        # The partner sends it once more, and its time is kept: it looks as it did in the listing.
        os.utime(case.put(), ns=(listed.st_atime_ns, listed.st_mtime_ns))
        frozen.release()
        assert frozen.wait().code == 1
    assert case.remote() == [FILE]


def test_two_workers_at_one_queue(open_case: Open, tmp_path: Path) -> None:
    case = open_case(NEW)
    other = disturbed.copy_of(case.worker, tmp_path / "other")
    with case.worker.start("serve", hold="publish.middle") as first:
        case.database.query("SELECT outbound.run_now(%s)", disturbed.JOB)
        first.wait_until_held()
        with other.start("serve", "--poll", "1") as second:
            case.run(code=4)
            time.sleep(2.5)
            assert case.tries() == [("running", None), ("skipped", "job_running")]
            first.release()
            processes.wait_until(lambda: case.tries()[0] == SUCCESS, "the run to end")
            assert first.terminate().code == 0
            assert second.terminate().code == 0
    assert case.tries() == [SUCCESS, ("skipped", "job_running")]
    is_as_undisturbed(case, tmp_path)


def test_the_middle_of_staging_is_in_the_middle_of_both_copies(open_case: Open, tmp_path: Path) -> None:
    case = open_case(NEW)
    whole = case.parts.undisturbed(NEW, tmp_path).records[0]
    shown = "SELECT count(*), max(tuples_processed) FROM pg_stat_progress_copy"
    with case.start(hold="stage.middle") as held:
        held.wait_until_held()
        processes.wait_until(lambda: (case.database.query(shown)[0][1] or 0) > 0, "rows to come")
        copies, rows = case.database.query(shown)[0]
    assert copies == 2
    assert 0 < rows < whole
