"""The made-up shop as declared frames: catalogue, history, stock and open orders of a coffee shop with a webshop.

Nothing here is real. The shop is drawn from a seed and a day; what would have sold (`make_shop_with_truth`) is kept
apart from what did sell, so that the repair of hidden demand can be measured.

Shape letters: P products, N series (a product in a warehouse), T past days, F known future days.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.demo.catalogue import (
    CATEGORIES,
    SHOP,
    SUPPLIERS,
    WAREHOUSE_CODES,
    WAREHOUSE_NAMES,
    WEEKDAY_NAMES,
    Catalogue,
    make_catalogue,
)  # fmt: skip
from shelfwise.demo.demand import WHOLESALE_DISCOUNT, Market, Timeline, make_market
from shelfwise.demo.supply import Ledger, run_supply
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import (
    CALENDAR_EVENTS,
    DAY,
    MOMENT,
    MOVEMENTS,
    PRICES,
    PRODUCTS,
    PURCHASE_ORDER_LINES,
    RECEIPTS,
    STOCK_LEVELS,
    TEXT,
    UNITS,
    WAREHOUSES,
    Column,
    Frame,
)  # fmt: skip
from shelfwise.domain.frames import (
    SUPPLIERS as SUPPLIER_FRAME,
)

SOURCE: Final = "demo"
CURRENCY: Final = "EUR"
FEWEST_DAYS: Final = 60
MOST_DAYS: Final = 3650

TRUTH: Final = Frame(
    "truth",
    {
        "product": Column(TEXT, meaning="product code"),
        "warehouse": Column(TEXT, meaning="warehouse code"),
        "day": Column(DAY, meaning="day on which the product was on sale"),
        "demand": Column(UNITS, meaning="units that would have sold with an endless shelf, wholesale included"),
        "rate": Column(UNITS, meaning="mean that the retail demand of the day was drawn from"),
    },
    key=("product", "warehouse", "day"),
)

# Minutes after midnight at which a kind of movement begins, and over how many minutes it spreads, by warehouse.
_TIMES: Final = {
    "count": ((390, 1), (390, 1)),
    "receipt": ((450, 1), (450, 1)),
    "transfer": ((495, 1), (495, 1)),
    "wholesale": ((520, 15), (520, 15)),
    "sale": ((540, 540), (540, 720)),
    "return": ((1090, 10), (1270, 10)),
    "adjustment": ((1110, 10), (1290, 10)),
}


def make_shop(*, seed: int = 0, today: dt.date, n_products: int = 60, n_days: int = 730) -> dict[str, pl.DataFrame]:
    """Make the made-up shop as it stands on the morning of ``today``.

    Parameters
    ----------
    seed
        Zero or more; the same seed and day give the same shop.
    today
        The day of planning. History ends the evening before.
    n_products
        20 to 300.
    n_days
        Days of history, 60 to 3650.

    Returns
    -------
    dict
        Declared frames by name: products, warehouses, suppliers, movements, stock_levels, prices, calendar_events,
        purchase_order_lines and receipts. Prices and calendar events reach 120 days into the future.

    >>> frames = make_shop(seed=1, today=dt.date(2026, 11, 21), n_products=20, n_days=60)
    >>> frames["products"].height, frames["movements"]["occurred_at"].max().date()
    (20, datetime.date(2026, 11, 20))
    """
    return make_shop_with_truth(seed=seed, today=today, n_products=n_products, n_days=n_days)[0]


def make_shop_with_truth(
    *, seed: int = 0, today: dt.date, n_products: int = 60, n_days: int = 730
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Make the shop and the true demand behind it, the frame `TRUTH`; parameters as in `make_shop`.

    Raises
    ------
    ParameterError
        The seed is negative, or there are too few or too many products or days.
    """
    if seed < 0:
        raise ParameterError(f"seed must be zero or more, got {seed}")
    if not FEWEST_DAYS <= n_days <= MOST_DAYS:
        raise ParameterError(f"n_days must be between {FEWEST_DAYS} and {MOST_DAYS}, got {n_days}")
    # One stream each, so that more days or another supply never rename the products.
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
    catalogue = make_catalogue(streams[0], n_products)
    market = make_market(streams[1], catalogue, Timeline(today, n_days))
    ledger = run_supply(streams[2], catalogue, market)
    frames = {
        "products": _products(catalogue, market),
        "warehouses": WAREHOUSES.check(pl.DataFrame({"warehouse": WAREHOUSE_CODES, "name": WAREHOUSE_NAMES})),
        "suppliers": _suppliers(),
        "movements": _movements(streams[3], catalogue, market, ledger),
        "stock_levels": _stock_levels(catalogue, market, ledger),
        "prices": _prices(catalogue, market),
        "calendar_events": _calendar_events(market),
        "purchase_order_lines": _purchase_order_lines(catalogue, market, ledger),
        "receipts": _receipts(catalogue, market, ledger),
    }
    return frames, _truth(catalogue, market)


