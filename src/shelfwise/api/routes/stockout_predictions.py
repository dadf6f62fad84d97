"""``/api/v1/predictions/stockout``: how surely a product runs out by which day, how soon, and at what cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shelfwise.api.batches import BatchItem, Questions, failure, read_each
from shelfwise.api.bulk_questions import ANSWERS, QUESTIONS
from shelfwise.api.dependencies import ServingNow
from shelfwise.api.problems import documented
from shelfwise.api.question_bodies import Body, Day, FeaturesBody, ModelName, ProductId, features_of
from shelfwise.api.values import Amount, Estimate, Money, Name, Units
from shelfwise.app import App
from shelfwise.services import demand_questions, stockout_questions
from shelfwise.services.serving import Serving
from shelfwise.services.stockout_questions import Answer, Question

router = APIRouter(prefix="/api/v1/predictions/stockout", tags=["predictions"])

_EXAMPLE: JsonDict = {
    "product_id": "CUP-01",
    "horizon": 7,
    "on_hand": 30,
    "inbound": [{"date": "2026-11-18", "quantity": 24}],
    "price": "12.50",
    "unit_cost": "7.80",
    "lead_time_days": 3,
    "features": {
        "historical_sales": [
            {"timestamp": f"2026-11-{day:02}", "quantity": quantity}
            for day, quantity in enumerate([4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10], start=1)
        ]
    },
}


class Arrival(Body):
    """Units that are on their way."""

    date: Day = Field(description="Day from whose start they are on the shelf; one that is past means at once.")
    quantity: Units = Field(description="Units.")


class StockoutRequest(Body):
    """Of what and how far ahead the risk is asked for, and what is known better than the store knows."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    product_id: ProductId = Field(
        description="Code or name of a product of the store; with `historical_sales` any name.", examples=["CUP-01"]
    )
    warehouse_id: Name | None = Field(None, description="Code of the warehouse; null where the product is in one only.")
    horizon: int = Field(28, ge=1, le=365, description="Days.")
    on_hand: float | None = Field(
        None, ge=-1e12, le=1e12, allow_inf_nan=False, description="Units on the shelf; null: as counted."
    )
    inbound: list[Arrival] | None = Field(
        None, max_length=10_000, description="In place of all that is on order; none: an empty list; null: as stored."
    )
    lead_time_days: float | None = Field(None, ge=0, le=365, allow_inf_nan=False, description="Null: the supplier's.")
    service_level: float | None = Field(None, gt=0, lt=1, description="That `order_by` keeps; null: the line's own.")
    price: Amount | None = Field(None, description="Money per unit; null: the catalogue's.")
    unit_cost: Amount | None = Field(None, description="Money per unit; null: the catalogue's.")
    features: FeaturesBody = Field(default_factory=FeaturesBody, description="As in a question about demand.")
    model: ModelName = Field("auto", description="Name of a model; `auto` is the champion of the registry.")


class RiskOfDay(BaseModel):
    """The risk by one day."""

    date: dt.date
    probability: float = Field(description="Chance to have run out by the end of the day; it never falls.")
    lost_units: float = Field(description="Expected units that are asked for in vain on this day.")


class TimeUntil(BaseModel):
    """Days until the stock has run out: 0 is the first day; null: not within the horizon."""

    early: int | None = Field(description="On a tenth of the paths.")
    median: int | None = Field(description="On half of the paths.")
    late: int | None = Field(description="On nine tenths of the paths.")
    median_date: dt.date | None = Field(description="The day of `median`.")


class Impact(BaseModel):
    """What running out costs within the horizon, expected."""

    lost_units: float
    unit_margin: Money | None = Field(description="Price less cost; null where one of them is not known.")
    lost_margin: Estimate | None = Field(description="Null where the margin is not known.")
    currency: str = Field(examples=["EUR"])
    severity: str = Field(description="none, low, medium, high or critical.")


class StockoutResponse(BaseModel):
    """When and how surely a product runs out if nothing more is ordered."""

    product_id: int | str
    warehouse_id: str | None
    as_of: dt.date = Field(description="The first day; `on_hand` is what is there before it.")
    on_hand: float
    inbound_units: float = Field(description="Units that come within the horizon.")
    probability: float = Field(description="Chance to run out within the horizon.")
    by_date: list[RiskOfDay]
    time_until: TimeUntil
    impact: Impact
    lead_time_days: float
    service_level: float
    order_by: dt.date | None = Field(
        description="Last day to order that keeps the service level; before `as_of`: it is late; null: no need yet."
    )
    last_helpful_order: dt.date | None = Field(
        description="Last day on which an order comes before the shelf is empty in half of the cases that run out."
    )
    model_version: str
    notes: list[str] = Field(description="What a reader must know.")
    instead: str | None = Field(description="Why the base model answered; null where it did not.")


