"""Predictions in bulk: NDJSON and Arrow say what JSON says, errors name their line, and answers come in parts."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from pyarrow import ipc

from shelfwise.api import bulk_questions
from shelfwise.api.routes.bulk_predictions import KINDS
from shelfwise.ingest import question_bodies
from shelfwise.services import bulk_questions as kinds

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
DEMAND = "/api/v1/predictions/demand"
SALES = [{"timestamp": f"2026-03-{day:02}", "quantity": 4 + day % 3} for day in range(1, 29)]
QUESTIONS: dict[str, list[dict[str, Any]]] = {
    DEMAND: [
        {"product_id": "CF-1033", "warehouse_id": "WEB", "horizon": 4},
        {"product_id": "no-such-thing", "horizon": 4},
        {"product_id": "X", "horizon": 3, "features": {"historical_sales": SALES}},
        {"product_id": "CF-1033", "horizon": 0},
    ],
    "/api/v1/predictions/stockout": [
        {"product_id": "CF-1033", "warehouse_id": "WEB", "unit_cost": "7.80", "horizon": 14},
        {"product_id": "CF-1033", "warehouse_id": "no-such-place", "horizon": 14},
    ],
    "/api/v1/predictions/optimize": [
        {"products": [{"product_id": "CF-1033"}], "limits": [{"kind": "budget", "value": 200.0}]},
        {"products": [{"product_id": "no-such-thing"}], "limits": []},
    ],
    "/api/v1/predictions/chain": [
        {"products": [{"product_id": "CF-1033"}], "horizon": 7},
        {"products": [{"product_id": "no-such-thing"}], "horizon": 7},
    ],
}


def as_lines(questions: list[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in questions)


def as_stream(questions: list[Any]) -> bytes:
    target = io.BytesIO()
    names = dict.fromkeys(name for one in questions for name in one)
    table = pa.table({name: [one.get(name) for one in questions] for name in names})
    with ipc.new_stream(target, table.schema) as writing:
        writing.write_table(table)
    return target.getvalue()


def post(client: TestClient, path: str, body: bytes, kind: str, **headers: str) -> Any:
    return client.post(path, content=body, headers={"Content-Type": kind, **headers})


def plain(items: Any) -> list[dict[str, Any]]:
    """Items without the line, which only NDJSON has."""
    return [{**item, "line": None} for item in items]


def in_json(kind: Any, item: dict[str, Any]) -> Any:
    """A row of an Arrow table as the JSON of the item that it is."""
    return json.loads(kind.item.model_validate(_named(item)).model_dump_json())


def _named(value: Any) -> Any:
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and set(value[0]) == {"key", "value"}:
            return {one["key"]: _named(one["value"]) for one in value}
        return [_named(one) for one in value]
    return {name: _named(one) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("path", QUESTIONS)
def test_every_kind_of_body_gets_what_json_gets(served: TestClient, path: str):
    questions = QUESTIONS[path]
    told = post(served, path, as_lines(questions), NDJSON)
    assert (told.status_code, told.headers["content-type"]) == (200, NDJSON)
    items = [json.loads(line) for line in told.text.splitlines()]
    assert [item["line"] for item in items] == [n + 1 for n in range(len(questions))]
    for question, item in zip(questions, items, strict=True):
        alone = served.post(path, json=question)
        if alone.status_code == 200:
            assert item["answer"] == alone.json()
        else:
            assert item["problem"]["status"] == alone.status_code
    if not path.endswith("chain"):
        batch = served.post(f"{path}/batch", json={"questions": questions}).json()["results"]
        assert batch == plain(items)

    stream = as_stream(questions)
    as_json = post(served, path, stream, ARROW, Accept="application/json")
    assert as_json.headers["content-type"] == "application/json"
    assert as_json.json()["results"] == plain(items)
    rows = ipc.open_stream(post(served, path, stream, ARROW).content).read_all().to_pylist()
    kind = KINDS[path.removeprefix("/api/v1/predictions")]
    assert [in_json(kind, row) for row in rows] == plain(items)


def test_what_is_wrong_with_a_line_is_told_with_its_line_and_hinders_no_other(served: TestClient):
    good = json.dumps({"product_id": "CF-1033", "horizon": 2})
    wrong = ["no json", "7", '{"product_id": "CF-1033", "horizon": "far"}', '{"horizon": 2, "colour": "green"}']
    body = "\n\n".join([good, *wrong, good]).encode()  # every other line is empty
    items = [json.loads(line) for line in post(served, DEMAND, body, NDJSON).text.splitlines()]
    assert [item["line"] for item in items] == [1, 3, 5, 7, 9, 11]
    assert [item["index"] for item in items] == [0, 1, 2, 3, 4, 5]
    assert [item["status"] for item in items] == ["answered", *["failed"] * 4, "answered"]
    assert "line 3 is no JSON" in items[1]["problem"]["detail"]
    assert [one["field"] for one in items[4]["problem"]["errors"]] == ["product_id", "colour"]
    assert items[0]["answer"] == items[5]["answer"]


def test_answers_come_in_parts_that_stand_in_one_stream(served: TestClient, monkeypatch: pytest.MonkeyPatch):
    questions = [{"product_id": "CF-1033", "horizon": n} for n in range(1, 6)]
    whole = served.post(f"{DEMAND}/batch", json={"questions": questions}).json()["results"]
    monkeypatch.setattr(bulk_questions, "PART", 2)
    for accept in (NDJSON, ARROW, "application/json"):
        answer = post(served, f"{DEMAND}/batch", as_lines(questions), NDJSON, Accept=accept)
        if accept == ARROW:
            table = pl.read_ipc_stream(io.BytesIO(answer.content))
            assert table["index"].to_list() == [0, 1, 2, 3, 4]
            found = [one["value"] for one in table["answer"][4]["predictions"]]
            assert found == [one["value"] for one in whole[4]["answer"]["predictions"]]
        else:
            items = answer.json()["results"] if accept != NDJSON else map(json.loads, answer.text.splitlines())
            assert plain(items) == whole


def test_json_is_answered_in_the_kind_that_is_accepted(served: TestClient):
    question = {"product_id": "CF-1033", "horizon": 3}
    for path, body in ((DEMAND, question), (f"{DEMAND}/batch", {"questions": [question]})):
        answer = served.post(path, json=body, headers={"Accept": ARROW})
        assert pl.read_ipc_stream(io.BytesIO(answer.content))["status"].to_list() == ["answered"]
    packed = gzip.compress(as_lines([question]))
    told = post(served, DEMAND, packed, NDJSON, **{"Content-Encoding": "gzip"})
    assert json.loads(told.text)["status"] == "answered"


@pytest.mark.parametrize(
    ("kind", "body", "status", "part"),
    [
        (NDJSON, b"", 422, "has no question"),
        (NDJSON, b"\n\n", 422, "has no question"),
        (NDJSON, b"{}\n" * (kinds.MOST_QUESTIONS + 1), 422, "at most 10,000 questions, got 10,001"),
        (ARROW, b"no stream", 422, "is no Arrow IPC stream"),
        (ARROW, as_stream([{"product_id": "x" * 2000, "horizon": 1}]), 422, "longer than 1024 bytes"),
        (ARROW, as_stream([{"product_id": b"x", "horizon": 1}]), 422, "column product_id is Binary"),
        ("application/json", b"{", 400, "no JSON"),
        ("application/json", b'{"questions": []}', 422, "1 to 10,000 questions, got 0"),
        ("text/csv", b"a,b", 415, "is no kind of questions"),
    ],
)
def test_a_body_that_is_none_is_refused_before_anything_is_answered(
    served: TestClient, kind: str, body: bytes, status: int, part: str
):
    answer = post(served, f"{DEMAND}/batch", body, kind, Accept=NDJSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert part in answer.json()["detail"]


def test_a_stream_that_stands_for_too_much_is_refused(served: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(question_bodies, "MOST_CELLS", 50)
    body = as_stream([{"product_id": "X", "horizon": 3, "features": {"historical_sales": SALES}}])
    assert "more than 50 cells" in post(served, DEMAND, body, ARROW).json()["detail"]
