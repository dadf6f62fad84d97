"""Read a column of dates one way, decided from all of its rows.

``03/04/2024`` is the third of April or the fourth of March. One value with a first part above 12 settles it; if none
has, the order of the rows, the regularity of the gaps and the rule that sales do not lie in the future may. If
nothing does, the person is asked and shown both readings: a guess here moves every sale by months.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

import polars as pl

from shelfwise.domain.errors import ParameterError

DateOrder = Literal["dmy", "mdy", "ymd"]
ORDER_WORDS: Final = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}

_TIME: Final = r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?)?"
_ZONE: Final = r"\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
_NUMERIC: Final = r"^(\d{1,4})([-/. ])(\d{1,2})[-/. ](\d{1,4})" + _TIME + _ZONE
_COMPACT: Final = r"^((?:19|20)\d{2})()(\d{2})(\d{2})" + _TIME + _ZONE
_NAMED_DAY: Final = (
    r"^(?:[A-Za-zÀ-ÿ]{2,10}[., ]+)?(\d{1,2})[-/. ]+(?:de )?([A-Za-zÀ-ÿ]{3,10})\.?[-/., ]+(?:de )?(\d{2,4})"
    + _TIME
    + _ZONE
)
_NAMED_MONTH: Final = r"^([A-Za-zÀ-ÿ]{3,10})\.?[-/. ]+(\d{1,2})(?:st|nd|rd|th)?[-/., ]+(\d{2,4})" + _TIME + _ZONE
_MONTH_ONLY: Final = r"^(\d{4})[-/](\d{1,2})$"

_MONTHS: Final = {
    1: "jan jän ene gen", 2: "feb fev fév", 3: "mar mär mrt maa", 4: "apr avr abr",
    5: "may mai maj mei mag", 6: "jun juin giu",
    7: "jul juil lug", 8: "aug aou aoû ago", 9: "sep set", 10: "oct okt ott out", 11: "nov", 12: "dec dez déc dic",
}  # fmt: skip
# A day as a spreadsheet counts it, 1954 to 2119, where a whole column is such: its dates lost their format.
_SERIAL: Final = r"^[2-7]\d{4}(?:\.\d+)?$"
_SERIAL_ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001  (shop time has no zone)
_ISO: Final = {10: "%Y-%m-%d", 16: "%Y-%m-%d %H:%M", 19: "%Y-%m-%d %H:%M:%S"}  # by length
_APART_FROM: Final = 100_000  # rows from which day and time are read apart: ten million moments have few of either
_MOST_CLOCKS: Final = 200_000  # there are 86,400 seconds in a day
_CLOCK: Final = (
    r"^(?:1899-12-3[01] |1900-01-00 )?(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:[.,]\d+)?)?\s*([AaPp]\.?\s?[Mm]\.?)?$"
)
_MONTH_OF: Final = {name: number for number, names in _MONTHS.items() for name in names.split()}


@dataclass(frozen=True)
class Moments:
    """A column read as moments of shop time.

    ``values`` is null where a cell is blank or unreadable, ``bad`` true where it is unreadable. ``readings`` holds
    three sample cells with both readings when nothing decides; ``mixed`` one example of each order when rows prove
    both; ``damaged`` a text and a date where a spreadsheet took the days up to 12 for months and left the others as
    text. ``how`` says in words how the column was read and why.
    """

    values: pl.Series
    bad: pl.Series
    order: DateOrder | None
    how: str
    has_time: bool
    readings: tuple[tuple[str, str, str], ...] = ()
    mixed: tuple[str, str] | None = None
    damaged: tuple[str, str] | None = None


class _Options(NamedTuple):
    date_order: DateOrder | None
    past: bool
    today: date | None
    timezone: str | None
    decimal_comma: bool


def read_moments(
    cells: pl.Series,
    *,
    date_order: DateOrder | None = None,
    past: bool = False,
    today: date | None = None,
    timezone: str | None = None,
    decimal_comma: bool = False,
) -> Moments:
    """Read ``cells`` as naive moments of shop time.

    Parameters
    ----------
    date_order
        The order of day, month and year if a person or another column of the file has said it.
    past, today
        With both given, dates after ``today`` cannot be meant.
    timezone
        Shop time zone. Cells that name their offset are turned into it; without it the written local time stands.
    decimal_comma
        Other columns of the file write 1,50: nowhere where that is done does the month stand first.

    >>> read_moments(pl.Series(["03/04/2024", "25/04/2024"])).values.dt.date().to_list()[0].isoformat()
    '2024-04-03'
    """
    if cells.dtype.is_temporal():
        return _typed(cells, timezone)
    text = cells.cast(pl.String, strict=False)
    quick = _written_like_iso(text)
    if quick is not None:
        return quick
    options = _Options(date_order, past, today, timezone, decimal_comma)
    apart = _day_and_clock(text, options) if len(text) > _APART_FROM else None
    if apart is not None:
        return apart
    raw = pl.DataFrame({"raw": text})
    unique = raw.unique(maintain_order=True).filter(pl.col("raw").str.strip_chars().str.len_chars() > 0)
    if unique.height and unique["raw"].str.strip_chars().str.contains(_SERIAL).all():
        return _serials(text)
    parts = _parts(unique)
    # A first part of four digits is a year, so only the other rows have an order to find.
    open_rows = parts.filter(pl.col("order_open"))
    order, how, mixed, readings = _decide(open_rows, raw, date_order, today if past else None, decimal_comma)
    chosen = _moment(parts, order or "dmy", timezone)
    values = raw.join(chosen, on="raw", how="left", maintain_order="left")["moment"]
    bad = values.is_null() & (text.str.strip_chars().str.len_chars() > 0).fill_null(value=False)
    return Moments(
        values, bad, order if open_rows.height else None, how, _has_time(chosen["moment"]), readings, mixed,
        _damaged(parts, open_rows),
    )  # fmt: skip


def read_clock(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Read times of day, from a column of their own, as durations since midnight; second, which cells are none.

    >>> read_clock(pl.Series(["9:50 AM", "21:05:30", "noon"]))[0].dt.total_minutes().to_list()
    [590, 1265, None]
    """
    text = cells.cast(pl.String, strict=False).str.strip_chars()
    parts = text.str.extract_groups(_CLOCK).struct.rename_fields(["hour", "minute", "second", "half"]).struct.unnest()
    half = pl.col("half").str.to_lowercase().str.slice(0, 1)
    hour, minute, second = (pl.col(name).cast(pl.Int64, strict=False) for name in ("hour", "minute", "second"))
    fits = (hour <= pl.when(half.is_null()).then(23).otherwise(12)) & (minute <= 59) & (second.fill_null(0) <= 59)
    hour = pl.when(half == "p").then(hour % 12 + 12).when(half == "a").then(hour % 12).otherwise(hour)
    clock = pl.duration(hours=hour, minutes=minute, seconds=second.fill_null(0), time_unit="us")
    values = parts.select(pl.when(fits).then(clock).alias(cells.name)).to_series()
    return values, values.is_null() & (text.str.len_chars() > 0).fill_null(value=False)


