"""The list of models. To add one: a file in ``models/`` and a line here."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.coherence import Coherent
from shelfwise.forecasting.contract import Estimator
from shelfwise.forecasting.ensemble import Ensemble
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.forecasting.models.croston import croston_sba, imapa, tsb
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.forecasting.models.prophet import Prophet
from shelfwise.forecasting.models.statistical import auto_arima, auto_ces, auto_ets, auto_theta
from shelfwise.forecasting.models.theta import Theta
from shelfwise.forecasting.models.trees import Trees


def automatic() -> Coherent:
    """Return the model that ``model="auto"`` stands for: an ensemble whose sums are held against models of the sums."""
    return Coherent(Ensemble(), name="coherent", judged=Trees(trust=1.0, rows=100_000))


MODELS: Final[dict[str, Callable[[], Estimator]]] = {
    "base_level": BaseLevel,
    "seasonal_naive": SeasonalNaive,
    "theta": Theta,
    "trees": Trees,
    "ensemble": Ensemble,
    "coherent": automatic,
    # The statistical family, which needs the extra `classic`.
    "auto_ets": auto_ets,
    "auto_theta": auto_theta,
    "auto_arima": auto_arima,
    "auto_ces": auto_ces,
    "croston_sba": croston_sba,
    "tsb": tsb,
    "imapa": imapa,
    "prophet": Prophet,
}

AUTOMATIC: Final = "coherent"  # what ``model="auto"`` stands for


def estimator(name: str) -> Estimator:
    """Return the model of that name with its default parameters.

    Raises
    ------
    ParameterError
        There is no such model; the message lists those there are.

    >>> estimator("auto").name
    'coherent'
    """
    wanted = AUTOMATIC if name == "auto" else name
    if not isinstance(wanted, str) or wanted not in MODELS:
        near = get_close_matches(str(wanted), MODELS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"model {name!r} is not known; models are auto, {', '.join(MODELS)}{hint}")
    return MODELS[wanted]()
