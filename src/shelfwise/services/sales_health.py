"""What is odd in the sales themselves: units, prices, returns, days and hours, and what was booked twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from shelfwise.domain import words
from shelfwise.domain.calendar import ShopCalendar
from shelfwise.ingest.checks.clock import night_sales
from shelfwise.ingest.checks.doubled import doubled_days
from shelfwise.ingest.checks.outliers import outlying_lines
from shelfwise.ingest.checks.prices import common_change, price_slips, price_steps, scale_changes, unit_changes
from shelfwise.ingest.checks.returned import unusual_returns
from shelfwise.ingest.checks.silent_days import silent_runs
from shelfwise.services.demand import Demand
from shelfwise.services.findings import RECENT_DAYS, Effects, Finding

WELL_IN_THE_PAST = 182
"""Days after which an odd sale bends orders no more, and is but worth knowing."""


def line_findings(
    effects: Effects,
    lines: pl.DataFrame,
    codes: tuple[pl.DataFrame, pl.DataFrame],
    files: Mapping[int, str],
    until: date,
) -> list[Finding]:
    """Look at sales and returns line by line.

    Parameters
    ----------
    lines
        As `shelfwise.ingest.checks` has them, products and warehouses as numbers.
    codes
        Those numbers with their codes.
    files
        Names of imports by number.
    until
        Last day of the data.
    """
    if lines.is_empty():
        return []
    steps = price_steps(lines)
    alike = common_change(steps, lines["product"].n_unique())
    steps = steps.join(alike, on="product", how="anti")
    return [
        *_doubled(effects, coded(doubled_days(lines), codes), files),
        *_outlying(effects, coded(outlying_lines(lines), codes).drop("file"), until),
        *effects.found(
            "unit-changes", "problem", coded(unit_changes(steps), codes),
            "{is} sold in another unit since a day: the price moves by a factor and the units by its inverse",
            "take back the import from before that day, put the units right and import again: `shelfwise imports list`",
        ),
        *effects.found(
            "price-scale", "note", coded(scale_changes(steps), codes),
            "{has} a price that moved by 10, 100 or 1,000 at once while the units went on: a decimal mark?",
            "put the prices right and import again: `shelfwise imports list`",
        ),
        *_all_prices(effects, coded(alike, codes)),
        *_slipped(effects, coded(price_slips(lines), codes).drop("file")),
        *effects.found(
            "odd-returns", "note", coded(unusual_returns(lines), codes),
            "{has} more returns than the rest of the shop by far; sales count in full, returns go back on the shelf",
            "look whether they are cancelled sales, and import those as sales below zero under their own order",
        ),
        *_night(lines),
    ]  # fmt: skip


def coded(rows: pl.DataFrame, codes: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    """Return rows with codes in place of the store's numbers."""
    for name, table in zip(("product", "warehouse"), codes, strict=True):
        if name in rows.columns:
            rows = rows.with_columns(pl.col(name).replace_strict(table[name], table["code"], return_dtype=pl.String))
    return rows


def _doubled(effects: Effects, days: pl.DataFrame, files: Mapping[int, str]) -> list[Finding]:
    """Say which imports seem to have brought the same sales, a finding for each pair."""
    found = []
    for (first, again), some in days.group_by("file", "again", maintain_order=True):
        names = [_file(files, number) for number in (first, again)]
        dates = some["day"].cast(pl.String)
        span = f"{dates.min()!s} to {dates.max()!s}"
        said = f"{{is}} booked twice from {span}, it seems: with the same units by {names[0]} and by {names[1]}"
        way_out = f"`shelfwise imports undo {again}` takes the later one back" if _number(again) > 0 else ""
        rows = some.drop("file", "again").with_columns(first=pl.lit(names[0]), again=pl.lit(names[1]))
        found += effects.found("doubled-sales", "problem", rows, said, way_out)
    return found


def _file(files: Mapping[int, str], number: object) -> str:
    known = files.get(_number(number))
    return "entries without a file" if known is None else f"import {number} ({words.shortened(known, 40)})"


def _number(value: object) -> int:
    return int(str(value))


def _outlying(effects: Effects, rows: pl.DataFrame, until: date) -> list[Finding]:
    """Say which sales are far beyond what is usual; a problem where one is of the last half year."""
    if rows.is_empty():
        return []
    late = rows.filter(pl.col("occurred_at").dt.date() > until - timedelta(days=WELL_IN_THE_PAST))
    said = "{has} sales of far more units at once than all {its} others: a slip, or an order that will not come again"
    found = effects.found(
        "outlying-sales", "problem" if late.height else "note", rows, said,
        _correct(rows, f"`shelfwise stock correct {rows['line'][0]} --quantity UNITS --reason WHY`", "outlying-sales"),
    )  # fmt: skip
    return [replace(one, what=f"{one.what} ({words.count(rows.height, 'line')})") for one in found]


