"""What a machine needs: ``python bench/machine.py [--products 500 --products 5000] [--memory 1024] [--processors 1]``.

Makes a year of sales up for each number of products and runs the four commands that a shop lives on, each on a fresh
copy of the shop: ``import`` of the sales, ``order`` with the fit of the model, ``worker`` until all forecasts are
published, and ``serve`` with a worker inside until they are, with some sales and reads. Prints the largest resident
memory of each, of all its processes together, looked at ten times a second, and processor time and wall time.

With ``--memory`` each command runs under that limit of MB, in a control group of the kernel (which takes root), and its
processes are killed where they need more: a command that ends well was enough. ``--processors`` lets it use so many.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

COMMAND = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
DAYS = 365
GROUPS = Path("/sys/fs/cgroup")


def sales(products: int, seed: int) -> pl.DataFrame:
    """Return made-up daily sales of a year, few fast products and many slow ones, half a unit a day on average."""
    rng = np.random.default_rng(seed)
    rate = 0.3 * rng.lognormal(0.0, 1.0, products)
    units = rng.poisson(rate[:, None] * np.ones(DAYS))
    at, day = np.nonzero(units)
    until = np.datetime64("today") - 1
    frame = pl.DataFrame({"date": until - (DAYS - 1) + day, "sku": at, "units": units[at, day]})
    return frame.with_columns(sku=pl.format("SKU-{}", pl.col("sku").cast(pl.String).str.zfill(5)), price=5.0).sort(
        "date"
    )


def resident(process: int) -> float:
    """Return the resident memory of a process and all below it, MB."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, TypeError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
        own = int(found[1]) / 1024 if found else 0.0
        threads = Path(f"/proc/{process}/task").iterdir()
        below = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
        return own + sum(map(resident, below))
    return 0.0


@contextlib.contextmanager
def group(megabytes: int | None) -> Iterator[Path | None]:
    """Give a control group with that limit; None where there is none."""
    if megabytes is None:
        yield None
        return
    first = (GROUPS / "memory").is_dir()  # version 1 of the kernel's interface
    made = (GROUPS / "memory" if first else GROUPS) / f"shelfwise-bench-{os.getpid()}"
    try:
        made.mkdir()
        (made / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(megabytes << 20))
    except OSError as error:
        raise SystemExit(f"no control group can be made ({error}): run as root, or leave out --memory") from error
    try:
        yield made
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                made.rmdir()
                break
            time.sleep(0.1)


class Run:
    """A command under measurement."""

    def __init__(self, folder: Path, words: list[str], within: Path | None, processors: int) -> None:
        self.began, self.peak, self.log = time.perf_counter(), 0.0, folder / "log"

        def enter() -> None:
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])
            if within is not None:
                (within / "cgroup.procs").write_text(str(os.getpid()))

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *words, "--database", "shop.db"], cwd=folder, stdout=log, stderr=log, preexec_fn=enter
            )
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def _watch(self) -> None:
        while self.process.returncode is None:
            self.peak = max(self.peak, resident(self.process.pid))
            time.sleep(0.1)

    def ended(self, name: str) -> str:
        """Wait for the end, and return what it took."""
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._watching.join()
        if self.process.returncode not in (0, -signal.SIGTERM):
            said = self.log.read_text()[-600:]
            raise SystemExit(f"{name} ended with {self.process.returncode} at {self.peak:,.0f} MB: {said}")
        took, worked = time.perf_counter() - self.began, used.ru_utime + used.ru_stime
        return f"{name}: {self.peak:,.0f} MB, {worked:,.1f} s of processor time, {took:,.1f} s"


def served(run: Run) -> None:
    """Sell and read until every forecast is published, and end the service."""

    def asked(path: str, body: object = None) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return dict(json.load(answer))

    while (found := re.search(r"http://[\d.]+:\d+", run.log.read_text())) is None:
        if not Path(f"/proc/{run.process.pid}").exists():
            return
        time.sleep(0.05)
    url = found[0]
    deadline = time.monotonic() + 3600
    while time.monotonic() < deadline:
        listed = [asked(f"/api/v1/jobs?state={state}")["items"] for state in ("queued", "running", "done", "parked")]
        if not listed[0] and not listed[1] and (listed[2] or listed[3]):
            break
        time.sleep(1.0)
    for n in range(100):
        product = f"SKU-{n:05}"
        if n < 20:
            asked("/inventory?wait=true", {"productId": product, "transactionType": "SALE", "quantity": 1})
        asked(f"/api/v1/products/{product}/forecast")
    run.process.send_signal(signal.SIGTERM)


def main() -> None:
    """Print a line for each command and number of products."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, action="append", help="default 500 and 5000")
    parser.add_argument("--memory", type=int, help="limit of each command, MB")
    parser.add_argument("--only", choices=("import", "order", "worker", "serve"), help="this command and the import")
    parser.add_argument("--processors", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    steps: dict[str, tuple[list[str], Callable[[Run], None]]] = {
        "order": (["order"], lambda _: None),
        "worker": (["worker", "--until-idle"], lambda _: None),
        "serve": (["serve", "--port", "0", "--no-authentication"], served),
    }
    for products in options.products or [500, 5000]:
        with tempfile.TemporaryDirectory() as name, group(options.memory) as within:
            folder = Path(name)
            lines = sales(products, options.seed)
            lines.write_csv(folder / "sales.csv")
            limit = "" if options.memory is None else f", within {options.memory:,} MB"
            print(f"{products:,} products, {lines.height:,} lines of sales{limit}", flush=True)
            run = Run(folder, ["import", "sales.csv"], within, options.processors)
            print(f"  {run.ended('import')}", flush=True)
            for step, (words, meanwhile) in steps.items():
                if options.only not in (None, step):
                    continue
                (copy := folder / step).mkdir()
                shutil.copy(folder / "shop.db", copy / "shop.db")
                run = Run(copy, words, within, options.processors)
                meanwhile(run)
                print(f"  {run.ended(step)}", flush=True)
                shutil.rmtree(copy)


if __name__ == "__main__":
    main()
