"""Backtests over rolling cutoffs: every model sees only what was known at each cutoff, and is scored on what came.

A window is a type: `Window.past` may be given to a model, `Window.actual` never.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import DEFAULT_LEVELS, Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics
from shelfwise.forecasting.catalog import estimator

Floats = npt.NDArray[np.floating[Any]]
Progress = Callable[[str, int, int], None]

METRICS: Final = ("wql", "wape", "bias", "mase", "rmsse", "pinball", "crps", "coverage", "total_coverage")


@dataclass(frozen=True, eq=False)
class Window:
    """One cutoff: what was known, and what came.

    Parameters
    ----------
    cutoff
        Label of the last known period.
    past
        The panel up to the cutoff.
    actual
        [N, H] what came. Never give it to a model.
    scored
        [N, H] where ``actual`` is demand: recorded and on sale. Censored periods are never scored.
    """

    cutoff: str
    past: Panel
    actual: Floats
    scored: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Backtest:
    """Scores by model and cutoff.

    Parameters
    ----------
    scores
        One row per model and cutoff: ``model, cutoff``, scored ``series`` and ``cells``, a column for each of
        `METRICS`, then ``seconds`` for fitting, predicting and drawing.
    horizon
        Periods H of each window.
    """

    scores: pl.DataFrame
    horizon: int

    def summary(self) -> pl.DataFrame:
        """Return one row per model: the mean of each metric over cutoffs, best weighted quantile loss first."""
        return (
            self.scores.group_by("model", maintain_order=True)
            .agg(
                pl.len().alias("cutoffs"), *(pl.col(m).fill_nan(None).mean() for m in METRICS), pl.col("seconds").sum()
            )
            .sort("wql", nulls_last=True)
        )


def windows(panel: Panel, horizon: int, n_cutoffs: int, step: int | None = None) -> Iterator[Window]:
    """Yield rolling windows, oldest cutoff first.

    Parameters
    ----------
    panel
        N series; those not begun at a cutoff are left out of its window.
    horizon
        Periods H after each cutoff.
    n_cutoffs
        Number of cutoffs.
    step
        Periods between cutoffs; None takes the horizon, so that windows do not overlap.

    Raises
    ------
    ParameterError
        The history is too short for so many cutoffs.
    """
    step = horizon if step is None else step
    if horizon < 1 or n_cutoffs < 1 or step < 1:
        raise ParameterError(f"horizon, cutoffs and step must be at least 1, got {horizon}, {n_cutoffs}, {step}")
    longest = int(panel.lengths.max(initial=0))
    needed = horizon + step * (n_cutoffs - 1) + 1
    if longest < needed:
        raise ParameterError(
            f"{n_cutoffs} cutoffs of {horizon} periods need {needed} periods of history, the longest series has "
            f"{longest}; use fewer cutoffs or a shorter horizon"
        )
    for back in range(step * (n_cutoffs - 1), -1, -step):
        known = panel.until(panel.ends - back)
        past, actual, scored = known.split(horizon)
        keep = past.lengths > 0  # and not only those with something to score: at the cutoff nobody knew which those are
        if scored[keep].any():
            label = past.freq.moments([int(past.ends[keep].max()) - 1])[0]
            text = str(label.astype("datetime64[D]") if past.freq.is_daily_or_longer else label.astype("datetime64[m]"))
            yield Window(text, past.select(keep), actual[keep], scored[keep])


def score(window: Window, forecast: Forecast, season: int) -> dict[str, float]:
    """Return every metric of one forecast on one window; ``season`` in periods scales MASE and RMSSE."""
    actual, scored = np.where(window.scored, window.actual, 0.0), window.scored
    levels = np.asarray(DEFAULT_LEVELS)
    quantiles, mean = forecast.quantiles(levels), forecast.mean()
    median = quantiles[:, :, len(levels) // 2]
    longest = int(window.past.lengths.max())
    absolute, squared = metrics.naive_scales(window.past.window(longest), season)
    paths = forecast.paths
    totals = actual.sum(axis=1, keepdims=True)  # [N, 1] units over the scored part of the horizon
    drawn = np.einsum("nsh,nh->ns", paths, scored.astype(np.float32))[:, :, None]  # [N, S, 1]
    told: npt.NDArray[np.bool_] = np.any(scored, axis=1, keepdims=True)  # [N, 1]
    return {
        "wql": metrics.wql(actual, quantiles, levels, scored),
        "wape": metrics.wape(actual, mean, scored),
        "bias": metrics.bias(actual, mean, scored),
        "mase": metrics.mase(actual, median, scored, absolute),
        "rmsse": metrics.rmsse(actual, mean, scored, squared),
        "pinball": metrics.pinball(actual, quantiles, levels, scored),
        "crps": metrics.crps(actual, paths, scored),
        "coverage": metrics.coverage(actual, paths, scored),
        "total_coverage": metrics.coverage(totals, drawn, told),
    }


def backtest(
    panel: Panel,
    models: Sequence[str] = ("auto", "seasonal_naive"),
    *,
    horizon: int,
    n_cutoffs: int = 4,
    step: int | None = None,
    n_paths: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
) -> Backtest:
    """Fit each model at each cutoff, forecast, and score.

    Parameters
    ----------
    panel
        N series.
    models
        Names from the catalog.
    horizon, n_cutoffs, step
        See `windows`.
    progress
        Called with what is being done, steps done and steps in all.

    Raises
    ------
    ParameterError
        No model or an unknown one, or too short a history.
    DataError
        Nothing after any cutoff can be scored.
    """
    if not models:
        raise ParameterError("a backtest needs at least 1 model, got none; for example models=('auto',)")
    estimators = [(name, estimator(name)) for name in models]
    rows: list[dict[str, Any]] = []
    total = n_cutoffs * len(estimators)
    season = panel.freq.season
    for window in windows(panel, horizon, n_cutoffs, step):
        for name, model in estimators:
            if progress is not None:
                progress(f"{name} at {window.cutoff}", len(rows), total)
            started = time.perf_counter()
            forecast = model.fit(window.past).predict(window.past, horizon, n_paths=n_paths, seed=seed)
            forecast.paths.sum()
            seconds = time.perf_counter() - started
            size = {"series": int(window.scored.any(axis=1).sum()), "cells": int(window.scored.sum())}
            rows.append({"model": name, "cutoff": window.cutoff, **size, **score(window, forecast, season)})
            rows[-1]["seconds"] = seconds
    if not rows:
        raise DataError(
            f"no period of the {n_cutoffs} windows of {horizon} periods was recorded and on sale, so there is nothing "
            "to score; use more cutoffs or check y and available"
        )
    if progress is not None:
        progress("scored", total, total)
    return Backtest(pl.DataFrame(rows), horizon)
