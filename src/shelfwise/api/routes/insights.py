"""``GET /api/v1/insights``: the few things a shopkeeper should know now."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.problems import documented
from shelfwise.api.values import Estimate
from shelfwise.services import insights

router = APIRouter(prefix="/api/v1/insights", tags=["insights"])


class Insight(BaseModel):
    """One thing to know, and where more of it is."""

    kind: Literal["order now", "runs out", "late delivery", "dead stock", "data", "stale"]
    title: str = Field(description="What it is, in a sentence.")
    money: Estimate | None = Field(
        description="At stake: margin, or a year's holding of dead stock; of `data`, the orders that it touches."
    )
    resource: str = Field(description="Path of what it is about.")
    numbers: dict[str, float | dt.date | str | None] = Field(description="Behind it; those of money are numbers here.")


class InsightsResponse(BaseModel):
    """What to know now: first what loses money, the most first; then what rests on odd data."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "as_of": "2026-11-21", "plan": 12, "data_until": "2026-11-20", "currency": "EUR",
                    "sentence": "Order from 2 suppliers today; about EUR 4,180 of margin at risk.",
                    "items": [
                        {
                            "kind": "runs out", "title": "Hand grinder in WEB runs out about Thu 26 Nov.",
                            "money": "108.29", "resource": "/api/v1/order-proposals/GR-1021@WEB",
                            "numbers": {"on_hand": 3.0, "due": 0.0, "stockout_on": "2026-11-26", "quantity": 12.0},
                        }
                    ],
                    "notes": [],
                }
            ]
        }
    )  # fmt: skip

    as_of: dt.date
    plan: int | None = Field(description="Number of the plan made last; null before the first.")
    data_until: dt.date | None = Field(description="Last day of the sales that it knows.")
    currency: str
    sentence: str = Field(description="What has to be done, in one sentence.")
    items: list[Insight]
    notes: list[str] = Field(description="What could not be told, and why.")


@router.get("", responses=documented(422, 503))
def list_insights(
    shop: ShopNow, limit: Annotated[int, Query(ge=1, le=100, description="Most to tell.")] = insights.MOST
) -> InsightsResponse:
    """Say what to order today, what runs out, what lies dead and what is odd about the data, ranked by money."""
    found = insights.tell(shop, limit)
    return InsightsResponse.model_validate({**vars(found), "items": [vars(one) for one in found.items]})
