"""Read a column of numbers one way: decimal point or comma, thousands, currency, percent, ``(5)`` and ``5-``.

The way is decided for the column from all of its rows. A column that proves both ways is refused: whoever guesses
there turns 1,234 units into 1.234 units without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import polars as pl

Convention = Literal["plain", "point", "comma"]

LARGEST: Final = 1e12  # units or money; beyond it a cell is an identifier or damage, not a quantity

_SPACE: Final = r"[\s\x{00A0}\x{202F}\x{2009}'’]"
_CURRENCY: Final = (
    r"(?i:USD|EUR|GBP|CHF|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BRL|MXN|ZAR|INR|JPY|CNY|R\$|[ACN]Z?\$|Rs\.?|kr\.?"
    r"|zł|Kč|Ft|Fr\.)"
)
_TRIM: Final = _SPACE + r"|\p{Sc}|^" + _CURRENCY + "|" + _CURRENCY + "$"
# What a space or an apostrophe parts must be thousands; two numbers in one cell are none.
_TORN: Final = r"\d" + _SPACE + r"+(?:\d{1,2}|\d{4,})(?:\D|$)"
_POINT_PROOF: Final = (
    r"^\d{1,3}(?:,\d{3})+\.\d*$|^\d*\.(?:\d{1,2}|\d{4,})$|^\d{4,}\.\d+$|^0?\.\d+$|^\d{1,3}(?:,\d{3}){2,}$"
    r"|^\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?$"
)
_COMMA_PROOF: Final = (
    r"^\d{1,3}(?:\.\d{3})+,\d*$|^\d*,(?:\d{1,2}|\d{4,})$|^\d{4,},\d+$|^0?,\d+$|^\d{1,3}(?:\.\d{3}){2,}$"
)
_POINT_SHAPE: Final = r"^(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d+)?(?:\.\d*)?(?:[eE][+-]?\d{1,3})?$"
_COMMA_SHAPE: Final = r"^(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d*)?(?:[eE][+-]?\d{1,3})?$"


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers.

    ``values`` is null where the cell is blank or unreadable, ``bad`` true where it is unreadable. ``proofs`` holds an
    example of each convention that some row proves: two of them mean that the column reads two ways. ``unsure`` is
    an example that reads either way when no row decides.
    """

    values: pl.Series
    bad: pl.Series
    convention: Convention
    proofs: dict[str, str]
    unsure: str | None = None


def read_numbers(cells: pl.Series, *, prefer: Convention = "plain") -> Numbers:
    """Read text ``cells`` as numbers, one way for the whole column.

    Parameters
    ----------
    prefer
        Convention that other columns of the same file prove; used where this column proves none.

    >>> read_numbers(pl.Series(["1.234,50", "(5)", "7-", "€ 8", ""])).values.to_list()
    [1234.5, -5.0, -7.0, 8.0, None]
    """
    if cells.dtype.is_numeric():
        values = cells.cast(pl.Float64)
        wild = (~values.is_finite() | (values.abs() > LARGEST)).fill_null(value=False)
        return Numbers(pl.select(pl.when(~wild).then(values)).to_series(), wild & ~values.is_nan(), "plain", {})
    if cells.dtype != pl.String:
        cells = cells.cast(pl.String, strict=False)
    quick = _all_plain(cells)
    if quick is not None and prefer != "comma":
        return quick
    percent = _all_percent(cells)
    if percent is not None:
        whole = read_numbers(percent, prefer=prefer)
        return replace(whole, values=whole.values / 100)
    unique = pl.DataFrame({"raw": cells}).unique().filter(pl.col("raw").is_not_null())
    parts = unique.lazy().with_columns(_negative(pl.col("raw")).alias("negative"), _bare(pl.col("raw")).alias("bare"))
    table = parts.collect()
    bare = table["bare"]
    proofs = {
        name: str(table["raw"].filter(bare.str.contains(pattern))[0])
        for name, pattern in (("point", _POINT_PROOF), ("comma", _COMMA_PROOF))
        if bare.str.contains(pattern).any()
    }
    unsure_mask = bare.str.contains(r"^\d{1,3}[.,]\d{3}$")
    unsure = str(table["raw"].filter(unsure_mask)[0]) if unsure_mask.any() and not proofs else None
    convention = _convention(bare, proofs, prefer)
    shape = _COMMA_SHAPE if convention == "comma" else _POINT_SHAPE
    text = pl.col("bare")
    if convention == "comma":
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    else:
        text = text.str.replace_all(",", "", literal=True)
    fits = pl.col("bare").str.contains(shape) & pl.col("bare").str.contains(r"\d") & ~pl.col("raw").str.contains(_TORN)
    number = pl.when(fits).then(text).cast(pl.Float64, strict=False)
    signed = pl.when(pl.col("negative")).then(-number).otherwise(number)
    read = table.select("raw", pl.when(number.is_finite() & (number <= LARGEST)).then(signed).alias("value"))
    values = pl.DataFrame({"raw": cells}).join(read, on="raw", how="left", maintain_order="left")["value"]
    bad = values.is_null() & cells.is_not_null() & ~_blank(cells)
    return Numbers(values, bad, convention, proofs, unsure)


