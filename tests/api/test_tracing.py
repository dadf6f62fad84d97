"""Spans for OpenTelemetry: off unless a setting says where to, and under the ids of the log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shelfwise import server
from shelfwise.api import tracing
from shelfwise.api.observed import Observed
from shelfwise.app import open_app
from shelfwise.domain.errors import ParameterError
from shelfwise.services.metrics import Metrics
from shelfwise.settings import load_settings

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_without_the_setting_nothing_is_traced_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = "opentelemetry.sdk" in sys.modules
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:9")
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as shop,
        TestClient(server.asgi(shop), base_url="http://localhost") as client,
    ):
        assert client.get("/health").status_code == 200
    assert ("opentelemetry.sdk" in sys.modules) is before


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, tracing_endpoint="http://localhost:4318/v1/traces") as shop,
        pytest.raises(ParameterError, match=r"pip install 'shelfwise\[tracing\]'"),
    ):
        server.asgi(shop)


@pytest.mark.parametrize("value", ["localhost:4318", "ftp://localhost/v1", "http:/localhost"])
def test_an_endpoint_is_an_address_of_the_web(value: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="tracing_endpoint"):
        load_settings({"tracing_endpoint": value}, folder=tmp_path)


def test_a_request_is_a_span_under_the_ids_of_the_log() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra `tracing`")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider, end = tracing.provider("http://localhost:4318/v1/traces", kept)
    api = server.api(tracing.telemetry(provider))

    @api.get("/things/{name}")
    def thing(name: str) -> str:
        return name

    app = Observed(server.Envelope(api, {"localhost"}), Metrics())
    client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    assert client.get("/things/7", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}).status_code == 200
    client.get("/metrics")  # fails, since no shop is behind it; what matters is that it makes no span
    end()
    (span,) = kept.get_finished_spans()
    assert span.name == "GET /things/{name}"
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert span.attributes["http.route"] == "/things/{name}"
