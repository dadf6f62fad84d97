"""Units of measure: quantities of one product that are written in several units, turned into one.

What is known of itself (a dozen, a gram) is converted to the base of its kind: units, kg, l, m. A unit nobody knows
counts as it stands while it is the only one of its product; beside others it is refused, unless the file says how much
it is (a second quantity in the product's own unit).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from shelfwise.ingest.detect import normalised

_KNOWN: Final = {
    "count": {
        1.0: "unit units unite unites einheit einheiten stuck stk unidad unidades unita eenheid eenheden stuks "
             "unidade enhet enheter styck st pcs pc piece pieces pce ea each nos no",
        12.0: "dozen dozens dutzend dutzende douzaine douzaines docena docenas dozzina dozzine dozzinae dozijn "
              "dozijnen duzia duzias dussin",
        144.0: "gross",
    },
    "weight": {0.001: "g gram grams", 1.0: "kg kilogram kilograms", 1000.0: "t ton tons tonne", 0.45359237: "lb lbs",
               0.028349523125: "oz"},
    "volume": {0.001: "ml", 1.0: "l liter liters litre litres", 1000.0: "m3", 3.785411784: "galus gal",
               0.946352946: "qtus qt", 0.0295735295625: "flozus floz"},
    "length": {0.001: "mm", 0.01: "cm", 1.0: "m", 1000.0: "km", 0.0254: "in", 0.3048: "ft", 0.9144: "yd"},
}  # fmt: skip
UNITS: Final = {
    name: (kind, factor)
    for kind, factors in _KNOWN.items()
    for factor, names in factors.items()
    for name in map(normalised, names.split())
}
_PACK: Final = r"(?i)^pack of (\d+)$"


def unit_factors(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` with ``factor``, by which a quantity becomes one of its product's unit; null: not known.

    Parameters
    ----------
    rows
        product, unit (text, may be null) and, where the file says it, ratio: the product's own unit per this one.

    >>> rows = pl.DataFrame({"product": ["A", "A", "A"], "unit": ["Units", "Dozens", "Crate"]})
    >>> unit_factors(rows)["factor"].to_list()
    [1.0, 12.0, None]
    """
    if "ratio" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.Float64).alias("ratio"))
    names = rows.select(pl.col("unit").unique().drop_nulls())["unit"].to_list()
    found = {name: _known(name) for name in names}
    kinds = {name: known[0] for name, known in found.items()}
    factors = {name: known[1] for name, known in found.items()}
    unit = pl.col("unit")
    told = rows.with_columns(
        unit.replace_strict(kinds, default=None, return_dtype=pl.String).alias("kind"),
        unit.replace_strict(factors, default=1.0, return_dtype=pl.Float64).alias("factor"),
    ).with_columns(
        # A ratio leads to the product's own unit, whatever kind that is: it agrees with every kind.
        pl.when(pl.col("kind").str.starts_with("?") & pl.col("ratio").is_not_null())
        .then(None).otherwise("kind").alias("kind"),
        pl.when(pl.col("kind").str.starts_with("?") & pl.col("ratio").is_not_null())
        .then("ratio").otherwise("factor").alias("factor"),
    )  # fmt: skip
    main = (
        told.drop_nulls("kind").group_by("product", "kind").len().sort("len", "kind", descending=[True, False])
        .group_by("product").agg(pl.col("kind").first().alias("main"))
    )  # fmt: skip
    agrees = pl.col("kind").is_null() | (pl.col("kind") == pl.col("main"))
    return (
        told.join(main, on="product", how="left", maintain_order="left")
        .with_columns(pl.when(agrees).then("factor").alias("factor"))
        .drop("kind", "main", "ratio")
    )


def _known(name: str) -> tuple[str, float]:
    """Return kind and factor of a unit; an unknown one is a kind of its own."""
    pack = pl.select(pl.lit(name).str.strip_chars().str.extract(_PACK)).item()
    if pack is not None and int(pack) > 0:
        return "count", float(pack)
    plain = normalised(name)
    return UNITS.get(plain, (f"?{plain}", 1.0))
