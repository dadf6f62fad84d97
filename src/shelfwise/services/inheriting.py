"""The history of products that are too new to have one of their own.

Two ways lead to one. A product that ``replaces`` another continues its sales: same level, same season, as if it had
been there all along; that holds for chains of successors too. A warehouse is taken over when the successor first sells
there; where it never has, when it began anywhere. A product a person calls *like* another copies its sales
before its own begin, times a multiplier, until a day.

The multiplier fades into what the product's own sales show. With t the person's multiplier, m the other's mean units a
day, and over the n days since the product began Y its own units and X the other's, it is

    t' = (t K m + Y) / (K m + X)

the mean of a gamma posterior for a Poisson rate, whose prior t weighs as much as K = 28 days of the other's sales
(Gelman and others, Bayesian Data Analysis, 3rd ed., section 2.6). Where the other sells no more, X is n m.

Stock stays whose it is: what is left of the old product never counts as the new one's. Where the other's shelf was
empty, the copied days are known to be hidden, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from shelfwise.domain import words
from shelfwise.storage.overrides import Override

HISTORY: Final = "history"
"""The setting of an override that says whose history a new product copies."""
PRIOR_DAYS: Final = 28
"""K: days of the other product's sales that a person's multiplier weighs as much as."""
SELLS_STILL: Final = 28
"""Days without a sale after which the other product is taken to sell no more."""


@dataclass(frozen=True)
class Heir:
    """A product that takes over another's days before a day (None: all of them), times a multiplier.

    ``sooner_or_later`` has the day by warehouse where it is another one than ``before``.
    """

    product: str
    source: str
    before: dt.date | None
    times: float = 1.0
    sooner_or_later: Mapping[str, dt.date] = field(default_factory=dict)


@dataclass(frozen=True)
class Inheritance:
    """Who takes over whose history.

    Parameters
    ----------
    heirs
        For each product the nearest source first.
    told
        By product, a sentence on where its history comes from.
    """

    heirs: tuple[Heir, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


def inheritance(lines: pl.DataFrame, table: pl.DataFrame, likes: Sequence[Override], until: dt.date) -> Inheritance:
    """Return who takes over whose history.

    Parameters
    ----------
    lines
        DAILY_DEMAND up to ``until``.
    table
        PRODUCTS.
    likes
        Overrides of the setting ``history`` that stand; those that have expired by the day after ``until`` do nothing.
    until
        Last day of the data.
    """
    parents: dict[str, tuple[str, float]] = {
        new: (old, 1.0)
        for new, old in table.filter(pl.col("replaces").is_not_null()).select("product", "replaces").iter_rows()
    }
    valid = [one for one in likes if one.expires_on is None or one.expires_on > until]
    if not parents and not valid:
        return Inheritance()
    related = {*parents, *(old for old, _ in parents.values())}
    related |= {str(name) for one in valid for name in (one.scope, one.value["like"])}
    first_days: dict[str, dict[str, dt.date]] = {}
    some = lines.filter(pl.col("product").is_in(related)).group_by("product", "warehouse").agg(pl.col("day").min())
    for code, warehouse, day in some.iter_rows():
        first_days.setdefault(code, {})[warehouse] = day
    own = {code: min(days.values()) for code, days in first_days.items()}
    launched = dict(table.select("product", "launched_on").iter_rows())
    begins = {
        code: min((day for day in (own.get(code), launched.get(code)) if day is not None), default=None)
        for code in {*launched, *own}
    }
    told = {new: _continues(new, parents, own) for new in parents}
    for one in valid:
        if launched.get(one.scope) is not None:
            first_days.pop(str(one.scope), None)  # on sale, and not sold yet, is no reason to copy another
        new, old, times = str(one.scope), str(one.value["like"]), float(one.value["times"])
        parents[new] = (old, _faded(lines, new, old, times, begins.get(new), until))
        told[new] = _told(one, parents[new][1], begins.get(new), until)
    heirs = [heir for new in parents for heir in _line_of(new, parents, begins, first_days)]
    return Inheritance(tuple(heirs), told)


def _continues(new: str, parents: Mapping[str, tuple[str, float]], own: Mapping[str, dt.date]) -> str:
    """Say whose sales a successor continues, if there are any."""
    old, line = parents[new][0], _ancestors(new, parents)
    if any(code in own for code in line):
        return f"It replaces {old} and continues its sales."
    return f"It replaces {old}, of which no sale is known, so it inherits nothing."


def _ancestors(new: str, parents: Mapping[str, tuple[str, float]]) -> list[str]:
    """Return whom a product takes over from, its parent first; a circle ends where it closes."""
    line: list[str] = []
    code = new
    while code in parents and parents[code][0] not in (new, *line):
        code = parents[code][0]
        line.append(code)
    return line


def _line_of(
    new: str,
    parents: Mapping[str, tuple[str, float]],
    begins: Mapping[str, dt.date | None],
    first_days: Mapping[str, Mapping[str, dt.date]],
) -> list[Heir]:
    """Return what a product takes over, from its parent back: each one's days until the next one began."""
    heirs: list[Heir] = []
    code, times, before = new, 1.0, begins.get(new)
    there = dict(first_days.get(new, {}))
    for source in _ancestors(new, parents):
        times *= parents[code][1]
        heirs.append(Heir(new, source, before, times, dict(there)))
        days = [day for day in (before, begins.get(source)) if day is not None]
        before = min(days, default=None)
        for warehouse, day in first_days.get(source, {}).items():
            there[warehouse] = min(day, there.get(warehouse, day))
        code = source
    return heirs