def _products(catalogue: Catalogue, market: Market) -> pl.DataFrame:
    today = market.timeline.n_days

    def date(offset: int | None) -> dt.date | None:
        return None if offset is None else market.timeline.day(today + offset)

    return PRODUCTS.check(
        pl.DataFrame(
            [
                {
                    "product": p.code,
                    "name": p.name,
                    "category": CATEGORIES[p.category].name,
                    "brand": SUPPLIERS[p.supplier].brand,
                    "supplier": SUPPLIERS[p.supplier].code,
                    "unit_cost": p.unit_cost,
                    "price": p.price,
                    "pack_size": p.pack_size,
                    "minimum_order_quantity": p.minimum_order_quantity,
                    "launched_on": date(p.launch),
                    "discontinued_on": date(p.last_day),
                    "replaces": p.replaces,
                }
                for p in catalogue.products
            ],
            infer_schema_length=None,
        )
    )


def _suppliers() -> pl.DataFrame:
    return SUPPLIER_FRAME.check(
        pl.DataFrame(
            [
                {
                    "supplier": s.code,
                    "name": s.name,
                    "lead_time_days": s.lead_time_days,
                    "lead_time_sd_days": s.lead_time_sd_days,
                    "review_days": s.review_days,
                    "order_weekdays": ",".join(WEEKDAY_NAMES[day] for day in s.order_weekdays),
                    "minimum_order_value": s.minimum_order_value,
                    "currency": CURRENCY,
                }
                for s in SUPPLIERS
            ]
        )
    )


def _codes(catalogue: Catalogue, series: NDArray[np.int64]) -> dict[str, NDArray[np.str_]]:
    """Return product and warehouse codes of rows that belong to ``series``."""
    products = np.array([p.code for p in catalogue.products])
    return {
        "product": products[catalogue.product_of[series]],
        "warehouse": np.array(WAREHOUSE_CODES)[catalogue.warehouse_of[series]],
    }


def _movements(rng: np.random.Generator, catalogue: Catalogue, market: Market, ledger: Ledger) -> pl.DataFrame:
    """Return one line per series, day and kind; wholesale is its own line, sold at a discount."""
    booked = {
        "count": ledger.counted,
        "receipt": ledger.received,
        "transfer": ledger.transferred,
        "wholesale": ledger.wholesale,
        "sale": ledger.retail,
        "return": ledger.returned,
        "adjustment": ledger.adjusted,
    }
    parts = []
    for name, units in booked.items():
        series, day = np.nonzero(units >= 0 if name == "count" else units)
        begins, spread = np.array(_TIMES[name])[catalogue.warehouse_of[series]].T
        minute = begins + rng.integers(0, spread)
        price = market.prices[catalogue.product_of[series], day]
        parts.append(
            pl.DataFrame(
                {
                    **_codes(catalogue, series),
                    "line": name,
                    "kind": "sale" if name == "wholesale" else name,
                    "day": market.timeline.days[day],
                    "occurred_at": market.timeline.days[day].astype("datetime64[us]")
                    + (minute * 60 * 1_000_000).astype("timedelta64[us]"),
                    "quantity": units[series, day].astype(np.float64),
                    "unit_price": np.round(price * (1 - WHOLESALE_DISCOUNT * (name == "wholesale")), 2),
                }
            )
        )
    lines = pl.concat(parts).with_columns(
        source=pl.lit(SOURCE),
        line_id=pl.format("{}-{}-{}-{}", "line", pl.col("day").dt.strftime("%Y%m%d"), "warehouse", "product"),
        unit_price=pl.when(pl.col("kind").is_in(["sale", "return"])).then("unit_price"),
    )
    return MOVEMENTS.check(lines.drop("line", "day").sort("occurred_at", "line_id"))


