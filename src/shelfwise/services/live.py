"""The live forecast of every product: made anew as a whole, and brought up to date by each sale without training.

`publish` works everything out and keeps a row for each series: its forecast, its order, its risk and its summary.
`LiveShop` holds what that takes in memory; `LiveShop.follow` brings the rows of a few products up to date, with the
very functions that made them all, so that a row depends on the store and on the fitted model and not on the way to it:
reacting without a change changes nothing, and reacting to a sale gives what a whole publication after it would.

What a process has in memory follows the store. Each reaction first reads what was booked since the last one, by number,
and the names of what else happened:

* a sale of the running day counts into it (`services.running_day`); stock is as it is now;
* a sale of an earlier day is put into its series; whether a stockout hid that day is asked at the next publication;
* a purchase order that changed: what is on its way is read again;
* a correction, an import, an override, a new day, or more bookings than can be followed one by one: all is read anew.

The fitted model stays in each of these; `publish` alone fits, and only where the store keeps no model of the same data.

A plan goes on from here: it raises orders to their supplier's minimum, keeps to budgets, and remembers what people
decided. An order here is the line before that. Risk is that of the paths, without what past stockouts teach.

Reading a shop, following its bookings and working its rows out stand in one file, because a reaction is right only as
long as the three agree on what is in memory.

Letters: N series, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain.errors import DataError
from shelfwise.domain.events import (
    ForecastRefreshed,
    ImportFinished,
    ImportRedone,
    ImportUndone,
    MovementsCorrected,
    OverrideChanged,
    PurchaseOrderChanged,
)
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.tables import numbers_of, rows_at
from shelfwise.forecasting.contract import Predictor
from shelfwise.inventory.bundles import exploded, without_bundles
from shelfwise.inventory.incoming import incoming
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.proposal import ProposalRules, planning_horizon
from shelfwise.inventory.stockout_corrector import CorrectedRisk
from shelfwise.inventory.stockout_risk import stockout_risk
from shelfwise.services import (
    adjusting,
    classing,
    demand,
    live_rows,
    plan_lines,
    planning,
    product_models,
    risks,
    stockout_alerts,
    supply,
)
from shelfwise.services.fitting import fingerprint_of, fitted, kept
from shelfwise.services.product_models import ProductModel
from shelfwise.services.running_day import Day, raised_by_today
from shelfwise.services.supply import Supply
from shelfwise.storage import bundles, live_forecasts, outbox, sales, stock
from shelfwise.storage.live_forecasts import LiveRow, Publication
from shelfwise.storage.overrides import Override

_log: Final = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[str, int, int], None]
Series = tuple[str, str]
"""Codes of a product and a warehouse."""

CHUNK_CELLS: Final = 6_000_000
"""Path cells [n, S, H] worked on at once while everything is made anew."""
FOLLOWED: Final = 5000
"""Bookings that are followed one by one; after more of them everything is read anew."""
READ_ANEW: Final = frozenset(
    event.name for event in (MovementsCorrected, ImportFinished, ImportUndone, ImportRedone, OverrideChanged)
)


@dataclass(frozen=True, eq=False)
class _Complete:
    """What the model makes of the complete days of N series: the same however often a day's sales are looked at.

    ``mean`` and ``variance`` are [N, H], and filled where ``known`` [N]; ``form`` has all else of a forecast. A model
    that draws its paths itself is asked each time, because paths of all series would not fit into memory.
    """

    form: Forecast
    mean: NDArray[np.floating[Any]]
    variance: NDArray[np.floating[Any]]
    known: NDArray[np.bool_]


@dataclass(eq=False)
class _Shop:
    """What reactions need of a shop, laid out once; `sold`, `on_hand` and values of the panel follow the bookings.

    ``stocked`` are the n series that have a row: without bundles, and with what sells in bundles alone. ``items``,
    ``inbound`` and ``lead_time`` are in their order; ``panel`` has the series as they sell. ``draws_itself``: the model
    was asked and gave paths, so that nothing can be kept of it. ``felt``: products about which nothing was booked since
    their rows were worked out.
    """

    today: dt.date
    first_day: dt.date
    data_until: dt.date
    horizon: int
    panel: Panel
    predictor: Predictor
    fitted_model: str
    stocked: pl.DataFrame
    side: Supply
    rules: ProposalRules
    items: pl.DataFrame
    inbound: Floats
    lead_time: LeadTime
    against: list[Override]
    held: Integers | None
    opened: NDArray[np.bool_] | None
    inherited: frozenset[str]
    sold: dict[Series, float]
    on_hand: dict[Series, float]
    booking: int
    watermark: int
    place: dict[Series, int] = field(default_factory=dict)
    rows_of: dict[str, list[int]] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    calibrations: dict[str, product_models.Calibration] | None = None
    means: Floats | None = None
    complete: _Complete | None = None
    draws_itself: bool = False
    felt: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.place = {pair: row for row, pair in enumerate(_pairs(self.panel.series))}
        for row, product in enumerate(self.stocked["product"].to_list()):
            self.rows_of.setdefault(product, []).append(row)

    def warehouses_of(self, product: str) -> list[str]:
        """Return the warehouses in which a product has a row."""
        places = self.stocked["warehouse"]
        return [places[row] for row in self.rows_of.get(product, [])]

    @property
    def days(self) -> list[dt.date]:
        """H + 1 days from the first forecast one on."""
        return [self.first_day + dt.timedelta(days=day) for day in range(self.horizon + 1)]


class LiveShop:
    """The live forecast of an open shop, in the memory of one process; safe to share between threads.

    It is read at its first use, or by `warm`, and takes a few hundred megabytes for tens of thousands of products.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.RLock()
        self._shop: _Shop | None = None

    @property
    def is_warm(self) -> bool:
        """Whether it is in memory."""
        return self._shop is not None

    def warm(self) -> bool:
        """Read the shop into memory where it was published before; never trains. Return whether it is there."""
        with self._lock:
            if self._shop is None:
                with self._app.database.read() as connection:
                    published = live_forecasts.publication(connection)
                predictor = None if published is None else self._kept_model(published)
                if published is None or predictor is None:
                    return False
                try:
                    self._shop = _read(self._app, predictor, published.fitted_model)
                except DataError:  # what was published from is no longer there
                    return False
                _calibrated(self._shop)
            return True

    def react(self, products: Sequence[str]) -> list[LiveRow]:
        """Bring forecast, order and risk of some products up to date; return their rows as they now are.

        Parameters
        ----------
        products
            Codes, as for `follow`. A product without a live series has no row.
        """
        with self._lock:
            changed = self.follow(products)
            if self._shop is None:
                return []
            names = _followed(self._shop, products)
            fresh = {(row.product, row.warehouse): row for row in changed}
            if all((name, place) in fresh for name in names for place in self._shop.warehouses_of(name)):
                return changed
            with self._app.database.read() as connection:
                return [row for name in sorted(names) for row in live_forecasts.of_product(connection, name)]

    def follow(self, products: Sequence[str]) -> list[LiveRow]:
        """Bring forecast, order and risk of some products up to date; return the rows that changed by it.

        They are kept, with the event `ForecastRefreshed`, in one transaction. Where nothing was ever published,
        everything is.

        Parameters
        ----------
        products
            Codes. Of a bundle the components' rows are brought up to date.
        """
        with self._lock:
            if self._shop is None and not self.warm():
                try:
                    self.publish()
                except DataError:
                    return []  # a shop without a complete day has no forecast
            if self._shop is None:
                return []
            shop, app = self._caught_up(self._shop, products), self._app
            due = sorted(_followed(shop, products) - shop.felt)
            if not due:
                return []
            made = list(_worked_out_in_parts(app, shop, _rows_of(shop, due)))
            with app.database.write() as connection:
                changed = live_forecasts.save(connection, made)
                if changed:
                    refreshed = ForecastRefreshed(tuple(dict.fromkeys(row.product for row in changed)))
                    alerts = stockout_alerts.changed(connection, changed, app.now())
                    outbox.append(connection, app.now(), *alerts, refreshed)
            shop.felt.update(due)
            return changed

    def publish(self, progress: Progress | None = None) -> Publication:
        """Work everything out anew and keep it; fits the model where the store has none of the same data.

        Raises
        ------
        DataError
            The store has no sales, or no live product.
        """
        tell = progress or _silent
        app = self._app
        tell("reading demand and stock", 0, 3)
        shop = _read(app, None, None, tell)
        _calibrated(shop)
        tell(f"forecasting {shop.stocked.height:,} series", 2, 3)
        # packed: the rows of a large shop wait for their one transaction
        packed = [
            (replace(row, payload=b""), zlib.compress(row.payload, 1))
            for row in _worked_out_in_parts(app, shop, np.arange(shop.stocked.height))
        ]
        made = Publication(
            watermark=shop.watermark, model=shop.predictor.name, model_version=shop.predictor.version,
            fitted_model=shop.fitted_model, first_day=shop.first_day, data_until=shop.data_until,
            horizon=shop.horizon, published_at=app.now(),
        )  # fmt: skip
        with self._lock:
            with app.database.write() as connection:
                version, ahead = live_forecasts.publish(connection, made, _unpacked(packed))
                alerts = stockout_alerts.changed(
                    connection, (row for row, _ in packed), app.now(), every=True, but=ahead
                )
                outbox.append(connection, app.now(), *alerts, ForecastRefreshed(()))
            self._shop = shop
            if ahead:  # they have felt a sale meanwhile, under the model before
                self.follow(ahead)
        _log.info("live forecasts of %d series, model %s", len(packed), made.model)
        return replace(made, version=version)

    def look_ahead(self, series: int = 64) -> bool:
        """Ask the model of some series before their first sale; return whether there are others left.

        For an idle moment after `warm`: what a process has asked once it need not ask again until the day turns.
        """
        with self._lock:
            shop = self._shop
            if shop is None or shop.draws_itself:
                return False
            known = np.zeros(shop.panel.n_series, dtype=np.bool_) if shop.complete is None else shop.complete.known
            rows = np.flatnonzero(~known)[:series]
            if len(rows):
                _of_complete_days(self._app, shop, rows, shop.panel.select(rows))
            shop.draws_itself = shop.complete is None
            return not shop.draws_itself and len(rows) == series

    def _kept_model(self, published: Publication) -> Predictor | None:
        return kept(self._app, self._app.settings.model, published.fitted_model)

    def _caught_up(self, shop: _Shop, products: Sequence[str]) -> _Shop:
        """Return the shop with what has happened since it was last looked at."""
        app, predictor, fitted_model = self._app, shop.predictor, shop.fitted_model
        with app.database.read() as connection:
            news = live_forecasts.news(connection, shop.watermark)
            booked = sales.bookings_since(connection, shop.booking, FOLLOWED + 1)
            published = live_forecasts.publication(connection)
            anew = self._must_read_anew(shop, news.names, booked)
            if not anew:
                for booking in booked:
                    shop.felt.difference_update(_with_components(shop, booking.product))
                    self._follow(connection, shop, booking)
                levels = {name for product in products for name in _with_components(shop, product)}
                _take_stock(connection, shop, sorted(levels))
                shop.booking = booked[-1].id if booked else shop.booking
                shop.watermark = news.watermark
        if published is not None and published.fitted_model != fitted_model:  # another process published
            found = self._kept_model(published)
            if found is not None:
                anew, predictor, fitted_model = True, found, published.fitted_model
        if not anew:
            if PurchaseOrderChanged.name in news.names:
                _supply_again(app, shop)
            return shop
        fresh = _read(app, predictor, fitted_model)
        _calibrated(fresh)
        self._shop = fresh
        return fresh

    def _must_read_anew(self, shop: _Shop, names: Iterable[str], booked: Sequence[sales.Booking]) -> bool:
        if self._app.today() != shop.today or READ_ANEW & set(names) or len(booked) > FOLLOWED:
            return True
        for booking in booked:
            if booking.kind != "sale":
                continue
            past = shop.data_until >= booking.day
            if past and (booking.product in shop.inherited or (booking.product, booking.warehouse) not in shop.place):
                return True
            if shop.data_until < booking.day and shop.first_day != shop.today:
                return True  # the days since the last sale are over now: nothing sold on them
        return False

    def _follow(self, connection: Any, shop: _Shop, booking: sales.Booking) -> None:
        """Count a booked sale in."""
        series = (booking.product, booking.warehouse)
        if booking.kind != "sale" or series not in shop.place:
            return
        if booking.day == shop.first_day:
            shop.sold[series] = shop.sold.get(series, 0.0) + booking.quantity
        elif booking.day <= shop.data_until:
            units = sales.sold_on(connection, booking.day, product=booking.product).get(series, 0.0)
            row = shop.place[series]
            at = shop.panel.freq.ordinal(booking.day) - int(shop.panel.starts[row])
            if 0 <= at < int(shop.panel.lengths[row]):
                shop.panel.values[int(shop.panel.offsets[row]) + at] = units
                shop.summaries.pop(booking.product, None)
                shop.means = None
                if shop.complete is not None:
                    shop.complete.known[row] = False


