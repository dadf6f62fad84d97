"""Forecasts and backtests of your own frames, without a database, unless `backtest` is to keep its scores in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.app import open_app
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.backtest import Backtest
from shelfwise.forecasting.backtest import backtest as run_backtest
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import check_horizon, whole_number
from shelfwise.forecasting.explain import Contributions
from shelfwise.forecasting.explain import explain as explain_forecast
from shelfwise.forecasting.lifts import lifts as measure_lifts
from shelfwise.forecasting.lifts import unseen
from shelfwise.services import backtests

MOSTLY: Final = 0.5  # a column of words that is empty more often than this names events


def forecast(
    history: Any,
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    model: str = "auto",
    n_paths: int = 200,
    seed: int = 0,
) -> Forecast:
    """Forecast the next ``horizon`` periods of every series.

    Parameters
    ----------
    history
        pandas or polars frame with ``unique_id, ds, y``, optionally ``available`` (False where a stockout may have
        hidden demand) and covariates; or a `Panel`.
    horizon
        Periods H to forecast, at least 1.
    freq
        Period of the frame: ``5min`` .. ``1mo``; pandas and polars aliases are read. A `Panel` has its own.
    known_future
        Frame with ``ds`` and what is known of the coming periods, such as promotions; with ``unique_id`` unless it
        holds for all series.
    past_only
        Names of the history's columns that are not known ahead; None takes every further column.
    static
        Frame with ``unique_id`` and attributes such as ``category``, one row for each series.
    model
        ``auto``, or the name of a model.
    n_paths
        Joint sample paths S.
    seed
        Same data, same seed, same forecast.

    Returns
    -------
    Forecast
        ``.quantiles(levels)`` [N, H, Q], ``.mean()`` [N, H], ``.total(periods)`` [N, S], ``.paths`` [N, S, H] and
        ``.to_frame(levels)``.

    Raises
    ------
    ParameterError
        Covariates are given beside a `Panel`, or a parameter breaks its rule.
    PanelError
        The frame does not form histories.

    >>> import shelfwise as sw
    >>> from datetime import date, timedelta
    >>> days = [date(2026, 1, 1) + timedelta(days=n) for n in range(84)]
    >>> history = pl.DataFrame(
    ...     {"unique_id": ["beans"] * 84, "ds": days, "y": [9.0 if d.weekday() == 5 else 4.0 for d in days]}
    ... )
    >>> ahead = sw.forecast(history, horizon=7)
    >>> ahead.to_frame([0.1, 0.9]).columns
    ['unique_id', 'ds', 'mean', 'q0.1', 'q0.9']
    >>> ahead.total(7).shape  # units of the whole week on each of the paths
    (1, 200)
    """
    horizon = check_horizon(horizon)
    n_paths, seed = whole_number("n_paths", n_paths), whole_number("seed", seed)
    wanted = estimator(model)
    panel = panel_of(history, freq, known_future, past_only, static)
    made = wanted.fit(panel).predict(panel, horizon, n_paths=n_paths, seed=seed)
    notes = (*made.provenance.notes, *_ended_before_others(panel), *_gaps_in_covariates(panel, horizon))
    return replace(made, provenance=replace(made.provenance, notes=notes))


def _ended_before_others(panel: Panel) -> list[str]:
    """Say which series end more than a season before the last of the others: their forecasts begin in the past."""
    begun = panel.lengths > 0
    if not begun.any():
        return []
    early = np.flatnonzero(begun & (panel.ends[begun].max() - panel.ends > panel.freq.season))
    if not len(early):
        return []
    named = ", ".join(panel.ids.gather(early[:5]).to_list()) + (", ..." if len(early) > 5 else "")
    return [
        f"{len(early):,} series end more than {panel.freq.season} periods before others and are forecast from their "
        f"own last period on: {named}"
    ]


def _gaps_in_covariates(panel: Panel, horizon: int) -> list[str]:
    """Say where a known-ahead covariate is not known ahead, or has no past to learn its effect from."""
    notes: list[str] = []
    if not panel.n_series:
        return notes
    some = panel.select(np.arange(min(panel.n_series, 1000)))  # enough to see whether there is a past at all
    length = int(max(1, some.lengths.max()))
    for name, covariate in panel.known_future.items():
        ahead = np.isnan(covariate.at(panel.ends, horizon))
        if covariate.categories and len(covariate.values) and np.isnan(covariate.values).mean() > MOSTLY:
            ahead[:] = False  # of a word that names events, none is a day without an event
        if ahead.all():
            notes.append(f"known_future {name!r} is given for none of the {horizon} coming periods")
        elif ahead.any():
            notes.append(f"known_future {name!r} is missing in {ahead.mean():.0%} of the coming periods")
        if np.isnan(some.known_future[name].at(some.ends - length, length)).all():
            notes.append(f"known_future {name!r} has no past, so its effect cannot be learnt; add it to the history")
        else:
            notes += unseen(panel, horizon, name)
    return notes


def backtest(
    history: Any,
    models: Sequence[str] = ("auto", "seasonal_naive"),
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    n_cutoffs: int = 4,
    step: int | None = None,
    n_paths: int = 200,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    resume: str | Path | None = None,
) -> Backtest:
    """Score models on the past: at each cutoff they see only what was known then.

    Parameters
    ----------
    history, freq, known_future, past_only, static, n_paths, seed
        As in `forecast`.
    models
        Names of models.
    horizon
        Periods after each cutoff.
    n_cutoffs, step
        Number of cutoffs, and periods between them; None puts one horizon between.
    progress
        Called with what is being done, scores done and scores in all.
    resume
        A database file, made where there is none, that keeps every score as soon as it is there: the same call after
        an interruption goes on where it was, with one more model works out only that one.

    Returns
    -------
    Backtest
        ``.summary()``, a row for each model (``by_class=True``: for each part of the horizon too); ``.comparison()``,
        who is best and whether that is more than chance; ``.rows``, every model, cutoff and horizon class;
        ``.scores``, the same over the whole horizon; ``.failures``; and ``.chart()``, an SVG.

    >>> from datetime import date, timedelta
    >>> days = [date(2026, 1, 1) + timedelta(days=n) for n in range(120)]
    >>> history = {"unique_id": ["beans"] * 120, "ds": days, "y": [float(4 + (d.weekday() == 5)) for d in days]}
    >>> done = backtest(history, horizon=7, n_cutoffs=2)
    >>> sorted(done.summary()["model"])
    ['auto', 'seasonal_naive']
    """
    if isinstance(models, str):
        raise ParameterError(f"models takes a list of names, got {models!r}; write [{models!r}]")
    horizon, n_cutoffs = check_horizon(horizon), whole_number("n_cutoffs", n_cutoffs)
    step = None if step is None else whole_number("step", step, "of periods")
    n_paths, seed = whole_number("n_paths", n_paths), whole_number("seed", seed)
    panel = panel_of(history, freq, known_future, past_only, static)
    if resume is not None:
        with open_app(resume) as app:
            return backtests.run_on(
                app,
                panel,
                list(models),
                horizon=horizon,
                cutoffs=n_cutoffs,
                step=step,
                n_paths=n_paths,
                seed=seed,
                progress=progress,
            ).result
    return run_backtest(
        panel,
        list(models),
        horizon=horizon,
        n_cutoffs=n_cutoffs,
        step=step,
        n_paths=n_paths,
        seed=seed,
        progress=progress,
    )


def explain(
    history: Any,
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    model: str = "auto",
) -> Contributions:
    """Say what each forecast is made of: signed units per period for level, trend, season, promotion, price, ...

    Parameters
    ----------
    history, horizon, freq, known_future, past_only, static, model
        As in `forecast`.

    Returns
    -------
    Contributions
        ``.to_frame()`` has one row for each series, period and part; over the parts of a period ``units`` add up to
        the mean of `forecast`.

    >>> from datetime import date, timedelta
    >>> days = [date(2026, 1, 1) + timedelta(days=n) for n in range(84)]
    >>> history = {"unique_id": ["beans"] * 84, "ds": days, "y": [9.0 if d.weekday() == 5 else 4.0 for d in days]}
    >>> made_of = explain(history, horizon=7, model="base_level")
    >>> [part.name for part in made_of.parts]
    ['level', 'trend', 'weekday']
    >>> made = forecast(history, horizon=7, model="base_level")
    >>> bool(np.allclose(made_of.units.sum(axis=2), made.mean()))
    True
    """
    panel = panel_of(history, freq, known_future, past_only, static)
    return explain_forecast(estimator(model).fit(panel), panel, horizon)


def lifts(
    history: Any,
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    model: str = "auto",
) -> pl.DataFrame:
    """Return by which factor promotions, events and price changes move demand, in the past and in the forecast.

    Parameters
    ----------
    history, horizon, freq, known_future, past_only, static, model
        As in `forecast`.

    Returns
    -------
    DataFrame
        One row for each event, and for each event and category: ``lift`` with its 80 % range ``low`` to ``high``, on
        how many ``periods``, ``dates`` and ``series`` it was seen, and ``forecast_lift``, what the model makes of it.
    """
    panel = panel_of(history, freq, known_future, past_only, static)
    return measure_lifts(estimator(model).fit(panel), panel, horizon)


def panel_of(history: Any, freq: str, known_future: Any, past_only: Sequence[str] | None, static: Any) -> Panel:
    """Return the panel of a frame; a panel is taken as it is and has to bring its own covariates."""
    if not isinstance(history, Panel):
        return Panel.from_long(history, freq=freq, known_future=known_future, past_only=past_only, static=static)
    beside = {"known_future": known_future, "past_only": past_only, "static": static}
    for name, given in beside.items():
        if given is not None:
            raise ParameterError(
                f"{name} was given beside a Panel, which brings its own; give it to Panel.from_long or Panel.from_wide"
            )
    return history
