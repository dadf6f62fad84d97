"""What overrides were worth: worked by hand on small worlds, and honest where nothing can be said."""

import datetime as dt

import numpy as np
import pytest
from tests.services.worlds import count, sales

from shelfwise.services import decisions, ordering, override_scores, overrides
from shelfwise.services.adjusting import Change
from shelfwise.services.override_scores import score
from shelfwise.services.planning import make_plan

START = dt.date(2024, 9, 2)  # a Monday
DAY = dt.timedelta(days=1)
FIRST = START + 70 * DAY
MORE = Change.parse("+50%")


@pytest.fixture
def filled(quick, fill):
    """Five a day sold for ten weeks; 20 on hand; orders take 3 days and are placed every 4."""
    fill(
        suppliers=[{"supplier": "north", "lead_time_days": 3.0, "lead_time_sd_days": 0.0, "review_days": 4.0}],
        products=[{"product": "tea", "supplier": "north", "unit_cost": 2.0, "price": 5.0, "pack_size": 1.0}],
        movements=[*sales("tea", START, [5.0] * 70), count("tea", dt.datetime.combine(FIRST, dt.time()), 20)],
    )
    return quick


def test_nothing_is_scored_before_anything_came_true(filled) -> None:
    empty = score(filled)
    assert (empty.summary.height, empty.notes) == (0, ())
    overrides.set_forecast(filled, "tea", MORE, until=FIRST + 9 * DAY, reason="fair")
    plan = make_plan(filled)
    overrides.set_order(filled, plan, "tea", 6.0, reason="trial")
    early = score(filled)
    assert early.forecasts.height == early.orders.height == 0
    assert early.summary.select("of", "made", "scored", "value").rows() == [
        ("forecast", 1, 0, None),
        ("order", 1, 0, None),
    ]
    assert [note.split(";")[0].split(":")[0] for note in early.notes] == [
        "1 forecast override cannot be scored yet",
        "1 edited order cannot be scored yet",
    ]


def test_a_forecast_override_is_held_against_what_sold(filled, fill) -> None:
    made = overrides.set_forecast(filled, "tea", MORE, since=FIRST + DAY, until=FIRST + 3 * DAY, reason="fair")
    make_plan(filled)
    fill(movements=sales("tea", FIRST, [5.0, 8.0, 8.0, 8.0, 5.0]))
    make_plan(filled)  # a later plan helps neither side
    (row,) = score(filled).forecasts.to_dicts()
    assert (row["override"], row["about"], row["days"], row["sold"]) == (made.id, "tea@main", 3, 24.0)
    assert (row["first_day"], row["last_day"]) == (FIRST + DAY, FIRST + 3 * DAY)
    assert row["with"] == pytest.approx(22.5, rel=0.05)
    assert row["without"] == pytest.approx(15.0, rel=0.05)
    assert row["value_units"] == pytest.approx(abs(row["without"] - 24) - abs(row["with"] - 24))
    assert row["value"] == pytest.approx(5.0 * row["value_units"])
    assert row["value"] > 0


def test_an_override_that_did_harm_has_a_value_below_zero(filled, fill) -> None:
    overrides.set_forecast(filled, "shop", Change(factor=2.0), until=FIRST + 2 * DAY, reason="hope")
    make_plan(filled)
    fill(movements=sales("tea", FIRST, [5.0] * 3))
    (told,) = score(filled).summary.to_dicts()
    assert (told["reason"], told["made"], told["scored"], told["better"], told["worse"]) == ("hope", 1, 1, 0, 1)
    assert told["value_units"] == pytest.approx(-15.0, rel=0.1)


def test_days_that_a_stockout_hid_do_not_score_a_forecast(filled, fill) -> None:
    overrides.set_forecast(filled, "tea", MORE, until=FIRST + 3 * DAY, reason="fair")
    make_plan(filled)
    fill(movements=[*sales("tea", FIRST, [8.0, 8.0, 4.0, 0.0]), *sales("mug", FIRST, [1.0] * 4)])  # 20 were there
    (row,) = score(filled).forecasts.to_dicts()
    assert (row["days"], row["hidden_days"], row["sold"]) == (2, 2, 16.0)


