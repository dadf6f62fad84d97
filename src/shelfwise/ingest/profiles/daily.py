"""Tables of quantities by product, warehouse and date: what canonical sales, long and wide tables share.

The id of such a row is product, warehouse and date, so importing the table again is without effect. It also means
that a *changed* quantity for a date already booked is not booked over it: the store counts it as a duplicate. Within
one import, two different quantities for one key are a conflict: the first counts, the second is rejected.

A recorded zero is a day on sale. It makes no movement (59 million cells of an M5-sized table would), because a day
without a movement inside the recorded range reads as zero anyway. What would be lost is when recording began: so a
product whose rows begin later than the table does, in a table that records zeros, gets that day as ``launched_on``.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from shelfwise.ingest.profiles.base import number_text, numbered
from shelfwise.ingest.quality import Sieve

REPEATED = "repeats a line of this import"
SECOND_QUANTITY = "is a second, different quantity for the same product, warehouse and date; the first one counts"


def row_key(rows: pl.DataFrame, *, exact: bool) -> pl.DataFrame:
    """Add ``line_id``: product|warehouse|date, with ``exact`` also time, quantity and price; repeats are numbered.

    Parameters
    ----------
    exact
        The rows are single sales with a time of day, not daily sums, so the quantity is part of what they are.
    """
    moment = pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S" if exact else "%Y-%m-%d")
    parts = [pl.col("product"), pl.col("warehouse"), moment]
    if exact:
        parts += [number_text(pl.col("quantity")), number_text(pl.col("unit_price")).fill_null("")]
    keys = rows.select(pl.concat_str(parts, separator="|").alias("line_id")).to_series()
    return rows.with_columns(numbered(keys).alias("line_id"))


def drop_repeats(
    sieves: Sequence[Sieve], rows: pl.DataFrame, *, equal: str = REPEATED, different: str = SECOND_QUANTITY
) -> pl.DataFrame:
    """Return rows whose ``line_id`` is new; equal repeats are dropped, different ones rejected, in their sieves.

    ``rows`` has the columns file (index into ``sieves``) and row (index into the sieve's frame). ``equal`` and
    ``different`` are the reasons in words.
    """
    fresh = rows["line_id"].is_first_distinct()
    if fresh.all():
        return rows
    firsts = rows.filter(fresh).select("line_id", pl.col("quantity").alias("first"))
    repeats = rows.filter(~fresh).join(firsts, on="line_id", how="left")
    mark(sieves, repeats.filter(pl.col("quantity") == pl.col("first")), equal)
    turn_away(sieves, repeats.filter(pl.col("quantity") != pl.col("first")), "quantity", different)
    return rows.filter(fresh)


def drop_zeros(sieves: Sequence[Sieve], rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with a quantity other than zero; the others are dropped in their sieves."""
    zero = pl.col("quantity") == 0
    if not (rows["quantity"] == 0).any():
        return rows
    mark(sieves, rows.filter(zero), "records 0 units: a day on sale without a movement")
    return rows.filter(~zero)


def mark(sieves: Sequence[Sieve], rows: pl.DataFrame, rule: str) -> None:
    """Drop ``rows`` by a stated rule in the sieves they came from."""
    for number, sieve in enumerate(sieves):
        sieve.drop(_mask(sieve, rows.filter(pl.col("file") == number)), rule)


def turn_away(sieves: Sequence[Sieve], rows: pl.DataFrame, field: str, reason: str) -> None:
    """Reject ``rows`` in the sieves they came from."""
    for number, sieve in enumerate(sieves):
        sieve.reject(_mask(sieve, rows.filter(pl.col("file") == number)), field, reason)


def _mask(sieve: Sieve, rows: pl.DataFrame) -> pl.Series:
    mask = pl.zeros(sieve.frame.height, dtype=pl.UInt8, eager=True)
    return mask.scatter(rows["row"], 1) == 1


def sale_or_return(rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``kind``: a negative quantity is a return of that many units."""
    kind = pl.when(pl.col("quantity") < 0).then(pl.lit("return")).otherwise(pl.lit("sale"))
    return rows.with_columns(kind.alias("kind"), pl.col("quantity").abs())


def launches(rows: pl.DataFrame) -> pl.DataFrame:
    """Return product, launched_on for products whose recording began after the table's, in a table with zeros."""
    nothing = pl.DataFrame(schema={"product": pl.String, "launched_on": pl.Date})
    if not rows.height or not (rows["quantity"] == 0).any():
        return nothing
    day = pl.col("occurred_at").dt.date()
    series = rows.group_by("product", "warehouse").agg(day.min().alias("first"), day.max().alias("last"), pl.len())
    span = (pl.col("last") - pl.col("first")).dt.total_days() + 1
    dense = series.select((pl.col("len") >= 0.9 * span).mean()).item()
    if not dense or dense < 0.9:
        return nothing
    begins = rows["occurred_at"].dt.date().min()
    return (
        series.group_by("product")
        .agg(pl.col("first").min().alias("launched_on"))
        .filter(pl.col("launched_on") > pl.lit(begins))
        .sort("product")
    )


def booked(rows: pl.DataFrame, file: int) -> dict[str, int]:
    """Return how many rows of a file became which kind of movement."""
    counts = dict(rows.select("file", "kind").filter(pl.col("file") == file).group_by("kind").len().iter_rows())
    return {kind: counts[kind] for kind in ("sale", "return", "adjustment") if kind in counts}


def from_sieve(sieve: Sieve, file: int, columns: dict[str, pl.Series]) -> pl.DataFrame:
    """Return the columns as rows that still stand, with file and row numbers in front."""
    count = sieve.frame.height
    index = {
        "file": pl.repeat(file, count, dtype=pl.Int32, eager=True),
        "row": pl.int_range(count, eager=True),
    }
    rows = pl.DataFrame({**index, **columns})
    return rows if sieve.kept.all() else rows.filter(sieve.kept)  # most files are good, and a copy is as large


def default_text(sieve: Sieve, field: str, default: str) -> pl.Series:
    """Return a code column, or ``default`` where the file has none or the cell is blank."""
    if sieve.has(field):
        return sieve.code(field, required=False).fill_null(default)
    return pl.repeat(default, sieve.frame.height, dtype=pl.String, eager=True)


def optional_number(sieve: Sieve, field: str) -> pl.Series:
    """Return a number column, all null where the file has none."""
    if sieve.has(field):
        return sieve.number(field)
    return pl.repeat(None, sieve.frame.height, dtype=pl.Float64, eager=True)
