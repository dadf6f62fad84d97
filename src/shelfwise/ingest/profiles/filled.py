"""Orders whose fields stand on their first row only: exports of lines that leave out what is the same as above."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from shelfwise.ingest.quality import Sieve


def fill_orders(sieve: Sieve, fields: Sequence[str], *, order: str = "order") -> None:
    """Fill ``fields`` down from the first row of an order to the rows below it that leave the order itself out."""
    cells = sieve.frame[order].cast(pl.String)
    first = (cells.str.strip_chars().str.len_chars() > 0).fill_null(value=False)
    if first.all() or not first.any():
        return
    row = pl.int_range(len(cells), eager=True)
    above = pl.select(pl.when(first).then(row)).to_series().forward_fill()
    known = [field for field in (order, *fields) if field in sieve.frame.columns]
    sieve.frame = sieve.frame.with_columns(sieve.frame[field].gather(above).alias(field) for field in known)
