"""Corrections of booked movements: made, taken back, and found in a file that says something else than was booked.

What a correction does is in `shelfwise.storage.corrected`. Here it is written down, and what follows from movements is
brought up to date in the same transaction: stock levels, and the purchase order whose receipt was corrected.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import BindParameter, Connection, Select, Subquery, and_, func, insert, literal, or_, select, union
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.domain.errors import ConflictError, DataError, NotFound
from shelfwise.domain.frames import MOVEMENT_KINDS, MOVEMENTS
from shelfwise.storage import levels, purchasing, tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.corrected import CONTENT, any_correction, holding_corrections, standing
from shelfwise.storage.database import fetch, insert_one, keys, staged, temporary_table

EXAMPLES: Final = 5
SIGNED: Final = ("adjustment", "transfer")


@dataclass(frozen=True)
class Content:
    """What a movement says, beside its key."""

    kind: str
    product: str
    warehouse: str
    occurred_at: datetime
    quantity: float
    unit_price: float | None = None

    def __post_init__(self) -> None:
        """Check the kind and the sign."""
        if self.kind not in MOVEMENT_KINDS:
            raise DataError(f"there is no movement {self.kind!r}; the kinds are {', '.join(MOVEMENT_KINDS)}")
        if not math.isfinite(self.quantity) or (self.quantity < 0 and self.kind not in SIGNED):
            raise DataError(f"a {self.kind} of {self.quantity:g} units; its quantity must be zero or more")


@dataclass(frozen=True)
class BookedLine:
    """A booked line: what it said when it was booked, and what it says now (None: it counts no more).

    ``correction`` is the number of the correction that holds, None where none does.
    """

    number: int
    source: str
    line_id: str
    booked: Content
    now: Content | None
    correction: int | None = None


@dataclass(frozen=True, eq=False)
class Differing:
    """Lines of a frame that are booked and say something else there; ``examples`` shows the first few.

    Columns of ``examples``: ``number, source, line_id``, and for each value of a movement what the frame says and,
    under ``was_...``, what is booked.
    """

    lines: int
    examples: pl.DataFrame


def booked_line(connection: Connection, number: int) -> BookedLine:
    """Return a booked line by the number it has in the history.

    Raises
    ------
    NotFound
        There is none: it never was, or its import was undone.
    """
    return _one(connection, tables.stock_movements.c.id == number, f"line {number}")


def line_of(connection: Connection, source: str, line_id: str) -> BookedLine:
    """Return a booked line by its source and its own id there."""
    m, s = tables.stock_movements.c, tables.sources.c
    source_id = select(s.id).where(s.code == source).scalar_subquery()
    return _one(connection, and_(m.source_id == source_id, m.line_id == line_id), f"line {line_id!r} of {source!r}")


def lines_of(connection: Connection, correction: int) -> list[int]:
    """Return the numbers of the booked lines that a correction is of."""
    m, line = tables.stock_movements.c, tables.correction_lines.c
    same = and_(m.source_id == line.source_id, m.line_id == line.line_id)
    query = select(m.id).select_from(tables.correction_lines).join(tables.stock_movements, same)
    return list(connection.scalars(query.where(line.correction_id == correction).order_by(m.id)))


def correct(
    connection: Connection,
    changes: Mapping[int, Content | None],
    *,
    reason: str,
    made_by: str,
    made_at: datetime,
) -> int:
    """Write one correction of some lines, by their numbers, and return its number.

    Parameters
    ----------
    changes
        What each line is to say; None: it counts no more.

    Raises
    ------
    NotFound
        A line is not booked.
    ConflictError
        A line says so already.
    """
    lines = {number: booked_line(connection, number) for number in changes}
    for number, content in changes.items():
        if lines[number].now == content:
            raise ConflictError(_nothing_to_correct(lines[number]))
    correction = insert_one(
        connection, tables.corrections, {"reason": reason, "made_by": made_by, "made_at": made_at}
    )  # fmt: skip
    for number, content in changes.items():
        line = lines[number]
        values = {
            "correction_id": correction,
            "source_id": code_ids(connection, tables.sources, [line.source])[0],
            "line_id": line.line_id,
            **{f"was_{name}": value for name, value in _stored(connection, line.booked).items()},
        }
        if content is not None:
            values |= {**_stored(connection, content), "day": content.occurred_at.date()}
        connection.execute(insert(tables.correction_lines).values(**values))
    _bring_up_to_date(connection, correction)
    return correction


def revert(connection: Connection, number: int, *, reason: str, made_by: str, made_at: datetime) -> int:
    """Take a correction back, which is one more record; return its number.

    Raises
    ------
    NotFound
        There is no such correction.
    ConflictError
        It was taken back already, takes one back itself, or came with an import that was undone.
    """
    t = tables.corrections
    row = connection.execute(select(t.c.reverts_id, t.c.import_id).where(t.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no correction {number}; `shelfwise history PRODUCT` shows those of a product")
    if row.reverts_id is not None:
        raise ConflictError(
            f"{number} took correction {row.reverts_id} back; to have that again, correct its lines once more"
        )
    back = connection.execute(select(t.c.id, t.c.made_by, t.c.made_at).where(t.c.reverts_id == number)).first()
    if back is not None:
        raise ConflictError(
            f"correction {number} was taken back already: by {back.made_by}, {back.made_at:%Y-%m-%d %H:%M}"
        )
    if connection.scalar(select(t.c.id).where(t.c.id == number, standing())) is None:
        raise ConflictError(f"correction {number} went with import {row.import_id}, which was undone")
    values = {"reason": reason, "made_by": made_by, "made_at": made_at, "reverts_id": number}
    made = insert_one(connection, t, values)
    _bring_up_to_date(connection, number)
    return made


def hold_again(connection: Connection, import_id: int) -> None:
    """Work out what follows from the corrections that an import brought, now that it was put back."""
    t = tables.corrections.c
    for correction in connection.scalars(select(t.id).where(t.import_id == import_id).order_by(t.id)).all():
        _bring_up_to_date(connection, correction)


def differing(connection: Connection, frame: pl.DataFrame | None = None, import_id: int | None = None) -> Differing:
    """Find the lines of ``MOVEMENTS`` that are booked already and say something else there, also after corrections.

    Parameters
    ----------
    frame
        None takes the frame given to ``Database.write(stage={"movements": ...})``.
    import_id
        The import that is being booked, whose own lines are left out.
    """
    with _said(connection, frame) as said:
        query = _differences(connection, said, import_id)
        found = query.subquery("differing")
        lines = int(connection.scalar(select(func.count()).select_from(found)) or 0)
        schema: dict[str, pl.DataType] = {"number": pl.Int64(), "source": pl.String(), "line_id": pl.String()}
        for prefix in ("", "was_"):
            schema |= {f"{prefix}{name}": MOVEMENTS.columns[name].dtype for name in _NAMES}
        if not lines:
            return Differing(0, pl.DataFrame(schema=schema))
        columns: list[ColumnElement[Any]] = [found.c.number, _code(tables.sources, found.c.source_id), found.c.line_id]
        for prefix in ("", "was_"):
            columns += [
                _code(_CODED[name], found.c[f"{prefix}{name}"]) if name in _CODED else found.c[f"{prefix}{name}"]
                for name in CONTENT
            ]
        return Differing(lines, fetch(connection, select(*columns).order_by(found.c.number).limit(EXAMPLES), schema))


def correct_differing(
    connection: Connection,
    frame: pl.DataFrame | None = None,
    *,
    reason: str,
    made_by: str,
    made_at: datetime,
    import_id: int | None = None,
) -> tuple[int | None, int]:
    """Correct the lines that `differing` finds to what the frame says; return the correction and how many lines.

    Undoing the import takes the correction back. Where no line differs there is no correction (None, 0).
    """
    lines = differing(connection, frame, import_id).lines
    if not lines:
        return None, 0
    values = {"reason": reason, "made_by": made_by, "made_at": made_at, "import_id": import_id}
    correction = insert_one(connection, tables.corrections, values)
    names = ["source_id", "line_id", *(f"was_{name}" for name in CONTENT), *CONTENT, "day"]
    with _said(connection, frame) as said:
        found = _differences(connection, said, import_id).subquery("differing")
        query = select(literal(correction), *(found.c[name] for name in names))
        statement = insert(tables.correction_lines).from_select(["correction_id", *names], query)
        connection.execute(statement)
    _bring_up_to_date(connection, correction)
    return correction, lines


def cancelled(connection: Connection, lines: pl.DataFrame) -> int:
    """Return how many of the lines (source, line_id) are booked and still count."""
    with _still_counting(connection, lines) as found:
        return int(connection.scalar(select(func.count()).select_from(found)) or 0)


def cancel(
    connection: Connection,
    lines: pl.DataFrame,
    *,
    reason: str,
    made_by: str,
    made_at: datetime,
    import_id: int | None = None,
) -> tuple[int | None, int]:
    """Let those of the lines (source, line_id) that are booked count no more; return the correction and how many.

    Undoing the import takes the correction back. Where no line still counts there is no correction (None, 0).
    """
    many = cancelled(connection, lines)
    if not many:
        return None, 0
    values = {"reason": reason, "made_by": made_by, "made_at": made_at, "import_id": import_id}
    correction = insert_one(connection, tables.corrections, values)
    was = [f"was_{name}" for name in CONTENT]
    with _still_counting(connection, lines) as found:
        query = select(literal(correction), found.c.source_id, found.c.line_id, *(found.c[name] for name in was))
        statement = insert(tables.correction_lines).from_select(["correction_id", "source_id", "line_id", *was], query)
        connection.execute(statement)
    _bring_up_to_date(connection, correction)
    return correction, many


@contextlib.contextmanager
def _still_counting(connection: Connection, lines: pl.DataFrame) -> Iterator[Subquery]:
    """Give those of the lines that are booked and were not corrected to count no more, with what they said."""
    s, m = tables.sources.c, tables.stock_movements.c
    known = dict(connection.execute(select(s.code, s.id).where(s.code.in_(lines["source"].unique().to_list()))).all())
    distinct = lines.unique(maintain_order=True)
    rows = (
        (known[source], line) for source, line in distinct.select("source", "line_id").iter_rows() if source in known
    )
    columns = (("source_id", "INTEGER"), ("line_id", "CODE"))
    with temporary_table(connection, "cancelled_lines", columns, rows, ("source_id", "line_id")) as named:
        same = and_(m.source_id == named.c.source_id, m.line_id == named.c.line_id)
        was = [m[name].label(f"was_{name}") for name in CONTENT]
        query = select(m.id, m.source_id, m.line_id, *was).select_from(named).join(tables.stock_movements, same)
        if any_correction(connection):
            now = holding_corrections()
            query = query.outerjoin(now, now.c.movement_id == m.id)
            query = query.where(or_(now.c.movement_id.is_(None), now.c.kind.is_not(None)))
        yield query.subquery("still_counting")


_NAMES: Final = ("kind", "product", "warehouse", "occurred_at", "quantity", "unit_price")
_CODED: Final = {"product_id": tables.products, "warehouse_id": tables.warehouses}


@contextlib.contextmanager
def _said(connection: Connection, frame: pl.DataFrame | None) -> Iterator[Subquery]:
    """Give what a frame says of each line, with keys in the place of codes: ``source_id, line_id``, day and content."""
    with staged(connection, "movements", frame) as batch:
        rows, ids = batch.columns, {}
        for name, target in (
            ("source", tables.sources),
            ("product", tables.products),
            ("warehouse", tables.warehouses),
        ):
            ids[name] = code_ids(connection, target, batch.codes[name])
        with (
            keys(connection, batch, "source", ids["source"]) as source_id,
            keys(connection, batch, "product", ids["product"]) as product_id,
            keys(connection, batch, "warehouse", ids["warehouse"]) as warehouse_id,
        ):
            price = rows["unit_price"]
            if isinstance(price, BindParameter) and price.value is None:
                # Nothing in the frame has a price. A bare NULL would be text to PostgreSQL; this one is a number.
                price = func.nullif(rows["quantity"], rows["quantity"])
            columns = {
                "source_id": source_id, "line_id": rows["line_id"], "kind": rows["kind"], "product_id": product_id,
                "warehouse_id": warehouse_id, "occurred_at": rows["occurred_at"], "quantity": rows["quantity"],
                "unit_price": price, "day": rows["occurred_at_day"],
            }  # fmt: skip
            labelled = [value.label(name) for name, value in columns.items()]
            yield select(*labelled).select_from(batch.table).subquery("said")


def _differences(connection: Connection, said: Subquery, import_id: int | None) -> Select[Any]:
    """Return the query for the lines that differ: number, key, content as said, and as booked under ``was_...``."""
    m = tables.stock_movements.c
    # A line that comes more than once says what is the latest of it, and of that the most.
    once = func.row_number().over(partition_by=m.id, order_by=(said.c.occurred_at.desc(), said.c.quantity.desc()))
    columns = [
        m.id.label("number"), m.source_id, m.line_id, said.c.day, once.label("once"),
        *(said.c[name] for name in CONTENT), *(m[name].label(f"was_{name}") for name in CONTENT),
    ]  # fmt: skip
    query = (
        select(*columns)
        .select_from(said)
        .join(tables.stock_movements, and_(m.source_id == said.c.source_id, m.line_id == said.c.line_id))
        .where(or_(*(m[name].is_distinct_from(said.c[name]) for name in CONTENT)))
    )
    if import_id is not None:
        query = query.where(m.import_id.is_distinct_from(import_id))
    if any_correction(connection):
        now = holding_corrections()
        same = and_(*(now.c[name].is_not_distinct_from(said.c[name]) for name in CONTENT))
        query = query.outerjoin(now, now.c.movement_id == m.id).where(or_(now.c.movement_id.is_(None), ~same))
    ranked = query.subquery("ranked_differences")
    return select(*(c for c in ranked.c if c.name != "once")).where(ranked.c.once == 1)


def _bring_up_to_date(connection: Connection, correction: int) -> None:
    """Work out what follows from the lines of a correction, now that it is made or taken back."""
    mine, line = tables.correction_lines.alias("mine"), tables.correction_lines
    # Of every correction of these lines, since an earlier one may hold again.
    related = and_(mine.c.source_id == line.c.source_id, mine.c.line_id == line.c.line_id)
    pairs = [
        select(line.c[f"{prefix}product_id"], line.c[f"{prefix}warehouse_id"])
        .join(mine, related)
        .where(mine.c.correction_id == correction, line.c[f"{prefix}product_id"].is_not(None))
        for prefix in ("was_", "")
    ]
    touched = union(*pairs).subquery("touched")
    levels.rebuild(connection, select(*touched.c))
    purchasing.follow_correction(connection, correction)


def _one(connection: Connection, which: ColumnElement[bool], named: str) -> BookedLine:
    m = tables.stock_movements.c
    query = select(m.id, _code(tables.sources, m.source_id), m.line_id, *_content(tables.stock_movements.c))
    row = connection.execute(query.where(which)).first()
    if row is None:
        raise NotFound(
            f"{named} is not booked; `shelfwise history PRODUCT` shows the lines of a product and their numbers, and "
            "an undone import takes its lines with it"
        )
    number, source, line_id, *said = row
    booked = Content(*said)
    if any_correction(connection):
        now = holding_corrections()
        held = select(now.c.correction_id, *_content(now.c)).where(now.c.movement_id == number)
        found = connection.execute(held).first()
        if found is not None:
            return BookedLine(
                number, source, line_id, booked, None if found[1] is None else Content(*found[1:]), found[0]
            )
    return BookedLine(number, source, line_id, booked, booked)


def _content(c: Any) -> list[ColumnElement[Any]]:
    """Return the columns of what a line says, with codes in the place of keys."""
    return [_code(_CODED[name], c[name]) if name in _CODED else c[name] for name in CONTENT]


def _code(target: Any, key: ColumnElement[Any]) -> ColumnElement[Any]:
    return select(target.c.code).where(target.c.id == key).scalar_subquery().label(f"{target.name}_code")


def _stored(connection: Connection, content: Content) -> dict[str, Any]:
    return {
        "kind": content.kind,
        "product_id": code_ids(connection, tables.products, [content.product])[0],
        "warehouse_id": code_ids(connection, tables.warehouses, [content.warehouse])[0],
        "occurred_at": content.occurred_at,
        "quantity": content.quantity,
        "unit_price": content.unit_price,
    }


def _nothing_to_correct(line: BookedLine) -> str:
    since = "as it was booked" if line.correction is None else f"since correction {line.correction}"
    what = "counts no more" if line.now is None else "says so already"
    return f"line {line.number} {what}, {since}; there is nothing to correct"
