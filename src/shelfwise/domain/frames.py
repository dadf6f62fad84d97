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
from functools import cached_property
from typing import Final

import polars as pl

from shelfwise.domain.errors import DataError, ParameterError

MOVEMENT_KINDS: Final = ("sale", "return", "receipt", "adjustment", "transfer", "count")
EVENT_KINDS: Final = ("promotion", "holiday", "closure")
REPLENISHMENT_POLICIES: Final = ("base_stock", "s_q", "s_S", "r_S")

MOMENT: Final = pl.Datetime("us")
TEXT: Final = pl.String()
UNITS: Final = pl.Float64()
MONEY: Final = pl.Float64()
DAY: Final = pl.Date()
FEW_ROWS: Final = 10_000
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


def text(meaning: str, *, required: bool = True, nullable: bool = False) -> Column:
    """Declare text that is not empty."""
    return Column(TEXT, required, nullable, lambda c: c.str.len_chars() > 0, "must not be empty", meaning)


def non_negative(dtype: pl.DataType, meaning: str, *, required: bool = False) -> Column:
    """Declare a finite number of zero or more."""
    return Column(
        dtype, required, not required, lambda c: c.is_finite() & (c >= 0) if dtype.is_float() else c >= 0,
        "must be zero or more", meaning,
    )  # fmt: skip


def optional(dtype: pl.DataType, meaning: str) -> Column:
    """Declare a column that may be absent and whose cells may be null."""
    return Column(dtype, required=False, nullable=True, meaning=meaning)


def one_of(values: tuple[str, ...], meaning: str, *, required: bool = True) -> Column:
    """Declare one of a few words."""
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
        given = dict(zip(frame.columns, frame.get_columns(), strict=True))
        checked = pl.DataFrame(
            [
                self._cast(given[name], column)
                if name in given
                else pl.Series(name, [None], dtype=column.dtype).new_from_index(0, frame.height)
                for name, column in self.columns.items()
            ]
        )
        if not self._all_good(checked):
            for name, column in self.columns.items():
                self._check_cells(checked, name, column)
        # Equal keys have equal hashes, which are four times faster to tell apart; what they leave open is looked at.
        if self.key and checked.height > 1 and checked.select(self.key).hash_rows().n_unique() < checked.height:
            repeated = checked.filter(checked.select(self.key).is_duplicated())
            if repeated.height:
                values = ", ".join(f"{k} {repeated[k][0]!r}" for k in self.key)
                raise DataError(f"frame {self.name!r} has {values} more than once; keep one row of each")
        return checked

    @cached_property
    def _rules(self) -> list[pl.Expr]:
        rules = ((column.rule, name) for name, column in self.columns.items())
        return [rule(pl.col(name)).fill_null(value=True).all().alias(name) for rule, name in rules if rule is not None]

    def _all_good(self, checked: pl.DataFrame) -> bool:
        """Look at all columns at once: a frame of one row is checked as often as one of a million."""
        needed = (column.required and not column.nullable for column in self.columns.values())
        if any(need and cells.null_count() for need, cells in zip(needed, checked.get_columns(), strict=True)):
            return False
        if not self._rules or not checked.height:
            return True
        # Threads cost more than they save on a few rows.
        found = checked.select_seq(self._rules) if checked.height < FEW_ROWS else checked.select(self._rules)
        return all(found.row(0))

    def _cast(self, cells: pl.Series, column: Column) -> pl.Series:
        if cells.dtype == column.dtype:
            return cells
        try:
            cast = cells.cast(column.dtype, strict=True)
        except pl.exceptions.PolarsError as error:
            try:
                bad = (cells.cast(column.dtype, strict=False).is_null() & cells.is_not_null()).arg_true()
            except pl.exceptions.PolarsError:  # the types themselves do not fit, whatever the cells
                bad = cells.is_not_null().arg_true()
            raise self._misread(cells, column, int(bad[0]) if len(bad) else 0) from error
        lossy = _changed(cells, cast).arg_true()
        if len(lossy):
            raise self._misread(cells, column, int(lossy[0]))
        return cast

    def _misread(self, cells: pl.Series, column: Column, row: int) -> DataError:
        return DataError(
            f"frame {self.name!r}, column {cells.name!r}, row {row:,}: {cells[row]!r} ({cells.dtype}) cannot be read "
            f"as {column.dtype} without loss; correct the cell or give the column as {column.dtype}"
        )

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


