"""Conformal correction of dispersion: how much the noise of a forecast is widened or narrowed, learnt from outcomes.

Two corrections, both measured on windows held out of the fit. By class of demand and part of the horizon the noise is
scaled by how much smaller the squared errors are than those of a reference forecast whose noise is trusted. Then, by
class and for all together, by the factor under which the band between the tenth and the ninetieth percentile holds four
outcomes of five, as far as the windows agree on it: one window's shock is no property of the forecast. Classes need
that each: where one season is nearly the next, a few large errors make up the squares, and the band of all the others
comes out too wide; what all agree on would then be made up for by the bands of other classes.

An outcome of a count stands for a stretch of probability, from "less" to "at most"; the share of that stretch inside
the band is what it counts, so that zeros are neither in nor out. Source: calibration on held-out outcomes, Romano,
Patterson and Candes, 2019, NeurIPS 32; ties by the non-randomised probability integral transform of Czado, Gneiting and
Held, 2009, Biometrics 65(4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy

from shelfwise.domain.marginals import Marginals

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FACTORS: Final = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0, 1.15, 1.35, 1.6, 2.0, 2.6, 3.4, 5.0, 8.0)
LEVELS: Final = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # quantiles that forecasts are judged by
BAND: Final = (0.1, 0.9)
TOLERANCE: Final = 0.002  # share of the quantile loss that a better coverage may cost
NEAR: Final = 0.02  # a band that holds this near to four of five is left alone
RELATIVE: Final = (0.05, 3.0)  # noise in terms of the reference's
CUT: Final = 4.0  # deviations that an error counts at most
LEAN: Final = 50.0  # series that the factor of all is worth to a class, and that of a class to a part of the horizon
WHOLE: Final = 64.0  # mean from which counts are read as rounded gamma, as in `marginals`


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What came, beside which forecasts are laid: R rows (a series at a cutoff), H periods.

    Parameters
    ----------
    actual
        [R, H] units, zero where not scored.
    scored
        [R, H] which cells are demand.
    classes
        [R] class of demand of each row.
    windows
        [R] cutoff of each row, counted from 0.
    is_count
        Whole numbers rather than measured quantities.
    """

    actual: Floats
    scored: Flags
    classes: Integers
    windows: Integers
    is_count: bool

    def only(self, rows: Integers | Flags) -> Outcomes:
        """Return the outcomes of some rows."""
        return Outcomes(self.actual[rows], self.scored[rows], self.classes[rows], self.windows[rows], self.is_count)

    @property
    def n_windows(self) -> int:
        """Number of cutoffs."""
        return int(self.windows.max(initial=-1)) + 1


def widened(mean: Floats, variance: Floats, factor: Floats | float, is_count: bool) -> Floats:
    """Return the variance with the noise times ``factor``; all of one shape, units squared.

    Noise of counts is what lies above Poisson: phi' = 1 + f (phi - 1) + max(f - 1, 0) / 4, phi = variance / mean, so
    that near-Poisson counts can be widened too.

    >>> widened(np.array([2.0]), np.array([6.0]), 0.5, True).tolist()
    [4.0]
    """
    if not is_count:
        return np.asarray(variance * factor)
    return np.asarray(mean + factor * np.maximum(variance - mean, 0.0) + 0.25 * np.maximum(factor - 1.0, 0.0) * mean)


def quantile_losses(mean: Floats, variance: Floats, outcomes: Outcomes) -> Floats:
    """Return the quantile loss [R] of each row, summed over its scored cells and `LEVELS`, in units."""
    quantiles = Marginals(mean, variance, outcomes.is_count).quantiles(LEVELS)  # [R, H, Q]
    gap = outcomes.actual[:, :, None] - quantiles
    losses = np.maximum(LEVELS * gap, (LEVELS - 1.0) * gap).sum(axis=2)
    found: Floats = (losses * outcomes.scored).sum(axis=1)
    return found


