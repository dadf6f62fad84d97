"""``POST /predict``: a forecast of a history that comes with the request; nothing is kept."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from pydantic.config import JsonDict

from shelfwise.api.dependencies import ServingNow
from shelfwise.api.problems import documented
from shelfwise.services.stateless import Answer, Question, Trend

router = APIRouter(tags=["forecasts"])

MOST_OBSERVATIONS = 100_000
_EXAMPLE: JsonDict = {
    "product_id": "CUP-01",
    "dates": [f"2026-11-{day:02}" for day in range(1, 15)],
    "quantities": [4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10],
    "days_ahead": 7,
}


class PredictRequest(BaseModel):
    """Daily sales of one product, and how far to look ahead and back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    dates: list[dt.date] = Field(
        max_length=MOST_OBSERVATIONS,
        description="Days of the sales, in any order; a day between first and last that is missing sold nothing.",
    )
    quantities: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(
        max_length=MOST_OBSERVATIONS,
        description="Units sold on each of the dates, zero or more; parts of one day are added up.",
    )
    product_id: StrictInt | str = Field(
        description="What the answer calls the product; text or a number.", examples=["CUP-01"]
    )
    days_ahead: int = Field(7, ge=1, le=30, description="Days to forecast.")
    context_length: int = Field(64, ge=7, le=365, description="Days of history the model sees, back from the last.")
    model: str = Field("auto", min_length=1, max_length=64, description="Name of a model, or `auto`.")


class ConfidenceIntervals(BaseModel):
    """Quantiles of each day's demand, units. Those of several days do not add up to those of their sum."""

    lower: list[float]
    median: list[float]
    upper: list[float]


class PredictMetadata(BaseModel):
    """What the answer was made from."""

    trend: Trend = Field(description="Where the history is heading; `stable` unless a slope is certain and visible.")
    historical_mean: float = Field(description="Units per day in the history that the model saw.")
    predicted_mean: float = Field(description="Units per day in the forecast.")
    has_seasonality: bool = Field(description="Whether weekdays differ beyond chance.")
    forecast_horizon: int = Field(description="Days forecast.")
    context_length: int = Field(description="Days of history that the model really saw.")
    model: str = Field(description="Model and version, and why it was not the one asked for where it was not.")
    confidence_range: str = Field(description="Which quantiles `lower` and `upper` are.", examples=["0.1-0.9"])


class PredictResponse(BaseModel):
    """A forecast for the days after the last one given."""

    product_id: int | str
    predictions: list[float] = Field(description="Expected demand of each day, units.")
    prediction_dates: list[dt.date]
    confidence_intervals: ConfidenceIntervals
    model_type: str = Field(description="The model that ran.")
    metadata: PredictMetadata


@router.post("/predict", responses=documented(400, 413, 422))
def predict(body: PredictRequest, serving: ServingNow) -> PredictResponse:
    """Forecast a product's daily demand from the sales in the request.

    At least 7 observations on different days are needed. If the model is not done in time, the base model answers, and
    `model_type` and `metadata.model` say so.
    """
    question = Question(
        str(body.product_id), body.dates, body.quantities, body.days_ahead, body.context_length, body.model
    )
    return _response(body.product_id, serving.predict(question))


def _response(product_id: int | str, answer: Answer) -> PredictResponse:
    return PredictResponse(
        product_id=product_id,
        predictions=list(answer.mean),
        prediction_dates=list(answer.dates),
        confidence_intervals=ConfidenceIntervals(
            lower=list(answer.lower), median=list(answer.median), upper=list(answer.upper)
        ),
        model_type=answer.model,
        metadata=PredictMetadata(
            trend=answer.summary.trend,
            historical_mean=answer.summary.mean,
            predicted_mean=sum(answer.mean) / len(answer.mean),
            has_seasonality=answer.summary.has_seasonality,
            forecast_horizon=len(answer.dates),
            context_length=answer.summary.days,
            model=f"{answer.model} {answer.version}" + (f" ({answer.note})" if answer.note else ""),
            confidence_range=answer.range,
        ),
    )
