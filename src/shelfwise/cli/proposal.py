"""How an order proposal looks on paper: one block per supplier, one row and one sum per line.

The sum is never cut; product names give way to it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shelfwise.cli.output import width, write
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.budgeting import Budget
    from shelfwise.services.planning import Plan

NARROWEST_NAME = 8
WIDEST_NAME = 44
NEXT_SHOWN = 3
HEADERS = ("line", "product", "on hand", "due", "sells a day", "runs out", "order")


def write_proposal(
    plan: Plan,
    currency: str,
    *,
    per_supplier: int | None = None,
    more: str = "",
    details: pl.DataFrame | None = None,
) -> None:
    """Write the open lines, supplier by supplier, the most pressing first.

    Parameters
    ----------
    per_supplier
        Lines shown of each supplier; None for all.
    more
        What to say about how to see the rest.
    details
        What stands behind the lines, by ``unique_id``; None leaves it out.
    """
    lines = plan.open_lines.to_dicts()
    behind = {} if details is None else {row["unique_id"]: row for row in details.iter_rows(named=True)}
    table = [_cells(line, plan) for line in lines]
    sizes = _sizes(table)
    for order in plan.orders.iter_rows(named=True):
        own = [i for i, line in enumerate(lines) if line["supplier"] == order["supplier"]]
        write()
        for text in _heading(order, plan, currency):
            write(text)
        shown = own if per_supplier is None else own[:per_supplier]
        write("  " + _row(HEADERS, sizes))
        for i in shown:
            write("  " + _row(table[i], sizes))
            write("      " + _sum(lines[i]))
            if lines[i]["unique_id"] in behind:
                for text in _behind(behind[lines[i]["unique_id"]], currency):
                    write("      " + text)
        if len(own) > len(shown):
            write(f"  ... {words.count(len(own) - len(shown), 'more line')}{more}")


def _behind(row: dict[str, Any], currency: str) -> Iterator[str]:
    """Say what stands behind a line: its levels, and what demand may come to until the next order can arrive."""
    point, up_to, cycle = (words.units(row[name]) for name in ("reorder_point", "order_up_to", "cycle_stock"))
    yield f"by cost alone: reorder at {point}, fill up to {up_to}, about {cycle} of it cycle stock"
    low, middle, high = (words.units(row[f"{name}_stock"]) for name in ("minimum", "regular", "protected"))
    chances = [words.share(row[f"{name}_stockout"]) for name in ("minimum", "regular", "protected")]
    yield (
        f"minimum {low}, regular {middle}, protected {high}: stock that runs out before the next order comes in "
        f"{', '.join(chances[:2])} and {chances[2]} of cases"
    )
    if row["marginal_value"] is not None:
        yield f"the last pack worth ordering saves {words.money(row['marginal_value'], currency)} per {currency}"


def budget_lines(budget: Budget, currency: str) -> Iterator[str]:
    """Say what a budget bought, what one unit of money more would bring, and where it should go."""

    def money(value: float) -> str:
        return words.money(value, currency)

    for row in budget.limits:
        whose = f" for {row['scope']}" if row["scope"] else ""
        text = f"Budget{whose}: {money(row['used'])} of {money(row['value'])} spent"
        if row["price"] > 0:
            text += f"; one {currency} more would save about {words.money(row['price'], currency)}"
        elif budget.spend < budget.asked:
            text += "; more would cost more to hold than it saves, or would not be a whole pack"
        yield text + "."
    if budget.spend < budget.asked:
        yield (
            f"The lines would take {money(budget.asked)} in all. No other choice within the budget is cheaper by more "
            f"than {max(budget.gap, 0.0001):.2%} of the expected cost."
        )
    for row in budget.next_units[:NEXT_SHOWN]:
        yield (
            f"  next: {row['unique_id']} {words.units(row['from_quantity'])} -> {words.units(row['to_quantity'])} for "
            f"{money(row['spend'])}, saves about {money(row['saving'])}"
        )
    for note in budget.notes:
        yield f"note: {note}"


def _heading(order: dict[str, Any], plan: Plan, currency: str) -> Iterator[str]:
    day = _day(plan)
    name = order["name"] or order["supplier"] or "No supplier named"
    code = f" ({order['supplier']})" if order["supplier"] and order["name"] else ""
    yield f"{name}{code}   order by {day(order['order_by'])}   arrives {day(order['arrives_on'])}"
    parts = [words.count(order["lines"], "line"), f"{words.units(order['units'])} units"]
    if order["lines_without_cost"] < order["lines"]:
        parts.append(words.money(order["value"], currency))
    if order["lines_without_cost"]:
        parts.append(f"{words.count(order['lines_without_cost'], 'line')} without a cost")
    if order["minimum"] != "none":
        short = f", {words.money(order['missing_value'], currency)} missing" if order["missing_value"] > 0 else ""
        parts.append(f"minimum {words.money(order['minimum_order_value'], currency)} {_standing(order)}{short}")
    if order["margin_at_risk"]:
        parts.append(f"{words.money(order['margin_at_risk'], currency)} of margin at risk")
    yield "  " + "   ".join(parts)


def _standing(order: dict[str, Any]) -> str:
    return {"met": "met", "topped up": "reached by topping up", "below minimum": "not reached"}[order["minimum"]]


def _cells(line: dict[str, Any], plan: Plan) -> tuple[str, ...]:
    stock = words.units(line["on_hand"]) if line["stock_known"] else "?"
    low, high = words.units(line["low_per_day"]), words.units(line["high_per_day"])
    rate = f"{words.units(line['mean_per_day'])} ({low}-{high})"
    out = words.short_day(line["stockout_on"]) if line["stock_known"] else "?"
    return (
        line["unique_id"], line["name"] or "", stock, words.units(line["due"]), rate, out,
        words.units(line["quantity"]),
    )  # fmt: skip


def _sum(line: dict[str, Any]) -> str:
    text = str(line["arithmetic"])
    if line["status"] == "edited":
        text += f"; changed to {words.units(line['quantity'])}: {line['decision_reason']}"
    return text


def _sizes(table: list[tuple[str, ...]]) -> list[int]:
    """Return the width of each column; the product's name takes what is left of the terminal."""
    sizes = [max([len(header), *(len(row[i]) for row in table)]) for i, header in enumerate(HEADERS)]
    left = width() - 2 - 2 * (len(HEADERS) - 1) - sum(sizes) + sizes[1]
    sizes[1] = max(NARROWEST_NAME, min(sizes[1], left, WIDEST_NAME))
    return sizes


