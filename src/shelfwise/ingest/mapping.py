"""Which column of a file is which: said by a person, remembered from another file, or proposed with reasons.

A file that fits no format is read as one of Shelfwise's own tables once somebody has said which of its headers is which
field. What is proposed is only that: nothing is read by a proposal until a person has accepted it.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused, ParameterError, Place
from shelfwise.ingest.column_content import Content, content
from shelfwise.ingest.detect import NoTable, normalised
from shelfwise.ingest.moments import DateOrder
from shelfwise.ingest.profiles.base import Field, Match, Role
from shelfwise.ingest.profiles.canonical import Canonical
from shelfwise.ingest.receipt import some
from shelfwise.ingest.tables import LINE, Source, Text, is_personal, load, masked

TABLES: Final[dict[str, Role]] = {role.name: role for role in Canonical().roles}
SAMPLE_LINES: Final = 2_000
MARK: Final = "shelfwise_"  # begins the headers of columns that Shelfwise adds to a rejects file
_MOST_DISTINCT: Final = 0.9  # of a product list's codes; one that repeats more of them is a list of something else
_SHOWN_ROWS: Final = 8
_ALIKE: Final = 0.78  # how much a header must look like a known one to be proposed for it

# What a field is called where a person writes it, if not by its own name.
_CALLED: Final = {"product": "sku", "occurred_at": "date"}
# Fields that may be known by what their cells look like, and how they look.
_LOOKS: Final = {
    "occurred_at": "date", "expected_on": "date", "starts_on": "date", "ends_on": "date", "product": "code",
    "supplier": "code", "purchase_order": "code", "quantity": "count", "on_hand": "count", "lead_time_days": "count",
    "unit_price": "money", "price": "money", "name": "words",
}  # fmt: skip


@dataclass(frozen=True)
class SaidMapping:
    """What a person said about a file's columns: our field -> their header.

    Parameters
    ----------
    table
        One of `TABLES`; None takes the one that fits the named fields.
    columns
        Field, or any name it is known by (``sku``, ``Menge``), and the header in the file.
    name
        The name it was saved under, of a remembered one.
    """

    columns: Mapping[str, str]
    table: str | None = None
    date_order: DateOrder | None = None
    warehouse: str | None = None
    name: str | None = None
    headers_hash: str | None = None

    def __post_init__(self) -> None:
        """Check the table's name."""
        if self.table is not None and self.table not in TABLES:
            raise ParameterError(f"there is no table {self.table!r}; the tables are {', '.join(TABLES)}")


