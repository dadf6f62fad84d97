"""``/api/v1/purchase-orders``: orders from draft to received."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import Money, Name, Units, records
from shelfwise.services import ordering

router = APIRouter(prefix="/api/v1/purchase-orders", tags=["purchase orders"], route_class=IdempotentRoute)

ORDERS: Final = Listing("purchase orders", ("ordered_on", "purchase_order"), (True, True))
Status = Literal["draft", "sent", "part_received", "received", "cancelled"]
Number = Annotated[str, Path(description="Its number, whatever the case.", examples=["PO-000129"], max_length=255)]


class PurchaseOrder(BaseModel):
    """A purchase order as a whole."""

    purchase_order: str = Field(description="Its number.")
    supplier: str
    status: Status | None
    ordered_on: dt.date | None = Field(description="Day it was sent; null for a draft.")
    expected_on: dt.date | None = Field(description="Day on which the last of it is expected.")
    lines: int
    units: float = Field(description="Ordered.")
    units_due: float = Field(description="Still to come.")
    value: Money = Field(description="Of the lines whose unit cost is known.")


class PurchaseOrderPage(Page):
    """Purchase orders: those sent last first, drafts at the end."""

    items: list[PurchaseOrder]


class OrderLine(BaseModel):
    """A line of a purchase order."""

    product: str
    warehouse: str
    quantity: float = Field(description="Units ordered.")
    quantity_received: float | None
    unit_cost: Money | None
    expected_on: dt.date | None


class PurchaseOrderWithLines(PurchaseOrder):
    """A purchase order and its lines."""

    currency: str
    items: list[OrderLine]


@router.get("", responses=documented(422, 503))
def list_orders(
    shop: ShopNow,
    status: Annotated[Status | None, Query(examples=["sent"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> PurchaseOrderPage:
    """List purchase orders."""
    found = ordering.order_list(ordering.purchase_orders(shop, status=status))
    items, following = ORDERS.page(found, cursor, limit)
    return PurchaseOrderPage.model_validate({"items": items, "next": following})


@router.get("/{number}", responses=documented(404, 422, 503))
def one_order(number: Number, shop: ShopNow) -> PurchaseOrderWithLines:
    """Show a purchase order and its lines."""
    lines = ordering.purchase_orders(shop, number=number)
    whole = records(ordering.order_list(lines))[0]
    return PurchaseOrderWithLines.model_validate({**whole, "currency": shop.settings.currency, "items": records(lines)})


class Sending(BaseModel):
    """When an order was placed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    on: dt.date | None = Field(None, description="Day it was placed; default today.")


@router.post("/{number}/send", responses=documented(400, 404, 409, 413, 422, 503))
def send_order(number: Number, body: Sending, shop: ShopNow) -> PurchaseOrderWithLines:
    """Mark a draft as placed with its supplier. Nothing is sent by this program."""
    return one_order(ordering.send(shop, number, body.on), shop)


@router.post("/{number}/cancel", responses=documented(404, 409, 422, 503))
def cancel_order(number: Number, shop: ShopNow) -> PurchaseOrderWithLines:
    """Cancel what has not come of an order."""
    return one_order(ordering.cancel(shop, number), shop)


class Delivery(BaseModel):
    """What came of an order."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"delivery": "DN-2211"}]})

    quantities: dict[Name, Annotated[Units, Field(gt=0)]] | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="Units by product, or by `product@warehouse`; default all that is still to come.",
    )
    on: dt.date | None = Field(None, description="Day it came; default now.")
    delivery: Name | None = Field(None, description="The delivery's own number; the same one is booked once.")


class ReceivedLine(BaseModel):
    """What was booked of a line."""

    product: str
    warehouse: str
    quantity: float = Field(description="Units.")
    received_on: dt.date


class MoreThanOrdered(BaseModel):
    """A line of which more came than was ordered; it is booked as it came."""

    product: str
    warehouse: str
    ordered: float
    received: float
    excess: float


class ReceivedOrder(BaseModel):
    """What a delivery did."""

    purchase_order: str
    status: str = Field(description="Of the order now.")
    repeated: bool = Field(description="Whether this delivery was booked before; then nothing was done.")
    booked: list[ReceivedLine]
    over: list[MoreThanOrdered]


@router.post("/{number}/receive", responses=documented(400, 404, 409, 413, 422, 503))
def receive_order(number: Number, body: Delivery, shop: ShopNow) -> ReceivedOrder:
    """Book a delivery: stock goes up, and the supplier's lead time is measured."""
    done = ordering.receive(shop, number, body.quantities, body.on, body.delivery)
    return ReceivedOrder.model_validate({**vars(done), "booked": records(done.booked), "over": records(done.over)})
