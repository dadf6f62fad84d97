"""Reading the tables that callers hand to a panel: which types are taken, and what is refused with which words."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.calendar import Moments
from shelfwise.domain.errors import PanelError

Floats = npt.NDArray[np.floating[Any]]

MOST_UNITS: Final = 1e30
"""No quantity is beyond: squares and sums of what is would leave the range of numbers."""


def to_polars(table: Any, name: str) -> pl.DataFrame:
    """Return a polars frame of a polars or pandas frame, an Arrow table or a mapping of columns.

    Raises
    ------
    PanelError
        ``table`` is none of these; ``name`` says which argument it was.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, Mapping):
        return pl.DataFrame({name: _from_mapping(cells) for name, cells in table.items()})
    if type(table).__module__.partition(".")[0] == "pandas":
        # column by column through numpy, because polars needs pyarrow to read a pandas frame as a whole
        return pl.DataFrame({str(name): _from_pandas(table[name]) for name in table.columns})
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    raise PanelError(f"{name} must be a polars or pandas frame, got {type(table).__name__}")


def _from_mapping(cells: Any) -> pl.Series:
    if isinstance(cells, pl.Series):
        return cells
    if type(cells).__module__.partition(".")[0] == "pandas":
        return _from_pandas(cells)
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        return _from_array(cells)
    return pl.Series(list(cells), strict=False)


def _from_array(cells: npt.NDArray[Any]) -> pl.Series:
    if cells.dtype.kind == "M":  # polars reads days and microseconds but not numpy's seconds
        cells = cells.astype("datetime64[us]")
    return pl.Series(cells, nan_to_null=False)


def _from_pandas(column: Any) -> pl.Series:
    array = column.to_numpy()  # object where the column has pandas' own missing values or a time zone
    if array.dtype.kind in "biufM":
        return _from_array(array)
    missing = column.isna().to_numpy()
    return pl.Series([None if lost else cell for cell, lost in zip(array, missing, strict=True)], strict=False)


def need_columns(frame: pl.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise `PanelError` where the table called ``name`` lacks one of the columns."""
    lost = [c for c in columns if c not in frame.columns]
    if lost:
        raise PanelError(f"{name} lacks the column {lost[0]!r}; it has {', '.join(frame.columns) or 'none'}")


def moment_column(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return ``ds`` as naive datetimes, or raise `PanelError` for what is no date."""
    column = frame["ds"]
    if column.null_count():
        raise PanelError(f"{name} has no ds in row {int(column.is_null().arg_true()[0]):,}; every row needs a date")
    if column.dtype == pl.String:
        # days and months never change places silently: only ISO dates are read from text
        text = pl.col("ds").str.replace("T", " ", literal=True)
        size = text.str.len_chars()
        whole = pl.when(size == 10).then(text + " 00:00:00").when(size == 16).then(text + ":00").otherwise(text)
        parsed = frame.select(whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False))["ds"]
        if parsed.null_count():
            row = int(parsed.is_null().arg_true()[0])
            raise PanelError(
                f"{name} has ds {column[row]!r} in row {row:,}, which is no ISO date in shop time; "
                "give dates, datetimes, or text such as 2026-11-21 or 2026-11-21 09:30"
            )
        return pl.lit(parsed).alias("ds")
    if not isinstance(column.dtype, (pl.Date, pl.Datetime)):
        raise PanelError(f"{name} has ds of type {column.dtype}; give dates or datetimes")
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        raise PanelError(f"{name} has ds in zone {column.dtype.time_zone}; give naive shop time")
    return pl.col("ds").cast(pl.Datetime("us"))


def number_column(frame: pl.DataFrame, name: str) -> Floats:
    """Return a column as floats, NaN where null, or raise `PanelError` for what is no number of an amount.

    >>> number_column(pl.DataFrame({"y": [1.0, 2e99]}), "y")
    Traceback (most recent call last):
    shelfwise.domain.errors.PanelError: y in row 1 is 2e+99, beyond 1e+30; give it in larger units
    """
    column = frame[name]
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise PanelError(f"{name} is of type {column.dtype}, which is no number; give one number in each row")
    try:
        numbers = column.cast(pl.Float64, strict=True).to_numpy()
    except pl.exceptions.PolarsError:
        bad = (column.cast(pl.Float64, strict=False).is_null() & column.is_not_null()).arg_true()
        raise PanelError(f"{name} in row {int(bad[0]):,} is {column[int(bad[0])]!r}, which is no number") from None
    if np.isinf(numbers).any():
        raise PanelError(f"{name} in row {int(np.flatnonzero(np.isinf(numbers))[0]):,} is infinite; give a number")
    beyond = np.flatnonzero(np.abs(numbers) > MOST_UNITS)
    if len(beyond):
        row = int(beyond[0])
        raise PanelError(f"{name} in row {row:,} is {numbers[row]:g}, beyond {MOST_UNITS:g}; give it in larger units")
    return numbers


