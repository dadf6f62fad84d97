"""The statistical family of statsforecast, one series at a time: AutoETS, AutoTheta, AutoARIMA and CES.

Their means and the deviations that their own intervals state become marginals; a normal interval says no more. The
library's classes take one array, which is faster than its data frames for the few thousand series of a shop and makes
no answer depend on the company a series is in. statsforecast 2.1 computes in C++: nothing is compiled on first use,
but the import takes some seconds. It holds the interpreter's lock, so threads gain nothing. See `local_models` for
short, gappy, failing and exploding series.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.forecasting.extras import extra_needed
from shelfwise.forecasting.local_models import LocalModel, Outlook

Floats = npt.NDArray[np.floating[Any]]

VERSION: Final = "1"
BAND: Final = 80  # percent: the band that orders are read off, so its width gives the deviation
BAND_DEVIATIONS: Final = 2.563103  # deviations between the ends of that band of a normal distribution


def auto_ets(longest: int | None = 730) -> LocalModel:
    """Return AutoETS: error, trend and season additive, multiplicative or absent, by corrected AIC.

    Seasons above 24 periods (the year of weeks, the day of 5-minute periods) are left out, as the library does.
    """
    return _model("auto_ets", longest=longest)


def auto_theta(longest: int | None = 730) -> LocalModel:
    """Return AutoTheta: the best of the standard, optimised and dynamic theta models by mean squared error.

    The season is taken out by decomposition, of any length, where the autocorrelation shows one.
    """
    return _model("auto_theta", longest=longest, longest_season=1000)


def auto_arima(longest: int | None = 150) -> LocalModel:
    """Return AutoARIMA, stepwise by corrected AIC: orders up to 3 and seasonal 1, searched by sums of squares.

    These limits and histories of 150 periods make a fit take tenths of a second instead of up to ten. Trying fewer
    forms than the library does halves that again, but lost 3 % on daily sales. Seasons above 24 periods are left out.
    """
    return _model("auto_arima", longest=longest)


def auto_ces(longest: int | None = 730) -> LocalModel:
    """Return complex exponential smoothing, its season chosen by corrected AIC; up to 24 periods of it.

    Histories under 16 periods take their mean: on nine days of about 6 units the library expected 1.4.
    """
    return _model("auto_ces", longest=longest, least=16)


def _model(name: str, *, longest: int | None, longest_season: int = 24, least: int = 8) -> LocalModel:
    return LocalModel(
        name,
        VERSION,
        partial(_fit_one, name),
        partial(_library, name),
        longest=longest,
        longest_season=longest_season,
        least=least,
    )


def _library(name: str) -> Any:
    """Return statsforecast's models."""
    with extra_needed(name, "classic"):
        from statsforecast import models
    return models


def _fit_one(name: str, history: Floats, season: int, horizon: int) -> Outlook:
    """Return mean and variance [H] of one history [T]."""
    library = _library(name)
    made: Any
    if name == "auto_ets":
        made = library.AutoETS(season_length=season)
    elif name == "auto_theta":
        made = library.AutoTheta(season_length=season)
    elif name == "auto_ces":
        made = library.AutoCES(season_length=season)
    else:
        made = library.AutoARIMA(
            season_length=season,
            max_p=3,
            max_q=3,
            max_P=1,
            max_Q=1,
            start_p=1,
            start_q=1,
            start_P=0,
            start_Q=1,
            approximation=True,
        )
    found = made.forecast(y=history, h=horizon, level=[BAND])
    mean, low, high = (np.asarray(found[key], dtype=np.float64) for key in ("mean", f"lo-{BAND}", f"hi-{BAND}"))
    return Outlook(mean, ((high - low) / BAND_DEVIATIONS) ** 2)
