"""The made-up shop, put into a database of its own so that everything can be tried on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shelfwise.app import App, open_app
from shelfwise.demo import DEMO_NOTICE, make_shop
from shelfwise.domain.errors import StorageError
from shelfwise.services import importing
from shelfwise.storage import imports, sales

PROFILE = "demo"


def open_demo(path: Path, *, seed: int = 0, today: date | None = None, folder: Path | None = None) -> App:
    """Open the made-up shop in the database ``path``, as of ``today`` (None: the real day).

    A demo of that day and seed is opened as it stands, decisions and all; one of another day is made anew.

    Raises
    ------
    StorageError
        The file holds something that is not the demo; it is left as it was.
    """
    if path.exists():
        app = open_app(path, folder=folder)
        made = _made(app)
        if made is None:
            app.close()
            raise StorageError(f"{path} holds a shop that is not the demo; name another file with --database")
        if made == _mark(app, seed, today):
            return app
        app.close()
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            file.unlink(missing_ok=True)
    app = open_app(path, folder=folder)
    frames = make_shop(seed=seed, today=today or app.today())
    receipt = {"notice": DEMO_NOTICE, "frames": {name: frame.height for name, frame in frames.items()}}
    importing.book(
        app,
        frames,
        file_name=DEMO_NOTICE,
        fingerprint=_mark(app, seed, today),
        profile=PROFILE,
        receipt=json.loads(json.dumps(receipt)),
    )
    return app


@dataclass(frozen=True)
class Facts:
    """How large the made-up shop is."""

    products: int
    warehouses: int
    suppliers: int
    movements: int
    days: int


def facts(app: App) -> Facts:
    """Return how large the made-up shop is."""
    with app.database.read() as connection:
        rows = imports.all_imports(connection)[-1].receipt["frames"]
        first, last = sales.sales_span(connection) or (app.today(), app.today())
    return Facts(rows["products"], rows["warehouses"], rows["suppliers"], rows["movements"], (last - first).days + 1)


def _mark(app: App, seed: int, today: date | None) -> str:
    return f"{PROFILE} {seed} {today or app.today()}"


def _made(app: App) -> str | None:
    """Return seed and day of the demo in the database; None if it holds anything but the demo."""
    with app.database.read() as connection:
        found = imports.all_imports(connection)
    return found[-1].content_hash if found and found[-1].profile == PROFILE else None
