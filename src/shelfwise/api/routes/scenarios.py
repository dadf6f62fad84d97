"""``/api/v1/scenarios``: what-if questions that were given a name, their answers, and their promotion to the plan."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import Amount, Estimate, Name, ShopTime, records
from shelfwise.services import scenarios
from shelfwise.services.what_if import Answer
from shelfwise.services.what_if_questions import LeadTimeChange, Price, Promotion, Question

router = APIRouter(prefix="/api/v1/scenarios", tags=["scenarios"], route_class=IdempotentRoute)

SCENARIOS: Final = Listing("scenarios", ("at", "scenario"), (True, False))
LINES_SHOWN: Final = 50

ScenarioName = Annotated[str, Path(description="Its name.", examples=["busy december"], max_length=255)]
Factor = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class Scenario(BaseModel):
    """A saved scenario, and the differences that it makes."""

    name: str = Field(validation_alias="scenario")
    asked: str = Field(description="In words.")
    plan: int = Field(description="Number of the plan that it was asked of.")
    as_of: dt.date = Field(description="The day of that plan.")
    spend: Estimate | None = Field(description="More (or less) money for what is ordered now.")
    lost_units: float | None = Field(description="More (or fewer) units lost.")
    stock_value: Estimate | None = Field(description="More (or less) money in stock, on average.")
    by: str
    at: ShopTime = Field(description="When it was saved, shop time.")


class ScenarioPage(Page):
    """Scenarios, the newest first."""

    items: list[Scenario]


@router.get("", responses=documented(422, 503))
def list_scenarios(shop: ShopNow, cursor: Cursor = None, limit: Limit = 50) -> ScenarioPage:
    """List the saved scenarios."""
    items, following = SCENARIOS.page(scenarios.listed(shop), cursor, limit)
    return ScenarioPage.model_validate({"items": items, "next": following})


class LeadTimes(BaseModel):
    """A change of lead times: times ``factor``, then ``added_days`` more."""

    model_config = ConfigDict(extra="forbid")

    added_days: float = Field(0.0, ge=-3650, le=3650, allow_inf_nan=False)
    factor: Factor = 1.0


class Promoted(BaseModel):
    """A promotion of a scope on some days."""

    model_config = ConfigDict(extra="forbid")

    scope: Name
    first: dt.date
    last: dt.date
    factor: Factor | None = Field(None, description="On demand; default what the model expects.")


class PriceChange(BaseModel):
    """A price of a scope, times a factor."""

    model_config = ConfigDict(extra="forbid")

    scope: Name
    factor: Factor
    demand: Factor | None = Field(None, description="On demand at that price; default what the model expects.")


class NewScenario(BaseModel):
    """What is to be changed, and the name of the answer.

    A scope is `all`, a product, `product@warehouse`, or like `category:Tea`, `supplier:S-BRIN`, `warehouse:WEB`.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "busy december", "demand": {"all": 1.2}, "lead_time": {"S-BRIN": {"added_days": 5}}},
                {"name": "lean", "service_level": 0.9, "budget": {"all": "9000.00"}},
            ]
        },
    )

    name: Name
    replace: bool = Field(False, description="Take the place of a scenario of that name.")
    demand: dict[Name, Factor] = Field({}, max_length=100, description="Factors on demand by scope.")
    lead_time: dict[Name, LeadTimes] = Field({}, max_length=100, description="By supplier or `all`.")
    closed: dict[Name, dt.date] = Field({}, max_length=100, description="By supplier, the last day it is closed on.")
    budget: dict[Name, Amount] = Field({}, max_length=100, description="Money by supplier or `all`.")
    service_level: float | None = Field(None, gt=0, lt=1, description="A fraction.")
    promotions: list[Promoted] = Field([], max_length=100)
    prices: list[PriceChange] = Field([], max_length=100)
    elasticity: float | None = Field(
        None, ge=-20, le=0, description="Of prices without a factor on demand: demand goes as price to this power."
    )

    def to_question(self) -> Question:
        """Return what is asked."""
        return Question(
            demand=self.demand,
            lead_time={code: LeadTimeChange(code, one.added_days, one.factor) for code, one in self.lead_time.items()},
            closed=self.closed,
            budget={code: float(money) for code, money in self.budget.items()},
            service_level=self.service_level,
            promotions=tuple(Promotion(one.scope, one.first, one.last, one.factor) for one in self.promotions),
            prices=tuple(Price(one.scope, one.factor, one.demand) for one in self.prices),
            elasticity=self.elasticity,
        )


class Measure(BaseModel):
    """One measure over all lines together: numbers, of money, units, days or a fraction, as its name says."""

    measure: str = Field(examples=["spend"])
    base: float | None = Field(description="As the plan is.")
    scenario: float | None = Field(description="As it would be.")
    difference: float | None


