"""A command line in a folder of its own, and the made-up shop, made once and copied for each test."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shelfwise.cli.main import run
from shelfwise.services import planning
from shelfwise.services.demo import open_demo

MONDAY = dt.date(2024, 11, 18)


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in an empty folder; stdout is no terminal."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def planned_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up shop on a Monday, planned."""
    path = tmp_path_factory.mktemp("demo") / "shelfwise.db"
    with open_demo(path, today=MONDAY, folder=path.parent) as app:
        planning.make_plan(app)
    return path


@pytest.fixture
def shop(planned_demo: Path, tmp_path: Path, cli: Callable[..., Said]) -> Callable[..., Said]:
    """The command line in a folder whose default database is the made-up shop."""
    shutil.copy(planned_demo, tmp_path / "shelfwise.db")
    return cli