def _stock_levels(catalogue: Catalogue, market: Market, ledger: Ledger) -> pl.DataFrame:
    series = np.flatnonzero(ledger.known)
    return STOCK_LEVELS.check(
        pl.DataFrame(
            {**_codes(catalogue, series), "on_hand": ledger.on_hand[series, -1].astype(np.float64)}
        ).with_columns(as_of=pl.lit(dt.datetime.combine(market.timeline.today, dt.time()), dtype=MOMENT))
    )


def _prices(catalogue: Catalogue, market: Market) -> pl.DataFrame:
    """Return a row for each day on which a price begins, from launch to last day, planned ones included."""
    timeline = market.timeline
    rows = []
    for p, product in enumerate(catalogue.products):
        first = 0 if product.launch is None else max(product.launch + timeline.n_days, 0)
        end = timeline.length if product.last_day is None else max(product.last_day + timeline.n_days + 1, 0)
        on_list = market.prices[p, first:end]
        changes = np.flatnonzero(np.diff(on_list, prepend=-1.0))
        rows += [(product.code, timeline.day(first + int(i)), float(on_list[i])) for i in changes]
    return PRICES.check(pl.DataFrame(rows, schema=["product", "starts_on", "price"], orient="row"))


def _calendar_events(market: Market) -> pl.DataFrame:
    timeline = market.timeline
    return CALENDAR_EVENTS.check(
        pl.DataFrame(
            [
                {
                    "kind": event.kind,
                    "name": event.name,
                    "starts_on": timeline.day(event.first),
                    "ends_on": timeline.day(event.last),
                    "scope_kind": event.scope_kind,
                    "scope": event.scope,
                }
                for event in market.events
            ],
            infer_schema_length=None,
        ).sort("starts_on", "kind", "name", "scope_kind", "scope")
    )


def _order_number(order: int) -> str:
    return f"PO-{order:05d}"


def _purchase_order_lines(catalogue: Catalogue, market: Market, ledger: Ledger) -> pl.DataFrame:
    """Return the lines of all orders, sent ones and received ones; the state is that of the whole order."""
    lines = ledger.order_lines
    cost = catalogue.of_series([p.unit_cost for p in catalogue.products])
    series = np.array([line.series for line in lines], dtype=np.int64)
    frame = pl.DataFrame(
        {
            **_codes(catalogue, series),
            "purchase_order": [_order_number(line.order) for line in lines],
            "supplier": [SUPPLIERS[line.supplier].code for line in lines],
            "quantity": [float(line.quantity) for line in lines],
            "quantity_received": [float(line.received) for line in lines],
            "unit_cost": cost[series],
            "ordered_on": [market.timeline.day(line.ordered) for line in lines],
            "expected_on": [market.timeline.day(line.expected) for line in lines],
        }
    )
    complete = (pl.col("quantity_received") >= pl.col("quantity")).all().over("purchase_order")
    begun = (pl.col("quantity_received") > 0).any().over("purchase_order")
    status = pl.when(complete).then(pl.lit("received")).when(begun).then(pl.lit("part_received"))
    return PURCHASE_ORDER_LINES.check(frame.with_columns(status=status.otherwise(pl.lit("sent"))))


def _receipts(catalogue: Catalogue, market: Market, ledger: Ledger) -> pl.DataFrame:
    came = [(line, day, units) for line in ledger.order_lines for day, units in line.deliveries]
    series = np.array([line.series for line, _, _ in came], dtype=np.int64)
    return RECEIPTS.check(
        pl.DataFrame(
            {
                **_codes(catalogue, series),
                "purchase_order": [_order_number(line.order) for line, _, _ in came],
                "supplier": [SUPPLIERS[line.supplier].code for line, _, _ in came],
                "quantity": [float(units) for _, _, units in came],
                "ordered_on": [market.timeline.day(line.ordered) for line, _, _ in came],
                "received_on": [market.timeline.day(day) for _, day, _ in came],
            }
        ).sort("received_on", "purchase_order", "product", "warehouse")
    )


def _truth(catalogue: Catalogue, market: Market) -> pl.DataFrame:
    """Return a row for each day on which a series could be bought, closed days of the shop floor left out."""
    could = market.on_sale & (market.shop_open[: market.timeline.n_days] | (catalogue.warehouse_of != SHOP)[:, None])
    series, day = np.nonzero(could)
    return TRUTH.check(
        pl.DataFrame(
            {
                **_codes(catalogue, series),
                "day": market.timeline.days[day],
                "demand": (market.retail + market.wholesale)[series, day].astype(np.float64),
                "rate": market.rate[series, day],
            }
        )
    )
