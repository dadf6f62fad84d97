"""The list of models. To add one: a file in ``models/`` and a line here."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.contract import Estimator
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.naive import SeasonalNaive

MODELS: Final[dict[str, Callable[[], Estimator]]] = {
    "base_level": BaseLevel,
    "seasonal_naive": SeasonalNaive,
}

AUTOMATIC: Final = "base_level"  # what ``model="auto"`` stands for


def estimator(name: str) -> Estimator:
    """Return the model of that name with its default parameters.

    Raises
    ------
    ParameterError
        There is no such model; the message lists those there are.

    >>> estimator("auto").name
    'base_level'
    """
    wanted = AUTOMATIC if name == "auto" else name
    if wanted not in MODELS:
        near = get_close_matches(wanted, MODELS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"model {name!r} is not known; models are auto, {', '.join(MODELS)}{hint}")
    return MODELS[wanted]()
