"""Product codes that a program has damaged, and codes that are one code written in several ways."""

from __future__ import annotations

from typing import Final

import polars as pl

from shelfwise.ingest.quality import DEAD_IDENTIFIER

_TAIL: Final = r"^\d+\.0$"
"""What a column of numbers becomes when it is written as decimals."""
LONGEST_DAYS_APART: Final = 180
LONGEST_DAYS_TOGETHER: Final = 28


def dead_codes(codes: pl.Series) -> pl.Series:
    """Return the codes that a spreadsheet turned into numbers.

    >>> dead_codes(pl.Series(["1.23E+11", "4,5e+12", "10023.0", "12E4", "E-11", "A1"])).to_list()
    ['1.23E+11', '4,5e+12', '10023.0']
    """
    return codes.filter(codes.str.contains(DEAD_IDENTIFIER) | codes.str.contains(_TAIL))


def same_codes(codes: pl.Series) -> pl.DataFrame:
    """Return codes that differ by case, spaces or leading zeros alone: ``code``, and ``same``, a number of the group.

    >>> same_codes(pl.Series(["0042", "42", "a-1", "A-1 ", "B2", "B 2", "C3"])).rows()
    [('0042', 0), ('42', 0), ('A-1 ', 1), ('a-1', 1), ('B 2', 2), ('B2', 2)]
    """
    plain = codes.str.to_lowercase().str.replace_all(r"\s+", "").str.replace(r"^0+(.)", "$1")
    table = pl.DataFrame({"code": codes, "plain": plain}).filter(pl.col("plain").is_duplicated())
    return table.select("code", same=pl.col("plain").rank("dense").cast(pl.Int64) - 1).sort("same", "code")


def same_names(products: pl.DataFrame) -> pl.DataFrame:
    """Return products that seem to go on under another code: ``old``, ``new``, their ``name``, and the two days.

    Both have the same name; the new one began when the old one ended: not over 180 days later, and not over 28 earlier.

    Parameters
    ----------
    products
        A row for each product: ``product``, ``name``, ``first_sale`` and ``last_sale`` (days).
    """
    name = pl.col("name").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    sold = products.drop_nulls(["name", "first_sale"]).with_columns(plain=name).filter(pl.col("plain") != "")
    twins = sold.filter(pl.col("plain").is_duplicated()).select("product", "name", "plain", "first_sale", "last_sale")
    old = twins.select("plain", "last_sale", old="product", began="first_sale")
    new = twins.select("plain", "first_sale", "name", new="product", ended="last_sale")
    gap = (pl.col("first_sale") - pl.col("last_sale")).dt.total_days()
    follows = (
        old.join(new, on="plain")
        .filter(
            (pl.col("old") != pl.col("new"))
            & (pl.col("began") < pl.col("first_sale"))
            & (pl.col("last_sale") < pl.col("ended"))
            & gap.is_between(-LONGEST_DAYS_TOGETHER, LONGEST_DAYS_APART)
        )
        .sort("new", "last_sale", "old", descending=[False, True, False])
        .unique("new", keep="first", maintain_order=True)
    )
    return follows.select("old", "new", "name", "last_sale", "first_sale")
