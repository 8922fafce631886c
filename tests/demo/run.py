"""`make demo`: an encrypted file on an SFTP server becomes a contact list, and dialers work it.

Every part is real: a PostgreSQL with the extension, an OpenSSH server, GnuPG as the partner, the worker
in its release build. All of it is made for the demonstration and gone afterwards. What the imports
report is compared with what the generator of the files knows it put in.
"""

import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg.types.json import Jsonb

from demo import queries
from demo.story import Story
from support import contacts, paths, people
from support.cluster import Cluster
from support.gpg import Gpg
from support.sshd import SftpServer
from support.worker import Worker

ROWS = 100_000
CHANGES = 10_000
ATTEMPTS = 23_000
NEW, UPDATE = "new customers", "changes"


class Demonstration:
    """The parts, and the chapters of the story in their order."""

    def __init__(self, stack: ExitStack) -> None:
        """Start the parts."""
        self.story = Story(bold=sys.stdout.isatty())
        cluster = stack.enter_context(Cluster(profile="release"))
        self.database = cluster.create_database("shop", extension=True)
        self.server = stack.enter_context(SftpServer())
        self.partner = stack.enter_context(Gpg())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-", dir=paths.scratch()))
        self.folder = Path(folder)
        self.worker = Worker(self.folder / "worker", self.database, user="loader", profile="release")
        self.database.query("CREATE ROLE loader LOGIN IN ROLE outbound_worker")
        self.dialer = Worker(self.folder / "dialer", self.database, user="dialer", profile="release")
        self.database.query("CREATE ROLE dialer LOGIN IN ROLE outbound_dialer")

    def tell(self) -> None:
        """Tell the whole story."""
        self.set_up()
        first = self.first_file()
        self.look_closer(first)
        self.same_file_again()
        self.update(first)
        self.question()
        self.campaign()
        self.look_back()

    def set_up(self) -> None:
        """Keys, inboxes, the server, two jobs."""
        self.story.chapter(
            "Set-up",
            "The worker makes its keys, and the database knows their public halves. An administrator "
            "enters the account, the inboxes, the partner's SFTP server with its host key, and a job.",
        )
        answer = self.worker.run("keys", "init").stdout
        self.story.shell("outbound keys init", answer.replace(str(self.worker.secrets), "~/.config/outbound"))
        self.server.authorize(self.database.value("SELECT outbound.public_key('ssh')"))
        self.server.mkdir("done")
        server = queries.SERVER.format(port=self.server.port, fingerprint=self.server.host_key_fingerprint)
        for statement in (queries.ACCOUNT, queries.INBOXES, server):
            self.story.typed(statement)
            self.database.query(statement)
        self.story.typed(queries.JOB.format(user=self.server.user))
        self.create_job(NEW, "new_list_only", {"name": "customers", "ignore_duplicates": True})
        self.create_job(UPDATE, "append_and_update", {"name": "changes", "move_after_import_to": "done"})

    def first_file(self) -> contacts.Expected:
        """The partner sends the file, the job runs, and the list is there."""
        file = self.folder / "customers.csv"
        expected = contacts.write(file, ROWS, flaws=contacts.FLAWS)
        self.story.chapter(
            "The file",
            f"The partner has {ROWS:,} rows: people of {len(people.COUNTRIES)} countries, two phones and an "
            f"e-mail each, {sum(contacts.FLAWS.values()) / 10:.0f} % of the rows wrong in some way. GnuPG "
            "encrypts the file for the worker's key, it goes to the SFTP server, and the job runs.",
        )
        self.partner.import_key(self.database.value("SELECT outbound.public_key('pgp')"))
        self.story.shell("psql -Atc \"SELECT outbound.public_key('pgp')\" | gpg --import")
        self.seal(file, "customers.gpg")
        self.send("customers.gpg")
        self.run(NEW)
        self.story.sql(self.database, queries.COUNTERS)
        self.story.sql(self.database, queries.ACTIVITY)
        return expected

    def look_closer(self, expected: contacts.Expected) -> None:
        """What was refused or reported, and three contacts with their records."""
        self.story.chapter("What was wrong", "All of it is kept with line and text; the rest went on.")
        self.story.sql(self.database, queries.REJECTS)
        self.compare(expected)
        self.story.chapter("Three contacts", "Their records hold phones in E.164, however the file has them.")
        self.story.sql(self.database, queries.CONTACTS)

    def same_file_again(self) -> None:
        """The same content under another name."""
        self.story.chapter("The same file again", "Under another name, but the job knows it by its content.")
        self.send("customers-2.gpg")
        self.run(NEW)

    def update(self, first: contacts.Expected) -> None:
        """A file with changed and new contacts."""
        file = self.folder / "changes.csv"
        known = range(1, CHANGES // 2 + 1)
        expected = contacts.write(file, CHANGES, flaws=contacts.FLAWS, known=known, first=first.contacts + 1)
        self.story.chapter(
            "An update",
            f"{CHANGES:,} rows, half of them known; append_and_update replaces what differs and adds what "
            "is new. This job moves its file to done/ instead of deleting it.",
        )
        self.seal(file, "changes.gpg")
        self.send("changes.gpg")
        self.run(UPDATE)
        self.story.sql(self.database, queries.FILES)
        self.compare(expected)

    def question(self) -> None:
        """A question over the list, as a BI user would put it."""
        self.story.chapter("A question", "Ordinary tables with real types, so any BI tool can ask.")
        self.story.sql(self.database, queries.QUESTION)

    def campaign(self) -> None:
        """A campaign on the list, and two dialers that work it."""
        self.story.chapter(
            "A campaign",
            "It calls those who owe more than 1,900, in office hours and not too often. Two simulated "
            "dialers work it, by a clock that starts on Monday and moves on when nobody is due.",
        )
        self.story.typed(queries.LIMITS)
        self.database.query(queries.LIMITS)
        self.story.typed(queries.CALENDAR)
        calendar = "SELECT outbound.create_calendar('office', 'Europe/London', %s)"
        self.database.query(calendar, queries.HOURS)
        for statement in (queries.CAMPAIGN, queries.START):
            self.story.typed(statement)
            self.database.query(statement)
        self.story.sql(self.database, queries.PROGRESS)
        typed = (
            "dial --campaign Debts --simulate --dialers 2 --name desk --seed 7 --start --callback 0.2 "
            f"--clock {monday()} --tick 1800 --limit {ATTEMPTS}"
        )
        report = self.dialer.run(*typed.split()).stdout
        self.story.shell(f"outbound {typed}".replace(" --start", " \\\n      --start"), report, lines=7)
        self.story.sql(self.database, queries.PROGRESS)
        logged, differences = self.database.value(queries.LOGGED), self.database.value(queries.DIFFERENCES)
        if (logged, differences) != (ATTEMPTS, 0):
            raise RuntimeError(f"{logged} attempts are in the log, and {differences} differences in the list")
        self.clock = report.rsplit(maxsplit=1)[-1]
        self.story.say(
            f"The log has {logged:,} attempts, and check_consistency('Customers') finds no difference "
            "between what the list stores and what follows from its records."
        )

    def look_back(self) -> None:
        """What befell a contact, and why it is not called now."""
        self.story.chapter("One of them", "What befell a contact, and why it is not called now.")
        contact = self.database.value(queries.WORTH_A_LOOK, self.clock)
        self.story.sql(self.database, queries.HISTORY.format(contact=contact))
        self.story.sql(self.database, queries.EXPLANATION.format(contact=contact, at=self.clock))

    def create_job(self, name: str, append_type: str, files: dict[str, object]) -> None:
        """Create a job that looks into the directory where sessions start."""
        rules = {
            "action": "import_file",
            "connection": {"server": "partner", "user": self.server.user, "authentication": "key"},
            "files": {"operation": "starts_with", "settle_seconds": 0, **files},
            "encryption": {"required": True},
            "append_type": append_type,
            "target_list": "Customers",
            "columns": contacts.RULES,
            "identifier": "customer_id",
            "contact_name": "full_name",
        }
        self.database.query("SELECT outbound.create_job(%s, %s)", name, Jsonb(rules))

    def seal(self, file: Path, name: str) -> None:
        """Encrypt a file as the partner, for the one key that the partner has."""
        keys = self.partner.run("--with-colons", "--list-keys").decode().splitlines()
        recipient = next(line.split(":")[9] for line in keys if line.startswith("fpr:"))
        self.partner.encrypt_file(file, self.folder / "sealed", recipient)
        self.story.shell(f"gpg --output {name} --encrypt --recipient {recipient[-16:]} {file.name}")

    def send(self, name: str) -> None:
        """Put the encrypted file on the server."""
        self.story.shell(f"echo 'put {name}' | sftp -b - -P {self.server.port} {self.server.user}@127.0.0.1")
        self.server.put(name, self.folder / "sealed")

    def run(self, job: str) -> None:
        """Run a job as an orchestrator or a person would."""
        self.story.shell(f'outbound run "{job}"', self.worker.run("run", job).stdout)

    def compare(self, expected: contacts.Expected) -> None:
        """Compare the latest file's counts with what the generator knows, and say so."""
        file, *counts = self.database.query(queries.COUNTS_OF_LATEST)[0]
        wanted = [expected.rows, expected.added, expected.updated, expected.unchanged]
        wanted += [expected.duplicates, expected.rejected.total(), expected.records_added]
        reasons = dict(self.database.query(queries.REASONS_OF_FILE, file))
        if counts != wanted or reasons != expected.rejected | expected.warnings:
            raise RuntimeError(f"the import counted {counts} {reasons}, the generator {wanted} {expected}")
        self.story.say(
            f"The generator knows what it put in: {expected.added:,} new contacts, {expected.updated:,} "
            f"known ones, {expected.duplicates:,} duplicates, {expected.rejected.total():,} bad rows. "
            "The import found exactly these."
        )


def monday() -> str:
    """Return the next Monday, nine o'clock, as the program reads it."""
    today = datetime.now(UTC).date()
    return f"{today + timedelta(days=7 - today.weekday())}T09:00:00Z"


def main() -> int:
    """Tell the story; answer 1, with the reason, if some part of it fails."""
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            Demonstration(stack).tell()
    except (RuntimeError, AssertionError, TimeoutError) as failure:
        print(f"\nThe demonstration failed: {failure}", file=sys.stderr)
        return 1
    print(f"\nThat took {time.monotonic() - started:.0f} seconds; nothing of it is left running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
