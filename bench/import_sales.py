"""Time and memory of a whole import: ``python bench/import_sales.py [--rows 10000000] [--layout daily]``.

Makes a file of sales with a seed, imports it into a fresh SQLite database with the command ``shelfwise import`` in a
process of its own, and prints wall time, processor time and the peak of memory. With ``--stages`` the same import runs
once more under a profiler that counts processor seconds, and says where they went; that run is slower by the profiler.

Layouts: ``daily`` has date, sku, location, units and price, each key once; ``lines`` has single sales with a moment, an
order number and a line id. Formats: ``csv``, ``parquet``, ``csv.gz``, ``zip`` and ``xlsx`` (at most a million rows).
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import os
import pstats
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

COMMAND = "from shelfwise.cli.main import main; main()"
PRODUCTS, LOCATIONS = 5_000, 4
STAGES = (
    "read_bytes", "to_utf8", "layout", "records", "_joined", "_parsed", "opened", "code", "moment", "number", "row_key",
    "drop_repeats", "launches", "drop_zeros", "sale_or_return", "day_gaps", "incomplete_last_day", "ingest.read",
    "_encoded", "_without_constants", "_write_with_adbc", "record_import", "append_movements", "_check_signs",
    "insert_new", "apply_since", "import_files",
)  # fmt: skip


def sales(rows: int, layout: str, seed: int) -> pl.DataFrame:
    """Made-up sales in order of time; every product sells in every location, about three units a time."""
    rng = np.random.default_rng(seed)
    row = np.arange(rows)
    day, series = row // (PRODUCTS * LOCATIONS), row % (PRODUCTS * LOCATIONS)
    first = np.datetime64("2023-01-01")
    product = pl.Series(10_000 + series // LOCATIONS).cast(pl.String)
    frame = pl.DataFrame(
        {
            "date": first + day,
            "sku": "SKU-" + product,
            "location": "L" + pl.Series(series % LOCATIONS).cast(pl.String),
            "units": rng.poisson(2, rows) + 1,
            "price": (rng.integers(100, 9_999, rows) / 100),
        }
    )
    if layout == "daily":
        return frame
    order = row // 3
    seconds = (8 * 3600 + (row % (PRODUCTS * LOCATIONS)) * 2).astype("timedelta64[s]")
    return frame.with_columns(
        pl.Series("date", (first + day).astype("datetime64[us]") + seconds),
        pl.Series("order id", 1_000_000 + order),
        (pl.Series(1_000_000 + order).cast(pl.String) + "-" + pl.Series(row % 3).cast(pl.String)).alias("line id"),
    )


def write(frame: pl.DataFrame, folder: Path, form: str) -> Path:
    """Write the frame in one of the formats and return the file."""
    path = folder / f"sales.{form}"
    plain = folder / "sales.csv"
    if form == "parquet":
        frame.write_parquet(path)
    elif form == "xlsx":
        frame.write_excel(path, autofit=False)
    else:
        frame.write_csv(plain)
    if form == "csv.gz":
        with plain.open("rb") as source, gzip.open(path, "wb", compresslevel=1) as target:
            shutil.copyfileobj(source, target)
    elif form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(plain, "exports/sales.csv")
    return path


def run(path: Path, database: Path) -> tuple[float, float, float]:
    """Import as a person does; return wall seconds, processor seconds and peak memory in GB of that process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "import", str(path), "--database", str(database)],
        stdout=subprocess.DEVNULL, cwd=database.parent,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the import ended with exit code {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def stages(path: Path, database: Path) -> list[tuple[str, float]]:
    """Import under a profiler and return the processor seconds of each stage; a stage may hold others."""
    from shelfwise.app import open_app
    from shelfwise.services.importing import import_files

    profiler = cProfile.Profile(time.process_time)
    with open_app(database) as shop:
        profiler.enable()
        import_files(shop, [path])
        profiler.disable()
    found = []
    for (file, _, name), (_, _, _, seconds, _) in pstats.Stats(profiler).stats.items():
        known = f"{Path(file).parent.name}.{name}" if name == "read" else name
        known = "ingest.read" if known == "ingest.read" and "batch" in file else known
        if "shelfwise" in file and known in STAGES:
            found.append((f"{Path(file).stem}.{name}", seconds))
    return sorted(found, key=lambda item: -item[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--layout", choices=("daily", "lines"), default="daily")
    parser.add_argument("--format", choices=("csv", "parquet", "csv.gz", "zip", "xlsx"), default="csv")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", action="store_true", help="say where the processor time goes")
    parser.add_argument("--folder", type=Path, help="where the file and the databases are made; by default temporary")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        path = write(sales(chosen.rows, chosen.layout, chosen.seed), folder, chosen.format)
        print(f"{chosen.rows:,} rows, {chosen.layout}, {path.name}, {path.stat().st_size / 1e6:,.0f} MB")
        for number in range(chosen.runs):
            database = folder / f"shop{number}.db"
            wall, cpu, memory = run(path, database)
            with sqlite3.connect(database) as connection:
                booked = connection.execute("SELECT count(*) FROM stock_movements").fetchone()[0]
            print(
                f"run {number + 1}: {wall:.1f} s wall, {cpu:.1f} s of processor time, {memory:.2f} GB at the peak, "
                f"{booked:,} movements booked, database {database.stat().st_size / 1e6:,.0f} MB"
            )
            database.unlink()
        if chosen.stages:
            for stage, seconds in stages(path, folder / "stages.db"):
                print(f"  {seconds:7.2f} s  {stage}")


if __name__ == "__main__":
    main()
