"""Stock is known from a count on: the store against a small model in memory, over random histories."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from tests.storage.worlds import moment, movements

from shelfwise.storage import tables
from shelfwise.storage.database import Database
from shelfwise.storage.levels import rebuild
from shelfwise.storage.sales import append_movements
from shelfwise.storage.stock import daily_on_hand, stock_levels

START = moment("2026-01-01")
FOREVER = moment("9999-01-01")
KINDS = ["sale", "return", "receipt", "adjustment", "transfer", "count"]


@dataclass
class Model:
    """The rule, told slowly: for each product in a warehouse, the lines in the order in which they were booked."""

    lines: dict[tuple[str, str], list[tuple[datetime, str, float]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def book(self, line_id: str, when: datetime, kind: str, place: tuple[str, str], quantity: float) -> None:
        if line_id not in self.seen:
            self.seen.add(line_id)
            self.lines.setdefault(place, []).append((when, kind, quantity))

    def level(self, place: tuple[str, str], until: datetime = FOREVER) -> float | None:
        level: float | None = None
        # At one moment counts come first, and of two counts the one booked later holds.
        booked = [
            (when, kind != "count", n, kind, quantity) for n, (when, kind, quantity) in enumerate(self.lines[place])
        ]
        for when, _, _, kind, quantity in sorted(booked):
            if when >= until:
                break
            if kind == "count":
                level = quantity
            elif level is not None:
                level += -quantity if kind == "sale" else quantity
        return level

    def levels(self) -> dict[tuple[str, str], float]:
        return {place: level for place in self.lines if (level := self.level(place)) is not None}

    def closing(self) -> dict[tuple[str, str, date], float]:
        days = [when.date() for lines in self.lines.values() for when, _, _ in lines]
        result = {}
        for place in self.lines:
            day = min(days)
            while day <= max(days):
                level = self.level(place, datetime.combine(day + timedelta(days=1), time()))
                if level is not None:
                    result[(*place, day)] = level
                day += timedelta(days=1)
        return result


line = st.fixed_dictionaries(
    {
        "line_id": st.integers(0, 60).map(str),
        "kind": st.sampled_from(KINDS),
        # Six-hour steps over four days, so that lines often share a day, and a moment.
        "occurred_at": st.integers(0, 16).map(lambda n: START + timedelta(hours=6 * n)),
        "product": st.sampled_from(["tea", "milk"]),
        "warehouse": st.sampled_from(["main", "back"]),
        "quantity": st.integers(0, 50).map(float),
    }
)


@given(batches=st.lists(st.tuples(st.booleans(), st.lists(line, min_size=1, max_size=12)), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_levels_and_history_follow_the_rule(
    database: Database, batches: list[tuple[bool, list[dict[str, object]]]]
) -> None:
    model = Model()
    with database.write() as connection:
        connection.execute(delete(tables.stock_levels))
        connection.execute(delete(tables.stock_movements))
    for staged, lines in batches:
        frame = pl.DataFrame(lines).with_columns(source=pl.lit("till"))
        with database.write(stage={"movements": frame} if staged else None) as connection:
            done = append_movements(connection, None if staged else frame)
        before = len(model.seen)
        for row in frame.iter_rows(named=True):
            model.book(
                row["line_id"], row["occurred_at"], row["kind"], (row["product"], row["warehouse"]), row["quantity"]
            )
        assert done.inserted == len(model.seen) - before
        assert done.duplicates == frame.height - done.inserted
        with database.read() as connection:
            levels = stock_levels(connection)
            closing = daily_on_hand(connection)
        assert {(p, w): q for p, w, q, _ in levels.iter_rows()} == model.levels()
        assert {(p, w, d): q for p, w, d, q in closing.iter_rows()} == model.closing()
    with database.write() as connection:
        rebuild(connection)
        assert stock_levels(connection).equals(levels)


def test_imported_history_without_a_count_leaves_stock_unknown(database: Database) -> None:
    with database.write() as connection:
        append_movements(connection, movements(*[("sale", f"2025-0{month}-01", "tea", 500) for month in range(1, 9)]))
        assert stock_levels(connection).is_empty()
        assert daily_on_hand(connection).is_empty()


def test_movements_before_the_latest_count_change_history_and_not_the_level(database: Database) -> None:
    with database.write() as connection:
        append_movements(connection, movements(("count", "2026-01-01", "tea", 50), ("count", "2026-01-10", "tea", 20)))
        append_movements(connection, movements(("sale", "2026-01-05 12:00", "tea", 7), source="late file"))
        assert stock_levels(connection)["on_hand"].to_list() == [20]
        history = dict(daily_on_hand(connection).select("day", "on_hand").iter_rows())
    assert history[date(2026, 1, 4)] == 50
    assert history[date(2026, 1, 5)] == history[date(2026, 1, 9)] == 43
    assert history[date(2026, 1, 10)] == 20


def test_a_count_that_comes_late_keeps_what_was_booked_after_it(database: Database) -> None:
    with database.write() as connection:
        append_movements(
            connection,
            movements(
                ("count", "2026-01-01", "tea", 5), ("sale", "2026-01-03 10:00", "tea", 4),
                ("receipt", "2026-01-04", "tea", 24),
            ),
        )  # fmt: skip
        append_movements(connection, movements(("count", "2026-01-02 18:00", "tea", 30), source="stocktaking"))
        levels = stock_levels(connection)
    assert levels.select("on_hand", "as_of").row(0) == (30 - 4 + 24, moment("2026-01-04"))


def test_a_day_count_is_the_opening_stock_of_its_day(database: Database) -> None:
    with database.write() as connection:
        append_movements(connection, movements(("sale", "2026-01-02", "tea", 4), ("count", "2026-01-02", "tea", 30)))
        assert stock_levels(connection)["on_hand"].to_list() == [26]


def test_more_sold_than_recorded_shows_as_negative_stock(database: Database) -> None:
    with database.write() as connection:
        append_movements(connection, movements(("count", "2026-01-01", "tea", 1), ("sale", "2026-01-02", "tea", 4)))
        assert stock_levels(connection)["on_hand"].to_list() == [-3]


@pytest.mark.parametrize("until", ["2026-01-01", "2026-01-06"])
def test_history_runs_to_the_day_asked_for(database: Database, until: str) -> None:
    with database.write() as connection:
        append_movements(connection, movements(("count", "2026-01-01", "tea", 9), ("sale", "2026-01-03", "tea", 4)))
        history = daily_on_hand(connection, until=date.fromisoformat(until))
    assert history["day"].to_list()[-1] == date.fromisoformat(until)
    assert history["on_hand"].to_list() == [9.0, 9.0, 5.0, 5.0, 5.0, 5.0][: history.height]
