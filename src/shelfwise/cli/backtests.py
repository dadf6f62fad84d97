"""``shelfwise backtest``, ``compare`` and ``backtests``: how well the past would have been known, and by what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.listing import lists
from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, ProductsOption, database_flag, open_shop
from shelfwise.cli.output import Form, cell, form, say, write_frame, write_json, write_table
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.app import App
    from shelfwise.services.backtests import SavedBacktest

HorizonOption = Annotated[
    int | None, typer.Option("--horizon", "-H", help="Days after each cutoff (SHELFWISE_HORIZON).", show_default=False)
]
CutoffsOption = Annotated[int, typer.Option("--cutoffs", help="How many cutoffs.", min=1)]
StepOption = Annotated[
    int | None,
    typer.Option("--step", help="Days between cutoffs. Default: the horizon.", min=1, show_default=False),
]
ByCutoffOption = Annotated[
    bool, typer.Option("--by-cutoff", help="A row for each cutoff instead of the mean.", show_default=False)
]
ChartOption = Annotated[
    Path | None, typer.Option("--chart", help="Draw it into this file, which ends in .svg.", show_default=False)
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Work everything out anew, whatever is saved.", show_default=False)
]
NumberArgument = Annotated[int, typer.Argument(help="Its number in `shelfwise backtests`.", show_default=False)]

SHOWN = (
    "cutoff", "horizon", "model", "wql", "wape", "mape", "mape_left_out", "bias", "mase", "coverage",
    "total_coverage", "seconds",
)  # fmt: skip
DECIMALS = {"wql": 3, "mase": 3, "wape": 1, "mape": 1, "bias": 1, "coverage": 0, "total_coverage": 0}
NOT_SHARES = ("wql", "mase")
LEGEND = (
    "wql, wape: error for each unit sold; bias: too much (+) or too little (-) on the whole; mase: 1 is as good as\n"
    "repeating the season; coverage: how many days, and totals, came within the 80 % range: 80 % is right"
)

group = typer.Typer(rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("backtest", short_help="Score your model on your own past.")(backtest)
    app.command("compare", short_help="Compare models on your own past.")(compare)
    app.add_typer(group, name="backtests", short_help="List, show and delete saved backtests.")


def backtest(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="The model to score; repeat for more. Default: yours.", show_default=False),
    ] = None,
    horizon: HorizonOption = None,
    cutoffs: CutoffsOption = 4,
    step: StepOption = None,
    product: ProductsOption = None,
    by_cutoff: ByCutoffOption = False,
    chart: ChartOption = None,
    fresh: FreshOption = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Score your model beside seasonal naive on your own past: at each cutoff it sees only what was known then.

    Every score is saved as soon as it is there; the same command again goes on where it was.
    """

    def chosen(setting: str) -> list[str]:
        from shelfwise.services import backtests

        return backtests.beside_the_yardstick(model or [setting])

    asked = {"horizon": horizon, "cutoffs": cutoffs, "step": step, "products": product, "fresh": fresh}
    _score(chosen, form(as_json, as_csv), database, chart, by_cutoff=by_cutoff, **asked)


