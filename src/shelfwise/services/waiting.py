"""Waiting for a job, for those who would rather wait than look again."""

from __future__ import annotations

import time
from typing import Final

from shelfwise.app import App
from shelfwise.services import jobs
from shelfwise.services.jobs import Job

LOOK_EVERY_SECONDS: Final = 0.1


def waited(app: App, job: Job, seconds: float) -> Job:
    """Return a job as it stands once it is over, or after so many seconds."""
    until = time.monotonic() + seconds
    while not job.over and time.monotonic() < until:
        time.sleep(min(LOOK_EVERY_SECONDS, max(until - time.monotonic(), 0.0)))
        job = jobs.look(app, job.id)
    return job
