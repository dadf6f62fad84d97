"""Plan runs, what they recommend, and what the planner decided.

Decisions are only ever added. A recommendation starts as *proposed*; `decide` moves it:

========  ==================================  ==========================================
action    allowed from                        leads to
========  ==================================  ==========================================
edit      proposed, edited, snoozed           edited: another quantity, with a reason
approve   proposed, edited, snoozed           approved: the quantity as edited or given
snooze    proposed, edited, snoozed           snoozed until a day
reject    proposed, edited, snoozed           rejected, with a reason
undo      after any decision                  as it was before the last decision
========  ==================================  ==========================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Row, Table, func, insert, select, update

from shelfwise.domain.errors import ConflictError, DataError, NotFound, ParameterError
from shelfwise.domain.frames import RECOMMENDATIONS
from shelfwise.storage import tables
from shelfwise.storage.catalogue import code_ids
from shelfwise.storage.database import insert_one

ACTIONS: Final = ("approve", "edit", "snooze", "reject", "undo")
_BECOMES: Final = {"approve": "approved", "edit": "edited", "snooze": "snoozed", "reject": "rejected"}
_UNDECIDED: Final = ("proposed", "edited", "snoozed")


@dataclass(frozen=True)
class PlanRun:
    """One run: the forecasts and recommendations made together. ``horizon`` counts days."""

    id: int
    created_at: datetime
    data_until: date
    horizon: int
    model: str
    seed: int
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """One row of a recommendation's history."""

    action: str
    quantity: float | None
    reason: str | None
    snoozed_until: date | None
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True)
class Standing:
    """Where a recommendation stands after its decisions. ``quantity`` is in units; None: as proposed."""

    status: str = "proposed"
    quantity: float | None = None
    last: Decision | None = None


@dataclass(frozen=True)
class Edited:
    """A line of a run on which a person's quantity stood in place of the proposed one, undone edits left out.

    ``proposed`` and ``quantity`` are units; ``order`` is the reason of the approval, None where it was not approved.
    """

    recommendation: int
    run: PlanRun
    product: str
    warehouse: str
    proposed: float
    quantity: float
    unit_cost: float | None
    arithmetic: dict[str, Any]
    edit: Decision
    order: str | None


def save_run(
    connection: Connection,
    *,
    created_at: datetime,
    data_until: date,
    horizon: int,
    model: str,
    seed: int = 0,
    parameters: dict[str, Any] | None = None,
) -> int:
    """Keep a run and return its number; its forecasts and recommendations are saved under it."""
    values = {
        "created_at": created_at,
        "data_until": data_until,
        "horizon": horizon,
        "model": model,
        "seed": seed,
        "parameters": parameters or {},
    }
    return insert_one(connection, tables.plan_runs, values)


def latest_run(connection: Connection) -> PlanRun | None:
    """Return the latest run; None before the first."""
    t = tables.plan_runs
    row = connection.execute(select(t).order_by(t.c.id.desc()).limit(1)).first()
    return None if row is None else PlanRun(**row._mapping)


def all_runs(connection: Connection) -> list[PlanRun]:
    """Return all runs, the oldest first."""
    t = tables.plan_runs
    return [PlanRun(**row._mapping) for row in connection.execute(select(t).order_by(t.c.id))]


