"""The list of models answers by name."""

from __future__ import annotations

import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.catalog import AUTOMATIC, MODELS, estimator


def test_auto_stands_for_a_model_of_the_list():
    assert AUTOMATIC in MODELS
    assert estimator("auto") == MODELS[AUTOMATIC]()


def test_an_unknown_model_is_refused_with_those_there_are_and_a_near_name():
    with pytest.raises(ParameterError, match="'seasonal_nave' is not known; models are auto, .*did you mean"):
        estimator("seasonal_nave")
    with pytest.raises(ParameterError, match="'oracle' is not known; models are auto"):
        estimator("oracle")