def _changed(cells: pl.Series, cast: pl.Series) -> pl.Series:
    """Return which cells say something else after the cast: 1.5 as a whole number, a moment as a day, 2 as a flag."""
    source, target = cells.dtype, cast.dtype
    given = cells.is_not_null()
    if target.is_temporal() and not source.is_temporal():
        return given  # a number is no date: nobody said since when it counts
    if isinstance(source, pl.Datetime) and source.time_zone is not None:
        return given  # shop time is naive, and which zone the shop is in is not known here
    if target == pl.Date and isinstance(source, pl.Datetime):
        return given & (cells != cast.cast(source))
    if source.is_numeric() and (target.is_integer() or target == pl.Boolean):
        return given & (cells != cast.cast(source))
    return pl.repeat(value=False, n=len(cells), eager=True)


def positive(dtype: pl.DataType, meaning: str) -> Column:
    """Declare an optional number above zero."""
    return Column(dtype, False, True, lambda c: c.is_finite() & (c > 0), "must be above zero", meaning)


def probability(meaning: str, *, required: bool = False) -> Column:
    """Declare a number from 0 to 1, both included."""
    return Column(UNITS, required, not required, lambda c: (c >= 0) & (c <= 1), "must be from 0 to 1", meaning)


finite = Column(UNITS, rule=lambda c: c.is_finite(), rule_text="must be a finite number", meaning="units")

MOVEMENTS: Final = Frame(
    "movements",
    {
        "source": text("where the line comes from, for example a file's profile or 'api'"),
        "line_id": text("the line's own id in that source; (source, line_id) is booked once"),
        "kind": one_of(MOVEMENT_KINDS, "what happened"),
        "occurred_at": Column(MOMENT, meaning="shop time"),
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "quantity": finite,  # sale, return, receipt: units >= 0; adjustment, transfer: signed; count: level >= 0
        "unit_price": optional(MONEY, "price per unit at which a sale was made"),
    },
    key=("source", "line_id"),
)

PRODUCTS: Final = Frame(
    "products",
    {
        "product": text("product code"),
        "name": optional(TEXT, "what people call it"),
        "category": optional(TEXT, "category it borrows shape and level from"),
        "brand": optional(TEXT, "brand"),
        "supplier": optional(TEXT, "supplier code it is ordered from"),
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "price": non_negative(MONEY, "usual selling price per unit"),
        "pack_size": Column(UNITS, False, True, lambda c: c > 0, "must be above zero", "units per pack"),
        "minimum_order_quantity": non_negative(UNITS, "smallest order in units (MOQ)"),
        "launched_on": optional(DAY, "first day on sale"),
        "discontinued_on": optional(DAY, "last day on sale"),
        "replaces": optional(TEXT, "product code whose history this product inherits"),
    },
    key=("product",),
)

BUNDLES: Final = Frame(
    "bundles",
    {
        "bundle": text("code of the product that is sold as one"),
        "component": text("code of a product in it, which is what is stocked"),
        "quantity": Column(
            UNITS, rule=lambda c: c.is_finite() & (c > 0), rule_text="must be above zero",
            meaning="units of the component in one bundle",
        ),
    },
    key=("bundle", "component"),
)  # fmt: skip

WAREHOUSES: Final = Frame(
    "warehouses",
    {"warehouse": text("warehouse code; a shop floor is one too"), "name": optional(TEXT, "its name")},
    key=("warehouse",),
)

SUPPLIERS: Final = Frame(
    "suppliers",
    {
        "supplier": text("supplier code"),
        "name": optional(TEXT, "its name"),
        "lead_time_days": non_negative(UNITS, "stated mean days from order to receipt"),
        "lead_time_sd_days": non_negative(UNITS, "standard deviation of the lead time, days"),
        "review_days": Column(UNITS, False, True, lambda c: c >= 1, "must be at least 1 day", "days between orders"),
        "order_weekdays": optional(TEXT, "days on which it takes orders, like 'mon,thu'; null: any open day"),
        "minimum_order_value": non_negative(MONEY, "smallest order the supplier takes"),
        "currency": optional(TEXT, "ISO 4217 code of its prices"),
    },
    key=("supplier",),
)

STOCK_LEVELS: Final = Frame(
    "stock_levels",
    {
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "on_hand": finite,
        "as_of": Column(MOMENT, meaning="when it was so"),
    },
    key=("product", "warehouse"),
)

PRICES: Final = Frame(
    "prices",
    {
        "product": text("product code"),
        "warehouse": optional(TEXT, "warehouse code; null: everywhere"),
        "starts_on": Column(DAY, meaning="first day of this price; it holds until the next one starts"),
        "price": non_negative(MONEY, "selling price per unit", required=True),
    },
    key=("product", "warehouse", "starts_on"),
)

