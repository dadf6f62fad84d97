"""``POST /inventory`` and ``POST /api/v1/movements`` over HTTP: what is answered, and what is refused how."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

from shelfwise.api import bodies, problems
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.app import App, open_app
from shelfwise.domain.errors import StorageError
from shelfwise.server import asgi


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("recorded")
    with open_app(folder / "shop.db", folder=folder, rate_limit_admin=0, rate_limit_address=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def served(shop: App) -> Iterator[TestClient]:
    with TestClient(asgi(shop), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def sale(**said: Any) -> dict[str, Any]:
    return {"productId": "CUP-01", "transactionType": "SALE", "quantity": 2, **said}


def new_id() -> str:
    return uuid.uuid4().hex


def test_a_sale_lowers_what_is_on_hand_and_the_same_again_is_a_success(served: TestClient) -> None:
    product, line = new_id(), new_id()
    served.post("/inventory", json=sale(productId=product, transactionType="COUNT", quantity=9))
    first = served.post("/inventory", json=sale(productId=product, quantity=-2, id=line))
    assert first.status_code == 201, first.text
    occurred_at = first.json()["occurredAt"]
    assert first.json() == {
        "id": line, "productId": product, "transactionType": "SALE", "quantity": 2.0, "occurredAt": occurred_at,
        "warehouseId": "main", "toWarehouseId": None, "onHand": 7.0, "duplicate": False, "reaction": "queued",
    }  # fmt: skip
    again = served.post("/inventory", json=sale(productId=product, id=line))
    assert again.status_code == 200
    assert again.json() == first.json() | {"duplicate": True, "reaction": "none"}
    other = served.post("/inventory", json=sale(productId=product, quantity=3, id=line))
    assert (other.status_code, other.json()["type"]) == (409, "urn:shelfwise:problem:conflict")


def test_a_product_is_text_or_a_number_and_comes_back_as_it_was_given(served: TestClient) -> None:
    counted = served.post("/inventory", json=sale(productId="0071", transactionType="COUNT", quantity=5))
    assert counted.json()["productId"] == "0071"
    number = served.post("/inventory", json=sale(productId=71)).json()
    assert (number["productId"], number["onHand"]) == (71, None), "71 is another product than 0071"
    assert served.post("/inventory", json=sale(productId=True)).status_code == 422


def test_waiting_for_the_reaction_says_that_none_came_where_nothing_was_forecast(served: TestClient) -> None:
    assert served.post("/inventory?wait=true", json=sale()).json()["reaction"] == "late"


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"transactionType": "sale"}, 422, "body.transactionType"),
        ({"quantity": 0}, 422, "a SALE is of some units, got 0"),
        ({"quantity": "NaN"}, 422, "body.quantity"),
        ({"colour": "green"}, 422, "body.colour"),
        ({"createdAt": "2999-01-01T00:00:00"}, 422, "has not come yet"),
        ({"createdAt": "0001-01-01T00:00:00+14:00"}, 422, "is before 1970"),
        ({"warehouseId": "mian"}, 404, "there is no warehouse 'mian'; the nearest is main"),
        ({"transactionType": "TRANSFER"}, 422, "a TRANSFER needs toWarehouseId"),
        ({"transactionType": "TRANSFER", "toWarehouseId": "main"}, 422, "from main to itself"),
        ({"id": "a\0b"}, 422, "holds a character that no text may hold"),
        ({"id": ""}, 422, "id is 1 to 252 characters"),
    ],
)
def test_a_movement_that_cannot_be_booked_is_a_problem(
    served: TestClient, said: dict[str, Any], status: int, words: str
) -> None:
    served.post("/inventory", json=sale())
    answer = served.post("/inventory", json=sale(**said))
    assert (answer.status_code, answer.headers["content-type"]) == (status, problems.MEDIA_TYPE)
    assert words in answer.json()["detail"]


def test_a_key_replays_the_answer_and_is_of_one_body(served: TestClient) -> None:
    key = {"Idempotency-Key": new_id()}
    first = served.post("/inventory", json=sale(), headers=key)
    again = served.post("/inventory", json=sale(), headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = served.post("/inventory", json=sale(quantity=3), headers=key)
    assert other.status_code == 422
    assert "came with another request before" in other.json()["detail"]
    assert served.post("/inventory", json=sale(), headers={"Idempotency-Key": "ü".encode()}).status_code == 422


def test_a_key_in_flight_is_a_conflict(shop: App, served: TestClient) -> None:
    key = {"Idempotency-Key": new_id()}
    with open_app(shop.database.address, folder=Path.cwd()) as other, ThreadPoolExecutor(8) as pool:
        with other.database.write():  # another program holds the database, so the first of them waits
            asked = [pool.submit(served.post, "/inventory", json=sale(), headers=key) for _ in range(8)]
            wait(asked, 1)
        answers = [one.result(30) for one in asked]
    booked = {one.json()["id"] for one in answers if one.status_code == 201}
    assert len(booked) == 1
    assert {one.status_code for one in answers} == {201, 409}


def test_a_database_that_cannot_write_is_503_with_the_time_to_come_back(
    served: TestClient, shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("shop.db: the disk is full; free some space and repeat, nothing of this step was kept")

    with monkeypatch.context() as patched:
        patched.setattr(type(shop.database), "write", full)
        answer = served.post("/inventory", json=sale())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "the disk is full" in answer.json()["detail"]
    assert served.post("/inventory", json=sale()).status_code == 201, "once there is room again"


# --- many


def table(**said: Any) -> list[dict[str, Any]]:
    return [sale(id=new_id(), createdAt="2026-01-05T10:00:00", **said) for _ in range(3)]


def test_a_table_is_booked_and_its_bad_rows_are_named(served: TestClient) -> None:
    rows = [*table(), sale(quantity=0)]
    answer = served.post("/api/v1/movements", json=rows)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "inserted": 3, "duplicates": 0, "differing": 0, "rejectedRows": 1,
        "rejected": [{"index": 3, "field": "quantity", "reason": "is 0; leave the row out, or send a COUNT of 0"}],
    }  # fmt: skip
    again = served.post("/api/v1/movements", json=rows)
    assert (again.json()["inserted"], again.json()["duplicates"]) == (0, 3)


def test_a_table_of_which_nothing_can_be_booked_is_422(served: TestClient) -> None:
    answer = served.post("/api/v1/movements", json=[sale(quantity=0)])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.0.quantity"


def test_a_packed_table_of_lines_is_booked_once_under_its_key(served: TestClient) -> None:
    raw = gzip.compress("\n".join(json.dumps(sale()) for _ in range(5)).encode())
    headers = {
        "Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Idempotency-Key": new_id(),
    }  # fmt: skip
    first, again = (served.post("/api/v1/movements", content=raw, headers=headers) for _ in range(2))
    assert first.json()["inserted"] == 5
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        ({"Content-Type": "text/csv"}, b"a", 415, "unsupported-media-type"),
        ({"Content-Encoding": "br"}, b"[]", 415, "unsupported-media-type"),
        ({"Content-Encoding": "gzip"}, b"[]", 400, "bad-request"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"[]", mtime=0)[:-9], 400, "bad-request"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b" " * (3 << 20), mtime=0), 413, "content-too-large"),
        ({}, b"[", 422, "unusable-data"),
        ({"Content-Type": "application/vnd.apache.arrow.stream"}, b"[]", 422, "unusable-data"),
    ],
)
def test_a_body_that_is_no_table_is_a_problem(
    served: TestClient, headers: dict[str, str], body: bytes, status: int, kind: str
) -> None:
    answer = served.post("/api/v1/movements", content=body, headers={"Content-Type": "application/json"} | headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:shelfwise:problem:{kind}"), answer.text


def test_a_small_gzip_that_grows_without_end_is_refused_before_it_does() -> None:
    bomb = gzip.compress(b"\0" * (16 << 20))
    with pytest.raises(problems.HTTPException, match="413"):
        bodies.unpacked(bomb)


def test_a_table_may_be_larger_than_any_other_body_and_has_an_end(served: TestClient) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    larger = b"\n" * 10 + b" " * (20 << 20)
    assert served.post("/api/v1/movements", content=larger, headers=headers).status_code == 200
    too_large = b" " * (bodies.LARGEST_BULK_BODY + 1)
    answer = served.post("/api/v1/movements", content=too_large, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:shelfwise:problem:content-too-large")
    assert "64 MiB of movements" in answer.json()["detail"]
    assert served.post("/inventory", content=larger, headers={"Content-Type": "application/json"}).status_code == 413


# --- any other write


@pytest.fixture
def counting(shop: App) -> Iterator[TestClient]:
    """An application whose one write counts how often it was done."""
    router = APIRouter(route_class=IdempotentRoute)
    done: list[str] = []

    @router.post("/done", status_code=202)
    async def _(request: Request, fail: bool = False) -> dict[str, int]:
        done.append((await request.body()).decode())
        if fail:
            raise StorageError("not now")
        return {"times": len(done)}

    made = FastAPI()
    problems.install(made)
    made.include_router(router)

    class Serving:
        pass

    made.state.serving = Serving()
    made.state.serving.shop = shop

    @made.middleware("http")
    async def _named(request: Request, following: Any) -> Any:
        request.state.request_id = "r"
        return await following(request)

    with TestClient(made) as client:
        yield client


def test_any_route_replays_what_it_answered_under_a_key(counting: TestClient) -> None:
    key = {"Idempotency-Key": new_id()}
    first, again = (counting.post("/done", content=b"a", headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert counting.post("/done", content=b"b", headers=key).status_code == 422
    assert counting.post("/done", content=b"a").json() == {"times": 2}


def test_after_a_failure_the_key_is_free_again(counting: TestClient) -> None:
    key = {"Idempotency-Key": new_id()}
    assert counting.post("/done?fail=true", headers=key).status_code == 503
    assert counting.post("/done", headers=key).status_code == 202


WITHOUT_A_KEY = re.compile(
    # Questions change nothing; what these others answer is a secret, which is kept nowhere.
    r"/predict|/api/v1/predictions/.*|/api/v1/(sessions|tokens|users)(/.*)?|/api/v1/webhooks(/\{number\}/rotate)?"
)


def test_every_write_takes_a_key_but_those_that_answer_with_a_secret(openapi_file: Path) -> None:
    paths = json.loads(openapi_file.read_text())["paths"]
    without = [
        f"{method} {path}"
        for path, methods in paths.items()
        for method, route in methods.items()
        if method in ("post", "put", "patch", "delete")
        and not WITHOUT_A_KEY.fullmatch(path)
        and not any(one["name"] == "Idempotency-Key" for one in route.get("parameters", []))
    ]
    assert without == [], "route_class=IdempotentRoute"
