"""A planner's overrides: set, listed and reverted. What they do is in `adjusting`, what they were worth in
`override_scores`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import DataError, NotFound, ParameterError
from shelfwise.domain.events import OverrideChanged, RecommendationDecided
from shelfwise.services import adjusting, planning
from shelfwise.services.adjusting import FORECAST, ORDER, RULES, SCOPES, Change
from shelfwise.services.decisions import decider, one_line
from shelfwise.services.names import not_found, product_code, supplier_code
from shelfwise.services.planning import Plan
from shelfwise.storage import catalogue, outbox, overrides, plans, sales
from shelfwise.storage.overrides import Override

ORDER_DAYS: Final = 7
"""Days an order override holds where no day is given: one round of orders."""

_LISTED: Final = {
    "override": pl.Int64(), "of": pl.String(), "about": pl.String(), "change": pl.String(), "from": pl.Date(),
    "until": pl.Date(), "state": pl.String(), "reason": pl.String(), "by": pl.String(), "at": pl.Datetime("us"),
    "reverted_by": pl.String(), "reverted_at": pl.Datetime("us"),
}  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """What an override is about: one of `SCOPES`, and the code; None for the whole shop."""

    kind: str
    code: str | None


def find_scope(app: App, wanted: str) -> Scope:
    """Return what a person named: ``shop``, a product by code or name, ``product@warehouse``, or like
    ``category:Tea``, ``supplier:Northbean``, ``warehouse:North``.

    Raises
    ------
    NotFound
        There is nothing of that name in the store; the message lists the nearest.
    """
    with app.database.read() as connection:
        products = catalogue.products(connection)
        places = catalogue.warehouses(connection)["warehouse"].to_list()
        suppliers = catalogue.suppliers(connection)
    if wanted.strip().casefold() == "shop":
        return Scope("shop", None)
    kind, colon, name = wanted.partition(":")
    if colon and kind in SCOPES and kind not in ("shop", "line"):
        if kind == "product":
            return Scope("product", product_code(products, name))
        if kind == "supplier":
            return Scope("supplier", supplier_code(suppliers, name))
        known = places if kind == "warehouse" else products["category"].drop_nulls().unique().sort().to_list()
        return Scope(kind, _same(kind, name, known))
    product, at, place = wanted.rpartition("@")
    if at and wanted not in products["product"]:
        return Scope("line", f"{product_code(products, product)}@{_same('warehouse', place, places)}")
    return Scope("product", product_code(products, wanted))


def _same(kind: str, wanted: str, known: list[str]) -> str:
    asked = wanted.casefold().strip()
    for one in known:
        if one.casefold() == asked:
            return one
    raise not_found(kind, wanted, known)


def set_forecast(
    app: App, what: str, change: Change, *, until: dt.date, reason: str, since: dt.date | None = None
) -> Override:
    """Change the forecast of ``what`` by hand, from ``since`` (None: from now on) until a day, both included.

    Raises
    ------
    NotFound
        There is nothing of that name in the store.
    ParameterError
        The days are over, the reason is empty, or units a day are asked of more than one product.
    """
    scope = find_scope(app, what)
    if change.per_day is not None and scope.kind not in ("product", "line"):
        raise ParameterError(
            f"{change} is asked of {what}, which is more than one product; give a share like +20%, or name a product"
        )
    first = _first_day_ahead(app)
    if until < first:
        raise ParameterError(
            f"the override would end on {until}, before the first day that is forecast ({first}); name a later day"
        )
    value = {"factor": change.factor} if change.per_day is None else {"per_day": change.per_day}
    return _added(app, FORECAST, value, scope, since, until, reason)


def set_order(
    app: App,
    plan: Plan,
    line: str,
    quantity: float,
    *,
    reason: str,
    rule: str = "exactly",
    until: dt.date | None = None,
) -> tuple[Override, float]:
    """Say what a line orders; return the override and the units that the plan's line orders now.

    Parameters
    ----------
    plan
        The plan that holds; its line is edited at once.
    line
        A product, or product@warehouse.
    rule
        ``exactly``, ``at least`` or ``at most``. The first two are spent when the line is approved.
    until
        Last day; None is a week from the day of the plan.

    Raises
    ------
    ParameterError
        The quantity is no number of units, the rule is none, or the day is before the plan's.
    ConflictError
        The line is approved or rejected already.
    """
    if rule not in RULES:
        raise ParameterError(f"an order override says {', '.join(RULES)}, got {rule!r}")
    if not 0 <= quantity < float("inf"):
        raise ParameterError(f"a quantity must be zero or more units, got {quantity:g}")
    last = until or plan.as_of + dt.timedelta(days=ORDER_DAYS)
    if last < plan.as_of:
        raise ParameterError(f"the override would end on {last}; the plan is of {plan.as_of}, name a later day")
    row = one_line(plan, line)
    scope = Scope("line", row["unique_id"])
    override = _added(app, ORDER, {"quantity": quantity, "rule": rule}, scope, None, last, reason, row)
    return override, adjusting.ordered(override, row["proposed"])


def set_order_of_latest(
    app: App, line: str, quantity: float, *, reason: str, rule: str = "exactly", until: dt.date | None = None
) -> Override:
    """Say what a line of the plan made last orders; see `set_order`.

    Raises
    ------
    NotFound
        There is no plan, or no such line.
    """
    plan = planning.latest(app)
    if plan is None:
        raise NotFound("there is no plan yet, so there is no line to override; `shelfwise order` makes one")
    return set_order(app, plan, line, quantity, reason=reason, rule=rule, until=until)[0]


def one(app: App, number: int) -> pl.DataFrame:
    """Return one override as a row of `listed`; `NotFound` where there is none of that number."""
    found = listed(app, every=True).filter(pl.col("override") == number)
    if found.is_empty():
        raise NotFound(f"there is no override {number}; `shelfwise override list --all` has those there are")
    return found


def _added(
    app: App,
    setting: str,
    value: Mapping[str, Any],
    scope: Scope,
    since: dt.date | None,
    until: dt.date,
    reason: str,
    line: Mapping[str, Any] | None = None,
) -> Override:
    """Keep an override with its event; one of an order edits the plan's ``line`` in the same transaction."""
    now, who = app.now(), decider()
    with app.database.write() as connection:
        number = overrides.add_override(
            connection,
            setting=setting,
            value=dict(value),
            scope_kind=scope.kind,
            scope=scope.code,
            reason=reason,
            starts_on=since,
            expires_on=until,
            created_by=who,
            created_at=now,
        )
        made = Override(number, setting, dict(value), scope.kind, scope.code, reason, since, until, who, now)
        outbox.append(connection, now, OverrideChanged(number, "set"))
        if line is not None and line["recommendation"] is not None:
            plans.decide(
                connection,
                line["recommendation"],
                "edit",
                quantity=adjusting.ordered(made, line["proposed"]),
                reason=adjusting.edit_reason(made),
                decided_by=who,
                decided_at=now,
            )
            outbox.append(connection, now, RecommendationDecided(line["recommendation"], "edit"))
    return made


