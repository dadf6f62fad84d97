"""``POST /inventory``: one stock movement, booked once and for all when the answer comes."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Final, Literal, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shelfwise.api.dependencies import ServingNow
from shelfwise.api.idempotency import REPLAYED, KeyNow
from shelfwise.api.problems import documented
from shelfwise.api.values import ShopTime
from shelfwise.services import auditing
from shelfwise.services.recording import Kind, Movement, Reaction, Recorded
from shelfwise.services.serving import Serving

router = APIRouter(tags=["stock"])

REACTION_SECONDS: Final = 10.0
"""How long ``wait=true`` waits for forecast and orders to follow."""

TransactionType = Literal["SALE", "RETURN", "RECEIPT", "ADJUSTMENT", "TRANSFER", "COUNT"]
Code = Annotated[int, Field(strict=True)] | str
_EXAMPLE: JsonDict = {
    "productId": "CUP-01", "transactionType": "SALE", "quantity": 2, "createdAt": "2026-11-20T14:05:00",
    "warehouseId": "main", "id": "till-1-004711",
}  # fmt: skip


class InventoryRequest(BaseModel):
    """A stock movement."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    productId: Code = Field(description="The product's code, text or a number.", examples=["CUP-01"])
    transactionType: TransactionType = Field(
        description="What happened. A COUNT says what is there; every other movement changes it."
    )
    quantity: float = Field(
        allow_inf_nan=False,
        description="Units. Of a SALE the sign does not matter; an ADJUSTMENT is what was found (above zero) or lost "
        "(below); all others are above zero, or zero for a COUNT that found nothing.",
    )
    createdAt: dt.datetime | None = Field(
        None, description="When it happened: with a zone, or in the shop's own time; now where it is left out."
    )
    warehouseId: Code | None = Field(
        None, description="The warehouse; may be left out where the shop has one. A TRANSFER goes out of it."
    )
    toWarehouseId: Code | None = Field(None, description="Where a TRANSFER goes; of no other movement.")
    id: Code | None = Field(
        None, description="The movement's own id: it is booked once under it, however often it is sent."
    )
    unitPrice: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Price per unit at which it was sold, in the shop's currency."
    )

    def movement(self) -> Movement:
        """Return the movement that services know."""
        return Movement(
            str(self.productId), cast("Kind", self.transactionType.lower()), self.quantity, self.createdAt,
            _text(self.warehouseId), _text(self.toWarehouseId), _text(self.id), self.unitPrice,
        )  # fmt: skip


class InventoryResponse(BaseModel):
    """A movement that is booked; it is on disk."""

    id: str = Field(description="Under which it is booked.")
    productId: int | str = Field(description="As it was given.")
    transactionType: TransactionType
    quantity: float = Field(description="Units as they are booked.")
    occurredAt: ShopTime = Field(description="When it happened, in the shop's own time.")
    warehouseId: str
    toWarehouseId: str | None = Field(None, description="Of a TRANSFER.")
    onHand: float | None = Field(
        description="Units in the warehouse after this and all that was booked with it; null where none was counted."
    )
    duplicate: bool = Field(description="Whether it was booked before; then nothing was done now.")
    reaction: Reaction = Field(
        description="Whether forecast, risk and orders follow: `queued`, `done`, `late` (with `wait=true`, where that "
        "took too long or no forecast was made yet; they follow later) or `none`, where nothing changed or nothing "
        "follows in this process."
    )


@router.post(
    "/inventory", status_code=201,
    responses={
        200: {"model": InventoryResponse, "description": "It was booked before under this id."},
        **documented(400, 404, 409, 413, 422, 503),
    },
)  # fmt: skip
async def record_movement(
    body: InventoryRequest,
    serving: ServingNow,
    key: KeyNow,
    request: Request,
    response: Response,
    wait: Annotated[bool, Query(description="Answer when forecast, risk and orders have followed.")] = False,
) -> InventoryResponse:
    """Record a stock movement: sale, return, receipt, adjustment, transfer or count.

    The answer comes when the movement, the change of stock and the event are on disk. The same `id` again is a success
    (200, `duplicate: true`); something else under it is a conflict (409).
    """
    done = await serving.recorder.record(body.movement(), key, auditing.entry("POST /inventory"))
    request.state.audited = not done.replayed
    response.status_code = 200 if done.duplicate else 201
    if done.replayed:
        response.headers[REPLAYED] = "true"
    return _answer(body, done, await _reaction(serving, done, wait=wait))


async def _reaction(serving: Serving, done: Recorded, *, wait: bool) -> Reaction:
    if done.duplicate or serving.reacting is None:
        return "none"
    if wait and done.felt is not None:
        following = asyncio.wrap_future(done.felt)
        await asyncio.wait({following}, timeout=REACTION_SECONDS)
        ended = following.done() and not following.cancelled() and not following.exception()
        return "done" if ended and following.result() else "late"
    return "queued"


def _answer(body: InventoryRequest, done: Recorded, reaction: Reaction) -> InventoryResponse:
    return InventoryResponse(
        id=done.id, productId=body.productId, transactionType=body.transactionType, quantity=done.quantity,
        occurredAt=done.occurred_at, warehouseId=done.warehouse, toWarehouseId=done.to_warehouse,
        onHand=done.on_hand, duplicate=done.duplicate, reaction=reaction,
    )  # fmt: skip


def _text(code: int | str | None) -> str | None:
    return None if code is None else str(code)
