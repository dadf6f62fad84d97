"""``/api/v1/risks``: what will run out, when, at what cost, and the last day on which an order still helps."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.training_jobs import LONGEST_WAIT, PlanQueued, queued
from shelfwise.api.values import Estimate
from shelfwise.services import order_proposals, risks
from shelfwise.services.jobs import Job
from shelfwise.services.risks import Risks

router = APIRouter(prefix="/api/v1/risks", tags=["risks"])

RISKS: Final = Listing("risks", ("at_stake", "chance", "lost_units", "unique_id"), (True, True, True, False))


class Risk(BaseModel):
    """The risk of one product in one warehouse if nothing more is ordered."""

    line: str = Field(validation_alias="unique_id", examples=["CF-1033@WEB"])
    product: str
    warehouse: str
    name: str | None
    supplier: str | None
    severity: str = Field(description="Grade by chance and money; `none` where nothing is to be feared.")
    chance: float | None = Field(description="Probability of running out within the days asked.")
    chance_paths: float | None = Field(description="What the demand paths say.")
    chance_corrected: float | None = Field(description="What past stockouts say; null where nothing was learnt.")
    disagree: bool = Field(description="Whether the two differ so much that a person should look.")
    on_hand: float | None
    due: float | None = Field(description="Units on order that come within the days asked.")
    stockout_on: dt.date | None = Field(description="Day by which half of all cases have run out.")
    lost_units: float | None = Field(description="Expected.")
    lost_margin: Estimate | None = Field(description="Expected; null where price or cost is not known.")
    at_stake: Estimate | None = Field(description="Lost margin times chance; the order of the list.")
    order_by: dt.date | None = Field(description="Last day to order that keeps the service level.")
    last_order_on: dt.date | None = Field(
        description="Last day on which an order still comes before the shelf is empty, in half of the cases that run "
        "out."
    )
    next_order_on: dt.date | None = Field(description="Next day on which the supplier takes orders.")
    arrives_on: dt.date | None = Field(description="Day on which that order comes.")
    saved_units: float | None = Field(description="What that order can save.")
    saved_margin: Estimate | None
    lead_time_days: float | None
    stock_known: bool
    sentence: str = Field(description="The risk in words.")


class RiskPage(Page):
    """Risks, the most money at stake first."""

    as_of: dt.date = Field(description="First day that is looked at.")
    data_until: dt.date
    days: int = Field(description="Days ahead that chance and loss are about.")
    currency: str
    corrected: bool = Field(description="Whether past stockouts have been learnt from.")
    corrector: str = Field(description="Why, or why not.")
    notes: list[str]
    items: list[Risk]


@router.get(
    "",
    response_model=RiskPage,
    responses={
        **documented(404, 409, 422, 503),
        202: {"model": PlanQueued, "description": "A worker is making the plan that they are read off"},
    },
)
def list_risks(
    shop: ShopNow,
    product: Annotated[list[str] | None, Query(description="Only these; repeat.", max_length=100)] = None,
    severity: Annotated[
        Literal["all", "shown"], Query(description="`shown` leaves out those of grade `none`.")
    ] = "shown",
    days: Annotated[int | None, Query(ge=1, le=730, description="Days ahead; default the setting.")] = None,
    corrected: Annotated[
        bool, Query(description="Learn from past stockouts, too; the first time this may take minutes.")
    ] = False,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for a new plan.")] = 0.0,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> RiskPage | Response:  # fmt: skip
    """List stockout risks if nothing more is ordered.

    They are walked down the paths of the plan's forecast; a plan that no longer holds is made anew first. Where a
    worker takes that, the answer is 202 with its job, unless `wait` is enough for it.
    """
    plan = order_proposals.make(shop, wait_seconds=wait)
    if isinstance(plan, Job):
        return queued(plan)
    found = risks.assess(shop, products=product or None, days=days, correct=corrected)
    items, following = RISKS.page(found.table if severity == "all" else found.shown, cursor, limit)
    return _page(found, items, following, shop.settings.currency)


def _page(found: Risks, items: list[dict[str, Any]], following: str | None, currency: str) -> RiskPage:
    told = [{**row, "sentence": risks.sentence(row, found, currency)} for row in items]
    return RiskPage.model_validate(
        {
            "as_of": found.as_of, "data_until": found.data_until, "days": found.days, "currency": currency,
            "corrected": found.corrected, "corrector": found.corrector, "notes": list(found.notes), "items": told,
            "next": following,
        }
    )  # fmt: skip
