"""A Shopify shop's own exports become orders, to the unit, and no customer leaves a trace."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.flows.exported_shop import YESTERDAY, Walk, check_orders, shelfwise, walk
from tests.ingest.exports.shopify import ORDER_HEADERS, Shop, make_shop, write_csv, write_suppliers

pytestmark = pytest.mark.slow
SMALL, WHOLE = (50, 150), (500, 730)
PLACE = "Hall 3"


@pytest.fixture(
    scope="module",
    params=[pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="500-products-2-years", marks=pytest.mark.nightly)],
)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Walk]:
    products, days = request.param
    folder = tmp_path_factory.mktemp("shopify")
    exports = folder / "exports"
    exports.mkdir()
    shop = make_shop(3, products=products, days=days, until=YESTERDAY, location=PLACE)
    return shop, walk(folder, [*shop.write(exports), write_suppliers(exports / "suppliers.csv")])


def test_its_exports_become_an_order_file(done: tuple[Shop, Walk]) -> None:
    shop, walked = done
    check_orders(walked, set(shop.on_hand))


def test_every_unit_sold_is_in_the_store_on_its_day_and_every_unit_on_hand_too(done: tuple[Shop, Walk]) -> None:
    shop, walked = done
    key = ["product", "day"]
    wanted = shop.sold.select("product", pl.lit(PLACE).alias("warehouse"), "day", "quantity")
    assert_frame_equal(walked.daily_sales().sort(key), wanted.sort(key))
    assert walked.on_hand() == {(product, PLACE): held for product, held in shop.on_hand.items()}


def test_no_customer_is_in_the_store_or_in_anything_said(done: tuple[Shop, Walk]) -> None:
    shop, walked = done
    assert (walked.folder / "shelfwise.db").exists()
    assert walked.traces(["Hall 3"]) == ["Hall 3"], "what is kept is found by this very search"
    assert walked.traces(shop.personal) == []


def test_a_later_export_that_overlaps_adds_only_what_is_new(done: tuple[Shop, Walk]) -> None:
    shop, walked = done
    before = walked.daily_sales()
    rows = list(reversed(shop.orders[len(shop.orders) // 2 :]))
    later = write_csv(walked.folder / "exports" / "orders_export_2.csv", ORDER_HEADERS, rows)
    again = shelfwise(walked.folder, "import", str(later))
    assert again.returncode == 0, again.stderr
    assert "0 movements booked" in again.stderr
    assert_frame_equal(walked.daily_sales(), before)


def test_a_rejected_line_is_put_aside_without_its_customer(done: tuple[Shop, Walk]) -> None:
    shop, walked = done
    rows = [dict(row) for row in shop.orders[:60]]
    number, bad = next((n, row) for n, row in enumerate(rows) if row.get("Billing Name"))
    bad["Lineitem quantity"] = "many"
    path = write_csv(walked.folder / "exports" / "orders_odd.csv", ORDER_HEADERS, rows)
    assert shelfwise(walked.folder, "import", str(path)).returncode == 0
    (aside,) = walked.folder.glob("orders_odd*rejects*.csv")
    assert str(number + 2) in aside.read_text()
    assert walked.traces(shop.personal) == []


def test_a_quantity_edited_later_is_told_and_taken_over_on_demand(done: tuple[Shop, Walk]) -> None:
    shop, walked = done
    before = walked.daily_sales()["quantity"].sum()
    rows = [dict(row) for row in shop.orders]
    kept = next(n for n, row in enumerate(rows) if row.get("Financial Status") == "paid" and "Cancelled at" not in row
                and row["Payment Method"] == "Shopify Payments")  # fmt: skip
    rows[kept]["Lineitem quantity"] = str(int(str(rows[kept]["Lineitem quantity"])) + 7)
    path = write_csv(walked.folder / "exports" / "orders_edited.csv", ORDER_HEADERS, rows)
    told = shelfwise(walked.folder, "import", str(path))
    assert told.returncode == 0, told.stderr
    assert "--correct" in told.stderr
    assert str(rows[kept]["Name"]) in told.stderr
    assert walked.daily_sales()["quantity"].sum() == before
    assert shelfwise(walked.folder, "import", str(path), "--correct").returncode == 0
    assert walked.daily_sales()["quantity"].sum() == before + 7
