"""The history that a question about demand is answered from: the caller's own, or the store's at another granularity.

Letters: T past periods, H periods ahead, D days from the first known one to the last laid out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.covariates import Covariate
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.services.demand import Demand
from shelfwise.storage import lines

Floats = npt.NDArray[np.floating[Any]]
Kind = Literal["promotion", "holiday"]

GRANULARITIES: Final = (
    "5min", "10min", "15min", "30min", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "1w", "1mo",
)  # fmt: skip
LONGEST_BY_DAY: Final = 365
LONGEST_WITHIN_DAY: Final = 2016
"""Periods: a week of 5 minutes."""
MOST_PERIODS: Final = 20_000
"""Periods of history that a model within the day sees, counted back from the last: ten weeks of 5 minutes."""
FEWEST_PERIODS: Final = 7
DAY: Final = Frequency(1, "d")


@dataclass(frozen=True)
class Event:
    """Days on which demand is not as usual, first and last included."""

    kind: Kind
    starts_on: dt.date
    ends_on: dt.date

    def __post_init__(self) -> None:
        if self.ends_on < self.starts_on:
            raise DataError(f"an event cannot end before it begins, got {self.starts_on} to {self.ends_on}")


@dataclass(frozen=True)
class Features:
    """What a caller knows better than the store.

    Parameters
    ----------
    sales
        Moments and units sold; parts of one period are added up, and a period between the first and the last that is
        not named sold nothing. None: the store's.
    prices
        Moments from which a price holds, until the next one. None: the store's.
    events
        Promotions and holidays, in place of the store's from the first period ahead on, or from the first of these days
        where that is earlier. None: the store's.
    """

    sales: tuple[tuple[dt.datetime, float], ...] | None = None
    prices: tuple[tuple[dt.datetime, float], ...] | None = None
    events: tuple[Event, ...] | None = None

    def __post_init__(self) -> None:
        for what, values in (("historical_sales", self.sales), ("price_data", self.prices)):
            for position, (_, number) in enumerate(values or ()):
                if not np.isfinite(number) or number < 0:
                    raise DataError(f"{what} at position {position} must be a number of zero or more, got {number:g}")
        if self.sales is not None and not self.sales:
            raise DataError("historical_sales is empty; leave it out, and the stored sales are taken")

    @property
    def is_empty(self) -> bool:
        """Whether everything is the store's."""
        return self.sales is None and self.prices is None and self.events is None

    def names(self) -> list[str]:
        """Return the covariates that are given."""
        kinds = sorted({event.kind for event in self.events or ()})
        return [*(["price"] if self.prices else []), *kinds]


@dataclass(frozen=True, eq=False)
class Known:
    """A panel to fit on, with what is known ahead, and what to say about how it was made."""

    panel: Panel
    notes: tuple[str, ...] = ()


def frequency(granularity: str) -> Frequency:
    """Return the frequency of that name.

    >>> frequency("7d")
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: granularity must be one of 5min, 10min, 15min, 30min, 1h, 2h, 3h, 4h, \
6h, 8h, 12h, 1d, 1w, 1mo, got '7d'
    """
    if granularity not in GRANULARITIES:
        raise ParameterError(f"granularity must be one of {', '.join(GRANULARITIES)}, got {granularity!r}")
    return Frequency.parse(granularity)


def given_panel(product: str, warehouse: str | None, granularity: str, features: Features, horizon: int) -> Known:
    """Return the caller's history as a panel of one series.

    Raises
    ------
    DataError
        It is too short or too long, is given by day and asked for by less, or an event lies outside of it all.
    """
    freq, sales = frequency(granularity), features.sales or ()
    moments = np.array([moment for moment, _ in sales], dtype="datetime64[us]")
    at = freq.ordinals(moments)
    _refuse_days_within_day(freq, moments)
    first, last = int(at.min()), int(at.max())
    values, notes = np.zeros(_checked(last - first + 1, freq)), []
    np.add.at(values, at - first, np.array([units for _, units in sales]))
    if not np.isfinite(values).all():
        raise DataError("the quantities of a period add up to more than a number can hold; are they units?")
    if len(values) > MOST_PERIODS:
        notes.append(f"the last {MOST_PERIODS:,} of {len(values):,} periods of history are used")
        first, values = last + 1 - MOST_PERIODS, values[-MOST_PERIODS:]
    ahead = _ahead(freq, first, len(values) + horizon, horizon, features, {})
    return Known(_one(product, warehouse, freq, first, values, ahead), tuple(notes))


def _refuse_days_within_day(freq: Frequency, moments: npt.NDArray[np.datetime64]) -> None:
    """Refuse a history by day, or by week, that is to be forecast by less than a day: it says nothing of the hours."""
    if freq.is_daily_or_longer or len(moments) < FEWEST_PERIODS:
        return
    if (moments == moments.astype("datetime64[D]")).all():
        raise DataError(
            f"historical_sales are given by day, which says nothing about {freq}; give the moments of the sales, or "
            "ask for granularity 1d"
        )


