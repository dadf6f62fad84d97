"""Daily demand of every product in every warehouse as a `Panel`, read from the store.

What stands in the panel
------------------------
* A series begins with its first sale, or with ``launched_on`` if that is earlier; days without a sale are zeros.
  A product that ``replaces`` another, or that a person called like another, inherits its history in the same
  warehouse (`services.inheriting`).
* All series end on the last complete day of the data. Today is not over and never counts; a last day that an import
  found cut short does not count either. A discontinued product's series ends with it.
* **Closed days are missing, not zero**: the closed weekdays of the settings, closures in the calendar, weekdays on
  which a warehouse all but never sells, and single days on which a busy one sold nothing at all.
* **Censored days are marked, not filled**: days that ended without stock where stock is known (of components, after
  what bundles took; of bundles, without one of their components), and runs of zeros that
  the product's own rate makes implausible where it is not.
* A series is **live**, and planned, if the product sold in the last ``live_days`` days (182 by default) of the data or
  was launched in them, and is not discontinued.
* **Prices are those of the price list**, planned ones included, and stand in the panel where any of them changes
  (`services.prices`).

Shape letters: N series, T past periods, H days ahead, W warehouses, D days from the first to the last known one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.covariates import Covariate
from shelfwise.domain.errors import DataError
from shelfwise.domain.panel import DEFAULT_LEVELS, Panel
from shelfwise.ingest.availability import infer
from shelfwise.inventory.bundles import leaves
from shelfwise.services.bundle_stock import with_bundle_stock
from shelfwise.services.inheriting import HISTORY, inheritance, stock_inherited, with_inherited
from shelfwise.services.names import product_code
from shelfwise.services.prices import price_days
from shelfwise.storage import bundles, catalogue, imports, overrides, sales, stock
from shelfwise.storage import lines as lines_of

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

DAILY: Final = Frequency(1, "d")
DAYS_AHEAD: Final = 120
"""Days for which events and prices are laid out ahead where the caller does not say."""

BUSY_PRODUCTS: Final = 10
"""A warehouse that usually sells at least so many products a day does not sell nothing at all by chance."""
ALL_BUT_NEVER: Final = 0.1
"""A weekday with sales on at most this share of its dates is a closed one."""
ALL_BUT_ALWAYS: Final = 0.8
"""On a weekday with sales on at least this share of its dates, a date without any was a closed day."""
FEWEST_DATES: Final = 8

_WEEKDAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, eq=False)
class Demand:
    """The panel of a store and what was decided in making it.

    Parameters
    ----------
    panel
        N series of daily demand; ``panel.series`` has unique_id (``product@warehouse``), the product's attributes,
        ``live``, ``first_sale`` and ``last_sale``. Covariates known ahead: ``open`` (0 on closed days, before a launch
        and after a last day on sale), and, where there are any, the flags ``promotion`` and ``holiday`` and the amount
        ``price``.
    products
        The catalogue (PRODUCTS), products without a series included.
    first_day, data_until
        First day, and last complete day, of the data.
    censored_by_stock, censored_by_silence
        Days marked as censored because they ended without stock, and because the silence was implausible.
    notes
        What a reader must know, in sentences.
    inherited
        By product, a sentence on whose history it takes over.
    """

    panel: Panel
    products: pl.DataFrame
    first_day: date
    data_until: date
    censored_by_stock: int = 0
    censored_by_silence: int = 0
    notes: tuple[str, ...] = ()
    inherited: Mapping[str, str] = field(default_factory=dict)

    @property
    def planning_day(self) -> date:
        """The day after the data: the first day that is forecast."""
        return self.data_until + timedelta(days=1)

    def live(self, live_days: int) -> Demand:
        """Return the live series alone.

        Raises
        ------
        DataError
            There is none.
        """
        live = self.panel.series["live"].to_numpy()
        if not live.any():
            raise DataError(f"no product sold in the last {live_days} days of the data; raise live_days for older ones")
        return replace(self, panel=self.panel.select(live))

    def only(self, products: Sequence[str]) -> Demand:
        """Return the series of products named by code or name, live or not.

        Raises
        ------
        NotFound
            A product is not in the store.
        DataError
            None of them ever sold.
        """
        wanted = [product_code(self.products, name) for name in products]
        chosen = self.panel.series["product"].is_in(wanted).to_numpy()
        if not chosen.any():
            raise DataError(f"{', '.join(wanted)}: no sale in the data, so there is nothing to forecast from")
        return replace(self, panel=self.panel.select(chosen))


def load(app: App, *, days_ahead: int = DAYS_AHEAD) -> Demand:
    """Read the panel of the store: every series, live or not, because the others still teach their category's shape.

    Parameters
    ----------
    days_ahead
        For how many days after the data opening days, promotions, holidays and prices are laid out.

    Raises
    ------
    DataError
        The store has no sales, or none that count.
    """
    with app.database.read() as connection:
        table = catalogue.products(connection)
        span = sales.sales_span(connection)
        lines = sales.daily_demand(connection)
        events = catalogue.calendar_events(connection)
        prices = catalogue.prices(connection)
        stocked = stock.stock_levels(connection).select("product", "warehouse")
        recipes = leaves(bundles.bundles(connection))
        bundled = [recipes[name].unique().sort().to_list() for name in ("bundle", "component")]
        on_hand = with_bundle_stock(
            stock.daily_on_hand(connection), recipes,
            sold=lines_of.movements_of(connection, bundled[0], ["sale", "return"]),
            counts=lines_of.movements_of(connection, bundled[1], ["count"]),
        )  # fmt: skip
        cut_short = _cut_short(imports.all_imports(connection))
        likes = overrides.standing_overrides(connection, date.min, HISTORY)
    if span is None:
        raise DataError("the store has no sales yet; `shelfwise import FILE...` reads them from your files")
    first_day, last_day = span
    until, notes = _last_complete_day(last_day, app.today(), cut_short)
    lines = lines.filter(pl.col("day") <= until)
    taken = inheritance(lines, table, likes, until)
    lines, on_hand = with_inherited(lines, taken.heirs), stock_inherited(on_hand, taken.heirs)
    if lines.height == 0:
        raise DataError(f"all sales in the store are of {last_day}, a day that is not over; forecast tomorrow")
    days = _Days(first_day, until, days_ahead)
    series = _series(lines, stocked, table, days, app.settings.live_days)
    warehouses = series["warehouse"].unique().sort().to_list()
    is_open, closed_notes = _open_days(app, lines, events, warehouses, days)
    panel = _panel(series, lines)
    rows = np.array([warehouses.index(name) for name in series["warehouse"]], dtype=np.int64)
    # before closed days go missing: a missing day would cut a silence in two
    panel, by_stock, by_silence = _censored(panel, on_hand)
    panel = replace(panel, values=_closed_as_missing(panel, is_open[rows], days))
    grids: dict[str, Flags | Floats] = {
        "open": _on_sale(series, is_open[rows], days),
        **_event_flags(series, events, days),
    }
    price = price_days(prices, series, days.first, len(days.all))
    if price is not None:
        grids["price"] = price
    panel = replace(
        panel,
        known_future={name: _covariate(panel, grid, days) for name, grid in grids.items()},
        hierarchy=tuple(name for name in DEFAULT_LEVELS if series[name].null_count() < series.height),
    )
    return Demand(panel, table, first_day, until, by_stock, by_silence, (*notes, *closed_notes), taken.told)


@dataclass(frozen=True)
class _Days:
    """The D days that are laid out: from the first of the data to so many after the last that counts."""

    first: date
    until: date
    ahead: int

    @property
    def n_past(self) -> int:
        return (self.until - self.first).days + 1

    @property
    def all(self) -> npt.NDArray[np.datetime64]:
        """[D] days."""
        return np.datetime64(self.first, "D") + np.arange(self.n_past + self.ahead)

    def between(self, starts_on: date, ends_on: date) -> slice:
        """Return the positions of the days from ``starts_on`` to ``ends_on``, both included, cut to those there are."""
        low = max((starts_on - self.first).days, 0)
        return slice(low, max((ends_on - self.first).days + 1, low))


def _cut_short(made: Sequence[imports.Import]) -> set[date]:
    """Return last days that an import found cut short, unless a later import brought the day again."""
    days: dict[date, bool] = {}
    for one in reversed(made):  # oldest first
        last, cut = one.receipt.get("last_day"), one.receipt.get("incomplete_last_day")
        if one.undone_at is None and last:
            days[date.fromisoformat(last)] = bool(cut) and cut == last
    return {day for day, cut in days.items() if cut}


def _last_complete_day(last: date, today: date, cut_short: set[date]) -> tuple[date, list[str]]:
    """Return the last day that counts, and what to say about a day left out."""
    if last >= today:
        return today - timedelta(days=1), []
    if last in cut_short:
        return last - timedelta(days=1), [f"the last day of the data, {last}, is cut short and does not count"]
    return last, []


def _series(
    lines: pl.DataFrame, stocked: pl.DataFrame, table: pl.DataFrame, days: _Days, live_days: int
) -> pl.DataFrame:
    """Return one row per series with its attributes and its first and last day, ``start`` and ``end``."""
    sold = lines.group_by("product", "warehouse").agg(first_sale=pl.col("day").min(), last_sale=pl.col("day").max())
    since = days.until - timedelta(days=live_days)
    launched = table.filter(pl.col("launched_on") > since).select("product")
    unsold = stocked.join(launched, on="product").join(sold, on=["product", "warehouse"], how="anti")
    both = pl.concat([sold, unsold], how="diagonal").join(table, on="product", how="left")
    begin = pl.min_horizontal("first_sale", "launched_on").clip(days.first, days.until + timedelta(days=1))
    end = pl.when(pl.col("discontinued_on") < days.until).then(pl.max_horizontal("discontinued_on", "last_sale"))
    recent = ((pl.col("last_sale") > since) | (pl.col("launched_on") > since)).fill_null(value=False)
    return (
        both.with_columns(
            unique_id=pl.format("{}@{}", "product", "warehouse"),
            start=begin,
            end=end.fill_null(days.until),
            live=recent & (pl.col("discontinued_on") > days.until).fill_null(value=True),
        )
        .with_columns(end=pl.max_horizontal(pl.col("end"), pl.col("start").dt.offset_by("-1d")))
        .sort("product", "warehouse")
        .select("unique_id", pl.exclude("unique_id"))
    )


def _ordinals(column: pl.Series) -> Integers:
    """Return days as ordinals; a missing day is the furthest one."""
    return column.to_physical().cast(pl.Int64).fill_null(np.iinfo(np.int32).max).to_numpy()


def _panel(series: pl.DataFrame, lines: pl.DataFrame) -> Panel:
    """Lay the lines out day by day; a day without a line is zero."""
    starts = _ordinals(series["start"])
    lengths = _ordinals(series["end"]) - starts + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = series.select("product", "warehouse", "end", base=pl.Series(offsets[:-1] - starts))
    rows = lines.join(places, on=["product", "warehouse"]).filter(pl.col("day") <= pl.col("end"))
    values = np.zeros(offsets[-1])
    values[rows["base"].to_numpy() + _ordinals(rows["day"])] = rows["quantity"].to_numpy()
    return Panel(values, offsets, starts, DAILY, series.drop("start", "end"))


def _open_days(
    app: App, lines: pl.DataFrame, events: pl.DataFrame, warehouses: list[str], days: _Days
) -> tuple[Flags, list[str]]:
    """Return [W, D] open days, and notes on what was read as closed."""
    flags = np.tile(app.calendar.is_open(days.all), (len(warehouses), 1))
    closures = events.filter((pl.col("kind") == "closure") & pl.col("scope_kind").is_in(["shop", "warehouse"]))
    for row in closures.iter_rows(named=True):
        for w, name in enumerate(warehouses):
            if row["scope_kind"] == "shop" or row["scope"] == name:
                flags[w, days.between(row["starts_on"], row["ends_on"])] = False
    notes = []
    for w, name in enumerate(warehouses):
        some = lines.filter(pl.col("warehouse") == name).group_by("day").agg(products=pl.len())
        sold = np.zeros(days.n_past, dtype=np.int64)  # [T] products sold on each day
        sold[_ordinals(some["day"]) - DAILY.ordinal(days.first)] = some["products"].to_numpy()
        if some.height and np.median(sold[sold > 0]) >= BUSY_PRODUCTS:
            notes += _read_as_closed(name, flags[w], sold, days)
    return flags, notes


def _read_as_closed(name: str, flags: Flags, sold: Integers, days: _Days) -> list[str]:
    """Close, in ``flags`` [D], the weekdays and single days on which a busy warehouse sold nothing; return notes."""
    opened = int(np.flatnonzero(sold)[0])
    weekday = (days.all.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    past = np.arange(opened, days.n_past)
    notes = []
    silent: list[int] = []
    for day in range(7):
        dates = past[(weekday[past] == day) & flags[past]]
        if len(dates) < FEWEST_DATES:
            continue
        share = float((sold[dates] > 0).mean())
        if share <= ALL_BUT_NEVER:
            flags[(weekday == day) & (np.arange(len(flags)) >= opened)] = False
            notes.append(f"{name} all but never sells on {_WEEKDAY_NAMES[day]}s: read as closed")
        elif share >= ALL_BUT_ALWAYS:
            silent += dates[sold[dates] == 0].tolist()
    if silent:
        flags[silent] = False
        shown = ", ".join(str(days.all[i]) for i in sorted(silent)[:3]) + (", ..." if len(silent) > 3 else "")
        many = f"{len(silent)} days" if len(silent) > 1 else "1 day"
        notes.append(f"{name} sold nothing at all on {many} ({shown}): read as closed")
    return notes


def _closed_as_missing(panel: Panel, is_open: Flags, days: _Days) -> Floats:
    """Return the panel's values with days without a sale on which the warehouse was closed ([N, D]) as NaN."""
    row = np.repeat(np.arange(panel.n_series), panel.lengths)
    at = np.arange(len(panel.values)) + np.repeat(panel.starts - panel.offsets[:-1], panel.lengths)
    closed = ~is_open[row, at - DAILY.ordinal(days.first)]
    return np.where(closed & (panel.values == 0), np.nan, panel.values)


