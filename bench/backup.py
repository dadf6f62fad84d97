"""Time, file size and memory of a backup and a restore of a shop with many movements, on SQLite.

    python bench/backup.py --rows 1000000

Each step is a process of its own, whose largest resident memory the system tells.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START = 1_704_067_200_000_000  # 2024-01-01, in microseconds
STEPS = {
    "backup": ["backup", "plain.tar.gz"],
    "backup, encrypted": ["backup", "sealed.tar.gz"],
    "check, encrypted": ["restore", "sealed.tar.gz", "--check"],
    "restore, encrypted": ["restore", "sealed.tar.gz", "--into", "new.db"],
}


def make_shop(path: Path, rows: int) -> None:
    """Book made-up sales of 1,000 products over two years."""
    import numpy as np
    import polars as pl

    from shelfwise.storage.database import Database
    from shelfwise.storage.sales import append_movements

    chance = np.random.default_rng(7)
    minutes = np.sort(chance.integers(0, 730 * 1440, rows))
    frame = pl.DataFrame(
        {
            "source": pl.Series(["till"]).new_from_index(0, rows),
            "line_id": [f"INV{n // 4:07}-{n % 4}" for n in range(rows)],
            "kind": pl.Series(["sale"]).new_from_index(0, rows),
            "occurred_at": pl.Series(START + minutes * 60_000_000).cast(pl.Datetime("us")),
            "product": [f"P{n:04}" for n in chance.integers(0, 1000, rows)],
            "warehouse": pl.Series(["main"]).new_from_index(0, rows),
            "quantity": chance.integers(1, 9, rows).astype(float),
            "unit_price": np.round(chance.uniform(1, 90, rows), 2),
        }
    )
    with Database.open(path) as database, database.write(stage={"movements": frame}) as connection:
        append_movements(connection)


def measured(words: list[str], folder: Path, key: str) -> dict[str, float]:
    """Return what one command took; the processor's seconds say more where the machine has other things to do."""
    environment = {**os.environ, "SHELFWISE_DATABASE": "shop.db", "SHELFWISE_ENCRYPTION_KEY": key}
    began = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("shelfwise"), *words], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--make", type=Path, help="make the shop in this file, and nothing else")
    given = parser.parse_args()
    if given.make is not None:
        make_shop(given.make, given.rows)
        return
    from shelfwise.domain.encryption_keys import new_key

    with tempfile.TemporaryDirectory() as name:
        folder, key = Path(name), new_key()
        # Apart, because the system counts to a process what the one that started it had in memory.
        words = ["--make", folder / "shop.db", "--rows", str(given.rows)]
        subprocess.run([sys.executable, __file__, *words], check=True)
        print(f"{given.rows:,} movements, database {(folder / 'shop.db').stat().st_size / 2**20:.0f} MiB")
        for step, words in STEPS.items():
            found = measured(words, folder, key if "encrypted" in step else "")
            file = folder / ("sealed.tar.gz" if "encrypted" in step else "plain.tar.gz")
            print(json.dumps({"step": step, **found, "file_mib": round(file.stat().st_size / 2**20, 1)}), flush=True)


if __name__ == "__main__":
    main()
