"""``/api/v1/products``: the catalogue, and of each product its stock, forecast, reasons and movements."""

from __future__ import annotations

import datetime as dt
from itertools import groupby
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ServingNow, ShopNow
from shelfwise.api.etags import etag, headers, matches, not_modified
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import Money, ShopTime, record, records
from shelfwise.services import catalogue, explaining, product_forecasts, stock_movements
from shelfwise.services.explaining import Explanation
from shelfwise.services.product_forecasts import ProductForecast, WarehouseForecast

router = APIRouter(prefix="/api/v1/products", tags=["products"])

PRODUCTS: Final = Listing("products", ("product",))
MOVEMENTS: Final = Listing("movements", ("occurred_at", "line"), (True, True))
_MOVEMENT_KEY: Final = {"occurred_at": pl.Datetime("us"), "line": pl.Int64()}
QUANTILES: Final = "0.1,0.5,0.9"

ProductCode = Annotated[
    str, Path(description="Its code, or its whole name; whatever the case.", examples=["CF-1033"], max_length=255)
]
Warehouse = Annotated[str | None, Query(description="Only this warehouse.", max_length=255, examples=["WEB"])]


class Product(BaseModel):
    """A product as the catalogue has it; null where nobody said."""

    product: str = Field(description="Its code.", examples=["CF-1033"])
    name: str | None
    category: str | None
    brand: str | None
    supplier: str | None = Field(description="Code of the supplier it is ordered from.")
    unit_cost: Money | None = Field(description="Purchase price per unit.")
    price: Money | None = Field(description="Usual selling price per unit.")
    pack_size: float | None = Field(description="Units per pack.")
    minimum_order_quantity: float | None = Field(description="Smallest order, units.")
    launched_on: dt.date | None
    discontinued_on: dt.date | None
    replaces: str | None = Field(description="Code of the product whose history it continues.")
    on_hand: float | None = Field(description="Units in all warehouses; null where it was never counted.")


class ProductPage(Page):
    """Products by code."""

    items: list[Product]


class StockLevel(BaseModel):
    """Stock of a product in one warehouse."""

    warehouse: str
    on_hand: float = Field(description="Units; below zero where more left than was there by the book.")
    as_of: ShopTime = Field(description="Shop time of the last line that changed it.")


class ProductWithStock(Product):
    """A product and its stock by warehouse."""

    currency: str = Field(description="Of cost and price.", examples=["EUR"])
    stock: list[StockLevel] = Field(description="Empty where it was never counted.")


