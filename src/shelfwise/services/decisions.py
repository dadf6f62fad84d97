"""What people decide about a plan's lines: approve, edit, snooze, reject, undo.

Approving puts the line on a draft purchase order of its supplier, in the same transaction, so that it counts as on its
way at once. Undoing an approval takes the whole draft back, with every line that is on it; an order that has been sent
can only be cancelled.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.domain.events import PurchaseOrderChanged, RecommendationDecided
from shelfwise.services import actor
from shelfwise.services.names import not_found
from shelfwise.storage import outbox, plans, purchasing

if TYPE_CHECKING:
    from shelfwise.services.planning import Plan  # takes the engines along, which most who decide do not need

ALL: Final = "all"
APPROVED_ON: Final = "on "


@dataclass(frozen=True)
class Drafted:
    """A purchase order drafted from approved lines."""

    number: str
    supplier: str
    lines: int
    units: float
    value: float | None


def decider() -> str:
    """Return who decides: the user for whom a request is answered, else the name of this computer's user."""
    return actor.name()


def find_lines(plan: Plan, wanted: str) -> pl.DataFrame:
    """Return the plan's lines that a person named: ``all``, a supplier, a line like ``CF-1042@SHOP``, or a product.

    Raises
    ------
    NotFound
        Nothing in the plan has that name; the message lists the nearest.
    """
    if wanted == ALL:
        return plan.lines
    asked = wanted.casefold()
    for column in ("unique_id", "product", "supplier"):
        found = plan.lines.filter(pl.col(column).str.to_lowercase() == asked)
        if found.height:
            return found
    raise not_found("line", wanted, plan.lines["unique_id"].to_list(), plan.lines["name"].to_list())


def one_line(plan: Plan, wanted: str) -> dict[str, Any]:
    """Return the one line a person named.

    Raises
    ------
    ParameterError
        The product stands in several warehouses; the message lists the lines.
    """
    found = find_lines(plan, wanted)
    if found.height > 1:
        raise ParameterError(
            f"{wanted} names {found.height} lines ({', '.join(found['unique_id'].head(5))}); name one of them"
        )
    return found.row(0, named=True)


def edit(app: App, plan: Plan, quantities: Mapping[str, float], reason: str | None) -> int:
    """Change the quantities of lines; return how many."""
    rows = [(one_line(plan, name), units) for name, units in quantities.items()]
    with app.database.write() as connection:
        for row, units in rows:
            _decide(app, connection, _number(row), "edit", quantity=units, reason=reason)
    return len(rows)


def odd_quantities(plan: Plan, quantities: Mapping[str, float]) -> list[str]:
    """Say which quantities by line the supplier's packs and minimum do not allow: they are kept as asked, not rounded.

    Nothing is said of lines whose pack and minimum are not known, and of orders of nothing.
    """
    said = []
    for name, units in quantities.items():
        row = one_line(plan, name)
        pack, minimum = row["pack_size"] or 1.0, row["minimum_order_quantity"] or 0.0
        if units <= 0:
            continue
        below = math.floor(units / pack + 1e-9) * pack
        parts = []
        if pack != 1 and units - below > 1e-9 * pack:
            near = " or ".join(words.units(whole) for whole in (below, below + pack) if whole > 0)
            parts.append(f"no whole number of packs of {words.units(pack)} ({near} would be)")
        if units < minimum - 1e-9:
            parts.append(f"below the smallest order of {words.units(minimum)}")
        if parts:
            said.append(
                f"{row['unique_id']}: {words.units(units)} is {' and '.join(parts)}; it is kept as asked, "
                "so make sure that the supplier takes it"
            )
    return said


def reject(app: App, plan: Plan, names: Sequence[str], reason: str | None) -> int:
    """Reject lines; return how many."""
    rows = _open(plan, names, "reject")
    with app.database.write() as connection:
        for row in rows:
            _decide(app, connection, _number(row), "reject", reason=reason)
    return len(rows)


def snooze(app: App, plan: Plan, until: Mapping[str, dt.date], reason: str | None) -> int:
    """Put lines away until a day; return how many.

    Raises
    ------
    ParameterError
        The day is not after the plan's.
    """
    for name, day in until.items():
        if day <= plan.as_of:
            raise ParameterError(f"{name} cannot sleep until {day}; the plan is of {plan.as_of}, name a later day")
    rows = [(row, day) for name, day in until.items() for row in _open(plan, [name], "snooze")]
    with app.database.write() as connection:
        for row, day in rows:
            _decide(app, connection, _number(row), "snooze", snoozed_until=day, reason=reason)
    return len(rows)


