"""What one daily series looks like in a few numbers: its line, its weekdays, how strongly each shows, and its noise.

For a person who asks what a product's history is like; forecasts do not read it. The line is the ordinary least
squares line over days, and its slope counts as a trend only where it is both certain (more than twice its standard
error, which residuals that hang together widen) and visible (`VISIBLE_TREND` of the mean over the whole window).
Weekdays count as a season where an analysis of variance of the residuals by weekday rejects chance at 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError

LONGEST_DAYS: Final = 365
FEWEST_DAYS: Final = 7
WEEKS_FOR_A_SEASON: Final = 3
CHANCE: Final = 0.01
VISIBLE_TREND: Final = 0.05

Floats = npt.NDArray[np.floating[Any]]
Trend = Literal["increasing", "decreasing", "stable"]


@dataclass(frozen=True)
class SeriesSummary:
    """A daily series in a few numbers.

    Parameters
    ----------
    days
        Days T that were looked at, the last ones of the series.
    mean, slope, intercept
        Units per day: their mean, by how much they grow from one day to the next, and the line's value on the first
        of those days.
    trend
        What the slope amounts to.
    trend_strength
        Share of the variance, weekdays taken off, that the line explains; 0 to 1.
    has_seasonality
        Whether weekdays differ beyond chance.
    weekly_factors
        [7] mean of each weekday from Monday on, as a multiple of the mean of all; 1 where a weekday was never seen.
    volatility
        Standard deviation of what line and weekdays leave over, as a multiple of the mean; 0 for a series of zeros.
    """

    days: int
    mean: float
    slope: float
    intercept: float
    trend: Trend
    trend_strength: float
    has_seasonality: bool
    weekly_factors: tuple[float, ...]
    volatility: float


def summarise(values: Floats, first_weekday: int) -> SeriesSummary:
    """Summarise the last `LONGEST_DAYS` of a daily series.

    Parameters
    ----------
    values
        [T] units per day without gaps, T at least `FEWEST_DAYS`.
    first_weekday
        Weekday of the first value, 0 for Monday.

    Raises
    ------
    ParameterError
        There are too few days, or one of them is not a finite number.

    >>> summary = summarise(np.array([2.0, 2, 2, 2, 2, 9, 2] * 8), 0)
    >>> summary.trend, summary.has_seasonality, round(summary.weekly_factors[5], 1)
    ('stable', True, 3.0)
    >>> round(summarise(5 + 0.5 * np.arange(60.0), 3).slope, 6)
    0.5
    """
    if len(values) < FEWEST_DAYS:
        raise ParameterError(f"a summary needs at least {FEWEST_DAYS} days, got {len(values)}")
    if not np.isfinite(values).all():
        raise ParameterError("a summary needs a finite number for every day; fill or leave out the others")
    cut = max(len(values) - LONGEST_DAYS, 0)
    y = np.asarray(values[cut:], dtype=np.float64)  # [T] units
    weekday = (first_weekday + cut + np.arange(len(y))) % 7  # [T]
    day = np.arange(len(y), dtype=np.float64)  # [T]
    mean = float(y.mean())
    slope, intercept = _line(day, y)
    seen = np.bincount(weekday, minlength=7)  # [7] days
    # Weekdays are compared with the line taken off, else a short growing series makes Sundays look large.
    flat = y - (intercept + slope * day)
    effect = np.bincount(weekday, flat, minlength=7) / np.maximum(seen, 1)  # [7] units
    left = flat - effect[weekday]  # [T] units
    seasonal = bool(len(y) >= 7 * WEEKS_FOR_A_SEASON and _differ(flat, left, seen))
    residual = left if seasonal else flat
    level = y - effect[weekday] if seasonal else y
    spread = float(((level - level.mean()) ** 2).sum())
    return SeriesSummary(
        days=len(y),
        mean=mean,
        slope=slope,
        intercept=intercept,
        trend=_trend(slope, day, residual, mean),
        trend_strength=max(0.0, 1.0 - float((residual**2).sum()) / spread) if spread > 0 else 0.0,
        has_seasonality=seasonal,
        weekly_factors=tuple((1.0 + effect / mean).tolist()) if mean > 0 else (1.0,) * 7,
        volatility=float(residual.std() / mean) if mean > 0 else 0.0,
    )


def _line(day: Floats, y: Floats) -> tuple[float, float]:
    centred = day - day.mean()
    slope = float((centred * y).sum() / (centred**2).sum())
    return slope, float(y.mean() - slope * day.mean())


def _trend(slope: float, day: Floats, residual: Floats, mean: float) -> Trend:
    """Say whether a slope is certain and visible; ``residual`` [T] is what the line leaves over."""
    length = len(day)
    if mean <= 0 or abs(slope) * length < VISIBLE_TREND * mean:
        return "stable"
    noise = float((residual**2).sum()) / max(length - 2, 1)
    before, after = residual[:-1], residual[1:]
    energy = float((residual**2).sum())
    # Days that resemble the day before are worth fewer: the variance of a slope grows by (1 + r) / (1 - r).
    like = min(max(float((before * after).sum()) / energy, 0.0), 0.95) if energy > 0 else 0.0
    variance = noise / float(((day - day.mean()) ** 2).sum()) * (1 + like) / (1 - like)
    if slope**2 <= 4 * variance:
        return "stable"
    return "increasing" if slope > 0 else "decreasing"


def _differ(flat: Floats, left: Floats, seen: npt.NDArray[np.integer[Any]]) -> bool:
    """Whether means by weekday differ beyond chance: the F test of ``flat`` [T] against ``left`` [T], its residuals."""
    from scipy.special import fdtrc

    groups = int((seen > 0).sum())
    within, between = float((left**2).sum()), float((flat**2).sum() - (left**2).sum())
    spare = len(flat) - groups
    if between <= 1e-12 * max(float((flat**2).sum()), 1e-300):
        return False
    if within <= 1e-12 * between:
        return True
    return float(fdtrc(groups - 1, spare, (between / (groups - 1)) / (within / spare))) < CHANCE
