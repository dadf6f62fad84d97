"""Tables of movements: good rows are booked in one transaction, each of the others is named with its reason."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.services.test_recording import lines, local, nothing_felt, on_hand, opened, servers

from shelfwise.app import App, open_app
from shelfwise.domain.errors import DataError, ParameterError, ShelfwiseError
from shelfwise.ingest import movement_bodies
from shelfwise.services.bulk_recording import RecordedTable, record_body
from shelfwise.services.idempotent import Keyed
from shelfwise.services.recording import Kind, Movement, Recorder
from shelfwise.storage import outbox, stock, tables

__all__ = ["local", "opened", "servers"]

JSON, NDJSON, ARROW = movement_bodies.JSON, movement_bodies.NDJSON, movement_bodies.ARROW
Row = dict[str, Any]


def row(kind: str = "SALE", quantity: float = 1, **said: Any) -> Row:
    return {
        "productId": "tea",
        "transactionType": kind,
        "quantity": quantity,
        "createdAt": "2026-01-05T10:00:00",
        **said,
    }


def as_arrow(rows: list[Row], **options: Any) -> bytes:
    raw = io.BytesIO()
    pl.DataFrame(rows, infer_schema_length=None).write_ipc_stream(raw, **options)
    return raw.getvalue()


def as_body(media_type: str, rows: list[Row]) -> bytes:
    if media_type == ARROW:
        return as_arrow(rows)
    if media_type == NDJSON:
        return "\n".join(map(json.dumps, rows)).encode()
    return json.dumps(rows).encode()


def booked(app: App, rows: list[Row], media_type: str = JSON, **options: Any) -> RecordedTable:
    return record_body(app, media_type, as_body(media_type, rows), **options)


@pytest.mark.parametrize("media_type", [JSON, NDJSON, ARROW])
@pytest.mark.parametrize("rows", [5, 2_500])
def test_every_kind_of_body_is_booked_once(local: Callable[..., App], media_type: str, rows: int) -> None:
    app = local()
    table = [row("COUNT", 3000, id="c"), *(row(id=f"s{n}", createdAt=None if n else "2026-01-05") for n in range(rows))]
    felt: list[list[str]] = []
    done = booked(app, table, media_type, felt=lambda products: felt.append([*products]))
    # A sale of that day without a time is before the count at ten.
    assert done == RecordedTable(rows + 1, 0, 0, 0, ())
    assert on_hand(app) == {("tea", "main"): 3000 - (rows - 1)}
    assert felt == [["tea"]]
    again = booked(app, [{**one, "createdAt": one["createdAt"] or "2026-01-05T11:00"} for one in table], media_type)
    assert (again.inserted, again.duplicates, again.differing) == (0, rows + 1, rows - 1)
    assert len(lines(app)) == rows + 1
    with app.database.read() as connection:
        assert [getattr(one.event, "inserted", 0) for one in outbox.since(connection)] == [rows + 1]


def test_each_bad_row_is_named_with_its_field_and_reason(local: Callable[..., App]) -> None:
    app = local(timezone="Europe/Berlin")
    booked(app, [row("COUNT", 9)])
    bad: list[tuple[Row, str, str]] = [
        (row(productId=None), "productId", "is missing"),
        (row(productId=" tea"), "productId", "without blanks around them"),
        (row(productId="x" * 256), "productId", "is not 1 to 255 characters"),
        (row(productId=True), "productId", "true is no text or number"),
        (row("sale"), "transactionType", "is none of SALE, RETURN"),
        (row(None), "transactionType", "is none of"),  # type: ignore[arg-type]
        (row(quantity=None), "quantity", "is missing"),  # type: ignore[arg-type]
        (row(quantity="3"), "quantity", '"3" is no number'),  # type: ignore[arg-type]
        (row(quantity=0), "quantity", "is 0"),
        (row(quantity=2e9), "quantity", "is no number up to 1,000,000,000 units"),
        (row("RECEIPT", -1), "quantity", "is below zero"),
        (row(createdAt="5/1/2026"), "createdAt", "is no ISO 8601 moment"),
        (row(createdAt="2999-01-01T00:00:00Z"), "createdAt", "has not come yet"),
        (row(createdAt="1969-12-31"), "createdAt", "is before 1970"),
        (row(warehouseId="mian"), "warehouseId", "there is no warehouse 'mian'; the nearest is main"),
        (row("TRANSFER"), "toWarehouseId", "is missing"),
        (row("TRANSFER", toWarehouseId="main"), "toWarehouseId", "is where it comes from"),
        (row(toWarehouseId="main"), "toWarehouseId", "is of a TRANSFER only"),
        (row(unitPrice=-1), "unitPrice", "is not zero or more"),
        (row(id="y" * 253), "id", "is not 1 to 252"),
        (row(colour="green"), "colour", "is no column of movements"),
        ([], "", "is no JSON object"),  # type: ignore[list-item]
    ]
    good = row(id="good", createdAt="2026-01-05T23:30:00Z")
    done = booked(app, [one for one, _, _ in bad] + [good, {**good, "quantity": 2}])
    assert (done.inserted, done.rejected_rows) == (1, len(bad) + 1)
    for n, (rejected, (_, field, reason)) in enumerate(zip(done.rejected, bad, strict=False)):
        assert (rejected.index, rejected.field) == (n, field)
        assert reason in rejected.reason
    assert done.rejected[-1].reason == "is that of another movement in this request"
    with app.database.read() as connection:
        moment = connection.scalar(
            select(tables.stock_movements.c.occurred_at).where(tables.stock_movements.c.line_id == "good")
        )
    assert moment == dt.datetime.fromisoformat("2026-01-06T00:30:00"), "a zone is turned into shop time"


def test_at_most_100_rejected_rows_are_shown(local: Callable[..., App]) -> None:
    done = booked(local(), [row(quantity=0)] * 250)
    assert (done.rejected_rows, len(done.rejected), done.all_rejected) == (250, 100, True)


def test_a_large_table_is_booked_once_on_every_database(opened: Callable[..., App]) -> None:
    app = opened()
    table = [row("COUNT", 3000, id="c"), *(row(id=f"s{n}") for n in range(2_500))]
    assert booked(app, table, ARROW).inserted == 2_501
    assert booked(app, [*table, row(id="new")], NDJSON) == RecordedTable(1, 2_501, 0, 0, ())
    assert on_hand(app) == {("tea", "main"): 3000 - 2_501}


def test_a_table_under_a_key_is_booked_once(opened: Callable[..., App]) -> None:
    app = opened()
    key = Keyed.of("", "k", "body")
    first = booked(app, [row(), row(quantity=0)], key=key)
    again = booked(opened(), [row(), row(quantity=0)], key=key)
    assert again == RecordedTable(1, 0, 0, 1, first.rejected, replayed=True)
    assert len(lines(app)) == 1
    with pytest.raises(ParameterError, match="another request before"):
        booked(app, [row()], key=Keyed.of("", "k", "another"))


def test_of_several_warehouses_one_must_be_named_and_products_may_have_to_be_known(local: Callable[..., App]) -> None:
    app = local(create_unknown_products=False)
    with app.database.write() as connection:
        connection.execute(tables.warehouses.insert(), [{"code": "main"}, {"code": "back"}])
        connection.execute(tables.products.insert(), {"code": "tea"})
    done = booked(app, [row(), row(warehouseId="MAIN"), row(productId="milk", warehouseId="main")])
    assert [(one.index, one.field) for one in done.rejected] == [(0, "warehouseId"), (2, "productId")]
    assert "the shop has 2 warehouses, name one: back, main" in done.rejected[0].reason
    moved = booked(app, [row("TRANSFER", 4, warehouseId="main", toWarehouseId="back", id="t")])
    assert moved.inserted == 2
    assert lines(app)["t"] == -4
    assert lines(app)["t/in"] == 4


# --- bodies


def test_a_row_of_ndjson_that_cannot_be_read_is_told_among_good_ones(local: Callable[..., App]) -> None:
    body = b'{"productId": 7, "transactionType": "SALE", "quantity": 1}\n\n{"productId"\n\xff\n[1]\n'
    done = record_body(local(), NDJSON, body)
    assert done.inserted == 1
    assert [(one.index, one.reason) for one in done.rejected] == [
        (n, "is no JSON object; a movement is one") for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("media_type", "body", "words"),
    [
        (JSON, b"[", "the body is no JSON"),
        (JSON, b'{"productId": 7}', "must be a JSON array"),
        (JSON, b"[" * 100_000, "the body is no JSON"),
        (JSON, b"[" + b"1," * 10_000 + b"1]", "at most 10,000 movements, got 10,001"),
        (NDJSON, b"\n" * 1_000_001, "at most 1,000,000 movements"),
        (ARROW, b"", "is no Arrow IPC stream"),
        (ARROW, b"no stream at all", "is no Arrow IPC stream"),
        (ARROW, as_arrow([row()], compression="zstd"), "are compressed; compress the whole body with gzip"),
        (ARROW, as_arrow([row()], compression="lz4"), "are compressed"),
        (ARROW, as_arrow([row(colour="green")]), "'colour' is no column of movements"),
        (ARROW, as_arrow([row(quantity="3")]), "column quantity is String; it must be numbers"),  # type: ignore[arg-type]
        (ARROW, as_arrow([row(id="x" * 2000)]), "column id: a text is longer than 1024 bytes"),
        (ARROW, as_arrow([row(id=[1])]), "column id is List"),
    ],
)
def test_a_body_that_is_no_table_of_movements_is_refused(media_type: str, body: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        movement_bodies.read(media_type, body)


def test_a_damaged_arrow_stream_is_refused_or_read_and_never_more() -> None:
    whole = as_arrow([row(id=str(n)) for n in range(20)])
    draw = random.Random(7)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole[: draw.randrange(1, len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(3):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            movement_bodies.read(ARROW, bytes(damaged))
        except DataError:
            refused += 1
    assert refused > 100


# --- the two ways

MOVES = st.builds(
    lambda kind, units, at, place, goal, price: {
        "productId": "tea", "transactionType": kind, "quantity": units, "createdAt": at, "warehouseId": place,
        "toWarehouseId": goal, "unitPrice": price,
    },
    st.sampled_from(["SALE", "RETURN", "RECEIPT", "ADJUSTMENT", "TRANSFER", "COUNT"]),
    st.sampled_from([-2.0, 0.0, 1.0, 2.5, 2e9]),
    st.sampled_from(["2026-01-05T10:00:00", "2026-01-05T10:00:00+01:00", "2026-01-05", "1960-01-01", "2999-01-01"]),
    st.sampled_from(["main", "MAIN", "back", "mian", None]),
    st.sampled_from([None, None, None, "main", "back"]),
    st.sampled_from([None, 2.0, -1.0]),
)  # fmt: skip


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two shops with the same warehouses, made empty for each example."""
    folder = tmp_path_factory.mktemp("twins")
    with open_app(folder / "one.db", folder=folder) as one, open_app(folder / "many.db", folder=folder) as many:
        yield one, many