def approve(app: App, plan: Plan, names: Sequence[str]) -> list[Drafted]:
    """Approve lines, and draft one purchase order for each supplier they come from.

    Raises
    ------
    ParameterError
        A line has no supplier, so that there is nobody to order from.
    ConflictError
        None of the lines is open.
    """
    rows = _open(plan, names, "approve")
    homeless = [row["unique_id"] for row in rows if row["supplier"] is None]
    if homeless:
        raise ParameterError(
            f"{len(homeless):,} of these lines have no supplier, such as {homeless[0]}, so there is nobody to order "
            "from; name one with `shelfwise products edit PRODUCT --supplier NAME`"
        )
    orders = {row["supplier"]: row for row in plan.orders.iter_rows(named=True)}
    drafted = []
    with app.database.write() as connection:
        for supplier in dict.fromkeys(row["supplier"] for row in rows):
            own = [row for row in rows if row["supplier"] == supplier]
            lines = pl.DataFrame(
                [{name: row[name] for name in ("product", "warehouse", "quantity", "unit_cost")} for row in own],
                schema_overrides={"unit_cost": pl.Float64, "quantity": pl.Float64},
            )
            number = purchasing.create_purchase_order(
                connection,
                supplier,
                lines,
                created_at=app.now(),
                expected_on=orders[supplier]["arrives_on"] if supplier in orders else None,
                note=f"plan {plan.run_id} of {plan.as_of}",
            )
            for row in own:
                _decide(app, connection, _number(row), "approve", reason=f"{APPROVED_ON}{number}")
            cost = (lines["quantity"] * lines["unit_cost"]).sum() if lines["unit_cost"].null_count() == 0 else None
            outbox.append(connection, app.now(), PurchaseOrderChanged(number, "draft"))
            drafted.append(
                Drafted(
                    number, supplier, len(own), float(lines["quantity"].sum()), cost if cost is None else float(cost)
                )
            )
    return drafted


def undo(app: App, plan: Plan, names: Sequence[str]) -> int:
    """Take back the last decision on lines, and the draft orders that approvals among them made; return how many.

    Raises
    ------
    ConflictError
        A line was approved onto an order that has been sent.
    """
    rows = [row for name in names for row in find_lines(plan, name).filter(pl.col("status") != "proposed").to_dicts()]
    if not rows:
        raise ConflictError(
            f"{', '.join(names)}: nothing was decided in the latest plan, so there is nothing to undo; an order "
            "drafted from an earlier plan is taken back with `shelfwise purchase-orders --cancel NUMBER`"
        )
    numbers = {_order_of(row) for row in rows if row["status"] == "approved"} - {None}
    on_orders = [
        row for row in plan.lines.iter_rows(named=True) if row["status"] == "approved" and _order_of(row) in numbers
    ]
    every = {row["recommendation"]: row for row in (*rows, *on_orders)}
    with app.database.write() as connection:
        states = dict(purchasing.purchase_orders(connection).select("purchase_order", "status").iter_rows())
        for number in sorted(str(number) for number in numbers):
            if states.get(number) != "draft":
                raise ConflictError(
                    f"{number} is {states.get(number)} already; "
                    f"`shelfwise purchase-orders --cancel {number}` cancels what has not come"
                )
            purchasing.cancel(connection, number)
            outbox.append(connection, app.now(), PurchaseOrderChanged(number, "cancelled"))
        for key in every:
            _decide(app, connection, key, "undo")
    return len(every)


def _order_of(row: Mapping[str, Any]) -> str | None:
    reason = row["decision_reason"] or ""
    return reason.removeprefix(APPROVED_ON) if reason.startswith(APPROVED_ON) else None


def _open(plan: Plan, names: Sequence[str], verb: str) -> list[dict[str, Any]]:
    """Return the open lines with a quantity among those named, each once."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        some = find_lines(plan, name)
        usable = some.filter((pl.col("quantity") > 0) & pl.col("status").is_in(["proposed", "edited", "snoozed"]))
        if usable.height == 0:
            states = (
                ", ".join(some["status"].unique().sort().to_list()) if (some["quantity"] > 0).any() else "not needed"
            )
            raise ConflictError(
                f"{name}: there is no open line to {verb} (it is {states}); --undo takes a decision back"
            )
        found |= {row["unique_id"]: row for row in usable.iter_rows(named=True)}
    return list(found.values())


def _number(row: Mapping[str, Any]) -> int:
    if row["recommendation"] is None:
        raise NotFound(f"{row['unique_id']} is on a plan that was not saved; plan again without --dry-run")
    return int(row["recommendation"])


def _decide(app: App, connection: Any, number: int, action: str, **choice: Any) -> None:
    """Write the decision and its event in the caller's transaction."""
    now = app.now()
    plans.decide(connection, number, action, decided_by=decider(), decided_at=now, **choice)
    outbox.append(connection, now, RecommendationDecided(number, action))
