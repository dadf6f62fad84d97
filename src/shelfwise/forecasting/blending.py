"""Weights of an ensemble's members by class of demand, chosen by quantile loss on a rehearsal.

Candidates are each member alone and plain blends of two and three. One is worth what it loses against the reference,
as a ratio: the geometric mean of two losses, of which one counts every unit (so that what sells counts), the other
every series by its own scale, averaged over the cutoffs. The answer is no single winner but the mean of the candidates,
each weighing less the more it loses; simpler ones are preferred. Each class leans on the weights of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.forecasting.conformal import LEVELS, Outcomes, noise_ratio, quantile_losses, widened
from shelfwise.forecasting.rehearsal import Rehearsal

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

SHARPNESS: Final = 200.0  # a candidate that loses half a percent more weighs 1 / e
SIMPLER: Final = 0.002  # loss that each member more must save
LEAN_SERIES: Final = 50.0  # series that the weights of all are worth to a class
FEWEST_ROWS: Final = 10  # of a class, to be heard at all
LEAST_WEIGHT: Final = 0.05  # below it a member is left out
NOISE: Final = (0.02, 20.0)  # within which a candidate's noise is set to its errors before it is judged


def blend(mean: Floats, variance: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance [R, H] of a blend: weighted mean, and weighted variance over mean.

    Parameters
    ----------
    mean, variance
        [M, R, H] of the members.
    weights
        [M, R], summing to 1 for each row.

    >>> mean, variance = blend(np.array([[[2.0]], [[4.0]]]), np.array([[[2.0]], [[12.0]]]), np.array([[0.5], [0.5]]))
    >>> mean.tolist(), variance.tolist()
    ([[3.0]], [[6.0]])
    """
    blended = np.zeros(mean.shape[1:])
    noise = np.zeros(mean.shape[1:])
    for one_mean, one_variance, weight in zip(mean, variance, weights, strict=True):
        blended += weight[:, None] * one_mean
        noise += weight[:, None] * np.divide(one_variance, one_mean, out=np.zeros(noise.shape), where=one_mean > 0)
    return blended, noise * blended


def choose_weights(rehearsal: Rehearsal, n_classes: int) -> Floats:
    """Return weights [n_classes, M], each row summing to 1."""
    members, classes = len(rehearsal.names), rehearsal.outcomes.classes
    candidates = np.array(list(candidates_of(members)))  # [B, M]
    losses = np.array([_losses(rehearsal, candidate) for candidate in candidates])  # [B, R]
    everything = np.arange(len(classes))
    overall = _mean_candidate(candidates, _scores(losses, rehearsal, everything))
    found = np.tile(candidates[0] if overall is None else overall, (n_classes, 1))
    for k in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == k)
        own = _mean_candidate(candidates, _scores(losses, rehearsal, rows)) if len(rows) >= FEWEST_ROWS else None
        if own is not None:
            series = len(rows) / rehearsal.outcomes.n_windows
            found[k] = (series * own + LEAN_SERIES * found[k]) / (series + LEAN_SERIES)
    found[found < LEAST_WEIGHT] = 0.0
    weights: Floats = found / found.sum(axis=1, keepdims=True)
    return weights


def candidates_of(members: int) -> Iterator[Floats]:
    """Yield weights [M]: members alone, pairs in quarters, and threes: equal or with half of one.

    >>> len(list(candidates_of(3))), next(candidates_of(3)).tolist()
    (16, [1.0, 0.0, 0.0])
    """
    alone = np.eye(members)
    yield from alone
    for i, j in combinations(range(members), 2):
        for share in (0.25, 0.5, 0.75):
            yield share * alone[i] + (1.0 - share) * alone[j]
    for three in combinations(range(members), 3):
        together = alone[list(three)].sum(axis=0)
        yield together / 3.0
        for i in three:
            yield (together + alone[i]) / 4.0


def member_errors(rehearsal: Rehearsal, n_classes: int) -> Floats:
    """Return [n_classes, M, 2] what each member loses in the rehearsal by itself, NaN where a class has no rows.

    The weighted quantile loss (doubled pinball, mean over `LEVELS`, over units sold), and the same loss of each series
    per period over its scale, averaged.
    """
    found = np.full((n_classes, len(rehearsal.names), 2), np.nan)
    for member in range(len(rehearsal.names)):
        losses = quantile_losses(rehearsal.mean[member], rehearsal.variance[member], rehearsal.outcomes)
        losses = losses * 2.0 / len(LEVELS)
        for k in np.unique(rehearsal.outcomes.classes).tolist():
            rows = np.flatnonzero(rehearsal.outcomes.classes == k)
            units, scaled = _both(losses, rehearsal, rows)
            sold = float(np.abs(rehearsal.outcomes.actual[rows]).sum())
            found[k, member] = (units / sold if sold else np.nan), scaled
    return found


def _losses(rehearsal: Rehearsal, weights: Floats) -> Floats:
    """Return the losses [R] of a blend, its noise set to its own errors class by class, so that its mean is judged."""
    outcomes = rehearsal.outcomes
    everywhere = np.broadcast_to(weights[:, None], (len(weights), len(outcomes.actual)))
    mean, variance = blend(rehearsal.mean, rehearsal.variance, everywhere)
    factor = np.ones(len(mean))
    for k in np.unique(outcomes.classes):
        rows = np.flatnonzero(outcomes.classes == k)
        factor[rows] = np.clip(noise_ratio(mean[rows], variance[rows], outcomes.only(rows)), *NOISE)
    return quantile_losses(mean, widened(mean, variance, factor[:, None], outcomes.is_count), outcomes)


def _scores(losses: Floats, rehearsal: Rehearsal, rows: Integers) -> Floats | None:
    """Return [B] the log of what candidates lose over what the reference, the first, loses; None where nothing tells.

    The mean over cutoffs of the geometric mean of both losses.
    """
    found = []
    for window in range(rehearsal.outcomes.n_windows):
        here = rows[rehearsal.outcomes.windows[rows] == window]
        both = np.array([_both(one, rehearsal, here) for one in losses])  # [B, 2]
        told = np.flatnonzero((both > 0).all(axis=0))
        if len(told):
            found.append(np.log(both[:, told] / both[0, told]).mean(axis=1))
    return np.mean(found, axis=0) if found else None


def _both(losses: Floats, rehearsal: Rehearsal, rows: Integers) -> tuple[float, float]:
    """Return the losses of some rows in units, and per period over each row's scale, averaged; 0 where unknown."""
    cells = rehearsal.outcomes.scored[rows].sum(axis=1)
    scale = rehearsal.scale[rows]
    keep = (cells > 0) & (np.nan_to_num(scale) > 0)
    scaled = losses[rows][keep] / cells[keep] / scale[keep]
    return float(losses[rows].sum()), float(scaled.mean()) if keep.any() else 0.0


def _mean_candidate(candidates: Floats, scores: Floats | None) -> Floats | None:
    """Return the weights [M] of the candidates' mean, each weighing by what it loses and how simple it is."""
    if scores is None:
        return None
    penalised = scores + SIMPLER * ((candidates > 0).sum(axis=1) - 1)
    share = np.exp(-SHARPNESS * (penalised - penalised.min()))
    mean: Floats = np.einsum("b,bm->m", share, candidates) / share.sum()
    return mean


def rows_of(outcomes: Outcomes, weights: Floats) -> Floats:
    """Return the weights [M, R] of each row of a rehearsal, from those of its class."""
    found: Floats = weights[outcomes.classes].T
    return found
