"""The classes of the shop's product-warehouses: what matters, what sells steadily, and how it is best forecast.

Money is what sold in the last year at the product's price; without a price its unit cost, without either units stand
for money, which is said. Steadiness is of weekly demand, because days differ by weekday and say little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.demand_classes import CLASSES, classes_of
from shelfwise.forecasting.seasonal_strength import Seasons, seasons_of
from shelfwise.inventory import classes
from shelfwise.services import demand

__all__ = ["ALL_CLASSES", "YEAR", "Classes", "Seasons", "classify", "of_panel", "with_service_levels"]

YEAR: Final = 364  # days looked at: 52 whole weeks
WEEK: Final = 7
ALL_CLASSES: Final = tuple(classes.SERVICE_LEVELS)


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of N live product-warehouses.

    lines
        ``unique_id, product, warehouse, name, units`` and ``value`` of the last year, ``share`` of the whole value,
        ``variation`` of weekly demand, ``abc_class, xyz_class, class``, ``demand_class`` (smooth, erratic,
        intermittent, lumpy, ...) and ``service_level``; the most valuable first.
    notes
        What stood in for a missing price.
    panel
        What they were classed by.
    """

    lines: pl.DataFrame
    notes: tuple[str, ...]
    panel: Panel

    @property
    def cells(self) -> pl.DataFrame:
        """One row for each ABC-XYZ class: products in it, their share of the value, and its service level."""
        found = self.lines.group_by("class").agg(
            lines=pl.len().cast(pl.Int64), value=pl.col("value").sum(), share=pl.col("share").sum()
        )
        return (
            pl.DataFrame({"class": ALL_CLASSES, "service_level": list(classes.SERVICE_LEVELS.values())})
            .join(found, on="class", how="left", maintain_order="left")
            .with_columns(pl.col("lines", "value", "share").fill_null(0))
            .select("class", "lines", "share", "value", "service_level")
        )

    def seasons(self, unique_ids: Sequence[str]) -> Seasons:
        """Return how strongly some of the lines follow the week and the year, in the order of their names."""
        places = {name: place for place, name in enumerate(self.panel.ids)}
        return seasons_of(self.panel.select(np.array([places[name] for name in unique_ids], dtype=np.int64)))


def classify(app: App) -> Classes:
    """Return the classes of the store's live product-warehouses."""
    live = demand.load(app).live(app.settings.live_days)
    return of_panel(live.panel)


def of_panel(panel: Panel) -> Classes:
    """Return the classes of a daily panel with ``product, warehouse, name, price`` and ``unit_cost``."""
    series = panel.series
    values = panel.window(YEAR).astype(np.float64)  # [N, YEAR]
    seen = panel.available_window(YEAR)
    units = np.where(seen, np.maximum(np.nan_to_num(values), 0.0), 0.0).sum(axis=1)
    price = series.select(pl.coalesce("price", "unit_cost").alias("worth"))["worth"]
    money = units * price.fill_null(1.0).to_numpy()
    spread = classes.variation(_weekly(values, seen))
    abc_class, xyz_class = classes.abc(money), classes.xyz(spread)
    both = pl.Series(np.char.add(abc_class, xyz_class))
    lines = series.select("unique_id", "product", "warehouse", "name").with_columns(
        units=pl.Series(units),
        value=pl.Series(money),
        share=pl.Series(money / max(money.sum(), 1e-12)),
        variation=pl.Series(spread).replace(np.inf, None),
        abc_class=pl.Series(abc_class),
        xyz_class=pl.Series(xyz_class),
        demand_class=pl.Series([CLASSES[code] for code in classes_of(panel).tolist()], dtype=pl.String),
        service_level=classes.service_levels(both),
    )
    lines = lines.with_columns(both.alias("class"))
    ordered = lines.sort(["value", "unique_id"], descending=[True, False])
    return Classes(ordered, _notes(price, series["price"]), panel)


def with_service_levels(items: pl.DataFrame, panel: Panel) -> pl.DataFrame:
    """Return PLANNING_ITEMS with the service level of each line's class, and the class that set it."""
    found = of_panel(panel).lines.select("unique_id", level="service_level", name="class")
    return (
        items.join(found, on="unique_id", how="left", maintain_order="left")
        .with_columns(service_level=pl.coalesce("service_level", "level"), service_class=pl.col("name"))
        .drop("level", "name")
    )


def _weekly(values: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return demand by week [N, weeks], scaled up where days were not seen; nan where most were not."""
    n = len(values)
    days = seen.reshape(n, -1, WEEK).sum(axis=2)  # [N, weeks]
    units = np.where(seen, np.nan_to_num(values), 0.0).reshape(n, -1, WEEK).sum(axis=2)
    enough = days > WEEK // 2
    return np.where(enough, units * WEEK / np.where(enough, days, 1), np.nan)


def _notes(worth: pl.Series, price: pl.Series) -> tuple[str, ...]:
    notes = []
    by_cost, by_units = int((price.is_null() & worth.is_not_null()).sum()), worth.null_count()
    if by_cost:
        notes.append(f"{by_cost:,} lines have no price: ranked by their unit cost")
    if by_units:
        notes.append(
            f"{by_units:,} lines have neither price nor unit cost: ranked as if a unit were worth 1; "
            "`shelfwise products edit PRODUCT --price AMOUNT` sets it"
        )
    return tuple(notes)
