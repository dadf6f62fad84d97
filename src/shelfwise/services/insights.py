"""The few things that a shopkeeper should know now, each with the numbers behind it, ranked by money.

`today` reads the plan made last as it stands and makes none, so that it is quick and may be asked at any time. `tell`
puts its most costly parts into sentences, and adds dead stock and the health of the data where the plan still holds.
These look at all that was sold, so what was told is kept until something that it rests on has changed.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote
from weakref import WeakKeyDictionary

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.services import demand, excess, health, kept_demand, planning, supply
from shelfwise.services.health import Health
from shelfwise.services.planning import Plan
from shelfwise.services.supply import Supply
from shelfwise.storage import catalogue, plans

MOST: Final = 10
LINES_TOLD: Final = 5
"""Lines that run out, findings and dead products that are told one by one."""
STALE_AFTER_DAYS: Final = 2
"""Sales that end so many days before today make every number of the day doubtful."""

_one_at_a_time: Final = threading.Lock()
_told: Final[WeakKeyDictionary[App, tuple[str, Insights]]] = WeakKeyDictionary()
_AT_STAKE: Final = ("order now", "runs out", "dead stock")


@dataclass(frozen=True, eq=False)
class Today:
    """The plan made last, read on a day.

    Parameters
    ----------
    plan
        None before the first.
    day
        The day it is read.
    due
        SUPPLIER_ORDERS that have to be placed by now, the most margin at risk first.
    later
        The other orders, by their day.
    at_risk
        Open lines that run out before the order after this one can come, the most margin at risk first.
    """

    plan: Plan | None
    day: dt.date
    currency: str
    due: pl.DataFrame
    later: pl.DataFrame
    at_risk: pl.DataFrame

    @property
    def stale_days(self) -> int:
        """Days since the last sale that the plan knows."""
        return 0 if self.plan is None else max(0, (self.day - self.plan.data_until).days)

    @property
    def is_stale(self) -> bool:
        """Whether the sales end so long ago that the numbers are doubtful."""
        return self.stale_days > STALE_AFTER_DAYS

    @property
    def margin_at_risk(self) -> float:
        """Expected margin lost if none of the open lines is ordered."""
        return 0.0 if self.plan is None else float(self.plan.open_lines["margin_at_risk"].fill_nan(None).sum())

    def sentence(self) -> str:
        """Say what has to be done."""
        if self.plan is None:
            return "There is no plan yet."
        at_risk = words.money(self.margin_at_risk, self.currency)
        if self.due.height:
            return f"Order from {words.count(self.due.height, 'supplier')} today; about {at_risk} of margin at risk."
        if self.later.height:
            first = self.later.row(0, named=True)
            who = first["name"] or first["supplier"] or "no supplier named"
            return f"Nothing has to be ordered until {words.day(first['order_by'], today=self.day)} ({who})."
        return "Nothing has to be ordered."


@dataclass(frozen=True)
class Insight:
    """One thing to know.

    Parameters
    ----------
    kind
        ``order now``, ``runs out``, ``late delivery``, ``dead stock``, ``data`` or ``stale``.
    title
        What it is, in a sentence.
    money
        What is at stake: margin, or a year's holding of dead stock; of ``data``, the orders that it touches.
    resource
        Path of what it is about in the HTTP interface.
    numbers
        The numbers behind it.
    """

    kind: str
    title: str
    money: float | None
    resource: str
    numbers: Mapping[str, float | str | dt.date | None]


@dataclass(frozen=True)
class Insights:
    """What to know now; ``notes`` say what could not be told, and why."""

    as_of: dt.date
    plan: int | None
    data_until: dt.date | None
    currency: str
    sentence: str
    items: tuple[Insight, ...]
    notes: tuple[str, ...]


def today(app: App, side: Supply | None = None) -> Today:
    """Return what the plan made last says of this day; nothing is made. ``side`` is the supply where it was read."""
    return _read(app, planning.latest(app, side))


def _read(app: App, plan: Plan | None) -> Today:
    day, currency = app.today(), app.settings.currency
    if plan is None:
        return Today(None, day, currency, pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
    now = max(plan.as_of, day)
    due = plan.due_by(now)
    placed = due["supplier"].to_list()
    mine = pl.col("supplier").is_in(pl.Series(placed, dtype=pl.String).implode(), nulls_equal=True)
    short = pl.col("stockout_on").is_not_null() & (pl.col("margin_at_risk").fill_null(0.0) > 0)
    return Today(
        plan,
        day,
        currency,
        due.sort(["margin_at_risk", "order_by"], descending=[True, False], nulls_last=True),
        plan.orders.filter(~mine).sort(["order_by", "margin_at_risk"], descending=[False, True], nulls_last=True),
        plan.open_lines.filter(short).sort("margin_at_risk", descending=True, nulls_last=True),
    )


def tell(app: App, limit: int = MOST) -> Insights:
    """Return what to know now: first what loses money, the most first; then what rests on odd data."""
    with _one_at_a_time:  # who comes while it is worked out takes what was
        mark = _mark(app)
        kept = _told.get(app)
        if kept is None or kept[0] != mark:
            kept = _told[app] = (mark, _all(app))
    return replace(kept[1], items=kept[1].items[:limit])


def _mark(app: App) -> str:
    """Return what is another text whenever something else could be told."""
    with app.database.read() as connection:
        run, suppliers = plans.latest_run(connection), catalogue.suppliers(connection)
    return f"{None if run is None else (run.id, run.created_at)} {kept_demand.mark_of(app)} {suppliers.write_csv()}"


def _all(app: App) -> Insights:
    side = supply.load(app)
    standing = planning.standing(app, side)
    read = today(app, side) if standing is None else _read(app, standing)
    plan = read.plan
    if plan is None:
        return Insights(read.day, None, None, read.currency, read.sentence(), (), (no_plan(),))
    found = [*_orders(read), *_running_out(read), *_late(plan)]
    notes = []
    if standing is None:
        notes.append(
            "something has changed since the plan was made, so dead stock and the health of the data are not told; "
            "make the plan anew first"
        )
    else:
        known = demand.load(app, days_ahead=planning.DAYS_LAID_OUT)
        lines = excess.find(app, known=known, side=side, plan=plan).lines
        found += [*_dead(lines, read.currency), *_data(health.check(app, known=known, side=side), read.currency)]
    if read.is_stale:
        found.insert(0, _stale(plan, read))
    ranked = sorted(found, key=_rank)
    return Insights(read.day, plan.run_id, plan.data_until, read.currency, read.sentence(), tuple(ranked), tuple(notes))


def no_plan() -> str:
    """Say what to do in a shop without a plan."""
    return "bring in what was sold with `shelfwise import FILE...`, then `shelfwise order` makes the plan"


def _rank(one: Insight) -> tuple[bool, bool, float]:
    return one.kind != "stale", one.kind not in _AT_STAKE, -(one.money or 0.0)


def _orders(read: Today) -> Iterator[Insight]:
    for row in read.due.iter_rows(named=True):
        who = row["name"] or row["supplier"] or "no supplier named"
        cost = words.money(row["value"], read.currency)
        yield Insight(
            "order now",
            f"Order from {who} by {words.day(row['order_by'], today=read.day)}: "
            f"{words.count(row['lines'], 'line')}, {cost}; it arrives about "
            f"{words.day(row['arrives_on'], today=read.day)}.",
            row["margin_at_risk"],
            f"/api/v1/order-proposals?supplier={quote(row['supplier'] or '', safe='')}",
            {name: row[name] for name in ("supplier", "order_by", "arrives_on", "lines", "units", "value")},
        )


def _running_out(read: Today) -> Iterator[Insight]:
    for row in read.at_risk.head(LINES_TOLD).iter_rows(named=True):
        late = "; it may run short before an order can come" if row["late"] else ""
        yield Insight(
            "runs out",
            f"{row['name'] or row['product']} in {row['warehouse']} runs out about "
            f"{words.day(row['stockout_on'], today=read.day)}{late}.",
            row["margin_at_risk"],
            f"/api/v1/order-proposals/{quote(row['unique_id'], safe='@')}",
            {
                name: row[name]
                for name in (
                    "product", "warehouse", "on_hand", "due", "stockout_on", "stockout_probability", "lost_units",
                    "quantity", "order_by",
                )
            },
        )  # fmt: skip


def _late(plan: Plan) -> Iterator[Insight]:
    by_order = plan.overdue.group_by("purchase_order", maintain_order=True).agg(
        pl.len().alias("lines"), pl.col("reason").first()
    )
    for row in by_order.head(LINES_TOLD).iter_rows(named=True):
        yield Insight(
            "late delivery",
            f"{row['purchase_order']} no longer counts as on its way: {row['reason']}.",
            None,
            f"/api/v1/purchase-orders/{quote(row['purchase_order'], safe='')}",
            {"purchase_order": row["purchase_order"], "lines": row["lines"]},
        )


def _dead(lines: pl.DataFrame, currency: str) -> Iterator[Insight]:
    for row in lines.filter(pl.col("kind") == "dead").head(LINES_TOLD).iter_rows(named=True):
        yield Insight(
            "dead stock",
            f"{words.units(row['units'])} of {row['name'] or row['product']} in {row['warehouse']} do not sell"
            f" ({words.money(row['value'], currency)}): {row['advice']}.",
            row["holding_a_year"],
            f"/api/v1/products/{quote(row['product'], safe='')}",
            {
                name: row[name]
                for name in ("product", "warehouse", "units", "last_sold", "value", "holding_a_year")
            },
        )  # fmt: skip


def _data(checked: Health, currency: str) -> Iterator[Insight]:
    found = [one for one in checked.findings if one.severity == "problem" or (one.orders or 0.0) > 0]
    for one in found[:LINES_TOLD]:
        effect = one.effect(currency)
        yield Insight(
            "data",
            f"{one.what}{'; ' if effect else ''}{effect}.",
            one.orders,
            "/api/v1/order-proposals",
            {"finding": one.kind, "severity": one.severity, "lines": one.lines, "way_out": one.way_out or None},
        )


def _stale(plan: Plan, read: Today) -> Insight:
    return Insight(
        "stale",
        f"Sales are known until {words.day(plan.data_until, today=read.day)} only, "
        f"{words.count(read.stale_days, 'day')} ago: import the newer ones and plan anew.",
        None,
        "/api/v1/imports",
        {"data_until": plan.data_until, "days": read.stale_days},
    )
