"""Bulk load of stock movements beside a row-at-a-time loop, alternating, medians.

    python bench/ingest.py --rows 1000000 --runs 5

Both book the same keyed lines into a fresh database with the same tables, keys and durable commits. The loop maps
codes in a dictionary and inserts each row with its own statement, all in ONE transaction (a transaction for each row
waits for the disk each time and manages a few hundred rows a second). Wall and CPU time are printed; on a machine
that is busy with other things CPU time is the one to compare.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements, daily_demand, sales_span
from shelfwise.storage.stock import set_stock_levels

MICROSECONDS_A_DAY = 86_400_000_000


def movements(rows: int, products: int = 4_000, days: int = 700, seed: int = 0) -> pl.DataFrame:
    """Made-up invoice lines in order of time: 4,000 products, 700 days, one warehouse, 20 lines an invoice."""
    rng = np.random.default_rng(seed)
    line = np.arange(rows)
    moment = 1_640_995_200_000_000 + (line // 20) * 20 * (days * MICROSECONDS_A_DAY // max(rows, 1))  # [rows]
    return pl.DataFrame(
        {
            "source": pl.repeat("invoices", rows, eager=True),
            "line_id": pl.Series(536_365 + line // 20).cast(pl.String) + "-" + pl.Series(line % 20).cast(pl.String),
            "kind": pl.repeat("sale", rows, eager=True),
            "occurred_at": pl.Series(moment).cast(pl.Datetime("us")),
            "product": pl.Series(20_000 + rng.integers(0, products, rows)).cast(pl.String),
            "warehouse": pl.repeat("main", rows, eager=True),
            "quantity": rng.poisson(3, rows).astype(float),
            "unit_price": rng.random(rows).round(2),
        }
    )


def bulk(database: Database, frame: pl.DataFrame) -> None:
    with database.write(stage={"movements": frame}) as connection:
        appended = append_movements(connection)
    assert appended.inserted == frame.height


def row_at_a_time(database: Database, frame: pl.DataFrame) -> None:
    statement = (
        "INSERT INTO stock_movements (source_id, line_id, kind, product_id, warehouse_id, occurred_at, day, quantity, "
        "stock_change, unit_price) VALUES (1, ?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    )
    with database.write() as connection:
        raw = connection.connection.driver_connection
        raw.execute("INSERT INTO sources (id, code) VALUES (1, 'invoices')")
        raw.execute("INSERT INTO warehouses (id, code) VALUES (1, 'main')")
        known: dict[str, int] = {}
        for _, line_id, kind, moment, product, _, quantity, price in frame.with_columns(
            pl.col("occurred_at").cast(pl.Int64)
        ).iter_rows():
            if product not in known:
                known[product] = raw.execute("INSERT INTO products (code) VALUES (?)", (product,)).lastrowid
            day = moment // MICROSECONDS_A_DAY
            raw.execute(statement, (line_id, kind, known[product], moment, day, quantity, -quantity, price))


def timed(step, *arguments) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    step(*arguments)
    return time.perf_counter() - wall, time.process_time() - cpu


def show(name: str, rows: int, times: list[tuple[float, float]]) -> None:
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:<34}{wall:8.2f} s {rows / wall:12,.0f} rows/s {cpu:8.2f} CPU s {rows / cpu:12,.0f} rows/CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put the databases; default: the temporary folder")
    options = parser.parse_args()
    frame = movements(options.rows)
    ways = {"bulk (ADBC, ATTACH, INSERT SELECT)": bulk, "row at a time, one transaction": row_at_a_time}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    reading: dict[str, list[tuple[float, float]]] = {
        "repeat of the same file": [],
        "daily_demand": [],
        "sales_span": [],
    }
    reading["new lines over 4,000 counted levels"] = []
    for _ in range(options.runs):
        for name, way in ways.items():
            with (
                tempfile.TemporaryDirectory(dir=options.folder) as folder,
                Database.open(Path(folder) / "bench.db") as database,
            ):
                times[name].append(timed(way, database, frame))
                if way is bulk:
                    read(database, frame, reading)
    print(f"{options.rows:,} lines, median of {options.runs} alternating runs, load {os.getloadavg()[0]:.1f}")
    for name, measured in (times | reading).items():
        show(name, options.rows, measured)


def read(database: Database, frame: pl.DataFrame, reading: dict[str, list[tuple[float, float]]]) -> None:
    with database.read() as connection:
        reading["daily_demand"].append(timed(daily_demand, connection))
        reading["sales_span"].append(timed(sales_span, connection))

    def again(lines: pl.DataFrame) -> None:
        with database.write(stage={"movements": lines}) as connection:
            append_movements(connection)

    reading["repeat of the same file"].append(timed(again, frame))
    codes = frame["product"].unique()
    counted = frame["occurred_at"].min()
    levels = pl.DataFrame({"product": codes, "warehouse": "main", "on_hand": 100.0, "as_of": counted})
    with database.write() as connection:
        set_stock_levels(connection, levels)
    reading["new lines over 4,000 counted levels"].append(
        timed(again, frame.with_columns(pl.lit("second shop").alias("source")))
    )


if __name__ == "__main__":
    main()
