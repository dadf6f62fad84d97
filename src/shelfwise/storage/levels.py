"""The rule for stock on hand: known from a count on, moved by what is booked after it.

The rule
--------
The level of a product in a warehouse is a function of the movements booked for it, whatever the order in which they
came in:

    on hand = quantity of the latest count + sum of the changes of all movements at or after the moment of that count

* **Without a count there is no level**, and no row in `stock_levels`: unknown is not zero. Two years of imported sales
  say nothing about what lay on the shelf, so they leave no level of minus 50,000 behind.
* **Movements dated before the latest count change nothing**: the count has seen them. A late line from last month
  corrects history (`daily_on_hand`), not today's level.
* **A count that comes in late**, with movements after its moment already booked, sets the level to its quantity and
  those movements apply on top. A count older than the latest one changes history only.
* **At the same moment** the count comes first and the others apply on top of it: a count dated by day alone (midnight)
  is the opening stock of that day, and sales dated by day alone happened during it. Closing stock is to be given with
  its time, or as the opening of the next day. Of two counts at one moment the one booked later holds.
* A level may be negative: more was sold than the records say was there. That is worth seeing, so it is kept.

A sale takes its quantity off; a return and a receipt add theirs; adjustments and transfers carry their sign. Movements
are read as they stand after corrections (`shelfwise.storage.corrected`), so a corrected count or sale moves the level
as if it had been booked so.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, FromClause, Select, and_, case, delete, exists, func, select, true
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.storage.corrected import corrected_movements
from shelfwise.storage.database import temporary_table, upsert
from shelfwise.storage.tables import stock_levels

_KEY: Final = ("product_id", "warehouse_id")


def apply_since(connection: Connection, last_id: int) -> None:
    """Bring the levels up to date with the movements whose key is above ``last_id``, all at once."""
    movements, level = corrected_movements(connection), stock_levels.c
    m = movements.c
    if connection.scalar(select(level.product_id).limit(1)) is not None:
        fresh = (
            select(*_changes(movements), level.counted_at)
            .join_from(movements, stock_levels, _same_key(stock_levels, movements))
            .where(m.id > last_id, m.kind != "count", m.occurred_at >= level.counted_at)
            .group_by(m.product_id, m.warehouse_id, level.counted_at)
        )
        _add(connection, fresh)
    _set_by_counts(connection, movements, movements.c.id > last_id)


def rebuild(connection: Connection, pairs: Select[Any] | None = None) -> None:
    """Work out levels anew from the movements, for when movements were taken away or corrected.

    Parameters
    ----------
    pairs
        Query for the keys of the products and warehouses (``product_id, warehouse_id``, each pair once) whose levels
        are worked out; None for all.
    """
    movements = corrected_movements(connection)
    if pairs is None:
        connection.execute(delete(stock_levels))
        _set_by_counts(connection, movements, true())
        return
    with temporary_table(connection, "touched_levels", [(n, "INTEGER") for n in _KEY], primary_key=_KEY) as touched:
        connection.execute(touched.insert().from_select(list(_KEY), pairs))
        connection.execute(delete(stock_levels).where(exists().where(_same_key(touched, stock_levels))))
        _set_by_counts(connection, movements, exists().where(_same_key(touched, movements)))


def _set_by_counts(connection: Connection, movements: FromClause, which: ColumnElement[bool]) -> None:
    """Set levels by the latest of ``which`` counts, where no later one holds, and add what came after."""
    m = movements.c
    is_count = which & (m.kind == "count")
    first_day = connection.scalar(select(func.min(m.day)).where(is_count))
    if first_day is None:
        return
    rank = func.row_number().over(
        partition_by=(m.product_id, m.warehouse_id), order_by=(m.occurred_at.desc(), m.id.desc())
    )
    ranked = (
        select(m.product_id, m.warehouse_id, m.quantity, m.occurred_at, rank.label("rank")).where(is_count).subquery()
    )
    holds = (
        select(ranked.c.product_id, ranked.c.warehouse_id, ranked.c.quantity, ranked.c.occurred_at)
        .join_from(ranked, stock_levels, _same_key(stock_levels, ranked), isouter=True)
        .where(
            ranked.c.rank == 1,
            stock_levels.c.counted_at.is_(None) | (stock_levels.c.counted_at <= ranked.c.occurred_at),
        )
    )
    columns = [(name, "INTEGER") for name in _KEY] + [("quantity", "DOUBLE PRECISION"), ("occurred_at", "BIGINT")]
    with temporary_table(connection, "latest_counts", columns, primary_key=_KEY) as counts:
        connection.execute(counts.insert().from_select([name for name, _ in columns], holds))
        c = counts.c
        counted = select(
            c.product_id, c.warehouse_id, c.quantity.label("on_hand"), c.occurred_at.label("as_of"),
            c.occurred_at.label("counted_at"),
        )  # fmt: skip
        upsert(connection, stock_levels, counted, _KEY)
        later = (
            select(*_changes(movements), c.occurred_at.label("counted_at"))
            .join_from(movements, counts, _same_key(counts, movements))
            .where(m.day >= first_day, m.kind != "count", m.occurred_at >= c.occurred_at)
            .group_by(m.product_id, m.warehouse_id, c.occurred_at)
        )
        _add(connection, later)


def _changes(movements: FromClause) -> tuple[ColumnElement[Any], ...]:
    m = movements.c
    return (
        m.product_id,
        m.warehouse_id,
        func.sum(m.stock_change).label("on_hand"),
        func.max(m.occurred_at).label("as_of"),
    )


def _same_key(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(one.c.product_id == other.c.product_id, one.c.warehouse_id == other.c.warehouse_id)


def _add(connection: Connection, changes: Select[Any]) -> None:
    upsert(
        connection, stock_levels, changes, _KEY,
        {
            "on_hand": lambda new, old: old + new,
            "as_of": lambda new, old: case((new > old, new), else_=old),
        },
    )  # fmt: skip
