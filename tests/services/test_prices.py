"""Prices day by day: which one holds, and that a planned one moves the forecast."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import sales

from shelfwise.app import App
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.frames import PRICES
from shelfwise.forecasting.usual import as_usual, drivers_of
from shelfwise.services import demand, predictions
from shelfwise.services.composition import compose
from shelfwise.services.fitting import fitted
from shelfwise.services.prices import plan_price, price_days
from shelfwise.storage import catalogue

DAY = dt.timedelta(days=1)
START = dt.date(2024, 3, 4)
PLACES = pl.DataFrame({"product": ["A", "A", "B"], "warehouse": ["main", "web", "main"]})


def laid(*rows: tuple[str, str | None, int, float], days: int = 5) -> list[list[float]] | None:
    """Prices of the three series on each day, from (product, warehouse, first day, price)."""
    frame = pl.DataFrame(
        [(product, place, START + day * DAY, price) for product, place, day, price in rows],
        schema={name: column.dtype for name, column in PRICES.columns.items()},
        orient="row",
    )
    found = price_days(PRICES.check(frame), PLACES, START, days)
    return None if found is None else found.tolist()


def test_a_price_holds_from_its_day_until_the_next_one_and_the_first_before_it_too() -> None:
    assert laid(("A", "main", 1, 5.0), ("A", "main", 3, 4.0))[0] == [5, 5, 5, 4, 4]


def test_a_price_from_before_the_data_holds_from_the_first_day_and_the_latest_of_several() -> None:
    assert laid(("A", "main", -9, 7.0), ("A", "main", -2, 6.0), ("A", "main", 4, 5.0))[0] == [6, 6, 6, 6, 5]


def test_a_warehouse_own_price_goes_before_that_of_the_shop() -> None:
    main, web, other = laid(("A", None, 0, 5.0), ("A", "web", 2, 9.0), ("A", None, 3, 4.0))
    assert main == [5, 5, 5, 4, 4]
    assert web == [5, 5, 9, 9, 9]
    assert np.isnan(other).all()


def test_prices_that_never_change_are_none() -> None:
    assert laid() is None
    assert laid(("A", None, -3, 5.0), ("B", None, 1, 8.0)) is None
    assert laid(("A", None, -3, 5.0), ("A", None, 5, 4.0)) is None  # beyond what is laid out
    assert laid(("A", None, -3, 5.0), ("A", None, 2, 5.0)) is None


def test_blocks_of_series_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (("A", None, 0, 5.0), ("A", "web", 2, 9.0), ("B", None, 3, 4.0))
    whole = laid(*rows)
    monkeypatch.setattr("shelfwise.services.prices.ROWS_AT_ONCE", 2)
    np.testing.assert_array_equal(laid(*rows), whole)


# ------------------------------------------------------------------ in the store

PERIODS = 300


def cuts(product: int) -> list[int]:
    """First days of the weeks in which a product costs 3 instead of 5, each product at its own times."""
    return list(range(20 + 5 * (product % 8), PERIODS - 10, 40))


def book_shop(book, *, planned: dict[str, int]) -> None:
    """Two dozen products that sell double while their price is cut; ``planned`` cuts begin so many days ahead."""
    rng = np.random.default_rng(1)
    movements, prices = [], []
    for p in range(24):
        rate = np.full(PERIODS, 4.0)
        starts = [*cuts(p), *([PERIODS + planned[f"P{p:02}"]] if f"P{p:02}" in planned else [])]
        prices.append({"product": f"P{p:02}", "starts_on": START - 30 * DAY, "price": 5.0})
        for first in starts:
            rate[first : first + 7] = 10.0
            prices.append({"product": f"P{p:02}", "starts_on": START + first * DAY, "price": 3.0})
            prices.append({"product": f"P{p:02}", "starts_on": START + (first + 7) * DAY, "price": 5.0})
        movements += sales(f"P{p:02}", START, rng.poisson(rate).tolist())
    book(movements=movements, prices=prices)


def test_prices_are_known_ahead_and_planned_changes_move_the_forecast(shop: App, book) -> None:
    book_shop(book, planned={"P00": 7, "P03": 0})
    known = demand.load(shop).panel
    price = known.known_future["price"].at(known.ends, 28)
    assert price[0].tolist() == [5] * 7 + [3] * 7 + [5] * 14
    assert price[3].tolist() == [3] * 7 + [5] * 21
    assert (price[1] == price[1, 0]).all()
    mean = predictions.forecast(shop, horizon=28, model="trees").forecast.mean()
    assert mean[0, 7:14].mean() > 1.5 * mean[0, 14:].mean()
    assert mean[3, :7].mean() > 1.5 * mean[3, 7:].mean()
    assert mean[6, 7:14].mean() < 1.3 * mean[6, 14:].mean()


def test_a_shop_without_prices_and_one_whose_prices_never_change_are_forecast_alike(shop: App, book) -> None:
    rng = np.random.default_rng(2)
    book(movements=[row for p in range(6) for row in sales(f"P{p}", START, rng.poisson(4.0, 120).tolist())])
    without = predictions.forecast(shop, horizon=14).forecast
    book(prices=[{"product": f"P{p}", "starts_on": START - DAY, "price": 4.0 + p} for p in range(6)])
    assert "price" not in demand.load(shop).panel.known_future
    np.testing.assert_array_equal(predictions.forecast(shop, horizon=14).forecast.paths, without.paths)


def test_a_planned_price_holds_for_its_days_and_the_one_before_again(shop: App, book) -> None:
    book(products=[{"product": "A", "price": 5.0}], movements=sales("A", START, [1] * 10))
    first, last = START + 12 * DAY, START + 13 * DAY
    assert plan_price(shop, "a", 3.0, first, last) == "A"
    known = demand.load(shop).panel.known_future["price"]
    assert known.at(np.array([known.starts[0]]), 16)[0].tolist() == [5] * 12 + [3] * 2 + [5] * 2
    plan_price(shop, "A", 4.0, START + 13 * DAY)  # and from its last day on another
    known = demand.load(shop).panel.known_future["price"]
    assert known.at(np.array([known.starts[0]]), 16)[0].tolist() == [5] * 12 + [3, 4, 5, 5]
    plan_price(shop, "A", 2.0, START + 11 * DAY, START + 15 * DAY)  # over all of them
    known = demand.load(shop).panel.known_future["price"]
    assert known.at(np.array([known.starts[0]]), 18)[0].tolist() == [5] * 11 + [2] * 5 + [5, 5]


def test_a_price_that_cannot_be_planned_is_refused_with_the_way_out(shop: App, book) -> None:
    book(products=[{"product": "A"}], movements=sales("A", START, [1] * 10))
    with pytest.raises(DataError, match="what A costs until .* `shelfwise products edit A --price PRICE`"):
        plan_price(shop, "A", 3.0, START)
    with pytest.raises(ParameterError, match="is before the first day"):
        plan_price(shop, "A", 3.0, START, START - DAY)
    with pytest.raises(ParameterError, match=r"must be zero or more, got -1\.0"):
        plan_price(shop, "A", -1.0, START)


def test_a_product_on_no_price_list_keeps_its_history(shop: App, book) -> None:
    """A price that is not known yet says that a product is not on sale yet; one that never is says nothing."""
    rng = np.random.default_rng(3)
    book(movements=[row for p in range(6) for row in sales(f"P{p}", START, rng.poisson(4.0, 120).tolist())])
    without = predictions.forecast(shop, horizon=14, model="base_level").forecast
    changing = [{"product": "P0", "starts_on": START + 60 * n * DAY, "price": 4.0 + n} for n in range(2)]
    book(prices=changing)
    known = demand.load(shop).panel.known_future["price"]
    assert np.isnan(known.at(demand.load(shop).panel.ends, 5)[1:]).all()
    found = predictions.forecast(shop, horizon=14, model="base_level").forecast
    np.testing.assert_array_equal(found.mean(), without.mean())


def test_what_a_promotion_brings_counts_the_price_it_cuts(demo: App) -> None:
    """In the made-up shop promotions cut prices: without one its days would have the usual price, too."""
    known = demand.load(demo)
    ahead = {driver.name: driver for driver in drivers_of(known.panel, 56)}
    cut = ahead["promotion"].departs & (ahead["price"].ahead < ahead["price"].usual)
    row = int(np.argmax(cut.sum(axis=1)))
    one, days = known.panel.select([row]), cut[row]
    assert days.any()
    predictor = fitted(demo, known.panel, "auto")
    mean = predictor.predict(one, 56).mean()
    with demo.database.read() as connection:
        calendar = catalogue.calendar_events(connection)
    told = compose(predictor, one, mean[0], known, calendar, known.planning_day).events.filter(kind="promotion")
    (promotion,) = (driver for driver in drivers_of(one, 56) if driver.name == "promotion")
    flag_alone = (mean - predictor.predict(as_usual(one, (promotion,), 56), 56).mean())[0, days].sum()
    assert told["units"].sum() > flag_alone + 0.1 * abs(flag_alone)