def _written_like_iso(text: pl.Series) -> Moments | None:
    """Read a column that is ``2024-05-31`` or ``2024-05-31 09:50:26`` throughout in one go, else return None.

    Nothing else is this common, and taking ten million different moments apart by patterns takes a minute.
    """
    first = text.drop_nulls().head(1)
    shape = next((_ISO[len(cell)] for cell in first if len(cell) in _ISO), None)
    if shape is None:
        return None
    try:
        values = text.str.to_datetime(
            shape.replace(" ", first[0][10:11] or " "), strict=True, time_unit="us", exact=True
        )
    except pl.exceptions.PolarsError:
        return None
    if not values.dt.year().is_between(1900, 2200).all():
        return None
    none_bad = pl.repeat(value=False, n=len(text), dtype=pl.Boolean, eager=True)
    return Moments(values, none_bad, None, "year first", _has_time(values))


def _day_and_clock(text: pl.Series, options: _Options) -> Moments | None:
    """Read a long column as `read_moments` does, its days and its times of day apart; None where it is not that kind.

    What cannot be read so, like ``31 May 2024 10:00`` among others, is read as any cell, in the order that was found.
    """
    cells = text.str.strip_chars()
    first = next(iter(cells.drop_nulls().head(1)), "")
    if first[10:11] == "T":
        day, clock = cells.str.slice(0, 10), cells.str.slice(10)
    elif " " in first:
        halves = cells.str.splitn(" ", 2).struct.unnest()
        day, clock = halves.to_series(0), " " + halves.to_series(1)
    else:
        return None
    clock = clock.fill_null("").str.replace(r"[.,]\d+", "")
    distinct = clock.unique()
    if len(distinct) > _MOST_CLOCKS:
        return None
    days = read_moments(day.rename(text.name), **{**options._asdict(), "timezone": None})
    parts = _parts(pl.DataFrame({"raw": "2000-01-01" + distinct}))
    clocks = _moment(parts, "ymd", None).select(
        pl.col("raw").str.slice(10).alias("clock"), (pl.col("moment") - pl.datetime(2000, 1, 1)).alias("since"),
        pl.Series("zone", parts["zone"]),
    )  # fmt: skip
    table = pl.DataFrame({"day": days.values, "clock": clock}).join(
        clocks, on="clock", how="left", maintain_order="left"
    )
    no_clock = ~day.str.contains(":", literal=True)  # a time in the day is one that was not taken off
    table = table.select(pl.when(no_clock).then(pl.col("day") + pl.col("since")).alias("moment"), "zone")
    if options.timezone is not None and clocks["zone"].is_not_null().any():
        table = table.with_columns(_in_zone(_zone(options.timezone)).alias("moment"))
    values = table["moment"].alias(text.name)
    filled = (cells.str.len_chars() > 0).fill_null(value=False)
    rest = (values.is_null() & filled).arg_true()
    if len(rest) > _APART_FROM or (len(rest) and days.readings):
        return None
    if len(rest):
        others = read_moments(
            text.gather(rest), **{**options._asdict(), "date_order": days.order or options.date_order}
        )
        values = values.scatter(rest, others.values)

    def whole(part: str) -> str:
        return str(text.filter(cells.str.starts_with(part))[0])

    return replace(
        days, values=values, bad=values.is_null() & filled, has_time=_has_time(values),
        readings=tuple((whole(part), a, b) for part, a, b in days.readings),
        mixed=days.mixed and (whole(days.mixed[0]), whole(days.mixed[1])),
        damaged=days.damaged and (whole(days.damaged[0]), whole(days.damaged[1])),
    )  # fmt: skip