def _checked(periods: int, freq: Frequency) -> int:
    if periods < FEWEST_PERIODS:
        raise DataError(
            f"a forecast by {freq} needs a history of at least {FEWEST_PERIODS} periods, got {periods}; "
            "give more, or ask for a finer granularity"
        )
    if periods > 100 * MOST_PERIODS:
        raise DataError(f"historical_sales spans {periods:,} periods of {freq}; is one of its moments wrong?")
    return periods


def stored_panel(
    app: App, known: Demand, rows: npt.NDArray[np.int64], granularity: str, features: Features, horizon: int
) -> Known:
    """Return the store's history of some series, summed into one, at a granularity other than the day.

    By week and month only whole periods count, so the first one forecast is the one the data ends in. Within the day
    sales are counted by their moments; what a stockout hid is not marked there.
    """
    freq, panel = frequency(granularity), known.panel.select(rows)
    names = panel.series.row(0, named=True)
    product = str(names["product"])
    warehouse = str(names["warehouse"]) if len(rows) == 1 else None
    if freq.is_daily_or_longer:
        first, values = _summed(panel, freq)
        notes = [
            f"days are summed to {granularity}; days on which a stockout may have hidden demand count as they sold"
        ]
    else:
        places = panel.series["warehouse"].to_list()
        first, values = _counted(app, known, product, places, freq)
        notes = ["sales are counted by their moments; what a stockout hid is not marked"]
    if len(values) > MOST_PERIODS:
        first, values = first + len(values) - MOST_PERIODS, values[-MOST_PERIODS:]
    start = panel.starts.min(keepdims=True)
    stored = {
        name: panel.known_future[name].at(np.repeat(start, panel.n_series), _days(panel, freq, horizon))
        for name in ("promotion", "holiday", "price")
        if name in panel.known_future
    }
    by_day = {name: grid[0] for name, grid in stored.items()}
    ahead = _ahead(freq, first, len(values) + horizon, horizon, features, by_day, int(start[0]))
    return Known(_one(product, warehouse, freq, first, values, ahead), tuple(notes))


def _days(panel: Panel, freq: Frequency, horizon: int) -> int:
    """Return D days from the panel's first one to past the horizon."""
    return int(panel.ends.max() - panel.starts.min()) + int(horizon / freq.periods(1.0)) + 32


def _summed(panel: Panel, freq: Frequency) -> tuple[int, Floats]:
    """Return the first whole period and the units of each whole one, all series together."""
    start, end = int(panel.starts.min()), int(panel.ends.max())
    units = np.zeros(end - start)
    for row in range(panel.n_series):
        one = panel.values[panel.offsets[row] : panel.offsets[row + 1]]
        low = int(panel.starts[row]) - start
        units[low : low + len(one)] += np.nan_to_num(one)
    at = freq.ordinals(DAY.moments(np.arange(start, end)))
    begins = freq.ordinals(DAY.moments([start - 1]))[0] != at[0]
    ends = freq.ordinals(DAY.moments([end]))[0] != at[-1]
    first, last = int(at[0]) + (0 if begins else 1), int(at[-1]) - (0 if ends else 1)
    periods = _checked(last - first + 1, freq)
    inside = (at >= first) & (at <= last)
    summed: Floats = np.bincount(at[inside] - first, weights=units[inside], minlength=periods).astype(np.float64)
    return first, summed


def _counted(app: App, known: Demand, product: str, places: Sequence[str], freq: Frequency) -> tuple[int, Floats]:
    """Return the first period of the first sale's day and the units of each until the data ends."""
    with app.database.read() as connection:
        sold = lines.movements_of(connection, [product], ["sale"])
    until = dt.datetime.combine(known.planning_day, dt.time())
    sold = sold.filter(pl.col("warehouse").is_in(list(places)) & (pl.col("occurred_at") < until))
    if sold.is_empty():
        raise DataError(f"{product}: no sale of its own in the data, so there is nothing to forecast from by {freq}")
    at = freq.ordinals(sold["occurred_at"].to_numpy())
    begin = sold["occurred_at"].dt.date().min()
    first, end = freq.ordinal(str(begin)), freq.ordinal(until)
    periods = _checked(end - first, freq)
    counted: Floats = np.bincount(at - first, weights=-sold["change"].to_numpy(), minlength=periods).astype(np.float64)
    return first, counted


def _one(
    product: str, warehouse: str | None, freq: Frequency, first: int, values: Floats, ahead: dict[str, Floats]
) -> Panel:
    name = product if warehouse is None else f"{product}@{warehouse}"
    series = {"unique_id": [name], "product": [product], "warehouse": [warehouse or "all"]}
    start = freq.moments([first])[0].astype("datetime64[us]").astype(dt.datetime)
    return Panel.from_wide(values[None, :], start=start, freq=freq, series=series, known_future=ahead, hierarchy=())


