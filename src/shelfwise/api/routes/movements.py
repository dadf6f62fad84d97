"""``POST /api/v1/movements``: many stock movements in one request and one transaction."""

from __future__ import annotations

from typing import Annotated, Any, Final

import anyio
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field

from shelfwise.api.bodies import LARGEST_BULK_BODY, unpacked_body
from shelfwise.api.dependencies import ServingNow
from shelfwise.api.idempotency import REPLAYED, KeyNow
from shelfwise.api.problems import FieldError, documented, problem
from shelfwise.services import bulk_recording
from shelfwise.services.bulk_recording import RecordedTable
from shelfwise.services.movement_messages import InventoryRequest

router = APIRouter(prefix="/api/v1", tags=["stock"])

# Bodies that are read at the same time: each may take some hundred megabytes.
_LIMITER: Final = anyio.CapacityLimiter(2)
_SCHEMA: Final = {"$ref": "#/components/schemas/InventoryRequest"}
_BINARY: Final = {"type": "string", "format": "binary"}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "Movements with the fields of `POST /inventory`: an array of at most 10,000, one JSON object a "
        "line, or an Arrow IPC stream with columns of these names. gzip may pack it.",
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": _SCHEMA},
                "example": [InventoryRequest.model_json_schema()["examples"][0]],
            },
            "application/x-ndjson": {"schema": _BINARY},
            "application/vnd.apache.arrow.stream": {"schema": _BINARY},
        },
    }
}


class RejectedMovement(BaseModel):
    """A row that was not booked."""

    index: int = Field(description="Its place, from 0.")
    field: str = Field(description="The field at fault; empty where the whole row is.")
    reason: str = Field(description="Why.")


class MovementsResponse(BaseModel):
    """What became of the rows."""

    inserted: int = Field(description="Lines booked now; a TRANSFER is two.")
    duplicates: int = Field(description="Lines that were booked before, or came twice in this request.")
    differing: int = Field(
        description="How many of the duplicates say something else than is booked under their id; nothing was done "
        "with them."
    )
    rejectedRows: int = Field(description="Rows that were not booked.")
    rejected: list[RejectedMovement] = Field(description="The first 100 of them.")


async def _table(request: Request) -> tuple[str, bytes]:
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in bulk_recording.MEDIA_TYPES:
        raise HTTPException(415, f"{given[:60]!r} is no table; send {', '.join(bulk_recording.MEDIA_TYPES)}")
    return media_type, await unpacked_body(request)


@router.post(
    "/movements", max_body_size=LARGEST_BULK_BODY, openapi_extra=_BODY, response_model=MovementsResponse,
    responses=documented(400, 409, 413, 415, 422, 503),
)  # fmt: skip
async def record_movements(
    table: Annotated[tuple[str, bytes], Depends(_table)],
    request: Request,
    response: Response,
    serving: ServingNow,
    key: KeyNow,
) -> MovementsResponse | Response:
    """Record many stock movements, all in one transaction.

    Rows that cannot be booked are listed and the others are booked; where none can, the answer is 422. A row without
    `id` is new each time it is sent; with an `Idempotency-Key` the whole request is booked once.
    """
    done = await anyio.to_thread.run_sync(
        bulk_recording.record_body, serving.shop, *table, key, serving.felt, limiter=_LIMITER
    )
    if done.all_rejected:
        return _refused(request, done)
    if done.replayed:
        response.headers[REPLAYED] = "true"
    return MovementsResponse(
        inserted=done.inserted, duplicates=done.duplicates, differing=done.differing, rejectedRows=done.rejected_rows,
        rejected=[RejectedMovement(index=one.index, field=one.field, reason=one.reason) for one in done.rejected],
    )  # fmt: skip


def _refused(request: Request, done: RecordedTable) -> Response:
    errors = [
        FieldError(field=".".join(part for part in ("body", str(one.index), one.field) if part), message=one.reason)
        for one in done.rejected
    ]
    words = f"none of {done.rejected_rows:,} movements can be booked; {errors[0].field} {errors[0].message}"
    return problem(request, 422, "unusable-data", "What was sent cannot be used", words, errors)
