"""What each import said of products, prices, orders and the rest, and what was there before it said so.

For every row that an import mentions it keeps the cells it *said* and the cells that were there *before* (and whether
the row existed). The imports of one cell form a chain: what one said is what the next one found. Taking an import out
of the chain works the chain out anew from there on, so that the store is as if that import had never been:

* a cell that a later import also said keeps the later word, and that import now finds what the removed one found;
* a cell that nobody said later goes back to what it was;
* a cell changed by hand since (it is not what the chain left) stays as the person left it;
* a row that the import brought goes, unless a later import mentions it or something in the store refers to it.

Putting it back is the same step the other way. It reads whole small tables and never a movement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
from sqlalchemy import Connection, Table, delete, select

from shelfwise.storage import import_movements, import_parts, tables
from shelfwise.storage.import_entities import ENTITIES, Entity

_CHUNK: Final = 5_000
_NAMED_BY_LINES: Final = frozenset({"product", "warehouse"})
LEFT: Final = {"what": pl.String(), "key": pl.String(), "column": pl.String(), "reason": pl.String()}


@dataclass(frozen=True)
class Restored:
    """What taking an import back, or putting it back, did to everything but the movements.

    ``removed`` and ``added`` count rows, ``restored`` cells, by kind of thing; ``left`` (what, key, column, reason)
    lists what stays otherwise than one might expect, and why.
    """

    removed: dict[str, int]
    added: dict[str, int]
    restored: dict[str, int]
    left: pl.DataFrame


def before(connection: Connection, frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Read, before an import, what its frames may change."""
    return {entity.name: entity.read(connection) for entity in ENTITIES if entity.touched_by & frames.keys()}


def keep(
    connection: Connection, import_id: int, frames: Mapping[str, pl.DataFrame], was: Mapping[str, pl.DataFrame]
) -> None:
    """Keep, after an import, what it said and what `before` found."""
    for entity in ENTITIES:
        if entity.name in was:
            kept = _journal(entity, entity.said(frames), was[entity.name], entity.read(connection))
            if kept.height:
                import_parts.keep(connection, import_id, "changes", entity.name, kept)


def take_back(connection: Connection, import_id: int) -> Restored:
    """Take back what an import said, once its movements are out and it is marked as undone."""
    removed: dict[str, int] = {}
    restored: dict[str, int] = {}
    left = []
    for entity in reversed(ENTITIES):
        own = import_parts.find(connection, import_id, "changes", entity.name)
        gone = 0
        if own is not None:
            state = own.select(
                *entity.key,
                *(entity.merged(c).alias(f"was.{c}") for c in entity.values),
                *(pl.col(f"before.{c}").alias(f"new.{c}") for c in entity.values),
                pl.lit(value=True).alias("was.there"),
                pl.col("existed").alias("new.there"),
            )
            state = _through_later(connection, entity, import_id, state)
            gone, cells, stays = _apply(connection, entity, state, own)
            restored |= {entity.words: cells} if cells else {}
            left.append(stays)
        gone += _sweep(connection, entity)
        removed |= {entity.words: gone} if gone else {}
    return Restored(removed, {}, restored, pl.concat([pl.DataFrame(schema=LEFT), *left]))


def put_back(connection: Connection, import_id: int) -> Restored:
    """Say again what an undone import said, at its place among the others, once it is marked as live."""
    added: dict[str, int] = {}
    restored: dict[str, int] = {}
    left = []
    for entity in ENTITIES:
        own = import_parts.find(connection, import_id, "changes", entity.name)
        if own is None:
            continue
        found = _found_by(connection, entity, import_id, own)
        import_parts.keep(connection, import_id, "changes", entity.name, found)
        state = found.select(
            *entity.key,
            *(pl.col(f"before.{c}").alias(f"was.{c}") for c in entity.values),
            *(entity.merged(c).alias(f"new.{c}") for c in entity.values),
            pl.col("existed").alias("was.there"),
            pl.lit(value=True).alias("new.there"),
        )
        there = entity.read(connection).height
        state = _through_later(connection, entity, import_id, state)
        _, cells, stays = _apply(connection, entity, state, found)
        new = entity.read(connection).height - there
        added |= {entity.words: new} if new else {}
        restored |= {entity.words: cells} if cells else {}
        left.append(stays)
    return Restored({}, added, restored, pl.concat([pl.DataFrame(schema=LEFT), *left]))


