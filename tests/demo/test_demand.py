"""The true demand: seasons, weekdays, promotions, prices and closed days show in it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfwise.demo.catalogue import CATEGORIES, METALWORKS, SHOP, WEB, Catalogue, make_catalogue
from shelfwise.demo.demand import FUTURE_DAYS, Market, Timeline, make_market

TODAY = dt.date(2026, 11, 21)
DAYS = 730


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return make_catalogue(np.random.default_rng(10), 60)


@pytest.fixture(scope="module")
def market(catalogue: Catalogue) -> Market:
    return make_market(np.random.default_rng(11), catalogue, Timeline(TODAY, DAYS))


def of_season(catalogue: Catalogue, season: str) -> NDArray[np.bool_]:
    return catalogue.of_series([p.season == season and p.units_per_day >= 0.1 for p in catalogue.products]) > 0


def monthly_demand(market: Market, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean daily demand by calendar month over series that were on sale all the time, [12]."""
    month = market.timeline.days[:DAYS].astype("datetime64[M]").astype(np.int64) % 12
    rows = rows & market.on_sale.all(axis=1)
    total = market.retail[rows].sum(axis=0)  # [T]
    return np.array([total[month == m].mean() for m in range(12)])


def test_gifts_sell_before_christmas(catalogue: Catalogue, market: Market) -> None:
    by_month = monthly_demand(market, of_season(catalogue, "gift"))
    assert by_month[11] > 1.35 * by_month[:10].mean()


def test_iced_things_sell_in_summer_and_beans_in_winter(catalogue: Catalogue, market: Market) -> None:
    summer, winter = [5, 6, 7], [11, 0, 1]
    iced = monthly_demand(market, of_season(catalogue, "summer"))
    assert iced[summer].mean() > 1.5 * iced[winter].mean()
    warm = monthly_demand(market, of_season(catalogue, "winter"))
    assert warm[winter].mean() > 1.2 * warm[summer].mean()


def test_saturday_is_the_day_of_the_shop_and_monday_that_of_the_web(catalogue: Catalogue, market: Market) -> None:
    for warehouse, best, worst in ((SHOP, 5, 6), (WEB, 0, 5)):
        total = market.retail[catalogue.warehouse_of == warehouse].sum(axis=0)  # [T]
        by_weekday = [total[market.timeline.weekday[:DAYS] == day].mean() for day in range(7)]
        assert (int(np.argmax(by_weekday)), int(np.argmin(by_weekday))) == (best, worst)


def test_nothing_is_asked_for_on_a_closed_shop_floor(catalogue: Catalogue, market: Market) -> None:
    closed = ~market.shop_open[:DAYS]
    floor = catalogue.warehouse_of == SHOP
    assert closed.sum() > 100
    assert market.retail[np.ix_(floor, closed)].sum() == 0
    assert market.retail[np.ix_(~floor, closed)].sum() > 0


def test_christmas_is_closed_every_year(market: Market) -> None:
    for year in (2024, 2025, 2026):
        assert not market.shop_open[market.timeline.index(dt.date(year, 12, 25))]


def test_a_promotion_cuts_the_price_and_lifts_demand(catalogue: Catalogue, market: Market) -> None:
    codes = [p.code for p in catalogue.products]
    lifts = []
    for event in market.events:
        if event.name != "Coffee of the month" or event.first < 28 or event.last >= DAYS:
            continue
        p = codes.index(str(event.scope))
        assert (market.prices[p, event.first : event.last + 1] < market.prices[p, event.first - 1] * 0.9).all()
        rows = catalogue.product_of == p
        before = market.rate[rows, event.first - 28 : event.first].mean()
        lifts.append(market.rate[rows, event.first : event.last + 1].mean() / before)
    assert len(lifts) > 15
    assert np.median(lifts) > 1.5


@pytest.mark.parametrize("days_later", range(0, 40, 7))
def test_a_promotion_is_planned_in_the_next_four_weeks(days_later: int, catalogue: Catalogue) -> None:
    line = Timeline(TODAY + dt.timedelta(days_later), 120)
    planned = make_market(np.random.default_rng(0), catalogue, line).events
    assert any(e.kind == "promotion" and 120 < e.first <= 148 for e in planned)


def test_prices_change_for_good_now_and_then(catalogue: Catalogue, market: Market) -> None:
    assert market.prices.shape == (60, DAYS + FUTURE_DAYS)
    usual = np.median(market.prices[:, :60], axis=1), np.median(market.prices[:, DAYS - 60 : DAYS], axis=1)
    assert 10 < (usual[0] != usual[1]).sum() < 50
    listed = np.array([p.price for p in catalogue.products])
    assert (market.prices.max(axis=1) >= listed).all()


def test_the_far_supplier_closes_soon(market: Market) -> None:
    assert not market.supplier_open[METALWORKS, DAYS + 12 : DAYS + 28].any()
    assert market.supplier_open[METALWORKS, DAYS : DAYS + 12].all()


def test_demand_is_wider_than_poisson(catalogue: Catalogue, market: Market) -> None:
    rate, seen = market.rate[catalogue.units_per_day > 1], market.retail[catalogue.units_per_day > 1]
    excess = ((seen - rate) ** 2 - rate).sum() / rate.sum()
    assert excess > 0.2
    assert abs(seen.sum() / rate.sum() - 1) < 0.02  # and right on average


def test_wholesale_orders_are_rare_large_and_leave_from_the_web_store(catalogue: Catalogue, market: Market) -> None:
    series, day = np.nonzero(market.wholesale)
    assert 15 < len(series) < 120
    assert (catalogue.warehouse_of[series] == WEB).all()
    assert (market.timeline.weekday[day] < 5).all()
    assert (market.wholesale[series, day] >= 5 * catalogue.units_per_day[series]).all()


def test_beans_sell_most_and_grinders_least(catalogue: Catalogue, market: Market) -> None:
    category = catalogue.of_series([p.category for p in catalogue.products])
    sold = [market.retail[category == c].sum() for c in range(len(CATEGORIES))]
    assert (int(np.argmax(sold)), int(np.argmin(sold))) == (0, len(CATEGORIES) - 1)


def test_timeline_turns_dates_into_days_and_back() -> None:
    line = Timeline(TODAY, DAYS)
    assert line.day(0) == dt.date(2024, 11, 21)
    assert all(line.index(line.day(i)) == i for i in (0, 1, DAYS, line.length - 1))
    assert [int(w) for w in line.weekday[:3]] == [line.day(i).weekday() for i in range(3)]
    assert list(line.years) == [2024, 2025, 2026, 2027]
