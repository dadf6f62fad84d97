"""Prices of every series, day by day: what is known of them from the price list, past and planned.

A price holds from its first day until the next one, and the first one before it, too: when a product was launched is
told elsewhere. A warehouse's own price goes before that of the whole shop. What single sales were paid is not read:
nobody knows it ahead, so a model could not be told it for the days it forecasts.

Letters: N series, D days laid out.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import PRICES
from shelfwise.services.names import product_code
from shelfwise.storage import catalogue

Floats = npt.NDArray[np.floating[Any]]

ROWS_AT_ONCE: Final = 1024  # series whose days are filled at once


def price_days(prices: pl.DataFrame, series: pl.DataFrame, first: date, n_days: int) -> Floats | None:
    """Return the price [N, D] of each series on each day, NaN for one without any; None where none ever changes.

    A price that never changes teaches nothing, so where that holds for all there is nothing to tell a model.

    Parameters
    ----------
    prices
        PRICES.
    series
        N rows with ``product`` and ``warehouse``.
    first, n_days
        First day laid out, and how many D.

    >>> from shelfwise.domain.frames import PRICES
    >>> days = [date(2026, 1, 2), date(2026, 1, 4)]
    >>> prices = PRICES.check(pl.DataFrame({"product": ["A", "A"], "starts_on": days, "price": [5.0, 4.0]}))
    >>> price_days(prices, pl.DataFrame({"product": ["A"], "warehouse": ["main"]}), date(2026, 1, 1), 5).tolist()
    [[5.0, 5.0, 5.0, 4.0, 4.0]]
    """
    rows = series.select("product", "warehouse").with_row_index("row")
    known = prices.filter(pl.col("price").is_not_null()).with_columns(
        day=(pl.col("starts_on") - pl.lit(first)).dt.total_days()
    )
    known = known.filter(pl.col("day") < n_days).sort("day").select("product", "warehouse", "day", "price")
    own = rows.join(known.drop_nulls("warehouse"), on=["product", "warehouse"])
    shared = rows.join(known.filter(pl.col("warehouse").is_null()).drop("warehouse"), on="product")
    if own.height + shared.height == 0:
        return None
    found = np.full((series.height, n_days), np.nan, dtype=np.float32)
    for low in range(0, series.height, ROWS_AT_ONCE):
        high = min(low + ROWS_AT_ONCE, series.height)
        theirs, everywhere = (_filled(some, low, high, n_days) for some in (own, shared))
        both = np.where(np.isnan(theirs), everywhere, theirs)
        first_known = np.argmax(~np.isnan(both), axis=1)[:, None]
        found[low:high] = np.where(np.isnan(both), np.take_along_axis(both, first_known, axis=1), both)
    changes = (found[:, 1:] != found[:, :-1]) & ~np.isnan(found[:, :-1])
    return found if changes.any() else None


def plan_price(app: App, wanted: str, price: float, first: date, last: date | None = None) -> str:
    """Plan what a product costs everywhere from a day on, or from one day to another; return its code.

    Parameters
    ----------
    wanted
        Code or name of the product.
    price
        Money per unit, zero or more.
    first, last
        First and last day of the price, after which the one before it holds again; None for as long as it likes.

    Raises
    ------
    ParameterError
        The last day is before the first, or the price below zero.
    DataError
        What it costs until then is not known, so the change could not be told.
    """
    if price < 0:
        raise ParameterError(f"a price must be zero or more, got {price}")
    if last is not None and last < first:
        raise ParameterError(f"the last day {last} is before the first day {first}; give them in order")
    with app.database.write() as connection:
        products = catalogue.products(connection)
        code = product_code(products, wanted)
        listed = catalogue.prices(connection).filter(pl.col("product") == code, pl.col("warehouse").is_null())
        known = dict(listed.select("starts_on", "price").sort("starts_on").iter_rows())
        before = _price_on(known, first - timedelta(days=1))
        changes = {first: price}
        if before is None:
            before = products.filter(pl.col("product") == code)["price"].item()
            if before is None:
                raise DataError(
                    f"what {code} costs until {first} is not known, so the change could not be told; "
                    f"`shelfwise products edit {code} --price PRICE` says it"
                )
            changes[first - timedelta(days=1)] = before
        if last is not None:
            changes |= {day: price for day in known if first < day <= last}
            after = last + timedelta(days=1)
            changes[after] = next(each for each in (_price_on(known, after), before) if each is not None)
        rows = {"product": [code] * len(changes), "starts_on": list(changes), "price": list(changes.values())}
        catalogue.upsert_prices(connection, PRICES.check(pl.DataFrame(rows)))
    return code


def _price_on(known: dict[date, float], day: date) -> float | None:
    """Return the price that holds on a day, of prices by their first day in order."""
    held = [price for first, price in known.items() if first <= day]
    return held[-1] if held else None


def _filled(changes: pl.DataFrame, low: int, high: int, n_days: int) -> Floats:
    """Return the prices [high - low, D] that begin on the days of ``changes`` (sorted) and hold until the next one."""
    mine = changes.filter(pl.col("row").is_between(low, high, closed="left")).sort("row", "day")
    # a price from before the first day holds on it; of several the last one
    mine = mine.with_columns(pl.col("day").clip(lower_bound=0)).unique(["row", "day"], keep="last", maintain_order=True)
    begun = np.full((high - low, n_days), np.nan, dtype=np.float32)
    begun[mine["row"].to_numpy() - low, mine["day"].to_numpy()] = mine["price"].to_numpy()
    latest = np.maximum.accumulate(np.where(np.isnan(begun), 0, np.arange(n_days)), axis=1)
    return np.take_along_axis(begun, latest, axis=1)