CALENDAR_EVENTS: Final = Frame(
    "calendar_events",
    {
        "kind": one_of(EVENT_KINDS, "what kind of event"),
        "name": text("its name"),
        "starts_on": Column(DAY, meaning="first day"),
        "ends_on": Column(DAY, meaning="last day, included"),
        "scope_kind": one_of(("shop", "category", "product", "warehouse", "supplier"), "what it applies to"),
        "scope": optional(TEXT, "code of what it applies to; null for the whole shop"),
    },
    key=("kind", "name", "starts_on", "scope_kind", "scope"),
)

PURCHASE_ORDER_LINES: Final = Frame(
    "purchase_order_lines",
    {
        "purchase_order": text("purchase order number"),
        "supplier": text("supplier code"),
        "product": text("product code"),
        "warehouse": text("warehouse code it is delivered to"),
        "quantity": non_negative(UNITS, "units ordered", required=True),
        "quantity_received": non_negative(UNITS, "units received so far"),
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "ordered_on": optional(DAY, "day the order was sent"),
        "expected_on": optional(DAY, "day the goods are expected"),
        "status": one_of(("draft", "sent", "part_received", "received", "cancelled"), "state", required=False),
    },
    key=("purchase_order", "product", "warehouse"),
)

RECEIPTS: Final = Frame(
    "receipts",
    {
        "purchase_order": text("purchase order number"),
        "supplier": text("supplier code"),
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "quantity": non_negative(UNITS, "units received", required=True),
        "ordered_on": optional(DAY, "day the order was sent"),
        "received_on": Column(DAY, meaning="day the goods came"),
    },
)

DAILY_DEMAND: Final = Frame(
    "daily_demand",
    {
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "day": Column(DAY, meaning="shop day"),
        "quantity": finite,
        "revenue": optional(MONEY, "sum of quantity times unit price, where prices are known"),
    },
    key=("product", "warehouse", "day"),
)

_fraction = Column(
    UNITS, False, True, lambda c: (c > 0) & (c < 1), "must be above 0 and below 1", "service level, a fraction"
)
_pack_size = Column(UNITS, False, True, lambda c: c > 0, "must be above zero", "units per pack")

PLANNING_ITEMS: Final = Frame(
    "planning_items",
    {
        "unique_id": text("the series' id; rows stand in the order of the series in the arrays"),
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "supplier": optional(TEXT, "supplier code; null: none is known"),
        "on_hand": Column(
            UNITS, False, True, lambda c: c.is_finite(), "must be a finite number", "units; null: never counted"
        ),
        "pack_size": _pack_size,
        "minimum_order_quantity": non_negative(UNITS, "smallest order in units (MOQ)"),
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "price": non_negative(MONEY, "selling price per unit"),
        "lead_time_periods": non_negative(UNITS, "mean periods from now until goods ordered now are there"),
        "lead_time_sd_periods": non_negative(UNITS, "standard deviation of the lead time, periods"),
        "review_periods": Column(
            UNITS, False, True, lambda c: c >= 1, "must be at least 1 period", "periods until the order after this one"
        ),
        "service_level": _fraction,
        "service_class": optional(TEXT, "ABC-XYZ class that set the service level; null: a person or a setting did"),
        "service_kind": one_of(("cycle", "fill"), "what the service level is a fraction of", required=False),
        "usual_order": non_negative(UNITS, "units of a usual order, for the guard against odd quantities"),
        "wait_periods": non_negative(COUNT, "periods until the next order can be placed; null: 0, it can be now"),
        "policy": one_of(REPLENISHMENT_POLICIES, "replenishment policy; null: base_stock", required=False),
        "lot_size": Column(
            UNITS, False, True, lambda c: c > 0, "must be above zero", "units of a lot, for the policies s_q and s_S"
        ),
    },
    key=("unique_id",),
)