def read_grid(values: npt.ArrayLike) -> Floats:
    """Return an array of floats, 32 bits where it came so, or raise `PanelError`."""
    try:
        grid = np.asarray(values)
        if grid.dtype.kind in "cmM":
            raise TypeError(f"their type is {grid.dtype}")
        grid = grid if grid.dtype in (np.float32, np.float64) else grid.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise PanelError(f"values must be numbers: {error}") from None
    if np.isinf(grid).any():
        raise PanelError("values hold an infinite number; use NaN where nothing was recorded")
    if (np.abs(grid) > MOST_UNITS).any():
        most = float(np.nanmax(np.abs(grid)))
        raise PanelError(f"values hold {most:g}, beyond {MOST_UNITS:g}; give them in larger units")
    return grid


def read_start(start: dt.date | dt.datetime | str) -> Moments:
    """Return the label of the first column as an array [1]."""
    if getattr(start, "tzinfo", None) is not None:
        raise PanelError(f"start {start} has a time zone; give naive shop time")
    try:
        return np.asarray([start], dtype="datetime64[us]")
    except ValueError:
        raise PanelError(f"start {start!r} is no date; give a date, a datetime or text such as 2026-11-21") from None


def rows_at(table: pl.DataFrame, positions: npt.NDArray[np.int64]) -> pl.DataFrame:
    """Return rows of a table by position; neighbours in order, one row among them, as a view without a copy.

    >>> rows_at(pl.DataFrame({"a": [1, 2, 3]}), np.array([1, 2]))["a"].to_list()
    [2, 3]
    """
    if not len(positions) or positions[0] < 0 or positions[-1] >= table.height or (np.diff(positions) != 1).any():
        return table[positions]
    return table.slice(int(positions[0]), len(positions))


# The next two take series and no expressions: a sale asks about one row, and planning a query costs more than that.


def joined_text(table: pl.DataFrame, names: Sequence[str], separator: str) -> pl.Series:
    """Return the text of some columns, at least one, joined row by row; missing cells are empty text.

    >>> table = pl.DataFrame({"a": ["x", None], "n": [1, 2]})
    >>> joined_text(table, ["a", "n"], "/").to_list()
    ['x/1', '/2']
    """
    parts = [table[name] for name in names]
    parts = [part if part.dtype == pl.String else part.cast(pl.String) for part in parts]
    parts = [part.fill_null("") if part.null_count() else part for part in parts]
    return functools.reduce(lambda left, right: left + separator + right, parts)


def numbers_of(column: pl.Series, missing: float) -> npt.NDArray[np.float64]:
    """Return a column of numbers as an array, ``missing`` where a cell is empty or no number.

    >>> numbers_of(pl.Series([3, None]), 0.0).tolist()
    [3.0, 0.0]
    """
    values = column.to_numpy().astype(np.float64)
    return np.where(np.isnan(values), missing, values)


def series_table(series: Any, n: int) -> pl.DataFrame:
    """Return the table of N series with a text ``unique_id``, made up where it is not given."""
    table = pl.DataFrame({"unique_id": [str(i) for i in range(n)]}) if series is None else to_polars(series, "series")
    if table.height != n:
        raise PanelError(f"series has {table.height} rows for {n} series of values; give one row each")
    if "unique_id" not in table.columns:
        table = table.insert_column(0, pl.Series("unique_id", [str(i) for i in range(n)]))
    table = table.with_columns(pl.col("unique_id").cast(pl.String))
    if table["unique_id"].null_count():
        raise PanelError("series has an empty unique_id; every series needs one")
    if table["unique_id"].n_unique() != n:
        repeated = table["unique_id"].filter(table["unique_id"].is_duplicated())[0]
        raise PanelError(f"unique_id {repeated!r} names more than one series; ids must differ")
    return table


def static_table(static: Any, ids: pl.Series) -> pl.DataFrame:
    """Return the attributes in the order of ``ids``, one row each."""
    table = to_polars(static, "static")
    need_columns(table, ("unique_id",), "static")
    nested = [column.name for column in table if column.dtype.is_nested()]
    if nested:
        raise PanelError(
            f"static {nested[0]!r} is of type {table[nested[0]].dtype}; give one word or number in each row"
        )
    table = table.with_columns(pl.col("unique_id").cast(pl.String))
    joined = pl.DataFrame({"unique_id": ids}).join(table, on="unique_id", how="left", maintain_order="left")
    if joined.height != len(ids):
        raise PanelError("static has more than one row for a unique_id; give one row each")
    lost = pl.DataFrame({"unique_id": ids}).join(table, on="unique_id", how="anti")
    if lost.height:
        raise PanelError(f"static lacks unique_id {lost['unique_id'][0]!r}; give one row for every series")
    return joined
