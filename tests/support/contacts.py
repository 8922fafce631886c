"""Files of contacts as a partner would send them, large ones quickly, and what an import of them must report.

    expected = contacts.write(file, 100_000, flaws=contacts.FLAWS)
    update = contacts.write(later, 10_000, known=range(1, 5_001), first=expected.contacts + 1)

A contact is a function of the seed, its number and its version: the same number is the same person in
every file, and version 1 (what an update file holds) has another mobile number and another balance.
Numbers run without gaps through the rows that are loaded; rows that must be refused have numbers of
their own, so `range(1, expected.contacts + 1)` is exactly what a list then holds. Files are UTF-8, and
phones are spelled for an account whose default country is `people.DEFAULT_COUNTRY`.
"""

import datetime
import functools
import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support import people

COLUMNS = (
    "customer_id",
    "full_name",
    "phone_mobile",
    "phone_home",
    "email",
    "company",
    "city",
    "balance",
    "birthday",
)
#: The columns as a job's rules take them: phones to the inbox "Voice", e-mail to "Mail".
RULES = [
    {"name": "customer_id"},
    {"name": "full_name"},
    {"name": "phone_mobile", "contact": {"type": "phone", "inbox": "Voice"}},
    {"name": "phone_home", "contact": {"type": "phone", "inbox": "Voice"}},
    {"name": "email", "contact": {"type": "email", "inbox": "Mail"}},
    {"name": "company"},
    {"name": "city"},
    {"name": "balance", "type": "numeric"},
    {"name": "birthday", "type": "date"},
]

#: Rows out of a thousand that are wrong in each way. The first six make a row be dropped.
FLAWS: Mapping[str, int] = {
    "empty_client_id": 4,
    "duplicate_client_id": 6,
    "bad_value": 4,
    "bad_date": 4,
    "too_few_columns": 3,
    "too_many_columns": 3,
    "wrong_mobile": 8,
    "wrong_home": 6,
    "bad_email": 7,
    "nothing_valid": 2,
    "same_phone_twice": 10,
    "no_home_phone": 12,
}
CLEAN: Mapping[str, int] = {}
_OF_ROWS = (
    "empty_client_id",
    "duplicate_client_id",
    "bad_value",
    "bad_date",
    "too_few_columns",
    "too_many_columns",
)

_WRONG_PHONES = ("n/a", "unknown", "12345", "+999 123 456 789", "+44 20 79", "+1 000 000 0000", "1.23E+10")
_WRONG_EMAILS = ("{}", "{}@", "{}@example", "{} @example.com", "{}@@example.com", "{}@example..com")
_WRONG_BALANCES = ("n/a", "12.50 EUR", '"1.234,56"', "€99", "--5", "1O0.00")
_WRONG_DATES = ("31.02.1985", "1985-13-01", "03/31/1985", "unknown", "1979-02-30", "85-03-31")
# Numbers of rows that must be refused; no list grows to where they start.
_REFUSED_FROM = 500_000_000
_MASK = (1 << 64) - 1

Unit = tuple[str, str, bool]


@dataclass
class Expected:
    """What an import of one file must report, and the list hold."""

    rows: int = 0
    #: Contacts in the file that are loaded: those new to the list and those it had.
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    #: Units of the loaded contacts, and how the list's records change.
    records: int = 0
    records_added: int = 0
    records_removed: int = 0
    #: Loaded contacts without a valid unit.
    flagged: int = 0

    @property
    def contacts(self) -> int:
        """Contacts that are loaded."""
        return self.added + self.updated


class _Line:
    """A range of numbers, ready to be drawn from: the text before the last four digits, and those."""

    def __init__(self, line: people.Line) -> None:
        self.normal = _expanded(line.normal[:-4])
        self.spellings = [_split(spelling) for spelling in line.spellings]


class _Country:
    """One country with every pool worked out."""

    def __init__(self, country: people.Country) -> None:
        self.code = country.code
        self.people = [
            (_cell(_name(country, given, family)), _mailbox(given, family))
            for given in country.given.split()
            for family in country.family.split()
        ]
        self.cities = country.cities.split("|")
        self.mobile = [(line, way) for line in map(_Line, country.mobile) for way in line.spellings]
        self.home = [(line, way) for line in map(_Line, country.home) for way in line.spellings]
        dates = _days("%d.%m.%Y" if country.dates == "dotted" else "%Y-%m-%d")
        self.birthdays = dates


