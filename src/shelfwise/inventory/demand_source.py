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
from shelfwise.inventory.order_inputs import MOST_UNITS, ArrayDemand, Demand

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
    low, high = float(paths.min()), float(paths.max())  # a NaN anywhere is what both come to
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
    if frame["unique_id"].null_count():
        row = int(frame["unique_id"].is_null().arg_true()[0])
        raise DataError(f"demand has no unique_id in row {row:,}; every row needs one")
    frame = frame.with_columns(pl.col("unique_id").cast(pl.String))
    frame = frame.with_columns(moment_column(frame, "demand") if time == "ds" else _whole_periods(frame))
    frame = frame.sort("unique_id", time)
    ids = frame["unique_id"].unique(maintain_order=True)
    _refuse_other_periods(frame, time)
    horizon, freq = frame.height // len(ids), None
    if time == "ds" and horizon > 1:
        codes = np.repeat(np.arange(len(ids)), horizon)
        freq = commonest_step(codes, frame["ds"].to_numpy())
    mean = _grid(frame, "mean", horizon)
    low, high = ("q0.1" in frame.columns), ("q0.9" in frame.columns)
    if low and high:
        spread = _between(frame, ids, horizon) / (2 * _NORMAL_90)
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


def _between(frame: pl.DataFrame, ids: pl.Series, horizon: int) -> NDArray[np.float64]:
    """Return the 90th less the 10th percentile [N, H] of a sorted table, or say where they cross."""
    lower, upper = _grid(frame, "q0.1", horizon), _grid(frame, "q0.9", horizon)
    rows, periods = np.nonzero(lower > upper)
    if len(rows):
        at = rows[0], periods[0]
        raise DataError(
            f"demand of {ids[int(rows[0])]!r} in its period {periods[0] + 1} has q0.1 {lower[at]:g} above q0.9 "
            f"{upper[at]:g}; a 10th percentile is at most the 90th: are the columns swapped?"
        )
    return upper - lower


def _whole_periods(frame: pl.DataFrame) -> pl.Series:
    """Return the column ``period`` as whole numbers."""
    given = number_column(frame, "period")
    bad = ~(given == np.rint(given))  # a missing one is no whole number either
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"demand has period {given[row]:g} in row {row:,}; give whole numbers, 1 for the period from now"
        )
    return pl.Series("period", given.astype(np.int64))


def _refuse_other_periods(frame: pl.DataFrame, time: str) -> None:
    """Raise where the series of a sorted table are not about the same periods, or do not count them from 1."""
    first = frame["unique_id"][0]
    times = frame.filter(pl.col("unique_id") == first)[time].to_numpy()
    n = frame["unique_id"].n_unique()
    if frame.height != n * len(times) or not np.array_equal(frame[time].to_numpy(), np.tile(times, n)):
        raise DataError("demand must have the same periods for every unique_id, one row each")
    if len(np.unique(times)) < len(times):
        raise DataError(f"demand has a period of unique_id {first!r} more than once; give one row for each")
    if time == "period" and not np.array_equal(times, np.arange(1, len(times) + 1)):
        wrong = int(np.flatnonzero(times != np.arange(1, len(times) + 1))[0])
        raise DataError(
            f"demand has period {times[wrong]} where {wrong + 1} is due; number the periods 1, 2, 3, ... from now"
        )


def _grid(frame: pl.DataFrame, name: str, horizon: int) -> NDArray[np.float64]:
    values = np.asarray(number_column(frame, name), dtype=np.float64).reshape(-1, horizon)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise DataError(f"demand, column {name!r}: {values[bad][0]} must be zero or more units; correct the cell")
    if values.max(initial=0.0) > MOST_UNITS:
        raise DataError(f"demand, column {name!r}: {values.max():g} is beyond {MOST_UNITS:g}; give it in larger units")
    return values
