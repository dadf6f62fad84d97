"""The tables that cross a border between floors, declared once and checked where they cross.

A frame is a polars DataFrame whose columns, types and rules are written down here. ``check`` casts what can be
cast without loss, adds absent optional columns as nulls, orders the columns and raises `DataError` naming column,
row and value for the rest. Products and warehouses are known by their code (text), never by a database key.

Dates and times are shop time: naive ``Datetime("us")`` for moments, ``Date`` for days. Quantities are units, money
is in the shop's currency per unit unless a name says otherwise, lead times are days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from shelfwise.domain.errors import DataError, ParameterError

MOVEMENT_KINDS: Final = ("sale", "return", "receipt", "adjustment", "transfer", "count")
EVENT_KINDS: Final = ("promotion", "holiday", "closure")

MOMENT: Final = pl.Datetime("us")
TEXT: Final = pl.String()
UNITS: Final = pl.Float64()
MONEY: Final = pl.Float64()
DAY: Final = pl.Date()
FLAG: Final = pl.Boolean()
COUNT: Final = pl.Int64()


@dataclass(frozen=True)
class Column:
    """One column of a declared frame.

    Parameters
    ----------
    dtype
        polars type the column has after `Frame.check`.
    required
        The column must be present.
    nullable
        Cells may be null. Optional columns are always nullable.
    rule
        Expression that is true for good cells (nulls pass), with ``rule_text`` as its words.
    """

    dtype: pl.DataType
    required: bool = True
    nullable: bool = False
    rule: Callable[[pl.Expr], pl.Expr] | None = None
    rule_text: str = ""
    meaning: str = ""


def _text(meaning: str, *, required: bool = True, nullable: bool = False) -> Column:
    return Column(TEXT, required, nullable, lambda c: c.str.len_chars() > 0, "must not be empty", meaning)


def _non_negative(dtype: pl.DataType, meaning: str, *, required: bool = False) -> Column:
    return Column(
        dtype, required, not required, lambda c: c.is_finite() & (c >= 0) if dtype.is_float() else c >= 0,
        "must be zero or more", meaning,
    )  # fmt: skip


def _optional(dtype: pl.DataType, meaning: str) -> Column:
    return Column(dtype, required=False, nullable=True, meaning=meaning)


def _one_of(values: tuple[str, ...], meaning: str, *, required: bool = True) -> Column:
    return Column(
        TEXT, required, not required, lambda c: c.is_in(list(values)), f"must be one of {', '.join(values)}", meaning
    )  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A declared frame: its name, columns and key.

    >>> SUPPLIERS.check(pl.DataFrame({"supplier": ["Northbean"], "lead_time_days": [12]})).columns[:3]
    ['supplier', 'name', 'lead_time_days']
    """

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...] = field(default=())

    def empty(self) -> pl.DataFrame:
        """Return the frame with no rows."""
        return pl.DataFrame(schema={name: column.dtype for name, column in self.columns.items()})

    def check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return ``frame`` with declared columns, order and types, or raise `DataError`.

        Raises
        ------
        DataError
            A required column is missing, an unknown one is present, a cell cannot be cast, is null or breaks its
            rule, or two rows share the key. The message names the column, the first bad row and its value.
        """
        unknown = [name for name in frame.columns if name not in self.columns]
        if unknown:
            raise DataError(
                f"frame {self.name!r} has no column {unknown[0]!r}; its columns are {', '.join(self.columns)}"
            )
        missing = [n for n, column in self.columns.items() if column.required and n not in frame.columns]
        if missing:
            raise DataError(f"frame {self.name!r} lacks the required column {missing[0]!r}; add it")
        frame = frame.with_columns(
            pl.lit(None, dtype=c.dtype).alias(n) for n, c in self.columns.items() if n not in frame.columns
        )
        checked = frame.select(self._cast(frame, name, column) for name, column in self.columns.items())
        for name, column in self.columns.items():
            self._check_cells(checked, name, column)
        if self.key and checked.height > 1:
            repeated = checked.filter(checked.select(self.key).is_duplicated())
            if repeated.height:
                values = ", ".join(f"{k} {repeated[k][0]!r}" for k in self.key)
                raise DataError(f"frame {self.name!r} has {values} more than once; keep one row of each")
        return checked

    def _cast(self, frame: pl.DataFrame, name: str, column: Column) -> pl.Series:
        cells = frame[name]
        if cells.dtype == column.dtype:
            return cells
        try:
            return cells.cast(column.dtype, strict=True)
        except pl.exceptions.PolarsError as error:
            loose = cells.cast(column.dtype, strict=False)
            bad = (loose.is_null() & cells.is_not_null()).arg_true()
            shown = f"row {bad[0]:,}: {cells[bad[0]]!r}" if len(bad) else str(cells.dtype)
            raise DataError(
                f"frame {self.name!r}, column {name!r}, {shown} cannot be read as {column.dtype}"
            ) from error

    def _check_cells(self, frame: pl.DataFrame, name: str, column: Column) -> None:
        cells = frame[name]
        if not column.nullable and column.required and cells.null_count():
            row = int(cells.is_null().arg_true()[0])
            raise DataError(f"frame {self.name!r}, column {name!r}, row {row:,} is empty; every row needs a value")
        if column.rule is None or not frame.height:
            return
        good = frame.select(column.rule(pl.col(name)).fill_null(value=True).alias("good"))["good"]
        if not good.all():
            row = int((~good).arg_true()[0])
            raise DataError(f"frame {self.name!r}, column {name!r}, row {row:,}: {cells[row]!r} {column.rule_text}")


_finite = Column(UNITS, rule=lambda c: c.is_finite(), rule_text="must be a finite number", meaning="units")

MOVEMENTS: Final = Frame(
    "movements",
    {
        "source": _text("where the line comes from, for example a file's profile or 'api'"),
        "line_id": _text("the line's own id in that source; (source, line_id) is booked once"),
        "kind": _one_of(MOVEMENT_KINDS, "what happened"),
        "occurred_at": Column(MOMENT, meaning="shop time"),
        "product": _text("product code"),
        "warehouse": _text("warehouse code"),
        "quantity": _finite,  # sale, return, receipt: units >= 0; adjustment, transfer: signed; count: level >= 0
        "unit_price": _optional(MONEY, "price per unit at which a sale was made"),
    },
    key=("source", "line_id"),
)

PRODUCTS: Final = Frame(
    "products",
    {
        "product": _text("product code"),
        "name": _optional(TEXT, "what people call it"),
        "category": _optional(TEXT, "category it borrows shape and level from"),
        "brand": _optional(TEXT, "brand"),
        "supplier": _optional(TEXT, "supplier code it is ordered from"),
        "unit_cost": _non_negative(MONEY, "purchase price per unit"),
        "price": _non_negative(MONEY, "usual selling price per unit"),
        "pack_size": Column(UNITS, False, True, lambda c: c > 0, "must be above zero", "units per pack"),
        "minimum_order_quantity": _non_negative(UNITS, "smallest order in units (MOQ)"),
        "launched_on": _optional(DAY, "first day on sale"),
        "discontinued_on": _optional(DAY, "last day on sale"),
        "replaces": _optional(TEXT, "product code whose history this product inherits"),
    },
    key=("product",),
)

WAREHOUSES: Final = Frame(
    "warehouses",
    {"warehouse": _text("warehouse code; a shop floor is one too"), "name": _optional(TEXT, "its name")},
    key=("warehouse",),
)

SUPPLIERS: Final = Frame(
    "suppliers",
    {
        "supplier": _text("supplier code"),
        "name": _optional(TEXT, "its name"),
        "lead_time_days": _non_negative(UNITS, "stated mean days from order to receipt"),
        "lead_time_sd_days": _non_negative(UNITS, "standard deviation of the lead time, days"),
        "review_days": Column(UNITS, False, True, lambda c: c >= 1, "must be at least 1 day", "days between orders"),
        "order_weekdays": _optional(TEXT, "days on which it takes orders, like 'mon,thu'; null: any open day"),
        "minimum_order_value": _non_negative(MONEY, "smallest order the supplier takes"),
        "currency": _optional(TEXT, "ISO 4217 code of its prices"),
    },
    key=("supplier",),
)

STOCK_LEVELS: Final = Frame(
    "stock_levels",
    {
        "product": _text("product code"),
        "warehouse": _text("warehouse code"),
        "on_hand": _finite,
        "as_of": Column(MOMENT, meaning="when it was so"),
    },
    key=("product", "warehouse"),
)

PRICES: Final = Frame(
    "prices",
    {
        "product": _text("product code"),
        "warehouse": _optional(TEXT, "warehouse code; null: everywhere"),
        "starts_on": Column(DAY, meaning="first day of this price; it holds until the next one starts"),
        "price": _non_negative(MONEY, "selling price per unit", required=True),
    },
    key=("product", "warehouse", "starts_on"),
)

CALENDAR_EVENTS: Final = Frame(
    "calendar_events",
    {
        "kind": _one_of(EVENT_KINDS, "what kind of event"),
        "name": _text("its name"),
        "starts_on": Column(DAY, meaning="first day"),
        "ends_on": Column(DAY, meaning="last day, included"),
        "scope_kind": _one_of(("shop", "category", "product", "warehouse", "supplier"), "what it applies to"),
        "scope": _optional(TEXT, "code of what it applies to; null for the whole shop"),
    },
    key=("kind", "name", "starts_on", "scope_kind", "scope"),
)

PURCHASE_ORDER_LINES: Final = Frame(
    "purchase_order_lines",
    {
        "purchase_order": _text("purchase order number"),
        "supplier": _text("supplier code"),
        "product": _text("product code"),
        "warehouse": _text("warehouse code it is delivered to"),
        "quantity": _non_negative(UNITS, "units ordered", required=True),
        "quantity_received": _non_negative(UNITS, "units received so far"),
        "unit_cost": _non_negative(MONEY, "purchase price per unit"),
        "ordered_on": _optional(DAY, "day the order was sent"),
        "expected_on": _optional(DAY, "day the goods are expected"),
        "status": _one_of(("draft", "sent", "part_received", "received", "cancelled"), "state", required=False),
    },
    key=("purchase_order", "product", "warehouse"),
)

RECEIPTS: Final = Frame(
    "receipts",
    {
        "purchase_order": _text("purchase order number"),
        "supplier": _text("supplier code"),
        "product": _text("product code"),
        "warehouse": _text("warehouse code"),
        "quantity": _non_negative(UNITS, "units received", required=True),
        "ordered_on": _optional(DAY, "day the order was sent"),
        "received_on": Column(DAY, meaning="day the goods came"),
    },
)

DAILY_DEMAND: Final = Frame(
    "daily_demand",
    {
        "product": _text("product code"),
        "warehouse": _text("warehouse code"),
        "day": Column(DAY, meaning="shop day"),
        "quantity": _finite,
        "revenue": _optional(MONEY, "sum of quantity times unit price, where prices are known"),
    },
    key=("product", "warehouse", "day"),
)

ALL_FRAMES: Final[dict[str, Frame]] = {
    frame.name: frame
    for frame in (
        MOVEMENTS, PRODUCTS, WAREHOUSES, SUPPLIERS, STOCK_LEVELS, PRICES, CALENDAR_EVENTS, PURCHASE_ORDER_LINES,
        RECEIPTS, DAILY_DEMAND,
    )
}  # fmt: skip


def parse_service_level(text: str | float) -> float:
    """Read a service level as a fraction: ``0.95``, ``"95%"`` and ``"95"`` are the same.

    >>> parse_service_level("95%"), parse_service_level(0.9)
    (0.95, 0.9)
    """
    try:
        value = float(str(text).strip().removesuffix("%"))
    except ValueError:
        raise ParameterError(f"service level must be a fraction or a percentage, got {text!r}") from None
    if str(text).strip().endswith("%") or value > 1:
        value /= 100
    if not 0 < value < 1:
        raise ParameterError(f"service level must be above 0 and below 1, got {text!r}; for example 0.95 or 95%")
    return value
