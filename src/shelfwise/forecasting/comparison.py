"""Whether one model is better than another, or only looked so: a paired comparison over series.

Two models forecast the same series at the same cutoffs, so their losses are compared pair by pair. The interval of the
difference comes from a paired bootstrap: series are drawn with replacement, each with all its cutoffs and with the
losses of both models, and the weighted quantile losses are worked out anew. Source: Efron and Tibshirani, 1993, An
Introduction to the Bootstrap, chapter 13 (percentile intervals).

What it does not know: the cutoffs are taken as they are, so a quarter unlike those tested is not in the interval, and
neither is that the best of many models was chosen on these very windows.

Shape letters: N series, C cutoffs, M models, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.paths import keyed_generator

Floats = npt.NDArray[np.floating[Any]]

RESAMPLES: Final = 1000
INTERVAL: Final = (0.025, 0.975)
"""The interval holds 95 % of the resamples."""
FEWEST_SERIES: Final = 10
"""Below so many series a resample says nothing about other series, and no interval is given."""
_AT_ONCE: Final = 50

VERDICTS: Final = ("best", "no clear difference", "worse", "too few series")


@dataclass(frozen=True, eq=False)
class SeriesLosses:
    """What one model lost at one cutoff, series by series.

    Parameters
    ----------
    model, cutoff
        Names.
    ids
        [N] series ids.
    losses
        [N] weighted quantile loss in units, not yet divided by the units sold.
    units
        [N] units sold.
    """

    model: str
    cutoff: str
    ids: tuple[str, ...]
    losses: Floats
    units: Floats

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.losses) == len(self.units):
            raise ParameterError(
                f"{len(self.ids)} ids do not fit {len(self.losses)} losses and {len(self.units)} units; give one each"
            )


def beside_the_best(
    given: Sequence[SeriesLosses], *, seed: int = 0, resamples: int = RESAMPLES, fewest: int = FEWEST_SERIES
) -> pl.DataFrame:
    """Return one row per model, the best first, with how it stands to the best.

    Parameters
    ----------
    given
        Every model at the same cutoffs and series.
    seed
        Seed of the resamples; the order of series, cutoffs and models changes nothing.
    resamples
        Resamples B.
    fewest
        With fewer series no interval is given.

    Returns
    -------
    pl.DataFrame
        ``model``; ``wql``, the mean over cutoffs; ``difference``, wql over the best's, less 1, with ``low`` and
        ``high`` of its 95 % interval; ``series`` compared; ``closer_share``, the share of them on which it lost less
        than the best (a tie counts half); ``verdict``, one of `VERDICTS`. Null where there is nothing to compare.

    Raises
    ------
    ParameterError
        Models were not scored at the same cutoffs.

    >>> few = np.array([1.0, 2.0]), np.array([4.0, 4.0])
    >>> mine = SeriesLosses("mine", "2026-01-31", ("a", "b"), *few)
    >>> other = SeriesLosses("other", "2026-01-31", ("a", "b"), few[0] * 2, few[1])
    >>> beside_the_best([other, mine]).select("model", "wql", "difference", "closer_share").rows()
    [('mine', 0.375, 0.0, None), ('other', 0.75, 1.0, 0.0)]
    """
    schema = {
        "model": pl.String, "wql": pl.Float64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64,
        "series": pl.Int64, "closer_share": pl.Float64, "verdict": pl.String,
    }  # fmt: skip
    if not given:
        return pl.DataFrame(schema=schema)
    models, losses, units = _stacked(given)
    everyone = np.ones((1, losses.shape[1]))
    wql = _wql(everyone, losses, units)[0]  # [M]
    order = sorted(range(len(models)), key=lambda m: (np.isnan(wql[m]), wql[m], models[m]))
    best, n = order[0], losses.shape[1]
    drawn = None if n < fewest else _resampled(losses, units, seed, resamples)  # [B, M]
    rows = []
    for m in order:
        low = high = closer = None
        if m != best:
            mine, theirs = losses[m].sum(axis=1), losses[best].sum(axis=1)  # [N]
            closer = float((mine < theirs).mean() + (mine == theirs).mean() / 2)
            if drawn is not None:
                ratios = _ratio(drawn[:, m], drawn[:, best])
                if not np.isnan(ratios).any():
                    low, high = (float(each) for each in np.quantile(ratios, INTERVAL))
        difference = float(_ratio(wql[m], wql[best]))
        verdict = "best" if m == best else _verdict(low)
        rows.append((models[m], float(wql[m]), difference, low, high, n, closer, verdict))
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("wql", "difference").fill_nan(None))


def _verdict(low: float | None) -> str:
    if low is None:
        return "too few series"
    return "worse" if low > 0 else "no clear difference"


def _ratio(mine: Any, best: Any) -> Any:
    """Return mine / best - 1; 0 where both are nothing, NaN where only the best is."""
    mine, best = np.asarray(mine, dtype=np.float64), np.asarray(best, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mine / best - 1.0
    return np.where((best == 0) & (mine == 0), 0.0, np.where(best == 0, np.nan, found))


def _stacked(given: Sequence[SeriesLosses]) -> tuple[list[str], Floats, Floats]:
    """Return models [M], losses [M, N, C] and units sold [N, C], all in the order of their names."""
    models = sorted({each.model for each in given})
    cutoffs = sorted({each.cutoff for each in given})
    ids = sorted({name for each in given for name in each.ids})
    place = {name: i for i, name in enumerate(ids)}
    found = {(each.model, each.cutoff): each for each in given}
    lost = [(model, cutoff) for model in models for cutoff in cutoffs if (model, cutoff) not in found]
    if lost:
        raise ParameterError(
            f"model {lost[0][0]} has no score at cutoff {lost[0][1]}; compare models that have the same cutoffs"
        )
    losses, units = np.zeros((len(models), len(ids), len(cutoffs))), np.zeros((len(ids), len(cutoffs)))
    for (model, cutoff), each in found.items():
        at = [place[name] for name in each.ids]
        losses[models.index(model), at, cutoffs.index(cutoff)] = each.losses
        units[at, cutoffs.index(cutoff)] = each.units
    return models, losses, units


def _wql(weights: Floats, losses: Floats, units: Floats) -> Floats:
    """Return [B, M] mean over cutoffs of the weighted quantile loss, each series counted ``weights`` [B, N] times."""
    sold = weights @ units  # [B, C]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_cutoff = np.where(sold > 0, (weights @ losses) / sold, np.nan)  # [M, B, C]
    counted = ~np.isnan(by_cutoff)
    total = np.where(counted, by_cutoff, 0.0).sum(axis=2)
    cutoffs = counted.sum(axis=2)
    found: Floats = np.where(cutoffs > 0, total / np.maximum(cutoffs, 1), np.nan).T
    return found


def _resampled(losses: Floats, units: Floats, seed: int, resamples: int) -> Floats:
    """Return [B, M] weighted quantile losses of resampled series, a few resamples at a time to keep memory flat."""
    rng, n = keyed_generator(seed, "comparison"), losses.shape[1]
    found = []
    for start in range(0, resamples, _AT_ONCE):
        drawn = rng.integers(n, size=(min(_AT_ONCE, resamples - start), n))
        weights = np.stack([np.bincount(each, minlength=n) for each in drawn]).astype(np.float64)  # [B, N]
        found.append(_wql(weights, losses, units))
    return np.concatenate(found)