def _serials(text: pl.Series) -> Moments:
    """Read days counted from 30 December 1899, with the time of day as their fraction, to the second."""
    seconds = (pl.col("text").str.strip_chars().cast(pl.Float64, strict=False) * 86_400).round()
    moments = pl.lit(_SERIAL_ZERO).cast(pl.Datetime("us")) + pl.duration(seconds=seconds)
    values = pl.DataFrame({"text": text}).select(moments.alias(text.name)).to_series()
    none_bad = pl.repeat(value=False, n=len(text), dtype=pl.Boolean, eager=True)
    return Moments(values, none_bad, None, "as a spreadsheet counts days (45292 is 1 Jan 2024)", _has_time(values))


def _has_time(moments: pl.Series) -> bool:
    """Whether any moment has a time of day; midnight everywhere is how programs write days."""
    return bool((moments.dt.truncate("1d") != moments).any())


def _damaged(parts: pl.DataFrame, open_rows: pl.DataFrame) -> tuple[str, str] | None:
    dates = parts.filter(~pl.col("order_open") & pl.col("separator").eq("-") & (pl.col("a") > 999))
    if open_rows.height < 3 or dates.height < 3 or (dates["c"] > 12).any() or not (open_rows["a"] > 12).all():
        return None
    return str(open_rows["raw"][0]), str(dates["raw"][0])


def _typed(cells: pl.Series, timezone: str | None) -> Moments:
    none_bad = pl.repeat(value=False, n=len(cells), dtype=pl.Boolean, eager=True)
    if cells.dtype == pl.Date:
        return Moments(cells.cast(pl.Datetime("us")), none_bad, None, "dates as stored", has_time=False)
    if not isinstance(cells.dtype, pl.Datetime):
        empty = pl.repeat(None, len(cells), dtype=pl.Datetime("us"), eager=True)
        return Moments(empty, cells.is_not_null(), None, "not dates", has_time=False)
    if cells.dtype.time_zone is not None:
        cells = cells.dt.convert_time_zone(_zone(timezone)) if timezone else cells
        cells = cells.dt.replace_time_zone(None)
    values = cells.cast(pl.Datetime("us"))
    return Moments(values, none_bad, None, "moments as stored", _has_time(values))


def _zone(timezone: str) -> str:
    try:
        pl.Series([None], dtype=pl.Datetime("us", timezone))
        pl.select(pl.lit(0).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(timezone))
    except (pl.exceptions.PolarsError, ValueError):
        raise ParameterError(f"time zone {timezone!r} is not known; give one like Europe/Berlin") from None
    return timezone


