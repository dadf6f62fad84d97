"""What stands in the panel of a store, rule by rule."""

import datetime as dt

import numpy as np
import pytest
from tests.services.worlds import count, sales

from shelfwise.domain.errors import DataError, NotFound
from shelfwise.services import demand

DAY = dt.timedelta(days=1)
START = dt.date(2024, 3, 4)  # a Monday


def one(found: demand.Demand, unique_id: str) -> np.ndarray:
    row = found.panel.ids.to_list().index(unique_id)
    return found.panel.values[found.panel.offsets[row] : found.panel.offsets[row + 1]]


def flags(found: demand.Demand, unique_id: str) -> list[bool]:
    row = found.panel.ids.to_list().index(unique_id)
    assert found.panel.available is not None
    return found.panel.available[found.panel.offsets[row] : found.panel.offsets[row + 1]].tolist()


def test_days_without_a_sale_are_zeros_from_the_first_sale_to_the_last_day_of_the_data(shop, book) -> None:
    book(movements=sales("A", START, [2, 0, 0, 5]) + sales("B", START + DAY, [1, 1, 1, 1, 1]))
    found = demand.load(shop)
    assert one(found, "A@main").tolist() == [2, 0, 0, 5, 0, 0]
    assert one(found, "B@main").tolist() == [1, 1, 1, 1, 1]
    assert (found.first_day, found.data_until, found.planning_day) == (START, START + 5 * DAY, START + 6 * DAY)


def test_sales_of_one_day_are_summed_and_warehouses_kept_apart(shop, book) -> None:
    twice = sales("A", START, [2, 1]) + [{**sales("A", START, [3])[0], "line_id": "again"}]
    book(movements=twice + sales("A", START, [7, 7], warehouse="web"))
    found = demand.load(shop)
    assert one(found, "A@main").tolist() == [5, 1]
    assert one(found, "A@web").tolist() == [7, 7]


def test_a_launch_before_the_first_sale_begins_the_series_with_zeros(shop, book) -> None:
    book(
        products=[{"product": "A", "launched_on": START + 2 * DAY}, {"product": "B"}],
        movements=sales("A", START + 4 * DAY, [3]) + sales("B", START, [1, 1, 1, 1, 1]),
    )
    assert one(demand.load(shop), "A@main").tolist() == [0, 0, 3]


def test_a_successor_inherits_the_history_of_what_it_replaces(shop, book) -> None:
    book(
        products=[{"product": "old"}, {"product": "new", "replaces": "old"}],
        movements=sales("old", START, [4, 4, 4, 9]) + sales("new", START + 3 * DAY, [1, 2]),
    )
    found = demand.load(shop)
    assert one(found, "new@main").tolist() == [4, 4, 4, 1, 2]
    assert one(found, "old@main").tolist() == [4, 4, 4, 9, 0]


def test_today_is_not_over_and_does_not_count(shop, book) -> None:
    today = shop.today()
    book(movements=sales("A", today - 3 * DAY, [1, 2, 3, 99]))
    found = demand.load(shop)
    assert one(found, "A@main").tolist() == [1, 2, 3]
    assert found.data_until == today - DAY


def test_a_last_day_that_was_cut_short_does_not_count_until_it_comes_again(shop, book) -> None:
    last = START + 3 * DAY
    book({"last_day": str(last), "incomplete_last_day": str(last)}, movements=sales("A", START, [5, 5, 5, 1]))
    found = demand.load(shop)
    assert found.data_until == last - DAY
    assert any("cut short" in note for note in found.notes)
    more = [{**row, "line_id": "rest"} for row in sales("A", last, [4])]
    book({"last_day": str(last), "incomplete_last_day": None}, movements=more)
    assert one(demand.load(shop), "A@main").tolist() == [5, 5, 5, 5]


def test_a_day_that_closed_without_stock_is_censored_and_not_filled(shop, book) -> None:
    opening = dt.datetime.combine(START, dt.time())
    refill = dt.datetime.combine(START + 3 * DAY, dt.time())
    book(movements=[*sales("A", START, [3, 2, 0, 4]), count("A", opening, 5), count("A", refill, 20)])
    found = demand.load(shop)
    assert one(found, "A@main").tolist() == [3, 2, 0, 4]
    assert flags(found, "A@main") == [True, False, False, True]
    assert found.censored_by_stock == 2


def test_books_below_zero_while_sales_go_on_are_no_stockout(shop, book) -> None:
    counted = count("A", dt.datetime.combine(START, dt.time()), 1)
    book(movements=[*sales("A", START, [3, 3, 0]), *sales("B", START, [1, 1, 1]), counted])
    assert flags(demand.load(shop), "A@main") == [True, True, False]


def test_a_silence_beyond_chance_is_censored_where_stock_is_not_known(shop, book) -> None:
    units = [6, 5, 7, 6, 5, 8, 6] * 6
    book(movements=sales("A", START, [*units, *[0] * 10, *units]) + sales("B", START, [1] * (2 * len(units) + 10)))
    found = demand.load(shop)
    assert not any(flags(found, "A@main")[42:52])
    assert all(flags(found, "A@main")[:42])
    assert found.censored_by_silence == 10


