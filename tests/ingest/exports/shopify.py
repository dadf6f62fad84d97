"""Makes the exports of a Shopify shop that never was: orders, inventory and products, from a seed.

Every header is the documented one and stands in the documented order; every person, address and product is invented.
``make_shop`` returns the truth beside the tables, so that a test can say what must come out. By hand:

    python -m tests.ingest.exports.shopify FOLDER --products 500 --days 730
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl


def headers(text: str) -> tuple[str, ...]:
    """Return the headers in a text separated by commas."""
    return tuple(text.split(","))


ORDER_HEADERS = headers(
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,"
    "Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,"
    "Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,Billing Name,Billing Street,"
    "Billing Address1,Billing Address2,Billing Company,Billing City,Billing Zip,Billing Province,"
    "Billing Country,Billing Phone,Shipping Name,Shipping Street,Shipping Address1,Shipping Address2,"
    "Shipping Company,Shipping City,Shipping Zip,Shipping Province,Shipping Country,Shipping Phone,"
    "Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,Refunded Amount,Vendor,"
    "Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source,Lineitem discount,"
    "Tax 1 Name,Tax 1 Value,Tax 2 Name,Tax 2 Value,Tax 3 Name,Tax 3 Value,Tax 4 Name,Tax 4 Value,"
    "Tax 5 Name,Tax 5 Value,Phone,Receipt Number,Duties,Billing Province Name,Shipping Province Name,"
    "Payment ID,Payment Terms Name,Next Payment Due At,Payment References"
)
INVENTORY_HEADERS = headers(
    "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,"
    "SKU,HS Code,COO,Location,Bin name,Incoming (not editable),Unavailable (not editable),"
    "Committed (not editable),Available (not editable),On hand (current),On hand (new)"
)
PRODUCT_HEADERS = headers(
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,"
    "Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Tracker,Variant Inventory Policy,Variant Fulfillment Service,Variant Price,"
    "Variant Compare At Price,Variant Requires Shipping,Variant Taxable,Variant Barcode,Image Src,"
    "Image Position,Cost per item,Status"
)
FIRST_NAMES = ("Ottilie", "Quirin", "Saskia", "Benno", "Ingvild", "Leopold", "Maelle", "Torsten", "Zdenka", "Aurelio")
LAST_NAMES = ("Vennemann", "Okonjo-Reyes", "Strandvik", "Pfisterer", "Delacroix-Ruh", "Marchetti", "Hallgrim", "Zwick")
STREETS = ("Kranichweg", "Ulmenstieg", "Brookvale Lane", "Rue des Peupliers", "Via del Melograno")
NOUNS = ("Kettle", "Mug", "Scarf", "Lantern", "Notebook", "Candle", "Teapot", "Apron", "Basket", "Blanket")
WORDS = ("Harbour", "Willow", "Cinder", "Marrow", "Juniper", "Quarry", "Sable", "Thistle", "Fennel", "Ochre")
SIZES = ("S", "M", "L")
COLOURS = ("Red", "Sand")
VENDORS = ("Northbean", "Alder & Sons", "Lumen Works", "Weavers United")
TYPES = ("Kitchen", "Home", "Paper", "Textiles")


@dataclass(frozen=True)
class Variant:
    """One thing that is sold."""

    handle: str
    title: str
    options: tuple[str, ...]
    sku: str
    price: float
    cost: float
    vendor: str
    type: str

    @property
    def name(self) -> str:
        """Name as orders write it."""
        return self.title + (" - " + " / ".join(self.options) if self.options else "")

    @property
    def key(self) -> str:
        """Product code it must get."""
        return self.sku or self.name


@dataclass
class Shop:
    """The three tables as rows of cells, and the truth behind them.

    ``sold`` has product, day, quantity; ``on_hand`` what can be sold by product; ``personal`` every made-up word that
    must never be stored.
    """

    orders: list[dict[str, object]] = field(default_factory=list)
    inventory: list[dict[str, object]] = field(default_factory=list)
    products: list[dict[str, object]] = field(default_factory=list)
    sold: pl.DataFrame = field(default_factory=pl.DataFrame)
    on_hand: dict[str, float] = field(default_factory=dict)
    personal: set[str] = field(default_factory=set)
    refunded: float = 0.0

    def write(self, folder: Path) -> list[Path]:
        """Write the three exports."""
        return [
            write_csv(folder / "orders_export.csv", ORDER_HEADERS, self.orders),
            write_csv(folder / "inventory_export.csv", INVENTORY_HEADERS, self.inventory),
            write_csv(folder / "products_export.csv", PRODUCT_HEADERS, self.products),
        ]


def write_csv(path: Path, headers: Iterable[str], rows: Iterable[Mapping[str, object]]) -> Path:
    """Write rows of cells under headers; cells without a value are empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(headers), restval="", extrasaction="raise")
        writer.writeheader()
        writer.writerows(rows)
    return path