_SHOPS: Final[weakref.WeakKeyDictionary[App, LiveShop]] = weakref.WeakKeyDictionary()


def live_shop(app: App) -> LiveShop:
    """Return the one live shop of an open shop in this process."""
    return _SHOPS.setdefault(app, LiveShop(app))


def publish(app: App, progress: Progress | None = None) -> Publication:
    """Work the forecast, order and risk of every live series out anew and keep them: `LiveShop.publish`."""
    return live_shop(app).publish(progress)


def refresh(app: App, products: Sequence[str]) -> list[LiveRow]:
    """Bring some products up to date through this process's live shop: `LiveShop.react`."""
    return live_shop(app).react(products)


def product_model(app: App, product: str, *, fresh: bool = False) -> ProductModel:
    """Return a product's model as it was worked out last, or ``fresh``: worked out anew, its forecast with it.

    Parameters
    ----------
    product
        Code, whatever its case, or the whole name.

    Raises
    ------
    NotFound
        There is no such product; the message lists the nearest.
    """
    found = product_models.stored(app, product)
    if not fresh:
        return found
    refresh(app, [found.product])
    return product_models.stored(app, found.product)


# ---------------------------------------------------------------------- reading


def _read(app: App, predictor: Predictor | None, fitted_model: str | None, tell: Progress | None = None) -> _Shop:
    """Read a shop; without a predictor the model of the settings is taken, fitted where it has to be."""
    today = app.today()
    with app.database.read() as connection:  # first: what is booked while the rest is read is followed afterwards
        watermark, booking = live_forecasts.newest_event(connection), sales.last_booking(connection)
        sold = sales.sold_on(connection, today, until_booking=booking)
    known = demand.load(app, days_ahead=planning.DAYS_LAID_OUT)
    side = supply.load(app)
    settings = app.settings
    if predictor is None or fitted_model is None:
        (tell or _silent)("learning levels and seasons", 1, 3)
        fitted_model = fingerprint_of(known.panel, settings.model)
        predictor = fitted(app, known.panel, settings.model)
    live = known.live(settings.live_days)
    panel = replace(live.panel, values=live.panel.values.copy())  # bookings are followed in it
    rules = planning.rules_of(app)
    stocked = without_bundles(panel.series, side.bundles, known.products)
    items = supply.planning_items(stocked, side, live.planning_day, rules)
    if planning.class_decides(app):
        items = classing.with_service_levels(items, panel)
    horizon = max(settings.horizon, plan_lines.RATE_DAYS, planning_horizon(items, rules=rules))
    against = adjusting.standing(app, live.planning_day, adjusting.FORECAST)
    held = opened = None
    if against:
        days = np.datetime64(live.planning_day, "D") + np.arange(horizon)
        held = adjusting.holding(panel.series, days, against)
        opened = panel.known_future["open"].at(panel.ends, horizon) > 0.5
    shop = _Shop(
        today=today, first_day=live.planning_day, data_until=live.data_until, horizon=horizon, panel=panel,
        predictor=predictor, fitted_model=fitted_model, stocked=stocked, side=side, rules=rules, items=items,
        inbound=np.zeros((0, horizon)), lead_time=LeadTime(np.zeros(0), np.zeros(0)), against=against, held=held,
        opened=opened, inherited=frozenset(known.inherited) | _sources(known), booking=booking, watermark=watermark,
        sold=sold if live.planning_day == today else {}, on_hand={},
    )  # fmt: skip
    _lay_out_supply(shop, side, items)
    return shop


