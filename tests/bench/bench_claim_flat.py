"""What a claim of 100 costs, whatever the list: how large, how much of it is claimable, worked, suppressed.

One dialer claims and settles, again and again, in rounds that begin after a rest, when it has to look from
the beginning of the list; the cost is the mean of a round's claims, and of several rounds the median. A sweep
changes one thing and leaves the others as they are: a list of 1,000,000 contacts with 3 records each,
untouched, none suppressed, few other lists. Flat means that all costs of a sweep are within 25 % of one that
could be named: the largest is at most 1.25 / 0.75 of the smallest.

All costs are in claim_flat.csv; the plans of a claim with 0 % and with 95 % of the list worked are beside it.
"""

import csv
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench import lists, plans
from bench.dialers import BATCH, Cost, Dialer, dial, maintained
from bench.harness import CONTACTS, LARGE, OUTPUT, ROUNDS, Bench, median
from bench.lists import DialedList
from support.contacts import RULES

_FLAT = 1.25 / 0.75
#: Claims that are measured at a point: as many as its contacts allow, and where those are few, again.
_MOST_CALLS = 200
_ENOUGH_CALLS = 40
#: The fewest claims of a round, where there are several.
_ROUND = 20
_MOST_TURNS = 8
#: Seconds after which a dialer looks at a list from its beginning again.
_REST = 1.2
#: Share of a list that a point may use up, where others follow on the same list.
_PORTION = 0.02
#: The smallest lists, and the smallest that sweeps go on with, whatever the scale.
_FEWEST_CONTACTS = 1_000
_FEWEST_USUAL = 10_000

_SIZES = (10_000, 100_000, CONTACTS, LARGE)
_WORKED = (0.25, 0.5, 0.75, 0.95)
_ONE_OF = (10, 100, 1_000)
_SUPPRESSED = (0, 10, 25, 50)
_LISTS = (100, 2_000)

_SUPPRESS = """
INSERT INTO outbound.suppression_entry (suppression_list_id, unit_type, value)
SELECT {list}, d.sys_channel_user_type, d.sys_channel_user FROM {records} AS d
WHERE d.sys_channel_user_type = 'phone' AND abs(hashtext(d.sys_contact_id)) % 100 < {percent}"""
# Each of them is a commit: one transaction could not hold the locks of all.
_MAKE_LISTS = """
DO $$ BEGIN
    FOR i IN {first}..{last} LOOP
        PERFORM outbound.create_list('Other ' || i, {columns}, 'customer_id', 'full_name');
        COMMIT;
    END LOOP;
END $$"""


