"""The frames of the Python library's order decisions: what may be ordered, under which limits, and what came of it.

Keyed by ``unique_id`` as the library's forecasts are; times are periods of the forecast, money is the shop's currency.
Period 1 starts now. An order placed now with lead time L is on the shelf at the start of period L + 1.
"""

from __future__ import annotations

from typing import Final

from shelfwise.domain.frames import (
    COUNT,
    FLAG,
    MONEY,
    TEXT,
    UNITS,
    Column,
    Frame,
    non_negative,
    one_of,
    optional,
    positive,
    probability,
    text,
)  # fmt: skip

LIMIT_KINDS: Final = ("budget", "space", "supplier_min", "service")

ITEMS: Final = Frame(
    "items",
    {
        "unique_id": text("the series' id in the forecast"),
        "on_hand": Column(
            UNITS, rule=lambda c: c.is_finite(), rule_text="must be a finite number of units", meaning="units now"
        ),
        "lead_time_periods": non_negative(UNITS, "mean periods from the order to the shelf", required=True),
        "lead_time_sd_periods": non_negative(UNITS, "its standard deviation; null: 0"),
        "review_periods": Column(
            UNITS, False, True, lambda c: c.is_finite() & (c >= 1), "must be at least 1 period",
            "periods until the next order can be placed; null: 1",
        ),
        "price": non_negative(MONEY, "selling price per unit"),
        "unit_cost": non_negative(MONEY, "purchase price per unit"),
        "shortage_cost": non_negative(MONEY, "cost of a unit asked for and not there; null: price - unit_cost"),
        "holding_cost": non_negative(MONEY, "cost of a unit on hand at the end of a period"),
        "order_cost": non_negative(MONEY, "cost of placing one line, whatever its quantity; null: 0"),
        "moq": non_negative(UNITS, "smallest order in units; null: one pack"),
        "pack": positive(UNITS, "units only ordered together; null: 1"),
        "volume": non_negative(UNITS, "cubic metres per unit; null: 0"),
        "largest_quantity": non_negative(UNITS, "never order more units than this; null: no such bound"),
        "supplier": optional(TEXT, "supplier code, a scope of budgets and minima"),
        "warehouse": optional(TEXT, "warehouse code, a scope of space; null: the forecast's attribute"),
        "product": optional(TEXT, "product code, which transfers move; null: the forecast's attribute"),
        "group": optional(TEXT, "scope of service targets; null: the forecast's category"),
    },
    key=("unique_id",),
)  # fmt: skip

INBOUND: Final = Frame(
    "inbound",
    {
        "unique_id": text("the series' id"),
        "period": Column(
            COUNT, rule=lambda c: c >= 1, rule_text="must be 1 or more; period 1 starts now",
            meaning="the units are on the shelf from the start of this period",
        ),
        "quantity": non_negative(UNITS, "units on order", required=True),
    },
)  # fmt: skip

LIMITS: Final = Frame(
    "limits",
    {
        "kind": one_of(LIMIT_KINDS, "what is limited"),
        "scope": optional(TEXT, "supplier, warehouse or group; null: everything together"),
        "period": Column(
            COUNT, False, True, lambda c: c >= 1, "must be 1 or more; period 1 starts now",
            "budget: period of the order; space: period of the stock; null: of the order placed now",
        ),
        "value": Column(
            UNITS, rule=lambda c: c.is_finite() & (c >= 0), rule_text="must be zero or more",
            meaning="money, cubic metres, or for service a fraction of demand served",
        ),
    },
    key=("kind", "scope", "period"),
)  # fmt: skip

LANES: Final = Frame(
    "lanes",
    {
        "from": text("warehouse code that gives"),
        "to": text("warehouse code that takes"),
        "lead_time_periods": non_negative(UNITS, "periods from the decision to the other shelf", required=True),
        "cost": non_negative(MONEY, "cost of moving one unit", required=True),
    },
    key=("from", "to"),
)

