"""``/api/v1/predictions/optimize`` and ``/chain``: what to order now, and demand, risk and orders in one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from shelfwise.api.batches import BatchItem, Questions, failure, read_each
from shelfwise.api.bulk_questions import ANSWERS, QUESTIONS
from shelfwise.api.dependencies import ServingNow
from shelfwise.api.problems import documented
from shelfwise.api.question_bodies import Body, ModelName, ProductId
from shelfwise.api.routes import stockout_predictions
from shelfwise.api.routes.stockout_predictions import StockoutResponse
from shelfwise.api.values import Name, Units
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.services import order_questions
from shelfwise.services.order_questions import (
    Chain,
    ChainQuestion,
    Decision,
    ItemsQuestion,
    LineDemand,
    OrderQuestion,
    StoreQuestion,
)
from shelfwise.services.serving import Serving

router = APIRouter(prefix="/api/v1/predictions", tags=["predictions"])

Positive = Annotated[float, Field(gt=0, le=10**12, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=-(10**12), le=10**12, allow_inf_nan=False)]
Period = Annotated[int, Field(ge=1, le=10_000)]

_EXAMPLE: JsonDict = {
    "items": [
        {"unique_id": "beans", "on_hand": 25, "lead_time_periods": 1, "price": 9.0, "unit_cost": 5.4, "pack": 12}
    ],
    "demand": [{"unique_id": "beans", "period": period, "mean": 20.0} for period in range(1, 7)],
    "limits": [{"kind": "budget", "value": 300.0}],
}


class ProductPlace(Body):
    """A product, everywhere or in one warehouse."""

    product_id: ProductId = Field(description="Code or name.", examples=["CF-1033"])
    warehouse_id: Name | None = Field(None, description="Code; null: each warehouse in which it sells.")


class Item(Body):
    """What may be ordered; what is null is assumed, and `notes` say how."""

    unique_id: Name = Field(description="The caller's name of the line.")
    on_hand: Finite = Field(description="Units now.")
    lead_time_periods: Units = Field(description="Mean periods from the order to the shelf.")
    lead_time_sd_periods: Units | None = Field(None, description="Its standard deviation; null: 0.")
    review_periods: Annotated[float, Field(ge=1, le=10_000)] | None = Field(
        None, description="Periods until the next order can be placed; null: 1."
    )
    price: Units | None = Field(None, description="Selling price per unit.")
    unit_cost: Units | None = Field(None, description="Purchase price per unit.")
    shortage_cost: Units | None = Field(None, description="Of a unit asked for and not there; null: price - unit_cost.")
    holding_cost: Units | None = Field(None, description="Of a unit on hand at the end of a period.")
    order_cost: Units | None = Field(None, description="Of placing one line; null: 0.")
    moq: Units | None = Field(None, description="Smallest order, units; null: one pack.")
    pack: Positive | None = Field(None, description="Units only ordered together; null: 1.")
    volume: Units | None = Field(None, description="Cubic metres per unit; null: 0.")
    largest_quantity: Units | None = Field(None, description="Never more units than this.")
    supplier: Name | None = Field(None, description="A scope of budgets and minima.")
    warehouse: Name | None = Field(None, description="A scope of space.")
    product: Name | None = Field(None, description="What transfers move.")
    group: Name | None = Field(None, description="A scope of service targets.")


class DemandOfPeriod(Body):
    """Expected demand of one item in one period; period 1 starts now, and none may be missing."""

    unique_id: Name
    period: Period
    mean: Units = Field(description="Units.")
    q10: Units | None = Field(None, description="Its 0.1 quantile; given for all rows or for none.")
    q90: Units | None = Field(None, description="Its 0.9 quantile; given for all rows or for none.")


class ItemInbound(Body):
    """Units on order."""

    unique_id: Name
    period: Period = Field(description="They are on the shelf from its start; period 1 starts now.")
    quantity: Units


class OrderLimit(Body):
    """What orders share."""

    kind: Literal["budget", "space", "supplier_min", "service"]
    scope: Name | None = Field(None, description="Supplier, warehouse or group; null: everything together.")
    period: Period | None = Field(None, description="Of the order (budget) or of the stock (space); null: now.")
    value: Units = Field(description="Money, cubic metres, or for `service` a fraction of demand.")


class Lane(Body):
    """Where stock may move between warehouses."""

    source: Name = Field(description="Warehouse that gives.")
    target: Name = Field(description="Warehouse that takes.")
    lead_time_periods: Units
    cost: Units = Field(description="Of moving one unit.")


class OptimizeRequest(Body):
    """Either `products` of the store, or `items` and their `demand`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    products: list[ProductPlace] | None = Field(None, min_length=1, max_length=1000, description="Of the store.")
    items: list[Item] | None = Field(None, min_length=1, max_length=10_000, description="The caller's own.")
    demand: list[DemandOfPeriod] | None = Field(None, min_length=1, max_length=400_000, description="Of `items`.")
    inbound: list[ItemInbound] = Field([], max_length=100_000, description="On order, of `items`.")
    lanes: list[Lane] = Field([], max_length=1000, description="Between warehouses of `items`.")
    limits: list[OrderLimit] = Field([], max_length=1000, description="What all lines share.")
    service_level: float | None = Field(None, gt=0, lt=1, description="Of `products`; null: the lines' own.")
    model: ModelName = Field("auto", description="That forecasts `products`; `auto` is the champion of the registry.")
    gap: float = Field(1e-3, ge=0, le=1, description="Of `items`: how far from the bound is near enough.")
    time_limit: float = Field(30.0, gt=0, le=600, description="Of `items`: seconds for the joint choice.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of `items`: of the paths drawn from means.")

    @model_validator(mode="after")
    def _one_or_the_other(self) -> OptimizeRequest:
        if (self.products is None) == (self.items is None):
            raise ValueError("give either products of the store, or items with their demand")
        if self.items is not None and self.demand is None:
            raise ValueError("items need their demand")
        if self.products is not None and (self.demand is not None or self.inbound or self.lanes):
            raise ValueError("demand, inbound and lanes are about items; of products the store knows them")
        return self


