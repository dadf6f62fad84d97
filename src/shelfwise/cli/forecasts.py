"""``shelfwise forecast``: what will sell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.causes import cause_table
from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, ModelOption, ProductsOption, open_shop
from shelfwise.cli.output import Form, form, say, write_frame, write_table
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.predictions import Prediction

LONGEST_NAME = 32


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("forecast", short_help="Forecast what will sell.")(forecast)


def forecast(
    product: ProductsOption = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", "-H", help="Days ahead (SHELFWISE_HORIZON).", show_default=False)
    ] = None,
    daily: Annotated[
        bool, typer.Option("--daily", help="A row for each day instead of one for each product.", show_default=False)
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="What it is made of: the usual level and what moves it, in units.", show_default=False
        ),
    ] = False,
    model: ModelOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Forecast what will sell, with an 80 % range. JSON and CSV with --daily carry the 10 % to 90 % quantiles.

    With --explain the forecast's units by cause instead, which add up to its mean: level, season, promotions, price ...
    """
    to = form(as_json, as_csv)
    with open_shop(database, horizon=horizon, model=model) as shop, Progress() as progress:
        from shelfwise.services import predictions

        made = predictions.forecast(shop, products=product or None, progress=progress)
        if explain:
            progress("splitting it into causes", 2, 3)
            told = made.made_of()
            frame, notes = made.causes(told, daily=daily), told.notes
        else:
            frame, notes = made.forecast.to_frame() if daily else made.totals(), ()
    _tell(made, notes)
    if explain:
        _write_causes(frame, to, made.forecast.horizon, daily=daily)
        return
    if daily and to is Form.TEXT:
        frame = frame.select("unique_id", "ds", "mean", "q0.1", "q0.5", "q0.9")
    shown = None if daily else ["product", "warehouse", "name", "days", "mean", "low", "median", "high"]
    write_frame(_narrow(frame, to), to, shown=shown)
    if to is Form.TEXT and not daily and sys.stdout.isatty():
        say(f"units over {made.forecast.horizon} days; low to high is the 80 % range")


def _write_causes(frame: pl.DataFrame, to: Form, days: int, *, daily: bool) -> None:
    """Write units by cause: a row for each cause as JSON and CSV, a column for each in a table."""
    if to is not Form.TEXT:
        write_frame(frame, to)
        return
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for row in frame.iter_rows(named=True):
        last = f"{row['ds']:%Y-%m-%d}" if daily else words.shortened(row["name"] or "", LONGEST_NAME)
        rows.setdefault((row["product"], row["warehouse"], last), {})[row["part"]] = row["units"]
    if rows:
        labels = ["product", "warehouse", "day" if daily else "name"]
        write_table(*cause_table(labels, [(list(label), parts) for label, parts in rows.items()], alike=False))
    over = "of each day" if daily else f"over {words.count(days, 'day')}"
    say(f"units {over}; a row adds up: the usual level, what moves it, and what then sells")
    say("of late: recent sales against the usual; similar: what products like it show; rest: small causes together")


def _narrow(frame: pl.DataFrame, to: Form) -> pl.DataFrame:
    """Shorten names in the text form; nothing is cut in JSON and CSV."""
    import polars as pl

    if to is not Form.TEXT or "name" not in frame.columns:
        return frame
    return frame.with_columns(
        pl.col("name").map_elements(lambda n: words.shortened(n, LONGEST_NAME), return_dtype=pl.String)
    )


def _tell(made: Prediction, more: tuple[str, ...]) -> None:
    origin = made.forecast.provenance
    say(
        f"{words.count(len(made.forecast), 'series', 'series')}, data until {words.day(made.demand.data_until)}, "
        f"{words.count(made.forecast.horizon, 'day')} ahead, model {origin.model} {origin.version}"
    )
    for note in (*made.demand.notes, *origin.notes, *more):
        say(f"note: {note}")
