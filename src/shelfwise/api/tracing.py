"""Spans of requests for OpenTelemetry, where a setting says where to send them; nothing is sent anywhere otherwise.

The framework makes the spans itself once it is given a provider. Ours makes them under the ids that the log writes
(`shelfwise.domain.trace`), so that a span is found by a line of the log and the other way round. The SDK is the extra
``tracing`` and is imported only here, and only when the setting is on.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from fastapi.telemetry import TelemetryConfig

from shelfwise import logs
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.trace import Trace

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

# Errors are in our own log, counts in our own metrics; and no variable of the environment may turn an export on.
_OWN: Final[TelemetryConfig] = {"metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
OFF: Final[TelemetryConfig] = {**_OWN, "tracing": False}
QUIET: Final = frozenset({"/health", "/api/v1/health", "/metrics", "/api/v1/metrics"})
"""Asked every few seconds by machines; their spans would bury the others."""


class _Ids:
    """The ids under which the log writes of the same request; what the SDK calls an ``IdGenerator``."""

    def generate_trace_id(self) -> int:
        return int((logs.current_trace() or Trace.begin()).trace_id, 16)

    def generate_span_id(self) -> int:
        return int((logs.current_trace() or Trace.begin()).span_id, 16)

    def is_trace_id_random(self) -> bool:
        return True


def telemetry(provider: TracerProvider) -> TelemetryConfig:
    """Return what tells the framework to make spans with this provider."""
    return {**_OWN, "tracing": True, "tracer_provider": provider, "exclude": lambda scope: scope["path"] in QUIET}


def provider(endpoint: str, exporter: Any = None) -> tuple[TracerProvider, Callable[[], None]]:
    """Return what makes spans and sends them off in batches, and what sends the last ones and ends it.

    Parameters
    ----------
    endpoint
        A collector's address for OTLP over HTTP, like ``http://localhost:4318/v1/traces``.
    exporter
        What to send them by instead.

    Raises
    ------
    ParameterError
        The SDK is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ParameterError(
            f"tracing_endpoint {endpoint} needs OpenTelemetry's SDK, which is not installed; "
            "pip install 'shelfwise[tracing]', or leave the setting empty"
        ) from None

    ids: Any = _Ids()  # by shape: its base class is in the extra
    made = TracerProvider(
        id_generator=ids,
        resource=Resource.create({"service.name": "shelfwise", "service.version": version("shelfwise")}),
        shutdown_on_exit=False,
    )
    made.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint)))
    return made, made.shutdown
