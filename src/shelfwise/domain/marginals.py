"""Marginal distributions of demand, one for each series and period, and the quantiles they hold.

Counts are negative binomial, measured quantities (weights, litres, money) gamma: both live on zero and above and
are given by mean and variance alone. Quantiles of counts come from the recursion of the probabilities, which is far
faster than inverting the distribution function cell by cell; above a size where whole numbers no longer show they
are gamma, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from shelfwise.domain.errors import ParameterError

Floats = npt.NDArray[np.floating[Any]]

_RECURSION_STEPS: Final = 128  # the recursion's last count; above it whole units hardly show and gamma serves
_BLOCK: Final = 8192  # cells per block of the recursion: a few arrays of this size stay in cache
_SHAPES: Final = np.exp(np.linspace(np.log(1e-3), np.log(1e7), 481))  # gamma shapes of the quantile table


@dataclass(frozen=True, eq=False)
class Marginals:
    """Distributions of demand by mean and variance.

    Parameters
    ----------
    mean
        [N, H] units, zero or more.
    variance
        [N, H] units squared; for counts at least the mean (less is read as Poisson).
    is_count
        Whole numbers (negative binomial) rather than measured quantities (gamma).

    >>> np.round(Marginals(np.array([[2.0]]), np.array([[2.0]]), True).quantiles([0.1, 0.5, 0.9]), 1).tolist()
    [[[0.0, 2.0, 4.0]]]
    """

    mean: Floats
    variance: Floats
    is_count: bool = True

    def __post_init__(self) -> None:
        if self.mean.ndim != 2 or self.mean.shape != self.variance.shape:
            raise ParameterError(
                f"mean and variance must both be [N, H], got {list(self.mean.shape)} and {list(self.variance.shape)}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.variance).all()):
            raise ParameterError("mean and variance must be finite numbers; a model returned NaN or infinity")
        if (self.mean < 0).any() or (self.variance < 0).any():
            raise ParameterError("mean and variance of demand must be zero or more")

    def quantiles(self, levels: npt.ArrayLike) -> Floats:
        """Return [N, H, Q] smallest demand with at least the given probability.

        Parameters
        ----------
        levels
            [Q] probabilities above 0 and below 1.
        """
        wanted = check_levels(levels)
        order = np.argsort(wanted)
        n, horizon = self.mean.shape
        found = np.empty((n * horizon, len(wanted)), dtype=np.float32)
        mean, variance = self.mean.reshape(-1), self.variance.reshape(-1)
        small = self._small(mean)
        for cells in _blocks(mean, small):
            found[cells] = _count_quantiles(mean[cells], variance[cells], wanted[order])
        large = np.flatnonzero(~small)
        for low in range(0, len(large), _BLOCK):
            cells = large[low : low + _BLOCK]
            found[cells] = self._gamma(mean[cells], variance[cells], wanted[order])
        if (order[1:] < order[:-1]).any():  # ascending levels, as almost always, need no shuffling back
            found = found[:, np.argsort(order)]
        return found.reshape(n, horizon, len(wanted))

    def stratified(self, n_samples: int) -> Floats:
        """Return [N, H, S] ascending samples at the probabilities (s + 1/2) / S: each distribution in S equal parts."""
        n, horizon = self.mean.shape
        mean, variance = self.mean.reshape(-1), self.variance.reshape(-1)
        found = np.empty((n * horizon, n_samples), dtype=np.float32)
        levels = (np.arange(n_samples) + 0.5) / n_samples
        small = self._small(mean)
        for cells in _blocks(mean, small):
            found[cells] = _count_samples(mean[cells], variance[cells], n_samples)
        large = np.flatnonzero(~small)
        for low in range(0, len(large), _BLOCK):
            cells = large[low : low + _BLOCK]
            found[cells] = self._gamma(mean[cells], variance[cells], levels)
        return found.reshape(n, horizon, n_samples)

    def _small(self, mean: Floats) -> npt.NDArray[np.bool_]:
        """Return which cells [C] are counts that the recursion reaches the middle of."""
        return mean <= _RECURSION_STEPS / 2 if self.is_count else np.zeros(mean.shape, dtype=np.bool_)

    def _gamma(self, mean: Floats, variance: Floats, levels: Floats) -> Floats:
        """Return gamma quantiles [C, Q] of cells [C], whole numbers for counts."""
        return _rounded_gamma(mean, variance, levels) if self.is_count else gamma_quantiles(mean, variance, levels)


def check_levels(levels: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return quantile levels as an array [Q], or raise for a level outside 0 .. 1."""
    wanted = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    bad = wanted[~((wanted > 0) & (wanted < 1))]
    if len(bad):
        raise ParameterError(f"quantile levels must be above 0 and below 1, got {bad[0]:g}")
    return wanted


