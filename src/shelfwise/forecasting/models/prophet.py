"""Prophet, one series at a time: a trend that bends, seasons as Fourier series, and what is known ahead as regressors.

Source: Taylor and Letham, 2018, Forecasting at Scale, The American Statistician 72(1); the library is theirs. Each
series is fitted on the history it is asked with, in a process that the library starts (tenths of a second), and its
paths are the library's own draws of the coming trend and noise, so the periods of a path hang together by their trend.
Demand is never below zero, and counts are whole: a draw is rounded up as often as its fraction says, so that rounding
changes no mean. Short, constant, unknown and failing series are treated as other local models treat them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.domain.paths import keyed_generator
from shelfwise.forecasting.contract import check_horizon
from shelfwise.forecasting.extras import extra_needed
from shelfwise.forecasting.histories import at_least
from shelfwise.forecasting.local_models import CEILING, Common, LocalModel, LocalPredictor, Outlook, history_of, named

Floats = npt.NDArray[np.floating[Any]]

NAME: Final = "prophet"
VERSION: Final = "1"
LEAST: Final = 14
"""Seen periods below which a series takes its mean."""
LONGEST: Final = 1_460
"""Latest periods of a history that are read: four years of days."""
_random: Final = threading.Lock()


@dataclass(frozen=True)
class Prophet:
    """The model with its parameters.

    Parameters
    ----------
    seasonality_mode
        ``additive``: seasons and regressors move a series by units, ``multiplicative``: by shares of its trend.
    """

    name: str = field(default=NAME, init=False)
    seasonality_mode: str = "additive"

    def fit(self, panel: Panel) -> ProphetPredictor:
        """Return a predictor that remembers the frequency and what the series have in common, and nothing of one."""
        _library()
        return ProphetPredictor(self, Common.measure(panel))

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> ProphetPredictor:
        """Return the predictor that `ProphetPredictor.to_arrays` described."""
        given = dict(arrays)
        try:
            mode = str(given.pop("seasonality_mode"))
        except KeyError as error:
            raise ModelError(f"stored model cannot be read: {error}; fit it again") from error
        return ProphetPredictor(replace(self, seasonality_mode=mode), Common.from_arrays(given))


@dataclass(frozen=True, eq=False)
class ProphetPredictor:
    """Prophet, with what the series have in common known."""

    model: Prophet
    common: Common
    name: str = field(default=NAME, init=False)
    version: str = field(default=VERSION, init=False)

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the next ``horizon`` periods; see `contract.Predictor.predict`.

        Every series is fitted anew on the history in ``panel``, so new sales need no new fit.
        """
        check_horizon(horizon)
        _library()
        failed: dict[str, str] = {}
        drawn: dict[int, Floats] = {}
        for row in range(panel.n_series):
            series = _Series.of(panel, row, self.common, horizon)
            if not series.is_enough:
                continue
            try:
                found = series.paths(self.model.seasonality_mode, n_paths, seed)
            except MemoryError:  # the machine's fault: a forecast must not depend on how much was free
                raise
            except Exception as error:  # one series must not take the others' forecasts with it
                failed[series.unique_id] = f"{type(error).__name__}: {error}"
                continue
            if np.isfinite(found).all():
                drawn[row] = found
            else:
                failed[series.unique_id] = "gave no finite number"
        others = np.array([row for row in range(panel.n_series) if row not in drawn], dtype=np.int64)
        of_others = LocalModel(NAME, VERSION, _no_outlook, _library, longest=LONGEST, least=LEAST)  # takes their mean
        rest = LocalPredictor(of_others, self.common).predict(panel.select(others), horizon, n_paths=n_paths, seed=seed)
        paths = np.zeros((panel.n_series, n_paths, horizon), dtype=np.float32)
        paths[others] = rest.paths
        for row, found in drawn.items():
            paths[row] = found
        return replace(
            rest, series=panel.series, starts=panel.ends, marginals=None, drawn=paths,
            provenance=replace(
                rest.provenance, data_until=panel.data_until, notes=_notes(rest.provenance.notes, failed, panel)
            ),
        )  # fmt: skip

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the mode of the seasons, and what the series have in common."""
        return {**self.common.to_arrays(), "seasonality_mode": np.array(self.model.seasonality_mode)}


@dataclass(frozen=True, eq=False)
class _Series:
    """One history [T] of zero or more with what was seen, and the regressors [T + H] by name."""

    unique_id: str
    values: Floats
    seen: npt.NDArray[np.bool_]
    moments: npt.NDArray[np.datetime64]  # [T + H]
    regressors: dict[str, Floats]
    opened: Floats  # [H] share of each coming period
    is_count: bool

    @classmethod
    def of(cls, panel: Panel, row: int, common: Common, horizon: int) -> _Series:
        values, seen, sold = history_of(panel, row, LONGEST)
        noise = float(common.noise[common.groups.codes(panel.select(np.array([row])))[0]])
        values = at_least(values, seen, sold, common.freq.season, noise, is_count=common.is_count)
        seen = seen | (sold > 0)
        end = int(panel.ends[row])
        first, length = end - len(values), len(values) + horizon
        opened = np.ones(horizon)
        if "open" in panel.known_future:
            given = panel.known_future["open"].select(np.array([row])).at(np.array([end]), horizon)[0]
            opened = np.clip(np.where(np.isnan(given), 1.0, given), 0.0, 1.0)
        return cls(
            str(panel.ids[row]), values, seen, panel.freq.moments(np.arange(first, first + length)),
            _regressors(panel, row, first, length, seen), opened, common.is_count,
        )  # fmt: skip

    @property
    def is_enough(self) -> bool:
        """Whether there is something to fit: enough periods, that differ."""
        known = self.values[self.seen]
        return bool(known.size >= LEAST and np.ptp(known) > 0)

    def paths(self, seasonality_mode: str, n_paths: int, seed: int) -> Floats:
        """Return [S, H] draws in units."""
        import pandas as pd

        past = len(self.values)
        frame = pd.DataFrame({"ds": self.moments, **self.regressors})
        scale = float(self.values[self.seen].mean())  # so that grams and kilograms lead to one and the same answer
        history = frame.iloc[:past].assign(y=np.round(self.values / scale, 10))
        with _quiet():
            model = _library()(seasonality_mode=seasonality_mode, uncertainty_samples=n_paths)
            for name in self.regressors:
                model.add_regressor(name)
            model.fit(history[self.seen], seed=0)
        with _drawn_from(keyed_generator(seed, NAME, self.unique_id)) as generator:
            sampled = model.predictive_samples(frame.iloc[past:])["yhat"].T[:n_paths] * scale  # [S, H]
        held = np.clip(sampled, 0.0, CEILING * float(self.values.max())) * self.opened
        paths: Floats = np.floor(held + generator.random(held.shape)) if self.is_count else held
        return paths


def _regressors(panel: Panel, row: int, first: int, length: int, seen: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """Return what is known ahead [T + H] by name, where the history shows more than one value of it.

    Where it is not known a flag is 0, and an amount what it was last.
    """
    found = {}
    for number, name in enumerate(sorted(set(panel.known_future) - {"open"})):
        covariate = panel.known_future[name]
        values = covariate.select(np.array([row])).at(np.array([first]), length)[0]
        known = ~np.isnan(values)
        past = values[: len(seen)][seen & known[: len(seen)]]
        if covariate.categories or not past.size or not np.ptp(past):
            continue
        if np.isin(values[known], (0.0, 1.0)).all():
            values = np.where(known, values, 0.0)
        else:
            last = np.maximum.accumulate(np.where(known, np.arange(length), int(known.argmax())))
            values = values[last]
        found[f"regressor_{number}"] = values  # the library refuses names of its own, such as holidays
    return found


def _no_outlook(history: Floats, season: int, horizon: int) -> Outlook:
    raise ModelError("the library could not fit it")


def _notes(notes: tuple[str, ...], failed: dict[str, str], panel: Panel) -> tuple[str, ...]:
    """Return the notes on the others, with the library's reason, and without that on covariates, which are used."""
    kept = [note for note in notes if not note.startswith(("covariates not used", "could not be fitted"))]
    unused = sorted(panel.past_only)
    if unused:
        kept.append(f"covariates not used by this model: {', '.join(unused)}")
    if failed:
        reason = next(iter(failed.values()))
        kept.insert(0, f"could not be fitted and take their mean: {named(list(failed))} ({reason})")
    return tuple(kept)


def _library() -> Any:
    """Return the library's class."""
    with extra_needed(NAME, "classic"), _quiet():
        from prophet import Prophet as Library
    return Library


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's and the optimiser's remarks on every single series out of the log; what fails is raised."""
    loggers = [logging.getLogger(name) for name in ("prophet", "prophet.plot", "cmdstanpy")]
    before = [(logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, (level, disabled) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.disabled = disabled


@contextmanager
def _drawn_from(generator: np.random.Generator) -> Iterator[np.random.Generator]:
    """Let the library, which draws from numpy's one global generator, draw from ours; what others draw is unchanged."""
    with _random:
        before = np.random.get_state()  # noqa: NPY002 - the library knows no other
        np.random.seed(int(generator.integers(2**32)))  # noqa: NPY002
        try:
            yield generator
        finally:
            np.random.set_state(before)  # noqa: NPY002
