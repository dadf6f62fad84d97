"""What the coming demand of one series is made of: units a week by cause, and the same in sentences.

The table adds up to the forecast (`shelfwise.forecasting.explain`). An event has a sentence of its own, which says what
its days bring more than the same days would bring without it.

Letters: H days ahead, P parts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain import words
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.contract import Predictor
from shelfwise.forecasting.explain import (
    Contributions,
    Part,
    composed,
    explain,
    kind_of,
    with_residual,
)
from shelfwise.forecasting.usual import Driver, as_usual, drivers_of
from shelfwise.services.demand import DAILY, Demand

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

TOLD_WEEKS: Final = 4  # weeks that the sentences speak of
SMALL: Final = 0.02  # of the demand: less is not told
MOST_EVENTS: Final = 2  # sentences on events

OVERRIDE: Final = Part("override", "override")
BUNDLES: Final = Part("bundles", "bundles")

_NAMES: Final = {
    "season": ("the time of year", "adds", "takes away"),
    "weekday": ("the days of the week", "add", "take away"),
    "opening": ("closed days", "add", "take away"),
    "promotion": ("promotions", "add", "take away"),
    "price": ("the price", "adds", "takes away"),
    "company": ("the shop as a whole", "adds", "takes away"),
    "models": ("what other models say", "adds", "takes away"),
    "override": ("a planner's override", "adds", "takes away"),
    "bundles": ("bundles it is sold in", "add", "take away"),
    "learnt": ("what similar products show", "adds", "takes away"),
    "model": ("what the model does not split up", "adds", "takes away"),
}


@dataclass(frozen=True, eq=False)
class Composition:
    """What the coming demand of one series is made of.

    Parameters
    ----------
    contributions
        Of the days ahead, one series; they sum to the forecast's means.
    weeks
        Whole weeks ahead: ``week_to`` (last day), ``kind``, ``part``, ``units``.
    events
        Promotions and holidays ahead, one row for each stretch of days: ``kind``, ``name``, ``from``, ``to``, ``units``
        (against the same days without), ``lift`` (the factor; null where nothing sells without), ``seen_days`` (days
        this product had one before) and ``seen_days_in_category``.
    sentences
        The same in words, the most important first.
    """

    contributions: Contributions
    weeks: pl.DataFrame
    events: pl.DataFrame
    sentences: tuple[str, ...]


def compose(
    predictor: Predictor,
    panel: Panel,
    mean: Floats,
    known: Demand,
    calendar: pl.DataFrame,
    today: dt.date,
    added: Sequence[tuple[Part, Floats]] = (),
) -> Composition:
    """Return what the coming demand of one series is made of.

    Parameters
    ----------
    predictor
        The model the forecast was made with.
    panel
        The one series.
    mean
        [H] the means that the model made: what its parts must add up to.
    known
        The store's demand, for what others of its category have seen.
    calendar
        CALENDAR_EVENTS, for the names of events.
    today
        First day of the forecast.
    added
        What was added to the model's means, as parts of their own, each [H]: overrides, demand in bundles.
    """
    horizon = len(mean)
    made = with_residual(explain(predictor, panel, horizon), mean[None, :])
    for part, extra in added:
        units = np.concatenate([made.units, extra[None, :, None]], axis=2)
        made = replace(made, parts=(*made.parts, part), units=units)
    events = _events(predictor, panel, horizon, known, calendar)
    texts = [(row["kind"], _event_words(row, today)) for row in events.iter_rows(named=True)]
    told = [(kind, text) for kind, text in texts if text][:MOST_EVENTS]
    sentences = (*composition_words(made, without=tuple(kind for kind, _ in told)), *[text for _, text in told])
    return Composition(made, _weeks(made), events, sentences)


def _weeks(made: Contributions) -> pl.DataFrame:
    """Return units by whole week and part."""
    n_weeks = made.units.shape[1] // 7
    units = made.units[0, : 7 * n_weeks].reshape(n_weeks, 7, len(made.parts)).sum(axis=1)  # [weeks, P]
    ends = made.freq.moments(made.starts[0] + 7 * np.arange(1, n_weeks + 1) - 1)
    return pl.DataFrame(
        {
            "week_to": pl.Series(np.repeat(ends, len(made.parts))).cast(pl.Date),
            "kind": pl.Series([part.kind for part in made.parts] * n_weeks, dtype=pl.String),
            "part": pl.Series([part.name for part in made.parts] * n_weeks, dtype=pl.String),
            "units": units.reshape(-1),
        }
    )


# ---------------------------------------------------------------------- sentences


def composition_words(made: Contributions, *, without: tuple[str, ...] = ()) -> list[str]:
    """Say what the next weeks of one daily series are made of, in units a week; what is under 2 % is left out.

    Parameters
    ----------
    without
        Kinds of parts that are told elsewhere.
    """
    days = min(7 * TOLD_WEEKS, made.units.shape[1])
    weeks = days / 7
    units = made.units[0, :days].sum(axis=0) / weeks  # [P] units a week
    demand, level = float(units.sum()), float(made.of_kind("level")[0, :days].sum() / weeks)
    if max(demand, level) < 0.05:
        return []
    said = [
        f"Its usual level is {amount(level)} a week; over the next {words.count(round(weeks), 'week')} it should sell "
        f"{words.units(demand)} a week."
    ]
    largest = max(demand, level)
    told = [
        (part, round(float(value), 0 if largest >= 9.95 else 1))
        for part, value in zip(made.parts, units, strict=True)
        if part.kind not in ("level", *without) and abs(value) >= SMALL * largest
    ]
    told = [(part, value) for part, value in told if value]
    told.sort(key=lambda one: -abs(one[1]))
    signs = sorted({value > 0 for _, value in told}, key=lambda up: (told[0][1] > 0) != up)
    clauses = [_clause([one for one in told if (one[1] > 0) == up], first=i == 0) for i, up in enumerate(signs)]
    if clauses:
        text = "; ".join(clauses)
        said.append(f"{text[0].upper()}{text[1:]}.")
    return said


def _clause(told: list[tuple[Part, float]], *, first: bool) -> str:
    """Return words like: the time of year adds 7 units a week, promotions 3 and higher sales of late 2."""
    pieces = [f"{_named(part, value)[0]} {words.units(abs(value))}" for part, value in told]
    number = f"{amount(told[0][1])} a week" if first else words.units(abs(told[0][1]))
    pieces[0] = f"{' '.join(_named(*told[0]))} {number}"
    return " and ".join([", ".join(pieces[:-1]), pieces[-1]] if len(pieces) > 1 else pieces)


def _named(part: Part, value: float) -> tuple[str, str]:
    """Return a part's name in a sentence, and its verb."""
    if part.kind == "trend":
        return ("higher sales of late", "add") if value > 0 else ("lower sales of late", "take away")
    name, more, less = _NAMES.get(part.kind, (part.name.replace("_", " "), "adds", "takes away"))
    return name, more if value > 0 else less