class Contacts:
    """A seeded population: contact 1, 2, 3, … and their later versions."""

    def __init__(self, seed: int = 1) -> None:
        """Work out the pools; a fraction of a second."""
        self._seed = seed
        countries = {country.code: _Country(country) for country in people.COUNTRIES}
        shares = [countries[country.code] for country in people.COUNTRIES for _ in range(country.weight)]
        # Neighbours come from different countries: 37 shares no divisor with the number of shares.
        self._countries = [shares[place * 37 % len(shares)] for place in range(len(shares))]
        self._balances = [f"{(place * 7919) % 250_000 / 100 - 400:.2f}" for place in range(10_007)]
        self._companies = [_cell(company) for company in people.COMPANIES]
        self._extensions = [""] * 62 + [" ext. 12", " x7"]

    def cells(self, number: int, version: int = 0) -> tuple[str, ...]:
        """Return a contact without flaws, its cells quoted as CSV where they must be."""
        country, x, y = self._draw(number, version)
        name, mailbox = country.people[x % len(country.people)]
        domain = people.MAIL_DOMAINS[(x >> 11) % len(people.MAIL_DOMAINS)]
        line, (before, after) = country.mobile[(y >> 45) % len(country.mobile)]
        mobile = before[(y >> 20) % len(line.normal)] + after[y % 10_000]
        line, (before, after) = country.home[(x >> 45) % len(country.home)]
        home = before[(x >> 20) % len(line.normal)] + after[(x >> 31) % 10_000]
        return (
            f"{country.code}-{number:08d}",
            name,
            mobile,
            home + self._extensions[x >> 50 & 63],
            f"{mailbox}{number}@{domain}",
            self._companies[(x >> 5) % len(self._companies)],
            country.cities[(x >> 17) % len(country.cities)],
            self._balances[((x >> 13) + version) % len(self._balances)],
            country.birthdays[(x >> 3) % len(country.birthdays)],
        )

    def units(self, number: int, version: int = 0) -> list[Unit]:
        """Return the contact's units (type, normal form, valid) when nothing about it is flawed."""
        country, x, y = self._draw(number, version)
        line, _ = country.mobile[(y >> 45) % len(country.mobile)]
        mobile = f"{line.normal[(y >> 20) % len(line.normal)]}{y % 10_000:04d}"
        line, _ = country.home[(x >> 45) % len(country.home)]
        home = f"{line.normal[(x >> 20) % len(line.normal)]}{(x >> 31) % 10_000:04d}"
        extension = self._extensions[x >> 50 & 63].strip(" ext.")
        mailbox, domain = self.cells(number, version)[4].split("@")
        return [
            ("phone", mobile, True),
            ("phone", f"{home};ext={extension}" if extension else home, True),
            ("email", f"{mailbox}@{domain.lower()}", True),
        ]

    def flawed(
        self, number: int, version: int, flaw: str | None
    ) -> tuple[tuple[str, ...], list[Unit], Counter[str]]:
        """Return a contact with a flaw in its units: cells, units, and the warnings they cause."""
        cells, units, warnings = list(self.cells(number, version)), self.units(number, version), Counter()
        country, x, y = self._draw(number, version)
        wrong = [_WRONG_PHONES[(x + place) % len(_WRONG_PHONES)] for place in (0, 1)]
        address = _WRONG_EMAILS[y % len(_WRONG_EMAILS)].format(cells[4].split("@")[0])
        if flaw == "same_phone_twice":
            _, (before, after) = country.mobile[((y >> 45) + 1) % len(country.mobile)]
            cells[3] = before[(y >> 20) % len(before)] + after[y % 10_000]
            del units[1]
        elif flaw == "no_home_phone":
            cells[3] = ""
            del units[1]
        if flaw in ("wrong_mobile", "nothing_valid"):
            cells[2], units[0] = wrong[0], ("phone", wrong[0], False)
        if flaw in ("wrong_home", "nothing_valid"):
            cells[3], units[1] = wrong[1], ("phone", wrong[1], False)
        if flaw in ("bad_email", "nothing_valid"):
            cells[4], units[2] = address, ("email", address, False)
        invalid = sum(not valid for _, _, valid in units)
        if invalid:
            warnings["bad_device"] = invalid
        if invalid == len(units):
            warnings["no_valid_device"] = 1
        return tuple(cells), units, warnings

    def refused(self, reason: str, number: int) -> tuple[str, ...]:
        """Return a row that must be refused for `reason`."""
        cells = list(self.cells(_REFUSED_FROM + number))
        match reason:
            case "empty_client_id":
                cells[0] = "   " if number % 3 == 0 else ""
            case "bad_value":
                cells[7] = _WRONG_BALANCES[number % len(_WRONG_BALANCES)]
            case "bad_date":
                cells[8] = _WRONG_DATES[number % len(_WRONG_DATES)]
            case "too_few_columns":
                del cells[3 + number % 5 :]
            case "too_many_columns":
                cells[5] = "Smith, Jones & Partners" if number % 2 else "Brown, Miller, Davis"
            case _:
                raise ValueError(f"no row is refused for {reason!r}")
        return tuple(cells)

    def rows(
        self,
        count: int,
        expected: Expected,
        *,
        flaws: Mapping[str, int] = CLEAN,
        first: int = 1,
        known: Iterable[int] = (),
    ) -> Iterator[tuple[str, ...]]:
        """Yield `count` rows and write into `expected` what an import of them reports.

        `known` are contacts that the list has, from a file with the same flaws: they come first in turn
        with new ones (numbered from `first`), every tenth as the list has it already, the others in
        version 1.
        """
        expected.rows += count
        numbers = _numbers(iter(known), itertools.count(first))
        of_rows, of_units = _places(flaws, rows=True), _places(flaws, rows=False)
        written: list[tuple[int, int]] = []
        for place in range(count):
            reason = of_rows[_mixed(place + self._seed * 7_654_321) % 1000] if flaws else None
            if reason == "duplicate_client_id" and written:
                number, version = written[place * 31 % len(written)]
                cells = self.cells(number, version)
                expected.duplicates += 1
                # Blanks around an identifier do not make another contact of it.
                yield (f" {cells[0]} ", *cells[1:]) if place % 2 else cells
            elif reason is not None and reason != "duplicate_client_id":
                expected.rejected[reason] += 1
                yield self.refused(reason, place)
            else:
                number, had = next(numbers)
                version = int(had and number % 10 != 0)
                if flaws:
                    written.append((number, version))
                yield self._loaded(number, version, had, of_units if flaws else None, expected)

    def _loaded(
        self, number: int, version: int, had: bool, flaws: list[str | None] | None, expected: Expected
    ) -> tuple[str, ...]:
        flaw = self._flaw(number, version, flaws)
        if flaw is None and not had:
            expected.added += 1
            expected.records += 3
            expected.records_added += 3
            return self.cells(number, version)
        cells, units, warnings = self.flawed(number, version, flaw)
        present = set(units)
        before = set(self.flawed(number, 0, self._flaw(number, 0, flaws))[1]) if had else set()
        expected.warnings.update(warnings)
        expected.flagged += warnings["no_valid_device"]
        expected.records += len(present)
        expected.records_added += len(present - before)
        expected.records_removed += len(before - present)
        expected.added += not had
        expected.updated += had
        expected.unchanged += had and version == 0
        return cells

    def _flaw(self, number: int, version: int, flaws: list[str | None] | None) -> str | None:
        if flaws is None:
            return None
        _, x, y = self._draw(number, version)
        return flaws[((x ^ y) >> 7) % 1000]

    def _draw(self, number: int, version: int) -> tuple[_Country, int, int]:
        """Return the contact's country, random bits that last, and random bits of this version."""
        country = self._countries[number % len(self._countries)]
        x = _mixed(number + self._seed * 1_000_003)
        return country, x, _mixed(x + version + 1)