@dataclass(frozen=True)
class ProposedColumn:
    """One proposal: which header is this field, why, and its first values."""

    field: str
    header: str | None
    reason: str
    values: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Proposal:
    """How a file that fits no format might be read.

    ``headers`` are the file's, without those that name data about a person; ``rows`` its first ones.
    """

    file: str
    table: str
    columns: tuple[ProposedColumn, ...]
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(repr=False)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Required fields for which no column was found."""
        return tuple(one.field for one in self.columns if one.required and one.header is None)

    @property
    def said(self) -> SaidMapping:
        """What is said by accepting all of it."""
        return SaidMapping({one.field: one.header for one in self.columns if one.header is not None}, self.table)

    def options(self) -> str:
        """Return the options of the command line that say it; what is not known is left as ``HEADER``."""
        said = [f"{one.field}={one.header or 'HEADER'}" for one in self.columns if one.header or one.required]
        return " ".join([f"--as {self.table}", *(f"--map {shlex.quote(text)}" for text in said)])


class UnknownTable(NoTable):
    """A file that fits no format, with a proposal how its columns may be meant."""

    def __init__(self, refused: FileRefused, proposal: Proposal) -> None:
        self.proposal = proposal
        why = "\n".join(f"    {one.field:<16} {_shown(one)}" for one in proposal.columns if one.header or one.required)
        way_out = refused.way_out + "; or say which column is which, with --as and --map"
        if 2 * len(proposal.lacking) <= sum(one.required for one in proposal.columns):
            way_out = (
                f"if these are {proposal.table}, say which column is which and check each:\n"
                f"    shelfwise import {shlex.quote(proposal.file)} {proposal.options()}\n{why}\n"
                f"  --as names another table ({', '.join(TABLES)}); docs/formats.md shows what needs no mapping"
            )
        super().__init__(refused.place, refused.value, refused.rule, way_out)


def called(name: str) -> str:
    """Return what a field is called where a person writes it.

    >>> called("product"), called("on_hand")
    ('sku', 'on_hand')
    """
    return _CALLED.get(name, name)


def headers_hash(headers: Sequence[str]) -> str:
    """Return a fingerprint of headers, whatever their order, case and punctuation.

    Those that name data about a person, and those of a rejects file that say why, do not count: a corrected rejects
    file is read like the file it came from.
    """
    own = (h for h in headers if not is_personal(h) and not h.startswith(MARK))
    return sha256("\n".join(sorted(map(normalised, own))).encode()).hexdigest()


def role_of(said: SaidMapping, headers: Sequence[str], place: Place) -> tuple[Role, Match]:
    """Return the table a file is read as and which of its headers is which field.

    What was not said is taken from headers that are known by name, if no other field has them.

    Raises
    ------
    ParameterError
        A field is unknown to the table, or said twice.
    FileRefused
        The file has no such header, or a required field is missing.
    """
    found: FileRefused | ParameterError | None = None
    tables = list(TABLES) if said.table is None else [said.table]
    fits = []
    for table in tables:
        try:
            fits.append((TABLES[table], _matched(TABLES[table], said, headers, place)))
        except (FileRefused, ParameterError) as error:
            found = found or error
    if not fits:
        raise found or ParameterError("say which table it is, with --as")
    return max(fits, key=lambda fit: fit[1].score)


def _matched(role: Role, said: SaidMapping, headers: Sequence[str], place: Place) -> Match:
    mapping: dict[str, str] = {}
    for name, wanted in said.columns.items():
        own = _field(role, name)
        if own.name in mapping:
            raise ParameterError(
                f"{called(own.name)!r} is mapped twice, to {mapping[own.name]!r} and {wanted!r}; keep one of them"
            )
        header = _header(wanted, headers, place, called(own.name))
        if header in mapping.values():
            other = next(ours for ours, theirs in mapping.items() if theirs == header)
            raise ParameterError(
                f"column {header!r} is mapped to {called(other)!r} and to {called(own.name)!r}; keep one of them"
            )
        mapping[own.name] = header
    rest = [header for header in headers if header not in mapping.values()]
    known = {ours: theirs for ours, theirs in role.match(rest).mapping.items() if ours not in mapping}
    mapping = {f.name: {**known, **mapping}[f.name] for f in role.fields if f.name in {**known, **mapping}}
    missing = [f.name for f in role.fields if f.required and f.name not in mapping]
    if missing:
        near = [f"{called(name)}={masked(role.nearest(name, rest) or 'HEADER')}" for name in missing]
        raise FileRefused(
            place, "", f"has no column for {', '.join(map(called, missing))}, which the table {role.name} needs",
            "say which it is: " + " ".join(f"--map {shlex.quote(text)}" for text in near),
        )  # fmt: skip
    return Match(mapping, (), (), 2 * sum(f.required for f in role.fields) + len(mapping))


def _field(role: Role, name: str) -> Field:
    plain = normalised(name)
    for own in role.fields:
        if plain in (normalised(own.name), normalised(called(own.name))):
            return own
    for own in role.fields:
        if plain in own.headers:
            return own
    names = [called(own.name) for own in role.fields]
    near = difflib.get_close_matches(plain, names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ParameterError(f"the table {role.name} has no field {name!r}; {hint}its fields are {', '.join(names)}")


def _header(wanted: str, headers: Sequence[str], place: Place, field_name: str) -> str:
    if wanted in headers:
        return wanted
    by_name = {normalised(header): header for header in headers}
    plain = normalised(wanted)
    if plain in by_name:
        return by_name[plain]
    near = difflib.get_close_matches(plain, list(by_name), n=1, cutoff=0.5)
    hint = f"did you mean {masked(by_name[near[0]])!r}? " if near else ""
    shown = ", ".join(repr(masked(header)) for header in headers if not is_personal(header))
    raise FileRefused(
        place, repr(wanted), f"is no column of this file, and {field_name!r} is mapped to it", f"{hint}it has {shown}"
    )


def propose(source: Source, refused: FileRefused, table: str | None = None) -> UnknownTable:
    """Return the refusal of a file that fits no format, with a proposal how its columns may be meant."""
    sample = _sample(source)
    looks = {name: content(sample[name]) for name in sample.columns}
    roles = list(TABLES.values()) if table is None else [TABLES[table]]
    best = max((_proposed(role, looks) for role in roles), key=_fit)
    rows = [tuple(masked(cell or "") for cell in row) for row in sample.head(_SHOWN_ROWS).iter_rows()]
    proposal = Proposal(source.file, best[0].name, tuple(best[1]), tuple(sample.columns), tuple(rows))
    return UnknownTable(refused, proposal)


def refuse_sales_without_a_day(source: Source, products: Match, sales: Match) -> None:
    """Refuse a file that reads as a product list only because no format knows the header of its days.

    Its lines repeat products, and it has a quantity and a column of dates that a product list has no use for.

    Raises
    ------
    NoTable
        It is such a file; the caller proposes how its columns may be meant.
    """
    if sales.missing != ("occurred_at",):
        return
    quantity, taken = sales.mapping["quantity"], set(products.mapping.values()) | set(sales.mapping.values())
    sample = _sample(source)
    codes = sample.get_column(products.mapping["product"], default=None)
    if quantity in products.mapping.values() or codes is None or codes.n_unique() > _MOST_DISTINCT * len(codes):
        return
    day = next((n for n in sample.columns if n not in taken and content(sample[n]).score("date") > 0), None)
    if day is not None:
        raise NoTable(
            Place(source.file, source.header_line),
            f"the header {some((masked(h) for h in source.headers), limit=12)}",
            f"has products and quantities as sales do, and {masked(day)!r} looks like their day, which no format says",
            "call that column date",
        )


def _sample(source: Source) -> pl.DataFrame:
    """Return the first lines of a file as text, without columns that name data about a person."""
    body = source.body
    if isinstance(body, Text):
        position = -1
        for _ in range(SAMPLE_LINES + (source.header_line or 0)):
            position = body.data.find(b"\n", position + 1)
            if position < 0:
                break
        source = replace(source, body=body if position < 0 else replace(body, data=body.data[: position + 1]))
    shown = [header for header in source.headers if not is_personal(header)]
    frame = load(source, {header: header for header in shown}).frame.head(SAMPLE_LINES)
    return frame.drop(LINE).with_columns(pl.all().cast(pl.String, strict=False))


def _proposed(role: Role, looks: dict[str, Content]) -> tuple[Role, list[ProposedColumn]]:
    """Return a proposal for each field: by known names, then by names like them, then by what cells look like."""
    taken: dict[str, tuple[str, str]] = {}
    free = dict(looks)

    def take(own: Field, header: str, reason: str) -> None:
        taken[own.name] = (header, reason)
        free.pop(header)

    for name, header in role.match(list(looks)).mapping.items():
        take(next(f for f in role.fields if f.name == name), header, "its header is a known name for it")
    for own in role.fields:
        alike = None if own.name in taken else _like(own, free)
        if alike is not None:
            take(own, alike, "its header looks like a known name for it")
    for own in sorted(role.fields, key=lambda f: not f.required):
        wanted = None if own.name in taken else _LOOKS.get(own.name)
        if wanted is not None and (own.required or wanted == "money"):
            best = max(free, key=lambda header: free[header].score(wanted), default=None)
            if best is not None and free[best].score(wanted) > 0:
                take(own, best, free[best].reason(wanted))
    return role, [_column(own, taken, looks) for own in role.fields if own.required or own.name in taken]


def _column(own: Field, taken: Mapping[str, tuple[str, str]], looks: Mapping[str, Content]) -> ProposedColumn:
    if own.name not in taken:
        return ProposedColumn(called(own.name), None, "no column looks like it", required=True)
    header, reason = taken[own.name]
    return ProposedColumn(called(own.name), header, reason, looks[header].first, own.required)


def _like(own: Field, free: Mapping[str, Content]) -> str | None:
    by_name = {normalised(header): header for header in free if normalised(header)}
    # Short names are like many others, so only longer ones may be recognised by likeness or as a part.
    for known in (name for name in own.headers if len(name) >= 4):
        inside = next((plain for plain in by_name if known in plain), None)
        if inside is not None:
            return by_name[inside]
        near = difflib.get_close_matches(known, list(by_name), n=1, cutoff=_ALIKE)
        if near:
            return by_name[near[0]]
    return None


def _fit(proposed: tuple[Role, list[ProposedColumn]]) -> tuple[float, int]:
    """Return how well a proposal fits: the share of required fields found, and how many fields in all."""
    role, columns = proposed
    required = [one for one in columns if one.required]
    found = sum(one.header is not None for one in required) / max(len(required), 1)
    lean = sum(one.header is not None for one in columns)
    # A table that needs one column alone fits every file; it must have as many as the others to win.
    return found * min(len(required), 3), lean + (role.name == "sales")


def _shown(one: ProposedColumn) -> str:
    if one.header is None:
        return f"? ({one.reason})"
    values = ", ".join(one.values)
    return f"= {masked(one.header)!r}: {one.reason}; first values {values}"


def suspicions(frame: pl.DataFrame, mapping: Mapping[str, str]) -> list[str]:
    """Return notes on mapped columns whose cells do not look like what they are mapped to.

    >>> prices = pl.DataFrame({"quantity": ["4.99", "12.50", "7.95", "3.49"]})
    >>> suspicions(prices, {"quantity": "Preis"})
    ["column 'Preis' is taken as quantity, but 4 of 4 values have two decimals like prices; is it another column?"]
    """
    notes = []
    for ours, theirs in mapping.items():
        wanted = _LOOKS.get(ours)
        if wanted not in ("count", "code", "date") or ours not in frame.columns:
            continue
        doubt = content(frame[ours].head(SAMPLE_LINES).cast(pl.String, strict=False)).doubt(wanted)
        if doubt:
            notes.append(f"column {masked(theirs)!r} is taken as {called(ours)}, but {doubt}; is it another column?")
    return notes
