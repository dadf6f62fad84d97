"""The ensemble: several models blended by class of demand, its noise calibrated, and an answer whatever fails.

Members are rehearsed on the end of the panel's past, weighed by class of demand, and those with any weight are fitted
on the whole panel. The blend is a compact forecast like that of one model: marginal distributions, and a dependence
measured on the blend's own rehearsed errors. A member that fails is left out and named in the notes; the others answer,
and where none does for a series, its own past does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.blending import blend
from shelfwise.forecasting.censoring import bounded
from shelfwise.forecasting.conformal import widened
from shelfwise.forecasting.contract import Composed, Estimator, Predictor, check_horizon
from shelfwise.forecasting.demand_classes import CLASSES, classes_of
from shelfwise.forecasting.ensemble_plan import Plan, part_of_steps, rehearsed_without_a_year
from shelfwise.forecasting.models.base_level import BaseLevel, BaseLevelPredictor
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.theta import Theta
from shelfwise.forecasting.models.trees import Trees, TreesPredictor
from shelfwise.forecasting.rehearsal import (
    Rehearsal,
    astray,
    fit_ahead,
    fit_all,
    moments_of,
    reason_of,
    rehearse,
    unsound,
)

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

VERSION: Final = "1"
LARGE: Final = 5_000_000  # periods of all series together from which members are fitted while others are rehearsed
_Question = tuple[int, frozenset[str], frozenset[str]]
"""Horizon, and the names of the covariates of both kinds: what a member's notes can depend on."""
ROWS_AT_ONCE: Final = 2048  # series asked about at once, so that drawn paths of a member stay small
OTHER_MODELS: Final = "other_models"  # the factor on the mean that the blend adds to what a member explains
UNUSED: Final = "covariates not used"  # how a member's note on them begins


def members_of() -> tuple[Estimator, ...]:
    """Return the members: the base model first, as the reference, then what may be better for some series."""
    return (BaseLevel(), Trees(trust=1.0), Theta(), SeasonalNaive(weekly=True))


