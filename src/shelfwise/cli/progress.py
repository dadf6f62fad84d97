"""Progress on a terminal: the step, how many of how many, and the time that remains, on work of over a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

QUIET_SECONDS = 1.0
LONGEST_STEP_SECONDS = 3600.0
"""Steps that take longer than this tell no remaining time."""


class Progress:
    """A callable ``(step, done, total)`` for services, silent where stderr is no terminal.

    Nothing is drawn in the first second, and what was drawn is gone at the end. Steps that count towards the same total
    are one piece of work, whose remaining time is told from its beginning.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._step, self._total = "", 0
        self._watched = sys.stderr.isatty()

    def __call__(self, step: str, done: int = 0, total: int = 0) -> None:
        """Show that ``done`` of ``total`` parts of ``step`` are finished; a total of 0 is not known."""
        if not self._watched or time.monotonic() - self._began < QUIET_SECONDS:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        if self._task is None or (step != self._step and total != self._total):
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(step, total=total or None)
        self._step, self._total = step, total
        self._bar.update(self._task, description=step, completed=done, total=total or None)

    def __enter__(self) -> Progress:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was drawn."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
        speed_estimate_period=LONGEST_STEP_SECONDS,
    )  # fmt: skip
