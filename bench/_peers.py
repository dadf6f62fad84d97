"""Other libraries as their users run them, behind one small protocol, for the accuracy benchmark.

Every peer sees a panel cut off where the window begins and answers with a mean and the quantiles 0.1 .. 0.9. None has
joint paths here, so none says what a total of several periods may be.

Quantiles: the libraries give central intervals. Those of 20, 40, 60 and 80 % end at exactly the levels 0.1 .. 0.4 and
0.6 .. 0.9, the point forecast stands for 0.5; nothing is interpolated. Values below zero are set to zero and crossing
quantiles are sorted, both of which can only help the peer.

Gaps: periods without a record (closed days) are zero, as in the raw data of a shop. A series that a library refuses,
mostly because it is too short for its intervals, takes statsforecast's HistoricAverage with its own intervals, and with
fewer than two periods its last value; how many they are is in the results.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from shelfwise.domain.panel import Panel

Floats = npt.NDArray[np.floating[Any]]

INTERVALS = [20, 40, 60, 80]  # percent; their ends are the quantiles 0.1 .. 0.9 without the median
PANDAS_UNITS = {"d": "D", "w": "W-MON", "h": "h", "mo": "MS", "min": "min"}


@dataclass(frozen=True, eq=False)
class Answer:
    """What a peer said.

    Parameters
    ----------
    mean
        [N, H] point forecast in units.
    quantiles
        [N, H, 9] at 0.1 .. 0.9.
    refused
        Series that took the fallback.
    """

    mean: Floats
    quantiles: Floats
    refused: int = 0


def probabilities_of(actual: Floats, quantiles: Floats) -> tuple[Floats, Floats]:
    """Return the probability below, and at most, the actual values [N, H], by quantiles [N, H, 9] at 0.1 .. 0.9.

    Between two quantiles the probability rises in a straight line; where quantiles are equal it jumps. Below the
    lowest it is 0 and above the highest 1, which is all a 10-90 band needs; the jump at zero begins at 0, because
    nothing sells less.

    >>> below, up_to = probabilities_of(np.array([[0.0, 1.0]]), np.array([[[0.0] * 5 + [0.5, 1.5, 2, 3]] * 2]))
    >>> below.round(3).tolist(), up_to.round(3).tolist()
    ([[0.0, 0.65]], [[0.5, 0.65]])
    """
    y = actual[:, :, None]
    low, high = quantiles[:, :, :-1], quantiles[:, :, 1:]
    width = high - low
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(width > 0, np.clip((y - low) / width, 0.0, 1.0), 0.0)
    first, last = quantiles[:, :, 0], quantiles[:, :, -1]
    below = 0.1 + 0.1 * np.where(width > 0, part, (y > low).astype(float)).sum(axis=2)
    up_to = 0.1 + 0.1 * np.where(width > 0, part, (y >= low).astype(float)).sum(axis=2)
    below = np.where((actual < first) | ((actual == first) & (actual <= 0)), 0.0, np.where(actual > last, 1.0, below))
    return below, np.where(actual < first, 0.0, np.where(actual > last, 1.0, up_to))


class Peer(Protocol):
    """A model of another library."""

    @property
    def name(self) -> str:
        """Name in the tables."""
        ...

    @property
    def most(self) -> int | None:
        """Series it is asked for at most, the fixed sample; None for all."""
        ...

    def fit_predict(self, past: Panel, horizon: int) -> Answer:
        """Return the answer for the ``horizon`` periods after the last of ``past``."""
        ...


def long_frame(past: Panel) -> Any:
    """Return the panel as the pandas frame both libraries read: ``unique_id`` (the position), ``ds``, ``y``."""
    import pandas as pd

    rows = np.repeat(np.arange(past.n_series), past.lengths)
    steps = np.arange(len(rows)) - np.repeat(past.offsets[:-1], past.lengths) + np.repeat(past.starts, past.lengths)
    y = np.nan_to_num(past.values.astype(np.float64))
    moments = past.freq.moments(steps).astype("datetime64[ns]")
    frame = pd.DataFrame({"unique_id": rows, "ds": moments, "y": y})
    for name, covariate in past.known_future.items():
        length = int(past.lengths.max())
        wide = covariate.at(past.ends - length, length)  # [N, length]
        kept = np.arange(length) >= (length - past.lengths)[:, None]
        frame[name] = wide[kept]
    return frame


def frequency_of(past: Panel) -> str:
    """Return the frequency's name in pandas."""
    unit = PANDAS_UNITS[past.freq.unit]
    if unit == "W-MON":  # the weekday that the panel's weeks begin on
        first = past.freq.moments([int(past.starts[0])])[0].astype("datetime64[D]")
        unit = "W-" + ("THU", "FRI", "SAT", "SUN", "MON", "TUE", "WED")[int(first.astype(np.int64)) % 7]
    return unit if past.freq.count == 1 else f"{past.freq.count}{unit}"


