"""Tables of movements, booked in one transaction; rows that cannot be booked are told apart and the others are booked.

The rules are those of `shelfwise.services.recording`, over columns; a test holds the two to each other.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.domain.events import MovementsRecorded, named
from shelfwise.domain.frames import MOVEMENTS
from shelfwise.ingest import movement_bodies
from shelfwise.ingest.movement_bodies import INDEX, REJECTED
from shelfwise.services import idempotent, names
from shelfwise.services.idempotent import Keyed
from shelfwise.services.recording import (
    CLOCK_SECONDS,
    EARLIEST,
    FIRST_WAREHOUSE,
    IN,
    MOST_OF_A_CODE,
    MOST_OF_AN_ID,
    MOST_UNITS,
    SOURCE,
)
from shelfwise.storage import catalogue, corrections, outbox, recording, sales

TYPES: Final = ("SALE", "RETURN", "RECEIPT", "ADJUSTMENT", "TRANSFER", "COUNT")
MEDIA_TYPES: Final = (movement_bodies.JSON, movement_bodies.NDJSON, movement_bodies.ARROW)
MOST_REJECTED_SHOWN: Final = 100
_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%.f"
STAGED_FROM: Final = 2_000
"""From so many rows on, a bulk load is quicker than a temporary table."""


@dataclass(frozen=True)
class Rejected:
    """A row that was not booked: its place from 0, the field at fault and why."""

    index: int
    field: str
    reason: str


@dataclass(frozen=True)
class RecordedTable:
    """What became of a table of movements.

    Parameters
    ----------
    inserted, duplicates
        Rows booked now, and rows that were booked before, or came twice.
    differing
        How many of the duplicates say something else than is booked under their id; nothing was done with them.
    rejected_rows, rejected
        Rows that were not booked, and the first of them.
    replayed
        It is the answer that the same request got before under its key.
    """

    inserted: int
    duplicates: int
    differing: int
    rejected_rows: int
    rejected: tuple[Rejected, ...]
    replayed: bool = False

    def to_json(self) -> bytes:
        """Return what is kept of it under a key."""
        return json.dumps(asdict(self)).encode()

    @property
    def all_rejected(self) -> bool:
        """Whether there were rows and none of them could be booked, now or before."""
        return self.rejected_rows > 0 and self.inserted + self.duplicates == 0

    @classmethod
    def from_json(cls, raw: bytes) -> RecordedTable:
        """Return what `to_json` gave."""
        values = json.loads(raw)
        rejected = tuple(Rejected(**one) for one in values["rejected"])
        return cls(**values | {"rejected": rejected, "replayed": True})


def record_body(
    app: App,
    media_type: str,
    body: bytes,
    key: Keyed | None = None,
    felt: Callable[[Iterable[str]], object] = lambda _: None,
) -> RecordedTable:
    """Book the movements in the body of a request.

    Parameters
    ----------
    media_type
        One of `MEDIA_TYPES`.
    felt
        Called with the products after the commit, where they are few enough for the event to name them; of more the
        job behind the event takes care.

    Raises
    ------
    DataError
        The body is no table of movements.
    ParameterError
        Another request came under this key.
    StorageError
        The database cannot do it now; nothing is booked.
    """
    if key is not None:
        with app.database.read() as connection:
            before = idempotent.replayed(connection, key).get(key)
        if before is not None:
            return _replay(before)
    table, unread = movement_bodies.read(media_type, body)
    now = app.now()
    with app.database.read() as connection:
        lines, refused = _lines(app, connection, table, now)
    rejected = pl.concat([unread, refused]).unique(INDEX, keep="first").sort(INDEX)
    staged = {"movements": lines} if lines.height >= STAGED_FROM else None
    products = lines["product"].unique().to_list()
    with app.database.write(stage=staged) as connection:
        if key is not None:  # the same request may have come to another process meanwhile
            before = idempotent.replayed(connection, key).get(key)
            if before is not None:
                return _replay(before)
        frame = None if staged else lines
        done = sales.append_movements(connection, frame) if lines.height else sales.Appended(0, 0)
        differing = corrections.differing(connection, frame).lines if done.duplicates else 0
        if done.inserted:
            outbox.append(connection, now, MovementsRecorded(SOURCE, done.inserted, named(products)))
        made = RecordedTable(
            done.inserted, done.duplicates, differing, rejected.height,
            tuple(Rejected(**row) for row in rejected.head(MOST_REJECTED_SHOWN).iter_rows(named=True)),
        )  # fmt: skip
        if key is not None:
            idempotent.keep(app, connection, {key: idempotent.Answer(200, "application/json", made.to_json())})
    if done.inserted and named(products):
        felt(products)
    return made


def _replay(found: idempotent.Answer | ShelfwiseError) -> RecordedTable:
    if isinstance(found, ShelfwiseError):
        raise found
    return RecordedTable.from_json(found.body)


def _lines(app: App, connection: Any, table: pl.DataFrame, now: dt.datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines (``MOVEMENTS``) of the rows that can be booked, and the other rows (`REJECTED`)."""
    moments = table.with_columns(_moments(table["createdAt"], app.settings.timezone).alias("moment"))
    placed, places = _placed(connection, moments)
    sale = pl.col("transactionType") == "SALE"
    units = pl.when(sale).then(pl.col("quantity").abs()).otherwise("quantity")
    rows = placed.with_columns(quantity=units, occurred_at=pl.coalesce("moment", pl.lit(now)))
    rules = [*_rules(rows, app, now), *places, *_unknown_products(app, connection, rows)]
    rejected = [
        rows.filter(wrong.fill_null(value=False)).select(INDEX, pl.lit(field).alias("field"), reason.alias("reason"))
        for field, wrong, reason in rules
    ]
    refused = pl.concat([pl.DataFrame(schema=REJECTED), *rejected]).unique(INDEX, keep="first", maintain_order=True)
    return _as_lines(rows.join(refused, on=INDEX, how="anti", maintain_order="left")), refused


