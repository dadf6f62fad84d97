"""An import leaves a receipt, and can be taken back."""

from __future__ import annotations

import polars as pl
import pytest
from tests.storage.worlds import moment, movements

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage import imports
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements, daily_demand
from shelfwise.storage.stock import stock_levels

WHEN = moment("2026-02-01 10:00")


def keep(database: Database, content_hash: str, frame: pl.DataFrame) -> int:
    with database.write() as connection:
        number = imports.record_import(
            connection,
            file_name="Verkäufe 🫖.csv",
            content_hash=content_hash,
            profile="invoices",
            receipt={"rows": 3, "inserted": 1, "note": None},
            imported_at=WHEN,
        )
        append_movements(connection, frame, import_id=number)
    return number


def test_a_receipt_comes_back_as_it_was_written(database: Database) -> None:
    number = keep(database, "a" * 64, movements(("sale", "2026-01-05", "tea", 1)))
    with database.read() as connection:
        found = imports.find_import(connection, "a" * 64)
        assert imports.find_import(connection, "b" * 64) is None
        assert imports.all_imports(connection) == [found]
    assert found == imports.Import(
        number, "Verkäufe 🫖.csv", "a" * 64, "invoices", {"rows": 3, "inserted": 1, "note": None}, WHEN, None
    )


def test_undoing_an_import_takes_back_its_lines_and_its_effect_on_stock(database: Database) -> None:
    keep(database, "a" * 64, movements(("count", "2026-01-01", "tea", 50), ("sale", "2026-01-05", "tea", 7)))
    second = keep(
        database,
        "b" * 64,
        movements(
            ("sale", "2026-01-06", "tea", 8),
            ("count", "2026-01-07", "milk", 3),
            ("count", "2026-01-08", "tea", 1),
            source="web",
        ),
    )
    with database.write() as connection:
        assert stock_levels(connection)["on_hand"].to_list() == [3, 1]
        assert imports.undo_import(connection, second, WHEN).lines == 3
        assert stock_levels(connection).select("product", "on_hand").rows() == [("tea", 43.0)]
        assert daily_demand(connection)["quantity"].to_list() == [7.0]
        assert imports.find_import(connection, "b" * 64) is None
        assert imports.all_imports(connection)[0].undone_at == WHEN


def test_an_undone_import_can_be_imported_again(database: Database) -> None:
    frame = movements(("sale", "2026-01-05", "tea", 7))
    first = keep(database, "a" * 64, frame)
    with database.write() as connection:
        imports.undo_import(connection, first, WHEN)
    second = keep(database, "a" * 64, frame)
    with database.read() as connection:
        found = imports.find_import(connection, "a" * 64)
        assert found is not None
        assert (found.id, found.receipt["inserted"]) == (second, 1)


def test_what_is_undone_or_unknown_cannot_be_undone(database: Database) -> None:
    number = keep(database, "a" * 64, movements(("sale", "2026-01-05", "tea", 7)))
    with database.write() as connection:
        imports.undo_import(connection, number, WHEN)
        with pytest.raises(ConflictError, match="was undone on 2026-02-01 10:00"):
            imports.undo_import(connection, number, WHEN)
        with pytest.raises(NotFound, match="there is no import 99"):
            imports.undo_import(connection, 99, WHEN)
