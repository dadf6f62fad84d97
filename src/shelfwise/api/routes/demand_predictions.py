"""``/api/v1/predictions/demand``: what a product will sell, at any granularity, with what the caller knows better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shelfwise.api.batches import BatchItem, Questions, failure, read_each
from shelfwise.api.bulk_questions import ANSWERS, QUESTIONS
from shelfwise.api.dependencies import ServingNow
from shelfwise.api.problems import documented
from shelfwise.api.question_bodies import Body, FeaturesBody, Granularity, ModelName, ProductId, features_of
from shelfwise.api.values import Name, ShopTime
from shelfwise.app import App
from shelfwise.services import demand_questions
from shelfwise.services.demand_questions import Answer, Question
from shelfwise.services.serving import Serving

router = APIRouter(prefix="/api/v1/predictions/demand", tags=["predictions"])

_EXAMPLE: JsonDict = {
    "product_id": "CUP-01",
    "horizon": 7,
    "granularity": "1d",
    "features": {
        "historical_sales": [
            {"timestamp": f"2026-11-{day:02}", "quantity": quantity}
            for day, quantity in enumerate([4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10], start=1)
        ],
        "events": [{"kind": "promotion", "starts_on": "2026-11-16", "ends_on": "2026-11-17"}],
    },
}


class DemandRequest(Body):
    """Of what, how far and how finely demand is asked for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    product_id: ProductId = Field(
        description="Code or name of a product of the store; with `historical_sales` any name.", examples=["CUP-01"]
    )
    warehouse_id: Name | None = Field(None, description="Code of a warehouse; null: all of them together.")
    horizon: int = Field(ge=1, le=2016, description="Periods: at most 365 of a day or more, at most 2,016 of less.")
    granularity: Granularity = Field("1d", description="Length of a period.")
    features: FeaturesBody = Field(
        default_factory=FeaturesBody, description="What is known better than the store knows."
    )
    model: ModelName = Field("auto", description="Name of a model; `auto` is the champion of the registry.")
    confidence: float = Field(0.8, gt=0, lt=1, description="Share of outcomes that each interval is to hold.")
    metrics: bool = Field(True, description="Whether the model's error is to be told; measuring it takes time.")


class Interval(BaseModel):
    """Where demand of one period is expected; intervals of several periods do not add up."""

    lower: float
    upper: float
    confidence: float = Field(description="Share of outcomes that it is to hold.", examples=[0.8])


class PredictedPeriod(BaseModel):
    """Demand of one period."""

    timestamp: ShopTime = Field(description="Label of the period: its begin, in shop time.")
    value: float = Field(description="Expected units.")
    confidence_interval: Interval


class ModelMetrics(BaseModel):
    """How far off the same model was on periods that are known; null where it was not measured, see `reason`."""

    mape: float | None = Field(
        description="Mean absolute error as a share, over the periods that sold.", examples=[0.3]
    )
    rmse: float | None = Field(description="Root mean squared error, units per period.", examples=[1.7])
    wape: float | None = Field(description="Sum of absolute errors over the sum of units.")
    coverage: float | None = Field(description="Share of outcomes within the 80 % interval.")
    cells: int = Field(description="Periods, of all series, that were scored.")
    series: int = Field(description="Series that were scored.")
    cutoffs: list[str] = Field(description="Last known period of each trial; the model was fitted anew at each.")
    horizon: int = Field(description="Periods ahead of each trial.")
    reason: str | None = Field(description="Why nothing was measured; null where it was.")


class DemandResponse(BaseModel):
    """What will sell."""

    product_id: int | str
    warehouse_id: str | None
    granularity: Granularity
    predictions: list[PredictedPeriod]
    model: str = Field(description="The model that ran.", examples=["coherent"])
    model_version: str = Field(
        description="A version of the registry, or name and version of the method.", examples=["coherent@3"]
    )
    fitted_on: str = Field(description="`whole shop` or `this series`.")
    model_metrics: ModelMetrics
    data_until: ShopTime | None = Field(description="Last period that is known.")
    notes: list[str] = Field(description="What a reader must know.")
    instead: str | None = Field(description="Why this is not the answer of the model asked for; null where it is.")


class DemandItem(BatchItem):
    """What became of one question about demand."""

    answer: DemandResponse | None = None


class DemandBatch(Body):
    """Many questions about demand."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"questions": [_EXAMPLE]}]})

    questions: Questions[DemandRequest]


class DemandAnswers(BaseModel):
    """Their answers, in the same order."""

    results: list[DemandItem]


@router.post("", responses=documented(400, 404, 409, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def predict_demand(body: DemandRequest, serving: ServingNow) -> DemandResponse:
    """Forecast a product's demand.

    By day, and without a history in the request, the registry's champion answers, or where there is none the model
    fitted on the whole store. Otherwise a model is fitted on the one series. If it is not done in time, the stored
    forecast or the base model answers, and `instead` says so.
    """
    return told(body, demand_questions.answer(serving.shop, asked(serving.shop, body), serving.workers))


@router.post("/batch", responses=documented(400, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def predict_demands(body: DemandBatch, serving: ServingNow) -> DemandAnswers:
    """Forecast up to 1,000 times; a question that cannot be answered says why and hinders no other.

    As NDJSON or Arrow up to 10,000 times, answered in parts as they are done.
    """
    return DemandAnswers(results=each(serving, body.questions))


def each(serving: Serving, questions: Sequence[Any]) -> list[DemandItem]:
    """Answer many questions, in their order."""
    shop = serving.shop
    good, bad = read_each(questions, DemandRequest, lambda one: asked(shop, one))
    outcomes = demand_questions.answer_all(shop, [question for _, _, question in good], serving.workers)
    results = [DemandItem(index=index, status="failed", problem=problem) for index, problem in bad.items()]
    for (index, one, _), found in zip(good, outcomes, strict=True):
        if found.answer is None:
            problem = None if found.error is None else failure(found.error)
            results.append(DemandItem(index=index, status="failed", problem=problem))
        else:
            results.append(DemandItem(index=index, status="answered", answer=told(one, found.answer)))
    return sorted(results, key=lambda one: one.index)


def asked(shop: App, body: DemandRequest) -> Question:
    """Return the question of a request."""
    return Question(
        product=str(body.product_id),
        horizon=body.horizon,
        warehouse=body.warehouse_id,
        granularity=body.granularity,
        features=features_of(shop, body.features),
        model=body.model,
        confidence=body.confidence,
        with_metrics=body.metrics,
    )


def told(body: DemandRequest, answer: Answer) -> DemandResponse:
    """Return an answer as a response."""
    return DemandResponse(
        product_id=body.product_id,
        warehouse_id=answer.warehouse,
        granularity=body.granularity,
        predictions=[
            PredictedPeriod(
                timestamp=at,
                value=mean,
                confidence_interval=Interval(lower=lower, upper=upper, confidence=answer.confidence),
            )
            for at, mean, lower, upper in zip(answer.timestamps, answer.mean, answer.lower, answer.upper, strict=True)
        ],
        model=answer.model,
        model_version=answer.model_version,
        fitted_on=answer.fitted_on,
        model_metrics=ModelMetrics.model_validate(answer.metrics),
        data_until=answer.data_until,
        notes=list(answer.notes),
        instead=answer.late or None,
    )
