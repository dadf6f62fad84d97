"""The registry over HTTP: listed, trained, deployed, rolled back; ids that are paths go nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shelfwise.app import App

MODELS = "/api/v1/models"


def train(served: TestClient, model: str, **changes: str) -> dict:
    answer = served.post(f"{MODELS}/train", json={"model": model, **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()["model"]


def test_models_are_listed_page_by_page_the_newest_first(served: TestClient):
    assert served.get(MODELS).json() == {"items": [], "next": None}
    made = [train(served, model)["version"] for model in ("theta", "seasonal_naive", "theta")]
    assert made == ["theta@1", "seasonal_naive@1", "theta@2"]
    page = served.get(MODELS, params={"limit": 2}).json()
    assert [one["version"] for one in page["items"]] == made[:0:-1]
    rest = served.get(MODELS, params={"limit": 2, "cursor": page["next"]}).json()
    assert ([one["version"] for one in rest["items"]], rest["next"]) == (made[:1], None)
    assert [one["version"] for one in served.get(MODELS, params={"name": "theta"}).json()["items"]] == [
        "theta@2", "theta@1",
    ]  # fmt: skip


def test_one_model_is_found_by_id_and_by_name(served: TestClient):
    made = train(served, "theta")
    assert served.get(f"{MODELS}/{made['id']}").json() == served.get(f"{MODELS}/theta@1").json() == made
    assert (made["aliases"], made["scope"], made["state"]) == (["champion"], "shop", "ready")
    assert made["metrics"]["rmse"] > 0
    assert len(made["metrics"]["cutoffs"]) == 2


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "0", "theta@0", "THETA@1", "%00", "theta@1%0A", "a" * 300])
def test_an_id_that_is_none_is_refused_before_anything_is_read(served: TestClient, name: str):
    answer = served.get(f"{MODELS}/{name}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    deployed = served.post(f"{MODELS}/deploy", json={"model": "../../etc/passwd"})
    assert deployed.status_code == 422


def test_a_deployment_is_written_down_and_taken_back(served: TestClient):
    train(served, "theta")
    train(served, "seasonal_naive")
    made = served.post(f"{MODELS}/deploy", json={"model": "seasonal_naive@1", "reason": "less off"}).json()
    assert (made["version"], made["previous"], made["action"], made["reason"]) == (
        "seasonal_naive@1", "theta@1", "deploy", "less off",
    )  # fmt: skip
    asked = {"product_id": "CF-1033", "horizon": 3}
    assert served.post("/api/v1/predictions/demand", json=asked).json()["model_version"] == "seasonal_naive@1"
    assert served.post(f"{MODELS}/deploy", json={"model": 2}).status_code == 409
    back = served.post(f"{MODELS}/rollback", json={"reason": "no"}).json()
    assert (back["version"], back["previous"], back["action"]) == ("theta@1", "seasonal_naive@1", "rollback")
    assert served.post(f"{MODELS}/rollback", json={}).status_code == 409
    story = served.get(f"{MODELS}/deployments").json()["items"]
    assert [(one["alias"], one["version"]) for one in story] == [
        ("champion", "theta@1"), ("champion", "seasonal_naive@1"), ("challenger", "seasonal_naive@1"),
        ("champion", "theta@1"),
    ]  # fmt: skip


def test_a_model_whose_file_was_changed_answers_nobody(served: TestClient, shop: App):
    made = train(served, "theta")
    path = shop.settings.address().path
    assert path is not None
    Path(path.with_suffix(".models") / f"{made['sha256']}.npz").write_bytes(b"\x80\x04cposix\nsystem\n.")
    for answer in (
        served.post("/api/v1/forecast", json={"product_id": "CF-1033"}),
        served.post("/api/v1/predictions/demand", json={"product_id": "CF-1033", "horizon": 3}),
        served.post(f"{MODELS}/deploy", json={"model": "theta@1"}),
    ):
        assert answer.status_code == 409
        assert "not what was saved" in answer.json()["detail"]


def test_performance_tells_what_was_measured_of_each_version(served: TestClient):
    assert served.get(f"{MODELS}/performance").json() == {"scope": "shop", "items": []}
    made = train(served, "theta")
    (found,) = served.get(f"{MODELS}/performance").json()["items"]
    assert (found["model"], found["since"], found["note"]) == (made, [], None)
    assert served.get(f"{MODELS}/performance", params={"scope": "warehouse:WEB"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "oracle"}, 422), ({"scope": "product:NOPE", "model": "theta"}, 404),
        ({"scope": "warehouse:X"}, 422), ({"then": "perhaps"}, 422), ({"models": "theta"}, 422),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(served: TestClient, body: dict, status: int):
    assert served.post(f"{MODELS}/train", json=body).status_code == status


def test_health_stands_under_both_paths(client: TestClient):
    assert client.get("/api/v1/health").json() == client.get("/health").json()


def test_first_questions_are_answered_by_a_job_and_then_by_its_model(client: TestClient):
    """Through the whole service: its gate, its processes and its worker."""
    asked = {"product_id": "NOPE", "forecast_horizon": 3}
    assert client.post("/api/v1/forecast", json=asked).status_code == 404
    queued = client.post(f"{MODELS}/train", json={"model": "theta"})
    assert queued.status_code == 202
    assert queued.headers["location"] == f"/api/v1/jobs/{queued.json()['job']}"
    assert client.get(queued.headers["location"]).status_code == 200
    found = client.post(
        "/api/v1/predictions/demand",
        json={
            "product_id": "CUP", "horizon": 2, "model": "theta", "metrics": False,
            "features": {"historical_sales": [
                {"timestamp": f"2026-03-{day:02}", "quantity": 3} for day in range(1, 15)
            ]},
        },
    )  # fmt: skip
    assert found.status_code == 200
    assert found.json()["model_version"] == "theta 1"
