"""ABC-XYZ: what crosses a share still belongs to the better class, nothing is never steady, classes set levels."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory import classes


def test_the_item_that_crosses_a_share_still_belongs_to_the_better_class() -> None:
    assert "".join(classes.abc([50.0, 40.0, 6.0, 4.0])) == "AABC"


def test_without_any_value_everything_is_c() -> None:
    assert "".join(classes.abc([0.0, 0.0])) == "CC"
    assert classes.abc([]).tolist() == []


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40))
def test_a_higher_value_is_never_in_a_worse_class(values: list[float]) -> None:
    grades = classes.abc(values)
    order = np.argsort(-np.array(values), kind="stable")
    assert sorted(grades[order]) == grades[order].tolist()
    some = np.array(values) > 0
    held = np.array(values)[grades == "A"].sum()
    assert held >= 0.8 * sum(values) * (1 - 1e-9) or not some.any()


def test_periods_not_seen_change_no_variation() -> None:
    seen = np.array([[2.0, 4.0, 6.0]])
    assert classes.variation(np.array([[2.0, np.nan, 4.0, np.nan, 6.0]])) == pytest.approx(classes.variation(seen))
    assert classes.variation(seen)[0] == pytest.approx(np.std([2, 4, 6]) / 4)


def test_one_period_tells_nothing_of_steadiness() -> None:
    assert np.isinf(classes.variation(np.array([[5.0, np.nan]]))[0])


def test_better_classes_never_have_lower_service_levels() -> None:
    levels = classes.SERVICE_LEVELS
    for letter in "ABC":
        assert levels[f"{letter}X"] >= levels[f"{letter}Y"] >= levels[f"{letter}Z"]
    for letter in "XYZ":
        assert levels[f"A{letter}"] >= levels[f"B{letter}"] >= levels[f"C{letter}"]


def test_wrong_input_is_refused_with_its_value() -> None:
    with pytest.raises(ParameterError, match="finite amount"):
        classes.abc([1.0, np.nan])
    with pytest.raises(ParameterError, match=r"must rise .* got \(0.9, 0.5\)"):
        classes.abc([1.0], (0.9, 0.5))
    with pytest.raises(ParameterError, match="zero or more"):
        classes.xyz([-1.0])
    with pytest.raises(ParameterError, match="'DX' is no class"):
        classes.service_levels(pl.Series(["AX", "DX"]))
