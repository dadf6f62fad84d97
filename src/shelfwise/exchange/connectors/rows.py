"""Rows of the feeds: which fields each has, of which type, within which limits.

Names are spelled as ``POST /inventory`` spells them. A row that breaks a rule is told apart from the others with the
field and the reason. Fields that are not named here are passed over, so that a service may say more than this program
knows.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

MOST_UNITS: Final = 1e9
MOST_DAYS: Final = 730
MOST_LINES: Final = 1_000


def _code(text: str) -> str:
    if text != text.strip():
        raise ValueError("has blanks around it")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("holds a character that no text may hold")
    return text


def _moment(value: Any) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 moment as text")
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is no ISO 8601 moment") from None


def _day(value: Any) -> dt.date:
    if not isinstance(value, str):
        raise ValueError("must be a day as text, like 2026-03-12")
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is no day like 2026-03-12") from None


Code = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_code)]
Id = Annotated[str, Field(min_length=1, max_length=251), AfterValidator(_code)]
Moment = Annotated[dt.datetime, BeforeValidator(_moment)]
Day = Annotated[dt.date, BeforeValidator(_day)]
Units = Annotated[float, Field(ge=-MOST_UNITS, le=MOST_UNITS, allow_inf_nan=False)]
SomeUnits = Annotated[float, Field(gt=0, le=MOST_UNITS, allow_inf_nan=False)]
Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Days = Annotated[float, Field(ge=0, le=MOST_DAYS, allow_inf_nan=False)]


class Row(BaseModel):
    """Base of all rows."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class MovementRow(Row):
    """A change of stock, as ``POST /inventory`` takes it, with its own id and moment."""

    id: Id
    productId: Code
    transactionType: Literal["SALE", "RETURN", "RECEIPT", "ADJUSTMENT", "TRANSFER", "COUNT"]
    quantity: Units
    createdAt: Moment
    warehouseId: Code | None = None
    toWarehouseId: Code | None = None
    unitPrice: Money | None = None


class StockLevelRow(Row):
    """What was on hand of a product in a warehouse at a moment."""

    productId: Code
    warehouseId: Code | None = None
    quantity: Annotated[float, Field(ge=0, le=MOST_UNITS, allow_inf_nan=False)]
    countedAt: Moment


class LeadTimeRow(Row):
    """How long a supplier takes from order to delivery."""

    supplierId: Code
    leadTimeDays: Days
    leadTimeSdDays: Days | None = None
    name: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_code)] | None = None


class ShipmentLine(Row):
    """Units of one product for one warehouse."""

    productId: Code
    quantity: SomeUnits
    warehouseId: Code | None = None
    unitCost: Money | None = None


class ShipmentRow(Row):
    """Goods on their way from a supplier, arrived, or cancelled; the newest row of an id holds."""

    id: Id
    supplierId: Code
    status: Literal["in_transit", "delivered", "cancelled"]
    lines: Annotated[list[ShipmentLine], Field(min_length=1, max_length=MOST_LINES)]
    purchaseOrder: Code | None = None
    orderedOn: Day | None = None
    expectedOn: Day | None = None
    deliveredAt: Moment | None = None

    @model_validator(mode="after")
    def _delivered(self) -> ShipmentRow:
        if (self.deliveredAt is not None) != (self.status == "delivered"):
            raise ValueError("deliveredAt is of a delivered shipment, and of no other")
        pairs = [(line.productId, line.warehouseId) for line in self.lines]
        if len(set(pairs)) < len(pairs):
            raise ValueError("two lines are of the same product and warehouse; send their sum")
        if self.orderedOn is not None and self.expectedOn is not None and self.expectedOn < self.orderedOn:
            raise ValueError("expectedOn is before orderedOn")
        return self


FEEDS: Final[dict[str, type[Row]]] = {
    "movements": MovementRow,
    "stock-levels": StockLevelRow,
    "lead-times": LeadTimeRow,
    "shipments": ShipmentRow,
}
AnyRow = TypeVar("AnyRow", bound=Row)


def read_row(kind: type[AnyRow], value: Any) -> AnyRow | str:
    """Return a row, or why it is none.

    >>> read_row(LeadTimeRow, {"supplierId": "north", "leadTimeDays": "9"})
    "leadTimeDays: Input should be a valid number, got '9'"
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the row"
        reason = first["msg"].removeprefix("Value error, ")
        shown = "" if first["type"] in ("missing", "value_error") else f", got {str(first['input'])[:40]!r}"
        return f"{where}: {reason}{shown}"
