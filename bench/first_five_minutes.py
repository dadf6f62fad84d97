"""From a shop's own exports to its order file: ``python bench/first_five_minutes.py [shopify] [square]``.

Makes the exports with a seed, then runs import, check, forecast and order with the command line, each in a process of
its own, and prints wall time and processor time of every step and of all. The target is 60 seconds for 500 products and
two years (``--products``, ``--days``) on an idle machine.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# The exports are made by the tests' own generators, which a script of this folder finds only from here on.
from tests.ingest.exports.shopify import make_shop, write_suppliers  # noqa: E402
from tests.ingest.exports.square import make_seller  # noqa: E402

COMMAND = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
SOURCES: dict[str, Callable[..., object]] = {"shopify": make_shop, "square": make_seller}


def run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run one command; return its wall time and its processor time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, env=os.environ)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 3, 4):
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(source: str, products: int, days: int, seed: int) -> None:
    """Make a shop of one source, walk from import to order, and print the times."""
    yesterday = dt.datetime.now(tz=dt.UTC).date() - dt.timedelta(days=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = SOURCES[source](seed, products=products, days=days, until=yesterday)
        files = [*made.write(folder), write_suppliers(folder / "suppliers.csv")]
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{source}: {products:,} products, {days:,} days, {size:.1f} MB")
        total = [0.0, 0.0]
        for step in (
            ("import", *map(str, files)), ("check",), ("forecast", "--csv"),
            ("order", "--service", "95", "--approve", "all", "--export", "orders/"),
        ):  # fmt: skip
            spent = run(folder, *step)
            total = [total[0] + spent[0], total[1] + spent[1]]
            print(f"  {step[0]:<9} {spent[0]:6.1f} s   {spent[1]:6.1f} s of processor time")
        print(f"  {'all':<9} {total[0]:6.1f} s   {total[1]:6.1f} s of processor time")
        orders = sorted(path.name for path in (folder / "orders").iterdir())
        print(f"  {len(orders)} order files: {', '.join(orders)}")


def main() -> None:
    """Measure the sources asked for."""
    parser = argparse.ArgumentParser(description="From a shop's own exports to its order file, timed.")
    parser.add_argument("sources", nargs="*", help=f"any of {', '.join(SOURCES)}; all without")
    parser.add_argument("--products", type=int, default=500)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for source in given.sources or SOURCES:
        measure(source, given.products, given.days, given.seed)


if __name__ == "__main__":
    main()