def noise_ratio(mean: Floats, variance: Floats, outcomes: Outcomes) -> float:
    """Return squared errors over what the variance leads to expect, both as deviations, over all scored cells.

    sum(e^2 / (s sqrt(m))) / sum(s / sqrt(m)) for errors e, cut at `CUT` deviations s, and mean level m: a cell weighs
    less than in proportion to its size, so that neither a few large series nor many small ones rule.
    """
    spread = np.maximum(variance, mean) if outcomes.is_count else variance
    spread = np.maximum(spread, 1e-12 * mean * mean + 1e-12)
    level = np.maximum(mean.mean(axis=1, keepdims=True), 1e-9)
    weight = outcomes.scored / np.sqrt(level)
    deviation = np.sqrt(spread)
    squared = np.minimum((outcomes.actual - mean) ** 2, CUT * CUT * spread)
    expected = float((weight * deviation).sum())
    return float((weight * squared / deviation).sum()) / expected if expected > 0 else 1.0


def relative_noise(
    forecast: tuple[Floats, Floats],
    reference: tuple[Floats, Floats],
    outcomes: Outcomes,
    n_classes: int,
    parts: Integers,
) -> Floats:
    """Return factors [n_classes, C]: how much less noise than its variance says, in terms of a reference forecast.

    Parameters
    ----------
    forecast, reference
        Mean and variance, each [R, H].
    parts
        [C] last step of each part of the horizon.
    """
    steps = np.arange(outcomes.actual.shape[1])
    first = np.concatenate([[0], parts[:-1]])

    def measured(rows: Integers, cells: Flags) -> float:
        some = outcomes.only(rows)
        some = Outcomes(some.actual, some.scored & cells, some.classes, some.windows, some.is_count)
        mine, theirs = (noise_ratio(m[rows], v[rows], some) for m, v in (forecast, reference))
        return float(np.log(np.clip(mine / max(theirs, 1e-9), *RELATIVE)))

    everything = np.ones(len(steps), dtype=np.bool_)
    overall = measured(np.arange(len(outcomes.actual)), everything)
    found = np.full((n_classes, len(parts)), overall)
    for k in np.unique(outcomes.classes).tolist():
        rows = np.flatnonzero(outcomes.classes == k)
        share = len(rows) / (len(rows) + LEAN * max(1, outcomes.n_windows))
        own = share * measured(rows, everything) + (1.0 - share) * overall
        for part, (low, high) in enumerate(zip(first, parts, strict=True)):
            here = measured(rows, (steps >= low) & (steps < high))
            found[k, part] = share * here + (1.0 - share) * own
    factors: Floats = np.exp(found)
    return factors


def agreed_factors(mean: Floats, variance: Floats, outcomes: Outcomes, n_classes: int) -> Floats:
    """Return factors [n_classes] on the noise: what all windows ask for in a class, then what they do of all together.

    A class leans, in logs, on no factor of its own by `LEAN` series.

    Parameters
    ----------
    mean, variance
        [R, H] of held-out forecasts.
    """
    own = np.ones(n_classes)
    for k in np.unique(outcomes.classes).tolist():
        rows = np.flatnonzero(outcomes.classes == k)
        share = len(rows) / (len(rows) + LEAN * max(1, outcomes.n_windows))
        own[k] = agreed_factor(mean[rows], variance[rows], outcomes.only(rows)) ** share
    each = widened(mean, variance, own[outcomes.classes][:, None], outcomes.is_count)
    found: Floats = own * agreed_factor(mean, each, outcomes)
    return found


def agreed_factor(mean: Floats, variance: Floats, outcomes: Outcomes) -> float:
    """Return the factor on the noise that every window asks for: the one nearest to 1, and 1 where they disagree.

    Parameters
    ----------
    mean, variance
        [R, H] of held-out forecasts.
    """
    found = []
    for window in range(outcomes.n_windows):
        rows = np.flatnonzero(outcomes.windows == window)
        found.append(np.log(_best(mean[rows], variance[rows], outcomes.only(rows))))
        if found[-1] == 0:  # whatever the others ask for
            return 1.0
    if not found or min(found) < 0 < max(found):
        return 1.0
    return float(np.exp(min(found, key=abs)))


