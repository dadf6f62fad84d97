"""``POST /predict``: the fixed body and answer, the rules of its input, and what happens when a model is late."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import shelfwise as sw
from shelfwise.app import open_app
from shelfwise.server import asgi


def body(days: int = 28, **changes: Any) -> dict[str, Any]:
    first = dt.date(2026, 3, 2)
    return {
        "product_id": "CUP-01",
        "dates": [str(first + dt.timedelta(days=n)) for n in range(days)],
        "quantities": [9.0 if n % 7 == 5 else 4.0 for n in range(days)],
    } | changes


def test_the_answer_has_exactly_the_published_fields(client: TestClient):
    answer = client.post("/predict", json=body())
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {
        "product_id", "predictions", "prediction_dates", "confidence_intervals", "model_type", "metadata",
    }  # fmt: skip
    assert set(found["confidence_intervals"]) == {"lower", "median", "upper"}
    assert set(found["metadata"]) == {
        "trend", "historical_mean", "predicted_mean", "has_seasonality", "forecast_horizon", "context_length", "model",
        "confidence_range",
    }  # fmt: skip
    assert found["product_id"] == "CUP-01"
    assert found["prediction_dates"] == [f"2026-03-{30 + n}" for n in range(2)] + [f"2026-04-0{n}" for n in range(1, 6)]
    assert found["metadata"] | {"predicted_mean": 0} == {
        "trend": "stable", "historical_mean": pytest.approx(33 / 7), "predicted_mean": 0, "has_seasonality": True,
        "forecast_horizon": 7, "context_length": 28, "model": "coherent 1", "confidence_range": "0.1-0.9",
    }  # fmt: skip


def test_it_forecasts_what_the_library_forecasts(client: TestClient):
    asked = body(60, days_ahead=14, model="base_level")
    found = client.post("/predict", json=asked).json()
    history = {"unique_id": ["CUP-01"] * 60, "ds": asked["dates"], "y": asked["quantities"]}
    import polars as pl

    frame = pl.DataFrame(history).with_columns(pl.col("ds").str.to_date())
    made = sw.forecast(frame, horizon=14, model="base_level")
    assert found["predictions"] == pytest.approx(made.mean()[0].tolist())
    assert found["confidence_intervals"]["upper"] == pytest.approx(made.quantiles([0.9])[0, :, 0].tolist())
    assert found["model_type"] == "base_level"


def test_the_bounds_stand_in_order_and_none_is_negative(client: TestClient):
    bands = client.post("/predict", json=body(40, days_ahead=30)).json()["confidence_intervals"]
    lower, median, upper = (np.array(bands[name]) for name in ("lower", "median", "upper"))
    assert (lower >= 0).all()
    assert (lower <= median).all()
    assert (median <= upper).all()
    assert len(upper) == 30


def test_the_order_of_the_dates_does_not_matter_and_parts_of_a_day_are_added_up(client: TestClient):
    plain = body()
    doubled = {
        **plain,
        "dates": plain["dates"][::-1] * 2,
        "quantities": [quantity / 2 for quantity in plain["quantities"][::-1]] * 2,
    }
    assert client.post("/predict", json=doubled).json() == client.post("/predict", json=plain).json()


def test_days_that_are_not_named_sold_nothing(client: TestClient):
    plain = body(35, quantities=[0.0 if n % 3 else 6.0 for n in range(35)])
    sold = [n for n, quantity in enumerate(plain["quantities"]) if quantity or n == 34]
    sparse = plain | {key: [plain[key][n] for n in sold] for key in ("dates", "quantities")}
    assert client.post("/predict", json=sparse).json() == client.post("/predict", json=plain).json()


def test_context_length_is_what_was_really_used(client: TestClient):
    assert client.post("/predict", json=body(200)).json()["metadata"]["context_length"] == 64
    assert client.post("/predict", json=body(200, context_length=90)).json()["metadata"]["context_length"] == 90
    assert client.post("/predict", json=body(20)).json()["metadata"]["context_length"] == 20


def test_a_number_may_name_the_product(client: TestClient):
    assert client.post("/predict", json=body(product_id=17)).json()["product_id"] == 17


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dates": ["2026-01-01"] * 9, "quantities": [1] * 9}, "at least 7 observations on different days, got 1"),
        ({"quantities": [1.0] * 27}, "there are 28 dates and 27 quantities"),
        ({"quantities": [1.0] * 27 + [-2.0]}, "quantity -2 at position 27"),
        ({"model": "base_levle"}, "did you mean 'base_level'"),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_its_rule(client: TestClient, changes: dict[str, Any], told: str):
    answer = client.post("/predict", json=body() | changes)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


def test_six_observations_are_too_few_and_it_says_how_many_are_missing(client: TestClient):
    answer = client.post("/predict", json=body(6))
    assert answer.status_code == 422
    assert "at least 7 observations on different days, got 6; give 1 more" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"days_ahead": 31}, "body.days_ahead"),
        ({"days_ahead": 0}, "body.days_ahead"),
        ({"context_length": 6}, "body.context_length"),
        ({"context_length": 366}, "body.context_length"),
        ({"dates": ["soon"] * 28}, "body.dates.0"),
        ({"quantities": ["many"] * 28}, "body.quantities.0"),
        ({"quantities": None}, "body.quantities"),
        ({"day_ahead": 3}, "body.day_ahead"),
        ({"product_id": None}, "body.product_id.int"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, changes: dict[str, Any], field: str):
    answer = client.post("/predict", json=body() | changes)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:shelfwise:problem:invalid-request"
    assert problem["errors"][0]["field"] == field


def test_a_model_that_is_late_is_stopped_and_the_base_model_answers_and_says_so(tmp_path: Path):
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, inference_timeout_seconds=0.01) as shop,
        TestClient(asgi(shop), base_url="http://localhost") as hurried,
    ):
        found = hurried.post("/predict", json=body(60)).json()
    assert found["model_type"] == "base_level"
    assert found["metadata"]["model"].startswith("base_level 1 (auto was asked for: ")
    assert len(found["predictions"]) == 7
