"""An Odoo shop's own exports become orders, to the unit and on the shop's day."""

from __future__ import annotations

import datetime as dt

import pytest
from polars.testing import assert_frame_equal
from tests.flows.exported_shop import YESTERDAY, Walk, check_orders, shelfwise, walk
from tests.ingest.exports import odoo
from tests.ingest.exports.made_up import SURNAMES, MadeUp, made_up_shop

SMALL, WHOLE = (30, 150), (500, 730)
KEY = ["product", "warehouse", "day"]


@pytest.fixture(
    scope="module",
    params=[pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="500-products-2-years", marks=pytest.mark.nightly)],
)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeUp, Walk]:
    products, days = request.param
    folder = tmp_path_factory.mktemp("odoo")
    exports = folder / "exports"
    exports.mkdir()
    shop = made_up_shop(seed=5, today=YESTERDAY + dt.timedelta(days=1), n_products=products, n_days=days)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELFWISE_TIMEZONE", odoo.ZONE)
        return shop, walk(folder, odoo.write(shop, exports))


def test_its_exports_become_an_order_file(done: tuple[MadeUp, Walk]) -> None:
    shop, walked = done
    check_orders(walked, set(shop.products["product"]))


def test_every_unit_sold_is_in_the_store_on_its_day_and_every_unit_on_hand_too(done: tuple[MadeUp, Walk]) -> None:
    shop, walked = done
    assert_frame_equal(walked.daily_sales().sort(KEY), shop.sold().sort(KEY))
    assert walked.on_hand() == {(product, place): units for product, place, units in shop.on_hand().iter_rows()}


def test_no_customer_is_in_the_store_or_in_anything_said(done: tuple[MadeUp, Walk]) -> None:
    _, walked = done
    assert walked.traces(["Mug Blue"]) == ["Mug Blue"], "what is kept is found by this very search"
    assert walked.traces(SURNAMES) == []


def test_later_moves_that_overlap_add_nothing_twice_and_order_lines_are_refused(
    done: tuple[MadeUp, Walk], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, walked = done
    monkeypatch.setenv("SHELFWISE_TIMEZONE", odoo.ZONE)
    before = walked.daily_sales()
    moves = odoo.in_words_of(odoo.stock_moves(shop), "de")
    moves.slice(moves.height // 3).write_csv(walked.folder / "exports" / "later.csv")
    again = shelfwise(walked.folder, "import", "exports/later.csv")
    assert again.returncode == 0, again.stderr
    assert "0 movements booked" in again.stderr
    odoo.sale_orders(shop).write_csv(walked.folder / "exports" / "orders.csv")
    refused = shelfwise(walked.folder, "import", "exports/orders.csv")
    assert refused.returncode == 3, refused.stderr
    assert "count twice" in refused.stderr
    assert_frame_equal(walked.daily_sales(), before)
