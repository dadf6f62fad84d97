"""Movements reported in any order, in any groups, repeated and changed, against a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.storage.databases import EVERY, empty_address

from shelfwise.app import App, open_app
from shelfwise.domain.errors import ConflictError, ParameterError, ShelfwiseError
from shelfwise.domain.events import MovementsRecorded
from shelfwise.services.idempotent import Keyed
from shelfwise.services.recording import Kind, Movement, Recorded, Request, record
from shelfwise.storage import outbox, stock, tables

START = datetime.fromisoformat("2026-01-05")
PLACES = ("main", "back")


@pytest.fixture(scope="module", params=EVERY)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An open shop on each database there is."""
    folder = tmp_path_factory.mktemp("recorded")
    with empty_address(request.param, folder) as address, open_app(address, folder=folder) as app:
        yield app


@st.composite
def requests(draw: st.DrawFn) -> Request:
    kind: Kind = draw(st.sampled_from(["sale", "sale", "return", "receipt", "adjustment", "transfer", "count"]))
    place = draw(st.sampled_from(PLACES))
    movement = Movement(
        draw(st.sampled_from(["tea", "milk"])), kind, float(draw(st.integers(1, 3))),
        START + timedelta(hours=draw(st.integers(0, 6))), place,
        PLACES[1 - PLACES.index(place)] if kind == "transfer" else None, draw(st.sampled_from("abcdefgh")),
    )  # fmt: skip
    key = draw(st.sampled_from([None, None, "k", "l"]))
    return Request(movement, None if key is None else Keyed.of("", key, repr(movement)))


@dataclass
class Model:
    """What is booked under each id, what was answered under each key, and the stock that follows."""

    booked: dict[str, Movement] = field(default_factory=dict)
    answered: dict[str, tuple[Keyed, str]] = field(default_factory=dict)

    def told(self, asked: Request) -> tuple[type[ShelfwiseError] | None, bool]:
        """Book it, and return the error that is to come, and whether anything is new."""
        if asked.key is not None and asked.key.key in self.answered:
            same = self.answered[asked.key.key][0] == asked.key
            return (None if same else ParameterError), False
        line = str(asked.movement.id)
        before = self.booked.get(line)
        if before is not None and before != asked.movement:
            return ConflictError, False
        if asked.key is not None:
            self.answered[asked.key.key] = asked.key, line
        self.booked[line] = asked.movement
        return None, before is None

    def on_hand(self) -> dict[tuple[str, str], float]:
        """Work the stock out anew: the latest count, and what came at or after it."""
        lines: list[tuple[str, str, Movement, float]] = []
        for one in self.booked.values():
            change = {"sale": -one.quantity, "transfer": -one.quantity, "count": 0.0}.get(one.kind, one.quantity)
            lines.append((one.product, str(one.warehouse), one, change))
            if one.to_warehouse is not None:
                lines.append((one.product, one.to_warehouse, one, one.quantity))
        levels: dict[tuple[str, str], float] = {}
        for pair in {(product, place) for product, place, _, _ in lines}:
            mine = [(one, change) for product, place, one, change in lines if (product, place) == pair]
            counts = [one for one, _ in mine if one.kind == "count"]
            if counts:
                # Of two counts at one moment the one booked later holds; a dictionary keeps the order of booking.
                latest = max(enumerate(counts), key=lambda count: (_at(count[1]), count[0]))[1]
                levels[pair] = latest.quantity + sum(change for one, change in mine if _at(one) >= _at(latest))
        return levels


def _at(movement: Movement) -> datetime:
    assert movement.occurred_at is not None
    return movement.occurred_at


@given(groups=st.lists(st.lists(requests(), min_size=1, max_size=6), max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_groups_of_requests_leave_what_a_dictionary_says(shop: App, groups: list[list[Request]]) -> None:
    with shop.database.write() as connection:
        for table in (
            tables.stock_movements, tables.stock_levels, tables.outbox, tables.idempotency_keys, tables.warehouses,
        ):  # fmt: skip
            connection.execute(table.delete())
        connection.execute(tables.warehouses.insert(), [{"code": place} for place in PLACES])
    model, fresh = Model(), 0
    for group in groups:
        # A key is in a group once: the second request of it is refused before it gets there.
        first = {one.key.key: n for n, one in reversed([*enumerate(group)]) if one.key is not None}
        asked = [one for n, one in enumerate(group) if one.key is None or first[one.key.key] == n]
        with shop.database.write() as connection:
            answers = record(shop, connection, asked)
        for one, answer in zip(asked, answers, strict=True):
            error, new = model.told(one)
            assert (type(answer) if isinstance(answer, ShelfwiseError) else None) is error
            if isinstance(answer, Recorded):
                assert answer.fresh is new
            fresh += (1 + (one.movement.kind == "transfer")) * new
    with shop.database.read() as connection:
        levels = stock.stock_levels(connection).select("product", "warehouse", "on_hand").rows()
        lines = connection.scalar(select(func.count()).select_from(tables.stock_movements))
        events = [one.event for one in outbox.since(connection)]
    assert {(product, place): units for product, place, units in levels} == model.on_hand()
    assert lines == fresh == sum(one.inserted for one in events if isinstance(one, MovementsRecorded))
