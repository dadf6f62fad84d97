"""Forecasts of the store, and what they are made of."""

import numpy as np
import polars as pl
import pytest

from shelfwise.app import App
from shelfwise.services import predictions

PRODUCTS = ("CF-1007", "CF-1044")


@pytest.fixture
def made(demo: App) -> predictions.Prediction:
    return predictions.forecast(demo, horizon=14, products=PRODUCTS)


def test_causes_add_up_to_what_each_product_sells(made: predictions.Prediction) -> None:
    told = made.made_of()
    found = made.causes(told)
    sums = found.group_by("unique_id", maintain_order=True).agg(pl.col("units").sum())
    assert sums["unique_id"].to_list() == made.forecast.ids.to_list()
    np.testing.assert_allclose(sums["units"], made.forecast.mean().sum(axis=1))
    assert set(found["product"]) == set(PRODUCTS)
    daily = made.causes(told, daily=True)
    by_day = daily.group_by("unique_id", "ds", maintain_order=True).agg(pl.col("units").sum())
    np.testing.assert_allclose(by_day["units"], made.forecast.mean().ravel())
    assert daily.columns == ["unique_id", "product", "warehouse", "name", "ds", "kind", "part", "units"]


def test_what_is_changed_after_the_model_is_a_cause_of_its_own(made: predictions.Prediction) -> None:
    from dataclasses import replace

    doubled = replace(made.forecast, marginals=None, drawn=2 * made.forecast.paths)
    changed = replace(made, forecast=doubled)
    told = changed.made_of()
    np.testing.assert_allclose(told.mean(), doubled.mean())
    kinds = changed.causes(told).group_by("kind").agg(pl.col("units").sum())
    assert dict(kinds.iter_rows())["model"] > 0