def _on_sale(series: pl.DataFrame, is_open: Flags, days: _Days) -> Flags:
    """Return [N, D] days on which a series can be sold: open, launched, and not past its last day."""
    day = DAILY.ordinal(days.first) + np.arange(is_open.shape[1])
    begins = series["launched_on"].fill_null(days.first)
    sold_before = pl.min_horizontal(begins, series["first_sale"])
    first = _ordinals(pl.select(sold_before).to_series())
    last = _ordinals(pl.select(pl.max_horizontal(series["discontinued_on"], series["last_sale"])).to_series())
    last = np.where(series["discontinued_on"].is_null().to_numpy(), np.iinfo(np.int32).max, last)
    launch = _ordinals(begins)  # one still ahead holds, whatever sales were inherited
    ahead = (day > DAILY.ordinal(days.until)) & (day < launch[:, None])
    return is_open & (day >= first[:, None]) & (day <= last[:, None]) & ~ahead


def _event_flags(series: pl.DataFrame, events: pl.DataFrame, days: _Days) -> dict[str, Flags]:
    """Return [N, D] (or, where it concerns all, [1, D]) flags for promotions and holidays, where there are any."""
    flags = {}
    for kind in ("promotion", "holiday"):
        some = events.filter(pl.col("kind") == kind)
        if some.height == 0:
            continue
        everywhere = bool((some["scope_kind"] == "shop").all())
        grid = np.zeros((1 if everywhere else series.height, len(days.all)), dtype=np.bool_)
        for (scope_kind, scope), rows in some.group_by("scope_kind", "scope", maintain_order=True):
            if scope_kind == "supplier":
                continue
            hit = slice(None) if scope_kind == "shop" else (series[str(scope_kind)] == scope).fill_null(value=False)
            hit = hit if isinstance(hit, slice) else hit.to_numpy()
            for starts_on, ends_on in rows.select("starts_on", "ends_on").iter_rows():
                grid[hit, days.between(starts_on, ends_on)] = True
        flags[kind] = grid
    return flags


