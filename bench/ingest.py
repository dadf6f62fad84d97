"""Bulk load of stock movements into each kind of database beside its own bare loader, alternating, medians.

    python bench/ingest.py --rows 1000000 --runs 5 --postgresql postgresql://root@127.0.0.1/test \\
        --mysql mysql://root@127.0.0.1/test

Ours takes a frame of made-up invoice lines with codes, checks it, makes the products it names, books each line once and
moves stock levels. The bare loader is what the database itself is quickest with, into the very same table with the same
keys and durable commits, and is spared all of that: its rows are ready with integer keys, as a file or in memory,
before the clock starts. That is ``COPY`` on PostgreSQL, ``LOAD DATA LOCAL`` on MariaDB and MySQL, and the driver's
``executemany`` on SQLite, which has no loader of its own; there a loop with a statement for each row stands beside it,
too. A server gets a database of its own for the run, dropped at the end; its address may name any other.

Wall time and the processor time of this process are printed; a server's own is not in it. On a machine that is busy
with other things only the ratio of ours to the bare loader says something, because the two alternate.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from shelfwise.domain.addresses import Address
from shelfwise.storage import tables
from shelfwise.storage.database import Database
from shelfwise.storage.dialects import dialect_at
from shelfwise.storage.sales import append_movements, daily_demand, sales_span
from shelfwise.storage.stock import set_stock_levels

MICROSECONDS_A_DAY = 86_400_000_000
READY = (
    "source_id", "line_id", "kind", "product_id", "warehouse_id", "occurred_at", "day", "quantity", "stock_change",
    "unit_price",
)  # fmt: skip
LOADERS = {"sqlite": "bare executemany", "postgresql": "bare COPY", "mysql": "bare LOAD DATA LOCAL"}


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


def ready(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows as they stand in the table at the end, for a loader that is told everything."""
    products = frame["product"].unique(maintain_order=True)
    key = frame["product"].replace_strict(products, pl.Series(range(1, len(products) + 1)), return_dtype=pl.Int64)
    moment = frame["occurred_at"].cast(pl.Int64)
    columns = {
        "source_id": 1,
        "line_id": frame["line_id"],
        "kind": frame["kind"],
        "product_id": key,
        "warehouse_id": 1,
        "occurred_at": moment,
        "day": moment // MICROSECONDS_A_DAY,
        "quantity": frame["quantity"],
        "stock_change": -frame["quantity"],
        "unit_price": frame["unit_price"],
    }
    return pl.select(**{name: pl.lit(cells) for name, cells in columns.items()})


def name_all(connection: Connection, frame: pl.DataFrame) -> None:
    """Make the rows that the ready rows refer to."""
    connection.execute(text("INSERT INTO sources (id, code) VALUES (1, 'invoices')"))
    connection.execute(text("INSERT INTO warehouses (id, code) VALUES (1, 'main')"))
    products = frame["product"].unique(maintain_order=True)
    rows = [{"id": key, "code": code} for key, code in enumerate(products, start=1)]
    connection.execute(tables.products.insert(), rows)


def bare_sqlite(database: Database, rows: list[tuple]) -> None:
    names = ", ".join(READY)
    with database.write() as connection:
        connection.connection.driver_connection.executemany(
            f"INSERT INTO stock_movements ({names}) VALUES ({', '.join('?' * len(READY))})", rows
        )


def row_at_a_time(database: Database, rows: list[tuple]) -> None:
    statement = (
        f"INSERT INTO stock_movements ({', '.join(READY)}) VALUES ({', '.join('?' * len(READY))}) "
        "ON CONFLICT DO NOTHING"
    )
    with database.write() as connection:
        raw = connection.connection.driver_connection
        for row in rows:
            raw.execute(statement, row)


def bare_postgresql(database: Database, file: Path) -> None:
    with database.write() as connection, file.open("rb") as rows:
        cursor = connection.connection.driver_connection.cursor()
        with cursor.copy(f"COPY stock_movements ({', '.join(READY)}) FROM STDIN (FORMAT csv)") as copy:
            while part := rows.read(1 << 18):
                copy.write(part)


def bare_mysql(database: Database, file: Path) -> None:
    with database.write() as connection:
        connection.connection.driver_connection.cursor().execute(
            f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE stock_movements FIELDS TERMINATED BY ',' "
            f"LINES TERMINATED BY '\\n' ({', '.join(READY)})"
        )


