"""Live forecasts: a row never goes back, and the version rises with changes alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import polars as pl

from shelfwise.domain.events import MovementsRecorded, PlanPublished
from shelfwise.storage import live_forecasts, outbox, sales, stock
from shelfwise.storage.database import Database
from shelfwise.storage.live_forecasts import LiveRow, News, Publication

DAY = dt.date(2026, 11, 18)
NOW = dt.datetime.combine(DAY, dt.time(9))
MADE = Publication(
    watermark=3, model="base_level", model_version="1", fitted_model="f" * 64, first_day=DAY,
    data_until=DAY - dt.timedelta(days=1), horizon=28, published_at=NOW,
)  # fmt: skip


def row(product: str, payload: bytes, *, watermark: int = 3, warehouse: str = "main") -> LiveRow:
    return LiveRow(
        product=product, warehouse=warehouse, watermark=watermark, model="base_level", model_version="1",
        data_until=MADE.data_until, horizon=28, computed_at=NOW, payload=payload,
    )  # fmt: skip


def test_what_is_published_is_read_back_and_the_rest_is_gone(database: Database) -> None:
    with database.write() as connection:
        assert live_forecasts.publication(connection) is None
        assert live_forecasts.publish(connection, MADE, [row("A", b"1"), row("é ä", b"2", warehouse="Süd")]) == (1, [])
    with database.write() as connection:
        assert live_forecasts.publish(connection, MADE, iter([row("A", b"1"), row("a", b"3")])) == (2, [])
    with database.read() as connection:
        assert live_forecasts.publication(connection) == replace(MADE, version=2)
        assert live_forecasts.of_product(connection, "é ä") == []
        # what came out as it was keeps its version; codes differ by case
        assert live_forecasts.of_product(connection, "A") == [replace(row("A", b"1"), version=1)]
        assert live_forecasts.of_product(connection, "a") == [replace(row("a", b"3"), version=2)]
        assert live_forecasts.changed_since(connection, 1) == [("a", "main", 2)]


def test_saving_raises_the_version_of_what_changed_alone(database: Database) -> None:
    with database.write() as connection:
        live_forecasts.publish(connection, MADE, [row("A", b"1"), row("B", b"1"), row("B", b"1", warehouse="web")])
        changed = live_forecasts.save(connection, [row("A", b"1", watermark=4), row("B", b"2", watermark=4)])
        assert [(one.product, one.version) for one in changed] == [("B", 2)]
        assert live_forecasts.save(connection, [row("B", b"2", watermark=5)]) == []
    with database.read() as connection:
        assert live_forecasts.changed_since(connection, 0) == [("A", "main", 1), ("B", "web", 1), ("B", "main", 2)]
        assert live_forecasts.of_series(connection, "B", "main") == changed[0]
        assert live_forecasts.of_series(connection, "B", "nowhere") is None


def test_a_row_that_has_felt_less_does_not_take_the_place_of_one_that_has_felt_more(database: Database) -> None:
    with database.write() as connection:
        live_forecasts.publish(connection, MADE, [row("A", b"1"), row("B", b"1")])
        live_forecasts.save(connection, [row("A", b"9", watermark=9)])
        assert live_forecasts.save(connection, [row("A", b"4", watermark=4)]) == []
        assert live_forecasts.publish(connection, MADE, [row("A", b"5"), row("B", b"5")]) == (3, ["A"])
        assert [one.payload for one in live_forecasts.of_product(connection, "A")] == [b"9"]
        assert [one.payload for one in live_forecasts.of_product(connection, "B")] == [b"5"]


def test_more_rows_than_are_written_at_once_are_all_there(database: Database) -> None:
    many = [row(f"P{n:04}", b"x") for n in range(1203)]
    with database.write() as connection:
        live_forecasts.publish(connection, MADE, many)
    with database.read() as connection:
        assert len(live_forecasts.changed_since(connection, 0, limit=5000)) == 1203


def test_news_are_the_names_of_what_happened_since(database: Database) -> None:
    with database.write() as connection:
        assert live_forecasts.newest_event(connection) == 0
        outbox.append(connection, NOW, MovementsRecorded("test", 1), PlanPublished(1))
        assert live_forecasts.newest_event(connection) == 2
        assert live_forecasts.news(connection, 1) == News(2, frozenset({"plan_published"}))
        assert live_forecasts.news(connection, 2) == News(2, frozenset())


def movement(line: str, kind: str, product: str, at: dt.datetime, units: float) -> dict[str, object]:
    return {
        "source": "test", "line_id": line, "kind": kind, "occurred_at": at, "product": product, "warehouse": "main",
        "quantity": units,
    }  # fmt: skip


def test_what_was_booked_is_followed_by_number_and_summed_by_day(database: Database) -> None:
    early = NOW - dt.timedelta(days=1)
    first = [movement("1", "count", "A", early, 10.0), movement("2", "sale", "A", NOW, 3.0)]
    then = [movement("3", "sale", "A", NOW, 2.0), movement("4", "sale", "B", NOW, 1.0)]
    with database.write() as connection:
        assert sales.last_booking(connection) == 0
        sales.append_movements(connection, pl.DataFrame(first))
        seen = sales.last_booking(connection)
        sales.append_movements(connection, pl.DataFrame(then))
    with database.read() as connection:
        found = sales.bookings_since(connection, seen, 10)
        assert sorted((one.product, one.warehouse, one.kind, one.day, one.quantity) for one in found) == [
            ("A", "main", "sale", DAY, 2.0),
            ("B", "main", "sale", DAY, 1.0),
        ]
        assert len(sales.bookings_since(connection, 0, 3)) == 3
        assert sales.bookings_since(connection, found[-1].id, 10) == []
        assert sales.sold_on(connection, DAY) == {("A", "main"): 5.0, ("B", "main"): 1.0}
        assert sales.sold_on(connection, DAY, until_booking=seen) == {("A", "main"): 3.0}
        assert sales.sold_on(connection, DAY, product="B") == {("B", "main"): 1.0}
        assert stock.on_hand_of(connection, ["A", "B", "C"]) == {("A", "main"): 5.0}