def _covariate(panel: Panel, grid: Flags | Floats, days: _Days) -> Covariate:
    """Return flags or amounts [N, D] or [1, D] as a covariate; one row if all series have the same."""
    first = DAILY.ordinal(days.first)
    if len(grid) == 1 or (grid == grid[:1]).all():
        return Covariate(grid[0].astype(np.float32), None, np.array([first], dtype=np.int64))
    offsets = np.arange(panel.n_series + 1, dtype=np.int64) * grid.shape[1]
    return Covariate(grid.reshape(-1).astype(np.float32), offsets, np.full(panel.n_series, first, dtype=np.int64))


def _censored(panel: Panel, on_hand: pl.DataFrame) -> tuple[Panel, int, int]:
    """Mark the days on which demand may have been hidden; return their number by stock and by silence."""
    places = panel.series.select(
        "product", "warehouse", base=pl.Series(panel.offsets[:-1] - panel.starts), start=pl.Series(panel.starts),
        end=pl.Series(panel.ends),
    )  # fmt: skip
    day = pl.col("day").to_physical().cast(pl.Int64)
    known = (
        on_hand.join(places, on=["product", "warehouse"])
        .filter((day >= pl.col("start")) & (day < pl.col("end")))
        .select("on_hand", at=pl.col("base") + day)
    )
    left = np.full(len(panel.values), np.nan)
    left[known["at"].to_numpy()] = known["on_hand"].to_numpy()
    # books below zero while sales go on are wrong books, not an empty shelf
    left[(left < 0) & (panel.values > 0)] = np.nan
    hidden = infer(panel.values, panel.offsets, starts=panel.starts, on_hand=left)
    by_stock = int((hidden & (left <= 0)).sum())
    return replace(panel, available=~hidden), by_stock, int(hidden.sum()) - by_stock