class OrderedLine(BaseModel):
    """What to order of one line, and why."""

    unique_id: str
    product_id: str | None
    warehouse_id: str | None
    supplier: str | None
    quantity: float = Field(description="Units to order now.")
    arrives_period: int = Field(description="Period from whose start they are on the shelf.")
    arrives_on: dt.date | None = Field(description="The same as a day; null for items of the caller.")
    spend: float
    unconstrained: float = Field(description="Units without any limit.")
    cost: float = Field(description="Expected cost of holding, shortage and ordering with this quantity.")
    saving: float = Field(description="Expected cost of ordering nothing less that.")
    marginal_value: float | None = Field(description="Saving per unit of money of the last pack.")
    reorder_point: float = Field(description="Position at or below which an order is due.")
    order_up_to: float = Field(description="Position an order fills up to.")
    safety_stock: float = Field(description="`order_up_to` less mean demand over the protection time.")
    cycle_stock: float = Field(description="Half the mean order.")
    minimum_stock: float = Field(description="10th percentile of demand over the protection time.")
    regular_stock: float = Field(description="Its 50th percentile.")
    protected_stock: float = Field(description="Its 90th percentile.")
    minimum_stockout: float
    regular_stockout: float
    protected_stockout: float = Field(description="Chance that demand is above the level of that name.")
    stockout: float = Field(description="Chance of running out before the next order can arrive.")
    reason: str
    arithmetic: str


class LimitPrice(BaseModel):
    """What a limit costs."""

    kind: str
    scope: str | None
    period: int | None
    value: float
    used: float
    price: float = Field(description="Expected cost saved by one unit more of it (service: by 0.01 less asked).")


class TransferLine(BaseModel):
    """Stock to move now."""

    product: str
    source: str
    target: str
    quantity: float
    arrives: int
    cost: float
    saving: float