def _moments(given: pl.Series, timezone: str) -> pl.Series:
    """Return ``createdAt`` in shop time: moments, or texts with or without a zone; null where one cannot be read."""
    if isinstance(given.dtype, pl.Datetime):
        zoned = given.dtype.time_zone is not None
        moments = given.dt.convert_time_zone(timezone).dt.replace_time_zone(None) if zoned else given
        return moments.cast(pl.Datetime("us"))
    plain = given.str.to_datetime(_FORMAT, strict=False, time_unit="us")
    if plain.null_count() == given.null_count():
        return plain
    whole = (
        given.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2}) ", "${1}T")
        .str.replace(r"(T\d{2}:\d{2})($|[+\-Zz])", "${1}:00${2}")
        .str.replace(r"[Zz]$", "+00:00")
    )
    utc = whole.str.to_datetime(f"{_FORMAT}%:z", strict=False, time_unit="us", time_zone="UTC")
    local = utc.dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    return whole.str.to_datetime(_FORMAT, strict=False, time_unit="us").zip_with(local.is_null(), local)


Rule = tuple[str, pl.Expr, pl.Expr]


def _rules(rows: pl.DataFrame, app: App, now: dt.datetime) -> Iterator[Rule]:
    """Give (field, which rows break it, why), the first that a row breaks first."""
    kind, units = pl.col("transactionType"), pl.col("quantity")
    for name, most in (
        ("productId", MOST_OF_A_CODE),
        ("warehouseId", MOST_OF_A_CODE),
        ("toWarehouseId", MOST_OF_A_CODE),
        ("id", MOST_OF_AN_ID),
    ):
        code = pl.col(name)
        if name == "productId":
            yield name, code.is_null(), pl.lit("is missing; every movement is of a product")
        length = code.str.len_chars()
        wrong = (length == 0) | (length > most) | (code != code.str.strip_chars())
        yield name, wrong, pl.lit(f"is not 1 to {most} characters without blanks around them")
        yield name, code.str.contains("\0", literal=True), pl.lit("holds a character that no text may hold")
    yield "transactionType", ~kind.is_in(TYPES).fill_null(value=False), pl.lit(f"is none of {', '.join(TYPES)}")
    yield "quantity", units.is_null(), pl.lit("is missing; give units")
    yield (
        "quantity",
        ~units.is_finite() | (units.abs() > MOST_UNITS),
        pl.lit(f"is no number up to {MOST_UNITS:,.0f} units"),
    )
    yield "quantity", (units == 0) & (kind != "COUNT"), pl.lit("is 0; leave the row out, or send a COUNT of 0")
    negative = (units < 0) & (kind != "ADJUSTMENT")
    yield "quantity", negative, pl.lit("is below zero; what is lost is an ADJUSTMENT below zero")
    yield "createdAt", pl.col("createdAt").is_not_null() & pl.col("moment").is_null(), pl.lit("is no ISO 8601 moment")
    yield "createdAt", pl.col("moment") < EARLIEST, pl.lit("is before 1970; give the moment at which it happened")
    ahead = pl.col("moment") > now + dt.timedelta(seconds=CLOCK_SECONDS)
    shop = f"has not come yet; it is {now:%Y-%m-%d %H:%M:%S} in the shop ({app.settings.timezone})"
    yield "createdAt", ahead, pl.lit(shop)
    price = pl.col("unitPrice")
    yield "unitPrice", ~price.is_finite() | (price < 0), pl.lit("is not zero or more")
    goal, transfer = pl.col("toWarehouseId"), kind == "TRANSFER"
    yield "toWarehouseId", transfer & goal.is_null(), pl.lit("is missing; a TRANSFER goes somewhere")
    yield "toWarehouseId", ~transfer & goal.is_not_null(), pl.lit("is of a TRANSFER only; leave it out")
    if rows["id"].null_count() < rows.height:
        says = pl.struct("productId", kind, units, "moment", "place", "goal", price).hash()
        again = pl.col("id").is_not_null() & (says != says.first().over("id"))
        yield "id", again, pl.lit("is that of another movement in this request")


