"""``/api/v1/backtests``: how well the past would have been known, and by which model."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import Name, ShopTime, records
from shelfwise.services import backtests
from shelfwise.services.backtests import SavedBacktest

router = APIRouter(prefix="/api/v1/backtests", tags=["backtests"], route_class=IdempotentRoute)

BACKTESTS: Final = Listing("backtests", ("backtest",), (True,))
Number = Annotated[int, Path(ge=1, le=2**53, description="Its number.", examples=[1])]


class Backtest(BaseModel):
    """A saved backtest."""

    number: int = Field(validation_alias="backtest")
    created_at: ShopTime = Field(description="Shop time.")
    models: str = Field(description="By commas.")
    horizon: int = Field(description="Days after each cutoff.")
    cutoffs: int
    series: int
    data_until: dt.date | None
    finished: bool
    scores: int = Field(description="Scores that are there.")
    of: int = Field(description="Scores asked for.")
    best: str | None = Field(description="Model with the smallest error.")
    wql: float | None = Field(description="Its weighted quantile loss: error for each unit sold.")


class BacktestPage(Page):
    """Backtests, the newest first."""

    items: list[Backtest]


@router.get("", responses=documented(422, 503))
def list_backtests(shop: ShopNow, cursor: Cursor = None, limit: Limit = 50) -> BacktestPage:
    """List the saved backtests."""
    items, following = BACKTESTS.page(backtests.listed(shop), cursor, limit)
    return BacktestPage.model_validate({"items": items, "next": following})


class ModelScores(BaseModel):
    """Means of a model over all cutoffs; smaller is better but for the coverages, of which 0.8 is right."""

    model: str
    cutoffs: int = Field(description="At which it was scored.")
    wql: float | None = Field(description="Weighted quantile loss: error for each unit sold.")
    wape: float | None = Field(description="Sum of absolute errors over units sold.")
    mape: float | None = Field(description="Mean absolute percentage error, of periods with sales.")
    mape_left_out_share: float | None = Field(description="Share of periods without sales, which have no mape.")
    bias: float | None = Field(description="Above zero: forecast too much.")
    mase: float | None = Field(description="1 is as good as repeating the season.")
    coverage: float | None = Field(description="Share of days within the 80 % range.")
    total_coverage: float | None = Field(description="Share of sums over the horizon within theirs.")
    seconds: float | None = Field(description="Spent in all.")


class FailedModel(BaseModel):
    """A model that could not be scored at a cutoff."""

    model: str
    cutoff: str
    reason: str


class BacktestScores(BaseModel):
    """A backtest and its scores."""

    number: int
    created_at: ShopTime
    models: list[str]
    horizon: int
    cutoffs: int
    step: int = Field(description="Days between cutoffs.")
    series: int
    data_until: dt.date | None
    products: list[str] | None = Field(description="Those it was limited to; null: every live one.")
    finished: bool
    scores: list[ModelScores] = Field(description="The best first.")
    failures: list[FailedModel]


@router.get("/{number}", responses=documented(404, 422, 503))
def one_backtest(number: Number, shop: ShopNow) -> BacktestScores:
    """Show a backtest with its scores, or with those it has so far."""
    return _scores(backtests.show(shop, number))


def _scores(found: SavedBacktest) -> BacktestScores:
    told: dict[str, Any] = {
        **vars(found), "horizon": found.result.horizon, "scores": records(found.result.summary()),
        "failures": [vars(one) for one in found.result.failures],
    }  # fmt: skip
    return BacktestScores.model_validate(told)


class NewBacktest(BaseModel):
    """What is to be scored; what is not said is taken from the settings."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"models": ["base_level", "seasonal_naive"], "horizon": 14, "cutoffs": 2}]},
    )

    models: list[Name] | None = Field(
        None, min_length=1, max_length=50, description="Default: the shop's model and seasonal naive."
    )
    horizon: int | None = Field(None, ge=1, le=365, description="Days after each cutoff.")
    cutoffs: int = Field(4, ge=1, le=100)
    step: int | None = Field(None, ge=1, le=365, description="Days between cutoffs; default one horizon.")
    products: list[Name] | None = Field(
        None, min_length=1, max_length=10_000, description="Codes or names; default every live one."
    )


class QueuedJob(BaseModel):
    """A job that was queued, or the queued one that asks the very same."""

    job: int = Field(description="Its number; `Location` says where it can be looked at.")
    state: str


@router.post("", status_code=202, responses=documented(400, 404, 409, 413, 422, 503))
def start_backtest(body: NewBacktest, shop: ShopNow, request: Request, response: Response) -> QueuedJob:
    """Score models on the shop's own past: at each cutoff they see only what was known then.

    It runs in the background; its result names the backtest.
    """
    job = backtests.start(shop, body.model_dump(exclude_none=True), request_id=request.state.request_id)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return QueuedJob(job=job.id, state=job.state)


@router.delete("/{number}", status_code=204, responses=documented(404, 422, 503))
def delete_backtest(number: Number, shop: ShopNow) -> None:
    """Delete a backtest; scores that another one has stay."""
    backtests.delete(shop, number)
