"""The order proposal as it stands, one line of it, and what a person decides about that line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.forecasting.catalog import estimator
from shelfwise.services import catalogue, decisions, jobs, planning
from shelfwise.services.budgeting import ALL_SUPPLIERS
from shelfwise.services.decisions import Drafted
from shelfwise.services.job_kinds import PLAN
from shelfwise.services.jobs import Job
from shelfwise.services.planning import Plan
from shelfwise.services.product_forecasts import NO_PLAN
from shelfwise.services.waiting import waited

Action = Literal["approve", "edit", "snooze", "reject", "undo"]
State = Literal["open", "proposed", "edited", "approved", "snoozed", "rejected", "not needed"]

SNOOZE_DAYS: Final = 7
"""Days that a line stays away where no day is given."""

_OPEN: Final = ("proposed", "edited")
_GIVEN: Final = {"edit": {"quantity", "reason"}, "snooze": {"until", "reason"}, "reject": {"reason"}}


@dataclass(frozen=True, eq=False)
class Decided:
    """What became of a decision.

    line
        The plan's line as it stands now.
    drafted
        The purchase order that an approval drafted.
    notes
        What is odd about an edited quantity.
    """

    line: dict[str, Any]
    drafted: Drafted | None = None
    notes: tuple[str, ...] = ()


def latest(app: App) -> Plan:
    """Return the plan made last, as it stands; `NotFound` before the first."""
    plan = planning.latest(app)
    if plan is None:
        raise NotFound(NO_PLAN)
    return plan


def make(
    app: App,
    service_level: float | None = None,
    lead_time_days: float | None = None,
    model: str | None = None,
    budgets: Mapping[str, float] | None = None,
    *,
    wait_seconds: float = 0.0,
) -> Plan | Job:
    """Make a plan, or return the one that holds; see `planning.make_plan`. Budgets are by supplier code or name.

    A new plan is made by a worker where there is one: its job is returned once ``wait_seconds`` are over, and the same
    question when it is done gets the plan. Where there is none, it is made here.

    Raises
    ------
    NotFound
        A budget is for a supplier that is not in the store.
    ParameterError
        There is no such model, or the job could not make the plan.
    DataError
        The store has no sales, or no live product.
    """
    limits = {
        ALL_SUPPLIERS if name.casefold() == ALL_SUPPLIERS else catalogue.supplier(app, name): money
        for name, money in (budgets or {}).items()
    }
    if model is not None:
        estimator(model)
    given = {"service_level": service_level, "lead_time_days": lead_time_days, "model": model, "budgets": limits}
    choices: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, {})}
    held = planning.holding(app, **choices)
    if held is not None:
        return held
    if not jobs.alive(app):
        return planning.make_plan(app, **choices)
    asked = jobs.ask(app, PLAN, choices, jobs.subject_of(choices) if choices else "")
    job = waited(app, asked, wait_seconds)
    if not job.over:
        return job
    if job.state != "done":
        raise ParameterError(f"the plan was not made: {job.error or job.state}")
    # What changed while it was made leaves it behind at once; it is what was asked for all the same.
    return planning.holding(app, **choices) or latest(app)


def lines(
    plan: Plan, *, state: State = "open", supplier: str | None = None, order_by: dt.date | None = None
) -> pl.DataFrame:
    """Return lines of a plan.

    Parameters
    ----------
    state
        ``open`` lines have a quantity and wait for a decision; ``not needed`` ones have none and nobody touched them.
    supplier
        Code of the supplier; lines of others are left out.
    order_by
        Lines that have to be ordered by then.
    """
    found = plan.lines
    wanted, some = pl.col("status"), pl.col("quantity") > 0
    if state == "open":
        found = found.filter(some & wanted.is_in(_OPEN))
    elif state == "not needed":
        found = found.filter(~some & (wanted == "proposed"))
    else:
        found = found.filter((wanted == state) & (some if state == "proposed" else True))
    if supplier is not None:
        found = found.filter(pl.col("supplier") == supplier)
    return found if order_by is None else found.filter(pl.col("order_by") <= order_by)


def line(app: App, wanted: str) -> dict[str, Any]:
    """Return a line of the plan made last, by ``product@warehouse``, or by product where that has only one.

    Raises
    ------
    NotFound
        There is no plan, or no such line; the message lists the nearest.
    ParameterError
        The product stands in several warehouses; the message lists the lines.
    """
    return decisions.one_line(latest(app), wanted)


def decide(
    app: App,
    wanted: str,
    action: Action,
    *,
    quantity: float | None = None,
    reason: str | None = None,
    until: dt.date | None = None,
) -> Decided:
    """Decide about one line of the plan made last.

    Parameters
    ----------
    quantity
        Units that an edit orders.
    reason
        Why, of an edit, a snooze or a rejection.
    until
        Day on which a snoozed line comes back; None is a week from the plan's.

    Raises
    ------
    NotFound
        There is no plan, or no such line.
    ParameterError
        Something is given that the action does not take, or something missing that it needs.
    ConflictError
        The line's state forbids it.
    """
    given = {
        name for name, value in (("quantity", quantity), ("reason", reason), ("until", until)) if value is not None
    }
    for name in sorted(given - _GIVEN.get(action, set())):
        takers = [one for one, taken in _GIVEN.items() if name in taken]
        raise ParameterError(f"{action} takes no {name}; leave it out, or did you mean {' or '.join(takers)}?")
    plan = latest(app)
    name = str(decisions.one_line(plan, wanted)["unique_id"])
    drafted: list[Drafted] = []
    notes: list[str] = []
    if action == "approve":
        drafted = decisions.approve(app, plan, [name])
    elif action == "edit":
        if quantity is None:
            raise ParameterError("edit needs a quantity in units; reject leaves a line out")
        decisions.edit(app, plan, {name: quantity}, reason)
        notes = decisions.odd_quantities(plan, {name: quantity})
    elif action == "snooze":
        decisions.snooze(app, plan, {name: until or plan.as_of + dt.timedelta(days=SNOOZE_DAYS)}, reason)
    elif action == "reject":
        decisions.reject(app, plan, [name], reason)
    else:
        decisions.undo(app, plan, [name])
    return Decided(line(app, name), drafted[0] if drafted else None, tuple(notes))