@dataclass(frozen=True)
class Ensemble:
    """The ensemble's parameters.

    Parameters
    ----------
    members
        Models to blend, at least 1, each under a name of its own. The first is the reference that others must beat, and
        the order is that in which they stand in for each other.
    sample
        Series that members are rehearsed on, chosen by a hash of their ids; at least 50.

    >>> Ensemble(members=())
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: an ensemble needs at least 1 member, got none
    """

    name: str = field(default="ensemble", init=False)
    members: tuple[Estimator, ...] = field(default_factory=members_of)
    sample: int = 1000

    def __post_init__(self) -> None:
        if not self.members:
            raise ParameterError("an ensemble needs at least 1 member, got none")
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ParameterError(f"members need names of their own, got {', '.join(names)}")
        if self.sample < 50:
            raise ParameterError(f"sample must be at least 50, got {self.sample}")

    def fit(self, panel: Panel) -> EnsemblePredictor:
        """Return a predictor with the members that carry weight fitted on ``panel``.

        Raises
        ------
        ModelError
            No member could be fitted; the message gives their reasons.
        """
        panel = bounded(panel)  # members are not weighed on the quiet days alone
        if len(panel.values) < LARGE:
            return self._weighed(panel, None)
        with ThreadPoolExecutor(max_workers=1) as beside:  # fitting trees takes as long as all the rest
            return self._weighed(panel, beside.submit(fit_ahead, self.members, panel))

    def _weighed(self, panel: Panel, ahead: Future[dict[str, Predictor]] | None) -> EnsemblePredictor:
        """Return the predictor; ``ahead`` brings members that are being fitted already."""
        failures: dict[str, str] = {}
        notes: list[str] = []
        rehearsal: Rehearsal | None = None
        if len(self.members) > 1:
            try:
                rehearsal = rehearse(panel, self.members, self.sample)
            except ModelError as error:
                notes.append(f"members are not weighed: {error}")
        names = tuple(member.name for member in self.members) if rehearsal is None else rehearsal.names
        plan = Plan.alone(names) if rehearsal is None else Plan.of(rehearsal)
        if rehearsal is not None and rehearsed_without_a_year(panel):
            plan = plan.among([member.name for member in self.members if isinstance(member, BaseLevel)])
        if rehearsal is not None:
            failures |= rehearsal.failures
            notes += [note for told in rehearsal.twins.values() for note in told]
        fitted = self._fit(panel, plan, failures, {} if ahead is None else ahead.result())
        failures |= astray(fitted, panel)
        fitted = {name: predictor for name, predictor in fitted.items() if name not in failures}
        notes += [f"member {name} is left out: {reason}" for name, reason in failures.items()]
        return EnsemblePredictor(panel.freq, panel.is_count, fitted, plan, tuple(dict.fromkeys(notes)))

    def _fit(
        self, panel: Panel, plan: Plan, failures: dict[str, str], ready: Mapping[str, Predictor]
    ) -> dict[str, Predictor]:
        """Return the members with weight or without cost, and where all fail, the first of the others that does not."""
        known = [member for member in self.members if member.name in plan.names and member.name not in failures]
        heavy = {name for name, share in zip(plan.names, plan.shares.T, strict=True) if share.any()}
        free = (Theta, SeasonalNaive, BaseLevel) if "trees" in heavy else (Theta, SeasonalNaive)  # at no cost
        wanted = [member for member in known if member.name in heavy or isinstance(member, free)]
        found = {member.name: predictor for member, predictor in fit_all(wanted, panel, failures, ready)}
        for member in self.members:
            if not found and member.name not in failures:
                found |= {one.name: predictor for one, predictor in fit_all([member], panel, failures)}
        if not found:
            raise ModelError(f"no member could be fitted: {'; '.join(failures.values())}")
        return found

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> EnsemblePredictor:
        """Return the predictor that `EnsemblePredictor.to_arrays` described."""
        try:
            header = json.loads(arrays["ensemble"].tobytes())
            known = {member.name: member for member in (*members_of(), *self.members)}
            members = {
                name: known[name].restore(
                    {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}
                )
                for name in header["members"]
            }
            return EnsemblePredictor(
                freq=Frequency(*header["freq"]),
                is_count=header["is_count"],
                members=members,
                plan=Plan.from_arrays(header, arrays),
                notes=tuple(header["notes"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"stored ensemble cannot be read: {error}; fit it again") from error


@dataclass(frozen=True, eq=False)
class EnsemblePredictor:
    """The ensemble, fitted.

    Parameters
    ----------
    freq, is_count
        Of the panel it was fitted on.
    members
        Fitted members by name, in the order they stand in for each other: with weight, or without cost.
    plan
        Weights, noise and dependence.
    notes
        What a reader must know of the fit.
    """

    freq: Frequency
    is_count: bool
    members: dict[str, Predictor]
    plan: Plan
    notes: tuple[str, ...]
    name: str = field(default="ensemble", init=False)
    version: str = field(default=VERSION, init=False)
    working: dict[_Question, dict[str, list[str]]] = field(default_factory=dict, init=False, repr=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`."""
        mean, variance, told = self._moments(panel, check_horizon(horizon))
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed, (*self.notes, *told)),
            n_paths=n_paths,
            marginals=Marginals(mean, variance, self.is_count),
            dependence=self.plan.dependence,
        )

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return what each forecast is made of: factors [N, H] whose product is the mean.

        Those of the first member that explains itself, the trees before the base model, times ``other_models``: what
        the blend makes of it. Where that member expects nothing, ``level`` is the blend's mean and the rest is 1.
        """
        mean = self._moments(panel, check_horizon(horizon))[0]
        first = [self.members[name] for name in ("trees", "base_level") if name in self.members]
        explaining = [member for member in (*first, *self.members.values()) if isinstance(member, Composed)]
        if not explaining:
            return {"level": mean}
        factors = {name: values.copy() for name, values in explaining[0].components(panel, horizon).items()}
        product = np.ones(mean.shape)
        for values in factors.values():
            product = product * values
        silent = (product <= 0) & (mean > 0)
        for name, values in factors.items():
            values[silent] = mean[silent] if name == "level" else 1.0
        product[silent] = mean[silent]
        factors[OTHER_MODELS] = np.divide(mean, product, out=np.ones(mean.shape), where=product > 0)
        return factors

    @property
    def weights(self) -> pl.DataFrame:
        """One row per class of demand and member: ``class, member, weight``, and the rehearsed ``rows`` behind it."""
        return self._by_class(pl.Series("weight", self.plan.shares.ravel()))

    @property
    def errors(self) -> pl.DataFrame:
        """One row per class and member: ``class, member, rows, wql, scaled``, each member's losses in the rehearsal.

        ``wql`` counts every unit, ``scaled`` every series by its own scale; NaN where nothing was rehearsed.
        """
        wql, scaled = (pl.Series(name, self.plan.errors[:, :, i].ravel()) for i, name in enumerate(("wql", "scaled")))
        return self._by_class(wql, scaled)

    @property
    def noise(self) -> pl.DataFrame:
        """One row per class and part of the horizon: ``class, first, last`` step and the ``factor`` on the noise."""
        first = np.concatenate([[1], self.plan.parts[:-1] + 1])
        classes, parts = self.plan.factors.shape
        return pl.DataFrame(
            {
                "class": np.repeat(CLASSES, parts),
                "first": np.tile(first, classes),
                "last": np.tile(self.plan.parts, classes),
                "factor": self.plan.factors.ravel(),
            }
        )

    def _by_class(self, *columns: pl.Series) -> pl.DataFrame:
        members = len(self.plan.names)
        return pl.DataFrame(
            [
                pl.Series("class", np.repeat(CLASSES, members)),
                pl.Series("member", np.tile(self.plan.names, len(CLASSES))),
                pl.Series("rows", np.repeat(self.plan.rows, members)),
                *columns,
            ]
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays; those of a member begin with its name."""
        header = {
            "freq": [self.freq.count, self.freq.unit, self.freq.anchor],
            "is_count": self.is_count,
            "members": list(self.members),
            "notes": self.notes,
            **self.plan.to_header(),
        }
        arrays = {"ensemble": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **self.plan.to_arrays()}
        for name, member in self.members.items():
            arrays |= {f"{name}/{key}": array for key, array in member.to_arrays().items()}
        return arrays

    # ------------------------------------------------------------------ asking

    def _moments(self, panel: Panel, horizon: int) -> tuple[Floats, Floats, tuple[str, ...]]:
        """Return mean and variance [N, H] of the blend, and what a reader must know of it."""
        if panel.freq != self.freq:
            raise ModelError(f"fitted on periods of {self.freq}, asked for {panel.freq}; fit on such a panel")
        shaped = [m for m in self.members.values() if isinstance(m, BaseLevelPredictor | TreesPredictor)]
        if shaped:  # all members read what sold out alike, as they did when they were weighed
            panel = bounded(panel, shaped[0].fitted)
        told = self._who_answers(panel, horizon)
        working = {name: member for name, member in self.members.items() if name not in told.failed}
        mean, variance = np.empty((panel.n_series, horizon)), np.empty((panel.n_series, horizon))
        for low in range(0, panel.n_series, ROWS_AT_ONCE):
            rows = np.arange(low, min(low + ROWS_AT_ONCE, panel.n_series))
            mean[rows], variance[rows] = self._block(panel.select(rows), horizon, working, told)
        return mean, variance, told.notes()

    def _who_answers(self, panel: Panel, horizon: int) -> _Told:
        """Return which members answer and what they say; where all do, it holds for every panel of such columns.

        Else a live forecast of one product would spend a tenth of its time on asking all members about nothing.
        """
        question = (horizon, frozenset(panel.known_future), frozenset(panel.past_only))
        said = self.working.get(question)
        if said is not None:
            return _Told(said=dict(said))
        told = _Told()
        for name, member in self.members.items():
            told.try_out(name, member, panel, horizon)
        if not told.failed:
            self.working[question] = dict(told.said)
        return told

    def _block(
        self, panel: Panel, horizon: int, working: Mapping[str, Predictor], told: _Told
    ) -> tuple[Floats, Floats]:
        """Return mean and variance [n, H] of a block of series, each from its own history alone."""
        classes = classes_of(panel)
        wanted = self.plan.shares[classes].T.copy()  # [M, n]
        wanted[[name not in working for name in self.plan.names]] = 0.0
        means = np.zeros((len(wanted), panel.n_series, horizon))
        variances = np.zeros(means.shape)
        asked = np.zeros(wanted.shape, dtype=np.bool_)

        def ask(member: int, rows: Integers) -> None:
            name = self.plan.names[member]
            some = panel.select(rows)
            found = told.ask(name, working[name], some, horizon)
            bad = unsound(*found, some)
            if bad.any():
                told.add_exploded(name, some.ids.gather(np.flatnonzero(bad)).to_list())
            means[member, rows], variances[member, rows] = (np.where(bad[:, None], 0.0, x) for x in found)
            wanted[member, rows[bad]] = 0.0
            asked[member, rows] = True

        for member in range(len(wanted)):
            rows = np.flatnonzero(wanted[member] > 0)
            if len(rows):
                ask(member, rows)
        for member, name in enumerate(self.plan.names):  # who has nobody left is answered by the next in line
            rows = np.flatnonzero((wanted.sum(axis=0) <= 0) & ~asked[member])
            if name in working and len(rows):
                wanted[member, rows] = 1.0
                ask(member, rows)
        alone = wanted.sum(axis=0) <= 0
        mean, variance = blend(means, variances, wanted / np.where(alone, 1.0, wanted.sum(axis=0)))
        if alone.any():
            rows = np.flatnonzero(alone)
            mean[rows], variance[rows] = _own_past(panel.select(rows), horizon)
            told.add_alone(panel.ids.gather(rows).to_list())
        mean, variance = self._closed(means, mean, variance, wanted)
        factor = self.plan.factors[classes][:, part_of_steps(self.plan.parts, horizon)]
        return mean, widened(mean, variance, factor, self.is_count)

    def _closed(self, means: Floats, mean: Floats, variance: Floats, wanted: Floats) -> tuple[Floats, Floats]:
        """Return the moments with nothing on periods that a member which knows the calendar takes for closed."""
        closed = np.zeros(mean.shape, dtype=np.bool_)
        for member, name in enumerate(self.plan.names):
            if isinstance(self.members.get(name), Composed):
                closed |= (means[member] <= 0) & (wanted[member] > 0)[:, None]
        return np.where(closed, 0.0, mean), np.where(closed, 0.0, variance)


@dataclass
class _Told:
    """What a reader of the forecast must know, collected while members are asked."""

    failed: dict[str, str] = field(default_factory=dict)
    exploded: dict[str, list[str]] = field(default_factory=dict)
    alone: list[str] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)

    def try_out(self, name: str, member: Predictor, panel: Panel, horizon: int) -> None:
        """Note whether a member answers at all, asked about no series: a missing library shows here."""
        try:
            said = member.predict(panel.select([]), horizon).provenance.notes
        except MemoryError:
            raise
        except Exception as error:  # members wrap libraries that raise what they like: see `rehearsal`
            self.failed[name] = reason_of(error)
        else:
            self.said[name] = list(said)

    def ask(self, name: str, member: Predictor, panel: Panel, horizon: int) -> tuple[Floats, Floats]:
        """Return mean and variance [n, H], NaN for series it fails at: halves are asked until those are found."""
        try:
            return moments_of(member, panel, horizon)
        except MemoryError:
            raise
        except Exception as error:  # the same, and one series must not take the others' forecasts with it
            if panel.n_series == 1:
                self.failed.setdefault(name, reason_of(error))
                nothing = np.full((1, horizon), np.nan)
                return nothing, nothing
            halves = [self.ask(name, member, half, horizon) for half in panel.chunks(2)]
            return np.concatenate([h[0] for h in halves]), np.concatenate([h[1] for h in halves])

    def add_exploded(self, name: str, ids: list[str]) -> None:
        self.exploded.setdefault(name, []).extend(ids)

    def add_alone(self, ids: list[str]) -> None:
        self.alone.extend(ids)

    def notes(self) -> tuple[str, ...]:
        notes = [f"member {name} is left out: {reason}" for name, reason in self.failed.items()]
        notes += [
            f"member {name} is left out for {len(ids):,} series that it gave no sound numbers for, {ids[0]} among them"
            for name, ids in self.exploded.items()
            if ids
        ]
        if self.alone:
            notes.append(f"no member could forecast {len(self.alone):,} series, {self.alone[0]} among them: their mean")
        everywhere = [note for said in self.said.values() for note in said]
        notes += [
            note
            for note in dict.fromkeys(everywhere)
            if not note.startswith(UNUSED) or everywhere.count(note) == len(self.said)
        ]
        return tuple(notes)


def _own_past(panel: Panel, horizon: int) -> tuple[Floats, Floats]:
    """Return mean and variance [n, H] of each series' own past, for series no member could forecast."""
    mean, variance = np.zeros((panel.n_series, horizon)), np.zeros((panel.n_series, horizon))
    for row in range(panel.n_series):
        one = panel.select([row])
        length = max(1, int(one.lengths[0]))
        values = one.window(length)[one.available_window(length)]
        if values.size:
            known = np.maximum(values, 0.0)
            mean[row], variance[row] = known.mean(), known.var()
    return mean, variance
