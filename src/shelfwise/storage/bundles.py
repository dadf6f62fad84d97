"""Bundles: what they are made of, and what their sales took off the shelf since their components were counted."""

from __future__ import annotations

import polars as pl
from sqlalchemy import Connection, delete, func, insert, select

from shelfwise.domain.errors import DataError
from shelfwise.domain.frames import BUNDLES
from shelfwise.storage import tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.corrected import corrected_movements
from shelfwise.storage.database import fetch


def set_bundles(connection: Connection, frame: pl.DataFrame) -> int:
    """Say what bundles are made of (``BUNDLES``); return how many bundles the frame names.

    A bundle that is named is replaced as a whole, so that a component can leave it. Unknown products are created by
    their code.

    Raises
    ------
    DataError
        A bundle would be made of itself, directly or through another.
    """
    made = BUNDLES.check(frame)
    if made.is_empty():
        return 0
    named = made["bundle"].unique(maintain_order=True).to_list()
    kept = bundles(connection).filter(~pl.col("bundle").is_in(named))
    _check_circles(pl.concat([kept, made]))
    codes = pl.concat([made["bundle"], made["component"]]).unique(maintain_order=True).to_list()
    ids = dict(zip(codes, code_ids(connection, tables.products, codes), strict=True))
    t = tables.bundle_components
    connection.execute(delete(t).where(t.c.bundle_id.in_([ids[code] for code in named])))
    rows = [
        {"bundle_id": ids[bundle], "component_id": ids[component], "quantity": quantity}
        for bundle, component, quantity in made.iter_rows()
    ]
    connection.execute(insert(t), rows)
    return len(named)


def bundles(connection: Connection) -> pl.DataFrame:
    """Read what bundles are made of (``BUNDLES``), ordered by bundle and component."""
    t = tables.bundle_components
    bundle, component = tables.products.alias(), tables.products.alias()
    query = (
        select(bundle.c.code, component.c.code, t.c.quantity)
        .select_from(t.join(bundle, t.c.bundle_id == bundle.c.id).join(component, t.c.component_id == component.c.id))
        .order_by(bundle.c.code, component.c.code)
    )
    return BUNDLES.check(fetch(connection, query, {name: column.dtype for name, column in BUNDLES.columns.items()}))


def sold_since_counts(connection: Connection, parts: pl.DataFrame) -> pl.DataFrame:
    """Return what sales of bundles took of components since these were last counted: product, warehouse, ``taken``.

    Parameters
    ----------
    parts
        ``bundle, component, quantity`` down to components that are no bundles.
    """
    schema = {"product": pl.String(), "warehouse": pl.String(), "taken": pl.Float64()}
    if parts.is_empty():
        return pl.DataFrame(schema=schema)
    m, level, w = corrected_movements(connection), tables.stock_levels, tables.warehouses
    products, counted = tables.products.alias(), tables.products.alias()
    pairs = parts.select("bundle", "component").unique()
    query = (
        select(products.c.code, counted.c.code, w.c.code, func.sum(m.c.stock_change))
        .select_from(
            m.join(products, m.c.product_id == products.c.id)
            .join(w, m.c.warehouse_id == w.c.id)
            .join(level, level.c.warehouse_id == m.c.warehouse_id)
            .join(counted, level.c.product_id == counted.c.id)
        )
        .where(
            m.c.kind.in_(["sale", "return"]),
            m.c.occurred_at >= level.c.counted_at,
            products.c.code.in_(pairs["bundle"].unique().to_list()),
            counted.c.code.in_(pairs["component"].unique().to_list()),
        )
        .group_by(products.c.code, counted.c.code, w.c.code)
    )
    found = fetch(
        connection,
        query,
        {"bundle": pl.String(), "component": pl.String(), "warehouse": pl.String(), "change": pl.Float64()},
    )
    return (
        found.join(parts, on=["bundle", "component"])
        .group_by("warehouse", product="component")
        .agg(taken=(-pl.col("change") * pl.col("quantity")).sum())
        .select(list(schema))
        .sort("product", "warehouse")
    )


def _check_circles(made: pl.DataFrame) -> None:
    """Raise for a bundle that is made of itself, directly or through another."""
    inside: dict[str, list[str]] = {}
    for bundle, component, _ in made.iter_rows():
        inside.setdefault(bundle, []).append(component)
    for bundle in inside:
        waiting, seen = list(inside[bundle]), set()
        while waiting:
            component = waiting.pop()
            if component == bundle:
                raise DataError(f"bundle {bundle!r} would be made of itself; take {bundle!r} out of its components")
            if component not in seen:
                seen.add(component)
                waiting += inside.get(component, [])
