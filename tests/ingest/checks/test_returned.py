"""Returns are odd beyond what was sold, or far beyond the shop's own share."""

from __future__ import annotations

import polars as pl
import pytest

from shelfwise.ingest.checks.returned import unusual_returns


def shop(sold: float, returned: float, *, usual: float = 0.02) -> pl.DataFrame:
    return pl.DataFrame({"product": ["A", "A", "rest", "rest"], "quantity": [sold, -returned, 1e4, -1e4 * usual]})


@pytest.mark.parametrize(("sold", "returned"), [(100.0, 120.0), (100.0, 35.0), (0.0, 12.0)])
def test_too_much_that_comes_back_is_told(sold: float, returned: float) -> None:
    assert unusual_returns(shop(sold, returned))["product"].to_list() == ["A"]


@pytest.mark.parametrize(("sold", "returned"), [(100.0, 20.0), (5.0, 9.0), (100.0, 0.0)])
def test_a_usual_share_and_a_few_units_are_not(sold: float, returned: float) -> None:
    assert unusual_returns(shop(sold, returned)).is_empty()


def test_where_everything_comes_back_often_a_third_is_usual() -> None:
    assert unusual_returns(shop(100.0, 40.0, usual=0.3)).is_empty()


def test_a_shop_without_sales_has_only_returns_to_tell_of() -> None:
    assert unusual_returns(pl.DataFrame({"product": ["A"], "quantity": [-20.0]}))["product"].to_list() == ["A"]
    assert unusual_returns(pl.DataFrame(schema={"product": pl.String, "quantity": pl.Float64})).is_empty()
