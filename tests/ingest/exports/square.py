"""Makes the exports of a Square seller that never was: items detail and item library, from a seed.

Every header is the documented one; every person, transaction and product is invented. By hand:

    python -m tests.ingest.exports.square FOLDER --products 500 --days 730
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from tests.ingest.exports.shopify import (
    FIRST_NAMES,
    LAST_NAMES,
    NOUNS,
    VENDORS,
    WORDS,
    headers,
    write_csv,
    write_suppliers,
)

DETAIL_24 = headers(
    "Date,Time,Time Zone,Category,Item,Qty,Price Point Name,SKU,Modifiers Applied,Gross Sales,Discounts,Net Sales,Tax,"
    "Transaction ID,Payment ID,Device Name,Notes,Details,Event Type,Location,Dining Option,Customer ID,Customer Name,"
    "Customer Reference ID"
)
DETAIL_30 = (*DETAIL_24, *headers("Unit,Count,Itemization Type,Commission,Employee,Fulfillment Note"))
DETAIL_32 = (*DETAIL_30, "Channel", "Token")
DETAIL_35 = (
    *DETAIL_24, *headers("Unit,Count,GTIN,Itemization Type,Commission,Employee,Fulfillment Note,Channel,Token"),
    "Card Brand", "PAN Suffix",
)  # fmt: skip
# An older width without times and transactions.
DETAIL_BARE = headers("Date,Category,Item,Qty,Price Point Name,SKU,Product Sales,Discounts,Net Sales,Tax,Location")
LIBRARY = headers(
    "Reference Handle,Token,Item Name,Customer-facing Name,Variation Name,SKU,Description,Categories,"
    "Reporting Category,GTIN,Item Type,Weight (lb),Price,Online Sale Price,Archived,Sellable,Contains Alcohol,"
    "Stockable,Skip Detail Screen in POS,Option Name 1,Option Value 1,Default Unit Cost,"
    "Default Vendor Name,Default Vendor Code"
)
ZONES = ("Eastern Time (US & Canada)", "Pacific Time (US & Canada)")
LOCATIONS = ("Market Hall", "Harbour Kiosk")
CATEGORIES = ("Tea", "Coffee", "Bakery", "Uncategorized")


@dataclass(frozen=True)
class Variation:
    """One thing that is sold."""

    item: str
    variation: str
    sku: str
    price: float
    category: str
    vendor: str

    @property
    def name(self) -> str:
        """Name of the product."""
        return self.item if self.variation == "Regular" else f"{self.item} - {self.variation}"

    @property
    def key(self) -> str:
        """Product code it must get."""
        return self.sku or self.name


@dataclass
class Seller:
    """The two tables as rows of cells, and the truth behind them.

    ``sold`` has product, warehouse, day, quantity; ``on_hand`` stock by product and warehouse.
    """

    detail: list[dict[str, object]] = field(default_factory=list)
    library: list[dict[str, object]] = field(default_factory=list)
    sold: pl.DataFrame = field(default_factory=pl.DataFrame)
    returned: float = 0.0
    on_hand: dict[tuple[str, str], float] = field(default_factory=dict)
    personal: set[str] = field(default_factory=set)

    def write(self, folder: Path, columns: tuple[str, ...] = DETAIL_35) -> list[Path]:
        """Write the two exports; ``columns`` says in which width the detail is."""
        rows = [{name: text for name, text in row.items() if name in columns} for row in self.detail]
        return [
            write_csv(folder / "items-detail.csv", columns, rows),
            write_csv(folder / "catalog.csv", library_headers(LOCATIONS), self.library),
        ]


def library_headers(locations: tuple[str, ...]) -> tuple[str, ...]:
    """Return the library's headers with the four columns of each location."""
    own = ("Current Quantity {}", "New Quantity {}", "Stock Alert Enabled {}", "Stock Alert Count {}")
    return (*LIBRARY, *(text.format(place) for place in locations for text in own))


def sold(item: str, quantity: float, net: float, **cells: object) -> dict[str, object]:
    """Return a row of the detail; cells are named as in the file, with ``_`` for a space."""
    row = {
        "Date": "2026-07-18", "Time": "12:59:30", "Time Zone": ZONES[0], "Category": "Tea", "Item": item,
        "Qty": str(float(quantity)), "Price Point Name": "Regular", "SKU": "", "Gross Sales": dollars(net),
        "Discounts": "$0.00", "Net Sales": dollars(net), "Tax": "$0.00", "Transaction ID": "TX1", "Payment ID": "PM1",
        "Event Type": "Payment", "Location": LOCATIONS[0], "Unit": "ea", "Count": "1",
        "Itemization Type": "Physical Good",
    }  # fmt: skip
    return {**row, **{name.replace("_", " "): value for name, value in cells.items()}}


