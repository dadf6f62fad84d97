"""Backtests over rolling cutoffs: every model sees only what was known at each cutoff, and is scored on what came.

What one model scored at one cutoff is a `Part`: it is handed out as soon as it is there, can be kept as bytes, and need
not be worked out again. A model that fails is reported and left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from shelfwise import charts
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError, ModelError, ParameterError, ShelfwiseError
from shelfwise.domain.frames import BACKTEST_SCORES
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import comparison
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import Estimator
from shelfwise.forecasting.horizon_classes import ALL, horizon_classes
from shelfwise.forecasting.scores import METRICS, Part, part_of, score
from shelfwise.forecasting.windows import Window, windows

__all__ = ["METRICS", "Backtest", "Failure", "Part", "Window", "backtest", "score", "windows"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Failure:
    """A model that could not be scored at a cutoff, and why."""

    model: str
    cutoff: str
    reason: str


@dataclass(frozen=True, eq=False)
class Backtest:
    """Scores by model, cutoff and horizon class.

    Parameters
    ----------
    parts
        What each model scored at each cutoff.
    horizon
        Periods H of each window.
    freq
        Their frequency.
    failures
        Models that raised, by cutoff; the others' scores stand.
    seed
        Seed of the comparison's resamples.
    """

    parts: tuple[Part, ...]
    horizon: int
    freq: Frequency = field(default_factory=lambda: Frequency(1, "d"))
    failures: tuple[Failure, ...] = ()
    seed: int = 0

    @cached_property
    def rows(self) -> pl.DataFrame:
        """One row per model, cutoff and horizon class, ``all`` being the whole horizon; for the columns see `Part`."""
        rows = [{"model": part.model, "cutoff": part.cutoff, **row} for part in self.parts for row in part.rows]
        return (
            pl.DataFrame(rows, infer_schema_length=None)
            .with_columns(pl.col(METRICS).cast(pl.Float64).fill_nan(None))
            .with_columns(_left_out_share())
            .select(pl.exclude("seconds"), "seconds")
        )

    @property
    def scores(self) -> pl.DataFrame:
        """One row per model and cutoff over the whole horizon: ``model, cutoff``, scored ``series`` and ``cells``.

        A column for each of `METRICS`, then the periods that ``mape`` leaves out, and ``seconds`` for fitting,
        predicting and drawing.
        """
        return self.rows.filter(pl.col("horizon_class") == ALL).drop("horizon_class", "first_period", "last_period")

    @property
    def cutoffs(self) -> list[str]:
        """Cutoffs with a score, oldest first."""
        return sorted({part.cutoff for part in self.parts})

    def summary(self, *, by_class: bool = False) -> pl.DataFrame:
        """Return the mean of each metric over cutoffs: one row per model, best weighted quantile loss first.

        Parameters
        ----------
        by_class
            One row per horizon class and model instead, the whole horizon first.

        A model that failed at a cutoff comes after those with every cutoff: its mean is of other windows.
        """
        keys = ["horizon_class", "first_period", "last_period", "model"] if by_class else ["model"]
        rows = self.rows if by_class else self.rows.filter(pl.col("horizon_class") == ALL)
        summary = rows.group_by(keys, maintain_order=True).agg(
            pl.len().alias("cutoffs"),
            pl.col(METRICS).mean(),
            pl.col("mape_left_out").sum(),
            pl.col("cells").sum(),
            pl.col("seconds").sum(),
        )
        summary = summary.with_columns(_left_out_share())
        order = [pl.col("cutoffs") < len(self.cutoffs), pl.col("wql")]
        if by_class:
            order.insert(0, pl.col("horizon_class").replace_strict(_CLASS_ORDER, return_dtype=pl.Int8))
        shown = [*keys, "cutoffs", *METRICS, "mape_left_out", "mape_left_out_share", "seconds"]
        return summary.sort(order, nulls_last=True).select(shown)

    def comparison(self, horizon_class: str = ALL) -> pl.DataFrame:
        """Return each model beside the best one, and whether the difference is more than chance; see `comparison`.

        Models that failed at a cutoff are left out: they were not asked the same. Where a run was cut off, only the
        cutoffs at which every model has been are compared.

        Parameters
        ----------
        horizon_class
            ``all``, ``short``, ``medium`` or ``long``.
        """
        names = [ALL, *(each.name for each in horizon_classes(self.horizon))]
        if horizon_class not in names:
            raise ParameterError(
                f"horizon class {horizon_class!r} is not one of {', '.join(names)} of a horizon of {self.horizon}"
            )
        column = None if horizon_class == ALL else names.index(horizon_class) - 1
        failed = {failure.model for failure in self.failures}
        parts = [part for part in self.parts if part.model not in failed]
        by_model = [{part.cutoff for part in parts if part.model == model} for model in {p.model for p in parts}]
        shared = set.intersection(*by_model) if by_model else set()
        losses = [
            comparison.SeriesLosses(
                part.model,
                part.cutoff,
                part.ids,
                part.losses.sum(axis=1) if column is None else part.losses[:, column],
                part.units.sum(axis=1) if column is None else part.units[:, column],
            )
            for part in parts
            if part.cutoff in shared
        ]
        return comparison.beside_the_best(losses, seed=self.seed)

    def chart(self, metric: str = "wql", *, title: str = "How far off each model was") -> str:
        """Return an SVG drawing of a metric by model, cutoff and horizon class; smaller is drawn to the left."""
        if metric not in METRICS:
            raise ParameterError(f"metric {metric!r} is not known; metrics are {', '.join(METRICS)}")
        drawn = self.rows.select(
            "model", "cutoff", "horizon_class", "first_period", "last_period", pl.col(metric).alias("score")
        )
        return charts.scores(BACKTEST_SCORES.check(drawn), metric, title=title, period=_noun(self.freq))


def _noun(freq: Frequency) -> str:
    """Return what one period is called."""
    return (
        {"h": "hour", "d": "day", "w": "week", "mo": "month"}.get(freq.unit, "period") if freq.count == 1 else "period"
    )


_CLASS_ORDER: Final = {ALL: 0, "short": 1, "medium": 2, "long": 3}


def _left_out_share() -> pl.Expr:
    return (pl.col("mape_left_out") / pl.col("cells")).fill_nan(None).alias("mape_left_out_share")


def backtest(
    panel: Panel,
    models: Sequence[str] = ("auto", "seasonal_naive"),
    *,
    horizon: int,
    n_cutoffs: int = 4,
    step: int | None = None,
    n_paths: int = 200,
    seed: int = 0,
    only: Sequence[str] | None = None,
    progress: Progress | None = None,
    kept: Mapping[tuple[str, str], Part] | None = None,
    on_part: Callable[[Part], None] | None = None,
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
    only
        Ids of the series that are forecast and scored; the models are fitted on all. None for every series.
    progress
        Called with what is being done, steps done and steps in all.
    kept
        Parts of an earlier run of the very same backtest, by model and cutoff: they are not worked out again.
    on_part
        Called with each new part as soon as it is there.

    Raises
    ------
    ParameterError
        No model or an unknown one, or too short a history.
    DataError
        Nothing after any cutoff can be scored.
    ModelError
        Every model failed at every cutoff. One that fails while others do not is named in `Backtest.failures`.
    """
    if not models:
        raise ParameterError("a backtest needs at least 1 model, got none; for example models=('auto',)")
    estimators = {name: estimator(name) for name in models}
    tell, known = progress or _silent, kept or {}
    parts: list[Part] = []
    failures: list[Failure] = []
    total = n_cutoffs * len(estimators)
    for window, asked in _asked(windows(panel, horizon, n_cutoffs, step), only):
        for name, model in estimators.items():
            tell(f"{name} at {window.cutoff}", len(parts) + len(failures), total)
            found = known.get((name, window.cutoff)) or _scored(
                name, model, window, asked, horizon=horizon, n_paths=n_paths, seed=seed
            )
            if isinstance(found, Failure):
                failures.append(found)
                continue
            parts.append(found.named(name))
            if on_part is not None and (name, window.cutoff) not in known:
                on_part(parts[-1])
    if not parts and not failures:
        raise DataError(
            f"no period of the {n_cutoffs} windows of {horizon} periods was recorded and on sale, so there is nothing "
            "to score; use more cutoffs or check y and available"
        )
    if not parts:
        raise ModelError(f"no model could be scored; {failures[0].model}: {failures[0].reason}")
    tell("scored", total, total)
    return Backtest(tuple(parts), horizon, panel.freq, tuple(failures), seed)


