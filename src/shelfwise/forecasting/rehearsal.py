"""Rehearsal: every member of an ensemble is fitted once on an early past and asked at several cutoffs since.

A predictor reads its history from the panel it is handed, so one early fit serves all cutoffs, and nothing of what came
after a cutoff is in its answer. A member that fails, gives no finite number or explodes is left out, with the reason.

Members wrap libraries that raise whatever they like, from ``ValueError`` to classes of their own, so any ``Exception``
of theirs counts as a failure that is told. Two things go on up: an interruption (``KeyboardInterrupt`` is none), and
``MemoryError``, which is the machine's fault: a forecast must not depend on how much memory was free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.conformal import Outcomes
from shelfwise.forecasting.contract import Estimator, Predictor
from shelfwise.forecasting.demand_classes import classes_of
from shelfwise.forecasting.held_out import cells_after, reference_horizon, sample_of
from shelfwise.forecasting.metrics import naive_scales
from shelfwise.forecasting.models.base_level import BaseLevel, BaseLevelPredictor
from shelfwise.forecasting.models.trees import Trees, TreesPredictor

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FEWEST_CUTOFFS, MOST_CUTOFFS = 2, 4
REHEARSED: Final = 0.4  # of the longest history, at most, lies after the early fit
LEAST: Final = 8  # periods of history for an early fit
EXPLODED: Final = 20.0  # times the largest value of a series' past: no demand, but a fault of the model
FEW: Final = 0.01  # of the rows that may explode before the member is left out for all
ASTRAY: Final = 2.5  # times what the base model expects of many series together, or that part of it
MANY: Final = 20  # series whose total one of them alone cannot turn
LOOKED_AT: Final = 300  # series, chosen by a hash of their ids, that a final fit is looked at on
TREE_ROWS: Final = 100_000  # that trees are trained on for a rehearsal: four times as many gain next to nothing
PATHS: Final = 200  # that a member's moments are read off where it draws its own
PATH_SEED: Final = 0  # moments are the member's, not the draw's


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """What the members said at past cutoffs, beside what came: M members, R rows (a series at a cutoff), H periods.

    Parameters
    ----------
    names
        Members that answered; the first is the reference.
    mean, variance
        [M, R, H] units, units squared.
    outcomes
        What came, with class and cutoff of each row.
    scale
        [R] mean absolute change over a season in each row's past, NaN where unknown: the scale of MASE.
    failures
        Members left out, with the reason.
    twins
        Members whose answer is the reference's own, with what they say about it.
    """

    names: tuple[str, ...]
    mean: Floats
    variance: Floats
    outcomes: Outcomes
    scale: Floats
    failures: dict[str, str] = field(default_factory=dict)
    twins: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        """Periods H after each cutoff."""
        return int(self.mean.shape[2])


def rehearse(panel: Panel, members: Sequence[Estimator], sample: int) -> Rehearsal | None:
    """Return the rehearsal of ``members`` on a panel, or None where the history is too short for one.

    Parameters
    ----------
    members
        The first that answers is the reference.
    sample
        Series, at most, that members are fitted on and asked about, chosen by a hash of their ids.

    Raises
    ------
    ModelError
        No member answered.
    """
    horizon = reference_horizon(panel) if panel.n_series else 1
    backs = backs_of(int(panel.lengths.max(initial=0)), horizon)
    if not backs:
        return None
    pool = sample_of(panel, sample, backs[0])
    early = pool.until(pool.ends - backs[0])
    pasts = [pool.until(pool.ends - back) for back in backs]
    came = [cells_after(pool, past.ends, horizon) for past in pasts]
    means: dict[str, Floats] = {}
    variances: dict[str, Floats] = {}
    failures: dict[str, str] = {}
    twins: dict[str, tuple[str, ...]] = {}
    for member, fitted in fit_all([_lighter(member) for member in members], early, failures):
        try:
            answers = [moments_of(fitted, past, horizon) for past in pasts]
            bad = np.concatenate([unsound(*answer, past) for answer, past in zip(answers, pasts, strict=True)])
            if bad.mean() > FEW:
                raise ModelError(f"{bad.mean():.0%} of its forecasts exploded or were no finite numbers")
        except MemoryError:
            raise
        except Exception as error:  # whatever a library raises: the others answer without it
            failures[member.name] = reason_of(error)
            continue
        mean, variance = (np.concatenate([answer[i] for answer in answers]) for i in range(2))
        if not means and bad.any():
            failures[member.name] = f"{int(bad.sum())} of its forecasts exploded or were no finite numbers"
            continue
        reference = next(iter(means), "")
        if reference:
            mean[bad], variance[bad] = means[reference][bad], variances[reference][bad]
            if np.array_equal(mean, means[reference]) and np.array_equal(variance, variances[reference]):
                twins[member.name] = tuple(getattr(fitted, "notes", ()))
                continue
        means[member.name], variances[member.name] = mean, variance
    if not means:
        raise ModelError(f"no member could be fitted on an early past: {'; '.join(failures.values())}")
    actual, scored = (np.concatenate([pair[i] for pair in came]) for i in range(2))
    season = panel.freq.season
    return Rehearsal(
        names=tuple(means),
        mean=np.stack(list(means.values())),
        variance=np.stack(list(variances.values())),
        outcomes=Outcomes(
            actual=np.where(scored, np.nan_to_num(actual), 0.0),
            scored=scored,
            classes=np.concatenate([classes_of(past) for past in pasts]),
            windows=np.repeat(np.arange(len(pasts)), pool.n_series),
            is_count=panel.is_count,
        ),
        scale=np.concatenate([_scale(past, season) for past in pasts]),
        failures=failures,
        twins=twins,
    )


def _scale(past: Panel, season: int) -> Floats:
    """Return the mean absolute change [n] over a season, of periods that were recorded and on sale."""
    length = max(1, int(past.lengths.max(initial=0)))
    seen = np.where(past.available_window(length), past.window(length), np.nan)
    return naive_scales(seen, season)[0]


def backs_of(longest: int, horizon: int) -> list[int]:
    """Return how many periods before the end each cutoff lies, the earliest first; none for too short a history.

    Windows follow each other; where there is room for two only, a third lies across them.

    >>> backs_of(400, 28), backs_of(60, 12), backs_of(9, 1)
    ([112, 84, 56, 28], [24, 18, 12], [])
    """
    fit = int(REHEARSED * longest) // horizon
    cutoffs = int(np.clip(fit, FEWEST_CUTOFFS, MOST_CUTOFFS))
    if longest - cutoffs * horizon < max(LEAST, horizon):
        return []
    if cutoffs == FEWEST_CUTOFFS:
        return list(dict.fromkeys((2 * horizon, horizon + horizon // 2, horizon)))
    return [horizon * k for k in range(cutoffs, 0, -1)]


def fit_ahead(members: Sequence[Estimator], panel: Panel) -> dict[str, Predictor]:
    """Return the trees among the members, fitted: by far the longest fit, and hardly ever one without weight.

    What cannot be fitted is left out here and fails where its reason is told.
    """
    found: dict[str, Predictor] = {}
    for member in members:
        if isinstance(member, Trees):
            with suppress(Exception):  # `fit_all` fits it again, and tells or raises what it meets
                found[member.name] = member.fit(panel)
    return found


def fit_all(
    members: Sequence[Estimator],
    panel: Panel,
    failures: dict[str, str],
    ready: Mapping[str, Predictor] = MappingProxyType({}),
) -> list[tuple[Estimator, Predictor]]:
    """Return the members that can be fitted on ``panel``; the reasons of the others are put into ``failures``.

    ``ready`` are members that have been fitted on it already.
    """
    fitted: dict[str, Predictor] = {}
    for member in sorted(members, key=lambda member: not isinstance(member, Trees)):  # trees hold a base model
        try:
            known = ready.get(member.name) or _base_inside(member, members, fitted)
            fitted[member.name] = known or member.fit(panel)
        except MemoryError:
            raise
        except Exception as error:  # whatever a library raises: the others answer without it
            failures[member.name] = reason_of(error)
    return [(member, fitted[member.name]) for member in members if member.name in fitted]


def astray(fitted: Mapping[str, Predictor], panel: Panel) -> dict[str, str]:
    """Return the members whose final fit expects a total far from the base model's, with the reason.

    What was rehearsed is a lighter fit on an earlier past, so nothing else would notice a final fit that went wrong,
    and a global model that does takes every series with it. Models of demand differ by tens of percent over many
    series, never by a factor of `ASTRAY`.
    """
    reference = next((member for member in fitted.values() if isinstance(member, BaseLevelPredictor)), None)
    if reference is None or panel.n_series < MANY:
        return {}
    some = sample_of(panel, LOOKED_AT)
    horizon = reference_horizon(panel)
    expected = float(moments_of(reference, some, horizon)[0].sum())
    found: dict[str, str] = {}
    for name, member in fitted.items():
        if member is reference or some.n_series < MANY or not expected > 0:
            continue
        try:
            total = float(moments_of(member, some, horizon)[0].sum())
        except MemoryError:
            raise
        except Exception:  # noqa: S112  (what fails when it is asked is told and left out there)
            continue
        if np.isfinite(total) and not expected / ASTRAY <= total <= expected * ASTRAY:
            found[name] = (
                f"it expects {total:.3g} units of {some.n_series:,} series, where {reference.name} "
                f"expects {expected:.3g}"
            )
    return found


def _lighter(member: Estimator) -> Estimator:
    """Return a member that is rehearsed at less cost than it is fitted."""
    return replace(member, rows=min(member.rows, TREE_ROWS)) if isinstance(member, Trees) else member


def _base_inside(
    member: Estimator, members: Sequence[Estimator], fitted: Mapping[str, Predictor]
) -> BaseLevelPredictor | None:
    """Return the base model that fitted trees stand on, where it is the one ``member`` would fit again."""
    if not isinstance(member, BaseLevel) or member.cutoffs != BaseLevel.cutoffs:
        return None
    for other in members:
        found = fitted.get(other.name)
        if isinstance(other, Trees) and other.trust is not None and isinstance(found, TreesPredictor):
            same = ("half_lives", "history_days", "sample")
            if all(getattr(other, name) == getattr(member, name) for name in same):
                return BaseLevelPredictor(found.fitted)
    return None


def reason_of(error: Exception) -> str:
    """Return what is told of an error: a message of ours as it stands, another with its kind.

    >>> reason_of(ModelError("no history")), reason_of(ValueError("math"))
    ('no history', 'ValueError: math')
    """
    return str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"


def moments_of(predictor: Predictor, panel: Panel, horizon: int) -> tuple[Floats, Floats]:
    """Return mean and variance [N, H] of a member's forecast; nothing is expected on known closed periods."""
    forecast = predictor.predict(panel, horizon, n_paths=PATHS, seed=PATH_SEED)
    if forecast.marginals is not None:
        mean, variance = forecast.marginals.mean.copy(), forecast.marginals.variance.copy()
    else:
        mean, variance = (np.asarray(x, dtype=np.float64) for x in _of_paths(forecast.paths))
    if "open" in panel.known_future:
        closed = panel.known_future["open"].at(panel.ends, horizon) <= 0  # [N, H], missing read as open
        mean[closed], variance[closed] = 0.0, 0.0
    return mean, variance


def _of_paths(paths: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    with np.errstate(all="ignore"):  # what is not finite is found by `unsound`
        return paths.mean(axis=1, dtype=np.float64), paths.var(axis=1, dtype=np.float64)


def unsound(mean: Floats, variance: Floats, panel: Panel) -> Flags:
    """Return which rows [N] hold numbers that are not finite, below zero, or many times beyond the series' past."""
    with np.errstate(invalid="ignore"):
        finite = (np.isfinite(mean) & np.isfinite(variance) & (mean >= 0) & (variance >= 0)).all(axis=1)
        highest = highest_of(panel)
        beyond = (mean.max(axis=1, initial=0.0) > EXPLODED * highest) & (highest > 0)
    found: Flags = ~finite | beyond
    return found


def highest_of(panel: Panel) -> Floats:
    """Return the largest demand [N] ever seen of each series, 0 where nothing was."""
    found = np.zeros(panel.n_series)
    filled = np.flatnonzero(panel.lengths > 0)
    seen = np.nan_to_num(panel.values)
    if panel.available is not None:
        seen = np.where(panel.available, seen, 0.0)
    if len(filled):
        found[filled] = np.maximum.reduceat(seen, panel.offsets[:-1][filled])
    return np.maximum(found, 0.0)
