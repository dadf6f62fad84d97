"""Coherence: one forecast from product to company, with the totals that models of the totals expect.

A wrapper around any model. The sums of its forecasts over the cells of the hierarchy are held against models of the
cells' own totals over the whole history (`calendar_model`, `aggregate_trees`), and every series of a cell is multiplied
by what they differ by. The answer stays joint sample paths, so that the paths of a department are the sum of those of
its products whatever is summed; series share shocks, so that the spread of a sum is that of the errors of sums.

What series are multiplied by stands in `correction`, how much of it pays in `judging`, what they share in
`shared_shocks`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import Dependence
from shelfwise.forecasting.aggregate_trees import combined, train
from shelfwise.forecasting.aggregates import Chains
from shelfwise.forecasting.calendar_model import Calendars
from shelfwise.forecasting.censoring import bounded
from shelfwise.forecasting.contract import Composed, Estimator, Predictor, check_horizon
from shelfwise.forecasting.correction import Correction, factors_of, open_share_of, sums_of
from shelfwise.forecasting.held_out import reference_horizon
from shelfwise.forecasting.judging import strength_of
from shelfwise.forecasting.processors import one_thread_each
from shelfwise.forecasting.shared_shocks import past_errors, shocks_of

Floats = npt.NDArray[np.floating[Any]]

VERSION: Final = "1"
MOST_CELLS: Final = 1_000_000  # series x steps a correction beyond the reference horizon is laid out for


@dataclass(frozen=True)
class Coherent:
    """A model whose sums are held against models of the sums.

    Parameters
    ----------
    inner
        The model of the series.
    name
        Name in the catalog.
    strength
        How much of the difference between the two is taken over, 0 to 1; None chooses it on held-out windows.
    judged
        The model whose sums are corrected there, where fitting ``inner`` again costs too much; None takes ``inner``.

    >>> from shelfwise.forecasting.models.base_level import BaseLevel
    >>> Coherent(BaseLevel(), strength=2.0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: strength must be from 0 to 1, got 2.0
    """

    inner: Estimator
    name: str = "coherent"
    strength: float | None = None
    judged: Estimator | None = None

    def __post_init__(self) -> None:
        if self.strength is not None and not 0 <= self.strength <= 1:
            raise ParameterError(f"strength must be from 0 to 1, got {self.strength}")

    def fit(self, panel: Panel) -> CoherentPredictor:
        """Return the inner model fitted on ``panel``, with the correction of its sums over the next periods."""
        with one_thread_each():
            return self._fit(panel)

    def _fit(self, panel: Panel) -> CoherentPredictor:
        panel = bounded(panel)
        calendars = Calendars.of(panel)
        if calendars is None:
            return CoherentPredictor(self.name, self.inner.fit(panel), None, None)
        horizon = reference_horizon(panel)
        steps = int(np.clip(MOST_CELLS // max(1, panel.n_series), horizon, 3 * horizon))
        with ThreadPoolExecutor(max_workers=1) as beside:  # the totals need the processor that boosting leaves idle
            totals = beside.submit(lambda: combined(calendars.fit(0), train(calendars.fit(0), horizon), steps))
            judging = beside.submit(strength_of, self.judged or self.inner, panel, calendars, horizon)
            shocks = beside.submit(past_errors, calendars, horizon)
            inner = self.inner.fit(panel)
            expected, (strength, error_ratio), errors = totals.result(), judging.result(), shocks.result()
        made = inner.predict(panel, steps, n_paths=2)
        if made.marginals is None:  # paths that a model drew itself are not ours to change
            return CoherentPredictor(self.name, inner, None, None)
        if self.strength is not None:
            strength = self.strength
        aggregates = calendars.aggregates
        open_share = open_share_of(panel, aggregates, steps)
        factors = factors_of(expected, sums_of(panel, aggregates, made.marginals.mean), open_share) ** strength
        closes = aggregates.closes[aggregates.periods :]
        factors[:, closes[:steps]] = 0.0
        correction = Correction(aggregates.nodes.chains, aggregates.nodes.cells, aggregates.end, factors, closes)
        dependence = shocks_of(panel, aggregates, made.marginals, made.dependence.level, errors, error_ratio)
        return CoherentPredictor(self.name, inner, correction, dependence, WeakKeyDictionary({panel: made}))

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> CoherentPredictor:
        """Return the predictor that `CoherentPredictor.to_arrays` described."""
        inner = self.inner.restore({k.removeprefix("inner "): v for k, v in arrays.items() if k.startswith("inner ")})
        correction, dependence = None, None
        if "correction_factors" in arrays:
            chains = [tuple(text.split("\x1f")) for text in arrays["correction_chains"].tolist()]
            correction = Correction(
                Chains(tuple(chains)),
                tuple(arrays["correction_cells"].tolist()),
                int(arrays["correction_first"]),
                arrays["correction_factors"],
                arrays["correction_closes"],
            )
        if "shares" in arrays:
            world, level, world_level, group, group_level = arrays["shares"].tolist()
            columns = tuple(arrays["share_columns"].tolist())
            dependence = Dependence(world, level, world_level, group, group_level, columns)
        return CoherentPredictor(self.name, inner, correction, dependence)


@dataclass(frozen=True, eq=False)
class CoherentPredictor:
    """The wrapped model, fitted, with the correction of its sums."""

    name: str
    inner: Predictor
    correction: Correction | None
    dependence: Dependence | None
    said: WeakKeyDictionary[Panel, Forecast] = field(default_factory=WeakKeyDictionary)  # what the fit asked already
    version: str = field(default=VERSION, init=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the wrapped model."""
        found: tuple[str, ...] = getattr(self.inner, "notes", ())
        return found

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`."""
        made = self._of_inner(panel, check_horizon(horizon), n_paths, seed)
        made = replace(made, provenance=replace(made.provenance, model=self.name, version=self.version))
        if made.marginals is None or self.correction is None:
            return made
        factor = self.correction.at(made)
        marginals = Marginals(
            made.marginals.mean * factor, made.marginals.variance * factor, made.marginals.is_count
        )  # variance over mean stays what it is
        dependence = made.dependence
        if self.dependence is not None:
            lasting = self.dependence.world_level + self.dependence.group_level  # is in the series' own share already
            room = 1.0 - sum(self.dependence.shares.values())
            dependence = replace(self.dependence, level=float(np.clip(dependence.level - lasting, 0.0, room)))
        return replace(made, marginals=marginals, dependence=dependence)

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process without what the fit has said of its own panel."""
        return {name: value for name, value in vars(self).items() if name != "said"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive."""
        vars(self).update(state, said=WeakKeyDictionary())

    def _of_inner(self, panel: Panel, horizon: int, n_paths: int, seed: int) -> Forecast:
        """Return the wrapped model's forecast; that of the panel it was fitted on is known from the fit."""
        said = self.said.get(panel)
        if said is None or said.horizon != horizon:
            return self.inner.predict(panel, horizon, n_paths=n_paths, seed=seed)
        return replace(said, n_paths=n_paths, provenance=replace(said.provenance, seed=seed))

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return what each forecast is made of: those of the wrapped model, and ``aggregates``, the correction."""
        if not isinstance(self.inner, Composed):
            raise ModelError(f"{self.inner.name} does not say what its forecasts are made of; ask one that does")
        found = dict(self.inner.components(panel, horizon))
        if self.correction is not None:
            bare = self.inner.predict(panel, horizon, n_paths=2)
            found["aggregates"] = self.correction.at(bare)
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays."""
        arrays = {f"inner {name}": values for name, values in self.inner.to_arrays().items()}
        if self.correction is not None:
            arrays |= {
                "correction_factors": self.correction.factors,
                "correction_closes": self.correction.closes,
                "correction_first": np.array(self.correction.first),
                "correction_cells": np.array(self.correction.cells, dtype=np.str_),
                "correction_chains": np.array(
                    ["\x1f".join(chain) for chain in self.correction.chains.chains], dtype=np.str_
                ),
            }
        if self.dependence is not None:
            arrays["shares"] = np.array(list(self.dependence.shares.values()))
            arrays["share_columns"] = np.array(self.dependence.columns, dtype=np.str_)
        return arrays
