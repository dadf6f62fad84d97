"""``/api/v1/order-proposals``: what to order by the last plan, and what people decide about it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.training_jobs import LONGEST_WAIT, PlanQueued, queued
from shelfwise.api.values import Amount, Estimate, Money, Name, Text, Units, record, records
from shelfwise.services import order_proposals
from shelfwise.services.jobs import Job
from shelfwise.services.order_proposals import Action, Decided, State
from shelfwise.services.planning import Plan

router = APIRouter(prefix="/api/v1/order-proposals", tags=["order proposals"], route_class=IdempotentRoute)

LINES: Final = Listing(
    "order lines",
    ("order_by", "stockout_on", "margin_at_risk", "demand_per_day", "unique_id"),
    (False, False, True, True, False),
)

LineName = Annotated[
    str,
    Path(
        description="`product@warehouse`, or the product where it has only one line.", examples=["CF-1033@SHOP"],
        max_length=511,
    ),
]  # fmt: skip


class Line(BaseModel):
    """What to order of one product for one warehouse, and the sum behind it; units unless said otherwise."""

    line: str = Field(validation_alias="unique_id", description="Its name in this interface.", examples=["CF-1033@WEB"])
    product: str
    warehouse: str
    name: str | None
    category: str | None
    supplier: str | None = Field(description="Null: nobody to order from is known.")
    status: str = Field(description="proposed, edited, approved, snoozed or rejected.")
    quantity: float = Field(description="To order, as it stands.")
    proposed: float = Field(description="To order before a person's edit.")
    cost: Money | None = Field(description="Of the quantity; null where the unit cost is not known.")
    unit_cost: Money | None
    order_by: dt.date | None = Field(description="Last day on which an order still comes in time; null: no need yet.")
    late: bool = Field(description="Whether it runs short before an order placed today can come.")
    stockout_on: dt.date | None = Field(description="Day by which half of all cases have run out.")
    stockout_probability: float | None = Field(description="Of running out within the protection time, unordered.")
    lost_units: float | None = Field(description="Expected to be lost in that time if nothing is ordered.")
    margin_at_risk: Estimate | None = Field(description="Margin of those.")
    on_hand: float
    due: float = Field(description="On order and coming within the protection time.")
    demand: float = Field(description="Over the protection time.")
    safety: float = Field(description="Safety stock.")
    net: float = Field(description="demand + safety - on_hand - due.")
    pack_size: float
    minimum_order_quantity: float
    mean_per_day: float | None = Field(description="Expected demand a day over 28 days.")
    low_per_day: float | None = Field(description="Lower end of its 80 % range.")
    high_per_day: float | None = Field(description="Upper end of it.")
    days_of_cover: float | None = Field(description="Days that what is on hand and due lasts; null: no demand.")
    days_of_cover_after: float | None = Field(description="The same after the order.")
    service_level: float | None = Field(description="A fraction.")
    stock_known: bool = Field(description="False: it was never counted and is taken as 0.")
    arithmetic: str = Field(description="The sum in words.")
    warnings: str | None = Field(description="What to look at before approving.")
    assumptions: str | None = Field(description="What was not given and was assumed.")
    decision_reason: str | None
    snoozed_until: dt.date | None


class SupplierOrder(BaseModel):
    """The open lines of one supplier together."""

    supplier: str | None = Field(description="Null: lines without one.")
    name: str | None
    order_by: dt.date = Field(description="Order day on which it should be placed.")
    next_order_on: dt.date = Field(description="First day from the plan's on which the supplier takes orders.")
    arrives_on: dt.date
    late: bool = Field(description="Whether a line runs short before any order can come.")
    lines: int
    units: float
    value: Money = Field(description="Of the lines whose cost is known.")
    lines_without_cost: int
    minimum_order_value: Money | None = Field(description="Smallest order the supplier takes.")
    minimum: str = Field(description="none, met, topped up or below minimum.")
    missing_value: Money = Field(description="Missing to the minimum.")
    margin_at_risk: Estimate | None = Field(description="Expected margin lost if nothing is ordered.")


class Overdue(BaseModel):
    """An order line so late that it no longer counts as on its way."""

    purchase_order: str
    product: str
    warehouse: str
    reason: str


class Proposal(Page):
    """The last plan: the orders by supplier and a page of its lines, the most urgent first."""

    plan: int | None = Field(description="Its number.")
    as_of: dt.date = Field(description="The day it is for.")
    data_until: dt.date = Field(description="Last day of the sales that it knows.")
    model: str
    currency: str
    action_needed: bool = Field(description="Whether a supplier's order has to be placed by today.")
    notes: list[str] = Field(description="What it rests on.")
    orders: list[SupplierOrder]
    overdue: list[Overdue]
    items: list[Line]


@router.get("", responses=documented(404, 422, 503))
def latest_proposal(
    shop: ShopNow,
    state: Annotated[
        State, Query(description="`open` lines have a quantity and wait for a decision.", examples=["open"])
    ] = "open",
    supplier: Annotated[str | None, Query(description="Code of a supplier.", max_length=255)] = None,
    order_by: Annotated[dt.date | None, Query(description="Lines to be ordered by this day.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Proposal:
    """Read the last plan as it stands, decisions included. No plan is made; that is what POST does."""
    plan = order_proposals.latest(shop)
    found = order_proposals.lines(plan, state=state, supplier=supplier, order_by=order_by)
    items, following = LINES.page(found, cursor, limit)
    return _proposal(plan, items, following, shop.settings.currency, shop.today())


def _proposal(
    plan: Plan, items: list[dict[str, Any]], following: str | None, currency: str, today: dt.date
) -> Proposal:
    return Proposal.model_validate(
        {
            "plan": plan.run_id, "as_of": plan.as_of, "data_until": plan.data_until, "model": plan.model,
            "currency": currency, "action_needed": plan.due_by(max(plan.as_of, today)).height > 0,
            "notes": list(plan.notes), "orders": records(plan.orders), "overdue": records(plan.overdue),
            "items": items, "next": following,
        }
    )  # fmt: skip


class NewProposal(BaseModel):
    """What a plan is to be made with; what is not said is taken from the settings."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"budgets": {"all": "2500.00"}}]})

    service_level: float | None = Field(None, gt=0, lt=1, description="A fraction, for every line.")
    lead_time_days: float | None = Field(
        None, ge=0, le=3650, description="Of suppliers that state none and have delivered nothing yet."
    )
    model: Name | None = Field(None, description="Forecasting model.")
    budgets: dict[Name, Amount] | None = Field(
        None, max_length=1000, description="Money to spend at most, by supplier code; `all` is for all together."
    )


