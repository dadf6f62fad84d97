"""Bundles on arrays: every path of a component carries its bundles, in the same world, whatever form a forecast has."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.frames import BUNDLES
from shelfwise.domain.marginals import Marginals
from shelfwise.domain.paths import Dependence
from shelfwise.inventory.bundles import exploded, leaves, without_bundles

DAILY = Frequency.parse("1d")
PRODUCTS = pl.DataFrame({"product": list("abcdef"), "category": ["x"] * 6})


def recipe(*rows):
    return pl.DataFrame(rows, schema={name: column.dtype for name, column in BUNDLES.columns.items()}, orient="row")


def sold(ids, horizon=4, drawn=False):
    rng = np.random.default_rng(len(ids))
    mean = rng.gamma(2.0, 2.0, (len(ids), horizon))
    parts = [name.split("@") for name in ids]
    table = pl.DataFrame(
        {
            "unique_id": ids,
            "product": [p for p, _ in parts],
            "warehouse": [w for _, w in parts],
            "category": ["x"] * len(ids),
        }
    )
    made = Forecast(
        table, np.full(len(ids), 20000), DAILY, Provenance("m", "1", seed=3), 40, Marginals(mean, 1.4 * mean),
        Dependence(0.3, 0.2),
    )  # fmt: skip
    if not drawn:
        return made
    return Forecast(table, made.starts, DAILY, made.provenance, 40, drawn=made.paths)


def by_hand(forecast, stocked, recipes):
    """Slow twin: one series, one path, one period at a time."""
    place = {name: row for row, name in enumerate(forecast.ids.to_list())}
    made = np.zeros((stocked.height, forecast.n_paths, forecast.horizon))
    for i, (name, product, warehouse) in enumerate(stocked.select("unique_id", "product", "warehouse").iter_rows()):
        for s in range(forecast.n_paths):
            for h in range(forecast.horizon):
                if name in place:
                    made[i, s, h] += forecast.paths[place[name], s, h]
                for bundle, component, quantity in recipes.iter_rows():
                    whole = f"{bundle}@{warehouse}"
                    if component == product and whole in place:
                        made[i, s, h] += quantity * forecast.paths[place[whole], s, h]
    return made


IDS = ["a@m", "a@w", "b@m", "c@m", "c@w", "d@m", "e@w"]
RECIPES = recipe(("c", "a", 2.0), ("c", "f", 1.0), ("d", "a", 1.0), ("d", "b", 0.5))


@pytest.mark.parametrize("drawn", [False, True])
def test_components_carry_their_bundles_as_the_slow_twin_says(drawn) -> None:
    forecast = sold(IDS, drawn=drawn)
    stocked = without_bundles(forecast.series, RECIPES, PRODUCTS)
    assert stocked["unique_id"].to_list() == ["a@m", "a@w", "b@m", "e@w", "f@m", "f@w"]
    made = exploded(forecast, stocked, RECIPES)
    expected = by_hand(forecast, stocked, RECIPES)
    assert made.paths == pytest.approx(expected)
    assert made.total(3) == pytest.approx(expected[:, :, :3].sum(axis=2))
    assert made.mean() == pytest.approx(expected.mean(axis=1), rel=0.12, abs=0.1)


@pytest.mark.parametrize("drawn", [False, True])
def test_views_of_a_forecast_with_parts_agree_with_its_paths(drawn) -> None:
    forecast = sold(IDS, drawn=drawn)
    made = exploded(forecast, without_bundles(forecast.series, RECIPES, PRODUCTS), RECIPES)
    for chunk, low in zip(made.chunks(3), (0, 2, 4), strict=True):
        assert np.array_equal(chunk.paths, made.paths[low : low + 2])
    read = Forecast.from_bytes(made.to_bytes())
    assert np.array_equal(read.paths, made.paths)
    assert np.allclose(read.mean(), made.mean())
    levels = [0.1, 0.5, 0.9]
    bundled = np.unique(made.shares.nonzero()[0])
    from_paths = np.moveaxis(np.quantile(made.paths[bundled], levels, axis=1, method="inverted_cdf"), 0, -1)
    assert made.quantiles(levels)[bundled] == pytest.approx(from_paths)
    alone = made.alone()
    assert np.array_equal(alone.quantiles(levels)[3], made.quantiles(levels)[3])  # e is in no bundle
    assert made.aggregate().paths[0] == pytest.approx(made.paths.sum(axis=0), rel=1e-5)
    assert made.with_paths(20).paths.shape == (6, 20, 4)
    assert made.with_mean(2 * made.mean()).mean() == pytest.approx(2 * made.mean(), rel=1e-4)


def test_without_bundles_everything_stays_the_very_same() -> None:
    forecast = sold(IDS)
    assert without_bundles(forecast.series, BUNDLES.empty(), PRODUCTS) is forecast.series
    assert exploded(forecast, forecast.series, BUNDLES.empty()) is forecast


def test_a_recipe_that_nobody_sells_changes_nothing_that_is_planned() -> None:
    forecast = sold(["a@m", "b@m"])
    recipes = recipe(("f", "a", 2.0))
    stocked = without_bundles(forecast.series, recipes, PRODUCTS)
    made = exploded(forecast, stocked, recipes)
    assert stocked.equals(forecast.series)
    assert np.array_equal(made.paths, forecast.paths)
    assert made.parts is None


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 4))
def test_units_are_conserved_from_bundles_to_components(quantities, boxes) -> None:
    drawn = np.full((1, 2, 3), boxes, dtype=np.float32)
    table = pl.DataFrame({"unique_id": ["box@m"], "product": ["box"], "warehouse": ["m"], "category": [None]})
    forecast = Forecast(table, np.array([9]), DAILY, Provenance("m", "1"), 2, drawn=drawn)
    recipes = recipe(*(("box", f"p{i}", float(units)) for i, units in enumerate(quantities)))
    made = exploded(forecast, without_bundles(table, recipes, PRODUCTS), recipes)
    assert made.paths.sum() == boxes * sum(quantities) * 6


def test_bundles_in_bundles_multiply_down_to_what_is_stocked() -> None:
    deep = recipe(("x", "y", 2.0), ("y", "z", 3.0), ("x", "z", 1.0), ("z", "a", 2.0))
    assert leaves(deep).rows() == [("x", "a", 14.0), ("y", "a", 6.0), ("z", "a", 2.0)]


def test_a_circle_of_bundles_is_said() -> None:
    with pytest.raises(DataError, match="is made of itself"):
        leaves(recipe(("x", "y", 1.0), ("y", "x", 1.0)))


def test_parts_that_do_not_fit_are_refused() -> None:
    forecast = sold(IDS)
    made = exploded(forecast, without_bundles(forecast.series, RECIPES, PRODUCTS), RECIPES)
    with pytest.raises(ParameterError, match="given together"):
        Forecast(made.series, made.starts, DAILY, made.provenance, 40, made.marginals, parts=made.parts)
    with pytest.raises(ParameterError, match=r"shares must be \[6, 3\]"):
        Forecast(
            made.series, made.starts, DAILY, made.provenance, 40, made.marginals, parts=made.parts,
            shares=made.shares[:2],
        )  # fmt: skip
