"""What one product is forecast to sell, read from what is kept: nothing is fitted and nothing is written.

The live rows are read where they know as much as the plan and have the quantiles asked for; they follow each sale. Else
the forecast that the last plan was made on is read, whose paths give any quantile.

Letters: S sample paths, H days, Q quantile levels.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.services import live_rows, planning
from shelfwise.services.names import product_code
from shelfwise.storage import archive, catalogue, live_forecasts, plans
from shelfwise.storage.live_forecasts import LiveRow
from shelfwise.storage.plans import PlanRun

NO_PLAN: Final = "there is no plan yet, so nothing was forecast; `shelfwise order` makes one"

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Source:
    """What the forecast of a product is read from: live rows where ``rows`` has some, else the plan of ``run``.

    ``revision`` changes whenever what is read may have.
    """

    product: str
    rows: tuple[LiveRow, ...]
    run: PlanRun | None

    @property
    def revision(self) -> tuple[str, ...]:
        """What is different whenever the answer may be."""
        if self.rows:
            return ("live", *(f"{row.warehouse} {row.version} {row.sha256}" for row in self.rows))
        return ("plan", str(None if self.run is None else self.run.id))

    @property
    def identity(self) -> tuple[object, ...]:
        """All that an answer is made of, so that nothing else, of another database either, has the same.

        A plan's moment is in it: where a database was put back to an older state, its numbers are given out again.
        """
        if self.rows:
            rows = tuple(
                (row.warehouse, row.version, row.sha256, row.model, row.model_version, row.data_until, row.horizon,
                 row.computed_at) for row in self.rows
            )  # fmt: skip
            return ("live", self.product, rows)
        run = self.run
        return ("plan", self.product, None if run is None else (run.id, run.created_at, run.data_until))


@dataclass(frozen=True)
class WarehouseForecast:
    """The forecast of a product in one warehouse.

    mean
        [H] units of each day.
    quantiles
        [Q, H] units of each day by itself.
    cumulative
        [Q, H] units from the first day to the end of each, read off the paths: quantiles of days do not add up.
    """

    warehouse: str
    dates: tuple[dt.date, ...]
    mean: Numbers
    quantiles: tuple[Numbers, ...]
    cumulative: tuple[Numbers, ...]


@dataclass(frozen=True)
class ProductForecast:
    """The newest forecast of a product, and where it came from.

    source, revision
        ``live`` and the version of its rows, or ``plan`` and the plan's number.
    warnings
        What a reader must know.
    """

    product: str
    source: Literal["live", "plan"]
    revision: int
    computed_at: dt.datetime
    data_until: dt.date
    model: str
    version: str
    levels: Numbers
    warehouses: tuple[WarehouseForecast, ...]
    warnings: tuple[str, ...]


def source(app: App, wanted: str, levels: Sequence[float]) -> Source:
    """Return what the forecast of a product would be read from; a few rows are looked at.

    Raises
    ------
    NotFound
        There is no such product.
    """
    with app.database.read() as connection:
        code, rows = wanted, live_forecasts.of_product(connection, wanted)
        if not rows:
            code = product_code(catalogue.products(connection), wanted)
            rows = live_forecasts.of_product(connection, code)
        run = plans.latest_run(connection)
    known = run is None or all(row.data_until >= run.data_until for row in rows)
    usable = known and set(levels) <= set(live_rows.LEVELS)
    return Source(code, tuple(rows) if usable else (), run)


def read(app: App, found: Source, *, horizon: int | None = None, levels: Sequence[float]) -> ProductForecast:
    """Return the forecast of a product, overrides included.

    Parameters
    ----------
    found
        What `source` said for the same product and levels.
    horizon
        Days H; None takes the setting, or all that is forecast where that is less.
    levels
        [Q] probabilities above 0 and below 1.

    Raises
    ------
    NotFound
        There is no plan, or it does not forecast the product.
    ParameterError
        Fewer days are forecast, or a level is none.
    """
    asked = tuple(sorted(set(levels)))
    if found.rows:
        return _live(found.product, found.rows, _days(app, horizon, min(row.horizon for row in found.rows)), asked)
    if found.run is None:
        raise NotFound(NO_PLAN)
    with app.database.read() as connection:
        forecast = Forecast.from_bytes(archive.load_chunk(connection, found.run.id, planning.PUBLISHED))
        lines = plans.recommendations(connection, found.run.id).filter(pl.col("product") == found.product)
    rows = (forecast.series["product"] == found.product).arg_true().to_numpy()
    if not len(rows):
        raise NotFound(
            f"product {found.product!r} is not planned: it has not sold within {app.settings.live_days} days, is "
            "discontinued, or is new since the plan; `shelfwise order` plans anew"
        )
    own, days = forecast.select(rows), _days(app, horizon, forecast.horizon)
    quantiles = np.moveaxis(own.quantiles(asked)[:, :days], 2, 1)  # [n, Q, H]
    summed = own.paths[:, :, :days].cumsum(axis=2, dtype=np.float64)  # [n, S, H] units
    cumulative = np.moveaxis(np.quantile(summed, asked, axis=1, method="inverted_cdf"), 0, 1)  # [n, Q, H]
    dates = own.moments()[:, :days].astype("datetime64[D]").tolist()  # [n, H]
    return ProductForecast(
        product=found.product,
        source="plan",
        revision=found.run.id,
        computed_at=found.run.created_at,
        data_until=found.run.data_until,
        model=forecast.provenance.model,
        version=forecast.provenance.version,
        levels=asked,
        warehouses=tuple(
            WarehouseForecast(
                place, tuple(dates[n]), tuple(mean[:days].tolist()), _nested(quantiles[n]), _nested(cumulative[n])
            )
            for n, (place, mean) in enumerate(zip(own.series["warehouse"], own.mean(), strict=True))
        ),
        warnings=(*forecast.provenance.notes, *_warnings(lines)),
    )


def _live(product: str, rows: Sequence[LiveRow], days: int, levels: Numbers) -> ProductForecast:
    kept = [json.loads(row.payload) for row in rows]
    warned = [(row.warehouse, told["order"]["warnings"]) for row, told in zip(rows, kept, strict=True)]
    newest = max(rows, key=lambda row: row.version)
    return ProductForecast(
        product=product,
        source="live",
        revision=newest.version,
        computed_at=max(row.computed_at for row in rows),
        data_until=min(row.data_until for row in rows),
        model=newest.model,
        version=newest.model_version,
        levels=levels,
        warehouses=tuple(_of_row(row.warehouse, told, days, levels) for row, told in zip(rows, kept, strict=True)),
        warnings=tuple(f"{place}: {said}" for place, said in warned if said),
    )


def _of_row(warehouse: str, told: dict[str, Any], days: int, levels: Numbers) -> WarehouseForecast:
    first = dt.date.fromisoformat(told["first_day"])
    return WarehouseForecast(
        warehouse,
        tuple(first + dt.timedelta(days=day) for day in range(days)),
        tuple(told["demand"]["mean"][:days]),
        tuple(tuple(told["demand"][f"q{level:g}"][:days]) for level in levels),
        tuple(tuple(told["cumulative"][f"q{level:g}"][:days]) for level in levels),
    )


def _days(app: App, asked: int | None, forecast: int) -> int:
    days = min(app.settings.horizon, forecast) if asked is None else asked
    if not 1 <= days <= forecast:
        raise ParameterError(f"horizon must be from 1 to the {forecast} days that are forecast, got {days}")
    return days


def _nested(values: Any) -> tuple[Numbers, ...]:
    return tuple(tuple(row) for row in values.tolist())


def _warnings(lines: pl.DataFrame) -> tuple[str, ...]:
    """Return what the plan warns of in the product's lines, each with its warehouse."""
    said = lines.filter(pl.col("reason").is_not_null()).select("warehouse", "reason")
    return tuple(f"{place}: {reason}" for place, reason in said.iter_rows())
