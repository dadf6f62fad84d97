"""``/api/v1/products``: the catalogue by pages, and of each product stock, forecast, reasons and movements."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.api import worlds

from shelfwise.app import App
from shelfwise.services import live, planning, stock_movements

PATH = "/api/v1/products"


def every(client: TestClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        params["cursor"] = answer.json()["next"]


def test_products_come_by_code_page_by_page(served: TestClient):
    codes = [row["product"] for row in every(served, PATH, limit=2)]
    assert codes == sorted(worlds.CODES)


def test_a_search_finds_part_of_code_or_name_whatever_the_case(served: TestClient):
    assert [row["product"] for row in every(served, PATH, q="gr-10")] == ["GR-1021"]
    assert len(every(served, PATH, q="& CO")) == len(worlds.CODES)
    assert every(served, PATH, q="nothing like it") == []
    assert [row["product"] for row in every(served, PATH, category="Grinders", supplier="S-OKKE")] == ["GR-1021"]
    assert every(served, PATH, category="grinder") == []


def test_a_product_has_its_stock_by_warehouse_and_money_as_text(served: TestClient):
    found = served.get(f"{PATH}/cf-1033").json()
    assert found["product"] == "CF-1033"
    assert (found["unit_cost"], found["price"], found["currency"]) == ("6.00", "11.99", "EUR")
    assert {row["warehouse"]: row["on_hand"] for row in found["stock"]} == {"SHOP": 24.0, "WEB": 24.0}
    assert found["on_hand"] == 48.0


@pytest.mark.parametrize("what", ["", "/forecast", "/explanation", "/movements"])
def test_a_code_with_a_slash_is_reached_and_one_that_is_not_there_names_the_nearest(served: TestClient, what: str):
    assert served.get(f"{PATH}/SY%2F13 é{what}").status_code == 200
    answer = served.get(f"{PATH}/CF-1034{what}")
    assert answer.status_code == 404
    assert "the nearest" in answer.json()["detail"]


def test_the_forecast_is_the_one_that_the_plan_was_made_on(served: TestClient, shop: App):
    found = served.get(f"{PATH}/CF-1033/forecast", params={"horizon": 7, "quantiles": "0.9,0.1,.5"}).json()
    plan = planning.latest(shop)
    assert plan is not None
    forecast = planning.published_forecast(shop, plan.run_id or 0)
    row = forecast.ids.to_list().index("CF-1033@WEB")
    web = found["warehouses"][1]
    assert (found["source"], found["revision"], found["levels"]) == ("plan", plan.run_id, [0.1, 0.5, 0.9])
    assert web["warehouse"] == "WEB"
    assert web["dates"][0] == str(plan.as_of)
    assert len(web["dates"]) == 7
    assert web["mean"] == pytest.approx(forecast.mean()[row, :7].tolist())
    assert web["quantiles"]["0.9"] == pytest.approx(forecast.quantiles([0.9])[row, :7, 0].tolist())
    summed = sorted(forecast.select([row]).paths[0, :, :7].sum(axis=1).tolist())
    assert web["cumulative_quantiles"]["0.9"][-1] == pytest.approx(summed[math.ceil(0.9 * len(summed)) - 1])
    assert web["cumulative_quantiles"]["0.9"][-1] < sum(web["quantiles"]["0.9"])  # quantiles of days do not add up


def test_a_forecast_that_is_known_is_not_sent_again_until_there_is_a_new_one(served: TestClient, shop: App):
    first = served.get(f"{PATH}/CF-1033/forecast")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (tag, f'"other", W/{tag}', "*"):
        again = served.get(f"{PATH}/CF-1033/forecast", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert served.get(f"{PATH}/CF-1033/forecast?horizon=5").headers["etag"] != tag
    assert served.get(f"{PATH}/CF-1007/forecast").headers["etag"] != tag
    planning.make_plan(shop, service_level=0.8)
    renewed = served.get(f"{PATH}/CF-1033/forecast", headers={"If-None-Match": tag})
    assert renewed.status_code == 200
    assert renewed.json()["revision"] == first.json()["revision"] + 1


def test_live_rows_answer_where_they_have_the_levels_and_say_the_same_as_the_plan_of_the_same_day(
    served: TestClient, shop: App
):
    path = f"{PATH}/CF-1033/forecast"
    planned = served.get(path)
    live.publish(shop)
    told = served.get(path)
    assert (planned.json()["source"], told.json()["source"]) == ("plan", "live")
    assert told.headers["etag"] != planned.headers["etag"]
    assert served.get(path, headers={"If-None-Match": told.headers["etag"]}).status_code == 304
    for ours, theirs in zip(told.json()["warehouses"], planned.json()["warehouses"], strict=True):
        assert ours["dates"] == theirs["dates"]
        assert ours["mean"] == pytest.approx(theirs["mean"], abs=1e-3)
        for level, units in theirs["cumulative_quantiles"].items():
            assert ours["cumulative_quantiles"][level] == pytest.approx(units, abs=1e-3)
    assert served.get(path, params={"quantiles": "0.25,0.5"}).json()["source"] == "plan"
    assert served.get(path, params={"horizon": 700}).status_code == 422


@pytest.mark.parametrize("asked", ["horizon=730", "horizon=0", "quantiles=1.5", "quantiles=0.5,", "quantiles=.0"])
def test_days_and_levels_that_are_not_forecast_are_refused(served: TestClient, asked: str):
    assert served.get(f"{PATH}/CF-1033/forecast?{asked}").status_code == 422


def test_without_a_plan_there_is_no_forecast_and_it_says_what_makes_one(client: TestClient):
    assert client.get(f"{PATH}/CF-1033/forecast").status_code == 404


def test_an_explanation_has_a_line_for_each_warehouse_and_its_causes_add_up(served: TestClient):
    found = served.get(f"{PATH}/CF-1033/explanation").json()["items"]
    assert [one["warehouse"] for one in found] == ["SHOP", "WEB"]
    week = found[0]["weeks"][0]
    causes = [one["units"] for one in found[0]["made_of"] if one["week_to"] == week["week_to"]]
    assert sum(causes) == pytest.approx(week["demand"], abs=1e-6)


def test_movements_come_the_newest_first_with_their_corrections_page_by_page(served: TestClient, shop: App):
    booked = stock_movements.adjust(shop, "CF-1033", -3.0, reason="broken", warehouse="WEB", id="x")
    found = every(served, f"{PATH}/CF-1033/movements", warehouse="WEB", limit=37)
    moments = [row["occurred_at"] for row in found]
    assert moments == sorted(moments, reverse=True)
    assert len({row["line"] for row in found}) == len(found) > 100
    assert found[0]["line_id"] == booked.lines["line_id"][0]
    assert (found[0]["kind"], found[0]["quantity"], found[0]["reason"]) == ("adjustment", -3.0, "broken")
    assert all(row["holds"] and row["corrections"] == [] for row in found)
