"""``POST /api/v1/forecast``: a product's forecast from a trained model, trained at the first question and then kept."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ServingNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.problems import documented
from shelfwise.api.question_bodies import Body, ModelName, ProductId
from shelfwise.api.routes.demand_predictions import ModelMetrics
from shelfwise.api.training_jobs import LONGEST_WAIT, TrainingQueued, queued
from shelfwise.api.values import ShopTime
from shelfwise.services import trained_forecasts
from shelfwise.services.trained_forecasts import Answer, Question

router = APIRouter(prefix="/api/v1/forecast", tags=["forecasts"], route_class=IdempotentRoute)


class ForecastRequest(Body):
    """Of what and how far a forecast is asked for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"product_id": "CF-1033", "forecast_horizon": 28}]}
    )

    product_id: ProductId = Field(description="Code or name; a number is taken for the code it reads as.")
    forecast_horizon: int = Field(28, ge=1, le=365, description="Days.")
    model: ModelName | None = Field(
        None, description="One model, trained on this product alone, which is quick; null: the champion of the shop."
    )
    force_retrain: bool = Field(False, description="Train anew; the new version answers from now on.")


class ModelResult(BaseModel):
    """What one model said."""

    model: str
    version: str | None = Field(description="Version of the method.")
    weight: float = Field(description="Its share of the forecast.")
    mean: list[float] | None = Field(description="Expected units of each day; null where it has no part in the answer.")
    note: str | None = Field(description="Why it has no weight; null where it has some.")


class ForecastAnswer(BaseModel):
    """A forecast of all warehouses together."""

    product_id: int | str
    forecast_horizon: int
    warehouses: list[str]
    dates: list[dt.date]
    mean: list[float] = Field(description="Expected units of each day.")
    quantiles: dict[str, list[float]] = Field(description="By level, of each day by itself.")
    models: list[ModelResult] = Field(description="Those with the most weight first.")
    model: str
    model_version: str = Field(description="Version in the registry, or of the base model.", examples=["coherent@3"])
    model_id: int | None = Field(description="Its id in the registry; null where the base model stood in.")
    trained_at: ShopTime | None
    trained_until: dt.date | None = Field(description="Last day of the data it was fitted on.")
    data_until: dt.date = Field(description="Last day of the data it was asked with.")
    metrics: ModelMetrics
    status: Literal["trained", "reused", "base"] = Field(
        description="Whether the model was trained for this question, was there already, or could not be asked."
    )
    notes: list[str]
    instead: str | None = Field(description="Why the base model answered; null where it did not.")


@router.post(
    "",
    response_model=ForecastAnswer,
    responses={
        **documented(400, 404, 409, 413, 422, 503),
        202: {"model": TrainingQueued, "description": "A model is being trained first"},
    },
)
def forecast(
    body: ForecastRequest,
    serving: ServingNow,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for a training to end.")] = 0.0,
) -> ForecastAnswer | Response:
    """Answer from a trained model; where there is none, train one first.

    The first question of a shop takes long: the answer is then 202 with the job that trains, unless `wait` is enough
    for it. The same question once it is done gets the forecast.
    """
    question = Question(str(body.product_id), body.forecast_horizon, body.model, body.force_retrain)
    found = trained_forecasts.forecast(serving.shop, question, serving.workers, wait_seconds=wait)
    return _told(body, found) if isinstance(found, Answer) else queued(found)


def _told(body: ForecastRequest, answer: Answer) -> ForecastAnswer:
    version = answer.version
    members: list[dict[str, Any]] = [
        {
            "model": one.model, "version": one.version, "weight": one.weight,
            "mean": None if one.mean is None else list(one.mean), "note": one.note or None,
        }
        for one in answer.members
    ]  # fmt: skip
    return ForecastAnswer(
        product_id=body.product_id,
        forecast_horizon=len(answer.dates),
        warehouses=list(answer.warehouses),
        dates=list(answer.dates),
        mean=list(answer.mean),
        quantiles={f"{level:g}": list(values) for level, values in answer.quantiles.items()},
        models=[ModelResult.model_validate(one) for one in members],
        model=answer.model,
        model_version=answer.model_version,
        model_id=None if version is None else version.id,
        trained_at=None if version is None else version.created_at,
        trained_until=None if version is None else version.data_until,
        data_until=answer.data_until,
        metrics=ModelMetrics.model_validate(answer.metrics),
        status=answer.status,
        notes=list(answer.notes),
        instead=answer.late or None,
    )