@router.post(
    "",
    response_model=Proposal,
    responses={
        **documented(400, 404, 409, 413, 422, 503),
        202: {"model": PlanQueued, "description": "A worker is making the plan"},
    },
)
def make_proposal(
    body: NewProposal,
    shop: ShopNow,
    limit: Limit = 50,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for a new plan.")] = 0.0,
) -> Proposal | Response:
    """Make a plan, or take the one that still holds: same day, same data, same choices.

    A new plan takes long in a large shop: where a worker takes it, the answer is 202 with its job, unless `wait` is
    enough for it, and the same request once it is done gets the plan. Decisions of the plan before carry over as long
    as what they answered has not much changed.
    """
    plan = order_proposals.make(
        shop, body.service_level, body.lead_time_days, body.model,
        None if body.budgets is None else {name: float(amount) for name, amount in body.budgets.items()},
        wait_seconds=wait,
    )  # fmt: skip
    if isinstance(plan, Job):
        return queued(plan)
    items, following = LINES.page(order_proposals.lines(plan), None, limit)
    return _proposal(plan, items, following, shop.settings.currency, shop.today())


@router.get("/{line:path}", responses=documented(404, 422, 503))
def one_line(line: LineName, shop: ShopNow) -> Line:
    """Show one line of the last plan."""
    return Line.model_validate(record(order_proposals.line(shop, line)))


class Decision(BaseModel):
    """What is decided about a line."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "edit", "quantity": 24, "reason": "fair on Sunday"},
                {"action": "undo"},
                {"action": "snooze", "until": "2099-01-04", "reason": "wait for the new packs"},
                {"action": "undo"},
                {"action": "reject", "reason": "enough until spring"},
                {"action": "undo"},
                {"action": "approve"},
            ]
        },
    )

    action: Action
    quantity: Units | None = Field(None, description="Of an edit: units to order.")
    reason: Text | None = Field(None, description="Why: an edit and a rejection need it, a snooze may have it.")
    until: dt.date | None = Field(None, description="Of a snooze: the day it comes back; default a week on.")


class DraftedOrder(BaseModel):
    """The purchase order that an approval drafted."""

    purchase_order: str = Field(validation_alias="number", description="Its number.")
    supplier: str
    lines: int
    units: float
    value: Money | None


class DecidedLine(BaseModel):
    """What became of a decision."""

    line: Line = Field(description="As it stands now.")
    drafted: DraftedOrder | None = Field(None, description="Of an approval.")
    notes: list[str] = Field(description="What is odd about an edited quantity; it is kept as asked.")


@router.post("/{line:path}/decisions", responses=documented(400, 404, 409, 413, 422, 503))
def decide(line: LineName, body: Decision, shop: ShopNow) -> DecidedLine:
    """Approve, edit, snooze or reject a line of the last plan, or undo that.

    An approval puts it on a draft purchase order of its supplier, so that it counts as on its way at once. Undoing an
    approval takes the whole draft back.
    """
    return _decided(
        order_proposals.decide(
            shop, line, body.action, quantity=body.quantity, reason=body.reason, until=body.until
        )
    )  # fmt: skip


def _decided(done: Decided) -> DecidedLine:
    drafted = None if done.drafted is None else DraftedOrder.model_validate(vars(done.drafted))
    return DecidedLine(line=Line.model_validate(record(done.line)), drafted=drafted, notes=list(done.notes))