@router.get("", responses=documented(422, 503))
def list_products(
    shop: ShopNow,
    q: Annotated[str | None, Query(description="Part of code, name or brand.", max_length=255, examples=["gr"])] = None,
    category: Annotated[str | None, Query(max_length=255, examples=["Grinders"])] = None,
    supplier: Annotated[str | None, Query(description="Code of a supplier.", max_length=255)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ProductPage:
    """List products by code."""
    found = catalogue.find_products(shop, q=q, category=category, supplier=supplier)
    items, following = PRODUCTS.page(found, cursor, limit)
    return ProductPage.model_validate({"items": items, "next": following})


class QuantileForecast(BaseModel):
    """The forecast of a product in one warehouse."""

    warehouse: str
    dates: list[dt.date] = Field(description="The H days forecast.")
    mean: list[float] = Field(description="Expected units of each day.")
    quantiles: dict[str, list[float]] = Field(
        description="By level, the units that a day stays within with that probability, each day by itself."
    )
    cumulative_quantiles: dict[str, list[float]] = Field(
        description="By level, the units that demand from the first day to the end of each stays within. Quantiles of "
        "days do not add up to these."
    )


class ForecastResponse(BaseModel):
    """The newest forecast of a product."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "product": "CF-1033", "source": "plan", "revision": 1,
                    "computed_at": "2026-11-21T06:00:00", "data_until": "2026-11-20",
                    "model": "coherent", "model_version": "1", "levels": [0.1, 0.5, 0.9],
                    "warehouses": [{
                        "warehouse": "WEB", "dates": ["2026-11-21", "2026-11-22"], "mean": [8.2, 6.9],
                        "quantiles": {"0.1": [4.0, 3.0], "0.5": [8.0, 7.0], "0.9": [13.0, 11.0]},
                        "cumulative_quantiles": {"0.1": [4.0, 9.0], "0.5": [8.0, 15.0], "0.9": [13.0, 22.0]},
                    }],
                    "warnings": [],
                }
            ]
        }
    )  # fmt: skip

    product: str
    source: Literal["live", "plan"] = Field(
        description="`live`: follows each sale; `plan`: as it was published with the last plan."
    )
    revision: int = Field(description="Version of the live forecast, or number of the plan.")
    computed_at: ShopTime = Field(description="Shop time at which it was made.")
    data_until: dt.date = Field(description="Last day of the sales that it knows.")
    model: str
    model_version: str
    levels: list[float] = Field(description="Levels of the quantiles.")
    warehouses: list[QuantileForecast]
    warnings: list[str] = Field(description="What a reader must know.")


@router.get(
    "/{product:path}/forecast",
    response_model=ForecastResponse,
    responses={
        304: {"description": "The answer of the tag in `If-None-Match` still holds"},
        **documented(404, 422, 503),
    },
)
def product_forecast(
    product: ProductCode,
    serving: ServingNow,
    request: Request,
    horizon: Annotated[
        int | None, Query(ge=1, le=730, description="Days; at most what the plan forecasts.", examples=[14])
    ] = None,
    quantiles: Annotated[
        str,
        Query(
            description="Levels above 0 and below 1, by commas.", max_length=200, examples=["0.05,0.5,0.95"],
            pattern=r"^0?\.\d{1,6}(,0?\.\d{1,6}){0,24}$",
        ),
    ] = QUANTILES,
) -> Response:  # fmt: skip
    """Read what a product is forecast to sell, overrides included: live where that is kept, else as last planned.

    Nothing is forecast anew. The answer has an `ETag`; asked again with `If-None-Match`, 304 says that it still holds.
    """
    shop, answers = serving.shop, serving.answers
    levels = [float(level) for level in quantiles.split(",")]
    source = product_forecasts.source(shop, product, levels)
    tag = etag(source.product, source.revision, horizon or shop.settings.horizon, levels)
    if matches(request, tag):
        return not_modified(tag)
    made_of = (tag, source.identity)
    body = None if answers is None else answers.get(made_of)
    if body is None:
        found = product_forecasts.read(shop, source, horizon=horizon, levels=levels)
        body = _forecast(found).model_dump_json().encode()
        if answers is not None:
            answers.put(made_of, body)
    return Response(body, media_type="application/json", headers=headers(tag))


def _forecast(found: ProductForecast) -> ForecastResponse:
    return ForecastResponse.model_validate(
        {
            **vars(found), "model_version": found.version,
            "warehouses": [_of_warehouse(one, found.levels) for one in found.warehouses],
        }
    )  # fmt: skip


def _of_warehouse(one: WarehouseForecast, levels: tuple[float, ...]) -> dict[str, Any]:
    names = [f"{level:g}" for level in levels]
    return {
        **vars(one), "quantiles": dict(zip(names, one.quantiles, strict=True)),
        "cumulative_quantiles": dict(zip(names, one.cumulative, strict=True)),
    }  # fmt: skip


class WeekAhead(BaseModel):
    """A week ahead if nothing is ordered; low to high is the 80 % range, units."""

    week_to: dt.date = Field(description="Last day of the week.")
    demand: float | None
    demand_low: float | None
    demand_high: float | None
    due: float | None = Field(description="Units on order that come in it.")
    stock: float | None = Field(description="Median units at its end.")
    stock_low: float | None
    stock_high: float | None
    run_out: float | None = Field(description="Probability of having run out by its end.")


class RecentWeek(BaseModel):
    """A week that has passed."""

    week_from: dt.date = Field(description="First day of the week.")
    sold: float | None = Field(description="Units.")
    open_days: int | None = None
    hidden_days: int | None = Field(None, description="Days on which a stockout may have hidden demand.")


class Cause(BaseModel):
    """What one cause adds to the demand of a week; the causes of a week add up to it."""

    week_to: dt.date
    kind: str = Field(examples=["season"])
    part: str
    units: float


class ExplanationResponse(BaseModel):
    """Why a product is ordered in a warehouse, or not."""

    product: str
    name: str | None
    warehouse: str | None = Field(description="Null where the product is not planned.")
    as_of: dt.date = Field(description="The day of the plan.")
    proposed_quantity: float | None = Field(description="Units that the line orders; null where there is no line.")
    arithmetic: str | None = Field(description="The line's sum in words and units.")
    reasons: list[str] = Field(description="In words, the most important first.")
    weeks: list[WeekAhead]
    recent: list[RecentWeek]
    made_of: list[Cause]


class Explanations(BaseModel):
    """The reasons behind each of a product's lines."""

    items: list[ExplanationResponse]


@router.get("/{product:path}/explanation", responses=documented(404, 409, 422, 503))
def product_explanation(product: ProductCode, shop: ShopNow) -> Explanations:
    """Say why a product is ordered, or why not: the sum, the demand, the stock ahead, and what is assumed.

    A plan that no longer holds is made anew first, which takes a while in a large shop.
    """
    return Explanations(items=[_explanation(one) for one in explaining.explain(shop, product)])


def _explanation(one: Explanation) -> ExplanationResponse:
    line = one.line or {}
    return ExplanationResponse.model_validate(
        {
            "product": one.product, "name": one.name, "warehouse": one.warehouse, "as_of": one.as_of,
            "proposed_quantity": line.get("quantity"), "arithmetic": line.get("arithmetic"),
            "reasons": list(one.sentences), "weeks": records(one.weeks), "recent": records(one.recent),
            "made_of": records(one.made_of),
        }
    )  # fmt: skip


class Says(BaseModel):
    """What a line of stock says, by whom, when and why."""

    kind: str | None = Field(description="sale, return, receipt, adjustment, transfer or count; null: taken off.")
    product: str | None
    warehouse: str | None
    occurred_at: ShopTime | None = Field(description="Shop time.")
    quantity: float | None = Field(description="Units; of an adjustment or transfer signed, of a count the level.")
    unit_price: Money | None = None
    by: str | None
    at: ShopTime | None = Field(description="When it was said, shop time.")
    reason: str | None
    holds: bool = Field(description="Whether demand and stock count this, and not a later correction.")


class Correction(Says):
    """A correction of a line."""

    correction: int = Field(description="Its number.")
    record: str = Field(description="corrected, taken off, or reverted: the correction was taken back.")


class Movement(Says):
    """A line of stock as it was booked, and its corrections in their order."""

    line: int = Field(description="Its number.")
    source: str
    line_id: str = Field(description="Its own id in that source.")
    corrections: list[Correction]


class MovementPage(Page):
    """Movements, the newest first."""

    items: list[Movement]


@router.get("/{product:path}/movements", responses=documented(404, 422, 503))
def product_movements(
    product: ProductCode, shop: ShopNow, warehouse: Warehouse = None, cursor: Cursor = None, limit: Limit = 50
) -> MovementPage:
    """List a product's sales, receipts, counts and other lines of stock, each with its corrections."""
    after = None if cursor is None else MOVEMENTS.read(cursor, _MOVEMENT_KEY)
    found = stock_movements.history(shop, product, warehouse, limit + 1, after)
    lines = [_movement(list(rows)) for _, rows in groupby(records(found), lambda row: row["line"])]
    more = len(lines) > limit
    last = lines[limit - 1] if more else {}
    following = MOVEMENTS.cursor([last["occurred_at"], last["line"]]) if more else None
    return MovementPage.model_validate({"items": lines[:limit], "next": following})


def _movement(rows: list[dict[str, Any]]) -> dict[str, Any]:
    booked, *corrections = rows
    return {**booked, "corrections": corrections}


@router.get("/{product:path}", responses=documented(404, 422, 503))
def one_product(product: ProductCode, shop: ShopNow) -> ProductWithStock:
    """Show a product and its stock by warehouse."""
    found, levels = catalogue.product(shop, product)
    return ProductWithStock.model_validate(
        {**record(found), "currency": shop.settings.currency, "stock": records(levels)}
    )