def compare(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A model to compare; repeat for more. Default: yours, what it is made of, and seasonal naive.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Compare every model; some need the extra 'classic'.", show_default=False)
    ] = False,
    horizon: HorizonOption = None,
    cutoffs: CutoffsOption = 4,
    step: StepOption = None,
    product: ProductsOption = None,
    by_cutoff: ByCutoffOption = False,
    chart: ChartOption = None,
    fresh: FreshOption = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Compare models on your own past: which is best, by how much, and whether that is more than chance.

    Every score is saved as soon as it is there; the same command again goes on where it was.
    """
    if every and model:
        raise typer.BadParameter("give --all or --model, not both")

    def chosen(setting: str) -> list[str]:
        from shelfwise.services import backtests

        return model or (backtests.every_model if every else backtests.compared_by_default)(setting)

    asked = {"horizon": horizon, "cutoffs": cutoffs, "step": step, "products": product, "fresh": fresh}
    _score(chosen, form(as_json, as_csv), database, chart, by_cutoff=by_cutoff, **asked)


def _backtests(shop: App) -> pl.DataFrame:
    from shelfwise.services import backtests as saved

    return saved.listed(shop)


lists(
    group,
    _backtests,
    about="List the saved backtests; `backtests show` reads one again, `backtests delete` deletes one.",
    shown=[
        "backtest", "created_at", "models", "horizon", "cutoffs", "series", "data_until", "scores", "of", "best", "wql",
    ],
    empty="no backtests yet; `shelfwise backtest` or `shelfwise compare` runs one",
)  # fmt: skip


@group.command("show", no_args_is_help=True)
def show(
    number: NumberArgument,
    by_cutoff: ByCutoffOption = False,
    chart: ChartOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show a saved backtest again; nothing is worked out anew."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import backtests as saved

        done = saved.show(shop, number)
        if chart is not None:
            say(f"drawn: {saved.write_chart(done.result, chart)}")
    _tell(done, to, of_old=True)
    _write(done, to, by_cutoff)


@group.command("delete", no_args_is_help=True)
def delete(number: NumberArgument, database: DatabaseOption = None) -> None:
    """Delete a saved backtest; scores that another one has stay."""
    with open_shop(database) as shop:
        from shelfwise.services import backtests as saved

        saved.delete(shop, number)
    say(f"backtest {number} is deleted")


class _Watched:
    """Progress that remembers how far it came."""

    def __init__(self, shown: Progress) -> None:
        self._shown, self.done, self.total = shown, 0, 0

    def __call__(self, step: str, done: int, total: int) -> None:
        self.done, self.total = done, total
        self._shown(step, done, total)


def _score(
    chosen: Callable[[str], list[str]],
    to: Form,
    database: str | None,
    chart: Path | None,
    *,
    by_cutoff: bool,
    **asked: Any,
) -> None:
    """Run a backtest of the models ``chosen`` by the one in the settings; say and write what came out."""
    with open_shop(database) as shop:
        done = _run(shop, models=chosen(shop.settings.model), chart=chart, **asked)
        flag = database_flag(shop)
    _tell(done, to)
    _write(done, to, by_cutoff)
    say(f"saved: `shelfwise backtests show {done.number}{flag}` shows it again")


def _run(shop: App, *, chart: Path | None, fresh: bool, **asked: Any) -> SavedBacktest:
    """Run a backtest; say what is saved where it is interrupted, and what was saved already where it is not."""
    from shelfwise.services import backtests as saved

    if chart is not None:
        saved.check_chart_file(chart)
    watched = _Watched(Progress())
    try:
        with watched._shown:
            done = saved.run(shop, **asked, fresh=fresh, progress=watched)
    except KeyboardInterrupt:
        if watched.total:
            again = "the same command without --fresh" if fresh else "the same command"
            say(f"\n{watched.done} of {watched.total} scores are saved; {again} goes on from there")
        raise
    if done.reused:
        scores = words.count(len(done.result.parts), "score")
        say(f"{done.reused} of {scores} were saved already (backtest {done.number}); --fresh works them out anew")
    if chart is not None:
        say(f"drawn: {saved.write_chart(done.result, chart)}")
    return done


def _write(done: SavedBacktest, to: Form, by_cutoff: bool) -> None:
    """Write the scores: a row for each horizon class and model, or everything as JSON."""
    import polars as pl

    result = done.result
    if to is Form.JSON:
        write_json(_document(done))
        return
    frame = result.rows if by_cutoff else result.summary(by_class=True)
    if to is Form.CSV:
        write_frame(frame, to)
        return
    periods = pl.format("{} {}-{}", "horizon_class", "first_period", "last_period").alias("horizon")
    # The time is that of the whole horizon, so it stands once for each model.
    seconds = pl.when(pl.col("horizon_class") == "all").then("seconds").alias("seconds")
    shown = frame.with_columns(periods, seconds).select(
        [name for name in SHOWN if name in frame.columns or name == "horizon"]
    )
    numeric = [dtype.is_numeric() for dtype in shown.dtypes]
    rows = [[_score_cell(name, value) for name, value in row.items()] for row in shown.iter_rows(named=True)]
    write_table(shown.columns, rows, numeric)
    say(LEGEND)


def _score_cell(name: str, value: Any) -> str:
    """Return a score as the text of a table's cell, all of one metric with the same decimals.

    >>> _score_cell("wql", 0.44), _score_cell("bias", -0.0074), _score_cell("coverage", None)
    ('0.440', '-0.7 %', '-')
    """
    if value is None or name not in DECIMALS:
        return cell(value)
    text = f"{value:,.{DECIMALS[name]}f}" if name in NOT_SHARES else f"{100 * value:,.{DECIMALS[name]}f} %"
    return text.removeprefix("-") if not text.strip("-0., %") else text


def _document(done: SavedBacktest) -> dict[str, Any]:
    import polars as pl

    result = done.result
    classes = result.rows["horizon_class"].unique(maintain_order=True)
    compared = pl.concat(
        [result.comparison(name).with_columns(horizon_class=pl.lit(name)) for name in classes], how="vertical"
    )
    return {
        "backtest": done.number, "created_at": done.created_at, "models": done.models, "horizon": result.horizon,
        "cutoffs": done.cutoffs, "step": done.step, "series": done.series, "products": done.products,
        "data_until": done.data_until, "finished": done.finished, "summary": result.summary(by_class=True),
        "comparison": compared.select("horizon_class", pl.exclude("horizon_class")), "scores": result.rows,
        "failures": [{"model": f.model, "cutoff": f.cutoff, "reason": f.reason} for f in result.failures],
    }  # fmt: skip


def _tell(done: SavedBacktest, to: Form, *, of_old: bool = False) -> None:
    """Say in words what the scores mean, before the table."""
    result = done.result
    if of_old:
        say(
            f"backtest {done.number} of {words.day(done.created_at.date())}: {', '.join(done.models)}, "
            f"{words.count(done.series, 'series', 'series')}, data until {words.day(done.data_until)}"
        )
    if not done.finished:
        of = done.cutoffs * len(done.models)
        say(f"it was cut off after {len(result.parts)} of {of} scores; the same backtest again goes on from there")
    for model, reason in dict.fromkeys((failure.model, failure.reason) for failure in result.failures):
        failed = sum(failure.model == model and failure.reason == reason for failure in result.failures)
        say(f"{model} is left out, it failed at {words.count(failed, 'cutoff')}: {reason}")
    if to is Form.TEXT:
        for sentence in _sentences(done):
            say(sentence)
        say()


def _sentences(done: SavedBacktest) -> list[str]:
    """Return what a planner reads first: who is best, by how much, and what to make of the numbers."""
    result = done.result
    compared = list(result.comparison().iter_rows(named=True))
    if not compared or compared[0]["wql"] is None:
        return ["nothing sold in these windows, or no model came through all of them, so none can be called best"]
    best, *others = compared
    off = f"its error (weighted quantile loss, wql) is {best['wql']:.3f} for each unit sold, where 0 would be perfect"
    said = [f"{best['model']} forecasts best: {off}"] if others else []
    said += [_beside(best["model"], other) for other in others]
    if others:
        said.append(_by_class(done, best["model"]))
    summary = result.summary()
    row = summary.row(by_predicate=_model_is(best["model"]), named=True)
    if row["coverage"] is not None:
        whole = "" if row["bias"] is None else f"; on the whole it forecast {_too_much(row['bias'])}"
        said.append(f"{words.share(row['coverage'])} of the days came within the 80 % range of {best['model']}{whole}")
    if row["mape_left_out"]:
        share = words.share(row["mape_left_out_share"])
        said.append(f"MAPE leaves out {row['mape_left_out']:,} days on which nothing sold, {share} of those scored")
    return said


def _too_much(bias: float) -> str:
    return f"{words.share(abs(bias))} too {'much' if bias >= 0 else 'little'}"


def _model_is(name: str) -> Any:
    import polars as pl

    return pl.col("model") == name


def _beside(best: str, other: dict[str, Any]) -> str:
    """Return how a model stands to the best one.

    >>> row = {"model": "naive", "difference": 0.46, "low": 0.42, "high": 0.51, "series": 496, "closer_share": 0.16}
    >>> _beside("auto", {**row, "verdict": "worse"})
    'naive is 46 % further off (42 % to 51 %: more than chance); auto is closer on 84 % of 496 series'
    """
    if other["difference"] is None:
        return f"{other['model']} cannot be compared: {best} lost nothing at all"
    series = words.count(other["series"], "series", "series")
    closer = f"{best} is closer on {words.share(1 - other['closer_share'])} of {series}"
    more = f"{other['model']} is {_percent(other['difference'])} further off"
    if other["low"] is None:
        return f"{more}; {closer}, too few to say whether that is chance"
    chance = "more than chance" if other["verdict"] == "worse" else "no clear difference"
    return f"{more} ({_percent(other['low'])} to {_percent(other['high'])}: {chance}); {closer}"


def _percent(value: float) -> str:
    """Return a difference in per cent, with a decimal where it is small.

    >>> _percent(0.46), _percent(0.0124), _percent(-0.0004)
    ('46 %', '1.2 %', '0.0 %')
    """
    text = f"{100 * value:.0f}" if abs(value) >= 0.0995 else f"{100 * value:.1f}"
    return f"{text.replace('-0.0', '0.0')} %"


def _by_class(done: SavedBacktest, best: str) -> str:
    """Say which model is best at which part of the horizon."""
    classes = done.result.rows.select("horizon_class", "first_period", "last_period").unique(maintain_order=True)
    told, firsts = [], set()
    for name, first, last in classes.iter_rows():
        compared = done.result.comparison(name)
        if name != "all" and compared["wql"][0] is not None:
            firsts.add(compared["model"][0])
            told.append(f"days {first} to {last} {compared['model'][0]}")
    if firsts <= {best}:
        return f"{best} is best at every part of the horizon"
    return f"best by part of the horizon: {', '.join(told)}"
