"""A process killed at any point of a write leaves the store as it was before the write, or as it is after it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from tests.storage.worlds import moment

from shelfwise.storage import catalogue, purchasing
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements, daily_demand
from shelfwise.storage.stock import set_stock_levels, stock_levels

pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]

# Dies by its own hand at a point: in SQL after so many steps of SQLite's machine, or so long after COMMIT was sent.
IMPORT = """
import os, signal, sys, threading
import polars as pl
from tests.storage.test_killed_writes import ROWS, load
from shelfwise.storage.database import Database
from shelfwise.storage.staging import encode

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

path, point, amount = sys.argv[1], sys.argv[2], float(sys.argv[3])
database = Database.open(path)
if point == "staging":
    threading.Timer(amount, die).start()
    while True:
        with database._dialect._stage_file({"movements": encode("movements", ROWS)}):
            pass

def arm(connection):
    raw = connection.connection.driver_connection
    if point == "steps":
        raw.set_progress_handler(die, int(amount))
    if point == "commit":
        raw.set_trace_callback(lambda sql: sql == "COMMIT" and threading.Timer(amount, die).start())

print("ready", flush=True)
load(database, arm)
print("done", flush=True)
"""

ROOT = Path(__file__).parents[2]
ROWS = pl.DataFrame({"n": range(20_000)}).select(
    source=pl.lit("till"),
    line_id=pl.col("n").cast(pl.String),
    kind=pl.lit("sale"),
    occurred_at=pl.lit(moment("2026-01-05")) + pl.duration(minutes="n"),
    product=(pl.col("n") % 50).cast(pl.String),
    warehouse=pl.lit("main"),
    quantity=pl.lit(1.0),
)
BEFORE = (0, 0, 1)
AFTER = (20_000, 50, 2)


def world(path: Path) -> None:
    """Stock that is counted, and an order on its way, for an import to change."""
    with Database.open(path) as database, database.write() as connection:
        levels = pl.DataFrame({"product": [str(n) for n in range(50)]}).with_columns(
            warehouse=pl.lit("main"), on_hand=1_000.0, as_of=moment("2026-01-01")
        )
        set_stock_levels(connection, levels)
        lines = levels.head(1).select("product", "warehouse", quantity=24.0)
        number = purchasing.create_purchase_order(connection, "north", lines, created_at=moment("2026-01-01"))
        purchasing.send(connection, number, moment("2026-01-01").date())


def load(database: Database, arm: object = None) -> None:
    """One write of everything: a bulk load, stock levels, a delivery, a product."""
    with database.write(stage={"movements": ROWS}) as connection:
        if callable(arm):
            arm(connection)
        append_movements(connection)
        if purchasing.open_order_lines(connection).height:
            purchasing.receive(connection, "PO-000001", received_on=moment("2026-01-02"))
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["second"]}))


def state(path: Path) -> tuple[int, int, int]:
    """Units sold, levels moved, warehouses; and the file is whole."""
    with Database.open(path) as database, database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None
        sold = int(daily_demand(connection)["quantity"].sum())
        levels = stock_levels(connection)
        moved = levels.filter(pl.col("on_hand") != 1_000.0).height
        received = purchasing.receipts(connection)["quantity"].sum()
        assert levels["on_hand"].sum() == 50_000 - sold + received
        assert (received == 24.0) == (sold > 0)
        return sold, moved, catalogue.warehouses(connection).height


def run_until_killed(path: Path, point: str, amount: float) -> int:
    command = [sys.executable, "-c", IMPORT, str(path), point, str(amount)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("point", "amount", "left"),
    [
        ("staging", 0.05, {BEFORE}),
        ("steps", 1_000, {BEFORE}),
        ("steps", 300_000, {BEFORE}),
        ("steps", 900_000, {BEFORE}),
        ("commit", 0.0, {BEFORE, AFTER}),
        ("commit", 0.002, {BEFORE, AFTER}),
        ("commit", 0.01, {BEFORE, AFTER}),
    ],
)
def test_a_write_killed_at_a_point_is_whole_or_nothing(
    tmp_path: Path, point: str, amount: float, left: set[tuple[int, int, int]]
) -> None:
    path = tmp_path / "shop.db"
    world(path)
    code = run_until_killed(path, point, amount)
    # A commit may be quicker than the clock that was to kill it.
    assert code == -signal.SIGKILL or point == "commit"
    assert state(path) in left
    assert list(tmp_path.glob(".*stage*")) == [], "opening removes what the killed process left"
    with Database.open(path) as database:
        load(database)
    assert state(path) == AFTER


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(40))
def test_a_write_killed_at_random_is_whole_or_nothing(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "shop.db"
    world(path)
    command = [sys.executable, "-c", IMPORT, str(path), "none", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(random.Random(seed).uniform(0.0, 0.25))
        process.kill()
    assert state(path) in {BEFORE, AFTER}
    assert list(tmp_path.glob(".*stage*")) == []