def test_closed_weekdays_are_missing_and_closed_ahead(shop, book, tmp_path) -> None:
    from shelfwise.app import open_app

    book(movements=sales("A", START, [1, 1, 1, 1, 1, 1, 0] * 3))
    with open_app(tmp_path / "shop.db", folder=tmp_path, closed_weekdays="sun") as closed:
        found = demand.load(closed)
    assert np.flatnonzero(np.isnan(one(found, "A@main"))).tolist() == [6, 13]
    ahead = found.panel.known_future["open"].at(found.panel.ends, 7)[0]
    assert ahead.tolist() == [0, 1, 1, 1, 1, 1, 1]  # the data ends on a Saturday


def test_a_closure_in_the_calendar_closes_days_past_and_ahead(shop, book) -> None:
    book(
        movements=sales("A", START, [1, 0, 1, 1]) + sales("B", START, [1, 0, 1, 1], warehouse="web"),
        calendar_events=[
            {"kind": "closure", "name": "works", "starts_on": START + DAY, "ends_on": START + DAY,
             "scope_kind": "warehouse", "scope": "main"},
            {"kind": "closure", "name": "feast", "starts_on": START + 5 * DAY, "ends_on": START + 5 * DAY,
             "scope_kind": "shop", "scope": None},
        ],
    )  # fmt: skip
    found = demand.load(shop)
    assert np.isnan(one(found, "A@main")[1])
    assert one(found, "B@web")[1] == 0
    assert found.panel.known_future["open"].at(found.panel.ends, 3).tolist() == [[1, 0, 1], [1, 0, 1]]


def test_a_busy_warehouse_that_sold_nothing_at_all_was_closed(shop, book) -> None:
    units = [1.0] * 70
    units[30] = 0
    week = [u if n % 7 != 6 else 0 for n, u in enumerate(units)]  # never on a Sunday
    book(movements=[row for p in range(12) for row in sales(f"P{p:02}", START, week)])
    found = demand.load(shop)
    missing = np.flatnonzero(np.isnan(one(found, "P00@main"))).tolist()
    assert missing == sorted([30, *range(6, len(week) - 1, 7)])
    assert any("Sundays" in note for note in found.notes)
    assert any("1 day" in note for note in found.notes)


def test_promotions_reach_the_products_of_their_scope(shop, book) -> None:
    event = {"kind": "promotion", "name": "beans week", "starts_on": START + DAY, "ends_on": START + 4 * DAY}
    book(
        products=[{"product": "A", "category": "beans"}, {"product": "B", "category": "cups"}],
        movements=sales("A", START, [1, 1, 1]) + sales("B", START, [1, 1, 1]),
        calendar_events=[{**event, "scope_kind": "category", "scope": "beans"}],
    )
    found = demand.load(shop)
    assert found.panel.known_future["promotion"].at(found.panel.starts, 6).tolist() == [
        [0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_only_what_sold_or_was_launched_lately_and_is_not_discontinued_is_live(shop, book) -> None:
    far = START + 300 * DAY
    book(
        products=[
            {"product": "gone", "discontinued_on": far - DAY},
            {"product": "ending", "discontinued_on": far + 30 * DAY},
            {"product": "fresh", "launched_on": far - 2 * DAY},
        ],
        movements=[
            *sales("seller", START, [1] * 301),
            *sales("dead", START, [1] * 20),
            *sales("gone", far - 5 * DAY, [1, 1]),
            *sales("ending", far - 5 * DAY, [1, 1]),
        ],
        stock_levels=[
            {"product": "fresh", "warehouse": "main", "on_hand": 5, "as_of": dt.datetime.combine(far, dt.time())}
        ],
    )
    found = demand.load(shop)
    live = found.live(shop.settings.live_days).panel.series["product"].to_list()
    assert live == ["ending", "fresh", "seller"]
    assert {"dead", "gone"} <= set(found.panel.series["product"])
    assert found.only(["dead"]).panel.series["product"].to_list() == ["dead"]


def test_a_product_with_an_end_is_closed_after_it(shop, book) -> None:
    book(
        products=[{"product": "A", "discontinued_on": START + 4 * DAY}, {"product": "B"}],
        movements=sales("A", START, [1, 1, 1]) + sales("B", START, [1, 1, 1]),
    )
    found = demand.load(shop)
    assert found.panel.known_future["open"].at(found.panel.ends, 4).tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_a_store_without_sales_says_so(shop) -> None:
    with pytest.raises(DataError, match="no sales yet"):
        demand.load(shop)


def test_a_product_not_in_the_store_is_answered_with_the_nearest(shop, book) -> None:
    book(products=[{"product": "CF-1042", "name": "Hand grinder"}], movements=sales("CF-1042", START, [1]))
    found = demand.load(shop)
    with pytest.raises(NotFound, match="CF-1042"):
        found.only(["CF-1024"])
    assert found.only(["hand grinder"]).panel.n_series == 1
