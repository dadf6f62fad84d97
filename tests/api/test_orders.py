"""Order proposals, decisions about them, and purchase orders from draft to received."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.api.test_products import every

from shelfwise.app import App
from shelfwise.services import jobs, planning
from shelfwise.services.background import Background

PATH = "/api/v1/order-proposals"


def decide(client: TestClient, line: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{PATH}/{line}/decisions", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def line(served: TestClient) -> str:
    """The most urgent line."""
    found: str = served.get(PATH).json()["items"][0]["line"]
    return found


def test_the_proposal_is_the_plan_by_urgency(served: TestClient, shop: App):
    plan = planning.latest(shop)
    assert plan is not None
    head = served.get(PATH, params={"limit": 1}).json()
    assert (head["plan"], head["as_of"], head["currency"]) == (plan.run_id, str(plan.as_of), "EUR")
    assert [row["line"] for row in every(served, PATH, limit=2)] == plan.open_lines["unique_id"].to_list()
    assert {row["supplier"]: row["lines"] for row in head["orders"]} == dict(
        plan.orders.select("supplier", "lines").iter_rows()
    )
    first = head["items"][0]
    row = plan.open_lines.row(0, named=True)
    assert float(first["cost"]) == pytest.approx(row["cost"])
    assert first["arithmetic"] == row["arithmetic"]


def test_lines_are_filtered_by_supplier_state_and_day(served: TestClient):
    lines = every(served, PATH)
    mine = every(served, PATH, supplier="S-BRIN")
    assert mine == [row for row in lines if row["supplier"] == "S-BRIN"]
    assert every(served, PATH, order_by="2000-01-01") == []
    assert every(served, PATH, state="approved") == []
    idle = every(served, PATH, state="not needed")
    assert all(row["quantity"] == 0 for row in idle)


def test_a_line_is_edited_snoozed_rejected_and_each_is_undone(served: TestClient, line: str):
    edited = decide(served, line, action="edit", quantity=25, reason="fair")
    assert (edited["line"]["status"], edited["line"]["quantity"]) == ("edited", 25.0)
    assert "no whole number of packs" in edited["notes"][0]
    assert decide(served, line, action="undo")["line"]["status"] == "proposed"
    slept = decide(served, line, action="snooze", until="2099-01-04")["line"]
    assert (slept["status"], slept["snoozed_until"]) == ("snoozed", "2099-01-04")
    assert line not in [row["line"] for row in every(served, PATH)]
    decide(served, line, action="undo")
    assert decide(served, line, action="reject", reason="enough")["line"]["status"] == "rejected"
    assert served.get(f"{PATH}/{line}").json()["decision_reason"] == "enough"


def test_an_approved_line_is_on_a_draft_that_is_sent_and_received(served: TestClient, line: str):
    drafted = decide(served, line, action="approve")["drafted"]
    path = f"/api/v1/purchase-orders/{drafted['purchase_order']}"
    order = served.get(path).json()
    assert (order["status"], order["value"]) == ("draft", drafted["value"])
    assert f"{order['items'][0]['product']}@{order['items'][0]['warehouse']}" == line
    assert served.post(f"{path}/receive", json={}).status_code == 409
    assert served.post(f"{path}/send", json={}).json()["status"] == "sent"
    assert decide(served, line, 409, action="undo")["type"] == "urn:shelfwise:problem:conflict"
    for repeated in (False, True):
        done = served.post(f"{path}/receive", json={"delivery": "DN-1"}).json()
        assert (done["status"], done["repeated"]) == ("received", repeated)
    assert served.post(f"{path}/cancel").status_code == 409
    assert served.get(path).json()["units_due"] == 0.0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"action": "edit", "reason": "x"}, "edit needs a quantity"),
        ({"action": "edit", "quantity": 3}, "needs a reason"),
        ({"action": "approve", "quantity": 3}, "approve takes no quantity; leave it out, or did you mean edit?"),
        ({"action": "reject", "until": "2099-01-01", "reason": "x"}, "did you mean snooze?"),
        ({"action": "snooze", "until": "2000-01-01"}, "name a later day"),
        ({"action": "order"}, "body.action"),
        ({"action": "edit", "quantity": -1, "reason": "x"}, "body.quantity"),
        ({"action": "reject", "reason": "tab\there"}, "body.reason"),
        ({"action": "approve", "who": "me"}, "body.who"),
    ],
)
def test_a_decision_that_breaks_a_rule_is_refused_and_says_why(
    served: TestClient, line: str, body: dict[str, Any], told: str
):
    assert told in decide(served, line, 422, **body)["detail"]
    assert served.get(f"{PATH}/{line}").json()["status"] == "proposed"


def test_a_plan_with_a_budget_spends_no_more_and_one_that_holds_is_taken_again(served: TestClient):
    before = served.get(PATH).json()["plan"]
    assert served.post(PATH, json={}).json()["plan"] == before
    made = served.post(PATH, json={"budgets": {"all": "100.00"}}).json()
    assert made["plan"] == before + 1
    assert sum(float(row["cost"] or 0) for row in made["items"]) <= 100.0
    assert served.post(PATH, json={"budgets": {"nobody": 5}}).status_code == 404
    assert served.post(PATH, json={"model": "base_levle"}).status_code == 422


def test_orders_are_listed_by_state_and_a_number_that_is_not_there_is_named(served: TestClient):
    path = "/api/v1/purchase-orders"
    assert [row["purchase_order"] for row in every(served, path, limit=1)] == ["PO-000128", "PO-000129"]
    assert [row["purchase_order"] for row in every(served, path, status="draft")] == ["PO-000129"]
    answer = served.get(f"{path}/PO-000127")
    assert answer.status_code == 404
    assert "PO-000128" in answer.json()["detail"]


def test_in_a_shop_without_a_plan_it_says_what_makes_one(client: TestClient):
    for answer in (
        client.get(PATH),
        client.get(f"{PATH}/CF-1033"),
        client.post(f"{PATH}/x/decisions", json={"action": "undo"}),
    ):
        assert answer.status_code == 404
        assert "`shelfwise order` makes one" in answer.json()["detail"]
    assert client.post(PATH, json={}).status_code == 422


def test_a_new_plan_is_left_to_a_worker_and_waited_for_when_asked(served: TestClient, shop: App):
    path, choice = "/api/v1/order-proposals", {"service_level": 0.8}
    background = Background(shop)
    background.start()
    try:
        until = time.monotonic() + 60
        while not jobs.alive(shop):
            assert time.monotonic() < until
            time.sleep(0.02)
        held = served.post(path, json={})
        assert held.status_code == 200  # it was made before: nothing to wait for
        begun = served.post(path, json=choice)
        assert begun.status_code == 202
        assert begun.headers["location"] == begun.json()["location"]
        assert served.get(begun.headers["location"]).json()["kind"] == "plan"
        made = served.post(path, json=choice, params={"wait": 120})
        assert made.status_code == 200
        assert made.json()["plan"] > held.json()["plan"]
        assert served.post(path, json=choice).content == made.content
        # Risks are read off the plan of the settings, which the one just made has replaced.
        assert served.get("/api/v1/risks").status_code == 202
        told = served.get("/api/v1/risks", params={"wait": 120, "severity": "all"})
        assert told.status_code == 200
        assert told.json()["items"]
    finally:
        background.close()
