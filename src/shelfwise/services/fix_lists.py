"""Fix lists: what a finding lacks, as a table to fill in and to import again; its columns are those of the import.

A column `about` tells people what a row is; no table takes it, so an import leaves it. What is proposed stands in its
cell already, and is to be looked at: leave the right lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from shelfwise.domain.errors import ParameterError
from shelfwise.exchange.purchase_orders import formula_safe
from shelfwise.services.findings import KINDS, Finding

Rows = pl.DataFrame


def _products(*columns: str) -> Callable[[Rows], Rows]:
    """Return a table of products with empty columns."""

    def made(rows: Rows) -> Rows:
        some = rows.unique("product", maintain_order=True)
        return some.select(sku="product", about=_about(some), **{name: _EMPTY for name in columns})

    return made


def _stock(rows: Rows) -> Rows:
    return rows.select(sku="product", warehouse="warehouse", about=_about(rows), on_hand=_EMPTY)


def _suppliers(rows: Rows) -> Rows:
    brought = rows.drop_nulls("supplier").group_by("supplier", maintain_order=True).agg(n=pl.col("product").n_unique())
    return brought.select("supplier", about=pl.format("brings {} of the products", "n"), lead_time_days=_EMPTY)


def _replaces(rows: Rows) -> Rows:
    about = pl.format("{}: began {} when {} ended {}", "name", "first_sale", "old", "last_sale")
    return rows.select(sku="product", about=about, replaces="old")


def _same_codes(rows: Rows) -> Rows:
    """Propose that the code of each group that sold last replaces the one that sold before it."""
    some = rows.sort("same", "last_sale", "product", nulls_last=False).with_columns(
        old=pl.col("product").shift(1).over("same")
    )
    return some.drop_nulls("old").select(
        sku="product", about=pl.format("sold last on {}", pl.col("last_sale").cast(pl.String).fill_null("no day")),
        replaces="old",
    )  # fmt: skip


def _closures(rows: Rows) -> Rows:
    return rows.select(
        name=pl.lit("closed"), kind=pl.lit("closure"), scope=pl.format("warehouse:{}", "warehouse"),
        **{"from": pl.col("starts_on"), "to": pl.col("ends_on")},
    ).select("name", "kind", "from", "to", "scope")  # fmt: skip


_EMPTY: Final = pl.lit(None, dtype=pl.String)
_TABLES: Final[dict[str, Callable[[Rows], Rows]]] = {
    "no-lead-time": _suppliers,
    "no-supplier": _products("supplier"),
    "no-stock": _stock,
    "negative-stock": _stock,
    "stale-stock": _stock,
    "no-cost": _products("unit_cost"),
    "no-price": _products("price"),
    "no-category": _products("category"),
    "unlisted-sales": _products("name", "category", "supplier", "unit_cost", "price"),
    "silent-stock": _products("discontinued_on"),
    "replaced-yet-planned": _products("discontinued_on"),
    "same-names": _replaces,
    "same-codes": _same_codes,
    "days-without-sales": _closures,
}
FIXABLE: Final = tuple(kind for kind in KINDS if kind in _TABLES)
"""Kinds of finding that a table can put right."""


def fix_list(kind: str, findings: Sequence[Finding]) -> pl.DataFrame:
    """Return the table to fill in for findings of one kind; no rows where there are none.

    Raises
    ------
    ParameterError
        No table puts this kind right.
    """
    if kind not in _TABLES:
        raise ParameterError(f"no table puts {kind!r} right; tables do for {', '.join(FIXABLE)}")
    if not findings:
        return pl.DataFrame()
    return _TABLES[kind](pl.concat([finding.rows for finding in findings], how="diagonal_relaxed"))


def _about(rows: Rows) -> pl.Series:
    names = rows["name"] if "name" in rows.columns else pl.Series([None] * rows.height, dtype=pl.String)
    return pl.Series([None if name is None else formula_safe(name) for name in names], dtype=pl.String)