def timed(step, *arguments) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    step(*arguments)
    return time.perf_counter() - wall, time.process_time() - cpu


def show(name: str, rows: int, times: list[tuple[float, float]]) -> None:
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:<34}{wall:8.2f} s {rows / wall:12,.0f} rows/s {cpu:8.2f} CPU s {rows / cpu:12,.0f} rows/CPU s")


@contextlib.contextmanager
def empty(kind: str, url: str | None, folder: Path | None) -> Iterator[Address]:
    """Give the address of a database for one run, and remove it afterwards."""
    if url is None:
        with tempfile.TemporaryDirectory(dir=folder) as made:
            yield Address.parse(Path(made) / "bench.db")
        return
    server, name = Address.parse(url), f"shelfwise_bench_{os.getpid()}"
    engine = dialect_at(server, 10).engine()

    def run(statement: str) -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))

    run(f"CREATE DATABASE {name}")
    try:
        yield replace(server, name=name)
    finally:
        run(f"DROP DATABASE {name}")
        engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put the database file; default: the temporary folder")
    parser.add_argument("--postgresql", metavar="URL", default=os.environ.get("SHELFWISE_TEST_POSTGRESQL_URL"))
    parser.add_argument("--mysql", metavar="URL", default=os.environ.get("SHELFWISE_TEST_MYSQL_URL"))
    parser.add_argument("--only", choices=("sqlite", "postgresql", "mysql"), help="one kind of database")
    options = parser.parse_args()
    frame = movements(options.rows)
    rows = ready(frame)
    kinds = {"sqlite": None, "postgresql": options.postgresql, "mysql": options.mysql}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        rows.write_csv(file, include_header=False)
        for kind, url in kinds.items():
            if options.only in (None, kind) and (kind == "sqlite" or url):
                bare = {"sqlite": bare_sqlite, "postgresql": bare_postgresql, "mysql": bare_mysql}[kind]
                compare(kind, url, options, frame, bare, rows.rows() if kind == "sqlite" else file)


def compare(kind: str, url: str | None, options: argparse.Namespace, frame: pl.DataFrame, bare, rows) -> None:
    """Alternate ours and the bare loader, each time on a new database, and print both and what they are to another."""
    ways = {"ours, from a frame": bulk, LOADERS[kind]: bare}
    if kind == "sqlite":
        ways["row at a time, one transaction"] = row_at_a_time
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    reading: dict[str, list[tuple[float, float]]] = {}
    for run in range(options.runs):
        for name, way in sorted(ways.items(), reverse=run % 2 == 1):
            with empty(kind, url, options.folder) as address, Database.open(address) as database:
                if way is bulk:
                    times[name].append(timed(way, database, frame))
                    read(database, frame, reading)
                else:
                    with database.write() as connection:
                        name_all(connection, frame)
                    times[name].append(timed(way, database, rows))
    print(f"{kind}: {options.rows:,} lines, median of {options.runs} alternating runs, load {os.getloadavg()[0]:.1f}")
    for name, measured in (times | reading).items():
        show(name, options.rows, measured)
    ours, theirs = (statistics.median(wall for wall, _ in times[name]) for name in list(ways)[:2])
    print(f"ours is {theirs / ours:.2f} times as fast as the bare loader (1 would be its equal)\n")


def read(database: Database, frame: pl.DataFrame, reading: dict[str, list[tuple[float, float]]]) -> None:
    with database.read() as connection:
        reading.setdefault("daily_demand", []).append(timed(daily_demand, connection))
        reading.setdefault("sales_span", []).append(timed(sales_span, connection))

    def again(lines: pl.DataFrame) -> None:
        with database.write(stage={"movements": lines}) as connection:
            append_movements(connection)

    reading.setdefault("repeat of the same file", []).append(timed(again, frame))
    codes = frame["product"].unique()
    counted = frame["occurred_at"].min()
    levels = pl.DataFrame({"product": codes, "warehouse": "main", "on_hand": 100.0, "as_of": counted})
    with database.write() as connection:
        set_stock_levels(connection, levels)
    reading.setdefault("new lines over 4,000 counted levels", []).append(
        timed(again, frame.with_columns(pl.lit("second shop").alias("source")))
    )


if __name__ == "__main__":
    main()