def gamma_quantiles(mean: Floats, variance: Floats, levels: Floats) -> Floats:
    """Return gamma quantiles [C, Q] for cells of the given mean and variance [C].

    The quantile over the mean depends on the shape a = mean^2 / variance and the level alone; it is interpolated in
    log a from a table of exact values. A variance of zero gives the mean itself.

    >>> exact = scipy.special.gammaincinv(4.0, 0.9) / 4.0 * 10
    >>> bool(abs(gamma_quantiles(np.array([10.0]), np.array([25.0]), np.array([0.9]))[0, 0] - exact) < 0.01)
    True
    """
    safe = np.maximum(variance, 1e-12 * mean * mean + 1e-300)
    shape = np.clip(np.asarray(mean, dtype=np.float64) ** 2 / safe, _SHAPES[0], _SHAPES[-1])
    table = _gamma_table(tuple(levels.tolist()))  # [shapes, Q] quantile / mean
    position = (np.log(shape) - np.log(_SHAPES[0])) / (np.log(_SHAPES[1]) - np.log(_SHAPES[0]))
    low = np.minimum(position.astype(np.int64), len(_SHAPES) - 2)
    part = (position - low)[:, None]
    ratio = table[low] * (1.0 - part) + table[low + 1] * part
    found: Floats = np.asarray(mean, dtype=np.float64)[:, None] * ratio
    return found


@lru_cache(maxsize=16)
def _gamma_table(levels: tuple[float, ...]) -> Floats:
    table: Floats = scipy.special.gammaincinv(_SHAPES[:, None], np.asarray(levels)) / _SHAPES[:, None]
    return table


def _blocks(mean: Floats, small: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Return the small cells in blocks of like mean, so that a block's recursion ends for all at about one time."""
    cells = np.flatnonzero(small)
    size = mean[cells].astype(np.float32).view(np.uint32) >> 16  # of numbers from 0 up, the leading bits sort
    cells = cells[np.argsort(size.astype(np.uint16), kind="stable")]  # 16 bits sort in one pass
    return [cells[low : low + _BLOCK] for low in range(0, len(cells), _BLOCK)]


def _first_step(mean: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Return p_0, r and q of the negative binomial p_k = p_(k-1) (r + k - 1) / k * q for cells [C].

    With variance phi * mean: r = mean / (phi - 1), q = 1 - 1 / phi, p_0 = phi^-r. Near phi = 1 it is Poisson, for
    which r q -> mean. Source: Johnson, Kemp and Kotz, Univariate Discrete Distributions, 3rd ed., section 5.1.
    """
    mean = np.asarray(mean, dtype=np.float64)
    phi = np.maximum(variance / np.maximum(mean, 1e-300), 1.0 + 1e-6)
    size = mean / (phi - 1.0)
    return np.exp(-size * np.log(phi)), size, 1.0 - 1.0 / phi


def _rounded_gamma(mean: Floats, variance: Floats, levels: Floats) -> Floats:
    return np.rint(gamma_quantiles(mean, np.maximum(variance, mean), levels))


def _count_samples(mean: Floats, variance: Floats, n_samples: int) -> Floats:
    """Return ascending stratified counts [C, S]: value k fills floor(S F(k) + 1/2) - floor(S F(k-1) + 1/2) places."""
    p, size, q = _first_step(mean, variance)
    cdf = p.copy()
    reached = np.zeros(len(p), dtype=np.int64)
    filled = [reached.astype(np.int32)]
    for k in range(1, _RECURSION_STEPS + 2):
        reached = np.minimum(n_samples * cdf + 0.5, n_samples).astype(np.int32)
        filled.append(reached)
        if (reached == n_samples).all():
            break
        p *= (size + (k - 1)) / k * q
        cdf += p
    places = np.stack(filled, axis=1)  # [C, K + 1]
    open_ended = np.flatnonzero(places[:, -1] < n_samples)
    places[:, -1] = n_samples
    counts = places[:, 1:] - places[:, :-1]  # [C, K]
    values = np.broadcast_to(np.arange(counts.shape[1], dtype=np.float32), counts.shape)
    samples = np.repeat(values.reshape(-1), counts.reshape(-1)).reshape(len(p), n_samples)
    if len(open_ended):
        levels = (np.arange(n_samples) + 0.5) / n_samples
        tail = _rounded_gamma(mean[open_ended], variance[open_ended], levels)
        beyond = np.arange(n_samples) >= filled[-1][open_ended, None]
        samples[open_ended] = np.where(beyond, np.maximum(tail, len(filled) - 1.0), samples[open_ended])
    return samples


def _count_quantiles(mean: Floats, variance: Floats, levels: Floats) -> Floats:
    """Return count quantiles [C, Q] for ascending ``levels`` [Q]: the number of k with F(k) below the level."""
    p, size, q = _first_step(mean, variance)
    cdf = p.copy()
    reached = levels[:, None] - 1e-12  # [Q, 1]
    counted = np.zeros((len(levels), len(p)), dtype=np.uint8)  # [Q, C]: long runs, one for each level
    below = np.empty(counted.shape, dtype=np.bool_)
    for k in range(1, _RECURSION_STEPS + 2):
        np.less(cdf, reached, out=below)
        if not below[-1].any():  # the highest level is the last to be reached
            return counted.T.astype(np.float32)
        counted += below
        p *= (size + (k - 1)) / k * q
        cdf += p
    found = counted.T.astype(np.float32)
    beyond = found > _RECURSION_STEPS  # the same cells as in `_count_samples`
    return np.where(beyond, np.maximum(_rounded_gamma(mean, variance, levels), found), found)
