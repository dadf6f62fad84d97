"""Sort the rows of a table into good ones, ones dropped by a stated rule, and rejects with line and reason.

A `Sieve` is what a profile reads its columns through. Each row has one fate: the first thing that is wrong with it.
"""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from shelfwise.domain.errors import AmbiguousDates, FileRefused
from shelfwise.ingest.detect import refuse_if_mostly_bad
from shelfwise.ingest.moments import DateOrder, Moments, read_clock, read_moments
from shelfwise.ingest.numerals import Convention, read_numbers
from shelfwise.ingest.receipt import FileReceipt, Tally, some
from shelfwise.ingest.tables import LINE, Table, is_personal, masked, masked_cells

REJECTS: Final = {"file": pl.String, "line": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}
KEPT_LINES: Final = 5
DEAD_IDENTIFIER: Final = r"^\d(?:[.,]\d+)?[eE]\+\d{2,}$"
_BLANKS: Final = ["", "nan", "NaN", "NULL", "null", "None", "N/A", "n/a", "#N/A"]


class Sieve:
    """The rows of one table, read column by column.

    Parameters
    ----------
    today
        Rows dated today are dropped, because today is not over; later ones are rejected.
    timezone
        Shop time zone, where one is set.
    """

    def __init__(self, table: Table, *, date_order: DateOrder | None, today: date | None, timezone: str | None) -> None:
        self.table, self.frame = table, table.frame
        self.today, self.timezone = today, timezone
        self._date_order = date_order
        self._numbers: Convention = "plain"
        self._decimal_comma: bool | None = None
        self._open = pl.repeat(value=True, n=self.frame.height, dtype=pl.Boolean, eager=True)
        self._rejects: list[pl.DataFrame] = []
        self._dropped: list[Tally] = []
        self.readings: dict[str, str] = {}
        self.notes: list[str] = []
        self.facts: dict[str, float] = {}
        if table.torn:
            torn = pl.DataFrame(list(table.torn), schema={"line": pl.Int64, "reason": pl.String}, orient="row")
            self._rejects.append(self._reject_rows(torn["line"], None, None, torn["reason"]))

    @property
    def date_order(self) -> DateOrder | None:
        """How the dates read so far are written; None where none had an order to tell."""
        return self._date_order

    def has(self, field: str) -> bool:
        """Whether the file has a column for ``field``."""
        return field in self.table.mapping

    @property
    def kept(self) -> pl.Series:
        """Rows that are neither dropped nor rejected so far, as a mask [rows]."""
        return self._open

    @property
    def rejects(self) -> pl.DataFrame:
        """Rejected rows: file, line, column, value, reason."""
        empty = pl.DataFrame(schema=REJECTS)
        return pl.concat([empty, *self._rejects]).sort("line", maintain_order=True) if self._rejects else empty

    def reject(self, mask: pl.Series, field: str | None, reason: str, values: pl.Series | None = None) -> None:
        """Reject the rows in ``mask`` that still stand."""
        hit = (mask.fill_null(value=False)) & self._open
        if not hit.any():
            return
        self._open = self._open & ~hit
        lines = self.frame[LINE].filter(hit)
        if values is None and field is not None:
            values = self.frame[field]
        shown = None if values is None else values.filter(hit).cast(pl.String, strict=False)
        self._rejects.append(self._reject_rows(lines, field, shown, reason))

    def _reject_rows(
        self, lines: pl.Series, field: str | None, values: pl.Series | None, reason: str | pl.Series
    ) -> pl.DataFrame:
        column = None if field is None else self.table.place(field).column
        shown = [None] * len(lines) if values is None else [None if v is None else masked(v) for v in values]
        return pl.DataFrame(
            {
                "file": pl.Series([self.table.file] * len(lines), dtype=pl.String),
                "line": lines.cast(pl.Int64),
                "column": pl.Series([column] * len(lines), dtype=pl.String),
                "value": pl.Series(shown, dtype=pl.String),
                "reason": pl.Series([reason] * len(lines), dtype=pl.String) if isinstance(reason, str) else reason,
            },
            schema=REJECTS,
        )

    def drop(self, mask: pl.Series, rule: str) -> int:
        """Leave out the rows in ``mask`` by a stated rule, and return how many those are."""
        hit = (mask.fill_null(value=False)) & self._open
        rows = int(hit.sum())
        if rows:
            self._open = self._open & ~hit
            lines = self.frame[LINE].filter(hit).head(KEPT_LINES)
            self._dropped.append(Tally(rule, rows, tuple(int(n) for n in lines)))
        return rows

    def text(self, field: str, *, required: bool = False) -> pl.Series:
        """Return a text column, stripped, blanks as null."""
        cells = self._cells(field)
        cleaned = pl.select(pl.when(~cells.is_in(_BLANKS)).then(masked_cells(pl.lit(cells))).alias(field)).to_series()
        if required:
            self.reject(cleaned.is_null(), field, "is empty; every row needs a value")
        return cleaned

    def code(self, field: str, *, required: bool = True) -> pl.Series:
        """Return a column of identifiers. They stay text: leading zeros count, damage by Excel is rejected."""
        cells = self._cells(field)
        self.reject(cells.str.contains("@", literal=True) & cells.str.contains(r"\S@\S+\.\S"), field,
                    "is an e-mail address where a code is expected")  # fmt: skip
        dead = cells.str.contains(DEAD_IDENTIFIER)
        self.reject(dead, field, "is a code that a spreadsheet turned into a number; its digits are lost")
        cells = pl.select(pl.when(~cells.is_in(_BLANKS)).then(pl.lit(cells)).alias(field)).to_series()
        if required:
            self.reject(cells.is_null(), field, "is empty; every row needs a code")
        return cells

    def _cells(self, field: str) -> pl.Series:
        cells = self.frame[field]
        if cells.dtype.is_float():
            whole = (cells == cells.round()).fill_null(value=False) & (cells.abs() < 1e15)
            as_whole = cells.cast(pl.Int64, strict=False).cast(pl.String)
            text = pl.select(pl.when(whole).then(as_whole).otherwise(cells.cast(pl.String)).alias(field)).to_series()
        else:
            text = cells.cast(pl.String, strict=False)
        return text.str.strip_chars()

    def number(
        self, field: str, *, required: bool = False, least: float | None = None, above: float | None = None
    ) -> pl.Series:
        """Return a column of numbers, read one way.

        Raises
        ------
        FileRefused
            Some rows prove a decimal point and others a decimal comma.
        """
        read = read_numbers(self.frame[field], prefer=self._numbers)
        place = self.table.place(field)
        if len(read.proofs) > 1:
            line = self._line_of(field, read.proofs["comma"])
            raise FileRefused(
                self.table.place(field, line), repr(masked(read.proofs["comma"])),
                f"has a decimal comma while {masked(read.proofs['point'])!r} (line"
                f" {self._line_of(field, read.proofs['point']):,}) has a decimal point",
                "a column must be written one way; export it again",
            )  # fmt: skip
        if read.proofs:
            self._numbers = read.convention
        if read.convention == "comma":
            self.readings[place.column or field] = "numbers with a decimal comma"
        if read.unsure is not None:
            words = "thousands" if (read.convention == "comma") == ("." in read.unsure) else "decimals"
            self.notes.append(f"column {place.column!r}: no row shows whether {masked(read.unsure)!r} groups thousands"
                              f" or begins decimals; read as {words}")  # fmt: skip
        self.reject(read.bad, field, "is not a number")
        if required:
            self.reject(read.values.is_null(), field, "is empty; every row needs a number")
        if least is not None:
            self.reject(read.values < least, field, f"is below {least:g}")
        if above is not None:
            self.reject(read.values <= above, field, f"must be above {above:g}")
        return read.values

    def moment(self, field: str, *, clock: str | None = None, required: bool = False, past: bool = False) -> Moments:
        """Return a column of dates or moments, read one way.

        Parameters
        ----------
        clock
            Field with the time of day (``9:50 AM``, ``09:50:26``), where the file has a column of its own for it.
        past
            The dates tell of things that happened: today's rows are dropped, later ones rejected.

        Raises
        ------
        AmbiguousDates
            The column reads two ways and nothing decides.
        FileRefused
            Rows prove both orders, or no row is a date.
        """
        cells = self.frame[field]
        read = read_moments(
            cells, date_order=self._date_order, past=past, today=self.today, timezone=self.timezone,
            decimal_comma=self._writes_decimal_comma(),
        )  # fmt: skip
        place = self.table.place(field)
        if read.damaged is not None:
            text, day = read.damaged
            raise FileRefused(
                self.table.place(field, self._line_of(field, text)), repr(masked(text)),
                f"is text while {masked(day)!r} (line {self._line_of(field, day):,}) is a date, and no date is after"
                " the 12th: a spreadsheet took the first part for the month where it could",
                "import the file that the spreadsheet was made from",
            )  # fmt: skip
        if read.readings:
            first = self._line_of(field, read.readings[0][0])
            raise AmbiguousDates(self.table.place(field, first), [(masked(a), b, c) for a, b, c in read.readings])
        if read.mixed is not None:
            day, month = read.mixed
            raise FileRefused(
                self.table.place(field, self._line_of(field, month)), repr(masked(month)),
                f"is month first while {masked(day)!r} (line {self._line_of(field, day):,}) is day first",
                "a column must be written one way; export it again, or say --date-order and the others are rejected",
            )  # fmt: skip
        if read.values.null_count() == len(read.values) and self._open.any():
            sample = cells.cast(pl.String, strict=False).drop_nulls().head(1).to_list()
            raise FileRefused(
                place, repr(masked(sample[0])) if sample else "", "is no date we can read",
                "write dates like 2024-05-31 or 31/05/2024",
            )  # fmt: skip
        if read.order is not None:
            self._date_order = read.order  # one file is written one way
        if read.how:
            self.readings[place.column or field] = "dates " + masked(read.how)
        self.reject(read.bad, field, "is not a date" + (f" ({read.how})" if read.order else ""))
        if required:
            self.reject(read.values.is_null(), field, "is empty; every row needs a date")
        if clock is not None and self.has(clock):
            read = self._at(read, clock)
        if past:
            self.leave_out_today(field, read.values)
        return read

    def leave_out_today(self, field: str, moments: pl.Series) -> None:
        """Drop what happened today, which is not over, and reject what lies ahead; ``moments`` are in shop time."""
        if self.today is not None:
            self.reject(moments.dt.date() > self.today, field, f"lies in the future (today is {self.today})")
            self.drop(moments.dt.date() == self.today, "is of today, which is not over; import it tomorrow")

    def _at(self, read: Moments, clock: str) -> Moments:
        """Return days with the time of day that another column has; where that is blank the day alone."""
        times, bad = read_clock(self.frame[clock])
        self.reject(bad, clock, "is not a time of day")
        days = read.values.dt.truncate("1d")
        values = pl.select(pl.when(times.is_null()).then(read.values).otherwise(days + times)).to_series()
        return dataclasses.replace(read, values=values, has_time=read.has_time or bool((times != timedelta()).any()))

    def _writes_decimal_comma(self) -> bool:
        """Whether some column of the file is all numbers, of which some have a decimal comma."""
        if self._decimal_comma is None:
            number, comma = r"^-?\d{1,3}(?:[. ]?\d{3})*(?:,\d{1,2})?$", r",\d{1,2}$"
            texts = self.frame.select(pl.col(pl.String)).head(10_000).iter_columns()
            filled = (cells.filter(cells != "") for cells in texts)
            self._decimal_comma = any(
                cells.str.contains(comma).any() and cells.str.contains(number).all() for cells in filled
            )
        return self._decimal_comma

    def _line_of(self, field: str, cell: str) -> int:
        hit = (self.frame[field].cast(pl.String, strict=False) == cell).fill_null(value=False)
        return int(self.frame[LINE].filter(hit)[0]) if hit.any() else 0

    def refuse_if_mostly_bad(self) -> None:
        """Refuse the file if more than a tenth of its rows are rejected, or if no row is left for that reason."""
        bad = sum(frame.height for frame in self._rejects)
        if not bad:
            return
        total = self.frame.height + len(self.table.torn)
        first = self.rejects.row(0, named=True)
        where = f"'{first['column']}' {first['value']!r} " if first["column"] else ""
        refuse_if_mostly_bad(self.table.file, total, bad, first["line"], f"{where}{first['reason']}")
        if bad == total:
            raise FileRefused(
                self.table.place(line=first["line"]), "", f"no line can be used; the first: {where}{first['reason']}",
                "correct the file",
            )  # fmt: skip

    def receipt(self, profile: str, table: str, *, booked: dict[str, int] | None = None) -> FileReceipt:
        """Return this file's part of the receipt."""
        headers = self.table.source.headers
        numeric = self.table.numeric
        mapped = {*self.table.mapping.values(), *numeric}
        mapping = {ours: masked(theirs) for ours, theirs in self.table.mapping.items()}
        if numeric:
            mapping["quantity"] = f"{numeric[0]} to {numeric[-1]}"
        rest = [h for h in headers if h not in mapped]
        used = int(self._open.sum())
        return FileReceipt(
            file=self.table.file,
            sha256=self.table.source.sha256,
            profile=profile,
            table=table,
            layout=self.table.source.layout_words,
            rows_read=self.frame.height + len(self.table.torn),
            rows_used=used,
            dropped=tuple(self._dropped),
            rejected=_tallies(self.rejects),
            booked=booked or {},
            mapping=mapping,
            readings=dict(self.readings),
            not_imported=tuple(masked(h) for h in rest if not is_personal(h))[:40],
            personal=tuple(masked(h) for h in rest if is_personal(h))[:40],
            facts=dict(self.facts),
            notes=tuple(self.notes),
        )