def answer_of(frame: Any, column: str, n: int, horizon: int) -> Answer:
    """Return a library's frame of forecasts as an answer; series it left out are NaN."""
    mean, quantiles = np.full((n, horizon), np.nan), np.full((n, horizon, 9), np.nan)
    rows = frame["unique_id"].to_numpy().reshape(-1, horizon)[:, 0]
    mean[rows] = frame[column].to_numpy().reshape(-1, horizon)
    for place, level in enumerate(reversed(INTERVALS)):
        quantiles[rows, :, place] = frame[f"{column}-lo-{level}"].to_numpy().reshape(-1, horizon)
        quantiles[rows, :, 8 - place] = frame[f"{column}-hi-{level}"].to_numpy().reshape(-1, horizon)
    quantiles[:, :, 4] = mean
    return Answer(mean, quantiles)


def completed(answer: Answer, past: Panel, horizon: int) -> Answer:
    """Return the answer without gaps, negative values and crossing quantiles."""
    mean, quantiles = answer.mean.copy(), answer.quantiles.copy()
    lost = ~(np.isfinite(mean).all(axis=1) & np.isfinite(quantiles).all(axis=(1, 2)))
    if lost.any():
        chosen = np.flatnonzero(lost)
        simple = _historic_average(past.select(chosen), horizon)
        mean[chosen], quantiles[chosen] = simple.mean, simple.quantiles
    return Answer(np.maximum(mean, 0.0), np.sort(np.maximum(quantiles, 0.0), axis=2), int(lost.sum()))


def _historic_average(past: Panel, horizon: int) -> Answer:
    from statsforecast.models import HistoricAverage

    n = past.n_series
    mean, quantiles = np.empty((n, horizon)), np.empty((n, horizon, 9))
    for row in range(n):
        history = np.nan_to_num(past.values[past.offsets[row] : past.offsets[row + 1]].astype(np.float64))
        mean[row], quantiles[row] = history[-1], history[-1]
        if len(history) > 1:
            told = HistoricAverage().forecast(y=history, h=horizon, level=INTERVALS)
            mean[row], quantiles[row, :, 4] = told["mean"], told["mean"]
            for place, level in enumerate(reversed(INTERVALS)):
                quantiles[row, :, place] = told[f"lo-{level}"]
                quantiles[row, :, 8 - place] = told[f"hi-{level}"]
    return Answer(mean, quantiles)


