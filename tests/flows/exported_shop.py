"""The first five minutes with a shop's own exports, through the real command line: export in, order out.

`walk` runs the commands a person runs, each as its own process, and says what they printed; what the store then holds
is read from its file.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shelfwise.storage import sales, stock
from shelfwise.storage.database import Database

COMMAND = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
YESTERDAY = dt.datetime.now(tz=dt.UTC).date() - dt.timedelta(days=1)


def shelfwise(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as its own process in ``folder``."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, env=os.environ
    )


@dataclass(frozen=True)
class Walk:
    """What the commands said, by their name, and where their files are."""

    folder: Path
    said: dict[str, subprocess.CompletedProcess[str]]

    def daily_sales(self) -> pl.DataFrame:
        """Return product, warehouse, day, quantity: units sold, as the store has them."""
        with Database.open(self.folder / "shelfwise.db") as database, database.read() as connection:
            return sales.daily_demand(connection).select("product", "warehouse", "day", "quantity")

    def on_hand(self) -> dict[tuple[str, str], float]:
        """Return units on hand by product and warehouse, as the store has them."""
        with Database.open(self.folder / "shelfwise.db") as database, database.read() as connection:
            rows = stock.stock_levels(connection).select("product", "warehouse", "on_hand")
        return {(product, warehouse): held for product, warehouse, held in rows.iter_rows()}

    def ordered(self) -> pl.DataFrame:
        """Return the lines of the order files, one file per supplier."""
        return pl.concat([pl.read_csv(path, infer_schema=False) for path in (self.folder / "orders").glob("*.csv")])

    def traces(self, words: Iterable[str]) -> list[str]:
        """Return which of ``words`` stand in any file the program wrote or in anything it said."""
        written = [path for path in self.folder.rglob("*") if path.is_file() and "exports" not in path.parts]
        texts = [path.read_bytes().lower() for path in written]
        texts += [(done.stdout + done.stderr).lower().encode() for done in self.said.values()]
        return [word for word in words if any(word.lower().encode() in text for text in texts)]


def walk(folder: Path, files: Sequence[Path]) -> Walk:
    """Import the files, look at their health, forecast, order, and export the orders."""
    steps = {
        "import": ("import", *map(str, files)),
        "again": ("import", *map(str, files)),
        "check": ("check",),
        "forecast": ("forecast", "--csv"),
        "order": ("order", "--service", "95", "--approve", "all", "--export", "orders/"),
    }
    return Walk(folder, {name: shelfwise(folder, *arguments) for name, arguments in steps.items()})


def check_orders(done: Walk, products: set[str]) -> None:
    """Check what holds for every source: each command works, nothing is lacking, and an order file comes out."""
    for name, allowed in (("import", (0,)), ("again", (0,)), ("check", (0, 3)), ("forecast", (0,)), ("order", (0, 4))):
        assert done.said[name].returncode in allowed, f"{name}: {done.said[name].stderr}"
        assert "Traceback" not in done.said[name].stderr
    assert "0 rejected" in done.said["import"].stdout
    assert "imported before" in done.said["again"].stderr
    for gap in ("never counted", "no supplier", "no lead time", "no unit cost"):
        assert gap not in done.said["check"].stdout, done.said["check"].stdout
    forecast = pl.read_csv(done.said["forecast"].stdout.encode(), infer_schema=False)
    assert set(forecast["product"]) <= products
    assert "no stock on hand is known" not in done.said["order"].stderr
    assert " drafted for " in done.said["order"].stderr
    assert list((done.folder / "orders").glob("*.xlsx"))
    ordered = done.ordered()
    assert ordered.height > 0
    assert set(ordered["Product"]) <= products
    assert ordered["Quantity"].cast(pl.Float64).min() > 0
