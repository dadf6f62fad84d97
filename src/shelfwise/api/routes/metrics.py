"""``/metrics``: what the service counts, for Prometheus."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from shelfwise.api.dependencies import ServingNow
from shelfwise.services.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"], default_response_class=Response)

_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", responses=_TEXT)
@router.get("/api/v1/metrics", responses=_TEXT)
def metrics(serving: ServingNow) -> Response:
    """Return all metrics in the text form of Prometheus; docs/observability.md lists them."""
    return Response(serving.metrics.exposition(), media_type=CONTENT_TYPE)
