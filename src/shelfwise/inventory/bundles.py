"""Bundles: sold as one, held as their components.

Nobody stocks a gift box that is packed from the shelf when it sells: what runs out is its components. So a bundle is
never ordered; its demand is added to that of its components, path by path. With y_b[s, h] the bundle's demand on path s
in period h and q the units of a component in it::

    y_c'[s, h] = y_c[s, h] + sum over bundles b of q[b, c] y_b[s, h]

Path s is the same world for both, so a week in which gifts sell well is one week for the box and for the tea. Bundles
in bundles are taken apart down to what is stocked.

Letters: N product-warehouses, P bundles in warehouses, S sample paths, H periods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy

from shelfwise.domain.errors import DataError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.frames import BUNDLES

DEEPEST: Final = 20
"""Bundles within bundles; more is a circle."""


def leaves(recipes: pl.DataFrame) -> pl.DataFrame:
    """Return BUNDLES down to components that are no bundles themselves.

    Raises
    ------
    DataError
        A bundle is made of itself.

    >>> leaves(pl.DataFrame({"bundle": ["box", "box", "set"], "component": ["set", "tea", "cup"],
    ...                      "quantity": [2.0, 1.0, 4.0]})).rows()
    [('box', 'cup', 8.0), ('box', 'tea', 1.0), ('set', 'cup', 4.0)]
    """  # fmt: skip
    made = BUNDLES.check(recipes)
    inner = made.select(component="bundle", part="component", units="quantity")
    for _ in range(DEEPEST):
        if made.join(inner, on="component", how="semi").is_empty():
            summed = made.group_by("bundle", "component").agg(pl.col("quantity").sum())
            return summed.sort("bundle", "component")
        deeper = made.join(inner, on="component", how="left")
        made = deeper.select(
            "bundle",
            component=pl.coalesce("part", "component"),
            quantity=pl.col("quantity") * pl.col("units").fill_null(1.0),
        )
    raise DataError(f"bundle {made['bundle'][0]!r} is made of itself; take it out of its components")


def without_bundles(series: pl.DataFrame, recipes: pl.DataFrame, attributes: pl.DataFrame) -> pl.DataFrame:
    """Return the series that are stocked: without bundles, and with components that sell in bundles alone.

    Parameters
    ----------
    series
        Rows with ``unique_id, product, warehouse`` and attributes.
    recipes
        BUNDLES down to components that are no bundles (`leaves`).
    attributes
        One row for each ``product`` with what of ``series`` is known of it; the rest is null.
    """
    if recipes.is_empty():
        return series
    is_bundle = pl.col("product").is_in(recipes["bundle"].unique().to_list())
    stocked = series.filter(~is_bundle)
    needed = (
        series.filter(is_bundle)
        .select("warehouse", bundle="product")
        .join(recipes, on="bundle")
        .select("warehouse", product="component")
        .unique()
        .join(stocked, on=["product", "warehouse"], how="anti")
    )
    known = attributes.select([name for name in series.columns if name in attributes.columns])
    added = needed.join(known, on="product", how="left").with_columns(
        unique_id=pl.format("{}@{}", "product", "warehouse")
    )
    joined = pl.concat(
        [stocked, added.select([n for n in series.columns if n in added.columns])], how="diagonal_relaxed"
    )
    return joined.sort("product", "warehouse").select(series.columns)


def exploded(forecast: Forecast, stocked: pl.DataFrame, recipes: pl.DataFrame) -> Forecast:
    """Return the forecast of what is stocked, in which the demand of bundles is that of their components.

    Parameters
    ----------
    forecast
        Of the series as they sell, bundles among them, all from the same period on.
    stocked
        Rows of the forecast returned, as `without_bundles` gives them.
    recipes
        BUNDLES down to components that are no bundles.

    >>> from shelfwise.domain.calendar import Frequency
    >>> from shelfwise.domain.forecast import Provenance
    >>> table = pl.DataFrame({"unique_id": ["box@m", "tea@m"], "product": ["box", "tea"], "warehouse": ["m", "m"]})
    >>> drawn = np.array([[[1, 0], [2, 2]], [[5, 5], [6, 6]]], dtype=np.float32)
    >>> sold = Forecast(table, np.zeros(2, dtype=np.int64), Frequency.parse("1d"), Provenance("m", "1"), 2, drawn=drawn)
    >>> recipes = pl.DataFrame({"bundle": ["box", "box"], "component": ["tea", "cup"], "quantity": [3.0, 1.0]})
    >>> products = pl.DataFrame({"product": ["box", "cup", "tea"]})
    >>> made = exploded(sold, without_bundles(table, recipes, products), recipes)
    >>> made.ids.to_list(), made.paths.tolist()
    (['cup@m', 'tea@m'], [[[1.0, 0.0], [2.0, 2.0]], [[8.0, 5.0], [12.0, 12.0]]])
    """
    if recipes.is_empty():
        return forecast
    bundles = forecast.series["product"].is_in(recipes["bundle"].unique().to_list()).to_numpy()
    place = {name: row for row, name in enumerate(forecast.ids.to_list())}
    rows = np.array([place.get(name, -1) for name in stocked["unique_id"]], dtype=np.int64)
    own = _rows(forecast, stocked, rows)
    parts = forecast.select(bundles)
    shares = _shares(stocked, parts.series, _quantities(recipes))
    return replace(own, parts=parts, shares=shares) if shares.nnz else own


def _rows(forecast: Forecast, series: pl.DataFrame, rows: npt.NDArray[np.int64]) -> Forecast:
    """Return the rows of a forecast in another order; where the position is -1 nothing sells by itself."""
    new = rows < 0
    if not len(forecast):
        return forecast
    taken = forecast.select(np.where(new, 0, rows))
    mean = np.where(new[:, None], 0.0, taken.mean())
    return replace(taken.with_mean(mean), series=series)


def _quantities(recipes: pl.DataFrame) -> Mapping[tuple[str, str], float]:
    return {(bundle, component): quantity for bundle, component, quantity in recipes.iter_rows()}


def _shares(stocked: pl.DataFrame, bundles: pl.DataFrame, quantities: Mapping[tuple[str, str], float]) -> Any:
    """Return [N, P] units of each stocked series in one unit of each bundle of its warehouse."""
    place = {key: row for row, key in enumerate(stocked.select("product", "warehouse").iter_rows())}
    cells = [
        (place[component, warehouse], column, quantity)
        for column, (bundle, warehouse) in enumerate(bundles.select("product", "warehouse").iter_rows())
        for (whole, component), quantity in quantities.items()
        if whole == bundle and (component, warehouse) in place
    ]
    rows, columns, units = ([cell[i] for cell in cells] for i in range(3))
    return scipy.sparse.csr_array((units, (rows, columns)), shape=(stocked.height, bundles.height), dtype=np.float64)
