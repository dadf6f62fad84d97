"""Values as they stand in JSON: money as decimal text, rows of frames without NaN, and the words of a request."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Final

import polars as pl
from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

PLACES: Final = 6
"""Decimal places that money keeps at most; it always has two."""


def decimal_text(amount: Decimal) -> str:
    """Write money with two decimal places, or with up to six where it has them.

    >>> decimal_text(Decimal("12.5")), decimal_text(Decimal("0.0375")), decimal_text(Decimal("1E+3"))
    ('12.50', '0.0375', '1000.00')
    """
    whole, _, places = f"{amount:.{PLACES}f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _decimal(value: object) -> object:
    """Take a float for the decimal that is written like it, and not for the binary fraction behind it."""
    return Decimal(repr(round(value, PLACES) + 0.0)) if isinstance(value, float) else value


def _cents(value: object) -> object:
    return Decimal(f"{value + 0.0:.2f}") if isinstance(value, float) else value


_TEXT: Final = PlainSerializer(decimal_text, return_type=str)

Money = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    _TEXT,
    WithJsonSchema({"type": "string", "pattern": rf"^-?\d+\.\d{{2,{PLACES}}}$", "examples": ["12.50"]}),
]
"""Money as it was said or adds up, in the shop's currency: decimal text, so that no reader rounds it."""

Estimate = Annotated[
    Decimal,
    BeforeValidator(_cents),
    _TEXT,
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{2}$", "examples": ["108.29"]}),
]
"""Expected money, to two places: more would say more than anybody knows."""

ShopTime = Annotated[
    dt.datetime,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$",
            "examples": ["2026-11-21T06:30:00"],
        }
    ),
]
"""A moment by the clock of the shop, which has no offset: JSON Schema's ``date-time`` would ask for one."""

Amount = Annotated[Decimal, Field(ge=0, le=10**12, allow_inf_nan=False, examples=["2500.00"])]
"""Money in a request: text or a number."""

Units = Annotated[float, Field(ge=0, le=10**12, allow_inf_nan=False)]
"""Units in a request, zero or more."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1000)]
"""A line of text in a request; no control characters, which not every database keeps."""

Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", min_length=1, max_length=255)]
"""A code or a name in a request."""


def records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame; a number that is none becomes null.

    >>> records(pl.DataFrame({"a": [1.5, float("nan"), float("inf")]}))
    [{'a': 1.5}, {'a': None}, {'a': None}]
    """
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in floats).to_dicts()


def record(row: dict[str, Any]) -> dict[str, Any]:
    """Return one row with the same rule."""
    return records(pl.DataFrame([row], infer_schema_length=None))[0]
