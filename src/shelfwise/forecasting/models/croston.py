"""Intermittent demand through statsforecast, one series at a time: Croston-SBA, TSB and IMAPA.

These models expect one rate for all coming periods and give no distribution. Theirs is the count noise of the series
around what the model expected of each past period, one step ahead, shrunk to its category's; see `local_models`.
Periods that were not seen are left out of the history, so that a stockout is no pause in demand.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.extras import extra_needed
from shelfwise.forecasting.local_models import LocalModel, Outlook

Floats = npt.NDArray[np.floating[Any]]

VERSION: Final = "1"
SMOOTHING: Final = 0.1  # of sizes and intervals, in the library's Croston


def croston_sba() -> LocalModel:
    """Return Croston's method in the variant of Syntetos and Boylan: 0.95 x size over interval, smoothed by 0.1.

    Source: Syntetos and Boylan, 2005, International Journal of Forecasting 21(2). One departure: the textbook learns
    nothing while nothing sells and would order a dead product for ever, so the time since the last sale counts as an
    interval once it is longer than the expected one.
    """
    return _model("croston_sba", ())


def tsb(size_weight: float = 0.1, chance_weight: float = 0.1) -> LocalModel:
    """Return TSB: the size of a sale times the chance of one, which falls while nothing sells.

    Parameters
    ----------
    size_weight, chance_weight
        Weight of the latest period in size and chance, above 0 and up to 1. Source: Teunter, Syntetos and Babai, 2011,
        European Journal of Operational Research 214(3).

    >>> tsb(chance_weight=0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: chance_weight must be above 0 and at most 1, got 0
    """
    for name, weight in (("size_weight", size_weight), ("chance_weight", chance_weight)):
        if not 0 < weight <= 1:
            raise ParameterError(f"{name} must be above 0 and at most 1, got {weight:g}")
    return _model("tsb", (size_weight, chance_weight))


def imapa() -> LocalModel:
    """Return IMAPA: the mean of smoothed rates over all levels of aggregation up to the mean interval between sales.

    Source: Petropoulos and Kourentzes, 2015, Journal of the Operational Research Society 66(6). It reads the latest
    300 periods, because what it expected of past periods takes time that grows with the square of the history.
    """
    return _model("imapa", (), longest=300)


def _model(name: str, weights: tuple[float, ...], longest: int | None = None) -> LocalModel:
    return LocalModel(
        name,
        VERSION,
        partial(_fit_one, name, weights),
        partial(_library, name),
        longest=longest,
        longest_season=1,
        least=4,
        gaps="drop",
    )


def _library(name: str) -> Any:
    """Return statsforecast's models."""
    with extra_needed(name, "classic"):
        from statsforecast import models
    return models


def _fit_one(name: str, weights: tuple[float, ...], history: Floats, season: int, horizon: int) -> Outlook:
    """Return the rate [H] of one history [T], and what was expected of each of its periods."""
    library = _library(name)
    made: Any = {"croston_sba": library.CrostonSBA, "tsb": library.TSB, "imapa": library.IMAPA}[name](*weights)
    found = made.forecast(y=history, h=horizon, fitted=True)
    mean = np.asarray(found["mean"], dtype=np.float64)
    if name == "croston_sba":
        mean = mean * waiting_factor(history)
    return Outlook(mean, fitted=np.asarray(found["fitted"], dtype=np.float64))


def waiting_factor(history: Floats) -> float:
    """Return the factor, at most 1, on Croston's rate for the periods since the last sale of ``history`` [T].

    p / (p + a (w - p)) for w periods waited, once w is above the expected interval p, smoothed by a = `SMOOTHING`.

    >>> waiting_factor(np.array([1.0, 1.0, 1.0])), waiting_factor(np.array([1.0, 1.0] + 11 * [0.0]))
    (1.0, 0.5)
    """
    sold = np.flatnonzero(history) + 1
    if not len(sold):
        return 1.0
    intervals = np.diff(sold, prepend=0).tolist()
    interval = float(intervals[0])
    for latest in intervals[1:]:
        interval += SMOOTHING * (latest - interval)
    waited = len(history) - int(sold[-1])
    return interval / (interval + SMOOTHING * max(0.0, waited - interval))
