"""The made-up shop, put into a database of its own so that everything can be tried on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shelfwise.app import App, open_app
from shelfwise.demo import DEMO_NOTICE, make_shop
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import StorageError
from shelfwise.services import importing
from shelfwise.storage import catalogue, imports, sales

PROFILE = "demo"


def open_demo(database: str | Path, *, seed: int = 0, today: date | None = None, folder: Path | None = None) -> App:
    """Open the made-up shop in a database, as of ``today`` (None: the real day).

    A demo of that day and seed is opened as it stands, decisions and all; one of another day is made anew.

    Raises
    ------
    StorageError
        The database holds something that is not the demo; it is left as it was.
    """
    address = Address.parse(database)
    there = address.path is None or address.path.exists()
    app = open_app(address, folder=folder)
    if there and not (address.path is None and _is_empty(app)):
        made = _made(app)
        if made is None:
            app.close()
            raise StorageError(f"{address} holds a shop that is not the demo; name another one with --database")
        if made == _mark(app, seed, today):
            return app
        app.database.migrate("base")
        app.database.migrate()
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


def _is_empty(app: App) -> bool:
    with app.database.read() as connection:
        return not imports.all_imports(connection) and catalogue.products(connection).is_empty()


def _mark(app: App, seed: int, today: date | None) -> str:
    return f"{PROFILE} {seed} {today or app.today()}"


def _made(app: App) -> str | None:
    """Return seed and day of the demo in the database; None if it holds anything but the demo."""
    with app.database.read() as connection:
        found = imports.all_imports(connection)
    return found[-1].content_hash if found and found[-1].profile == PROFILE else None
