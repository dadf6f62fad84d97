"""Imports, scenarios, risks, patterns, overrides, backtests and insights over HTTP say what their services say."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.api.test_products import every

from shelfwise.app import App
from shelfwise.services import (
    backtests,
    catalogue,
    classing,
    decisions,
    demand,
    health,
    insights,
    jobs,
    planning,
    risks,
    scenarios,
)

SALES = "date,product,quantity\n2024-11-01,CF-1033,3\n2024-11-02,CF-1033,many\n2024-11-03,NEW-1,5\n"


def upload(client: TestClient, content: str | bytes, name: str = "till.csv", **how: Any) -> Any:
    return client.post("/api/v1/imports", params={"filename": name, **how}, content=content)


def test_a_file_is_booked_once_and_its_bad_lines_are_told(served: TestClient, shop: App):
    answer = upload(served, SALES)
    done = answer.json()
    assert answer.status_code == 201
    assert (done["new_lines"], done["rejected_lines"]) == (2, 1)
    assert done["rejects"][0] | {"reason": ""} == {
        "file": "till.csv", "line": 3, "column": "quantity", "value": "many", "reason": "",
    }  # fmt: skip
    again = upload(served, SALES)
    assert (again.status_code, again.json()["repeated"], again.json()["number"]) == (200, True, done["number"])
    listed = every(served, "/api/v1/imports", limit=1)
    assert [row["files"] for row in listed] == ["till.csv", "till.csv"]
    kept = served.get(f"/api/v1/imports/{done['number']}").json()
    assert kept["receipt"] == done["receipt"]


def test_lines_that_were_cancelled_since_are_told_and_taken_off_when_asked(served: TestClient):
    def orders(status: str, note: str) -> bytes:
        head = "order_number,order_date,status,item_name,item_sku,item_quantity,item_total,customer_note"
        kept = f"11,2025-10-06 09:00:00,completed,Tea,CF-1033,2,10,{note}"
        return f"{head}\n{kept}\n12,2025-10-07 09:00:00,{status},Tea,CF-1033,5,25,{note}\n".encode()

    assert upload(served, orders("completed", "a"), "first.csv").json()["new_lines"] == 2
    told = upload(served, orders("cancelled", "b"), "later.csv").json()
    assert (told["cancelled_lines"], told["taken_off_lines"]) == (1, 0)
    done = upload(served, orders("cancelled", "c"), "later.csv", correct=True).json()
    assert (done["cancelled_lines"], done["taken_off_lines"]) == (1, 1)


def test_an_answer_told_again_under_its_key_says_where_the_made_thing_is(served: TestClient):
    body = {"name": "busy", "demand": {"all": 1.2}}
    first, again = (served.post("/api/v1/scenarios", json=body, headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert first.headers["location"].endswith("/api/v1/scenarios/busy")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("location", "content-type"):
        assert again.headers[name] == first.headers[name]


def test_an_import_is_taken_back_and_put_back(served: TestClient):
    number = upload(served, SALES).json()["number"]
    path = f"/api/v1/imports/{number}"
    would = served.post(f"{path}/undo", params={"dry_run": True}).json()
    assert served.get("/api/v1/products/NEW-1").status_code == 200
    assert served.post(f"{path}/undo").json() == would
    assert would["lines"] == 2
    assert served.get("/api/v1/products/NEW-1").status_code == 404
    assert served.post(f"{path}/undo").status_code == 409
    assert served.post(f"{path}/redo").json()["lines"] == 2
    assert served.get("/api/v1/products/NEW-1").status_code == 200


def test_a_trial_books_nothing_and_columns_can_be_said(served: TestClient):
    before = every(served, "/api/v1/imports")
    odd = "Tag;Artikel;Menge\n2024-11-01;CF-1033;3\n"
    said = {"map": ["date=Tag", "product=Artikel", "quantity=Menge"], "as": "sales"}
    answer = upload(served, odd, dry_run=True, **said)
    assert (answer.status_code, answer.json()["written"]) == (200, False)
    assert every(served, "/api/v1/imports") == before
    assert upload(served, odd, **said).json()["new_lines"] == 1
    assert upload(served, odd, map=["product"]).status_code == 422


@pytest.mark.parametrize("name", ["../../../up.csv", "C:\\shop\\up.csv", "/etc/up.csv"])
def test_the_name_of_a_file_is_a_name_and_no_path(served: TestClient, name: str):
    assert upload(served, SALES, name).json()["receipt"]["files"][0]["file"] == "up.csv"


def test_a_file_that_cannot_be_trusted_is_refused_as_a_whole(served: TestClient):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.csv", b"0" * 40_000_000)
    for content, name in (
        (b"", "x.csv"),
        (b"\x00\x01", "x.csv"),
        (packed.getvalue(), "x.zip"),
        (b"PK\x03\x04", "x.zip"),
    ):
        answer = upload(served, content, name)
        assert answer.status_code == 422
        assert "shelfwise-" not in answer.text  # where the file lay is nobody's business


def test_a_scenario_is_asked_listed_compared_promoted_and_deleted(served: TestClient, shop: App):
    path = "/api/v1/scenarios"
    body = {"name": "busy", "demand": {"all": 1.5}, "lead_time": {"Brindlewick Roastery": {"added_days": 3}}}
    made = served.post(path, json=body)
    assert made.status_code == 201
    assert made.headers["location"] == f"{path}/busy"
    kept = scenarios.shown(shop, "busy")
    assert made.json()["asked"] == ["demand +50 %", "lead time of S-BRIN +3 days"]
    assert made.json()["totals"][0]["scenario"] == kept.total("quantity")[1]
    assert served.get(f"{path}/busy").json() == made.json()
    assert served.post(path, json=body).status_code == 409
    assert served.post(path, json={"name": "nothing"}).status_code == 422
    assert served.post(path, json={"name": "x", "demand": {"no such": 1.1}}).status_code == 404
    served.post(path, json={"name": "lean", "service_level": 0.6})
    compared = served.get(f"{path}/compare", params={"a": "lean", "b": "busy"}).json()
    assert compared["totals"][0]["difference"] == pytest.approx(compared["totals"][0]["b"] - compared["totals"][0]["a"])
    assert [row["name"] for row in every(served, path, limit=1)] == ["lean", "busy"]
    promoted = served.post(f"{path}/busy/promote").json()["edited"]
    edited = every(served, "/api/v1/order-proposals", state="edited")
    assert {row["line"] for row in edited} == {line for line in promoted if line in {row["line"] for row in edited}}
    assert served.delete(f"{path}/busy").status_code == 204
    assert served.get(f"{path}/busy").status_code == 404


def test_risks_are_those_of_the_service_by_money_at_stake(served: TestClient, shop: App):
    found = risks.assess(shop, correct=False)
    told = every(served, "/api/v1/risks", limit=2)
    assert [row["line"] for row in told] == found.shown["unique_id"].to_list()
    assert told[0]["sentence"] == risks.sentence(found.table.row(0, named=True), found, "EUR")
    assert told[0]["lost_margin"] == f"{found.table['lost_margin'][0]:.2f}"
    all_of_it = every(served, "/api/v1/risks", severity="all", product="CF-1033")
    assert {row["product"] for row in all_of_it} == {"CF-1033"}
    assert served.get("/api/v1/risks", params={"days": 730}).status_code == 422


def test_patterns_class_each_line_and_the_cells_hold_them_all(served: TestClient, shop: App):
    lines = classing.classify(shop).lines
    head = served.get("/api/v1/patterns").json()
    told = every(served, "/api/v1/patterns", limit=5)
    assert [row["line"] for row in told] == lines["unique_id"].to_list()
    assert sum(cell["lines"] for cell in head["cells"]) == lines.height
    some = told[0]["abc_xyz"]
    assert {row["abc_xyz"] for row in every(served, "/api/v1/patterns", abc_xyz=some)} == {some}
    seasons = classing.classify(shop).seasons([row["line"] for row in told])
    for row, strength in zip(told, seasons.weekly.strength, strict=True):
        assert row["seasonality"]["weekly"]["strength"] == strength
        assert row["seasonality"]["yearly"] is None  # its sales are of 20 weeks


def test_overrides_are_set_listed_and_ended(served: TestClient, shop: App):
    path = "/api/v1/overrides"
    line = served.get("/api/v1/order-proposals").json()["items"][0]["line"]
    until = str(shop.today() + dt.timedelta(days=9))
    raised = {"of": "forecast", "about": "CF-1033", "factor": 2.0, "until": until, "reason": "fair"}
    made = served.post(path, json={"override": raised}).json()
    assert made["override"]["change"] == "+100 %"
    more = {"of": "order", "line": line, "quantity": 66, "reason": "shelf", "until": until}
    ordered = served.post(path, json={"override": more}).json()["override"]
    assert served.get(f"/api/v1/order-proposals/{line}").json()["quantity"] == 66
    assert [row["number"] for row in every(served, path, limit=1)] == [2, 1]
    assert served.post(f"{path}/{ordered['number']}/revert").json()["state"] == "reverted"
    assert served.get(f"/api/v1/order-proposals/{line}").json()["status"] == "proposed"
    assert [row["number"] for row in every(served, path)] == [1]
    assert [row["number"] for row in every(served, path, every=True)] == [2, 1]
    assert served.get(f"{path}/scores").json()["items"][0]["made"] == 1
    for wrong in ({**raised, "per_day": 3}, {**raised, "until": "2000-01-01"}, {**raised, "factor": None}):
        assert served.post(path, json={"override": wrong}).status_code == 422


def test_a_backtest_is_queued_once_and_its_scores_are_shown(served: TestClient, shop: App):
    path = "/api/v1/backtests"
    first = served.get(f"{path}/1").json()
    assert first["scores"][0]["wql"] == pytest.approx(backtests.show(shop, 1).result.summary()["wql"][0])
    body = {"models": ["seasonal_naive"], "horizon": 7, "cutoffs": 1}
    queued = served.post(path, json=body)
    assert queued.status_code == 202
    assert queued.headers["location"] == f"/api/v1/jobs/{queued.json()['job']}"
    assert jobs.look(shop, queued.json()["job"]).payload == body
    assert served.post(path, json=body).json() == queued.json()
    assert served.post(path, json={**body, "models": ["nonesuch"]}).status_code == 422
    assert served.delete(f"{path}/1").status_code == 204
    assert every(served, path) == []


def test_insights_are_ranked_by_money_and_each_leads_to_its_resource(served: TestClient, shop: App):
    found = served.get("/api/v1/insights", params={"limit": 100}).json()
    read = insights.today(shop)
    assert found["sentence"] == read.sentence()
    runs_out = [one for one in found["items"] if one["kind"] == "runs out"]
    assert [one["money"] for one in runs_out] == [f"{m:.2f}" for m in read.at_risk["margin_at_risk"].head(5)]
    lost = [
        float(one["money"] or 0) for one in found["items"] if one["kind"] in ("order now", "runs out", "dead stock")
    ]
    assert lost == sorted(lost, reverse=True)
    assert {one["kind"] for one in found["items"]} >= {"runs out", "data"}
    assert {one["numbers"]["finding"] for one in found["items"] if one["kind"] == "data"} <= {
        one.kind for one in health.check(shop).findings
    }
    for one in found["items"]:
        assert served.get(one["resource"]).status_code == 200


def test_insights_make_no_plan_and_say_what_they_leave_out_when_the_old_one_no_longer_holds(
    served: TestClient, shop: App
):
    before = planning.latest(shop)
    upload(served, f"date,product,quantity\n{demand.load(shop).data_until},CF-1033,30\n")
    found = served.get("/api/v1/insights").json()
    assert before is not None
    assert found["plan"] == before.run_id
    assert "make the plan anew first" in found["notes"][0]


def test_insights_are_kept_until_something_that_they_rest_on_changes(shop: App, monkeypatch: pytest.MonkeyPatch):
    looked = []
    check = health.check

    def counted(*given: Any, **how: Any) -> Any:
        looked.append(1)
        return check(*given, **how)

    monkeypatch.setattr(health, "check", counted)
    first = insights.tell(shop, 3)
    assert insights.tell(shop, 100).items[:3] == first.items
    assert len(looked) == 1
    plan = planning.latest(shop)
    assert plan is not None
    line = plan.lines.filter(plan.lines["quantity"] > 0)["unique_id"][0]
    changes = (
        lambda: decisions.reject(shop, plan, [line], "test"),
        lambda: catalogue.edit_supplier(shop, "S-OKKE", {"lead_time_days": 30.0}),
        lambda: planning.make_plan(shop),
        lambda: catalogue.edit_product(shop, "CF-1033", {"price": 1.5}),
    )
    for change in changes:
        before = insights.tell(shop, 100)
        change()
        told = insights.tell(shop, 100)
        insights._told.clear()
        assert insights.tell(shop, 100) == told  # what was kept is what would be told anew
        assert told != before


def test_a_shop_without_sales_is_told_what_to_do(client: TestClient):
    found = client.get("/api/v1/insights").json()
    assert (found["plan"], found["items"]) == (None, [])
    assert "shelfwise import" in found["notes"][0]
    for path in ("risks", "patterns"):
        assert client.get(f"/api/v1/{path}").status_code == 422
