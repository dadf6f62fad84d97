"""A worker that sends webhooks, for tests that kill it: ``python -m tests.flows.sending_worker ADDRESS FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from shelfwise.app import open_app
from shelfwise.services import job_kinds
from shelfwise.services.background import Background

LEASE_SECONDS = 1.0
KINDS = {job_kinds.DELIVER: job_kinds.KINDS[job_kinds.DELIVER]}


def main() -> None:
    with (
        open_app(sys.argv[1], folder=Path(sys.argv[2]), webhook_private_addresses=True) as app,
        Background(app, kinds=KINDS, schedule=(), lease_seconds=LEASE_SECONDS, poll_seconds=0.05),
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