def _best(mean: Floats, variance: Floats, outcomes: Outcomes) -> float:
    """Return the factor whose band holds nearest to four of five, of those that cost next to no quantile loss."""
    cells = float(outcomes.scored.sum())
    if not cells:
        return 1.0
    use, wanted = outcomes.scored, BAND[1] - BAND[0]

    def share(wide: Floats) -> float:
        return float(inside(mean[use], wide[use], outcomes.actual[use], outcomes.is_count).sum()) / cells

    if abs(share(widened(mean, variance, 1.0, outcomes.is_count)) - wanted) <= NEAR:
        return 1.0
    weight = 1.0 / np.sqrt(np.maximum(mean.mean(axis=1), 1e-9))  # [R], as in `noise_ratio`
    losses, off = np.zeros(len(FACTORS)), np.zeros(len(FACTORS))
    for i, factor in enumerate(FACTORS):
        wide = widened(mean, variance, factor, outcomes.is_count)
        losses[i] = float((quantile_losses(mean, wide, outcomes) * weight).sum())
        off[i] = abs(share(wide) - wanted)
    if losses.min() <= 0:
        return 1.0
    cheap = losses <= losses.min() * (1.0 + TOLERANCE)
    return float(FACTORS[int(np.where(cheap, off, np.inf).argmin())])


def inside(mean: Floats, variance: Floats, actual: Floats, is_count: bool) -> Floats:
    """Return how much of each outcome [cells] lies inside the 10-90 band, ties split: 0 to 1."""
    below, up_to = probabilities_of(mean, variance, actual, is_count)
    width = up_to - below
    share = (np.minimum(up_to, BAND[1]) - np.maximum(below, BAND[0])) / np.maximum(width, 1e-12)
    point = (below >= BAND[0]) & (below <= BAND[1])
    return np.where(width > 1e-12, np.clip(share, 0.0, 1.0), point)


def probabilities_of(mean: Floats, variance: Floats, actual: Floats, is_count: bool) -> tuple[Floats, Floats]:
    """Return the probability of less than, and of at most, the actual values, under the distributions; each [cells].

    Parameters
    ----------
    mean, variance, actual
        [cells] units, units squared, units.
    is_count
        Negative binomial (gamma, rounded, from a mean of `WHOLE` on) rather than gamma. Source: Johnson, Kemp and Kotz,
        Univariate Discrete Distributions, 3rd ed., section 5.6.

    >>> below, up_to = probabilities_of(np.array([2.0]), np.array([2.0]), np.array([0.0]), True)
    >>> float(below[0]), round(float(up_to[0]), 4)
    (0.0, 0.1353)
    """
    mean, actual = np.asarray(mean, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    live = mean > 0
    safe = np.where(live, mean, 1.0)
    spread = np.maximum(variance, mean) if is_count else np.asarray(variance, dtype=np.float64)
    shape = np.clip(safe**2 / np.maximum(spread, 1e-12 * safe**2 + 1e-300), 1e-3, 1e7)
    half = 0.5 if is_count else 0.0
    below, up_to = (scipy.special.gammainc(shape, np.maximum(actual + h, 0.0) / safe * shape) for h in (-half, half))
    if is_count:
        phi = np.maximum(spread / safe, 1.0 + 1e-6)
        small = safe <= WHOLE
        size = (safe / (phi - 1.0))[small]
        for found, count in ((below, actual[small] - 1.0), (up_to, actual[small])):
            tail = scipy.special.betainc(size, np.maximum(np.floor(count), 0.0) + 1.0, 1.0 / phi[small])
            found[small] = np.where(count < 0, 0.0, tail)
    return np.where(live, below, (actual > 0).astype(np.float64)), np.where(live, up_to, (actual >= 0) * 1.0)
