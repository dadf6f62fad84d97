"""The theta method for all series at once, in numpy: exponential smoothing with half the trend as drift.

Each series is smoothed by the weight that would have forecast its own past best, with its season divided out where that
pays. Where the level of a series wanders, little beats it; it knows no covariates but opening days.

Source: Assimakopoulos and Nikolopoulos, 2000, International Journal of Forecasting 16(4), in the form of Hyndman and
Billah, 2003, in the same, 19(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.contract import check_horizon
from shelfwise.forecasting.level_season import DEFAULT_LEVEL_SHARE

Floats = npt.NDArray[np.floating[Any]]

VERSION: Final = "1"
WEIGHTS: Final = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0])  # of the latest period, to choose from
WINDOW: Final = 400  # latest periods read, or three seasons where those are longer
BEGIN: Final = 10  # seen periods that the level begins with; errors count after them
LEAST: Final = 2 * BEGIN  # seen periods below which a history gets its mean: nine points of about 6 ran down to zero
UNKNOWN: Final = 0.25  # of the squared mean, over the periods seen: what so few leave unknown of the level
FLOOR: Final = 0.02  # a season never divides by less than this share of the level
CEILING: Final = 2.0  # neither mean nor deviation goes beyond so many times the largest value read
ROWS_AT_ONCE: Final = 2048


@dataclass(frozen=True)
class Theta:
    """The theta method's one parameter.

    Parameters
    ----------
    drift
        Share of the linear trend that the level goes on with, 0 to 1; one half is the theta method.

    >>> Theta(drift=2)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: drift must be from 0 to 1, got 2
    """

    name: str = field(default="theta", init=False)
    drift: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.drift <= 1:
            raise ParameterError(f"drift must be from 0 to 1, got {self.drift:g}")

    def fit(self, panel: Panel) -> ThetaPredictor:
        """Return the predictor; of the panel it keeps what a series without any history is expected to sell."""
        seen = panel.values[~np.isnan(panel.values)]
        if panel.available is not None:
            seen = panel.values[panel.available & ~np.isnan(panel.values)]
        known = np.maximum(seen, 0.0).astype(np.float64)
        level, spread = (float(known.mean()), float(known.var())) if known.size else (0.0, 0.0)
        return ThetaPredictor(panel.freq, panel.is_count, self.drift, level, spread)

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> ThetaPredictor:
        """Return the predictor that `ThetaPredictor.to_arrays` described."""
        try:
            count, unit, anchor = arrays["freq"].tolist()
            is_count, drift, level, spread = arrays["scalars"].tolist()
        except (KeyError, ValueError) as error:
            raise ModelError(f"stored theta model cannot be read: {error}; fit it again") from error
        return ThetaPredictor(Frequency(int(count), unit, int(anchor)), bool(is_count), drift, level, spread)


@dataclass(frozen=True)
class ThetaPredictor:
    """The theta method, with what a series without history gets."""

    freq: Frequency
    is_count: bool
    drift: float
    level: float  # units per period
    spread: float  # units squared
    name: str = field(default="theta", init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`.

        mean = (l + d b h) f with l the smoothed level, b the slope of the line through the deseasonalised past, d the
        share of it, f the season, and h at most the periods that the line was seen over; variance =
        s2 (1 + (h - 1) a2) f2 with s2 the mean squared error one period ahead and a the weight of the latest period.
        Source: Hyndman, Koehler, Ord and Snyder, 2008, Forecasting with Exponential Smoothing, table 6.1.
        """
        check_horizon(horizon)
        if panel.freq != self.freq:
            raise ModelError(f"fitted on periods of {self.freq}, asked for {panel.freq}; fit on such a panel")
        mean, variance = np.zeros((panel.n_series, horizon)), np.zeros((panel.n_series, horizon))
        for low in range(0, panel.n_series, ROWS_AT_ONCE):
            rows = np.arange(low, min(low + ROWS_AT_ONCE, panel.n_series))
            mean[rows], variance[rows] = self._block(panel.select(rows), horizon)
        unused = sorted({*panel.known_future, *panel.past_only} - {"open"})
        notes = (f"covariates not used by this model: {', '.join(unused)}",) if unused else ()
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed, notes),
            n_paths=n_paths,
            marginals=Marginals(mean, variance, self.is_count),
            dependence=Dependence(0.0, DEFAULT_LEVEL_SHARE),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the frequency and the numbers."""
        return {
            "freq": np.array([self.freq.count, self.freq.unit, self.freq.anchor], dtype=np.str_),
            "scalars": np.array([self.is_count, self.drift, self.level, self.spread]),
        }

    def _block(self, panel: Panel, horizon: int) -> tuple[Floats, Floats]:
        """Return mean and variance [n, H] of a block of series."""
        season = panel.freq.season
        length = -(-max(WINDOW, 3 * season) // season) * season  # whole seasons, the same for every series
        seen = panel.available_window(length)
        if "open" in panel.known_future:
            seen = seen & ~(panel.known_future["open"].at(panel.ends - length, length) <= 0)
        values = np.where(seen, np.maximum(np.nan_to_num(panel.window(length)), 0.0), 0.0).astype(np.float64)
        known = seen.sum(axis=1)
        total = values.sum(axis=1) / np.maximum(known, 1)
        spread = np.where(seen, (values - total[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(known, 1)
        factors = _seasonal(values, seen, total, season)  # [n, season]
        choices = _smoothed(values, seen, (np.ones_like(factors), factors), (0, season))
        paid = (choices[1].cost < choices[0].cost) & (season > 1)
        level, slope, weight, error = (
            np.where(paid, getattr(choices[1], name), getattr(choices[0], name))
            for name in ("level", "slope", "weight", "error")
        )
        ahead = np.arange(1, horizon + 1)
        shape = np.where(paid[:, None], factors, 1.0)[:, (ahead - 1) % season]  # [n, H]
        reach = np.minimum(ahead, known[:, None])  # no further than the line was seen
        mean = (level[:, None] + self.drift * slope[:, None] * reach) * shape
        variance = error[:, None] * (1.0 + (ahead - 1) * weight[:, None] ** 2) * shape**2
        short = known < LEAST
        mean = np.where(short[:, None], np.where(known > 0, total, self.level)[:, None], mean)
        unsure = np.where(known > 1, spread, np.maximum(spread, self.spread))
        unsure = unsure + UNKNOWN * total**2 / np.maximum(known, 1)
        variance = np.where(short[:, None], np.where(known > 0, unsure, self.spread + self.level**2)[:, None], variance)
        highest = CEILING * np.where(known > 0, values.max(axis=1), np.inf)[:, None]
        mean = np.clip(mean, 0.0, highest)
        variance = np.minimum(np.where(mean > 0, variance, 0.0), highest**2)
        if "open" in panel.known_future:
            opened = panel.known_future["open"].at(panel.ends, horizon)
            share = np.clip(np.where(np.isnan(opened), 1.0, opened), 0.0, 1.0)
            mean, variance = mean * share, variance * share
        return mean, variance


def _seasonal(values: Floats, seen: npt.NDArray[np.bool_], mean: Floats, season: int) -> Floats:
    """Return factors [n, season] of mean about 1, the next period's place first; 1 where under two seasons were seen.

    The means of the places are drawn to the mean of all by the share of their spread that chance explains: w / (w + b),
    w the variance of such a mean within a place and b that between places. Source: Efron and Morris, 1975, JASA 70.
    """
    n, length = values.shape
    folded, here = values.reshape(n, -1, season), seen.reshape(n, -1, season)
    counts = here.sum(axis=1)
    safe = np.maximum(mean, 1e-300)[:, None]
    places = np.where(counts > 0, folded.sum(axis=1) / np.maximum(counts, 1), safe)  # [n, season] units
    off = np.where(here, folded - places[:, None, :], 0.0)
    number = counts.sum(axis=1)
    within = (off * off).sum(axis=1).sum(axis=1) / np.maximum(number - season, 1) * season / np.maximum(number, 1)
    between = np.maximum(((places - places.mean(axis=1, keepdims=True)) ** 2).mean(axis=1) - within, 0.0)
    share = between / np.maximum(between + within, 1e-300)
    shape = np.maximum(1.0 + share[:, None] * (places / safe - 1.0), FLOOR)
    shape /= shape.mean(axis=1, keepdims=True)
    factors: Floats = np.where((number >= 2 * season)[:, None], shape, 1.0)
    return factors


@dataclass(frozen=True, eq=False)
class _Smoothed:
    """What is left of a block after smoothing, each [n]."""

    level: Floats
    slope: Floats
    weight: Floats  # of the latest period
    error: Floats  # mean squared error one period ahead, of the deseasonalised
    cost: Floats  # Akaike's criterion in units of the history: the lower, the better the form


def _smoothed(
    values: Floats, seen: npt.NDArray[np.bool_], forms: Sequence[Floats], parameters: Sequence[int]
) -> list[_Smoothed]:
    """Return the exponential smoothing of values [n, T] over factors [n, season], by the best of `WEIGHTS` each.

    Parameters
    ----------
    forms
        Factors to try, one after the other; one walk through time serves them all.
    parameters
        How many each of them has.
    """
    n, length = values.shape
    season = forms[0].shape[1]
    number = np.cumsum(seen, axis=1)  # [n, T] seen periods so far
    tiled = np.stack([np.tile(factors, (1, length // season)) for factors in forms])  # [F, n, T]
    plain = values / tiled  # deseasonalised
    opening = np.where(seen & (number <= BEGIN), plain, 0.0).sum(axis=2) / np.clip(number[:, -1], 1, BEGIN)
    level = np.repeat(opening[:, :, None], len(WEIGHTS), axis=2)  # [F, n, A]
    squares = np.zeros(level.shape)
    weights = tiled**2 * (number > BEGIN)  # [F, n, T] errors in units of sales
    everywhere = np.asarray(seen.all(axis=0))
    for t in np.flatnonzero(seen.any(axis=0)).tolist():
        error = plain[:, :, t : t + 1] - level
        if not everywhere[t]:
            error = np.where(seen[:, t : t + 1], error, 0.0)
        squares += weights[:, :, t : t + 1] * error * error
        level += WEIGHTS * error
    rows = np.arange(n)
    count = np.maximum(number[:, -1] - BEGIN, 1)
    time = np.arange(length) - length + 1.0
    weight = seen.astype(np.float64)
    middle = (weight * time).sum(axis=1) / np.maximum(number[:, -1], 1)
    off = weight * (time - middle[:, None])
    found = []
    for form, free in enumerate(parameters):
        best = squares[form].argmin(axis=1)
        mean_square = squares[form, rows, best] / count
        slope = (off * plain[form]).sum(axis=1) / np.maximum((off * off).sum(axis=1), 1e-12)
        cost = count * np.log(np.maximum(mean_square, 1e-300)) + 2.0 * free
        found.append(_Smoothed(level[form, rows, best], slope, WEIGHTS[best], mean_square, cost))
    return found
