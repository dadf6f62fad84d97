"""A worker whose jobs book sales, for tests that kill it; run as a script: ``python -m tests.flows.killed_worker``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.storage.worlds import movements

from shelfwise.app import App, open_app
from shelfwise.services.background import Background
from shelfwise.services.job_kinds import Kind, Progress
from shelfwise.storage.sales import append_movements

LEASE_SECONDS = 2.0


def sell(app: App, payload: Mapping[str, Any], progress: Progress) -> dict[str, int]:
    """Book a sale under the job's own key: twice the same is one."""
    frame = movements(("sale", "2026-02-01 12:00", "tea", 1), source="job").with_columns(line_id=_text(payload["line"]))
    with app.database.write() as connection:
        done = append_movements(connection, frame)
    progress("sold", 1, 1)
    time.sleep(0.005)
    return {"inserted": done.inserted}


def _text(line: object) -> Any:
    import polars as pl

    return pl.lit(str(line))


KINDS = {"sell": Kind("sell", sell, most_attempts=100)}


def main() -> None:
    with (
        open_app(sys.argv[1], folder=Path(sys.argv[2])) as app,
        Background(app, kinds=KINDS, schedule=(), lease_seconds=LEASE_SECONDS, poll_seconds=0.05),
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