def _row(cells: tuple[str, ...], sizes: list[int]) -> str:
    left = [cells[0].ljust(sizes[0]), words.shortened(cells[1], sizes[1]).ljust(sizes[1])]
    right = [cell.rjust(size) for cell, size in zip(cells[2:], sizes[2:], strict=True)]
    return "  ".join([*left, *right]).rstrip()


def summary(plan: Plan, currency: str, today: dt.date | None = None) -> str:
    """Say in one sentence what has to be done and what it costs not to.

    Parameters
    ----------
    today
        The day it is read; a plan from old data speaks of its own day. None is the day of the plan.
    """
    day = _day(plan)
    if plan.orders.height == 0:
        if _cut(plan):
            return f"Nothing is ordered on {day(plan.as_of)} within the budget."
        return f"Nothing to order on {day(plan.as_of)}."
    now = plan.due_now
    first = min((by for by in plan.orders["order_by"].to_list() if by is not None), default=None)
    risk = float(plan.orders["margin_at_risk"].sum())
    where = " in these lines" if _cut(plan) else ""  # what the budget dropped is at risk as well
    until = "until the orders after these could come, if nothing is ordered"
    cost = f"; about {words.money(risk, currency)} of margin at risk{where} {until}" if risk >= 1 else ""
    suppliers = words.count(plan.orders.height, "supplier")
    total = f"{suppliers}, {words.count(int(plan.orders['lines'].sum()), 'line')}"
    if not plan.open_lines["stock_known"].any():
        return f"No stock is known, so nothing can be called urgent; {total} cover the whole demand."
    overdue = 0 if today is None or first is None else (today - first).days
    if overdue > 0 and today != plan.as_of:
        late = words.count(overdue, "day")
        return (
            f"The first order was due on {day(first)}, {late} ago ({total} in all){cost}; "
            f"the plan knows nothing of the days since {day(plan.data_until)}: import newer sales first."
        )
    if now.height:
        return f"Order from {words.count(now.height, 'supplier')} today ({total} in all){cost}."
    return f"Nothing must be ordered today; the next order is due by {day(first)} ({total} in all){cost}."


def _cut(plan: Plan) -> bool:
    return plan.budget is not None and plan.budget.spend < plan.budget.asked


def urgent_line(rank: int, line: dict[str, Any], plan: Plan) -> list[str]:
    """Explain one line in three."""
    day = _day(plan)
    order = next(o for o in plan.orders.iter_rows(named=True) if o["supplier"] == line["supplier"])
    low, high = words.units(line["low_per_day"]), words.units(line["high_per_day"])
    due = f" and {words.units(line['due'])} due" if line["due"] else ""
    cover = "" if line["days_of_cover"] is None else f" last about {words.units(line['days_of_cover'])} days"
    if cover and due:
        cover += " once all is there"
    out = f"; half of all cases run out by {day(line['stockout_on'])}" if line["stockout_on"] else ""
    name = order["name"] or order["supplier"] or "no supplier"
    return [
        f"{rank}. {line['unique_id']}  {line['name'] or ''}: order {words.units(line['quantity'])} from {name}",
        f"   {_sum(line)}",
        f"   Sells about {words.units(line['mean_per_day'])} a day (80 % range {low} to {high}).",
        f"   {words.units(line['on_hand'])} on hand{due}{cover}{out}.",
        f"   Ordered by {day(order['order_by'])} it comes about {day(order['arrives_on'])}.",
    ]


def _day(plan: Plan) -> Any:
    def written(value: dt.date | None) -> str:
        return words.day(value, today=plan.as_of)

    return written
