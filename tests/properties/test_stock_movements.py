"""Stock is kept exactly: random movements on each database against a small model in memory.

One file, because the model, the steps that lead both and the comparison are read together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.storage.databases import EVERY, empty_address, empty_all

from shelfwise.app import App, open_app
from shelfwise.domain.errors import ConflictError, ParameterError
from shelfwise.domain.frames import MOVEMENTS
from shelfwise.services import import_history, importing, ordering, stock_corrections, stock_movements
from shelfwise.storage import catalogue, corrections, levels, purchasing, sales, stock, tables
from shelfwise.storage.corrections import Content
from shelfwise.storage.movement_history import movement_history

START = datetime.fromisoformat("2026-01-05")
FOREVER = datetime.fromisoformat("9999-01-01")
DAYS = 4
PRODUCTS, PLACES = ("tea", "milk"), ("main", "back")
HAND, ORDERS = stock_movements.SOURCE, purchasing.MOVEMENT_SOURCE
Key = tuple[str, str]
Pair = tuple[str, str]


@pytest.fixture(scope="module", params=EVERY)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An open shop on each database there is."""
    folder = tmp_path_factory.mktemp("movements")
    with empty_address(request.param, folder) as address, open_app(address, folder=folder) as app:
        yield app


# ---------------------------------------------------------------------- the model


@dataclass
class Line:
    said: Content
    place: int
    owner: int | None = None


@dataclass
class Correction:
    number: int
    lines: dict[Key, tuple[Content, Content | None]]
    brought_by: int | None = None
    reverted: bool = False


@dataclass
class Order:
    ordered: dict[Pair, float]
    receipts: list[tuple[Key, Pair]] = field(default_factory=list)
    deliveries: set[str] = field(default_factory=set)