def _faded(lines: pl.DataFrame, new: str, old: str, times: float, begins: dt.date | None, until: dt.date) -> float:
    """Return the multiplier t' after the product's own days so far; see this file."""
    if begins is None or begins > until:
        return times
    days = (until - begins).days + 1
    theirs = lines.filter(pl.col("product") == old)
    past = theirs.filter(pl.col("day") < begins)
    first, last = theirs["day"].min(), theirs["day"].max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date) or first >= begins:
        return times
    span = (begins - max(first, begins - dt.timedelta(days=364))).days
    mean = float(past.filter(pl.col("day") >= begins - dt.timedelta(days=span))["quantity"].sum()) / span
    if mean <= 0:
        return times
    sells = (until - last).days < SELLS_STILL
    beside = float(theirs.filter(pl.col("day") >= begins)["quantity"].sum()) if sells else days * mean
    mine = float(lines.filter((pl.col("product") == new) & (pl.col("day") >= begins))["quantity"].sum())
    return (times * PRIOR_DAYS * mean + mine) / (PRIOR_DAYS * mean + beside)


def _told(one: Override, times: float, begins: dt.date | None, until: dt.date) -> str:
    old, said = one.value["like"], float(one.value["times"])
    ends = "" if one.expires_on is None else f" until {one.expires_on}"
    days = 0 if begins is None else max((until - begins).days + 1, 0)
    now = "" if not days else f"; after {words.count(days, 'day')} of its own the multiplier is {times:.2f}"
    return f"Its history before it began is that of {old}, times {said:g}{ends}{now} ({one.reason}; {one.created_by})."


def with_inherited(lines: pl.DataFrame, heirs: Sequence[Heir]) -> pl.DataFrame:
    """Return DAILY_DEMAND with what heirs take over; whole units stay whole, and their sum is kept to a unit.

    >>> day = [dt.date(2026, 1, n) for n in range(1, 5)]
    >>> old = pl.DataFrame({"product": "old", "warehouse": "main", "day": day, "quantity": [1.0, 2.0, 1.0, 2.0],
    ...                     "revenue": None})
    >>> with_inherited(old, [Heir("new", "old", None, 0.5)]).filter(product="new")["quantity"].to_list()
    [1.0, 1.0, 1.0]
    """  # fmt: skip
    if not heirs:
        return lines
    whole = bool((lines["quantity"] == lines["quantity"].round()).all())
    parts = [lines]
    for heir in heirs:
        past = _before(lines, heir)
        if heir.times != 1.0:
            past = past.sort("warehouse", "day").with_columns(
                pl.col("quantity") * heir.times, pl.col("revenue").cast(pl.Float64) * heir.times
            )
            if whole:
                summed = pl.col("quantity").cum_sum().over("warehouse")
                past = past.with_columns(
                    quantity=_whole(summed) - _whole(summed.shift(1, fill_value=0.0).over("warehouse"))
                )
            past = past.filter(pl.col("quantity") > 0)
        parts.append(past.select(lines.columns))
    joined = pl.concat(parts, how="vertical_relaxed")
    return joined.unique(["product", "warehouse", "day"], keep="first", maintain_order=True)


def _whole(units: pl.Expr) -> pl.Expr:
    return (units + 0.5).floor()


def stock_inherited(on_hand: pl.DataFrame, heirs: Sequence[Heir]) -> pl.DataFrame:
    """Return DAILY_ON_HAND in which an heir's days before it began are its source's, so that hidden days are known."""
    if not heirs:
        return on_hand
    taken = pl.concat([_before(on_hand, heir) for heir in heirs]).unique(
        ["product", "warehouse", "day"], keep="first", maintain_order=True
    )
    own = on_hand.join(taken, on=["product", "warehouse", "day"], how="anti")
    return pl.concat([own, taken])


def _before(rows: pl.DataFrame, heir: Heir) -> pl.DataFrame:
    """Return the source's rows before the heir began, under the heir's name."""
    past = rows.filter(pl.col("product") == heir.source)
    if heir.sooner_or_later:
        places = pl.col("warehouse").replace_strict(
            dict(heir.sooner_or_later), default=heir.before, return_dtype=pl.Date
        )
        past = past.filter((pl.col("day") < places).fill_null(value=True))
    elif heir.before is not None:
        past = past.filter(pl.col("day") < heir.before)
    return past.with_columns(product=pl.lit(heir.product)).select(rows.columns)
