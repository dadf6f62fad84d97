"""Every example of the published description is sent to a planned shop, and every answer is as it is described.

Then schemathesis asks what nobody thought of: no answer is a fault, and none is other than documented.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.api import worlds

from shelfwise import server

DESCRIBED: dict[str, Any] = server.api().openapi()
CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
)  # fmt: skip

Prepare = Callable[[TestClient], Any]


def put_scenario(client: TestClient, name: str = "busy december") -> None:
    client.post("/api/v1/scenarios", json={"name": name, "demand": {"all": 1.1}})


def put_scenarios(client: TestClient) -> None:
    put_scenario(client)
    put_scenario(client, "lean")


def put_override(client: TestClient) -> None:
    body = {"of": "forecast", "about": "shop", "factor": 1.1, "until": "2099-01-31", "reason": "test"}
    client.post("/api/v1/overrides", json={"override": body})


def send_order(client: TestClient) -> None:
    client.post("/api/v1/purchase-orders/PO-000129/send", json={})


def undo_import(client: TestClient) -> None:
    client.post("/api/v1/imports/1/undo")


def train_models(client: TestClient) -> None:
    for then in ("champion", "challenger"):
        client.post("/api/v1/models/train", json={"model": "theta", "then": then})


def deploy_model(client: TestClient) -> None:
    train_models(client)
    client.post("/api/v1/models/deploy", json={"model": "theta@2"})


def put_webhook(client: TestClient) -> None:
    body = {"url": "https://hooks.example.com/shelfwise", "events": ["import.finished"]}
    client.post("/api/v1/webhooks", json=body)


def send_a_test(client: TestClient) -> None:
    put_webhook(client)
    client.post("/api/v1/webhooks/1/test")


PREPARED: dict[tuple[str, str], Prepare] = {
    ("get", "/api/v1/webhooks/{number}"): put_webhook,
    ("patch", "/api/v1/webhooks/{number}"): put_webhook,
    ("delete", "/api/v1/webhooks/{number}"): put_webhook,
    ("post", "/api/v1/webhooks/{number}/test"): put_webhook,
    ("post", "/api/v1/webhooks/{number}/rotate"): put_webhook,
    ("get", "/api/v1/webhooks/{number}/deliveries"): put_webhook,
    ("get", "/api/v1/webhooks/{number}/deliveries/{delivery}"): send_a_test,
    ("post", "/api/v1/webhooks/{number}/deliveries/{delivery}/resend"): send_a_test,
    ("get", "/api/v1/scenarios/compare"): put_scenarios,
    ("get", "/api/v1/scenarios/{name}"): put_scenario,
    ("post", "/api/v1/scenarios/{name}/again"): put_scenario,
    ("post", "/api/v1/scenarios/{name}/promote"): put_scenario,
    ("delete", "/api/v1/scenarios/{name}"): put_scenario,
    ("get", "/api/v1/overrides/{number}"): put_override,
    ("post", "/api/v1/overrides/{number}/revert"): put_override,
    ("post", "/api/v1/purchase-orders/{number}/receive"): send_order,
    ("post", "/api/v1/imports/{number}/redo"): undo_import,
    ("get", "/api/v1/models/{model}"): train_models,
    ("post", "/api/v1/models/deploy"): train_models,
    ("post", "/api/v1/models/rollback"): deploy_model,
}
"""What has to be there before an example can be sent."""

BULK = ("application/x-ndjson", "application/vnd.apache.arrow.stream")
"""The same questions as in JSON; `test_bulk_predictions` holds the answers to each other."""

MINE = (
    "products",
    "order-proposals",
    "purchase-orders",
    "imports",
    "scenarios",
    "risks",
    "patterns",
    "backtests",
    "backups",
    "connectors",
    "overrides",
    "insights",
    "predictions",
    "forecast",
    "models",
    "webhooks",
)


def operations() -> list[tuple[str, str]]:
    return [
        (method, path)
        for path, methods in DESCRIBED["paths"].items()
        for method in methods
        if re.match(rf"/api/v1/(?:{'|'.join(MINE)})\b", path)
    ]


def schema_of(part: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references resolvable."""
    return {**part, "components": DESCRIBED["components"]}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = DESCRIBED["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found


def requests(method: str, path: str) -> Iterator[dict[str, Any]]:
    """The requests that the examples of an operation make."""
    operation = DESCRIBED["paths"][path][method]
    query: dict[str, Any] = {}
    for parameter in operation.get("parameters", []):
        examples = parameter.get("examples") or parameter["schema"].get("examples")
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(examples[0]))
        elif examples and parameter["in"] == "query":
            query[parameter["name"]] = examples[0]
        else:
            assert not parameter["required"], f"{method} {path}: {parameter['name']} has no example"
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield {"url": path, "params": query}
    for kind, body in content.items():
        if kind == "application/json":
            for example in resolved(body["schema"])["examples"]:
                yield {"url": path, "params": query, "json": example}
        elif kind not in BULK:
            yield {"url": path, "params": query, "content": body["example"], "headers": {"Content-Type": kind}}