def _all_plain(cells: pl.Series) -> Numbers | None:
    """Return the column if every cell is a plain number that no other convention could read differently."""
    values = cells.str.strip_chars().cast(pl.Float64, strict=False)
    bad = values.is_null() & cells.is_not_null() & ~_blank(cells)
    wild = (~values.is_finite() | (values.abs() > LARGEST)).fill_null(value=False)
    if bad.any() or wild.any():
        return None
    either = cells.str.contains(r"^\s*[-+]?\d{1,3}\.\d{3}\s*$").fill_null(value=False)
    if not either.any():
        return Numbers(values, bad, "plain", {})
    proof = cells.filter(cells.str.contains(r"^\s*[-+]?(?:\d*\.(?:\d{1,2}|\d{4,})|\d{4,}\.\d+)\s*$"))
    if not len(proof):
        return None
    return Numbers(values, bad, "point", {"point": str(proof[0])})


def _all_percent(cells: pl.Series) -> pl.Series | None:
    """Return the cells without their percent signs if all that are filled have one; beside others one is no number."""
    ends = cells.str.strip_chars().str.ends_with("%")
    if not ends.any() or not (ends | _blank(cells)).all():
        return None
    return cells.str.strip_chars().str.strip_suffix("%").str.strip_chars()


def _blank(cells: pl.Series) -> pl.Series:
    return cells.str.strip_chars().is_in(["", "-", "–", "—", "NA", "N/A", "n/a", "null", "NULL", "None", "nan", "NaN"])


def _negative(raw: pl.Expr) -> pl.Expr:
    trimmed = raw.str.replace_all(_TRIM, "").str.replace("−", "-", literal=True)
    return trimmed.str.contains(r"^-|-$|^\(.*\)$")


def _bare(raw: pl.Expr) -> pl.Expr:
    """Return the digits and separators: spaces, apostrophes, currency signs, the sign and brackets are gone."""
    signless = raw.str.replace("−", "-", literal=True).str.replace_all(r"^\s*[-+(]\s*|\s*[-)]\s*$", "")
    return signless.str.replace_all(_TRIM, "").str.replace_all(r"^[-+]", "")


def _convention(bare: pl.Series, proofs: dict[str, str], prefer: Convention) -> Convention:
    if "comma" in proofs:
        return "comma"
    if "point" in proofs:
        return "point"
    # '1.234' and '1,234' alone read either way. Ungrouped thousands beside them show that nothing is grouped.
    ungrouped = bare.str.contains(r"^\d{4,}$").any()
    if ungrouped and bare.str.contains(r"^\d{1,3},\d{3}$").any():
        return "comma"
    if prefer != "plain":
        return prefer
    return "point"
