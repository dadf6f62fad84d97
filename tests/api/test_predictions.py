"""Predictions over HTTP: bodies as published, errors by field, batches that fail item by item, the same bytes twice."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shelfwise.app import App

DEMAND = "/api/v1/predictions/demand"
STOCKOUT = "/api/v1/predictions/stockout"
OPTIMIZE = "/api/v1/predictions/optimize"
CHAIN = "/api/v1/predictions/chain"
FORECAST = "/api/v1/forecast"


def sales(days: int = 28) -> list[dict[str, Any]]:
    first = dt.date(2026, 3, 2)
    return [{"timestamp": str(first + dt.timedelta(days=n)), "quantity": 9 if n % 7 == 5 else 4} for n in range(days)]


def items(**changes: Any) -> dict[str, Any]:
    return {
        "items": [{"unique_id": "beans", "on_hand": 25, "lead_time_periods": 1, "price": 9.0, "pack": 12}],
        "demand": [{"unique_id": "beans", "period": period, "mean": 20.0} for period in range(1, 7)],
    } | changes


def test_demand_answers_with_the_published_fields(served: TestClient, shop: App):
    asked = {"product_id": "CF-1033", "warehouse_id": "WEB", "horizon": 7, "granularity": "1d", "features": {}}
    answer = served.post(DEMAND, json=asked)
    assert answer.status_code == 200
    found = answer.json()
    assert {"predictions", "model_version", "model_metrics"} <= set(found)
    assert {"mape", "rmse"} <= set(found["model_metrics"])
    assert set(found["predictions"][0]) == {"timestamp", "value", "confidence_interval"}
    assert [one["timestamp"][:10] for one in found["predictions"]] == [
        str(shop.today() + dt.timedelta(days=n)) for n in range(7)
    ]
    for one in found["predictions"]:
        interval = one["confidence_interval"]
        assert 0 <= interval["lower"] <= interval["upper"]
        assert one["value"] == pytest.approx(2.5, abs=1.5)
    assert found["model_metrics"]["rmse"] > 0
    assert found["instead"] is None


def test_moments_with_an_offset_are_taken_into_shop_time(served: TestClient):
    plain = {"product_id": 7, "horizon": 3, "features": {"historical_sales": sales()}}
    zoned = [{**one, "timestamp": f"{one['timestamp']}T13:00:00+02:00"} for one in sales()]
    first, second = (
        served.post(DEMAND, json={**plain, "features": {"historical_sales": given}}).json()
        for given in (sales(), zoned)
    )
    assert first == second
    assert first["product_id"] == 7


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (DEMAND, {"product_id": "CF-1033", "horizon": 14}),
        (DEMAND, {"product_id": "X", "horizon": 3, "granularity": "1w", "features": {"historical_sales": sales(90)}}),
        (STOCKOUT, {"product_id": "CF-1033", "warehouse_id": "WEB"}),
        (OPTIMIZE, {"products": [{"product_id": "CF-1033"}, {"product_id": "TE-2001", "warehouse_id": "SHOP"}]}),
        (OPTIMIZE, items(limits=[{"kind": "budget", "value": 200}])),
        (CHAIN, {"products": [{"product_id": "CF-1033"}], "horizon": 7}),
    ],
)
def test_the_same_question_gets_the_same_bytes(served: TestClient, path: str, asked: dict[str, Any]):
    first, second = (served.post(path, json=asked) for _ in range(2))
    assert first.status_code == 200
    assert first.content == second.content


@pytest.mark.parametrize(
    ("path", "asked", "status", "part"),
    [
        (DEMAND, {"product_id": "NOPE", "horizon": 7}, 404, "there is no product 'NOPE'"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 0}, 422, "body.horizon"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 366}, 422, "from 1 to 365"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 7, "granularity": "3d"}, 422, "body.granularity"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 7, "more": 1}, 422, "body.more"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 7, "model": "oracle"}, 422, "'oracle' is not known"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 7, "model": "../x"}, 422, "body.model"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 7, "warehouse_id": "NOPE"}, 422, "it sells in SHOP, WEB"),
        (DEMAND, {"product_id": "X", "horizon": 7, "features": {"historical_sales": []}}, 422, "is empty"),
        (DEMAND, {"product_id": "X", "horizon": 7, "features": {"historical_sales": sales(4)}}, 422, "got 4"),
        (DEMAND, {"product_id": "X", "horizon": 7, "granularity": "1h", "features": {"historical_sales": sales()}}, 422,
         "given by day"),
        (DEMAND, {"product_id": "X", "horizon": 7, "features": {"historical_sales": [{"timestamp": "0001-01-01",
         "quantity": 1}]}}, 422, "the year must be from 1970 to 2199"),
        (DEMAND, {"product_id": "CF-1033", "horizon": 7, "features": {"events": [
         {"kind": "promotion", "starts_on": "2199-01-01", "ends_on": "2199-01-02"}]}}, 422, "outside of history"),
        (STOCKOUT, {"product_id": "CF-1033"}, 422, "sells in SHOP, WEB"),
        (STOCKOUT, {"product_id": "CF-1033", "warehouse_id": "WEB", "horizon": 366}, 422, "body.horizon"),
        (STOCKOUT, {"product_id": "X", "features": {"historical_sales": sales()}}, 422, "never counted"),
        (OPTIMIZE, {}, 422, "give either products"),
        (OPTIMIZE, {"items": items()["items"]}, 422, "items need their demand"),
        (OPTIMIZE, items(products=[{"product_id": "CF-1033"}]), 422, "give either products"),
        (OPTIMIZE, items(demand=[{"unique_id": "tea", "period": 1, "mean": 1.0}]), 422, "lacks unique_id 'tea'"),
        (OPTIMIZE, {"products": [{"product_id": "NOPE"}]}, 404, "NOPE"),
        (CHAIN, {"products": [], "horizon": 7}, 422, "body.products"),
        (FORECAST, {"product_id": "CF-1033", "forecast_horizon": 0}, 422, "body.forecast_horizon"),
        (FORECAST, {"product_id": "CF-1033", "forecast_horizon": 366}, 422, "body.forecast_horizon"),
        (FORECAST, {"product_id": 17, "forecast_horizon": 7}, 404, "there is no product '17'"),
        (FORECAST, {"product_id": "CF-1033", "model": "oracle"}, 422, "'oracle' is not known"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_rule(
    served: TestClient, path: str, asked: dict[str, Any], status: int, part: str
):
    answer = served.post(path, json=asked)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, part in answer.json()["detail"]) == (status, True), answer.json()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", '"many"'])
def test_a_quantity_that_is_no_number_of_units_is_refused(served: TestClient, text: str):
    body = (
        '{"product_id": "X", "horizon": 3, "features": {"historical_sales": [{"timestamp": "2026-01-01", "quantity": '
        + text + "}]}}"
    )  # fmt: skip
    answer = served.post(DEMAND, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "historical_sales.0.quantity" in answer.text


def test_a_batch_answers_what_it_can_in_the_order_asked(served: TestClient):
    single = {"product_id": "CF-1033", "horizon": 3}
    asked = [single, {"product_id": "NOPE", "horizon": 3}, {"horizon": 0}, "nonsense", {**single, "granularity": "1w"}]
    found = served.post(f"{DEMAND}/batch", json={"questions": asked}).json()["results"]
    assert [one["index"] for one in found] == [0, 1, 2, 3, 4]
    assert [one["status"] for one in found] == ["answered", "failed", "failed", "failed", "answered"]
    assert found[0]["answer"] == served.post(DEMAND, json=single).json()
    assert [one["problem"] and one["problem"]["status"] for one in found] == [None, 404, 422, 422, None]
    assert {error["field"] for error in found[2]["problem"]["errors"]} == {"product_id", "horizon"}


def test_a_batch_holds_a_thousand_questions_and_no_more(served: TestClient):
    many = [{"product_id": "CF-1033", "horizon": 1, "metrics": False}] * 1001
    assert served.post(f"{DEMAND}/batch", json={"questions": many}).status_code == 422
    assert served.post(f"{DEMAND}/batch", json={"questions": []}).status_code == 422


def test_batches_of_stockouts_and_of_orders_fail_item_by_item(served: TestClient):
    stockouts = [{"product_id": "CF-1033", "warehouse_id": "WEB"}, {"product_id": "CF-1033"}, {"product_id": None}]
    found = served.post(f"{STOCKOUT}/batch", json={"questions": stockouts}).json()["results"]
    assert [one["status"] for one in found] == ["answered", "failed", "failed"]
    assert found[0]["answer"] == served.post(STOCKOUT, json=stockouts[0]).json()
    orders = [items(), {"products": [{"product_id": "NOPE"}]}, {}]
    told = served.post(f"{OPTIMIZE}/batch", json={"questions": orders}).json()["results"]
    assert [one["status"] for one in told] == ["answered", "failed", "failed"]
    assert told[0]["answer"] == served.post(OPTIMIZE, json=items()).json()


def test_a_stockout_tells_chance_time_and_money(served: TestClient, shop: App):
    asked = {
        "product_id": "CF-1033", "warehouse_id": "WEB", "horizon": 14, "on_hand": 10, "price": "12.50",
        "unit_cost": "7.80", "inbound": [], "lead_time_days": 3,
    }  # fmt: skip
    found = served.post(STOCKOUT, json=asked).json()
    chances = [one["probability"] for one in found["by_date"]]
    assert chances == sorted(chances)
    assert found["probability"] == chances[-1] > 0.9
    assert found["impact"]["unit_margin"] == "4.70"
    assert float(found["impact"]["lost_margin"]) == pytest.approx(found["impact"]["lost_units"] * 4.7, abs=0.01)
    median = found["time_until"]["median"]
    assert found["time_until"]["median_date"] == str(shop.today() + dt.timedelta(days=median))
    assert (found["as_of"], found["inbound_units"]) == (str(shop.today()), 0.0)


def test_orders_of_the_store_name_levels_bound_and_days(served: TestClient, shop: App):
    asked = {"products": [{"product_id": "TE-2001"}], "limits": [{"kind": "budget", "value": 100}]}
    found = served.post(OPTIMIZE, json=asked).json()
    assert found["spend"] <= 100
    assert found["bound"] <= found["cost"]
    assert found["as_of"] == str(shop.today())
    line = found["orders"][0]
    assert line["order_up_to"] >= line["reorder_point"] >= 0
    days = (dt.date.fromisoformat(line["arrives_on"]) - shop.today()).days
    assert days == line["arrives_period"] - 1
    assert set(found["versions"]) == {"demand", "orders"}


def test_the_chain_reports_every_version_and_the_paths(served: TestClient):
    asked = {"products": [{"product_id": "CF-1033"}, {"product_id": "TE-2001", "warehouse_id": "WEB"}], "horizon": 7}
    found = served.post(CHAIN, json=asked).json()
    assert [(one["product_id"], one["warehouse_id"]) for one in found["demand"]] == [
        ("CF-1033", "SHOP"), ("CF-1033", "WEB"), ("TE-2001", "WEB"),
    ]  # fmt: skip
    assert [one["product_id"] for one in found["risk"]] == ["CF-1033", "CF-1033", "TE-2001"]
    assert {one["unique_id"] for one in found["orders"]["orders"]} == {"CF-1033@SHOP", "CF-1033@WEB", "TE-2001@WEB"}
    assert set(found["versions"]) == {"demand", "risk", "orders"}
    assert (len(found["paths"]), found["n_paths"]) == (64, 50)


def test_a_forecast_is_trained_once_and_then_reused(served: TestClient):
    asked = {"product_id": "SY/13 é", "forecast_horizon": 30}
    first, second, third = (
        served.post(FORECAST, json=one).json() for one in (asked, asked, {**asked, "force_retrain": True})
    )
    assert [one["status"] for one in (first, second, third)] == ["trained", "reused", "trained"]
    assert [one["model_version"] for one in (first, second, third)] == ["base_level@1", "base_level@1", "base_level@2"]
    assert first["mean"] == second["mean"] == third["mean"]
    assert (len(first["dates"]), len(first["quantiles"]["0.9"])) == (30, 30)
    assert first["models"] == [
        {"model": "base_level", "version": "1", "weight": 1.0, "mean": first["mean"], "note": None}
    ]
    assert first["metrics"]["series"] == 2
    demand = served.post(DEMAND, json={"product_id": "SY/13 é", "horizon": 30}).json()
    assert [one["value"] for one in demand["predictions"]] == pytest.approx(first["mean"])
    assert demand["model_version"] == "base_level@2"


def test_a_named_model_is_trained_on_the_product_alone(served: TestClient):
    found = served.post(FORECAST, json={"product_id": "CF-1033", "model": "theta"}).json()
    assert (found["status"], found["model_version"]) == ("trained", "theta@1")
    other = served.post(FORECAST, json={"product_id": "CF-1033", "model": "seasonal_naive"}).json()
    assert (other["status"], other["model_version"]) == ("trained", "seasonal_naive@1")
    scopes = {one["scope"] for one in served.get("/api/v1/models").json()["items"]}
    assert scopes == {"product:CF-1033"}


def test_prophet_alone_answers_for_a_product(served: TestClient):
    asked = {"product_id": "CF-1033", "forecast_horizon": 7, "model": "prophet"}
    first, second = (served.post(FORECAST, json=asked).json() for _ in range(2))
    assert [(one["status"], one["model_version"]) for one in (first, second)] == [
        ("trained", "prophet@1"), ("reused", "prophet@1"),
    ]  # fmt: skip
    assert first["mean"] == second["mean"]
    [member] = first["models"]
    assert (member["model"], member["weight"]) == ("prophet", 1.0)
    assert member["mean"] == pytest.approx(first["mean"])
    assert first["metrics"]["rmse"] > 0


@pytest.mark.nightly  # fits trees three times
def test_an_ensemble_tells_what_each_model_said_and_its_weight(served: TestClient):
    found = served.post(FORECAST, json={"product_id": "CF-1033", "model": "ensemble"}).json()
    assert (found["status"], found["model_version"]) == ("trained", "ensemble@1")
    weights = [one["weight"] for one in found["models"]]
    assert sum(weights) == pytest.approx(1.0)
    assert weights == sorted(weights, reverse=True)
    assert {one["model"] for one in found["models"]} >= {"base_level", "theta"}
    assert all(one["mean"] is not None for one in found["models"] if one["weight"] > 0)