def _asked(found: Iterator[Window], only: Sequence[str] | None) -> Iterator[tuple[Window, Window]]:
    """Yield each window and the same with the wanted series alone, where there is something to score in it."""
    for window in found:
        if only is None:
            yield window, window
            continue
        chosen = window.past.ids.is_in(list(only)).to_numpy()
        if window.scored[chosen].any():
            past, actual, scored = window.past.select(chosen), window.actual[chosen], window.scored[chosen]
            yield window, Window(window.cutoff, past, actual, scored)


def _scored(
    name: str, model: Estimator, window: Window, asked: Window, *, horizon: int, n_paths: int, seed: int
) -> Part | Failure:
    """Fit on the window, forecast and score the series that are asked for; whatever a model runs into is a failure."""
    started = time.perf_counter()
    try:
        forecast = model.fit(window.past).predict(asked.past, horizon, n_paths=n_paths, seed=seed)
        forecast.paths.sum()  # drawn here, so that drawing is in the time
        seconds = time.perf_counter() - started
        return part_of(name, asked, forecast, window.past.freq.season, seconds)
    except Exception as error:
        # Models wrap libraries that raise what they like, and the others' scores stand whatever it is: out of memory,
        # too, is told as this model's failure at this cutoff. An interruption is no Exception and goes on up.
        ours = isinstance(error, ShelfwiseError)
        return Failure(name, window.cutoff, str(error) if ours else f"{type(error).__name__}: {error}")


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