def revert(app: App, number: int) -> Override:
    """End an override; the latest plan's edit that it made is undone, and it stays in the list.

    Raises
    ------
    NotFound
        There is no override of that number.
    ConflictError
        It was reverted already.
    """
    now = app.now()
    with app.database.write() as connection:
        ended = overrides.revert_override(connection, number, reverted_by=decider(), reverted_at=now)
        outbox.append(connection, now, OverrideChanged(number, "reverted"))
        edited = plans.recommendations(connection, status="edited")
        for row in edited.iter_rows(named=True):
            if adjusting.made_by(row["decision_reason"]) == number:
                plans.decide(connection, row["recommendation"], "undo", decided_by=decider(), decided_at=now)
                outbox.append(connection, now, RecommendationDecided(row["recommendation"], "undo"))
    return ended


def listed(app: App, *, every: bool = False) -> pl.DataFrame:
    """Return overrides, the newest first: ``override, of, about, change, from, until, state, reason, by, at``.

    ``state`` is ``holds``, ``to come``, ``spent`` (its order was approved), ``expired`` or ``reverted``, on the first
    day ahead of the data.

    Parameters
    ----------
    every
        With those that are over; without them only those that hold or are to come.
    """
    try:
        today = _first_day_ahead(app)
    except DataError:  # a store without sales
        today = app.today()
    with app.database.read() as connection:
        found = overrides.all_overrides(connection)
        approved = {f"{product}@{place}": at for (product, place), at in plans.last_approvals(connection).items()}
    rows = [
        {
            "override": one.id, "of": one.setting, "about": adjusting.scope_words(one),
            "change": adjusting.change_words(one), "from": one.starts_on, "until": one.expires_on,
            "state": _state(one, today, approved), "reason": one.reason, "by": one.created_by, "at": one.created_at,
            "reverted_by": one.reverted_by, "reverted_at": one.reverted_at,
        }
        for one in reversed(found)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=_LISTED, orient="row")
    return frame if every else frame.filter(pl.col("state").is_in(["holds", "to come"]))


def _state(one: Override, today: dt.date, approved: Mapping[str, dt.datetime]) -> str:
    if one.reverted_at is not None:
        return "reverted"
    if one.expires_on is not None and one.expires_on < today:
        return "expired"
    if adjusting.spent(one, approved):
        return "spent"
    return "to come" if one.starts_on is not None and one.starts_on > today else "holds"


def _first_day_ahead(app: App) -> dt.date:
    """Return the first day that is forecast: that of the latest plan, or the day after the last sale."""
    latest = planning.latest_day(app)
    if latest is not None:
        return latest
    with app.database.read() as connection:
        span = sales.sales_span(connection)
    if span is None:
        raise DataError("the store has no sales yet, so there is no forecast to change; `shelfwise import FILE...`")
    return min(span[1] + dt.timedelta(days=1), app.today())


def told(override: Override, today: dt.date) -> str:
    """Say in a sentence what was set."""
    begins = "" if override.starts_on is None else f" from {words.day(override.starts_on, today=today)}"
    ends = "" if override.expires_on is None else f" until {words.day(override.expires_on, today=today)}"
    return (
        f"override {override.id}: {override.setting} of {adjusting.scope_words(override)}, "
        f"{adjusting.change_words(override)}{begins}{ends}"
    )
