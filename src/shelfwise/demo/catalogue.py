"""What the made-up shop sells, where it keeps it and whom it orders from; every name is invented.

Shape letters: P products, N series (a product in a warehouse), K suppliers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError

DEMO_NOTICE: Final = "made-up shop; every name and number is invented"
FEWEST_PRODUCTS: Final = 20
MOST_PRODUCTS: Final = 300

SHOP: Final = 0
WEB: Final = 1
WAREHOUSE_CODES: Final = ("SHOP", "WEB")
WAREHOUSE_NAMES: Final = ("Shop floor, Kettle Lane", "Webshop store")
WEEKDAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Supplier:
    """A made-up supplier: what it states, and ``true_lead_days``, the mean lead time that it really has."""

    code: str
    name: str
    brand: str
    lead_time_days: int
    lead_time_sd_days: float
    true_lead_days: float
    review_days: int
    order_weekdays: tuple[int, ...]  # Monday is 0
    minimum_order_value: float


ROASTER, SYRUP_MAKER, PAPER_MILL, METALWORKS = range(4)

SUPPLIERS: Final = (
    Supplier("S-BRIN", "Brindlewick Roastery", "Brindlewick", 4, 1.0, 4.0, 4, (0, 3), 120.0),
    Supplier("S-TAVE", "Tavenholm Syrups & Pantry", "Tavenholm", 9, 2.0, 9.0, 7, (1,), 150.0),
    # States 14 days and takes about 16: measured lead times have something to find.
    Supplier("S-OKKE", "Okkerdal Paper & Clay", "Okkerdal", 14, 3.0, 16.0, 7, (3,), 250.0),
    Supplier("S-QANL", "Qanlu Brewing Metalworks", "Qanlu", 35, 6.0, 35.0, 14, (0,), 600.0),
)


@dataclass(frozen=True)
class Kind:
    """A kind of product inside a category: its words, usual price range and yearly season."""

    words: str
    low_price: float
    high_price: float
    season: str


@dataclass(frozen=True)
class Category:
    """A category: how many of its products sell per day, and how they are bought."""

    name: str
    prefix: str
    share: float
    units_per_day: float
    packs: tuple[int, ...]
    suppliers: tuple[int, ...]
    kinds: tuple[Kind, ...]


CATEGORIES: Final = (
    Category(
        "Coffee beans", "CF", 18, 4.2, (6, 12), (ROASTER, ROASTER, ROASTER, ROASTER, SYRUP_MAKER),
        (
            Kind("Espresso 250 g", 8, 12, "winter"), Kind("Filter Roast 250 g", 9, 14, "winter"),
            Kind("Breakfast Blend 1 kg", 24, 33, "winter"), Kind("Decaf 250 g", 9, 13, "winter"),
            Kind("Single Farm 200 g", 11, 19, "winter"), Kind("Cold Brew Roast 500 g", 15, 21, "summer"),
        ),
    ),
    Category(
        "Syrups", "SY", 9, 2.2, (6,), (SYRUP_MAKER,),
        (
            Kind("Iced Lemon Syrup 700 ml", 8, 11, "summer"), Kind("Vanilla Syrup 700 ml", 8, 11, "summer"),
            Kind("Coconut Ice Syrup 700 ml", 8, 12, "summer"), Kind("Gingerloaf Syrup 700 ml", 9, 12, "winter"),
            Kind("Peach Tea Concentrate 1 l", 9, 13, "summer"), Kind("Salted Toffee Syrup 700 ml", 8, 12, "summer"),
        ),
    ),
    Category(
        "Filters", "FL", 8, 2.8, (10, 20), (PAPER_MILL,),
        (
            Kind("Paper Filters No. 2, 100", 4, 6, "winter"), Kind("Paper Filters No. 4, 100", 4, 7, "winter"),
            Kind("Cone Filters 01, 40", 3, 5, "winter"), Kind("Flat-Bottom Filters, 50", 4, 7, "winter"),
            Kind("Cold Brew Bags, 20", 6, 9, "summer"), Kind("Cloth Filter", 7, 11, "winter"),
        ),
    ),
    Category(
        "Cups", "CP", 10, 1.3, (6, 12), (PAPER_MILL, METALWORKS),
        (
            Kind("Espresso Cup", 7, 12, "gift"), Kind("Mug 300 ml", 9, 16, "gift"),
            Kind("Travel Cup 350 ml", 16, 26, "gift"), Kind("Two-Cup Gift Box", 22, 34, "gift"),
            Kind("Iced Glass 400 ml", 8, 13, "summer"),
        ),
    ),
    Category(
        "Brewing gear", "BG", 10, 0.7, (2, 4), (METALWORKS, METALWORKS, PAPER_MILL),
        (
            Kind("Pour-Over Dripper", 18, 32, "gift"), Kind("Gooseneck Kettle", 45, 85, "gift"),
            Kind("French Press 1 l", 28, 46, "gift"), Kind("Moka Pot", 24, 42, "gift"),
            Kind("Milk Jug 600 ml", 14, 24, "gift"), Kind("Cold Brew Tower", 60, 110, "summer"),
        ),
    ),
    Category(
        "Grinders", "GR", 5, 0.35, (1, 2), (METALWORKS,),
        (
            Kind("Hand Grinder", 48, 95, "gift"), Kind("Travel Grinder", 38, 60, "gift"),
            Kind("Electric Grinder", 95, 210, "gift"), Kind("Burr Set", 18, 34, "winter"),
            Kind("Workbench Grinder", 160, 290, "gift"),
        ),
    ),
)  # fmt: skip

# Words that name no place, firm or brand known to us.
WORDS: Final = (
    "Marrow Hill", "Tessalane", "Okambree", "Lunetta Ridge", "Orrinvale", "Kestrel Gap", "Nambirra", "Harrowmoor",
    "Zelandro", "Mirabrook", "Tintarro", "Solvane", "Aldermoss", "Bellweir", "Corvanne", "Duskfield", "Emberlow",
    "Fenwater", "Gallowick", "Hollinmere", "Ivorstow", "Juniper Loft", "Kindlebeck", "Larkhollow",
)  # fmt: skip


@dataclass(frozen=True)
class Product:
    """A made-up product with the truth behind it; days count from today, so yesterday is -1."""

    code: str
    word: str
    kind: str
    category: int
    supplier: int
    season: str
    price: float
    unit_cost: float
    pack_size: int
    minimum_order_quantity: int
    units_per_day: float  # over both warehouses, before season and drift
    shop_share: float  # of demand that comes to the shop floor: 0 is sold online only, 1 in the shop only
    launch: int | None = None
    last_day: int | None = None
    replaces: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.word} {self.kind}"


@dataclass(frozen=True)
class Catalogue:
    """All products, and the series (product in a warehouse) that they make."""

    products: tuple[Product, ...]

    @cached_property
    def series(self) -> NDArray[np.int64]:
        """Product and warehouse index of each series, [N, 2], by product and then warehouse."""
        pairs = [
            (p, w)
            for p, product in enumerate(self.products)
            for w, share in ((SHOP, product.shop_share), (WEB, 1.0 - product.shop_share))
            if share > 0
        ]
        return np.array(pairs, dtype=np.int64)

    @property
    def product_of(self) -> NDArray[np.int64]:
        """Product index of each series, [N]."""
        return self.series[:, 0]

    @property
    def warehouse_of(self) -> NDArray[np.int64]:
        """Warehouse index of each series, [N]."""
        return self.series[:, 1]

    def of_series(self, values: Sequence[float]) -> NDArray[np.float64]:
        """Spread one value per product, [P], over its series, [N]."""
        return np.asarray(values, dtype=np.float64)[self.product_of]

    @cached_property
    def supplier_of(self) -> NDArray[np.int64]:
        """Supplier index of each series, [N]."""
        return self.of_series([p.supplier for p in self.products]).astype(np.int64)

    @cached_property
    def units_per_day(self) -> NDArray[np.float64]:
        """Base demand of each series, [N] units a day."""
        share = self.of_series([p.shop_share for p in self.products])
        split = np.where(self.warehouse_of == SHOP, share, 1.0 - share)
        return self.of_series([p.units_per_day for p in self.products]) * split


def make_catalogue(rng: np.random.Generator, n_products: int) -> Catalogue:
    """Invent ``n_products`` products in six categories, a fifth of them slow movers.

    >>> catalogue = make_catalogue(np.random.default_rng(0), 60)
    >>> len(catalogue.products), len({p.name for p in catalogue.products})
    (60, 60)
    """
    if not FEWEST_PRODUCTS <= n_products <= MOST_PRODUCTS:
        raise ParameterError(
            f"n_products must be between {FEWEST_PRODUCTS} and {MOST_PRODUCTS}, got {n_products}; "
            "the made-up shop has names for no more and roles for no fewer"
        )
    products = [
        product
        for c, count in enumerate(split_by_share([category.share for category in CATEGORIES], n_products))
        for product in _category_products(rng, c, count)
    ]
    products = _slow_down(rng, products, n_products // 5)
    return Catalogue(tuple(_give_lives(rng, products)))


def split_by_share(shares: Sequence[float], total: int) -> list[int]:
    """Split ``total`` by shares into whole numbers, largest remainders first (Hamilton's method).

    >>> split_by_share([18, 9, 8, 10, 10, 5], 60)
    [18, 9, 8, 10, 10, 5]
    >>> split_by_share([1, 1, 1], 20)
    [7, 7, 6]
    """
    exact = np.asarray(shares, dtype=np.float64) / sum(shares) * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return [int(count) for count in counts]


def _category_products(rng: np.random.Generator, c: int, count: int) -> list[Product]:
    category = CATEGORIES[c]
    words = [WORDS[i] for i in rng.permutation(len(WORDS))]
    number = 1000
    products = []
    for i in range(count):
        block, w = divmod(i, len(words))
        kind = category.kinds[(w + block) % len(category.kinds)]
        number += int(rng.integers(2, 10))
        price = float(np.floor(rng.uniform(kind.low_price, kind.high_price)) + rng.choice([0.5, 0.9, 0.95]))
        pack = int(rng.choice(category.packs))
        products.append(
            Product(
                code=f"{category.prefix}-{number}",
                word=words[w],
                kind=kind.words,
                category=c,
                supplier=int(rng.choice(category.suppliers)),
                season=kind.season,
                price=price,
                unit_cost=round(price * float(rng.uniform(0.46, 0.62)), 2),
                pack_size=pack,
                minimum_order_quantity=pack * int(rng.choice([1, 1, 2])),
                units_per_day=float(category.units_per_day * np.exp(rng.normal(0.0, 0.45))),
                shop_share=float(rng.choice([0.0, 1.0]) if rng.random() < 0.08 else rng.uniform(0.35, 0.75)),
            )
        )
    return products


def _slow_down(rng: np.random.Generator, products: list[Product], count: int) -> list[Product]:
    """Turn ``count`` of the dear or decorative products into slow movers, below 0.1 a day over both warehouses."""
    dear = [i for i, p in enumerate(products) if CATEGORIES[p.category].prefix in {"CP", "BG", "GR"}]
    slow = {int(i) for i in rng.choice(dear, size=count, replace=False)}
    return [
        replace(
            p, units_per_day=float(rng.uniform(0.015, 0.07)), pack_size=1 + i % 2, minimum_order_quantity=1 + i % 2
        )
        if i in slow
        else p
        for i, p in enumerate(products)
    ]  # fmt: skip


def _give_lives(rng: np.random.Generator, products: list[Product]) -> list[Product]:
    """Give some lively products a launch or a last day, the others a life longer than the history.

    Only lively ones, so that a launch and an end can be seen in the sales.
    """
    lively = [i for i, p in enumerate(products) if p.units_per_day >= 0.3]
    beans = [i for i in lively if products[i].category == 0]
    new, fresh, old, heir = (int(i) for i in rng.choice(beans, size=4, replace=False))
    others = [int(i) for i in rng.permutation([i for i in lively if i not in {new, fresh, old, heir}])]
    lives = list(products)
    lives[new] = replace(lives[new], launch=0)
    lives[fresh] = replace(lives[fresh], launch=-int(rng.integers(15, 27)))
    for i, last_day in zip(others[:3], (-210, -24, 19), strict=True):
        lives[i] = replace(lives[i], last_day=last_day)
    for i, launch in zip(others[3:7], (-430, -290, -150, -70), strict=True):
        lives[i] = replace(lives[i], launch=launch + int(rng.integers(-12, 13)))
    # The successor is the same bag under a new code: its history begins when the other's ends.
    lives[old] = replace(lives[old], last_day=-95)
    lives[heir] = replace(
        products[old], code=products[heir].code, kind=f"{products[old].kind}, new roast", launch=-94,
        replaces=products[old].code,
    )  # fmt: skip
    return lives
