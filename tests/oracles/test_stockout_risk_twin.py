"""The last helpful order and what it saves, beside counting paths and draws one by one."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.inventory.stockout_risk import stockout_risk

HORIZON = 12


@pytest.fixture
def world():
    """Six products over 40 paths, orders on the way, and uncertain lead times."""
    rng = np.random.default_rng(2)
    paths = rng.poisson(3.0, (6, 40, HORIZON)).astype(float)
    stock = np.array([0.0, 5.0, 12.0, 20.0, 30.0, 60.0])
    inbound = np.where(rng.random((6, HORIZON)) < 0.1, 9.0, 0.0)
    return stock, inbound, paths, rng.integers(0, 6, (6, 25))


def first_shortage(stock, inbound, demand):
    for period in range(HORIZON):
        stock += inbound[period]
        if demand[period] > stock:
            return period + 1
        stock -= demand[period]
    return None


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_the_last_helpful_order_by_counting(world, share) -> None:
    stock, inbound, paths, leads = world
    found = stockout_risk(stock, inbound, paths).last_helpful_order(leads, share)
    for row in range(6):
        out = [t for path in paths[row] if (t := first_shortage(stock[row], inbound[row], path)) is not None]
        if not out:
            assert np.isnan(found[row])
            continue
        helpful = [
            wait
            for wait in range(-20, HORIZON)
            if np.mean([wait + lead + 1 <= t for t in out for lead in leads[row]]) >= share - 1e-9
        ]
        assert found[row] == max(helpful)


def test_what_an_order_saves_by_walking_with_and_without_it(world) -> None:
    """An order so large that nothing is lost after it, put on the shelf at its arrival."""
    stock, inbound, paths, _ = world
    risk = stockout_risk(stock, inbound, paths)
    for lead in (0, 3, 7):
        with_order = inbound.copy()
        with_order[:, lead] += 1e6
        saved = risk.lost_units.sum(axis=1) - stockout_risk(stock, with_order, paths).lost_units.sum(axis=1)
        np.testing.assert_allclose(risk.saved_by_order(np.full(6, lead)), saved)
