"""A made-up shop with its whole stock ledger, from which the export of each source is made.

Every name in it is invented, those of the customers too: they stand in the exports' personal columns, and the tests
look for them in everything that is stored or said.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

CUSTOMERS = (
    "Ottoline Fernsby", "Casimir Dunwoody", "Philippa Quillfeather", "Barnaby Thistlewick", "Seraphina Moxley",
    "Ignatius Wrenfield", "Cordelia Ashgrove", "Peregrine Lockhurst",
)  # fmt: skip
SURNAMES = tuple(name.split()[1] for name in CUSTOMERS)
_THINGS = ("Mug", "Teapot", "Kettle", "Grinder", "Bowl", "Tray", "Scoop", "Jar", "Filter", "Spoon")
_KINDS = ("Blue", "Red, large", "Oak", "Steel 2 l", "Sand", "Moss", "Plum", "Slate", "Ivory", "Night")
CATEGORIES = ("Kitchen", "Coffee", "Tea", "Table")
SUPPLIERS = (("Northbean", 7), ("Harbour & Kiln", 14), ("Tinworks", 21), ("Meadow Glass", 10))
WAREHOUSES = ("WH", "SHOP")


@dataclass(frozen=True)
class MadeUp:
    """The shop: what there is to know about it.

    ``ledger`` has one row per change of stock: moment, kind (opening, sale, return, receipt, shrinkage, transfer),
    document, product, warehouse, change (signed units), after (units on hand then), price, customer. ``today`` is the
    day of the exports; the ledger ends the day before.
    """

    today: dt.date
    products: pl.DataFrame
    suppliers: pl.DataFrame
    ledger: pl.DataFrame

    def sold(self) -> pl.DataFrame:
        """Return product, warehouse, day, quantity: units sold per day."""
        day = pl.col("moment").dt.date().alias("day")
        sales = self.ledger.filter(pl.col("kind") == "sale")
        return (
            sales.group_by("product", "warehouse", day)
            .agg(-pl.col("change").sum().alias("quantity"))
            .with_columns(pl.col("quantity").cast(pl.Float64))
            .sort("product", "warehouse", "day")
        )

    def closing(self) -> pl.DataFrame:
        """Return product, warehouse, day, on_hand: stock at the close of each day, from the first entry on."""
        day = pl.col("moment").dt.date().alias("day")
        last = self.ledger.group_by("product", "warehouse", day).agg(pl.col("after").last().alias("on_hand"))
        spans = last.group_by("product", "warehouse").agg(pl.col("day").min().alias("first"))
        until = self.ledger["moment"].dt.date().max()
        days = spans.select("product", "warehouse", pl.date_ranges("first", pl.lit(until)).alias("day")).explode("day")
        return (
            days.join(last, on=["product", "warehouse", "day"], how="left")
            .sort("product", "warehouse", "day")
            .with_columns(pl.col("on_hand").forward_fill().over("product", "warehouse").cast(pl.Float64))
        )

    def on_hand(self) -> pl.DataFrame:
        """Return product, warehouse, on_hand: stock at the end."""
        return (
            self.ledger.group_by("product", "warehouse")
            .agg(pl.col("after").last().cast(pl.Float64).alias("on_hand"))
            .sort("product", "warehouse")
        )


def made_up_shop(
    *, seed: int, today: dt.date, n_products: int, n_days: int, warehouses: tuple[str, ...] = WAREHOUSES
) -> MadeUp:
    """Return a shop whose stock was moved day by day: sold from what is there, reordered when it runs low."""
    draw = np.random.default_rng(seed)
    products = _products(draw, n_products)
    life = _Life(draw, products, warehouses, n_days)
    midnight = dt.datetime.combine(today - dt.timedelta(days=n_days), dt.time())
    life.open(midnight)
    for n in range(n_days):
        life.live(n, midnight + dt.timedelta(days=n))
    used = products["supplier"].unique()
    suppliers = pl.DataFrame(SUPPLIERS, schema=["supplier", "lead_time_days"], orient="row")
    return MadeUp(today, products, suppliers.filter(pl.col("supplier").is_in(used.implode())), life.ledger())


class _Life:
    """The shop from day to day."""

    def __init__(
        self, draw: np.random.Generator, products: pl.DataFrame, warehouses: tuple[str, ...], n_days: int
    ) -> None:
        self.draw, self.products, self.warehouses = draw, products, warehouses
        self.rate = draw.gamma(1.2, 1.6, size=(products.height, len(warehouses))) + 0.15  # units a day
        self.rate[:, 1:] *= 0.5
        self.level = np.ceil(self.rate * 24 + 6)
        self.stock = np.zeros_like(self.rate)
        self.lead = products["lead_time_days"].to_numpy()
        self.price = products["price"].to_list()
        self.due = np.zeros((n_days + 60, *self.rate.shape))  # units that come on each day
        self.lines: list[tuple[dt.datetime, str, str, int, int, float, float, float | None, str | None]] = []
        self.orders = 0

    def book(
        self, at: dt.datetime, kind: str, document: str, p: int, w: int, change: float,
        price: float | None = None, customer: str | None = None,
    ) -> None:  # fmt: skip
        self.stock[p, w] += change
        self.lines.append((at, kind, document, int(p), int(w), float(change), float(self.stock[p, w]), price, customer))

    def open(self, midnight: dt.datetime) -> None:
        for p, w in np.ndindex(self.rate.shape):
            opening = max(1.0, round(self.level[p, w] * self.draw.uniform(0.6, 1.0)))
            self.book(midnight + dt.timedelta(hours=5), "opening", "OPEN-1", p, w, opening)

    def live(self, n: int, day: dt.datetime) -> None:
        self.receive_and_move(n, day)
        self.sell(n, day)
        if n % 11 == 7:
            p, w = (int(self.draw.integers(size)) for size in self.rate.shape)
            if self.stock[p, w] >= 1:
                self.book(day + dt.timedelta(hours=21), "shrinkage", f"ADJ-{n:04}", p, w, -1.0)
        ordered = self.due[n + 1 :].sum(axis=0)
        low = (self.stock + ordered < self.level * 0.45) & (self.draw.random(self.stock.shape) < 0.8)
        for p, w in zip(*np.nonzero(low), strict=True):
            self.due[n + 1 + int(self.lead[p]), p, w] += self.level[p, w]

    def receive_and_move(self, n: int, day: dt.datetime) -> None:
        for p, w in zip(*np.nonzero(self.due[n]), strict=True):
            at = day + dt.timedelta(hours=7, minutes=int(p) % 50)
            self.book(at, "receipt", f"IN-{n:04}-{p % 4}", p, w, self.due[n, p, w])
        if len(self.warehouses) > 1 and n % 9 == 4:
            at = day + dt.timedelta(hours=7, minutes=55)
            for p in np.nonzero((self.stock[:, 0] > 12) & (self.stock[:, 1] < 3))[0]:
                self.book(at, "transfer", f"MOVE-{n:04}", p, 0, -4.0)
                self.book(at, "transfer", f"MOVE-{n:04}", p, 1, 4.0)

    def sell(self, n: int, day: dt.datetime) -> None:
        weekly = 1.0 + 0.35 * np.sin(2 * np.pi * (day.weekday() + 1) / 7)
        sold = np.minimum(self.draw.poisson(self.rate * weekly), self.stock).astype(int)
        rows = [
            (p, w, part) for p, w in zip(*np.nonzero(sold), strict=True) for part in _parts(int(sold[p, w]), self.draw)
        ]
        for order, held in enumerate(_orders(rows, self.draw)):
            self.orders += 1
            at = day + dt.timedelta(hours=8, seconds=int(order * 36_000 / len(rows)) + 11)
            who = CUSTOMERS[int(self.draw.integers(len(CUSTOMERS)))]
            for p, w, quantity in held:
                document = f"{self.orders:06}-{self.warehouses[w]}"
                self.book(at, "sale", document, p, w, -quantity, self.price[p], who)
        if n % 6 == 2 and rows:
            p, w, _ = rows[int(self.draw.integers(len(rows)))]
            self.book(day + dt.timedelta(hours=20, minutes=30), "return", f"RET-{n:04}", p, w, 1.0)

    def ledger(self) -> pl.DataFrame:
        schema = ("moment", "kind", "document", "product", "warehouse", "change", "after", "price", "customer")
        codes = self.products["product"].to_list()
        ledger = pl.DataFrame(self.lines, schema=list(schema), orient="row", infer_schema_length=None)
        return ledger.with_columns(
            pl.col("moment").cast(pl.Datetime("us")),
            pl.col("product").replace_strict(range(len(codes)), codes, return_dtype=pl.String),
            pl.col("warehouse").replace_strict(
                range(len(self.warehouses)), list(self.warehouses), return_dtype=pl.String
            ),
            pl.col("price").cast(pl.Float64),
            pl.col("customer").cast(pl.String),
        )


def _products(draw: np.random.Generator, count: int) -> pl.DataFrame:
    rows = []
    for n in range(count):
        name = f"{_THINGS[n % 10]} {_KINDS[(n // 10) % 10]}" + (f" no. {n // 100 + 1}" if n >= 100 else "")
        supplier, lead = SUPPLIERS[n % len(SUPPLIERS)]
        cost = round(float(draw.uniform(2, 20)), 2)
        rows.append((f"CF-{1000 + n}", name, CATEGORIES[n % 4], supplier, lead, cost, round(cost * 2.2, 2), 6.0, 12.0))
    columns = ["product", "name", "category", "supplier", "lead_time_days", "unit_cost", "price", "pack_size",
               "minimum_order_quantity"]  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def _parts(units: int, draw: np.random.Generator) -> list[int]:
    """Return a day's units as the quantities of single lines."""
    parts = []
    while units:
        part = min(units, int(draw.integers(1, 4)))
        parts.append(part)
        units -= part
    return parts


def _orders(rows: list[tuple[int, int, int]], draw: np.random.Generator) -> list[list[tuple[int, int, int]]]:
    """Return lines shared out to orders of one to three lines, each from one warehouse."""
    held: list[list[tuple[int, int, int]]] = []
    for index in draw.permutation(len(rows)):
        row = rows[int(index)]
        if held and len(held[-1]) < 3 and held[-1][0][1] == row[1] and draw.random() < 0.5:
            held[-1].append(row)
        else:
            held.append([row])
    return held
