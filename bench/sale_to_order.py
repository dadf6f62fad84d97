"""From a sale to its product's changed forecast, order and risk: ``python bench/sale_to_order.py [--http]``.

Makes a shop up (``--products``, ``--days``; a shop that is in ``--data`` already is used again) and publishes its live
forecasts, which fits the model. Then it sells one thing after another, each of a product drawn at random with as many
draws as it sells, and prints median and 99th percentile of the time from the sale to the changed row, and processor
time a sale. Without ``--http`` sales go through the services of one process, one at a time. With it they go to
``POST /inventory?wait=true`` of ``shelfwise serve``, ``--rate`` of them a second whether or not the ones before are
answered, and the answer says that forecast, order and risk have followed. Targets on an idle machine: median under
100 ms, 99th percentile under a second, at 50 sales a second and 5,000 products.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import tempfile
import time
import uuid
from pathlib import Path

import httpx2
import numpy as np
import polars as pl
from _service import Service

from shelfwise.app import App, open_app
from shelfwise.domain import frames
from shelfwise.domain.events import MovementsRecorded
from shelfwise.services import importing, live, users
from shelfwise.storage import live_forecasts, outbox, sales

WEEK = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.6, 0.8])
WARM_UP = 20  # sales before the clock runs: the first of a process read what later ones have in memory
UNLIMITED = {f"SHELFWISE_RATE_LIMIT_{who}": "0" for who in ("VIEWER", "PLANNER", "ADMIN", "SERVICE", "ADDRESS")}


def rates(products: int, seed: int) -> np.ndarray:
    """Return units a day [N] of each product, few fast ones and many slow ones."""
    return 0.7 * np.random.default_rng(seed).lognormal(0.0, 1.0, products)


def make_shop(app: App, products: int, days: int, seed: int) -> None:
    """Book a made-up shop: daily sales, products, suppliers and a count of last night."""
    rng, rate = np.random.default_rng(seed + 1), rates(products, seed)
    until = app.today() - dt.timedelta(days=1)
    first = until - dt.timedelta(days=days - 1)
    week = WEEK[(first.weekday() + np.arange(days)) % 7] / WEEK.mean()
    at, day = np.nonzero(units := rng.poisson(rate[:, None] * week[None, :]))
    code = pl.format("P{}", pl.col("n").cast(pl.String).str.zfill(5))
    lines = pl.DataFrame({"n": at, "day": day, "quantity": units[at, day].astype(float)}).select(
        source=pl.lit("bench"), line_id=pl.format("{}-{}", "n", "day"), kind=pl.lit("sale"),
        occurred_at=(pl.lit(dt.datetime.combine(first, dt.time(12))) + pl.duration(days="day")).cast(frames.MOMENT),
        product=code, warehouse=pl.lit("main"), quantity="quantity", unit_price=pl.lit(5.0),
    )  # fmt: skip
    table = pl.DataFrame({"n": range(products)}).select(
        product=code, name=pl.format("Thing {}", "n"), category=pl.format("c{}", pl.col("n") % 20),
        supplier=pl.format("S{}", pl.col("n") % 30), unit_cost=pl.lit(3.0), price=pl.lit(5.0),
    )  # fmt: skip
    stock = table.select(
        "product", warehouse=pl.lit("main"), on_hand=pl.Series(np.rint(rate * 20)),
        as_of=pl.lit(dt.datetime.combine(until, dt.time(23))).cast(frames.MOMENT),
    )  # fmt: skip
    suppliers = pl.DataFrame(
        {"supplier": [f"S{n}" for n in range(30)], "lead_time_days": [5.0 + n % 10 for n in range(30)]}
    )
    tables = {
        "movements": frames.MOVEMENTS.check(lines), "products": frames.PRODUCTS.check(table),
        "stock_levels": frames.STOCK_LEVELS.check(stock), "suppliers": frames.SUPPLIERS.check(suppliers),
    }  # fmt: skip
    importing.book(app, tables, file_name="bench", fingerprint="bench", profile="bench", receipt={})
    print(f"{products:,} products, {days:,} days, {lines.height:,} lines of sales")


def one_by_one(app: App, products: list[str]) -> None:
    """Sell through the services and print the times."""
    wall, cpu = [], []
    for number, product in enumerate(products):
        line = pl.DataFrame(
            {
                "source": ["bench"], "line_id": [uuid.uuid4().hex], "kind": ["sale"], "occurred_at": [app.now()],
                "product": [product], "warehouse": ["main"], "quantity": [1.0],
            }
        )  # fmt: skip
        with app.database.write() as connection:
            sales.append_movements(connection, line)
            outbox.append(connection, app.now(), MovementsRecorded("bench", 1))
        began, spent = time.perf_counter(), time.process_time()
        rows = live.refresh(app, [product])
        if number >= WARM_UP:
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - spent)
        assert rows, f"{product} has no row"
    told("through the services, one at a time", wall)
    print(f"  processor time a sale: median {1e3 * np.median(cpu):.1f} ms, p99 {1e3 * np.quantile(cpu, 0.99):.1f} ms")


def seller(app: App) -> str:
    """Return a fresh API token of a user who may sell."""
    if not any(user.name == "till" for user in users.listed(app)):
        users.add(app, "till", "service")
    return users.create_token(app, "till", f"bench {uuid.uuid4().hex}").secret


def over_http(path: Path, model: str, token: str, products: list[str], per_second: float) -> None:
    """Sell over HTTP at a fixed rate and print the times."""
    service = Service(path.parent, UNLIMITED | {"SHELFWISE_DATABASE": str(path), "SHELFWISE_MODEL": model})
    try:
        wall, others = asyncio.run(_sold(service, token, products, per_second))
        told(f"over HTTP, {per_second:g} a second", wall)
        print(f"  processor time of the service a sale: {1e3 * others / len(wall):.1f} ms")
    finally:
        service.close()


async def _sold(service: Service, token: str, products: list[str], per_second: float) -> tuple[list[float], float]:
    wall: list[float] = []
    answered: list[str] = []

    async def sell(client: httpx2.AsyncClient, product: str) -> str:
        began = time.perf_counter()
        body = {"productId": product, "transactionType": "SALE", "quantity": 1}
        answer = await client.post("/inventory", params={"wait": "true"}, json=body)
        answer.raise_for_status()
        wall.append(time.perf_counter() - began)
        answered.append(answer.json()["reaction"])
        return answered[-1]

    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{service.port}"
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
        while await sell(client, products[0]) != "done":  # until the service has the shop in memory
            await asyncio.sleep(1)
        for product in products[:WARM_UP]:
            await sell(client, product)
        wall.clear()
        answered.clear()
        before, start = service.cpu_seconds(), time.perf_counter()
        tasks = []
        for number, product in enumerate(products[WARM_UP:]):
            await asyncio.sleep(max(0.0, start + number / per_second - time.perf_counter()))
            tasks.append(asyncio.create_task(sell(client, product)))
        await asyncio.gather(*tasks)
        late = sum(reaction != "done" for reaction in answered)
        if late:
            print(f"  {late:,} of {len(answered):,} were answered before their reaction was done")
        return wall, service.cpu_seconds() - before


def told(how: str, wall: list[float]) -> None:
    """Print median and 99th percentile of seconds."""
    print(f"{how}: {len(wall):,} sales")
    print(f"  to the changed row: median {1e3 * np.median(wall):.0f} ms, p99 {1e3 * np.quantile(wall, 0.99):.0f} ms")


def main() -> None:
    """Make the shop, publish it and sell."""
    parser = argparse.ArgumentParser(description="From a sale to its product's changed forecast, order and risk.")
    parser.add_argument("--products", type=int, default=5000)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--sales", type=int, default=500)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50.0, help="sales a second over HTTP")
    parser.add_argument("--http", action="store_true", help="over HTTP and not through the services")
    parser.add_argument("--data", type=Path, help="folder to keep the shop in; default one that is removed")
    given = parser.parse_args()
    weights = rates(given.products, given.seed)
    drawn = np.random.default_rng(given.seed + 2).choice(
        given.products, given.sales + WARM_UP, p=weights / weights.sum()
    )
    products = [f"P{number:05}" for number in drawn]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.data or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"shop-{given.products}-{given.days}-{given.seed}-{given.model}.db"
        there = path.exists()
        with open_app(path, folder=folder, model=given.model) as app:
            if not there:
                make_shop(app, given.products, given.days, given.seed)
            with app.database.read() as connection:
                made = live_forecasts.publication(connection)
            if made is None or made.first_day != app.today():
                began, spent = time.perf_counter(), time.process_time()
                live.publish(app)
                took, used = time.perf_counter() - began, time.process_time() - spent
                print(f"published, the model fitted: {took:.1f} s, {used:.1f} s of processor time")
            if not given.http:
                one_by_one(app, products)
            else:
                token = seller(app)
        if given.http:
            over_http(path, given.model, token, products, given.rate)


if __name__ == "__main__":
    main()
