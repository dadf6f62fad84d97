"""The parts that questions about demand, stockouts and orders have in common, as they stand in requests and answers."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, model_validator

from shelfwise.api.values import Name, Units
from shelfwise.app import App
from shelfwise.services.demand_questions import Event, Features

MOST_SALES: Final = 200_000
MOST_PRICES: Final = 10_000
MOST_EVENTS: Final = 1_000
YEARS: Final = (1970, 2199)


def _in_years(value: Any) -> Any:
    if not YEARS[0] <= value.year <= YEARS[1]:
        raise ValueError(f"the year must be from {YEARS[0]} to {YEARS[1]}, got {value.year}")
    return value


ProductId = Annotated[StrictInt, Field(ge=0, le=10**18)] | Name
"""A product's code or name; a number is taken for the code it reads as."""

Moment = Annotated[dt.datetime, AfterValidator(_in_years)]
"""A moment of the years that a shop has; with an offset it is turned into shop time, without it is shop time."""

Day = Annotated[dt.date, AfterValidator(_in_years)]

Granularity = Literal[
    "5min", "10min", "15min", "30min", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "1w", "1mo",
]  # fmt: skip

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", min_length=1, max_length=64)]


class Body(BaseModel):
    """A request; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class SalesPoint(Body):
    """Units sold at a moment, or in the period that a moment labels."""

    timestamp: Moment = Field(description="Shop time, or with an offset.", examples=["2026-11-01"])
    quantity: Units = Field(description="Units, zero or more.", examples=[4])


class PricePoint(Body):
    """A price and since when it holds."""

    timestamp: Moment = Field(description="From when the price holds, until the next one.", examples=["2026-11-01"])
    price: Units = Field(description="Money per unit.", examples=[12.5])


class EventSpan(Body):
    """Days on which demand is not as usual."""

    kind: Literal["promotion", "holiday"] = Field(description="What it is.")
    starts_on: Day = Field(description="First day.", examples=["2026-11-27"])
    ends_on: Day = Field(description="Last day.", examples=["2026-11-30"])
    name: str | None = Field(None, max_length=255, description="For the reader; it changes nothing.")


class FeaturesBody(Body):
    """What the caller knows better than the store, for this one question; null or left out: what is stored."""

    historical_sales: list[SalesPoint] | None = Field(
        None,
        max_length=MOST_SALES,
        description="Sales, in any order. Parts of one period are added up; a period between the first and the last "
        "that is not named sold nothing.",
    )
    price_data: list[PricePoint] | None = Field(None, max_length=MOST_PRICES, description="Prices, past and planned.")
    events: list[EventSpan] | None = Field(
        None,
        max_length=MOST_EVENTS,
        description="In place of the stored promotions and holidays from the first period ahead on, or from the first "
        "of these days where that is earlier. An empty list: none is to come.",
    )

    @model_validator(mode="after")
    def _something(self) -> FeaturesBody:
        if self.historical_sales is not None and not self.historical_sales:
            raise ValueError("historical_sales is empty; leave it out, and the stored sales are taken")
        return self


def features_of(shop: App, body: FeaturesBody) -> Features:
    """Return the features of a request in shop time."""
    told = shop.calendar.shop_time
    sales, prices, events = body.historical_sales, body.price_data, body.events
    return Features(
        sales=None if sales is None else tuple((told(one.timestamp), one.quantity) for one in sales),
        prices=None if prices is None else tuple((told(one.timestamp), one.price) for one in prices),
        events=None if events is None else tuple(Event(one.kind, one.starts_on, one.ends_on) for one in events),
    )