def order(name: str, created: str, *lines: Mapping[str, object], **cells: object) -> list[dict[str, object]]:
    """Return the rows of one order: what is known of the order stands on its first row alone."""
    head = {
        "Financial Status": "paid", "Fulfillment Status": "fulfilled", "Currency": "EUR", "Created at": created,
        "Paid at": created, "Source": "web", "Payment Method": "Shopify Payments", "Refunded Amount": "0.00",
        **{key.replace("_", " "): value for key, value in cells.items()},
    }  # fmt: skip
    rows = [{"Name": name, **line} for line in lines]
    rows[0] = {**head, **rows[0]}
    return rows


def line(quantity: float, name: str, price: float, sku: str = "", **cells: object) -> dict[str, object]:
    """Return the cells of one line of an order."""
    return {
        "Lineitem quantity": f"{quantity:g}", "Lineitem name": name, "Lineitem price": f"{price:.2f}",
        "Lineitem sku": sku, "Lineitem requires shipping": "true", "Lineitem discount": "0.00",
        **{key.replace("_", " "): value for key, value in cells.items()},
    }  # fmt: skip


def make_variants(rng: np.random.Generator, count: int) -> list[Variant]:
    """Draw variants: some products have several, one variant in twenty has no SKU."""
    variants: list[Variant] = []
    number = 0
    while len(variants) < count:
        number += 1
        title = f"{WORDS[number % 10]} {NOUNS[number // 10 % 10]} {number}"
        several = [(size, colour) for size in SIZES for colour in COLOURS] if rng.random() < 0.15 else [()]
        price = round(float(rng.uniform(6, 90)), 2)
        for options in several[: count - len(variants)]:
            sku = "" if rng.random() < 0.05 else f"{number:04d}-{len(variants):03d}"
            variants.append(
                Variant(
                    title.lower().replace(" ", "-"), title, options, sku, price, round(price * 0.45, 2),
                    VENDORS[number % 4], TYPES[number % 4],
                )
            )  # fmt: skip
    return variants


