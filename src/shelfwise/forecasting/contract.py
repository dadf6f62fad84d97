"""The contract of every model: an estimator is fitted and returns a predictor; the predictor returns forecasts.

What is not fitted cannot be asked, because only `Estimator.fit` makes a `Predictor`. A predictor reads history from
the panel it is handed, so new sales need no new fit.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel

Floats = npt.NDArray[np.floating[Any]]


class Predictor(Protocol):
    """A fitted model."""

    @property
    def name(self) -> str:
        """Name in the catalog."""
        ...

    @property
    def version(self) -> str:
        """Version of the method, raised when its answers change."""
        ...

    def predict(self, panel: Panel, horizon: int, *, n_paths: int = 200, seed: int = 0) -> Forecast:
        """Return the forecast of the ``horizon`` periods after each series' last one.

        Parameters
        ----------
        panel
            N series with their history and, as ``panel.known_future``, what is known of the coming periods. They need
            not be the series the model was fitted on.
        horizon
            Periods H, at least 1.
        n_paths
            Joint sample paths S.
        seed
            Same seed, same paths on one machine, whatever the order of series and the chunks they come in.
        """
        ...

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything fitted as named arrays, from which `Estimator.restore` makes the same predictor."""
        ...


@runtime_checkable
class Composed(Protocol):
    """A predictor that says what its means are made of."""

    def components(self, panel: Panel, horizon: int) -> dict[str, Floats]:
        """Return factors [N, H] whose product is the mean; ``level`` is in units."""
        ...


class Estimator(Protocol):
    """A model with its parameters, not yet fitted."""

    @property
    def name(self) -> str:
        """Name in the catalog."""
        ...

    def fit(self, panel: Panel) -> Predictor:
        """Return a predictor fitted on ``panel``; the estimator itself does not change."""
        ...

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> Predictor:
        """Return the predictor that `Predictor.to_arrays` described."""
        ...


LONGEST_HORIZON: Final = 1_000_000
"""Periods: nearly ten years of 5 minutes. What is beyond is a slip, and would fill the memory before it failed."""


def check_horizon(horizon: int) -> int:
    """Return the horizon, or raise `ParameterError` for what is no whole number of 1 to a million periods.

    >>> check_horizon(2.5)
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: horizon must be a whole number of periods, got 2.5
    """
    periods = whole_number("horizon", horizon, "of periods")
    if periods < 1:
        raise ParameterError(f"horizon must be at least 1 period, got {periods}")
    if periods > LONGEST_HORIZON:
        raise ParameterError(
            f"horizon must be at most {LONGEST_HORIZON:,} periods, got {periods:,}; use a coarser freq"
        )
    return periods


def whole_number(name: str, given: int, what: str = "") -> int:
    """Return ``given`` as an int, or raise `ParameterError` where it is none; numpy's whole numbers are."""
    if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
        raise ParameterError(f"{name} must be a whole number{what and ' ' + what}, got {given!r}")
    return int(given)
