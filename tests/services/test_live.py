"""The live forecast: a sale is felt at once, and felt as a publication from scratch would feel it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.services.worlds import count, sales

from shelfwise.app import App
from shelfwise.domain.events import ForecastRefreshed, MovementsCorrected, MovementsRecorded
from shelfwise.services import adjusting, live, overrides, product_models
from shelfwise.services.live import LiveShop
from shelfwise.storage import live_forecasts, outbox
from shelfwise.storage import sales as booked_sales
from shelfwise.storage.live_forecasts import LiveRow

TODAY = dt.date(2026, 11, 18)
DAYS = 70
Fill = Callable[..., None]

pytestmark = pytest.mark.usefixtures("day")


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a Wednesday in the shop."""
    monkeypatch.setattr(App, "today", lambda _: TODAY)


def world(fill: Fill, **more: list[dict[str, Any]]) -> None:
    """Three products that sell every day or every other one, counted yesterday night."""
    first = TODAY - dt.timedelta(days=DAYS)
    last_night = dt.datetime.combine(TODAY - dt.timedelta(days=1), dt.time(23))
    patterns = {"TEA": [4.0, 6.0, 5.0, 3.0, 7.0, 9.0, 8.0], "CUP": [2.0, 0.0], "POT": [1.0, 0.0, 0.0, 2.0, 0.0]}
    lines = [row for name, units in patterns.items() for row in sales(name, first, (units * DAYS)[:DAYS])] + [
        count("TEA", last_night, 60),
        count("CUP", last_night, 12),
        count("POT", last_night, 3),
    ]
    products = [
        {
            "product": name,
            "name": f"{name} of tin",
            "category": "goods",
            "supplier": "S",
            "unit_cost": 2.0,
            "price": 5.0,
        }
        for name in patterns
    ]
    suppliers = [{"supplier": "S", "lead_time_days": 5.0}]
    fill(movements=lines + more.pop("movements", []), products=products, suppliers=suppliers, **more)


def sell(app: App, product: str, units: float, day: dt.date = TODAY, warehouse: str = "main") -> None:
    """Book one sale as the service does: the line and the event in one transaction."""
    rows = sales(product, day, [units], warehouse=warehouse)
    rows[0]["line_id"] += f"-{app.now()}"
    with app.database.write() as connection:
        booked_sales.append_movements(connection, pl.DataFrame(rows))
        outbox.append(connection, app.now(), MovementsRecorded("test", 1))


def told(row: LiveRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.payload)
    return found


def stored(app: App) -> dict[str, bytes]:
    with app.database.read() as connection:
        keys = live_forecasts.changed_since(connection, 0)
        rows = [live_forecasts.of_series(connection, product, place) for product, place, _ in keys]
    return {f"{row.product}@{row.warehouse}": row.payload for row in rows if row is not None}