class OptimizeResponse(BaseModel):
    """What to order now, with its proof."""

    as_of: dt.date | None = Field(description="Day of the orders; null for items of the caller.")
    orders: list[OrderedLine] = Field(description="Those that save most first; a quantity of 0 is an answer too.")
    spend: float
    cost: float = Field(description="Expected cost of all of it.")
    bound: float = Field(description="No orders that keep the limits as well cost less.")
    gap: float = Field(description="(cost - bound) / |cost|.")
    mode: str = Field(description="unconstrained, lagrangian or exact.")
    limits: list[LimitPrice]
    transfers: list[TransferLine]
    infeasible: list[str] = Field(description="Limits that cannot be met, by how much and why.")
    versions: dict[str, str] = Field(description="What forecast, and what decided.")
    notes: list[str]
    instead: str | None = Field(description="Why the base model answered; null where it did not.")


class OptimizeItem(BatchItem):
    """What became of one question about orders."""

    answer: OptimizeResponse | None = None


class OptimizeBatch(Body):
    """Many questions about orders, each with limits of its own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"questions": [_EXAMPLE]}]})

    questions: Questions[OptimizeRequest]


class OptimizeAnswers(BaseModel):
    """Their answers, in the same order."""

    results: list[OptimizeItem]


class ChainRequest(Body):
    """Of which lines demand, risk and orders are asked for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"products": [{"product_id": "CF-1033"}], "horizon": 14}]}
    )

    products: list[ProductPlace] = Field(min_length=1, max_length=1000)
    horizon: int = Field(28, ge=1, le=365, description="Days that demand and risk are told for.")
    limits: list[OrderLimit] = Field([], max_length=1000)
    service_level: float | None = Field(None, gt=0, lt=1, description="Null: the lines' own.")
    model: ModelName = Field("auto", description="`auto` is the champion of the registry.")


class DemandOfLine(BaseModel):
    """Demand of one line."""

    product_id: str
    warehouse_id: str
    dates: list[dt.date]
    mean: list[float]
    quantiles: dict[str, list[float]] = Field(description="By level, of each day by itself.")


class ChainResponse(BaseModel):
    """What sells, what runs out and what to order, all worked out on the same sample paths."""

    demand: list[DemandOfLine]
    risk: list[StockoutResponse | None] = Field(description="In the order of `demand`; null: never counted.")
    orders: OptimizeResponse
    versions: dict[str, str] = Field(description="What forecast, what judged the risk, and what decided.")
    paths: str = Field(description="SHA-256 of the sample paths.")
    n_paths: int
    seed: int
    notes: list[str]
    instead: str | None = Field(description="Why the base model answered; null where it did not.")


class ChainItem(BatchItem):
    """What became of one chained question."""

    answer: ChainResponse | None = None