PROPOSAL_LINES: Final = Frame(
    "proposal_lines",
    {
        "unique_id": text("the series' id"),
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "supplier": optional(TEXT, "supplier code"),
        "mean_demand": non_negative(UNITS, "mean demand over the protection time, not rounded", required=True),
        "demand": Column(COUNT, meaning="the same in whole units, as printed"),
        "safety": Column(COUNT, meaning="safety stock in whole units; below zero where less than the mean will do"),
        "on_hand": Column(COUNT, meaning="whole units on hand"),
        "due": Column(COUNT, meaning="whole units on order that come within the protection time"),
        "net": Column(COUNT, meaning="demand + safety - on_hand - due"),
        "pack_size": Column(UNITS, rule=lambda c: c > 0, rule_text="must be above zero", meaning="units per pack"),
        "minimum_order_quantity": non_negative(UNITS, "smallest order in units", required=True),
        "policy": one_of(REPLENISHMENT_POLICIES, "replenishment policy"),
        "lot_size": non_negative(UNITS, "units of a lot; 0 where the policy knows none", required=True),
        "rounded": non_negative(UNITS, "units after lots, the minimum and packs", required=True),
        "top_up": non_negative(UNITS, "units added to reach the supplier's minimum order value", required=True),
        "cut": non_negative(UNITS, "units left out for a budget; null: none"),
        "quantity": non_negative(UNITS, "units to order: rounded + top_up - cut", required=True),
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "cost": non_negative(MONEY, "quantity times unit cost; null: the cost is not known"),
        "order_by": optional(DAY, "last day on which an order still comes in time; null: no need in the horizon"),
        "late": Column(FLAG, meaning="the shortage comes before an order placed today can"),
        "stockout_on": optional(DAY, "day by which half of the paths have run out; null: later, or stock unknown"),
        "stockout_probability": Column(
            UNITS, False, True, lambda c: (c >= 0) & (c <= 1), "must be from 0 to 1",
            "chance of running out within the protection time if nothing is ordered; null: stock unknown",
        ),
        "lost_units": non_negative(UNITS, "expected units lost in that time if nothing is ordered"),
        "margin_at_risk": optional(MONEY, "lost units times (price - unit cost)"),
        "demand_per_day": non_negative(UNITS, "mean demand per day over the horizon", required=True),
        "days_of_cover": non_negative(UNITS, "days that on hand and due last at mean demand; null: no demand"),
        "days_of_cover_after": non_negative(UNITS, "the same after the order"),
        "stock_known": Column(FLAG, meaning="false: the stock was never counted and is taken as 0"),
        "lead_time_periods": non_negative(UNITS, "mean lead time used, from order to shelf, periods", required=True),
        "wait_periods": Column(COUNT, meaning="periods until the order can be placed"),
        "review_periods": non_negative(UNITS, "review time used, periods", required=True),
        "service_level": _fraction,
        "service_kind": one_of(("cycle", "fill"), "kind of service level"),
        "warnings": optional(TEXT, "what a person should look at before approving, joined by '; '"),
        "assumptions": optional(TEXT, "what was not given and was assumed, joined by '; '"),
        "arithmetic": text("the line's sum in words and units"),
    },
    key=("unique_id",),
)  # fmt: skip

SUPPLIER_ORDERS: Final = Frame(
    "supplier_orders",
    {
        "supplier": optional(TEXT, "supplier code; null: lines without one"),
        "name": optional(TEXT, "its name"),
        "order_by": Column(DAY, meaning="order day on which the order should be placed"),
        "next_order_on": Column(DAY, meaning="first day from today on which it takes orders"),
        "arrives_on": Column(DAY, meaning="day the goods come if ordered on order_by"),
        "late": Column(FLAG, meaning="a line runs short before any order can come"),
        "lines": Column(COUNT, meaning="lines with a quantity"),
        "units": non_negative(UNITS, "units in all", required=True),
        "value": non_negative(MONEY, "cost in all, of the lines whose cost is known", required=True),
        "lines_without_cost": Column(COUNT, meaning="lines whose cost is not known and not in value"),
        "minimum_order_value": non_negative(MONEY, "smallest order the supplier takes; null: none stated"),
        "minimum": one_of(("none", "met", "topped up", "below minimum"), "how the order stands to the minimum"),
        "missing_value": non_negative(MONEY, "what is missing to the minimum", required=True),
        "margin_at_risk": optional(MONEY, "expected margin lost if nothing is ordered, where known"),
    },
    key=("supplier",),
)

PURCHASE_ORDER_EXPORT: Final = Frame(
    "purchase_order_export",
    {
        "supplier": text("supplier code"),
        "purchase_order": optional(TEXT, "purchase order number; null before there is one"),
        "product": text("product code"),
        "name": optional(TEXT, "product name"),
        "warehouse": text("warehouse code it is delivered to"),
        "quantity": non_negative(UNITS, "units ordered", required=True),
        "pack_size": _pack_size,
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "order_on": optional(DAY, "day to order on"),
        "expected_on": optional(DAY, "day the goods are expected"),
        "note": optional(TEXT, "for example the line's arithmetic"),
    },
)

