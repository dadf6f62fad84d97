"""Horizon classes: every period is in exactly one, whatever the horizon."""

from __future__ import annotations

import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.horizon_classes import HorizonClass, horizon_classes


@pytest.mark.parametrize("horizon", [*range(1, 30), 48, 52, 90, 300, 365])
def test_the_classes_cover_the_horizon_once_from_near_to_far(horizon: int) -> None:
    covered = [period for each in horizon_classes(horizon) for period in range(each.first, each.last + 1)]
    assert covered == list(range(1, horizon + 1))


@pytest.mark.parametrize(
    ("horizon", "bounds"),
    [(28, [7, 14, 28]), (12, [3, 6, 12]), (13, [4, 7, 13]), (48, [12, 24, 48]), (3, [1, 2, 3]), (1, [1])],
)
def test_usual_horizons_are_cut_where_a_planner_would(horizon: int, bounds: list[int]) -> None:
    assert [each.last for each in horizon_classes(horizon)] == bounds


def test_from_three_periods_on_there_are_all_three() -> None:
    assert [each.name for each in horizon_classes(3)] == ["short", "medium", "long"]
    assert [each.name for each in horizon_classes(2)] == ["short", "long"]


def test_what_is_no_horizon_and_no_class_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least 1 period, got 0"):
        horizon_classes(0)
    with pytest.raises(ParameterError, match="got 5 to 4"):
        HorizonClass("odd", 5, 4)
