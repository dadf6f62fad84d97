"""What the cells of an unknown column look like: dates, counts, money, codes or words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from shelfwise.ingest.moments import DateOrder, read_moments
from shelfwise.ingest.numerals import read_numbers
from shelfwise.ingest.tables import masked

_MOST: Final = 0.9  # share of cells that must be so
_ORDERS: Final[tuple[DateOrder, ...]] = ("dmy", "mdy", "ymd")


@dataclass(frozen=True)
class Content:
    """Shares of the filled cells of a column that are so, and some facts.

    ``first`` are its first three different values, ``distinct`` how many different ones it has; ``running`` numbers
    are 1, 2, 3 ... or another row number.
    """

    cells: int
    first: tuple[str, ...]
    distinct: int
    dates: float
    numbers: float
    whole: float
    two_decimals: float
    spaced: float
    longest: int
    largest: float
    negative: float
    running: bool = False

    def score(self, wanted: str) -> float:
        """Return how much it looks like ``date``, ``count``, ``money``, ``code`` or ``words``; 0: not at all."""
        if not self.cells:
            return 0.0
        is_date, is_number = self.dates >= _MOST, self.numbers >= _MOST
        if wanted == "date":
            return self.dates if is_date else 0.0
        if wanted == "money":
            return self.two_decimals if is_number and not is_date and self.two_decimals > 0.2 else 0.0
        if wanted == "count":
            # Counts are small and whole; a number of many digits is a code.
            fits = is_number and not is_date and self.two_decimals < 0.5 and self.longest <= 7 and not self.running
            return self.whole / (1 + self.largest / 1_000) if fits else 0.0
        if wanted == "code":
            fits = not is_date and self.longest <= 40 and self.spaced < 0.5 and self.two_decimals < 0.2
            if is_number and (self.longest < 4 or self.negative):
                return 0.0
            return (2.0 if not is_number else 1.0) * (1 - self.spaced) * (self.distinct > 1) if fits else 0.0
        return self.spaced if not is_date and not is_number else 0.0

    def reason(self, wanted: str) -> str:
        """Return in words why the column looks like it."""
        every = f"all {self.cells:,}" if self.cells > 1 else "its one"
        return {
            "date": f"{every} cells are dates",
            "count": f"whole numbers up to {self.largest:,.6g}",
            "money": f"{self.two_decimals:.0%} of its numbers have decimals like prices",
            "code": f"{self.distinct:,} different codes in {self.cells:,} cells",
            "words": f"{self.distinct:,} different texts",
        }[wanted]

    def doubt(self, wanted: str) -> str | None:
        """Return why it can hardly be what it is said to be; None if it can."""
        if self.cells < 3:
            return None
        decimals = round(self.two_decimals * self.cells)
        if wanted == "count" and self.two_decimals >= 0.8:
            return f"{decimals:,} of {self.cells:,} values have two decimals like prices"
        if wanted == "count" and self.dates >= _MOST and self.numbers < _MOST:
            return "its values are dates"
        if wanted == "count" and self.numbers >= _MOST and self.longest >= 8 and self.whole == 1.0:
            return "its values have as many digits as codes"
        if wanted == "code" and self.dates >= _MOST and self.numbers < _MOST:
            return "its values are dates"
        if wanted == "code" and self.two_decimals >= 0.8:
            return f"{decimals:,} of {self.cells:,} values have two decimals like prices"
        return None


def content(cells: pl.Series) -> Content:
    """Look at a column of text.

    >>> seen = content(pl.Series("x", ["2024-01-01", "2024-01-02"]))
    >>> seen.score("date"), seen.score("count")
    (1.0, 0.0)
    """
    filled = cells.str.strip_chars().replace("", None).drop_nulls()
    if filled.is_empty():
        return Content(0, (), 0, 0, 0, 0, 0, 0, 0, 0, 0)
    numbers = read_numbers(filled)
    values = numbers.values.drop_nulls().cast(pl.Float64)
    good = numbers.values.is_not_null() & ~numbers.bad
    dates = max(
        _share(~read_moments(filled, date_order=order, past=False, today=None, timezone=None).bad) for order in _ORDERS
    )
    bare = _share(filled.str.contains(r"^\d+(?:[.,]\d+)?$")) > 0.5
    compact = filled.str.contains(r"^(?:19|20)\d{6}$").all()
    return Content(
        cells=len(filled),
        first=tuple(masked(value) for value in filled.unique(maintain_order=True).head(3)),
        distinct=filled.n_unique(),
        dates=0.0 if bare and not compact else dates,
        numbers=_share(good),
        whole=_share(values == values.round()),
        two_decimals=_share(good & filled.str.contains(r"[.,]\d{2}\D*$")),
        spaced=_share(filled.str.contains(r"\s")),
        longest=max(filled.str.len_chars().to_list()),
        largest=max(values.abs().to_list(), default=0.0),
        negative=_share(values < 0),
        running=len(values) > 2 and bool((values.diff().drop_nulls() == 1).all()),
    )


def _share(mask: pl.Series) -> float:
    return int(mask.sum()) / len(mask) if len(mask) else 0.0
