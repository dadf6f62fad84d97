"""The true demand of the made-up shop: what would sell each day if nothing ever ran out.

Shape letters: P products, N series (a product in a warehouse), W warehouses, K suppliers, T past days. Future days,
on which prices, promotions and closures are already known, follow the past ones on the same axis: T+F.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shelfwise.demo.catalogue import CATEGORIES, METALWORKS, SHOP, SUPPLIERS, WAREHOUSE_CODES, WEB, Catalogue

FUTURE_DAYS: Final = 120
PRICE_ELASTICITY: Final = -1.1
WHOLESALE_DISCOUNT: Final = 0.12

_SATURDAY: Final = 5
_SUNDAY: Final = 6
_DAYS_PER_YEAR: Final = 365.25
# Demand by weekday, Monday first, [W, 7]; the shop floor is closed on Sundays.
_WEEKDAY: Final = np.array([[0.75, 0.80, 0.85, 0.95, 1.20, 1.65, 0.0], [1.25, 1.10, 1.00, 0.95, 0.90, 0.75, 1.05]])
_HOLIDAYS: Final = (("New Year", 1, 1), ("May Day", 5, 1), ("Christmas Day", 12, 25), ("Boxing Day", 12, 26))
_WEB_ON_HOLIDAYS: Final = 0.6


class _Campaign(NamedTuple):
    """A promotion of a whole category that returns each year."""

    name: str
    prefix: str
    month: int
    day: int
    days: int
    discount: float
    lift: float


_CAMPAIGNS: Final = (
    _Campaign("Clean brew fortnight", "FL", 1, 19, 12, 0.15, 1.45),
    _Campaign("Spring gear days", "BG", 4, 8, 10, 0.15, 1.7),
    _Campaign("Iced weeks", "SY", 6, 24, 14, 0.20, 1.6),
    _Campaign("Back to the desk", "FL", 9, 7, 10, 0.15, 1.5),
    _Campaign("Gift weeks", "CP", 11, 22, 14, 0.20, 1.6),
)
_PICK_EVERY_DAYS: Final = 31
_PICK_DAYS: Final = 8
_NEXT_PICK_IN_DAYS: Final = 9


class Event(NamedTuple):
    """A row of the shop's calendar; days count from the first day of history, the last day is included."""

    kind: str
    name: str
    first: int
    last: int
    scope_kind: str
    scope: str | None