def _parts(unique: pl.DataFrame) -> pl.DataFrame:
    """Take each distinct cell apart: three parts, time and zone, whichever way it is written."""
    cell = pl.col("raw").str.strip_chars()

    def groups(pattern: str, names: str) -> pl.Expr:
        return cell.str.extract_groups(pattern).struct.rename_fields(names.split())

    tail = "hour minute second half zone"
    table = unique.with_columns(
        groups(_NUMERIC, f"a separator b c {tail}").alias("numeric"),
        groups(_COMPACT, f"a separator b c {tail}").alias("compact"),
        groups(_NAMED_DAY, f"c name a {tail}").alias("named_day"),
        groups(_NAMED_MONTH, f"name c a {tail}").alias("named_month"),
        groups(_MONTH_ONLY, "a b").alias("month_only"),
    )

    def part(name: str, *sources: str) -> pl.Expr:
        return pl.coalesce(pl.col(source).struct.field(name) for source in sources)

    full = ("numeric", "compact", "named_day", "named_month")
    word = part("name", "named_day", "named_month").str.to_lowercase()
    month = pl.coalesce(
        word.str.slice(0, n).replace_strict(_MONTH_OF, default=None, return_dtype=pl.Int32) for n in (4, 3)
    )
    return table.select(
        "raw",
        part("separator", "numeric").alias("separator"),
        part("a", *full, "month_only").alias("a_text"),
        part("a", *full, "month_only").cast(pl.Int32, strict=False).alias("a"),
        pl.coalesce(part("b", "numeric", "compact", "month_only").cast(pl.Int32, strict=False), month).alias("b"),
        pl.coalesce(part("c", *full), pl.when(part("a", "month_only").is_not_null()).then(pl.lit("1")))
        .cast(pl.Int32, strict=False)
        .alias("c"),
        part("hour", *full).cast(pl.Int32, strict=False).alias("hour"),
        part("minute", *full).cast(pl.Int32, strict=False).alias("minute"),
        part("second", *full).cast(pl.Int32, strict=False).alias("second"),
        part("half", *full).str.to_lowercase().str.replace_all(".", "", literal=True).alias("half"),
        part("zone", *full).alias("zone"),
        (part("a", "numeric").str.len_chars() <= 2).fill_null(value=False).alias("order_open"),
    )


Decision = tuple[DateOrder | None, str, tuple[str, str] | None, tuple[tuple[str, str, str], ...]]


def _decide(
    rows: pl.DataFrame, raw: pl.DataFrame, asked: DateOrder | None, today: date | None, decimal_comma: bool
) -> Decision:
    """Decide the order of the parts from all rows, or return both readings."""
    if not rows.height:
        return asked, "year first" if raw.height else "", None, ()
    if asked is not None:
        return asked, f"{ORDER_WORDS[asked]} (as told)", None, ()
    day_first = rows.filter((pl.col("a") > 12) & (pl.col("a") <= 31) & (pl.col("b") <= 12))
    month_first = rows.filter((pl.col("b") > 12) & (pl.col("b") <= 31) & (pl.col("a") <= 12))
    if day_first.height and month_first.height:
        few = min(day_first.height, month_first.height)
        if few > 0.01 * rows.height:
            return "dmy", "", (str(day_first["raw"][0]), str(month_first["raw"][0])), ()
    if day_first.height or month_first.height:
        order: DateOrder = "dmy" if day_first.height >= month_first.height else "mdy"
        proof = (day_first if order == "dmy" else month_first)["raw"][0]
        return order, f"{ORDER_WORDS[order]} (shown by {proof})", None, ()
    both = rows.filter(pl.col("a") != pl.col("b"))
    if not both.height:
        return "dmy", "day and month are equal in every row", None, ()
    if (rows["separator"] == ".").all():
        return "dmy", "day first (dots between the parts)", None, ()
    return _by_regularity(rows, raw, today, decimal_comma)


def _by_regularity(rows: pl.DataFrame, raw: pl.DataFrame, today: date | None, decimal_comma: bool) -> Decision:
    orders: tuple[DateOrder, DateOrder] = ("dmy", "mdy")
    read = {order: _moment(rows, order, None) for order in orders}
    tests: list[tuple[str, Callable[[DateOrder], bool]]] = []
    if today is not None:
        tests.append(("the other reading lies in the future", lambda o: not _any_after(read[o], today)))
    in_rows = {o: raw.join(read[o], on="raw", how="left", maintain_order="left")["moment"] for o in orders}
    tests.append(("the rows are in this order", lambda o: _monotone(in_rows[o])))
    tests.append(("nearly all rows are in this order", lambda o: _nearly_monotone(in_rows[o])))
    tests.append(("the gaps between dates are regular", lambda o: _regular(read[o]["moment"])))
    for why, holds in tests:
        passed = [order for order in orders if holds(order)]
        if len(passed) == 1:
            return passed[0], f"{ORDER_WORDS[passed[0]]} ({why})", None, ()
    if decimal_comma:
        return "dmy", "day first (numbers of the file have a decimal comma)", None, ()
    sample = rows.filter(pl.col("a") != pl.col("b"))["raw"].head(3).to_list()
    shown = {o: dict(zip(read[o]["raw"], read[o]["moment"].dt.strftime("%-d %b %Y"), strict=True)) for o in orders}
    readings = tuple((cell, shown["dmy"][cell] or "-", shown["mdy"][cell] or "-") for cell in sample)
    return None, "", None, readings


