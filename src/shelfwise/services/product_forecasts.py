"""What one product is forecast to sell, read from what was published: nothing is fitted and nothing is written.

Letters: S sample paths, H days, Q quantile levels.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.services import planning
from shelfwise.services.names import product_code
from shelfwise.storage import archive, catalogue, plans

Floats = npt.NDArray[np.floating[Any]]

NO_PLAN: Final = "there is no plan yet, so nothing was forecast; `shelfwise order` makes one"


@dataclass(frozen=True, eq=False)
class WarehouseForecast:
    """The forecast of a product in one warehouse.

    mean
        [H] units of each day.
    quantiles
        [H, Q] units of each day by itself.
    cumulative
        [H, Q] units from the first day to the end of each, read off the paths: quantiles of days do not add up.
    """

    warehouse: str
    dates: tuple[dt.date, ...]
    mean: Floats
    quantiles: Floats
    cumulative: Floats


@dataclass(frozen=True, eq=False)
class ProductForecast:
    """The published forecast of a product, and where it came from.

    run_id
        The plan that it was made for.
    warnings
        What a reader must know.
    """

    product: str
    run_id: int
    created_at: dt.datetime
    data_until: dt.date
    model: str
    version: str
    levels: tuple[float, ...]
    warehouses: tuple[WarehouseForecast, ...]
    warnings: tuple[str, ...]


def revision(app: App) -> int | None:
    """Return what changes whenever a published forecast may have: the number of the plan; None before the first."""
    with app.database.read() as connection:
        run = plans.latest_run(connection)
    return None if run is None else run.id


def read(
    app: App, wanted: str, *, horizon: int | None = None, levels: Sequence[float] = (0.1, 0.5, 0.9)
) -> ProductForecast:
    """Return the forecast of a product that the plan was made on, overrides included.

    Parameters
    ----------
    horizon
        Days H; None takes the setting, or what the plan forecasts where that is less.
    levels
        [Q] probabilities above 0 and below 1.

    Raises
    ------
    NotFound
        There is no such product, no plan, or the plan does not forecast it.
    ParameterError
        The plan forecasts fewer days, or a level is none.
    """
    wanted_levels = tuple(sorted(set(levels)))
    with app.database.read() as connection:
        code = product_code(catalogue.products(connection), wanted)
        run = plans.latest_run(connection)
        if run is None:
            raise NotFound(NO_PLAN)
        forecast = Forecast.from_bytes(archive.load_chunk(connection, run.id, planning.PUBLISHED))
        lines = plans.recommendations(connection, run.id).filter(pl.col("product") == code)
    days = min(app.settings.horizon, forecast.horizon) if horizon is None else horizon
    if not 1 <= days <= forecast.horizon:
        raise ParameterError(
            f"horizon must be from 1 to the {forecast.horizon} days that the plan forecasts, got {days}"
        )
    rows = (forecast.series["product"] == code).arg_true().to_numpy()
    if not len(rows):
        raise NotFound(
            f"product {code!r} is not planned: it has not sold within {app.settings.live_days} days, is discontinued, "
            "or is new since the plan; `shelfwise order` plans anew"
        )
    own = forecast.select(rows)
    quantiles = own.quantiles(wanted_levels)[:, :days]  # [n, H, Q]
    summed = own.paths[:, :, :days].cumsum(axis=2, dtype=np.float64)  # [n, S, H] units
    cumulative = np.moveaxis(np.quantile(summed, wanted_levels, axis=1), 0, -1)  # [n, H, Q]
    dates = own.moments()[:, :days].astype("datetime64[D]").tolist()  # [n, H]
    return ProductForecast(
        product=code,
        run_id=run.id,
        created_at=run.created_at,
        data_until=run.data_until,
        model=forecast.provenance.model,
        version=forecast.provenance.version,
        levels=wanted_levels,
        warehouses=tuple(
            WarehouseForecast(place, tuple(dates[n]), mean[:days], quantiles[n], cumulative[n])
            for n, (place, mean) in enumerate(zip(own.series["warehouse"], own.mean(), strict=True))
        ),
        warnings=(*forecast.provenance.notes, *_warnings(lines)),
    )


def _warnings(lines: pl.DataFrame) -> tuple[str, ...]:
    """Return what the plan warns of in the product's lines, each with its warehouse."""
    said = lines.filter(pl.col("reason").is_not_null()).select("warehouse", "reason")
    return tuple(f"{place}: {reason}" for place, reason in said.iter_rows())