@dataclass(frozen=True)
class Timeline:
    """The days of the shop: the history and the known future after it.

    >>> line = Timeline(today=dt.date(2026, 11, 21), n_days=730)
    >>> line.day(730), line.index(dt.date(2026, 11, 20)), line.weekday[730]
    (datetime.date(2026, 11, 21), 729, np.int64(5))
    """

    today: dt.date
    n_days: int

    def day(self, index: int) -> dt.date:
        """Return the date of a day index."""
        return self.today + dt.timedelta(days=int(index) - self.n_days)

    def index(self, day: dt.date) -> int:
        """Return the day index of a date; today is ``n_days``."""
        return (day - self.today).days + self.n_days

    @property
    def length(self) -> int:
        """Days of the past and the known future together."""
        return self.n_days + FUTURE_DAYS

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Dates, [T+F]."""
        return np.datetime64(self.day(0), "D") + np.arange(self.length)

    @property
    def weekday(self) -> NDArray[np.int64]:
        """Weekdays, [T+F]; Monday is 0 (1970-01-01 was a Thursday)."""
        return (self.days.astype(np.int64) + 3) % 7

    @property
    def years(self) -> range:
        """Years that the past and the known future touch."""
        return range(self.day(0).year, self.day(self.length - 1).year + 1)


@dataclass(frozen=True)
class Market:
    """Everything the shop cannot choose, and its prices.

    Attributes
    ----------
    prices
        [P, T+F] selling price per unit.
    season
        [N, T+F] factor of the yearly season.
    rate
        [N, T] mean of the retail demand, units a day.
    retail, wholesale
        [N, T] demanded units.
    on_sale
        [N, T] whether the product was on sale: launched and not discontinued.
    shop_open
        [T+F] whether the shop floor is open.
    supplier_open
        [K, T+F] whether the supplier works.
    events
        The shop's calendar.
    """

    timeline: Timeline
    prices: NDArray[np.float64]
    season: NDArray[np.float64]
    rate: NDArray[np.float64]
    retail: NDArray[np.int64]
    wholesale: NDArray[np.int64]
    on_sale: NDArray[np.bool_]
    shop_open: NDArray[np.bool_]
    supplier_open: NDArray[np.bool_]
    events: tuple[Event, ...]


def make_market(rng: np.random.Generator, catalogue: Catalogue, timeline: Timeline) -> Market:
    """Draw the calendar, the prices and the true demand of every series."""
    events = [*_closures(timeline), *_promotions(rng, catalogue, timeline)]
    shop_open = np.ones(timeline.length, dtype=np.bool_)
    supplier_open = np.ones((len(SUPPLIERS), timeline.length), dtype=np.bool_)
    codes = [supplier.code for supplier in SUPPLIERS]
    for event in events:
        span = slice(max(event.first, 0), event.last + 1)
        if event.kind == "closure" and event.scope_kind == "warehouse":
            shop_open[span] = False
        elif event.kind == "closure" and event.scope in codes:
            supplier_open[codes.index(event.scope), span] = False
    regular = _regular_prices(rng, catalogue, timeline)
    discount, lift = _promotion_effects(catalogue, timeline, events)
    prices = np.where(discount > 0, _price_step(regular * (1.0 - discount)), regular)  # [P, T+F]
    season = _seasons(rng, catalogue, timeline)
    on_sale = _on_sale(catalogue, timeline)
    past = slice(0, timeline.n_days)
    listed = np.array([product.price for product in catalogue.products])[:, None]
    pull = (regular / listed) ** PRICE_ELASTICITY * lift  # [P, T+F]
    rate = (
        catalogue.units_per_day[:, None]
        * _drift(rng, catalogue, timeline)
        * season[:, past]
        * pull[catalogue.product_of, past]
        * _rhythm(timeline, shop_open)[catalogue.warehouse_of, past]
        * _ramp(catalogue, timeline)
        * on_sale
    )  # [N, T]
    # Slow movers come in lumps, the others a little wider than Poisson.
    slow = catalogue.units_per_day < 0.1
    dispersion = np.where(slow, 0.8, rng.uniform(4.0, 14.0, size=len(slow)))[:, None]  # [N, 1] negative binomial r
    retail = rng.poisson(rng.gamma(dispersion, rate / dispersion))
    return Market(
        timeline, prices, season, rate, retail, _wholesale(rng, catalogue, timeline, on_sale), on_sale, shop_open,
        supplier_open, tuple(events),
    )  # fmt: skip


def _closures(timeline: Timeline) -> list[Event]:
    """Sundays, holidays and a stocktaking on the shop floor, a burst pipe, and the far supplier's works holiday."""
    floor = WAREHOUSE_CODES[SHOP]
    sundays = np.flatnonzero(timeline.weekday == _SUNDAY)
    events = [Event("closure", "Sunday", int(i), int(i), "warehouse", floor) for i in sundays]
    for year in timeline.years:
        for name, month, day in _HOLIDAYS:
            i = timeline.index(dt.date(year, month, day))
            events += [Event("holiday", name, i, i, "shop", None), Event("closure", name, i, i, "warehouse", floor)]
        i = timeline.index(dt.date(year, 1, 8))
        events.append(Event("closure", "Yearly stocktaking", i, i, "warehouse", floor))
    pipe = timeline.n_days - 233
    events.append(Event("closure", "Burst pipe", pipe, pipe + 2, "warehouse", floor))
    # The same days every year, the next of them twelve days away, so that orders must look past it.
    works = SUPPLIERS[METALWORKS]
    for years_ago in range(len(timeline.years) + 1):
        first = timeline.n_days + 12 - round(_DAYS_PER_YEAR * years_ago)
        events.append(Event("closure", f"{works.brand} works holiday", first, first + 15, "supplier", works.code))
    return [event for event in events if 0 <= event.first < timeline.length]


