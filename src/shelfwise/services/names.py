"""Finding what a person named: products, suppliers, orders; near names where there is none."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import polars as pl

from shelfwise.domain import words
from shelfwise.domain.errors import NotFound, ParameterError

MOST_SHOWN = 3


def nearest(wanted: str, codes: Sequence[str], names: Sequence[str | None] | None = None) -> list[str]:
    """Return the codes that look most like ``wanted``, by code or by name, best first.

    >>> nearest("cf-1024", ["CF-1042", "TE-2001"], ["Hand grinder", "Green tea"])
    ['CF-1042']
    >>> nearest("grinder", ["CF-1042", "TE-2001"], ["Hand grinder", "Green tea"])
    ['CF-1042']
    """
    asked = wanted.casefold()
    labels = names if names is not None else [None] * len(codes)

    def likeness(code: str, name: str | None) -> float:
        by_code = difflib.SequenceMatcher(None, asked, code.casefold()).ratio()
        label = (name or "").casefold()
        if asked and asked in label:
            return 0.95
        return max(by_code, difflib.SequenceMatcher(None, asked, label).ratio())

    if len(codes) > 2000:  # comparing letter by letter is slow; names that share a beginning or a part come first
        near = set(difflib.get_close_matches(wanted, codes, n=20, cutoff=0.5))
        pairs = [
            (code, label)
            for code, label in zip(codes, labels, strict=True)
            if code in near or asked in (label or "").casefold()
        ]
    else:
        pairs = list(zip(codes, labels, strict=True))
    scored = sorted(((likeness(code, label), code) for code, label in pairs), key=lambda pair: (-pair[0], pair[1]))
    return [code for score, code in scored[:MOST_SHOWN] if score >= 0.6]


def not_found(kind: str, wanted: str, codes: Sequence[str], names: Sequence[str | None] | None = None) -> NotFound:
    """Return the error for a name that is not in the store, with the nearest ones.

    >>> print(not_found("supplier", "Hariu", ["Hario", "Northbean"]))
    there is no supplier 'Hariu'; the nearest is Hario
    """
    near = nearest(wanted, codes, names)
    known = dict(zip(codes, names or [None] * len(codes), strict=True))
    if not near:
        return NotFound(f"there is no {kind} {wanted!r}; {_way_out(kind, codes)}")
    shown = [f"{code} ({known[code]})" if known.get(code) else code for code in near]
    are = "the nearest is" if len(shown) == 1 else "the nearest are"
    return NotFound(f"there is no {kind} {wanted!r}; {are} {', '.join(shown)}")


def _way_out(kind: str, codes: Sequence[str]) -> str:
    if not codes:
        return "there are none yet"
    if kind in ("product", "supplier"):
        return f"`shelfwise {kind}s` lists the {len(codes):,} there are"
    return f"there {'is' if len(codes) == 1 else 'are'} {words.listed(list(codes))}"


def product_code(table: pl.DataFrame, wanted: str) -> str:
    """Return the code of the product a person named by code, whatever its case, or by its whole name.

    Raises
    ------
    NotFound
        There is none; the message lists the nearest.
    """
    codes = table["product"].to_list()
    if wanted in set(codes):
        return wanted
    asked = wanted.casefold().strip()
    labels = table["name"].to_list()
    same = [c for c, n in zip(codes, labels, strict=True) if asked in (c.casefold(), (n or "").casefold())]
    if len(same) == 1:
        return str(same[0])
    raise not_found("product", wanted, codes, labels)


def supplier_code(table: pl.DataFrame, wanted: str) -> str:
    """Return the code of the supplier a person named by code or name, whatever the case.

    Raises
    ------
    NotFound
        There is none; the message lists the nearest.
    """
    codes, labels = table["supplier"].to_list(), table["name"].to_list()
    asked = wanted.casefold().strip()
    same = [c for c, n in zip(codes, labels, strict=True) if asked in (c.casefold(), (n or "").casefold())]
    if len(same) == 1:
        return str(same[0])
    raise not_found("supplier", wanted, codes, labels)


def warehouse_code(table: pl.DataFrame, wanted: str | None) -> str:
    """Return the code of the warehouse a person named by code or name, whatever the case; None is the only one.

    Raises
    ------
    NotFound
        There is none; the message lists the nearest.
    ParameterError
        None was named, and there are several.
    """
    codes, labels = table["warehouse"].to_list(), table["name"].to_list()
    if wanted is None:
        if len(codes) == 1:
            return str(codes[0])
        if not codes:
            raise NotFound("there is no warehouse yet; `shelfwise import FILE...` brings the shop in")
        raise ParameterError(f"the shop has {len(codes)} warehouses; name one with --warehouse: {words.listed(codes)}")
    if wanted in codes:
        return wanted
    asked = wanted.casefold().strip()
    same = [c for c, n in zip(codes, labels, strict=True) if asked in (c.casefold(), (n or "").casefold())]
    if len(same) == 1:
        return str(same[0])
    raise not_found("warehouse", wanted, codes, labels)