def _journal(entity: Entity, said: pl.DataFrame | None, was: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each row of the store that the import mentions or changed."""
    key, values = list(entity.key), list(entity.values)
    both = now.select(*key, *values).join(
        was.select(*key, *(pl.col(c).alias(f"before.{c}") for c in values), pl.lit(value=True).alias("existed")),
        on=key, how="left", maintain_order="left",
    ).with_columns(pl.col("existed").fill_null(value=False))  # fmt: skip
    if said is None:
        said = pl.DataFrame(schema={**entity.key})
    given = said.unique(key, keep="last", maintain_order=True).with_columns(
        *(pl.lit(None, dtype=dtype).alias(c) for c, dtype in entity.values.items() if c not in said.columns),
        pl.lit(value=True).alias("mentioned"),
    )
    both = both.join(
        given.select(*key, "mentioned", *(pl.col(c).alias(f"said.{c}") for c in values)),
        on=key, how="left", maintain_order="left",
    )  # fmt: skip
    changed = [pl.col(c).ne_missing(pl.col(f"before.{c}")) for c in values]
    both = both.filter(pl.any_horizontal(~pl.col("existed"), pl.col("mentioned").fill_null(value=False), *changed))
    # A cell that became something else than these frames said (a receipt fills up an order line) was said all the same.
    stands = {c: entity.merged(c).eq_missing(pl.col(c)) for c in values}
    return both.select(
        *key, "existed",
        *(pl.when(stands[c]).then(f"said.{c}").otherwise(c).alias(f"said.{c}") for c in values),
        *(f"before.{c}" for c in values),
    )  # fmt: skip


def _found_by(connection: Connection, entity: Entity, import_id: int, own: pl.DataFrame) -> pl.DataFrame:
    """Return an undone import's rows with what it finds at its place: what the next later import found, or what is."""
    key, values = list(entity.key), list(entity.values)
    now = entity.read(connection).select(
        *key, *(pl.col(c).alias(f"before.{c}") for c in values), pl.lit(value=True).alias("existed")
    )
    found = now.join(own.select(key), on=key, how="semi")
    later = [
        part for _, part in import_parts.of_imports(connection, "changes", entity.name, live=True, after=import_id)
    ]
    for part in reversed(later):  # the one next to it has the last word
        mine = part.select(*key, *(f"before.{c}" for c in values), "existed").join(own.select(key), on=key, how="semi")
        found = pl.concat([found.join(mine.select(key), on=key, how="anti"), mine.select(found.columns)])
    said = own.select(*key, *(f"said.{c}" for c in values))
    return said.join(found, on=key, how="left", maintain_order="left").with_columns(
        pl.col("existed").fill_null(value=False)
    ).select(own.columns)  # fmt: skip


def _through_later(connection: Connection, entity: Entity, import_id: int, state: pl.DataFrame) -> pl.DataFrame:
    """Carry a change of what stood there (``was`` to ``new``) through the later imports, and mend what they found.

    Returned are the cells as the chain left them and as it leaves them now, and which import said each last (``by``).
    """
    key, values = list(entity.key), list(entity.values)
    state = state.with_columns(pl.lit(None, dtype=pl.Int64).alias(f"by.{c}") for c in values)
    for other, part in list(import_parts.of_imports(connection, "changes", entity.name, live=True, after=import_id)):
        mine = part.with_columns(pl.lit(value=True).alias("mentioned"))
        both = state.join(mine, on=key, how="left", maintain_order="left").with_columns(
            pl.col("mentioned").fill_null(value=False)
        )
        if not both["mentioned"].any():
            continue
        mentioned = pl.col("mentioned")
        # Who found something else than the chain left there found what a person had put in between.
        finds = {
            c: pl.when(pl.col(f"before.{c}").eq_missing(pl.col(f"was.{c}"))).then(f"new.{c}").otherwise(f"before.{c}")
            for c in values
        }
        exists = pl.when(pl.col("existed") == pl.col("was.there")).then("new.there").otherwise("existed")
        both = both.with_columns(exists.alias("find.there"), *(f.alias(f"find.{c}") for c, f in finds.items()))
        mended = both.filter(mentioned).select(
            *key, pl.col("find.there").alias("existed"), *(pl.col(f"find.{c}").alias(f"before.{c}") for c in values)
        )
        rest = part.join(mended.select(key), on=key, how="anti")
        again = part.drop("existed", *(f"before.{c}" for c in values)).join(mended, on=key).select(part.columns)
        import_parts.keep(connection, other, "changes", entity.name, pl.concat([rest, again]))
        said_here = {c: mentioned & pl.col(f"said.{c}").is_not_null() for c in values}
        state = both.select(
            *key,
            *(pl.when(mentioned).then(entity.merged(c)).otherwise(f"was.{c}").alias(f"was.{c}") for c in values),
            *(pl.when(mentioned).then(entity.merged(c, f"find.{c}")).otherwise(f"new.{c}").alias(f"new.{c}")
              for c in values),
            *(pl.when(mentioned).then(pl.lit(value=True)).otherwise(f"{s}.there").alias(f"{s}.there")
              for s in ("was", "new")),
            *(pl.when(said_here[c]).then(pl.lit(other)).otherwise(f"by.{c}").alias(f"by.{c}") for c in values),
        )  # fmt: skip
    return state


def _apply(
    connection: Connection, entity: Entity, state: pl.DataFrame, own: pl.DataFrame
) -> tuple[int, int, pl.DataFrame]:
    """Bring the store from ``was`` to ``new``; return rows removed, cells changed, and what is left as it is."""
    key, values = list(entity.key), list(entity.values)
    now = entity.read(connection).with_columns(pl.lit(value=True).alias("there"))
    both = state.join(now, on=key, how="left", maintain_order="left").with_columns(
        pl.col("there").fill_null(value=False)
    )
    changes = own.select(
        *key,
        *(pl.col(f"before.{c}").ne_missing(entity.merged(c)).alias(f"own.{c}") for c in values),
        *(entity.merged(c).alias(f"after.{c}") for c in values),
    )
    both = both.join(changes, on=key, how="left", maintain_order="left")
    untouched = {c: pl.col(c).eq_missing(pl.col(f"was.{c}")) for c in values}
    doomed = both.filter(pl.col("there") & ~pl.col("new.there"))
    clean = doomed.filter(pl.all_horizontal(untouched.values()))
    used = _used(connection, entity, clean) if clean.height else pl.Series("id", [], pl.Int64)
    gone = clean.filter(~pl.col("id").is_in(used.implode()))
    _delete(connection, entity, gone)
    left = [
        _left(entity, doomed.join(clean.select(key), on=key, how="anti"), None, "was changed by hand since"),
        _left(entity, clean.join(gone.select(key), on=key, how="anti"), None, "is used since by something else"),
    ]
    stays = both.join(gone.select(key), on=key, how="anti")
    if not entity.bare:  # half an order line is none
        stays = stays.join(doomed.select(key), on=key, how="anti")
    stays = stays.filter(pl.col("there") | pl.col("new.there"))
    target = stays.with_columns(
        pl.when(untouched[c] | ~pl.col("there")).then(f"new.{c}").otherwise(c).alias(f"target.{c}") for c in values
    )
    moved = [pl.col(f"target.{c}").ne_missing(pl.col(c)) for c in values]
    for c, move in zip(values, moved, strict=True):
        held = target.filter(
            pl.col(f"own.{c}") & pl.col("there") & ~move & pl.col(f"was.{c}").ne_missing(pl.col(f"new.{c}"))
        )
        left.append(_left(entity, held, c, "was changed by hand since"))
        later = target.filter(pl.col(f"own.{c}") & pl.col(f"by.{c}").is_not_null() & untouched[c] & ~move)
        alike = pl.col(c).eq_missing(pl.col(f"after.{c}"))
        said = (
            pl.when(alike).then(pl.lit("is said by import {} too")).otherwise(pl.lit("was changed since by import {}"))
        )
        left.append(_left(entity, later, c, said.str.replace("{}", pl.col(f"by.{c}").cast(pl.String), literal=True)))
    absent = ~pl.col("there")
    rows = target.filter(pl.any_horizontal(absent, *moved))
    cells = int(rows.filter(~absent).select(pl.sum_horizontal(m.cast(pl.Int64) for m in moved).sum()).item() or 0)
    if rows.height:
        entity.write(connection, rows.select(*key, *(pl.col(f"target.{c}").alias(c) for c in values)))
    return gone.height, cells, pl.concat(left)


def _left(entity: Entity, rows: pl.DataFrame, column: str | None, reason: str | pl.Expr) -> pl.DataFrame:
    why = pl.lit(reason) if isinstance(reason, str) else reason
    shown = pl.concat_str([pl.col(name).cast(pl.String) for name in entity.key], separator=", ", ignore_nulls=True)
    return rows.select(
        pl.lit(entity.word).alias("what"), shown.alias("key"), pl.lit(column, dtype=pl.String).alias("column"),
        why.alias("reason"),
    ).sort("key")  # fmt: skip


def _sweep(connection: Connection, entity: Entity) -> int:
    """Remove bare codes that only undone imports brought and nothing uses any more; return how many."""
    if not entity.bare:
        return 0
    key = list(entity.key)
    brought = [
        part.filter(~pl.col("existed")).select(key)
        for _, part in import_parts.of_imports(connection, "changes", entity.name, live=False)
    ]
    if not brought:
        return 0
    rows = entity.read(connection).join(pl.concat(brought).unique(), on=key, how="semi")
    rows = rows.filter(pl.all_horizontal(pl.col(c).is_null() for c in entity.values))
    for _, part in import_parts.of_imports(connection, "changes", entity.name, live=True):
        rows = rows.join(part.filter(~pl.col("existed")).select(key), on=key, how="anti")
    if rows.height:
        rows = rows.filter(~pl.col("id").is_in(_used(connection, entity, rows).implode()))
    _delete(connection, entity, rows)
    return rows.height


def _used(connection: Connection, entity: Entity, rows: pl.DataFrame) -> pl.Series:
    """Return the keys (``id``) of those rows of an entity that others refer to.

    Those are rows of other tables, and lines that an import says otherwise than is booked: they will refer to what they
    say once the import that booked them is undone.
    """
    found: set[int] = set()
    for table in tables.metadata.tables.values():
        for column in _references(table, entity.table):
            found.update(key for (key,) in connection.execute(select(table.c[column]).distinct()) if key is not None)
    ids = rows["id"]
    used = ids.is_in(list(found))
    (key,) = entity.key if len(entity.key) == 1 else ("",)
    if key in _NAMED_BY_LINES:
        used |= rows[key].is_in(import_movements.codes_said_otherwise(connection, key).implode())
    return ids.filter(used)


def _references(table: Table, to: Table) -> list[str]:
    return [key.parent.name for key in table.foreign_keys if key.column.table is to]


def _delete(connection: Connection, entity: Entity, rows: pl.DataFrame) -> None:
    ids = rows["id"].to_list() if rows.height else []
    target = entity.table
    column = target.c[entity.id_column]
    for start in range(0, len(ids), _CHUNK):
        connection.execute(delete(target).where(column.in_(ids[start : start + _CHUNK])))
