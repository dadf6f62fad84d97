"""``shelfwise replay``: what today's rule, textbook rules and our orders would have cost on the shop's own past."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, ModelOption, ProductsOption, open_shop
from shelfwise.cli.output import Form, form, money, say, write, write_frame, write_json, write_table
from shelfwise.cli.progress import Progress
from shelfwise.domain import words

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.replaying import Replay

WORDS = {
    "today": "today's rule", "min_max": "min/max", "base_stock": "base stock", "optimise": "ours", "s_q": "(s, Q)",
    "tuned": "ours, tuned",
    "moving_average": "moving average", "base_stock_normal": "base stock, normal",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("replay", short_help="What order rules would have cost on your own past.")(replay)


def replay(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            help="A rule to replay; repeat for more, the first is compared with. Default: today, min_max, base_stock, "
            "optimise.",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="How many orders, one every review time.", min=1)] = 8,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Add ours as the time before the replay would have chosen it.", show_default=False),
    ] = False,
    product: ProductsOption = None,
    model: ModelOption = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", help="Draw it into this file, which ends in .svg.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Replay order rules on your own past: what each would have cost, served and kept in stock.

    Every rule begins with the same stock and knows only what was known then. Nothing is ordered or saved.
    """
    to = form(as_json, as_csv)
    with open_shop(database, model=model) as shop:
        from shelfwise.services import backtests, order_tuning, replaying

        if chart is not None:
            backtests.check_chart_file(chart)
        with Progress() as progress:
            chosen = None
            if tune:
                chosen = order_tuning.of_shop(shop, before_rounds=rounds, products=product or None, progress=progress)
            done = replaying.of_shop(
                shop,
                policies=policy or replaying.BY_DEFAULT,
                rounds=rounds,
                products=product or None,
                tuning=None if chosen is None else chosen.tuning,
                progress=progress,
            )
        currency = shop.settings.currency
    table = done.summary()
    if chart is not None:
        chart.write_text(done.chart(), encoding="utf-8")
        say(f"drawn: {chart}")
    if to is Form.JSON:
        write_json({"currency": currency, "first": _day(done, 0), "last": _day(done, -1), "series": len(done.ids),
                    "rounds": rounds, "policies": table, "notes": list(done.notes)})  # fmt: skip
        return
    if to is Form.CSV:
        write_frame(table, to)
        return
    if chosen is not None:
        say(choice(chosen.candidates))
    _tell(done, table, rounds, currency)


def choice(candidates: pl.DataFrame) -> str:
    """Say what the time before the replay chose.

    >>> import polars as pl
    >>> row = {"critical_ratio_factor": 1.0, "widening": 0.8, "follow_on": "base_stock", "difference": -0.1}
    >>> choice(pl.DataFrame([{**row, "chosen": True}]))
    'tuned: critical ratio x 1, paths x 0.8, follow-on base_stock; -10.0 % on the windows that chose it'
    """
    row = candidates.row(by_predicate=_is_chosen(), named=True)
    return (
        f"tuned: critical ratio x {row['critical_ratio_factor']:g}, paths x {row['widening']:g}, follow-on "
        f"{row['follow_on']}; {_percent(row['difference'])} on the windows that chose it"
    )


def _is_chosen() -> Any:
    import polars as pl

    return pl.col("chosen")


def _day(done: Replay, position: int) -> str:
    return str(done.moments[position])[:10]


def _tell(done: Replay, table: pl.DataFrame, rounds: int, currency: str) -> None:
    """Write one sentence on the cheapest rule, the table, and what was assumed."""
    say(
        f"{words.count(rounds, 'order')} of {words.count(len(done.ids), 'series', 'series')}, "
        f"{_day(done, 0)} to {_day(done, -1)}, money in {currency}"
    )
    say(sentence(table, currency))
    say()
    headers = ["rule", "cost", "holding", "shortage", "fill rate", "stock value", "turns", "difference", "90 % range"]
    rows = [
        [
            WORDS.get(row["policy"], row["policy"]), money(row["cost"]), money(row["holding"]), money(row["shortage"]),
            words.share(row["fill_rate"]), money(row["stock_value"]),
            "-" if row["turns"] is None else f"{row['turns']:.1f}", _percent(row["difference"]),
            "-" if row["low"] is None else f"{_percent(row['low'])} to {_percent(row['high'])}",
        ]
        for row in table.iter_rows(named=True)
    ]  # fmt: skip
    write_table(headers, rows, [False, *[True] * (len(headers) - 1)])
    if done.notes:
        write()
    for note in done.notes:
        say(f"note: {note}")


def sentence(table: pl.DataFrame, currency: str) -> str:
    """Say which rule is cheapest, by how much, and whether that is more than chance.

    >>> import polars as pl
    >>> row = {"cost": 10.0, "fill_rate": 0.9, "stock_value": 50.0, "difference": None, "low": None, "high": None}
    >>> ours = {**row, "policy": "optimise", "cost": 8.0, "fill_rate": 0.95, "difference": -0.2, "low": -0.3}
    >>> table = pl.DataFrame([{**row, "policy": "today"}, {**ours, "high": -0.1}], infer_schema_length=None)
    >>> print(sentence(table, "EUR"))
    ours would have cost 20 % less than today's rule (10 % to 30 % less: more than chance), served 95 % instead of 90 %
    """
    rows: list[dict[str, Any]] = table.to_dicts()
    first, best = rows[0], min(rows, key=lambda row: row["cost"])
    name = WORDS.get(first["policy"], first["policy"])
    if len(rows) == 1:
        return f"{name} would have cost {words.money(first['cost'], currency)}"
    if best is first or best["difference"] is None:
        return f"{name} would have cost least: {words.money(first['cost'], currency)}"
    ours = WORDS.get(best["policy"], best["policy"])
    if best["high"] < 0:
        sure = f"{_less(best['high'])} to {_less(best['low'])} less: more than chance"
    else:
        sure = "which may be chance"
    return (
        f"{ours} would have cost {_less(best['difference'])} less than {name} ({sure}), served "
        f"{words.share(best['fill_rate'])} instead of {words.share(first['fill_rate'])}"
    )


def _less(value: float) -> str:
    return f"{-100 * value:.0f} %"


def _percent(value: float | None) -> str:
    """Write a difference with its sign.

    >>> _percent(-0.123), _percent(None)
    ('-12.3 %', '-')
    """
    return "-" if value is None else f"{100 * value:+.1f} %"
