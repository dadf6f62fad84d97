"""A stock movement as it is told from outside: the body of ``POST /inventory``, and of a message of the event bus.

A message is one movement or a list of them, or a CloudEvent whose ``data`` is that. A movement without an id of its own
gets one that is made of the message's, so that it is booked once however often the bus delivers it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from shelfwise.domain.errors import DataError, ShelfwiseError
from shelfwise.services.recording import MOST_OF_AN_ID, Kind, Movement

MOST_BYTES: Final = 1_000_000
MOST_MOVEMENTS: Final = 1000
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


@dataclass(frozen=True)
class Read:
    """What a message says.

    Parameters
    ----------
    movements
        Those that can be read.
    wrong
        What is wrong with the others, in words; empty where nothing is.
    """

    movements: tuple[Movement, ...]
    wrong: tuple[str, ...] = ()


def read_message(body: bytes, key: str | None) -> Read:
    """Return the movements in the body of a message.

    Parameters
    ----------
    key
        The same each time this message comes; None where the bus knows no such thing.
    """
    if len(body) > MOST_BYTES:
        return Read((), (f"a message has at most {MOST_BYTES:,} bytes, this one {len(body):,}; send it in parts",))
    try:
        return Read((_with_id(InventoryRequest.model_validate_json(body).movement(), key),))
    except (ValidationError, ShelfwiseError):
        pass  # it is a list or an envelope, or what is wrong with it is told more exactly below
    try:
        found, key = _opened(_parsed(body), key)
    except ShelfwiseError as error:
        return Read((), (str(error),))
    several = isinstance(found, list)
    movements: list[Movement] = []
    wrong: list[str] = []
    for n, row in enumerate(found if several else [found]):
        try:
            own = f"{key}/{n}" if several and key is not None else key
            movements.append(_with_id(InventoryRequest.model_validate_json(json.dumps(row)).movement(), own))
        except (ValueError, RecursionError, ShelfwiseError) as error:  # ValueError: also what no JSON can hold
            wrong.append((f"movement {n}: " if several else "") + _said(error))
    return Read(tuple(movements), tuple(wrong))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the message is no JSON ({str(error)[:100]}); send one movement, or a list of them") from None


def _opened(found: Any, key: str | None) -> tuple[Any, str | None]:
    """Return what is in the envelope of a CloudEvent, and its id; anything else as it is."""
    if isinstance(found, dict) and "specversion" in found and "data" in found:
        key = f"{found.get('source', '')}#{found['id']}" if found.get("id") else key
        found = found["data"]
    if not isinstance(found, dict | list):
        raise DataError("the message is no movement; send a JSON object as for POST /inventory, or a list of them")
    if isinstance(found, list) and len(found) > MOST_MOVEMENTS:
        raise DataError(f"a message has at most {MOST_MOVEMENTS:,} movements, this one {len(found):,}")
    return found, key


def _with_id(movement: Movement, key: str | None) -> Movement:
    if movement.id is not None:
        return movement
    if key is None:
        raise DataError(
            "the movement has no id, nor has its message: delivered again, it would be booked again; give it its own id"
        )
    fits = len(key) <= MOST_OF_AN_ID and key == key.strip() and key.isprintable()
    return replace(movement, id=key if fits else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest())


def _said(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    met = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'][:1]))}: {one['msg']}" for one in met)


def _text(code: int | str | None) -> str | None:
    return None if code is None else str(code)
