"""How good probabilities of a stockout are: level (Brier, calibration), ranking (AUC, precision) and time (RPS).

A probability is judged on many rows at once, a row being one product-warehouse at one moment. What happened is 1 (it
ran out) or 0; rows of which it is not known, because demand was censored, must be left out before.

Letters: M rows, H periods, B bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shelfwise.domain.errors import ParameterError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS: Final = 10


@dataclass(frozen=True)
class ProbabilityScores:
    """All scores of one set of probabilities.

    rows, rate
        Number of rows, and the share of them that ran out.
    brier, skill
        Mean squared error of the probability, and what share of climatology's it saves.
    auc
        Chance that a row that ran out has the higher probability of two.
    average_precision
        Mean precision over the rows that ran out, from the highest probability down.
    calibration_error
        Mean distance of what was said from what happened, over bins of what was said.
    """

    rows: int
    rate: float
    brier: float
    skill: float
    auc: float
    average_precision: float
    calibration_error: float


def scores(probability: ArrayLike, happened: ArrayLike, climatology: float | None = None) -> ProbabilityScores:
    """Return every score of ``probability`` [M] beside what ``happened`` [M].

    >>> found = scores([0.9, 0.2], [1, 0])
    >>> round(found.brier, 3), round(found.skill, 3), found.auc, round(found.calibration_error, 3)
    (0.025, 0.9, 1.0, 0.15)
    """
    said, came = _checked(probability, happened)
    return ProbabilityScores(
        rows=len(said),
        rate=float(came.mean()),
        brier=brier_score(said, came),
        skill=brier_skill(said, came, climatology),
        auc=roc_auc(said, came),
        average_precision=average_precision(said, came),
        calibration_error=calibration_error(said, came),
    )


def brier_score(probability: ArrayLike, happened: ArrayLike) -> float:
    """Return the mean squared error of probabilities: ``mean (p - o)^2``, 0 best.

    Source: Brier, 1950, Monthly Weather Review 78(1).

    >>> round(brier_score([0.8, 0.4], [1, 0]), 9)
    0.1
    """
    said, came = _checked(probability, happened)
    return float(((said - came) ** 2).mean())


def brier_skill(probability: ArrayLike, happened: ArrayLike, climatology: float | None = None) -> float:
    """Return ``1 - BS / BS_climatology``: 1 is perfect, 0 no better than always saying the base rate.

    Parameters
    ----------
    climatology
        The rate known beforehand, from the rows learnt from; None takes the rate of these very rows, which is the
        harder judge because nobody knows it beforehand. nan where that reference makes no error.

    >>> brier_skill([0.9, 0.1, 0.1, 0.9], [1, 0, 0, 1])
    0.96
    """
    said, came = _checked(probability, happened)
    rate = float(came.mean()) if climatology is None else climatology
    reference = float(((rate - came) ** 2).mean())
    return 1.0 - brier_score(said, came) / reference if reference > 0 else float("nan")


def roc_auc(probability: ArrayLike, happened: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that of two rows the one that ran out was given more.

    By ranks, ties at half (Mann and Whitney, 1947): ``(R - m (m + 1) / 2) / (m n)`` with R the sum of the ranks of
    the m rows that ran out and n the number of the others. nan where there are only rows of one kind.

    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    said, came = _checked(probability, happened)
    yes = int(came.sum())
    no = len(came) - yes
    if not yes or not no:
        return float("nan")
    from scipy.stats import rankdata  # takes a second to import, and the library is imported for every forecast

    ranks: Floats = rankdata(said)
    return float((ranks[came > 0].sum() - yes * (yes + 1) / 2) / (yes * no))


def average_precision(probability: ArrayLike, happened: ArrayLike) -> float:
    """Return the precision at each probability given, weighted by the share of stockouts found there.

    ``AP = sum over thresholds of (recall_n - recall_{n-1}) precision_n``; rows of one probability count together. The
    base rate is what a blind order gets. nan where nothing ran out. Source: Manning, Raghavan and Schuetze, 2008,
    Introduction to Information Retrieval, section 8.4.

    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    said, came = _checked(probability, happened)
    if not came.any():
        return float("nan")
    order = np.argsort(-said, kind="stable")
    found = np.cumsum(came[order])
    last_of_its_kind = np.append(np.diff(said[order]) != 0, True)
    at = np.flatnonzero(last_of_its_kind)
    recall = found[at] / found[-1]
    precision = found[at] / (at + 1.0)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was said and what happened, by bins of equal width of what was said; empty bins are left out.

    said, happened
        [B] mean probability and share that ran out.
    rows
        [B] rows of the bin.
    """

    said: Floats
    happened: Floats
    rows: NDArray[np.int64]


def reliability(probability: ArrayLike, happened: ArrayLike, bins: int = BINS) -> Reliability:
    """Return the reliability table of ``probability`` [M].

    >>> table = reliability([0.05, 0.07, 0.95], [0, 1, 1])
    >>> table.said.round(2).tolist(), table.happened.tolist(), table.rows.tolist()
    ([0.06, 0.95], [0.5, 1.0], [2, 1])
    """
    said, came = _checked(probability, happened)
    if bins < 1:
        raise ParameterError(f"bins must be at least 1, got {bins}")
    place = np.minimum((said * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, minlength=bins)
    some = rows > 0
    return Reliability(
        said=np.bincount(place, weights=said, minlength=bins)[some] / rows[some],
        happened=np.bincount(place, weights=came, minlength=bins)[some] / rows[some],
        rows=rows[some],
    )


def calibration_error(probability: ArrayLike, happened: ArrayLike, bins: int = BINS) -> float:
    """Return the expected calibration error: ``sum_b n_b / M |said_b - happened_b|`` over bins of equal width.

    Source: Naeini, Cooper and Hauskrecht, 2015, AAAI 29 (there with bins of equal width, as here).

    >>> round(calibration_error([0.05, 0.07, 0.95], [0, 1, 1]), 3)
    0.31
    """
    table = reliability(probability, happened, bins)
    return float((table.rows * np.abs(table.said - table.happened)).sum() / table.rows.sum())


def ranked_probability_score(probability: ArrayLike, first_period: ArrayLike) -> Floats:
    """Return [M] the ranked probability score of the time of the first stockout, 0 best and 1 worst.

    ``RPS = 1/H sum_h (P(T <= h) - 1[t <= h])^2``, with T the first period that runs out and t the one that did. Saying
    a week too late costs less than saying a month too late. Source: Epstein, 1969, Journal of Applied Meteorology
    8(6), here as a mean over the H periods.

    Parameters
    ----------
    probability
        [M, H] chance to have run out by the end of each period.
    first_period
        [M] the period (from 1) in which it ran out; nan (or beyond H): not within the H periods.

    >>> ranked_probability_score([[0.0, 0.5, 1.0]], [2]).tolist(), ranked_probability_score([[0.5, 0.5]], [np.nan])
    ([0.08333333333333333], array([0.25]))
    """
    said = np.asarray(probability, dtype=np.float64)
    first = np.asarray(first_period, dtype=np.float64)
    if said.ndim != 2 or first.shape != said.shape[:1]:
        raise ParameterError(
            f"probability must be [rows, periods] with one first period for each row, got {said.shape} and "
            f"{first.shape}"
        )
    happened = np.arange(1, said.shape[1] + 1) >= np.where(np.isnan(first), np.inf, first)[:, None]
    return np.asarray(((said - happened) ** 2).mean(axis=1), dtype=np.float64)


def _checked(probability: ArrayLike, happened: ArrayLike) -> tuple[Floats, Floats]:
    said = np.asarray(probability, dtype=np.float64)
    came = np.asarray(happened, dtype=np.float64)
    if said.ndim != 1 or said.shape != came.shape or not len(said):
        raise ParameterError(
            f"probabilities and what happened must be one number each for the same rows, at least one, got "
            f"{said.shape} and {came.shape}"
        )
    if not np.all((said >= 0) & (said <= 1)):
        raise ParameterError("probabilities must be from 0 to 1; leave rows out of which none is known")
    if not np.all((came == 0) | (came == 1)):
        raise ParameterError("what happened must be 0 or 1; leave out rows whose demand was censored")
    return said, came
