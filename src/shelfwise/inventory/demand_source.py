"""Demand as an order decision takes it: a forecast, an array of paths, or a table of means and quantiles.

All three become a source of sample paths [n, S, H] for some items at a time, so that the paths of a million
product-warehouses are never in memory together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.long_tables import commonest_step
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.paths import Dependence
from shelfwise.domain.tables import moment_column, need_columns, number_column, to_polars
from shelfwise.inventory.cost_table import MOST_UNITS, ArrayDemand, Demand

Integers = NDArray[np.int64]

ASSUMED_VARIATION: Final = 0.5
"""Standard deviation over mean, beside the chance of counts, of demand that is given by its mean alone."""

ASSUMED_LEVEL: Final = 0.3
"""Share of that variance that lasts over the horizon: a level misjudged stays misjudged."""

_NORMAL_90: Final = 1.2815515655446004  # 90 % point of the standard normal


@dataclass(frozen=True, eq=False)
class ForecastDemand:
    """Paths drawn from a forecast when they are asked for."""

    forecast: Forecast

    @property
    def n_paths(self) -> int:
        """Paths S."""
        return self.forecast.n_paths

    @property
    def horizon(self) -> int:
        """Periods H."""
        return self.forecast.horizon

    def draw(self, rows: Integers) -> NDArray[Any]:
        """Return [n, S, H] units; the same for an item whatever it is drawn with."""
        if len(rows) == len(self.forecast):
            return self.forecast.paths if self.forecast.drawn is not None else self.forecast.select(rows).paths
        return self.forecast.select(rows).paths


@dataclass(frozen=True, eq=False)
class DemandSource:
    """Demand with what is known of its series.

    ``ids`` is None where an array came without; ``table`` are the forecast's attributes; ``freq`` None: not known.
    """

    demand: Demand
    ids: pl.Series | None
    table: pl.DataFrame | None
    freq: Frequency | None
    notes: tuple[str, ...] = ()


def demand_source(given: Any, *, n_paths: int = 200, seed: int = 0) -> DemandSource:
    """Return the source of the paths of a forecast, an array [N, S, H], or a table of means and quantiles.

    A source is returned as it is.

    Raises
    ------
    ParameterError
        An array is not [N, S, H].
    DataError
        Demand is negative or not a number, or a table lacks a period of a series.

    >>> source = demand_source({"unique_id": ["a", "a"], "period": [1, 2], "mean": [4.0, 5.0]})
    >>> source.demand.draw(np.array([0])).shape, source.notes[0][:44]
    ((1, 200, 2), 'demand was given by its mean: paths are draw')
    """
    if isinstance(given, DemandSource):
        return given
    if isinstance(given, Forecast):
        if given.drawn is not None:
            _refuse_bad_units(given.drawn)
        return DemandSource(ForecastDemand(given), given.ids, given.series, given.freq)
    if isinstance(given, np.ndarray):
        if given.ndim != 3 or given.shape[1] < 1 or given.shape[2] < 1 or given.dtype.kind not in "buif":
            raise ParameterError(
                f"demand as an array must be numbers [items, paths, periods], got {list(given.shape)} of "
                f"{given.dtype}; "
                "give a Forecast, paths, or a frame with unique_id, ds and mean"
            )
        _refuse_bad_units(given)
        return DemandSource(ArrayDemand(given), None, None, None)
    return _of_table(to_polars(given, "demand"), n_paths, seed)


def _refuse_bad_units(paths: NDArray[Any]) -> None:
    if paths.dtype.kind in "bu" or not paths.size:
        return
    low, high = paths.min(), paths.max()  # a NaN anywhere is what both come to
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= MOST_UNITS):
        raise DataError(
            f"paths of demand must be finite, zero or more units and at most {MOST_UNITS:g}, got {low} to {high}"
        )


def _of_table(frame: pl.DataFrame, n_paths: int, seed: int) -> DemandSource:
    """Return the source of a table ``unique_id, ds | period, mean[, q0.1, ..., q0.9]``."""
    need_columns(frame, ("unique_id", "mean"), "demand")
    time = "ds" if "ds" in frame.columns else "period"
    need_columns(frame, (time,), "demand")
    if not frame.height:
        raise DataError("demand has no rows; give one for each series and period")
    frame = frame.with_columns(pl.col("unique_id").cast(pl.String))
    frame = frame.with_columns(moment_column(frame, "demand") if time == "ds" else pl.col("period").cast(pl.Int64))
    frame = frame.sort("unique_id", time)
    ids = frame["unique_id"].unique(maintain_order=True)
    counts = frame.group_by("unique_id", maintain_order=True).len()["len"]
    if counts.n_unique() > 1 or frame.select("unique_id", time).is_duplicated().any():
        raise DataError("demand must have the same periods for every unique_id, one row each")
    horizon, freq = int(counts[0]), None
    if time == "ds" and horizon > 1:
        codes = np.repeat(np.arange(len(ids)), horizon)
        freq = commonest_step(codes, frame["ds"].to_numpy())
    mean = _grid(frame, "mean", horizon)
    low, high = ("q0.1" in frame.columns), ("q0.9" in frame.columns)
    if low and high:
        spread = (_grid(frame, "q0.9", horizon) - _grid(frame, "q0.1", horizon)) / (2 * _NORMAL_90)
        variance = np.maximum(spread**2, mean)
        how = "its mean and its 10th and 90th percentile"
    else:
        variance = mean + (ASSUMED_VARIATION * mean) ** 2
        how = "its mean"
    note = (
        f"demand was given by {how}: paths are drawn with "
        + (
            "that spread"
            if low and high
            else f"a standard deviation of {ASSUMED_VARIATION:g} x mean beside that of counts"
        )
        + f" and {ASSUMED_LEVEL:.0%} of the variance lasting over the horizon (assumed)"
    )
    table = pl.DataFrame({"unique_id": ids})
    forecast = Forecast(
        series=table,
        starts=np.zeros(len(ids), dtype=np.int64),
        freq=freq or Frequency.parse("1w"),
        provenance=Provenance("given", "1", seed=seed),
        n_paths=n_paths,
        marginals=Marginals(mean, variance),
        dependence=Dependence(level=ASSUMED_LEVEL),
    )
    return DemandSource(ForecastDemand(forecast), ids, table, freq, (note,))


def _grid(frame: pl.DataFrame, name: str, horizon: int) -> NDArray[np.float64]:
    values = np.asarray(number_column(frame, name), dtype=np.float64).reshape(-1, horizon)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise DataError(f"demand, column {name!r}: {values[bad][0]} must be zero or more units; correct the cell")
    return values
