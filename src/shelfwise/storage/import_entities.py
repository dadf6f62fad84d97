"""The kinds of rows an import may say something of, besides movements: how each is read, said and written.

Rows are named by their codes and never by their integer keys, which a row loses when it goes and comes back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl
from sqlalchemy import Connection, Select, Table, delete, func, insert, select

from shelfwise.storage import tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.database import fetch, upsert

IF_NONE: Final = "if none: "

Frames = Mapping[str, pl.DataFrame]
_TEXT, _NUMBER, _DAY = pl.String(), pl.Float64(), pl.Date()


@dataclass(frozen=True)
class Entity:
    """A kind of row.

    Parameters
    ----------
    name, word, words
        The declared frame of that name, and what one row and several are called.
    key, values
        Columns that name a row, and the others, with their types; codes where the table has integer keys.
    query
        Selects ``id``, the key and the values.
    said
        What the frames of an import say: key and some values, null where they say nothing.
    write
        Writes rows of key and values, whatever was there.
    touched_by
        Frames that may change such rows, or create them by naming their code.
    bare
        A row may stand with nothing but its code.
    rules
        How what is said meets what is there, where it does not simply take its place: the greatest of the two, the
        first, or the first where what is said is marked with `IF_NONE`.
    id_column
        What ``id`` is in the table.
    read_whole
        Reads the rows where one query cannot.
    """

    name: str
    word: str
    words: str
    table: Table
    key: Mapping[str, pl.DataType]
    values: Mapping[str, pl.DataType]
    query: Callable[[], Select[Any]]
    said: Callable[[Frames], pl.DataFrame | None]
    write: Callable[[Connection, pl.DataFrame], None]
    touched_by: frozenset[str]
    bare: bool = False
    rules: Mapping[str, Literal["greatest", "first", "marked"]] = field(default_factory=dict)
    id_column: str = "id"
    read_whole: Callable[[Connection], pl.DataFrame] | None = None

    def read(self, connection: Connection) -> pl.DataFrame:
        """Return all rows: ``id``, key, values."""
        if self.read_whole is not None:
            return self.read_whole(connection)
        return fetch(connection, self.query(), {"id": pl.Int64(), **self.key, **self.values})

    def merged(self, column: str, found: str | None = None) -> pl.Expr:
        """Return what a cell becomes: what is said (``said.column``) over what is found (``before.column``)."""
        said, there = pl.col(f"said.{column}"), pl.col(found or f"before.{column}")
        rule = self.rules.get(column)
        if rule == "greatest":
            return pl.max_horizontal(said, there)
        if rule == "marked":
            weak = said.str.starts_with(IF_NONE)
            return (
                pl.when(weak)
                .then(pl.coalesce(there, said.str.strip_prefix(IF_NONE)))
                .otherwise(pl.coalesce(said, there))
            )
        return pl.coalesce(there, said) if rule == "first" else pl.coalesce(said, there)


def _own(name: str) -> Callable[[Frames], pl.DataFrame | None]:
    return lambda frames: frames.get(name)


def _own_and_named(name: str, key: str, named: Mapping[str, str]) -> Callable[[Frames], pl.DataFrame | None]:
    """Return what a frame says, and the bare codes that columns of others name (``named``: frame, column).

    Only columns in whose place a later import may put another code have to be asked: a code of any other is referred to
    by a row for as long as the import that named it is live.
    """

    def said(frames: Frames) -> pl.DataFrame | None:
        parts = [frames[name]] if name in frames else []
        for frame, column in named.items():
            if frame in frames:
                codes = frames[frame][column].drop_nulls().unique(maintain_order=True).alias(key).to_frame()
                parts.append(codes.join(parts[0], on=key, how="anti") if parts else codes)
        return pl.concat(parts, how="diagonal").unique(key, keep="last", maintain_order=True) if parts else None

    return said


def _code(connection: Connection, target: Table, codes: pl.Series) -> pl.Series:
    """Return the key of each code, made where it is missing; null for none."""
    distinct = codes.drop_nulls().unique(maintain_order=True)
    ids = pl.Series(code_ids(connection, target, distinct.to_list()), dtype=pl.Int64)
    return codes.replace_strict(distinct, ids, default=None, return_dtype=pl.Int64)


def _warehouses() -> Select[Any]:
    t = tables.warehouses.c
    return select(t.id, t.code, t.name)


def _write_warehouses(connection: Connection, rows: pl.DataFrame) -> None:
    upsert(connection, tables.warehouses, rows.rename({"warehouse": "code"}), ("code",))


_SUPPLIER_VALUES: Final = {
    "name": _TEXT, "lead_time_days": _NUMBER, "lead_time_sd_days": _NUMBER, "review_days": _NUMBER,
    "order_weekdays": _TEXT, "minimum_order_value": _NUMBER, "currency": _TEXT,
}  # fmt: skip


def _suppliers() -> Select[Any]:
    t = tables.suppliers.c
    return select(t.id, t.code, *(t[name] for name in _SUPPLIER_VALUES))


def _write_suppliers(connection: Connection, rows: pl.DataFrame) -> None:
    upsert(connection, tables.suppliers, rows.rename({"supplier": "code"}), ("code",))


_PRODUCT_VALUES: Final = {
    "name": _TEXT, "category": _TEXT, "brand": _TEXT, "unit_cost": _NUMBER, "price": _NUMBER, "pack_size": _NUMBER,
    "minimum_order_quantity": _NUMBER, "launched_on": _DAY, "discontinued_on": _DAY, "replaces": _TEXT,
}  # fmt: skip


def _products() -> Select[Any]:
    t, supplier = tables.products, tables.suppliers
    columns = (t.c.id, t.c.code, *(t.c[name] for name in _PRODUCT_VALUES), supplier.c.code.label("supplier"))
    return select(*columns).select_from(t.outerjoin(supplier))


def _write_products(connection: Connection, rows: pl.DataFrame) -> None:
    ids = _code(connection, tables.suppliers, rows["supplier"]).alias("supplier_id")
    upsert(connection, tables.products, rows.drop("supplier").rename({"product": "code"}).with_columns(ids), ("code",))


def _bundles() -> Select[Any]:
    t = tables.bundle_components
    bundle, component = tables.products.alias(), tables.products.alias()
    joined = t.join(bundle, t.c.bundle_id == bundle.c.id).join(component, t.c.component_id == component.c.id)
    return select(bundle.c.id, bundle.c.code, component.c.code, t.c.quantity).select_from(joined)


def _read_bundles(connection: Connection) -> pl.DataFrame:
    schema = {"id": pl.Int64(), "bundle": _TEXT, "component": _TEXT, "quantity": _NUMBER}
    parts = fetch(connection, _bundles(), schema)
    ids = parts.select("id", "bundle").unique()
    return ids.join(_whole(parts), on="bundle").select("id", "bundle", "components")


def _said_bundles(frames: Frames) -> pl.DataFrame | None:
    return _whole(frames["bundles"]) if "bundles" in frames else None


def _whole(parts: pl.DataFrame) -> pl.DataFrame:
    """Return one row per bundle, its components as one text: a bundle is said as a whole."""
    made: dict[str, list[tuple[str, float]]] = {}
    for bundle, component, quantity in parts.select("bundle", "component", "quantity").sort(pl.all()).iter_rows():
        made.setdefault(bundle, []).append((component, quantity))
    texts = [json.dumps(components, ensure_ascii=False) for components in made.values()]
    return pl.DataFrame({"bundle": list(made), "components": texts}, schema={"bundle": _TEXT, "components": _TEXT})


def _write_bundles(connection: Connection, rows: pl.DataFrame) -> None:
    t = tables.bundle_components
    for bundle, components in rows.iter_rows():
        parts = json.loads(components or "[]")
        key, *ids = code_ids(connection, tables.products, [bundle, *(component for component, _ in parts)])
        connection.execute(delete(t).where(t.c.bundle_id == key))
        new = [{"bundle_id": key, "component_id": i, "quantity": q} for i, (_, q) in zip(ids, parts, strict=True)]
        if new:
            connection.execute(insert(t), new)


def _prices() -> Select[Any]:
    t = tables.prices
    source = t.join(tables.products).outerjoin(tables.warehouses)
    warehouse = func.coalesce(tables.warehouses.c.code, "")
    return select(t.c.id, tables.products.c.code, warehouse, t.c.starts_on, t.c.price).select_from(source)


def _said_prices(frames: Frames) -> pl.DataFrame | None:
    return frames["prices"].with_columns(pl.col("warehouse").fill_null("")) if "prices" in frames else None


def _write_prices(connection: Connection, rows: pl.DataFrame) -> None:
    places = _code(connection, tables.warehouses, rows["warehouse"].replace("", None))
    made = rows.select(
        _code(connection, tables.products, rows["product"]).alias("product_id"), places.alias("warehouse_id"),
        places.fill_null(0).alias("warehouse_key"), "starts_on", "price",
    )  # fmt: skip
    upsert(connection, tables.prices, made, ("product_id", "warehouse_key", "starts_on"))


_EVENT_KEY: Final = {"kind": _TEXT, "name": _TEXT, "starts_on": _DAY, "scope_kind": _TEXT, "scope": _TEXT}


def _events() -> Select[Any]:
    t = tables.calendar_events.c
    return select(t.id, *(t[name] for name in _EVENT_KEY), t.ends_on)


def _said_events(frames: Frames) -> pl.DataFrame | None:
    name = "calendar_events"
    return frames[name].with_columns(pl.col("scope").fill_null("")) if name in frames else None


def _write_events(connection: Connection, rows: pl.DataFrame) -> None:
    upsert(connection, tables.calendar_events, rows, tuple(_EVENT_KEY))


def _orders() -> Select[Any]:
    t = tables.purchase_orders
    columns = (t.c.id, t.c.number, tables.suppliers.c.code, t.c.status, t.c.ordered_on, t.c.note)
    return select(*columns).select_from(t.join(tables.suppliers))


def _said_orders(frames: Frames) -> pl.DataFrame | None:
    parts = []
    if "purchase_order_lines" in frames:
        orders = frames["purchase_order_lines"].group_by("purchase_order", maintain_order=True)
        named = orders.agg(pl.col("supplier").first(), pl.col("status").max(), pl.col("ordered_on").min())
        parts.append(named.with_columns(pl.col("status").fill_null(f"{IF_NONE}sent")))
    if "receipts" in frames:
        orders = frames["receipts"].group_by("purchase_order", maintain_order=True)
        named = orders.agg(pl.col("supplier").first(), pl.col("ordered_on").min())
        # An order of which only receipts are known has come.
        parts.append(named.with_columns(pl.lit(f"{IF_NONE}received").alias("status")))
    if not parts:
        return None
    both = pl.concat(parts, how="diagonal").group_by("purchase_order", maintain_order=True)
    last = pl.col("supplier", "ordered_on").drop_nulls().last()
    return both.agg(last, pl.col("status").first())  # lines are booked before receipts


def _write_orders(connection: Connection, rows: pl.DataFrame) -> None:
    made = rows.select(
        pl.col("purchase_order").alias("number"),
        _code(connection, tables.suppliers, rows["supplier"]).alias("supplier_id"),
        "status", "ordered_on", "note",
    )  # fmt: skip
    upsert(connection, tables.purchase_orders, made, ("number",))


_LINE_KEY: Final = {"purchase_order": _TEXT, "product": _TEXT, "warehouse": _TEXT}
_LINE_VALUES: Final = {
    "quantity": _NUMBER, "quantity_received": _NUMBER, "unit_cost": _NUMBER, "expected_on": _DAY
}  # fmt: skip


def _order_lines() -> Select[Any]:
    t = tables.purchase_order_lines
    names = (tables.purchase_orders.c.number, tables.products.c.code, tables.warehouses.c.code)
    source = t.join(tables.purchase_orders).join(tables.products).join(tables.warehouses)
    return select(t.c.id, *names, *(t.c[name] for name in _LINE_VALUES)).select_from(source)


def _said_lines(frames: Frames) -> pl.DataFrame | None:
    parts = []
    if "purchase_order_lines" in frames:
        told = frames["purchase_order_lines"].select(*_LINE_KEY, *_LINE_VALUES)
        parts.append(told.with_columns(pl.col("quantity_received").fill_null(0.0)))
    if "receipts" in frames:
        named = frames["receipts"].select(*_LINE_KEY).unique(maintain_order=True)
        parts.append(named.join(parts[0], on=list(_LINE_KEY), how="anti") if parts else named)
    return pl.concat(parts, how="diagonal") if parts else None


def _write_lines(connection: Connection, rows: pl.DataFrame) -> None:
    t = tables.purchase_orders.c
    orders = fetch(connection, select(t.number, t.id), {"purchase_order": _TEXT, "purchase_order_id": pl.Int64()})
    made = rows.join(orders, on="purchase_order", maintain_order="left").with_columns(
        pl.col("quantity_received").fill_null(0.0)
    )
    made = made.select(
        "purchase_order_id",
        _code(connection, tables.products, made["product"]).alias("product_id"),
        _code(connection, tables.warehouses, made["warehouse"]).alias("warehouse_id"),
        # A line of which only receipts are known was for what came.
        pl.coalesce("quantity", "quantity_received"), "quantity_received", "unit_cost", "expected_on",
    )  # fmt: skip
    upsert(connection, tables.purchase_order_lines, made, ("purchase_order_id", "product_id", "warehouse_id"))


def _receipts() -> Select[Any]:
    t, line = tables.purchase_order_receipts, tables.purchase_order_lines
    names = (tables.purchase_orders.c.number, tables.products.c.code, tables.warehouses.c.code)
    source = t.join(line).join(tables.purchase_orders).join(tables.products, line.c.product_id == tables.products.c.id)
    columns = (t.c.id, *names, t.c.delivery, t.c.quantity, t.c.received_on)
    return select(*columns).select_from(source.join(tables.warehouses))


def _said_receipts(frames: Frames) -> pl.DataFrame | None:
    if "receipts" not in frames:
        return None
    days = frames["receipts"].group_by(*_LINE_KEY, "received_on", maintain_order=True).agg(pl.col("quantity").sum())
    return days.with_columns(pl.format("day {}", "received_on").alias("delivery"))


def _write_receipts(connection: Connection, rows: pl.DataFrame) -> None:
    line_key = list(_LINE_KEY)
    schema = {"line_id": pl.Int64(), **_LINE_KEY, **_LINE_VALUES}
    lines = fetch(connection, _order_lines(), schema).select(*line_key, "line_id")
    made = rows.join(lines, on=line_key, maintain_order="left")
    made = made.select("line_id", "delivery", "quantity", "received_on")
    upsert(connection, tables.purchase_order_receipts, made, ("line_id", "delivery"))


ENTITIES: Final = (
    Entity(
        "warehouses", "warehouse", "warehouses", tables.warehouses, {"warehouse": _TEXT}, {"name": _TEXT},
        _warehouses, _own("warehouses"), _write_warehouses,
        frozenset({"warehouses", "movements", "stock_levels", "prices", "purchase_order_lines", "receipts"}), bare=True,
    ),
    Entity(
        "suppliers", "supplier", "suppliers", tables.suppliers, {"supplier": _TEXT}, _SUPPLIER_VALUES,
        _suppliers,
        _own_and_named(
            "suppliers", "supplier",
            {"products": "supplier", "purchase_order_lines": "supplier", "receipts": "supplier"},
        ),
        _write_suppliers,
        frozenset({"suppliers", "products", "purchase_order_lines", "receipts"}), bare=True,
    ),
    Entity(
        "products", "product", "products", tables.products, {"product": _TEXT}, {**_PRODUCT_VALUES, "supplier": _TEXT},
        _products, _own_and_named("products", "product", {"bundles": "component"}), _write_products,
        frozenset(
            {"products", "movements", "stock_levels", "bundles", "prices", "purchase_order_lines", "receipts"}
        ),
        bare=True,
    ),
    Entity(
        "bundles", "bundle", "bundles", tables.bundle_components, {"bundle": _TEXT}, {"components": _TEXT},
        _bundles, _said_bundles, _write_bundles, frozenset({"bundles"}), id_column="bundle_id",
        read_whole=_read_bundles,
    ),
    Entity(
        "prices", "price", "prices", tables.prices, {"product": _TEXT, "warehouse": _TEXT, "starts_on": _DAY},
        {"price": _NUMBER}, _prices, _said_prices, _write_prices, frozenset({"prices"}),
    ),
    Entity(
        "calendar_events", "event", "events", tables.calendar_events, _EVENT_KEY, {"ends_on": _DAY},
        _events, _said_events, _write_events, frozenset({"calendar_events"}),
    ),
    Entity(
        "purchase_orders", "purchase order", "purchase orders", tables.purchase_orders, {"purchase_order": _TEXT},
        {"supplier": _TEXT, "status": _TEXT, "ordered_on": _DAY, "note": _TEXT},
        _orders, _said_orders, _write_orders, frozenset({"purchase_order_lines", "receipts"}),
        rules={"status": "marked"},
    ),
    Entity(
        "purchase_order_lines", "order line", "order lines", tables.purchase_order_lines, _LINE_KEY, _LINE_VALUES,
        _order_lines, _said_lines, _write_lines, frozenset({"purchase_order_lines", "receipts"}),
        rules={"quantity_received": "greatest"},
    ),
    Entity(
        "receipts", "receipt", "receipts", tables.purchase_order_receipts, {**_LINE_KEY, "delivery": _TEXT},
        {"quantity": _NUMBER, "received_on": _DAY}, _receipts, _said_receipts, _write_receipts,
        frozenset({"receipts"}), rules={"quantity": "first", "received_on": "first"},
    ),
)  # fmt: skip
