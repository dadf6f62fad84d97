"""``/api/v1/overrides``: what planners set against the forecast and the proposal, and what it was worth."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import Estimate, Name, ShopTime, Text, Units, records
from shelfwise.services import override_scores, overrides
from shelfwise.services.adjusting import Change

router = APIRouter(prefix="/api/v1/overrides", tags=["overrides"], route_class=IdempotentRoute)

OVERRIDES: Final = Listing("overrides", ("override",), (True,))
Number = Annotated[int, Path(ge=1, le=2**53, description="Its number.", examples=[1])]


class Override(BaseModel):
    """What a planner set."""

    number: int = Field(validation_alias="override")
    of: str = Field(description="forecast or order.")
    about: str = Field(description="What it is about, in words.")
    change: str = Field(description="What it does, in words.")
    since: dt.date | None = Field(validation_alias="from", description="First day; null: from the day it was set.")
    until: dt.date | None
    state: str = Field(description="holds, to come, spent, expired or reverted.")
    reason: str
    by: str
    at: ShopTime = Field(description="Shop time.")
    reverted_by: str | None
    reverted_at: ShopTime | None


class OverridePage(Page):
    """Overrides, the newest first."""

    items: list[Override]


@router.get("", responses=documented(422, 503))
def list_overrides(
    shop: ShopNow,
    every: Annotated[bool, Query(description="With those that are over.")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> OverridePage:
    """List overrides."""
    items, following = OVERRIDES.page(overrides.listed(shop, every=every), cursor, limit)
    return OverridePage.model_validate({"items": items, "next": following})


class ForecastOverride(BaseModel):
    """A change of the forecast by hand for some days."""

    model_config = ConfigDict(extra="forbid")

    of: Literal["forecast"]
    about: Name = Field(
        description="`shop`, a product, `product@warehouse`, or like `category:Tea`, `supplier:S-BRIN`."
    )
    factor: float | None = Field(None, ge=0, le=1000, description="On demand; this or `per_day`.")
    per_day: Units | None = Field(None, description="Units a day, of one product.")
    since: dt.date | None = Field(None, description="First day; default now.")
    until: dt.date = Field(description="Last day.")
    reason: Text = Field(min_length=1)


class OrderOverride(BaseModel):
    """What a line orders on every plan until a day."""

    model_config = ConfigDict(extra="forbid")

    of: Literal["order"]
    line: Name = Field(description="A product, or `product@warehouse`.")
    quantity: Units
    rule: Literal["exactly", "at least", "at most"] = "exactly"
    until: dt.date | None = Field(None, description="Last day; default a week from the plan's.")
    reason: Text = Field(min_length=1)


class NewOverride(BaseModel):
    """A forecast override or an order override."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "override": {
                        "of": "forecast", "about": "category:Grinders", "factor": 1.3, "until": "2099-01-31",
                        "reason": "coffee fair",
                    }
                },
                {
                    "override": {
                        "of": "order", "line": "CF-1033@SHOP", "quantity": 48, "rule": "at least",
                        "until": "2099-01-31", "reason": "shelf was rebuilt",
                    }
                },
            ]
        },
    )  # fmt: skip

    override: Annotated[ForecastOverride | OrderOverride, Field(discriminator="of")]


class SetOverride(BaseModel):
    """An override that was set."""

    override: Override
    said: str = Field(description="In words.")


@router.post("", status_code=201, responses=documented(400, 404, 409, 413, 422, 503))
def set_override(body: NewOverride, shop: ShopNow) -> SetOverride:
    """Set an override. Plans and reasons follow it from the next plan on, an order's line at once."""
    asked = body.override
    if isinstance(asked, ForecastOverride):
        change = Change(asked.factor, asked.per_day)
        made = overrides.set_forecast(
            shop, asked.about, change, until=asked.until, reason=asked.reason, since=asked.since
        )
    else:
        made = overrides.set_order_of_latest(
            shop, asked.line, asked.quantity, reason=asked.reason, rule=asked.rule, until=asked.until
        )
    return SetOverride(override=_one(shop, made.id), said=overrides.told(made, shop.today()))


def _one(shop: ShopNow, number: int) -> Override:
    return Override.model_validate(records(overrides.one(shop, number))[0])


class ScoreSummary(BaseModel):
    """What overrides of one kind, person and reason were worth."""

    of: str
    by: str
    reason: str | None
    made: int
    scored: int
    better: int = Field(description="Those that did better than what they changed.")
    worse: int
    value_units: float | None = Field(description="Units of error saved (above zero) or added.")
    value: Estimate | None = Field(description="The same in money, where prices are known.")


class OverrideScores(BaseModel):
    """What overrides were worth against what came true."""

    currency: str
    items: list[ScoreSummary]
    notes: list[str] = Field(description="What could not be scored, and why.")


@router.get("/scores", responses=documented(422, 503))
def score_overrides(shop: ShopNow) -> OverrideScores:
    """Score overrides and edits against what sold, by person and reason."""
    found = override_scores.score(shop)
    return OverrideScores.model_validate(
        {"currency": shop.settings.currency, "items": records(found.summary), "notes": list(found.notes)}
    )


@router.get("/{number}", responses=documented(404, 422, 503))
def one_override(number: Number, shop: ShopNow) -> Override:
    """Show an override."""
    return _one(shop, number)


@router.post("/{number}/revert", responses=documented(404, 409, 422, 503))
def revert_override(number: Number, shop: ShopNow) -> Override:
    """End an override; it stays in the list, and the edit that it made is undone."""
    return _one(shop, overrides.revert(shop, number).id)
