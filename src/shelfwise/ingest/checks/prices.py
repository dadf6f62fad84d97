"""Prices that jump: single lines with a slipped decimal mark, and products whose price changes for good by a factor.

A step is looked for once in each product, where the sum of its logarithmic prices' deviations from their mean is
furthest from zero (CUSUM; Page, Continuous inspection schemes, Biometrika 41, 1954), and believed where the prices
before and after it keep apart: at least `CLEAN` of them lie nearer to their own side's median than to the other's. With
F the factor of the price and G that of the units a day in `WINDOW` days on either side:

* **another unit**: F is `LARGE` or more (or its inverse) and F G is about 1: as much money, in other pieces. Sold by
  the piece until May and by the dozen since, the price is twelve times as high and the units a twelfth.
* **another scale**: F is about 10, 100 or 1,000 (or an inverse), and the units go on as before.
* **another currency**: most products' prices change by the very same factor within a week.
"""

from __future__ import annotations

import math
from typing import Final

import polars as pl

FEWEST_LINES: Final = 8
"""On each side of a step, and twice as many for a slip."""
CLEAN: Final = 0.9
LARGE: Final = 3.5
WINDOW: Final = 91
SAME_MONEY: Final = 2.0
"""Money a day, or units a day, that differ by less than this factor (either way) go on as before."""
SAME_MONEY_CHEAPER: Final = 1.35
PACKS: Final = (
    4,
    5,
    6,
    8,
    10,
    12,
    15,
    16,
    18,
    20,
    24,
    25,
    30,
    36,
    40,
    48,
    50,
    60,
    72,
    96,
    100,
    120,
    144,
    200,
    500,
    1000,
)
NEAR: Final = 0.02
COMMON: Final = 0.05
"""Share of a product's lines from which a price is one of its usual ones."""
FREAK: Final = 30.0
"""Times the median from which a price is odd, whatever its digits."""
SHARE_OF_SLIPS: Final = 0.1
"""More lines than this are no slips, but how a product is sold."""
FEWEST_PRODUCTS: Final = 10
SAME_FACTOR: Final = 0.02
"""How far a logarithmic factor may be from the middle one for a product to have changed like the others."""
SMALLEST_CHANGE: Final = 0.03
DECIMAL: Final = 0.05
"""How far a factor's logarithm to base 10 may be from a whole number."""


def price_slips(lines: pl.DataFrame) -> pl.DataFrame:
    """Return sales at 10, 100 or 1,000 times (or a part) of a usual price, or `FREAK` times the median and more.

    Columns beside those of ``lines``: ``usual_price``, the median, and ``times`` of it. A clearance sale at a tenth of
    the price is told, too, where it is a tenth to the cent.

    >>> import datetime as dt
    >>> days = [dt.datetime(2026, 1, 1) + dt.timedelta(days=n) for n in range(20)]
    >>> lines = pl.DataFrame(
    ...     {
    ...         "product": "A",
    ...         "warehouse": "m",
    ...         "file": 1,
    ...         "occurred_at": days,
    ...         "quantity": 1.0,
    ...         "unit_price": [4.5] * 18 + [2.0, 450.0],
    ...     }
    ... )
    >>> price_slips(lines).select("unit_price", "usual_price", "times").rows()
    [(450.0, 4.5, 100.0)]
    """
    priced = _priced(lines).with_columns(n=pl.len().over("product")).filter(pl.col("n") >= 2 * FEWEST_LINES)
    usual = priced.group_by("product").agg(usual_price=pl.col("unit_price").median())
    prices = priced.group_by("product", "unit_price").agg(seen=pl.len(), n=pl.col("n").first())
    common = prices.filter((pl.col("seen") >= COMMON * pl.col("n")) & (pl.col("seen") > 1))
    powers = pl.DataFrame({"power": [10.0**k for k in (-3, -2, -1, 1, 2, 3)]})
    shifted = common.join(powers, how="cross").select(
        "product", unit_price=_digits(pl.col("unit_price") * pl.col("power"))
    )
    slipped = (
        priced.with_columns(digits=_digits(pl.col("unit_price")))
        .join(
            common.select("product", "unit_price", usual=pl.lit(value=True)), on=["product", "unit_price"], how="left"
        )
        .join(
            shifted.unique().with_columns(shifted=pl.lit(value=True)),
            left_on=["product", "digits"],
            right_on=["product", "unit_price"],
            how="left",
        )
        .join(usual, on="product")
        .with_columns(times=pl.col("unit_price") / pl.col("usual_price"))
        .filter(
            pl.col("usual").is_null()
            & ((pl.col("shifted").is_not_null() & ~pl.col("times").is_between(0.2, 5)) | (pl.col("times") >= FREAK))
        )
        .filter(pl.len().over("product") <= SHARE_OF_SLIPS * pl.col("n"))
    )
    return slipped.select(*lines.columns, "usual_price", "times").sort("product", "occurred_at")


