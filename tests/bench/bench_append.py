"""*Append and update* of 100,000 rows, half of them new, into a list of 1,000,000 contacts.

Set against the import of 100,000 rows into a new list. Each round updates other contacts.
"""

from bench.harness import CONTACTS, LIST, ROUNDS, Bench, median

ROWS = 100_000
_SMALL = "Bench small"


def measure(bench: Bench) -> None:
    """Measure both, in turn."""
    bench.imported()
    count, updates, imports = bench.size(ROWS), [], []
    half = count // 2
    for round_number in range(ROUNDS):
        known = range(1 + round_number * half, 1 + (round_number + 1) * half)
        first = bench.size(CONTACTS) + 1 + round_number * half
        update = bench.sealed(f"update-{round_number}", count, known=known, first=first)
        updates.append(bench.run(update, LIST, "append_and_update").seconds)
        bench.drop_list(_SMALL)
        imports.append(bench.run(bench.sealed("small", count), _SMALL, "new_list_only").seconds)
    bench.drop_list(_SMALL)
    bench.figures.add("append_s", median(updates), "s")
    bench.figures.add("append_new_list_s", median(imports), "s")
    bench.figures.add("append_ratio", median(updates) / median(imports), "times", limit=2)