def make_shop(seed: int = 1, *, products: int = 500, days: int = 730, until: dt.date, location: str = "Hall 3") -> Shop:
    """Draw a shop with one location.

    Parameters
    ----------
    until
        Last day with orders.
    """
    rng = np.random.default_rng(seed)
    variants = make_variants(rng, products)
    shop = Shop(personal={*FIRST_NAMES, *LAST_NAMES, *STREETS, "example.test"})
    rate = rng.gamma(0.8, 0.45, products)
    units = rng.poisson(rate * rng.uniform(0.7, 1.3, (days, 1)))  # [days, products]
    sold: list[tuple[str, dt.date, float]] = []
    number = 1000
    for back in range(days):
        day = until - dt.timedelta(days=days - 1 - back)
        wanted = np.flatnonzero(units[back])
        rng.shuffle(wanted)
        for basket in np.array_split(wanted, max(1, len(wanted) // 2)) if len(wanted) else ():
            number += 1
            sold += _add_order(shop, rng, f"#{number}", day, [(variants[i], int(units[back, i])) for i in basket])
    truth = pl.DataFrame(sold, schema={"product": pl.String, "day": pl.Date, "quantity": pl.Float64}, orient="row")
    shop.sold = truth.group_by("product", "day").agg(pl.col("quantity").sum()).sort("product", "day")
    for position, variant in enumerate(variants):
        _add_stock(shop, rng, variant, location, float(rate[position]))
        shop.products.append(
            _product_row(variant, first=position == 0 or variants[position - 1].title != variant.title)
        )
    return shop


def _add_order(
    shop: Shop, rng: np.random.Generator, name: str, day: dt.date, basket: list[tuple[Variant, int]]
) -> list[tuple[str, dt.date, float]]:
    """Append an order's rows and return what it sells: nothing if it is cancelled, voided or a test."""
    fate = rng.random()
    summer = 4 <= day.month <= 9
    # Half past midnight in summer is still the day before in UTC: the shop's day is the written one.
    clock = f"{int(rng.integers(0, 24)):02}:{int(rng.integers(0, 60)):02}:{int(rng.integers(0, 60)):02}"
    created = f"{day} {clock} {'+0200' if summer else '+0100'}"
    lines = []
    for variant, quantity in basket:
        cut = round(variant.price * quantity * 0.1, 2) if rng.random() < 0.1 else 0.0
        lines.append(line(quantity, variant.name, variant.price, variant.sku, Lineitem_discount=f"{cut:.2f}"))
    goods = sum(v.price * q for v, q in basket) - sum(float(str(row["Lineitem discount"])) for row in lines)
    if rng.random() < 0.02:
        lines.append(line(1, "Gift card - 25.00", 25, Lineitem_requires_shipping="false"))
        goods += 25
    cells: dict[str, object] = {
        "Subtotal": f"{goods:.2f}", "Shipping": "4.90", "Taxes": f"{(goods + 4.9) * 0.19 / 1.19:.2f}",
        "Total": f"{goods + 4.9:.2f}", **_person(rng),
    }  # fmt: skip
    if fate < 0.02:
        cells["Cancelled at"] = created
    elif fate < 0.03:
        cells["Financial Status"] = "voided"
    elif fate < 0.035:
        cells["Payment Method"] = "(for testing) Bogus Gateway"
    elif fate < 0.05:
        cells |= {"Financial Status": "partially_refunded", "Refunded Amount": "5.00"}
        shop.refunded += 5.0
    shop.orders += order(name, created, *lines, **cells)
    return [] if fate < 0.035 else [(variant.key, day, float(quantity)) for variant, quantity in basket]


def _person(rng: np.random.Generator) -> dict[str, object]:
    """Return the personal cells of an order, all invented."""
    first, last = FIRST_NAMES[int(rng.integers(10))], LAST_NAMES[int(rng.integers(8))]
    street, phone = f"{STREETS[int(rng.integers(5))]} {int(rng.integers(1, 99))}", "+49 30 5550100"
    both = {"Name": f"{first} {last}", "Street": street, "Address1": street, "City": "Musterstadt", "Zip": "'00000",
            "Country": "DE", "Phone": phone}  # fmt: skip
    address = {f"{side} {what}": text for side in ("Billing", "Shipping") for what, text in both.items()}
    mail = f"{first}.{last}@example.test".lower()
    return {"Email": mail, "Phone": phone, "Notes": f"Please ring at {last}", "Employee": first, **address}


def _add_stock(shop: Shop, rng: np.random.Generator, variant: Variant, location: str, rate: float) -> None:
    free, committed, unavailable = int(rng.poisson(rate * 12)), int(rng.integers(0, 3)), int(rng.random() < 0.05)
    row = {
        "Handle": variant.handle, "Title": variant.title, "SKU": variant.sku, "Location": location,
        "Incoming (not editable)": "0", "Unavailable (not editable)": str(unavailable),
        "Committed (not editable)": str(committed), "Available (not editable)": str(free),
        "On hand (current)": str(free + committed + unavailable), **_options(variant),
    }  # fmt: skip
    shop.inventory.append(row)
    shop.on_hand[variant.key] = float(free)


def _options(variant: Variant) -> dict[str, object]:
    if not variant.options:
        return {"Option1 Name": "Title", "Option1 Value": "Default Title"}
    size, colour = variant.options
    return {"Option1 Name": "Size", "Option1 Value": size, "Option2 Name": "Colour", "Option2 Value": colour}


def _product_row(variant: Variant, *, first: bool) -> dict[str, object]:
    """Return a variant's row; title, vendor and type stand on a product's first row alone."""
    top = {"Title": variant.title, "Vendor": variant.vendor, "Type": variant.type, "Status": "active"} if first else {}
    return {
        "Handle": variant.handle, **top, "Variant SKU": variant.sku, "Variant Inventory Tracker": "shopify",
        "Variant Price": f"{variant.price:.2f}", "Cost per item": f"{variant.cost:.2f}", **_options(variant),
    }  # fmt: skip


def write_suppliers(path: Path) -> Path:
    """Write lead times for the vendors, as our own table: no Shopify export has them."""
    rows = [{"supplier": name, "lead_time_days": 6 + 3 * n} for n, name in enumerate(VENDORS)]
    return write_csv(path, ("supplier", "lead_time_days"), rows)


def main() -> None:
    """Write a shop into a folder."""
    parser = argparse.ArgumentParser(description="Write the exports of a made-up Shopify shop.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--products", type=int, default=500)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--until", type=dt.date.fromisoformat, default=dt.date(2025, 6, 30))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    make_shop(given.seed, products=given.products, days=given.days, until=given.until).write(given.folder)
    write_suppliers(given.folder / "suppliers.csv")


if __name__ == "__main__":
    main()
