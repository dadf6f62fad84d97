"""Products and suppliers: reading them, and correcting what an import left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from shelfwise.app import App
from shelfwise.domain.frames import PRODUCTS, SUPPLIERS
from shelfwise.inventory.lead_time_demand import measured_lead_times
from shelfwise.inventory.order_calendar import parse_weekdays
from shelfwise.services.names import product_code, supplier_code
from shelfwise.storage import catalogue, purchasing, stock, successors


def products(app: App) -> pl.DataFrame:
    """Return PRODUCTS with ``on_hand`` over all warehouses, null where it was never counted."""
    with app.database.read() as connection:
        table = catalogue.products(connection)
        levels = stock.stock_levels(connection)
    on_hand = levels.group_by("product").agg(pl.col("on_hand").sum())
    return table.join(on_hand, on="product", how="left", maintain_order="left")


def find_products(
    app: App, *, q: str | None = None, category: str | None = None, supplier: str | None = None
) -> pl.DataFrame:
    """Return the products, as `products` does, that meet every condition given.

    Parameters
    ----------
    q
        Part of the code, name or brand, whatever the case.
    category, supplier
        Exactly these.
    """
    table = products(app)
    if q:
        asked = q.casefold()
        table = table.filter(
            pl.any_horizontal(
                pl.col(name).str.to_lowercase().str.contains(asked, literal=True).fill_null(value=False)
                for name in ("product", "name", "brand")
            )
        )
    given = {name: value for name, value in (("category", category), ("supplier", supplier)) if value is not None}
    return table.filter(*(pl.col(name) == value for name, value in given.items())) if given else table


def product(app: App, wanted: str) -> tuple[dict[str, Any], pl.DataFrame]:
    """Return one product as a row of `products`, and its stock: ``warehouse, on_hand, as_of``.

    Raises
    ------
    NotFound
        There is no product of that code or name; the message lists the nearest.
    """
    with app.database.read() as connection:
        table = catalogue.products(connection)
        code = product_code(table, wanted)
        levels = stock.stock_levels(connection).filter(pl.col("product") == code)
    on_hand = levels["on_hand"].sum() if levels.height else None
    row = table.row(by_predicate=pl.col("product") == code, named=True)
    return {**row, "on_hand": on_hand}, levels.select("warehouse", "on_hand", "as_of")


def suppliers(app: App) -> pl.DataFrame:
    """Return SUPPLIERS with the measured lead time, the number of deliveries behind it, and the products they bring."""
    with app.database.read() as connection:
        table = catalogue.suppliers(connection)
        receipts = purchasing.receipts(connection)
        brought = catalogue.products(connection).group_by("supplier").agg(products=pl.len())
    measured = measured_lead_times(receipts, table).select(
        "supplier", "deliveries", measured_days="measured_mean_days", used_days="mean_days"
    )
    return table.join(measured, on="supplier", how="left", maintain_order="left").join(
        brought, on="supplier", how="left", maintain_order="left"
    )


def supplier(app: App, wanted: str) -> str:
    """Return the code of a supplier named by code or name.

    Raises
    ------
    NotFound
        There is none; the message lists the nearest.
    """
    with app.database.read() as connection:
        return supplier_code(catalogue.suppliers(connection), wanted)


def edit_supplier(app: App, wanted: str, changes: Mapping[str, Any], *, create: bool = False) -> str:
    """Change what is known of a supplier (columns of SUPPLIERS); return its code.

    Parameters
    ----------
    create
        Make a supplier of that code if there is none.
    """
    if changes.get("order_weekdays"):
        parse_weekdays(changes["order_weekdays"])
    with app.database.write() as connection:
        table = catalogue.suppliers(connection)
        code = wanted if create and wanted not in table["supplier"] else supplier_code(table, wanted)
        catalogue.upsert_suppliers(connection, SUPPLIERS.check(pl.DataFrame([{"supplier": code, **changes}])))
    return code


def edit_product(app: App, wanted: str, changes: Mapping[str, Any]) -> str:
    """Change what is known of a product (columns of PRODUCTS); return its code. A supplier not known yet is made.

    ``replaces`` names a product by code or name; empty, the product replaces none.

    Raises
    ------
    DataError
        Products would replace one another in a circle.
    """
    with app.database.write() as connection:
        table = catalogue.products(connection)
        code = product_code(table, wanted)
        if "replaces" in changes:
            old = str(changes["replaces"])
            successors.forget_predecessor(connection, code)
            changes = {**changes, "replaces": product_code(table, old) if old else None}
        catalogue.upsert_products(connection, PRODUCTS.check(pl.DataFrame([{"product": code, **changes}])))
    return code
