"""Small named shops in real database files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.services.worlds import MONDAY

from shelfwise.app import App, open_app
from shelfwise.domain import frames
from shelfwise.services import importing, planning
from shelfwise.services.demo import open_demo


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[App]:
    """An empty shop."""
    with open_app(tmp_path / "shop.db", folder=tmp_path) as app:
        yield app


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[App]:
    """An empty shop whose plans are made with the base model, which learns at once."""
    with open_app(tmp_path / "quick.db", folder=tmp_path, model="base_level", n_paths=100) as app:
        yield app


@pytest.fixture
def fill(quick: App) -> Callable[..., None]:
    """Book declared frames in the quick shop."""
    count = iter(range(100))

    def put(**tables: list[dict[str, Any]]) -> None:
        checked = {name: frames.ALL_FRAMES[name].check(pl.DataFrame(rows)) for name, rows in tables.items()}
        importing.book(quick, checked, file_name="test", fingerprint=str(next(count)), profile="test", receipt={})

    return put


@pytest.fixture
def book(shop: App) -> Callable[..., None]:
    """Book declared frames, given as lists of rows by name, as one import."""
    count = iter(range(100))

    def put(receipt: Mapping[str, Any] | None = None, **tables: list[dict[str, Any]]) -> None:
        checked = {name: frames.ALL_FRAMES[name].check(pl.DataFrame(rows)) for name, rows in tables.items()}
        importing.book(
            shop, checked, file_name="test", fingerprint=str(next(count)), profile="test", receipt=receipt or {}
        )

    return put


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up shop on a Monday, planned once."""
    path = tmp_path_factory.mktemp("services") / "demo.db"
    with open_demo(path, today=MONDAY, folder=path.parent) as app:
        planning.make_plan(app)
    return path


@pytest.fixture
def demo(demo_file: Path, tmp_path: Path) -> Iterator[App]:
    """A copy of the made-up shop, to change at will."""
    shutil.copy(demo_file, tmp_path / "demo.db")
    with open_app(tmp_path / "demo.db", folder=tmp_path) as app:
        yield app
