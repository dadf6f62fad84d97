"""``shelfwise history``: what was imported, planned, decided, ordered and received, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, form, write_frame

if TYPE_CHECKING:
    import polars as pl


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("history", short_help="Show what was done, and when.")(history)


def history(
    product: Annotated[
        str | None,
        typer.Argument(
            metavar="PRODUCT", help="Show this product's lines, with every correction of them.", show_default=False
        ),
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="Only this warehouse's lines.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Newest events, or lines, to show.")] = 30,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Show what was imported, planned, decided, ordered and received: the newest first.

    With a product: its sales, receipts, counts and other lines as they were booked, and under each its corrections,
    with who, when and why. A star marks what counts.
    """
    to = form(as_json, as_csv)
    if product is None and warehouse is not None:
        raise typer.BadParameter("--warehouse goes with a product: `shelfwise history PRODUCT --warehouse NAME`")
    with open_shop(database) as shop:
        if product is not None:
            from shelfwise.services import stock_movements

            frame = stock_movements.history(shop, product, warehouse, limit)
            write_frame(frame if to is not Form.TEXT else _readable(frame), to, empty="nothing was booked for it yet")
            return 0
        from shelfwise.services import history as told

        frame = told.history(shop, limit)
    write_frame(frame, to, empty="nothing has happened yet; `shelfwise import FILE...` begins")
    return 0


def _readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a product's lines for a person: corrections indented under their line, a star at what counts."""
    import polars as pl

    booked = pl.col("record") == "booked"
    number = pl.format(
        "  {} {}",
        pl.when(pl.col("record") == "reverted").then(pl.lit("revert")).otherwise(pl.lit("correction")),
        "correction",
    )
    return frame.select(
        pl.when(booked).then(pl.col("line").cast(pl.String)).otherwise(number).alias("line"),
        pl.when("holds").then(pl.lit("*")).otherwise(pl.lit("")).alias(" "),
        pl.when(booked).then(pl.col("kind")).otherwise(pl.col("record")).alias("what"),
        "quantity",
        "product",
        "warehouse",
        pl.col("occurred_at").alias("when"),
        pl.col("unit_price").alias("price"),
        "by",
        pl.col("at").alias("said_at"),
        pl.col("reason"),
    )
