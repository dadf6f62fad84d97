"""The newest forecast, order and risk of each series, and what they were made from.

The store keeps bytes and their fingerprint and knows nothing of what they mean. Two rules make it safe for several
processes to write:

* **A row never goes back.** Each says with its *watermark* which event of the outbox was the newest that it has felt;
  a row that has felt less than the one in its place is not written.
* **The version rises with every change**, and only with one: a row that comes out as it was keeps its version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from shelfwise.storage.tables import live_forecasts, live_publications, outbox

_ONLY: Final = 1
_AT_ONCE: Final = 500
_COLUMNS: Final = tuple(column.name for column in live_forecasts.columns)


@dataclass(frozen=True)
class LiveRow:
    """The newest state of one product in one warehouse.

    Parameters
    ----------
    version
        Version of the whole set at which it changed last; 0 before it is kept.
    watermark
        Number of the newest event that it has felt.
    payload
        Forecast, order and risk; what is in it is `services.live_rows`' business.
    severity, at_stake
        Grade of the risk, and expected money at stake, of a row that was worked out just now; neither is kept.
    """

    product: str
    warehouse: str
    watermark: int
    model: str
    model_version: str
    data_until: date
    horizon: int
    computed_at: datetime
    payload: bytes
    version: int = 0
    severity: str = field(default="none", compare=False)
    at_stake: float = field(default=0.0, compare=False)

    @property
    def sha256(self) -> str:
        """Fingerprint of the payload: the same for the same forecast, order and risk."""
        return sha256(self.payload).hexdigest()


@dataclass(frozen=True)
class Publication:
    """Under which model, and from which data, all rows were made last.

    ``fitted_model`` is the fingerprint under which the fitted model is kept; ``first_day`` the first day forecast.
    """

    watermark: int
    model: str
    model_version: str
    fitted_model: str
    first_day: date
    data_until: date
    horizon: int
    published_at: datetime
    version: int = 0


def publication(connection: Connection) -> Publication | None:
    """Return what was published last; None before the first."""
    t = live_publications.c
    row = connection.execute(select(live_publications).where(t.id == _ONLY)).mappings().first()
    return None if row is None else Publication(**{name: value for name, value in row.items() if name != "id"})


def publish(connection: Connection, made: Publication, rows: Iterable[LiveRow]) -> tuple[int, list[str]]:
    """Put all rows anew, and take away those of series that are no longer among them.

    Parameters
    ----------
    rows
        Taken one at a time, so that they need not stand in memory together.

    Returns
    -------
    The version, and the products of which a row was kept because it has felt more than this publication.
    """
    before = publication(connection)
    version = 1 if before is None else before.version + 1
    values = {name: getattr(made, name) for name in made.__dataclass_fields__} | {"version": version}
    if before is None:
        connection.execute(insert(live_publications).values(id=_ONLY, **values))
    else:
        connection.execute(update(live_publications).where(live_publications.c.id == _ONLY).values(**values))
    t = live_forecasts.c
    known = {
        (product, warehouse): (was, felt, fingerprint)
        for product, warehouse, was, felt, fingerprint in connection.execute(
            select(t.product, t.warehouse, t.version, t.watermark, t.sha256)
        )
    }
    ahead: list[str] = []
    for batch in _batches(rows):
        fresh = []
        for row in batch:
            was = known.pop((row.product, row.warehouse), None)
            if was is not None and was[1] > row.watermark:
                ahead.append(row.product)
                continue
            same = was is not None and was[2] == row.sha256
            fresh.append(replace(row, version=was[0] if was is not None and same else version))
        _put(connection, fresh)
    _take_away(connection, list(known))
    return version, list(dict.fromkeys(ahead))


def save(connection: Connection, rows: Sequence[LiveRow]) -> list[LiveRow]:
    """Put some rows in the place of older ones; return those that changed, with their version.

    A row that has felt less than the one that is there is left out, and so is one that says the same.
    """
    if not rows:
        return []
    t = live_forecasts.c
    found = connection.execute(
        select(t.product, t.warehouse, t.watermark, t.sha256).where(t.product.in_(list({row.product for row in rows})))
    )
    known = {(product, warehouse): (felt, fingerprint) for product, warehouse, felt, fingerprint in found}
    fresh = []
    for row in rows:
        felt, fingerprint = known.get((row.product, row.warehouse), (-1, ""))
        if felt <= row.watermark and fingerprint != row.sha256:
            fresh.append(row)
    if not fresh:
        return []
    p = live_publications.c
    connection.execute(update(live_publications).where(p.id == _ONLY).values(version=p.version + 1))
    version = int(connection.scalar(select(p.version).where(p.id == _ONLY)) or 0)
    fresh = [replace(row, version=version) for row in fresh]
    _put(connection, fresh)
    return fresh


def of_product(connection: Connection, product: str) -> list[LiveRow]:
    """Return the rows of a product, ordered by warehouse; none where it has no forecast."""
    return _read(connection, product)


def of_series(connection: Connection, product: str, warehouse: str) -> LiveRow | None:
    """Return the row of a product in a warehouse; None where it has no forecast."""
    found = [row for row in _read(connection, product) if row.warehouse == warehouse]
    return found[0] if found else None


def changed_since(connection: Connection, version: int, limit: int = 1000) -> list[tuple[str, str, int]]:
    """Return product, warehouse and version of rows that changed after a version, the oldest change first."""
    t = live_forecasts.c
    query = select(t.product, t.warehouse, t.version).where(t.version > version)
    rows = connection.execute(query.order_by(t.version, t.product, t.warehouse).limit(limit))
    return [(row[0], row[1], row[2]) for row in rows]


@dataclass(frozen=True)
class News:
    """What happened since a watermark: the newest event's number, and the names of all."""

    watermark: int
    names: frozenset[str]


def news(connection: Connection, watermark: int) -> News:
    """Return what happened after an event of the outbox."""
    rows = connection.execute(select(outbox.c.id, outbox.c.name).where(outbox.c.id > watermark)).all()
    return News(max((row[0] for row in rows), default=watermark), frozenset(row[1] for row in rows))


def newest_event(connection: Connection) -> int:
    """Return the number of the newest event; 0 before the first."""
    return int(connection.scalar(select(func.max(outbox.c.id))) or 0)


def _read(connection: Connection, product: str) -> list[LiveRow]:
    t = live_forecasts.c
    query = select(live_forecasts).where(t.product == product).order_by(t.warehouse)
    rows = connection.execute(query).mappings()
    return [
        LiveRow(**{n: row[n] for n in _COLUMNS if n not in ("sha256", "payload")}, payload=bytes(row["payload"]))
        for row in rows
    ]


def _put(connection: Connection, rows: Sequence[LiveRow]) -> None:
    if not rows:
        return
    _take_away(connection, [(row.product, row.warehouse) for row in rows])
    connection.execute(insert(live_forecasts), [{n: getattr(row, n) for n in _COLUMNS} for row in rows])


def _take_away(connection: Connection, series: Sequence[tuple[str, str]]) -> None:
    t = live_forecasts.c
    if series:
        which = (t.product == bindparam("of_product"), t.warehouse == bindparam("of_warehouse"))
        gone = [{"of_product": product, "of_warehouse": warehouse} for product, warehouse in series]
        connection.execute(delete(live_forecasts).where(*which), gone)


def _batches(rows: Iterable[LiveRow]) -> Iterator[list[LiveRow]]:
    batch: list[LiveRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
