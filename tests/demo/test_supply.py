"""The simulated supply: stock is conserved, stockouts hide demand, orders keep the suppliers' rules."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from shelfwise.demo.catalogue import PAPER_MILL, SUPPLIERS, SYRUP_MAKER, Catalogue, make_catalogue
from shelfwise.demo.demand import Market, Timeline, make_market
from shelfwise.demo.supply import Ledger, run_supply

DAYS = 730


@pytest.fixture(scope="module")
def world() -> tuple[Catalogue, Market, Ledger]:
    catalogue = make_catalogue(np.random.default_rng(20), 60)
    market = make_market(np.random.default_rng(21), catalogue, Timeline(dt.date(2026, 11, 21), DAYS))
    return catalogue, market, run_supply(np.random.default_rng(22), catalogue, market)


def test_stock_is_what_came_less_what_went(world: tuple[Catalogue, Market, Ledger]) -> None:
    _, _, ledger = world
    level = np.zeros(len(ledger.known), dtype=np.int64)  # [N]
    for day in range(DAYS):
        counted = ledger.counted[:, day]
        level = np.where(counted >= 0, counted, level)
        level = level + ledger.received[:, day] + ledger.transferred[:, day]
        assert (level >= 0).all()
        for out in (ledger.wholesale, ledger.retail):
            level = level - out[:, day]
            assert (level >= 0).all()
        level = level + ledger.returned[:, day] + ledger.adjusted[:, day]
        assert (level == ledger.on_hand[:, day]).all()


def test_demand_is_hidden_only_when_the_shelf_is_empty(world: tuple[Catalogue, Market, Ledger]) -> None:
    _, market, ledger = world
    hidden = market.retail + market.wholesale > ledger.retail + ledger.wholesale  # [N, T]
    left = ledger.on_hand - ledger.returned - ledger.adjusted
    assert (left[hidden] == 0).all()
    assert 0.01 < hidden[market.on_sale].mean() < 0.10


def test_transfers_only_move_stock_between_warehouses(world: tuple[Catalogue, Market, Ledger]) -> None:
    catalogue, _, ledger = world
    for day in np.flatnonzero(ledger.transferred.any(axis=0)):
        by_product = np.bincount(catalogue.product_of, weights=ledger.transferred[:, day])
        assert (by_product == 0).all()
    assert (ledger.transferred > 0).sum() > 10


def test_receipts_are_the_deliveries_of_order_lines(world: tuple[Catalogue, Market, Ledger]) -> None:
    _, market, ledger = world
    delivered = np.zeros_like(ledger.received)
    for line in ledger.order_lines:
        assert 0 <= line.received <= line.quantity
        for day, units in line.deliveries:
            assert day > line.ordered
            assert market.shop_open[day]
            delivered[line.series, day] += units
    assert (delivered == ledger.received).all()


def test_orders_keep_packs_minimums_order_days_and_closures(world: tuple[Catalogue, Market, Ledger]) -> None:
    catalogue, market, ledger = world
    value: dict[int, float] = {}
    for line in ledger.order_lines:
        product = catalogue.products[catalogue.product_of[line.series]]
        supplier = SUPPLIERS[line.supplier]
        assert product.supplier == line.supplier
        assert line.quantity % product.pack_size == 0
        assert line.quantity >= product.minimum_order_quantity
        assert int(market.timeline.weekday[line.ordered]) in supplier.order_weekdays
        assert market.supplier_open[line.supplier, line.ordered]
        value[line.order] = value.get(line.order, 0.0) + line.quantity * product.unit_cost
    for line in ledger.order_lines:
        assert value[line.order] >= SUPPLIERS[line.supplier].minimum_order_value


def test_measured_lead_times_differ_by_supplier_and_one_is_longer_than_stated(
    world: tuple[Catalogue, Market, Ledger],
) -> None:
    _, _, ledger = world
    waits: list[list[int]] = [[] for _ in SUPPLIERS]
    for line in ledger.order_lines:
        waits[line.supplier] += [day - line.ordered for day, _ in line.deliveries[:1]]
    measured = [float(np.mean(days)) for days in waits]
    assert measured == sorted(measured)
    assert measured[PAPER_MILL] > SUPPLIERS[PAPER_MILL].lead_time_days + 1
    assert abs(measured[SYRUP_MAKER] - SUPPLIERS[SYRUP_MAKER].lead_time_days) < 1.5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("days_later", [0, 3, 45])
def test_one_order_is_overdue_one_came_in_part_and_one_is_still_on_time(seed: int, days_later: int) -> None:
    n_days = 200
    today = dt.date(2026, 11, 21) + dt.timedelta(days_later)
    catalogue = make_catalogue(np.random.default_rng(seed), 60)
    market = make_market(np.random.default_rng(seed + 1), catalogue, Timeline(today, n_days))
    lines = run_supply(np.random.default_rng(seed + 2), catalogue, market).order_lines
    still_open = [line for line in lines if line.received < line.quantity]
    assert any(n_days - 7 <= line.expected < n_days and line.received == 0 for line in still_open)
    assert any(0 < line.received < line.quantity for line in still_open)
    assert any(line.expected > n_days for line in still_open)


def test_nothing_is_ordered_that_would_come_after_the_last_day_on_sale(
    world: tuple[Catalogue, Market, Ledger],
) -> None:
    catalogue, _, ledger = world
    for line in ledger.order_lines:
        last = catalogue.products[catalogue.product_of[line.series]].last_day
        assert last is None or line.expected <= last + DAYS + 16
