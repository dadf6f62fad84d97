"""A few lines booked by plain statements leave the store as the frames' way does."""

from __future__ import annotations

import random
from datetime import timedelta

import polars as pl
import pytest
from sqlalchemy import insert, select
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, ParameterError, ShelfwiseError
from shelfwise.storage import corrections, levels, recording, stock, tables
from shelfwise.storage.corrections import Content
from shelfwise.storage.database import Database
from shelfwise.storage.recording import Line
from shelfwise.storage.sales import append_movements
from shelfwise.storage.savepoints import each_alone

START = moment("2026-01-05 12:00")


def content(kind: str = "sale", quantity: float = 1, *, minutes: int = 0, product: str = "tea") -> Content:
    return Content(kind, product, "main", START + timedelta(minutes=minutes), quantity)


def drawn(seed: int, lines: int) -> list[Line]:
    """Lines of all kinds, in any order of time, some at the same moment."""
    draw = random.Random(seed)
    return [
        Line(
            f"{seed}-{n}",
            Content(
                draw.choice(["sale", "sale", "sale", "return", "receipt", "adjustment", "transfer", "count"]),
                draw.choice(["tea", "milk", "007"]), draw.choice(["main", "back"]),
                START + timedelta(minutes=draw.randrange(30)), float(draw.randrange(5)), draw.choice([None, 2.5]),
            ),
        )
        for n in range(lines)
    ]  # fmt: skip


def as_frame(lines: list[Line], source: str) -> pl.DataFrame:
    return pl.DataFrame(
        [{"source": source, "line_id": line.line_id, **line.says.__dict__} for line in lines],
        schema_overrides={"unit_price": pl.Float64, "quantity": pl.Float64},
    )


def store(database: Database) -> tuple[list[tuple[object, ...]], pl.DataFrame]:
    m, products, warehouses = tables.stock_movements, tables.products, tables.warehouses
    query = (
        select(
            m.c.line_id, m.c.kind, products.c.code, warehouses.c.code, m.c.occurred_at, m.c.day, m.c.quantity,
            m.c.stock_change, m.c.unit_price, m.c.import_id,
        )
        .select_from(m.join(products).join(warehouses))
        .order_by(m.c.id)
    )  # fmt: skip
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(query)], stock.stock_levels(connection)


def test_both_ways_of_booking_leave_the_same_store(database: Database) -> None:
    groups = [drawn(seed, lines) for seed, lines in ((1, 1), (2, 7), (3, 1), (4, 20), (5, 2), (6, 30))]
    for lines in groups:
        with database.write() as connection:
            recording.append_lines(connection, "api", lines)
    quick, quick_levels = store(database)
    with database.write() as connection:
        connection.execute(tables.stock_movements.delete())
        connection.execute(tables.stock_levels.delete())
    for lines in groups:
        with database.write() as connection:
            append_movements(connection, as_frame(lines, "api"))
    slow, slow_levels = store(database)
    assert quick == slow
    assert quick_levels.equals(slow_levels)
    assert quick_levels.height > 3
    with database.write() as connection:
        levels.rebuild(connection)
    assert store(database)[1].equals(quick_levels)


def test_booked_lines_are_told_as_booked_and_as_corrected(database: Database) -> None:
    with database.write() as connection:
        recording.append_lines(connection, "api", [Line("a", content()), Line("b", content(quantity=2))])
        recording.append_lines(connection, "till", [Line("c", content(quantity=3))])
        number = corrections.line_of(connection, "api", "b").number
        corrections.correct(connection, {number: content(quantity=9)}, reason="r", made_by="m", made_at=START)
    with database.read() as connection:
        found = recording.booked_lines(connection, "api", ["a", "b", "c", "d"])
    assert found == {"a": [content()], "b": [content(quantity=2), content(quantity=9)]}


def test_one_that_fails_among_many_fails_alone(database: Database) -> None:
    groups = []

    with database.write() as connection:

        def act(items: list[int]) -> list[int | ShelfwiseError]:
            groups.append(len(items))
            for item in items:
                connection.execute(insert(tables.sources), {"code": f"source {item % 90}"})
                if item == 17:
                    raise ParameterError("seventeen")
            return [*items]

        made = each_alone(connection, range(100), act)  # type: ignore[arg-type]
    refused = [n for n, one in enumerate(made) if isinstance(one, ShelfwiseError)]
    assert refused == [17, *range(90, 100)], "what breaks a uniqueness rule is refused like what raises"
    assert str(made[17]) == "seventeen"
    assert len(groups) < 60
    with database.read() as connection:
        assert len(connection.scalars(select(tables.sources.c.code)).all()) == 89


def test_what_no_single_item_is_the_cause_of_ends_the_transaction(database: Database) -> None:
    def book_two() -> None:
        with database.write() as connection:

            def act(items: list[int]) -> list[int | ShelfwiseError]:
                connection.execute(insert(tables.sources), {"code": "lost"})
                raise RuntimeError("the disk")

            each_alone(connection, [1, 2], act)  # type: ignore[arg-type]

    with pytest.raises(RuntimeError, match="the disk"):
        book_two()
    with database.read() as connection:
        assert connection.scalars(select(tables.sources.c.code)).all() == []


def test_a_conflict_is_an_answer_for_one_and_not_a_failure_of_the_database(database: Database) -> None:
    with database.write() as connection:

        def act(items: list[int]) -> list[int | ShelfwiseError]:
            raise ConflictError("taken")

        made = each_alone(connection, [1], act)  # type: ignore[arg-type]
    assert [type(one) for one in made] == [ConflictError]
