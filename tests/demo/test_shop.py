"""The made-up shop as frames: declared, repeatable, consistent, and with something to decide today."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import polars as pl
import pytest

from shelfwise.demo import DEMO_NOTICE, TRUTH, make_shop, make_shop_with_truth
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import ALL_FRAMES

TODAY = dt.date(2026, 11, 21)
SERIES = ["product", "warehouse"]


@pytest.fixture(scope="module")
def shop() -> dict[str, pl.DataFrame]:
    return make_shop(today=TODAY)


@pytest.fixture(scope="module")
def truth() -> pl.DataFrame:
    return make_shop_with_truth(today=TODAY)[1]


def sales_by_day(shop: dict[str, pl.DataFrame]) -> pl.DataFrame:
    day = pl.col("occurred_at").dt.date().alias("day")
    return shop["movements"].filter(kind="sale").group_by(*SERIES, day).agg(sold=pl.col("quantity").sum())


def replayed(shop: dict[str, pl.DataFrame]) -> dict[tuple[str, str], float]:
    """Stock by product and warehouse after every movement in the order of time, one line at a time."""
    level: defaultdict[tuple[str, str], float] = defaultdict(float)
    rows = shop["movements"].sort("occurred_at").select("kind", *SERIES, "quantity", "line_id").iter_rows()
    for kind, product, warehouse, quantity, line_id in rows:
        key = (product, warehouse)
        if kind == "count":
            level[key] = quantity
        else:
            assert key in level, f"{line_id} comes before the first count"
            level[key] += -quantity if kind == "sale" else quantity
        assert level[key] >= 0, line_id
    return level


def stock_of(shop: dict[str, pl.DataFrame]) -> dict[tuple[str, str], float]:
    return {(p, w): on_hand for p, w, on_hand, _ in shop["stock_levels"].iter_rows()}


def test_every_frame_passes_its_check(shop: dict[str, pl.DataFrame], truth: pl.DataFrame) -> None:
    assert set(shop) == {
        "products", "warehouses", "suppliers", "movements", "stock_levels", "prices", "calendar_events",
        "purchase_order_lines", "receipts",
    }  # fmt: skip
    for name, frame in shop.items():
        assert ALL_FRAMES[name].check(frame).equals(frame)
        assert frame.height > 0
    assert TRUTH.check(truth).equals(truth)


def test_sizes_are_those_of_the_brochure(shop: dict[str, pl.DataFrame]) -> None:
    assert [shop[name].height for name in ("products", "warehouses", "suppliers")] == [60, 2, 4]
    assert shop["products"]["category"].n_unique() == 6
    days = shop["movements"]["occurred_at"].dt.date()
    assert (days.min(), days.max()) == (TODAY - dt.timedelta(730), TODAY - dt.timedelta(1))


def test_the_same_seed_and_day_give_the_same_shop(shop: dict[str, pl.DataFrame]) -> None:
    again = make_shop(today=TODAY)
    assert all(again[name].equals(frame) for name, frame in shop.items())
    assert all(again[name].schema == frame.schema for name, frame in shop.items())


def test_another_seed_gives_another_shop(shop: dict[str, pl.DataFrame]) -> None:
    other = make_shop(seed=1, today=TODAY)
    for name in ("products", "movements", "stock_levels", "prices", "purchase_order_lines"):
        assert not other[name].equals(shop[name])


def test_products_keep_their_names_when_the_day_or_the_history_changes(shop: dict[str, pl.DataFrame]) -> None:
    later = make_shop(today=TODAY + dt.timedelta(40), n_days=100)["products"]
    assert later.select("product", "name", "price").equals(shop["products"].select("product", "name", "price"))


def test_replaying_all_movements_gives_the_stock_and_never_sells_what_is_not_there(
    shop: dict[str, pl.DataFrame],
) -> None:
    assert replayed(shop) == stock_of(shop)


def test_the_shop_floor_sells_nothing_on_a_closed_day(shop: dict[str, pl.DataFrame]) -> None:
    closures = shop["calendar_events"].filter(kind="closure", scope_kind="warehouse", scope="SHOP")
    closed = {
        first + dt.timedelta(i)
        for first, last in closures.select("starts_on", "ends_on").iter_rows()
        for i in range((last - first).days + 1)
    }
    sold_on = set(sales_by_day(shop).filter(warehouse="SHOP")["day"])
    assert not sold_on & closed
    assert {TODAY - dt.timedelta(i) for i in range(1, 731)} <= sold_on | closed


def test_stockouts_hide_demand_and_nothing_else_does(shop: dict[str, pl.DataFrame], truth: pl.DataFrame) -> None:
    joined = truth.join(sales_by_day(shop), on=[*SERIES, "day"], how="full", coalesce=True)
    assert joined["demand"].null_count() == 0  # no sale without demand
    joined = joined.with_columns(pl.col("sold").fill_null(0.0))
    assert (joined["sold"] <= joined["demand"]).all()
    assert 0.01 < (joined["sold"] < joined["demand"]).mean() < 0.10


def test_sales_happen_only_between_launch_and_last_day(shop: dict[str, pl.DataFrame]) -> None:
    sold = sales_by_day(shop).join(shop["products"], on="product")
    assert sold.filter(pl.col("day") < pl.col("launched_on")).height == 0
    assert sold.filter(pl.col("day") > pl.col("discontinued_on")).height == 0
    ended = shop["products"].filter(pl.col("discontinued_on") < TODAY)["product"]
    assert 3 <= len(ended) == sold.filter(pl.col("product").is_in(ended.implode()))["product"].n_unique()


def test_one_product_has_never_sold_and_one_is_younger_than_a_month(shop: dict[str, pl.DataFrame]) -> None:
    products = shop["products"]
    new = products.filter(launched_on=TODAY)["product"]
    assert len(new) == 1
    assert new[0] not in set(sales_by_day(shop)["product"])
    since = TODAY - dt.timedelta(30)
    fresh = products.filter((pl.col("launched_on") > since) & (pl.col("launched_on") < TODAY))["product"]
    assert len(fresh) == 1
    assert fresh[0] in set(sales_by_day(shop)["product"])


def test_a_dozen_products_sell_less_than_one_in_ten_days(shop: dict[str, pl.DataFrame]) -> None:
    total = sales_by_day(shop).group_by("product").agg(pl.col("sold").sum())
    slow = shop["products"].join(total, on="product", how="left").filter(pl.col("sold").fill_null(0.0) < 73)
    assert slow.filter(pl.col("launched_on").is_null()).height >= 10


def test_sales_are_made_at_the_price_of_the_day(shop: dict[str, pl.DataFrame]) -> None:
    sales = shop["movements"].filter(pl.col("line_id").str.starts_with("sale-"))
    priced = (
        sales.with_columns(starts_on=pl.col("occurred_at").dt.date())
        .sort("starts_on")
        .join_asof(shop["prices"].sort("starts_on"), on="starts_on", by="product", check_sortedness=False)
    )
    assert (priced["unit_price"] == priced["price"]).all()


def test_the_product_list_shows_the_usual_price_of_today(shop: dict[str, pl.DataFrame]) -> None:
    now = shop["prices"].filter(pl.col("starts_on") <= TODAY).sort("starts_on").group_by("product").last()
    both = now.join(shop["products"], on="product", suffix="_listed")
    assert (both["price"] <= both["price_listed"]).all()  # equal, or lower in a promotion
    assert (both["price"] == both["price_listed"]).mean() > 0.6


def test_orders_and_receipts_agree_with_each_other_and_with_the_movements(shop: dict[str, pl.DataFrame]) -> None:
    lines, receipts = shop["purchase_order_lines"], shop["receipts"]
    came = receipts.group_by("purchase_order", *SERIES).agg(came=pl.col("quantity").sum())
    joined = lines.join(came, on=["purchase_order", *SERIES], how="left").with_columns(pl.col("came").fill_null(0.0))
    assert (joined["came"] == joined["quantity_received"]).all()
    received = shop["movements"].filter(kind="receipt").group_by(SERIES).agg(booked=pl.col("quantity").sum())
    by_series = receipts.group_by(SERIES).agg(came=pl.col("quantity").sum()).join(received, on=SERIES, how="full")
    assert by_series["came"].equals(by_series["booked"], check_names=False)
    complete = lines.group_by("purchase_order").agg(
        done=(pl.col("quantity_received") == pl.col("quantity")).all(),
        begun=(pl.col("quantity_received") > 0).any(),
        status=pl.col("status").unique().implode().first(),
    )
    for _, done, begun, status in complete.iter_rows():
        assert status == ["received" if done else "part_received" if begun else "sent"]


def test_there_is_something_to_decide_today(shop: dict[str, pl.DataFrame]) -> None:
    lines = shop["purchase_order_lines"]
    waiting = lines.filter(pl.col("status") == "sent")
    assert waiting.filter(pl.col("expected_on") < TODAY).height > 0
    assert waiting.filter(pl.col("expected_on") >= TODAY).height > 0
    assert (lines["status"] == "part_received").any()
    assert (shop["stock_levels"]["on_hand"] == 0).sum() >= 2
    rate = sales_by_day(shop).filter(pl.col("day") >= TODAY - dt.timedelta(56))
    rate = rate.group_by(SERIES).agg(rate=pl.col("sold").sum() / 56)
    incoming = pl.col("quantity") - pl.col("quantity_received")
    position = (
        shop["stock_levels"]
        .join(lines.group_by(SERIES).agg(due=incoming.sum()), on=SERIES, how="left")
        .join(rate, on=SERIES, how="left")
        .join(shop["products"].filter(pl.col("discontinued_on").is_null()), on="product")
        .join(shop["suppliers"], on="supplier")
        .with_columns(pl.col("due", "rate").fill_null(0.0))
    )
    protection = pl.col("rate") * (pl.col("lead_time_days") + pl.col("review_days"))
    stock = pl.col("on_hand") + pl.col("due")
    assert 8 <= position.filter(stock < protection)["product"].n_unique() <= 40
    assert position.filter((stock > 3 * protection + 6) & (pl.col("rate") > 0)).height >= 3


def test_a_promotion_with_its_price_is_planned(shop: dict[str, pl.DataFrame]) -> None:
    soon = TODAY + dt.timedelta(28)
    planned = shop["calendar_events"].filter(
        pl.col("starts_on").is_between(TODAY, soon), kind="promotion", scope_kind="product"
    )
    assert planned.height == 1
    starts_on, scope = planned.select("starts_on", "scope").row(0)
    assert shop["prices"].filter(starts_on=starts_on, product=scope).height == 1


@pytest.mark.parametrize(("n_products", "n_days"), [(20, 60), (25, 90), (150, 120), (40, 400)])
@pytest.mark.parametrize("seed", range(3))
def test_smaller_and_larger_shops_are_consistent_too(n_products: int, n_days: int, seed: int) -> None:
    frames = make_shop(seed=seed, today=dt.date(2024, 2, 29), n_products=n_products, n_days=n_days)
    assert frames["products"].height == n_products
    assert replayed(frames) == stock_of(frames)
    assert frames["movements"]["occurred_at"].dt.date().min() == dt.date(2024, 2, 29) - dt.timedelta(n_days)


def test_impossible_shops_are_refused() -> None:
    with pytest.raises(ParameterError, match="seed must be zero or more, got -1"):
        make_shop(seed=-1, today=TODAY)
    with pytest.raises(ParameterError, match="n_days must be between 60 and 3650, got 59"):
        make_shop(today=TODAY, n_days=59)


def test_the_notice_says_that_everything_is_made_up() -> None:
    assert "made-up" in DEMO_NOTICE
    assert "invented" in DEMO_NOTICE
