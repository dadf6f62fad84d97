"""`shelfwise jobs` and `shelfwise worker`: what waits, what failed and how a person gets it going again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Said

from shelfwise.app import App, open_app
from shelfwise.domain.errors import NotFound
from shelfwise.services import jobs
from shelfwise.services.jobs import Wanted
from shelfwise.storage import jobs as stored

SHELFWISE = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]


@pytest.fixture
def app(tmp_path: Path, cli: Callable[..., Said]) -> App:
    """A shop with a parked job (1), a running one (2) and one that waits (3)."""
    with open_app(tmp_path / "shelfwise.db", folder=tmp_path) as made:
        for kind, subject in (("refresh_series", "tea"), ("plan", ""), ("refresh_series", "mug")):
            jobs.ask(made, kind, {"products": [subject]} if subject else None, subject)
        with made.database.write() as connection:
            claimed = stored.claim(connection, "anna", ["refresh_series", "plan"], limit=3, lease_seconds=60)
            tea, mug, plan = (job.id for job in claimed)
            stored.begin(connection, [tea, plan], "anna")
            stored.fail(connection, tea, "anna", "the model fell over", None)
            stored.tell(connection, [plan], "anna", "forecasting 5 series", 2, 4)
            stored.put_back(connection, [mug], "anna", begun=False)
        return made


def test_the_list_shows_what_failed_and_the_way_out(app: App, cli: Callable[..., Said]) -> None:
    said = cli("jobs", "list")
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    assert [row[:1] for row in rows] == [["job"], ["3"], ["2"], ["1"]]
    assert "forecasting 5 series (2 of 4)" in said.out
    assert "1 parked: shelfwise jobs list --state parked" in said.err
    assert "no worker is alive" in said.err
    parked = cli("jobs", "list", "--state", "parked")
    assert parked.out.splitlines()[1].endswith("the model fell over")
    assert [row["job"] for row in cli("jobs", "list", "--kind", "plan", "--json").data] == [2]
    assert cli("jobs", "list", "--csv", "--limit", "1").out.splitlines()[1].startswith("3,refresh_series,mug,queued")
    assert "no such job" in cli("jobs", "list", "--state", "done").err


def test_a_job_is_shown_whole(app: App, cli: Callable[..., Said]) -> None:
    said = cli("jobs", "show", "1")
    assert re.search(r"^error +the model fell over$", said.out, re.MULTILINE)
    assert "to try it again: shelfwise jobs retry 1; to give it up: shelfwise jobs drop 1" in said.err
    shown = cli("jobs", "show", "1", "--json").data
    assert (shown["state"], shown["attempts"], shown["payload"]) == ("parked", "1 of 5", {"products": ["tea"]})


def test_jobs_are_retried_dropped_and_cancelled(app: App, cli: Callable[..., Said]) -> None:
    assert "job 1 (refresh_series) is queued" in cli("jobs", "retry", "1").err
    assert "job 2 (plan) is cancelled" in cli("jobs", "cancel", "2", "1").err
    assert "job 2 (plan) is queued" in cli("jobs", "retry", "2").err
    wrong = cli("jobs", "drop", "3")
    assert (wrong.code, "job 3 is queued; it can be ended while it is parked" in wrong.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("jobs", "show", "99"), 3, "there is no job 99"),
        (("jobs", "retry", "3"), 1, "job 3 is queued; only a parked or cancelled job is tried again"),
        (("jobs", "list", "--state", "broken"), 2, "there is no state 'broken' of a job; the states are queued,"),
    ],
)
def test_what_is_refused_says_why(
    app: App, cli: Callable[..., Said], words: tuple[str, ...], code: int, message: str
) -> None:
    said = cli(*words)
    assert said.code == code
    assert message in said.err


def test_a_worker_does_what_is_due_and_ends(cli: Callable[..., Said], tmp_path: Path) -> None:
    with open_app(tmp_path / "shelfwise.db", folder=tmp_path) as made:
        number = jobs.ask(made, "tidy").id
        said = cli("worker", "--until-idle")
        assert (said.code, "1 job done" in said.err) == (0, True)
        assert jobs.look(made, number).result == {"plans": 0, "jobs": 0, "answers": 0, "deliveries": 0}
        with pytest.raises(NotFound):
            jobs.look(made, 99)


def test_a_worker_works_until_it_is_told_to_end(tmp_path: Path) -> None:
    with open_app(tmp_path / "shelfwise.db", folder=tmp_path) as made:
        process = subprocess.Popen([*SHELFWISE, "worker"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            assert any("works on shelfwise.db, Ctrl-C ends it" in line for line in lines)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
            assert (process.returncode, "Traceback" in said) == (0, False)
        finally:
            process.kill()
            process.communicate()
        assert jobs.alive(made) == []


def test_a_wish_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as made,
        pytest.raises(ValueError, match="there is no kind of job 'dance'; the kinds are refresh_series, react_to_"),
    ):
        jobs.ask(made, "dance")
    assert Wanted("dance").subject == ""
