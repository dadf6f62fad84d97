"""A WooCommerce shop's own exports become orders, from a plug-in's order lines or from Analytics > Orders."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal
from tests.flows.exported_shop import YESTERDAY, Walk, check_orders, shelfwise, walk
from tests.ingest.exports import woocommerce
from tests.ingest.exports.made_up import SURNAMES, MadeUp, made_up_shop

SMALL, WHOLE = (30, 150), (500, 730)
KEY = ["product", "warehouse", "day"]


@pytest.fixture(
    scope="module",
    params=[pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="500-products-2-years", marks=pytest.mark.nightly)],
)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeUp, Walk]:
    products, days = request.param
    folder = tmp_path_factory.mktemp("woocommerce")
    exports = folder / "exports"
    exports.mkdir()
    today = YESTERDAY + dt.timedelta(days=1)
    shop = made_up_shop(seed=7, today=today, n_products=products, n_days=days, warehouses=("main",))
    return shop, walk(folder, [*woocommerce.write(shop, exports), *suppliers(shop, exports)])


def suppliers(shop: MadeUp, folder: Path) -> list[Path]:
    """Write what WooCommerce does not know: who delivers a product, and how long that takes."""
    shop.suppliers.write_csv(folder / "suppliers.csv")
    shop.products.select("supplier", sku="product", moq="minimum_order_quantity").write_csv(folder / "from_whom.csv")
    return [folder / "suppliers.csv", folder / "from_whom.csv"]


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
    assert walked.traces([*SURNAMES, "@example.com", "Nowhere Lane"]) == []


def test_analytics_tells_the_same_orders_and_adds_nothing(done: tuple[MadeUp, Walk]) -> None:
    shop, walked = done
    before = walked.daily_sales()
    report = woocommerce.orders_report(shop)
    report.slice(report.height // 2).write_csv(walked.folder / "exports" / "analytics.csv")
    again = shelfwise(walked.folder, "import", "exports/analytics.csv", "exports/wc-product-export.csv")
    assert again.returncode == 0, again.stderr
    assert_frame_equal(walked.daily_sales(), before)


def test_a_shop_without_a_plug_in_comes_with_analytics_and_its_products(
    done: tuple[MadeUp, Walk], tmp_path: Path
) -> None:
    shop, _ = done
    woocommerce.orders_report(shop).write_csv(tmp_path / "analytics.csv")
    woocommerce.catalogue(shop).write_csv(tmp_path / "products.csv")
    imported = shelfwise(tmp_path, "import", "analytics.csv", "products.csv")
    assert imported.returncode == 0, imported.stderr
    sold = Walk(tmp_path, {}).daily_sales()
    assert_frame_equal(sold.sort(KEY), shop.sold().sort(KEY))
