"""What the overrides that hold do to a forecast and to an order.

A forecast override acts on the sample paths, after the model and before planning: every path is scaled, so that the
series still ask for much or little in the same worlds. On a day and a series one override holds: the one with the
narrowest scope, and of equally narrow ones the latest.

An order override says what one line orders: exactly, at least or at most so many units. It is written as an edit on
each plan's line, so that all that is known about edits (who, why, undo) is true of it too. One that says *exactly* or
*at least* is about one order: it is spent when that order is approved. *At most* holds until its last day.

Letters: N series, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.services.inheriting import HISTORY
from shelfwise.storage import overrides
from shelfwise.storage.overrides import Override

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

FORECAST: Final = "forecast"
ORDER: Final = "order"
SCOPES: Final = ("shop", "warehouse", "supplier", "category", "product", "line")
"""What an override may apply to, from the widest to the narrowest; a line is a product in a warehouse."""
RULES: Final = ("exactly", "at least", "at most")
LARGEST_FACTOR: Final = 100.0
EDIT_OF: Final = "override "
"""How the reason of an edit begins that an order override has made; its number follows."""


@dataclass(frozen=True)
class Change:
    """What a forecast override does: multiply demand, or set the units a day of its scope.

    >>> Change.parse("+20%"), Change.parse("12/day")
    (Change(factor=1.2, per_day=None), Change(factor=None, per_day=12.0))
    """

    factor: float | None = None
    per_day: float | None = None

    def __post_init__(self) -> None:
        if (self.factor is None) == (self.per_day is None):
            raise ParameterError("a forecast override has a factor or units a day, one of the two")
        if self.factor is not None and not 0 <= self.factor <= LARGEST_FACTOR:
            raise ParameterError(
                f"a factor on demand must be from 0 to {LARGEST_FACTOR:g}, got {self.factor:g}; like +20% or x1.2"
            )
        if self.per_day is not None and not 0 <= self.per_day < float("inf"):
            raise ParameterError(f"units a day must be zero or more, got {self.per_day:g}; for example 12/day")

    @classmethod
    def parse(cls, text: str) -> Change:
        """Read ``+20%``, ``-15%``, ``x1.5`` or ``12/day``.

        Raises
        ------
        ParameterError
            It is none of these.
        """
        plain = text.strip().casefold().replace(" ", "")
        try:
            if plain.endswith("/day"):
                return cls(per_day=float(plain.removesuffix("/day")))
            if plain.endswith("%") and plain[0] in "+-":
                return cls(factor=round(1 + float(plain.removesuffix("%")) / 100, 9))
            if plain.startswith("x"):
                return cls(factor=float(plain.removeprefix("x")))
        except ParameterError:
            raise
        except ValueError:
            pass
        raise ParameterError(f"a change of demand is written +20%, -15%, x1.5 or 12/day, got {text!r}")

    @classmethod
    def of(cls, override: Override) -> Change:
        """Return what a stored forecast override does."""
        return cls(**override.value)

    def __str__(self) -> str:
        """Write it as a person would.

        >>> str(Change(factor=0.85)), str(Change(factor=2.5)), str(Change(per_day=12))
        ('-15 %', 'x2.5', '12 a day')
        """
        if self.factor is None:
            return f"{words.units(self.per_day)} a day"
        return f"{100 * (self.factor - 1):+.3g} %" if self.factor <= 2 else f"x{self.factor:g}"


@dataclass(frozen=True, eq=False)
class Adjusted:
    """A forecast with the overrides that hold.

    Parameters
    ----------
    forecast
        With the overrides; its notes name them.
    untouched
        The series that were changed, as the model made them; None where none was.
    used
        The overrides that changed something, the oldest first.
    """

    forecast: Forecast
    untouched: Forecast | None = None
    used: tuple[Override, ...] = ()


def standing(app: App, since: dt.date, setting: str) -> list[Override]:
    """Return the overrides of one setting that hold on some day from ``since`` on, the oldest first."""
    with app.database.read() as connection:
        return overrides.standing_overrides(connection, since, setting)


def matches(series: pl.DataFrame, override: Override) -> Flags:
    """Return [N] which rows of ``series`` (unique_id, product, warehouse, supplier, category) an override is about."""
    if override.scope_kind == "shop":
        return np.ones(series.height, dtype=np.bool_)
    column = "unique_id" if override.scope_kind == "line" else override.scope_kind
    if column not in series.columns:
        return np.zeros(series.height, dtype=np.bool_)
    return (series[column] == override.scope).fill_null(value=False).to_numpy()


def holding(series: pl.DataFrame, days: npt.NDArray[np.datetime64], some: Sequence[Override]) -> Integers:
    """Return [N, H] the number of the override that holds for each series on each day; 0 where none does.

    Parameters
    ----------
    series
        N rows.
    days
        [H] days.
    """
    held = np.zeros((series.height, len(days)), dtype=np.int64)
    for one in sorted(some, key=lambda each: (SCOPES.index(each.scope_kind), each.id)):
        rows = np.flatnonzero(matches(series, one))
        inside = np.flatnonzero(
            (days >= np.datetime64(one.starts_on or dt.date.min))
            & (days <= np.datetime64(one.expires_on or dt.date.max))
        )
        held[np.ix_(rows, inside)] = one.id
    return held


def adjust(forecast: Forecast, panel: Panel, some: Sequence[Override]) -> Adjusted:
    """Return a daily forecast with the forecast overrides that hold.

    Parameters
    ----------
    forecast
        As the model made it; all its series begin on the same day.
    panel
        What it was made from, its rows in the same order: which days ahead are open is read from it.
    """
    if not some or not len(forecast):
        return Adjusted(forecast)
    days = forecast.moments()[0].astype("datetime64[D]")
    held = holding(forecast.series, days, some)
    if not held.any():
        return Adjusted(forecast)
    mean = np.asarray(forecast.mean(), dtype=np.float64)
    opened = panel.known_future["open"].at(panel.ends, forecast.horizon) > 0.5
    wanted, used = wanted_means(mean, held, opened, some)
    rows = np.flatnonzero(held.any(axis=1))
    notes = tuple(note(one) for one in used)
    origin = replace(forecast.provenance, notes=(*forecast.provenance.notes, *notes))
    changed = replace(forecast.with_mean(wanted), provenance=origin)
    return Adjusted(changed, forecast.select(rows), tuple(used))


def wanted_means(
    mean: Floats, held: Integers, opened: Flags, some: Sequence[Override]
) -> tuple[Floats, list[Override]]:
    """Return the means [N, H] that forecast overrides ask for, and those of them that hold somewhere.

    Parameters
    ----------
    mean
        [N, H] units, of every series that an override may be about: units a day are those of its whole scope.
    held
        [N, H] as `holding` gives it.
    opened
        [N, H] days on sale.
    """
    wanted = mean.copy()
    used = []
    for one in some:
        cells = held == one.id
        if cells.any():
            wanted[cells] = _wanted(Change.of(one), mean, cells, opened)
            used.append(one)
    return wanted, used


def _wanted(change: Change, mean: Floats, cells: Flags, opened: Flags) -> Floats:
    """Return the means that an override asks for on its cells.

    Units a day are those of its whole scope on each day on which something of it is on sale; within, the forecast's
    own shares and weekdays stay. Where nothing was forecast at all, open days and series share alike.
    """
    if change.factor is not None:
        return mean[cells] * change.factor
    shape = np.where(cells, mean, 0.0)
    if shape.sum() <= 0:
        shape = (cells & opened).astype(np.float64)
    on_sale = int((shape > 0).any(axis=0).sum())
    total = shape.sum()
    scale = float(change.per_day or 0.0) * on_sale / total if total > 0 else 0.0
    scaled: Floats = shape[cells] * scale
    return scaled


def ordered(override: Override, proposed: float) -> float:
    """Return the units that an order override makes of a proposed quantity."""
    asked, rule = float(override.value["quantity"]), override.value["rule"]
    return {"exactly": asked, "at least": max(asked, proposed), "at most": min(asked, proposed)}[rule]


def edits(
    some: Sequence[Override], proposed: Mapping[str, float], approved_at: Mapping[str, dt.datetime], as_of: dt.date
) -> dict[str, tuple[Override, float]]:
    """Return the edits that order overrides make on a plan: by line, the override and the quantity.

    Parameters
    ----------
    some
        Order overrides that stand, the oldest first.
    proposed
        Units proposed by line.
    approved_at
        When each line was last approved: an override made before that is spent, unless it says at most.
    as_of
        Day of the plan.
    """
    found: dict[str, tuple[Override, float]] = {}
    for one in some:
        line = str(one.scope)
        if line not in proposed or (one.starts_on is not None and one.starts_on > as_of):
            continue
        if spent(one, approved_at):
            continue
        units = ordered(one, proposed[line])
        found.pop(line, None)
        if units != proposed[line]:
            found[line] = (one, units)
    return found


def spent(override: Override, approved_at: Mapping[str, dt.datetime]) -> bool:
    """Say whether an order override has had its order: its line was approved since, and it does not say at most."""
    if override.setting != ORDER or override.value["rule"] == "at most":
        return False
    return str(override.scope) in approved_at and approved_at[str(override.scope)] >= override.created_at


def edit_reason(override: Override) -> str:
    """Return the reason of the edit that an order override makes; `made_by` reads it."""
    return f"{EDIT_OF}{override.id}: {override.reason}"


def made_by(reason: str | None) -> int | None:
    """Return the number of the override that made an edit with this reason; None: a person edited the line.

    >>> made_by("override 12: trade fair"), made_by("shelf is full"), made_by("override of habit")
    (12, None, None)
    """
    number, colon, _ = (reason or "").removeprefix(EDIT_OF).partition(":")
    return int(number) if (reason or "").startswith(EDIT_OF) and colon and number.isdigit() else None


def note(override: Override) -> str:
    """Say what a forecast override does, where, how long, why, and who says so."""
    return (
        f"override {override.id} changes the forecast of {scope_words(override)} by hand: {Change.of(override)}"
        f"{_days(override)} ({override.reason}; {override.created_by})"
    )


def scope_words(override: Override) -> str:
    """Name what an override is about."""
    if override.scope_kind == "shop":
        return "the whole shop"
    return (
        str(override.scope) if override.scope_kind in ("product", "line") else f"{override.scope_kind} {override.scope}"
    )


def _days(override: Override) -> str:
    begins = "" if override.starts_on is None else f" from {override.starts_on}"
    return begins + ("" if override.expires_on is None else f" until {override.expires_on}")


def change_words(override: Override) -> str:
    """Say what an override asks for, in a few words."""
    if override.setting == FORECAST:
        return str(Change.of(override))
    if override.setting == ORDER:
        units = words.units(override.value["quantity"])
        rule = override.value["rule"]
        return f"{units} units" if rule == "exactly" else f"{rule} {units} units"
    if override.setting == HISTORY:
        return f"that of {override.value['like']} x{override.value['times']:g}"
    return ", ".join(f"{key} {value}" for key, value in override.value.items())
