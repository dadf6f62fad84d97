"""``shelfwise forecast`` and ``shelfwise backtest``: what will sell, and how well that would have been known."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, ModelOption, ProductsOption, open_shop
from shelfwise.cli.output import Form, form, say, write_frame
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.predictions import Prediction


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("forecast", short_help="Forecast what will sell.")(forecast)
    app.command("backtest", short_help="Score models on your own past.")(backtest)


def forecast(
    product: ProductsOption = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", "-H", help="Days ahead (SHELFWISE_HORIZON).", show_default=False)
    ] = None,
    daily: Annotated[
        bool, typer.Option("--daily", help="A row for each day instead of one for each product.", show_default=False)
    ] = False,
    model: ModelOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Forecast what will sell, with an 80 % range. JSON and CSV with --daily carry the 10 % to 90 % quantiles."""
    to = form(as_json, as_csv)
    with open_shop(database, horizon=horizon, model=model) as shop, Progress() as progress:
        from shelfwise.services import predictions

        made = predictions.forecast(shop, products=product or None, progress=progress)
        frame = made.forecast.to_frame() if daily else made.totals()
    _tell(made)
    if daily and to is Form.TEXT:
        frame = frame.select("unique_id", "ds", "mean", "q0.1", "q0.5", "q0.9")
    shown = None if daily else ["product", "warehouse", "name", "days", "mean", "low", "median", "high"]
    write_frame(_narrow(frame, to), to, shown=shown)
    if to is Form.TEXT and not daily and sys.stdout.isatty():
        say(f"units over {made.forecast.horizon} days; low to high is the 80 % range")


def _narrow(frame: pl.DataFrame, to: Form) -> pl.DataFrame:
    """Shorten names in the text form; nothing is cut in JSON and CSV."""
    import polars as pl

    if to is not Form.TEXT or "name" not in frame.columns:
        return frame
    return frame.with_columns(pl.col("name").map_elements(lambda n: words.shortened(n, 32), return_dtype=pl.String))


def _tell(made: Prediction) -> None:
    origin = made.forecast.provenance
    say(
        f"{words.count(len(made.forecast), 'series', 'series')}, data until {words.day(made.demand.data_until)}, "
        f"{words.count(made.forecast.horizon, 'day')} ahead, model {origin.model} {origin.version}"
    )
    for note in (*made.demand.notes, *origin.notes):
        say(f"note: {note}")


def backtest(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A model to score; repeat to compare. Default: yours and seasonal naive."),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", "-H", help="Days after each cutoff (SHELFWISE_HORIZON).")
    ] = None,
    cutoffs: Annotated[int, typer.Option("--cutoffs", help="How many cutoffs.", min=1)] = 4,
    step: Annotated[
        int | None, typer.Option("--step", help="Days between cutoffs. Default: the horizon.", min=1)
    ] = None,
    product: ProductsOption = None,
    by_cutoff: Annotated[
        bool, typer.Option("--by-cutoff", help="A row for each cutoff instead of the mean.", show_default=False)
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Score models on your own past: at each cutoff they see only what was known then."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import predictions

        done = predictions.backtest(
            shop, models=model, horizon=horizon, cutoffs=cutoffs, step=step, products=product or None, progress=progress
        )
    frame = done.scores if by_cutoff else done.summary()
    shown = ["model", "cutoff", "cutoffs", "wql", "wape", "bias", "mase", "coverage", "seconds"]
    write_frame(frame, to, shown=shown)
    if to is Form.TEXT:
        _explain(done.summary())


def _explain(summary: pl.DataFrame) -> None:
    """Say in words what the scores mean."""
    rows = {row["model"]: row for row in summary.iter_rows(named=True)}
    ours = next((row for name, row in rows.items() if name != "seasonal_naive"), None)
    naive = rows.get("seasonal_naive")
    if ours is not None and naive is not None and naive["wql"]:
        gain = 1 - ours["wql"] / naive["wql"]
        than = "smaller" if gain >= 0 else "larger"
        say(f"{ours['model']}: weighted quantile loss {words.share(abs(gain))} {than} than seasonal naive's")
    if ours is not None and ours["coverage"] is not None:
        say(f"its 80 % range held {words.share(ours['coverage'])} of the days (ties split)")
        over = ours["bias"]
        if over is not None:
            say(f"on the whole it forecast {words.share(abs(over))} too {'much' if over >= 0 else 'little'}")
