"""``/api/v1/jobs``: work that takes longer than a request: how far it is, what came of it, what to do if it failed.

A route that only begins such work answers 202 with the address of its job in ``Location``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterable
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Depends, Path, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.services import jobs

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], route_class=IdempotentRoute)

JOBS: Final = Listing("jobs", ("id",), (True,))
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Its number.", examples=[17])]
State = Literal["queued", "running", "done", "parked", "cancelled"]


class Job(BaseModel):
    """A job. Moments are in UTC, by the clock of the database's host."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": 17, "kind": "backtest", "subject": "", "state": "running", "step": "auto at 2026-10-25",
                    "done": 3, "total": 8, "attempts": 1, "most_attempts": 3, "result": None, "error": None,
                    "request_id": "till-7.42", "created_at": "2026-11-21T10:00:00Z",
                    "run_after": "2026-11-21T10:00:00Z", "started_at": "2026-11-21T10:00:01Z", "finished_at": None,
                }
            ]
        },
    )  # fmt: skip

    id: int
    kind: str = Field(description="What is done.")
    subject: str = Field(description="What it is about; queued jobs of one kind and subject are one.")
    state: State = Field(
        description="`parked`: it failed for good or too often, and waits for a person to retry or drop it."
    )
    step: str | None = Field(description="What it is doing, or did last.")
    done: int = Field(description="Parts of the step that are finished.")
    total: int = Field(description="Parts in all; 0 where that is not known.")
    attempts: int
    most_attempts: int = Field(description="So often it is tried before it is parked.")
    result: Any = Field(description="What came of it; null until it is done.")
    error: str | None = Field(description="What went wrong at the last attempt.")
    request_id: str | None = Field(description="Of the request that asked for it.")
    created_at: dt.datetime
    run_after: dt.datetime = Field(description="It is not tried before.")
    started_at: dt.datetime | None = Field(description="Beginning of the last attempt.")
    finished_at: dt.datetime | None


class JobPage(Page):
    """Jobs, the newest first."""

    items: list[Job]


def _before(cursor: Cursor = None) -> int | None:
    return None if cursor is None else int(JOBS.read(cursor, {"id": pl.Int64()})[0])


def _job(number: Number, shop: ShopNow) -> jobs.Job:
    return jobs.look(shop, number)


@router.get("", responses=documented(422, 503))
def list_jobs(
    shop: ShopNow,
    before: Annotated[int | None, Depends(_before)],
    state: Annotated[State | None, Query(description="Only jobs in this state.")] = None,
    kind: Annotated[str | None, Query(description="Only jobs of this kind.", max_length=64)] = None,
    limit: Limit = 50,
) -> JobPage:
    """List jobs, the newest first."""
    found = jobs.listed(shop, state=state, kind=kind, before=before, limit=limit)
    following = None if found.before is None else JOBS.cursor([found.before])
    return JobPage(items=[Job.model_validate(job) for job in found.jobs], next=following)


@router.get("/{number}", responses=documented(404, 422, 503))
def show_job(found: Annotated[jobs.Job, Depends(_job)]) -> Job:
    """Show a job."""
    return Job.model_validate(found)


@router.get("/{number}/events", response_class=EventSourceResponse, responses=documented(404, 422, 503))
async def follow_job(found: Annotated[jobs.Job, Depends(_job)], shop: ShopNow) -> AsyncIterable[ServerSentEvent]:
    """Follow a job as server-sent events: `progress` whenever something changed, `end` when it is over.

    Each event holds the job as `GET /api/v1/jobs/{number}` shows it.
    """
    async for job in jobs.follow(shop, found):
        yield ServerSentEvent(event="end" if job.over else "progress", data=Job.model_validate(job))


@router.post("/{number}/retry", responses=documented(404, 409, 422, 503))
def retry_job(number: Number, shop: ShopNow) -> Job:
    """Queue a parked or cancelled job anew; if one of its kind and subject waits already, that one is shown."""
    return Job.model_validate(jobs.retry(shop, number))


@router.delete("/{number}", responses=documented(404, 409, 422, 503))
def end_job(number: Number, shop: ShopNow) -> Job:
    """Cancel a queued or running job, or drop a parked one; what it has kept so far stays."""
    return Job.model_validate(jobs.end(shop, number))
