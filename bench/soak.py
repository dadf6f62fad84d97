"""Hours of mixed load and what they do to memory: ``python bench/soak.py [--minutes 60] [--rate 10] [--database URL]``.

Serves the made-up shop (or, with ``--database``, makes it there) and sends a steady mix: sales, forecasts read,
proposals read, questions (a product's demand, chances of a stockout, an order, a history of one's own), metrics; every
few minutes it has a new proposal made and follows the newest job's events. Every ``--every`` seconds it notes the
resident memory of the service and of each of its processes, and at the end fits a line through what came after
``--warm-up`` minutes (the median of the slopes between all pairs, which steps and spikes do not turn). Exits with 1
where the sum grows by more than ``--bound`` MB an hour or where an answer was an error. The samples are kept as
JSON lines with ``--save``.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import numpy as np
from _service import SHELFWISE, Service

UNLIMITED = {f"SHELFWISE_RATE_LIMIT_{who}": "0" for who in ("VIEWER", "PLANNER", "ADMIN", "SERVICE", "ADDRESS")}
PROPOSAL_SECONDS = 180.0
FOLLOW_SECONDS = 20.0
DELIVERED = 3
HISTORY = {
    "product_id": "CUP-01",
    "dates": [f"2026-11-{day:02}" for day in range(1, 15)],
    "quantities": [4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10],
}
MIX = {"sale": 0.4, "forecast": 0.44, "orders": 0.08, "page": 0.02, "question": 0.02, "metrics": 0.04}

Sample = tuple[float, dict[int, tuple[str, float]]]
"""Minutes since the start, and name and resident memory in MB by process."""


def resident(process: int) -> dict[int, tuple[str, float]]:
    """Return name and resident memory, MB, of a process and of all below it; those that end meanwhile are left out."""
    found: dict[int, tuple[str, float]] = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        said = dict(line.split(":", 1) for line in lines)
        found[process] = (said["Name"].strip(), int(said["VmRSS"].split()[0]) / 1024)
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found |= resident(int(child))
    return found


def slope(minutes: np.ndarray, megabytes: np.ndarray) -> float:
    """Return the median of the slopes between all pairs of samples, MB an hour."""
    one, other = np.triu_indices(len(minutes), 1)
    return float(np.median((megabytes[other] - megabytes[one]) / (minutes[other] - minutes[one]))) * 60


class Mix:
    """A shop's callers: each request drawn at random, counted by what was asked and what came back."""

    def __init__(self, client: httpx2.AsyncClient, lines: list[tuple[str, str]], seed: int) -> None:
        self.client, self.lines, self.draw = client, lines, random.Random(seed)
        self.answers: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []
        self.waited: list[float] = []

    async def ask(self, method: str, path: str, name: str, body: object = None) -> httpx2.Response | None:
        """Ask, and count the answer."""
        began = time.perf_counter()
        try:
            answer = await self.client.request(method, path, json=body)
        except httpx2.HTTPError as error:
            self.faults.append(f"{name}: {type(error).__name__} {error}")
            return None
        self.waited.append(time.perf_counter() - began)
        self.answers[f"{name} {answer.status_code}"] += 1
        if answer.status_code >= 400:
            self.faults.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        return answer

    async def one(self) -> None:
        """Send one request of the mix."""
        name = self.draw.choices(list(MIX), list(MIX.values()))[0]
        product, warehouse = self.draw.choice(self.lines)
        match name:
            case "sale":
                # What is sold is delivered again, so that the shop stays the one it was.
                kind, units = ("RECEIPT", DELIVERED) if self.draw.random() < 1 / (DELIVERED + 1) else ("SALE", 1)
                body = {"productId": product, "warehouseId": warehouse, "transactionType": kind, "quantity": units}
                await self.ask("POST", "/inventory", "sale", body)
            case "forecast":
                days = self.draw.choice(("", "", "", "?horizon=14", "?horizon=28&quantiles=0.5,0.9"))
                await self.ask("GET", f"/api/v1/products/{product}/forecast{days}", "forecast")
            case "orders":
                path = self.draw.choice(("/api/v1/order-proposals", "/api/v1/risks", "/api/v1/products"))
                await self.ask("GET", path, "orders")
            case "page":
                await self.ask("GET", self.draw.choice(("/", "/api/v1/insights")), "page")
            case "question":
                await self.question(product, warehouse)
            case "metrics":
                await self.ask("GET", self.draw.choice(("/metrics", "/health")), "metrics")

    async def question(self, product: str, warehouse: str) -> None:
        """Ask what is worked out for that call only."""
        asked = {
            "/predict": HISTORY,
            "/api/v1/predictions/demand": {"product_id": product, "warehouse_id": warehouse, "horizon": 14},
            "/api/v1/predictions/stockout": {"product_id": product, "warehouse_id": warehouse},
            "/api/v1/predictions/chain": {
                "products": [{"product_id": product, "warehouse_id": warehouse}],
                "horizon": 14,
            },
        }
        path = self.draw.choice(list(asked))
        await self.ask("POST", path, path.rsplit("/", 1)[-1], asked[path])

    async def follow(self) -> None:
        """Follow the newest job's events for some seconds."""
        answer = await self.ask("GET", "/api/v1/jobs?limit=1", "jobs")
        if answer is None or not answer.json()["items"]:
            return
        number = answer.json()["items"][0]["id"]
        with contextlib.suppress(TimeoutError, httpx2.HTTPError):
            async with asyncio.timeout(FOLLOW_SECONDS / 2):
                async with self.client.stream("GET", f"/api/v1/jobs/{number}/events") as stream:
                    self.answers[f"events {stream.status_code}"] += 1
                    async for _ in stream.aiter_lines():
                        pass


