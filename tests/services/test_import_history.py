"""An import can be taken back whole and put back whole, and what others said since stays."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.storage.databases import EVERY, Pool

from shelfwise.app import App, open_app
from shelfwise.domain import frames
from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.services import history, import_history, importing
from shelfwise.storage import bundles, catalogue, purchasing, sales, stock

Store = dict[str, pl.DataFrame]


def state(shop: App) -> Store:
    """Everything an import may change, as frames without internal keys."""
    with shop.database.read() as connection:
        lines = sales.daily_demand(connection)
        return {
            "demand": lines,
            "levels": stock.stock_levels(connection),
            "on hand": stock.daily_on_hand(connection),
            "products": catalogue.products(connection),
            "suppliers": catalogue.suppliers(connection),
            "warehouses": catalogue.warehouses(connection),
            "prices": catalogue.prices(connection),
            "events": catalogue.calendar_events(connection),
            "bundles": bundles.bundles(connection),
            "orders": purchasing.purchase_orders(connection).sort("purchase_order", "product", "warehouse"),
            "receipts": purchasing.receipts(connection).sort("purchase_order", "product", "warehouse", "received_on"),
        }


def same(one: Store, other: Store) -> None:
    for name, frame in one.items():
        assert frame.equals(other[name]), f"{name}: {frame} is not {other[name]}"


def sale(line: str, product: str, quantity: float, day: int = 5, **values: Any) -> dict[str, Any]:
    return {
        "source": "till", "line_id": line, "kind": "sale", "occurred_at": f"2026-01-{day:02} 10:00", "product": product,
        "warehouse": "main", "quantity": quantity, **values,
    }  # fmt: skip


@pytest.fixture(scope="module")
def servers() -> Iterator[Pool]:
    """The databases on servers."""
    made = Pool()
    yield made
    made.close()


@pytest.fixture(params=EVERY)
def shop(request: pytest.FixtureRequest, tmp_path: Path, servers: Pool) -> Iterator[App]:
    """An empty shop in each kind of database."""
    where = tmp_path / "shop.db" if request.param == "sqlite" else servers.address(request.param)
    with open_app(where, folder=tmp_path) as app:
        yield app


@pytest.fixture
def put(shop: App) -> Callable[..., int]:
    """Book rows by frame as one import and return its number."""
    count = iter(range(1000))

    return lambda **tables: book(shop, tables, str(next(count)))


def book(shop: App, tables: dict[str, list[dict[str, Any]]], fingerprint: str) -> int:
    """Book rows by frame as one import."""
    made = {}
    for name, rows in tables.items():
        frame = pl.DataFrame(rows, infer_schema_length=None)
        for column, declared in frames.ALL_FRAMES[name].columns.items():
            if column in frame.columns and frame[column].dtype == pl.String and declared.dtype.is_temporal():
                frame = frame.with_columns(pl.col(column).str.to_datetime().cast(declared.dtype))
        made[name] = frames.ALL_FRAMES[name].check(frame)
    return importing.book(shop, made, file_name="a.csv", fingerprint=fingerprint, profile="test", receipt={})[0]


EVERYTHING: dict[str, list[dict[str, Any]]] = {
    "warehouses": [{"warehouse": "main", "name": "Shop"}],
    "suppliers": [{"supplier": "north", "lead_time_days": 7.0, "currency": "EUR"}],
    "products": [
        {"product": "tea", "name": "Tea", "supplier": "north", "price": 5.0, "launched_on": "2025-01-01 00:00"},
        {"product": "milk", "supplier": "south", "price": 2.0, "launched_on": None},
    ],
    "bundles": [
        {"bundle": "set", "component": "tea", "quantity": 1.0},
        {"bundle": "set", "component": "milk", "quantity": 2.0},
    ],
    "prices": [
        {"product": "tea", "warehouse": None, "starts_on": "2026-01-01 00:00", "price": 5.0},
        {"product": "tea", "warehouse": "main", "starts_on": "2026-02-01 00:00", "price": 6.0},
    ],
    "calendar_events": [
        {"kind": "promotion", "name": "Sale", "starts_on": "2026-03-01 00:00", "ends_on": "2026-03-05 00:00",
         "scope_kind": "shop", "scope": None}
    ],
    "purchase_order_lines": [
        {"purchase_order": "P1", "supplier": "north", "product": "tea", "warehouse": "main", "quantity": 24.0,
         "expected_on": "2026-02-01 00:00"}
    ],
    "receipts": [
        {"purchase_order": "P1", "supplier": "north", "product": "tea", "warehouse": "main", "quantity": 10.0,
         "received_on": "2026-01-20 00:00"},
        {"purchase_order": "P0", "supplier": "west", "product": "milk", "warehouse": "main", "quantity": 5.0,
         "received_on": "2025-12-20 00:00"},
    ],
    "movements": [sale("1", "tea", 2), sale("2", "milk", 1, unit_price=2.0)],
    "stock_levels": [{"product": "tea", "warehouse": "main", "on_hand": 50.0, "as_of": "2026-01-01 00:00"}],
}  # fmt: skip


def test_an_undone_import_leaves_the_store_as_it_was_and_redo_as_it_had_become(
    shop: App, put: Callable[..., int]
) -> None:
    empty = state(shop)
    first = put(**EVERYTHING)
    full = state(shop)
    assert all(frame.height for frame in full.values())
    import_history.undo(shop, first)
    same(state(shop), empty)
    import_history.redo(shop, first)
    same(state(shop), full)


def test_values_go_back_to_what_they_were_before(shop: App, put: Callable[..., int]) -> None:
    put(products=[{"product": "tea", "price": 5.0}])
    before = state(shop)
    second = put(products=[{"product": "tea", "price": 6.0, "name": "Tea"}])
    import_history.undo(shop, second)
    same(state(shop), before)


def test_what_a_later_import_said_stays_and_is_named(shop: App, put: Callable[..., int]) -> None:
    first = put(products=[{"product": "tea", "price": 5.0, "name": "Tea"}])
    second = put(products=[{"product": "tea", "price": 6.0}])
    done = import_history.undo(shop, first)
    assert state(shop)["products"].select("product", "name", "price").rows() == [("tea", None, 6.0)]
    assert done.changes.left.rows() == [("product", "tea", "price", f"was changed since by import {second}")]
    import_history.undo(shop, second)
    assert state(shop)["products"].is_empty()


def test_a_value_two_imports_said_alike_stays_while_one_of_them_does(shop: App, put: Callable[..., int]) -> None:
    first = put(products=[{"product": "tea", "price": 5.0}])
    second = put(products=[{"product": "tea", "price": 5.0}])
    import_history.undo(shop, first)
    assert state(shop)["products"]["price"].to_list() == [5.0]
    import_history.undo(shop, second)
    assert state(shop)["products"].is_empty()


def test_what_stays_is_named_in_the_order_of_its_codes(shop: App, put: Callable[..., int]) -> None:
    rows = [{"product": code, "price": 5.0} for code in ("tea", "ale", "rye", "gin")]
    first = put(products=rows)
    put(products=rows[::-1])
    assert import_history.undo(shop, first).changes.left["key"].to_list() == ["ale", "gin", "rye", "tea"]


def test_what_was_changed_by_hand_since_stays(shop: App, put: Callable[..., int]) -> None:
    first = put(products=[{"product": "tea", "price": 5.0, "name": "Tea"}])
    with shop.database.write() as connection:
        catalogue.upsert_products(connection, pl.DataFrame({"product": ["tea"], "price": [7.0]}))
    done = import_history.undo(shop, first)
    assert state(shop)["products"].select("product", "name", "price").rows() == [("tea", None, 7.0)]
    assert "was changed by hand since" in done.changes.left["reason"].to_list()


def test_lines_that_a_later_import_brought_again_stay_with_it(shop: App, put: Callable[..., int]) -> None:
    first = put(movements=[sale("1", "tea", 2), sale("2", "tea", 3)])
    second = put(movements=[sale("2", "tea", 3), sale("3", "tea", 4)])
    done = import_history.undo(shop, first)
    assert (done.lines, done.handed_on) == (1, 1)
    assert state(shop)["demand"]["quantity"].to_list() == [7.0]
    import_history.undo(shop, second)
    assert state(shop)["demand"].is_empty()
    import_history.redo(shop, first)
    assert state(shop)["demand"]["quantity"].to_list() == [5.0]


def test_a_line_that_a_later_import_said_otherwise_says_that_once_the_first_is_undone(
    shop: App, put: Callable[..., int]
) -> None:
    first = put(movements=[sale("1", "tea", 2)])
    second = put(movements=[sale("1", "milk", 9, day=6)])
    assert state(shop)["demand"].select("product", "quantity").rows() == [("tea", 2.0)]
    import_history.undo(shop, first)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("milk", 9.0)]
    import_history.redo(shop, first)
    import_history.undo(shop, second)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("tea", 2.0)]


def test_a_line_says_what_the_import_left_said_whatever_those_undone_said_between(
    shop: App, put: Callable[..., int]
) -> None:
    first, second = put(movements=[sale("1", "tea", 2)]), put(movements=[sale("1", "milk", 9, day=6)])
    third = put(movements=[sale("1", "tea", 2)])
    import_history.undo(shop, first)
    import_history.undo(shop, second)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("tea", 2.0)]
    import_history.redo(shop, second)
    import_history.undo(shop, third)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("milk", 9.0)]
    import_history.redo(shop, third)
    import_history.undo(shop, second)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("tea", 2.0)]


def test_an_import_undone_after_its_line_changed_hands_comes_back_saying_what_it_said(
    shop: App, put: Callable[..., int]
) -> None:
    first, second = put(movements=[sale("1", "tea", 2)]), put(movements=[sale("1", "milk", 9, day=6)])
    third = put(movements=[sale("1", "tea", 2)])
    for number in (first, third, second):
        import_history.undo(shop, number)
    import_history.redo(shop, third)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("tea", 2.0)]


def test_a_product_that_something_else_uses_stays_until_that_is_gone_too(shop: App, put: Callable[..., int]) -> None:
    first = put(products=[{"product": "tea", "price": 5.0}])
    second = put(movements=[sale("1", "tea", 2)])
    done = import_history.undo(shop, first)
    assert state(shop)["products"].select("product", "price").rows() == [("tea", None)]
    assert done.changes.left.rows() == [("product", "tea", None, "is used since by something else")]
    import_history.undo(shop, second)
    assert state(shop)["products"].is_empty()


@pytest.mark.parametrize(
    ("named", "overwritten", "kind"),
    [
        (
            {"products": [{"product": "tea", "supplier": "north"}]},
            {"products": [{"product": "tea", "supplier": "south"}]},
            "suppliers",
        ),
        (
            {"bundles": [{"bundle": "set", "component": "tea", "quantity": 1.0}]},
            {"bundles": [{"bundle": "set", "component": "milk", "quantity": 1.0}]},
            "products",
        ),
        (
            {"movements": [sale("2", "tea", 1), sale("1", "milk", 1)]},
            {"movements": [sale("2", "milk", 1)]},
            "products",
        ),
    ],
)
def test_a_bare_code_that_an_import_named_stays_while_it_is_live(
    shop: App, put: Callable[..., int], tmp_path: Path, named: Any, overwritten: Any, kind: str
) -> None:
    """Whichever import brought it, and whatever stands in its place by now."""
    first, second, third = put(**named), put(**named), put(**overwritten)
    import_history.undo(shop, first)
    left = state(shop)
    with open_app(tmp_path / "other.db", folder=tmp_path) as other:
        book(other, named, "2")
        book(other, overwritten, "3")
        same(left, state(other))
    import_history.undo(shop, second)
    import_history.undo(shop, third)
    assert state(shop)[kind].is_empty()


def test_a_code_that_a_line_says_otherwise_stays_for_the_day_that_line_holds(
    shop: App, put: Callable[..., int]
) -> None:
    first = put(movements=[sale("1", "tea", 2)])
    second = put(movements=[sale("2", "milk", 2)])
    third = put(movements=[sale("1", "milk", 2)])
    import_history.undo(shop, second)
    assert state(shop)["products"]["product"].to_list() == ["milk", "tea"]
    import_history.undo(shop, first)
    assert state(shop)["demand"].select("product", "quantity").rows() == [("milk", 2.0)]
    import_history.undo(shop, third)
    assert state(shop)["products"].is_empty()


def test_an_order_received_by_hand_since_stays(shop: App, put: Callable[..., int]) -> None:
    first = put(purchase_order_lines=EVERYTHING["purchase_order_lines"])
    with shop.database.write() as connection:
        purchasing.receive(connection, "P1", received_on=pl.Series(["2026-01-30"]).str.to_date()[0])
    done = import_history.undo(shop, first)
    orders = state(shop)["orders"]
    assert orders.select("quantity", "quantity_received", "status").rows() == [(24.0, 24.0, "received")]
    assert {"purchase order", "order line"} <= set(done.changes.left["what"])


def test_a_trial_changes_nothing_and_says_what_it_would_do(shop: App, put: Callable[..., int]) -> None:
    first = put(**EVERYTHING)
    full = state(shop)
    would = import_history.undo(shop, first, dry_run=True)
    same(state(shop), full)
    done = import_history.undo(shop, first)
    assert (would.lines, would.changes.removed) == (done.lines, done.changes.removed)
    assert (done.lines, done.changes.removed["products"], done.changes.removed["purchase orders"]) == (3, 3, 2)


def test_undo_and_redo_leave_events(shop: App, put: Callable[..., int]) -> None:
    first = put(movements=[sale("1", "tea", 2)])
    import_history.undo(shop, first)
    import_history.redo(shop, first)
    told = history.history(shop)["event"].to_list()
    assert told[:3] == ["movements_recorded", "import_redone", "import_undone"]


def test_what_is_undone_unknown_or_live_is_refused_with_a_way_out(shop: App, put: Callable[..., int]) -> None:
    with pytest.raises(NotFound, match="nothing was imported yet"):
        import_history.undo(shop, 1)
    first = put(movements=[sale("1", "tea", 2)])
    with pytest.raises(ConflictError, match="was not undone"):
        import_history.redo(shop, first)
    import_history.undo(shop, first)
    with pytest.raises(ConflictError, match="imports redo 1"):
        import_history.undo(shop, first)
    with pytest.raises(NotFound, match="the last one is 1"):
        import_history.shown(shop, 9)


def random_tables(rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    """A small import that says some things of few codes, so that imports meet."""
    codes = ["a", "b", "c"]
    tables: dict[str, list[dict[str, Any]]] = {}
    picked = rng.sample(codes, rng.randint(1, 3))
    if rng.random() < 0.7:
        tables["products"] = [
            {"product": code, "price": rng.choice([None, 1.0, 2.0]), "name": rng.choice([None, "x", "y"]),
             "supplier": rng.choice([None, "s", "t"])} for code in picked
        ]  # fmt: skip
        for column, dtype in (("price", 0.5), ("name", "z"), ("supplier", "s")):
            tables["products"][0][column] = tables["products"][0][column] or dtype
    if rng.random() < 0.6:
        tables["movements"] = [sale(str(rng.randint(1, 6)), rng.choice(codes), float(rng.randint(1, 3)))]
        tables["movements"] += [sale(str(n + 10), rng.choice(codes), 1.0) for n in range(rng.randint(0, 3))]
    if rng.random() < 0.4:
        tables["stock_levels"] = [
            {"product": code, "warehouse": "main", "on_hand": float(rng.randint(0, 9)),
             "as_of": f"2026-01-0{rng.randint(1, 9)} 00:00"} for code in picked
        ]  # fmt: skip
    if rng.random() < 0.4:
        tables["prices"] = [
            {"product": code, "warehouse": "main", "starts_on": "2026-01-01 00:00", "price": float(rng.randint(1, 3))}
            for code in picked
        ]
    if rng.random() < 0.4:
        supplier = rng.choice(["s", "t"])
        tables["purchase_order_lines"] = [
            {"purchase_order": "P1", "supplier": supplier, "product": code, "warehouse": "main",
             "quantity": float(rng.randint(1, 9)), "quantity_received": float(rng.randint(0, 3))} for code in picked
        ]  # fmt: skip
    if rng.random() < 0.3:
        tables["bundles"] = [{"bundle": "set", "component": code, "quantity": 1.0} for code in picked]
    return tables or {"products": [{"product": "a", "price": 3.0}]}


@pytest.mark.parametrize("seed", range(int(os.environ.get("SHELFWISE_UNDO_SEEDS", "4"))))
def test_any_imports_with_some_undone_are_as_if_those_had_never_been(
    shop: App, put: Callable[..., int], tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    given = [random_tables(rng) for _ in range(5)]
    numbers = [put(**tables) for tables in given]
    all_of_it = state(shop)
    undone = rng.sample(numbers, rng.randint(1, 4))
    for number in undone:
        import_history.undo(shop, number)
    left = state(shop)
    with open_app(tmp_path / "other.db", folder=tmp_path) as other:
        for number, tables in zip(numbers, given, strict=True):
            if number not in undone:
                book(other, tables, str(number))
        same(left, state(other))
    for number in sorted(undone):
        import_history.redo(shop, number)
    again = state(shop)
    same({k: v for k, v in again.items() if k not in ("demand", "levels", "on hand")}, all_of_it)
