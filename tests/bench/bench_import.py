"""Import of 1,000,000 contacts into a new list, against the least that PostgreSQL itself needs.

The floor: psql copies the finished rows of the same two tables, in binary form and from files, into empty
tables of the same definition, and adds the same keys and indexes; one connection, the same server.
Imports and floors take turns, so that a machine that slows down slows both down.
"""

from pathlib import Path

from psycopg import sql

from bench.harness import ROUNDS, Bench, median

_PARTS = ("", "_detail")


def measure(bench: Bench) -> None:
    """Measure imports, floors, stages and memory."""
    floors = []
    for _ in range(ROUNDS):
        run = bench.import_main()
        for part in _PARTS:
            _export(bench, run.table + part, _file(bench, part))
        floors.append(_floor(bench, run.table))
    seconds, floor = median(run.seconds for run in bench.imports), median(floors)
    add = bench.figures.add
    add("import_s", seconds, "s")
    add("import_floor_s", floor, "s")
    add("import_ratio", seconds / floor, "times", limit=1.5)
    add("import_contacts_per_s", bench.main_file().expected.contacts / seconds, "contacts/s")
    for stage in bench.imports[0].report["seconds"]:
        add(
            f"import_stage_{stage}_s",
            median(run.report["seconds"][stage] for run in bench.imports),
            "s",
        )
    add("worker_peak_mb", max(run.peak_mb for run in bench.imports), "MiB", limit=512)


def _floor(bench: Bench, table: str) -> float:
    """Return the seconds psql needs for the rows of a list's two tables."""
    query = bench.database.query
    query("DROP SCHEMA IF EXISTS floor CASCADE")
    query("CREATE SCHEMA floor")
    script = []
    for part in _PARTS:
        name = table + part
        like = sql.SQL(
            "CREATE TABLE floor.{} (LIKE outbound_list.{} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        )
        with bench.database.connect() as connection:
            connection.execute(like.format(sql.Identifier(name), sql.Identifier(name)))
        script.append(f"\\copy floor.{_quoted(name)} FROM '{_file(bench, part)}' (FORMAT binary)")
    for part in _PARTS:
        script += _keys(bench, table + part)
    seconds = bench.timed(lambda: bench.database.psql("\n".join(script)))
    query("DROP SCHEMA floor CASCADE")
    return seconds


def _keys(bench: Bench, table: str) -> list[str]:
    """Return statements that give a table's copy the table's keys and indexes."""
    place = bench.database.value("SELECT format('outbound_list.%%I', %s::text)", table)
    keys = bench.database.query(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
        place,
    )
    indexes = bench.database.query(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)",
        place,
    )
    return [f"ALTER TABLE floor.{_quoted(table)} ADD {key};" for (key,) in keys] + [
        f"{index.replace(f' ON {place} ', f' ON floor.{_quoted(table)} ', 1)};" for (index,) in indexes
    ]


def _export(bench: Bench, table: str, file: Path) -> None:
    bench.database.psql(f"\\copy outbound_list.{_quoted(table)} TO '{file}' (FORMAT binary)")


def _file(bench: Bench, part: str) -> Path:
    return bench.folder / f"rows{part}.binary"


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