@given(moves=st.lists(MOVES, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_table_is_booked_as_its_rows_one_by_one(twins: tuple[App, App], moves: list[Row]) -> None:
    one, many = twins
    for app in twins:
        with app.database.write() as connection:
            for table in (tables.stock_movements, tables.stock_levels, tables.warehouses):
                connection.execute(table.delete())
            connection.execute(tables.warehouses.insert(), [{"code": "main"}, {"code": "back"}])
    moves = [{**move, "id": str(n)} for n, move in enumerate(moves)]
    recorder = Recorder(one, nothing_felt)
    refused = [n for n, move in enumerate(moves) if not _is_booked(recorder, move)]
    recorder.close()
    assert [rejected.index for rejected in booked(many, moves).rejected] == refused
    assert _store(one) == _store(many)


def _is_booked(recorder: Recorder, move: Row) -> bool:
    kind: Kind = move["transactionType"].lower()
    try:
        made = Movement(
            "tea", kind, move["quantity"], dt.datetime.fromisoformat(move["createdAt"]), move["warehouseId"],
            move["toWarehouseId"], move["id"], move["unitPrice"],
        )  # fmt: skip
        recorder.submit(made).result(30)
    except ShelfwiseError:
        return False
    return True


def _store(app: App) -> tuple[dict[str, float], list[Any]]:
    with app.database.read() as connection:
        return lines(app), stock.stock_levels(connection).rows()