def _sources(known: demand.Demand) -> frozenset[str]:
    """Return the products whose history another one takes over."""
    replaced = known.products["replaces"].drop_nulls().to_list()
    return frozenset(replaced) if known.inherited else frozenset()


def _lay_out_supply(shop: _Shop, side: Supply, items: pl.DataFrame) -> None:
    coming = incoming(
        side.open_orders, shop.first_day, lead_times=side.lead_times, assumed_lead_time_days=shop.rules.lead_time_days
    )
    shop.side = side
    shop.items = items
    shop.inbound = plan_lines.due_units(coming, items, shop.first_day, shop.horizon)
    shop.lead_time = risks.lead_time_of(items, shop.rules)
    pairs = items.select("product", "warehouse", "on_hand").drop_nulls("on_hand").iter_rows()
    shop.on_hand = {(product, warehouse): units for product, warehouse, units in pairs}


def _supply_again(app: App, shop: _Shop) -> None:
    """Read stock, suppliers and what is on its way again; service levels by class depend on the past alone."""
    side = supply.load(app)
    items = supply.planning_items(shop.stocked, side, shop.first_day, shop.rules)
    shop.felt.clear()
    kept_columns = [name for name in ("service_level", "service_class") if name in shop.items.columns]
    _lay_out_supply(shop, side, items.with_columns(shop.items[name] for name in kept_columns))


