"""What a classifier may look at to judge whether a product will run out: free of scale, each a known cause.

The paths know the demand ahead and the stock. What they do not see is how wrong they were of late, how often this
product has run out before, and how well its supplier keeps its word. A feature that is not known is nan, and means so.

Letters: N product-warehouses, T past periods, H periods ahead, K periods of the window, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError

Floats = NDArray[np.float64]

FEATURES: Final[dict[str, str]] = {
    "path_logit": "log odds of the paths' chance to run out in the window",
    "stock_cover": "log of 1 + periods of expected demand on hand",
    "window_cover": "log of stock and due units over expected demand in the window",
    "peak_cover": "log of stock and due units over the largest demand in any window of late",
    "due_share": "share of stock and due units that is not there yet",
    "level": "log of 1 + expected units per period",
    "spread": "standard deviation over mean of demand in the window, on the paths",
    "volatility": "standard deviation over mean of demand per period of late",
    "trend": "log of the last periods' mean demand over that of late",
    "forecast_change": "log of expected demand over mean demand of late",
    "zero_share": "share of periods without demand",
    "error_bias": "log of actual over expected demand in the window before",
    "error_size": "mean distance of actual from expected demand in windows before, over the expected",
    "stockout_share": "share of periods that ran out",
    "since_stockout": "log of 1 + periods since the last that ran out",
    "lead_time": "mean lead time, periods",
    "lead_time_variation": "standard deviation over mean of the lead time",
    "late_share": "share of the supplier's deliveries that came after their day",
}
"""[F] names and meanings, in the order of the columns."""

SMALLEST: Final = 1e-3
"""Probabilities are kept this far from 0 and 1 in log odds: 200 paths say no more."""
LITTLE: Final = 0.5
"""Units added above and below a fraction, so that nothing over nothing is one."""


@dataclass(frozen=True, eq=False)
class StockSituation:
    """What is known of N product-warehouses at one moment, to judge the next K periods.

    history
        [N, T] demand per period until now, nan where it is not known.
    probability
        [N] the paths' chance to run out in the window.
    expected, spread
        [N] mean and standard deviation of the demand of the whole window on the paths, units.
    on_hand, due
        [N] units on the shelf, and units due within the window.
    window
        Periods K.
    memory
        Periods meant by "of late": a quarter of a year. A third of it is "the last periods", twice it counts rare
        events.
    ran_out
        [N, T] 1 where a period ran out, 0 where not, nan where it is not known; None: nothing is known.
    error_bias, error_size
        [N] of earlier forecasts for the same window; None: there are none.
    lead_time, lead_time_variation, late_share
        [N] periods, fraction, fraction; None: not known.
    """

    history: Floats
    probability: Floats
    expected: Floats
    spread: Floats
    on_hand: Floats
    due: Floats
    window: int
    memory: int = 13
    ran_out: Floats | None = None
    error_bias: Floats | None = None
    error_size: Floats | None = None
    lead_time: Floats | None = None
    lead_time_variation: Floats | None = None
    late_share: Floats | None = None

    def __post_init__(self) -> None:
        if self.history.ndim != 2 or self.history.shape[1] < 1:
            raise ParameterError(f"history must be [series, periods], at least one period, got {self.history.shape}")
        if self.window < 1 or self.memory < 3:
            raise ParameterError(
                f"window must be at least 1 and memory at least 3 periods, got {self.window} and {self.memory}"
            )
        n = len(self.history)
        for name in ("probability", "expected", "spread", "on_hand", "due"):
            if getattr(self, name).shape != (n,):
                raise ParameterError(f"{name} must be one number for each of the {n} series")


def risk_features(now: StockSituation) -> NDArray[np.float32]:
    """Return [N, F] the `FEATURES` of every product-warehouse.

    >>> beans = StockSituation(
    ...     history=np.full((1, 20), 4.0), probability=np.array([0.5]), expected=np.array([12.0]),
    ...     spread=np.array([6.0]), on_hand=np.array([8.0]), due=np.array([4.0]), window=3,
    ... )
    >>> row = dict(zip(FEATURES, risk_features(beans)[0].tolist()))
    >>> row["path_logit"], row["window_cover"], row["trend"], row["spread"], round(row["due_share"], 3)
    (0.0, 0.0, 0.0, 0.5, 0.333)
    """  # fmt: skip
    n = len(now.history)
    unknown = np.full(n, np.nan)
    late, last, long = (now.history[:, -periods:] for periods in (now.memory, -(-now.memory // 3), 2 * now.memory))
    mean = _mean(late)
    position = np.maximum(now.on_hand, 0.0) + now.due
    per_period = now.expected / now.window
    columns = {
        "path_logit": logit(now.probability),
        "stock_cover": np.log1p(np.maximum(now.on_hand, 0.0) / np.maximum(per_period, SMALLEST)),
        "window_cover": np.log((position + LITTLE) / (now.expected + LITTLE)),
        "peak_cover": np.log((position + LITTLE) / (_peak(long, now.window) + LITTLE)),
        "due_share": now.due / np.maximum(position, LITTLE),
        "level": np.log1p(per_period),
        "spread": now.spread / np.maximum(now.expected, LITTLE),
        "volatility": np.sqrt(_mean((late - mean[:, None]) ** 2)) / np.maximum(mean, SMALLEST),
        "trend": np.log((_mean(last) + SMALLEST) / (mean + SMALLEST)),
        "forecast_change": np.log((per_period + SMALLEST) / (mean + SMALLEST)),
        "zero_share": _mean(np.where(np.isnan(long), np.nan, long <= 0)),
        "error_bias": unknown if now.error_bias is None else now.error_bias,
        "error_size": unknown if now.error_size is None else now.error_size,
        "stockout_share": unknown if now.ran_out is None else _mean(now.ran_out[:, -2 * now.memory :]),
        "since_stockout": unknown if now.ran_out is None else np.log1p(_since(now.ran_out)),
        "lead_time": unknown if now.lead_time is None else now.lead_time,
        "lead_time_variation": unknown if now.lead_time_variation is None else now.lead_time_variation,
        "late_share": unknown if now.late_share is None else now.late_share,
    }
    return np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def forecast_errors(actual: ArrayLike, expected: ArrayLike) -> tuple[Floats, Floats]:
    """Return bias [N] and size [N] of earlier forecasts of the window's demand, for ``error_bias`` and ``error_size``.

    Parameters
    ----------
    actual, expected
        [N, E] demand of E earlier windows, the newest last, and its mean on the paths made before it; nan where one of
        them is not known.

    >>> bias, size = forecast_errors([[10.0, 20.0]], [[10.0, 10.0]])
    >>> bias.round(2).tolist(), size.round(3).tolist()
    ([0.67], [0.476])
    """
    came, said = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    bias = np.log((np.maximum(came[:, -1], 0.0) + LITTLE) / (said[:, -1] + LITTLE))
    return bias, _mean(np.abs(came - said) / (said + LITTLE))


def logit(probability: ArrayLike) -> Floats:
    """Return log odds, ``ln(p / (1 - p))``, of probabilities kept `SMALLEST` away from 0 and 1.

    >>> logit([0.5, 0.0]).round(3).tolist()
    [0.0, -6.907]
    """
    kept = np.clip(np.asarray(probability, dtype=np.float64), SMALLEST, 1.0 - SMALLEST)
    return np.asarray(np.log(kept / (1.0 - kept)), dtype=np.float64)


def _mean(values: Floats) -> Floats:
    """Return the mean [N] of what is known of [N, T]; nan where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.where(counts > 0, total / np.maximum(counts, 1), np.nan), dtype=np.float64)


def _peak(values: Floats, window: int) -> Floats:
    """Return the largest demand [N] of any ``window`` periods in a row; unknown periods count as none."""
    filled = np.nan_to_num(values)
    if filled.shape[1] < window:
        return np.asarray(filled.sum(axis=1), dtype=np.float64)
    return np.asarray(sliding_window_view(filled, window, axis=1).sum(axis=2).max(axis=1), dtype=np.float64)


def _since(ran_out: Floats) -> Floats:
    """Return periods [N] since the last stockout; T where there was none in sight."""
    hit = np.nan_to_num(ran_out) > 0
    back = np.argmax(hit[:, ::-1], axis=1)
    return np.asarray(np.where(hit.any(axis=1), back, hit.shape[1]), dtype=np.float64)
