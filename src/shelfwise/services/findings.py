"""What `health` finds, and its money: the orders of the last plan and the sales of the last 28 days that it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from shelfwise.domain import words

RECENT_DAYS: Final = 28
EXAMPLES: Final = 5

KINDS: Final = {
    "no-lead-time": "products whose supplier has no lead time",
    "no-supplier": "products without a supplier",
    "no-stock": "products that were never counted",
    "negative-stock": "stock below zero in the books",
    "stale-stock": "counts too old for books that nobody keeps",
    "no-cost": "products without a unit cost",
    "no-price": "products without a selling price",
    "no-category": "products without a category",
    "late-orders": "purchase orders so late that they no longer count",
    "slow-suppliers": "suppliers that take longer than they state",
    "stale-sales": "sales that end long ago",
    "incomplete-last-day": "a last day that is cut short",
    "days-without-sales": "runs of days without any sale",
    "calendar": "weekdays and days read as closed",
    "sold-out-days": "products sold out for long of late",
    "doubled-sales": "sales that two imports have brought",
    "outlying-sales": "sales of far more units at once than usual",
    "price-slips": "sales at a price with a slipped decimal mark",
    "price-scale": "prices that changed by 10, 100 or 1,000 for good",
    "common-price-change": "prices that all changed by one factor: another currency?",
    "unit-changes": "products sold in another unit since a day",
    "odd-returns": "products of which too much comes back",
    "night-sales": "sales made in the middle of the night",
    "dead-codes": "product codes that a spreadsheet has damaged",
    "same-codes": "product codes that differ by case, spaces or zeros alone",
    "same-names": "products that seem to go on under another code",
    "unlisted-sales": "products that sell and that no product list has",
    "unlisted-stock": "stock of products that nothing else is known of",
    "silent-stock": "stock of products that no longer sell",
    "lost-predecessors": "products that replace one without sales",
    "circular-successors": "products that replace each other in a circle",
    "replaced-yet-planned": "replaced products that are still planned",
    "stocked-bundles": "bundles with a stock count of their own",
    "unfinished-bundles": "bundles of what is sold no more, and successors of bundles that are none",
    "rejected-lines": "lines rejected at the last import",
}
"""Every kind of finding and what it is about, in the order of docs/data-quality.md."""


_ONE: Final = {
    "has": "has", "is": "is", "was": "was", "its": "its", "it": "it", "sells": "sells", "goes": "goes",
    "replaces": "replaces", "it_is": "it is", "a": "a ",
}  # fmt: skip
_MANY: Final = {
    "has": "have", "is": "are", "was": "were", "its": "their", "it": "they", "sells": "sell", "goes": "go",
    "replaces": "replace", "it_is": "they are", "a": "",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing about the data.

    Parameters
    ----------
    kind
        Its name in `KINDS`, which stays.
    severity
        ``problem``: it bends orders and can be corrected; ``note``: worth knowing.
    what
        What it is, in a sentence.
    way_out
        The next step; commands stand in backticks. Empty where nothing is to be done.
    lines
        How many products in warehouses it touches.
    orders
        What those cost in the last plan, at their unit costs, or at selling prices where no cost is known; None where
        it touches no order.
    sales
        What those sold in the last 28 days of the data; None where prices are not known.
    examples
        The most costly ones.
    rows
        All of it, a row for each product, product in a warehouse, line or supplier, the most costly first.
    """

    kind: str
    severity: str
    what: str
    way_out: str = ""
    lines: int = 0
    orders: float | None = None
    sales: float | None = None
    examples: tuple[str, ...] = ()
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind not in KINDS:
            raise ValueError(f"there is no kind of finding {self.kind!r}; add it to KINDS and to docs/data-quality.md")

    def effect(self, currency: str) -> str:
        """Say what it touches in money; nothing where that is not known.

        >>> Finding("no-lead-time", "problem", "", orders=48120.0, sales=9.0).effect("EUR")
        'affects EUR 48,120 of orders'
        """
        if self.orders:
            return f"affects {words.money(self.orders, currency)} of orders"
        return (
            f"touches {words.money(self.sales, currency)} of the last {RECENT_DAYS} days' sales" if self.sales else ""
        )


@dataclass(frozen=True, eq=False)
class Effects:
    """What every product in every warehouse is worth to the orders.

    Parameters
    ----------
    lines
        A row for each: ``product``, ``warehouse``, ``orders`` (cost in the last plan) and ``sales`` (of 28 days).
    """

    lines: pl.DataFrame

    def found(
        self,
        kind: str,
        severity: str,
        rows: pl.DataFrame,
        said: str,
        way_out: str = "",
        *,
        noun: tuple[str, str] = ("product", "products"),
    ) -> list[Finding]:
        """Return a finding about rows; none if there are none.

        Parameters
        ----------
        rows
            ``product``, and ``warehouse`` where it concerns a product in one warehouse alone, and what else to list.
        said
            What is to be said of them after their number; ``{has}``, ``{its}`` and the like follow the number.
        noun
            What is counted: products, unless others are named.
        """
        if rows.is_empty():
            return []
        key = [name for name in ("product", "warehouse") if name in rows.columns]
        touched = self.lines.join(rows.select(key).unique(), on=key, how="semi")
        worth = touched.group_by(key).agg(pl.col("orders").sum(), pl.col("sales").sum())
        order = ["orders", "sales"]
        ranked = (
            rows.join(worth, on=key, how="left", maintain_order="left")
            .with_columns(pl.col(order).fill_null(0.0))
            .with_row_index("_row")
            .sort([*order, "_row"], descending=[True, True, False])
            .drop("_row")
            .rename({"sales": "sales_28_days"})
        )
        n = ranked.height if noun[0] != "product" else ranked["product"].n_unique()
        named = "product" if "unique_id" not in ranked.columns else "unique_id"
        return [
            Finding(
                kind, severity, f"{words.count(n, *noun)} {said.format_map(_ONE if n == 1 else _MANY)}", way_out,
                lines=touched.height or ranked.select(key).unique().height,
                orders=float(touched["orders"].sum()) or None,
                sales=float(touched["sales"].sum()) or None,
                examples=tuple(ranked[named].unique(maintain_order=True).head(EXAMPLES)),
                rows=ranked,
            )
        ]  # fmt: skip


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with problems first, and among these and the notes the largest effect on orders first."""
    return tuple(
        sorted(
            findings, key=lambda f: (f.severity != "problem", -(f.orders or 0.0), -(f.sales or 0.0), -f.lines, f.kind)
        )
    )
