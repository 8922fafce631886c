"""The same import as a good SQL user would write it by hand: `gpg --decrypt | psql`, a staging table, SQL.

The script (handwritten.sql) is spared the SFTP server: its file lies here already. What it makes is
compared with what the import made, unit by unit.
"""

import subprocess
from pathlib import Path

from psycopg import sql

from bench.harness import CONTACTS, ROUNDS, Bench, median
from support import paths

_DIFFERENCE = """
SELECT count(*) FROM (
    (SELECT {columns} FROM {ours} EXCEPT ALL SELECT {columns} FROM {theirs})
    UNION ALL (SELECT {columns} FROM {theirs} EXCEPT ALL SELECT {columns} FROM {ours})) AS difference"""
_SCRIPT = Path(__file__).with_name("handwritten.sql")


def measure(bench: Bench) -> None:
    """Measure the script, and set the import against it."""
    run = bench.imported(ROUNDS)
    bench.partner.make_key("sql-user")
    sealed = bench.sealed("by-hand", bench.size(CONTACTS), recipient="sql-user")
    seconds = median([bench.timed(lambda: _script(bench, sealed.file, run.table)) for _ in range(ROUNDS)])
    _compare(bench, run.table)
    bench.database.query("DROP SCHEMA by_hand CASCADE")
    bench.figures.add("handwritten_s", seconds, "s")
    bench.figures.add("import_handwritten_ratio", run.seconds / seconds, "times")


def _script(bench: Bench, file: Path, table: str) -> None:
    gpg = ["gpg", "--homedir", bench.partner.home, "--batch", "--quiet", "--decrypt", file]
    source = subprocess.Popen(gpg, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    psql = [bench.database.cluster.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    psql += ["-v", f"list={table}", "-v", f"detail={table}_detail", "-f", _SCRIPT]
    with source:
        environment = paths.environment() | bench.database.environment()
        done = subprocess.run(
            psql, stdin=source.stdout, capture_output=True, text=True, env=environment, check=False
        )
    if done.returncode or source.returncode:
        raise RuntimeError(f"handwritten.sql: psql {done.returncode}, gpg {source.returncode}\n{done.stderr}")


def _compare(bench: Bench, table: str) -> None:
    """Fail unless both ways made the same contacts and the same units."""
    for columns, ours, theirs in (
        (["sys_id", "sys_status", "full_name", "balance", "birthday"], table, "contact"),
        (
            ["sys_contact_id", "sys_channel_user", "sys_cl_source_column", "sys_status"],
            f"{table}_detail",
            "detail",
        ),
    ):
        names = {
            "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
            "ours": sql.Identifier("outbound_list", ours),
            "theirs": sql.Identifier("by_hand", theirs),
        }
        with bench.database.connect() as connection:
            found = connection.execute(sql.SQL(_DIFFERENCE).format(**names)).fetchone()
        if found != (0,):
            raise RuntimeError(f"{theirs}: {found} rows differ between the import and the script")
