"""A backtest that is stopped, by Ctrl-C or by a kill, keeps what was finished; the same command goes on from there."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from shelfwise.app import open_app
from shelfwise.demo import make_shop
from shelfwise.services import importing
from shelfwise.storage import backtests
from shelfwise.storage.database import Database

pytestmark = [
    pytest.mark.kill,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]

COMMAND = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
COMPARE = ["compare", "--model", "base_level", "--model", "seasonal_naive", "--cutoffs", "6", "--horizon", "14"]
SCORES = 12


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop's database."""
    path = tmp_path_factory.mktemp("small") / "shelfwise.db"
    frames = make_shop(seed=3, today=dt.date(2024, 11, 18), n_products=20, n_days=300)
    with open_app(path, folder=path.parent) as app:
        importing.book(app, frames, file_name="made up", fingerprint="1", profile="test", receipt={})
    return path


@pytest.fixture
def folder(small_shop: Path, tmp_path: Path) -> Path:
    """A folder whose default database is the small shop."""
    shutil.copy(small_shop, tmp_path / "shelfwise.db")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ
    )


def saved(folder: Path) -> int:
    """How many scores are saved."""
    with Database.open(folder / "shelfwise.db") as database, database.read() as connection:
        return sum(backtests.cutoffs_of_parts(connection).values())


def stopped(folder: Path, by: signal.Signals, arguments: Sequence[str]) -> tuple[int, str]:
    """Run a command until it has saved a few scores and stop it; return its exit code and what it said."""
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        deadline = time.monotonic() + 240
        while saved(folder) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no score was saved"
            time.sleep(0.02)
        process.send_signal(by)
        _, said = process.communicate(timeout=120)
        return process.returncode, said


def scores(document: str) -> list[dict[str, object]]:
    """What a JSON document says of the scores, but for the time they took."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(document)["scores"]]


@pytest.mark.parametrize("by", [pytest.param(signal.SIGINT, marks=pytest.mark.nightly), signal.SIGKILL])
def test_what_was_finished_is_kept_and_the_same_command_goes_on_from_there(folder: Path, by: signal.Signals) -> None:
    code, said = stopped(folder, by, COMPARE)
    kept = saved(folder)
    assert 3 <= kept < SCORES
    if by == signal.SIGINT:
        assert code == 130
        told = re.search(rf"(\d+) of {SCORES} scores are saved; the same command goes on from there", said)
        assert told is not None, said
        assert int(told[1]) in (kept - 1, kept)  # the signal may come between a score's saving and its telling
        assert "Traceback" not in said
    else:
        assert code == -signal.SIGKILL
    with Database.open(folder / "shelfwise.db") as database, database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

    (row,) = json.loads(run(folder, "backtests", "--json").stdout)
    assert (row["finished"], row["scores"], row["of"]) == (False, kept, SCORES)
    part = run(folder, "backtests", "show", str(row["backtest"]))
    assert part.returncode == 0
    assert f"it was cut off after {kept} of {SCORES} scores" in part.stderr

    done = run(folder, *COMPARE, "--json")
    assert done.returncode == 0, done.stderr
    assert f"{kept} of {SCORES} scores were saved already (backtest 1)" in done.stderr
    assert json.loads(done.stdout)["finished"]
    anew = run(folder, *COMPARE, "--json", "--fresh")
    assert "saved already" not in anew.stderr
    assert scores(done.stdout) == scores(anew.stdout), "stopping has changed nothing"