ORDERS: Final = Frame(
    "orders",
    {
        "unique_id": text("the series' id"),
        "supplier": optional(TEXT, "supplier code"),
        "quantity": non_negative(UNITS, "units to order now", required=True),
        "arrives": Column(COUNT, meaning="period from whose start the units are on the shelf, at the mean lead time"),
        "spend": non_negative(MONEY, "quantity times unit cost", required=True),
        "unconstrained": non_negative(UNITS, "units this line would get without any limit", required=True),
        "cost": Column(MONEY, meaning="expected cost of holding, shortage and ordering with this quantity"),
        "saving": Column(MONEY, meaning="expected cost of ordering nothing less that of this quantity"),
        "marginal_value": optional(UNITS, "saving per unit of money of the last pack; null: nothing is ordered"),
        "minimum_stock": non_negative(UNITS, "10th percentile of demand over the protection time", required=True),
        "regular_stock": non_negative(UNITS, "its 50th percentile", required=True),
        "protected_stock": non_negative(UNITS, "its 90th percentile", required=True),
        "minimum_stockout": probability("chance that demand is above minimum_stock", required=True),
        "regular_stockout": probability("chance that demand is above regular_stock", required=True),
        "protected_stockout": probability("chance that demand is above protected_stock", required=True),
        "stockout": probability("chance of running out before the next order can arrive", required=True),
        "reason": text("why this quantity, in words"),
        "arithmetic": text("the sum behind it, in units and money"),
    },
    key=("unique_id",),
)

PLANNED_ORDERS: Final = Frame(
    "planned_orders",
    {
        "unique_id": text("the series' id"),
        "supplier": optional(TEXT, "supplier code"),
        "period": Column(COUNT, rule=lambda c: c >= 1, rule_text="must be 1 or more", meaning="period of the order"),
        "quantity": non_negative(UNITS, "units to order at the start of the period", required=True),
        "arrives": Column(COUNT, meaning="period from whose start the units are on the shelf, at the mean lead time"),
        "spend": non_negative(MONEY, "quantity times unit cost", required=True),
    },
    key=("unique_id", "period"),
)

STOCK_POLICIES: Final = Frame(
    "stock_policies",
    {
        "unique_id": text("the series' id"),
        "reorder_point": non_negative(UNITS, "position at or below which an order is due", required=True),
        "order_up_to": non_negative(UNITS, "position an order fills up to", required=True),
        "safety_stock": Column(UNITS, meaning="order_up_to less mean demand over the protection time, units"),
        "cycle_stock": non_negative(UNITS, "half the mean order, units", required=True),
    },
    key=("unique_id",),
)

TRANSFERS: Final = Frame(
    "transfers",
    {
        "product": text("product code"),
        "from": text("warehouse that gives"),
        "to": text("warehouse that takes"),
        "quantity": non_negative(UNITS, "units to move now", required=True),
        "arrives": Column(COUNT, meaning="period from whose start they are on the other shelf"),
        "cost": non_negative(MONEY, "cost of moving them", required=True),
        "saving": Column(MONEY, meaning="expected cost saved, the cost of moving taken off"),
    },
)

LIMIT_PRICES: Final = Frame(
    "limit_prices",
    {
        "kind": one_of(LIMIT_KINDS, "what is limited"),
        "scope": optional(TEXT, "supplier, warehouse or group"),
        "period": optional(COUNT, "period"),
        "value": Column(UNITS, meaning="the limit: money, cubic metres, fraction"),
        "used": Column(UNITS, meaning="what the orders use of it, in the same unit"),
        "price": Column(UNITS, meaning="expected cost saved by one unit more of it (service: by 0.01 less asked)"),
    },
)

NEXT_UNITS: Final = Frame(
    "next_units",
    {
        "rank": Column(COUNT, meaning="1 is the best use of the next money"),
        "unique_id": text("the series' id"),
        "from_quantity": non_negative(UNITS, "units before this step", required=True),
        "to_quantity": non_negative(UNITS, "units after it", required=True),
        "spend": non_negative(MONEY, "money of the step", required=True),
        "saving": Column(MONEY, meaning="expected cost the step saves"),
        "value_per_money": optional(UNITS, "saving over spend; null: it costs nothing"),
        "total_spend": non_negative(MONEY, "money of this and all steps before", required=True),
        "chosen": Column(FLAG, meaning="true: the orders hold it"),
    },
    key=("rank",),
)
