"""``/health``: whether the service can answer, for load balancers and people."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ServingNow

router = APIRouter(tags=["health"])

State = Literal["ready", "failed", "not configured"]


class Health(BaseModel):
    """How the service is."""

    status: Literal["healthy", "unhealthy"] = Field(description="`healthy` where all that answers need is ready.")
    model_ready: bool = Field(description="Whether a forecast can be made.")
    gpu_available: bool = Field(description="Whether models run on a graphics processor.")
    device: str = Field(description="Where models run.", examples=["cpu"])
    database: State = Field(description="Whether the database answers.")
    cache: State = Field(description="Whether the Redis answers that processes share forecasts in.")
    worker: State = Field(description="Whether the background worker is alive.")
    connectors: Literal["ready", "degraded", "not configured"] = Field(
        description="Whether the last pull from the inventory and logistics services went well; answers need none."
    )
    reasons: list[str] = Field(description="What is wrong; empty where nothing is.")


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Health, "description": "Something is not ready"}}


@router.get("/health", responses=_RESPONSES)
@router.get("/api/v1/health", responses=_RESPONSES, operation_id="health_under_its_version")
def health(serving: ServingNow, response: Response) -> Health:
    """Say whether the service can answer; 503 if something it needs is not ready."""
    found = serving.readiness()
    if not found.healthy:
        response.status_code = 503
    return Health(
        status="healthy" if found.healthy else "unhealthy",
        model_ready=found.model == "ready",
        gpu_available=False,
        device="cpu",
        database=found.database,
        cache=found.cache or "not configured",
        worker=found.worker,
        connectors=found.connectors or "not configured",
        reasons=list(found.reasons),
    )
