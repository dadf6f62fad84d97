"""What an ensemble is put together by: weights by class of demand, noise by part of the horizon, dependence.

All three are chosen on a rehearsal, each on the blend that those before it make. Letters as in `rehearsal`; C parts of
the horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.blending import blend, choose_weights, member_errors, rows_of
from shelfwise.forecasting.conformal import agreed_factors, relative_noise, widened
from shelfwise.forecasting.demand_classes import CLASSES
from shelfwise.forecasting.held_out import YEAR_TOLD, Outcome, dependence_of, reference_horizon
from shelfwise.forecasting.level_season import DEFAULT_LEVEL_SHARE
from shelfwise.forecasting.rehearsal import Rehearsal, backs_of

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plan:
    """What was chosen on the rehearsal.

    Parameters
    ----------
    names
        Members that answered in it.
    shares
        [classes, M] weights, each row summing to 1.
    parts
        [C] last step of each part of the horizon; the last part goes on beyond.
    factors
        [classes, C] on the noise.
    dependence
        Of the blend's errors over time and between series.
    errors
        [classes, M, 2] weighted quantile loss and scaled loss of each member by itself, NaN where not measured.
    rows
        [classes] rows (a series at a cutoff) behind them.
    """

    names: tuple[str, ...]
    shares: Floats
    parts: Integers
    factors: Floats
    dependence: Dependence
    errors: Floats
    rows: Integers

    @classmethod
    def alone(cls, names: Sequence[str]) -> Plan:
        """Return the plan without a rehearsal: the first member answers for all."""
        shares = np.zeros((len(CLASSES), len(names)))
        shares[:, 0] = 1.0
        return cls(
            names=tuple(names),
            shares=shares,
            parts=np.array([1], dtype=np.int64),
            factors=np.ones((len(CLASSES), 1)),
            dependence=Dependence(0.0, DEFAULT_LEVEL_SHARE),
            errors=np.full((len(CLASSES), len(names), 2), np.nan),
            rows=np.zeros(len(CLASSES), dtype=np.int64),
        )

    @classmethod
    def of(cls, rehearsal: Rehearsal) -> Plan:
        """Return weights, then noise, then dependence, each chosen on the blend that those before it make."""
        outcomes = rehearsal.outcomes
        shares = choose_weights(rehearsal, len(CLASSES))
        mean, variance = blend(rehearsal.mean, rehearsal.variance, rows_of(outcomes, shares))
        parts = parts_of(rehearsal.horizon)
        reference = (rehearsal.mean[0], rehearsal.variance[0])
        relative = relative_noise((mean, variance), reference, outcomes, len(CLASSES), parts)
        step = part_of_steps(parts, rehearsal.horizon)
        variance = widened(mean, variance, relative[outcomes.classes][:, step], outcomes.is_count)
        agreed = agreed_factors(mean, variance, outcomes, len(CLASSES))
        variance = widened(mean, variance, agreed[outcomes.classes][:, None], outcomes.is_count)
        return cls(
            names=rehearsal.names,
            shares=shares,
            parts=parts,
            factors=relative * agreed[:, None],
            dependence=_dependence(mean, variance, rehearsal),
            errors=member_errors(rehearsal, len(CLASSES)),
            rows=np.bincount(outcomes.classes, minlength=len(CLASSES)).astype(np.int64),
        )

    def among(self, names: Sequence[str]) -> Plan:
        """Return the plan with all weight on ``names``, in their proportions; without any of them, as it is.

        Where that is the reference alone, its noise stays what it says: the factors belong to the blend.
        """
        kept = np.array([name in names for name in self.names])
        if not kept.any():
            return self
        shares = np.where(kept, self.shares, 0.0)
        lost = shares.sum(axis=1) <= 0
        shares[lost, int(np.argmax(kept))] = 1.0
        factors = np.ones_like(self.factors) if kept[0] and kept.sum() == 1 else self.factors
        return replace(self, shares=shares / shares.sum(axis=1, keepdims=True), factors=factors)

    def to_header(self) -> dict[str, Any]:
        """Return what fits into JSON."""
        return {"names": self.names, "dependence": asdict(self.dependence)}

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the rest."""
        return {name: getattr(self, name) for name in _PLAN_ARRAYS}

    @classmethod
    def from_arrays(cls, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Plan:
        """Return the plan that `to_header` and `to_arrays` described."""
        dependence: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in header["dependence"].items()
        }
        return cls(
            names=tuple(header["names"]),
            dependence=Dependence(**dependence),
            **{name: arrays[name] for name in _PLAN_ARRAYS},
        )


_PLAN_ARRAYS: Final = ("shares", "parts", "factors", "errors", "rows")


def rehearsed_without_a_year(panel: Panel) -> bool:
    """Return whether the past that members are rehearsed on is too short to tell the shape of a year.

    What rises towards a season and falls after it looks like a trend there: members that follow trends, or repeat what
    was last, win a rehearsal held on the way up and lose what comes after. That holds for weeks and months, whose
    rehearsal spans a good part of a year.
    """
    if panel.freq.unit not in ("w", "mo") or not panel.n_series:
        return False
    longest = int(panel.lengths.max(initial=0))
    backs = backs_of(longest, reference_horizon(panel))
    return bool(backs) and longest - backs[0] < YEAR_TOLD * panel.freq.periods_per_year


def parts_of(horizon: int) -> Integers:
    """Return the last step of the early, middle and late part of a horizon.

    >>> parts_of(28).tolist(), parts_of(1).tolist()
    ([7, 14, 28], [1])
    """
    return np.unique(np.maximum(1, np.array([horizon // 4, horizon // 2, horizon]))).astype(np.int64)


def part_of_steps(parts: Integers, horizon: int) -> Integers:
    """Return the part [H] that each step of a horizon belongs to."""
    found: Integers = np.minimum(np.searchsorted(parts, np.arange(1, horizon + 1)), len(parts) - 1)
    return found


def _dependence(mean: Floats, variance: Floats, rehearsal: Rehearsal) -> Dependence:
    """Return how the errors of a blend hang together, from its moments [R, H] at every cutoff."""
    outcomes = []
    for window in range(rehearsal.outcomes.n_windows):
        rows = rehearsal.outcomes.windows == window
        came = rehearsal.outcomes.only(rows)
        outcomes.append(Outcome(mean[rows], variance[rows], came.actual, came.scored))
    return dependence_of(outcomes, is_count=rehearsal.outcomes.is_count)
