"""The base model: level x season for all series at once, in numpy, with negative binomial noise.

Shapes (time of day, weekday, year) and the lift of known-ahead flags such as promotions are shrunk to the category's;
the mix of decayed means, the strength of the yearly shape, the width of the noise and how errors persist are chosen on
held-out windows of the panel it is fitted on. Missing periods and those without stock weigh nothing; a period that sold
out counts with what was expected of it, given what sold (`censoring`).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.censoring import bounded
from shelfwise.forecasting.contract import check_horizon
from shelfwise.forecasting.held_out import choose, sample_of
from shelfwise.forecasting.level_season import (
    ROWS_PER_BLOCK,
    Fitted,
    Groups,
    decompose,
    iterate_blocks,
    level_of,
    moments_of,
    read_block,
)
from shelfwise.forecasting.processors import one_thread_each

Floats = npt.NDArray[np.floating[Any]]

VERSION: Final = "1"


@dataclass(frozen=True)
class BaseLevel:
    """The base model's parameters.

    Parameters
    ----------
    half_lives
        Half-lives of the decayed means, in short seasons' worth of time: periods for days, see `_half_lives`.
    history_days
        Days of history that levels and weekday shapes of daily and finer series are read off, at least 28; weeks and
        months look at three and five years.
    sample
        Series the pooled quantities are measured on, chosen by a hash of their ids; at least 50.
    cutoffs
        Held-out windows used while fitting, at least 1.

    >>> BaseLevel(cutoffs=0)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: cutoffs must be at least 1, got 0
    """

    name: str = field(default="base_level", init=False)
    half_lives: tuple[float, ...] = (1.0, 3.0, 7.0, 14.0, 30.0, 90.0)
    history_days: int = 400
    sample: int = 2000
    cutoffs: int = 3

    def __post_init__(self) -> None:
        if not self.half_lives or min(self.half_lives) <= 0:
            raise ParameterError(f"half_lives must be above 0 periods, got {self.half_lives}")
        for name, low in (("history_days", 28), ("sample", 50), ("cutoffs", 1)):
            if getattr(self, name) < low:
                raise ParameterError(f"{name} must be at least {low}, got {getattr(self, name)}")

    def fit(self, panel: Panel) -> BaseLevelPredictor:
        """Return a predictor with shapes, mix, widths and persistence measured on ``panel``."""
        panel = bounded(panel)
        pool = sample_of(panel, self.sample)
        groups = Groups.of(pool)
        start = Fitted.default(pool, self.half_lives, self.history_days, groups)
        with one_thread_each():
            fitted = choose(pool, groups, start, self.cutoffs, panel)
        return BaseLevelPredictor(fitted)

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> BaseLevelPredictor:
        """Return the predictor that `BaseLevelPredictor.to_arrays` described."""
        return BaseLevelPredictor(Fitted.from_arrays(arrays))


@dataclass(frozen=True, eq=False)
class BaseLevelPredictor:
    """The base model, fitted."""

    fitted: Fitted
    name: str = field(default="base_level", init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`."""
        check_horizon(horizon)
        if panel.freq != self.fitted.freq:
            raise ModelError(f"fitted on periods of {self.fitted.freq}, asked for {panel.freq}; fit on such a panel")
        panel = bounded(panel, self.fitted)
        mean = np.empty((panel.n_series, horizon))
        variance = np.empty((panel.n_series, horizon))

        def fill(low: int) -> None:
            rows, block = read_block(panel, self.fitted, low, horizon)
            mean[rows], variance[rows] = moments_of(decompose(block, self.fitted, horizon), self.fitted)

        if panel.n_series <= ROWS_PER_BLOCK:  # one block needs no threads, which cost more than one series does
            if panel.n_series:
                fill(0)
        else:
            with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
                list(pool.map(fill, range(0, panel.n_series, ROWS_PER_BLOCK)))
        return Forecast(
            series=panel.series,
            starts=panel.ends,
            freq=panel.freq,
            provenance=Provenance(self.name, self.version, panel.data_until, seed, self._notes(panel)),
            n_paths=n_paths,
            marginals=Marginals(mean, variance, self.fitted.is_count),
            dependence=self.fitted.dependence,
        )

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return what each forecast is made of: factors [N, H] whose product is the mean.

        ``level`` is in units per period; ``weekday`` (and other cycles), ``year`` and one entry for each known-ahead
        flag are factors around 1.
        """
        check_horizon(horizon)
        panel = bounded(panel, self.fitted)
        factors: dict[str, Floats] = {}
        for rows, block in iterate_blocks(panel, self.fitted, horizon):
            parts = decompose(block, self.fitted, horizon)
            level = level_of(parts, self.fitted)
            for name, factor in {"level": level, **parts.factors}.items():
                factors.setdefault(name, np.ones((panel.n_series, horizon)))[rows] = factor
        return factors

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays."""
        return self.fitted.to_arrays()

    def _notes(self, panel: Panel) -> tuple[str, ...]:
        notes = []
        calendar = self.fitted.calendar
        used = {"open", *self.fitted.flags, *(calendar.covers if calendar is not None else ())}
        unused = [
            name
            for name in (*panel.known_future, *panel.past_only)
            if name not in used and not any(word.startswith(f"{name} ") for word in used)
        ]
        if unused:
            notes.append(f"covariates not used by this model: {', '.join(sorted(unused))}")
        young = int((panel.lengths < 7).sum())
        if young:
            notes.append(f"{young:,} series with under 7 periods of history lean on their category")
        return tuple(notes)
