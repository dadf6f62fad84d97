"""``/api/v1/patterns``: what matters, what sells steadily, which kind of demand each line has, and when it sells."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import Estimate, records
from shelfwise.services import classing
from shelfwise.services.classing import Seasons

router = APIRouter(prefix="/api/v1/patterns", tags=["patterns"])

LINES: Final = Listing("patterns", ("value", "unique_id"), (True, False))
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
Cell = Literal["AX", "AY", "AZ", "BX", "BY", "BZ", "CX", "CY", "CZ"]


class Week(BaseModel):
    """How a line follows the week."""

    strength: float = Field(
        description="Share of variance that weekdays explain beyond chance, 0 to 1; 0 where chance is not ruled out."
    )
    factors: list[float] = Field(
        min_length=7, max_length=7, description="Demand of Monday to Sunday as a multiple of the mean."
    )
    peaks: list[Weekday] = Field(description="Weekdays of 1.1 times the mean and more, the highest first.")


class Year(BaseModel):
    """How a line follows the year."""

    strength: float = Field(
        description="Share of variance that months explain beyond chance, 0 to 1; 0 where chance is not ruled out."
    )
    factors: list[float] = Field(
        min_length=12, max_length=12, description="Demand of January to December as a multiple of the mean."
    )
    peaks: list[int] = Field(description="Months, 1 to 12, of 1.1 times the mean and more, the highest first.")


class Seasonality(BaseModel):
    """When a line sells."""

    weekly: Week | None = Field(description="Over the last 52 weeks; null with less than 21 days, or without a sale.")
    yearly: Year | None = Field(description="Over the last 3 years; null with less than 104 weeks, or without a sale.")


class Pattern(BaseModel):
    """How one product sells in one warehouse."""

    line: str = Field(validation_alias="unique_id", examples=["CF-1033@WEB"])
    product: str
    warehouse: str
    name: str | None
    units: float = Field(description="Sold in the last 52 weeks.")
    value: Estimate = Field(description="Those at the product's price; at its unit cost, or at 1, where none is known.")
    share: float = Field(description="Of the whole value.")
    variation: float | None = Field(description="Standard deviation over mean of weekly demand; null: too little sold.")
    abc_class: str = Field(description="A: the first 80 % of the value, B the next 15 %, C the rest.")
    xyz_class: str = Field(description="X steady, Y less so, Z erratic.")
    abc_xyz: Cell = Field(validation_alias="class")
    demand_class: str | None = Field(
        description="By how often it sells (average demand interval) and how much at once (squared variation): smooth, "
        "erratic, intermittent, lumpy, ..."
    )
    service_level: float = Field(description="Of its class; a fraction.")
    seasonality: Seasonality


class ClassCell(BaseModel):
    """One ABC-XYZ class."""

    abc_xyz: Cell = Field(validation_alias="class")
    lines: int
    share: float = Field(description="Of the whole value.")
    value: Estimate
    service_level: float


class PatternPage(Page):
    """The classes, and a page of the lines in them, the most valuable first."""

    currency: str
    cells: list[ClassCell]
    notes: list[str] = Field(description="What stood in for a missing price.")
    items: list[Pattern]


@router.get("", responses=documented(422, 503))
def list_patterns(
    shop: ShopNow,
    abc_xyz: Annotated[Cell | None, Query(description="Only this class.", examples=["AX"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> PatternPage:
    """Class what is on sale by the money it brings, by how steadily it sells, and by the kind of its demand.

    Each line comes with the week and the year that it follows.
    """
    found = classing.classify(shop)
    lines = found.lines if abc_xyz is None else found.lines.filter(found.lines["class"] == abc_xyz)
    items, following = LINES.page(lines, cursor, limit)
    seasons = found.seasons([item["unique_id"] for item in items])
    items = [{**item, "seasonality": _seasonality(seasons, row)} for row, item in enumerate(items)]
    return PatternPage.model_validate(
        {
            "currency": shop.settings.currency, "cells": records(found.cells), "notes": list(found.notes),
            "items": items, "next": following,
        }
    )  # fmt: skip


def _seasonality(seasons: Seasons, row: int) -> Seasonality:
    week, year = seasons.weekly, seasons.yearly
    return Seasonality(
        weekly=None
        if np.isnan(week.strength[row])
        else Week(
            strength=float(week.strength[row]), factors=week.factors[row].tolist(),
            peaks=[WEEKDAYS[day] for day in week.peaks(row)],
        ),
        yearly=None
        if np.isnan(year.strength[row])
        else Year(
            strength=float(year.strength[row]), factors=year.factors[row].tolist(),
            peaks=[month + 1 for month in year.peaks(row)],
        ),
    )  # fmt: skip