@dataclass
class Points:
    """The costs, by sweep, as they come."""

    bench: Bench
    costs: dict[str, dict[str, Cost]] = field(default_factory=lambda: defaultdict(dict))
    rows: list[tuple[str, str, int, float, float]] = field(default_factory=list)

    def add(self, sweep: str, point: str, rounds: list[list[Cost]]) -> Cost:
        """Add a point by the costs of its claims, and return what is taken as the cost."""
        cost = Cost(
            median(statistics.mean(call.ms for call in calls) for calls in rounds),
            median(statistics.mean(call.cpu_ms for call in calls) for calls in rounds),
        )
        calls = sum(map(len, rounds))
        self.put(sweep, point, cost, calls)
        self.bench.figures.note(
            f"{sweep} {point}: {cost.ms:.2f} ms a claim, {cost.cpu_ms:.2f} ms of them CPU"
            f" ({cost.cpu_ms / cost.ms:.0%}); {calls} claims"
        )
        return cost

    def put(self, sweep: str, point: str, cost: Cost, calls: int) -> None:
        """Add a point whose cost is known."""
        self.costs[sweep][point] = cost
        self.rows.append((sweep, point, calls, cost.ms, cost.cpu_ms))

    def tell(self) -> None:
        """Add the figures, and write all costs."""
        figures = self.bench.figures
        ratios = {sweep: _ratio(c.ms for c in costs.values()) for sweep, costs in self.costs.items()}
        cpu = {sweep: _ratio(c.cpu_ms for c in costs.values()) for sweep, costs in self.costs.items()}
        for sweep, ratio in ratios.items():
            figures.add(f"claim_flat_{sweep.replace(' ', '_')}", ratio, "times", limit=_FLAT)
        worst, worst_cpu = max(ratios, key=ratios.__getitem__), max(cpu, key=cpu.__getitem__)
        figures.add("claim_flat_worst", ratios[worst], f"times ({worst})", limit=_FLAT)
        figures.add("claim_flat_worst_cpu", cpu[worst_cpu], f"times ({worst_cpu})")
        with (OUTPUT / "claim_flat.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("sweep", "point", "claims", "ms", "cpu_ms"))
            table.writerows((s, p, n, round(ms, 3), round(c, 3)) for s, p, n, ms, c in self.rows)


def measure(bench: Bench) -> None:
    """Measure all sweeps."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    points = Points(bench)
    dialed = _by_size(bench, points)
    _by_suppressed(bench, points, dialed)
    _by_worked(bench, points, dialed)
    _by_claimable(bench, points)
    _by_lists(bench, points)
    points.tell()


def _by_size(bench: Bench, points: Points) -> DialedList:
    """Measure lists of each size; return the one that the other sweeps go on with, hardly used."""
    usual = max(_FEWEST_USUAL, bench.size(CONTACTS))
    for size in sorted({usual} | {max(_FEWEST_CONTACTS, bench.size(size)) for size in _SIZES}):
        dialed = lists.provide(bench, size, untouched=size)
        if size != usual:
            points.add("list size", f"{size:,}", _claims(bench, dialed, _calls(0.8 * size)))
            continue
        kept = dialed
        plans.write(dialed, OUTPUT / "claim_plan_0_percent_worked.txt", "Nothing of the list is worked")
        calls = _calls(_PORTION * size)
        cost = points.add("list size", f"{size:,}", _claims(bench, dialed, calls))
        # The same list is where other sweeps begin.
        points.put("worked share", "0 %", cost, calls)
        points.put("claimable share", "100 %", cost, calls)
    return kept


def _by_suppressed(bench: Bench, points: Points, dialed: DialedList) -> None:
    """Measure campaigns that find so many contacts on a do-not-contact list, which they then shut out."""
    for percent in _SUPPRESSED:
        name = f"Suppressed {percent} %"
        list_id = bench.database.value("SELECT outbound.create_suppression_list(%s)", name)
        dialed.query(_SUPPRESS, list=list_id, percent=percent)
        lists.start_campaign(bench.database, name, dialed.name, do_not_contact=[name])
    bench.database.query("VACUUM (ANALYZE) outbound.suppression_entry")
    for percent in _SUPPRESSED:
        calls = _calls(_PORTION * dialed.contacts)
        rounds = _claims(bench, dialed, calls, campaign=f"Suppressed {percent} %")
        points.add("suppressed share", f"{percent} %", rounds)


def _by_worked(bench: Bench, points: Points, dialed: DialedList) -> None:
    """Measure while the list is worked, really: what attempts leave behind is there as well."""
    for share in _WORKED:
        attempts = dialed.untouched() - round((1 - share) * dialed.contacts)
        if attempts > 0:
            with maintained(bench.database):
                dial(bench, dialed.campaign, attempts, dialers=2)
        if share == max(_WORKED):
            file = OUTPUT / f"claim_plan_{100 * share:.0f}_percent_worked.txt"
            plans.write(dialed, file, f"{share:.0%} of the list is worked")
        points.add(
            "worked share", f"{100 * share:.0f} %", _claims(bench, dialed, _calls(_PORTION * dialed.contacts))
        )


def _by_claimable(bench: Bench, points: Points) -> None:
    """Measure lists of which most is closed or waits; where that leaves few, others are woken up in time."""
    contacts = max(_FEWEST_USUAL, bench.size(CONTACTS))
    for one_of in sorted({min(one_of, contacts // 300 // 2 * 2) for one_of in _ONE_OF}):
        dialed = lists.load(bench.database, f"One of {one_of}", contacts, every=one_of)
        calls = _calls(0.8 * contacts / one_of - BATCH)
        rounds = _claims(bench, dialed, calls)
        # Every second contact in between waits, and can be woken up once: far from those before.
        for first in range(1, one_of, 2 * max(1, one_of // 2 // _MOST_TURNS)):
            if len(rounds) * calls >= _ENOUGH_CALLS:
                break
            dialed.wake(first)
            rounds += _claims(bench, dialed, calls)
        points.add("claimable share", f"{100 / one_of:.3g} %", rounds)


def _by_lists(bench: Bench, points: Points) -> None:
    """Measure one list among others, in a database of its own, which is dropped with all of them."""
    cluster = bench.database.cluster
    database = cluster.create_database("bench_lists", extension=True)
    bench.set_up_account(database)
    dialed = lists.load(database, "Dialed", max(_FEWEST_USUAL, bench.size(CONTACTS // 10)))
    present = 1
    for count in (1, *(max(2, round(count * min(1, bench.scale))) for count in _LISTS)):
        if count > present:
            given = {"first": present + 1, "last": count, "columns": json.dumps(RULES)}
            dialed.query(_MAKE_LISTS, **given)
            present = count
        points.add("number of lists", f"{count:,}", _claims(bench, dialed, _calls(0.25 * dialed.contacts)))
    cluster.drop_database(database.name)


def _claims(bench: Bench, dialed: DialedList, calls: int, campaign: str = "") -> list[list[Cost]]:
    """Return the costs of so many claims by a dialer that has made its plans, in rounds after a rest."""
    rounds = ROUNDS if calls >= ROUNDS * _ROUND else 1
    with Dialer(dialed.database, campaign or dialed.campaign) as dialer:
        dialer.turn()
        bench.settle()
        costs = []
        for number in range(rounds):
            time.sleep(_REST)
            costs.append(
                [dialer.turn() for _ in range(calls * number // rounds, calls * (number + 1) // rounds)]
            )
        return costs


def _calls(contacts: float) -> int:
    """Return how many claims may use up so many contacts."""
    return max(2, min(_MOST_CALLS, int(contacts) // BATCH))


def _ratio(values: Iterable[float]) -> float:
    each = list(values)
    return max(each) / min(each)
