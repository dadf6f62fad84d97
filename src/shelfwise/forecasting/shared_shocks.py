"""Shared shocks: what all series, and those of a cell, have in common, so that sums are as uncertain as sums are.

Measured on how wrong the calendar model of the totals was on past windows. Letters as in `aggregates`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.aggregates import Aggregates
from shelfwise.forecasting.calendar_model import Calendars
from shelfwise.forecasting.correction import sums_of
from shelfwise.forecasting.held_out import sample_of

Floats = npt.NDArray[np.floating[Any]]

SHOCK_WINDOWS: Final = 6
SHOCK_SAMPLE: Final = 2000
LARGEST_SHARE: Final = 0.4  # of the variance of a draw that series share


def past_errors(calendars: Calendars, horizon: int) -> list[Floats]:
    """Return how wrong the calendar model was on each of the latest windows, [M, H] logs."""
    errors = []
    for back in range(horizon, (SHOCK_WINDOWS + 1) * horizon, horizon):
        if calendars.at(back) is None:
            break
        errors.append(_log_errors(calendars, back, horizon))
    return errors


def shocks_of(
    panel: Panel, aggregates: Aggregates, marginals: Marginals, level: float, errors: list[Floats], error_ratio: float
) -> Dependence | None:
    """Return the shocks that series share, from how wrong the calendar model of the totals was on past windows.

    Parameters
    ----------
    marginals, level
        Of the forecast, and the share of a draw's variance that lasts over one series' horizon.
    errors
        As `past_errors` gives them.
    error_ratio
        The error of the forecast's sums over that of the calendar model.
    """
    if len(errors) < 2:
        return None
    horizon = errors[0].shape[1]
    nodes = aggregates.nodes
    cells = len(nodes.cells)
    size = aggregates.values[:cells, -horizon:].mean(axis=1)
    error = np.stack(errors)  # [windows, M, H], NaN where not usable
    whole = error[:, -1]
    apart = error[:, :cells] - whole[:, None, :]
    lasting, passing = _variances(whole[:, None, :], np.ones(1))
    slope, noise, level_noise = _slopes(panel, aggregates, marginals, level, size)
    group_lasting, group_passing = _variances(apart, size)
    passing, lasting = passing * error_ratio**2, lasting * error_ratio**2
    shares = np.array([passing, lasting, group_passing - noise, group_lasting - level_noise]) / slope**2
    if cells == 1:
        shares[2:] = 0.0
    shares = np.clip(shares, 0.0, None)
    shares *= min(1.0, LARGEST_SHARE / max(float(shares.sum()), 1e-12))
    return Dependence(
        world=float(shares[0]),
        world_level=float(shares[1]),
        group=float(shares[2]),
        group_level=float(shares[3]),
        columns=nodes.chains.columns if cells > 1 else (),
    )


def _log_errors(calendars: Calendars, back: int, horizon: int) -> Floats:
    """Return [M, H] log of what came over what the calendar model expected."""
    fit = calendars.fit(back)
    start = fit.aggregates.periods
    came = calendars.aggregates.values[:, start : start + horizon]
    usable = (
        calendars.aggregates.known[:, start : start + horizon] & ~calendars.aggregates.closed[start : start + horizon]
    )
    expected = fit.ahead(horizon)
    usable = usable & (came > 0) & (expected > 0)
    log = np.log(np.where(usable, came, 1.0)) - np.log(np.where(usable, expected, 1.0))
    return np.where(usable, np.clip(log, -1.0, 1.0), np.nan)


def _variances(error: Floats, size: Floats) -> tuple[float, float]:
    """Return the variance of errors [windows, G, H] that last over a window, and of those of single periods."""
    weight = size / max(float(size.sum()), 1e-12)
    count = np.maximum((~np.isnan(error)).sum(axis=2), 1)
    mean = np.nansum(error, axis=2) / count  # [windows, G]
    rest = np.nansum((error - mean[:, :, None]) ** 2, axis=2) / np.maximum(count - 1, 1)
    passing = (rest.mean(axis=0) * weight).sum()
    lasting = ((mean**2 - rest / count).mean(axis=0) * weight).sum()
    return max(float(lasting), 0.0), float(passing)


def _slopes(
    panel: Panel, aggregates: Aggregates, marginals: Marginals, level: float, size: Floats
) -> tuple[float, float, float]:
    """Return how a sum moves with a shared draw, and the variance of a cell's sum when nothing is shared.

    The first is the sum of the series' covariances with the draw behind them over the sum of their means; the second
    and third are squared coefficients of variation, of one period and of what lasts.
    """
    some = sample_of(panel, SHOCK_SAMPLE)
    chosen = np.isin(panel.ids.to_numpy(), some.ids.to_numpy())
    first = slice(0, min(7, marginals.mean.shape[1]))
    mean, variance = marginals.mean[:, first], marginals.variance[:, first]
    samples = Marginals(mean[chosen], variance[chosen], marginals.is_count).stratified(64)  # [n, H, 64]
    draws = _normal_scores(64)
    covariance = (samples * draws).mean(axis=2)
    slope = float(covariance.sum() / max(float(mean[chosen].sum()), 1e-12))
    units, spread = sums_of(panel, aggregates, mean), sums_of(panel, aggregates, variance)
    relative = np.where(units > 0, spread / np.maximum(units**2, 1e-12), 0.0).mean(axis=1)  # [C]
    alone = float((relative * size).sum() / max(float(size.sum()), 1e-12))
    return max(slope, 1e-6), alone * (1.0 - level), alone * level


def _normal_scores(n: int) -> Floats:
    """Return the middles of ``n`` equally likely parts of a normal draw."""
    scores: Floats = scipy.special.ndtri((np.arange(n) + 0.5) / n)
    return scores
