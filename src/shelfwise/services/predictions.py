"""Forecasts of the store's own demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from shelfwise.app import App
from shelfwise.domain.forecast import Forecast
from shelfwise.forecasting.contract import Predictor
from shelfwise.forecasting.explain import Contributions, explain, with_residual
from shelfwise.forecasting.lifts import lifts as measure_lifts
from shelfwise.services import adjusting, demand
from shelfwise.services.demand import Demand
from shelfwise.services.fitting import fitted

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A forecast of series of the store, the demand it was made from, and the fitted model that made it."""

    forecast: Forecast
    demand: Demand
    predictor: Predictor

    def totals(self) -> pl.DataFrame:
        """Return one row per series with demand over the whole horizon: mean, median and the 80 % range, units."""
        paths = self.forecast.total()  # [N, S] units
        low, median, high = np.quantile(paths, [0.1, 0.5, 0.9], axis=1)
        return self.forecast.series.select("unique_id", "product", "warehouse", "name").with_columns(
            days=pl.lit(self.forecast.horizon),
            mean=pl.Series(self.forecast.mean().sum(axis=1)),
            low=pl.Series(low),
            median=pl.Series(median),
            high=pl.Series(high),
        )

    def made_of(self) -> Contributions:
        """Return what each forecast is made of: units by day and cause, which add up to its mean."""
        made = explain(self.predictor, self.demand.panel, self.forecast.horizon)
        return with_residual(made, self.forecast.mean())

    def causes(self, made_of: Contributions, *, daily: bool = False) -> pl.DataFrame:
        """Return what `made_of` told with the series' names, by day or summed over the whole horizon.

        One row for each series (and day) and part, with ``kind``, ``part`` and ``units`` that add up to the mean.
        """
        keys = ["unique_id", "ds"] if daily else ["unique_id"]
        by = made_of.to_frame().group_by(*keys, "kind", "part", maintain_order=True).agg(pl.col("units").sum())
        names = self.forecast.series.select("unique_id", "product", "warehouse", "name")
        return by.join(names, on="unique_id", how="left").select(*names.columns, pl.exclude(names.columns))


def forecast(
    app: App,
    *,
    horizon: int | None = None,
    products: Sequence[str] | None = None,
    model: str | None = None,
    n_paths: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Forecast live series of the store, with the overrides that hold; the forecast's notes name them.

    The model is fitted on all series, so that a product borrows from its category, and asked about the wanted ones.

    Parameters
    ----------
    horizon
        Days H; None takes the setting.
    products
        Product codes or names; None for every live one.
    model, n_paths, seed
        None takes the setting.

    Raises
    ------
    DataError
        The store has no sales, no live product, or no sales of the products asked for.
    NotFound
        A product is not in the store.
    """
    settings = app.settings
    days = settings.horizon if horizon is None else horizon
    tell = progress or _silent
    tell("reading the demand", 0, 3)
    known = demand.load(app, days_ahead=max(days, demand.DAYS_AHEAD))
    wanted = known.live(settings.live_days) if products is None else known.only(products)
    tell("learning levels and seasons", 1, 3)
    predictor = fitted(app, known.panel, settings.model if model is None else model)
    tell(f"forecasting {len(wanted.panel):,} series", 2, 3)
    made = predictor.predict(
        wanted.panel,
        days,
        n_paths=settings.n_paths if n_paths is None else n_paths,
        seed=settings.seed if seed is None else seed,
    )
    against = adjusting.standing(app, known.planning_day, adjusting.FORECAST)
    return Prediction(adjusting.adjust(made, wanted.panel, against).forecast, wanted, predictor)


def lifts(app: App, *, horizon: int | None = None, model: str | None = None) -> pl.DataFrame:
    """Return LIFTS of the store's promotions and holidays: by which factor they move demand, past and forecast.

    Parameters
    ----------
    horizon
        Days H over which forecasts with and without are compared; None takes the setting.
    model
        None takes the setting.
    """
    settings = app.settings
    days = settings.horizon if horizon is None else horizon
    known = demand.load(app, days_ahead=max(days, demand.DAYS_AHEAD))
    predictor = fitted(app, known.panel, settings.model if model is None else model)
    return measure_lifts(predictor, known.live(settings.live_days).panel, days)


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