def _any_after(read: pl.DataFrame, today: date) -> bool:
    return bool((read["moment"].dt.date() > today).any())


def _monotone(moments: pl.Series) -> bool:
    days = moments.drop_nulls().dt.date()
    # Six distinct days are in order by chance once in 360 times; fewer prove too little.
    return days.n_unique() >= 6 and (days.is_sorted() or days.is_sorted(descending=True))


def _nearly_monotone(moments: pl.Series) -> bool:
    """Whether at least 49 of 50 changes of day go one way, as in an export in the order of its numbers."""
    steps = moments.drop_nulls().dt.date().diff().drop_nulls().dt.total_days()
    steps = steps.filter(steps != 0)
    forward = int((steps > 0).sum())
    return len(steps) >= 20 and max(forward, len(steps) - forward) >= 0.98 * len(steps)


def _regular(moments: pl.Series) -> bool:
    """Whether at least four of five gaps between consecutive distinct days are the same, in days or in months."""
    days = moments.drop_nulls().dt.date().unique().sort()
    if len(days) < 6:
        return False
    gaps = days.diff().drop_nulls().dt.total_days()
    return _commonest_share(gaps) >= 0.8 or (
        float(gaps.min() or 0) >= 28 and _commonest_share(days.dt.day()) >= 0.8  # type: ignore[arg-type]
    )


def _commonest_share(values: pl.Series) -> float:
    return float(values.to_frame("value").group_by("value").len()["len"].max() or 0) / max(len(values), 1)  # type: ignore[arg-type]


def _moment(parts: pl.DataFrame, order: DateOrder, timezone: str | None) -> pl.DataFrame:
    """Return raw, moment for each distinct cell under one order; cells that are no date are null."""
    year, month, day = (
        pl.when(pl.col("order_open")).then(pl.col(column)).otherwise(pl.col(fallback))
        for column, fallback in zip(
            {"dmy": ("c", "b", "a"), "mdy": ("c", "a", "b"), "ymd": ("a", "b", "c")}[order], "abc", strict=True
        )
    )
    year = pl.when(year < 70).then(year + 2000).when(year < 100).then(year + 1900).otherwise(year)
    hour = pl.col("hour").fill_null(0)
    hour = (
        pl.when(pl.col("half") == "pm")
        .then(hour % 12 + 12)
        .when(pl.col("half") == "am")
        .then(hour % 12)
        .otherwise(hour)
    )
    text = pl.format(
        "{}-{}-{} {}:{}:{}",
        *(e.cast(pl.String).str.zfill(width) for e, width in ((year, 4), (month, 2), (day, 2), (hour, 2))),
        pl.col("minute").fill_null(0).cast(pl.String).str.zfill(2),
        pl.col("second").fill_null(0).cast(pl.String).str.zfill(2),
    )
    moment = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    in_range = year.is_between(1900, 2200)
    read = parts.select("raw", "zone", pl.when(in_range).then(moment).alias("moment"))
    if timezone is not None and read["zone"].is_not_null().any():
        read = read.with_columns(_in_zone(_zone(timezone)).alias("moment"))
    return read.select("raw", "moment")


def _in_zone(timezone: str) -> pl.Expr:
    """Return moments whose zone is written, moved into the shop's time zone."""
    digits = pl.col("zone").str.replace_all(":", "", literal=True)
    hours, minutes = (digits.str.slice(at, 2).cast(pl.Int64, strict=False) for at in (1, 3))
    minutes = hours * 60 + minutes.fill_null(0)
    offset = pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes).fill_null(0)
    utc = pl.col("moment") - pl.duration(minutes=offset)
    local = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    return pl.when(pl.col("zone").is_not_null()).then(local).otherwise(pl.col("moment"))