@pytest.mark.parametrize(("method", "path"), operations())
def test_every_example_is_answered_as_documented(served: TestClient, method: str, path: str):
    PREPARED.get((method, path), lambda _: None)(served)
    documented = DESCRIBED["paths"][path][method]["responses"]
    for request in requests(method, path):
        answer = served.request(method, **request)
        assert answer.is_success, f"{request}: {answer.text}"
        described = documented[str(answer.status_code)]
        if answer.status_code == 204:
            assert not answer.content
            continue
        schema = described["content"]["application/json"]["schema"]
        jsonschema_rs.validate(schema_of(schema), answer.json())


@pytest.mark.parametrize(
    "name", [name for name, schema in DESCRIBED["components"]["schemas"].items() if "examples" in schema]
)
def test_every_example_is_what_its_schema_says(name: str):
    schema = DESCRIBED["components"]["schemas"][name]
    # The description is written without nulls, those of its examples included.
    nulls = {key: None for key, one in schema["properties"].items() if "type" not in one}
    for example in schema["examples"]:
        jsonschema_rs.validate(schema_of(schema), nulls | example)


@pytest.fixture(scope="module")
def whole(planned_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The whole application over a small planned shop, with its processes and its gate."""
    path = tmp_path_factory.mktemp("whole") / "shop.db"
    shutil.copy(planned_file, path)
    with (
        worlds.open_quick(path) as shop,
        TestClient(server.asgi(shop), base_url="http://localhost", raise_server_exceptions=False) as client,
    ):
        yield client


SCHEMA = schemathesis.openapi.from_dict(DESCRIBED)
STREAMS = re.compile(r"/events$")  # they go on until somebody leaves
TRAINING = {"POST /api/v1/forecast", "POST /api/v1/models/train"}  # seconds for each model that is asked for


def labels() -> list[str]:
    found = [result.ok() for result in SCHEMA.get_all_operations()]
    return [one.label for one in found if not STREAMS.search(one.path)]


def ask(client: TestClient, label: str, times: int) -> None:
    """Send requests that the description allows, and ones that it does not, to one operation."""
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    known = {
        parameter["name"]: parameter["schema"]["examples"][0]
        for parameter in DESCRIBED["paths"][operation.path][operation.method].get("parameters", [])
        if parameter["in"] == "path" and parameter["schema"].get("examples")
    }
    modes = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

    @settings(max_examples=times, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=st.one_of(modes), at_home=st.booleans())
    def run(case: schemathesis.Case, at_home: bool) -> None:
        if at_home:  # what was made up is hardly ever there
            case.path_parameters = {**case.path_parameters, **known}
        answer = client.request(**sendable(case))
        # 503 is how a health check says that a part is not there, like the worker of this shop.
        checks = [check for check in CHECKS if check is not not_a_server_error or not label.endswith("/health")]
        case.validate_response(answer, checks=checks)

    run()


def sendable(case: schemathesis.Case) -> dict[str, Any]:
    """The request as the client takes it."""
    told = case.as_transport_kwargs(base_url="http://localhost")
    cookies = "; ".join(f"{name}={value}" for name, value in (told.get("cookies") or {}).items())
    headers = {**told["headers"], **({"Cookie": cookies} if cookies else {})}
    body = {"json": told["json"]} if told.get("json") is not None else {"content": told.get("data")}
    named = {key: told[key] for key in ("method", "url", "params")}
    return {**named, **body, "headers": headers, "follow_redirects": False}


@pytest.mark.parametrize("label", [label for label in labels() if label not in TRAINING])
def test_no_request_is_a_fault_and_no_answer_is_undocumented(whole: TestClient, label: str):
    ask(whole, label, 2)


@pytest.mark.nightly
@pytest.mark.parametrize("label", labels())
def test_many_requests_are_no_fault_and_no_answer_is_undocumented(whole: TestClient, label: str):
    ask(whole, label, 200)