def dollars(amount: float) -> str:
    """Return money as Square writes it: ``-$1,234.00``."""
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def make_variations(rng: np.random.Generator, count: int) -> list[Variation]:
    """Draw variations: some items have three, one in twenty has no SKU."""
    made: list[Variation] = []
    number = 0
    while len(made) < count:
        number += 1
        item = f"{WORDS[number % 10]} {NOUNS[number // 10 % 10]} {number}"
        price = round(float(rng.uniform(3, 60)), 2)
        sizes = ("Small", "Medium", "Large") if rng.random() < 0.15 else ("Regular",)
        for size in sizes[: count - len(made)]:
            sku = "" if rng.random() < 0.05 else f"{number:05d}{len(made):03d}"
            made.append(Variation(item, size, sku, price, CATEGORIES[number % 4], VENDORS[number % 4]))
    return made


def make_seller(seed: int = 1, *, products: int = 500, days: int = 730, until: dt.date) -> Seller:
    """Draw a seller with two locations.

    Parameters
    ----------
    until
        Last day with sales.
    """
    rng = np.random.default_rng(seed)
    variations = make_variations(rng, products)
    seller = Seller(personal={*FIRST_NAMES, *LAST_NAMES, "BUYER-"})
    rate = rng.gamma(0.8, 0.25, (2, products))
    truth: list[tuple[str, str, dt.date, float]] = []
    number = 0
    for back in range(days):
        day = until - dt.timedelta(days=days - 1 - back)
        for place in range(2):
            units = rng.poisson(rate[place])
            wanted = np.flatnonzero(units)
            rng.shuffle(wanted)
            for basket in np.array_split(wanted, max(1, len(wanted) // 3)) if len(wanted) else ():
                number += 1
                bought = [(variations[i], int(units[i])) for i in basket]
                truth += _add_payment(seller, rng, number, day, place, bought)
    lines = pl.DataFrame(
        truth,
        schema={"product": pl.String, "warehouse": pl.String, "day": pl.Date, "quantity": pl.Float64},
        orient="row",
    )
    place = ["product", "warehouse", "day"]
    seller.sold = lines.group_by(place).agg(pl.col("quantity").sum()).sort(place)
    for number, variation in enumerate(variations):
        _add_item(seller, rng, number, variation, rate[:, number])
    return seller


def _add_payment(
    seller: Seller, rng: np.random.Generator, number: int, day: dt.date, place: int, bought: list[tuple[Variation, int]]
) -> list[tuple[str, str, dt.date, float]]:
    """Append a payment's rows and return what it sells; now and then with a tip, or with a line that comes back."""
    clock = f"{int(rng.integers(8, 20)):02}:{int(rng.integers(0, 60)):02}:{int(rng.integers(0, 60)):02}"
    person = f"{FIRST_NAMES[int(rng.integers(10))]} {LAST_NAMES[int(rng.integers(8))]}"
    shared: dict[str, object] = {
        "Date": str(day), "Time": clock, "Time Zone": ZONES[place], "Transaction ID": f"TX{number:07d}",
        "Payment ID": f"PM{number:07d}", "Location": LOCATIONS[place], "Customer ID": f"BUYER-{number}",
        "Customer Name": person, "Employee": person, "Notes": f"for {person}", "Device Name": "Till 1",
        "PAN Suffix": "0000", "Card Brand": "Visa",
    }  # fmt: skip
    for variation, quantity in bought:
        net = round(variation.price * quantity * (0.9 if rng.random() < 0.1 else 1.0), 2)
        what = {"SKU": variation.sku, "Category": variation.category, "Price Point Name": variation.variation}
        seller.detail.append({**sold(variation.item, quantity, net), **shared, **what})
        if rng.random() < 0.01:
            back = {"Event Type": "Refund", "Transaction ID": f"RF{number:07d}"}
            seller.detail.append({**sold(variation.item, -1, -variation.price), **shared, **what, **back})
            seller.returned += 1
    if rng.random() < 0.02:
        extra = {"Itemization Type": "Custom Amount", "Category": "None"}
        seller.detail.append({**sold("Custom Amount", 1, 5), **shared, **extra})
    return [(variation.key, LOCATIONS[place], day, float(quantity)) for variation, quantity in bought]


def _add_item(
    seller: Seller,
    rng: np.random.Generator,
    number: int,
    variation: Variation,
    rate: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    row: dict[str, object] = {
        "Token": f"TOKEN{number:06d}", "Item Name": variation.item, "Variation Name": variation.variation,
        "SKU": variation.sku, "Reporting Category": variation.category, "Price": f"{variation.price:.2f}",
        "Archived": "N", "Sellable": "Y", "Stockable": "Y", "Default Unit Cost": f"{variation.price * 0.4:.2f}",
        "Default Vendor Name": variation.vendor,
    }  # fmt: skip
    for place, per_day in zip(LOCATIONS, rate, strict=True):
        held = int(rng.poisson(float(per_day) * 12))
        row[f"Current Quantity {place}"] = str(held)
        seller.on_hand[variation.key, place] = float(held)
    seller.library.append(row)


def main() -> None:
    """Write a seller's exports into a folder."""
    parser = argparse.ArgumentParser(description="Write the exports of a made-up Square seller.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--products", type=int, default=500)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--until", type=dt.date.fromisoformat, default=dt.date(2025, 6, 30))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    make_seller(given.seed, products=given.products, days=given.days, until=given.until).write(given.folder)
    write_suppliers(given.folder / "suppliers.csv")


if __name__ == "__main__":
    main()
