"""What a source format is: the tables it has, the headers that give it away, and how its rows become frames."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

import polars as pl

from shelfwise.ingest.detect import normalised
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import FileReceipt

DEFAULT_WAREHOUSE = "main"
CODE_LENGTH = 255
TOO_LONG = f"is longer than {CODE_LENGTH} characters, which is as long as a code may be"
LONGEST_PART = 120  # characters of a product within the id of a line


@dataclass(frozen=True)
class Field:
    """A column a table may have: our name for it and the headers it is known by, in normalised form."""

    name: str
    headers: tuple[str, ...]
    required: bool = False


def column(name: str, headers: str, *, required: bool = False) -> Field:
    """Return a field known by the headers in a text separated by commas.

    >>> column("quantity", "Quantity, Qty", required=True).headers
    ('quantity', 'qty')
    """
    return Field(name, tuple(normalised(header) for header in headers.split(",")), required)


@dataclass(frozen=True)
class Match:
    """How well a file's headers fit a role."""

    mapping: dict[str, str]
    missing: tuple[str, ...]
    numeric: tuple[str, ...] = ()
    score: int = 0


@dataclass(frozen=True)
class Role:
    """One kind of table of a format.

    Parameters
    ----------
    at_least
        How many of the fields must be there, required ones included.
    many
        Pattern of headers that come in numbers, like ``d_1 ... d_1941`` or one per warehouse; read as numbers.
    needs_many
        A file without any such header is not this table.
    """

    name: str
    fields: tuple[Field, ...]
    at_least: int = 0
    many: str | None = None
    needs_many: bool = True

    def match(self, headers: Sequence[str]) -> Match:
        """Return which headers are which fields, and what is missing."""
        by_name: dict[str, str] = {}
        for header in headers:
            by_name.setdefault(normalised(header), header)
        mapping: dict[str, str] = {}
        for wanted in self.fields:
            found = next((by_name[h] for h in wanted.headers if h in by_name), None)
            if found is not None and found not in mapping.values():
                mapping[wanted.name] = found
        missing = [f.name for f in self.fields if f.required and f.name not in mapping]
        if not missing and len(mapping) < self.at_least:
            missing = [next(f.name for f in self.fields if f.name not in mapping)]
        others = [header for header in headers if header not in mapping.values()]
        numeric = tuple(header for header in others if self.many and re.fullmatch(self.many, header))
        if self.many and self.needs_many and not numeric:
            missing.append(self.many)
        required = sum(f.required and f.name in mapping for f in self.fields) + bool(numeric)
        return Match(mapping, tuple(missing), numeric, 2 * required + len(mapping))

    def nearest(self, missing: str, headers: Sequence[str]) -> str | None:
        """Return the header that looks most like the missing field, if any does."""
        names = next((f.headers for f in self.fields if f.name == missing), (normalised(missing),))
        by_name = {normalised(header): header for header in headers}
        for name in names:
            near = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.7)
            if near:
                return by_name[near[0]]
        return None


CANCELLED: Final = {"source": pl.String(), "line_id": pl.String()}


def no_cancelled() -> pl.DataFrame:
    """Return no lines that are cancelled."""
    return pl.DataFrame(schema=CANCELLED)


@dataclass(frozen=True)
class Part:
    """What a profile made of its files: frames by name, their receipts, and notes that concern several files.

    ``cancelled`` (source, line_id) are lines that the files say are no sale, or no more: where an earlier import booked
    them they are to count no more.
    """

    frames: dict[str, pl.DataFrame]
    receipts: tuple[FileReceipt, ...]
    notes: tuple[str, ...] = ()
    cancelled: pl.DataFrame = field(default_factory=no_cancelled)


@dataclass(frozen=True)
class Options:
    """What a profile needs to know besides the files.

    Parameters
    ----------
    warehouse
        Code for rows that name none.
    known_warehouses
        Codes the store has already.
    """

    warehouse: str = DEFAULT_WAREHOUSE
    known_warehouses: tuple[str, ...] = ()


class Profile(Protocol):
    """A source format. ``name`` is also the ``source`` of the movements it books."""

    @property
    def name(self) -> str:
        """Name in receipts, and the source of movements."""
        ...

    @property
    def roles(self) -> tuple[Role, ...]:
        """The tables this format has."""
        ...

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the tables (by role name; a role may have several files) into frames."""
        ...


def number_text(values: pl.Expr) -> pl.Expr:
    """Return numbers as the shortest text: ``6`` for 6.0, ``2.55`` for 2.55. Part of line ids, so it never changes."""
    whole = values == values.round()
    return pl.when(whole).then(values.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(values.cast(pl.String))


def numbered(keys: pl.Series) -> pl.Series:
    """Return each key, with ``#2``, ``#3`` ... on its second and later occurrences, in row order.

    >>> numbered(pl.Series(["a", "b", "a"])).to_list()
    ['a', 'b', 'a#2']
    """
    if keys.hash().n_unique() == len(keys):  # different hashes are of different keys, and faster to tell apart
        return keys
    repeated = keys.is_duplicated()
    rows = repeated.arg_true()  # few rows repeat; numbering only those is ten times faster
    occurrence = pl.int_range(pl.len(), dtype=pl.UInt32).over("key") + 1
    text = pl.when(occurrence == 1).then("key").otherwise(pl.col("key") + "#" + occurrence.cast(pl.String))
    return keys.scatter(rows, pl.DataFrame({"key": keys.gather(rows)}).select(text).to_series())


def numbered_by_size(lines: pl.DataFrame) -> pl.Series:
    """Return each key, with ``#2`` ... on further equal ones of a copy, most units first, whatever the order of rows.

    Parameters
    ----------
    lines
        key, quantity, and copy: keys of different copies (a line that stands in two files) are numbered apart.

    >>> numbered_by_size(pl.DataFrame({"key": ["a", "a"], "quantity": [1.0, 3.0], "copy": [1, 1]})).to_list()
    ['a#2', 'a']
    """
    again = lines.select(pl.struct("copy", "key").is_duplicated()).to_series()
    if not again.any():
        return lines["key"]
    rows = again.arg_true()  # few rows repeat
    rank = pl.col("quantity").rank("ordinal", descending=True).over("copy", "key")
    suffix = pl.when(rank > 1).then("#" + rank.cast(pl.String)).otherwise(pl.lit(""))
    return lines["key"].scatter(rows, lines[rows].select(pl.col("key") + suffix).to_series())


def short_codes(codes: pl.Series) -> pl.Series:
    """Return codes with long ones, which are names, as fingerprints: a line's id has at most 255 characters."""
    long = codes.filter(codes.str.len_chars() > LONGEST_PART).unique().to_list()
    return codes.replace({text: sha256(text.encode()).hexdigest()[:32] for text in long}) if long else codes


def movements_frame(rows: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return rows that have the other columns of MOVEMENTS with ``source`` in front."""
    return rows.select(
        pl.lit(source).alias("source"), "line_id", "kind", "occurred_at", "product", "warehouse", "quantity",
        "unit_price",
    )  # fmt: skip
