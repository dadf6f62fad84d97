"""The start of the service: ``python bench/service_start.py [--runs 5] [--database FILE]``.

Starts ``shelfwise serve`` again and again and prints the time from the command to the first healthy answer, and what
the service and its processes take in memory by then and ten seconds later (proportional set size, so that what they
share counts once). Without ``--database`` the shop is empty.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from _service import Service

LATER_SECONDS = 10.0


def ready(service: Service, began: float) -> float:
    """Return how many seconds after ``began`` the service first said that it is well."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/health", timeout=10) as answer:
                if answer.status == 200:
                    return time.perf_counter() - began
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)


def memory(process: int) -> float:
    """Return the proportional set size of a process and its children, MB."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return own + sum(memory(int(child)) for child in children)


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--database", help="a shop's file; default an empty one")
    options = parser.parse_args()
    waited, at_once, later = [], [], []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            database = Path(options.database).resolve() if options.database else Path(folder) / "shop.db"
            began = time.perf_counter()
            service = Service(Path(folder), {"SHELFWISE_DATABASE": str(database)}, "--no-authentication")
            try:
                waited.append(ready(service, began))
                at_once.append(memory(service.process.pid))
                time.sleep(LATER_SECONDS)
                later.append(memory(service.process.pid))
            finally:
                service.close()
    print(
        f"ready after {statistics.median(waited):.2f} s (median of {options.runs}, {min(waited):.2f} to "
        f"{max(waited):.2f}), {statistics.median(at_once):,.0f} MB then and {statistics.median(later):,.0f} MB "
        f"{LATER_SECONDS:g} s later"
    )


if __name__ == "__main__":
    main()
