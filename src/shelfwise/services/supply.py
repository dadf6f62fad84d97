"""What a plan must know about supply: stock, suppliers and their calendars, lead times, and what is on order."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from shelfwise.app import App
from shelfwise.domain.frames import BUNDLES, PLANNING_ITEMS
from shelfwise.inventory.bundles import leaves
from shelfwise.inventory.lead_time_demand import measured_lead_times
from shelfwise.inventory.order_calendar import OrderCalendar, closures, parse_weekdays
from shelfwise.inventory.proposal import ProposalRules
from shelfwise.storage import bundles, catalogue, purchasing, stock


@dataclass(frozen=True, eq=False)
class Supply:
    """The supply side of the store, as frames.

    Parameters
    ----------
    suppliers
        SUPPLIERS as stated.
    stock
        STOCK_LEVELS.
    open_orders
        PURCHASE_ORDER_LINES of which something is still to come.
    events
        CALENDAR_EVENTS.
    lead_times
        Stated and measured lead times by supplier, as `measured_lead_times` returns them.
    usual_orders
        Median quantity of past order lines by product and warehouse, ``usual_order``.
    calendars
        When each supplier takes orders, by code.
    bundles
        BUNDLES, taken apart down to components that are no bundles; what bundles have taken since a component was
        counted is off its ``stock``.
    """

    suppliers: pl.DataFrame
    stock: pl.DataFrame
    open_orders: pl.DataFrame
    events: pl.DataFrame
    lead_times: pl.DataFrame
    usual_orders: pl.DataFrame
    calendars: Mapping[str, OrderCalendar]
    bundles: pl.DataFrame = field(default_factory=BUNDLES.empty)

    @property
    def suppliers_as_measured(self) -> pl.DataFrame:
        """SUPPLIERS with the lead times that deliveries have shown."""
        measured = self.lead_times.select("supplier", "mean_days")
        return (
            self.suppliers.join(measured, on="supplier", how="left", maintain_order="left")
            .with_columns(lead_time_days=pl.coalesce("mean_days", "lead_time_days"))
            .drop("mean_days")
        )


def load(app: App) -> Supply:
    """Read the supply side of the store."""
    with app.database.read() as connection:
        suppliers = catalogue.suppliers(connection)
        levels = stock.stock_levels(connection)
        open_orders = purchasing.open_order_lines(connection)
        ordered = purchasing.purchase_orders(connection)
        events = catalogue.calendar_events(connection)
        receipts = purchasing.receipts(connection)
        recipes = leaves(bundles.bundles(connection))
        taken = bundles.sold_since_counts(connection, recipes)
    usual = (
        ordered.filter((pl.col("status") != "cancelled") & (pl.col("quantity") > 0))
        .group_by("product", "warehouse")
        .agg(usual_order=pl.col("quantity").median())
    )
    shop_closures = closures(events, "shop")
    calendars = {
        code: OrderCalendar(
            order_weekdays=parse_weekdays(weekdays),
            supplier_closures=closures(events, "supplier", code),
            shop_closures=shop_closures,
            closed_weekdays=app.settings.closed_weekdays,
        )
        for code, weekdays in suppliers.select("supplier", "order_weekdays").iter_rows()
    }
    lead_times = measured_lead_times(receipts, suppliers)
    left = _without(levels, taken)
    return Supply(suppliers, left, open_orders, events, lead_times, usual, calendars, recipes)


def _without(levels: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """Return STOCK_LEVELS less what sales of bundles took of their components."""
    if taken.is_empty():
        return levels
    joined = levels.join(taken, on=["product", "warehouse"], how="left", maintain_order="left")
    return joined.with_columns(on_hand=pl.col("on_hand") - pl.col("taken").fill_null(0.0)).drop("taken")


def planning_items(series: pl.DataFrame, supply: Supply, as_of: dt.date, rules: ProposalRules) -> pl.DataFrame:
    """Return PLANNING_ITEMS for the rows of ``series`` (unique_id, product, warehouse and the product's attributes).

    The wait is counted to the supplier's next order day, the lead time from there to the day the goods can arrive, and
    the review from that day to the arrival of the order after it; so a closure of the supplier makes an order larger.
    """
    timings = pl.DataFrame(
        [_timing(row, supply.calendars, as_of, rules) for row in _terms(supply).iter_rows(named=True)],
        schema={
            "supplier": pl.String, "wait_periods": pl.Int64, "lead_time_periods": pl.Float64,
            "lead_time_sd_periods": pl.Float64, "review_periods": pl.Float64,
        },
    )  # fmt: skip
    columns = (
        "unique_id", "product", "warehouse", "supplier", "pack_size", "minimum_order_quantity", "unit_cost", "price",
    )  # fmt: skip
    on_hand = supply.stock.select("product", "warehouse", "on_hand")
    items = (
        series.select(columns)
        .join(on_hand, on=["product", "warehouse"], how="left", maintain_order="left")
        .join(supply.usual_orders, on=["product", "warehouse"], how="left", maintain_order="left")
        .join(timings, on="supplier", how="left", maintain_order="left")
    )
    return PLANNING_ITEMS.check(items)


def _terms(supply: Supply) -> pl.DataFrame:
    measured = supply.lead_times.select("supplier", "mean_days", "sd_days", "deliveries")
    stated = supply.suppliers.select("supplier", "review_days", "order_weekdays", "lead_time_sd_days")
    return stated.join(measured, on="supplier", how="left")


def _timing(
    row: Mapping[str, object], calendars: Mapping[str, OrderCalendar], as_of: dt.date, rules: ProposalRules
) -> dict[str, object]:
    """Return the periods of one supplier; what it does not state stays null, so that the line says it was assumed.

    A supplier that names its order days but no review time is ordered from on each of them.
    """
    supplier, mean, review = row["supplier"], row["mean_days"], row["review_days"]
    if review is None and row["order_weekdays"] is not None:
        review = 1.0
    days = rules.lead_time_days if mean is None else float(str(mean))
    gap = rules.review_days if review is None else float(str(review))
    spread_known = row["lead_time_sd_days"] is not None or bool(row["deliveries"])
    timing = calendars[str(supplier)].timing(as_of, days, gap)
    return {
        "supplier": supplier,
        "wait_periods": (timing.order_on - as_of).days,
        "lead_time_periods": None if mean is None else float((timing.arrives_on - timing.order_on).days),
        "lead_time_sd_periods": row["sd_days"] if mean is not None and days > 0 and spread_known else None,
        "review_periods": None
        if review is None
        else float(max(math.ceil(gap - 1e-9), (timing.next_arrives_on - timing.arrives_on).days)),
    }
