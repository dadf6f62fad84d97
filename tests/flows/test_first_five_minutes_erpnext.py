"""An ERPNext shop's own exports become orders: demand and stock of every day are the ledger's."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.flows.exported_shop import YESTERDAY, Walk, check_orders, shelfwise, walk
from tests.ingest.exports import erpnext
from tests.ingest.exports.made_up import SURNAMES, MadeUp, made_up_shop

from shelfwise.storage.database import Database
from shelfwise.storage.stock import daily_on_hand

SMALL, WHOLE = (30, 150), (500, 730)
KEY = ["product", "warehouse", "day"]


@pytest.fixture(
    scope="module",
    params=[pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="500-products-2-years", marks=pytest.mark.nightly)],
)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeUp, Walk]:
    products, days = request.param
    folder = tmp_path_factory.mktemp("erpnext")
    exports = folder / "exports"
    exports.mkdir()
    shop = made_up_shop(seed=3, today=YESTERDAY + dt.timedelta(days=1), n_products=products, n_days=days)
    return shop, walk(folder, erpnext.write(shop, exports))


def there(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with the names of warehouses that ERPNext makes: with the company's initials."""
    return frame.with_columns(pl.col("warehouse") + " - KM")


def test_its_exports_become_an_order_file(done: tuple[MadeUp, Walk]) -> None:
    shop, walked = done
    check_orders(walked, set(shop.products["product"]))


def test_demand_and_stock_of_each_day_are_the_ledgers(done: tuple[MadeUp, Walk]) -> None:
    shop, walked = done
    assert_frame_equal(walked.daily_sales().sort(KEY), there(shop.sold()).sort(KEY))
    held = {(product, place): units for product, place, units in there(shop.on_hand()).iter_rows()}
    assert walked.on_hand() == held
    with Database.open(walked.folder / "shelfwise.db") as database, database.read() as connection:
        daily = daily_on_hand(connection)
    assert_frame_equal(daily.sort(KEY), there(shop.closing()).sort(KEY), check_column_order=False)


def test_no_customer_is_in_the_store_or_in_anything_said(done: tuple[MadeUp, Walk]) -> None:
    _, walked = done
    assert walked.traces(["Mug Blue"]) == ["Mug Blue"], "what is kept is found by this very search"
    assert walked.traces(SURNAMES) == []


def test_a_later_export_that_overlaps_adds_nothing_twice(done: tuple[MadeUp, Walk]) -> None:
    shop, walked = done
    before = walked.daily_sales()
    late = erpnext.labelled(erpnext.stock_ledger(shop, since=YESTERDAY - dt.timedelta(days=40)))
    path: Path = walked.folder / "exports" / "later.csv"
    late.write_csv(path)
    again = shelfwise(walked.folder, "import", str(path))
    assert again.returncode == 0, again.stderr
    assert_frame_equal(walked.daily_sales(), before)
    held = {(product, place): units for product, place, units in there(shop.on_hand()).iter_rows()}
    assert walked.on_hand() == held
