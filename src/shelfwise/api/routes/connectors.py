"""``/api/v1/connectors``: how the services stand that stock, sales, lead times and shipments are pulled from."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.problems import documented
from shelfwise.services import connecting

router = APIRouter(prefix="/api/v1/connectors", tags=["connectors"], route_class=IdempotentRoute)

Name = Annotated[str, Path(max_length=32, description="Its name: inventory or logistics.", examples=["inventory"])]
_Told = ConfigDict(from_attributes=True)


class Feed(BaseModel):
    """How far a feed is read, and what came of its rows so far."""

    model_config = _Told

    feed: str
    read_until: str | None = Field(description="The service's cursor; null: from the beginning.")
    read_at: dt.datetime
    booked: int
    duplicates: int = Field(description="Rows that were known before.")
    refused: int


class ConnectorRun(BaseModel):
    """What one run met."""

    model_config = _Told

    started_at: dt.datetime
    finished_at: dt.datetime
    outcome: Literal["done", "failed", "paused", "overtaken"] = Field(
        description="`paused`: the breaker was open; `overtaken`: another run of it was quicker."
    )
    requests: int
    pages: int
    booked: int
    duplicates: int
    refused: int
    error: str | None


class RefusedRow(BaseModel):
    """A row that could not be booked, and was not since."""

    model_config = _Told

    feed: str
    content: str = Field(description="What it says, as JSON; cut after 8,000 characters.")
    reason: str
    seen_at: dt.datetime


class Connector(BaseModel):
    """A connector. Moments are in UTC, by the clock of the database's host."""

    name: str
    url: str | None = Field(description="Where its service is; null: it is not configured.")
    state: Literal["not configured", "ready", "degraded"] = Field(
        description="`degraded`: its last run did not go well; what it brought before stays."
    )
    breaker: Literal["closed", "open", "half-open"] = Field(
        description="`open`: not asked before `retry_at`; `half-open`: the next request is a probe."
    )
    failures: int = Field(description="Requests that failed since the last one that was answered.")
    retry_at: dt.datetime | None
    tried_at: dt.datetime | None
    succeeded_at: dt.datetime | None = Field(description="When a whole run went well last.")
    error: str | None = Field(description="What went wrong last; null once a whole run went well.")
    feeds: list[Feed]
    runs: list[ConnectorRun] = Field(description="The last ones, the newest first.")
    refused: int = Field(description="Rows that are refused and not booked since.")
    refusals: list[RefusedRow] = Field(description="The newest of them.")


class Connectors(BaseModel):
    """All connectors."""

    items: list[Connector]


class AskedSync(BaseModel):
    """A run that was asked for, or the queued one that is the same."""

    job: int = Field(description="Its number; `Location` says where it can be looked at.")
    state: str


@router.get("", responses=documented(503))
def list_connectors(shop: ShopNow) -> Connectors:
    """Show how each connector stands: its breaker, how far its feeds are read, its last runs, refused rows."""
    return Connectors(items=[_shown(one) for one in connecting.shown(shop)])


@router.post("/{name}/sync", status_code=202, responses=documented(404, 409, 422, 503))
def sync_connector(name: Name, shop: ShopNow, request: Request, response: Response) -> AskedSync:
    """Pull from a connector's service soon, in the background, even while its breaker is open.

    409: it is not configured. What the run met is the job's result, also where the service failed.
    """
    job = connecting.ask(shop, name, request_id=request.state.request_id)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return AskedSync(job=job.id, state=job.state)


def _shown(one: connecting.Shown) -> Connector:
    standing = one.standing
    return Connector.model_validate(
        {
            "name": one.name, "url": one.url, "breaker": standing.breaker, "failures": standing.failures,
            "state": "not configured" if one.url is None else "degraded" if one.degraded else "ready",
            "retry_at": standing.retry_at, "tried_at": standing.tried_at, "succeeded_at": standing.succeeded_at,
            "error": standing.error, "feeds": [Feed.model_validate(place) for place in one.places],
            "runs": [ConnectorRun.model_validate(run) for run in one.runs], "refused": one.refused,
            "refusals": [RefusedRow.model_validate(row) for row in one.refusals],
        }
    )  # fmt: skip
