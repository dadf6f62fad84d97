"""What people decided, on the next plan: it carries over as long as what it answered has not much changed.

* a snoozed line stays away until its day;
* a rejected line stays away until the proposed quantity is more than half above the one that was rejected;
* an edited quantity stays while the proposed quantity is within a quarter of the one that was edited;
* an order override edits its line on every plan until its last day (`shelfwise.services.adjusting`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.services import adjusting
from shelfwise.storage import overrides, plans

REJECTED_UNTIL_GROWN_BY: Final = 0.5
EDITED_WITHIN: Final = 0.25


def answered(before: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Return the proposed quantity that each decision of the run before answered, by product and warehouse."""
    found = {}
    for row in before.filter(pl.col("status").is_in(["edited", "rejected"])).iter_rows(named=True):
        kept = json.loads(row["arithmetic"]).get("answered")
        found[row["product"], row["warehouse"]] = row["quantity"] if kept is None else kept
    return found


def carry_over(
    connection: Any,
    before: pl.DataFrame,
    fresh: pl.DataFrame,
    answered: Mapping[tuple[str, str], float],
    as_of: dt.date,
    now: dt.datetime,
) -> None:
    """Take over the decisions of the run before that still answer the new proposal."""
    numbers = {(row["product"], row["warehouse"]): row["recommendation"] for row in fresh.iter_rows(named=True)}
    proposed = {(row["product"], row["warehouse"]): row["quantity"] for row in fresh.iter_rows(named=True)}
    for key, row in _still_answered(before, proposed, answered, as_of):
        by = {"decided_by": row["decided_by"], "decided_at": now, "reason": row["decision_reason"]}
        if row["status"] == "snoozed":
            plans.decide(connection, numbers[key], "snooze", snoozed_until=row["snoozed_until"], **by)
        elif row["status"] == "rejected":
            plans.decide(connection, numbers[key], "reject", **by)
        else:
            plans.decide(connection, numbers[key], "edit", quantity=row["decided_quantity"], **by)


def _still_answered(
    before: pl.DataFrame,
    proposed: Mapping[tuple[str, str], float],
    answered: Mapping[tuple[str, str], float],
    as_of: dt.date,
) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Yield the decisions of the run before that still answer what is proposed now, by product and warehouse."""
    decided = before.filter(pl.col("status").is_in(["edited", "snoozed", "rejected"]))
    for row in decided.iter_rows(named=True):
        if row["status"] == "edited" and adjusting.made_by(row["decision_reason"]) is not None:
            continue  # the override itself says how long it holds
        key = (row["product"], row["warehouse"])
        units = proposed.get(key, 0.0)
        if units == 0:
            continue
        was = answered.get(key, row["quantity"])
        if (
            (row["status"] == "snoozed" and row["snoozed_until"] > as_of)
            or (row["status"] == "rejected" and units <= was * (1 + REJECTED_UNTIL_GROWN_BY))
            or (row["status"] == "edited" and abs(units - was) <= EDITED_WITHIN * was)
        ):
            yield key, row


def foreseen(app: App, lines: pl.DataFrame, as_of: dt.date) -> list[dict[str, Any]]:
    """Return what decisions of the run before and order overrides make of proposed lines, before any is kept.

    One row a line they are about: ``product, warehouse, status, decided_quantity, decision_reason, snoozed_until``.
    """
    keys = lines.select("product", "warehouse", "quantity").iter_rows()
    proposed = {(product, warehouse): units for product, warehouse, units in keys}
    with app.database.read() as connection:
        before = plans.recommendations(connection)
        some = overrides.standing_overrides(connection, as_of, adjusting.ORDER)
        approved = {f"{product}@{place}": at for (product, place), at in plans.last_approvals(connection).items()}
    found = {
        key: {name: row[name] for name in ("status", "decision_reason", "snoozed_until", "decided_quantity")}
        for key, row in _still_answered(before, proposed, answered(before), as_of)
    }
    free = {f"{key[0]}@{key[1]}": key for key in proposed if key not in found}
    asked = adjusting.edits(some, {line: proposed[key] for line, key in free.items()}, approved, as_of)
    for line, (one, units) in asked.items():
        found[free[line]] = {
            "status": "edited", "decided_quantity": units, "decision_reason": adjusting.edit_reason(one),
            "snoozed_until": None,
        }  # fmt: skip
    return [{"product": key[0], "warehouse": key[1], **row} for key, row in found.items()]


def settled(app: App, lines: pl.DataFrame, as_of: dt.date) -> dict[str, float]:
    """Return by line the units that decisions and overrides leave no choice about; 0 for what is put away."""
    return {
        f"{row['product']}@{row['warehouse']}": float(row["decided_quantity"]) if row["status"] == "edited" else 0.0
        for row in foreseen(app, lines, as_of)
    }


def apply_order_overrides(connection: Any, run_id: int, as_of: dt.date, now: dt.datetime) -> None:
    """Edit the lines of a new run that order overrides are about and that nobody has decided on."""
    some = overrides.standing_overrides(connection, as_of, adjusting.ORDER)
    if not some:
        return
    open_lines = plans.recommendations(connection, run_id, "proposed").with_columns(
        line=pl.format("{}@{}", "product", "warehouse")
    )
    numbers = dict(open_lines.select("line", "recommendation").iter_rows())
    proposed = dict(open_lines.select("line", "quantity").iter_rows())
    approved = {f"{product}@{place}": at for (product, place), at in plans.last_approvals(connection).items()}
    for line, (one, units) in adjusting.edits(some, proposed, approved, as_of).items():
        plans.decide(
            connection,
            numbers[line],
            "edit",
            quantity=units,
            reason=adjusting.edit_reason(one),
            decided_by=one.created_by,
            decided_at=now,
        )


def decided(lines: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    """Return the lines with what was decided about them; an edited quantity takes the place of the proposed one."""
    decided = standing.select(
        "product", "warehouse", "recommendation", "status", "decided_quantity", "decision_reason", "snoozed_until"
    )
    return (
        lines.join(decided, on=["product", "warehouse"], how="left", maintain_order="left")
        .with_columns(quantity=pl.coalesce("decided_quantity", "proposed"))
        .with_columns(cost=pl.col("quantity") * pl.col("unit_cost"))
        .drop("decided_quantity")
    )