def price_steps(lines: pl.DataFrame) -> pl.DataFrame:
    """Return where each product's price changes most: a row for each product whose prices before and after keep apart.

    Columns: ``product``, ``since`` (moment of the first line after), ``price_before``, ``price_after`` (medians),
    ``factor`` of the price, and ``units_factor``, that of the units a day.
    """
    some = ["product", "occurred_at", "quantity", "unit_price"]
    priced = _priced(lines).select(some).sort("product", "occurred_at").with_columns(x=pl.col("unit_price").log())
    placed = priced.with_columns(
        place=pl.int_range(pl.len()).over("product"),
        n=pl.len().over("product"),
        leaning=(pl.col("x") - pl.col("x").mean().over("product")).cum_sum().over("product").abs(),
    )
    last = (
        # within a moment there is no before and after
        placed.filter(
            (pl.col("place") >= FEWEST_LINES - 1)
            & (pl.col("place") < pl.col("n") - FEWEST_LINES)
            & (pl.col("occurred_at") < pl.col("occurred_at").shift(-1).over("product"))
        )
        .sort("product", "leaning", "place", descending=[False, True, False])
        .group_by("product", maintain_order=True)
        .agg(until=pl.col("occurred_at").first())
    )
    sided = placed.join(last, on="product").with_columns(after=pl.col("occurred_at") > pl.col("until"))
    medians = sided.group_by("product").agg(
        since=pl.col("occurred_at").filter("after").min(),
        before=pl.col("x").filter(~pl.col("after")).median(),
        then=pl.col("x").filter("after").median(),
    )
    nearer = (pl.col("x") - pl.col("then")).abs() < (pl.col("x") - pl.col("before")).abs()
    day = (pl.col("occurred_at") - pl.col("since")).dt.total_seconds() / 86400
    clean = (
        sided.join(medians, on="product")
        .with_columns(right=nearer == pl.col("after"), day=day, far=day.abs() > WINDOW)
        .group_by("product")
        .agg(
            right_before=pl.col("right").filter(~pl.col("after")).mean(),
            right_after=pl.col("right").filter("after").mean(),
            units_before=pl.col("quantity").filter(~pl.col("after") & ~pl.col("far")).sum(),
            units_after=pl.col("quantity").filter(pl.col("after") & ~pl.col("far")).sum(),
            days_before=(-pl.col("day").min()).clip(1, WINDOW),
            days_after=(pl.col("day").max() + 1).clip(1, WINDOW),
        )
        .filter(pl.min_horizontal("right_before", "right_after") >= CLEAN)
    )
    return (
        clean.join(medians, on="product")
        .filter(pl.col("before") != pl.col("then"))
        .select(
            "product",
            "since",
            price_before=pl.col("before").exp(),
            price_after=pl.col("then").exp(),
            factor=(pl.col("then") - pl.col("before")).exp(),
            units_factor=(pl.col("units_after") / pl.col("days_after"))
            / (pl.col("units_before") / pl.col("days_before")),
        )
        .sort("product")
    )