def test_a_reaction_without_a_change_changes_nothing(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    made = shop.publish()
    before = stored(quick)
    assert set(before) == {"TEA@main", "CUP@main", "POT@main"}
    rows = shop.react(["TEA", "POT"])
    assert [row.payload for row in rows] == [before["POT@main"], before["TEA@main"]]
    assert {row.version for row in rows} == {made.version}
    with quick.database.read() as connection:
        assert outbox.latest(connection, 1)[0].event == ForecastRefreshed(())


@pytest.mark.parametrize("units", [1.0, 40.0])
def test_a_reaction_to_a_sale_is_what_a_publication_after_it_is(quick: App, fill: Fill, units: float) -> None:
    world(fill)
    shop = LiveShop(quick)
    made = shop.publish()
    before = stored(quick)
    sell(quick, "TEA", units)
    (row,) = shop.react(["TEA"])
    assert (row.product, row.version) == ("TEA", made.version + 1)
    with quick.database.read() as connection:
        assert outbox.latest(connection, 1)[0].event == ForecastRefreshed(("TEA",))
    felt = stored(quick)
    assert felt["TEA@main"] == row.payload != before["TEA@main"]
    assert {name: felt[name] for name in ("CUP@main", "POT@main")} == {n: before[n] for n in ("CUP@main", "POT@main")}
    LiveShop(quick).publish()
    assert stored(quick) == felt


def test_a_sale_leaves_the_shelf_and_the_rest_of_the_day_at_once(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    before = told(shop.react(["TEA"])[0])
    sell(quick, "TEA", 2.0)
    after = told(shop.react(["TEA"])[0])
    assert (before["sold_today"], after["sold_today"]) == (0.0, 2.0)
    assert after["order"]["on_hand"] == before["order"]["on_hand"] - 2
    assert after["left_today"] < before["left_today"]
    # the two units were expected anyway: what the order must cover is as before
    assert after["order"]["net"] == before["order"]["net"]
    for level in ("mean", "q0.1", "q0.5", "q0.9"):
        assert after["demand"][level][1:] == before["demand"][level][1:]
        assert after["demand"][level][0] >= before["demand"][level][0]


def test_more_than_was_expected_of_the_whole_day_raises_the_days_after_it(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    before = told(shop.react(["TEA"])[0])
    sell(quick, "TEA", 55.0)
    after = told(shop.react(["TEA"])[0])
    assert after["demand"]["mean"][0] == after["sold_today"] + after["left_today"] == 55.0
    rise = np.array(after["demand"]["mean"]) - np.array(before["demand"]["mean"])
    assert (rise >= 0).all()
    assert rise[1] > 0.1
    assert after["order"]["quantity"] > before["order"]["quantity"]
    assert after["risk"]["stockout_on"] < before["risk"]["stockout_on"]


def test_a_sale_of_an_earlier_day_enters_its_series(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    before = told(shop.react(["CUP"])[0])
    sell(quick, "CUP", 30.0, TODAY - dt.timedelta(days=2))
    after = shop.react(["CUP"])[0]
    assert told(after)["demand"]["mean"][0] > before["demand"]["mean"][0]
    fresh = LiveShop(quick)
    assert fresh.warm()  # reads all anew, and keeps the model
    read = told(fresh.react(["CUP"])[0])
    for what in ("demand", "cumulative", "risk"):  # classes and confidence are of the day they were measured
        assert read[what] == told(after)[what]


def test_a_new_day_moves_the_first_day_without_training(
    quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    sell(quick, "POT", 1.0)
    shop.react(["POT"])
    monkeypatch.setattr(App, "today", lambda _: TODAY + dt.timedelta(days=1))
    monkeypatch.setattr(live, "fitted", lambda *_: pytest.fail("a reaction does not train"))
    after = told(shop.react(["POT"])[0])
    assert (after["first_day"], after["sold_today"]) == (str(TODAY + dt.timedelta(days=1)), 0.0)


def test_a_correction_is_felt_by_reading_all_anew(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    sell(quick, "TEA", 9.0)
    shop.react(["TEA"])
    with quick.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM stock_movements WHERE day = (SELECT MAX(day) FROM stock_movements)")
        outbox.append(connection, quick.now(), MovementsCorrected(1, "made"))
    assert told(shop.react(["TEA"])[0])["sold_today"] == 0.0


def test_a_sale_of_a_bundle_is_felt_by_its_components(quick: App, fill: Fill) -> None:
    first = TODAY - dt.timedelta(days=DAYS)
    world(
        fill,
        movements=sales("SET", first, [1.0, 0.0, 1.0, 0.0, 0.0] * 14),
        bundles=[
            {"bundle": "SET", "component": "TEA", "quantity": 2.0},
            {"bundle": "SET", "component": "CUP", "quantity": 1.0},
        ],
    )
    shop = LiveShop(quick)
    shop.publish()
    before = {row.product: told(row) for row in shop.react(["SET"])}
    assert set(before) == {"TEA", "CUP"}
    sell(quick, "SET", 4.0)
    after = {row.product: told(row) for row in shop.react(["SET"])}
    assert (after["TEA"]["sold_today"], after["CUP"]["sold_today"]) == (8.0, 4.0)
    assert after["TEA"]["order"]["on_hand"] == before["TEA"]["order"]["on_hand"] - 8
    felt = stored(quick)
    LiveShop(quick).publish()
    assert stored(quick) == felt


def test_units_a_day_of_a_product_are_shared_by_its_warehouses_as_in_a_publication(quick: App, fill: Fill) -> None:
    world(fill, movements=sales("TEA", TODAY - dt.timedelta(days=DAYS), [1.0, 2.0] * 35, warehouse="web"))
    change = adjusting.Change.parse("20/day")
    overrides.set_forecast(quick, "TEA", change, until=TODAY + dt.timedelta(days=9), reason="fair")
    shop = LiveShop(quick)
    shop.publish()
    sell(quick, "TEA", 3.0)
    main, web = shop.react(["TEA"])
    LiveShop(quick).publish()
    assert (stored(quick)["TEA@main"], stored(quick)["TEA@web"]) == (main.payload, web.payload)
    ahead = [np.array(told(row)["demand"]["mean"][:10]) for row in (main, web)]
    assert sum(ahead).mean() == pytest.approx(20.0, abs=0.1)


def test_a_process_that_has_felt_less_does_not_take_a_row_back(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    old = shop.react(["TEA"])[0]
    sell(quick, "TEA", 5.0)
    new = shop.react(["TEA"])[0]
    with quick.database.write() as connection:
        assert live_forecasts.save(connection, [old]) == []
    assert stored(quick)["TEA@main"] == new.payload


def test_another_process_takes_over_what_was_published_and_never_trains(
    quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    world(fill)
    other = LiveShop(quick)
    assert not other.warm()
    LiveShop(quick).publish()
    before = stored(quick)
    monkeypatch.setattr(live, "fitted", lambda *_: pytest.fail("a reaction does not train"))
    assert other.warm()
    assert [row.payload for row in other.react(["TEA"])] == [before["TEA@main"]]


def test_a_shop_without_sales_has_no_rows(quick: App) -> None:
    assert live.refresh(quick, ["TEA"]) == []
    assert live.live_shop(quick) is live.live_shop(quick)


def test_a_product_nobody_knows_has_no_row(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    assert shop.react(["NOTHING"]) == []


def test_confidence_is_measured_and_told_beside_what_it_is_made_of(quick: App, fill: Fill) -> None:
    world(fill)
    LiveShop(quick).publish()
    steady, odd = product_models.stored(quick, "tea"), product_models.stored(quick, "POT")
    assert steady.summary is not None
    assert odd.summary is not None
    assert steady.summary["training_count"] == DAYS
    assert steady.summary["has_seasonality"]
    assert steady.summary["scored_days"] == product_models.HELD_OUT
    assert steady.summary["confidence"] == pytest.approx(
        (1 - steady.summary["error"]) * (1 - abs(steady.summary["coverage"] - steady.summary["expected_coverage"])),
        abs=1e-4,
    )
    assert steady.summary["confidence"] > odd.summary["confidence"]
    assert steady.confidence_level == "high"


def test_a_product_with_few_observations_says_how_many_are_missing(quick: App, fill: Fill) -> None:
    world(fill, movements=sales("NEW", TODAY - dt.timedelta(days=3), [1.0, 2.0, 1.0]))
    LiveShop(quick).publish()
    found = product_models.stored(quick, "NEW")
    assert (found.summary, found.missing) == (None, 4)
    assert (found.confidence_level, found.data_quality, found.reliability) == ("unknown",) * 3


def test_the_model_is_asked_ahead_once_for_each_series_and_then_no_more(
    quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    world(fill)
    LiveShop(quick).publish()
    before = stored(quick)
    other = LiveShop(quick)
    assert not other.look_ahead()  # nothing is in memory yet
    assert other.warm()
    assert other.look_ahead(2)
    assert not other.look_ahead(2)
    assert other._shop is not None
    monkeypatch.setattr(type(other._shop.predictor), "predict", lambda *_, **__: pytest.fail("asked again"))
    assert {row.product: row.payload for row in other.react(["TEA", "CUP", "POT"])} == {
        name.removesuffix("@main"): payload for name, payload in before.items()
    }


def test_what_was_felt_is_not_worked_out_again(quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    sell(quick, "TEA", 2.0)
    (row,) = shop.react(["TEA"])
    monkeypatch.setattr(live, "_worked_out", lambda *_: pytest.fail("worked out again"))
    assert shop.react(["TEA"]) == [row]  # as the job does that follows the event


def test_a_receipt_is_felt_by_stock_and_order(quick: App, fill: Fill) -> None:
    world(fill)
    shop = LiveShop(quick)
    shop.publish()
    before = told(shop.react(["POT"])[0])
    with quick.database.write() as connection:
        line = {**sales("POT", TODAY, [24.0])[0], "kind": "receipt", "line_id": "goods"}
        booked_sales.append_movements(connection, pl.DataFrame([line]))
        outbox.append(connection, quick.now(), MovementsRecorded("test", 1))
    after = told(shop.react(["POT"])[0])
    assert after["order"]["on_hand"] == before["order"]["on_hand"] + 24
    assert (after["order"]["quantity"], after["sold_today"]) == (0.0, 0.0)
    assert after["risk"]["chance"] < before["risk"]["chance"]
