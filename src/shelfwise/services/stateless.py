"""Forecasts of a history that comes with the question: nothing is read from the store and nothing is kept."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.execution.local import OutOfTime, WorkerLost, Workers
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.series_summary import SeriesSummary, Trend, summarise

_log: Final = logging.getLogger(__name__)

FEWEST_OBSERVATIONS: Final = 7
LONGEST_CONTEXT: Final = 365
LONGEST_AHEAD: Final = 30
BASE_MODEL: Final = "base_level"  # a few milliseconds, and it cannot fail
LOWER: Final = 0.1
UPPER: Final = 0.9
N_PATHS: Final = 200

Floats = npt.NDArray[np.floating[Any]]

__all__ = ["Answer", "Question", "Trend", "predict"]


@dataclass(frozen=True)
class Question:
    """What a forecast is asked of: daily sales of one product, and how far to look back and ahead.

    Sales of one day given in parts are added up. A day between the first and the last that is not named sold nothing:
    lists of sales leave such days out.

    Parameters
    ----------
    product
        What to call it in the answer.
    dates, quantities
        Days and the units sold on them, in any order, at least `FEWEST_OBSERVATIONS`.
    days_ahead
        Days H to forecast.
    context_length
        Days of history, counted back from the last one, that the model sees.
    model
        Name of a model, or ``auto``.
    seed
        Same question, same seed, same answer.
    """

    product: str
    dates: Sequence[dt.date]
    quantities: Sequence[float]
    days_ahead: int = 7
    context_length: int = 64
    model: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.dates) != len(self.quantities):
            raise DataError(
                f"there are {len(self.dates):,} dates and {len(self.quantities):,} quantities; "
                "each date needs the quantity sold on it"
            )
        days = len(set(self.dates))
        if days < FEWEST_OBSERVATIONS:
            raise DataError(
                f"a forecast needs at least {FEWEST_OBSERVATIONS} observations on different days, got {days}; "
                f"give {FEWEST_OBSERVATIONS - days} more"
            )
        for position, quantity in enumerate(self.quantities):
            if not np.isfinite(quantity) or quantity < 0:
                raise DataError(
                    f"quantity {quantity:g} at position {position} is not a number of units sold, zero or more; "
                    "what came back is left out"
                )
        if not 1 <= self.days_ahead <= LONGEST_AHEAD:
            raise ParameterError(f"days_ahead must be from 1 to {LONGEST_AHEAD}, got {self.days_ahead}")
        if not FEWEST_OBSERVATIONS <= self.context_length <= LONGEST_CONTEXT:
            raise ParameterError(
                f"context_length must be from {FEWEST_OBSERVATIONS} to {LONGEST_CONTEXT}, got {self.context_length}"
            )
        estimator(self.model)

    def daily(self) -> tuple[dt.date, Floats]:
        """Return the first day of the context and the units of each day in it, [T] with T at most context_length."""
        last = max(self.dates)
        first = max(min(self.dates), last - dt.timedelta(days=self.context_length - 1))
        values = np.zeros((last - first).days + 1)
        for day, quantity in zip(self.dates, self.quantities, strict=True):
            if day >= first:
                values[(day - first).days] += quantity
        if not np.isfinite(values).all():
            raise DataError("the quantities of a day add up to more than a number can hold; are they units?")
        return first, values


@dataclass(frozen=True)
class Answer:
    """A forecast for the days after the last one given.

    Parameters
    ----------
    dates
        The H days.
    mean, lower, median, upper
        [H] units: expected demand, and the quantiles `LOWER`, 0.5 and `UPPER` of it.
    model, version
        What ran.
    summary
        The history that the model saw, in a few numbers.
    note
        Why something else ran than was asked for; empty where it did not.
    """

    dates: tuple[dt.date, ...]
    mean: tuple[float, ...]
    lower: tuple[float, ...]
    median: tuple[float, ...]
    upper: tuple[float, ...]
    model: str
    version: str
    summary: SeriesSummary
    note: str = ""

    @property
    def range(self) -> str:
        """Return which quantiles ``lower`` and ``upper`` are."""
        return f"{LOWER:g}-{UPPER:g}"

    def __post_init__(self) -> None:
        if any(after - before != dt.timedelta(days=1) for before, after in pairwise(self.dates)):
            raise ParameterError("the days of a forecast follow one another")


def predict(question: Question, workers: Workers | None = None, timeout_seconds: float = 120.0) -> Answer:
    """Forecast what a question asks for.

    Parameters
    ----------
    workers
        Processes that do the work; None does it here, with no deadline.
    timeout_seconds
        After so long the work is ended and the base model answers instead, which `Answer.note` says.
    """
    began = time.perf_counter()
    if workers is None:
        answer = _answer(question, question.model)
    else:
        try:
            answer = workers.call(_answer, question, question.model, timeout_seconds=timeout_seconds)
        except (OutOfTime, WorkerLost) as error:
            _log.warning("prediction of %s by %s: %s", question.product, question.model, error)
            answer = _answer(question, BASE_MODEL, f"{question.model} was asked for: {error}")
    _log.info(
        "prediction_completed",
        extra={
            "product": question.product, "model": answer.model, "asked_for": question.model,
            "days_ahead": question.days_ahead, "context_length": answer.summary.days,
            "seconds": round(time.perf_counter() - began, 4),
        },
    )  # fmt: skip
    return answer


def _answer(question: Question, model: str, note: str = "") -> Answer:
    first, values = question.daily()
    days = [first + dt.timedelta(days=n) for n in range(len(values))]
    history = pl.DataFrame({"unique_id": [question.product] * len(days), "ds": days, "y": values})
    panel = Panel.from_long(history, freq="1d")
    made = estimator(model).fit(panel).predict(panel, question.days_ahead, n_paths=N_PATHS, seed=question.seed)
    bands = made.quantiles([LOWER, 0.5, UPPER])[0]  # [H, 3] units
    return Answer(
        dates=tuple(days[-1] + dt.timedelta(days=n) for n in range(1, question.days_ahead + 1)),
        mean=tuple(made.mean()[0].tolist()),
        lower=tuple(bands[:, 0].tolist()),
        median=tuple(bands[:, 1].tolist()),
        upper=tuple(bands[:, 2].tolist()),
        model=made.provenance.model,
        version=made.provenance.version,
        summary=summarise(values, first.weekday()),
        note=note,
    )