def _slipped(effects: Effects, rows: pl.DataFrame) -> list[Finding]:
    if rows.is_empty():
        return []
    return effects.found(
        "price-slips", "note", rows,
        "{has} sales at 10, 100 or 1,000 times the usual price, or a part of it: a decimal mark?",
        _correct(rows, f"`shelfwise stock correct {rows['line'][0]} --price MONEY --reason WHY`", "price-slips"),
    )  # fmt: skip


def _correct(rows: pl.DataFrame, command: str, kind: str) -> str:
    """Return the way to correct lines by their number; where the whole file is wrong, the way to take that back."""
    way_out = f"{command} corrects the first"
    if rows.height > 1:
        way_out += f", `shelfwise check {kind}` has the numbers of all"
    return f"{way_out}; where the file is wrong: `shelfwise imports undo NUMBER`, put it right and import it again"


def _all_prices(effects: Effects, rows: pl.DataFrame) -> list[Finding]:
    if rows.is_empty():
        return []
    factor, since = rows.select(pl.col("factor").median(), pl.col("since").dt.date().min()).row(0)
    return effects.found(
        "common-price-change", "note", rows,
        f"{{has}} a price that changed by the factor {factor:.3f}, all in the week from {since}: another "
        "currency, or tax in or out?",
        "prices of one shop are of one currency; put them right and import again: `shelfwise imports list`",
    )  # fmt: skip


def _night(lines: pl.DataFrame) -> list[Finding]:
    hour = night_sales(lines.filter(pl.col("quantity") > 0)["occurred_at"])
    if hour is None:
        return []
    said = f"sales are made around {int(hour)} o'clock in the night: their times may be of another time zone"
    way_out = "set SHELFWISE_TIMEZONE to the shop's and import again: `shelfwise config show`"
    return [Finding("night-sales", "note", said, way_out)]


def day_findings(
    effects: Effects, known: Demand, sold: pl.DataFrame, last_sale: date, closures: pl.DataFrame, calendar: ShopCalendar
) -> list[Finding]:
    """Look for days without any sale, and for a last day that does not count.

    Parameters
    ----------
    sold
        A row for each warehouse and day with a sale.
    last_sale
        Last day with a sale, today included.
    closures
        CALENDAR_EVENTS of closed days.
    calendar
        The shop's closed weekdays.
    """
    found = _gaps(effects, known, sold, closures, calendar)
    if known.data_until < last_sale:
        cut = [note for note in known.notes if "cut short" in note]
        found += [Finding("incomplete-last-day", "note", note, "import the whole day again") for note in cut]
    return found


def _gaps(
    effects: Effects, known: Demand, sold: pl.DataFrame, closures: pl.DataFrame, calendar: ShopCalendar
) -> list[Finding]:
    every = pl.DataFrame({"day": pl.date_range(known.first_day, known.data_until, eager=True)})
    every = every.filter(pl.Series(calendar.is_open(every["day"].to_numpy().astype("datetime64[D]"))))
    begun = sold.group_by("warehouse").agg(begun=pl.col("day").min())
    days = begun.join(every, how="cross").filter(pl.col("day") >= pl.col("begun")).drop("begun")
    for row in closures.iter_rows(named=True):
        here = pl.lit(value=True) if row["scope_kind"] == "shop" else pl.col("warehouse") == row["scope"]
        days = days.filter(~(here & pl.col("day").is_between(row["starts_on"], row["ends_on"])))
    here = sold.select("warehouse", "day", sold=pl.lit(value=True))
    runs = silent_runs(
        days.join(here, on=["warehouse", "day"], how="left").with_columns(pl.col("sold").fill_null(value=False))
    )
    if runs.is_empty():
        return []
    recent = runs.filter(pl.col("ends_on") > known.data_until - timedelta(days=RECENT_DAYS))
    touched = effects.lines.join(recent.select("warehouse").unique(), on="warehouse", how="semi")
    spans = [f"{a} to {b} in {w}" for w, a, b, _ in runs.sort("starts_on", descending=True).iter_rows()]
    total = int(runs["days"].sum())
    return [
        Finding(
            "days-without-sales", "note",
            f"{words.count(total, 'day')} without any sale in {words.count(runs.height, 'stretch', 'stretches')} "
            "beyond chance: closed, or is a file missing?",
            "import the missing file; if they were closed days, say so: `shelfwise check --fix-list "
            "days-without-sales > closures.csv`, take out what was open, `shelfwise import closures.csv`",
            lines=touched.height, orders=float(touched["orders"].sum()) or None,
            sales=float(touched["sales"].sum()) or None, examples=tuple(spans[:5]), rows=runs,
        )
    ]  # fmt: skip
