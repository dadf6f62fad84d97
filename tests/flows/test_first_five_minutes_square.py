"""A Square seller's own exports become orders, to the unit, and no customer leaves a trace."""

from __future__ import annotations

import pytest
from polars.testing import assert_frame_equal
from tests.flows.exported_shop import YESTERDAY, Walk, check_orders, shelfwise, walk
from tests.ingest.exports.shopify import write_csv, write_suppliers
from tests.ingest.exports.square import DETAIL_35, Seller, make_seller

pytestmark = pytest.mark.slow
SMALL, WHOLE = (50, 150), (500, 730)


@pytest.fixture(
    scope="module",
    params=[pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="500-products-2-years", marks=pytest.mark.nightly)],
)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seller, Walk]:
    products, days = request.param
    folder = tmp_path_factory.mktemp("square")
    exports = folder / "exports"
    exports.mkdir()
    seller = make_seller(3, products=products, days=days, until=YESTERDAY)
    return seller, walk(folder, [*seller.write(exports), write_suppliers(exports / "suppliers.csv")])


def test_its_exports_become_an_order_file(done: tuple[Seller, Walk]) -> None:
    seller, walked = done
    check_orders(walked, {product for product, _ in seller.on_hand})


def test_every_unit_sold_is_in_the_store_on_its_day_and_every_unit_on_hand_too(done: tuple[Seller, Walk]) -> None:
    seller, walked = done
    key = ["product", "warehouse", "day"]
    assert_frame_equal(walked.daily_sales().sort(key), seller.sold)
    assert walked.on_hand() == seller.on_hand


def test_no_customer_is_in_the_store_or_in_anything_said(done: tuple[Seller, Walk]) -> None:
    seller, walked = done
    assert walked.traces(["Market Hall"]) == ["Market Hall"], "what is kept is found by this very search"
    assert walked.traces(seller.personal) == []


def test_a_later_export_that_overlaps_adds_only_what_is_new(done: tuple[Seller, Walk]) -> None:
    seller, walked = done
    before = walked.daily_sales()
    rows = list(reversed(seller.detail[len(seller.detail) // 2 :]))
    later = write_csv(walked.folder / "exports" / "items-detail-2.csv", DETAIL_35, rows)
    again = shelfwise(walked.folder, "import", str(later))
    assert again.returncode == 0, again.stderr
    assert "0 movements booked" in again.stderr
    assert_frame_equal(walked.daily_sales(), before)
