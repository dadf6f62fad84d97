"""Stock at the end of shop days: kept once a day, made up for, and told as of a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.services.worlds import count, sales
from tests.storage.conftest import address, pool

from shelfwise.app import App, open_app
from shelfwise.domain import frames
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ParameterError
from shelfwise.services import importing, job_kinds, jobs, ordering, stock_movements, stock_snapshots
from shelfwise.services.background import Background
from shelfwise.storage import stock_snapshots as stored

__all__ = ["address", "pool"]

NIGHT = dt.datetime(2026, 11, 21, 2)  # noqa: DTZ001 - shop time has no zone
FRIDAY = dt.date(2026, 11, 20)
Rows = list[tuple[Any, ...]]


@pytest.fixture
def shop(address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """Tea with 20 on the shelf on Wednesday, 2 sold a day, and an order of 12 of Thursday; mug was never counted."""
    monkeypatch.setattr(App, "now", lambda _: NIGHT)
    monkeypatch.setattr(App, "today", lambda _: NIGHT.date())
    wednesday = FRIDAY - dt.timedelta(days=2)
    line = {"purchase_order": "PO-1", "supplier": "acme", "warehouse": "main", "quantity": 12.0, "status": "sent"}
    late = {**line, "product": "tea", "ordered_on": FRIDAY - dt.timedelta(days=1)}
    tables = {
        "movements": [
            count("tea", dt.datetime.combine(wednesday, dt.time(8)), 20),
            *sales("tea", wednesday, [2, 2, 2, 2]),
        ],
        "purchase_order_lines": [late, {**late, "product": "mug", "quantity": 3.0}],
    }
    checked = {name: frames.ALL_FRAMES[name].check(pl.DataFrame(rows)) for name, rows in tables.items()}
    with open_app(address, folder=tmp_path, keep_stock_days=10) as opened:
        importing.book(opened, checked, file_name="test", fingerprint="1", profile="test", receipt={})
        yield opened


def kept(app: App, day: dt.date) -> Rows:
    with app.database.read() as connection:
        return stored.of_day(connection, day).select("product", "on_hand", "on_order").rows()


def told(app: App, day: dt.date) -> Rows:
    return stock_snapshots.as_of(app, day).select("product", "on_hand", "on_order", "kept").rows()


def take(app: App) -> list[str]:
    days: list[str] = stock_snapshots.take(app, lambda *_: None)["days"]
    return days


def test_a_night_keeps_the_stock_of_the_day_that_ended_once(shop: App) -> None:
    job = jobs.ask(shop, job_kinds.STOCK)
    kind = {job_kinds.STOCK: job_kinds.Kind(job_kinds.STOCK, job_kinds.snapshot_stock)}  # here, where today is fixed
    Background(shop, kinds=kind, schedule=()).drain()
    assert jobs.look(shop, job.id).result == {"days": ["2026-11-20"], "rows": 2, "forgotten": 0}
    assert kept(shop, FRIDAY) == [("mug", None, 3.0), ("tea", 14.0, 12.0)], "Saturday's sale came after it"
    assert take(shop) == []
    stock_movements.adjust(shop, "tea", -4, reason="found broken", warehouse="main", at=dt.datetime(2026, 11, 20, 9))  # noqa: DTZ001
    with shop.database.write() as connection:
        again = stored.worked_out(connection, [FRIDAY], just_ended=FRIDAY)
        assert stored.keep(connection, again, NIGHT) == 0, "what was kept is never changed"
    assert told(shop, FRIDAY) == [("mug", None, 3.0, None), ("tea", 10.0, 12.0, 14.0)]


def test_nights_that_nobody_worked_are_made_up_for(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(App, "today", lambda _: FRIDAY - dt.timedelta(days=1))
    assert take(shop) == ["2026-11-18"]
    assert kept(shop, FRIDAY - dt.timedelta(days=2)) == [("tea", 18.0, 0.0)], "the order was of Thursday"
    monkeypatch.setattr(App, "today", lambda _: NIGHT.date())
    ordering.receive(shop, "PO-1", delivery="D-1", received_on=FRIDAY)
    assert take(shop) == ["2026-11-19", "2026-11-20"]
    thursday, friday = (kept(shop, FRIDAY - dt.timedelta(days=n)) for n in (1, 0))
    assert thursday == [("mug", None, 3.0), ("tea", 16.0, 12.0)], "what came on Friday was due on Thursday"
    assert friday == [("mug", None, 0.0), ("tea", 26.0, 0.0)]


def test_what_the_orders_do_not_tell_any_more_is_left_empty(shop: App) -> None:
    ordering.cancel(shop, "PO-1")
    thursday = FRIDAY - dt.timedelta(days=1)
    assert told(shop, thursday) == [("mug", None, None, None), ("tea", 16.0, None, None)]
    assert told(shop, FRIDAY - dt.timedelta(days=2)) == [("tea", 18.0, 0.0, None)]


def test_old_days_are_forgotten(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    take(shop)
    later = NIGHT.date() + dt.timedelta(days=shop.settings.keep_stock_days)
    monkeypatch.setattr(App, "today", lambda _: later)
    days = take(shop)
    assert len(days) == shop.settings.keep_stock_days
    assert kept(shop, FRIDAY) == []
    assert kept(shop, later - dt.timedelta(days=1)) != []


def test_a_day_that_is_not_over_is_refused(shop: App) -> None:
    with pytest.raises(ParameterError, match="2026-11-21 is not over yet"):
        stock_snapshots.as_of(shop, NIGHT.date())