class StockoutItem(BatchItem):
    """What became of one question about a stockout."""

    answer: StockoutResponse | None = None


class StockoutBatch(Body):
    """Many questions about stockouts."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"questions": [_EXAMPLE]}]})

    questions: Questions[StockoutRequest]


class StockoutAnswers(BaseModel):
    """Their answers, in the same order."""

    results: list[StockoutItem]


@router.post("", responses=documented(400, 404, 409, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def predict_stockout(body: StockoutRequest, serving: ServingNow) -> StockoutResponse:
    """Say how surely a product runs out by which day if nothing more is ordered, how soon, and at what cost."""
    answer = stockout_questions.answer(serving.shop, asked(serving.shop, body), serving.workers)
    return told(serving.shop, body.product_id, answer)


@router.post("/batch", responses=documented(400, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def predict_stockouts(body: StockoutBatch, serving: ServingNow) -> StockoutAnswers:
    """Ask up to 1,000 times; a question that cannot be answered says why and hinders no other.

    As NDJSON or Arrow up to 10,000 times, answered in parts as they are done.
    """
    return StockoutAnswers(results=each(serving, body.questions))


def each(serving: Serving, questions: Sequence[Any]) -> list[StockoutItem]:
    """Answer many questions, in their order."""
    shop = serving.shop
    good, bad = read_each(questions, StockoutRequest, lambda one: asked(shop, one))
    outcomes = stockout_questions.answer_all(shop, [question for _, _, question in good], serving.workers)
    results = [StockoutItem(index=index, status="failed", problem=problem) for index, problem in bad.items()]
    for (index, one, _), found in zip(good, outcomes, strict=True):
        if found.answer is None:
            problem = None if found.error is None else failure(found.error)
            results.append(StockoutItem(index=index, status="failed", problem=problem))
        else:
            answer = told(shop, one.product_id, found.answer)
            results.append(StockoutItem(index=index, status="answered", answer=answer))
    return sorted(results, key=lambda one: one.index)


def asked(shop: App, body: StockoutRequest) -> Question:
    """Return the question of a request."""
    demand = demand_questions.Question(
        product=str(body.product_id),
        horizon=body.horizon,
        warehouse=body.warehouse_id,
        features=features_of(shop, body.features),
        model=body.model,
        with_metrics=False,
    )
    return Question(
        demand=demand,
        on_hand=body.on_hand,
        inbound=None if body.inbound is None else tuple((one.date, one.quantity) for one in body.inbound),
        lead_time_days=body.lead_time_days,
        service_level=body.service_level,
        price=_number(body.price),
        unit_cost=_number(body.unit_cost),
    )


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def told(shop: App, product_id: int | str, answer: Answer) -> StockoutResponse:
    """Return an answer as a response."""
    median = answer.days_until[0.5]
    rows = zip(answer.dates, answer.probability, answer.lost_units, strict=True)
    return StockoutResponse.model_validate(
        {
            "product_id": product_id,
            "warehouse_id": answer.warehouse or None,
            "as_of": answer.as_of,
            "on_hand": answer.on_hand,
            "inbound_units": answer.inbound_units,
            "probability": answer.probability[-1],
            "by_date": [{"date": day, "probability": chance, "lost_units": lost} for day, chance, lost in rows],
            "time_until": {
                "early": answer.days_until[0.1],
                "median": median,
                "late": answer.days_until[0.9],
                "median_date": None if median is None else answer.dates[median],
            },
            "impact": {
                "lost_units": sum(answer.lost_units),
                "unit_margin": answer.unit_margin,
                "lost_margin": answer.lost_margin,
                "currency": shop.settings.currency,
                "severity": answer.severity,
            },
            "lead_time_days": answer.lead_time_days,
            "service_level": answer.service_level,
            "order_by": answer.order_by,
            "last_helpful_order": answer.last_helpful_order,
            "model_version": answer.model_version,
            "notes": list(answer.notes),
            "instead": answer.late or None,
        }
    )