def _calibrated(shop: _Shop) -> None:
    shop.calibrations = product_models.calibrations(shop.panel)


def _take_stock(connection: Any, shop: _Shop, products: Sequence[str]) -> None:
    """Read what is on hand of some products now, less what bundles took since they were counted."""
    levels = stock.on_hand_of(connection, products)
    recipes = shop.side.bundles
    if not recipes.is_empty():
        mine = recipes.filter(pl.col("component").is_in(list(products)))
        for product, warehouse, units in bundles.sold_since_counts(connection, mine).iter_rows():
            if (product, warehouse) in levels:
                levels[product, warehouse] -= units
    shop.on_hand.update(levels)


# ---------------------------------------------------------------------- working out


def _with_components(shop: _Shop, product: str) -> list[str]:
    """Return the products whose stock a product's sale moves: its own, of a bundle its components'."""
    recipes = shop.side.bundles
    if recipes.is_empty():
        return [product]
    return recipes.filter(pl.col("bundle") == product)["component"].to_list() or [product]


def _followed(shop: _Shop, products: Sequence[str]) -> set[str]:
    """Return the products with rows that follow from what happens to ``products``."""
    return {name for product in products for name in _with_components(shop, product)} & shop.rows_of.keys()


def _pairs(series: pl.DataFrame) -> list[Series]:
    """Return product and warehouse of each row."""
    return list(zip(series["product"].to_list(), series["warehouse"].to_list(), strict=True))