async def soak(service: Service, token: str, options: argparse.Namespace) -> tuple[list[Sample], Mix]:
    """Send the mix and note the memory."""
    headers = {"Authorization": f"Bearer {token}"}
    samples: list[Sample] = []
    # The service ends connections that idle for 5 s; one that is ended at that very moment is no fault.
    limits = httpx2.Limits(max_connections=64, keepalive_expiry=3.0)
    url = f"http://127.0.0.1:{service.port}"
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=150, limits=limits) as client:
        mix = Mix(client, await lines_of(client), options.seed)
        began = time.perf_counter()

        async def measured() -> None:
            minutes = (time.perf_counter() - began) / 60
            samples.append((minutes, resident(service.process.pid)))
            if options.save is not None:
                with options.save.open("a") as file:
                    file.write(json.dumps({"minutes": round(minutes, 3), "processes": samples[-1][1]}) + "\n")

        async def proposal() -> None:
            await mix.ask("POST", "/api/v1/order-proposals", "proposal", {})

        steps = ((measured, options.every), (proposal, PROPOSAL_SECONDS), (mix.follow, FOLLOW_SECONDS))
        beside = [asyncio.create_task(again(step, seconds)) for step, seconds in steps]
        asked: set[asyncio.Task[None]] = set()
        count = 0
        while (passed := time.perf_counter() - began) < options.minutes * 60:
            while count < passed * options.rate:
                count += 1
                task = asyncio.create_task(mix.one())
                asked.add(task)
                task.add_done_callback(asked.discard)
            await asyncio.wait(beside, timeout=min(1.0, 1 / options.rate))
            if any(step.done() for step in beside) or service.process.poll() is not None:
                raise SystemExit(f"the service ended, or cannot be looked at: {service.log.read_text()[-2000:]}")
        await asyncio.gather(*asked)
        for step in beside:
            step.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    return samples, mix


async def again(step: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Take a step again and again, with so long a pause between."""
    while True:
        await step()
        await asyncio.sleep(seconds)


async def lines_of(client: httpx2.AsyncClient) -> list[tuple[str, str]]:
    """Return products and warehouses of the last plan."""
    found = []
    for state in ("open", "not needed"):
        planned = await client.get("/api/v1/order-proposals", params={"state": state, "limit": 100})
        found += [(row["product"], row["warehouse"]) for row in planned.raise_for_status().json()["items"]]
    return found


def told(samples: list[Sample], warm_up: float) -> float:
    """Print memory at the warm-up's end, at the end and at the peak, and its growth; return that of the sum."""
    after = [(minutes, found) for minutes, found in samples if minutes >= warm_up]
    if len(after) < 10:
        raise SystemExit(f"only {len(after)} samples came after {warm_up:g} minutes; soak for longer")
    minutes = np.array([one for one, _ in after])
    # Of processes that come and go, as those of long jobs do, only the peak says something.
    lasting = set.intersection(*(set(found) for _, found in after))
    rows = {f"{after[0][1][p][0]} {p}": np.array([found[p][1] for _, found in after]) for p in sorted(lasting)}
    rows["sum of these"] = np.sum(list(rows.values()), axis=0)
    for name, megabytes in rows.items():
        print(
            f"{name}: {megabytes[0]:,.0f} MB after {warm_up:g} minutes, {megabytes[-1]:,.0f} MB at the end, "
            f"{megabytes.max():,.0f} MB at most, {slope(minutes, megabytes):+.1f} MB an hour"
        )
    every = max(sum(megabytes for _, megabytes in found.values()) for _, found in samples)
    print(f"all processes, those of long jobs included: {every:,.0f} MB at most")
    return slope(minutes, rows["sum of these"])


def main() -> None:
    """Make the shop, soak, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks at the memory")
    parser.add_argument("--warm-up", type=float, default=15.0, help="minutes that are not judged")
    parser.add_argument("--bound", type=float, default=30.0, help="MB an hour")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="an empty database on a server; default a file")
    parser.add_argument("--save", type=Path, help="a file for the samples")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = options.database or "shop.db"
        subprocess.run([*SHELFWISE, "demo", "--database", database], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        service = Service(folder, UNLIMITED | {"SHELFWISE_DATABASE": database})
        try:
            samples, mix = asyncio.run(soak(service, service.awaited(r"(sw_[\w-]+)"), options))
        finally:
            service.close()
    cuts = np.quantile(mix.waited, (0.5, 0.99)) * 1000
    print(f"{sum(mix.answers.values()):,} answers in {options.minutes:g} minutes: {dict(sorted(mix.answers.items()))}")
    print(f"median {cuts[0]:.0f} ms, 99 % within {cuts[1]:.0f} ms")
    grown = told(samples, options.warm_up)
    for fault in mix.faults[:10]:
        print(f"fault: {fault}")
    if mix.faults or grown > options.bound:
        raise SystemExit(f"{len(mix.faults)} faults, {grown:+.1f} MB an hour where {options.bound:g} are allowed")
    print(f"within the bound of {options.bound:g} MB an hour, and no fault")


if __name__ == "__main__":
    main()