def _promotions(rng: np.random.Generator, catalogue: Catalogue, timeline: Timeline) -> list[Event]:
    """Yearly campaigns of a category, and a coffee of the month with a price cut; the next one is already planned."""
    names = {category.prefix: category.name for category in CATEGORIES}
    events = []
    for year in timeline.years:
        for campaign in _CAMPAIGNS:
            first = timeline.index(dt.date(year, campaign.month, campaign.day))
            scope = names[campaign.prefix]
            events.append(Event("promotion", campaign.name, first, first + campaign.days - 1, "category", scope))
    code = None  # never the same coffee twice in a row
    coming = timeline.n_days + _NEXT_PICK_IN_DAYS
    for first in range(coming % _PICK_EVERY_DAYS, coming + _PICK_EVERY_DAYS + 1, _PICK_EVERY_DAYS):
        sold = [
            product.code
            for product in catalogue.products
            if CATEGORIES[product.category].prefix == "CF"
            and (product.launch is None or product.launch + timeline.n_days <= first)
            and (product.last_day is None or product.last_day + timeline.n_days >= first + _PICK_DAYS)
            and product.code != code
        ]
        code = sold[int(rng.integers(len(sold)))]
        events.append(Event("promotion", "Coffee of the month", first, first + _PICK_DAYS - 1, "product", code))
    return [event for event in events if 0 <= event.first < timeline.length]