DAILY_ON_HAND: Final = Frame(
    "daily_on_hand",
    {
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "day": Column(DAY, meaning="shop day"),
        "on_hand": finite,  # units at closing time; may be negative where the records are wrong
    },
    key=("product", "warehouse", "day"),
)

RECOMMENDATIONS: Final = Frame(
    "recommendations",
    {
        "recommendation": optional(COUNT, "its number, given when it is stored"),
        "product": text("product code"),
        "warehouse": text("warehouse code"),
        "supplier": optional(TEXT, "supplier code; null: none is known"),
        "quantity": non_negative(UNITS, "units proposed", required=True),
        "order_by": optional(DAY, "last day on which an order still comes in time"),
        "stockout_on": optional(DAY, "day by which half of the paths have run out"),
        "stockout_probability": Column(UNITS, False, True, lambda c: (c >= 0) & (c <= 1), "must be from 0 to 1"),
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "cost": non_negative(MONEY, "quantity times unit cost"),
        "arithmetic": text("the numbers behind the quantity, as a JSON object"),
        "reason": optional(TEXT, "why, in words"),
        "status": one_of(("proposed", "edited", "approved", "snoozed", "rejected"), "state", required=False),
        "decided_quantity": non_negative(UNITS, "units as edited or approved; null: nobody touched it"),
        "decision_reason": optional(TEXT, "the planner's words"),
        "snoozed_until": optional(DAY, "day on which it comes back"),
        "decided_by": optional(TEXT, "who decided"),
        "decided_at": optional(MOMENT, "when"),
    },
    key=("product", "warehouse"),
)

BACKTEST_SCORES: Final = Frame(
    "backtest_scores",
    {
        "model": text("name of the model"),
        "cutoff": text("label of the last period the model saw"),
        "horizon_class": one_of(("all", "short", "medium", "long"), "part of the horizon that is scored"),
        "first_period": Column(COUNT, meaning="its first period, counted from 1"),
        "last_period": Column(COUNT, meaning="its last period"),
        "score": optional(UNITS, "value of one metric; null: nothing to score"),
    },
    key=("model", "cutoff", "horizon_class"),
)

CONTRIBUTIONS: Final = Frame(
    "contributions",
    {
        "unique_id": text("the series' id"),
        "ds": Column(MOMENT, meaning="the forecast period"),
        "kind": text("what kind of cause: level, trend, season, weekday, opening, promotion, price, event, ..."),
        "part": text("which one, where a kind has several; the kind elsewhere"),
        "units": finite,  # signed; summed over the parts of a period they are its mean
    },
    key=("unique_id", "ds", "kind", "part"),
)

LIFTS: Final = Frame(
    "lifts",
    {
        "kind": text("promotion, price or event"),
        "name": text("the covariate, with the word where it is text, or which way a price goes"),
        "category": optional(TEXT, "category; null: all series together"),
        "lift": non_negative(UNITS, "factor on demand measured in the past; null: it was never seen"),
        "low": non_negative(UNITS, "lower end of the factor's 80 % range"),
        "high": non_negative(UNITS, "upper end of the factor's 80 % range"),
        "periods": Column(COUNT, meaning="periods of all series it was seen on"),
        "dates": Column(COUNT, meaning="different periods it was seen on"),
        "series": Column(COUNT, meaning="series it was seen on"),
        "forecast_lift": non_negative(UNITS, "factor on the forecast with it against without; null: not used"),
        "note": optional(TEXT, "what to know about it"),
    },
    key=("kind", "name", "category"),
)

ALL_FRAMES: Final[dict[str, Frame]] = {
    frame.name: frame
    for frame in (
        MOVEMENTS, PRODUCTS, BUNDLES, WAREHOUSES, SUPPLIERS, STOCK_LEVELS, PRICES, CALENDAR_EVENTS,
        PURCHASE_ORDER_LINES, RECEIPTS, DAILY_DEMAND, PLANNING_ITEMS, PROPOSAL_LINES, SUPPLIER_ORDERS,
        PURCHASE_ORDER_EXPORT, CONTRIBUTIONS, LIFTS,
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
    if str(text).strip().endswith("%") or value >= 50:
        value /= 100  # nobody means 50 times; 1.5 is a slip, not 1.5 %
    if not 0 < value < 1:
        raise ParameterError(f"service level must be above 0 and below 1, got {text!r}; for example 0.95 or 95%")
    return value
