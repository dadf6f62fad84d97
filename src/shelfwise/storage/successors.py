"""Which product replaces which: no circles, and a way to take it back (an upsert never wipes out what is known)."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from shelfwise.domain.errors import DataError
from shelfwise.storage.tables import products


def refuse_circles(connection: Connection) -> None:
    """Raise for products that replace one another in a circle: none of them would be the first.

    Raises
    ------
    DataError
        There is a circle; the message says which, and how to open it.
    """
    rows = connection.execute(select(products.c.code, products.c.replaces).where(products.c.replaces.is_not(None)))
    before = {code: old for code, old in rows}
    fine: set[str] = set()
    for start in sorted(before):
        way: list[str] = []
        code: str | None = start
        while code is not None and code not in fine and code not in way:
            way.append(code)
            code = before.get(code)
        if code is not None and code in way:
            circle = [*way[way.index(code) :], code]
            raise DataError(
                f"{' replaces '.join(circle)}: a circle, in which none is the first; correct the column replaces, or "
                f"take one back with `shelfwise products edit {code} --replaces ''`"
            )
        fine |= set(way)


def forget_predecessor(connection: Connection, code: str) -> None:
    """Let a product replace none."""
    connection.execute(update(products).where(products.c.code == code).values(replaces=None))