@dataclass(frozen=True)
class StatsForecastPeer:
    """One model of statsforecast, series by series.

    Parameters
    ----------
    name
        Name in the tables.
    make
        Makes the model from the season, in periods, and its conformal intervals (None where it has its own).
    conformal
        True for models without intervals of their own.
    most
        Series it is asked for at most; None for all.
    longest_season
        A longer season than this is given as none.
    """

    name: str
    make: Callable[[int, Any], Any]
    conformal: bool = False
    most: int | None = None
    longest_season: int = 366

    def fit_predict(self, past: Panel, horizon: int) -> Answer:
        """Forecast every series with the library's data frame interface."""
        from statsforecast import StatsForecast
        from statsforecast.models import HistoricAverage
        from statsforecast.utils import ConformalIntervals

        season = past.freq.season if past.freq.season <= self.longest_season else 1
        intervals = ConformalIntervals(n_windows=conformal_windows(past, horizon), h=horizon)
        model = self.make(season, intervals if self.conformal else None)
        model.alias = "peer"
        engine = StatsForecast(
            models=[model], freq=frequency_of(past), n_jobs=1, fallback_model=HistoricAverage(alias="peer")
        )
        usable = past.lengths >= 2
        frame = long_frame(past.select(usable))[["unique_id", "ds", "y"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = engine.forecast(df=frame, h=horizon, level=INTERVALS)
        told["unique_id"] = np.flatnonzero(usable)[told["unique_id"].to_numpy()]
        return completed(answer_of(told, "peer", past.n_series, horizon), past, horizon)


def conformal_windows(past: Panel, horizon: int) -> int:
    """Return how many windows conformal intervals are made from: 2 to 4, in half of the longest history."""
    return int(np.clip(past.lengths.max() // 2 // horizon, 2, 4))


@dataclass(frozen=True)
class MlforecastPeer:
    """mlforecast with LightGBM: lags, rolling means, calendar, known-ahead covariates, conformal intervals.

    Counts: Tweedie loss on units. Measured quantities: each series less its last value or season (`Differences`) and
    standardised, squared loss, as the library's own guides do for the M4 data; with covariates standardised only.
    """

    name: str = "mlforecast LightGBM"
    most: int | None = None
    rounds: int = 300

    def fit_predict(self, past: Panel, horizon: int) -> Answer:
        """Fit one model on the series that are long enough for conformal intervals; the rest take the fallback."""
        from mlforecast.utils import PredictionIntervals

        most = conformal_windows(past, horizon)
        n_windows = next((n for n in range(most, 2, -1) if (past.lengths > n * horizon + 1).mean() > 0.98), 2)
        usable = past.lengths > n_windows * horizon + 1
        some = past.select(usable)
        frame = long_frame(some)
        engine = self._engine(some)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            engine.fit(
                frame, static_features=[], prediction_intervals=PredictionIntervals(n_windows=n_windows, h=horizon)
            )
            told = engine.predict(horizon, level=INTERVALS, X_df=self._ahead(some, horizon))
        told["unique_id"] = np.flatnonzero(usable)[told["unique_id"].to_numpy()]
        return completed(answer_of(told, "peer", past.n_series, horizon), past, horizon)

    def _engine(self, past: Panel) -> Any:
        from lightgbm import LGBMRegressor
        from mlforecast import MLForecast
        from mlforecast.lag_transforms import RollingMean
        from mlforecast.target_transforms import Differences, LocalStandardScaler

        lags, rolling, calendar = _features(past)
        counted = past.is_count and not past.known_future
        transforms = [] if counted else [LocalStandardScaler()]
        if not counted and not past.known_future:
            transforms = [Differences([24 if past.freq.unit == "h" else 1]), *transforms]
        return MLForecast(
            models={
                "peer": LGBMRegressor(
                    objective="tweedie" if counted else "regression",
                    n_estimators=self.rounds,
                    learning_rate=0.05,
                    num_leaves=31,
                    min_child_samples=50,
                    subsample=0.8,
                    subsample_freq=1,
                    colsample_bytree=0.8,
                    random_state=0,
                    deterministic=True,
                    force_row_wise=True,
                    n_jobs=1,
                    verbosity=-1,
                )
            },
            freq=frequency_of(past),
            lags=list(lags),
            lag_transforms={1: [RollingMean(width) for width in rolling]},
            date_features=list(calendar),
            target_transforms=transforms,
            num_threads=1,
        )

    def _ahead(self, past: Panel, horizon: int) -> Any:
        import pandas as pd

        if not past.known_future:
            return None
        steps = past.ends[:, None] + np.arange(horizon)
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(past.n_series), horizon),
                "ds": past.freq.moments(steps.reshape(-1)).astype("datetime64[ns]"),
            }
        )
        for name, covariate in past.known_future.items():
            frame[name] = covariate.at(past.ends, horizon).reshape(-1)
        return frame


def _features(past: Panel) -> tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]:
    """Return lags, widths of rolling means and calendar features for the panel's frequency."""
    if past.freq.unit == "h":
        return (1, 2, 24, 48, 168), (24, 168), ("hour", "dayofweek")
    if past.freq.unit == "d":
        return (1, 7, 14, 28), (7, 28), ("dayofweek", "day", "month")
    if past.freq.unit == "w":
        year = (52,) if past.lengths.max() >= 3 * 52 else ()
        return (1, 2, 4, *year), (4, 8), ("week", "month")
    return (1, 2, 3, 6), (3, 6), ("month",)


def warm_up() -> None:
    """Import the libraries, so that the first peer's time is its own; say what to install where they are missing."""
    try:
        for name in ("lightgbm", "mlforecast.lag_transforms", "mlforecast.target_transforms", "statsforecast.models"):
            import_module(name)
    except ImportError as error:
        sys.exit(f"peers need the extra `bench` ({error}); see docs/benchmarks.md")


def _library() -> Any:
    from statsforecast import models

    return models


PEERS: tuple[Peer, ...] = (
    StatsForecastPeer("SeasonalNaive", lambda season, _: _library().SeasonalNaive(season_length=season)),
    StatsForecastPeer("Theta", lambda season, _: _library().DynamicOptimizedTheta(season_length=season)),
    StatsForecastPeer("IMAPA", lambda _, intervals: _library().IMAPA(prediction_intervals=intervals), conformal=True),
    StatsForecastPeer(
        "CrostonSBA", lambda _, intervals: _library().CrostonSBA(prediction_intervals=intervals), conformal=True
    ),
    MlforecastPeer(),
    StatsForecastPeer(
        "AutoETS", lambda season, _: _library().AutoETS(season_length=season), most=300, longest_season=24
    ),
    StatsForecastPeer(
        "AutoARIMA", lambda season, _: _library().AutoARIMA(season_length=season), most=40, longest_season=24
    ),
)
