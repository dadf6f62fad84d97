"""Lines of an import: taken out of the live movements when it is undone, and put back when that is redone.

A line is booked once, for the import that brought it first; a later import that brings it again only *repeats* it. The
numbers of the repeated movements are kept with the later import, so that undoing the first one hands its lines on to
the next import that has them too, and takes out only those that nobody else brought. Where the later import said
something else of a line (another quantity), the line then says that.

Nothing of this costs a fresh bulk load anything: the lines themselves are copied only when they are taken out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Double, and_, bindparam, cast, delete, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from shelfwise.domain.frames import MOVEMENTS
from shelfwise.storage import import_parts, tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.database import fetch, keys, staged

LINES_AT_ONCE: Final = 250_000
_NAME: Final = "movements"
_OTHERWISE: Final = "otherwise"  # repeated lines of which the later import says something else
_VALUES: Final = ("kind", "occurred_at", "product", "warehouse", "quantity", "unit_price")
_SAID: Final = {name: MOVEMENTS.columns[name].dtype for name in _VALUES}
_LINE: Final = {"id": pl.Int64(), **{name: column.dtype for name, column in MOVEMENTS.columns.items()}}


@dataclass(frozen=True)
class TakenOut:
    """What became of the lines: taken out, or handed on to the next import that has them too."""

    removed: int
    handed_on: int


def last_movement(connection: Connection) -> int:
    """Return the number of the newest movement, to be given to `keep_repeats` once more were booked."""
    return int(connection.scalar(select(func.max(tables.stock_movements.c.id))) or 0)


def keep_repeats(
    connection: Connection, import_id: int, frame: pl.DataFrame | None, last_id: int, *, chunk: int = 0
) -> None:
    """Keep which movements up to ``last_id`` the frame (None: the staged one) has as well.

    ``chunk`` tells apart what several frames of one import repeat.
    """
    m = tables.stock_movements.c
    with staged(connection, "movements", frame) as batch:
        rows, codes = batch.columns, batch.codes
        with (
            keys(connection, batch, "source", code_ids(connection, tables.sources, codes["source"])) as source,
            keys(connection, batch, "product", code_ids(connection, tables.products, codes["product"])) as product,
            keys(
                connection, batch, "warehouse", code_ids(connection, tables.warehouses, codes["warehouse"])
            ) as warehouse,
        ):
            said: dict[str, ColumnElement[Any]] = {
                "kind": rows["kind"], "occurred_at": rows["occurred_at"], "product_id": product,
                "warehouse_id": warehouse, "quantity": rows["quantity"],
            }  # fmt: skip
            # A column of nulls is a literal without a type, which PostgreSQL will not guess.
            price = cast(rows["unit_price"], Double)
            same = and_(
                *(m[name] == value for name, value in said.items()),
                or_(m.unit_price == price, and_(m.unit_price.is_(None), price.is_(None))),
            )
            repeated = (
                select(m.id, same.label("same"))
                .select_from(batch.table)
                .join(tables.stock_movements, and_(m.source_id == source, m.line_id == rows["line_id"]))
                .where(m.id <= last_id)
            )
            found = fetch(connection, repeated, {"id": pl.Int64(), "same": pl.Boolean()}).unique("id", keep="first")
            if found.is_empty():
                return
            import_parts.keep(connection, import_id, "repeats", _NAME, _packed(found["id"]), chunk)
            if found["same"].all():
                return
            values = (m.id, rows["kind"], rows["occurred_at"], product, warehouse, rows["quantity"], price)
            otherwise = (
                select(*values)
                .select_from(batch.table)
                .join(tables.stock_movements, and_(m.source_id == source, m.line_id == rows["line_id"]))
                .where(m.id <= last_id, ~func.coalesce(same, False))
            )
            schema = {"id": pl.Int64(), **_SAID, "product": pl.Int64(), "warehouse": pl.Int64()}
            different = fetch(connection, otherwise, schema).unique("id", keep="first", maintain_order=True)
    import_parts.keep(connection, import_id, "repeats", _OTHERWISE, _coded(connection, different), chunk)


def take_out(connection: Connection, import_id: int) -> TakenOut:
    """Take an import's lines out and keep them aside; lines that a live import repeats are handed on to it.

    Stock levels are to be rebuilt after it.
    """
    m = tables.stock_movements.c
    mine = fetch(connection, select(m.id).where(m.import_id == import_id), {"id": pl.Int64()})["id"].sort()
    repeated = _ids(connection, import_id)
    for chunk, lines in enumerate(_lines(connection, pl.concat([mine, repeated]).unique().sort())):
        import_parts.keep(connection, import_id, "lines", _NAME, _as_said(connection, import_id, lines), chunk)
    left, handed = mine, 0
    for other, packed in _repeats_of_others(connection, import_id):
        taken = left.filter(left.is_in(packed.implode()))
        if len(taken):
            _hand_on(connection, other, taken, leaving=import_id)
            left = left.filter(~left.is_in(taken.implode()))
            handed += len(taken)
    connection.execute(delete(tables.stock_movements).where(m.import_id == import_id))
    import_parts.forget(connection, import_id, "repeats")
    return TakenOut(len(left), handed)


def kept_lines(connection: Connection, import_id: int) -> pl.DataFrame | None:
    """Return the lines (``MOVEMENTS``) that an undone import would bring back; None if it had none."""
    return import_parts.find(connection, import_id, "lines", _NAME)


def forget_kept_lines(connection: Connection, import_id: int) -> None:
    """Forget them, now that they are live again."""
    import_parts.forget(connection, import_id, "lines")


def codes_said_otherwise(connection: Connection, column: str) -> pl.Series:
    """Return the codes of ``column`` in lines that live imports repeat and say otherwise than is booked."""
    parts = import_parts.of_imports(connection, "repeats", _OTHERWISE, live=True)
    return pl.concat([pl.Series([], dtype=pl.String), *(part[column] for _, part in parts)]).unique()


def _ids(connection: Connection, import_id: int) -> pl.Series:
    """Return the numbers of the movements that an import repeats."""
    return _unpacked(import_parts.find(connection, import_id, "repeats", _NAME))


def _packed(ids: pl.Series) -> pl.DataFrame:
    """Return numbers as runs: a million lines that follow each other are one row.

    >>> _packed(pl.Series([7, 3, 4])).rows()
    [(3, 4), (7, 7)]
    """
    numbers = pl.DataFrame({"id": ids.sort()})
    run = (pl.col("id") - pl.int_range(pl.len())).alias("run")
    runs = numbers.group_by(run, maintain_order=True)
    return runs.agg(pl.col("id").min().alias("first"), pl.col("id").max().alias("last")).drop("run")


def _unpacked(runs: pl.DataFrame | None) -> pl.Series:
    """Return the numbers of runs, in order.

    >>> _unpacked(_packed(pl.Series([7, 3, 4]))).to_list()
    [3, 4, 7]
    """
    if runs is None or runs.is_empty():
        return pl.Series("id", [], pl.Int64)
    each = runs.select(pl.int_ranges("first", pl.col("last") + 1).alias("id"))
    return each.explode("id", empty_as_null=True, keep_nulls=True)["id"].unique().sort()


def _lines(connection: Connection, ids: pl.Series) -> Iterator[pl.DataFrame]:
    """Give the movements of these numbers, in their order, some at a time: ``id`` and the columns of MOVEMENTS."""
    m = tables.stock_movements.c
    columns = (
        m.id, m.source_id, m.line_id, m.kind, m.occurred_at, m.product_id, m.warehouse_id, m.quantity, m.unit_price
    )  # fmt: skip
    schema = {**_LINE, "source": pl.Int64(), "product": pl.Int64(), "warehouse": pl.Int64()}
    for start in range(0, len(ids), LINES_AT_ONCE):
        wanted = ids.slice(start, LINES_AT_ONCE)
        found = select(*columns).where(m.id.between(int(wanted[0]), int(wanted[-1]))).order_by(m.id)
        lines = fetch(connection, found, schema).filter(pl.col("id").is_in(wanted.implode()))
        yield _coded(connection, lines)


def _coded(connection: Connection, lines: pl.DataFrame) -> pl.DataFrame:
    """Return lines with codes in place of numbers, each code looked up once."""
    for name, target in (
        ("source", tables.sources), ("product", tables.products), ("warehouse", tables.warehouses)
    ):  # fmt: skip
        if name in lines.columns:
            known = fetch(connection, select(target.c.id, target.c.code), {"id": pl.Int64(), "code": pl.String()})
            lines = lines.with_columns(pl.col(name).replace_strict(known["id"], known["code"], return_dtype=pl.String))
    return lines


def _as_said(connection: Connection, import_id: int, lines: pl.DataFrame) -> pl.DataFrame:
    """Return the lines (``MOVEMENTS``) as this import said them, where it differs from what is booked."""
    otherwise = import_parts.find(connection, import_id, "repeats", _OTHERWISE)
    if otherwise is not None:
        lines = lines.update(otherwise.unique("id", keep="first"), on="id", how="left", include_nulls=True)
    return lines.drop("id")


def _repeats_of_others(connection: Connection, import_id: int) -> Iterator[tuple[int, pl.Series]]:
    for other, runs in import_parts.of_imports(connection, "repeats", _NAME, live=True):
        if other != import_id:
            yield other, _unpacked(runs)


def _hand_on(connection: Connection, other: int, ids: pl.Series, *, leaving: int) -> None:
    """Make these movements lines of another import, and let them say what that one said."""
    m = tables.stock_movements
    runs = _packed(ids).to_dicts()
    where = m.c.id.between(bindparam("first"), bindparam("last"))
    connection.execute(update(m).where(where).values(import_id=other), runs)
    otherwise = import_parts.find(connection, other, "repeats", _OTHERWISE)
    if otherwise is None:
        return
    said = otherwise.unique("id", keep="first").filter(pl.col("id").is_in(ids.implode()))
    if said.is_empty():
        return
    for third, repeated in list(_repeats_of_others(connection, leaving)):
        if third != other:
            _keep_as_booked(connection, third, said["id"].filter(said["id"].is_in(repeated.implode())))
    effect = pl.when(pl.col("kind") == "sale").then(-pl.col("quantity")).when(pl.col("kind") == "count").then(0.0)
    rows = said.with_columns(
        pl.Series("product", code_ids(connection, tables.products, said["product"].to_list())),
        pl.Series("warehouse", code_ids(connection, tables.warehouses, said["warehouse"].to_list())),
        pl.col("occurred_at").dt.date().alias("day"),
        effect.otherwise(pl.col("quantity")).alias("stock_change"),
    ).rename({"id": "line", "product": "product_id", "warehouse": "warehouse_id"})
    names = [name for name in rows.columns if name != "line"]
    values = {name: bindparam(f"new_{name}", type_=m.c[name].type) for name in names}
    new = rows.rename({name: f"new_{name}" for name in names}).to_dicts()
    connection.execute(update(m).where(m.c.id == bindparam("line")).values(values), new)


def _keep_as_booked(connection: Connection, import_id: int, ids: pl.Series) -> None:
    """Keep with an import what these of its repeated lines say until now: it said the same, and they are to change."""
    otherwise = import_parts.find(connection, import_id, "repeats", _OTHERWISE)
    if otherwise is not None:
        ids = ids.filter(~ids.is_in(otherwise["id"].implode()))
    for lines in _lines(connection, ids.sort()):
        kept = lines.select("id", *_VALUES)
        chunk = import_parts.next_chunk(connection, import_id, "repeats", _OTHERWISE)
        import_parts.keep(connection, import_id, "repeats", _OTHERWISE, kept, chunk)
