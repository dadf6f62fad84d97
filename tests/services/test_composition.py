"""What the coming demand is made of, in words: numbers, signs, singular and plural, and what is too small to tell."""

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.calendar import Frequency
from shelfwise.forecasting.explain import Contributions, Part
from shelfwise.services.composition import composition_words


def made(**weekly: float) -> Contributions:
    """Contributions of one series, the same every day, given as units a week."""
    parts = tuple(Part(kind, kind) if "_" not in kind else Part(*kind.split("_", 1)) for kind in weekly)
    units = np.broadcast_to(np.array(list(weekly.values())) / 7, (1, 28, len(parts)))
    return Contributions(pl.DataFrame({"unique_id": ["a"]}), np.array([20_000]), Frequency(1, "d"), parts, units)


def test_the_level_comes_first_and_then_the_larger_side() -> None:
    assert composition_words(made(level=50.0, trend=-12.0, season=3.0, event_fair=2.0)) == [
        "Its usual level is 50 units a week; over the next 4 weeks it should sell 43 a week.",
        "Lower sales of late take away 12 units a week; the time of year adds 3 and fair 2.",
    ]


def test_three_causes_of_one_sign_are_listed() -> None:
    (_, text) = composition_words(made(level=50.0, trend=9.0, season=8.0, opening=-20.0, price=7.0))
    assert text == (
        "Closed days take away 20 units a week; higher sales of late add 9, the time of year 8 and the price 7."
    )


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (1.0, "Promotions add 1 unit a week."),
        (0.4, "Promotions add 0.4 units a week."),
        (-2.46, "Promotions take away 2.5 units a week."),
    ],
)
def test_units_are_singular_plural_or_fractional(units: float, text: str) -> None:
    assert composition_words(made(level=6.0, promotion=units))[1] == text


def test_what_moves_demand_by_less_than_two_per_cent_is_not_told() -> None:
    assert len(composition_words(made(level=100.0, season=1.9, trend=-1.9))) == 1
    assert len(composition_words(made(level=100.0, season=2.5))) == 2


def test_what_is_told_elsewhere_is_left_out() -> None:
    assert len(composition_words(made(level=10.0, promotion=5.0), without=("promotion",))) == 1


def test_a_product_that_sells_nothing_has_no_sentence() -> None:
    assert composition_words(made(level=0.0)) == []
