"""The receipt of an import: what was read, used and left out, how it was understood, and what to do next.

It is printed for people, stored as JSON with the import, and never holds a person's data: headers of personal columns
are named, their cells are not.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from shelfwise.domain import words

SHOWN_LINES = 3


@dataclass(frozen=True)
class Tally:
    """Rows that share one fate: why, how many, and the lines of the first few."""

    reason: str
    rows: int
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Read as ``38 rows: is not a number (lines 4, 17, 29, ...)``."""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        if not self.lines:
            return f"{rows}: {self.reason}"
        shown = ", ".join(f"{n:,}" for n in self.lines[:SHOWN_LINES])
        more = ", ..." if self.rows > SHOWN_LINES else ""
        return f"{rows}: {self.reason} (line{'' if self.rows == 1 else 's'} {shown}{more})"


@dataclass(frozen=True)
class FileReceipt:
    """What became of one file. ``rows_read`` is the sum of used, dropped (by a stated rule) and rejected (wrong)."""

    file: str
    sha256: str
    profile: str
    table: str
    layout: str
    rows_read: int
    rows_used: int
    dropped: tuple[Tally, ...] = ()
    rejected: tuple[Tally, ...] = ()
    booked: dict[str, int] = field(default_factory=dict)
    mapping: dict[str, str] = field(default_factory=dict)
    readings: dict[str, str] = field(default_factory=dict)
    not_imported: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield the lines a person reads."""
        yield f"{self.file}: {self.profile}, table {self.table} ({self.layout})"
        dropped, rejected = sum(t.rows for t in self.dropped), sum(t.rows for t in self.rejected)
        yield (
            f"  rows      {self.rows_read:,} read = {self.rows_used:,} used + {dropped:,} dropped"
            f" + {rejected:,} rejected"
        )
        if self.booked:
            yield "  booked as " + ", ".join(f"{kind} {rows:,}" for kind, rows in self.booked.items())
        yield from (f"  dropped   {tally}" for tally in self.dropped)
        yield from (f"  rejected  {tally}" for tally in self.rejected)
        if self.mapping:
            yield "  columns   " + ", ".join(f"{ours} = {theirs!r}" for ours, theirs in self.mapping.items())
        yield from (f"  read      {column!r}: {how}" for column, how in self.readings.items())
        if self.personal:
            yield "  personal  never read: " + ", ".join(map(repr, self.personal))
        if self.not_imported:
            yield "  ignored   no table takes " + ", ".join(map(repr, self.not_imported))
        if self.facts:
            yield "  in file   " + ", ".join(f"{name} {value:,.10g}" for name, value in self.facts.items())
        yield from (f"  note      {note}" for note in self.notes)


@dataclass(frozen=True)
class Receipt:
    """The receipt of one import of one or more files."""

    files: tuple[FileReceipt, ...]
    frames: dict[str, int]
    products: int
    first_day: date | None = None
    last_day: date | None = None
    incomplete_last_day: date | None = None
    notes: tuple[str, ...] = ()
    next_step: str = ""

    @property
    def rows_read(self) -> int:
        """Rows read in all files."""
        return sum(file.rows_read for file in self.files)

    @property
    def rows_used(self) -> int:
        """Rows that reached a frame."""
        return sum(file.rows_used for file in self.files)

    @property
    def rows_rejected(self) -> int:
        """Rows that are wrong and stand in the rejects."""
        return sum(tally.rows for file in self.files for tally in file.rejected)

    def lines(self) -> list[str]:
        """Return the receipt as lines for people."""
        text = [line for file in self.files for line in file.lines()]
        text.append("frames    " + ", ".join(f"{name} {rows:,}" for name, rows in self.frames.items()))
        if self.first_day is not None and self.last_day is not None:
            days = (self.last_day - self.first_day).days + 1
            text.append(f"range     {self.first_day} to {self.last_day} ({words.count(days, 'day')})")
        text.append(f"products  {self.products:,}")
        text += [f"note      {note}" for note in self.notes]
        if self.next_step:
            text.append(f"next      {self.next_step}")
        return text

    def __str__(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self.lines())

    def to_json(self) -> str:
        """Return the receipt as JSON, for storage with the import."""
        return json.dumps(dataclasses.asdict(self), default=str, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Receipt:
        """Return the receipt that `to_json` wrote.

        >>> receipt = Receipt((), {"movements": 3}, 1, first_day=date(2024, 1, 1))
        >>> Receipt.from_json(receipt.to_json()) == receipt
        True
        """
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Receipt:
        """Return the receipt of which ``kept`` is the JSON, as it is stored with an import."""
        raw = copy.deepcopy(kept)
        for name in ("first_day", "last_day", "incomplete_last_day"):
            raw[name] = date.fromisoformat(raw[name]) if raw[name] else None
        files = tuple(_file(entry) for entry in raw.pop("files"))
        return cls(files=files, **{**raw, "notes": tuple(raw["notes"])})


def _file(raw: dict[str, Any]) -> FileReceipt:
    for name in ("dropped", "rejected"):
        raw[name] = tuple(Tally(t["reason"], t["rows"], tuple(t["lines"])) for t in raw[name])
    for name in ("not_imported", "personal", "notes"):
        raw[name] = tuple(raw[name])
    return FileReceipt(**raw)


def some(values: Iterable[str], limit: int = 8) -> str:
    """Return the first few values as text, and how many more there are.

    >>> some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = list(values)
    more = f" and {len(shown) - limit:,} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
