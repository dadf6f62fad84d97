"""The invented catalogue: sizes, names and lives of products."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.demo.catalogue import CATEGORIES, MOST_PRODUCTS, SUPPLIERS, make_catalogue, split_by_share
from shelfwise.domain.errors import ParameterError


@pytest.mark.parametrize("n_products", [20, 60, MOST_PRODUCTS])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_codes_and_names_are_never_given_twice(n_products: int, seed: int) -> None:
    products = make_catalogue(np.random.default_rng(seed), n_products).products
    assert len(products) == n_products
    assert len({p.code for p in products}) == n_products
    assert len({p.name for p in products}) == n_products


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_the_products_move_slowly(seed: int) -> None:
    products = make_catalogue(np.random.default_rng(seed), 60).products
    assert sum(p.units_per_day < 0.1 for p in products) >= 12


def test_every_category_and_every_supplier_has_products() -> None:
    products = make_catalogue(np.random.default_rng(0), 60).products
    assert {p.category for p in products} == set(range(len(CATEGORIES)))
    assert {p.supplier for p in products} == set(range(len(SUPPLIERS)))


@pytest.mark.parametrize("seed", range(5))
def test_lives_hold_a_launch_today_a_fresh_one_three_ends_a_planned_end_and_an_heir(seed: int) -> None:
    products = make_catalogue(np.random.default_rng(seed), 60).products
    launches = [p.launch for p in products if p.launch is not None]
    assert launches.count(0) == 1
    assert sum(-30 < launch < 0 for launch in launches) == 1
    ends = sorted(p.last_day for p in products if p.last_day is not None)
    assert len(ends) == 4
    assert ends[2] < 0 < ends[3]
    heir = next(p for p in products if p.replaces)
    replaced = next(p for p in products if p.code == heir.replaces)
    assert replaced.last_day is not None
    assert heir.launch == replaced.last_day + 1
    assert heir.category == replaced.category


def test_a_margin_and_whole_packs_are_kept() -> None:
    for product in make_catalogue(np.random.default_rng(3), 60).products:
        assert 0 < product.unit_cost < product.price
        assert product.minimum_order_quantity % product.pack_size == 0


def test_a_series_exists_only_where_the_product_is_sold() -> None:
    catalogue = make_catalogue(np.random.default_rng(0), 60)
    assert (catalogue.units_per_day > 0).all()
    assert 60 < len(catalogue.series) < 120  # some are sold in one place only
    total = np.bincount(catalogue.product_of, weights=catalogue.units_per_day)  # [P]
    np.testing.assert_allclose(total, [p.units_per_day for p in catalogue.products])


@pytest.mark.parametrize("n_products", [0, 19, MOST_PRODUCTS + 1])
def test_too_few_or_too_many_products_are_refused(n_products: int) -> None:
    with pytest.raises(ParameterError, match=f"between 20 and {MOST_PRODUCTS}, got {n_products}"):
        make_catalogue(np.random.default_rng(0), n_products)


def test_shares_always_add_up() -> None:
    for total in range(20, 301):
        assert sum(split_by_share([18, 9, 8, 10, 10, 5], total)) == total
