"""``POST /inventory``: one stock movement, booked once and for all when the answer comes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ServingNow
from shelfwise.api.idempotency import REPLAYED, KeyNow
from shelfwise.api.problems import documented
from shelfwise.api.values import ShopTime
from shelfwise.services import auditing
from shelfwise.services.movement_messages import InventoryRequest, TransactionType
from shelfwise.services.recording import Reaction, Recorded
from shelfwise.services.serving import Serving

router = APIRouter(tags=["stock"])

REACTION_SECONDS: Final = 10.0
"""How long ``wait=true`` waits for forecast and orders to follow."""


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
