"""The health list: each kind of finding where it fires, nothing on a whole shop, money, ways out, fix lists."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.docs.pages import ROOT, read_arguments, text_of
from tests.services.worlds import count

from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.services import catalogue, fix_lists, health, importing, planning, stock_corrections
from shelfwise.services.findings import KINDS, Finding

DAY = dt.timedelta(days=1)
DAYS = 200
World = dict[str, list[dict[str, Any]]]


def whole_world(today: dt.date) -> World:
    """Twelve products that sell each day for 200 days until yesterday, counted three weeks ago, lacking nothing."""
    rng = np.random.default_rng(5)
    first = today - DAYS * DAY
    names = [f"P{i:02d}" for i in range(12)]
    units = rng.integers(2, 7, size=(12, DAYS))
    return {
        "suppliers": [{"supplier": "north", "lead_time_days": 4.0, "review_days": 7.0}],
        "products": [
            {"product": name, "name": f"tea {name}", "supplier": "north", "category": "Tea", "unit_cost": 2.0,
             "price": 5.0}
            for name in names
        ],
        "movements": [
            sale(name, first + n * DAY, float(units[i, n]), hour=9 + (i + n) % 9)
            for i, name in enumerate(names)
            for n in range(DAYS)
        ]
        + [count(name, dt.datetime.combine(today - 21 * DAY, dt.time()), 400) for name in names],
    }  # fmt: skip


def sale(
    product: str, day: dt.date, units: float, *, price: float = 5.0, hour: int = 12, kind: str = "sale", again: str = ""
) -> dict[str, Any]:
    return {
        "source": f"till{again}", "line_id": f"{product}-{day}-{kind}-{hour}", "kind": kind, "product": product,
        "occurred_at": dt.datetime.combine(day, dt.time(hour)), "warehouse": "main", "quantity": units,
        "unit_price": price,
    }  # fmt: skip


def of(world: World, table: str, code: str) -> list[dict[str, Any]]:
    return [row for row in world[table] if row.get("product", row.get("supplier")) == code]


def sold(world: World, code: str) -> list[dict[str, Any]]:
    return [row for row in of(world, "movements", code) if row["kind"] == "sale"]


def without(world: World, code: str, kind: str) -> None:
    world["movements"] = [r for r in world["movements"] if not (r["product"] == code and r["kind"] == kind)]


def set_product(world: World, code: str, **values: Any) -> None:
    (row,) = of(world, "products", code)
    row.update(values)


# ------------------------------------------------------------- one change of the whole world for each kind of finding


def no_lead_time(world: World, _today: dt.date) -> None:
    world["suppliers"].append({"supplier": "south"})
    set_product(world, "P01", supplier="south")


def no_stock(world: World, _today: dt.date) -> None:
    without(world, "P01", "count")


def negative_stock(world: World, today: dt.date) -> None:
    without(world, "P01", "count")
    world["movements"].append(count("P01", dt.datetime.combine(today - 21 * DAY, dt.time()), 1))


def stale_stock(world: World, today: dt.date) -> None:
    for code, days in (("P01", 60), ("P02", 60)):
        without(world, code, "count")
        world["movements"].append(count(code, dt.datetime.combine(today - days * DAY, dt.time()), 2000))
    world["movements"].append(sale("P02", today - 5 * DAY, 10.0, kind="receipt"))  # its books are kept


def late_orders(world: World, today: dt.date) -> None:
    world["purchase_order_lines"] = [
        {"purchase_order": "PO 1", "supplier": "north", "product": "P01", "warehouse": "main", "quantity": 9.0,
         "ordered_on": today - 90 * DAY, "expected_on": today - 80 * DAY, "status": "sent"}
    ]  # fmt: skip


def slow_suppliers(world: World, today: dt.date) -> None:
    world["receipts"] = [
        {"purchase_order": f"PO-{n}", "supplier": "north", "product": "P01", "warehouse": "main", "quantity": 5.0,
         "ordered_on": today - (40 + n) * DAY, "received_on": today - (30 + n) * DAY}
        for n in range(4)
    ]  # fmt: skip


def stale_sales(world: World, _today: dt.date) -> None:
    for row in world["movements"]:
        row["occurred_at"] -= 30 * DAY


def days_without_sales(world: World, today: dt.date) -> None:
    gone = [today - n * DAY for n in range(50, 60)]
    world["movements"] = [r for r in world["movements"] if r["kind"] != "sale" or r["occurred_at"].date() not in gone]


def calendar(world: World, _today: dt.date) -> None:
    world["movements"] = [
        r for r in world["movements"] if r["kind"] != "sale" or r["occurred_at"].date().weekday() != 6
    ]


def sold_out_days(world: World, today: dt.date) -> None:
    gone = [today - n * DAY for n in range(3, 15)]
    world["movements"] = [
        r for r in world["movements"]
        if r["product"] != "P01" or (r["kind"] == "sale" and r["occurred_at"].date() not in gone)
    ]  # fmt: skip
    world["movements"] += [
        count("P01", dt.datetime.combine(today - 15 * DAY, dt.time(23)), 0),
        count("P01", dt.datetime.combine(today - 2 * DAY, dt.time()), 400),
    ]


def outlying_sales(world: World, _today: dt.date) -> None:
    sold(world, "P01")[150]["quantity"] = 4000.0


def price_slips(world: World, _today: dt.date) -> None:
    sold(world, "P01")[150]["unit_price"] = 500.0


def price_scale(world: World, _today: dt.date) -> None:
    for row in sold(world, "P01")[120:]:
        row["unit_price"] = 0.05


def common_price_change(world: World, today: dt.date) -> None:
    for row in world["movements"]:
        if row["kind"] == "sale" and row["occurred_at"].date() >= today - 80 * DAY:
            row["unit_price"] = 5.85


def unit_changes(world: World, _today: dt.date) -> None:
    for row in sold(world, "P01"):
        row["quantity"] *= 12
        row["unit_price"] = 1.0
    for row in sold(world, "P01")[120:]:
        row["quantity"] /= 12
        row["unit_price"] = 12.0


def odd_returns(world: World, today: dt.date) -> None:
    world["movements"] += [sale("P01", today - n * DAY, 30.0, kind="return", hour=18) for n in range(10, 40)]


def night_sales(world: World, _today: dt.date) -> None:
    for row in world["movements"]:
        if row["kind"] == "sale":
            row["occurred_at"] -= dt.timedelta(hours=12)


def renamed(world: World, code: str, new: str) -> None:
    for table in ("products", "movements"):
        for row in of(world, table, code):
            row["product"] = new


def dead_codes(world: World, _today: dt.date) -> None:
    renamed(world, "P01", "4.01E+12")


def same_codes(world: World, _today: dt.date) -> None:
    renamed(world, "P02", "p01")


def same_names(world: World, today: dt.date) -> None:
    set_product(world, "P02", name="Tea  P01")
    world["movements"] = [
        r for r in world["movements"]
        if r["product"] not in ("P01", "P02") or (r["product"] == "P01") == (r["occurred_at"].date() < today - 60 * DAY)
    ]  # fmt: skip


def unlisted_sales(world: World, _today: dt.date) -> None:
    world["products"] = [row for row in world["products"] if row["product"] != "P01"]


def unlisted_stock(world: World, today: dt.date) -> None:
    world["movements"].append(count("X99", dt.datetime.combine(today - 21 * DAY, dt.time()), 7))


def silent_stock(world: World, today: dt.date) -> None:
    for row in sold(world, "P01"):
        row["occurred_at"] -= 200 * DAY
    for row in sold(world, "P02"):  # so is this one, but it is over
        row["occurred_at"] -= 200 * DAY
    set_product(world, "P02", discontinued_on=today - 201 * DAY)


def lost_predecessors(world: World, _today: dt.date) -> None:
    set_product(world, "P01", replaces="Q01")


def replaced_yet_planned(world: World, _today: dt.date) -> None:
    set_product(world, "P01", replaces="P02")


def stocked_bundles(world: World, _today: dt.date) -> None:
    world["bundles"] = [{"bundle": "P01", "component": "P02", "quantity": 2.0}]


def unfinished_bundles(world: World, today: dt.date) -> None:
    world["products"].append({"product": "box", "name": "box"})
    world["movements"] += [sale("box", today - n * DAY, 1.0) for n in range(1, 60)]
    world["bundles"] = [{"bundle": "box", "component": "P01", "quantity": 1.0}]
    set_product(world, "P01", discontinued_on=today - 2 * DAY)


CHANGES: Mapping[str, Callable[[World, dt.date], None]] = {
    "no-lead-time": no_lead_time, "no-stock": no_stock, "negative-stock": negative_stock, "stale-stock": stale_stock,
    "no-supplier": lambda world, _: set_product(world, "P01", supplier=None),
    "no-cost": lambda world, _: set_product(world, "P01", unit_cost=None),
    "no-price": lambda world, _: set_product(world, "P01", price=None),
    "no-category": lambda world, _: set_product(world, "P01", category=None),
    "late-orders": late_orders, "slow-suppliers": slow_suppliers, "stale-sales": stale_sales,
    "days-without-sales": days_without_sales, "calendar": calendar, "sold-out-days": sold_out_days,
    "outlying-sales": outlying_sales, "price-slips": price_slips, "price-scale": price_scale,
    "common-price-change": common_price_change, "unit-changes": unit_changes, "odd-returns": odd_returns,
    "night-sales": night_sales, "dead-codes": dead_codes, "same-codes": same_codes, "same-names": same_names,
    "unlisted-sales": unlisted_sales, "unlisted-stock": unlisted_stock, "silent-stock": silent_stock,
    "lost-predecessors": lost_predecessors, "replaced-yet-planned": replaced_yet_planned,
    "stocked-bundles": stocked_bundles, "unfinished-bundles": unfinished_bundles,
}  # fmt: skip
BESIDES: Mapping[str, set[str]] = {
    "unlisted-sales": {"no-supplier", "no-cost", "no-price", "no-category"},
    "stale-sales": {"stale-stock"}, "calendar": {"stale-stock"},
    "days-without-sales": {"calendar"}, "same-names": {"no-stock"},
}  # fmt: skip
"""What a change brings along, rightly."""


def found(shop: Any, kind: str) -> Finding:
    (one,) = health.check(shop).of_kind(kind)
    return one


def test_a_whole_shop_has_nothing_to_say(shop, book) -> None:
    book(**whole_world(shop.today()))
    assert [(f.kind, f.what) for f in health.check(shop).findings] == []
    assert health.check(shop).summary() == "nothing found: the data is complete"


@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_wrong_is_found_and_nothing_else(shop, book, kind) -> None:
    world = whole_world(shop.today())
    CHANGES[kind](world, shop.today())
    book(**world)
    listed = health.check(shop)
    kinds = {finding.kind for finding in listed.findings}
    assert kind in kinds, listed.findings
    assert kinds - {kind} <= BESIDES.get(kind, set())
    (one,) = listed.of_kind(kind)
    about = {"P01", "p01", "4.01E+12", "X99", "P01@main", "PO 1", "north", "P02", "P02@main"}
    if "product" in one.rows.columns and len(one.rows) < 5:
        assert set(one.examples) <= about
        assert one.sales or kind in ("unlisted-stock", "silent-stock")
    assert_ways_out_are_understood(one)


def assert_ways_out_are_understood(one: Finding) -> None:
    """Every command of a way out is understood as written, words in capitals standing for what a person knows."""
    import shlex

    for command in re.findall(r"`shelfwise ([^`]*)`", one.way_out):
        words = shlex.split(command.partition(" > ")[0])
        read_arguments(["7" if word in ("DAYS", "MONEY", "NUMBER", "UNITS") else word for word in words])
        assert "--fix-list" not in words or words[words.index("--fix-list") + 1] == one.kind
    assert one.way_out or one.kind in ("calendar", "sold-out-days")


def test_every_kind_has_a_world_here_or_a_test_of_its_own() -> None:
    assert set(KINDS) - set(CHANGES) == {
        "incomplete-last-day",
        "doubled-sales",
        "circular-successors",
        "rejected-lines",
    }


def test_the_page_on_data_quality_has_a_row_for_every_kind_and_the_fix_lists_there_are() -> None:
    page = text_of(ROOT / "docs" / "data-quality.md")
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\|(.*)\|$", page, re.MULTILINE)
    assert [kind for kind, _ in rows] == list(KINDS)
    same = {"negative-stock", "stale-stock"}  # "the same" as the row above
    told = {kind for kind, by in rows if "fix list" in by} | same
    assert told == set(fix_lists.FIXABLE)


def test_sales_that_two_files_bring_are_found_and_taken_back(shop, book) -> None:
    world = whole_world(shop.today())
    again = [
        {**row, "source": "orders", "occurred_at": row["occurred_at"].replace(hour=0)}
        for row in sold(world, "P01")[100:] + sold(world, "P02")[100:]
    ]
    book(**world)
    book(movements=again)
    one = found(shop, "doubled-sales")
    assert (one.severity, one.lines, one.rows.height) == ("problem", 2, 200)
    assert "`shelfwise imports undo 2`" in one.way_out
    assert_ways_out_are_understood(one)


def test_an_outlying_sale_is_corrected_by_the_command_that_is_named(shop, book) -> None:
    world = whole_world(shop.today())
    outlying_sales(world, shop.today())
    book(**world)
    one = found(shop, "outlying-sales")
    assert (one.severity, one.rows["quantity"][0], one.rows["usual"][0]) == ("problem", 4000.0, 4.0)
    (line,) = one.rows["line"]
    assert f"`shelfwise stock correct {line} --quantity UNITS --reason WHY`" in one.way_out
    stock_corrections.correct(shop, line, quantity=4.0, reason="three zeros too many")
    assert health.check(shop).of_kind("outlying-sales") == ()


def test_an_old_outlying_sale_is_but_a_note(shop, book) -> None:
    world = whole_world(shop.today())
    sold(world, "P01")[2]["quantity"] = 4000.0
    book(**world)
    assert found(shop, "outlying-sales").severity == "note"


def test_two_tills_of_one_shop_are_not_doubled(shop, book) -> None:
    world = whole_world(shop.today())
    rng = np.random.default_rng(3)
    other = [{**row, "source": "web", "quantity": float(rng.integers(1, 6))} for row in sold(world, "P01")]
    book(**world)
    book(movements=other)
    assert health.check(shop).of_kind("doubled-sales") == ()


def test_a_last_day_cut_short_and_rejected_lines_are_told_from_the_receipt(shop, book) -> None:
    world = whole_world(shop.today())
    last = str(shop.today() - DAY)
    rejected = {"file": "a.csv", "rejected": [{"reason": "is no number", "rows": 3, "lines": [4]}]}
    book(receipt={"last_day": last, "incomplete_last_day": last, "files": [rejected]}, **world)
    assert last in found(shop, "incomplete-last-day").what
    assert found(shop, "rejected-lines").lines == 3


def test_effects_are_the_orders_of_the_last_plan_and_rank_the_list(quick, fill) -> None:
    world = whole_world(quick.today())
    set_product(world, "P01", unit_cost=50.0, category=None)
    for row in of(world, "movements", "P01"):
        row["quantity"] = 90.0 if row["kind"] == "count" else row["quantity"]
    set_product(world, "P02", price=None)
    set_product(world, "P03", unit_cost=None)
    no_lead_time(world, quick.today())
    fill(**world)
    assert found(quick, "no-category").orders is None
    plan = planning.make_plan(quick)
    cost = dict(plan.lines.select("product", pl.col("quantity") * pl.col("unit_cost")).iter_rows())
    units = dict(plan.lines.select("product", "quantity").iter_rows())
    listed = health.check(quick)
    assert units["P01"] > 0
    by_kind = {f.kind: f for f in listed.findings}
    assert by_kind["no-category"].orders == pytest.approx(cost["P01"])
    assert by_kind["no-category"].effect("EUR").startswith("affects EUR ")
    assert by_kind["no-cost"].orders == (pytest.approx(5.0 * units["P03"]) if units["P03"] else None)
    assert by_kind["no-lead-time"].what == "1 product has no lead time: 14 days assumed"
    severities = [f.severity for f in listed.findings]
    assert severities == sorted(severities, reverse=True)
    notes = [f.orders or 0.0 for f in listed.findings if f.severity == "note"]
    assert notes == sorted(notes, reverse=True)


def test_bundles_are_not_missed_and_their_components_are(shop, book) -> None:
    world = whole_world(shop.today())
    world["products"].append({"product": "cup"})
    world["bundles"] = [{"bundle": "P01", "component": "cup", "quantity": 1.0}]
    without(world, "P01", "count")
    set_product(world, "P01", supplier=None, unit_cost=None)
    book(**world)
    listed = health.check(shop)
    assert [f.examples for f in listed.of_kind("no-stock")] == [("cup@main",)]
    assert [f.examples for f in listed.of_kind("no-supplier")] == [("cup",)]


@pytest.mark.parametrize("price", [5.0, None])
@pytest.mark.parametrize("over", [False, True])
def test_a_shop_of_one_sale_is_looked_at_like_any_other(shop, book, price, over) -> None:
    day = shop.today() - DAY
    book(
        products=[{"product": "A", "discontinued_on": day - DAY if over else None}],
        movements=[{**sale("A", day, 1.0), "unit_price": price}],
    )
    kinds = {finding.kind for finding in health.check(shop).findings}
    assert kinds == (set() if over else {"no-supplier", "no-stock", "no-cost", "no-price", "no-category"})


def test_a_shop_without_sales_says_what_to_do(shop, book) -> None:
    book(movements=[count("A", dt.datetime.combine(shop.today() - DAY, dt.time()), 4)])
    with pytest.raises(DataError, match="the store has no sales yet; `shelfwise import"):
        health.check(shop)


def test_a_kind_that_is_none_is_refused(shop, book) -> None:
    book(**whole_world(shop.today()))
    with pytest.raises(ParameterError, match="there is no kind of finding 'orphans'"):
        health.check(shop).of_kind("orphans")
    with pytest.raises(ParameterError, match="no table puts 'calendar' right"):
        fix_lists.fix_list("calendar", [])
    with pytest.raises(ValueError, match="add it to KINDS"):
        Finding("orphans", "note", "")


FILLED = {
    "lead_time_days": "5", "supplier": "north", "on_hand": "300", "unit_cost": "2.5", "price": "5", "category": "Tea",
    "name": "Tea", "discontinued_on": "2020-01-31",
}  # fmt: skip


@pytest.mark.parametrize("kind", fix_lists.FIXABLE)
def test_a_fix_list_filled_in_and_imported_puts_it_right(shop, book, tmp_path, kind) -> None:
    world = whole_world(shop.today())
    if kind == "same-codes":  # one code ends where the other begins
        same_names(world, shop.today())
    CHANGES[kind](world, shop.today())
    book(**world)
    table = fix_lists.fix_list(kind, health.check(shop).of_kind(kind))
    assert table.height >= 1
    filled = table.with_columns(
        pl.lit(FILLED[name]).alias(name) for name in table.columns if table[name].null_count() and name in FILLED
    )
    file = tmp_path / f"{kind}.csv"
    filled.write_csv(file)
    done = importing.import_files(shop, [file])
    assert done.rejects.is_empty()
    assert done.receipt.rows_used == table.height
    if kind == "same-codes":
        (line,) = catalogue.products(shop).filter(product="p01").to_dicts()
        assert line["replaces"] == "P01"
    else:
        assert health.check(shop).of_kind(kind) == (), filled


def test_a_fix_list_of_which_half_is_filled_in_is_imported_by_half(shop, book, tmp_path) -> None:
    world = whole_world(shop.today())
    for i in range(12):
        without(world, f"P{i:02d}", "count")
    book(**world)
    table = fix_lists.fix_list("no-stock", health.check(shop).of_kind("no-stock"))
    lines = table.write_csv().splitlines()
    (tmp_path / "stock.csv").write_text("\n".join([lines[0], f"{lines[1]}44", *lines[2:]]) + "\n")
    importing.import_files(shop, [tmp_path / "stock.csv"])
    assert found(shop, "no-stock").lines == 11


def test_the_list_is_a_frame_for_programs(shop, book) -> None:
    world = whole_world(shop.today())
    no_stock(world, shop.today())
    book(**world)
    (row,) = health.check(shop).to_frame().to_dicts()
    assert (row["kind"], row["severity"], row["lines"], row["orders"]) == ("no-stock", "problem", 1, None)
    assert json.dumps(row)