def _promotion_effects(
    catalogue: Catalogue, timeline: Timeline, events: list[Event]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the discount as a fraction and the demand lift as a factor, [P, T+F] each; the stronger one holds."""
    discount = np.zeros((len(catalogue.products), timeline.length))
    lift = np.ones_like(discount)
    campaigns = {campaign.name: (campaign.discount, campaign.lift) for campaign in _CAMPAIGNS}
    categories = np.array([CATEGORIES[product.category].name for product in catalogue.products])
    codes = np.array([product.code for product in catalogue.products])
    for event in events:
        if event.kind != "promotion":
            continue
        rows = np.flatnonzero((categories if event.scope_kind == "category" else codes) == event.scope)
        cut, factor = campaigns.get(event.name, (0.20, 2.0))
        block = np.ix_(rows, np.arange(event.first, min(event.last + 1, timeline.length)))
        discount[block] = np.maximum(discount[block], cut)
        lift[block] = np.maximum(lift[block], factor)
    return discount, lift


def _regular_prices(rng: np.random.Generator, catalogue: Catalogue, timeline: Timeline) -> NDArray[np.float64]:
    """Return prices without promotions, [P, T+F]: four in ten products change theirs once a year, mostly upwards."""
    prices = np.repeat([[product.price] for product in catalogue.products], timeline.length, axis=1).astype(np.float64)
    for p in range(len(prices)):
        for first in range(30, timeline.n_days, round(_DAYS_PER_YEAR)):
            change_day = first + int(rng.integers(0, 330))
            step = float(rng.normal(0.055, 0.035))
            if rng.random() < 0.4 and change_day < timeline.n_days - 10:
                # Backwards from the price of today, which is the one the product list shows.
                prices[p, :change_day] = _price_step(prices[p, :change_day] / (1.0 + step))
    return prices


def _price_step(prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round prices to five cents, never below five."""
    return np.round(np.maximum(np.round(prices * 20.0), 1.0) / 20.0, 2)


def _seasons(rng: np.random.Generator, catalogue: Catalogue, timeline: Timeline) -> NDArray[np.float64]:
    """Return the yearly season of each series, [N, T+F], a factor around 1."""
    day = timeline.days.astype(np.int64)
    years = timeline.days.astype("datetime64[Y]")
    angle = 2 * np.pi * (day - years.astype("datetime64[D]").astype(np.int64)) / _DAYS_PER_YEAR
    to_christmas = (years + 1).astype("datetime64[D]").astype(np.int64) - 8 - day  # days until 24 December
    gift = np.where(to_christmas >= 0, np.exp(-np.abs(to_christmas) / 16.0), 0.0)
    shapes = {
        "winter": 1.0 + 0.28 * np.cos(angle - 0.3),
        "summer": 1.0 - 0.50 * np.cos(angle - 0.3),
        "gift": 0.88 + 0.05 * np.cos(angle - 0.3) + 2.2 * gift,
    }
    own = rng.uniform(0.8, 1.2, size=len(catalogue.products))  # each product follows the shape more or less
    by_product = np.array(
        [np.maximum(1.0 + k * (shapes[p.season] - 1.0), 0.1) for k, p in zip(own, catalogue.products, strict=True)]
    )
    return np.asarray(by_product[catalogue.product_of])


def _drift(rng: np.random.Generator, catalogue: Catalogue, timeline: Timeline) -> NDArray[np.float64]:
    """Return the slow drift of the level, [N, T]: a random walk on the log scale, and a webshop that grows."""
    n = len(catalogue.product_of)
    walk = rng.normal(0.0, 0.007, size=(n, timeline.n_days)).cumsum(axis=1)
    growth = np.where(catalogue.warehouse_of == WEB, 0.08, 0.0)[:, None]
    return np.asarray(np.exp(walk - walk[:, -1:] / 2 + growth * (np.arange(timeline.n_days) / _DAYS_PER_YEAR)))


def _rhythm(timeline: Timeline, shop_open: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weekday pattern of each warehouse with closed days and holidays, [W, T+F]; a week has mean 1."""
    pattern = (_WEEKDAY / _WEEKDAY.mean(axis=1, keepdims=True))[:, timeline.weekday]
    pattern[SHOP] *= shop_open
    for year in timeline.years:
        for _, month, day in _HOLIDAYS:
            i = timeline.index(dt.date(year, month, day))
            if 0 <= i < timeline.length:
                pattern[WEB, i] *= _WEB_ON_HOLIDAYS
    return np.asarray(pattern)


def _on_sale(catalogue: Catalogue, timeline: Timeline) -> NDArray[np.bool_]:
    days = np.arange(timeline.n_days) - timeline.n_days  # [T], yesterday is -1
    launch = catalogue.of_series([-np.inf if p.launch is None else p.launch for p in catalogue.products])
    last = catalogue.of_series([np.inf if p.last_day is None else p.last_day for p in catalogue.products])
    return np.asarray((days >= launch[:, None]) & (days <= last[:, None]))


def _ramp(catalogue: Catalogue, timeline: Timeline) -> NDArray[np.float64]:
    """Return how far a new product has become known, [N, T], from 0.4 at its launch towards 1."""
    launch = catalogue.of_series([-np.inf if p.launch is None else p.launch for p in catalogue.products])
    age = np.maximum(np.arange(timeline.n_days) - timeline.n_days - launch[:, None], 0.0)
    return np.asarray(1.0 - 0.6 * np.exp(-age / 21.0))


def _wholesale(
    rng: np.random.Generator, catalogue: Catalogue, timeline: Timeline, on_sale: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Draw rare large orders by cafes, [N, T] units: lively coffee, filters and cups from the webshop's store."""
    wanted = catalogue.of_series([CATEGORIES[p.category].prefix in {"CF", "FL", "CP"} for p in catalogue.products])
    able = (wanted > 0) & (catalogue.warehouse_of == WEB) & (catalogue.units_per_day >= 0.4)
    working_day = timeline.weekday[: timeline.n_days] < _SATURDAY
    asked = rng.random(on_sale.shape) < 1 / 320
    size = np.ceil(catalogue.units_per_day[:, None] * rng.uniform(6.0, 20.0, size=on_sale.shape))
    return np.where(asked & able[:, None] & working_day & on_sale, size, 0.0).astype(np.int64)
