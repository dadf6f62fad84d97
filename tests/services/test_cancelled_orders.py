"""An order that is cancelled after it was imported counts no more, once that is asked for, on every database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from tests.ingest.exports import shopify, woocommerce
from tests.ingest.exports.made_up import made_up_shop
from tests.services.test_import_history import servers, shop

from shelfwise.app import App, open_app
from shelfwise.services import import_history, importing, stock_movements
from shelfwise.storage import sales

__all__ = ["servers", "shop"]
Export = Callable[..., Path]
WOO = "order_number,order_date,status,item_name,item_sku,item_quantity,item_total"


def demand(shop: App) -> dict[str, float]:
    with shop.database.read() as connection:
        rows = sales.daily_demand(connection).group_by("product").agg(pl.col("quantity").sum())
    return {product: units for product, units in rows.iter_rows() if units}


def shopify_orders(folder: Path, name: str, **cells: object) -> Path:
    """Three orders, the second of two mugs of one price and a cup; ``cells`` are of the second order."""
    mug, other_mug = shopify.line(2, "Mug", 8, "M-1"), shopify.line(1, "Mug", 8, "M-1")
    taken_off = shopify.line(float(cells.pop("other_mugs", 1)), "Mug", 8, "M-1")
    rows = [
        *shopify.order("#1", "2025-10-06 09:00:00 +0200", mug),
        *shopify.order("#2", "2025-10-07 09:00:00 +0200", mug, taken_off, shopify.line(3, "Cup", 5, "C-1"), **cells),
        *shopify.order("#3", "2025-10-08 09:00:00 +0200", other_mug),
    ]
    return shopify.write_csv(folder / name, shopify.ORDER_HEADERS, rows)


def woo_orders(folder: Path, name: str, status: str = "completed") -> Path:
    rows = [
        WOO, "11,2025-10-06 09:00:00,completed,Tea,T-1,2,10", f"12,2025-10-07 09:00:00,{status},Tea,T-1,2,10",
        f"12,2025-10-07 09:00:00,{status},Tea,T-1,5,25", f"12,2025-10-07 09:00:00,{status},Milk,M-1,1,2",
    ]  # fmt: skip
    (folder / name).write_text("\n".join(rows) + "\n")
    return folder / name


@pytest.mark.parametrize(
    "cells",
    [{"Cancelled_at": "2025-10-09 10:00:00 +0200"}, {"Financial_Status": "voided"}],
    ids=["cancelled", "voided"],
)
def test_a_cancelled_order_of_shopify_is_told_and_taken_off_when_asked(
    shop: App, tmp_path: Path, cells: dict[str, object]
) -> None:
    importing.import_files(shop, [shopify_orders(tmp_path, "first.csv")])
    assert demand(shop) == {"M-1": 6.0, "C-1": 3.0}
    later = shopify_orders(tmp_path, "later.csv", **cells)
    told = importing.import_files(shop, [later])
    assert (told.new_lines, told.differing, told.cancelled, told.taken_off) == (0, 0, 3, 0)
    assert demand(shop) == {"M-1": 6.0, "C-1": 3.0}
    done = importing.import_files(shop, [later], correct=True)
    assert (done.cancelled, done.taken_off) == (3, 3)
    assert demand(shop) == {"M-1": 3.0}
    assert "cancelled, says later.csv" in stock_movements.history(shop, "C-1").write_csv()
    assert importing.import_files(shop, [shopify_orders(tmp_path, "again.csv", Notes="x", **cells)]).cancelled == 0
    assert done.import_id is not None
    import_history.undo(shop, done.import_id)
    assert demand(shop) == {"M-1": 6.0, "C-1": 3.0}
    import_history.redo(shop, done.import_id)
    assert demand(shop) == {"M-1": 3.0}


def test_a_line_taken_off_an_order_of_shopify_is_that_line_alone(shop: App, tmp_path: Path) -> None:
    importing.import_files(shop, [shopify_orders(tmp_path, "first.csv")])
    done = importing.import_files(shop, [shopify_orders(tmp_path, "later.csv", other_mugs=0)], correct=True)
    assert (done.differing, done.taken_off) == (0, 1)
    assert demand(shop) == {"M-1": 5.0, "C-1": 3.0}


@pytest.mark.parametrize("status", ["cancelled", "wc-refunded", "failed", "trash"])
def test_an_order_of_woocommerce_that_is_off_is_told_and_taken_off_when_asked(
    shop: App, tmp_path: Path, status: str
) -> None:
    importing.import_files(shop, [woo_orders(tmp_path, "first.csv")])
    assert demand(shop) == {"T-1": 9.0, "M-1": 1.0}
    later = woo_orders(tmp_path, "later.csv", status)
    assert importing.import_files(shop, [later]).cancelled == 3
    assert importing.import_files(shop, [later], correct=True).taken_off == 3
    assert demand(shop) == {"T-1": 2.0}


def test_an_order_of_woocommerce_that_waits_for_its_payment_again_still_counts(shop: App, tmp_path: Path) -> None:
    importing.import_files(shop, [woo_orders(tmp_path, "first.csv")])
    assert importing.import_files(shop, [woo_orders(tmp_path, "later.csv", "on-hold")], correct=True).cancelled == 0


@pytest.mark.parametrize("kind", ["order_lines", "orders_report"])
def test_a_made_up_shop_with_cancelled_orders_ends_like_one_that_never_booked_them(
    shop: App, tmp_path: Path, kind: str
) -> None:
    made = made_up_shop(seed=3, today=dt.date(2024, 11, 18), n_products=8, n_days=40, warehouses=("main",))
    woocommerce.write(made, tmp_path)
    products = next(path for path in tmp_path.iterdir() if "product" in path.name and "report" not in path.name)
    table = getattr(woocommerce, kind)(made)
    status, number = ("status", "order_number") if kind == "order_lines" else ("Status", "Order #")
    numbers = table.filter(pl.col(status).str.to_lowercase() == "completed")[number].unique().sort()
    off = pl.when(pl.col(number).is_in(numbers.gather_every(7).implode())).then(pl.lit("cancelled"))
    for name, rows in (("first", table), ("later", table.with_columns(off.otherwise(pl.col(status)).alias(status)))):
        (tmp_path / name).mkdir()
        rows.write_csv(tmp_path / name / "orders.csv")
    importing.import_files(shop, [products, tmp_path / "first" / "orders.csv"])
    before = demand(shop)
    done = importing.import_files(shop, [products, tmp_path / "later" / "orders.csv"], correct=True)
    after = demand(shop)
    assert done.taken_off == done.cancelled > 0
    assert before != after
    with open_app(tmp_path / "never.db", folder=tmp_path) as other:
        importing.import_files(other, [products, tmp_path / "later" / "orders.csv"])
        assert after == demand(other)