def _rows_of(shop: _Shop, products: Sequence[str]) -> Integers:
    return np.array(sorted(row for name in products for row in shop.rows_of.get(name, [])), dtype=np.int64)


def _worked_out_in_parts(app: App, shop: _Shop, rows: Integers) -> Iterator[LiveRow]:
    """Yield the rows of the stocked series at ``rows``; memory stays flat however many they are."""
    step = max(1, CHUNK_CELLS // (app.settings.n_paths * shop.horizon))
    for low in range(0, len(rows), step):
        yield from _worked_out(app, shop, rows[low : low + step])


def _worked_out(app: App, shop: _Shop, rows: Integers) -> list[LiveRow]:
    """Return the rows of the stocked series at ``rows``; each depends on the shop and on itself alone."""
    settings = app.settings
    stocked = rows_at(shop.stocked, rows)
    forecast = _forecast(app, shop, stocked)
    pairs = _pairs(stocked)
    sold = np.array([shop.sold.get(pair, 0.0) for pair in pairs])
    sold_parts, gone = None, sold
    if forecast.parts is not None and forecast.shares is not None:
        sold_parts = np.array([shop.sold.get(pair, 0.0) for pair in _pairs(forecast.parts.series)])
        gone = sold + forecast.shares @ sold_parts
    day = Day.of(forecast, sold, sold_parts)
    on_hand = pl.Series("on_hand", [shop.on_hand.get(pair) for pair in pairs], dtype=pl.Float64)
    items = rows_at(shop.items, rows).clone()
    items.replace_column(items.get_column_index("on_hand"), on_hand)
    inbound = shop.inbound[rows]
    lines = plan_lines.lines_of(items, day.left, day.mean, inbound, shop.days, shop.rules, settings.seed)
    items = items.hstack([stocked["name"]])
    window = min(settings.horizon, shop.horizon)
    shelf = np.maximum(numbers_of(items["on_hand"], 0.0), 0.0)
    risk = stockout_risk(shelf, inbound, day.left)
    alone = stockout_risk(shelf, np.zeros_like(inbound), day.left) if inbound.any() else risk
    chance = CorrectedRisk(risk.probability[:, window - 1], np.full(len(rows), np.nan))
    leads = LeadTime(shop.lead_time.mean[rows], np.asarray(shop.lead_time.sd_periods, dtype=np.float64)[rows])
    table = risks.rows_of(
        app, items, risk, alone, chance, leads, inbound, shop.first_day, shop.rules, shop.side.calendars, window
    )
    answers = live_rows.Answers(
        shop.first_day, shop.data_until, forecast, day, gone, lines, table, risk.probability, window
    )
    summaries = [_summary(shop, product) for product, _ in pairs]
    graded = zip(table["severity"].to_list(), table["at_stake"].fill_null(0.0).fill_nan(0.0).to_list(), strict=True)
    now = app.now()
    return [
        LiveRow(
            product=product, warehouse=warehouse, watermark=shop.watermark, model=shop.predictor.name,
            model_version=shop.predictor.version, data_until=shop.data_until, horizon=shop.horizon, computed_at=now,
            payload=payload, severity=grade, at_stake=at_stake,
        )
        for (product, warehouse), payload, (grade, at_stake) in zip(
            pairs, live_rows.payloads(answers, summaries), graded, strict=True
        )
    ]  # fmt: skip


def _forecast(app: App, shop: _Shop, stocked: pl.DataFrame) -> Forecast:
    """Return the forecast of stocked series from the first day on, with overrides, before today's sales count in."""
    pairs = _pairs(stocked)
    wanted = {shop.place[pair] for pair in pairs if pair in shop.place}
    recipes = shop.side.bundles
    if not recipes.is_empty():
        mine = recipes.filter(pl.col("component").is_in([product for product, _ in pairs]))
        sold_in = dict(mine.group_by("component").agg("bundle").iter_rows())
        held = {(name, warehouse) for product, warehouse in pairs for name in sold_in.get(product, [])}
        wanted |= {shop.place[pair] for pair in held if pair in shop.place}
    rows = np.array(sorted(wanted), dtype=np.int64)
    forecast = _sold_by_themselves(app, shop, rows)
    if shop.against and shop.held is not None and shop.opened is not None:
        means = _all_means(app, shop)
        means[rows] = forecast.mean()
        changed, _ = adjusting.wanted_means(means, shop.held, shop.opened, shop.against)
        if (shop.held[rows] > 0).any():
            forecast = forecast.with_mean(changed[rows])
    return exploded(forecast, stocked, recipes)


def _sold_by_themselves(app: App, shop: _Shop, rows: Integers) -> Forecast:
    panel = shop.panel.select(rows)
    sold = np.array([shop.sold.get(pair, 0.0) for pair in _pairs(panel.series)])
    return raised_by_today(shop.predictor, panel, _of_complete_days(app, shop, rows, panel), sold)


def _of_complete_days(app: App, shop: _Shop, rows: Integers, panel: Panel) -> Forecast:
    kept_already = shop.complete
    body = None if kept_already is None else kept_already.form.marginals
    if kept_already is not None and body is not None and kept_already.known[rows].all():
        marginals = Marginals(kept_already.mean[rows], kept_already.variance[rows], body.is_count)
        return replace(kept_already.form, series=panel.series, starts=panel.ends, marginals=marginals)
    made = shop.predictor.predict(panel, shop.horizon, n_paths=app.settings.n_paths, seed=app.settings.seed)
    if made.marginals is None or made.parts is not None:
        return made
    if kept_already is None:
        shape, kind = (shop.panel.n_series, shop.horizon), made.marginals
        kept_already = shop.complete = _Complete(
            form=made.select(np.empty(0, dtype=np.int64)), mean=np.empty(shape, dtype=kind.mean.dtype),
            variance=np.empty(shape, dtype=kind.variance.dtype), known=np.zeros(shape[0], dtype=np.bool_),
        )  # fmt: skip
    kept_already.mean[rows], kept_already.variance[rows] = made.marginals.mean, made.marginals.variance
    kept_already.known[rows] = True
    return made


def _all_means(app: App, shop: _Shop) -> Floats:
    """Return the means [N, H] of all series: units a day that an override sets are shared by what they expect."""
    if shop.means is None:
        every = np.arange(shop.panel.n_series)
        step = max(1, CHUNK_CELLS // (app.settings.n_paths * shop.horizon))
        parts = [_sold_by_themselves(app, shop, every[low : low + step]).mean() for low in range(0, len(every), step)]
        shop.means = np.concatenate(parts).astype(np.float64)
    return shop.means


def _summary(shop: _Shop, product: str) -> dict[str, Any] | None:
    """Return the summary of a product over its warehouses; of what sells in bundles alone there is none."""
    if product not in shop.summaries:
        pairs = [(product, warehouse) for warehouse in shop.warehouses_of(product)]
        rows = [shop.place[pair] for pair in pairs if pair in shop.place]
        model = f"{shop.predictor.name} {shop.predictor.version}"
        calibration = (shop.calibrations or {}).get(product)
        found = product_models.summary_of(shop.panel.select(rows), model, calibration) if rows else None
        shop.summaries[product] = found
    return shop.summaries[product]


def _unpacked(packed: Iterable[tuple[LiveRow, bytes]]) -> Iterator[LiveRow]:
    for row, payload in packed:
        yield replace(row, payload=zlib.decompress(payload))


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