@router.post("/optimize", responses=documented(400, 404, 409, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def optimize(body: OptimizeRequest, serving: ServingNow) -> OptimizeResponse:
    """Decide what to order now under shared limits, with stock levels, reorder points, bound and gap."""
    return told(order_questions.decide(serving.shop, asked(body), serving.workers))


@router.post("/optimize/batch", responses=documented(400, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def optimize_each(body: OptimizeBatch, serving: ServingNow) -> OptimizeAnswers:
    """Ask up to 1,000 times; a question that cannot be answered says why and hinders no other.

    As NDJSON or Arrow up to 10,000 times, answered in parts as they are done.
    """
    return OptimizeAnswers(results=each(serving, body.questions))


def each(serving: Serving, questions: Sequence[Any]) -> list[OptimizeItem]:
    """Answer many questions about orders, in their order."""
    good, bad = read_each(questions, OptimizeRequest, asked)
    outcomes = order_questions.decide_all(serving.shop, [question for _, _, question in good], serving.workers)
    results = [OptimizeItem(index=index, status="failed", problem=problem) for index, problem in bad.items()]
    for (index, _, _), found in zip(good, outcomes, strict=True):
        if found.answer is None:
            problem = None if found.error is None else failure(found.error)
            results.append(OptimizeItem(index=index, status="failed", problem=problem))
        else:
            results.append(OptimizeItem(index=index, status="answered", answer=told(found.answer)))
    return sorted(results, key=lambda one: one.index)


@router.post("/chain", responses=documented(400, 404, 409, 413, 415, 422, 503) | ANSWERS, openapi_extra=QUESTIONS)
def chain(body: ChainRequest, serving: ServingNow) -> ChainResponse:
    """Tell demand, risk and orders of the same lines on the same sample paths, and every version behind them.

    As NDJSON or Arrow up to 10,000 times, answered in parts as they are done.
    """
    return _chained(serving, _chain_asked(body))


def chain_each(serving: Serving, questions: Sequence[Any]) -> list[ChainItem]:
    """Answer many chained questions, in their order, each on paths of its own."""
    good, bad = read_each(questions, ChainRequest, _chain_asked)
    results = [ChainItem(index=index, status="failed", problem=problem) for index, problem in bad.items()]
    for index, _, question in good:
        try:
            results.append(ChainItem(index=index, status="answered", answer=_chained(serving, question)))
        except ShelfwiseError as error:
            results.append(ChainItem(index=index, status="failed", problem=failure(error)))
    return sorted(results, key=lambda one: one.index)


def _chain_asked(body: ChainRequest) -> ChainQuestion:
    orders = StoreQuestion(_places(body.products), _rows(body.limits), body.service_level, body.model)
    return ChainQuestion(orders, body.horizon)


def _chained(serving: Serving, question: ChainQuestion) -> ChainResponse:
    shop = serving.shop
    found = order_questions.chain(shop, question, serving.workers)
    return ChainResponse(
        demand=[_demand(one) for one in found.demand],
        risk=[None if one is None else stockout_predictions.told(shop, one.product, one) for one in found.risk],
        orders=told(found.orders),
        versions=dict(found.versions),
        **_of_chain(found),
    )


def _of_chain(found: Chain) -> dict[str, Any]:
    return {
        "paths": found.paths, "n_paths": found.n_paths, "seed": found.seed, "notes": list(found.notes),
        "instead": found.late or None,
    }  # fmt: skip


def _demand(one: LineDemand) -> DemandOfLine:
    return DemandOfLine(
        product_id=one.product, warehouse_id=one.warehouse, dates=list(one.dates), mean=list(one.mean),
        quantiles={f"{level:g}": list(values) for level, values in one.quantiles.items()},
    )  # fmt: skip


def asked(body: OptimizeRequest) -> OrderQuestion:
    """Return the question of a request."""
    limits = _rows(body.limits)
    if body.products is not None:
        return StoreQuestion(_places(body.products), limits, body.service_level, body.model)
    demand = [
        {name.replace("q10", "q0.1").replace("q90", "q0.9"): value for name, value in row.items() if value is not None}
        for row in _rows(body.demand or [])
    ]
    return ItemsQuestion(
        items=_rows(body.items or []), demand=tuple(demand), inbound=_rows(body.inbound), limits=limits,
        lanes=_rows(body.lanes), gap=body.gap, time_limit=body.time_limit, seed=body.seed,
    )  # fmt: skip


def _places(products: Sequence[ProductPlace]) -> tuple[tuple[str, str | None], ...]:
    return tuple((str(one.product_id), one.warehouse_id) for one in products)


def _rows(bodies: Sequence[Body]) -> tuple[dict[str, Any], ...]:
    return tuple(one.model_dump() for one in bodies)


def told(decision: Decision) -> OptimizeResponse:
    """Return a decision as a response."""
    lines = [
        {
            **row, "product_id": row["product"], "warehouse_id": row["warehouse"], "arrives_period": row["arrives"],
            "arrives_on": None if decision.as_of is None else decision.as_of + dt.timedelta(days=row["arrives"] - 1),
        }
        for row in decision.lines
    ]  # fmt: skip
    transfers = [{**row, "source": row["from"], "target": row["to"]} for row in decision.transfers]
    return OptimizeResponse.model_validate(
        {
            "as_of": decision.as_of, "orders": lines, "spend": decision.spend, "cost": decision.cost,
            "bound": decision.bound, "gap": decision.gap, "mode": decision.mode, "limits": list(decision.prices),
            "transfers": transfers, "infeasible": list(decision.infeasible), "versions": dict(decision.versions),
            "notes": list(decision.notes), "instead": decision.late or None,
        }
    )  # fmt: skip