def _ahead(
    freq: Frequency, first: int, periods: int, horizon: int, features: Features, by_day: dict[str, Floats],
    first_day: int = 0,
) -> dict[str, Floats]:  # fmt: skip
    """Return what is known of each period from ``first`` on: the store's ``by_day`` [D], and the caller's over it."""
    labels = freq.moments(np.arange(first, first + periods))
    found: dict[str, Floats] = {}
    for name, values in by_day.items():
        if freq.is_daily_or_longer:
            at = freq.ordinals(DAY.moments(np.arange(first_day, first_day + len(values)))) - first
            inside = (at >= 0) & (at < periods) & ~np.isnan(values)
            sums = np.bincount(at[inside], weights=values[inside], minlength=periods)
            found[name] = sums / np.maximum(np.bincount(at[inside], minlength=periods), 1)
        else:
            found[name] = values[np.clip(DAY.ordinals(labels) - first_day, 0, len(values) - 1)]
    for name, (since, values) in _given(freq, first, periods, horizon, features).items():
        if name in found:
            found[name] = np.where(np.arange(periods) < since, found[name], values)
        elif values.any():
            found[name] = values
    # a day of no event is zero; a price that is not known stays unknown
    return {n: v.astype(np.float64) if n == "price" else np.nan_to_num(v.astype(np.float64)) for n, v in found.items()}


def _given(
    freq: Frequency, first: int, periods: int, horizon: int, features: Features
) -> dict[str, tuple[int, Floats]]:
    """Return what the caller says of each period from ``first`` on [periods], and from which of them on it holds.

    Prices hold from the first one on. Events stand in place of all of the store's from the first period ahead on, or
    from the first one of theirs that is earlier; so an empty list says that none is to come.
    """
    labels = freq.moments(np.arange(first, first + periods))
    found: dict[str, tuple[int, Floats]] = {}
    if features.prices:
        begins = freq.ordinals([min(moment for moment, _ in features.prices)])[0] - first
        found["price"] = int(begins), _held(labels, features.prices)
    if features.events is not None:
        flags = _flags(freq, first, periods, features.events)
        starts = [freq.ordinal(event.starts_on) - first for event in features.events]
        since = min([periods - horizon, *starts])
        found |= {name: (since, flags.get(name, np.zeros(periods))) for name in ("promotion", "holiday")}
    return found


def _held(labels: npt.NDArray[np.datetime64], prices: Sequence[tuple[dt.datetime, float]]) -> Floats:
    """Return the price that holds at each label; before the first one, that."""
    ordered = sorted(prices, key=lambda one: one[0])
    begins = np.array([moment for moment, _ in ordered], dtype="datetime64[us]")
    at = np.searchsorted(begins, labels.astype("datetime64[us]"), side="right") - 1
    return np.array([price for _, price in ordered])[np.maximum(at, 0)]


def _flags(freq: Frequency, first: int, periods: int, events: Sequence[Event]) -> dict[str, Floats]:
    """Return by kind of event 1 where a period holds a day of one [periods].

    Raises
    ------
    DataError
        An event lies wholly outside of history and horizon.
    """
    found: dict[str, Floats] = {}
    for event in events:
        low = freq.ordinal(event.starts_on) - first
        after = dt.datetime.combine(event.ends_on, dt.time()) + dt.timedelta(days=1, microseconds=-1)
        high = freq.ordinal(after) - first
        if high < 0 or low >= periods:
            begin, end = freq.moments([first, first + periods - 1]).astype("datetime64[D]")
            raise DataError(
                f"the {event.kind} from {event.starts_on} to {event.ends_on} lies outside of history and horizon, "
                f"{begin} to {end}; correct its days or leave it out"
            )
        found.setdefault(event.kind, np.zeros(periods))[max(low, 0) : high + 1] = 1.0
    return found


def edited(panel: Panel, features: Features, horizon: int) -> Panel:
    """Return a panel by day with the caller's prices and events in place of those of its series.

    Raises
    ------
    DataError
        An event lies wholly outside of history and horizon.
    """
    n, start = panel.n_series, int(panel.starts.min())
    periods = int(panel.ends.max()) - start + horizon
    changed = {}
    for name, (since, values) in _given(DAY, start, periods, horizon, features).items():
        if name in panel.known_future:
            grid = panel.known_future[name].at(np.full(n, start), periods).astype(np.float32)  # [N, periods]
            grid[:, max(since, 0) :] = values[max(since, 0) :]
            offsets = np.arange(n + 1, dtype=np.int64) * periods
            changed[name] = Covariate(grid.reshape(-1), offsets, np.full(n, start, dtype=np.int64))
    return replace(panel, known_future={**panel.known_future, **changed})