def _tallies(rejects: pl.DataFrame) -> tuple[Tally, ...]:
    grouped = rejects.group_by("column", "reason", maintain_order=True).agg(
        pl.len().alias("rows"), pl.col("line").head(KEPT_LINES)
    )
    return tuple(
        Tally(f"{column!r} {reason}" if column else reason, rows, tuple(lines))
        for column, reason, rows, lines in grouped.iter_rows()
    )


def incomplete_last_day(moments: pl.Series, quantities: pl.Series) -> date | None:
    """Return the last day if it looks cut short, else None.

    With times of day: its last line is over three hours earlier than the usual last line of that weekday. Without:
    it sold less than a third of the median of the last eight same weekdays.
    """
    if not len(moments):
        return None
    days = (
        pl.DataFrame({"moment": moments, "quantity": quantities})
        .lazy()
        .group_by(pl.col("moment").dt.date().alias("day"))
        .agg(pl.col("moment").max().alias("last"), pl.col("quantity").sum().alias("units"))
        .sort("day")
        .collect()
    )
    last = days.row(-1, named=True)
    same = days.head(-1).filter(pl.col("day").dt.weekday() == last["day"].isoweekday()).tail(8)
    if same.height < 4:
        return None
    if (days["last"].dt.time() != datetime.min.time()).any():
        minutes = same["last"].dt.hour().cast(pl.Int64) * 60 + same["last"].dt.minute()
        closing = float(minutes.median() or 0.0)  # type: ignore[arg-type]
        return last["day"] if last["last"].hour * 60 + last["last"].minute < closing - 180 else None
    usual = float(same["units"].median() or 0.0)  # type: ignore[arg-type]
    return last["day"] if last["units"] < usual / 3 else None