def amount(value: float) -> str:
    """Write an amount without its sign, with its noun.

    >>> amount(1.0), amount(-0.5), amount(12.3)
    ('1 unit', '0.5 units', '12 units')
    """
    text = words.units(abs(value))
    return f"{text} unit" if text == "1" else f"{text} units"


# ---------------------------------------------------------------------- events


def _events(predictor: Predictor, panel: Panel, horizon: int, known: Demand, calendar: pl.DataFrame) -> pl.DataFrame:
    """Return the events ahead of one series, the largest first."""
    schema = {
        "kind": pl.String, "name": pl.String, "from": pl.Date, "to": pl.Date, "units": pl.Float64, "lift": pl.Float64,
        "seen_days": pl.Int64, "seen_days_in_category": pl.Int64,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    departing = drivers_of(panel, horizon)
    drivers = [d for d in departing if d.is_event and not d.words]
    amounts = [d for d in departing if not d.is_event]
    if drivers and composed(predictor) is not None:
        actual = predictor.predict(panel, horizon).mean()[0]
        for driver in drivers:
            gone = (driver, *_cut_by(driver, amounts))
            without = predictor.predict(as_usual(panel, gone, horizon), horizon).mean()[0]
            rows += _stretches(driver, panel, actual, without, known, calendar)
    rows.sort(key=lambda row: -abs(row["units"]))
    return pl.DataFrame(rows, schema=schema)


def _cut_by(event: Driver, amounts: list[Driver]) -> list[Driver]:
    """Return the prices that a promotion cuts, on its days alone: without it they would be the usual ones."""
    if kind_of(event.name, is_event=True) != "promotion":
        return []
    prices = [one for one in amounts if kind_of(one.name, is_event=False) == "price"]
    return [replace(one, departs=one.departs & event.departs & (one.ahead < one.usual)) for one in prices]


def _stretches(
    driver: Driver, panel: Panel, actual: Floats, without: Floats, known: Demand, calendar: pl.DataFrame
) -> list[dict[str, Any]]:
    up = np.concatenate([[False], driver.departs[0], [False]])
    begins, ends = np.flatnonzero(up[1:] & ~up[:-1]), np.flatnonzero(~up[1:] & up[:-1])  # [begin, end) of each stretch
    kind = kind_of(driver.name, is_event=True)
    seen, seen_by_others = _seen_days(driver.name, panel, known)
    rows = []
    for begin, end in zip(begins, ends, strict=True):
        days = DAILY.moments(panel.ends[0] + np.array([begin, end - 1])).astype("datetime64[D]").tolist()
        names, starts, stops = _names_of(driver.name, panel, days[0], days[1], calendar)
        with_it, bare = float(actual[begin:end].sum()), float(without[begin:end].sum())
        rows.append(
            {
                "kind": kind, "name": names, "from": starts, "to": stops, "units": with_it - bare,
                "lift": with_it / bare if bare > 0 else None, "seen_days": seen,
                "seen_days_in_category": seen_by_others,
            }
        )  # fmt: skip
    return rows


def _names_of(
    kind: str, panel: Panel, first: dt.date, last: dt.date, calendar: pl.DataFrame
) -> tuple[str | None, dt.date, dt.date]:
    """Return the names in the calendar of what is up from ``first`` to ``last``, and its first and last day ahead."""
    line = panel.series.row(0, named=True)
    mine = [
        row
        for row in calendar.filter(
            (pl.col("kind") == kind) & (pl.col("starts_on") <= last) & (pl.col("ends_on") >= first)
        ).iter_rows(named=True)
        if row["scope_kind"] == "shop" or (row["scope_kind"] != "supplier" and line[row["scope_kind"]] == row["scope"])
    ]
    mine.sort(key=lambda row: row["starts_on"])
    names = list(dict.fromkeys(row["name"] for row in mine))
    if not names:
        return None, first, last
    return " and ".join(names), first, max(last, *(row["ends_on"] for row in mine))


def _seen_days(name: str, panel: Panel, known: Demand) -> tuple[int, int]:
    """Return on how many days of its history a series had an event, and on how many others of its category did."""

    def counted(some: Panel) -> int:
        if not some.n_series or not some.lengths.any():
            return 0
        length = int(some.lengths.max())
        up = some.known_future[name].at(some.ends - length, length) > 0.5
        return int((up & some.available_window(length)).sum())

    category = panel.series["category"][0]
    like = known.panel.series["category"].eq_missing(pl.Series([category], dtype=pl.String))
    others = like & (known.panel.ids != panel.ids[0])
    return counted(panel), counted(known.panel.select(others.to_numpy()))


def _event_words(row: dict[str, Any], today: dt.date) -> str:
    """Say what an event brings; nothing where it brings less than 2 %."""
    several = row["name"] is not None and " and " in row["name"]
    kind = "promotion" if row["kind"] == "promotion" else "holiday"
    what = f"The {kind}{'s' if several else ''} {row['name'] or ''}".rstrip()
    first, last = words.day(row["from"], today=today), words.day(row["to"], today=today)
    days = f"on {first}" if row["from"] == row["to"] else f"{first} to {last}"
    if not row["seen_days"] and not row["seen_days_in_category"] and abs((row["lift"] or 1.0) - 1.0) < SMALL:
        return f"{what} ({days}): no {kind} was seen before, so what it does is not known and nothing is assumed."
    if row["lift"] is None or abs(row["lift"] - 1.0) < SMALL or abs(row["units"]) < 0.05:
        return ""
    verb = ("add" if several else "adds") if row["units"] > 0 else ("take away" if several else "takes away")
    share = f"{100 * (row['lift'] - 1.0):+.0f} %"
    past = (
        f"it had {kind}s on {words.count(row['seen_days'], 'day')} before"
        if row["seen_days"]
        else "it never had one, so this is what others show"
    )
    return f"{what} ({days}) {verb} {amount(row['units'])} against the same days without ({share}); {past}."