def unit_changes(steps: pl.DataFrame) -> pl.DataFrame:
    """Return the steps (`price_steps`) at which a product began to be sold in another unit.

    A price that rises `LARGE` times while the money goes on has no other cause. One that falls may be a clearance sale,
    so its factor must be that of a pack, and the money all but the same.

    >>> import datetime as dt
    >>> steps = pl.DataFrame(
    ...     {
    ...         "product": ["A", "B", "C"],
    ...         "since": [dt.datetime(2026, 5, 1)] * 3,
    ...         "factor": [12.0, 12.0, 0.27],
    ...         "units_factor": [0.09, 1.0, 3.7],
    ...     }
    ... )
    >>> unit_changes(steps)["product"].to_list()
    ['A']
    """
    factor, money = pl.col("factor"), pl.col("factor") * pl.col("units_factor")
    packed = pl.any_horizontal((factor * pack - 1).abs() <= NEAR for pack in PACKS)
    dearer = (factor >= LARGE) & _about_one(money, SAME_MONEY)
    cheaper = (factor <= 1 / LARGE) & packed & _about_one(money, SAME_MONEY_CHEAPER)
    return steps.filter(dearer | cheaper)


def scale_changes(steps: pl.DataFrame) -> pl.DataFrame:
    """Return the steps (`price_steps`) at which a product's price moved by 10, 100 or 1,000 and its units did not.

    >>> import datetime as dt
    >>> steps = pl.DataFrame(
    ...     {
    ...         "product": ["A", "B"],
    ...         "since": [dt.datetime(2026, 5, 1)] * 2,
    ...         "factor": [0.0101, 4.0],
    ...         "units_factor": [1.1, 1.0],
    ...     }
    ... )
    >>> scale_changes(steps)["product"].to_list()
    ['A']
    """
    decimals = pl.col("factor").log10().abs()
    shifted = (decimals > 0.5) & ((decimals - decimals.round()).abs() <= DECIMAL)
    return steps.filter(shifted & _about_one(pl.col("units_factor"), SAME_MONEY))


def common_change(steps: pl.DataFrame, products: int) -> pl.DataFrame:
    """Return the steps (`price_steps`) by which most of ``products`` changed alike within a week; no rows if none did.

    >>> import datetime as dt
    >>> steps = pl.DataFrame(
    ...     {
    ...         "product": range(12),
    ...         "since": [dt.datetime(2026, 5, 1 + n % 3) for n in range(12)],
    ...         "factor": 1.17,
    ...         "units_factor": 1.0,
    ...     }
    ... )
    >>> common_change(steps, 20).height, common_change(steps, 40).height
    (12, 0)
    """
    dated = steps.sort("since").with_columns(x=pl.col("factor").log()).filter(pl.col("x").abs() >= SMALLEST_CHANGE)
    if dated.height < FEWEST_PRODUCTS:
        return steps.clear()
    fullest = dated.rolling("since", period="7d").agg(n=pl.len()).sort("n", "since", descending=[True, False])
    end = fullest["since"][0]
    within = dated.filter((pl.col("since") <= end) & (pl.col("since") > end - pl.duration(days=7)))
    middle = within["x"].median()
    if not isinstance(middle, float):
        return steps.clear()
    alike = within.filter((pl.col("x") - middle).abs() <= SAME_FACTOR)
    return alike.drop("x").sort("product") if alike.height >= max(FEWEST_PRODUCTS, products / 2) else steps.clear()


def _priced(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.filter((pl.col("quantity") > 0) & (pl.col("unit_price") > 0))


def _digits(price: pl.Expr) -> pl.Expr:
    """Return a price to five digits, so that 450.0 and 4.5 * 100 are one."""
    return price.round_sig_figs(5)


def _about_one(expression: pl.Expr, factor: float) -> pl.Expr:
    return expression.log().abs() <= math.log(factor)
