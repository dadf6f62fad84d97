"""Questions about demand, stockouts and orders in bulk: NDJSON or Arrow at the addresses that take JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from shelfwise.api.bodies import LARGEST_BULK_BODY
from shelfwise.api.bulk_questions import BulkRoute, Kind, answered
from shelfwise.api.dependencies import ServingNow
from shelfwise.api.routes import demand_predictions, order_predictions, stockout_predictions

router = APIRouter(prefix="/api/v1/predictions", route_class=BulkRoute, include_in_schema=False)

KINDS: Final = {
    "/demand": Kind(demand_predictions.DemandItem, demand_predictions.each),
    "/stockout": Kind(stockout_predictions.StockoutItem, stockout_predictions.each),
    "/optimize": Kind(order_predictions.OptimizeItem, order_predictions.each),
    "/chain": Kind(order_predictions.ChainItem, order_predictions.chain_each),
}


def _route(kind: Kind) -> Callable[[Request, ServingNow], Awaitable[StreamingResponse]]:
    async def answer_in_bulk(request: Request, serving: ServingNow) -> StreamingResponse:
        return await answered(request, serving, kind)

    return answer_in_bulk


for _path, _kind in KINDS.items():
    for _whole in (_path, f"{_path}/batch"):
        if _whole != "/chain/batch":  # one line or row each at /chain itself
            router.add_api_route(
                _whole, _route(_kind), methods=["POST"], response_model=None, max_body_size=LARGEST_BULK_BODY
            )
