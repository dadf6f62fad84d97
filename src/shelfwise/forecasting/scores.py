"""Scores of one forecast on one window: every metric, over the whole horizon and over each of its classes."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.errors import DataError
from shelfwise.domain.forecast import DEFAULT_LEVELS, Forecast
from shelfwise.forecasting import metrics
from shelfwise.forecasting.horizon_classes import ALL, HorizonClass, horizon_classes
from shelfwise.forecasting.windows import Window

Floats = npt.NDArray[np.floating[Any]]

METRICS: Final = ("wql", "wape", "mape", "bias", "mase", "rmsse", "pinball", "crps", "coverage", "total_coverage")
COUNTED: Final = ("mape_left_out", "seconds")

_UNREADABLE: Final = (  # what numpy, zip and JSON raise on bytes that were cut or changed
    ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RuntimeError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Part:
    """What one model scored at one cutoff.

    Parameters
    ----------
    model, cutoff
        Name of the model as it was asked for, and label of the last known period.
    rows
        One for the whole horizon and one for each horizon class: ``horizon_class``, ``first_period``, ``last_period``,
        ``series`` and ``cells`` scored, the `METRICS`, ``mape_left_out`` and ``seconds``; NaN where a metric has
        nothing to say.
    ids
        [N] series that were scored.
    losses, units
        [N, C] weighted quantile loss in units, not yet divided, and units sold, by series and horizon class.
    """

    model: str
    cutoff: str
    rows: tuple[dict[str, Any], ...]
    ids: tuple[str, ...]
    losses: Floats
    units: Floats

    def named(self, model: str) -> Part:
        """Return the same scores under another name the model goes by, such as ``auto``."""
        return replace(self, model=model)

    def to_bytes(self) -> bytes:
        """Return the part as bytes: arrays and JSON, no code."""
        header = {"model": self.model, "cutoff": self.cutoff, "rows": self.rows, "ids": self.ids}
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, header=text, losses=self.losses, units=self.units, allow_pickle=False)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Part:
        """Read what `to_bytes` wrote.

        Raises
        ------
        DataError
            The bytes are no part of a backtest of this version.
        """
        try:
            with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
                header = json.loads(stored["header"].tobytes())
                losses, units = stored["losses"], stored["units"]
            rows, ids = tuple(header["rows"]), tuple(header["ids"])
            wanted = {"horizon_class", "first_period", "last_period", "series", "cells", *METRICS, *COUNTED}
            if len(ids) != len(losses) or losses.shape != units.shape or any(wanted - set(row) for row in rows):
                raise ValueError("rows and arrays do not fit")
            return cls(header["model"], header["cutoff"], rows, ids, losses, units)
        except _UNREADABLE as error:
            raise DataError(f"stored scores cannot be read: {error}; run the backtest again with --fresh") from error


def score(window: Window, forecast: Forecast, season: int) -> dict[str, float]:
    """Return every metric of one forecast on one window; ``season`` in periods scales MASE and RMSSE."""
    row = _Cells.of(window, forecast, season).row(HorizonClass(ALL, 1, forecast.horizon))
    return {name: row[name] for name in METRICS}


@dataclass(frozen=True, eq=False)
class _Cells:
    """What is worked out once for all cells [N, H] of a window, whichever classes they are then counted in."""

    actual: Floats
    scored: npt.NDArray[np.bool_]
    mean: Floats
    median: Floats
    losses: Floats  # [N, H] units
    crps: Floats  # [N, H] units
    below: Floats  # [N, H] share of paths
    up_to: Floats  # [N, H] share of paths
    paths: npt.NDArray[np.float32]  # [N, S, H] units
    absolute: Floats  # [N] scales of the series
    squared: Floats  # [N]

    @classmethod
    def of(cls, window: Window, forecast: Forecast, season: int) -> _Cells:
        actual, scored = np.where(window.scored, window.actual, 0.0), window.scored
        levels = np.asarray(DEFAULT_LEVELS)
        quantiles, paths = forecast.quantiles(levels), forecast.paths
        longest = int(window.past.lengths.max())
        known = np.where(window.past.available_window(longest), window.past.window(longest), np.nan)
        absolute, squared = metrics.naive_scales(known, season)
        return cls(
            actual,
            scored,
            forecast.mean(),
            quantiles[:, :, len(levels) // 2],
            metrics.quantile_losses(actual, quantiles, levels, scored),
            metrics.crps_cells(actual, paths, scored),
            *metrics.probabilities(actual, paths),
            paths,
            absolute,
            squared,
        )

    def row(self, periods: HorizonClass) -> dict[str, Any]:
        """Return the scores over the periods of one class."""
        at = periods.columns
        actual, mean, median = (each[:, at] for each in (self.actual, self.mean, self.median))
        scored = self.scored[:, at]
        cells = int(scored.sum())
        losses, units = float(self.losses[:, at].sum()), float(np.abs(actual[scored]).sum())
        totals = actual.sum(axis=1, keepdims=True)  # [N, 1] units over the scored part of the class
        drawn = np.einsum("nsh,nh->ns", self.paths[:, :, at], scored.astype(np.float32))[:, :, None]  # [N, S, 1]
        told: npt.NDArray[np.bool_] = np.any(scored, axis=1, keepdims=True)  # [N, 1]
        nan = float("nan")
        mape, left_out = metrics.mape(actual, mean, scored)
        return {
            "horizon_class": periods.name,
            "first_period": periods.first,
            "last_period": periods.last,
            "series": int(told.sum()),
            "cells": cells,
            "wql": losses / units if units > 0 else nan,
            "wape": metrics.wape(actual, mean, scored),
            "mape": mape,
            "bias": metrics.bias(actual, mean, scored),
            "mase": metrics.mase(actual, median, scored, self.absolute),
            "rmsse": metrics.rmsse(actual, mean, scored, self.squared),
            "pinball": losses / 2 / cells if cells else nan,
            "crps": float(self.crps[:, at][scored].mean()) if cells else nan,
            "coverage": metrics.pit_share(self.below[:, at][scored], self.up_to[:, at][scored], 0.1, 0.9),
            "total_coverage": metrics.coverage(totals, drawn, told),
            "mape_left_out": left_out,
        }


def part_of(name: str, window: Window, forecast: Forecast, season: int, seconds: float) -> Part:
    """Return what a model of that name scored on a window, with the ``seconds`` its forecast took."""
    cells = _Cells.of(window, forecast, season)
    classes = horizon_classes(forecast.horizon)
    rows = [{**cells.row(each), "seconds": seconds} for each in (HorizonClass(ALL, 1, forecast.horizon), *classes)]
    told = window.scored.any(axis=1)
    losses = np.stack([cells.losses[:, each.columns].sum(axis=1) for each in classes], axis=1)  # [N, C]
    sold = np.abs(cells.actual)  # 0 where not scored
    units = np.stack([sold[:, each.columns].sum(axis=1) for each in classes], axis=1)  # [N, C]
    ids = tuple(window.past.ids.filter(pl.Series(told)).to_list())
    return Part(name, window.cutoff, tuple(rows), ids, losses[told], units[told])