def _placed(connection: Any, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Rule]]:
    """Return the rows with the codes of their warehouses, ``place`` and ``goal``, and what can be wrong with those."""
    known = recording.warehouse_codes(connection)
    rules: list[Rule] = []
    for field, column in (("warehouseId", "place"), ("toWarehouseId", "goal")):
        codes: dict[str, str] = {}
        whys: dict[str, str] = {}
        for wanted in rows[field].drop_nulls().unique():
            try:
                found = wanted if not known or wanted in known else None
                codes[wanted] = found or names.warehouse_code(catalogue.warehouses(connection), wanted)
            except ShelfwiseError as error:
                whys[wanted] = str(error)
        of_each = pl.col(field).replace_strict(codes, default=None, return_dtype=pl.String)
        rows = rows.with_columns(of_each.alias(column))
        if whys:
            why = pl.col(field).replace_strict(whys, default=None, return_dtype=pl.String)
            rules.append((field, why.is_not_null(), why))
    if len(known) > 1:
        several = f"is missing; the shop has {len(known)} warehouses, name one: {', '.join(known[:20])}"
        rules.append(("warehouseId", pl.col("warehouseId").is_null(), pl.lit(several)))
    else:
        rows = rows.with_columns(
            pl.when(pl.col("warehouseId").is_null())
            .then(pl.lit(known[0] if known else FIRST_WAREHOUSE))
            .otherwise("place")
            .alias("place")
        )
    rules.append(("toWarehouseId", pl.col("goal") == pl.col("place"), pl.lit("is where it comes from; name another")))
    return rows, rules


def _unknown_products(app: App, connection: Any, rows: pl.DataFrame) -> list[Rule]:
    if app.settings.create_unknown_products:
        return []
    known = catalogue.products(connection)["product"]
    unknown = ~pl.col("productId").is_in(known.implode())
    return [
        ("productId", unknown, pl.lit("is no product of the store; import it first, or see create_unknown_products"))
    ]


def _as_lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the lines (``MOVEMENTS``) of good rows; a transfer is two."""
    batch = uuid.uuid4().hex
    numbered = pl.coalesce("id", pl.lit(f"{batch}-") + pl.col(INDEX).cast(pl.String))
    is_transfer = pl.col("kind") == "transfer"
    lines = rows.select(
        INDEX, "goal", "occurred_at",
        source=pl.lit(SOURCE), line_id=numbered, kind=pl.col("transactionType").str.to_lowercase(),
        product="productId", warehouse="place", quantity="quantity", unit_price="unitPrice",
    )  # fmt: skip
    transfers = lines.filter(is_transfer)
    if transfers.height:
        out = pl.when(is_transfer).then(-pl.col("quantity")).otherwise("quantity")
        arrivals = transfers.with_columns(pl.col("line_id") + IN, warehouse="goal")
        lines = pl.concat([lines.with_columns(quantity=out), arrivals]).sort(INDEX, maintain_order=True)
    return lines.select(*MOVEMENTS.columns)
