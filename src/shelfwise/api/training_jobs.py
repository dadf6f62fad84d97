"""What a route answers while a model is being trained or a plan is made: 202, and where the job is."""

from __future__ import annotations

from typing import Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from shelfwise.services.jobs import Job

LONGEST_WAIT: Final = 120.0
"""Seconds that a request may wait for a job."""


class _Queued(BaseModel):
    """A job that has not ended yet."""

    status: str = Field(description="State of the job.", examples=["queued"])
    job: int = Field(description="Its number.", examples=[7])
    location: str = Field(description="Where it can be looked at.", examples=["/api/v1/jobs/7"])


class TrainingQueued(_Queued):
    """A training that has not ended yet."""


class PlanQueued(_Queued):
    """A plan that is being made."""


def queued(job: Job) -> JSONResponse:
    """Return 202 with the place of a job."""
    location = f"/api/v1/jobs/{job.id}"
    body = _Queued(status=job.state, job=job.id, location=location)
    return JSONResponse(body.model_dump(), status_code=202, headers={"Location": location, "Retry-After": "2"})