class ChangedLine(BaseModel):
    """A line that changes."""

    line: str = Field(validation_alias="unique_id")
    name: str | None
    supplier: str | None
    base_quantity: float | None = Field(description="Units proposed.")
    quantity: float | None = Field(description="Units that would be proposed.")
    base_spend: Estimate | None
    spend: Estimate | None
    base_lost_units: float | None
    lost_units: float | None


class ScenarioAnswer(BaseModel):
    """What a change would do."""

    name: str
    sentence: str = Field(description="The answer in words.")
    asked: list[str] = Field(description="What was changed, in words.")
    plan: int
    as_of: dt.date
    days: int = Field(description="Days played out.")
    currency: str
    totals: list[Measure]
    lines: list[ChangedLine] = Field(description=f"The {LINES_SHOWN} that change most.")
    changed_lines: int = Field(description="How many change at all.")
    notes: list[str] = Field(description="What was assumed or left out.")


@router.post("", status_code=201, responses=documented(400, 404, 409, 413, 422, 503))
def create_scenario(body: NewScenario, shop: ShopNow, request: Request, response: Response) -> ScenarioAnswer:
    """Ask what a change would do to the plan, and keep the answer under a name. The plan stays as it is."""
    answer = scenarios.create(shop, body.name, body.to_question(), replace=body.replace)
    response.headers["Location"] = str(request.app.url_path_for("one_scenario", name=body.name.strip()))
    return _answer(body.name.strip(), answer, shop.settings.currency)


def _answer(name: str, answer: Answer, currency: str) -> ScenarioAnswer:
    changed = answer.changed
    told: dict[str, Any] = {
        "name": name, "sentence": scenarios.in_a_sentence(answer, currency), "asked": list(answer.asked),
        "plan": answer.run_id, "as_of": answer.as_of, "days": answer.days, "currency": currency,
        "totals": records(answer.totals), "lines": records(changed.head(LINES_SHOWN)),
        "changed_lines": changed.height, "notes": list(answer.notes),
    }  # fmt: skip
    return ScenarioAnswer.model_validate(told)


class ComparedMeasure(BaseModel):
    """One measure of two scenarios."""

    measure: str
    base: float | None
    a: float | None
    b: float | None
    difference: float | None = Field(description="b less a.")


class ComparedLine(BaseModel):
    """A line that two scenarios order differently, units."""

    line: str = Field(validation_alias="unique_id")
    name: str | None
    base_quantity: float | None
    a: float | None
    b: float | None
    difference: float | None


class ScenarioComparison(BaseModel):
    """Two scenarios side by side."""

    totals: list[ComparedMeasure]
    lines: list[ComparedLine]
    notes: list[str] = Field(description="Why the two may not compare.")


@router.get("/compare", responses=documented(404, 422, 503))
def compare_scenarios(
    shop: ShopNow,
    a: Annotated[str, Query(max_length=255, examples=["busy december"])],
    b: Annotated[str, Query(max_length=255, examples=["lean"])],
) -> ScenarioComparison:
    """Compare two scenarios."""
    found = scenarios.compare(shop, a, b)
    return ScenarioComparison.model_validate(
        {"totals": records(found.totals), "lines": records(found.lines), "notes": list(found.notes)}
    )


class PromotedScenario(BaseModel):
    """What became of a scenario's quantities."""

    plan: int
    edited: list[str] = Field(description="Lines that order them now, as edits.")
    left: list[str] = Field(description="Lines that were decided already and stay.")


@router.get("/{name:path}", name="one_scenario", responses=documented(404, 422, 503))
def one_scenario(name: ScenarioName, shop: ShopNow) -> ScenarioAnswer:
    """Show a saved scenario and its answer."""
    return _answer(name, scenarios.shown(shop, name), shop.settings.currency)


@router.post("/{name:path}/promote", responses=documented(404, 409, 422, 503))
def promote_scenario(name: ScenarioName, shop: ShopNow) -> PromotedScenario:
    """Make the scenario's quantities those of the plan, as edits that can be undone."""
    done = scenarios.promote(shop, name)
    return PromotedScenario(plan=done.run_id, edited=list(done.edited), left=list(done.left))


@router.post("/{name:path}/again", responses=documented(404, 409, 422, 503))
def ask_again(name: ScenarioName, shop: ShopNow) -> ScenarioAnswer:
    """Ask a saved scenario again, of the plan that holds now; the new answer takes the place of the old one."""
    return _answer(name, scenarios.again(shop, name), shop.settings.currency)


@router.delete("/{name:path}", status_code=204, responses=documented(404, 422, 503))
def delete_scenario(name: ScenarioName, shop: ShopNow) -> None:
    """Delete a scenario; edits that it has made stay."""
    scenarios.delete(shop, name)