@dataclass
class Model:
    """The rules, told slowly: lines as booked, corrections as made, and nothing worked out in advance."""

    lines: dict[Key, Line] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)
    said: dict[int, dict[Key, Content]] = field(default_factory=dict)
    undone: set[int] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    booked: int = 0

    def book(self, key: Key, said: Content, owner: int | None = None) -> bool:
        if key in self.lines:
            return False
        self.booked += 1
        self.lines[key] = Line(said, self.booked, owner)
        return True

    def undo(self, number: int) -> None:
        self.undone.add(number)
        for key in [key for key, line in self.lines.items() if line.owner == number]:
            others = [n for n in sorted(self.said) if n not in self.undone and key in self.said[n]]
            if others:
                self.lines[key].owner = others[0]
                self.lines[key].said = self.said[others[0]][key]
            else:
                del self.lines[key]

    def redo(self, number: int) -> None:
        self.undone.discard(number)
        for key, said in self.said[number].items():
            self.book(key, said, number)

    def holding(self, key: Key) -> Correction | None:
        for one in reversed(self.corrections):
            stands = not one.reverted and one.brought_by not in self.undone
            if stands and key in one.lines and one.lines[key][0] == self.lines[key].said:
                return one
        return None

    def now(self, key: Key) -> Content | None:
        holds = self.holding(key)
        return self.lines[key].said if holds is None else holds.lines[key][1]

    def standing(self) -> list[tuple[int, Key, Content]]:
        return [(line.place, key, now) for key, line in self.lines.items() if (now := self.now(key)) is not None]

    def level(self, pair: Pair, until: datetime = FOREVER) -> float | None:
        level: float | None = None
        # At one moment counts come first, and of two counts the one booked later holds.
        here = [
            (c.occurred_at, c.kind != "count", place, c)
            for place, _, c in self.standing()
            if (c.product, c.warehouse) == pair and c.occurred_at < until
        ]
        for *_, content in sorted(here, key=lambda row: row[:3]):
            if content.kind == "count":
                level = content.quantity
            elif level is not None:
                level += -content.quantity if content.kind == "sale" else content.quantity
        return level

    def levels(self) -> dict[Pair, float]:
        pairs = {(c.product, c.warehouse) for _, _, c in self.standing()}
        return {pair: level for pair in pairs if (level := self.level(pair)) is not None}

    def closing(self) -> dict[tuple[str, str, date], float]:
        days = [c.occurred_at.date() for _, _, c in self.standing()]
        found = {}
        for pair in self.levels():
            day = min(days)
            while day <= max(days):
                level = self.level(pair, datetime.combine(day + timedelta(days=1), time()))
                if level is not None:
                    found[(*pair, day)] = level
                day += timedelta(days=1)
        return found

    def demand(self) -> dict[tuple[str, str, date], float]:
        found: dict[tuple[str, str, date], float] = {}
        for _, _, c in self.standing():
            if c.kind == "sale":
                key = c.product, c.warehouse, c.occurred_at.date()
                found[key] = found.get(key, 0.0) + c.quantity
        return found

    def received(self, order: Order, pair: Pair) -> float:
        now = [self.now(key) for key, where in order.receipts if where == pair]
        return sum(content.quantity for content in now if content is not None)

    def state(self, order: Order) -> str:
        came = {pair: self.received(order, pair) for pair in order.ordered}
        if all(came[pair] >= units for pair, units in order.ordered.items()):
            return "received"
        return "part_received" if any(came.values()) else "sent"

    def due(self) -> dict[tuple[str, str, str], float]:
        return {
            (number, *pair): left
            for number, order in self.orders.items()
            for pair, units in order.ordered.items()
            if (left := units - self.received(order, pair)) > 0
        }

    def receipts(self) -> dict[tuple[str, str, str, date], float]:
        found: dict[tuple[str, str, str, date], float] = {}
        for number, order in self.orders.items():
            for key, pair in order.receipts:
                now = self.now(key)
                if now is not None and now.quantity:
                    day = (number, *pair, now.occurred_at.date())
                    found[day] = found.get(day, 0.0) + now.quantity
        return found

    def history(self, product: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for key, line in self.lines.items():
            about = [one for one in self.corrections if key in one.lines]
            put = [one.lines[key][1] for one in about]
            if line.said.product != product and not any(c is not None and c.product == product for c in put):
                continue
            holds = self.holding(key)
            rows.append((*key, "booked", holds is None, line.said.quantity))
            for one in about:
                content = one.lines[key][1]
                word = "taken off" if content is None else "corrected"
                rows.append((*key, word, holds is one, None if content is None else content.quantity))
                rows += [(*key, "reverted", False, None)] if one.reverted else []
        return sorted(rows, key=str)


# ---------------------------------------------------------------------- the store beside it


class Both:
    """The store and the model, led through the same steps."""

    def __init__(self, app: App) -> None:
        self.app, self.model = app, Model()
        with app.database.write() as connection:
            empty_all(connection)
            # Of no import, so that undoing one takes none of them away.
            catalogue.upsert_products(connection, pl.DataFrame({"product": PRODUCTS}))
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": PLACES}))

    def _import(self, said: dict[Key, Content], *, correct: bool) -> None:
        rows = [
            {
                "source": source, "line_id": line, "kind": c.kind, "occurred_at": c.occurred_at, "product": c.product,
                "warehouse": c.warehouse, "quantity": c.quantity, "unit_price": c.unit_price,
            }
            for (source, line), c in said.items()
        ]  # fmt: skip
        frame = MOVEMENTS.check(pl.DataFrame(rows, schema_overrides={"unit_price": pl.Float64}))
        name = str(len(self.model.said))
        number, done = importing.book(
            self.app, {"movements": frame}, file_name=name, fingerprint=name, profile="test", receipt={}
        )
        self.model.said[number] = dict(said)
        new = sum(self.model.book(key, content, number) for key, content in said.items())
        assert (done.inserted, done.duplicates) == (new, len(said) - new)
        other = {
            key: content
            for key, content in said.items()
            if self.model.lines[key].owner != number
            and content not in (self.model.lines[key].said, self.model.now(key))
        }
        with self.app.database.write() as connection:
            assert corrections.differing(connection, frame, number).lines == len(other)
            if correct:
                made, lines = corrections.correct_differing(
                    connection, frame, reason="the till says so", made_by="a till", made_at=START, import_id=number
                )
                assert lines == len(other)
                if made is not None:
                    lines_of = {key: (self.model.lines[key].said, content) for key, content in other.items()}
                    self.model.corrections.append(Correction(made, lines_of, brought_by=number))

    def file(self, lines: list[tuple[int, Content]], correct: bool) -> None:
        self._import({("till", str(n)): content for n, content in lines}, correct=correct)

    def again(self, which: int) -> None:
        if not self.model.said:
            return
        numbers = sorted(self.model.said)
        self._import(self.model.said[numbers[which % len(numbers)]], correct=False)

    def undo(self, which: int) -> None:
        if not self.model.said:
            return
        number = sorted(self.model.said)[which % len(self.model.said)]
        if number in self.model.undone:
            with pytest.raises(ConflictError):
                import_history.undo(self.app, number)
            return
        import_history.undo(self.app, number)
        self.model.undo(number)

    def redo(self, which: int) -> None:
        if self.model.undone:
            number = sorted(self.model.undone)[which % len(self.model.undone)]
            import_history.redo(self.app, number)
            self.model.redo(number)

    def hand(self, kind: str, name: int, said: Content, other: str) -> None:
        """Count, adjust or transfer by hand; the same id again does nothing, or is refused."""
        do = {
            "count": lambda: stock_movements.count(
                self.app, said.product, said.quantity, warehouse=said.warehouse, at=said.occurred_at, id=str(name)
            ),
            "adjustment": lambda: stock_movements.adjust(
                self.app, said.product, said.quantity, warehouse=said.warehouse, at=said.occurred_at, reason="found",
                id=str(name),
            ),
            "transfer": lambda: stock_movements.transfer(
                self.app, said.product, said.quantity, origin=said.warehouse, destination=other, at=said.occurred_at,
                id=str(name),
            ),
        }[kind]  # fmt: skip
        legs = {(HAND, f"{kind} {name}"): replace(said, kind=kind)}
        if kind == "transfer":
            legs = {
                (HAND, f"transfer {name}/out"): replace(said, kind=kind, quantity=-said.quantity),
                (HAND, f"transfer {name}/in"): replace(said, kind=kind, warehouse=other),
            }
        if (kind != "count" and said.quantity == 0) or (kind == "transfer" and other == said.warehouse):
            with pytest.raises(ParameterError):
                do()
            return
        booked = {key: self.model.lines[key].said for key in legs if key in self.model.lines}
        now = {key: self.model.now(key) for key in booked}
        if any(legs[key] not in (booked[key], now[key]) for key in booked):
            with pytest.raises(ConflictError, match="something else is booked"):
                do()
            return
        before = self.units()
        assert do().repeated == bool(booked)
        for key, leg in legs.items():
            self.model.book(key, leg)
        if kind == "transfer":
            assert self.units() == before

    def units(self) -> float:
        """The sum of all that moved: a transfer changes it nowhere."""
        moved = [
            -c.quantity if c.kind == "sale" else c.quantity for _, _, c in self.model.standing() if c.kind != "count"
        ]
        return sum(moved)

    def order(self, pairs: dict[Pair, float]) -> None:
        number = f"PO-{len(self.model.orders)}"
        lines = pl.DataFrame(
            [{"product": p, "warehouse": w, "quantity": units} for (p, w), units in pairs.items()]
        )  # fmt: skip
        with self.app.database.write() as connection:
            purchasing.create_purchase_order(connection, "north", lines, created_at=START, number=number)
            purchasing.send(connection, number, START.date())
        self.model.orders[number] = Order(pairs)

    def receive(self, which: int, units: float | None, when: datetime, delivery: str | None) -> None:
        if not self.model.orders:
            return
        number, order = list(self.model.orders.items())[which % len(self.model.orders)]
        left = {pair: n - self.model.received(order, pair) for pair, n in order.ordered.items()}
        came = {pair: left[pair] if units is None else units for pair in left if units or left[pair] > 0}
        given = None if units is None else {f"{p}@{w}": units for p, w in came}
        if delivery in order.deliveries:
            assert ordering.receive(self.app, number, given, when.date(), delivery).repeated
            return
        if self.model.state(order) == "received":
            with pytest.raises(ConflictError, match="all of it has come"):
                ordering.receive(self.app, number, given, when.date(), delivery)
            return
        done = ordering.receive(self.app, number, given, when.date(), delivery)
        assert not done.repeated
        order.deliveries |= set() if delivery is None else {delivery}
        with self.app.database.read() as connection:
            m, s = tables.stock_movements.c, tables.sources.c
            source = select(s.id).where(s.code == ORDERS).scalar_subquery()
            booked = connection.scalars(select(m.line_id).where(m.source_id == source).order_by(m.id)).all()
        fresh = [line_id for line_id in booked if (ORDERS, line_id) not in self.model.lines]
        moment = datetime.combine(when.date(), time())
        for line_id, (pair, n) in zip(fresh, came.items(), strict=True):
            self.model.book((ORDERS, line_id), Content("receipt", *pair, moment, n))
            order.receipts.append(((ORDERS, line_id), pair))

    def correct(self, which: int, change: dict[str, Any] | None) -> None:
        """Correct a line, both lines of a transfer together."""
        keys = sorted(self.model.lines)
        if not keys:
            return
        key = keys[which % len(keys)]
        both = [key]
        if key[0] == HAND and key[1].endswith(("/out", "/in")):
            stem = key[1].rsplit("/", 1)[0]
            both.append((HAND, f"{stem}/{'in' if key[1].endswith('/out') else 'out'}"))
        with self.app.database.read() as connection:
            line = corrections.line_of(connection, *key).number
        given = {"at" if k == "occurred_at" else k: v for k, v in (change or {}).items()}
        kind = (self.model.now(key) or self.model.lines[key].said).kind  # an import may have corrected that, too
        refused = (key[0] == ORDERS and "product" in given) or (
            "quantity" in given and (
                (len(both) > 1 and given["quantity"] <= 0) or (given["quantity"] < 0 and kind not in corrections.SIGNED)
            )
        )  # fmt: skip
        wanted: dict[Key, Content | None] = {}
        for one in [] if refused else both:
            old = self.model.now(one) or self.model.lines[one].said
            new = None if change is None else replace(old, **change)
            if new is not None and "quantity" in (change or {}) and len(both) > 1 and old.quantity < 0:
                new = replace(new, quantity=-new.quantity)
            wanted[one] = new
        if refused or any(self.model.now(one) == new for one, new in wanted.items()):
            with pytest.raises((ParameterError, ConflictError)):
                stock_corrections.correct(self.app, line, reason="typed wrongly", counts=change is not None, **given)
            return
        done = stock_corrections.correct(self.app, line, reason="typed wrongly", counts=change is not None, **given)
        lines = {one: (self.model.lines[one].said, new) for one, new in wanted.items()}
        self.model.corrections.append(Correction(done.number, lines))

    def revert(self, which: int) -> None:
        if not self.model.corrections:
            return
        one = self.model.corrections[which % len(self.model.corrections)]
        if one.reverted or one.brought_by in self.model.undone:
            with pytest.raises(ConflictError):
                stock_corrections.revert(self.app, one.number, reason="was right")
            return
        stock_corrections.revert(self.app, one.number, reason="was right")
        one.reverted = True

    def check(self) -> None:
        """All that is read of the store is what the model says."""
        model = self.model
        with self.app.database.read() as connection:
            on_hand = stock.stock_levels(connection)
            closing = stock.daily_on_hand(connection)
            demand = sales.daily_demand(connection)
            span = sales.sales_span(connection)
            due = purchasing.open_order_lines(connection)
            orders = purchasing.purchase_orders(connection)
            receipts = purchasing.receipts(connection)
            told = {product: movement_history(connection, product, limit=1000) for product in PRODUCTS}
        assert {(p, w): q for p, w, q, _ in on_hand.iter_rows()} == model.levels()
        assert {(p, w, d): q for p, w, d, q in closing.iter_rows()} == model.closing()
        sold = model.demand()
        assert {(r["product"], r["warehouse"], r["day"]): r["quantity"] for r in demand.iter_rows(named=True)} == sold
        days = [day for *_, day in sold]
        assert span == ((min(days), max(days)) if days else None)
        left = {
            (r["purchase_order"], r["product"], r["warehouse"]): r["quantity"] - r["quantity_received"]
            for r in due.iter_rows(named=True)
        }
        assert left == model.due()
        states = dict(orders.select("purchase_order", "status").iter_rows())
        assert states == {number: model.state(order) for number, order in model.orders.items()}
        came: dict[tuple[str, str, str, date], float] = {}
        for r in receipts.iter_rows(named=True):
            key = r["purchase_order"], r["product"], r["warehouse"], r["received_on"]
            came[key] = came.get(key, 0.0) + r["quantity"]
        assert came == model.receipts()
        for product, frame in told.items():
            rows = frame.select("source", "line_id", "record", "holds", "quantity").rows()
            assert sorted(rows, key=str) == model.history(product)


moments = st.integers(0, 4 * DAYS).map(
    lambda n: START + timedelta(hours=6 * n)
)  # lines often share a day, and a moment
units = st.integers(0, 12).map(lambda n: n / 2)  # halves, whose sums are exact
products, places = st.sampled_from(PRODUCTS), st.sampled_from(PLACES)
content = st.builds(
    Content,
    st.sampled_from(["sale", "sale", "return", "receipt", "adjustment", "transfer", "count"]),
    products, places, moments, units, st.sampled_from([None, 2.5]),
)  # fmt: skip
pairs = st.tuples(products, places)
index = st.integers(0, 30)
changes = st.one_of(
    st.none(),
    st.fixed_dictionaries({"quantity": st.integers(-2, 12).map(lambda n: n / 2)}),
    st.fixed_dictionaries({"product": products}),
    st.fixed_dictionaries({"occurred_at": moments}),
    st.fixed_dictionaries({"quantity": units, "occurred_at": moments}),
)
lines = st.lists(st.tuples(st.integers(0, 12), content), min_size=1, max_size=5, unique_by=lambda line: line[0])
by_hand = st.builds(Content, st.just("count"), products, places, moments, units)
steps = st.one_of(
    st.tuples(st.just("file"), lines, st.booleans()),
    st.tuples(st.just("again"), index),
    st.tuples(st.just("undo"), index),
    st.tuples(st.just("redo"), index),
    st.tuples(
        st.just("hand"), st.sampled_from(["count", "adjustment", "transfer"]), st.integers(0, 3), by_hand, places
    ),
    st.tuples(st.just("order"), st.dictionaries(pairs, st.integers(1, 9).map(float), min_size=1, max_size=3)),
    st.tuples(
        st.just("receive"), index, st.none() | st.integers(1, 9).map(float), moments,
        st.none() | st.sampled_from(["D1", "D2"]),
    ),
    st.tuples(st.just("correct"), index, changes),
    st.tuples(st.just("correct"), index, changes),
    st.tuples(st.just("revert"), index),
)  # fmt: skip


SOLD = Content("sale", "tea", "main", START + timedelta(days=1), 5.0)


# An import that corrected a line is undone and redone: the level must follow both times.
@example(
    walk=[
        ("hand", "count", 0, Content("count", "tea", "main", START, 9.0), "main"),
        ("file", [(0, SOLD)], False),
        ("file", [(0, replace(SOLD, quantity=2.0))], True),
        ("undo", 1),
        ("redo", 0),
    ]
)
# An import corrected an adjustment to a sale, which a person then corrects to less than nothing.
@example(
    walk=[
        ("file", [(0, replace(SOLD, kind="adjustment"))], False),
        ("file", [(0, SOLD)], True),
        ("correct", 0, {"quantity": -0.5}),
        ("revert", 0),
        ("correct", 0, {"quantity": -0.5}),
        ("revert", 1),
    ]
)
@given(walk=st.lists(steps, min_size=1, max_size=14))
@settings(max_examples=int(os.environ.get("SHELFWISE_STOCK_WALKS", "8")), suppress_health_check=list(HealthCheck))
def test_any_movements_leave_the_stock_demand_orders_and_history_that_the_model_has(
    shop: App, walk: list[tuple[Any, ...]]
) -> None:
    both = Both(shop)
    for name, *given_ in walk:
        getattr(both, name)(*given_)
        both.check()
    with shop.database.write() as connection:
        before = stock.stock_levels(connection)
        levels.rebuild(connection)
        assert stock.stock_levels(connection).equals(before)