def day_gaps(days: pl.Series) -> str | None:
    """Return a note on days between the first and the last on which nothing at all was recorded."""
    have = set(days.drop_nulls().unique().to_list())
    if len(have) < 14:
        return None
    first, last = min(have), max(have)
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    missing = [day for day in every if day not in have]
    if not missing or len(missing) > 0.6 * len(every):
        return None
    weekdays = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    closed = [
        w for w in range(7) if sum(d.weekday() == w for d in missing) > 0.9 * sum(d.weekday() == w for d in every)
    ]
    others = [str(day) for day in missing if day.weekday() not in closed]
    words = [f"never on a {some(weekdays[w] for w in closed)}"] if closed else []
    if others:
        words.append(f"nothing on {len(others):,} other day(s): {some(others, 5)}" if closed else
                     f"nothing on {len(others):,} day(s): {some(others, 5)}")  # fmt: skip
    return "days without any line: " + "; ".join(words)


def orphans(codes: pl.Series, known: pl.Series, what: str) -> str | None:
    """Return a note on product codes that the products table of the same import does not have."""
    given = codes.unique().sort()
    lost = given.filter(~given.is_in(known.implode()))
    if not len(lost):
        return None
    folded = {str(code).casefold() for code in known}
    cased = sum(str(code).casefold() in folded for code in lost)
    hint = f"; {cased:,} of them differ from a listed code by case only" if cased else ""
    return f"{len(lost):,} product code(s) of {what} not in the products table: {some(map(str, lost), 5)}{hint}"
