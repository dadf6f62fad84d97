"""Thirty-two writers at once, threads and processes, single lines and bulk loads: none is refused, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
from tests.storage.worlds import moment, movements

from shelfwise.domain.addresses import Address
from shelfwise.storage.database import Database
from shelfwise.storage.sales import Appended, append_movements, daily_demand
from shelfwise.storage.stock import set_stock_levels, stock_levels

ROOT = Path(__file__).parents[2]
PROCESSES = 4
THREADS_EACH = 4
THREADS_HERE = 16
WRITES_EACH = 6
BULK_LINES = 40
# Every third write is a bulk load, the others book one line.
LINES_EACH = sum(BULK_LINES if write % 3 == 0 else 1 for write in range(WRITES_EACH))


def write_many(database: Database, writer: str) -> None:
    """Book this writer's lines, a few writes long; all sell the same product."""
    for write in range(WRITES_EACH):
        lines = BULK_LINES if write % 3 == 0 else 1
        frame = movements(
            *[("sale", "2026-02-01 12:00", "tea", 1)] * lines, source=f"{writer}/{write}"
        )  # fmt: skip
        with database.write(stage={"movements": frame} if lines > 1 else None) as connection:
            done = append_movements(connection, None if lines > 1 else frame)
        assert done == Appended(lines, 0)


def write_in_threads(path: str | Path | Address, name: str, threads: int) -> list[BaseException]:
    """Run ``threads`` writers on one open database and return what went wrong."""
    wrong: list[BaseException] = []

    def run(writer: str) -> None:
        try:
            write_many(database, writer)
        except BaseException as error:
            wrong.append(error)

    with Database.open(path) as database:
        writers = [threading.Thread(target=run, args=(f"{name}-{n}",)) for n in range(threads)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    return wrong


OTHER_PROCESS = """
import sys
from pathlib import Path
from tests.flows.test_many_writers import THREADS_EACH, write_in_threads
print("ready", flush=True)
sys.stdin.readline()
wrong = write_in_threads(Path(sys.argv[1]), sys.argv[2], THREADS_EACH)
sys.exit("; ".join(map(repr, wrong)) or 0)
"""


def test_thirty_two_writers_all_come_through_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Database.open(path) as database, database.write() as connection:
        level = {"product": ["tea"], "warehouse": ["main"], "on_hand": [100_000.0], "as_of": [moment("2026-01-01")]}
        set_stock_levels(connection, pl.DataFrame(level))
    others = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(path), f"process-{n}"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(PROCESSES)
    ]  # fmt: skip
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    for other in others:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
    stop = threading.Event()
    seen: list[float] = []

    def keep_reading() -> None:
        with Database.open(path) as reading:
            while not stop.is_set():
                with reading.read() as connection:
                    sold = daily_demand(connection)["quantity"].sum()
                    left = stock_levels(connection)["on_hand"].sum()
                # Lines and stock are of one state, whatever is being written meanwhile.
                seen.append(sold + left)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    wrong = write_in_threads(path, "here", THREADS_HERE)
    messages = [other.communicate(timeout=120)[1] for other in others]
    stop.set()
    reader.join()
    assert wrong == []
    assert [(other.returncode, message) for other, message in zip(others, messages, strict=True)] == [
        (0, "")
    ] * PROCESSES
    assert set(seen) == {100_000.0}
    lines = (THREADS_HERE + PROCESSES * THREADS_EACH) * LINES_EACH
    with Database.open(path) as database, database.read() as connection:
        assert daily_demand(connection)["quantity"].to_list() == [float(lines)]
        assert stock_levels(connection)["on_hand"].to_list() == [100_000.0 - lines]