def plan_run(connection: Connection, run_id: int) -> PlanRun:
    """Return a run by its number."""
    t = tables.plan_runs
    row = connection.execute(select(t).where(t.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"there is no plan run {run_id}; the latest is {_latest_run_id(connection)}")
    return PlanRun(**row._mapping)


def save_recommendations(connection: Connection, run_id: int, frame: pl.DataFrame) -> int:
    """Keep what a run recommends (``RECOMMENDATIONS``), each as proposed; return how many.

    What the frame says of decisions is not taken over: a new run starts afresh.
    """
    plan_run(connection, run_id)
    checked = RECOMMENDATIONS.check(frame)
    if checked.is_empty():
        return 0
    ids = {
        name: _id_by_code(connection, target, checked[name])
        for name, target in (
            ("product", tables.products), ("warehouse", tables.warehouses), ("supplier", tables.suppliers),
        )
    }  # fmt: skip
    own = ("quantity", "order_by", "stockout_on", "stockout_probability", "unit_cost", "cost", "reason")
    rows = [
        {
            "run_id": run_id,
            "product_id": ids["product"][row["product"]],
            "warehouse_id": ids["warehouse"][row["warehouse"]],
            "supplier_id": ids["supplier"].get(row["supplier"]),
            "arithmetic": _numbers(row["product"], row["arithmetic"]),
            "status": "proposed",
            **{name: row[name] for name in own},
        }
        for row in checked.iter_rows(named=True)
    ]
    connection.execute(insert(tables.recommendations), rows)
    return len(rows)


def recommendations(
    connection: Connection, run_id: int | None = None, status: str | Sequence[str] | None = None
) -> pl.DataFrame:
    """Read what a run recommends and what was decided (``RECOMMENDATIONS``), by order day and number.

    Parameters
    ----------
    run_id
        None for the latest run; no rows before the first.
    status
        One state, or several; None for all.
    """
    if run_id is None:
        run_id = _latest_run_id(connection)
        if run_id is None:
            return RECOMMENDATIONS.empty()
    t = tables.recommendations
    source = t.join(tables.products, t.c.product_id == tables.products.c.id).join(tables.warehouses)
    query = (
        select(
            t,
            tables.products.c.code.label("product"),
            tables.warehouses.c.code.label("warehouse"),
            tables.suppliers.c.code.label("supplier"),
        )
        .select_from(source.outerjoin(tables.suppliers, t.c.supplier_id == tables.suppliers.c.id))
        .where(t.c.run_id == run_id)
        .order_by(func.coalesce(t.c.order_by, 2**31 - 1), t.c.id)
    )
    if status is not None:
        query = query.where(t.c.status.in_([status] if isinstance(status, str) else list(status)))
    standings = _standings(connection, select(t.c.id).where(t.c.run_id == run_id))
    rows = []
    for row in connection.execute(query).mappings():
        standing = standings.get(row["id"], Standing())
        last = standing.last
        rows.append(
            {
                "recommendation": row["id"],
                **{name: row[name] for name in RECOMMENDATIONS.columns if name in row},
                "arithmetic": json.dumps(row["arithmetic"], ensure_ascii=False),
                "decided_quantity": standing.quantity,
                "decision_reason": last and last.reason,
                "snoozed_until": last.snoozed_until if last and standing.status == "snoozed" else None,
                "decided_by": last and last.decided_by,
                "decided_at": last and last.decided_at,
            }
        )
    schema = {name: column.dtype for name, column in RECOMMENDATIONS.columns.items()}
    return RECOMMENDATIONS.check(pl.DataFrame(rows, schema=schema, orient="row"))


def decide(
    connection: Connection,
    recommendation_id: int,
    action: str,
    *,
    decided_by: str,
    decided_at: datetime,
    quantity: float | None = None,
    reason: str | None = None,
    snoozed_until: date | None = None,
) -> Standing:
    """Add a decision to a recommendation's history and return where it stands now.

    Parameters
    ----------
    quantity
        Units. Needed to edit; to approve, None keeps the quantity as it stands.
    reason
        Needed to edit and to reject.
    snoozed_until
        Day on which it comes back; needed to snooze.

    Raises
    ------
    ParameterError
        The action is unknown, or lacks what it needs.
    ConflictError
        It is approved or rejected already, or there is nothing to undo.
    NotFound
        There is no such recommendation.
    """
    _check_decision(action, quantity, reason, snoozed_until)
    t = tables.recommendations
    proposed = connection.scalar(select(t.c.quantity).where(t.c.id == recommendation_id))
    if proposed is None:
        raise NotFound(f"there is no recommendation {recommendation_id}; list them to see their numbers")
    past = history(connection, recommendation_id)
    now = _standing(past)
    if action == "undo":
        if now.last is None:
            raise ConflictError(f"recommendation {recommendation_id} stands as proposed; there is nothing to undo")
    elif now.status not in _UNDECIDED:
        raise ConflictError(f"recommendation {recommendation_id} is {now.status} already; undo that first")
    if action == "approve" and quantity is None:
        quantity = proposed if now.quantity is None else now.quantity
    decision = Decision(action, quantity, reason, snoozed_until, decided_by, decided_at)
    values = {"recommendation_id": recommendation_id, **vars(decision)}
    connection.execute(insert(tables.decisions).values(values))
    standing = _standing([*past, decision])
    connection.execute(update(t).where(t.c.id == recommendation_id).values(status=standing.status))
    return standing


def history(connection: Connection, recommendation_id: int) -> list[Decision]:
    """Return all decisions on a recommendation, the first first, undone ones and undos included."""
    t = tables.decisions
    rows = connection.execute(select(t).where(t.c.recommendation_id == recommendation_id).order_by(t.c.id))
    return [_decision(row) for row in rows]


def snoozed(connection: Connection, as_of: date) -> pl.DataFrame:
    """Read what sleeps on that day, over all runs: product, warehouse and the day on which it comes back."""
    t = tables.recommendations
    asleep = select(t.c.id).where(t.c.status == "snoozed")
    standings = _standings(connection, asleep)
    query = (
        select(t.c.id, tables.products.c.code, tables.warehouses.c.code)
        .select_from(t.join(tables.products, t.c.product_id == tables.products.c.id).join(tables.warehouses))
        .where(t.c.status == "snoozed")
    )
    rows = [
        (product, warehouse, last.snoozed_until)
        for key, product, warehouse in connection.execute(query)
        if (last := standings[key].last) and last.snoozed_until and last.snoozed_until > as_of
    ]
    schema = {"product": pl.String, "warehouse": pl.String, "snoozed_until": pl.Date}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.group_by("product", "warehouse").agg(pl.col("snoozed_until").max()).sort("product", "warehouse")


def edited_lines(connection: Connection) -> list[Edited]:
    """Return every line that stands as edited, or was approved after an edit, over all runs, the oldest first."""
    t, d = tables.recommendations, tables.decisions
    touched = select(d.c.recommendation_id).where(d.c.action == "edit")
    past: dict[int, list[Decision]] = {}
    for row in connection.execute(select(d).where(d.c.recommendation_id.in_(touched)).order_by(d.c.id)):
        past.setdefault(row.recommendation_id, []).append(_decision(row))
    runs = {run.id: run for run in all_runs(connection)}
    query = (
        select(t, tables.products.c.code.label("product"), tables.warehouses.c.code.label("warehouse"))
        .select_from(t.join(tables.products, t.c.product_id == tables.products.c.id).join(tables.warehouses))
        .where(t.c.id.in_(touched), t.c.status.in_(["edited", "approved"]))
        .order_by(t.c.id)
    )
    found = []
    for line in connection.execute(query).mappings():
        states = _states(past[line["id"]])
        last, edits = states[-1], [s.last for s in states if s.last is not None and s.last.action == "edit"]
        if not edits or last.quantity is None or last.last is None:
            continue
        order = last.last.reason if last.status == "approved" else None
        found.append(
            Edited(
                line["id"], runs[line["run_id"]], line["product"], line["warehouse"], line["quantity"], last.quantity,
                line["unit_cost"], dict(line["arithmetic"]), edits[-1], order,
            )
        )  # fmt: skip
    return found


def last_approvals(connection: Connection) -> dict[tuple[str, str], datetime]:
    """Return when each product in each warehouse was last approved, over all runs; undone approvals do not count."""
    t = tables.recommendations
    approved = select(t.c.id).where(t.c.status == "approved")
    standings = _standings(connection, approved)
    query = (
        select(t.c.id, tables.products.c.code, tables.warehouses.c.code)
        .select_from(t.join(tables.products, t.c.product_id == tables.products.c.id).join(tables.warehouses))
        .where(t.c.status == "approved")
        .order_by(t.c.id)
    )
    return {
        (product, warehouse): last.decided_at
        for key, product, warehouse in connection.execute(query)
        if (last := standings[key].last) is not None
    }


def _standing(past: Iterable[Decision]) -> Standing:
    return _states(past)[-1]


def _states(past: Iterable[Decision]) -> list[Standing]:
    """Return the states that decisions lead through, what was undone left out."""
    states = [Standing()]
    for decision in past:
        if decision.action == "undo":
            states.pop()
            continue
        before = states[-1]
        quantity = before.quantity if decision.quantity is None else decision.quantity
        states.append(replace(before, status=_BECOMES[decision.action], quantity=quantity, last=decision))
    return states


def _standings(connection: Connection, which: Any) -> dict[int, Standing]:
    t = tables.decisions
    past: dict[int, list[Decision]] = {}
    for row in connection.execute(select(t).where(t.c.recommendation_id.in_(which)).order_by(t.c.id)):
        past.setdefault(row.recommendation_id, []).append(_decision(row))
    return {key: _standing(decisions) for key, decisions in past.items()}


def _check_decision(action: str, quantity: float | None, reason: str | None, snoozed_until: date | None) -> None:
    if action not in ACTIONS:
        raise ParameterError(f"there is no decision {action!r}; decide to {', '.join(ACTIONS)}")
    if action == "edit" and quantity is None:
        raise ParameterError("an edit needs a quantity; give the units to order")
    if quantity is not None and action not in ("edit", "approve"):
        raise ParameterError(f"to {action} takes no quantity; edit first")
    if quantity is not None and not 0 <= quantity < float("inf"):
        raise ParameterError(f"a quantity must be zero or more units, got {quantity:g}")
    if action in ("edit", "reject") and not (reason or "").strip():
        raise ParameterError(f"to {action} needs a reason; say why, the next reader will ask")
    if (action == "snooze") != (snoozed_until is not None):
        raise ParameterError("a snooze, and nothing else, needs the day on which it comes back")


def _id_by_code(connection: Connection, target: Table, codes: pl.Series) -> dict[str, int]:
    distinct = codes.drop_nulls().unique(maintain_order=True).to_list()
    return dict(zip(distinct, code_ids(connection, target, distinct), strict=True))


def _numbers(product: str, text: str) -> dict[str, Any]:
    try:
        numbers = json.loads(text)
    except ValueError as error:
        raise DataError(f"the arithmetic of {product!r} is no JSON ({error}); encode it as an object") from error
    if not isinstance(numbers, dict):
        raise DataError(f"the arithmetic of {product!r} is {text[:40]!r}; encode it as a JSON object")
    return numbers


def _latest_run_id(connection: Connection) -> int | None:
    latest: int | None = connection.scalar(select(func.max(tables.plan_runs.c.id)))
    return latest


def _decision(row: Row[*tuple[Any, ...]]) -> Decision:
    return Decision(row.action, row.quantity, row.reason, row.snoozed_until, row.decided_by, row.decided_at)
