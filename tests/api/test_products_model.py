"""``/products/{id}/model``: the model of a product, from the stored forecast or worked out anew."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from fastapi.testclient import TestClient

from shelfwise.app import App
from shelfwise.domain import frames
from shelfwise.services import importing, live

FIELDS = {"type", "slope", "intercept", "confidence", "trainingCount", "lastUpdated", "trend", "hasSeasonality"}


def test_the_stored_model_is_answered_with_the_summary_behind_it(served: TestClient, shop: App):
    live.publish(shop)
    found = served.get("/products/cf-1033/model").json()
    assert (found["productId"], found["sku"], found["hasModel"]) == ("CF-1033", "CF-1033", True)
    assert found["productName"]
    model = found["model"]
    assert set(model) >= FIELDS
    assert model["type"] == "base_level 1"
    assert (model["trainingCount"], model["days"], len(model["weeklyFactors"])) == (140, 140, 7)
    assert sum(model["weeklyFactors"]) == pytest.approx(7.0, abs=0.2)
    assert 0 < model["confidence"] < 1
    assert model["scoredDays"] == 2 * 28  # in two warehouses
    assert set(found["stats"]) == {"confidenceLevel", "dataQuality", "reliability"}
    assert (found["observationsMissing"], found["note"]) == (0, None)


def test_fresh_works_it_out_where_nothing_was_published_and_then_it_is_stored(served: TestClient):
    before = served.get("/products/CF-1033/model").json()
    assert (before["hasModel"], before["model"], before["observationsMissing"]) == (False, None, 0)
    assert "not been worked out" in before["note"]
    fresh = served.get("/products/CF-1033/model", params={"fresh": True}).json()
    assert fresh["hasModel"]
    assert served.get("/products/CF-1033/model").json() == fresh


def test_under_seven_observations_there_is_no_model_and_the_answer_says_how_many_are_missing(
    served: TestClient, shop: App
):
    yesterday = dt.datetime.combine(shop.today() - dt.timedelta(days=1), dt.time(12))
    line = {
        "source": "till", "line_id": "1", "kind": "sale", "occurred_at": yesterday, "product": "1042",
        "warehouse": "WEB", "quantity": 2.0,
    }  # fmt: skip
    movements = frames.MOVEMENTS.check(pl.DataFrame([line]))
    importing.book(shop, {"movements": movements}, file_name="t", fingerprint="x", profile="t", receipt={})
    live.publish(shop)
    found = served.get("/products/1042/model").json()
    assert (found["productId"], found["hasModel"], found["observationsMissing"]) == ("1042", False, 6)
    assert found["stats"] == {"confidenceLevel": "unknown", "dataQuality": "unknown", "reliability": "unknown"}


def test_a_product_that_is_not_there_names_the_nearest_and_one_with_a_slash_is_reached(served: TestClient):
    answer = served.get("/products/CF-1034/model")
    assert answer.status_code == 404
    assert "CF-1033" in answer.json()["detail"]
    assert served.get("/products/SY%2F13 é/model").status_code == 200