def test_an_edited_order_and_the_proposed_one_are_replayed_from_the_stock_of_the_day(filled, fill) -> None:
    plan = make_plan(filled)
    line = plan.lines.row(0, named=True)
    assert (line["on_hand"], line["wait_periods"], line["lead_time_periods"], line["review_periods"]) == (20, 0, 3, 4)
    decisions.edit(filled, plan, {"tea": 2.0}, "no room")
    came = count("tea", dt.datetime.combine(FIRST + 3 * DAY, dt.time()), 40)
    fill(movements=[*sales("tea", FIRST, [5.0, 5.0, 5.0, 4.0, 1.0, 1.0, 1.0]), came])
    (row,) = score(filled).orders.to_dicts()
    asked = [5.0, 5.0, 5.0, 4.0, 1.0, 1.0, 1.0]

    def by_hand(units: float) -> tuple[float, float, float]:
        stock, lost, held = 20.0, 0.0, 0.0
        for day, wanted in enumerate(asked):
            stock += units if day == 3 else 0.0
            lost += max(wanted - stock, 0.0)
            stock = max(stock - wanted, 0.0)
            held += stock
        held += stock * min(stock / (2 * np.mean(asked)), 365.0)
        return lost, stock, 3.0 * lost + 0.25 * 2.0 / 365 * held

    assert (row["with"], row["without"], row["days"], row["approved"]) == (2.0, line["quantity"], 7, False)
    assert (row["lost_with"], row["left_with"], row["cost_with"]) == pytest.approx(by_hand(2.0))
    assert (row["lost_without"], row["left_without"], row["cost_without"]) == pytest.approx(by_hand(line["quantity"]))
    assert row["value"] == pytest.approx(row["cost_without"] - row["cost_with"])
    assert row["value"] > 0  # less was enough


def test_a_stockout_does_not_hide_what_too_small_an_edit_cost(filled, fill) -> None:
    plan = make_plan(filled)
    decisions.edit(filled, plan, {"tea": 0.0}, "no room")
    fill(movements=[*sales("tea", FIRST, [5.0] * 4), *sales("mug", FIRST, [1.0] * 7)])  # then the shelf was empty
    (row,) = score(filled).orders.to_dicts()
    assert row["hidden_days"] >= 3
    assert row["sold"] == 20.0
    assert row["lost_with"] == pytest.approx(15.0, rel=0.1)
    assert row["value"] < 0


def test_an_edit_that_carried_over_counts_once_and_by_its_own_words(filled, fill) -> None:
    plan = make_plan(filled)
    made, _ = overrides.set_order(filled, plan, "tea", 9.0, reason="shelf is full", until=FIRST + 20 * DAY)
    make_plan(filled, service_level=0.94)
    decisions.approve(filled, make_plan(filled, service_level=0.93), ["tea"])
    fill(movements=sales("tea", FIRST, [5.0] * 8))
    done = score(filled)
    (row,) = done.orders.to_dicts()
    assert (row["override"], row["reason"], row["approved"]) == (made.id, "shelf is full", True)
    assert done.summary.select("of", "reason", "made", "scored").rows() == [("order", "shelf is full", 1, 1)]


def test_the_day_an_order_really_came_is_the_day_it_is_replayed_with(filled, fill) -> None:
    plan = make_plan(filled)
    decisions.edit(filled, plan, {"tea": 30.0}, "more")
    (drafted,) = decisions.approve(filled, make_plan(filled), ["tea"])
    ordering.send(filled, drafted.number, FIRST)
    ordering.receive(filled, drafted.number, received_on=FIRST + 5 * DAY)
    fill(movements=sales("tea", FIRST, [5.0] * 4 + [0.0] + [5.0] * 8))
    (row,) = score(filled).orders.to_dicts()
    assert row["days"] == 5 + 4
    assert row["lost_with"] == row["lost_without"] > 0  # both came too late for the fifth day


def test_an_edit_of_a_line_without_a_count_is_not_scored(quick, fill) -> None:
    fill(movements=sales("tea", START, [5.0] * 70))
    plan = make_plan(quick)
    decisions.edit(quick, plan, {"tea": 9.0}, "trial")
    fill(movements=sales("tea", FIRST, [5.0] * 40))
    done = score(quick)
    assert done.orders.height == 0
    assert done.notes == ("1 edited order cannot be scored: the stock was never counted",)


def test_without_prices_value_is_told_in_units_alone(quick, fill) -> None:
    fill(movements=sales("tea", START, [5.0] * 70, price=None))
    overrides.set_forecast(quick, "tea", MORE, until=FIRST + 3 * DAY, reason="fair")
    make_plan(quick)
    fill(movements=sales("tea", FIRST, [8.0] * 4))
    (told,) = score(quick).summary.to_dicts()
    assert told["value"] is None
    assert told["value_units"] > 0
    assert (told["better"], told["scored"]) == (1, 1)


def test_costs_left_out_are_taken_from_the_other_one() -> None:
    assert override_scores._costs(5.0, None) == pytest.approx((2.0, 0.25 * 3.0 / 365))
    assert override_scores._costs(None, 3.0) == pytest.approx((2.0, 0.25 * 3.0 / 365))
    assert override_scores._costs(1.0, 3.0) == pytest.approx((0.0, 0.25 * 3.0 / 365))  # sold at a loss
    assert override_scores._costs(None, None) is None