def write(
    file: Path,
    count: int,
    *,
    seed: int = 1,
    flaws: Mapping[str, int] = CLEAN,
    first: int = 1,
    known: Iterable[int] = (),
) -> Expected:
    """Write a file of `count` rows and a header row (see `Contacts.rows`); return what must be reported."""
    expected = Expected()
    rows = Contacts(seed).rows(count, expected, flaws=flaws, first=first, known=known)
    with file.open("w", encoding="utf-8", newline="", buffering=1 << 20) as out:
        out.write(",".join(COLUMNS) + "\n")
        while chunk := list(itertools.islice(rows, 10_000)):
            out.write("\n".join(map(",".join, chunk)) + "\n")
    return expected


def _numbers(known: Iterator[int], new: Iterator[int]) -> Iterator[tuple[int, bool]]:
    for number in known:
        yield number, True
        yield next(new), False
    for number in new:
        yield number, False


def _mixed(number: int) -> int:
    """Return 64 bits that look random and are the same for the same number (after Steele's SplitMix)."""
    x = number * 0x9E3779B97F4A7C15 & _MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    return x ^ x >> 27


def _places(flaws: Mapping[str, int], *, rows: bool) -> list[str | None]:
    """Return a thousand places with as many of each flaw, of whole rows or of units, as its share."""
    chosen = [name for name, share in flaws.items() for _ in range(share) if (name in _OF_ROWS) == rows]
    return chosen + [None] * (1000 - len(chosen))


@functools.cache
def _expanded(pattern: str) -> list[str]:
    """Return the pattern with all the values that its X can have."""
    places = pattern.count("X")
    pattern = pattern.replace("%", "%%").replace("X", "%s")
    return [pattern % tuple(f"{value:0{places}d}" if places else "") for value in range(10**places)]


def _split(pattern: str) -> tuple[list[str], list[str]]:
    """Return both halves of a spelling, worked out: what stands before the last four digits, and those."""
    at = [place for place, letter in enumerate(pattern) if letter == "X"][-4]
    return _expanded(pattern[:at]), _expanded(pattern[at:])


def _cell(text: str) -> str:
    """Return the text as a CSV cell, in quotes where it must be."""
    if any(letter in text for letter in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _name(country: people.Country, given: str, family: str) -> str:
    family = family.replace("_", " ")
    if country.family_first:
        return f"{family} {given}"
    # Now and then a title behind a comma, as address books have it.
    return f"{given} {family}, PhD" if len(given) + len(family) == 17 else f"{given} {family}"


def _mailbox(given: str, family: str) -> str:
    """Return the name in ASCII, as the part of an address before its number."""
    plain = unicodedata.normalize("NFKD", f"{given}.{family}").encode("ascii", "ignore").decode()
    letters = "".join(letter for letter in plain.lower() if letter.isalnum() or letter == ".").strip(".")
    return letters or "kontakt"


@functools.cache
def _days(form: str) -> list[str]:
    first = datetime.date(1935, 1, 1)
    return [(first + datetime.timedelta(days=3 * place)).strftime(form) for place in range(8_999)]
