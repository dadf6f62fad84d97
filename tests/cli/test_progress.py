"""Progress: silent where nobody watches, and one bar for one piece of work."""

from __future__ import annotations

import pytest

from shelfwise.cli import progress as module
from shelfwise.cli.progress import Progress


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Progress:
    """Progress that somebody watches from the first moment."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    shown = Progress()
    shown._watched = True
    return shown


def test_nothing_is_drawn_where_stderr_is_no_terminal() -> None:
    with Progress() as shown:
        shown("reading", 1, 3)
        assert shown._bar is None


def test_steps_of_one_total_are_one_bar_that_knows_how_long_the_rest_takes(watched: Progress) -> None:
    with watched:
        for done, step in enumerate(("one at Monday", "other at Monday", "one at Tuesday")):
            watched(step, done, 6)
        assert watched._bar is not None
        (task,) = watched._bar.tasks
        assert (task.description, task.completed, task.total) == ("one at Tuesday", 2, 6)
        assert task.time_remaining is not None


def test_another_piece_of_work_has_a_bar_of_its_own(watched: Progress) -> None:
    with watched:
        watched("reading", 0, 0)
        watched("scoring", 1, 8)
        assert watched._bar is not None
        (task,) = watched._bar.tasks
        assert (task.description, task.completed, task.total) == ("scoring", 1, 8)
