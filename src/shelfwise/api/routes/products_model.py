"""``/products/{id}/model``: what a product's history looks like and how far its forecasts can be trusted."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.problems import documented
from shelfwise.services import live
from shelfwise.services.product_models import ProductModel

router = APIRouter(prefix="/products", tags=["products"])

Graded = Literal["high", "medium", "low", "unknown"]


class Model(BaseModel):
    """The product's own history in a few numbers, over all warehouses and at most 365 days."""

    type: str = Field(description="Model and version that forecast the product.", examples=["auto 1"])
    slope: float = Field(description="Units per day by which demand grows from one day to the next.")
    intercept: float = Field(description="Units per day at the first of the days looked at.")
    confidence: float = Field(description="0 to 1: measured on the last weeks, see docs; 0 where it could not be.")
    trainingCount: int = Field(description="Days with an observation among those looked at.")
    lastUpdated: dt.datetime = Field(description="Shop time at which forecast or model changed last.")
    trend: Literal["increasing", "decreasing", "stable"]
    hasSeasonality: bool = Field(description="Whether weekdays differ beyond chance.")
    trendStrength: float = Field(description="Share of the variance that the line explains.")
    volatility: float = Field(description="Standard deviation of what is left, as a multiple of the mean.")
    weeklyFactors: list[float] = Field(description="Monday first: each weekday as a multiple of the mean.")
    days: int = Field(description="Days looked at, at most 365.")
    error: float | None = Field(description="Error of weekly totals, 0 to 1; null where it could not be measured.")
    coverage: float | None = Field(description="Share of the scored days within the 80 % range.")
    expectedCoverage: float | None = Field(description="Share that the forecasts gave that range.")
    scoredDays: int = Field(description="Days on which error and coverage were measured.")


class Stats(BaseModel):
    """The numbers in words; the thresholds are documented."""

    confidenceLevel: Graded
    dataQuality: Literal["good", "fair", "poor", "unknown"]
    reliability: Literal["reliable", "fair", "unreliable", "unknown"]


class ProductModelAnswer(BaseModel):
    """A product and its model."""

    productId: str = Field(description="The product's code.", examples=["CF-1033"])
    productName: str | None
    sku: str = Field(description="The same code.")
    hasModel: bool
    model: Model | None = Field(description="Null where there is none yet.")
    stats: Stats
    observationsMissing: int = Field(description="Observations missing until there can be a model.")
    note: str | None = Field(description="Why there is none; null where there is one.")


@router.get("/{id:path}/model", responses=documented(404, 422, 503))
def product_model(
    id: Annotated[
        str,
        Path(
            description="The product's code, a number or text; or its whole name.", max_length=255, examples=["CF-1033"]
        ),
    ],
    shop: ShopNow,
    fresh: Annotated[bool, Query(description="Work forecast and model out anew instead of reading them.")] = False,
) -> ProductModelAnswer:
    """Say what a product's history looks like and how far its forecasts can be trusted.

    With fewer than 7 observations there is no model, and `observationsMissing` says how many are missing.
    """
    return _answer(live.product_model(shop, id, fresh=fresh))


def _answer(found: ProductModel) -> ProductModelAnswer:
    told, at = found.summary, found.updated_at
    model = None
    if told is not None and at is not None:
        model = Model(
            type=told["type"], slope=told["slope"], intercept=told["intercept"], confidence=told["confidence"],
            trainingCount=told["training_count"], lastUpdated=at, trend=told["trend"],
            hasSeasonality=told["has_seasonality"], trendStrength=told["trend_strength"],
            volatility=told["volatility"], weeklyFactors=told["weekly_factors"], days=told["days"],
            error=told["error"], coverage=told["coverage"], expectedCoverage=told["expected_coverage"],
            scoredDays=told["scored_days"],
        )  # fmt: skip
    return ProductModelAnswer(
        productId=found.product,
        productName=found.name,
        sku=found.product,
        hasModel=model is not None,
        model=model,
        stats=Stats(
            confidenceLevel=found.confidence_level, dataQuality=found.data_quality, reliability=found.reliability
        ),
        observationsMissing=found.missing,
        note=found.note,
    )
